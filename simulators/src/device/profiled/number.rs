//! Whole steps of a point's scale, and the registers that hold them.

use gridtally_registers::profile::{Encoding, RegisterType, Value};
use rust_decimal::Decimal;

/// What becomes of a number beyond its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// It stays at the nearest that there is.
    Saturate,
    /// It loses its upper bits.
    Wrap,
}

/// Least and greatest raw number of a type of integers; `None` for floats and text.
pub(super) fn range(kind: RegisterType) -> Option<(i128, i128)> {
    let bits = u32::from(kind.length()) * 16;
    match kind {
        RegisterType::F32 | RegisterType::Text(_) => None,
        RegisterType::I16 | RegisterType::I32 | RegisterType::I64 => {
            Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
        }
        RegisterType::U16 | RegisterType::U32 | RegisterType::U64 | RegisterType::Bits => {
            Some((0, (1 << bits) - 1))
        }
    }
}

/// How many steps a decoded number is.
pub(super) fn steps_of(encoding: &Encoding, number: Decimal) -> i128 {
    let (number, scale) = (number.normalize(), encoding.scale().normalize());
    // A decoded number has at most 19 digits of the raw number and 10 of the scale.
    let dividend = number.mantissa() * 10_i128.pow(scale.scale());
    dividend / (scale.mantissa() * 10_i128.pow(number.scale()))
}

/// The registers for so many steps, in the sign of the vocabulary; `None` for floats and text. A number
/// that would read as "not available" moves one step towards zero when it saturates.
pub(super) fn registers_of(encoding: &Encoding, steps: i128, overflow: Overflow) -> Option<Vec<u16>> {
    let (least, greatest) = range(encoding.kind())?;
    let turned = |number: i128| if encoding.is_inverted() { -number } else { number };
    let raw = match overflow {
        Overflow::Saturate => turned(steps).clamp(least, greatest),
        Overflow::Wrap => (turned(steps) - least).rem_euclid(greatest - least + 1) + least,
    };
    let scale = encoding.scale();
    let mut steps = turned(raw);
    for _ in 0..=encoding.not_available().len() {
        // At most 64 bits of the raw number and 30 of the scale.
        let number = Decimal::from_i128_with_scale(steps * scale.mantissa(), scale.scale());
        if let Ok(words) = encoding.encode(&Value::Number(number)) {
            return Some(words);
        }
        if overflow == Overflow::Wrap || steps == 0 {
            break;
        }
        steps -= steps.signum();
    }
    encoding.encode(&Value::NotAvailable).ok()
}
