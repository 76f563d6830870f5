//! The owner changes his mind while an event runs: he is not overruled, and what he set is what remains.

use gridtally_edge::control::policy::Decision;
use gridtally_protocol::acknowledgement::{Declined, Stage};
use gridtally_protocol::instruction::Target;
use gridtally_protocol::report::ClockState;
use gridtally_simulators::{Fault, Role};

use crate::house::{House, Map, Plan};
use crate::obeyed::watts;

/// The event is from 60 to 600 seconds; the device's timer is restarted at 360.
const STEPS: [i64; 9] = [0, 55, 60, 65, 100, 355, 360, 595, 600];

type Setting = Vec<(String, Vec<u16>)>;

/// What the owner writes, and what must stand there ever after.
fn by_hand(map: Map) -> (Role, u16, Vec<(&'static str, i32)>) {
    match map {
        Map::Der => (
            Role::Battery,
            704,
            vec![("WSet", 900), ("WSetMod", 1), ("WSetEna", 1)],
        ),
        _ => (Role::Battery, 124, vec![("OutWRte", 2_000), ("StorCtl_Mod", 2)]),
    }
}

#[test]
fn what_the_owner_sets_by_hand_in_any_step_is_not_overruled_and_is_what_remains() {
    for map in [Map::Storage, Map::Der] {
        let (role, model, points) = by_hand(map);
        let expected = {
            let house = House::new(Plan::of(map));
            for (point, value) in &points {
                house.set_by_hand(role, model, point, *value);
            }
            house.setting()
        };
        for step in STEPS {
            let mut house = House::new(Plan::of(map));
            house.asked(Target::SetPoint(watts(3_000)), 60, 600);
            house.live_until(step);
            for (point, value) in &points {
                house.set_by_hand(role, model, point, *value);
            }
            let his = |setting: &Setting| {
                let is_his = |name: &str| {
                    points
                        .iter()
                        .any(|(point, _)| name.ends_with(&format!(".{point}")))
                };
                setting
                    .iter()
                    .filter(|(name, _)| is_his(name))
                    .cloned()
                    .collect::<Setting>()
            };
            let is_begun = step >= 60;
            house.live_and_look(700, |house| {
                if is_begun {
                    assert_eq!(his(&house.setting()), his(&expected), "{map:?} at {step}");
                }
            });
            assert_eq!(house.setting(), expected, "{map:?} at {step}");
            // What is left of our timer must not take it back.
            house.pass_until(2_000);
            assert_eq!(house.setting(), expected, "{map:?} at {step}, later");
            let stages = house.story().only();
            // Whichever comes first: the battery goes on otherwise, or the registers are looked at again, each
            // quarter of a minute.
            let is_said = stages.iter().any(|(stage, _)| {
                let [by_hand, otherwise] =
                    [Declined::OwnerOptOut, Declined::ObservedOtherwise].map(Stage::Stopped);
                *stage == by_hand || *stage == otherwise
            });
            assert!(
                is_said || !is_begun || step >= 585,
                "{map:?} at {step}: {stages:?}"
            );
        }
    }
}

#[test]
fn a_single_limit_that_the_owner_sets_by_hand_does_not_stay_mixed_with_ours() {
    let mut house = House::new(Plan::of(Map::Storage));
    house.asked(Target::SetPoint(watts(3_000)), 60, 600);
    house.live_until(100);
    house.set_by_hand(Role::Battery, 124, "OutWRte", 2_000);
    house.live_until(700);
    let shown = ["StorCtl_Mod", "OutWRte", "InWRte", "InOutWRte_RvrtTms"];
    let shown = shown.map(|point| house.battery().value(124, point).unwrap());
    // His limit, in force; nothing of the forced discharge, and no timer.
    assert_eq!(shown, [2, 2_000, 10_000, 0]);
}

#[test]
fn an_opt_out_in_any_step_gives_the_battery_back_at_the_next_tick() {
    for map in [Map::Storage, Map::Der, Map::Sungrow] {
        for step in STEPS.into_iter().filter(|step| *step < 595) {
            let mut house = House::new(Plan::of(map));
            let before = house.setting();
            house.asked(Target::SetPoint(watts(3_000)), 60, 600);
            house.live_until(step);
            let until = house.at(10_000);
            house.outbox().opt_out(Some(until)).unwrap();
            house.pass_until(step + 5);
            house.tick();
            assert_eq!(house.setting(), before, "{map:?} at {step}");
            house.live_until(700);
            assert_eq!(house.setting(), before, "{map:?} at {step}");
            let names = house.story().names();
            assert_eq!(
                names.contains(&"restored"),
                step >= 60,
                "{map:?} at {step}: {names:?}"
            );
            assert!(!names.contains(&"completed"), "{map:?} at {step}: {names:?}");
        }
    }
}

/// Plays an event that must end early for this reason, and returns when.
fn ends_early(house: &mut House, target: Target, change: impl Fn(&mut House), why: Declined) -> i64 {
    let before = house.setting();
    house.asked(target, 60, 600);
    house.live_until(200);
    change(house);
    house.live_until(700);
    assert_eq!(house.setting(), before, "{why}");
    let stages = house.story().only();
    let [.., (stopped, at), (Stage::Restored, back)] = stages.as_slice() else {
        panic!("{stages:?}");
    };
    assert_eq!((*stopped, back), (Stage::Stopped(why), at), "{stages:?}");
    *at
}

#[test]
fn at_the_reserve_the_event_ends_and_the_reserve_is_kept() {
    for map in [Map::Storage, Map::Der, Map::Sungrow] {
        let mut plan = Plan::of(map);
        plan.charge_permille = 230;
        let mut house = House::new(plan);
        let at = ends_early(
            &mut house,
            Target::SetPoint(watts(5_000)),
            |_| {},
            Declined::ReserveReached,
        );
        // What the owner himself uses of it afterwards is his affair; the event's last tick took seven watt-hours.
        let used = (700 - at) * 800 * 1_000 / 949 / 3_600;
        let kept = house.home.soc_basis_points() + used;
        assert!((1_990..=2_010).contains(&kept), "{map:?}: {kept}");
    }
}

#[test]
fn at_the_ceiling_the_event_ends() {
    let mut plan = Plan::of(Map::Storage);
    plan.owner = "ceiling_percent = 62\n".to_owned();
    let mut house = House::new(plan);
    ends_early(
        &mut house,
        Target::SetPoint(watts(-5_000)),
        |_| {},
        Declined::BatteryFull,
    );
    let reached = house.home.soc_basis_points();
    assert!(reached <= 6_200, "{reached}");
}

#[test]
fn a_clock_that_is_no_longer_trusted_ends_the_event_at_once() {
    let mut house = House::new(Plan::of(Map::Storage));
    let unsure = |house: &mut House| house.clock = ClockState::Unknown;
    let at = ends_early(
        &mut house,
        Target::SetPoint(watts(3_000)),
        unsure,
        Declined::ClockUnsure,
    );
    assert_eq!(at, 200);
}

#[test]
fn quiet_hours_that_the_owner_sets_during_an_event_end_it_when_they_begin() {
    let mut house = House::new(Plan::of(Map::Storage));
    let quiet = |house: &mut House| {
        house.die();
        house.plan.owner = "time_zone = \"UTC\"\nquiet_hours = [\"00:05-01:00\"]\n".to_owned();
    };
    let at = ends_early(
        &mut house,
        Target::SetPoint(watts(3_000)),
        quiet,
        Declined::QuietHours,
    );
    assert_eq!(at, 300);
}

#[test]
fn what_the_owner_does_not_take_part_in_is_never_begun() {
    for (owner, why) in [
        ("programs = [\"winter\"]\n", Declined::ProgramNotOptedIn),
        ("price_min = \"0.5\"\n", Declined::PriceTooLow),
        ("participate = false\n", Declined::OwnerOptOut),
        ("power_watts_min = 4000\n", Declined::BeyondOwnerLimits),
    ] {
        let mut plan = Plan::of(Map::Storage).counted();
        plan.owner = owner.to_owned();
        let mut house = House::new(plan);
        let decision = house.asked(Target::SetPoint(watts(3_000)), 60, 600);
        assert_eq!(decision, Decision::OptedOut(why), "{owner}");
        house.live_until(200);
        assert_eq!(house.book.writes(), [], "{owner}");
    }
}

#[test]
fn an_orderly_end_gives_the_battery_back_at_once() {
    for map in [Map::Storage, Map::Der, Map::Sungrow] {
        let mut house = House::new(Plan::of(map));
        let before = house.setting();
        house.asked(Target::SetPoint(watts(3_000)), 60, 600);
        house.live_until(200);
        assert_ne!(house.setting(), before);
        house.stop();
        assert_eq!(house.setting(), before, "{map:?}");
    }
}

/// The grid fails: inverters and meter lose their supply, and are there again minutes later. The broker of these
/// houses is nowhere at all times, so an outage of the link and of the engine is in every test of this file.
#[test]
fn an_outage_of_the_grid_leaves_the_battery_with_its_owner() {
    // Short ones: a dead device costs real seconds of waiting at each boundary.
    for map in [Map::Storage, Map::Der] {
        for (from, until) in [(30, 90), (590, 650)] {
            let mut house = House::new(Plan::of(map));
            let before = house.setting();
            for device in house.home.devices() {
                let start = house.plan.start;
                device.schedule(Fault::Offline, start + from..start + until);
            }
            house.asked(Target::SetPoint(watts(3_000)), 60, 600);
            house.live_until(until.max(600) + 400);
            assert_eq!(house.setting(), before, "{map:?} {from} to {until}");
            house.story();
        }
    }
}
