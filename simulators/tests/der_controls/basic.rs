//! Models 123 and 124: windows, ramps, timers, rates.

use crate::bench::{
    NIGHT, NOON, assert_kirchhoff, get, go, home, inverter, set, set_all, share, spec, together, write,
};
use gridtally_simulators::{Home, Role};
use std::collections::BTreeSet;

/// Value, window, timer, ramp and enable as one block, as Victron writes them.
fn limit(home: &Home, percent: u16, window: u16, timer: u16, ramp: u16) {
    let at = inverter(home).address(123, "WMaxLimPct").unwrap();
    write(home, at, &[percent, window, timer, ramp, 1]).unwrap();
}

#[test]
fn a_limit_moves_evenly_over_its_ramp_second_by_second() {
    let mut home = home(Role::Inverter, NOON);
    limit(&home, 3_000, 0, 0, 0);
    go(&mut home, 1);
    assert_eq!(home.flow().pv, share(&home, 3_000), "the sun is stronger");
    for (from, to) in [(3_000, 500), (500, 2_500)] {
        limit(&home, u16::try_from(to).unwrap(), 0, 0, 20);
        assert_eq!(
            get(&home, 123, "WMaxLimPct"),
            to,
            "the register shows the target at once"
        );
        for second in 0..20 {
            go(&mut home, 1);
            assert_eq!(
                home.flow().pv,
                share(&home, from + (to - from) * second / 20),
                "second {second}"
            );
        }
        go(&mut home, 1);
        assert_eq!(home.flow().pv, share(&home, to));
    }
}

#[test]
fn a_new_limit_in_the_middle_of_a_ramp_begins_where_the_ramp_is() {
    let mut home = home(Role::Inverter, NOON);
    limit(&home, 3_000, 0, 0, 0);
    go(&mut home, 1);
    limit(&home, 1_000, 0, 0, 20);
    go(&mut home, 10);
    limit(&home, 3_000, 0, 0, 10);
    go(&mut home, 1);
    assert_eq!(home.flow().pv, share(&home, 2_000), "half way down");
    go(&mut home, 5);
    assert_eq!(home.flow().pv, share(&home, 2_500), "half way up again");
    go(&mut home, 5);
    assert_eq!(home.flow().pv, share(&home, 3_000));
}

#[test]
fn the_same_limit_again_does_not_begin_a_ramp_anew() {
    let mut home = home(Role::Inverter, NOON);
    limit(&home, 1_000, 0, 0, 20);
    go(&mut home, 10);
    limit(&home, 1_000, 0, 0, 20);
    go(&mut home, 11);
    assert_eq!(home.flow().pv, share(&home, 1_000));
}

/// The second after the write at which the limit is first in force.
fn begins_at(seed: u64, window: u16) -> Option<i64> {
    let mut home = Home::new(spec(seed, &[Role::Inverter, Role::Meter]), NOON);
    home.advance_to(NOON + 60);
    assert!(home.flow().pv > share(&home, 100));
    limit(&home, 100, window, 0, 0);
    (0..=i64::from(window) + 1).find(|_| {
        go(&mut home, 1);
        home.flow().pv == share(&home, 100)
    })
}

#[test]
fn a_limit_with_a_window_begins_somewhere_in_it_and_always_there() {
    let mut begins = BTreeSet::new();
    for seed in 0..24 {
        let second = begins_at(seed, 120).expect("begun when the window is over");
        assert!(second <= 120, "{second} s");
        assert_eq!(
            begins_at(seed, 120),
            Some(second),
            "the same seed, the same second"
        );
        begins.insert(second);
    }
    assert!(begins.len() > 12, "homes do not begin together: {begins:?}");
    assert_eq!(begins_at(1, 0), Some(0), "without a window at once");
}

#[test]
fn a_window_and_a_ramp_follow_one_another() {
    let begin = begins_at(3, 60).unwrap();
    let mut home = Home::new(spec(3, &[Role::Inverter, Role::Meter]), NOON);
    home.advance_to(NOON + 60);
    limit(&home, 100, 60, 0, 10);
    go(&mut home, begin + 10);
    assert!(home.flow().pv > share(&home, 100), "the last second of the ramp");
    go(&mut home, 1);
    assert_eq!(home.flow().pv, share(&home, 100));
}

#[test]
fn a_limit_reverts_at_its_second_ramp_or_not() {
    for ramp in [0, 30, 900] {
        let mut home = home(Role::Inverter, NOON);
        let mut free = self::home(Role::Inverter, NOON);
        limit(&home, 500, 0, 600, ramp);
        go(&mut home, 599);
        assert_eq!(get(&home, 123, "WMaxLim_Ena"), 1);
        go(&mut home, 1);
        assert_eq!(get(&home, 123, "WMaxLim_Ena"), 0);
        assert_eq!(get(&home, 123, "WMaxLimPct"), 10_000);
        go(&mut home, 1);
        free.advance_to(home.now());
        assert_eq!(home.flow(), free.flow(), "nothing is left of it");
    }
}

#[test]
fn a_timer_of_0_cancels_one_that_runs_and_a_write_to_the_timer_restarts_it() {
    let mut home = home(Role::Inverter, NOON);
    limit(&home, 500, 0, 600, 0);
    go(&mut home, 500);
    set_all(&home, 123, &[("WMaxLimPct_RvrtTms", 300)]);
    go(&mut home, 299);
    assert_eq!(get(&home, 123, "WMaxLim_Ena"), 1, "restarted");
    set_all(&home, 123, &[("WMaxLimPct_RvrtTms", 0)]);
    go(&mut home, 3_600);
    assert_eq!(get(&home, 123, "WMaxLim_Ena"), 1, "cancelled");
}

#[test]
fn of_two_limits_the_narrower_holds() {
    let mut home = home(Role::Inverter, NOON);
    limit(&home, 2_000, 0, 0, 0);
    set_all(&home, 704, &[("WMaxLimPct", 1_000), ("WMaxLimPctEna", 1)]);
    go(&mut home, 1);
    assert_eq!(home.flow().pv, share(&home, 1_000));
    set_all(&home, 704, &[("WMaxLimPct", 3_000)]);
    go(&mut home, 1);
    assert_eq!(home.flow().pv, share(&home, 2_000));
}

/// Model 124 on a hybrid inverter.
fn rates(home: &Home, mode: i64, out: i64, into: i64, timer: i64) {
    set_all(
        home,
        124,
        &[
            ("OutWRte", out),
            ("InWRte", into),
            ("InOutWRte_RvrtTms", timer),
            ("StorCtl_Mod", mode),
        ],
    );
}

#[test]
fn a_hybrid_neither_charges_nor_discharges_beyond_its_rates() {
    let mut home = home(Role::Hybrid, NOON);
    assert!(
        home.flow().battery < -500_000,
        "it stores the sun: {:?}",
        home.flow()
    );
    let free = home.flow().battery;
    rates(&home, 1, 10_000, 1_000, 0);
    go(&mut home, 60);
    assert_eq!(home.flow().battery, -400_000, "a tenth of 4 kW, not {free} mW");
    rates(&home, 1, 10_000, 0, 0);
    go(&mut home, 60);
    assert_eq!(home.flow().battery, 0);
    assert_kirchhoff(&home);
    let mut night = self::home(Role::Hybrid, NIGHT);
    assert!(night.flow().battery > 0, "it feeds the house");
    rates(&night, 2, 0, 10_000, 0);
    go(&mut night, 60);
    assert_eq!(night.flow().battery, 0);
}

#[test]
fn a_hybrid_is_forced_to_discharge_and_its_timer_gives_it_back() {
    let mut home = home(Role::Hybrid, NOON);
    let mut free = self::home(Role::Hybrid, NOON);
    rates(&home, 3, 5_000, -5_000, 300);
    go(&mut home, 300);
    assert_eq!(home.flow().battery, 2_000_000);
    assert_eq!(get(&home, 124, "StorCtl_Mod"), 0);
    assert_eq!(
        (get(&home, 124, "InWRte"), get(&home, 124, "OutWRte")),
        (10_000, 10_000)
    );
    go(&mut home, 60);
    free.advance_to(home.now());
    assert_eq!(home.flow().pv, free.flow().pv);
    assert!(home.flow().battery < 0, "it stores the sun again");
}

#[test]
fn a_hybrid_charges_from_the_grid_only_where_that_is_allowed() {
    let mut home = home(Role::Hybrid, NIGHT);
    rates(&home, 3, -2_500, 2_500, 0);
    go(&mut home, 60);
    assert_eq!((home.flow().pv, home.flow().battery), (0, 0));
    set_all(&home, 124, &[("ChaGriSet", 1)]);
    go(&mut home, 60);
    assert_eq!(together(&home), -1_000_000);
    assert_eq!(get(&home, 103, "W"), -1_000, "into the inverter");
    assert_kirchhoff(&home);
    set_all(&home, 124, &[("MinRsvPct", 9_000), ("StorCtl_Mod", 0)]);
    go(&mut home, 60);
    assert_eq!(home.flow().battery, 0, "below its reserve it does not discharge");
    assert!(set(&home, 124, "WChaMax", 1).is_err());
}
