//! Between the bits of an IEEE 754 binary32 and a decimal.
//!
//! **The rule.** A float is read as the number that its bits stand for, not as the shortest text that prints
//! it: `0x3DCCCCCD` is 0.100000001490116119384765625. It is exact wherever it has at most 28 decimal places,
//! rounded half to even at the 28th otherwise. A magnitude below 2⁻⁴⁰ (about 10⁻¹²) is no reading of anything
//! and is read as zero, and so is −0. A magnitude from 2⁹⁶ on does not fit a decimal and is refused. A decimal
//! is written as the nearest float, ties to even.

use rust_decimal::Decimal;

const FRACTION_BITS: u32 = 23;
const EXPONENT_BIAS: i32 = 127;
const PLACES_MAX: u32 = 28;
/// The biased exponent of 2⁻⁴⁰.
const SMALLEST_EXPONENT: u32 = 87;

/// The bits that stand for "not a number".
pub const NAN: u32 = 0x7FC0_0000;

/// Whether the bits are a number: neither infinite nor NaN.
#[must_use]
pub fn is_finite(bits: u32) -> bool {
    biased_exponent(bits) != 0xFF
}

fn biased_exponent(bits: u32) -> u32 {
    (bits >> FRACTION_BITS) & 0xFF
}

/// The number of finite bits; `None` from 2⁹⁶ on.
#[must_use]
pub fn to_decimal(bits: u32) -> Option<Decimal> {
    let biased = biased_exponent(bits);
    if biased < SMALLEST_EXPONENT {
        return Some(Decimal::ZERO);
    }
    let mantissa = u128::from((bits & 0x7F_FFFF) | (1 << FRACTION_BITS));
    let exponent = i32::try_from(biased).ok()? - EXPONENT_BIAS - 23;
    let (magnitude, places) = if exponent >= 0 {
        (mantissa << exponent, 0)
    } else {
        binary_fraction(mantissa, exponent.unsigned_abs())
    };
    let magnitude = i128::try_from(magnitude).ok()?;
    let number = if bits >> 31 == 1 { -magnitude } else { magnitude };
    Decimal::try_from_i128_with_scale(number, places).ok()
}

/// `mantissa / 2^halvings` as a decimal: the digits and the number of places.
fn binary_fraction(mantissa: u128, halvings: u32) -> (u128, u32) {
    let reducible = mantissa.trailing_zeros().min(halvings);
    let (mantissa, halvings) = (mantissa >> reducible, halvings - reducible);
    if halvings <= PLACES_MAX {
        // At most 24 + 66 bits.
        return (mantissa * 5_u128.pow(halvings), halvings);
    }
    // At most 24 + 94 bits.
    let digits = mantissa * 10_u128.pow(PLACES_MAX);
    let (floor, rest, half) = (
        digits >> halvings,
        digits & ((1 << halvings) - 1),
        1_u128 << (halvings - 1),
    );
    let up = rest > half || (rest == half && floor & 1 == 1);
    (floor + u128::from(up), PLACES_MAX)
}

/// The bits of the nearest float; `None` where that would be infinite.
#[must_use]
pub fn from_decimal(value: Decimal) -> Option<u32> {
    // The text of a decimal is exact, and the standard library reads it with correct rounding.
    let nearest: f32 = value.to_string().parse().ok()?;
    nearest.is_finite().then(|| nearest.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::from_str_exact(text).expect("a decimal")
    }

    #[test]
    fn a_float_is_the_number_of_its_bits_and_not_its_shortest_text() {
        assert_eq!(
            to_decimal(0.1_f32.to_bits()),
            Some(decimal("0.100000001490116119384765625"))
        );
        assert_eq!(to_decimal(230.5_f32.to_bits()), Some(decimal("230.5")));
        assert_eq!(to_decimal((-5250.25_f32).to_bits()), Some(decimal("-5250.25")));
        assert_eq!(to_decimal(16_777_216_f32.to_bits()), Some(decimal("16777216")));
    }

    #[test]
    fn what_needs_more_than_28_places_is_rounded_at_the_28th() {
        // 0.01 as a float is 5368709 / 2^29 = 0.00999999977648258209228515625 exactly: 29 places.
        assert_eq!(
            to_decimal(0.01_f32.to_bits()),
            Some(decimal("0.0099999997764825820922851562"))
        );
    }

    #[test]
    fn the_ends_of_the_range_are_zero_and_a_refusal() {
        let zeros = [0_u32, 1 << 31, 1, 0x2B7F_FFFF];
        assert!(zeros.iter().all(|bits| to_decimal(*bits) == Some(Decimal::ZERO)));
        assert_ne!(to_decimal(0x2B80_0000), Some(Decimal::ZERO), "2^-40 is kept");
        assert!(to_decimal(0x6F7F_FFFF).is_some(), "just below 2^96");
        assert_eq!(to_decimal(0x6F80_0000), None, "2^96");
    }

    proptest! {
        #[test]
        fn a_float_written_back_has_the_same_bits(sign in 0_u32..2, exponent in 87_u32..223, fraction in 0_u32..1 << 23) {
            let bits = sign << 31 | exponent << 23 | fraction;
            let number = to_decimal(bits).expect("below 2^96");
            prop_assert_eq!(from_decimal(number), Some(bits));
        }
    }
}
