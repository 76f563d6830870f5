//! Exact fractions: the arithmetic of every rule until its one named rounding.

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A step of a rule's arithmetic that cannot be carried out exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArithmeticError {
    /// The exact result does not fit 128 bits.
    #[error("an exact {operation} does not fit 128 bits; the readings are implausibly large")]
    Overflow {
        /// What was computed.
        operation: &'static str,
    },
    /// A fraction over nothing.
    #[error("a fraction's denominator is zero")]
    DivisionByZero,
}

fn overflow(operation: &'static str) -> ArithmeticError {
    ArithmeticError::Overflow { operation }
}

/// A reduced fraction of two 128-bit integers with a positive denominator. Every operation is exact or an error.
///
/// Its text is `n/d`, or `n` where the denominator is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    /// 0.
    pub const ZERO: Self = Self {
        numerator: 0,
        denominator: 1,
    };
    /// 1.
    pub const ONE: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    /// `numerator / denominator`, reduced.
    ///
    /// # Errors
    /// [`ArithmeticError`] where the denominator is zero or a sign cannot be turned.
    pub fn new(numerator: i128, denominator: i128) -> Result<Self, ArithmeticError> {
        if denominator == 0 {
            return Err(ArithmeticError::DivisionByZero);
        }
        let divisor = common_divisor(numerator, denominator)?;
        let quotient = |n: i128| n.checked_div(divisor).ok_or(overflow("quotient"));
        Ok(Self {
            numerator: quotient(numerator)?,
            denominator: quotient(denominator)?,
        })
    }

    /// The whole number `value`.
    #[must_use]
    pub const fn whole(value: i128) -> Self {
        Self {
            numerator: value,
            denominator: 1,
        }
    }

    /// A price or factor as written, exactly.
    ///
    /// # Errors
    /// [`ArithmeticError`] never in practice: 28 decimals fit.
    pub fn of_decimal(decimal: Decimal) -> Result<Self, ArithmeticError> {
        let too_large = overflow("decimal");
        Self::new(
            decimal.mantissa(),
            10_i128.checked_pow(decimal.scale()).ok_or(too_large)?,
        )
    }

    /// The reduced numerator.
    #[must_use]
    pub const fn numerator(self) -> i128 {
        self.numerator
    }

    /// The reduced denominator, at least 1.
    #[must_use]
    pub const fn denominator(self) -> i128 {
        self.denominator
    }

    /// The sum.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, ArithmeticError> {
        let sum = || {
            let divisor = common_divisor(self.denominator, other.denominator).ok()?;
            let (ours, theirs) = (
                other.denominator.checked_div(divisor)?,
                self.denominator.checked_div(divisor)?,
            );
            let numerator = self
                .numerator
                .checked_mul(ours)?
                .checked_add(other.numerator.checked_mul(theirs)?)?;
            Some((numerator, self.denominator.checked_mul(ours)?))
        };
        let (numerator, denominator) = sum().ok_or(overflow("sum"))?;
        Self::new(numerator, denominator)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, ArithmeticError> {
        let numerator = other.numerator.checked_neg().ok_or(overflow("difference"))?;
        self.checked_add(Self {
            numerator,
            denominator: other.denominator,
        })
    }

    /// The product. Common factors are taken out first, so that it overflows only where the result does.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`].
    pub fn checked_mul(self, other: Self) -> Result<Self, ArithmeticError> {
        let left = Self::new(self.numerator, other.denominator)?;
        let right = Self::new(other.numerator, self.denominator)?;
        let numerator = left
            .numerator
            .checked_mul(right.numerator)
            .ok_or(overflow("product"))?;
        let denominator = left
            .denominator
            .checked_mul(right.denominator)
            .ok_or(overflow("product"))?;
        Ok(Self {
            numerator,
            denominator,
        })
    }

    /// The quotient.
    ///
    /// # Errors
    /// [`ArithmeticError`] where `other` is zero or the result does not fit.
    pub fn checked_div(self, other: Self) -> Result<Self, ArithmeticError> {
        self.checked_mul(Self::new(other.denominator, other.numerator)?)
    }

    /// The sum of all.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where a partial sum does not fit.
    pub fn checked_sum(values: impl IntoIterator<Item = Self>) -> Result<Self, ArithmeticError> {
        values.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// Whether it is above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.numerator > 0
    }

    /// The nearest whole number; of two equally near ones the even one.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] at the very edge of 128 bits.
    pub fn round_half_even(self) -> Result<i128, ArithmeticError> {
        let parts = || {
            let below = self.numerator.checked_div_euclid(self.denominator)?;
            let rest = self.numerator.checked_rem_euclid(self.denominator)?;
            let to_next = self.denominator.checked_sub(rest)?;
            let up = match rest.cmp(&to_next) {
                Ordering::Less => false,
                Ordering::Greater => true,
                Ordering::Equal => below.checked_rem(2)? != 0,
            };
            below.checked_add(i128::from(up))
        };
        parts().ok_or(overflow("rounding"))
    }
}

/// The greatest common divisor, with the sign of `denominator`, so that dividing by it turns that positive.
fn common_divisor(numerator: i128, denominator: i128) -> Result<i128, ArithmeticError> {
    let (mut a, mut b) = (numerator.unsigned_abs(), denominator.unsigned_abs());
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
        // Most are small by now, and division of what fits a register is many times faster.
        if let (Ok(mut small), Ok(mut smaller)) = (u64::try_from(a), u64::try_from(b)) {
            while let Some(rest) = small.checked_rem(smaller) {
                (small, smaller) = (smaller, rest);
            }
            (a, b) = (small.into(), 0);
        }
    }
    let divisor = i128::try_from(a).map_err(|_| overflow("reduction"))?;
    if denominator < 0 {
        divisor.checked_neg().ok_or(overflow("reduction"))
    } else {
        Ok(divisor)
    }
}

impl Ord for Ratio {
    /// Compares by continued fractions, which cannot overflow.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (*self, *other);
        loop {
            let floor = |r: Self| r.numerator.div_euclid(r.denominator);
            let rest = |r: Self| r.numerator.rem_euclid(r.denominator);
            let order = floor(left).cmp(&floor(right));
            let (left_rest, right_rest) = (rest(left), rest(right));
            if order.is_ne() || left_rest == 0 || right_rest == 0 {
                return order.then(left_rest.signum().cmp(&right_rest.signum()));
            }
            // l/a < r/b exactly where b/r < a/l.
            (left, right) = (
                Self {
                    numerator: right.denominator,
                    denominator: right_rest,
                },
                Self {
                    numerator: left.denominator,
                    denominator: left_rest,
                },
            );
        }
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => f.pad(&self.numerator.to_string()),
            _ => f.pad(&format!("{}/{}", self.numerator, self.denominator)),
        }
    }
}

/// A text that is not a reduced fraction `n/d`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a reduced fraction of the form 3/25")]
pub struct ParseRatioError {
    text: String,
}

/// Reads a price or factor such as `0.85` exactly, or not at all: `from_str` would round what does not fit 96 bits,
/// and `+` and `×` of decimals round silently, so that a decimal is only read and shown, and counted with as a
/// [`Ratio`] or in base units.
///
/// # Errors
/// A sentence.
pub fn read_decimal(text: &str) -> Result<Decimal, String> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    let decimal = if plain {
        Decimal::from_str_exact(text).ok()
    } else {
        None
    };
    decimal.map(|d| d.normalize()).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        format!("{shown:?} is not a decimal number of the form 0.85 with at most 28 digits")
    })
}

impl FromStr for Ratio {
    type Err = ParseRatioError;
    fn from_str(text: &str) -> Result<Self, ParseRatioError> {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        let ratio = match (numerator.parse(), denominator.parse()) {
            (Ok(numerator), Ok(denominator)) => Self::new(numerator, denominator).ok(),
            _ => None,
        };
        // Only the canonical text is accepted, so that equal values have equal bytes.
        ratio
            .filter(|r| r.to_string() == text)
            .ok_or_else(|| ParseRatioError {
                text: text.chars().take(64).collect(),
            })
    }
}

impl TryFrom<String> for Ratio {
    type Error = ParseRatioError;
    fn try_from(text: String) -> Result<Self, ParseRatioError> {
        text.parse()
    }
}

impl From<Ratio> for String {
    fn from(ratio: Ratio) -> Self {
        ratio.to_string()
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use proptest::prelude::*;

    use super::*;

    fn ratio() -> impl Strategy<Value = Ratio> {
        (any::<i64>(), 1..=i64::MAX).prop_map(|(n, d)| Ratio::new(n.into(), d.into()).unwrap())
    }

    /// `left == n / d` without dividing.
    fn equals(left: Ratio, n: &BigInt, d: &BigInt) -> bool {
        BigInt::from(left.numerator) * d == BigInt::from(left.denominator) * n
    }

    #[test]
    fn the_rounding_goes_to_the_nearest_and_on_a_tie_to_the_even_number() {
        let cases = [
            (1, 2, 0),
            (3, 2, 2),
            (5, 2, 2),
            (-1, 2, 0),
            (-3, 2, -2),
            (7, 3, 2),
            (8, 3, 3),
            (-7, 3, -2),
        ];
        for (n, d, rounded) in cases {
            assert_eq!(
                Ratio::new(n, d).unwrap().round_half_even(),
                Ok(rounded),
                "{n}/{d}"
            );
        }
    }

    #[test]
    fn a_zero_denominator_is_an_error() {
        assert_eq!(Ratio::new(1, 0), Err(ArithmeticError::DivisionByZero));
        assert_eq!(
            Ratio::ONE.checked_div(Ratio::ZERO),
            Err(ArithmeticError::DivisionByZero)
        );
    }

    #[test]
    fn what_does_not_fit_is_an_overflow_and_never_a_wrap() {
        let large = Ratio::whole(i128::MAX);
        assert!(large.checked_add(Ratio::ONE).is_err());
        assert!(large.checked_mul(Ratio::whole(2)).is_err());
        assert!(Ratio::new(i128::MIN, -1).is_err());
        assert_eq!(
            large.checked_mul(Ratio::new(1, i128::MAX).unwrap()),
            Ok(Ratio::ONE)
        );
    }

    #[test]
    fn only_the_reduced_text_is_read() {
        assert_eq!(
            "3/25".parse::<Ratio>(),
            Ratio::new(3, 25).map_err(|_| unreachable!())
        );
        for text in ["6/50", "3/-25", "+3", "3/1", "", "a", "1/0", "-0"] {
            assert!(text.parse::<Ratio>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn sums_products_and_quotients_agree_with_big_integers(a in ratio(), b in ratio()) {
            let big = |n: i128| BigInt::from(n);
            let (an, ad) = (big(a.numerator), big(a.denominator));
            let (bn, bd) = (big(b.numerator), big(b.denominator));
            prop_assert!(equals(a.checked_add(b).unwrap(), &(&an * &bd + &bn * &ad), &(&ad * &bd)));
            prop_assert!(equals(a.checked_sub(b).unwrap(), &(&an * &bd - &bn * &ad), &(&ad * &bd)));
            prop_assert!(equals(a.checked_mul(b).unwrap(), &(&an * &bn), &(&ad * &bd)));
            if b != Ratio::ZERO {
                prop_assert!(equals(a.checked_div(b).unwrap(), &(&an * &bd), &(&ad * &bn)));
            }
            prop_assert_eq!(a.cmp(&b), (&an * &bd).cmp(&(&bn * &ad)));
        }

        #[test]
        fn the_rounding_is_never_more_than_a_half_away(a in ratio()) {
            let rounded = BigInt::from(a.round_half_even().unwrap());
            let twice: BigInt = (BigInt::from(a.numerator) - rounded * a.denominator) * 2;
            prop_assert!(twice.magnitude() <= BigInt::from(a.denominator).magnitude());
        }

        #[test]
        fn the_text_reads_back_to_the_same_value(a in ratio()) {
            prop_assert_eq!(a.to_string().parse::<Ratio>(), Ok(a));
        }
    }
}
