//! Numbers of people, as great as their types carry: refused with a sentence or lived with, never a panic.

use gridtally_simulators::lab::config;
use gridtally_simulators::{Device, DeviceSpec, Fault, Generation, Home, HomeSpec, Phases, Role, Schedule};
use proptest::prelude::*;
use std::path::Path;
use tokio_modbus::Request;

const NOON: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z
const EXTREMES: [i64; 6] = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX];

fn hybrid() -> Home {
    let mut spec = HomeSpec::draw(1);
    let mut hybrid = DeviceSpec::new(Role::Hybrid, "X");
    hybrid.speak(Generation::All, Phases::Three);
    spec.devices = vec![hybrid];
    Home::new(spec, NOON)
}

fn ask(device: &Device) {
    for address in [40_000, 40_070, 40_200, 40_500] {
        let _ = device.answer(&Request::ReadHoldingRegisters(address, 100));
    }
    let limit = device.address(123, "WMaxLimPct").unwrap();
    let words = [5_000, 0, 60, 0, 1];
    let _ = device.answer(&Request::WriteMultipleRegisters(limit, words.as_slice().into()));
}

#[test]
fn no_parameter_of_a_fault_makes_a_device_fall_over() {
    for line in Fault::ALL {
        for parameter in line.parameters {
            for extreme in EXTREMES {
                let mut fault = line.fault;
                fault.set(parameter.name, extreme).unwrap();
                let mut home = hybrid();
                let device = home.devices()[0].clone();
                device.inject(fault);
                ask(&device);
                home.advance_to(NOON + 120);
                ask(&device);
                home.advance_to(NOON + 2 * 86_400);
                ask(&device);
            }
        }
    }
}

#[test]
fn no_duration_of_a_schedule_makes_a_device_fall_over() {
    for duration in [
        "0s",
        "86400s",
        "9223372036854775807s",
        "9223372036854775807h",
        "2562047788015215h",
    ] {
        for from in [
            "14:00",
            "23:59:59",
            "2026-06-21T12:00:30Z",
            "9999-12-31T23:59:59Z",
        ] {
            let Ok(schedule) = Schedule::read(from, duration) else {
                continue;
            };
            let mut home = hybrid();
            home.devices()[0].plan(Fault::Frozen, schedule);
            home.advance_to(NOON + 2 * 86_400);
        }
    }
}

/// Keys of a home's file that take a number, by table.
const KEYS: [(&str, &str); 22] = [
    ("pv", "peak_watts"),
    ("pv", "nameplate_watts"),
    ("pv", "tilt_degrees"),
    ("pv", "azimuth_degrees"),
    ("battery", "capacity_watt_hours"),
    ("battery", "power_watts"),
    ("battery", "c_rate_permille"),
    ("battery", "one_way_efficiency_permille"),
    ("battery", "standby_milliwatts"),
    ("battery", "soc_min_permille"),
    ("battery", "soc_max_permille"),
    ("battery", "reserve_permille"),
    ("battery", "initial_soc_permille"),
    ("battery", "taper_from_permille"),
    ("battery", "taper_floor_permille"),
    ("load", "shift_weeks"),
    ("load", "scale_permille"),
    ("load", "ev_charger_watts"),
    ("grid", "nominal_millivolts"),
    ("grid", "impedance_milliohms"),
    ("grid", "nominal_millihertz"),
    ("grid", "swing_millihertz"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_home_of_a_file_lives_or_is_refused(
        which in 0..KEYS.len(),
        number in prop_oneof![
            Just(i64::from(u32::MAX)), Just(i64::MAX), Just(i64::MIN), Just(0), Just(1), Just(-1),
            (0_u32..63).prop_map(|bits| 1 << bits), any::<i64>(),
        ],
        seeded: bool,
    ) {
        let (table, key) = KEYS[which];
        let profile = if seeded { "seeded" } else { "london" };
        let separate = if table == "load" { String::new() } else { format!("[{table}]\n") };
        let text = format!("[load]\nprofile = \"{profile}\"\n{separate}{key} = {number}\n");
        if let Ok(plan) = config::parse(&text, Path::new("home.toml")) {
            let mut home = Home::new(plan.home, NOON);
            home.advance_to(NOON + 2 * 86_400);
        }
    }
}
