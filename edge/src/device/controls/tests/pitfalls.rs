//! What devices in the field do, where it can be seen in registers.

use super::device::{Device, pairs};
use super::{RATINGS, watts};
use crate::device::controls::{Command, ControlError, Kept, Ratings};

fn hold(power: i64) -> Command {
    Command::Hold(watts(power))
}

#[test]
fn a_scale_factor_that_changes_after_the_write_is_not_kept() {
    let mut device = Device::storage();
    let plan = device.plan(hold(3_000));
    device.obey(&plan.writes);
    device.set("InOutWRte_SF", 0);
    let kept = plan.is_kept_by(&device.controls());
    assert!(
        matches!(&kept, Kept::No { register, .. } if register == "InOutWRte_SF"),
        "{kept}"
    );
    assert!(
        !device.controls().was_changed_since(&plan),
        "no owner changes a scale factor"
    );
}

#[test]
fn a_device_that_ignores_the_scale_factor_on_write_and_clamps_is_not_kept() {
    let mut device = Device::storage();
    let plan = device.plan(hold(3_000));
    device.obey(&plan.writes);
    device.set("OutWRte", 100);
    let kept = plan.is_kept_by(&device.controls());
    let (wrote, shows) = (vec![6_000], vec![100]);
    let register = "OutWRte".to_owned();
    assert_eq!(
        kept,
        Kept::No {
            register,
            wrote,
            shows
        }
    );
}

#[test]
fn a_scale_factor_that_cannot_be_is_an_error_and_not_a_power() {
    for scale in [-11, 11, 0x7FFF, -0x8000] {
        let device = Device::storage().with(&[("InOutWRte_SF", scale)]);
        let plan = device.controls().plan(hold(1_000), super::seconds(900));
        assert!(matches!(plan, Err(ControlError::Scale { .. })), "{scale}");
    }
}

#[test]
fn a_setting_saved_under_another_scale_factor_keeps_its_meaning() {
    let owners = Device::storage().with(&[("StorCtl_Mod", 1), ("InWRte", 2_500)]);
    let saved = owners.controls().saved();
    let mut device = owners.with(&[("InOutWRte_SF", 0), ("InWRte", 60)]);
    device.obey(&saved.restore(&device.controls()).unwrap());
    assert_eq!((device.get("InWRte"), device.get("OutWRte")), (25, 100));
    assert_eq!(saved.is_kept_by(&device.controls()), Ok(Kept::Yes));
}

#[test]
fn a_set_point_is_given_in_watts_where_percent_is_of_another_rating() {
    let device = Device::der();
    let plan = device.plan(hold(1_200));
    let percent = device.offset("WSetPct");
    assert!(plan.writes.iter().all(|write| {
        let end = usize::from(write.offset) + write.words.len();
        !(usize::from(write.offset)..end).contains(&usize::from(percent))
    }));
    assert_eq!(plan.expressed, watts(1_200));
}

#[test]
fn where_there_is_percent_only_it_is_of_the_greatest_rating_and_so_never_too_much() {
    let mut device = Device::der().without(&["WSet", "WSetRvrt"]);
    device.ratings = Ratings {
        charge: Some(watts(5_000)),
        discharge: Some(watts(5_000)),
        production: Some(watts(10_000)),
    };
    let plan = device.plan(hold(2_500));
    device.obey(&plan.writes);
    assert_eq!((device.get("WSetMod"), device.get("WSetPct")), (0, 2_500));
    assert_eq!(plan.expressed, watts(2_500));
}

#[test]
fn a_rate_of_storage_is_never_more_than_asked_whichever_rating_the_device_means() {
    let mut device = Device::storage();
    device.ratings.discharge = Some(watts(10_000));
    let plan = device.plan(hold(5_000));
    assert_eq!(
        plan.writes[0].words[0], 5_000,
        "50 % of 10 kW, should it mean that"
    );
}

#[test]
fn a_timer_of_32_bits_is_two_registers_with_the_high_word_first() {
    let device = Device::der();
    let plan = device.controls().plan(hold(1_000), super::seconds(120)).unwrap();
    let timer = device.offset("WSetRvrtTms");
    let expected = plan.expects.iter().find(|e| e.offset == timer).unwrap();
    assert_eq!(expected.words, [0, 120]);
    let plan = device
        .controls()
        .plan(hold(1_000), super::seconds(u32::MAX))
        .unwrap();
    assert_eq!(
        plan.reversion_seconds,
        Some(u32::MAX - 1),
        "all ones would be no timer"
    );
}

#[test]
fn a_timer_that_landed_in_the_high_word_is_seen() {
    let mut device = Device::der();
    let plan = device.controls().plan(hold(1_000), super::seconds(120)).unwrap();
    device.obey(&plan.writes);
    device.set("WSetRvrtTms", 120 << 16);
    let kept = plan.is_kept_by(&device.controls());
    assert!(matches!(kept, Kept::ButTimer { .. }), "{kept}");
    assert!(kept.is_kept());
}

#[test]
fn a_timer_that_counts_down_or_is_clamped_is_kept_and_one_that_was_dropped_is_told() {
    let mut device = Device::storage();
    let plan = device.plan(hold(1_000));
    device.obey(&plan.writes);
    for (shown, kept) in [
        (900, true),
        (1, true),
        (300, true),
        (0, false),
        (1_000, false),
        (0xFFFF, false),
    ] {
        device.set("InOutWRte_RvrtTms", shown);
        let judged = plan.is_kept_by(&device.controls());
        assert_eq!(judged == Kept::Yes, kept, "{shown}");
        assert!(judged.is_kept() && !device.controls().was_changed_since(&plan));
    }
}

#[test]
fn the_enable_is_never_before_the_value() {
    for (device, command, switch) in [
        (Device::storage(), hold(1_000), "StorCtl_Mod"),
        (
            Device::limit(),
            Command::LimitProduction(watts(1_000)),
            "WMaxLim_Ena",
        ),
        (Device::der(), hold(1_000), "WSetEna"),
        (
            Device::der(),
            Command::LimitProduction(watts(1_000)),
            "WMaxLimPctEna",
        ),
    ] {
        let mut now = device.clone();
        let mut on = Vec::new();
        now.obey_showing(&device.plan(command).writes, |now| on.push(now.get(switch) != 0));
        assert_eq!(
            on.iter().position(|on| *on),
            Some(on.len() - 1),
            "{switch} is the last word"
        );
    }
}

#[test]
fn a_limit_of_nothing_is_written_as_it_was_asked_and_said_to_be_nothing() {
    for device in [Device::limit(), Device::der()] {
        let none = Command::LimitProduction(watts(0));
        let plan = device.plan(none);
        assert!(plan.limits_to_nothing(none));
        assert_eq!(plan.writes[0].words[0], 0);
        let some = Command::LimitProduction(watts(1));
        assert!(!device.plan(some).limits_to_nothing(some));
    }
    // A step of 1 % of 5 kW cannot say 30 W: the limit that is kept is none at all, and that is said, too.
    let coarse = Device::limit().with(&[("WMaxLimPct_SF", 0)]);
    let small = Command::LimitProduction(watts(30));
    assert!(coarse.plan(small).limits_to_nothing(small));
}

#[test]
fn a_write_that_reads_back_and_is_not_obeyed_is_kept_for_registers_know_no_more() {
    // As inverters do whose power control is switched off: only the meter tells.
    let mut device = Device::limit();
    let plan = device.plan(Command::LimitProduction(watts(1_000)));
    device.obey(&plan.writes);
    assert_eq!(plan.is_kept_by(&device.controls()), Kept::Yes);
}

#[test]
fn a_write_that_was_accepted_and_dropped_is_not_kept() {
    for (device, command) in [
        (Device::storage(), hold(1_000)),
        (Device::der(), hold(1_000)),
        (Device::limit(), Command::LimitProduction(watts(1_000))),
    ] {
        assert!(!device.plan(command).is_kept_by(&device.controls()).is_kept());
    }
}

#[test]
fn a_timer_of_all_ones_is_not_there_and_is_not_written() {
    let device = Device::limit().without(&["WMaxLimPct_RvrtTms"]);
    let plan = device.plan(Command::LimitProduction(watts(2_500)));
    assert_eq!((plan.has_timer, plan.reversion_seconds), (false, None));
    assert_eq!(
        pairs(&plan.writes),
        [(6, vec![0]), (8, vec![0]), (5, vec![5_000]), (9, vec![1])]
    );
    let device = Device::der().without(&["WSetRvrtTms"]);
    assert!(!device.plan(hold(1_000)).has_timer);
}

#[test]
fn a_timer_of_16_bits_is_cut_to_what_it_holds() {
    let plan = Device::limit()
        .controls()
        .plan(Command::LimitProduction(watts(1)), super::seconds(100_000));
    assert_eq!(plan.unwrap().reversion_seconds, Some(0xFFFE));
}

#[test]
fn a_limit_that_outranks_a_set_point_bounds_what_is_expressed() {
    let device = Device::der().with(&[("WMaxLimPctEna", 1), ("WMaxLimPct", 2_000)]);
    assert_eq!(device.plan(hold(3_000)).expressed, watts(1_000), "20 % of 5 kW");
    assert_eq!(device.plan(hold(-3_000)).expressed, watts(-3_000));
    let off = device.with(&[("WMaxLimPctEna", 0)]);
    assert_eq!(off.plan(hold(3_000)).expressed, watts(3_000));
}

#[test]
fn an_enable_without_its_value_is_refused() {
    for (device, command) in [
        (Device::storage().without(&["OutWRte"]), hold(1_000)),
        (Device::storage().without(&["InWRte"]), hold(1_000)),
        (Device::storage().without(&["WChaMax"]), hold(1_000)),
        (
            Device::limit().without(&["WMaxLimPct"]),
            Command::LimitProduction(watts(1)),
        ),
        (
            Device::der().without(&["WMaxLimPct"]),
            Command::LimitProduction(watts(1)),
        ),
        (Device::der().without(&["WSet", "WSetPct"]), hold(1_000)),
    ] {
        let plan = device.controls().plan(command, super::seconds(900));
        assert!(matches!(plan, Err(ControlError::NoRegister { .. })), "{plan:?}");
    }
}

#[test]
fn a_map_of_zeros_is_no_rating() {
    let device = Device::new(124, RATINGS);
    let plan = device.controls().plan(hold(1_000), super::seconds(900));
    assert!(matches!(plan, Err(ControlError::NoRating { .. })));
}
