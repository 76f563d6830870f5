//! Days of three devices that fail by chance.

use gridtally_simulators::{Fault, HomeSpec, Layer, Schedule};
use tokio::task::JoinSet;

use crate::house::{BATTERY, Homes, House, METER, MORNING, PANELS, TIMEOUT_MS, Told, Wiring, is_read};
use crate::line::chance;

const DAYS: i64 = 2;
/// Between two looks.
const STEP: i64 = 3_600;
/// Looks within which a device is read again after its faults.
const RECOVERY: usize = 3;

/// A fault of the catalogue; those of time in such numbers that a day of them takes no day.
fn any_fault(random: &mut impl FnMut(u64) -> u64) -> Fault {
    let which = random(Fault::ALL.len().try_into().unwrap());
    let fault = Fault::ALL[usize::try_from(which).unwrap()].fault;
    match fault {
        Fault::LateReply { .. } => Fault::LateReply {
            millis: random(900).cast_signed(),
        },
        Fault::MergedSegments { .. } => Fault::MergedSegments { millis: 5 },
        Fault::SplitSegments { .. } => Fault::SplitSegments { bytes: 30, millis: 2 },
        Fault::ShiftedMap { .. } => Fault::ShiftedMap {
            by: random(60).cast_signed(),
        },
        other => other,
    }
}

async fn days(seed: u64, wiring: Wiring) -> Result<(), String> {
    let mut random = chance(seed);
    let homes = Homes::new(HomeSpec::draw(seed));
    let served = homes.serve(wiring).await;
    let told = Told {
        timeouts_ms: [TIMEOUT_MS; 3],
        ..Told::default()
    };
    let mut house = House::of(homes, served, told);
    let looks = DAYS * 86_400 / STEP;
    for _ in 0..8 {
        let device = usize::try_from(random(3)).unwrap();
        let from = MORNING + STEP * random(looks.unsigned_abs()).cast_signed();
        let span = from..from + STEP * (1 + random(2).cast_signed());
        house.plan(device, any_fault(&mut random), &Schedule::Once(span));
    }
    let mut well_for = [0; 3];
    for look in 0..looks + 6 {
        let shown = house
            .look_after(STEP)
            .await
            .map_err(|error| format!("look {look}: {error}"))?;
        // What one does to the socket that it shares is a matter of both.
        let reaches = |device: usize| match (device, wiring) {
            (METER | BATTERY, Wiring::Gateway) => vec![METER, BATTERY],
            _ => vec![device],
        };
        for device in [METER, PANELS, BATTERY] {
            let is_well = reaches(device).into_iter().all(|other| {
                let faults = house.device(other).active_faults();
                let matters =
                    |fault: &Fault| other == device || matches!(fault, Fault::DeafAfterConnect { .. });
                !faults
                    .iter()
                    .any(|fault| matters(fault) && fault.layer() != Layer::Control)
            });
            well_for[device] = if is_well { well_for[device] + 1 } else { 0 };
            if well_for[device] > RECOVERY && !is_read(&shown[device]) {
                return Err(format!(
                    "look {look}: device {device} is well and has {:?}",
                    shown[device]
                ));
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_when_nothing_foreign_is_believed_and_what_is_well_is_read() {
    let mut homes = JoinSet::new();
    for seed in 1..=24 {
        let wiring = [Wiring::Sockets, Wiring::Gateway, Wiring::Line][usize::try_from(seed % 3).unwrap()];
        homes.spawn(async move {
            let outcome = days(seed, wiring).await;
            outcome.map_err(|error| format!("seed {seed}, {wiring:?}: {error}"))
        });
    }
    let mut failed: Vec<String> = homes
        .join_all()
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    failed.sort();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
