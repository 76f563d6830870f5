//! Models 703 and 715, and what no client may write.

use crate::bench::{NIGHT, NOON, get, go, home, inverter, set, set_all, together, write};
use gridtally_simulators::{Home, Role};
use tokio_modbus::ExceptionCode::{IllegalDataAddress, IllegalDataValue};

const INVERTERS: [Role; 3] = [Role::Inverter, Role::Battery, Role::Hybrid];

#[test]
fn a_value_beyond_its_bounds_is_exception_3_and_changes_nothing() {
    for role in INVERTERS {
        let home = home(role, NOON);
        let watts = get(&home, 702, "WMaxRtg");
        let before = inverter(&home).registers();
        let mut refused = vec![
            (703, "ES", 2),
            (704, "WMaxLimPctEna", 2),
            (704, "WMaxLimPct", 10_001),
            (704, "WMaxLimPctRvrt", 10_001),
            (704, "WMaxLimPctRvrt", 0xFFFF),
            (704, "WMaxLimPctEnaRvrt", 2),
            (704, "WMaxLimPctRvrtTms", 0xFFFF_FFFF),
            (704, "WSetEna", 0xFFFF),
            (704, "WSetMod", 2),
            (704, "WSet", watts + 1),
            (704, "WSet", -watts - 1),
            (704, "WSetRvrt", watts + 1),
            (704, "WSetPct", 10_001),
            (704, "WSetPct", -10_001),
            (704, "WSetPctRvrt", -0x8000),
            (704, "WSetRvrtTms", 0xFFFF_FFFF),
            (715, "OpCtl", 4),
            (715, "ControllerHb", 0xFFFF_FFFF),
            (715, "AlarmReset", 2),
        ];
        if role == Role::Inverter {
            // Panels take nothing.
            refused.extend([(704, "WSet", -1), (704, "WSetPct", -1), (704, "WSetRvrt", -1)]);
        }
        for (model, point, value) in refused {
            let answer = set(&home, model, point, value);
            assert_eq!(
                answer,
                Err(IllegalDataValue),
                "{role:?}: {model}.{point} := {value}"
            );
        }
        let at = inverter(&home).address(704, "WMaxLimPctEna").unwrap();
        assert_eq!(
            write(&home, at, &[1, 10_001]),
            Err(IllegalDataValue),
            "a block with one bad value"
        );
        assert_eq!(inverter(&home).registers(), before);
    }
}

#[test]
fn what_is_only_read_is_exception_2() {
    for role in INVERTERS {
        let home = home(role, NOON);
        let before = inverter(&home).registers();
        for (model, point) in [
            (701, "W"),
            (701, "St"),
            (701, "TotWhInj"),
            (701, "W_SF"),
            (702, "WMaxRtg"),
            (702, "CtrlModes"),
            (703, "ESDlyRemTms"),
            (704, "WMaxLimPctRvrtRem"),
            (704, "WSetRvrtRem"),
            (704, "WMaxLimPct_SF"),
            (704, "VarSet"),
            (704, "PFWInjEna"),
            (705, "Ena"),
            (705, "Crv[0].Pt[0].V"),
            (711, "Ctl[0].DbOf"),
            (714, "NPrt"),
            (714, "Prt[0].DCW"),
            (715, "DERHb"),
            (715, "LocRemCtl"),
        ] {
            assert_eq!(
                set(&home, model, point, 0),
                Err(IllegalDataAddress),
                "{role:?}: {model}.{point}"
            );
        }
        for model in [701, 702, 705, 714] {
            let at = inverter(&home).registers().model(model).unwrap().address;
            for register in [at, at + 1] {
                assert_eq!(
                    write(&home, register, &[model]),
                    Err(IllegalDataAddress),
                    "ID and L of {model}"
                );
            }
        }
        // A block that begins in what can be written and ends in what cannot.
        let at = inverter(&home).address(704, "WMaxLimPctRvrtTms").unwrap();
        assert_eq!(write(&home, at, &[0, 60, 0, 0]), Err(IllegalDataAddress));
        assert_eq!(inverter(&home).registers(), before);
    }
}

/// Controls of both generations, without timers.
fn control(home: &Home) {
    set_all(
        home,
        123,
        &[("WMaxLimPct", 1_000), ("WMaxLim_Ena", 1), ("Conn", 0)],
    );
    set_all(home, 124, &[("InWRte", 0), ("StorCtl_Mod", 1)]);
    set_all(
        home,
        704,
        &[
            ("WMaxLimPct", 1_000),
            ("WMaxLimPctEna", 1),
            ("WSet", 100),
            ("WSetEna", 1),
        ],
    );
}

/// Which of them are in force.
fn in_force(home: &Home) -> [bool; 5] {
    [
        get(home, 123, "WMaxLim_Ena") == 1,
        get(home, 123, "Conn") == 0,
        get(home, 124, "StorCtl_Mod") != 0,
        get(home, 704, "WMaxLimPctEna") == 1,
        get(home, 704, "WSetEna") == 1,
    ]
}

#[test]
fn a_controller_that_stops_its_heartbeat_loses_its_controls() {
    let mut home = home(Role::Hybrid, NOON);
    let mut free = self::home(Role::Hybrid, NOON);
    control(&home);
    go(&mut home, 7_200);
    assert_eq!(in_force(&home), [true; 5], "no heartbeat was ever promised");
    for beat in 1..=20 {
        set_all(&home, 715, &[("ControllerHb", beat)]);
        go(&mut home, 59);
        assert_eq!(in_force(&home), [true; 5], "beat {beat}");
    }
    go(&mut home, 1);
    assert_eq!(in_force(&home), [false; 5], "60 s after the last beat");
    go(&mut home, 60);
    free.advance_to(home.now());
    assert_eq!(home.flow().pv, free.flow().pv, "the sun is let through again");
}

#[test]
fn a_controllers_heartbeat_is_missed_at_its_second_however_long_the_step() {
    let run = |step: i64| {
        let mut home = home(Role::Hybrid, NOON);
        control(&home);
        set_all(&home, 715, &[("ControllerHb", 9)]);
        let end = home.now() + 1_800;
        while home.now() < end {
            home.advance_to((home.now() + step).min(end));
        }
        home.energies()
    };
    assert_eq!(run(1_800), run(1));
    assert_eq!(run(1_800), run(59));
}

#[test]
fn the_same_number_and_other_writes_are_no_heartbeats() {
    let mut home = home(Role::Hybrid, NOON);
    control(&home);
    set_all(&home, 715, &[("ControllerHb", 1)]);
    go(&mut home, 30);
    set_all(&home, 715, &[("ControllerHb", 1)]);
    set_all(&home, 704, &[("WMaxLimPct", 900)]);
    go(&mut home, 30);
    assert_eq!(in_force(&home), [false; 5]);
}

#[test]
fn after_a_missed_heartbeat_a_control_without_heartbeats_stays() {
    let mut home = home(Role::Hybrid, NOON);
    set_all(&home, 715, &[("ControllerHb", 1)]);
    go(&mut home, 600);
    control(&home);
    go(&mut home, 3_600);
    assert_eq!(
        in_force(&home),
        [true; 5],
        "a write of another point begins no heartbeat"
    );
    set_all(&home, 715, &[("ControllerHb", 2)]);
    go(&mut home, 60);
    assert_eq!(in_force(&home), [false; 5], "begun again, it has to go on");
}

#[test]
fn a_missed_heartbeat_reverts_a_704_limit_to_its_reversion_values() {
    let mut home = home(Role::Inverter, NOON);
    set_all(
        &home,
        704,
        &[
            ("WMaxLimPctRvrt", 3_000),
            ("WMaxLimPctEnaRvrt", 1),
            ("WMaxLimPct", 500),
            ("WMaxLimPctEna", 1),
        ],
    );
    set_all(&home, 715, &[("ControllerHb", 1)]);
    go(&mut home, 60);
    assert_eq!(
        (get(&home, 704, "WMaxLimPct"), get(&home, 704, "WMaxLimPctEna")),
        (3_000, 1)
    );
}

#[test]
fn the_devices_own_heart_beats_each_second() {
    let mut home = home(Role::Hybrid, NOON);
    for _ in 0..5 {
        let before = get(&home, 715, "DERHb");
        go(&mut home, 1);
        assert_eq!(get(&home, 715, "DERHb"), before + 1);
    }
}

/// What a switch of all power does: nothing flows, and the states say so.
fn assert_switches_off(model: u16, point: &str, off: i64, on: i64) {
    for (role, start) in [
        (Role::Inverter, NOON),
        (Role::Battery, NIGHT),
        (Role::Hybrid, NOON),
    ] {
        let mut home = home(role, start);
        assert_ne!(get(&home, 103, "W"), 0, "{role:?}");
        set_all(&home, model, &[(point, off)]);
        go(&mut home, 60);
        let given = if role == Role::Battery {
            home.flow().battery
        } else {
            home.flow().pv
        };
        assert_eq!(given, 0, "{role:?}");
        assert!(role != Role::Hybrid || together(&home) == 0);
        assert_eq!(get(&home, 103, "W"), 0);
        assert_eq!(
            (
                get(&home, 103, "St"),
                get(&home, 701, "InvSt"),
                get(&home, 701, "ConnSt")
            ),
            (1, 0, 0),
            "off"
        );
        assert_eq!(get(&home, 122, "ECPConn"), 0);
        set_all(&home, model, &[(point, on)]);
        go(&mut home, 60);
        assert_ne!(get(&home, 103, "W"), 0, "{role:?}");
        assert_eq!((get(&home, 701, "ConnSt"), get(&home, 122, "ECPConn")), (1, 1));
    }
}

#[test]
fn a_stop_stops_until_a_start() {
    assert_switches_off(715, "OpCtl", 0, 1);
}

#[test]
fn standby_is_entered_and_left() {
    assert_switches_off(715, "OpCtl", 2, 3);
}

#[test]
fn a_device_that_may_not_enter_service_gives_nothing() {
    assert_switches_off(703, "ES", 0, 1);
}

#[test]
fn a_disconnected_device_gives_nothing() {
    assert_switches_off(123, "Conn", 0, 1);
}
