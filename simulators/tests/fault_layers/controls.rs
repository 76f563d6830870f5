//! Writes that do not do what they should.

use crate::lab::{Lab, number, on_and_off, on_and_off_then, read, set, write};
use gridtally_simulators::{Device, Fault, Home, Role};
use tokio_modbus::ExceptionCode::{IllegalDataAddress, IllegalDataValue, ServerDeviceFailure};

/// A limit of model 704 in hundredths of a percent, with a reversion timer in seconds.
fn limit(device: &Device, percent: i128, timer: i128) {
    for (point, value) in [
        ("WMaxLimPctRvrtTms", timer),
        ("WMaxLimPct", percent),
        ("WMaxLimPctEna", 1),
    ] {
        assert_eq!(set(device, 704, point, value), Some(Ok(())), "{point}");
    }
}

fn hybrid(home: &Home) -> &Device {
    home.device(Role::Hybrid).unwrap()
}

/// What the hybrid may give under a limit, in milliwatts.
fn permitted(home: &Home, percent: i64) -> i64 {
    hybrid(home).value(702, "WMax").unwrap() * 1_000 * percent / 10_000
}

fn inverter_power(home: &Home) -> i64 {
    home.flow().pv + home.flow().battery
}

/// Whether the device is held at such a limit after a minute.
fn is_held_at(home: &mut Home, percent: i64) -> bool {
    home.advance_to(home.now() + 60);
    inverter_power(home) <= permitted(home, percent)
}

/// The homes are equal in every register and go on being so.
fn assert_same(failing: &mut Home, healthy: &mut Home) {
    for _ in 0..2 {
        for (a, b) in failing.devices().iter().zip(healthy.devices()) {
            crate::lab::assert_differences(&crate::lab::seen(a), &b.registers(), &[], "after the fault");
        }
        failing.advance_to(failing.now() + 60);
        healthy.advance_to(healthy.now() + 60);
    }
}

/// Written now, a limit of a tenth is obeyed by both homes alike.
fn assert_obeys_again(failing: &mut Home, healthy: &mut Home) {
    for home in [&*failing, &*healthy] {
        limit(hybrid(home), 1_000, 300);
    }
    assert_same(failing, healthy);
    assert!(is_held_at(failing, 1_000) && is_held_at(healthy, 1_000));
    assert_same(failing, healthy);
    for home in [&mut *failing, &mut *healthy] {
        home.advance_to(home.now() + 300);
        assert_eq!(hybrid(home).value(704, "WMaxLimPctEna"), Some(0), "reverted");
    }
    assert_same(failing, healthy);
}

fn assert_no_register_took(lab: &Lab) {
    let (device, healthy) = lab.hybrids();
    assert_eq!(device.registers(), healthy.registers());
}

pub fn a_refused_write_meets_exception_4_and_changes_nothing() {
    on_and_off_then(
        Fault::WritesRefused,
        |lab| {
            let (device, _) = lab.hybrids();
            for (point, value) in [("WMaxLimPct", 1_000), ("WMaxLimPctEna", 1), ("WSetEna", 1)] {
                assert_eq!(set(device, 704, point, value), Some(Err(ServerDeviceFailure)));
            }
            assert_eq!(
                set(device, 123, "WMaxLimPct", 1_000),
                Some(Err(ServerDeviceFailure))
            );
            assert_no_register_took(lab);
            assert!(read(device, 40_000, 4).is_ok(), "reads go on");
            lab.advance_to(600);
            assert_no_register_took(lab);
        },
        assert_obeys_again,
    );
    on_and_off(Fault::WritesRefused, |_| ());
}

pub fn an_ignored_write_is_accepted_and_changes_nothing() {
    on_and_off_then(
        Fault::WritesIgnored,
        |lab| {
            let (device, _) = lab.hybrids();
            limit(device, 1_000, 0);
            assert_eq!(
                number(device, 704, "WMaxLimPct"),
                10_000,
                "it reads back what was"
            );
            assert_no_register_took(lab);
            assert_eq!(
                set(device, 103, "W", 5),
                Some(Err(IllegalDataAddress)),
                "still read-only"
            );
            lab.advance_to(600);
            assert_no_register_took(lab);
            assert!(inverter_power(&lab.failing) > permitted(&lab.failing, 1_000));
        },
        assert_obeys_again,
    );
    on_and_off(Fault::WritesIgnored, |_| ());
}

pub fn a_write_that_is_not_obeyed_reads_back_and_does_nothing() {
    on_and_off_then(
        Fault::WritesNotObeyed,
        |lab| {
            let (device, _) = lab.hybrids();
            // All generations: the basic limit, the battery's rates, the set-point, the switch.
            let at = device.address(123, "WMaxLimPct").unwrap();
            assert_eq!(write(device, at, &[1_000, 0, 0, 0, 1]), Some(Ok(())));
            let points = [
                (123, "Conn", 0),
                (124, "OutWRte", 0),
                (124, "InWRte", 0),
                (124, "StorCtl_Mod", 3),
                (704, "WMaxLimPct", 1_000),
                (704, "WMaxLimPctEna", 1),
                (704, "WSet", 100),
                (704, "WSetEna", 1),
                (703, "ES", 0),
                (715, "OpCtl", 0),
            ];
            for (model, point, value) in points {
                assert_eq!(set(device, model, point, value), Some(Ok(())), "{model}.{point}");
                assert_eq!(number(device, model, point), value, "{model}.{point} reads back");
            }
            assert_eq!(
                set(device, 704, "WMaxLimPct", 10_001),
                Some(Err(IllegalDataValue))
            );
            for second in [1, 2, 60, 600, 3_000] {
                lab.advance_to(second);
                assert_eq!(
                    lab.failing.flow(),
                    lab.healthy.flow(),
                    "it goes on as before ({second} s)"
                );
                assert_eq!(lab.failing.energies(), lab.healthy.energies());
                assert_eq!(
                    number(lab.hybrids().0, 123, "WMaxLimPct"),
                    1_000,
                    "and still reads back"
                );
            }
        },
        |failing, healthy| {
            // Right again, it does what its registers say.
            failing.advance_to(failing.now() + 120);
            assert_eq!(inverter_power(failing), 0, "disconnected");
            let device = hybrid(failing);
            let points = [
                (123, "Conn", 1),
                (123, "WMaxLim_Ena", 0),
                (123, "WMaxLimPct", 10_000),
                (124, "StorCtl_Mod", 0),
                (124, "OutWRte", 10_000),
                (124, "InWRte", 10_000),
                (704, "WMaxLimPct", 10_000),
                (704, "WMaxLimPctEna", 0),
                (704, "WSet", 0),
                (704, "WSetEna", 0),
                (703, "ES", 1),
                (715, "OpCtl", 1),
            ];
            for (model, point, value) in points {
                assert_eq!(set(device, model, point, value), Some(Ok(())), "{model}.{point}");
            }
            failing.advance_to(failing.now() + 60);
            healthy.advance_to(failing.now());
            assert_eq!(failing.flow().pv, healthy.flow().pv);
            limit(hybrid(failing), 1_000, 0);
            assert!(is_held_at(failing, 1_000));
        },
    );
    on_and_off(Fault::WritesNotObeyed, |_| ());
}

/// What was in force before goes on to its end: a timer that ran already takes its control back.
#[test]
fn a_device_that_does_not_obey_still_reverts_what_it_obeyed_before() {
    let [mut failing, mut healthy] = [(); 2].map(|()| Home::new(crate::lab::spec(), crate::lab::NOON));
    for home in [&mut failing, &mut healthy] {
        limit(hybrid(home), 1_000, 600);
        home.advance_to(home.now() + 300);
    }
    hybrid(&failing).inject(Fault::WritesNotObeyed);
    for seconds in [299, 301, 600] {
        let instant = crate::lab::NOON + 300 + seconds;
        failing.advance_to(instant);
        healthy.advance_to(instant);
        assert_eq!(failing.flow(), healthy.flow(), "{seconds} s");
    }
    assert!(
        inverter_power(&failing) > permitted(&failing, 1_000),
        "the limit is over"
    );
}

/// Off by hand between two steps, a fault is off from that instant on, however long the next step is.
#[test]
fn an_ejected_fault_of_control_ends_at_once_and_not_with_the_next_step() {
    let run = |step: i64| {
        let mut home = Home::new(crate::lab::spec(), crate::lab::NOON);
        hybrid(&home).inject(Fault::WritesNotObeyed);
        limit(hybrid(&home), 1_000, 0);
        home.advance_to(home.now() + 60);
        hybrid(&home).eject("writes-not-obeyed");
        let end = home.now() + 1_800;
        while home.now() < end {
            home.advance_to((home.now() + step).min(end));
        }
        home.energies()
    };
    assert_eq!(run(1_800), run(1));
}

pub fn a_write_without_answer_is_applied() {
    on_and_off_then(
        Fault::WriteAppliedUnanswered,
        |lab| {
            let (device, _) = lab.hybrids();
            for (point, value) in [
                ("WMaxLimPctRvrtTms", 900),
                ("WMaxLimPct", 1_000),
                ("WMaxLimPctEna", 1),
            ] {
                assert_eq!(set(device, 704, point, value), None, "no answer");
                assert_eq!(number(device, 704, point), value, "a read shows it");
            }
            let refused = set(device, 704, "WMaxLimPct", 10_001);
            assert_eq!(
                refused,
                Some(Err(IllegalDataValue)),
                "what is not applied is answered"
            );
            assert!(is_held_at(&mut lab.failing, 1_000), "and it acts");
            lab.advance_to(900);
            assert_eq!(number(lab.hybrids().0, 704, "WMaxLimPctEna"), 0, "and reverts");
        },
        |failing, healthy| {
            failing.advance_to(failing.now() + 60);
            healthy.advance_to(failing.now());
            limit(hybrid(failing), 1_000, 300);
            assert!(is_held_at(failing, 1_000), "answered again");
        },
    );
    on_and_off(Fault::WriteAppliedUnanswered, |_| ());
}

pub fn timers_are_stored_and_never_count() {
    on_and_off_then(
        Fault::NeverReverts,
        |lab| {
            let (device, _) = lab.hybrids();
            limit(device, 1_000, 60);
            assert_eq!(set(device, 123, "Conn_RvrtTms", 60), Some(Ok(())));
            let rates = device.address(124, "InOutWRte_RvrtTms").unwrap();
            assert_eq!(write(device, rates, &[60]), Some(Ok(())));
            assert_eq!(set(device, 124, "StorCtl_Mod", 1), Some(Ok(())));
            for second in [0, 30, 61, 3_000] {
                lab.advance_to(second);
                let device = lab.hybrids().0;
                assert_eq!(number(device, 704, "WMaxLimPctRvrtTms"), 60, "stored");
                assert_eq!(number(device, 704, "WMaxLimPctRvrtRem"), 0, "not counted");
                assert_eq!(number(device, 704, "WMaxLimPctEna"), 1, "never taken back");
                assert_eq!(number(device, 124, "StorCtl_Mod"), 1);
            }
            assert!(is_held_at(&mut lab.failing, 1_000));
        },
        |failing, _| {
            assert!(is_held_at(failing, 1_000), "what did not count does not come due");
            let device = hybrid(failing);
            assert_eq!(set(device, 124, "StorCtl_Mod", 0), Some(Ok(())));
            limit(device, 1_000, 60);
            assert_eq!(number(device, 704, "WMaxLimPctRvrtRem"), 60);
            failing.advance_to(failing.now() + 60);
            assert_eq!(
                number(hybrid(failing), 704, "WMaxLimPctEna"),
                0,
                "a new timer counts"
            );
        },
    );
    on_and_off(Fault::NeverReverts, |_| ());
}

/// A timer that ran already when the fault began does not count on.
#[test]
fn a_timer_stops_when_the_device_begins_to_never_revert() {
    let mut home = Home::new(crate::lab::spec(), crate::lab::NOON);
    limit(hybrid(&home), 1_000, 600);
    home.advance_to(home.now() + 300);
    assert_eq!(number(hybrid(&home), 704, "WMaxLimPctRvrtRem"), 300);
    hybrid(&home).inject(Fault::NeverReverts);
    home.advance_to(home.now() + 3_600);
    assert_eq!(number(hybrid(&home), 704, "WMaxLimPctEna"), 1);
    assert_eq!(number(hybrid(&home), 704, "WMaxLimPctRvrtRem"), 0);
}

pub fn timers_count_in_another_unit() {
    for (seconds, timer) in [(60, 20), (7, 100)] {
        on_and_off_then(
            Fault::ReversionUnit { seconds },
            |lab| {
                limit(lab.hybrids().0, 1_000, timer);
                let lasts = i64::try_from(timer).unwrap() * seconds;
                lab.advance_to(lasts - 1);
                let device = lab.hybrids().0;
                assert_eq!(
                    number(device, 704, "WMaxLimPctRvrtTms"),
                    timer,
                    "reads back as written"
                );
                assert_eq!(number(device, 704, "WMaxLimPctEna"), 1);
                lab.advance_to(lasts);
                assert_eq!(number(lab.hybrids().0, 704, "WMaxLimPctEna"), 0);
            },
            |failing, _| {
                limit(hybrid(failing), 1_000, 20);
                failing.advance_to(failing.now() + 19);
                assert_eq!(number(hybrid(failing), 704, "WMaxLimPctEna"), 1);
                failing.advance_to(failing.now() + 1);
                assert_eq!(number(hybrid(failing), 704, "WMaxLimPctEna"), 0, "seconds again");
            },
        );
        on_and_off(Fault::ReversionUnit { seconds }, |_| ());
    }
}

/// The longest timer in a long unit still shows a remainder that a register can carry.
#[test]
fn a_remainder_beyond_its_register_stays_at_the_registers_end() {
    let home = Home::new(crate::lab::spec(), crate::lab::NOON);
    hybrid(&home).inject(Fault::ReversionUnit { seconds: 60 });
    limit(hybrid(&home), 1_000, 0xFFFF_FFFE);
    assert_eq!(number(hybrid(&home), 704, "WMaxLimPctRvrtRem"), 0xFFFF_FFFE);
}

pub fn a_heartbeat_that_stops_is_not_missed() {
    on_and_off_then(
        Fault::HeartbeatIgnored,
        |lab| {
            let (device, twin) = lab.hybrids();
            for device in [device, twin] {
                limit(device, 1_000, 0);
                assert_eq!(set(device, 715, "ControllerHb", 1), Some(Ok(())));
            }
            lab.advance_to(59);
            assert_eq!(number(lab.hybrids().1, 704, "WMaxLimPctEna"), 1);
            for second in [60, 61, 3_000] {
                lab.advance_to(second);
                let (device, twin) = lab.hybrids();
                assert_eq!(
                    number(twin, 704, "WMaxLimPctEna"),
                    0,
                    "a healthy device takes the limit back"
                );
                assert_eq!(number(device, 704, "WMaxLimPctEna"), 1, "{second} s");
            }
            assert!(is_held_at(&mut lab.failing, 1_000));
        },
        |failing, healthy| {
            // It notices at its next second that nobody is there.
            failing.advance_to(failing.now() + 1);
            assert_eq!(number(hybrid(failing), 704, "WMaxLimPctEna"), 0);
            healthy.advance_to(failing.now());
            for home in [failing, healthy] {
                limit(hybrid(home), 1_000, 0);
                assert_eq!(set(hybrid(home), 715, "ControllerHb", 2), Some(Ok(())));
                home.advance_to(home.now() + 59);
                assert_eq!(number(hybrid(home), 704, "WMaxLimPctEna"), 1);
                home.advance_to(home.now() + 1);
                assert_eq!(number(hybrid(home), 704, "WMaxLimPctEna"), 0, "missed again");
            }
        },
    );
    on_and_off(Fault::HeartbeatIgnored, |_| ());
}
