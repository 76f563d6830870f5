//! Powers to counts of a register and back, in exact integers.

use gridtally_protocol::quantity::Milliwatts;

const MILLI: i128 = 1_000;
const PERCENT: i128 = 100;

/// What one count of a register is worth: `numerator / denominator` milliwatts, both above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    numerator: i128,
    denominator: i128,
}

impl Step {
    /// A count of `10^scale` watts.
    pub(super) fn watts(scale: i16) -> Option<Self> {
        Self::new(MILLI, 1, scale)
    }

    /// A count of `10^scale` percent of `base`; `None` where the base is nothing.
    pub(super) fn percent_of(base: Milliwatts, scale: i16) -> Option<Self> {
        Self::new(i128::from(base.get()), PERCENT, scale)
    }

    fn new(numerator: i128, denominator: i128, scale: i16) -> Option<Self> {
        let power = 10_i128.checked_pow(u32::from(scale.unsigned_abs()))?;
        let step = if scale < 0 {
            Self {
                numerator,
                denominator: denominator.checked_mul(power)?,
            }
        } else {
            Self {
                numerator: numerator.checked_mul(power)?,
                denominator,
            }
        };
        (numerator > 0).then_some(step)
    }

    /// The count of the greatest magnitude that is neither above `count_max` nor worth more than `power`,
    /// and what it is worth.
    pub(super) fn express(self, power: Milliwatts, count_max: i64) -> Option<(i64, Milliwatts)> {
        let count = i128::from(power.get())
            .checked_mul(self.denominator)?
            .checked_div(self.numerator)?;
        let count = i64::try_from(count.clamp(-i128::from(count_max), i128::from(count_max))).ok()?;
        Some((count, self.power(count)?))
    }

    /// What a count is worth, rounded towards zero.
    pub(super) fn power(self, count: i64) -> Option<Milliwatts> {
        let power = i128::from(count)
            .checked_mul(self.numerator)?
            .checked_div(self.denominator)?;
        i64::try_from(power).ok().map(Milliwatts::new)
    }
}

/// The count that is 100 % exactly; `None` where there is none.
pub(super) fn whole(scale: i16, count_max: i64) -> Option<i64> {
    let power = 10_i64.checked_pow(u32::from(scale.unsigned_abs()))?;
    let count = if scale <= 0 {
        power.checked_mul(100)?
    } else {
        (100_i64.checked_rem(power)? == 0).then(|| 100 / power)?
    };
    (count <= count_max).then_some(count)
}

/// A count that was scaled by one power of ten, in another; rounded towards zero.
pub(super) fn rescaled(count: i64, from: i16, to: i16, count_max: i64) -> Option<i64> {
    let exponent = i32::from(from).checked_sub(i32::from(to))?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    let count = i128::from(count);
    let count = if exponent >= 0 {
        count.checked_mul(power)?
    } else {
        count.checked_div(power)?
    };
    i64::try_from(count.clamp(-i128::from(count_max), i128::from(count_max))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hundred_percent_is_told_only_where_it_can_be_written() {
        for (scale, count) in [
            (0, Some(100)),
            (-2, Some(10_000)),
            (-3, None),
            (1, Some(10)),
            (2, Some(1)),
            (3, None),
            (-10, None),
        ] {
            assert_eq!(whole(scale, 0x7FFF), count, "{scale}");
        }
    }

    #[test]
    fn a_count_keeps_its_meaning_when_the_scale_factor_changes() {
        assert_eq!(rescaled(75, 0, -2, 0x7FFF), Some(7_500));
        assert_eq!(rescaled(-7_559, -2, 0, 0x7FFF), Some(-75));
        assert_eq!(rescaled(1, 10, -10, 0x7FFF), Some(0x7FFF));
    }

    proptest! {
        #[test]
        fn a_power_is_rounded_towards_zero(
            power: i64,
            base in 1_i64..=655_350_000_000_000_000,
            scale in -10_i16..=10,
            percent: bool,
        ) {
            let step = if percent { Step::percent_of(Milliwatts::new(base), scale) } else { Step::watts(scale) };
            let (count, worth) = step.unwrap().express(Milliwatts::new(power), 0x7FFF_FFFF).unwrap();
            prop_assert!(worth.get().unsigned_abs() <= power.unsigned_abs());
            prop_assert!(worth.get() == 0 || worth.get().signum() == power.signum());
            let next = step.unwrap().power(count + power.signum());
            let is_greatest = next.is_none_or(|next| next.get().unsigned_abs() >= power.unsigned_abs());
            prop_assert!(is_greatest || count.abs() == 0x7FFF_FFFF);
        }
    }
}
