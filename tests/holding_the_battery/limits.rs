//! Limits at the grid meter: kept within two ticks of each step of load and sun.

use gridtally_protocol::instruction::Target;
use gridtally_simulators::Role;

use crate::house::{House, Map, Plan};
use crate::obeyed::watts;

/// An owner whose battery rests: left alone, it would balance the house and leave nothing to an event.
pub fn rest(house: &House) {
    let own: &[(u16, &str, i32)] = match house.plan.map {
        Map::Der => &[(704, "WSetMod", 1), (704, "WSetEna", 1)],
        _ => &[(124, "OutWRte", 0), (124, "InWRte", 0), (124, "StorCtl_Mod", 3)],
    };
    for (model, point, value) in own {
        house.set_by_hand(Role::Battery, *model, point, *value);
    }
}

/// Plays an event from 60 to 1260 seconds. The physics steps at whole minutes and acts at once, the agent looks each
/// five seconds: what it sees at 5 acts by 10.
fn keeps(plan: Plan, target: Target, is_kept: impl Fn(i64) -> bool) -> House {
    let mut house = House::new(plan);
    rest(&house);
    let before = house.setting();
    house.asked(target, 60, 1_260);
    let mut free = 0;
    house.live_and_look(1_300, |house| {
        let (now, grid) = (house.now(), house.home.flow().grid);
        let since_step = (now - 1).rem_euclid(60) + 1;
        if (75..=1_260).contains(&now) && since_step > 10 {
            assert!(is_kept(grid), "{target:?} at {now}: {:?}", house.home.flow());
            free += 1;
        }
    });
    assert!(free > 150, "{free}");
    assert_eq!(house.setting(), before, "{target:?}");
    let names = house.story().names();
    assert!(
        names.ends_with(&["observed", "completed", "restored"]),
        "{names:?}"
    );
    house
}

fn steps() -> Vec<u32> {
    vec![300, 5_200, 900, 0, 7_400, 2_600, 4_800, 120]
}

#[test]
fn an_import_limit_is_kept_through_steps_of_the_load() {
    for map in [Map::Storage, Map::Der] {
        let mut plan = Plan::of(map);
        plan.load = steps();
        keeps(plan, Target::ImportLimit(watts(3_000)), |grid| grid <= 3_000_000);
    }
}

#[test]
fn an_export_limit_is_kept_by_the_battery_through_steps_of_load_and_sun() {
    for map in [Map::Storage, Map::Der] {
        let mut plan = Plan::of(map).at_noon();
        plan.load = steps();
        plan.limits_production = false;
        keeps(plan, Target::ExportLimit(watts(800)), |grid| grid >= -800_000);
    }
}

#[test]
fn an_export_limit_is_kept_by_the_roof_where_the_battery_is_full() {
    for map in [Map::Storage, Map::Der] {
        let mut plan = Plan::of(map).at_noon();
        plan.load = steps();
        plan.charge_permille = 1_000;
        keeps(plan, Target::ExportLimit(watts(1_500)), |grid| grid >= -1_500_000);
    }
}
