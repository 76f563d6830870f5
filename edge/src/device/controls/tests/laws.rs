//! The laws, for any contents of registers.

use gridtally_protocol::quantity::Milliwatts;
use proptest::prelude::*;

use super::device::Device;
use super::{RATINGS, seconds};
use crate::device::controls::{Command, ControlError, Controls, Kept, Ratings};

fn any_command() -> impl Strategy<Value = Command> {
    let power = prop_oneof![any::<i64>(), -10_000_000_i64..10_000_000].prop_map(Milliwatts::new);
    prop_oneof![
        power.clone().prop_map(Command::Hold),
        power.prop_map(Command::LimitProduction),
        Just(Command::Release),
    ]
}

/// What a device may hold: anything, or numbers near those that are usual, with or without sentinels.
fn any_words() -> impl Strategy<Value = Vec<u16>> {
    let usual = prop_oneof![
        4 => 0_u16..20,
        4 => 0xFFF6_u16..=0xFFFE,
        2 => Just(5_000_u16),
        1 => Just(0xFFFF_u16),
        1 => Just(0x8000_u16),
        1 => any::<u16>(),
    ];
    prop_oneof![
        proptest::collection::vec(any::<u16>(), 0..70),
        proptest::collection::vec(usual, 60..70),
    ]
}

fn any_ratings() -> impl Strategy<Value = Ratings> {
    let power = proptest::option::of(prop_oneof![any::<i64>(), 0_i64..20_000_000]);
    (power.clone(), power.clone(), power).prop_map(|(charge, discharge, production)| Ratings {
        charge: charge.map(Milliwatts::new),
        discharge: discharge.map(Milliwatts::new),
        production: production.map(Milliwatts::new),
    })
}

/// A credible device of one of the models, with some points missing.
fn any_device() -> impl Strategy<Value = Device> {
    let basis = prop_oneof![
        Just(Device::storage()),
        Just(Device::limit()),
        Just(Device::der())
    ];
    (
        basis,
        -4_i16..=2,
        proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        any::<bool>(),
    )
        .prop_map(|(mut device, scale, missing, on)| {
            for name in ["InOutWRte_SF", "WMaxLimPct_SF", "WSet_SF"] {
                if device.layout.point(name).is_some() {
                    device.set(name, i128::from(scale));
                }
            }
            let switches = [
                ("StorCtl_Mod", 3),
                ("WMaxLim_Ena", 1),
                ("WSetEna", 1),
                ("WMaxLimPctEna", 1),
            ];
            for (name, value) in switches {
                if on && device.layout.point(name).is_some() {
                    device.set(name, value);
                }
            }
            let points: Vec<String> = device
                .layout
                .points()
                .iter()
                .filter(|point| point.definition.writable)
                .map(|point| point.path.clone())
                .collect();
            let missing: Vec<&str> = missing.iter().map(|at| at.get(&points).as_str()).collect();
            device.without(&missing)
        })
}

fn is_within(expressed: Milliwatts, asked: Milliwatts) -> bool {
    let same_side = expressed == Milliwatts::ZERO || expressed.get().signum() == asked.get().signum();
    same_side && expressed.get().unsigned_abs() <= asked.get().unsigned_abs()
}

proptest! {
    #[test]
    fn any_registers_give_a_plan_or_an_error_and_no_panic(
        model in prop::sample::select(vec![123_u16, 124, 704, 802, 7]),
        len in prop_oneof![Just(68_u16), any::<u16>()],
        body in any_words(),
        later in any_words(),
        command in any_command(),
        ratings in any_ratings(),
        reversion in 1_u32..,
        grid: bool,
    ) {
        let image = |body: &[u16]| [&[model, len], body].concat();
        let words = image(&body);
        if let Ok(reserve) = Controls::of_reserve(&words) {
            let _ = (reserve.reserve(), reserve.plan_reserve(50_000), reserve.saved());
        }
        let Ok(controls) = Controls::of_model(&words, ratings) else { return Ok(()) };
        let later = Controls::of_model(&image(&later), ratings).unwrap();
        let saved = controls.saved();
        let _ = (controls.remaining(), saved.restore(&later), saved.is_kept_by(&later));
        let controls = later.clone().with_owner(&saved).allowing_grid_charging(grid);
        if let Ok(plan) = controls.plan(command, seconds(reversion)) {
            let _ = (plan.is_kept_by(&later), later.was_changed_since(&plan));
            prop_assert!(plan.writes.iter().all(|write| !write.words.is_empty() && write.words.len() <= 123));
            let asked = match command {
                Command::Hold(power) | Command::LimitProduction(power) => power,
                Command::Release => Milliwatts::ZERO,
            };
            prop_assert!(is_within(plan.expressed, asked), "{:?} of {:?}", plan.expressed, asked);
            let rating = match command {
                Command::Hold(power) if power < Milliwatts::ZERO => ratings.charge,
                Command::Hold(_) => ratings.discharge,
                _ => ratings.production,
            };
            let rating = rating.map_or(u64::MAX, |rating| u64::try_from(rating.get()).unwrap_or(0));
            prop_assert!(plan.expressed.get().unsigned_abs() <= rating);
        }
    }

    #[test]
    fn what_an_obedient_device_shows_is_kept_and_is_brought_back_bit_by_bit(
        device in any_device(),
        command in any_command(),
    ) {
        let before = device.controls();
        let saved = before.saved_for(command);
        let plan = match before.plan(command, seconds(900)) {
            Ok(plan) => plan,
            Err(ControlError::NoRegister { .. } | ControlError::Unsupported { .. } | ControlError::BelowZero { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let mut later = device.clone();
        later.obey(&plan.writes);
        prop_assert_eq!(plan.is_kept_by(&later.controls()), Kept::Yes);
        prop_assert!(!later.controls().was_changed_since(&plan));
        prop_assert_eq!(&later.controls().plan(command, seconds(900)).unwrap(), &plan, "a refresh is the same");
        let text = serde_json::to_string(&saved).unwrap();
        let saved: crate::device::controls::Saved = serde_json::from_str(&text).unwrap();
        let back = saved.restore(&later.controls()).unwrap();
        later.obey(&back);
        prop_assert_eq!(&later.words, &device.words);
        prop_assert_eq!(saved.is_kept_by(&later.controls()).unwrap(), Kept::Yes);
        prop_assert!(saved.restore(&later.controls()).unwrap().is_empty());
    }

    #[test]
    fn a_register_that_is_not_there_is_not_written_and_nothing_is_enabled_without_its_value(
        device in any_device(),
        command in any_command(),
    ) {
        let Ok(plan) = device.controls().plan(command, seconds(900)) else { return Ok(()) };
        for write in &plan.writes {
            for offset in (write.offset..).take(write.words.len()) {
                let point = device.layout.points().iter().rfind(|point| point.offset <= offset).unwrap();
                let start = usize::from(point.offset);
                let words = &device.words[start..start + usize::from(point.kind().words())];
                prop_assert!(point.definition.writable && !point.kind().is_sentinel(words), "{}", point.path);
            }
        }
        if command != Command::Release {
            prop_assert!(plan.expects.len() > 1, "a switch and a value: {:?}", plan);
        }
    }

    #[test]
    fn nothing_becomes_active_before_its_value_and_its_timer(
        device in any_device(),
        command in any_command(),
    ) {
        let Ok(plan) = device.controls().plan(command, seconds(900)) else { return Ok(()) };
        if command == Command::Release {
            return Ok(());
        }
        let off = |device: &Device| match command {
            Command::Hold(_) => ["StorCtl_Mod", "WSetEna"],
            _ => ["WMaxLim_Ena", "WMaxLimPctEna"],
        }
        .into_iter()
        .find(|name| device.layout.point(name).is_some())
        .unwrap();
        let switch = off(&device);
        let mut device = device;
        device.set(switch, 0);
        let mut early = Vec::new();
        device.obey_showing(&plan.writes, |now| {
            if now.get(switch) != 0 && !matches!(plan.is_kept_by(&now.controls()), Kept::Yes) {
                early.push(now.words.clone());
            }
        });
        prop_assert!(early.is_empty());
    }

    #[test]
    fn a_hold_within_the_rating_is_met_to_one_step(power in -5_000_i64..=5_000) {
        let command = Command::Hold(super::watts(power));
        prop_assert_eq!(Device::der().plan(command).expressed, super::watts(power));
        let storage = Device::storage().plan(command);
        prop_assert!((storage.expressed.get() - power * 1_000).abs() < 500, "0.01 % of 5 kW");
    }
}

#[test]
fn a_power_beyond_the_rating_is_the_rating() {
    let most = Milliwatts::new(i64::MAX);
    let least = Milliwatts::new(i64::MIN);
    for device in [Device::storage(), Device::der()] {
        assert_eq!(device.plan(Command::Hold(most)).expressed, super::watts(5_000));
        assert_eq!(device.plan(Command::Hold(least)).expressed, super::watts(-5_000));
    }
    assert_eq!(
        Device::limit().plan(Command::LimitProduction(most)).expressed,
        super::watts(5_000)
    );
    assert_eq!(
        Device::storage().plan(Command::Hold(most)).writes[0].words[0],
        10_000
    );
    let capped = Ratings {
        discharge: Some(super::watts(3_000)),
        ..RATINGS
    };
    let storage = Device {
        ratings: capped,
        ..Device::storage()
    };
    assert_eq!(storage.plan(Command::Hold(most)).expressed, super::watts(3_000));
}
