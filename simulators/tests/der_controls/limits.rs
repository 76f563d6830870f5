//! Model 704: limits and set-points, their timers, and what a hybrid inverter does under them.

use crate::bench::{
    EVENING, NIGHT, NOON, assert_kirchhoff, device, get, go, home, inverter, modern_home, set, set_all,
    share, spec, together, write,
};
use gridtally_simulators::{Generation, Home, Role};
use proptest::prelude::*;

const INVERTERS: [Role; 3] = [Role::Inverter, Role::Battery, Role::Hybrid];

fn limit(home: &Home, percent: i64, timer: i64) {
    set_all(
        home,
        704,
        &[
            ("WMaxLimPctRvrtTms", timer),
            ("WMaxLimPct", percent),
            ("WMaxLimPctEna", 1),
        ],
    );
}

#[test]
fn the_time_left_counts_down_second_by_second_and_ends_at_0() {
    for role in INVERTERS {
        let mut home = home(role, NOON);
        assert_eq!(get(&home, 704, "WMaxLimPctRvrtRem"), 0);
        limit(&home, 500, 90);
        for left in (1..=90).rev() {
            assert_eq!(get(&home, 704, "WMaxLimPctRvrtRem"), left, "{role:?}");
            assert_eq!(get(&home, 704, "WMaxLimPctEna"), 1);
            go(&mut home, 1);
        }
        assert_eq!(get(&home, 704, "WMaxLimPctRvrtRem"), 0);
        assert_eq!(get(&home, 704, "WMaxLimPctEna"), 0);
        assert_eq!(get(&home, 704, "WMaxLimPct"), 10_000, "what WMaxLimPctRvrt says");
        assert_eq!(get(&home, 704, "WMaxLimPctRvrtTms"), 90, "the setting stays");
    }
}

#[test]
fn a_timer_has_32_bits() {
    let mut home = home(Role::Inverter, NOON);
    limit(&home, 500, 70_000);
    go(&mut home, 69_999);
    assert_eq!(get(&home, 704, "WMaxLimPctRvrtRem"), 1);
    assert_eq!(get(&home, 704, "WMaxLimPctEna"), 1);
    go(&mut home, 1);
    assert_eq!(get(&home, 704, "WMaxLimPctEna"), 0);
    // Two minutes in the register of the high word are 91 days.
    let high = inverter(&home).address(704, "WMaxLimPctRvrtTms").unwrap();
    write(&home, high, &[120]).unwrap();
    set_all(&home, 704, &[("WMaxLimPctEna", 1)]);
    go(&mut home, 0);
    assert_eq!(get(&home, 704, "WMaxLimPctRvrtTms"), 120 << 16 | 70_000 & 0xFFFF);
    assert_eq!(get(&home, 704, "WMaxLimPctRvrtRem"), 120 << 16 | 70_000 & 0xFFFF);
}

#[test]
fn a_limit_reverts_to_its_reversion_value_which_may_be_a_limit_too() {
    let mut home = home(Role::Inverter, NOON);
    set_all(&home, 704, &[("WMaxLimPctRvrt", 2_000), ("WMaxLimPctEnaRvrt", 1)]);
    limit(&home, 500, 300);
    go(&mut home, 300);
    assert_eq!(home.flow().pv, share(&home, 500), "up to the last second");
    assert_eq!(
        (get(&home, 704, "WMaxLimPctEna"), get(&home, 704, "WMaxLimPct")),
        (1, 2_000)
    );
    go(&mut home, 1);
    assert_eq!(home.flow().pv, share(&home, 2_000));
    go(&mut home, 3_600);
    assert_eq!(
        (
            get(&home, 704, "WMaxLimPctEna"),
            get(&home, 704, "WMaxLimPctRvrtRem")
        ),
        (1, 0),
        "for good"
    );
    // With WMaxLimPctEnaRvrt at 0 the value reverts as well, and is not in force.
    set_all(&home, 704, &[("WMaxLimPctEnaRvrt", 0)]);
    limit(&home, 500, 300);
    go(&mut home, 301);
    assert_eq!(
        (get(&home, 704, "WMaxLimPctEna"), get(&home, 704, "WMaxLimPct")),
        (0, 2_000)
    );
    assert!(home.flow().pv > share(&home, 2_000));
}

#[test]
fn each_write_to_a_limit_starts_its_timer_anew_and_switching_it_off_stops_it() {
    let mut home = home(Role::Inverter, NOON);
    limit(&home, 500, 300);
    go(&mut home, 200);
    set_all(&home, 704, &[("WMaxLimPct", 600)]);
    assert_eq!(get(&home, 704, "WMaxLimPctRvrtRem"), 300);
    go(&mut home, 299);
    assert_eq!(get(&home, 704, "WMaxLimPctEna"), 1);
    set_all(&home, 704, &[("WMaxLimPctEna", 0)]);
    assert_eq!(
        get(&home, 704, "WMaxLimPctRvrtRem"),
        0,
        "nothing is left to revert"
    );
    go(&mut home, 10);
    assert_eq!(get(&home, 704, "WMaxLimPct"), 600, "what is off does not revert");
}

#[test]
fn the_timers_of_limit_and_set_point_are_two() {
    let mut home = home(Role::Hybrid, NOON);
    limit(&home, 5_000, 100);
    set_all(&home, 704, &[("WSetRvrtTms", 200), ("WSet", 700), ("WSetEna", 1)]);
    go(&mut home, 50);
    assert_eq!(
        (
            get(&home, 704, "WMaxLimPctRvrtRem"),
            get(&home, 704, "WSetRvrtRem")
        ),
        (50, 150)
    );
    go(&mut home, 50);
    assert_eq!(
        (get(&home, 704, "WMaxLimPctEna"), get(&home, 704, "WSetEna")),
        (0, 1)
    );
    go(&mut home, 100);
    assert_eq!(get(&home, 704, "WSetEna"), 0);
}

/// Sets watts, or hundredths of a percent of the nameplate.
fn set_point(home: &Home, mode: i64, value: i64) {
    let point = if mode == 1 { "WSet" } else { "WSetPct" };
    set_all(home, 704, &[("WSetMod", mode), (point, value), ("WSetEna", 1)]);
}

#[test]
fn a_battery_gives_and_takes_what_is_set_in_watts_and_in_percent() {
    let mut home = modern_home(Role::Battery, EVENING);
    for (mode, value, milliwatts) in [
        (1, 1_500, 1_500_000),
        (1, -1_000, -1_000_000),
        (0, 2_500, 1_000_000),
        (0, -5_000, -2_000_000),
        (1, 0, 0),
        (0, 0, 0),
        (1, 4_000, 4_000_000),
        (0, -10_000, -4_000_000),
    ] {
        set_point(&home, mode, value);
        let stored = home.stored();
        go(&mut home, 60);
        assert_eq!(home.flow().battery, milliwatts, "WSetMod {mode}, {value}");
        assert_eq!(get(&home, 701, "W") * 1_000, milliwatts);
        assert_eq!(home.stored() < stored, milliwatts > 0);
        assert_eq!(home.stored() > stored, milliwatts < 0);
        assert_kirchhoff(&home);
    }
}

#[test]
fn a_hybrid_gives_what_is_set_from_sun_and_battery_together() {
    let mut home = modern_home(Role::Hybrid, NOON);
    let sun = home.flow().pv;
    assert!(sun > 1_000_000);
    let much = (sun / 1_000 + 300).min(5_000);
    for (mode, value, milliwatts) in [
        (1, 500, 500_000),
        (1, 0, 0),
        (1, -400, -400_000),
        (0, 1_000, 500_000),
        (1, much, much * 1_000),
    ] {
        set_point(&home, mode, value);
        go(&mut home, 30);
        assert_eq!(
            together(&home),
            milliwatts,
            "WSetMod {mode}, {value}: {:?}",
            home.flow()
        );
        assert_eq!(get(&home, 701, "W") * 1_000, milliwatts);
        assert_kirchhoff(&home);
    }
    let mut night = modern_home(Role::Hybrid, NIGHT);
    for watts in [2_000, -2_000] {
        set_point(&night, 1, watts);
        go(&mut night, 60);
        assert_eq!((night.flow().pv, night.flow().battery), (0, watts * 1_000));
    }
}

#[test]
fn a_set_point_in_the_mode_that_is_not_chosen_does_nothing() {
    let mut home = modern_home(Role::Battery, EVENING);
    set_all(
        &home,
        704,
        &[("WSetPct", 5_000), ("WSet", 700), ("WSetMod", 1), ("WSetEna", 1)],
    );
    go(&mut home, 60);
    assert_eq!(home.flow().battery, 700_000);
    set_all(&home, 704, &[("WSetMod", 0)]);
    go(&mut home, 60);
    assert_eq!(home.flow().battery, 2_000_000);
}

#[test]
fn a_set_point_reverts_in_both_modes_and_to_another_set_point() {
    for (mode, enabled, milliwatts) in [(1, 1, 600_000), (0, 1, -1_000_000), (1, 0, 0)] {
        let mut home = modern_home(Role::Battery, EVENING);
        set_all(
            &home,
            704,
            &[
                ("WSetRvrt", 600),
                ("WSetPctRvrt", -2_500),
                ("WSetEnaRvrt", enabled),
                ("WSetRvrtTms", 120),
                ("WSet", 3_000),
                ("WSetPct", 7_500),
                ("WSetMod", mode),
                ("WSetEna", 1),
            ],
        );
        go(&mut home, 120);
        assert_eq!(home.flow().battery, 3_000_000);
        assert_eq!(get(&home, 704, "WSetRvrtRem"), 0);
        assert_eq!(get(&home, 704, "WSetEna"), enabled);
        assert_eq!(
            (get(&home, 704, "WSet"), get(&home, 704, "WSetPct")),
            (600, -2_500)
        );
        go(&mut home, 60);
        if enabled == 1 {
            assert_eq!(home.flow().battery, milliwatts);
        } else {
            let mut free = modern_home(Role::Battery, EVENING);
            free.advance_to(home.now());
            assert_eq!(
                home.flow().battery,
                free.flow().battery,
                "the owner's own behaviour"
            );
        }
    }
}

#[test]
fn a_limit_holds_a_set_point_that_asks_for_more() {
    for role in INVERTERS {
        let mut home = modern_home(role, NOON);
        set_point(&home, 1, 3_000);
        limit(&home, 1_000, 0);
        go(&mut home, 60);
        let given = if role == Role::Inverter {
            home.flow().pv
        } else {
            together(&home) - beside(&home, role)
        };
        assert_eq!(given, share(&home, 1_000), "{role:?}: {:?}", home.flow());
        assert_kirchhoff(&home);
    }
}

/// What other devices of the home give: behind a battery inverter, the panels' own.
fn beside(home: &Home, role: Role) -> i64 {
    if role == Role::Battery { home.flow().pv } else { 0 }
}

#[test]
fn a_hybrid_below_the_sun_stores_the_surplus_and_curtails_when_it_is_full() {
    let mut spec = spec(7, &[Role::Hybrid, Role::Meter]);
    spec.battery.initial_soc_permille = 970;
    spec.battery.power_watts = 5_000;
    let (mut home, mut free) = (Home::new(spec.clone(), NOON), Home::new(spec, NOON));
    home.advance_to(NOON + 60);
    set_all(&home, 704, &[("WMaxLimPct", 100), ("WMaxLimPctEna", 1)]);
    let (mut stored, mut curtailed) = (0, 0);
    for _ in 0..120 {
        go(&mut home, 60);
        free.advance_to(home.now());
        let (flow, sun) = (home.flow(), free.flow().pv);
        assert!(sun > share(&home, 100), "the sun is stronger: {sun}");
        assert_eq!(together(&home), share(&home, 100));
        assert_kirchhoff(&home);
        if flow.pv == sun {
            assert!(flow.battery < 0);
            stored += 1;
        } else if flow.battery >= -1 {
            // A full battery may take a last milliwatt.

            assert_eq!(get(&home, 103, "St"), 5, "throttled");
            assert_eq!(get(&home, 701, "InvSt"), 4, "throttled");
            curtailed += 1;
        }
    }
    assert!(
        stored >= 2 && curtailed >= 60,
        "{stored} minutes of storing, {curtailed} of curtailing"
    );
    assert!(home.soc_basis_points() >= 9_999, "full");
}

prop_compose! {
    fn any_home()(
        seed: u64, soc in 50_u32..=1_000, power in 0_u32..6_000, c_rate in 0_u32..1_500, taper in 500_u32..=1_000,
        floor in 0_u32..=1_000, standby in 0_u32..50_000, modern: bool,
    ) -> gridtally_simulators::HomeSpec {
        let mut spec = spec(seed, &[Role::Hybrid, Role::Meter]);
        spec.battery.initial_soc_permille = soc;
        spec.battery.power_watts = power;
        spec.battery.c_rate_permille = c_rate;
        spec.battery.taper_from_permille = taper;
        spec.battery.taper_floor_permille = floor;
        spec.battery.standby_milliwatts = standby;
        if modern {
            spec.devices[0] = device(Role::Hybrid, Generation::Ieee1547);
        }
        spec
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_hybrid_never_gives_more_than_its_limit_and_kirchhoff_holds(
        spec in any_home(),
        start in NOON - 86_400 * 200..NOON + 86_400 * 165,
        percent in 0_i64..=10_000,
        basic in prop::option::of(0_i64..=10_000),
        set_point in prop::option::of(-10_000_i64..=10_000),
        mode in 0_i64..=3, out in -10_000_i64..=10_000, into in -10_000_i64..=10_000, grid_charging: bool,
        steps in prop::collection::vec(1_i64..4_000, 1..60),
    ) {
        let mut home = Home::new(spec, start);
        set_all(&home, 704, &[("WMaxLimPct", percent), ("WMaxLimPctEna", 1)]);
        if let Some(percent) = set_point {
            set_all(&home, 704, &[("WSetMod", 0), ("WSetPct", percent), ("WSetEna", 1)]);
        }
        let mut percent = percent;
        if inverter(&home).address(123, "Conn").is_some() {
            if let Some(basic) = basic {
                set_all(&home, 123, &[("WMaxLimPct", basic), ("WMaxLim_Ena", 1)]);
                percent = percent.min(basic);
            }
            let rates = [("OutWRte", out), ("InWRte", into), ("ChaGriSet", i64::from(grid_charging)), ("StorCtl_Mod", mode)];
            set_all(&home, 124, &rates);
        }
        let most = share(&home, percent);
        let asked = set_point.map_or(most, |percent| most.min(share(&home, percent)));
        for step in steps {
            let before = home.energies();
            go(&mut home, step);
            let flow = home.flow();
            prop_assert!(together(&home) <= most, "{flow:?} over {most} mW");
            prop_assert!(together(&home) <= asked.max(0), "{flow:?} over a set-point of {asked} mW");
            prop_assert!(flow.pv >= 0 && flow.pv <= flow.pv_dc, "{flow:?}");
            prop_assert_eq!(flow.grid, flow.load - flow.pv - flow.battery);
            prop_assert_eq!(get(&home, 701, "W"), together(&home) / 1_000);
            let now = home.energies();
            prop_assert_eq!(
                now.grid_import - now.grid_export - (before.grid_import - before.grid_export),
                now.load - before.load - (now.inverter_injected - before.inverter_injected)
                    + (now.inverter_absorbed - before.inverter_absorbed)
            );
            let given = now.inverter_injected - before.inverter_injected;
            prop_assert!(given.milliwatt_seconds() <= most * step, "over the whole step");
        }
    }

    #[test]
    fn a_set_point_within_reach_is_met_to_the_milliwatt(
        seed: u64, watts in -3_000_i64..=3_000, soc in 400_u32..=900, second in 0_i64..86_400,
    ) {
        let mut spec = spec(seed, &[Role::Hybrid, Role::Meter]);
        spec.battery.initial_soc_permille = soc;
        spec.devices[0] = device(Role::Hybrid, Generation::Ieee1547);
        let mut home = Home::new(spec, NOON + second);
        set_point(&home, 1, watts);
        for _ in 0..5 {
            go(&mut home, 20);
            let flow = home.flow();
            // The panels give up to 5 kW and the battery takes 4: what is left over is curtailed.
            prop_assert_eq!(together(&home), watts * 1_000, "{:?}", flow);
        }
        prop_assert!(set(&home, 704, "WSet", 5_001).is_err());
    }
}
