//! What devices in the field are known to do to those who control them, each with a test of its name.

use gridtally_edge::control::policy::Decision;
use gridtally_protocol::acknowledgement::{Declined, Stage};
use gridtally_protocol::instruction::Target;
use gridtally_simulators::{Fault, Role};

use crate::house::{House, Map, Plan};
use crate::obeyed::watts;

fn event(plan: Plan, target: Target, prepare: impl Fn(&House)) -> House {
    let mut house = House::new(plan);
    prepare(&house);
    let before = house.setting();
    let decision = house.asked(target, 60, 600);
    assert!(matches!(decision, Decision::OptedIn { .. }), "{decision:?}");
    house.live_until(1_100);
    assert_eq!(house.setting(), before);
    house
}

fn stopped(house: &mut House) -> Option<Declined> {
    house
        .story()
        .only()
        .into_iter()
        .find_map(|(stage, _)| match stage {
            Stage::Stopped(why) => Some(why),
            _ => None,
        })
}

#[test]
fn control_that_is_switched_off_in_the_vendor_s_menu_ends_the_event_as_a_fault() {
    for map in [Map::Storage, Map::Der, Map::Sungrow] {
        let fault = |house: &House| house.battery().inject(Fault::WritesRefused);
        let mut house = event(Plan::of(map), Target::SetPoint(watts(3_000)), fault);
        assert_eq!(stopped(&mut house), Some(Declined::DeviceFault), "{map:?}");
        assert!(!house.story().names().contains(&"written"), "{map:?}");
    }
}

#[test]
fn a_device_that_ignores_writes_is_never_said_to_have_read_back() {
    for map in [Map::Storage, Map::Der, Map::Sungrow] {
        let fault = |house: &House| house.battery().inject(Fault::WritesIgnored);
        let mut house = event(Plan::of(map), Target::SetPoint(watts(3_000)), fault);
        assert_eq!(stopped(&mut house), Some(Declined::DeviceFault), "{map:?}");
        assert!(!house.story().names().contains(&"read_back"), "{map:?}");
    }
}

#[test]
fn a_device_that_reads_back_and_goes_on_as_before_is_found_out_and_given_back() {
    for map in [Map::Storage, Map::Der, Map::Sungrow] {
        let fault = |house: &House| house.battery().inject(Fault::WritesNotObeyed);
        let mut house = event(Plan::of(map), Target::SetPoint(watts(3_000)), fault);
        assert_eq!(stopped(&mut house), Some(Declined::ObservedOtherwise), "{map:?}");
        assert!(!house.story().names().contains(&"observed"), "{map:?}");
    }
}

#[test]
fn a_set_point_that_stands_still_costs_the_flash_of_a_device_a_few_writes_an_hour() {
    for map in [Map::Storage, Map::Der, Map::Sungrow] {
        let mut house = House::new(Plan::of(map).counted());
        house.asked(Target::SetPoint(watts(1_000)), 60, 3_660);
        house.live_until(3_700);
        let writes = house.book.writes().len();
        // Each third of the timer, in four requests at most, and the restoration.
        assert!((1..=13 * 4).contains(&writes), "{map:?}: {writes}");
    }
}

#[test]
fn a_limit_that_follows_the_load_writes_no_more_often_than_the_load_steps() {
    let mut plan = Plan::of(Map::Storage).counted();
    plan.load = vec![4_000, 4_030, 4_010, 6_000, 6_020];
    let mut house = House::new(plan);
    crate::limits::rest(&house);
    house.asked(Target::ImportLimit(watts(3_000)), 60, 3_660);
    house.live_until(3_700);
    let writes = house.book.writes().len();
    // Two great steps in five minutes, each of two or three requests in two ticks; the little ones cost nothing.
    assert!(writes <= 12 * 2 * 2 * 3, "{writes}");
    assert!(writes >= 12 * 2, "{writes}");
}

#[test]
fn a_percentage_is_of_what_the_device_says_and_no_battery_does_more_than_was_asked() {
    // 1200 W that became 5000 W: the percentage was of another number than the writer thought.
    for map in [Map::Storage, Map::Der, Map::Sungrow] {
        let mut house = House::new(Plan::of(map));
        house.asked(Target::SetPoint(watts(-1_200)), 60, 600);
        let mut most = 0;
        house.live_and_look(600, |house| {
            if house.now() > 60 {
                most = most.max(-house.home.flow().battery);
            }
        });
        assert!((1_199_000..=1_200_000).contains(&most), "{map:?}: {most}");
    }
}

#[test]
fn a_limit_of_nothing_is_kept_by_the_roof_and_taken_back() {
    // Some inverters go into standby at a limit of 0; the simulators' do not, so only the taking back is shown.
    for map in [Map::Storage, Map::Der] {
        let mut plan = Plan::of(map).at_noon();
        plan.charge_permille = 1_000;
        plan.load = vec![50];
        let mut house = event(plan, Target::ExportLimit(watts(0)), |_| {});
        let names = house.story().names();
        assert!(
            names.contains(&"observed") && names.contains(&"restored"),
            "{map:?}: {names:?}"
        );
    }
}

#[test]
fn a_timer_that_never_counts_is_no_excuse_the_agent_takes_back_itself() {
    for fault in [
        Fault::NeverReverts,
        Fault::ReversionUnit { seconds: 60 },
        Fault::HeartbeatIgnored,
    ] {
        for map in [Map::Storage, Map::Der] {
            let mut house = event(Plan::of(map), Target::SetPoint(watts(3_000)), |house| {
                house.battery().inject(fault);
            });
            assert!(house.story().names().contains(&"restored"), "{fault:?} {map:?}");
        }
    }
}

#[test]
fn a_hybrid_inverter_is_held_by_its_battery_s_registers_and_not_by_those_of_panels_and_battery_together() {
    let mut house = House::new(Plan::of(Map::Hybrid).at_noon());
    let before = house.setting();
    house.asked(Target::SetPoint(watts(1_000)), 60, 600);
    house.live_and_look(700, |house| {
        if (70..=600).contains(&house.now()) {
            assert_eq!(house.home.flow().battery, 1_000_000, "at {}", house.now());
        }
    });
    assert_eq!(house.setting(), before);
}

#[test]
fn what_the_owner_changes_beside_an_event_stays() {
    let mut house = House::new(Plan::of(Map::Storage));
    house.asked(Target::SetPoint(watts(3_000)), 60, 600);
    house.live_until(100);
    house.set_by_hand(Role::Battery, 124, "MinRsvPct", 3_000);
    house.live_until(700);
    assert_eq!(house.battery().value(124, "MinRsvPct"), Some(3_000));
    assert!(house.story().names().contains(&"completed"));
}
