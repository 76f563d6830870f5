//! Energy as the integral of power, in integers, and the counters that a device shows of it.

use std::ops::{Add, AddAssign, Sub};

const MILLIWATT_SECONDS_PER_WATT_HOUR: i64 = 3_600_000;

/// Energy in milliwatt-seconds: milliwatts summed over whole seconds, hence without rounding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Energy {
    milliwatt_seconds: i64,
}

impl Energy {
    /// No energy.
    pub const ZERO: Self = Self { milliwatt_seconds: 0 };

    /// So many milliwatt-seconds.
    #[must_use]
    pub const fn from_milliwatt_seconds(milliwatt_seconds: i64) -> Self {
        Self { milliwatt_seconds }
    }

    /// So many watt-hours.
    #[must_use]
    pub const fn from_watt_hours(watt_hours: i64) -> Self {
        Self {
            milliwatt_seconds: watt_hours * MILLIWATT_SECONDS_PER_WATT_HOUR,
        }
    }

    /// What this power makes in so many seconds.
    #[must_use]
    pub const fn of_power(milliwatts: i64, seconds: i64) -> Self {
        Self {
            milliwatt_seconds: milliwatts * seconds,
        }
    }

    /// The exact amount, in milliwatt-seconds.
    #[must_use]
    pub const fn milliwatt_seconds(self) -> i64 {
        self.milliwatt_seconds
    }

    /// The whole milliwatt-hours, rounded down.
    #[must_use]
    pub const fn milliwatt_hours(self) -> i64 {
        self.milliwatt_seconds.div_euclid(3_600)
    }

    /// The n-th of so many equal parts, which sum to the whole exactly.
    #[must_use]
    pub const fn part(self, parts: i64, n: i64) -> Self {
        Self {
            milliwatt_seconds: (self.milliwatt_seconds + n).div_euclid(parts),
        }
    }

    /// The floor of this energy in units of 10^`scale_factor` Wh.
    #[must_use]
    pub fn units(self, scale_factor: i16) -> i128 {
        let (numerator, denominator) = if scale_factor < 0 {
            (power_of_ten(-scale_factor), 1)
        } else {
            (1, power_of_ten(scale_factor))
        };
        (i128::from(self.milliwatt_seconds) * numerator)
            .div_euclid(i128::from(MILLIWATT_SECONDS_PER_WATT_HOUR) * denominator)
    }

    /// What an accumulator of 32 bits in units of 10^`scale_factor` Wh shows: the floor of this energy
    /// in that unit, modulo 2³².
    #[must_use]
    pub fn counter(self, scale_factor: i16) -> Counter {
        let count = u32::try_from(self.units(scale_factor).rem_euclid(1 << 32)).unwrap_or_default();
        Counter { count, scale_factor }
    }
}

fn power_of_ten(exponent: i16) -> i128 {
    10_i128.pow(u32::from(exponent.unsigned_abs()))
}

impl Add for Energy {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            milliwatt_seconds: self.milliwatt_seconds + other.milliwatt_seconds,
        }
    }
}

impl AddAssign for Energy {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Energy {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            milliwatt_seconds: self.milliwatt_seconds - other.milliwatt_seconds,
        }
    }
}

/// An energy accumulator as its registers show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// The register value; it wraps at 2³².
    pub count: u32,
    /// One count is 10^`scale_factor` Wh.
    pub scale_factor: i16,
}

impl Counter {
    /// Energy counted since an earlier reading of the same counter, in milliwatt-hours, with at most
    /// one wrap between. `None` if the scale factors differ or one count is not a whole number of
    /// milliwatt-hours.
    #[must_use]
    pub fn milliwatt_hours_since(self, earlier: Self) -> Option<i64> {
        if self.scale_factor != earlier.scale_factor || self.scale_factor < -3 {
            return None;
        }
        let quantum = 10_i64.checked_pow(u32::try_from(self.scale_factor + 3).ok()?)?;
        i64::from(self.count.wrapping_sub(earlier.count)).checked_mul(quantum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_counter_in_tenths_of_a_watt_hour_steps_at_360_watt_seconds() {
        assert_eq!(Energy::from_milliwatt_seconds(359_999).counter(-1).count, 0);
        assert_eq!(Energy::from_milliwatt_seconds(360_000).counter(-1).count, 1);
        assert_eq!(Energy::from_watt_hours(1).counter(-1).count, 10);
        assert_eq!(Energy::from_watt_hours(1_999).counter(3).count, 1);
    }

    #[test]
    fn a_difference_over_the_wrap_is_right() {
        let before = Energy::from_watt_hours(429_496_729).counter(-1);
        let after = Energy::from_watt_hours(429_496_731).counter(-1);
        assert!(after.count < before.count);
        assert_eq!(after.milliwatt_hours_since(before), Some(2_000));
    }

    proptest! {
        #[test]
        fn a_counter_is_the_floor_of_its_energy(mws in 0_i64..10_i64.pow(15), sf in -6_i16..4) {
            let count = i128::from(Energy::from_milliwatt_seconds(mws).counter(sf).count);
            let lifted = i128::from(mws) * power_of_ten((-sf).max(0));
            let unit = 3_600_000 * power_of_ten(sf.max(0));
            let wraps = lifted / unit / (1 << 32);
            let whole = count + wraps * (1 << 32);
            prop_assert!(whole * unit <= lifted && lifted < (whole + 1) * unit);
        }
    }
}
