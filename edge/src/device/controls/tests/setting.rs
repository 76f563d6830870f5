//! The owner's setting, and the owner's hand.

use super::device::{Device, pairs};
use super::{RATINGS, seconds, watts};
use crate::device::controls::{Command, ControlError, Controls, Kept, Saved};

const HOLD: Command = Command::Hold(watts(3_000));

#[test]
fn an_owner_who_changes_the_setting_is_seen() {
    let mut device = Device::storage();
    let plan = device.plan(HOLD);
    device.obey(&plan.writes);
    assert!(!device.controls().was_changed_since(&plan));
    for (point, value) in [
        ("StorCtl_Mod", 0),
        ("StorCtl_Mod", 1),
        ("OutWRte", 10_000),
        ("InWRte", 0),
    ] {
        let touched = device.clone().with(&[(point, value)]);
        assert!(touched.controls().was_changed_since(&plan), "{point}");
    }
    for (point, value) in [("ChaState", 50), ("InOutWRte_RvrtTms", 17), ("MinRsvPct", 2_000)] {
        let other = device.clone().with(&[(point, value)]);
        assert!(!other.controls().was_changed_since(&plan), "{point}");
    }
}

#[test]
fn a_read_that_misses_registers_is_no_owners_hand_and_is_not_kept() {
    let device = Device::storage();
    let plan = device.plan(HOLD);
    let short = Controls::of_model(&device.words[..6], device.ratings).unwrap();
    let unset = device.with(&[("StorCtl_Mod", 3)]).words;
    let short_and_on = Controls::of_model(&unset[..6], RATINGS).unwrap();
    assert!(
        short.was_changed_since(&plan),
        "the mode is there, and is another"
    );
    assert!(!short_and_on.was_changed_since(&plan));
    assert!(!plan.is_kept_by(&short_and_on).is_kept());
}

#[test]
fn a_reversion_shows_the_saved_setting() {
    let device = Device::storage();
    let saved = device.controls().saved();
    let mut later = device.clone();
    later.obey(&device.plan(HOLD).writes);
    assert!(!saved.is_kept_by(&later.controls()).unwrap().is_kept());
    later.set("StorCtl_Mod", 0);
    let reverted = saved.is_kept_by(&later.controls()).unwrap();
    assert_eq!(reverted, Kept::Yes, "rates without their switch have no effect");
}

#[test]
fn a_permission_that_no_timer_takes_back_is_named_and_restored() {
    let device = Device::storage();
    let saved = device.controls().saved();
    let plan = device.plan(Command::Hold(watts(-1_000)));
    assert_eq!(plan.stays, ["ChaGriSet"]);
    assert!(device.plan(HOLD).stays.is_empty());
    let mut later = device.clone();
    later.obey(&plan.writes);
    for (point, value) in [("StorCtl_Mod", 0), ("OutWRte", 10_000), ("InWRte", 10_000)] {
        later.set(point, value);
    }
    assert_eq!(saved.is_reverted_by(&later.controls()), Ok(Kept::Yes));
    assert!(!saved.is_kept_by(&later.controls()).unwrap().is_kept());
    later.obey(&saved.restore(&later.controls()).unwrap());
    assert_eq!(saved.is_kept_by(&later.controls()), Ok(Kept::Yes));
    assert_eq!(later.get("ChaGriSet"), 0);
}

#[test]
fn an_active_setting_of_the_owner_comes_back_with_its_values_before_its_switch() {
    let owners = Device::storage().with(&[("StorCtl_Mod", 1), ("InWRte", 2_000)]);
    let saved = owners.controls().saved();
    let mut device = owners.clone();
    device.obey(&owners.plan(HOLD).writes);
    let back = saved.restore(&device.controls()).unwrap();
    let values = vec![10_000, 2_000, 0, 0, 0, 0];
    assert_eq!(pairs(&back), [(12, values), (5, vec![1])]);
    let off = Device::storage().controls().saved();
    let back = off.restore(&device.controls()).unwrap();
    assert_eq!(pairs(&back)[0], (5, vec![0]), "off goes first");
}

#[test]
fn a_release_with_the_owners_setting_at_hand_restores_it() {
    let owners = Device::der().with(&[("WMaxLimPctEna", 1), ("WMaxLimPct", 6_000)]);
    let saved = owners.controls().saved_for(HOLD);
    let mut device = owners.clone();
    device.obey(&owners.plan(HOLD).writes);
    let controls = device.controls().with_owner(&saved);
    let release = controls.plan(Command::Release, seconds(900)).unwrap();
    device.obey(&release.writes);
    assert_eq!(
        device.words, owners.words,
        "the limit, which is the installer's, is still on"
    );
    assert_eq!(release.is_kept_by(&device.controls()), Kept::Yes);
}

#[test]
fn what_the_owner_changes_elsewhere_during_an_event_stays() {
    let before = Device::der();
    let saved = before.controls().saved_for(HOLD);
    let mut device = before.clone();
    device.obey(&before.plan(HOLD).writes);
    device.set("WMaxLimPct", 7_000);
    device.set("WMaxLimPctEna", 1);
    device.obey(&saved.restore(&device.controls()).unwrap());
    assert_eq!((device.get("WSetEna"), device.get("WMaxLimPct")), (0, 7_000));
}

#[test]
fn a_setting_is_restored_to_its_own_map_only() {
    let saved = Device::limit().controls().saved();
    let other = Device::storage().controls();
    assert!(matches!(
        saved.restore(&other),
        Err(ControlError::OtherMap { .. })
    ));
    assert!(saved.is_kept_by(&other).is_err());
    assert!(
        other
            .with_owner(&saved)
            .plan(Command::Release, seconds(1))
            .is_ok()
    );
}

#[test]
fn a_file_cannot_have_other_registers_written_than_those_of_controls() {
    let text = r#"{"source":{"model":124},"registers":[{"offset":2,"words":[1]},{"offset":5,"words":[1,2]},{"offset":12,"words":[7]}]}"#;
    let saved: Saved = serde_json::from_str(text).unwrap();
    let back = saved.restore(&Device::storage().controls()).unwrap();
    assert_eq!(pairs(&back), [(12, vec![7])]);
    assert!(serde_json::from_str::<Saved>(r#"{"source":{"model":124},"registers":[],"more":1}"#).is_err());
}
