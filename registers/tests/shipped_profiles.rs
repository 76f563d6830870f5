//! The profiles of `config/device-profiles` are what the agent and the simulators need.

use std::path::PathBuf;

use gridtally_registers::profile::{
    Access, Action, Argument, Arguments, DeviceKind, Poll, Profile, Quantity, RegisterWrite, Value,
};

fn shipped() -> Vec<(PathBuf, Profile)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/device-profiles");
    let entries = std::fs::read_dir(folder).expect("the folder is in the repository");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let profiles: Vec<_> = files.map(|file| (file.clone(), read(&file))).collect();
    assert!(profiles.len() >= 11, "every file is read");
    profiles
}

fn read(file: &PathBuf) -> Profile {
    let text = std::fs::read_to_string(file).expect("a text");
    Profile::parse(&text, &file.display().to_string()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn named(name: &str) -> Profile {
    let found = shipped().into_iter().find(|(_, profile)| profile.name == name);
    found.expect("it is shipped").1
}

#[test]
fn every_profile_has_what_its_kind_is_paid_by() {
    for (file, profile) in shipped() {
        let needed: &[Quantity] = match profile.kind {
            DeviceKind::Meter => &[
                Quantity::GridPower,
                Quantity::GridImportEnergy,
                Quantity::GridExportEnergy,
            ],
            DeviceKind::Inverter => &[Quantity::AcPower],
            DeviceKind::Battery | DeviceKind::Hybrid => &[
                Quantity::SerialNumber,
                Quantity::BatteryPower,
                Quantity::BatterySoc,
                Quantity::BatteryChargeEnergy,
                Quantity::BatteryDischargeEnergy,
            ],
        };
        for quantity in needed {
            assert!(
                profile.quantity(*quantity).is_some() || profile.sum(*quantity).is_some(),
                "{}: no {}",
                file.display(),
                quantity.word()
            );
        }
        assert_eq!(
            profile.tested_on_hardware,
            None,
            "{}: nobody has tried it",
            file.display()
        );
        assert!(
            profile.source.contains("https://"),
            "{}: say where the map is",
            file.display()
        );
    }
}

#[test]
fn every_point_that_is_polled_is_in_exactly_one_request_and_whole() {
    for (file, profile) in shipped() {
        for point in profile.points.iter().filter(|point| point.poll != Poll::Never) {
            let blocks = profile.blocks(point.poll);
            assert!(blocks.iter().all(|block| block.count <= profile.max_registers));
            let answers = blocks
                .iter()
                .map(|block| (block, vec![0; usize::from(block.count)]));
            let holding = answers.filter(|(block, answer)| block.registers_of(point, answer).is_some());
            assert_eq!(holding.count(), 1, "{}: {}", file.display(), point.name);
        }
    }
}

#[test]
fn every_point_reads_back_what_a_simulator_serves() {
    for (file, profile) in shipped() {
        for point in &profile.points {
            let value = match point.encode(&Value::Text("AB12".into())) {
                Ok(_) => Value::Text("AB12".into()),
                Err(_) => Value::Number(point.encoding.scale() * rust_decimal::Decimal::from(served(point))),
            };
            let registers = point
                .encode(&value)
                .unwrap_or_else(|error| panic!("{}: {error}", point.name));
            assert_eq!(
                point.decode(&registers),
                Ok(value),
                "{}: {}",
                file.display(),
                point.name
            );
        }
    }
}

/// A raw number that every type and bound of the shipped profiles can hold, with the sign of the point.
fn served(point: &gridtally_registers::profile::Point) -> i32 {
    if point.encoding.is_inverted() {
        -1_234
    } else {
        1_234
    }
}

#[test]
fn every_recipe_gives_whole_registers_for_an_ordinary_request() {
    let ordinary = Arguments {
        watts: Some(2_500.into()),
        percent: Some(50.into()),
        seconds: Some(900.into()),
    };
    for (file, profile) in shipped() {
        for (action, control) in &profile.controls {
            let writes = control.render(&ordinary);
            let writes = writes.unwrap_or_else(|error| panic!("{}, {action}: {error}", file.display()));
            assert_eq!(writes.len(), control.writes.len());
            let registers = |writes: &[RegisterWrite]| -> Vec<u16> {
                writes
                    .iter()
                    .flat_map(|write| write.registers.iter().copied())
                    .collect()
            };
            let requests = control.requests(writes.clone());
            assert_eq!(registers(&requests), registers(&writes));
            assert_eq!(requests.len() < writes.len(), control.joined);
            assert!(*action == Action::Release || control.takes(Argument::Watts));
        }
        let settings = profile
            .points
            .iter()
            .filter(|point| point.access != Access::ReadOnly);
        assert_eq!(
            settings.count() > 0,
            !profile.controls.is_empty(),
            "{}",
            file.display()
        );
    }
}

#[test]
fn a_hybrid_with_little_words_is_read_as_its_owners_read_it() {
    let profile = named("Sungrow SHxRT");
    let grid = profile.quantity(Quantity::GridPower).expect("it has one");
    // 5034 W exported.
    assert_eq!(grid.decode(&[5034, 0]), Ok(Value::Number((-5034).into())));
    // 100 W imported.
    assert_eq!(grid.decode(&[0xFF9C, 0xFFFF]), Ok(Value::Number(100.into())));
    assert_eq!(grid.decode(&[0xFFFF, 0x7FFF]), Ok(Value::NotAvailable));
}

#[test]
fn a_meter_of_floats_is_read_with_few_requests_and_no_gaps() {
    let profile = named("Eastron SDM630");
    let requests = |poll| {
        let blocks = profile.blocks(poll).into_iter();
        blocks
            .map(|block| (block.address, block.count))
            .collect::<Vec<_>>()
    };
    assert_eq!(requests(Poll::Fast), [(0x0C, 6), (0x34, 2)]);
    assert_eq!(requests(Poll::Slow), [(0x00, 12), (0x46, 6)]);
    assert_eq!(requests(Poll::Once), []);
}

#[test]
fn a_timer_in_minutes_takes_whole_minutes_only() {
    let profile = named("Huawei SUN2000 with LUNA2000");
    let charge = &profile.controls[&Action::ForceCharge];
    let for_seconds = |seconds: u32| {
        let arguments = Arguments {
            watts: Some(3000.into()),
            seconds: Some(seconds.into()),
            ..Arguments::default()
        };
        charge.render(&arguments)
    };
    let writes = for_seconds(900).expect("a quarter of an hour");
    let sent: Vec<_> = writes
        .iter()
        .map(|write| (write.address, write.registers.as_slice()))
        .collect();
    assert_eq!(
        sent,
        [
            (47247, &[0, 3000][..]),
            (47083, &[15]),
            (47246, &[0]),
            (47100, &[1])
        ]
    );
    assert!(for_seconds(90).is_err(), "a minute and a half");
    assert!(for_seconds(100).is_err(), "no decimal number of minutes");
}
