//! Energy from samples of the power, where a device has no counter.
//!
//! Between two samples the smaller of the two is taken, and nothing where the sign changes: whatever the
//! power did in between, it is not less than that unless it dipped below both. Samples too far apart say
//! nothing of the time between them. Energies add up exactly: what is less than a milliwatt-hour goes on into
//! the next interval.

use gridtally_protocol::channel::Missing;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::IntervalLength;
use serde::{Deserialize, Serialize};

use crate::device::reading::Integrated;

/// Milliwatts times milliseconds in a milliwatt-hour.
const UNITS: u128 = 3_600_000;

/// What samples are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleLimits {
    /// More than this and a tenth is not believed.
    pub nameplate: Milliwatts,
    /// Samples further apart leave a gap, in milliseconds.
    pub apart_ms_max: u32,
}

impl SampleLimits {
    /// For a device of that nameplate: samples at most 15 s apart.
    #[must_use]
    pub const fn of(nameplate: Milliwatts) -> Self {
        Self {
            nameplate,
            apart_ms_max: 15_000,
        }
    }

    fn believes(self, sample: PowerSample) -> bool {
        let power = i128::from(sample.milliwatts).saturating_abs();
        power.saturating_mul(10) <= i128::from(self.nameplate.get()).saturating_mul(11)
    }
}

/// The power at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerSample {
    /// Milliseconds since 1970.
    #[serde(rename = "t")]
    pub unix_ms: i64,
    /// Milliwatts, of either sign.
    #[serde(rename = "p")]
    pub milliwatts: i64,
}

/// The energies of an interval, by the sign of the power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BothWays {
    /// Where the power was above zero.
    pub positive: Integrated,
    /// Where it was below zero; not negative itself.
    pub negative: Integrated,
}

/// Integrates the power of one device. Its state can be kept, and goes on from where it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerMeter {
    #[serde(rename = "l")]
    last: Option<PowerSample>,
    /// Until when the present interval is accounted for, in Unix milliseconds. No time counts twice, also
    /// when the clock goes back.
    #[serde(rename = "r")]
    reached_ms: i64,
    #[serde(rename = "c")]
    covered_ms: u64,
    #[serde(rename = "p")]
    positive: Sum,
    #[serde(rename = "n")]
    negative: Sum,
}

/// An energy, and what does not make a milliwatt-hour yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sum(u64, u32);

impl Sum {
    fn add(&mut self, milliwatts: u64, milliseconds: u64) {
        let units = u128::from(milliwatts)
            .saturating_mul(u128::from(milliseconds))
            .saturating_add(u128::from(self.1));
        let whole = u64::try_from(units.div_euclid(UNITS)).unwrap_or(u64::MAX);
        self.0 = self.0.saturating_add(whole);
        self.1 = u32::try_from(units.rem_euclid(UNITS)).unwrap_or(0);
    }

    /// Takes the whole milliwatt-hours and leaves the rest.
    fn take(&mut self) -> i64 {
        i64::try_from(std::mem::take(&mut self.0)).unwrap_or(i64::MAX)
    }
}

impl PowerMeter {
    /// Takes a sample. One that is not believed leaves a gap.
    pub fn sample(&mut self, limits: SampleLimits, sample: PowerSample) {
        if !limits.believes(sample) {
            self.last = None;
            return;
        }
        self.span(limits, sample, sample.unix_ms);
        self.last = Some(sample);
    }

    /// Ends the interval at the boundary, and gives what was integrated since the one before. `next` is the
    /// first sample at or after the boundary, where there is one: what lies between it and the last sample
    /// is divided at the boundary. It belongs to the next interval and is given to [`PowerMeter::sample`] after.
    pub fn end(&mut self, limits: SampleLimits, boundary_ms: i64, next: Option<PowerSample>) -> BothWays {
        if let Some(next) = next.filter(|next| limits.believes(*next)) {
            self.span(limits, next, boundary_ms);
        }
        let covered = std::mem::take(&mut self.covered_ms).div_euclid(1_000);
        let covered_seconds = u32::try_from(covered).unwrap_or(u32::MAX);
        let integrated = |sum: &mut Sum| Integrated {
            energy: sum.take(),
            covered_seconds,
        };
        let both = BothWays {
            positive: integrated(&mut self.positive),
            negative: integrated(&mut self.negative),
        };
        self.reached_ms = boundary_ms;
        both
    }

    /// Adds what lies between the last sample and the next one, as far as it was not added, up to `until`.
    fn span(&mut self, limits: SampleLimits, next: PowerSample, until_ms: i64) {
        let Some(last) = self.last else { return };
        let apart = next.unix_ms.checked_sub(last.unix_ms);
        if !apart.is_some_and(|ms| (1..=i64::from(limits.apart_ms_max)).contains(&ms)) {
            return;
        }
        let from = last.unix_ms.max(self.reached_ms);
        let to = next.unix_ms.min(until_ms);
        let Some(duration) = to.checked_sub(from).and_then(|ms| u64::try_from(ms).ok()) else {
            return;
        };
        self.reached_ms = to;
        self.covered_ms = self.covered_ms.saturating_add(duration);
        let power = last.milliwatts.unsigned_abs().min(next.milliwatts.unsigned_abs());
        match (last.milliwatts.signum(), next.milliwatts.signum()) {
            (1, 1) => self.positive.add(power, duration),
            (-1, -1) => self.negative.add(power, duration),
            _ => {}
        }
    }
}

impl Integrated {
    /// The energy, where samples cover at least nine tenths of the interval.
    ///
    /// # Errors
    /// [`Missing::NotCovered`], or [`Missing::BadSample`] for an energy that no device of that nameplate moves.
    pub fn judged(self, nameplate: Milliwatts, interval: IntervalLength) -> Result<MilliwattHours, Missing> {
        let seconds = u64::from(interval.seconds());
        if u64::from(self.covered_seconds).saturating_mul(10) < seconds.saturating_mul(9) {
            return Err(Missing::NotCovered);
        }
        let most = i128::from(nameplate.get())
            .saturating_mul(i128::from(seconds))
            .saturating_mul(11)
            .saturating_div(36_000);
        if (0..=most).contains(&i128::from(self.energy)) {
            Ok(MilliwattHours::new(self.energy))
        } else {
            Err(Missing::BadSample)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: SampleLimits = SampleLimits::of(Milliwatts::new(5_000_000));
    const LENGTH: IntervalLength = IntervalLength::FIVE_MINUTES;

    const fn at(unix_ms: i64, milliwatts: i64) -> PowerSample {
        PowerSample { unix_ms, milliwatts }
    }

    const fn energies(both: BothWays) -> (i64, i64, u32) {
        (
            both.positive.energy,
            both.negative.energy,
            both.positive.covered_seconds,
        )
    }

    fn fed(samples: impl IntoIterator<Item = (i64, i64)>) -> PowerMeter {
        let mut meter = PowerMeter::default();
        for (unix_ms, milliwatts) in samples {
            meter.sample(LIMITS, at(unix_ms, milliwatts));
        }
        meter
    }

    #[test]
    fn constant_power_is_integrated_to_the_milliwatt_hour() {
        let mut meter = fed((0..300).map(|s| (s * 1_000, 3_600_000)));
        let both = meter.end(LIMITS, 300_000, Some(at(300_000, 3_600_000)));
        assert_eq!(energies(both), (300_000, 0, 300));
        assert_eq!(
            both.positive.judged(LIMITS.nameplate, LENGTH),
            Ok(MilliwattHours::new(300_000))
        );
    }

    #[test]
    fn the_smaller_neighbour_counts_and_nothing_over_a_change_of_sign() {
        let mut meter = fed([
            (0, 1_000_000),
            (3_600, 2_000_000),
            (7_200, -3_000_000),
            (10_800, -1_000_000),
        ]);
        assert_eq!(energies(meter.end(LIMITS, 10_800, None)), (1_000, 1_000, 10));
    }

    #[test]
    fn a_sample_after_the_boundary_is_divided_at_the_boundary() {
        let mut meter = fed([(0, 3_600)]);
        // 3.6 W over 9.5 s: 9.5 mWh before, 0.5 mWh after.
        let before = meter.end(LIMITS, 9_500, Some(at(10_000, 3_600)));
        assert_eq!(energies(before), (9, 0, 9));
        meter.sample(LIMITS, at(10_000, 3_600));
        meter.sample(LIMITS, at(20_000, 3_600));
        // The half milliwatt-hour from before is not lost.
        assert_eq!(energies(meter.end(LIMITS, 20_000, None)), (11, 0, 10));
    }

    #[test]
    fn samples_too_far_apart_are_a_gap_and_less_than_nine_tenths_are_no_value() {
        let second = |s: i64| (s * 1_000, 3_600_000);
        let mut meter = fed((0..=100).chain(116..=300).map(second));
        let both = meter.end(LIMITS, 300_000, None);
        assert_eq!(energies(both), (284_000, 0, 284));
        assert!(both.positive.judged(LIMITS.nameplate, LENGTH).is_ok());
        let mut meter = fed((0..=100).chain(131..=300).map(second));
        let both = meter.end(LIMITS, 300_000, None);
        assert_eq!(energies(both), (269_000, 0, 269));
        assert_eq!(
            both.positive.judged(LIMITS.nameplate, LENGTH),
            Err(Missing::NotCovered)
        );
        let just = Integrated {
            energy: 0,
            covered_seconds: 270,
        };
        assert!(just.judged(LIMITS.nameplate, LENGTH).is_ok());
    }

    #[test]
    fn a_power_beyond_the_nameplate_is_a_gap() {
        let mut meter = fed([(0, 1_000_000), (5_000, 5_500_001), (10_000, 1_000_000)]);
        assert_eq!(energies(meter.end(LIMITS, 10_000, None)), (0, 0, 0));
        let mut meter = fed([(0, i64::MIN), (5_000, i64::MIN), (10_000, i64::MAX)]);
        assert_eq!(
            energies(meter.end(LIMITS, i64::MAX, Some(at(i64::MIN, 1)))),
            (0, 0, 0)
        );
    }

    #[test]
    fn an_energy_that_no_device_moves_is_no_value() {
        for energy in [-1, 458_334, i64::MIN, i64::MAX] {
            let integrated = Integrated {
                energy,
                covered_seconds: 300,
            };
            assert_eq!(
                integrated.judged(LIMITS.nameplate, LENGTH),
                Err(Missing::BadSample)
            );
        }
    }

    #[test]
    fn time_that_a_clock_lives_twice_counts_once() {
        let mut meter = fed([
            (0, 3_600),
            (10_000, 3_600),
            (2_000, 3_600),
            (9_000, 3_600),
            (12_000, 3_600),
        ]);
        assert_eq!(energies(meter.end(LIMITS, 12_000, None)), (12, 0, 12));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// The power runs straight from sample to sample; the integral of that is the truth.
        #[test]
        fn what_is_integrated_is_never_more_than_the_truth_nor_lost_at_boundaries_or_restarts(
            samples in prop::collection::vec((1_i64..20_000, -5_000_000_i64..5_000_000), 2..80),
            boundaries in prop::collection::btree_set(0_i64..800_000, 0..10),
            restart in any::<prop::sample::Index>(),
        ) {
            let mut now = 0;
            let samples: Vec<PowerSample> = samples
                .iter()
                .map(|(apart, power)| { now += apart; at(now, *power) })
                .collect();
            let restart = restart.index(samples.len());
            // Twice the truth in mW·ms, so that halves stay whole; and what the conservative rule gives.
            let mut truth = (0_i128, 0_i128);
            let mut rule = (0_i128, 0_i128);
            for pair in samples.windows(2) {
                let (a, b) = (i128::from(pair[0].milliwatts), i128::from(pair[1].milliwatts));
                let apart = i128::from(pair[1].unix_ms - pair[0].unix_ms);
                if a >= 0 && b >= 0 { truth.0 += (a + b) * apart }
                if a <= 0 && b <= 0 { truth.1 -= (a + b) * apart }
                if apart <= 15_000 {
                    if a > 0 && b > 0 { rule.0 += a.min(b) * apart }
                    if a < 0 && b < 0 { rule.1 += (-a).min(-b) * apart }
                }
            }
            let mut meter = PowerMeter::default();
            let mut boundaries: Vec<i64> = boundaries.into_iter().filter(|b| *b <= now).collect();
            let mut sums = (0_i128, 0_i128, 0_u64);
            let mut add = |both: BothWays| {
                sums.0 += i128::from(both.positive.energy);
                sums.1 += i128::from(both.negative.energy);
                sums.2 += 1;
            };
            for (index, sample) in samples.iter().enumerate() {
                if index == restart {
                    meter = serde_json::from_str(&serde_json::to_string(&meter).unwrap()).unwrap();
                }
                while boundaries.first().is_some_and(|b| *b <= sample.unix_ms) {
                    add(meter.end(LIMITS, boundaries.remove(0), Some(*sample)));
                }
                meter.sample(LIMITS, *sample);
            }
            add(meter.end(LIMITS, now, None));
            let units = i128::try_from(UNITS).unwrap();
            prop_assert_eq!((sums.0, sums.1), (rule.0 / units, rule.1 / units));
            prop_assert!(2 * units * sums.0 <= truth.0 && 2 * units * sums.1 <= truth.1);
        }
    }
}
