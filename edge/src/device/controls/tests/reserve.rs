//! The reserve register.

use super::RATINGS;
use super::device::{Device, pairs};
use crate::device::controls::{Command, ControlError, Controls, Kept};

fn of(device: &Device) -> Controls {
    Controls::of_reserve(&device.words).unwrap()
}

#[test]
fn a_reserve_is_read_in_thousandths_of_a_percent() {
    assert_eq!(of(&Device::storage()).reserve(), Ok(Some(10_000)));
    let battery = Device::new(802, RATINGS).with(&[("SoCRsvMin", 205), ("SoC_SF", -1)]);
    assert_eq!(of(&battery).reserve(), Ok(Some(20_500)));
    assert_eq!(of(&battery.clone().without(&["SoCRsvMin"])).reserve(), Ok(None));
    let absurd = battery.clone().with(&[("SoCRsvMin", 1_001)]);
    assert!(matches!(
        of(&absurd).reserve(),
        Err(ControlError::DoesNotFit { .. })
    ));
    let unscaled = battery.with(&[("SoC_SF", 11)]);
    assert!(matches!(of(&unscaled).reserve(), Err(ControlError::Scale { .. })));
}

#[test]
fn a_reserve_is_raised_rounded_up_and_never_lowered() {
    let mut device = Device::new(802, RATINGS).with(&[("SoCRsvMin", 10)]);
    let saved = of(&device).saved();
    let plan = of(&device).plan_reserve(20_001).unwrap().unwrap();
    assert_eq!(pairs(&plan.writes), [(10, vec![21])]);
    assert_eq!(
        (plan.has_timer, plan.stays.as_slice()),
        (false, ["SoCRsvMin".to_owned()].as_slice())
    );
    let before = device.clone();
    device.obey(&plan.writes);
    assert_eq!(plan.is_kept_by(&of(&device)), Kept::Yes);
    assert_eq!(of(&device).plan_reserve(20_000), Ok(None));
    device.obey(&saved.restore(&of(&device)).unwrap());
    assert_eq!(device.words, before.words);
}

#[test]
fn a_reserve_beyond_all_is_refused() {
    let controls = of(&Device::storage());
    for thousandths in [-1, 100_001] {
        let refused = controls.plan_reserve(thousandths);
        assert_eq!(refused, Err(ControlError::Reserve { thousandths }));
    }
    let plan = controls.plan_reserve(100_000).unwrap().unwrap();
    assert_eq!(pairs(&plan.writes), [(7, vec![10_000])]);
    let power = controls.plan(Command::Release, super::seconds(1));
    assert!(matches!(power, Err(ControlError::Unsupported { .. })));
    assert!(Controls::of_reserve(&Device::limit().words).is_err());
}
