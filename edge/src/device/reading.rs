//! What a device showed at one instant: exact integers, before anything of it is judged.

use serde::{Deserialize, Serialize};

/// Scale factors are powers of ten within these (Device Information Model 1.2.1, §6.5.1).
const SCALE_RANGE: std::ops::RangeInclusive<i16> = -10..=10;
/// One watt-hour in milliwatt-hours is ten to the power of this.
const MILLI: i16 = 3;
/// A binary32 number has so many stored bits of its significand (IEEE 754-2019, table 3.5).
const FRACTION_BITS: u32 = 23;
/// A binary32 exponent of `e` is stored as `e + 127`, and the significand counts in units of `2^-23`.
const EXPONENT_BIAS: i32 = 127 + 23;

/// The energy of one count: an exact fraction of milliwatt-hours, above zero, in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u64, u64)", into = "(u64, u64)")]
pub struct Step {
    numerator: u64,
    denominator: u64,
}

impl Step {
    /// One watt-hour.
    pub const WATT_HOUR: Self = Self {
        numerator: 1_000,
        denominator: 1,
    };

    /// `numerator / denominator` milliwatt-hours; `None` where either is zero.
    #[must_use]
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        let divisor = greatest_common_divisor(numerator, denominator);
        Some(Self {
            numerator: numerator.checked_div(divisor).filter(|n| *n > 0)?,
            denominator: denominator.checked_div(divisor).filter(|d| *d > 0)?,
        })
    }

    /// `10^scale` watt-hours; `None` where the scale factor is none (outside −10 to 10).
    #[must_use]
    pub fn of_scale(scale: i16) -> Option<Self> {
        let exponent = SCALE_RANGE
            .contains(&scale)
            .then(|| scale.saturating_add(MILLI))?;
        let power = 10_u64.checked_pow(u32::from(exponent.unsigned_abs()))?;
        if exponent >= 0 {
            Self::new(power, 1)
        } else {
            Self::new(1, power)
        }
    }

    /// The upper part of the fraction.
    #[must_use]
    pub const fn numerator(self) -> u64 {
        self.numerator
    }

    /// The lower part of the fraction.
    #[must_use]
    pub const fn denominator(self) -> u64 {
        self.denominator
    }

    /// The energy of so many counts in milliwatt-hours, rounded down; `None` beyond 64 bits.
    #[must_use]
    pub fn energy(self, count: u64) -> Option<i64> {
        let product = u128::from(count).checked_mul(u128::from(self.numerator))?;
        i64::try_from(product.checked_div(u128::from(self.denominator))?).ok()
    }

    /// The energy of one count in milliwatt-hours, rounded up: never nothing.
    #[must_use]
    pub fn quantum(self) -> i64 {
        i64::try_from(self.numerator.div_ceil(self.denominator)).unwrap_or(i64::MAX)
    }
}

impl TryFrom<(u64, u64)> for Step {
    type Error = &'static str;
    fn try_from((numerator, denominator): (u64, u64)) -> Result<Self, Self::Error> {
        Self::new(numerator, denominator).ok_or("a step of energy is above zero")
    }
}

impl From<Step> for (u64, u64) {
    fn from(step: Step) -> Self {
        (step.numerator, step.denominator)
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// The state of an energy counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// A whole number of steps.
    Integer {
        /// How many.
        count: u64,
        /// The register starts over at two to the power of this: 16, 32, 48 or 64.
        bits: u8,
        /// What one of them is.
        step: Step,
    },
    /// A floating point number, taken apart without floating point arithmetic.
    Float {
        /// In milliwatt-hours, rounded down.
        energy: i64,
        /// How far away the next number is that the format holds, in milliwatt-hours, rounded up.
        quantum: i64,
    },
}

impl Count {
    /// A count in a register of `bits` bits; `None` where there is no such register, or the count does not
    /// fit in.
    #[must_use]
    pub fn integer(count: u64, bits: u8, step: Step) -> Option<Self> {
        let fits = match bits {
            16 | 32 | 48 => count.checked_shr(u32::from(bits)) == Some(0),
            64 => true,
            _ => false,
        };
        fits.then_some(Self::Integer { count, bits, step })
    }

    /// The binary32 number of these bits (IEEE 754-2019, §3.4) in units of `unit`, exactly.
    ///
    /// `None` where it is no number, infinite, below zero, or beyond 64 bits of milliwatt-hours.
    #[must_use]
    pub fn of_f32(bits: u32, unit: Step) -> Option<Self> {
        let fraction = bits & 0x007f_ffff;
        let exponent = bits.wrapping_shr(FRACTION_BITS) & 0xff;
        let negative = bits.leading_zeros() == 0;
        // All ones are infinities and what is no number; zero has a sign, too, and is zero.
        if exponent == 0xff || (negative && (exponent, fraction) != (0, 0)) {
            return None;
        }
        // Numbers without a leading one have the smallest exponent.
        let significand = if exponent == 0 {
            fraction
        } else {
            fraction | 0x0080_0000
        };
        let power = i32::try_from(exponent.max(1)).ok()?.checked_sub(EXPONENT_BIAS)?;
        let (energy, _) = scaled(significand, power, unit)?;
        let (floor, exact) = scaled(1, power, unit)?;
        let quantum = if exact { floor } else { floor.checked_add(1)? };
        Some(Self::Float {
            energy,
            quantum: quantum.max(1),
        })
    }
}

/// `significand × 2^power × unit` in milliwatt-hours, rounded down, and whether nothing was cut off.
fn scaled(significand: u32, power: i32, unit: Step) -> Option<(i64, bool)> {
    let product = u128::from(significand).checked_mul(u128::from(unit.numerator))?;
    let shift = power.unsigned_abs();
    let (shifted, cut) = if power >= 0 {
        let shifted = product.checked_shl(shift)?;
        (shifted, shifted.wrapping_shr(shift) != product)
    } else {
        let shifted = product.checked_shr(shift).unwrap_or(0);
        (shifted, shifted.checked_shl(shift).unwrap_or(0) != product)
    };
    if power >= 0 && cut {
        return None;
    }
    let denominator = u128::from(unit.denominator);
    let energy = i64::try_from(shifted.checked_div(denominator)?).ok()?;
    let exact = !cut && shifted.checked_rem(denominator) == Some(0);
    Some((energy, exact))
}

/// A counter of energy as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// What it stood at.
    pub count: Count,
    /// A fingerprint of manufacturer, model and serial number; `None` where they are not known.
    pub device: Option<u64>,
}

/// Energy that was integrated from power, in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integrated {
    /// In milliwatt-hours, rounded down.
    pub energy: i64,
    /// How many seconds of the interval the samples of the power cover, rounded down.
    pub covered_seconds: u32,
}

/// What a device showed of one channel at a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// A counter of energy.
    Counter(Counter),
    /// Energy that was integrated from power since the boundary before.
    Energy(Integrated),
    /// A level in thousandths of a percent.
    Level(i64),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn float(energy: i64, quantum: i64) -> Option<Count> {
        Some(Count::Float { energy, quantum })
    }

    #[test]
    fn a_step_of_a_scale_factor_is_an_exact_power_of_ten() {
        assert_eq!(Step::of_scale(0), Some(Step::WATT_HOUR));
        assert_eq!(Step::of_scale(10), Step::new(10_000_000_000_000, 1));
        assert_eq!(Step::of_scale(-4), Step::new(1, 10));
        assert_eq!(Step::of_scale(-10), Step::new(1, 10_000_000));
        for scale in [-11, 11, i16::MIN, i16::MAX] {
            assert_eq!(Step::of_scale(scale), None);
        }
    }

    #[test]
    fn a_step_is_above_zero_and_has_one_form() {
        assert_eq!(Step::new(0, 1), None);
        assert_eq!(Step::new(1, 0), None);
        assert_eq!(Step::new(0, 0), None);
        assert_eq!(Step::new(30, 12), Step::new(5, 2));
        assert!(serde_json::from_str::<Step>("[0,1]").is_err());
        assert_eq!(Some(serde_json::from_str("[50,20]").unwrap()), Step::new(5, 2));
    }

    #[test]
    fn a_count_has_to_fit_its_register() {
        for (bits, most) in [
            (16, u64::from(u16::MAX)),
            (32, u64::from(u32::MAX)),
            (48, (1 << 48) - 1),
        ] {
            assert!(Count::integer(most, bits, Step::WATT_HOUR).is_some());
            assert_eq!(Count::integer(most + 1, bits, Step::WATT_HOUR), None);
        }
        assert!(Count::integer(u64::MAX, 64, Step::WATT_HOUR).is_some());
        assert_eq!(Count::integer(1, 33, Step::WATT_HOUR), None);
    }

    #[test]
    fn a_float_is_taken_apart_to_the_milliwatt_hour() {
        let of = |value: f32| Count::of_f32(value.to_bits(), Step::WATT_HOUR);
        assert_eq!(of(0.0), float(0, 1));
        assert_eq!(of(-0.0), float(0, 1));
        assert_eq!(of(1.0), float(1_000, 1));
        assert_eq!(of(1.5), float(1_500, 1));
        assert_eq!(of(0.1), float(100, 1));
        // 2^24 Wh: from here on steps of two watt-hours.
        assert_eq!(of(16_777_215.0), float(16_777_215_000, 1_000));
        assert_eq!(of(16_777_216.0), float(16_777_216_000, 2_000));
        assert_eq!(of(123_456_784.0), float(123_456_784_000, 8_000));
        assert_eq!(of(f32::MIN_POSITIVE), float(0, 1));
        assert_eq!(Count::of_f32(1, Step::WATT_HOUR), float(0, 1));
    }

    #[test]
    fn a_float_that_is_no_energy_is_none() {
        let nothing = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            -1.0,
            -1e-40,
            f32::MAX,
            1e16,
        ];
        for value in nothing {
            assert_eq!(Count::of_f32(value.to_bits(), Step::WATT_HOUR), None, "{value}");
        }
        assert_eq!(Count::of_f32(0x7fa0_0001, Step::WATT_HOUR), None);
    }

    proptest! {
        /// Binary64 holds every binary32 number times a thousand exactly.
        #[test]
        fn every_float_is_what_wider_arithmetic_says(bits in any::<u32>()) {
            let wide = f64::from(f32::from_bits(bits)) * 1_000.0;
            let expected = ((0.0..9.2e18).contains(&wide)).then(|| format!("{:.0}", wide.floor()));
            let found = match Count::of_f32(bits, Step::WATT_HOUR) {
                Some(Count::Float { energy, .. }) => Some(energy.to_string()),
                _ => None,
            };
            prop_assume!(!(9.2e18..=9.3e18).contains(&wide));
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn the_next_float_is_at_most_a_quantum_away(bits in 0_u32..0x5a00_0000) {
            let at = |bits| match Count::of_f32(bits, Step::WATT_HOUR) {
                Some(Count::Float { energy, quantum }) => (energy, quantum),
                other => panic!("{other:?}"),
            };
            let ((here, quantum), (next, _)) = (at(bits), at(bits + 1));
            prop_assert!((0..=quantum).contains(&(next - here)), "{here} {next} {quantum}");
        }

        #[test]
        fn the_energy_of_counts_is_rounded_down_and_never_wraps(
            count in any::<u64>(), numerator in 1..u64::MAX, denominator in 1..u64::MAX,
        ) {
            let step = Step::new(numerator, denominator).unwrap();
            let exact = u128::from(count) * u128::from(numerator) / u128::from(denominator);
            prop_assert_eq!(step.energy(count), i64::try_from(exact).ok());
        }
    }
}
