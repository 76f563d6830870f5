//! Devices without SunSpec: the recipes of a register-map profile.
//!
//! Offsets are addresses of holding registers here. The order of the writes is that of the recipe, whose
//! author knows the device; the numbers are rounded towards zero to what all its registers hold.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use gridtally_protocol::quantity::Milliwatts;
use gridtally_registers::profile::{
    Action, Argument, Arguments, Control, Profile, RegisterWrite, Reversion, Write as Target, Written,
};
use rust_decimal::Decimal;

use super::field::{Field, Role, Shape};
use super::image::Image;
use super::plan::{Expectation, Judgement, Plan, Write};
use super::round::{milliwatts, of_power, of_seconds};
use super::{Command, ControlError, Controls, Family, Ratings, Saved, Source};

/// The recipes of one profile.
#[derive(Debug, Clone)]
pub(super) struct Recipes(BTreeMap<Action, Control>);

impl Controls {
    /// The controls of a profile: the registers of [`Controls::registers_of`], as runs of address and words. A
    /// run that could not be read is left out; what is not read cannot be saved, nor judged.
    pub fn of_profile<'w>(
        profile: &Profile,
        spans: impl IntoIterator<Item = (u16, &'w [u16])>,
        ratings: Ratings,
    ) -> Self {
        let family = Family::Recipes(Recipes(profile.controls.clone()));
        let source = Source::Profile(profile.name.clone());
        let fields = fields_of(&profile.controls);
        Self::new(source, family, Image::of_spans(spans), &fields, ratings)
    }

    /// Which holding registers the recipes of a profile write: address and count of each.
    #[must_use]
    pub fn registers_of(profile: &Profile) -> Vec<(u16, u16)> {
        let fields = fields_of(&profile.controls);
        fields
            .iter()
            .map(|field| (field.offset, field.shape.words()))
            .collect()
    }
}

/// The targets of all recipes, each register once; those of the actions in their order, then what only the
/// release writes.
fn fields_of(controls: &BTreeMap<Action, Control>) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let actions = Action::ALL.iter().filter_map(|action| controls.get(action));
    for target in actions.flat_map(|control| &control.writes) {
        let len = target.encoding().length();
        let (start, end) = (
            u32::from(target.address),
            u32::from(target.address) + u32::from(len),
        );
        let is_known = fields.iter().any(|field| {
            let first = u32::from(field.offset);
            first < end && start < first + u32::from(field.shape.words())
        });
        if !is_known {
            fields.push(Field {
                name: Cow::Owned(name_of(target)),
                offset: target.address,
                shape: Shape::Words(len),
                role: role_of(target),
                scale: None,
                switch: None,
            });
        }
    }
    fields
}

fn name_of(target: &Target) -> String {
    let register = || format!("register {}", target.address);
    target.point.as_ref().map_or_else(register, ToString::to_string)
}

fn role_of(target: &Target) -> Role {
    match target.value {
        Written::Argument(Argument::Seconds) => Role::Timer,
        _ => Role::Value,
    }
}

impl Recipes {
    pub(super) fn plan(
        &self,
        controls: &Controls,
        command: Command,
        reversion: NonZeroU32,
    ) -> Result<Plan, ControlError> {
        let (action, asked, rating) = match command {
            Command::Hold(power) => self.hold(controls, power)?,
            Command::LimitProduction(limit) => {
                let (limit, max) = controls.within_production(limit)?;
                (Action::LimitProduction, limit, Some(max))
            }
            Command::Release => (Action::Release, Milliwatts::ZERO, None),
        };
        let control = self.0.get(&action).ok_or_else(|| controls.unsupported(command))?;
        let amount = Milliwatts::new(asked.get().saturating_abs());
        let (arguments, expressed) = arguments(control, amount, rating, reversion)?;
        let expressed = if asked < Milliwatts::ZERO {
            Milliwatts::new(expressed.get().saturating_neg())
        } else {
            expressed
        };
        let rendered = control.render(&arguments)?;
        let (has_timer, reversion_seconds) = returns(control, arguments.seconds);
        Ok(Plan {
            expects: expects(control, &rendered, &controls.image),
            writes: rendered.into_iter().map(write_of).collect(),
            expressed,
            has_timer,
            reversion_seconds,
            stays: Vec::new(),
        })
    }

    fn hold(
        &self,
        controls: &Controls,
        power: Milliwatts,
    ) -> Result<(Action, Milliwatts, Option<Milliwatts>), ControlError> {
        let asked = controls.within_ratings(power)?;
        let ratings = controls.ratings;
        let discharges = self.0.contains_key(&Action::ForceDischarge);
        Ok(if power < Milliwatts::ZERO {
            controls.check_grid_charging(power)?;
            (Action::ForceCharge, asked, ratings.charge)
        } else if power > Milliwatts::ZERO || discharges {
            (Action::ForceDischarge, asked, ratings.discharge)
        } else {
            (Action::ForceCharge, asked, ratings.charge)
        })
    }

    /// What the release writes and was so before, in its order; then the rest of what was before, in the
    /// order in which it would be commanded. A register that cannot be read is released.
    pub(super) fn restore(&self, saved: &Saved, now: &Controls) -> Result<Vec<Write>, ControlError> {
        let before = |field: &Field| saved.words_at(field.offset, usize::from(field.shape.words()));
        let differs = |field: &Field| {
            let before = before(field);
            before.is_some() && before != field.words(&now.image).as_deref()
        };
        let release = match self.0.get(&Action::Release) {
            Some(control) => control.render(&Arguments::default())?,
            None => Vec::new(),
        };
        let is_unread =
            |write: &RegisterWrite| saved.words_at(write.address, write.registers.len()).is_none();
        if !now.fields.iter().any(differs) && !release.iter().any(is_unread) {
            return Ok(Vec::new());
        }
        let was_so = |write: &RegisterWrite| {
            let before = saved.words_at(write.address, write.registers.len());
            before.is_none_or(|before| before == write.registers)
        };
        let released: Vec<Write> = release.into_iter().filter(was_so).map(write_of).collect();
        let is_released = |field: &Field| released.iter().any(|write| write.offset == field.offset);
        let rest = now
            .fields
            .iter()
            .filter(|field| differs(field) && !is_released(field));
        let rest = rest.filter_map(|field| {
            Some(Write {
                offset: field.offset,
                words: before(field)?.to_vec(),
            })
        });
        Ok(released.iter().cloned().chain(rest).collect())
    }
}

fn write_of(write: RegisterWrite) -> Write {
    Write {
        offset: write.address,
        words: write.registers,
    }
}

/// What the recipe is filled in with: the greatest amount, not above `amount`, that each of its registers
/// holds; and what that is as a power.
fn arguments(
    control: &Control,
    amount: Milliwatts,
    rating: Option<Milliwatts>,
    reversion: NonZeroU32,
) -> Result<(Arguments, Milliwatts), ControlError> {
    let mut arguments = Arguments::default();
    let mut expressed = Milliwatts::ZERO;
    if control.takes(Argument::Percent) {
        let max = rating.filter(|max| *max > Milliwatts::ZERO);
        let max = Decimal::from(max.ok_or(ControlError::NoRating { rating: "active" })?.get());
        let percent = Decimal::from(amount.get())
            .checked_mul(Decimal::ONE_HUNDRED)
            .and_then(|product| product.checked_div(max));
        let percent = of_power(control, Argument::Percent, percent, amount)?;
        arguments.percent = Some(percent);
        let power = percent
            .checked_mul(max)
            .and_then(|product| product.checked_div(Decimal::ONE_HUNDRED));
        expressed = milliwatts(power, amount)?;
    } else if control.takes(Argument::Watts) {
        let watts = Decimal::from(amount.get()).checked_div(Decimal::ONE_THOUSAND);
        let watts = of_power(control, Argument::Watts, watts, amount)?;
        arguments.watts = Some(watts);
        expressed = milliwatts(watts.checked_mul(Decimal::ONE_THOUSAND), amount)?;
    }
    arguments.seconds = of_seconds(control, reversion);
    Ok((arguments, expressed))
}

/// Whether the device returns by itself, and after how many seconds.
fn returns(control: &Control, seconds: Option<Decimal>) -> (bool, Option<u32>) {
    match &control.reverts_after {
        Some(Reversion::Timer(_)) => (true, seconds.and_then(|seconds| u32::try_from(seconds).ok())),
        Some(Reversion::KeepAlive { seconds }) => (true, Some(*seconds)),
        Some(Reversion::Never) | None => (false, None),
    }
}

/// What must be read back, of the registers that can be read; of one that is written twice, the last.
fn expects(control: &Control, rendered: &[RegisterWrite], image: &Image) -> Vec<Expectation> {
    let mut expects: BTreeMap<u16, Expectation> = BTreeMap::new();
    for (target, write) in control.writes.iter().zip(rendered) {
        if image.get(write.address, target.encoding().length()).is_none() {
            continue;
        }
        let judgement = match role_of(target) {
            Role::Timer => Judgement::Timer,
            _ => Judgement::Exact,
        };
        expects.insert(
            write.address,
            Expectation {
                register: name_of(target),
                offset: write.address,
                words: write.registers.clone(),
                judgement,
            },
        );
    }
    expects.into_values().collect()
}
