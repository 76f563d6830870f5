//! Homes with devices to write to.

use gridtally_simulators::{Answer, Device, DeviceSpec, Generation, Home, HomeSpec, Phases, Role};
use tokio_modbus::{ExceptionCode, Request};

/// 2026-06-21T12:00:00Z.
pub const NOON: i64 = 1_782_043_200;
pub const EVENING: i64 = NOON + 8 * 3_600;
pub const NIGHT: i64 = NOON + 12 * 3_600;

/// A home with a battery of 4 kW and 10 kWh, three quarters full, and a roof of 6 kW, whose devices
/// speak all generations.
pub fn spec(seed: u64, roles: &[Role]) -> HomeSpec {
    let mut spec = HomeSpec::draw(seed);
    spec.battery.power_watts = 4_000;
    spec.battery.capacity_watt_hours = 10_000;
    spec.battery.initial_soc_permille = 750;
    spec.pv.peak_watts = 6_000;
    spec.pv.nameplate_watts = 5_000;
    spec.devices = roles.iter().map(|role| device(*role, Generation::All)).collect();
    spec
}

pub fn device(role: Role, generation: Generation) -> DeviceSpec {
    let mut device = DeviceSpec::new(role, "BENCH");
    device.speak(generation, Phases::Three);
    device
}

/// Such a home with one inverter and a meter, a minute after that instant.
pub fn home(role: Role, start: i64) -> Home {
    let mut home = Home::new(spec(7, &[role, Role::Meter]), start);
    home.advance_to(start + 60);
    home
}

/// The same, where the inverter speaks IEEE 1547 only: no model 124 that forbids to charge from the grid.
pub fn modern_home(role: Role, start: i64) -> Home {
    let mut spec = spec(7, &[role, Role::Meter]);
    spec.devices[0] = device(role, Generation::Ieee1547);
    let mut home = Home::new(spec, start);
    home.advance_to(start + 60);
    home
}

/// The home's inverter.
pub fn inverter(home: &Home) -> &Device {
    &home.devices()[0]
}

pub fn get(home: &Home, model: u16, point: &str) -> i64 {
    inverter(home).value(model, point).expect("an implemented point")
}

pub fn write(home: &Home, address: u16, words: &[u16]) -> Result<(), ExceptionCode> {
    match inverter(home).answer(&Request::WriteMultipleRegisters(address, words.into())) {
        Answer::Reply(_) => Ok(()),
        Answer::Exception(exception) => Err(exception),
        Answer::Silence => panic!("no answer to a write"),
    }
}

/// Writes one point as its type has it.
pub fn set(home: &Home, model: u16, point: &str, value: i64) -> Result<(), ExceptionCode> {
    let map = inverter(home).registers();
    let (at, placed) = map.find(model, 0, point).expect("a point of the model");
    let words: Vec<u16> = placed.kind().encode(i128::from(value)).collect();
    write(home, at.address_of(placed), &words)
}

/// Writes points one after another, as a client would, the enabling one last.
pub fn set_all(home: &Home, model: u16, points: &[(&str, i64)]) {
    for &(point, value) in points {
        assert_eq!(
            set(home, model, point, value),
            Ok(()),
            "{model}.{point} := {value}"
        );
        assert_eq!(get(home, model, point), value, "{model}.{point} reads back");
    }
}

pub fn go(home: &mut Home, seconds: i64) {
    home.advance_to(home.now() + seconds);
}

/// What panels and battery give together, in milliwatts.
pub fn together(home: &Home) -> i64 {
    home.flow().pv + home.flow().battery
}

/// So many hundredths of a percent of the nameplate, in milliwatts.
pub fn share(home: &Home, percent: i64) -> i64 {
    get(home, 702, "WMaxRtg") * 1_000 * percent / 10_000
}

pub fn assert_kirchhoff(home: &Home) {
    let flow = home.flow();
    assert_eq!(flow.grid, flow.load - flow.pv - flow.battery);
    let meter = home.grid_meter();
    assert_eq!(meter.value(203, "W"), Some(flow.grid / 1_000));
}
