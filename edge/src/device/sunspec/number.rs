//! Exact numbers out of registers: an integer over a power of ten, or the bits of a float taken apart.

use std::fmt;

use gridtally_registers::float;
use rust_decimal::Decimal;

/// A number as a device gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// `integer × 10^exponent`.
    Scaled {
        /// The register's integer.
        integer: i128,
        /// The scale factor of the same reply, 0 where the point has none.
        exponent: i16,
    },
    /// An IEEE 754 binary32 that is no NaN and not infinite, by its bits.
    Single(u32),
}

impl Number {
    /// The number in thousandths of its unit, rounded down; `None` where it does not fit 64 bits.
    #[must_use]
    pub fn milli(self) -> Option<i64> {
        match self {
            Self::Scaled { integer, exponent } => scaled(integer, exponent, 3),
            Self::Single(bits) => single_milli(bits),
        }
    }

    /// The number as a decimal: exact, but for floats of more than 28 places. `None` beyond 96 bits.
    #[must_use]
    pub fn decimal(self) -> Option<Decimal> {
        match self {
            Self::Single(bits) => float::to_decimal(bits),
            Self::Scaled { integer, exponent } => {
                if exponent >= 0 {
                    let power = 10_i128.checked_pow(u32::from(exponent.unsigned_abs()))?;
                    Decimal::try_from_i128_with_scale(integer.checked_mul(power)?, 0).ok()
                } else {
                    Decimal::try_from_i128_with_scale(integer, u32::from(exponent.unsigned_abs())).ok()
                }
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.decimal()) {
            (_, Some(decimal)) => decimal.fmt(f),
            (Self::Scaled { integer, exponent }, None) => write!(f, "{integer}e{exponent}"),
            (Self::Single(bits), None) => write!(f, "the float {bits:#010x}"),
        }
    }
}

/// `value × 10^(scale + decimals)` in integers, rounded down; `None` where it does not fit.
#[must_use]
pub fn scaled(value: i128, scale: i16, decimals: u8) -> Option<i64> {
    let exponent = i32::from(scale).checked_add(i32::from(decimals))?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    let result = if exponent >= 0 {
        value.checked_mul(power)?
    } else {
        value.div_euclid(power)
    };
    i64::try_from(result).ok()
}

/// `mantissa × 2^exponent × 1000`, rounded down.
fn single_milli(bits: u32) -> Option<i64> {
    let biased = (bits >> 23) & 0xFF;
    let fraction = i128::from(bits & 0x7F_FFFF);
    let (mantissa, exponent) = match i32::try_from(biased).ok()? {
        0xFF => return None,
        // Subnormal numbers have no hidden bit.
        0 => (fraction, -149),
        biased => (fraction | (1 << 23), biased - 150),
    };
    let mantissa = if bits >> 31 == 1 { -mantissa } else { mantissa } * 1_000;
    let shift = exponent.unsigned_abs();
    let milli = if exponent >= 0 {
        // 24 bits and a thousand: beyond 64 bits well before the shift is lossy.
        (shift < 64).then(|| mantissa << shift)?
    } else {
        mantissa >> shift.min(100)
    };
    i64::try_from(milli).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn floats_are_cut_to_thousandths_towards_minus_infinity() {
        for (value, milli) in [
            (0.0_f32, 0),
            (-0.0, 0),
            (1.0, 1_000),
            (-1.0, -1_000),
            (230.5, 230_500),
            (0.001, 1),
            (-0.0004, -1),
            (1.0e-40, 0),
            (5_250.25, 5_250_250),
            (16_777_216.0, 16_777_216_000),
            (1.0e12, 999_999_995_904_000),
        ] {
            assert_eq!(Number::Single(value.to_bits()).milli(), Some(milli), "{value}");
        }
        for beyond in [f32::INFINITY, f32::NAN, 1.0e30, -1.0e30] {
            assert_eq!(Number::Single(beyond.to_bits()).milli(), None, "{beyond}");
        }
    }

    #[test]
    fn numbers_show_every_place_of_their_scale() {
        let shown = |integer, exponent| Number::Scaled { integer, exponent }.to_string();
        assert_eq!(shown(2_305, -1), "230.5");
        assert_eq!(shown(2_300, -1), "230.0");
        assert_eq!(shown(-5, 3), "-5000");
        assert_eq!(shown(i128::from(u64::MAX), 8), "1844674407370955161500000000");
        assert_eq!(Number::Single(230.5_f32.to_bits()).to_string(), "230.5");
    }

    proptest! {
        #[test]
        fn a_float_s_thousandths_are_those_of_its_decimal(bits: u32) {
            let number = Number::Single(bits);
            if let (Some(milli), Some(decimal)) = (number.milli(), number.decimal()) {
                let exact = decimal * Decimal::from(1_000);
                let cut = Decimal::from(milli);
                // Magnitudes below 2^-40 are zero in decimals.
                prop_assert!(cut <= exact + Decimal::new(1, 6) && exact < cut + Decimal::ONE + Decimal::new(1, 6));
            }
        }

        #[test]
        fn no_integer_and_no_scale_panics(integer: i64, scale: i16, decimals in 0_u8..9) {
            let _ = scaled(i128::from(integer), scale, decimals);
            let _ = Number::Scaled { integer: i128::from(integer), exponent: scale }.to_string();
        }
    }
}
