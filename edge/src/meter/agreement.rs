//! Whether a device's counters and its power say the same: two measures of one flow, held against each other over
//! every hour.
//!
//! Between two samples the power was somewhere: an energy of the hour lies between the sum of the smaller neighbours
//! and that of the larger ones, and whatever the device can do for the time that no samples cover. A counter that is
//! more than a twentieth outside of that, and more than a step of a coarse counter, is told: its value stands, with a
//! mark. Nothing of this outlives a restart; the next whole hour is judged again.

use std::collections::{BTreeMap, VecDeque};

use gridtally_protocol::channel::{Channel, Quantity};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::IntervalLength;

use super::integrated::{PowerSample, SampleLimits};
use crate::config::DeviceConfig;
use crate::device::Live;

/// Milliwatts times milliseconds in a milliwatt-hour.
const UNITS: i128 = 3_600_000;
const HOUR_SECONDS: u32 = 3_600;
const HOUR_MS: u64 = 3_600_000;
/// Counters step by up to 100 Wh, in milliwatt-hours.
const STEP: i128 = 100_000;
/// So much of a hundred percent they may differ.
const PERCENT: i128 = 5;

/// The power that goes with a device's counters, where all of them are of one flow. What a device of several flows
/// calls the power of one, DC or AC, with or without the battery, is not known well enough.
pub fn power_of(device: &DeviceConfig, live: Live) -> Option<Milliwatts> {
    let mut flows = device
        .channels()
        .filter(|channel| channel.quantity.is_energy())
        .map(|channel| match channel.quantity {
            Quantity::GridImport | Quantity::GridExport => Flow::Grid,
            Quantity::PvProduction => Flow::Panels,
            _ => Flow::Battery,
        });
    let flow = flows.next()?;
    if !flows.all(|other| other == flow) {
        return None;
    }
    match flow {
        Flow::Grid => live.grid,
        Flow::Panels => live.pv,
        Flow::Battery => live.battery,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Grid,
    Panels,
    Battery,
}

/// What an energy lies between, in milliwatts times milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Between {
    least: i128,
    most: i128,
}

impl Between {
    fn add(&mut self, (a, b): (i64, i64), milliseconds: i64) {
        let (a, b) = (i128::from(a.max(0)), i128::from(b.max(0)));
        let over = |power: i128| power.saturating_mul(i128::from(milliseconds));
        self.least = self.least.saturating_add(over(a.min(b)));
        self.most = self.most.saturating_add(over(a.max(b)));
    }

    const fn and(self, other: Self) -> Self {
        Self {
            least: self.least.saturating_add(other.least),
            most: self.most.saturating_add(other.most),
        }
    }
}

/// The power of an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    covered_ms: u64,
    positive: Between,
    negative: Between,
}

/// The last hour of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreement {
    last: Option<PowerSample>,
    /// Until when the present interval is accounted for, in Unix milliseconds: no time counts twice.
    reached_ms: i64,
    present: Seen,
    /// The interval that ended and is not counted yet.
    ended: Option<Seen>,
    /// The last intervals, the youngest last: the power, and what each counter said.
    hour: VecDeque<(Seen, BTreeMap<Channel, i64>)>,
}

impl Agreement {
    /// Takes a sample of the power; none leaves a gap.
    pub fn sample(&mut self, limits: SampleLimits, sample: Option<PowerSample>) {
        if let Some(sample) = sample {
            self.span(limits, sample, sample.unix_ms);
        }
        self.last = sample;
    }

    /// Ends the interval at a boundary; `next` is the sample at or after it. Where the boundary before was not read,
    /// the hour begins anew.
    pub fn end(&mut self, limits: SampleLimits, boundary_ms: i64, next: Option<PowerSample>, follows: bool) {
        if let Some(next) = next {
            self.span(limits, next, boundary_ms);
        }
        self.reached_ms = boundary_ms;
        let seen = core::mem::take(&mut self.present);
        if !follows {
            self.hour.clear();
        }
        self.ended = follows.then_some(seen);
    }

    /// Takes what the counters said of the interval that ended, and gives the channels whose last hour does not agree
    /// with the power.
    pub fn count(
        &mut self,
        nameplate: Milliwatts,
        length: IntervalLength,
        counted: BTreeMap<Channel, i64>,
    ) -> Vec<Channel> {
        let Some(seen) = self.ended.take() else {
            return Vec::new();
        };
        let channels: Vec<Channel> = counted.keys().copied().collect();
        self.hour.push_back((seen, counted));
        let whole = HOUR_SECONDS.checked_div(length.seconds()).unwrap_or(1);
        let whole = usize::try_from(whole).unwrap_or(usize::MAX);
        while self.hour.len() > whole {
            self.hour.pop_front();
        }
        if self.hour.len() < whole {
            return Vec::new();
        }
        let disagrees = |channel: &Channel| self.disagrees(nameplate, *channel).unwrap_or(false);
        channels.into_iter().filter(disagrees).collect()
    }

    /// Whether the counter of a channel is outside of what the power allows; nothing where too little is known.
    fn disagrees(&self, nameplate: Milliwatts, channel: Channel) -> Option<bool> {
        let (mut counted, mut covered, mut between) = (0_i128, 0_u64, Between::default());
        for (seen, counters) in &self.hour {
            counted = counted.checked_add(i128::from(*counters.get(&channel)?))?;
            covered = covered.checked_add(seen.covered_ms)?;
            between = between.and(match channel.quantity {
                Quantity::GridExport | Quantity::BatteryCharge => seen.negative,
                _ => seen.positive,
            });
        }
        let uncovered = HOUR_MS.saturating_sub(covered);
        if uncovered.checked_mul(10)? > HOUR_MS {
            return None;
        }
        let unseen = i128::from(nameplate.get()).checked_mul(i128::from(uncovered))?;
        let counted = counted.checked_mul(UNITS)?.checked_mul(100)?;
        let step = STEP.checked_mul(UNITS)?.checked_mul(100)?;
        let least = between.least.checked_mul(100_i128.checked_sub(PERCENT)?)?;
        let most = between.most.checked_add(unseen)?;
        let most = most.checked_mul(100_i128.checked_add(PERCENT)?)?;
        Some(counted.checked_add(step)? < least || counted.checked_sub(step)? > most)
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
        let Some(duration) = to.checked_sub(from).filter(|ms| *ms > 0) else {
            return;
        };
        self.reached_ms = to;
        self.present.covered_ms = self.present.covered_ms.saturating_add(duration.unsigned_abs());
        let powers = (last.milliwatts, next.milliwatts);
        let other = (powers.0.saturating_neg(), powers.1.saturating_neg());
        self.present.positive.add(powers, duration);
        self.present.negative.add(other, duration);
    }
}

#[cfg(test)]
mod tests {
    use gridtally_protocol::channel::DeviceNumber;
    use proptest::prelude::*;

    use super::*;

    const NAMEPLATE: Milliwatts = Milliwatts::new(10_000_000);
    const LIMITS: SampleLimits = SampleLimits::of(NAMEPLATE);
    const LENGTH: IntervalLength = IntervalLength::FIVE_MINUTES;
    const EVERY: i64 = 10;

    const fn channel(quantity: Quantity) -> Channel {
        Channel {
            device: DeviceNumber(1),
            quantity,
        }
    }

    /// An hour and more of a power that changes at every sample; what is told of each interval.
    fn told(
        intervals: usize,
        power: impl Fn(i64) -> Option<i64>,
        counted: impl Fn(usize) -> (i64, i64),
    ) -> Vec<usize> {
        let mut agreement = Agreement::default();
        let sample = |seconds: i64| {
            Some(PowerSample {
                unix_ms: seconds * 1_000,
                milliwatts: power(seconds)?,
            })
        };
        let mut told = Vec::new();
        agreement.end(LIMITS, 0, None, false);
        agreement.sample(LIMITS, sample(0));
        for number in 0..intervals {
            let start = i64::try_from(number).unwrap() * 300;
            for seconds in (EVERY..300).step_by(usize::try_from(EVERY).unwrap()) {
                agreement.sample(LIMITS, sample(start + seconds));
            }
            let end = start + 300;
            agreement.end(LIMITS, end * 1_000, sample(end), true);
            agreement.sample(LIMITS, sample(end));
            let (import, export) = counted(number);
            let counted = [
                (channel(Quantity::GridImport), import),
                (channel(Quantity::GridExport), export),
            ];
            if !agreement.count(NAMEPLATE, LENGTH, counted.into()).is_empty() {
                told.push(number);
            }
        }
        told
    }

    #[test]
    fn a_counter_that_counts_what_the_power_was_is_never_told() {
        // 3.6 kW are 300 Wh in five minutes.
        assert_eq!(told(30, |_| Some(3_600_000), |_| (300_000, 0)), [0_usize; 0]);
        assert_eq!(told(30, |_| Some(-3_600_000), |_| (0, 300_000)), [0_usize; 0]);
    }

    #[test]
    fn a_twentieth_and_a_step_of_the_counter_are_the_bound() {
        // An hour of 3.6 kWh: 3.42 kWh less 100 Wh to 3.78 kWh and 100 Wh.
        let of_the_hour = |energy: i64| move |number: usize| (if number == 0 { energy } else { 0 }, 0);
        for (energy, is_told) in [
            (3_319_999, true),
            (3_320_000, false),
            (3_880_000, false),
            (3_880_001, true),
        ] {
            let told = told(12, |_| Some(3_600_000), of_the_hour(energy));
            assert_eq!(told, if is_told { vec![11] } else { vec![] }, "{energy}");
        }
    }

    #[test]
    fn a_counter_that_is_half_again_too_fast_is_told_from_the_end_of_the_first_hour_on() {
        assert_eq!(told(15, |_| Some(3_600_000), |_| (450_000, 0)), [11, 12, 13, 14]);
    }

    #[test]
    fn where_a_tenth_of_the_hour_is_not_covered_nothing_is_told() {
        // Seven minutes without a sample.
        let power = |seconds: i64| (seconds % 3_600 >= 420).then_some(3_600_000);
        assert_eq!(told(24, power, |_| (3_000_000, 0)), [0_usize; 0]);
        assert_eq!(told(12, |_| None, |_| (3_000_000, 0)), [0_usize; 0]);
    }

    #[test]
    fn a_missing_value_or_a_missed_boundary_begins_the_hour_anew() {
        let mut agreement = Agreement::default();
        let import = channel(Quantity::GridImport);
        let mut interval = |number: i64, follows: bool, counted: Option<i64>| {
            for seconds in (0..300).step_by(10) {
                let unix_ms = (number * 300 + seconds) * 1_000;
                agreement.sample(
                    LIMITS,
                    Some(PowerSample {
                        unix_ms,
                        milliwatts: 3_600_000,
                    }),
                );
            }
            let unix_ms = (number + 1) * 300_000;
            agreement.end(
                LIMITS,
                unix_ms,
                Some(PowerSample {
                    unix_ms,
                    milliwatts: 3_600_000,
                }),
                follows,
            );
            let counted = counted.map(|counted| (import, counted)).into_iter().collect();
            agreement.count(NAMEPLATE, LENGTH, counted)
        };
        for number in 0..11 {
            assert!(interval(number, true, Some(900_000)).is_empty());
        }
        assert!(interval(11, false, Some(900_000)).is_empty(), "a missed boundary");
        for number in 12..23 {
            let counted = (number != 12).then_some(900_000);
            assert!(interval(number, true, counted).is_empty());
        }
        assert!(
            interval(23, true, Some(900_000)).is_empty(),
            "the hour has an interval without a value"
        );
        assert_eq!(interval(24, true, Some(900_000)), [import]);
    }

    proptest! {
        /// Whatever the power did from sample to sample, as long as it did it between the two.
        #[test]
        fn an_honest_counter_is_never_told(
            powers in prop::collection::vec(-10_000_000_i64..10_000_000, 361),
            shares in prop::collection::vec(0_i64..=100, 360),
        ) {
            let power = |seconds: i64| Some(powers[usize::try_from(seconds / EVERY).unwrap()]);
            let counted = |number: usize| {
                let mut sums = (0_i128, 0_i128);
                for index in number * 30..(number + 1) * 30 {
                    let (a, b) = (powers[index], powers[index + 1]);
                    let between = i128::from(a) + i128::from(b - a) * i128::from(shares[index]) / 100;
                    sums.0 += between.max(0) * i128::from(EVERY) * 1_000;
                    sums.1 += (-between).max(0) * i128::from(EVERY) * 1_000;
                }
                (i64::try_from(sums.0 / UNITS).unwrap(), i64::try_from(sums.1 / UNITS).unwrap())
            };
            prop_assert_eq!(told(12, power, counted), Vec::<usize>::new());
        }
    }
}
