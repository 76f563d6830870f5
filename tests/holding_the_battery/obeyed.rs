//! Every kind of instruction, by every map: what was asked is what the physics does, and afterwards each register
//! is as it was.

use gridtally_edge::control::policy::Decision;
use gridtally_protocol::instruction::{Charge, Level, Target};
use gridtally_protocol::quantity::Milliwatts;

use crate::house::{House, Map, Plan, Ticked};

const MAPS: [Map; 3] = [Map::Storage, Map::Der, Map::Sungrow];

pub const fn watts(watts: i64) -> Milliwatts {
    Milliwatts::new(watts * 1_000)
}

const TO_THE_END: [&str; 7] = [
    "received",
    "opted_in",
    "written",
    "read_back",
    "observed",
    "completed",
    "restored",
];

/// Plays an event from 60 to 600 seconds and returns the powers of the battery during it, after the first tick.
fn play(house: &mut House, target: Target) -> Vec<i64> {
    let before = house.setting();
    let decision = house.asked(target, 60, 600);
    assert!(matches!(decision, Decision::OptedIn { .. }), "{decision:?}");
    let mut powers = Vec::new();
    let lived = house.live_and_look(700, |house| {
        if (70..=600).contains(&house.now()) {
            powers.push(house.home.flow().battery);
        }
        if house.now() <= 60 {
            assert_eq!(house.setting(), before, "touched before its time");
        }
    });
    assert_eq!(lived, Ticked::Done);
    assert_eq!(house.setting(), before, "{target:?} by {:?}", house.plan.map);
    powers
}

#[test]
fn a_set_point_is_what_the_battery_does_and_afterwards_each_register_is_as_it_was() {
    for map in MAPS {
        for asked in [3_000, 517, 0, -1_300, -5_000] {
            let mut house = House::new(Plan::of(map));
            let powers = play(&mut house, Target::SetPoint(watts(asked)));
            for power in &powers {
                // Never more than was asked, and no less than a step of its registers.
                let is_so = (power / 1_000 - asked).abs() <= 1 && power.abs() <= asked.abs() * 1_000;
                assert!(is_so, "{asked} W by {map:?}: {powers:?}");
            }
            assert_eq!(house.story().names(), TO_THE_END, "{asked} W by {map:?}");
        }
    }
}

#[test]
fn a_set_point_beyond_the_nameplate_is_cut_to_it_and_said_so() {
    for map in MAPS {
        let mut house = House::new(Plan::of(map));
        let powers = play(&mut house, Target::SetPoint(watts(9_000)));
        assert!(
            powers.iter().all(|power| *power == 5_000_000),
            "{map:?}: {powers:?}"
        );
        let stages = house.story().only();
        // What is observed may be measured on the other side of the inverter.
        let told = stages.iter().filter(|(stage, _)| stage.name() != "observed");
        let powers: Vec<_> = told.filter_map(|(stage, _)| stage.power()).collect();
        assert_eq!(powers, [watts(5_000); 3], "{map:?}: {stages:?}");
    }
}

#[test]
fn a_level_is_its_share_of_what_the_owner_leaves() {
    for map in MAPS {
        for (level, share) in [
            (Level::Moderate, 1_000),
            (Level::High, 2_000),
            (Level::Special, 3_000),
        ] {
            let mut plan = Plan::of(map);
            plan.owner = "discharge_limit_watts = 3000\n".to_owned();
            let mut house = House::new(plan);
            let powers = play(&mut house, Target::Simple(level));
            for power in &powers {
                assert!(
                    (power / 1_000 - share).abs() <= 1,
                    "{level:?} by {map:?}: {powers:?}"
                );
            }
            assert_eq!(house.story().names(), TO_THE_END, "{level:?} by {map:?}");
        }
    }
}

#[test]
fn a_charge_state_is_reached_in_time_and_not_passed() {
    for map in MAPS {
        for wanted in [57_000, 63_000] {
            let mut house = House::new(Plan::of(map));
            play(
                &mut house,
                Target::ChargeState(Charge::from_thousandths(wanted).unwrap()),
            );
            let reached = house.home.soc_basis_points() * 10;
            // The hundred seconds after it belong to the owner: 800 W out of 10 kWh are a quarter of a percent.
            assert!((reached - wanted).abs() <= 500, "{wanted} by {map:?}: {reached}");
        }
    }
}
