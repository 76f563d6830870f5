//! The books of a home balance, to the integer, whatever day it is.

use gridtally_simulators::{
    BatterySpec, Energies, Energy, GridSpec, Home, HomeSpec, LoadProfile, LoadSpec, Neighbourhood,
    ProfileSeries,
};
use proptest::prelude::*;
use std::sync::Arc;

const DAY: i64 = 86_400;
const JANUARY_2026: i64 = 1_767_225_600;

fn register(home: &Home, model: u16, point: &str) -> i64 {
    let device = match (model, point) {
        (203, _) => home.grid_meter(),
        (124 | 802, _) => home.battery_inverter(),
        _ => home.pv_inverter(),
    };
    device.value(model, point).unwrap()
}

fn assert_balance(energies: Energies) {
    assert_eq!(
        energies.grid_import - energies.grid_export,
        energies.load + energies.battery_charge - energies.battery_discharge - energies.pv
    );
}

fn floor_in_tenths(energy: Energy) -> i64 {
    (energy.milliwatt_seconds() / 360_000) % (1 << 32)
}

/// A quiet night, a morning, a day and an evening, over and over.
fn four_quarters() -> LoadProfile {
    let hours = (0..24).map(|hour| format!("2026-01-05T{hour:02}:00:00Z,{}.25\n", 150 + hour / 6 * 310));
    let csv = format!("instant,watts\n{}", hours.collect::<String>());
    LoadProfile::File(Arc::new(ProfileSeries::parse("four-quarters.csv", &csv).unwrap()))
}

prop_compose! {
    /// A home in which everything that a drawn home has switched off is on.
    fn any_home()(
        seed: u64,
        profile in prop_oneof![
            Just(LoadProfile::London), Just(LoadProfile::Seeded), Just(four_quarters()),
        ],
        ev_charger_watts in prop_oneof![Just(0_u32), Just(7_400)],
        c_rate_permille in 0_u32..600,
        one_way_efficiency_permille in 850_u32..=1_000,
        soc_max_permille in 800_u32..=1_000,
        standby_milliwatts in 0_u32..90_000,
        taper_from_permille in 600_u32..=1_000,
        taper_floor_permille in 0_u32..=1_000,
        nameplate_permille in 500_u32..1_200,
        impedance_milliohms in 0_u32..1_000,
    ) -> HomeSpec {
        let mut spec = HomeSpec::draw(seed);
        spec.load = LoadSpec { profile, ev_charger_watts, ..spec.load };
        spec.battery = BatterySpec {
            c_rate_permille,
            one_way_efficiency_permille,
            soc_max_permille,
            standby_milliwatts,
            taper_from_permille,
            taper_floor_permille,
            ..spec.battery
        };
        spec.pv.nameplate_watts = spec.pv.peak_watts * nameplate_permille / 1_000;
        spec.grid = GridSpec { impedance_milliohms, swing_millihertz: 50, ..spec.grid };
        spec
    }
}

/// The energies of a home as a list, in the order of their declaration.
fn all(energies: Energies) -> [Energy; 11] {
    let Energies {
        grid_import,
        grid_export,
        load,
        pv,
        battery_charge,
        battery_discharge,
        pv_dc,
        battery_dc_charge,
        battery_dc_discharge,
        inverter_injected,
        inverter_absorbed,
    } = energies;
    [
        grid_import,
        grid_export,
        load,
        pv,
        battery_charge,
        battery_discharge,
        pv_dc,
        battery_dc_charge,
        battery_dc_discharge,
        inverter_injected,
        inverter_absorbed,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn import_minus_export_is_load_plus_charge_minus_discharge_minus_pv(
        spec in any_home(),
        start in JANUARY_2026..JANUARY_2026 + 400 * DAY,
        steps in prop::collection::vec(1_i64..1_200, 1..300),
    ) {
        let mut home = Home::new(spec, start);
        let (lifetime, stored) = (home.energies(), home.stored());
        let mut before = lifetime;
        assert_balance(before);
        for step in steps {
            home.advance_to(home.now() + step);
            let (flow, energies) = (home.flow(), home.energies());
            prop_assert_eq!(flow.grid, flow.load - flow.pv - flow.battery);
            assert_balance(energies);
            for (now, then) in all(energies).into_iter().zip(all(before)) {
                prop_assert!(now >= then, "an energy ran backwards");
            }
            let passed = |of: fn(Energies) -> Energy| of(energies) - of(lifetime);
            prop_assert_eq!(
                home.stored() - stored,
                passed(|e| e.battery_dc_charge) - passed(|e| e.battery_dc_discharge)
            );
            prop_assert_eq!(
                passed(|e| e.inverter_injected) - passed(|e| e.inverter_absorbed),
                passed(|e| e.pv) + passed(|e| e.battery_discharge) - passed(|e| e.battery_charge)
            );
            before = energies;
        }
    }

    #[test]
    fn no_energy_comes_from_nothing(
        spec in any_home(), start in JANUARY_2026..JANUARY_2026 + 400 * DAY,
    ) {
        let mut home = Home::new(spec, start);
        let (battery, pv) = (home.spec().battery.clone(), home.spec().pv.clone());
        let peak = i64::from(pv.peak_watts) * 1_000;
        let soc_max = i64::from(battery.soc_max_permille) * 10;
        let cells_max = i64::from(battery.capacity_watt_hours) * i64::from(battery.c_rate_permille);
        for _ in 0..2 * 1_440 {
            let (soc_before, stored_before) = (home.soc_basis_points(), home.stored());
            home.advance_to(home.now().div_euclid(60) * 60 + 60);
            let (flow, soc) = (home.flow(), home.soc_basis_points());
            prop_assert!(flow.load >= 0);
            prop_assert!(0 <= flow.pv && flow.pv <= flow.pv_dc, "{flow:?}");
            prop_assert!(flow.pv_dc <= peak * 14 / 10, "{flow:?} from a peak of {peak} mW");
            prop_assert!(flow.pv <= i64::from(pv.nameplate_watts) * 1_000);
            prop_assert!(flow.battery <= flow.battery_dc, "{flow:?}");
            prop_assert!(flow.battery.abs() <= i64::from(battery.power_watts) * 1_000);
            if flow.battery == 0 {
                prop_assert!((0..=i64::from(battery.standby_milliwatts)).contains(&flow.battery_dc));
                prop_assert!(home.stored() <= stored_before, "standby only drains");
            } else if cells_max > 0 {
                prop_assert!(flow.battery_dc.abs() <= cells_max, "{flow:?} beyond the C-rate");
            }
            prop_assert!((0..=soc_max).contains(&soc), "{soc} beyond the limits");
            if flow.battery > 0 {
                prop_assert!(soc >= 2_000.min(soc_before), "discharged to {soc} under the reserve");
            }
        }
    }

    #[test]
    fn accumulators_are_the_integral_of_power_minute_by_minute(
        spec in any_home(), day in 0_i64..400,
    ) {
        let mut home = Home::new(spec, JANUARY_2026 + day * DAY);
        let mut sums = all(home.energies());
        for _ in 0..1_440 {
            home.advance_to(home.now() + 60);
            let flow = home.flow();
            let inverter = flow.pv + flow.battery;
            let powers = [
                flow.grid, -flow.grid, flow.load, flow.pv, -flow.battery, flow.battery,
                flow.pv_dc, -flow.battery_dc, flow.battery_dc, inverter, -inverter,
            ];
            for (sum, power) in sums.iter_mut().zip(powers) {
                *sum += Energy::of_power(power.max(0), 60);
            }
        }
        prop_assert_eq!(all(home.energies()), sums);
    }

    #[test]
    fn the_length_of_the_steps_does_not_show(
        spec in any_home(),
        start in JANUARY_2026..JANUARY_2026 + 400 * DAY,
        steps in prop::collection::vec(1_i64..5_000, 1..60),
    ) {
        let (mut small, mut large) = (Home::new(spec.clone(), start), Home::new(spec, start));
        for step in &steps {
            small.advance_to(small.now() + step);
        }
        large.advance_to(start + steps.iter().sum::<i64>());
        for (a, b) in small.devices().iter().zip(large.devices()) {
            prop_assert_eq!(a.registers(), b.registers());
        }
        prop_assert_eq!(small.energies(), large.energies());
        prop_assert_eq!(small.stored(), large.stored());
        prop_assert_eq!(small.flow(), large.flow());
    }

    #[test]
    fn registers_are_the_floor_of_the_integrals(seed: u64, hours in 1_i64..200) {
        let mut home = Home::new(HomeSpec::draw(seed), JANUARY_2026 + 150 * DAY);
        home.advance_to(home.now() + hours * 3_600 + 17);
        let (energies, flow) = (home.energies(), home.flow());
        prop_assert_eq!(register(&home, 203, "TotWhImp"), floor_in_tenths(energies.grid_import));
        prop_assert_eq!(register(&home, 203, "TotWhExp"), floor_in_tenths(energies.grid_export));
        prop_assert_eq!(register(&home, 103, "WH"), floor_in_tenths(energies.pv));
        prop_assert_eq!(
            home.battery_inverter().value(103, "WH"),
            Some(floor_in_tenths(energies.battery_discharge))
        );
        prop_assert_eq!(i64::from(home.counters().pv_production.count), floor_in_tenths(energies.pv));
        prop_assert_eq!(register(&home, 203, "W"), flow.grid / 1_000);
        prop_assert_eq!(register(&home, 802, "SoC"), home.soc_basis_points() / 10);
    }

    #[test]
    fn the_battery_keeps_the_owners_reserve_and_makes_no_energy(seed: u64, day in 0_i64..365) {
        let mut home = Home::new(HomeSpec::draw(seed), JANUARY_2026 + day * DAY);
        let (stored, lifetime) = (home.stored(), home.energies());
        for _ in 0..3 * 96 {
            home.advance_to(home.now() + 900);
            prop_assert!((2_000..=10_000).contains(&home.soc_basis_points()));
        }
        let charged = home.energies().battery_charge - lifetime.battery_charge;
        let discharged = home.energies().battery_discharge - lifetime.battery_discharge;
        prop_assert!(home.stored() - stored <= charged - discharged);
    }
}

#[test]
fn a_battery_charges_from_the_midday_surplus_and_covers_the_evening() {
    let midnight = JANUARY_2026 + 160 * DAY;
    let mut home = Home::new(HomeSpec::draw(5), midnight);
    let (mut charged, mut discharged, mut exported_beside_charge) = (0, 0, 0);
    for minute in 1..=1_440 {
        home.advance_to(midnight + minute * 60);
        let flow = home.flow();
        charged += i64::from(flow.battery < 0 && flow.pv > flow.load);
        discharged += i64::from(flow.battery > 0 && flow.load > flow.pv);
        exported_beside_charge += i64::from(flow.battery < 0 && flow.grid > 0);
    }
    assert!(charged > 60, "{charged} minutes of charge");
    assert!(discharged > 60, "{discharged} minutes of discharge");
    assert_eq!(
        exported_beside_charge, 0,
        "the owner does not charge from the grid"
    );
}

#[test]
fn counters_wrap_and_differences_go_on() {
    let mut spec = HomeSpec::draw(3);
    spec.device_mut(gridtally_simulators::Role::Meter)
        .unwrap()
        .energy_scale = -3;
    spec.lifetime.grid_import = Energy::from_watt_hours(4_294_967) + Energy::from_milliwatt_seconds(1);
    let mut home = Home::new(spec, JANUARY_2026);
    let (before, energy_before) = (home.counters().grid_import, home.energies().grid_import);
    home.advance_to(JANUARY_2026 + DAY);
    let (after, energy_after) = (home.counters().grid_import, home.energies().grid_import);
    assert!(after.count < before.count, "{before:?} {after:?}");
    assert_eq!(
        after.milliwatt_hours_since(before),
        Some(energy_after.milliwatt_hours() - energy_before.milliwatt_hours())
    );
    assert_eq!(
        home.grid_meter().value(203, "TotWhImp"),
        Some(i64::from(after.count))
    );
}

#[test]
fn the_same_seed_makes_the_same_neighbourhood_and_another_seed_another() {
    let run = |seed, homes| {
        let mut neighbourhood = Neighbourhood::new(seed, homes, JANUARY_2026);
        neighbourhood.advance_to(JANUARY_2026 + DAY);
        neighbourhood
            .homes()
            .iter()
            .map(Home::energies)
            .collect::<Vec<_>>()
    };
    let twelve = run(1, 12);
    assert_eq!(twelve, run(1, 12));
    assert_eq!(
        twelve[..4],
        run(1, 4),
        "a home does not depend on how many there are"
    );
    assert_ne!(twelve, run(2, 12));
    assert!(
        twelve.windows(2).all(|pair| pair[0] != pair[1]),
        "neighbours differ"
    );
}

/// The seasons of the place, as a guard on sun and clouds: a south-facing kilowatt-peak near London
/// makes some 0.5 to 1.5 kWh a day in January and 3 to 6 in June.
#[test]
fn summer_and_winter_are_those_of_london() {
    let per_peak = |start: i64| {
        let mut neighbourhood = Neighbourhood::new(9, 6, start);
        neighbourhood.advance_to(start + 28 * DAY);
        let homes = neighbourhood.homes().iter();
        let (energy, peak) = homes.fold((0, 0), |(energy, peak), home| {
            let made = home.energies().pv - home.spec().lifetime.pv;
            (
                energy + made.milliwatt_hours() / 1_000,
                peak + i64::from(home.spec().pv.peak_watts),
            )
        });
        energy * 1_000 / peak / 28
    };
    let (january, june) = (per_peak(JANUARY_2026), per_peak(JANUARY_2026 + 151 * DAY));
    assert!(
        (500..1_500).contains(&january),
        "{january} Wh a day and kilowatt-peak"
    );
    assert!(
        (3_000..6_000).contains(&june),
        "{june} Wh a day and kilowatt-peak"
    );
}

/// What a home drawn from a seed does is a promise to the tests that know its figures: the physics
/// may grow, and what is new is off in such a home.
#[test]
fn drawn_homes_stay_what_they_were() {
    let figures = [1, 7, 5_000].map(|seed| {
        let mut home = Home::new(HomeSpec::draw(seed), JANUARY_2026 + 120 * DAY);
        home.advance_to(home.now() + 5 * DAY + 7_777);
        let (now, then) = (home.energies(), home.spec().lifetime);
        [
            now.grid_import - then.grid_import,
            now.grid_export - then.grid_export,
            now.load - then.load,
            now.pv - then.pv,
            now.battery_charge - then.battery_charge,
            now.battery_discharge - then.battery_discharge,
            home.stored(),
        ]
        .map(Energy::milliwatt_seconds)
    });
    let known = [
        [
            11_816_979_540,
            53_960_839_140,
            181_066_721_792,
            247_823_967_420,
            111_456_456_360,
            86_843_070_332,
            30_735_475_142,
        ],
        [
            5_244_000,
            210_887_905_680,
            148_172_339_071,
            371_482_430_100,
            87_468_791_160,
            75_041_361_811,
            15_653_255_563,
        ],
        [
            702_883_560,
            104_282_846_640,
            253_187_210_387,
            357_391_004_760,
            131_682_825_780,
            131_058_994_487,
            16_845_338_683,
        ],
    ];
    assert_eq!(figures, known);
}

/// A reserve of nothing, no sun and no household: the cells feed their own electronics until they are
/// empty.
#[test]
fn standby_empties_an_idle_battery_and_stops_there() {
    let mut spec = HomeSpec::draw(2);
    spec.load.scale_permille = 0;
    spec.pv.peak_watts = 0;
    spec.battery.standby_milliwatts = 40_000;
    let mut home = Home::new(spec, JANUARY_2026);
    let stored = home.stored();
    home.advance_to(JANUARY_2026 + DAY);
    assert_eq!(stored - home.stored(), Energy::from_watt_hours(40 * 24));
    home.advance_to(JANUARY_2026 + 30 * DAY);
    assert_eq!(home.stored(), Energy::ZERO);
    assert_eq!(home.soc_basis_points(), 0);
    assert_eq!(
        home.energies().battery_discharge,
        home.spec().lifetime.battery_discharge
    );
}

#[test]
fn a_tapered_battery_fills_more_slowly_and_no_less() {
    let day = |taper_floor_permille| {
        let mut spec = HomeSpec::draw(5);
        spec.load.scale_permille = 0;
        spec.battery.taper_from_permille = 800;
        spec.battery.taper_floor_permille = taper_floor_permille;
        let mut home = Home::new(spec, JANUARY_2026 + 160 * DAY);
        let mut minutes_to_full = 0;
        while home.soc_basis_points() < 9_990 && minutes_to_full < 1_440 {
            home.advance_to(home.now() + 60);
            minutes_to_full += 1;
        }
        minutes_to_full
    };
    let (flat, tapered) = (day(1_000), day(50));
    assert!(
        flat + 15 <= tapered && tapered < 1_440,
        "full after {flat} and {tapered} minutes"
    );
}

#[test]
fn a_seeded_household_has_evenings_and_weekends() {
    let mut spec = HomeSpec::draw(8);
    spec.load.profile = LoadProfile::Seeded;
    spec.load.shift_weeks = 0;
    // The first Monday of 2026.
    let monday = JANUARY_2026 + 4 * DAY;
    let mut home = Home::new(spec, monday);
    let mut used = |days: std::ops::Range<i64>, week: i64, hours: std::ops::Range<i64>| {
        let mut sum = 0;
        for day in days {
            let midnight = monday + (week * 7 + day) * DAY;
            home.advance_to(midnight + hours.start * 3_600);
            let before = home.energies().load;
            home.advance_to(midnight + hours.end * 3_600);
            sum += (home.energies().load - before).milliwatt_hours();
        }
        sum
    };
    let (mut night, mut evening, mut weekday_noon, mut weekend_noon) = (0, 0, 0, 0);
    for week in (0..16).step_by(4) {
        night += used(0..5, week, 1..5);
        evening += used(0..5, week + 1, 17..21);
        weekday_noon += used(0..5, week + 2, 10..15) / 5;
        weekend_noon += used(5..7, week + 3, 10..15) / 2;
    }
    assert!(evening > 2 * night, "{evening} and {night}");
    assert!(
        weekend_noon * 10 > weekday_noon * 13,
        "{weekend_noon} and {weekday_noon}"
    );
}
