//! What is written to each model.

use super::device::{Device, pairs};
use super::{RATINGS, seconds, watts};
use crate::device::controls::{Command, ControlError, Controls, Ratings};

fn minus(count: i16) -> u16 {
    (-count).cast_unsigned()
}

#[test]
fn storage_is_pinned_from_both_sides_with_its_timers_and_then_enabled() {
    let plan = Device::storage().plan(Command::Hold(watts(3_000)));
    let rates = vec![6_000, minus(6_000), 0, 900, 0];
    assert_eq!(pairs(&plan.writes), [(12, rates), (5, vec![3])]);
    assert_eq!((plan.has_timer, plan.reversion_seconds), (true, Some(900)));
    let plan = Device::storage().plan(Command::Hold(watts(0)));
    assert_eq!(pairs(&plan.writes)[0].1[..2], [0, 0]);
}

#[test]
fn a_charge_from_the_grid_is_demanded_only_if_the_owner_allows_it() {
    let device = Device::storage();
    let charge = Command::Hold(watts(-2_500));
    let plan = device.plan(charge);
    let demand = vec![minus(5_000), 5_000, 0, 900, 0, 1];
    assert_eq!(pairs(&plan.writes), [(12, demand), (5, vec![3])]);
    let careful = device.controls().allowing_grid_charging(false);
    let plan = careful.plan(charge, seconds(900)).unwrap();
    let permission = vec![0, 5_000, 0, 900, 0];
    assert_eq!(pairs(&plan.writes), [(12, permission), (5, vec![3])]);
    let careful = Device::der().controls().allowing_grid_charging(false);
    assert!(matches!(
        careful.plan(charge, seconds(900)),
        Err(ControlError::GridCharging { .. })
    ));
}

#[test]
fn registers_that_storage_does_not_have_are_left_out_and_timers_go_before_rates() {
    let device = Device::storage().without(&["InOutWRte_WinTms", "InOutWRte_RmpTms", "ChaGriSet"]);
    let plan = device.plan(Command::Hold(watts(-2_500)));
    let rates = vec![minus(5_000), 5_000];
    assert_eq!(pairs(&plan.writes), [(15, vec![900]), (12, rates), (5, vec![3])]);
}

#[test]
fn a_release_switches_storage_off_before_it_opens_the_rates() {
    let plan = Device::storage()
        .with(&[("StorCtl_Mod", 3)])
        .plan(Command::Release);
    assert_eq!(pairs(&plan.writes), [(5, vec![0]), (12, vec![10_000, 10_000])]);
}

#[test]
fn a_limit_is_one_request_of_five_registers() {
    let plan = Device::limit().plan(Command::LimitProduction(watts(3_000)));
    assert_eq!(pairs(&plan.writes), [(5, vec![6_000, 0, 900, 0, 1])]);
    assert_eq!(plan.expressed, watts(3_000));
}

#[test]
fn a_release_of_a_limit_lifts_it_too_and_keeps_the_timer_as_it_is() {
    let device = Device::limit().with(&[("WMaxLimPct_RvrtTms", 300), ("WMaxLim_Ena", 1)]);
    let plan = device.plan(Command::Release);
    assert_eq!(pairs(&plan.writes), [(5, vec![10_000, 0, 300, 0, 0])]);
}

#[test]
fn a_set_point_is_in_watts_and_enabled_after_value_and_timer() {
    let plan = Device::der().plan(Command::Hold(watts(-3_000)));
    let watts = vec![1, 0xFFFF, minus(3_000)];
    // What it returns to comes before the timer that brings it there.
    let expected = [
        (26, vec![0, 0]),
        (30, vec![0, 0, 900]),
        (23, watts),
        (22, vec![1]),
    ];
    assert_eq!(pairs(&plan.writes), expected);
}

#[test]
fn a_device_returns_to_the_owners_set_point_and_never_to_the_agents() {
    let owners = Device::der().with(&[("WSetEna", 1), ("WSetMod", 1), ("WSet", 700)]);
    let saved = owners.controls().saved();
    let mut device = owners.clone();
    for power in [3_000, 2_000] {
        let controls = device.controls().with_owner(&saved);
        let plan = controls.plan(Command::Hold(watts(power)), seconds(900)).unwrap();
        device.obey(&plan.writes);
        assert_eq!((device.get("WSetRvrt"), device.get("WSetEnaRvrt")), (700, 1));
    }
    let stranger = device.plan(Command::Hold(watts(1_000)));
    device.obey(&stranger.writes);
    assert_eq!((device.get("WSetRvrt"), device.get("WSetEnaRvrt")), (0, 0));
}

#[test]
fn a_limit_of_model_704_is_value_and_timer_then_the_switch() {
    let plan = Device::der().plan(Command::LimitProduction(watts(2_500)));
    let value = vec![5_000, 10_000, 0, 0, 900];
    assert_eq!(pairs(&plan.writes), [(15, value), (14, vec![1])]);
}

#[test]
fn the_countdown_is_that_of_the_control_that_is_on() {
    let device = Device::der().with(&[("WSetRvrtRem", 0x1_0001), ("WMaxLimPctRvrtRem", 5)]);
    assert_eq!(device.controls().remaining(), None);
    let device = device.with(&[("WSetEna", 1)]);
    assert_eq!(device.controls().remaining(), Some(0x1_0001));
    assert_eq!(
        device.with(&[("WMaxLimPctEna", 1)]).controls().remaining(),
        Some(5)
    );
    let silent = Device::der().with(&[("WSetEna", 1)]).without(&["WSetRvrtRem"]);
    assert_eq!(silent.controls().remaining(), None);
    assert_eq!(Device::storage().controls().remaining(), None);
}

#[test]
fn what_a_map_cannot_do_is_refused() {
    let hold = Command::Hold(watts(1));
    let limit = Command::LimitProduction(watts(1));
    for (device, command) in [(Device::limit(), hold), (Device::storage(), limit)] {
        let refused = device.controls().plan(command, seconds(900));
        assert!(matches!(refused, Err(ControlError::Unsupported { .. })));
    }
    let below = Device::limit()
        .controls()
        .plan(Command::LimitProduction(watts(-1)), seconds(900));
    assert!(matches!(below, Err(ControlError::BelowZero { .. })));
    let unknown = Controls::of_model(&Device::der().words, Ratings::default()).unwrap();
    for command in [hold, limit] {
        let refused = unknown.plan(command, seconds(900));
        assert!(matches!(refused, Err(ControlError::NoRating { .. })));
    }
}

#[test]
fn registers_of_another_model_and_those_behind_the_stated_length_are_not_taken() {
    for words in [vec![], vec![103, 50, 0], vec![0xFFFF, 0]] {
        assert!(matches!(
            Controls::of_model(&words, RATINGS),
            Err(ControlError::Header { .. })
        ));
    }
    let mut short = Device::limit();
    short.words[1] = 6;
    let plan = short
        .controls()
        .plan(Command::LimitProduction(watts(1)), seconds(900));
    assert!(matches!(plan, Err(ControlError::NoRegister { .. })));
}
