//! Every profile that is shipped, served and read back, and its controls obeyed.

#[path = "profiled/faults.rs"]
mod faults;
#[path = "profiled/homes.rs"]
mod homes;
#[path = "profiled/properties.rs"]
mod properties;
#[path = "profiled/stranger.rs"]
mod stranger;

use gridtally_registers::profile::{
    Action, Argument, Arguments, Poll, Profile, Quantity, RegisterType, Reversion, Table, Value,
};
use gridtally_simulators::{Answer, Device, DeviceSpec, Energies, Energy, Flow, Home, Role, Server};
use homes::{
    EVENING, NOON, charge, charged_home_with, everything, family, home_with, number, parsed, shipped, write,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio_modbus::client::{Context, tcp};
use tokio_modbus::prelude::{Reader, Writer};
use tokio_modbus::{ExceptionCode, Request, Response, Slave};

async fn client(device: &Device) -> (Server, Context) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = device.serve(any).await.expect("a free port");
    let unit = Slave(device.unit());
    let context = within(tcp::connect_slave(server.address(), unit)).await;
    (server, context.expect("the socket listens"))
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work)
        .await
        .expect("an answer within 10 s")
}

async fn read(context: &mut Context, table: Table, address: u16, count: u16) -> Vec<u16> {
    let answer = match table {
        Table::Holding => within(context.read_holding_registers(address, count)).await,
        Table::Input => within(context.read_input_registers(address, count)).await,
    };
    let answer = answer.expect("a connection");
    answer.unwrap_or_else(|exception| panic!("{table:?} {address} x {count}: {exception}"))
}

/// All points of these paces by the profile's own plan of requests.
async fn poll(context: &mut Context, profile: &Profile, polls: &[Poll]) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for &pace in polls {
        let mut answers = Vec::new();
        for block in profile.blocks(pace) {
            answers.push((
                block,
                read(context, block.table, block.address, block.count).await,
            ));
        }
        for point in profile.points.iter().filter(|point| point.poll == pace) {
            let registers = answers
                .iter()
                .find_map(|(block, answer)| block.registers_of(point, answer));
            let value = point.decode(registers.expect("a block has each point"));
            values.insert(point.name.to_string(), value.expect("a value of its type"));
        }
    }
    values
}

/// All settings, one by one.
async fn settings(context: &mut Context, profile: &Profile) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for point in profile.points.iter().filter(|point| point.poll == Poll::Never) {
        let words = read(context, point.table, point.address, point.length()).await;
        values.insert(point.name.to_string(), point.decode(&words).expect("a value"));
    }
    values
}

async fn command(context: &mut Context, profile: &Profile, action: Action, arguments: &Arguments) {
    let control = &profile.controls[&action];
    let writes = control.render(arguments).expect("a recipe");
    for write in control.requests(writes) {
        let answer = within(context.write_multiple_registers(write.address, &write.registers)).await;
        answer
            .expect("a connection")
            .unwrap_or_else(|exception| panic!("{action} at {}: {exception}", write.address));
    }
}

fn decimal(number: i64) -> Decimal {
    Decimal::from(number)
}

fn thousandths(number: i64) -> Decimal {
    Decimal::new(number, 3)
}

fn watt_hours(energy: Energy) -> Decimal {
    Decimal::from(energy.milliwatt_seconds()) / decimal(3_600_000)
}

/// What the physics says, in base units; written here anew from the flows, not from the simulator's table.
fn truth(quantity: Quantity, home: &Home, flow: Flow, energies: Energies) -> Option<Decimal> {
    use Quantity as Q;
    let thirds = |whole: i64| decimal(whole) / decimal(3_000);
    Some(match quantity {
        Q::GridPower => thousandths(flow.grid),
        Q::GridPowerL1 | Q::GridPowerL2 | Q::GridPowerL3 => thirds(flow.grid),
        Q::GridImportEnergy => watt_hours(energies.grid_import),
        Q::GridExportEnergy => watt_hours(energies.grid_export),
        Q::PvPower => thousandths(flow.pv_dc),
        Q::PvEnergy => watt_hours(energies.pv_dc),
        Q::BatteryPower => thousandths(flow.battery_dc),
        Q::BatterySoc => Decimal::new(home.soc_basis_points(), 2),
        Q::BatterySoh => decimal(100),
        Q::BatteryChargeEnergy => watt_hours(energies.battery_dc_charge),
        Q::BatteryDischargeEnergy => watt_hours(energies.battery_dc_discharge),
        Q::BatteryCapacity => decimal(12_000),
        Q::AcPower => thousandths(flow.pv + flow.battery),
        Q::AcEnergy => watt_hours(energies.inverter_injected),
        Q::LoadPower => thousandths(flow.load),
        Q::RatedPower => decimal(5_000),
        Q::AcVoltageL1 | Q::AcVoltageL2 | Q::AcVoltageL3 => {
            // 300 milliohms at 230 V.
            decimal(230) - thousandths(flow.grid) * Decimal::new(3, 1) / decimal(230)
        }
        Q::AcCurrentL1 | Q::AcCurrentL2 | Q::AcCurrentL3 => {
            let volts = decimal(230) - thousandths(flow.grid) * Decimal::new(3, 1) / decimal(230);
            (thirds(flow.grid) / volts).abs()
        }
        _ => return None,
    })
}

#[tokio::test]
async fn every_shipped_profile_reads_back_what_the_physics_says() {
    let mut checked = std::collections::BTreeSet::new();
    for (profile, start) in shipped().iter().zip([NOON, EVENING].into_iter().cycle()) {
        for hours in [0, 3, 9] {
            let mut home = home_with(profile, 7, start);
            home.advance_to(start + hours * 3_600 + 90);
            let (_server, mut context) = client(&home.devices()[0]).await;
            let read = poll(&mut context, profile, &[Poll::Once, Poll::Slow, Poll::Fast]).await;
            for point in &profile.points {
                let gridtally_registers::profile::PointName::Quantity(quantity) = point.name else {
                    continue;
                };
                let Some(truth) = truth(quantity, &home, home.flow(), home.energies()) else {
                    continue;
                };
                let Value::Number(number) = read[quantity.word()] else {
                    panic!("{}: {quantity:?} has no number", profile.name)
                };
                let unit = decimal(i64::from(point.unit.map_or(1, |unit| unit.base().1)));
                let (shown, step) = (number * unit, point.encoding.scale() * unit);
                let off = (shown - truth).abs();
                // The voltage has whole millivolts; a float has 24 bits.
                let resolution = match point.encoding.kind() {
                    RegisterType::F32 => Decimal::new(2, 3) + truth.abs() / decimal(1 << 23),
                    _ => step,
                };
                assert!(
                    off < resolution,
                    "{}: {quantity:?} shows {shown} in place of {truth}",
                    profile.name
                );
                assert!(
                    shown.abs() <= truth.abs() + Decimal::new(2, 3)
                        || point.encoding.kind() == RegisterType::F32,
                    "{}: {quantity:?} shows {shown}, more than {truth}",
                    profile.name
                );
                checked.insert(quantity);
            }
            for sum in &profile.sums {
                checked.insert(sum.name);
                let truth = truth(sum.name, &home, home.flow(), home.energies()).expect("a power");
                let shown = sum.watts(profile, |point| read.get(&point.name.to_string()).cloned());
                let shown = shown.expect("every part has a value");
                // Each part is cut to a whole step.
                let steps: Decimal = sum
                    .parts()
                    .filter_map(|(name, _)| {
                        let point = profile.point(name)?;
                        point.unit?.to_base(point.encoding.scale())
                    })
                    .sum();
                assert!(
                    (shown - truth).abs() < steps,
                    "{}: {:?} shows {shown} in place of {truth}",
                    profile.name,
                    sum.name
                );
            }
            match read.get("serial_number") {
                None => {}
                Some(Value::Number(number)) => assert_eq!(*number, decimal(4_711), "{}", profile.name),
                Some(other) => assert_eq!(*other, Value::Text("SN-4711".to_owned()), "{}", profile.name),
            }
            if let Some(Value::Number(hertz)) = read.get("frequency") {
                let swing = (*hertz - decimal(50)).abs();
                assert!(swing <= Decimal::new(25, 2), "{hertz} Hz");
            }
        }
    }
    assert!(checked.len() >= 20, "{checked:?}");
}

#[test]
fn a_profiled_device_is_named_and_placed_by_its_profile() {
    let profile = family("Huawei");
    let spec = DeviceSpec::profiled(Arc::clone(&profile), "SN");
    assert_eq!(spec.name, "huawei-sun2000-with-luna2000");
    assert_eq!((spec.unit, spec.role), (profile.unit, Role::Hybrid));
    assert_eq!(spec.models, Vec::<u16>::new());
}

/// Puts the recipe's amount in place of whatever it takes.
fn arguments(profile: &Profile, action: Action, watts: i64, seconds: i64) -> Arguments {
    let control = &profile.controls[&action];
    Arguments {
        watts: control.takes(Argument::Watts).then_some(decimal(watts)),
        percent: control
            .takes(Argument::Percent)
            .then_some(decimal(watts) / decimal(50)),
        seconds: control.takes(Argument::Seconds).then_some(decimal(seconds)),
    }
}

fn asked(action: Action, flow: Flow) -> i64 {
    match action {
        Action::LimitExport => -flow.grid,
        Action::LimitProduction => flow.pv + flow.battery,
        Action::ForceCharge => -flow.battery,
        Action::ForceDischarge | Action::Release => flow.battery,
    }
}

#[tokio::test]
async fn every_control_of_every_profile_acts_and_ends_as_the_profile_says() {
    let mut acted = std::collections::BTreeSet::new();
    let made = everything();
    for profile in shipped().iter().chain([&made]) {
        for (&action, control) in &profile.controls {
            let Some(reverts) = &control.reverts_after else {
                continue;
            };
            // A discharge in the sun, a charge at night, a limit where the battery cannot take the sun's
            // surplus: each differs from what would be.
            let (start, soc_permille) = match action {
                Action::ForceDischarge => (NOON - 3_600, 550),
                Action::ForceCharge => (EVENING, 550),
                _ => (NOON, 1_000),
            };
            let mut home = charged_home_with(profile, 11, start, soc_permille);
            let (_server, mut context) = client(&home.devices()[0]).await;
            let before = settings(&mut context, profile).await;
            let free = asked(action, home.flow());
            let seconds = 1_200;
            let arguments = arguments(profile, action, 500, seconds);
            command(&mut context, profile, action, &arguments).await;
            let written = home.now();
            home.advance_to(written + 1);
            let milliwatts = if arguments.watts.is_some() {
                500_000
            } else {
                // 500 / 50 % of 4 or 5 kW.
                let whole = if action == Action::ForceDischarge { 4 } else { 5 };
                100_000 * whole
            };
            let who = format!("{} {action}", profile.name);
            if action == Action::LimitExport || action == Action::LimitProduction {
                assert!(free > milliwatts, "{who}: nothing to limit in {free} mW");
            }
            assert_eq!(asked(action, home.flow()), milliwatts, "{who}");
            assert_ne!(free, milliwatts, "{who} would have been so anyway");
            for write in control.render(&arguments).expect("a recipe") {
                let length = u16::try_from(write.registers.len()).expect("a point");
                let words = read(&mut context, Table::Holding, write.address, length).await;
                assert_eq!(words, write.registers, "{who} reads back");
            }

            let lasts = match reverts {
                Reversion::Timer(_) => Some(seconds),
                Reversion::KeepAlive { seconds } => Some(i64::from(*seconds)),
                Reversion::Never => None,
            };
            if let Some(lasts) = lasts {
                home.advance_to(written + lasts - 1);
                command(&mut context, profile, action, &arguments).await;
                let again = home.now();
                home.advance_to(again + lasts);
                assert_eq!(asked(action, home.flow()), milliwatts, "{who} to its last second");
                home.advance_to(again + lasts + 1);
                assert_ne!(asked(action, home.flow()), milliwatts, "{who} has ended");
                assert_eq!(settings(&mut context, profile).await, before, "{who} went back");
            } else {
                home.advance_to(written + 1_800);
                assert_eq!(asked(action, home.flow()), milliwatts, "{who} stays");
                command(&mut context, profile, Action::Release, &Arguments::default()).await;
                home.advance_to(written + 1_801);
                assert_ne!(asked(action, home.flow()), milliwatts, "{who} is released");
            }
            acted.insert(action);
        }
    }
    assert_eq!(acted.len(), 4, "{acted:?}");
}

#[tokio::test]
async fn what_the_map_does_not_have_is_refused() {
    use ExceptionCode::{IllegalDataAddress, IllegalDataValue};
    let home = home_with(&everything(), 3, NOON);
    let (_server, mut context) = client(&home.devices()[0]).await;
    for (address, count, exception) in [
        (11, 1, IllegalDataAddress),
        (10, 3, IllegalDataAddress),
        (0, 21, IllegalDataValue),
    ] {
        let answer = within(context.read_input_registers(address, count)).await;
        assert_eq!(
            answer.expect("a connection"),
            Err(exception),
            "{count} from {address}"
        );
    }
    let holding = within(context.read_holding_registers(12, 1)).await;
    assert_eq!(
        holding.expect("a connection"),
        Err(IllegalDataAddress),
        "another table"
    );
    let writes: [(u16, &[u16], Result<(), ExceptionCode>); 9] = [
        (107, &[1], Err(IllegalDataAddress)),
        (99, &[1], Err(IllegalDataAddress)),
        (12, &[1], Err(IllegalDataAddress)),
        (102, &[101], Err(IllegalDataValue)),
        (103, &[0], Err(IllegalDataValue)),
        (100, &[901, 0], Err(IllegalDataValue)),
        (100, &[5], Err(IllegalDataValue)),
        (101, &[0, 50], Err(IllegalDataValue)),
        (100, &[900, 0, 50, 1], Ok(())),
    ];
    for (address, words, expected) in writes {
        let before = home.devices()[0].registers();
        let answer = within(context.write_multiple_registers(address, words)).await;
        assert_eq!(answer.expect("a connection"), expected, "{words:?} to {address}");
        if expected.is_err() {
            assert_eq!(home.devices()[0].registers(), before, "{words:?} to {address}");
        }
    }
    assert_eq!(read(&mut context, Table::Holding, 100, 4).await, [900, 0, 50, 1]);
}

#[tokio::test]
async fn what_nobody_knows_is_not_available_and_settings_begin_as_released() {
    let home = home_with(&everything(), 3, NOON);
    let (_server, mut context) = client(&home.devices()[0]).await;
    assert_eq!(read(&mut context, Table::Input, 13, 1).await, [0xFFFE]);
    assert_eq!(read(&mut context, Table::Holding, 103, 2).await, [1, 100]);
    assert_eq!(
        read(&mut context, Table::Holding, 106, 1).await,
        [20],
        "the reserve"
    );
    assert_eq!(read(&mut context, Table::Holding, 200, 2).await, [0, 30_000]);
}

#[test]
fn the_later_of_charge_and_discharge_holds_and_the_reserve_ends_it() {
    let mut home = home_with(&everything(), 3, EVENING);
    charge(&home);
    home.advance_to(home.now() + 10);
    assert_eq!(home.flow().battery, -1_000_000);
    write(&home.devices()[0], 102, &[50, 3]);
    home.advance_to(home.now() + 10);
    assert_eq!(home.flow().battery, 2_000_000, "half of 4 kW");
    write(&home.devices()[0], 106, &[90]);
    home.advance_to(home.now() + 10);
    assert_eq!(home.flow().battery, 0, "below the reserve");
    write(&home.devices()[0], 106, &[10]);
    home.advance_to(home.now() + 71);
    let Answer::Reply(Response::ReadHoldingRegisters(words)) =
        home.devices()[0].answer(&Request::ReadHoldingRegisters(100, 4))
    else {
        panic!("no answer")
    };
    assert_eq!(
        words[3], 1,
        "back to the mode before any recipe, not to that of the charge"
    );
}

#[test]
fn numbers_beyond_their_registers_stay_at_the_end_and_counters_wrap() {
    let text = r#"
        name = "Narrow"
        vendor = "Example"
        models = ["N"]
        kind = "meter"
        source = "made up for this test"
        tested_on_hardware = false
        max_registers = 60
        pause_ms = 0
        [[point]]
        name = "ac_voltage"
        table = "input"
        address = 0
        type = "i16"
        scale = "0.001"
        unit = "V"
        poll = "slow"
        not_available = [0x7FFF]
        [[point]]
        name = "grid_import_energy"
        table = "input"
        address = 1
        type = "u16"
        unit = "Wh"
        poll = "slow"
        [[point]]
        name = "grid_export_energy"
        table = "input"
        address = 2
        type = "i16"
        unit = "Wh"
        poll = "slow"
        [[point]]
        name = "serial_number"
        table = "input"
        address = 3
        type = "string(2)"
        poll = "once"
    "#;
    let profile = parsed(text);
    let home = home_with(&profile, 5, EVENING);
    let device = &home.devices()[0];
    let watt_hours = |energy: Energy| energy.milliwatt_hours() / 1_000;
    let energies = home.energies();
    let voltage = number(device, &profile, Quantity::AcVoltage);
    assert_eq!(
        voltage,
        Value::Number(Decimal::new(0x7FFE, 3)),
        "next to the sentinel"
    );
    for (quantity, energy, modulus) in [
        (Quantity::GridImportEnergy, energies.grid_import, 1 << 16),
        (Quantity::GridExportEnergy, energies.grid_export, 1 << 15),
    ] {
        assert!(watt_hours(energy) > modulus);
        let count = Value::Number(decimal(watt_hours(energy) % modulus));
        assert_eq!(number(device, &profile, quantity), count);
    }
    let serial = number(device, &profile, Quantity::SerialNumber);
    assert_eq!(serial, Value::Text("SN-4".to_owned()), "cut to its registers");
}
