//! Profiles: the shipped ones, and small ones that are odd.

use std::collections::BTreeMap;

use gridtally_registers::profile::Profile;
use proptest::prelude::*;

use super::{RATINGS, seconds, watts};
use crate::device::controls::{Command, ControlError, Controls, Kept, Write};

const HUAWEI: &str = include_str!("../../../../../config/device-profiles/huawei-sun2000.toml");
const SUNGROW: &str = include_str!("../../../../../config/device-profiles/sungrow-shxrt.toml");

fn profile(text: &str) -> Profile {
    Profile::parse(text, "test.toml").unwrap()
}

/// A register file with the registers of the recipes.
#[derive(Debug, Clone, PartialEq)]
struct File(BTreeMap<u16, u16>);

impl File {
    fn of(profile: &Profile) -> Self {
        let registers = Controls::registers_of(profile).into_iter();
        Self(
            registers
                .flat_map(|(start, len)| (start..start + len).map(|at| (at, 0)))
                .collect(),
        )
    }

    fn controls(&self, profile: &Profile) -> Controls {
        let spans: Vec<(u16, Vec<u16>)> = self.0.iter().map(|(at, word)| (*at, vec![*word])).collect();
        let spans = spans.iter().map(|(at, words)| (*at, words.as_slice()));
        Controls::of_profile(profile, spans, RATINGS).allowing_grid_charging(true)
    }

    fn obey(&mut self, writes: &[Write]) {
        for write in writes {
            self.0.extend((write.offset..).zip(write.words.iter().copied()));
        }
    }
}

fn odd(point: &str, action: &str, write: &str) -> Profile {
    profile(&format!(
        r#"
        name = "Odd"
        vendor = "Example"
        models = ["O"]
        kind = "battery"
        source = "none"
        tested_on_hardware = false
        unit = 1
        max_registers = 60
        pause_ms = 0
        [[point]]
        name = "vendor:power"
        table = "holding"
        address = 10
        {point}
        poll = "never"
        access = "rw"
        [control.{action}]
        {write}
        [control.release]
        write = [{{ address = 10, type = "u16", value = 0 }}]
        "#
    ))
}

#[test]
fn a_recipe_is_written_in_its_order_with_its_timer_in_whole_minutes() {
    let profile = profile(HUAWEI);
    let file = File::of(&profile);
    let controls = file.controls(&profile);
    let plan = controls.plan(Command::Hold(watts(2_500)), seconds(200)).unwrap();
    let writes: Vec<(u16, Vec<u16>)> = super::device::pairs(&plan.writes);
    let expected = [
        (47_249, vec![0, 2_500]),
        (47_083, vec![3]),
        (47_246, vec![0]),
        (47_100, vec![2]),
    ];
    assert_eq!(writes, expected);
    assert_eq!((plan.has_timer, plan.reversion_seconds), (true, Some(180)));
    assert_eq!(plan.expressed, watts(2_500));
    let short = controls.plan(Command::Hold(watts(2_500)), seconds(5)).unwrap();
    assert_eq!(
        short.reversion_seconds,
        Some(60),
        "no less than the timer can say"
    );
}

#[test]
fn a_device_without_a_watchdog_says_so() {
    let profile = profile(SUNGROW);
    let plan = File::of(&profile)
        .controls(&profile)
        .plan(Command::Hold(watts(-2_500)), seconds(900))
        .unwrap();
    assert!(!plan.has_timer && plan.reversion_seconds.is_none());
    assert_eq!(plan.expressed, watts(-2_500));
}

#[test]
fn a_charge_by_recipe_takes_the_owners_leave() {
    let profile = profile(SUNGROW);
    let controls = File::of(&profile)
        .controls(&profile)
        .allowing_grid_charging(false);
    let plan = controls.plan(Command::Hold(watts(-1)), seconds(900));
    assert!(matches!(plan, Err(ControlError::GridCharging { .. })));
    let plan = controls.plan(Command::LimitProduction(watts(1)), seconds(900));
    assert!(matches!(plan, Err(ControlError::Unsupported { .. })));
}

#[test]
fn an_owners_export_limit_is_not_lifted_while_the_rest_is_restored() {
    let profile = profile(HUAWEI);
    let mode = profile
        .points
        .iter()
        .find(|point| point.name.to_string() == "vendor:active_power_mode")
        .unwrap()
        .address;
    let mut owners = File::of(&profile);
    owners.0.insert(mode, 6);
    let saved = owners.controls(&profile).saved();
    let mut later = owners.clone();
    let command = Command::Hold(watts(1_000));
    later.obey(
        &later
            .controls(&profile)
            .plan(command, seconds(900))
            .unwrap()
            .writes,
    );
    let back = saved.restore(&later.controls(&profile)).unwrap();
    assert_eq!(back[0].offset, 47_100, "the command stops first");
    assert!(back.iter().all(|write| write.offset != mode));
    later.obey(&back);
    assert_eq!(later, owners);
}

#[test]
fn an_amount_is_rounded_towards_zero_to_a_step_and_to_the_bounds() {
    let recipe = r#"reverts_after = { keep_alive_s = 60 }
        write = [{ point = "vendor:power", value = "{watts}" }]"#;
    let coarse = odd(
        "type = \"u16\"\nscale = \"0.1\"\nunit = \"kW\"\nmin = \"0.5\"\nmax = 3",
        "force_discharge",
        recipe,
    );
    let controls = File::of(&coarse).controls(&coarse);
    for (asked, written, expressed) in [(1_299, 12, 1_200), (9_000, 30, 3_000), (500, 5, 500)] {
        let plan = controls.plan(Command::Hold(watts(asked)), seconds(900)).unwrap();
        assert_eq!(
            (plan.writes[0].words[0], plan.expressed),
            (written, watts(expressed))
        );
        assert_eq!((plan.has_timer, plan.reversion_seconds), (true, Some(60)));
    }
    let small = controls.plan(Command::Hold(watts(499)), seconds(900));
    assert!(matches!(small, Err(ControlError::TooSmall { .. })));
}

#[test]
fn a_percentage_of_a_recipe_is_of_the_rating() {
    let recipe = r#"reverts_after = "never"
        write = [{ point = "vendor:power", value = "{percent}" }]"#;
    let profile = odd(
        "type = \"u16\"\nunit = \"%\"\nmin = 0\nmax = 100",
        "limit_production",
        recipe,
    );
    let file = File::of(&profile);
    let plan = file
        .controls(&profile)
        .plan(Command::LimitProduction(watts(1_999)), seconds(900))
        .unwrap();
    assert_eq!((plan.writes[0].words[0], plan.expressed), (39, watts(1_950)));
}

#[test]
fn a_register_that_cannot_be_read_is_not_judged_and_is_released() {
    let recipe = r#"reverts_after = "never"
        write = [{ point = "vendor:power", value = "{watts}" }]"#;
    let profile = odd(
        "type = \"f32\"\nunit = \"W\"\nmin = 0\nmax = 5000",
        "force_discharge",
        recipe,
    );
    let blind = Controls::of_profile(&profile, [], RATINGS);
    let plan = blind.plan(Command::Hold(watts(1_000)), seconds(900)).unwrap();
    assert!(plan.expects.is_empty() && plan.writes.len() == 1);
    assert_eq!(blind.saved().restore(&blind).unwrap().len(), 1);
}

proptest! {
    #[test]
    fn a_recipe_that_is_obeyed_is_kept_and_brought_back_bit_by_bit(
        huawei: bool,
        power in -7_000_000_i64..7_000_000,
        owners in proptest::collection::vec(0_u16..3, 40),
        reversion in 1_u32..100_000,
    ) {
        let profile = profile(if huawei { HUAWEI } else { SUNGROW });
        let mut before = File::of(&profile);
        for (word, value) in before.0.values_mut().zip(owners) {
            *word = value;
        }
        let controls = before.controls(&profile);
        let asked = gridtally_protocol::quantity::Milliwatts::new(power);
        let plan = match controls.plan(Command::Hold(asked), seconds(reversion)) {
            Ok(plan) => plan,
            Err(ControlError::TooSmall { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        prop_assert!(plan.expressed.get().unsigned_abs() <= power.unsigned_abs().min(5_000_000));
        prop_assert!(plan.expressed.get() == 0 || plan.expressed.get().signum() == power.signum());
        let saved = controls.saved();
        let mut later = before.clone();
        later.obey(&plan.writes);
        prop_assert_eq!(plan.is_kept_by(&later.controls(&profile)), Kept::Yes);
        prop_assert!(!later.controls(&profile).was_changed_since(&plan));
        let back = saved.restore(&later.controls(&profile)).unwrap();
        later.obey(&back);
        prop_assert_eq!(&later, &before);
        prop_assert_eq!(saved.is_kept_by(&later.controls(&profile)), Ok(Kept::Yes));
        prop_assert!(saved.restore(&later.controls(&profile)).unwrap().is_empty());
    }
}
