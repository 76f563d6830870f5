//! Whole numbers from fractions: each amount is rounded once, in a way that has a name.

use core::cmp::Ordering;

use gridtally_protocol::quantity::TokenAmount;
use serde::{Deserialize, Serialize};

use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::statement::AmountError;

/// One base unit, or one kilowatt(-hour), in millionths.
pub(super) const MILLIONTHS: i128 = 1_000_000;

/// How an exact amount becomes a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest; of two equally near ones the even one.
    HalfEven,
    /// To the nearest; of two equally near ones the one farther from zero.
    HalfUp,
    /// Towards −∞: nobody is ever paid more than exact.
    Down,
    /// Towards +∞.
    Ceil,
}

/// A rounding to whole multiples of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which way.
    pub rounding: Rounding,
    /// Of what the result is a whole multiple, in base units; at least one.
    pub multiple: TokenAmount,
}

/// Who bears what rounding adds, and has what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearer {
    /// The program's rounding account: the operator pays the exact sum over the season.
    RoundingAccount,
    /// The operator: rounding is part of the price, as with points.
    Escrow,
}

pub(super) fn overflow(operation: &'static str) -> ArithmeticError {
    ArithmeticError::Overflow { operation }
}

/// `numerator / denominator` as a whole number; the denominator is above zero.
pub(in crate::rules) fn divide(
    numerator: i128,
    denominator: i128,
    rounding: Rounding,
) -> Result<i128, ArithmeticError> {
    if denominator < 1 {
        return Err(ArithmeticError::DivisionByZero);
    }
    let parts = || {
        let below = numerator.checked_div_euclid(denominator)?;
        let rest = numerator.checked_rem_euclid(denominator)?;
        let nearer = rest.cmp(&denominator.checked_sub(rest)?);
        let up = match (rounding, nearer) {
            (Rounding::Down, _) => false,
            (Rounding::Ceil, _) => rest > 0,
            (_, Ordering::Less) => false,
            (_, Ordering::Greater) => true,
            (Rounding::HalfEven, Ordering::Equal) => below.checked_rem(2)? != 0,
            (Rounding::HalfUp, Ordering::Equal) => numerator > 0,
        };
        below.checked_add(i128::from(up))
    };
    parts().ok_or(overflow("rounding"))
}

/// `exact` rounded to a whole number.
pub(super) fn round(exact: Ratio, rounding: Rounding) -> Result<i128, ArithmeticError> {
    divide(exact.numerator(), exact.denominator(), rounding)
}

impl Step {
    /// To whole base units.
    pub(super) fn unit(rounding: Rounding) -> Result<Self, AmountError> {
        Ok(Self {
            rounding,
            multiple: TokenAmount::new(1)?,
        })
    }

    /// `exact` base units, rounded.
    ///
    /// # Errors
    /// [`AmountError`] where the result does not fit.
    pub fn round(self, exact: Ratio) -> Result<TokenAmount, AmountError> {
        let multiple = self.multiple.base_units();
        let steps = round(exact.checked_div(Ratio::whole(multiple))?, self.rounding)?;
        let amount = steps.checked_mul(multiple).ok_or(overflow("product"))?;
        Ok(TokenAmount::new(amount)?)
    }
}

/// A fraction in whole millionths, half-even: for accounts of what rounding left, never for what is paid.
///
/// Exact where the denominator divides a million, as with energy × price.
pub(super) fn millionths(exact: Ratio) -> Result<i64, ArithmeticError> {
    let whole = exact.numerator().checked_div_euclid(exact.denominator());
    let rest = exact.numerator().checked_rem_euclid(exact.denominator());
    let (whole, rest) = whole.zip(rest).ok_or(overflow("quotient"))?;
    let parts = || {
        // The rest is below the denominator, so only the product can be too wide; then it is taken wide.
        let (quotient, left) = mul_div(
            rest.unsigned_abs(),
            MILLIONTHS.unsigned_abs(),
            exact.denominator().unsigned_abs(),
        )?;
        let to_next = exact.denominator().unsigned_abs().checked_sub(left)?;
        let up = match left.cmp(&to_next) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => quotient.checked_rem(2)? != 0,
        };
        let part = i128::try_from(quotient).ok()?.checked_add(i128::from(up))?;
        let sum = whole.checked_mul(MILLIONTHS)?.checked_add(part)?;
        i64::try_from(sum).ok()
    };
    parts().ok_or(overflow("remainder"))
}

/// `a × b / divisor` rounded down, and what is left; `None` where the quotient does not fit 128 bits or the
/// divisor is zero or above 2^127. The product itself may have 256 bits.
pub(super) fn mul_div(a: u128, b: u128, divisor: u128) -> Option<(u128, u128)> {
    if divisor == 0 || divisor > i128::MAX.unsigned_abs() {
        return None;
    }
    if let Some(product) = a.checked_mul(b) {
        return Some((product.checked_div(divisor)?, product.checked_rem(divisor)?));
    }
    // Long multiplication, bit by bit of b, that keeps quotient and rest apart; the rest stays below 2^127, so
    // that its double fits.
    let (a_quotient, a_rest) = (a.checked_div(divisor)?, a.checked_rem(divisor)?);
    let (mut quotient, mut rest) = (0_u128, 0_u128);
    let add = |quotient: u128, rest: u128, more: (u128, u128)| {
        let rest = rest.checked_add(more.1)?;
        let quotient = quotient.checked_add(more.0)?;
        match rest.checked_sub(divisor) {
            Some(rest) => Some((quotient.checked_add(1)?, rest)),
            None => Some((quotient, rest)),
        }
    };
    for bit in (0..u128::BITS.saturating_sub(b.leading_zeros())).rev() {
        (quotient, rest) = add(quotient, rest, (quotient, rest))?;
        if b.checked_shr(bit)? & 1 == 1 {
            (quotient, rest) = add(quotient, rest, (a_quotient, a_rest))?;
        }
    }
    Some((quotient, rest))
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_mode_goes_its_way_on_both_sides_of_zero() {
        let cases = [
            (1, 2, [0, 1, 0, 1]),
            (3, 2, [2, 2, 1, 2]),
            (5, 2, [2, 3, 2, 3]),
            (-1, 2, [0, -1, -1, 0]),
            (-3, 2, [-2, -2, -2, -1]),
            (7, 3, [2, 2, 2, 3]),
            (-7, 3, [-2, -2, -3, -2]),
            (4, 2, [2, 2, 2, 2]),
        ];
        for (n, d, expected) in cases {
            let modes = [
                Rounding::HalfEven,
                Rounding::HalfUp,
                Rounding::Down,
                Rounding::Ceil,
            ];
            for (mode, expected) in modes.into_iter().zip(expected) {
                assert_eq!(divide(n, d, mode), Ok(expected), "{n}/{d} {mode:?}");
            }
        }
    }

    #[test]
    fn a_fraction_over_a_huge_denominator_has_its_millionths() {
        let near_one = Ratio::new(i128::MAX - 1, i128::MAX).unwrap();
        assert_eq!(millionths(near_one), Ok(1_000_000));
        assert_eq!(millionths(Ratio::new(-1, 3).unwrap()), Ok(-333_333));
    }

    proptest! {
        #[test]
        fn the_wide_quotient_is_that_of_big_integers(a: u128, b: u128, divisor in 1..=i128::MAX.unsigned_abs()) {
            let product = BigInt::from(a) * BigInt::from(b);
            let expected = u128::try_from(&product / BigInt::from(divisor)).ok();
            let found = mul_div(a, b, divisor);
            prop_assert_eq!(found.map(|f| f.0), expected);
            if let Some((quotient, rest)) = found {
                prop_assert_eq!(BigInt::from(quotient) * divisor + rest, product);
                prop_assert!(rest < divisor);
            }
        }
    }
}
