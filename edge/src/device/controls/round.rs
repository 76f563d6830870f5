//! Amounts rounded to what the registers of a recipe hold. Rendering itself rounds nothing.

use std::num::NonZeroU32;

use gridtally_protocol::quantity::Milliwatts;
use gridtally_registers::profile::{Argument, Control, RegisterType, Write, Written};
use rust_decimal::Decimal;

use super::ControlError;

/// Whole numbers up to here are exact in a 32-bit float.
const FLOAT_MAX: i64 = 1 << 24;
/// More often than any two steps need to find what they have in common.
const ROUNDS_MAX: usize = 8;

/// The greatest amount of a power or a percentage, not above `amount`, that each register of the recipe
/// holds. `asked` is for the complaint.
pub(super) fn of_power(
    control: &Control,
    argument: Argument,
    amount: Option<Decimal>,
    asked: Milliwatts,
) -> Result<Decimal, ControlError> {
    let no_step = || ControlError::NoCommonStep { asked };
    let mut amount = amount.ok_or_else(no_step)?;
    for _ in 0..ROUNDS_MAX {
        let before = amount;
        for write in targets(control, argument) {
            amount = below(write, amount).ok_or_else(no_step)?;
            if least(write).is_some_and(|least| amount < least) {
                let address = write.address;
                return Err(ControlError::TooSmall { address, asked });
            }
        }
        if amount == before {
            return Ok(amount);
        }
    }
    Err(no_step())
}

/// The time, as near as the timer holds: not longer than asked where it can be so, and never none at all.
pub(super) fn of_seconds(control: &Control, reversion: NonZeroU32) -> Option<Decimal> {
    let mut seconds = Decimal::from(reversion.get());
    for write in targets(control, Argument::Seconds) {
        let shortest = least(write)
            .into_iter()
            .chain(step(write))
            .max()
            .unwrap_or(Decimal::ONE);
        seconds = below(write, seconds)?.max(shortest);
    }
    control.takes(Argument::Seconds).then_some(seconds)
}

/// Whole milliwatts, rounded down, and never more than what was asked.
pub(super) fn milliwatts(power: Option<Decimal>, asked: Milliwatts) -> Result<Milliwatts, ControlError> {
    power
        .and_then(|power| i64::try_from(power.trunc()).ok())
        .map(|power| Milliwatts::new(power).min(asked))
        .ok_or(ControlError::NoCommonStep { asked })
}

fn targets(control: &Control, argument: Argument) -> impl Iterator<Item = &Write> {
    let takes = move |write: &&Write| write.value == Written::Argument(argument);
    control.writes.iter().filter(takes)
}

/// In the base unit, as all numbers here.
fn in_base(write: &Write, value: Decimal) -> Option<Decimal> {
    match write.unit() {
        Some(unit) => unit.to_base(value),
        None => Some(value),
    }
}

fn least(write: &Write) -> Option<Decimal> {
    in_base(write, write.bounds()?.0)
}

/// What one count is worth; a float is kept to whole numbers of its scale.
fn step(write: &Write) -> Option<Decimal> {
    in_base(write, write.encoding().scale()).filter(|step| *step > Decimal::ZERO)
}

/// The greatest multiple of the step that is neither above the amount nor more than the register holds.
fn below(write: &Write, amount: Decimal) -> Option<Decimal> {
    let step = step(write)?;
    let mut amount = amount;
    if let Some((_, max)) = write.bounds() {
        amount = amount.min(in_base(write, max)?);
    }
    let counts = amount.checked_div(step)?.trunc();
    let counts = counts.min(Decimal::from(count_max(write.encoding().kind())));
    let below = counts.checked_mul(step)?;
    if below > amount {
        return below.checked_sub(step);
    }
    Some(below)
}

fn count_max(kind: RegisterType) -> i64 {
    match kind {
        RegisterType::U16 | RegisterType::Bits => i64::from(u16::MAX),
        RegisterType::I16 => i64::from(i16::MAX),
        RegisterType::U32 => i64::from(u32::MAX),
        RegisterType::I32 => i64::from(i32::MAX),
        RegisterType::F32 => FLOAT_MAX,
        RegisterType::U64 | RegisterType::I64 => i64::MAX,
        RegisterType::Text(_) => 0,
    }
}
