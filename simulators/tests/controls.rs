//! Models 123 and 124 act, revert and refuse.

use gridtally_simulators::{Answer, Device, Home, HomeSpec};
use tokio_modbus::{ExceptionCode, Request};

const NOON: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z
const EVENING: i64 = NOON + 6 * 3_600;

fn write(device: &Device, address: u16, words: &[u16]) -> Result<(), ExceptionCode> {
    match device.answer(&Request::WriteMultipleRegisters(address, words.into())) {
        Answer::Reply(_) => Ok(()),
        Answer::Exception(exception) => Err(exception),
        Answer::Silence => panic!("no answer to a write"),
    }
}

fn set(device: &Device, model: u16, point: &str, value: i16) -> Result<(), ExceptionCode> {
    write(
        device,
        device.address(model, point).unwrap(),
        &[value.cast_unsigned()],
    )
}

/// A home at that time whose battery is three quarters full.
fn home(start: i64) -> Home {
    let mut spec = HomeSpec::draw(7);
    spec.battery.initial_soc_permille = 750;
    spec.battery.power_watts = 4_000;
    spec.battery.capacity_watt_hours = 10_000;
    let mut home = Home::new(spec, start);
    home.advance_to(start + 60);
    home
}

/// Forces discharge at so many hundredths of a percent, with a timer in seconds.
fn discharge(home: &Home, rate: i16, timer: i16) {
    let battery = home.battery_inverter();
    let rates = battery.address(124, "OutWRte").unwrap();
    let words = [rate, -rate, 0, timer, 0].map(i16::cast_unsigned);
    write(battery, rates, &words).unwrap();
    set(battery, 124, "StorCtl_Mod", 3).unwrap();
}

#[test]
fn a_discharge_window_reads_back_and_moves_the_battery() {
    let mut home = home(EVENING);
    discharge(&home, 7_500, 3_600);
    let battery = home.battery_inverter();
    assert_eq!(battery.value(124, "OutWRte"), Some(7_500));
    assert_eq!(battery.value(124, "InWRte"), Some(-7_500));
    assert_eq!(battery.value(124, "StorCtl_Mod"), Some(3));

    let before = home.energies();
    home.advance_to(home.now() + 1_800);
    let given = home.energies().battery_discharge - before.battery_discharge;
    assert_eq!(given.milliwatt_hours(), 1_500_000, "3 kW for half an hour");
    assert_eq!(home.battery_inverter().value(103, "W"), Some(3_000));
    assert_eq!(home.battery_inverter().value(124, "ChaSt"), Some(3));
    assert_eq!(home.flow().grid, home.flow().load - home.flow().pv - 3_000_000);
}

#[test]
fn the_reversion_timer_gives_the_battery_back_at_its_second() {
    let mut home = home(EVENING);
    let written = home.now();
    discharge(&home, 5_000, 1_234);
    let before = home.energies();
    home.advance_to(written + 3_600);

    let battery = home.battery_inverter();
    assert_eq!(battery.value(124, "StorCtl_Mod"), Some(0));
    assert_eq!(battery.value(124, "OutWRte"), Some(10_000));
    assert_eq!(battery.value(124, "InWRte"), Some(10_000));

    let mut by_hand = self::home(EVENING);
    discharge(&by_hand, 5_000, 0);
    by_hand.advance_to(written + 1_234);
    let forced = by_hand.energies().battery_discharge - before.battery_discharge;
    assert_eq!(forced.milliwatt_seconds(), 2_000_000 * 1_234);
    set(by_hand.battery_inverter(), 124, "StorCtl_Mod", 0).unwrap();
    by_hand.advance_to(written + 3_600);
    assert_eq!(
        home.energies(),
        by_hand.energies(),
        "as if a client had switched off at that second"
    );
}

#[test]
fn each_write_starts_the_timer_anew() {
    let mut home = home(EVENING);
    let written = home.now();
    discharge(&home, 5_000, 600);
    home.advance_to(written + 500);
    discharge(&home, 5_000, 600);
    home.advance_to(written + 1_000);
    assert_eq!(home.battery_inverter().value(124, "StorCtl_Mod"), Some(3));
    home.advance_to(written + 1_100);
    assert_eq!(home.battery_inverter().value(124, "StorCtl_Mod"), Some(0));
}

#[test]
fn a_window_without_timer_stays() {
    let mut home = home(EVENING);
    discharge(&home, 1_000, 0);
    home.advance_to(home.now() + 86_400);
    assert_eq!(home.battery_inverter().value(124, "StorCtl_Mod"), Some(3));
}

#[test]
fn a_forced_discharge_ends_at_the_reserve() {
    let mut home = home(EVENING);
    set(home.battery_inverter(), 124, "MinRsvPct", 6_000).unwrap();
    discharge(&home, 10_000, 0);
    home.advance_to(home.now() + 7_200);
    assert_eq!(home.flow().battery, 0);
    assert!(
        (6_000..=6_001).contains(&home.soc_basis_points()),
        "{}",
        home.soc_basis_points()
    );
    assert_eq!(home.battery_inverter().value(802, "SoCRsvMin"), Some(600));
}

#[test]
fn forced_charge_takes_from_the_grid_only_where_that_is_allowed() {
    let mut home = home(EVENING + 6 * 3_600);
    let battery = home.battery_inverter();
    set(battery, 124, "OutWRte", -5_000).unwrap();
    set(battery, 124, "StorCtl_Mod", 2).unwrap();
    home.advance_to(home.now() + 60);
    assert_eq!(home.flow().battery, 0, "no PV at night, and ChaGriSet says PV");
    set(home.battery_inverter(), 124, "ChaGriSet", 1).unwrap();
    home.advance_to(home.now() + 60);
    assert_eq!(home.flow().battery, -2_000_000);
}

#[test]
fn a_limit_below_the_sun_curtails_and_the_timer_gives_it_back() {
    let mut home = home(NOON);
    let inverter = home.pv_inverter();
    let nameplate = i64::from(home.spec().pv.nameplate_watts) * 1_000;
    assert!(home.flow().pv > nameplate / 10, "the sun shines");
    let limit = inverter.address(123, "WMaxLimPct").unwrap();
    write(inverter, limit, &[500, 0, 900, 0, 1]).unwrap();
    home.advance_to(home.now() + 600);
    assert_eq!(home.flow().pv, nameplate / 20);
    assert_eq!(home.pv_inverter().value(103, "St"), Some(5), "throttled");
    home.advance_to(home.now() + 600);
    assert!(home.flow().pv > nameplate / 20);
    assert_eq!(home.pv_inverter().value(123, "WMaxLim_Ena"), Some(0));
    assert_eq!(home.pv_inverter().value(123, "WMaxLimPct"), Some(10_000));
}

#[test]
fn a_disconnected_inverter_produces_nothing_until_its_timer_reconnects_it() {
    let mut home = home(NOON);
    let inverter = home.pv_inverter();
    write(
        inverter,
        inverter.address(123, "Conn_RvrtTms").unwrap(),
        &[300, 0],
    )
    .unwrap();
    home.advance_to(home.now() + 299);
    assert_eq!(home.flow().pv, 0);
    assert_eq!(home.pv_inverter().value(103, "St"), Some(1), "off");
    home.advance_to(home.now() + 2);
    assert!(home.flow().pv > 0);
    assert_eq!(home.pv_inverter().value(123, "Conn"), Some(1));
}

#[test]
fn what_cannot_be_written_is_refused_with_the_exception_of_the_standard() {
    use ExceptionCode::{IllegalDataAddress, IllegalDataValue, IllegalFunction};
    let home = home(NOON);
    let (pv, battery, meter) = (home.pv_inverter(), home.battery_inverter(), home.grid_meter());
    assert_eq!(set(pv, 103, "W", 5), Err(IllegalDataAddress), "read-only");
    assert_eq!(
        set(pv, 123, "OutPFSet", 5),
        Err(IllegalDataAddress),
        "not implemented"
    );
    assert_eq!(set(meter, 203, "TotWhImp", 0), Err(IllegalDataAddress));
    assert_eq!(write(pv, 39_999, &[1]), Err(IllegalDataAddress), "below the map");
    assert_eq!(
        write(pv, 65_535, &[1, 1]),
        Err(IllegalDataAddress),
        "beyond the last register"
    );
    assert_eq!(set(pv, 123, "WMaxLimPct", 10_001), Err(IllegalDataValue));
    assert_eq!(set(pv, 123, "WMaxLim_Ena", 2), Err(IllegalDataValue));
    assert_eq!(set(battery, 124, "StorCtl_Mod", 4), Err(IllegalDataValue));
    assert_eq!(set(battery, 124, "InWRte", -10_001), Err(IllegalDataValue));
    assert_eq!(
        write(pv, 40_000, &[0; 124]),
        Err(IllegalDataValue),
        "more than FC 16 carries"
    );
    let coils = pv.answer(&Request::ReadCoils(0, 1));
    assert_eq!(coils, Answer::Exception(IllegalFunction));
    for count in [0, 126] {
        let read = pv.answer(&Request::ReadHoldingRegisters(40_000, count));
        assert_eq!(read, Answer::Exception(IllegalDataValue));
    }
}

#[test]
fn a_refused_block_changes_nothing() {
    let home = home(NOON);
    let inverter = home.pv_inverter();
    let before = inverter.registers();
    let limit = inverter.address(123, "WMaxLimPct").unwrap();
    assert!(write(inverter, limit, &[500, 0, 900, 0, 7]).is_err());
    assert_eq!(inverter.registers(), before);
}

#[test]
fn a_set_point_beyond_the_limit_is_held_at_the_limit() {
    use gridtally_simulators::{Generation, Phases, Role};
    for role in [Role::Battery, Role::Hybrid] {
        let mut spec = HomeSpec::draw(7);
        spec.battery.initial_soc_permille = 750;
        let device = spec.device_mut(Role::Battery).unwrap();
        *device = gridtally_simulators::DeviceSpec::new(role, "X");
        device.speak(Generation::Ieee1547, Phases::Single);
        let mut home = Home::new(spec, EVENING + 6 * 3_600);
        let device = home.device(role).unwrap();
        let rated = device.value(702, "WMaxRtg").unwrap();
        set(device, 704, "WMaxLimPct", 1_000).unwrap();
        set(device, 704, "WMaxLimPctEna", 1).unwrap();
        let watts = u16::try_from(rated / 2).unwrap();
        write(device, device.address(704, "WSet").unwrap(), &[0, watts]).unwrap();
        set(device, 704, "WSetEna", 1).unwrap();
        home.advance_to(home.now() + 60);
        assert_eq!(
            home.flow().battery,
            rated * 100,
            "{role:?}: a tenth of its power, at night"
        );
    }
}
