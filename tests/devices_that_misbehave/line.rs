//! Serial lines, whose frames bear no number: what comes late, or twice, must never be the answer to another
//! request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gridtally_simulators::{Fault, HomeSpec};

use crate::house::{
    BATTERY, Homes, House, METER, PANELS, Served, TIMEOUT_MS, Told, bind, is_missing, is_read,
};
use crate::slow_line::{self, Copy, Script, frame};

const T: u64 = TIMEOUT_MS as u64;
const BATTERY_UNIT: u8 = 3;

/// A house whose meter and battery are on a line of that script.
async fn house(seed: u64, script: Script, told: Told<'_>) -> House {
    let homes = Homes::new(HomeSpec::draw(seed));
    let panels = bind(vec![homes.device(PANELS)]).await;
    let line = slow_line::serve(vec![homes.device(METER), homes.device(BATTERY)], script).await;
    let place = format!("rtutcp://{}", line.address);
    let served = Served {
        places: [place.clone(), format!("tcp://{}", panels.address()), place],
        by: vec![Box::new(line), Box::new(panels)],
    };
    House::of(homes, served, told)
}

/// The battery's replies come as `copies` says while `on`, those of the meter at once.
fn battery_answers(
    on: &Arc<AtomicBool>,
    mut copies: impl FnMut(usize) -> Vec<Copy> + Send + 'static,
) -> Script {
    let on = Arc::clone(on);
    Box::new(move |number, request| {
        if on.load(Ordering::SeqCst) && request[0] == BATTERY_UNIT {
            copies(number)
        } else {
            vec![Copy::after(0)]
        }
    })
}

async fn late_by(milliseconds: u64) -> Result<(), String> {
    let is_late = Arc::new(AtomicBool::new(false));
    let script = battery_answers(&is_late, move |_| vec![Copy::after(milliseconds)]);
    let mut house = house(milliseconds, script, Told::default()).await;
    house.until_read(BATTERY, 2).await?;
    is_late.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let shown = house.look().await?;
        if milliseconds > T && !is_missing(&shown[BATTERY]) {
            return Err(format!("the battery is too late and has {:?}", shown[BATTERY]));
        }
        if !is_read(&shown[METER]) {
            return Err(format!("the meter is on time and has {:?}", shown[METER]));
        }
    }
    is_late.store(false, Ordering::SeqCst);
    house.until_read(BATTERY, 5).await?;
    house.until_read(METER, 1).await.map(drop)
}

#[tokio::test]
async fn a_reply_that_is_late_is_never_the_answer_to_the_next_request_however_late_it_is() {
    let delays = [
        T - 100,
        T - 1,
        T,
        T + 1,
        T + 50,
        T * 3 / 2,
        2 * T - 1,
        2 * T,
        2 * T + 20,
        3 * T,
        5 * T,
    ];
    let homes = delays.map(|delay| tokio::spawn(late_by(delay)));
    for (delay, home) in delays.into_iter().zip(homes) {
        let outcome = home.await.unwrap();
        assert!(outcome.is_ok(), "{delay} ms late: {outcome:?}");
    }
}

/// A generator of chance that repeats itself (xorshift).
pub fn chance(seed: u64) -> impl FnMut(u64) -> u64 + Send {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

async fn late_by_chance(seed: u64) -> Result<(), String> {
    let is_late = Arc::new(AtomicBool::new(false));
    let mut random = chance(seed);
    let script = battery_answers(&is_late, move |_| match random(6) {
        0 => Vec::new(),
        1 => vec![Copy::after(random(3 * T))],
        2 => vec![Copy::after(0), Copy::after(random(40))],
        _ => vec![Copy::after(0)],
    });
    // From the first, too: nothing is known of the battery yet by which a line could be checked.
    is_late.store(seed.is_multiple_of(2), Ordering::SeqCst);
    let mut house = house(seed, script, Told::default()).await;
    house.look().await?;
    is_late.store(true, Ordering::SeqCst);
    for _ in 0..6 {
        house.look().await?;
    }
    is_late.store(false, Ordering::SeqCst);
    house.until_read(BATTERY, 5).await.map(drop)
}

#[tokio::test]
async fn replies_that_are_lost_late_or_doubled_by_chance_are_never_taken_for_others() {
    let homes: Vec<_> = (1..=16).map(|seed| tokio::spawn(late_by_chance(seed))).collect();
    for (seed, home) in (1..).zip(homes) {
        let outcome = home.await.unwrap();
        assert!(outcome.is_ok(), "seed {seed}: {outcome:?}");
    }
}

async fn doubled_after(milliseconds: u64, lines: &'static str) -> Result<(), String> {
    let on = Arc::new(AtomicBool::new(true));
    let script = battery_answers(&on, move |_| vec![Copy::after(0), Copy::after(milliseconds)]);
    let told = Told {
        lines: ["", "", lines],
        ..Told::default()
    };
    let mut house = house(milliseconds, script, told).await;
    for _ in 0..3 {
        let shown = house.look().await?;
        if !is_read(&shown[METER]) {
            return Err(format!(
                "the meter says each thing once and has {:?}",
                shown[METER]
            ));
        }
    }
    on.store(false, Ordering::SeqCst);
    house.until_read(BATTERY, 4).await.map(drop)
}

#[tokio::test]
async fn the_second_copy_of_a_reply_is_never_the_answer_to_the_next_request() {
    let cases = [0, 1, 3, 10, 40]
        .map(|gap| ["", "max_registers = 50", "max_registers = 46"].map(|lines| (gap, lines)));
    let homes = cases
        .concat()
        .into_iter()
        .map(|(gap, lines)| (gap, lines, tokio::spawn(doubled_after(gap, lines))));
    for (gap, lines, home) in homes.collect::<Vec<_>>() {
        let outcome = home.await.unwrap();
        assert!(outcome.is_ok(), "{gap} ms apart, {lines}: {outcome:?}");
    }
}

#[tokio::test]
async fn the_line_is_drained_for_as_long_as_the_most_patient_question_had() {
    // The battery may take 900 ms and takes 1,100; the meter, asked in between, waits 300 at most.
    let is_late = Arc::new(AtomicBool::new(false));
    let script = battery_answers(&is_late, |_| vec![Copy::after(1_100)]);
    let told = Told {
        timeouts_ms: [TIMEOUT_MS, 20_000, 900],
        ..Told::default()
    };
    let mut house = house(1, script, told).await;
    house.until_read(BATTERY, 2).await.unwrap();
    is_late.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let shown = house.look().await.unwrap();
        assert!(is_missing(&shown[BATTERY]), "{:?}", shown[BATTERY]);
        assert!(is_read(&shown[METER]), "{:?}", shown[METER]);
    }
    is_late.store(false, Ordering::SeqCst);
    house.until_read(BATTERY, 3).await.unwrap();
}

#[tokio::test]
async fn a_frame_that_nobody_asked_for_is_not_an_answer() {
    // Registers of the meter, with the battery's unit, before each reply of the battery.
    let on = Arc::new(AtomicBool::new(false));
    let foreign = frame(BATTERY_UNIT, &[3, 4, 0, 9, 0, 9]);
    let script = battery_answers(&on, move |_| {
        let instead = Some(foreign.clone());
        vec![
            Copy {
                instead,
                ..Copy::after(0)
            },
            Copy::after(5),
        ]
    });
    let mut house = house(1, script, Told::default()).await;
    house.until_read(BATTERY, 2).await.unwrap();
    on.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let shown = house.look().await.unwrap();
        assert!(is_read(&shown[METER]), "{:?}", shown[METER]);
    }
    on.store(false, Ordering::SeqCst);
    house.until_read(BATTERY, 4).await.unwrap();
}

#[tokio::test]
async fn a_silent_unit_on_a_line_costs_its_neighbour_no_reading() {
    let homes = Homes::new(HomeSpec::draw(3));
    let served = homes.serve(crate::house::Wiring::Line).await;
    let mut house = House::of(homes, served, Told::default());
    house.inject(BATTERY, Fault::Silent);
    for _ in 0..5 {
        let shown = house.look().await.unwrap();
        assert!(is_missing(&shown[BATTERY]));
        assert!(is_read(&shown[METER]), "{:?}", shown[METER]);
    }
}

#[tokio::test]
async fn a_device_that_is_another_one_after_a_silence_is_found_anew() {
    let homes = Homes::new(HomeSpec::draw(4));
    let served = homes.serve(crate::house::Wiring::Line).await;
    let mut house = House::of(homes, served, Told::default());
    house.until_read(BATTERY, 2).await.unwrap();
    house.inject(BATTERY, Fault::Silent);
    assert!(is_missing(&house.look().await.unwrap()[BATTERY]));
    house.mend(BATTERY);
    // Other firmware: what never changes has changed.
    house.inject(BATTERY, Fault::ShiftedMap { by: 4 });
    house.until_read(BATTERY, 3).await.unwrap();
}
