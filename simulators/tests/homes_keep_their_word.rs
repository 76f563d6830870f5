//! What the comments of `config/homes/` promise is what a client finds.

use gridtally_simulators::lab::{Lab, Place, Plan, config};
use gridtally_simulators::{Fault, ModelAt, Role};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

const NOON: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z

fn plan(file: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../config/homes")
        .join(file);
    let mut plan = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    plan.start = Some(NOON);
    plan
}

/// On free ports, so that tests do not meet: what shared a socket no longer does.
async fn start(mut plan: Plan) -> Lab {
    for device in &mut plan.devices {
        device.place = Place::Socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    }
    Lab::start("home", &plan)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn the_gateway_has_its_units_on_one_socket_and_meters_grid_and_roof_in_one_map() {
    let plan = plan("gateway.toml");
    let places: Vec<_> = plan.devices.iter().map(|device| &device.place).collect();
    assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
    let units: BTreeSet<_> = plan.devices.iter().map(|device| device.spec.unit).collect();
    assert_eq!(units.len(), plan.devices.len());

    let lab = start(plan).await;
    lab.advance_to(NOON + 60);
    let home = lab.home().expect("it has physics");
    let meters = home.grid_meter().registers();
    let chain: Vec<_> = meters.models().iter().map(ModelAt::id).collect();
    assert_eq!(chain, [1, 203, 203]);
    let flow = home.flow();
    assert!(flow.pv > 0, "noon in June");
    assert_eq!(meters.value(203, 0, "W"), Some(i128::from(flow.grid / 1_000)));
    assert_eq!(meters.value(203, 1, "W"), Some(i128::from(-flow.pv / 1_000)));
}

#[test]
fn the_hybrid_of_the_ieee_generation_and_its_meter_share_a_serial_line() {
    let plan = plan("hybrid-ieee1547.toml");
    let [hybrid, meter] = plan.devices.as_slice() else {
        panic!("two devices")
    };
    assert!(matches!(hybrid.place, Place::Line(_)) && hybrid.place == meter.place);
    assert_eq!(hybrid.spec.role, Role::Hybrid);
    assert!(
        [701, 704, 713, 715, 802]
            .iter()
            .all(|model| hybrid.spec.models.contains(model))
    );
    assert!(
        !hybrid.spec.models.contains(&103),
        "that would be the other generation"
    );
}

#[tokio::test]
async fn the_afternoon_breaks_and_heals_on_the_minute() {
    let lab = start(plan("broken-afternoon.toml")).await;
    let names_at = |clock: (i64, i64)| -> Vec<Vec<&'static str>> {
        lab.advance_to(NOON + (clock.0 - 12) * 3_600 + clock.1 * 60);
        let home = lab.home().expect("it has physics");
        let faults = home
            .devices()
            .iter()
            .map(gridtally_simulators::Device::active_faults);
        faults
            .map(|faults| faults.iter().map(Fault::name).collect())
            .collect()
    };
    let always = ["never-reverts", "deaf-after-connect"];
    for (clock, roof, meter) in [
        ((13, 59), "", ""),
        ((14, 0), "late-reply", ""),
        ((14, 9), "late-reply", ""),
        ((14, 10), "", ""),
        ((15, 2), "counters-at-zero", ""),
        ((15, 3), "", ""),
        ((15, 44), "scale-factor-changes", ""),
        ((15, 45), "", ""),
        ((16, 0), "", "swapped-sign"),
        ((16, 30), "", ""),
    ] {
        let expect = |names: [&'static str; 2]| {
            names
                .into_iter()
                .filter(|name| !name.is_empty())
                .collect::<Vec<_>>()
        };
        let expected = [
            expect([roof, ""]),
            expect([always[0], ""]),
            expect([always[1], meter]),
        ];
        assert_eq!(names_at(clock), expected, "{clock:?}");
    }
}
