//! How good a site's data of a day is: a score that anyone can recompute from the signed reports, what is behind it, and
//! how the owner can mend it. Pure. It flags, and never refuses: what refuses is [`crate::ingest::physics`].
//!
//! Every interval of every enrolled channel has two points: both where its value is sound, one where something about it
//! is odd, none where there is no value that stands. The score is their share in thousandths, rounded down.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

mod crowding;
mod finding;
mod inflation;
mod neighbours;
mod series;
mod trust;

use std::collections::BTreeMap;

use gridtally_protocol::channel::{Channel, Quantity};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::Reading;
use gridtally_protocol::time::{Interval, Timestamp};
use serde::Serialize;

pub use self::crowding::{CELL_SITES_MOST, Crowded, Placed, crowded};
pub use self::finding::Finding;
pub use self::inflation::inflated;
pub use self::neighbours::{Compared, Neighbour, compare};
pub use self::trust::{Tiers, tiers};
use crate::days::Slot;
use crate::ingest::physics;
use crate::registry::Enrolment;

/// A sound interval has so many points.
const POINTS: u64 = 2;
/// No day has more intervals than one of 25 hours by the minute.
const INTERVALS_MAX: usize = 1_500;

/// The quality of a site's data of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayQuality {
    /// The share of points, in thousandths, rounded down.
    pub per_mille: u64,
    /// Intervals of all channels together.
    pub intervals: u64,
    /// Those with a value and nothing odd about it.
    pub sound: u64,
    /// Those with a value that is to be taken with care.
    pub flagged: u64,
    /// What is behind it, by channel.
    pub annotations: Vec<Annotation>,
}

/// Something about a channel's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Annotation {
    /// Which channel.
    pub channel: Channel,
    /// What.
    pub finding: Finding,
    /// In how many intervals.
    pub intervals: u64,
}

/// Scores a site's readings from `from` until before `until`, as they were judged.
#[must_use]
pub fn score(
    enrolment: &Enrolment,
    (from, until): (Timestamp, Timestamp),
    readings: &[(Reading, Option<Refusal>)],
) -> DayQuality {
    let day = Day::new(enrolment, (from, until), readings);
    let mut findings: BTreeMap<(Channel, Finding), u64> = BTreeMap::new();
    let (mut sound, mut flagged, mut intervals) = (0_u64, 0_u64, 0_u64);
    for (channel, slots) in &day.channels {
        let mut odd = vec![false; slots.len()];
        let mut note = |finding: Finding, places: &mut dyn Iterator<Item = usize>| {
            for place in places {
                if let Some(odd) = odd.get_mut(place) {
                    *odd = true;
                }
                let count = findings.entry((*channel, finding)).or_default();
                *count = count.saturating_add(1);
            }
        };
        for (place, slot) in slots.iter().enumerate() {
            if let Some(finding) = Finding::of(*slot) {
                note(finding, &mut std::iter::once(place));
            }
        }
        if channel.quantity.is_energy() {
            series::stale(slots, enrolment.interval_seconds)
                .for_each(|run| note(Finding::Stale, &mut run.into_iter()));
            series::interpolated(slots).for_each(|run| note(Finding::Interpolated, &mut run.into_iter()));
        }
        if channel.quantity == Quantity::PvProduction {
            note(
                Finding::NoProduction,
                &mut day.dark_panels(enrolment, slots).into_iter(),
            );
        }
        if day.charge_mismatch(enrolment, *channel) {
            note(Finding::ChargeMismatch, &mut (0..slots.len()));
        }
        for (slot, odd) in slots.iter().zip(odd) {
            intervals = intervals.saturating_add(1);
            match (slot, odd) {
                (Slot::Value(..), false) => sound = sound.saturating_add(1),
                (Slot::Value(..), true) => flagged = flagged.saturating_add(1),
                _ => {}
            }
        }
    }
    let points = sound.saturating_mul(POINTS).saturating_add(flagged);
    let annotation = |((channel, finding), intervals): ((Channel, Finding), u64)| Annotation {
        channel,
        finding,
        intervals,
    };
    DayQuality {
        per_mille: points
            .saturating_mul(1_000)
            .checked_div(intervals.saturating_mul(POINTS))
            .unwrap_or(0),
        intervals,
        sound,
        flagged,
        annotations: findings.into_iter().map(annotation).collect(),
    }
}

/// A day's slots, laid out by channel.
struct Day {
    intervals: Vec<Interval>,
    channels: BTreeMap<Channel, Vec<Slot>>,
}

impl Day {
    fn new(
        enrolment: &Enrolment,
        (from, until): (Timestamp, Timestamp),
        readings: &[(Reading, Option<Refusal>)],
    ) -> Self {
        let length = enrolment.interval_seconds;
        let next = |start: &Timestamp| start.checked_add(i64::from(length.seconds()));
        let starts = std::iter::successors(Some(from.floor_to(length)), next).take(INTERVALS_MAX);
        let starts = starts
            .take_while(|start| *start < until)
            .filter(|start| *start >= from);
        let intervals: Vec<Interval> = starts
            .filter_map(|start| Interval::new(start, length).ok())
            .collect();
        let mut channels: BTreeMap<Channel, Vec<Slot>> = BTreeMap::new();
        for device in &enrolment.devices {
            for quantity in &device.quantities {
                let channel = Channel {
                    device: device.number,
                    quantity: *quantity,
                };
                channels.insert(channel, vec![Slot::Absent; intervals.len()]);
            }
        }
        for (reading, refused) in readings {
            let Ok(place) = intervals.binary_search_by_key(&reading.interval.start(), |i| i.start()) else {
                continue;
            };
            let slot = channels
                .get_mut(&reading.channel)
                .and_then(|slots| slots.get_mut(place));
            if let Some(slot) = slot {
                *slot = match (refused, reading.value) {
                    (Some(refusal), _) => Slot::Refused(*refusal),
                    (None, Ok(value)) => Slot::Value(value.get(), reading.quality),
                    (None, Err(missing)) => Slot::Missing(missing),
                };
            }
        }
        Self { intervals, channels }
    }

    /// Bright intervals of a whole day without any production, where it is known when the sun shone.
    fn dark_panels(&self, enrolment: &Enrolment, slots: &[Slot]) -> Vec<usize> {
        let Some(place) = enrolment.location else {
            return Vec::new();
        };
        if !slots.iter().all(|slot| matches!(slot, Slot::Value(0, _))) {
            return Vec::new();
        }
        let bright = |(_, interval): &(usize, &Interval)| physics::is_bright(place, **interval);
        self.intervals
            .iter()
            .enumerate()
            .filter(bright)
            .map(|(n, _)| n)
            .collect()
    }

    /// Whether a battery's day does not add up: what came out and what its state of charge gained should be 80 to 102 % of
    /// what went in, but for five percent of the capacity.
    fn charge_mismatch(&self, enrolment: &Enrolment, channel: Channel) -> bool {
        let device = enrolment
            .devices
            .iter()
            .find(|device| device.number == channel.device);
        let capacity = device.and_then(|device| device.capacity_milliwatt_hours);
        let of = |quantity| {
            let slots = self.channels.get(&Channel { quantity, ..channel })?;
            let value = |slot: &Slot| match slot {
                Slot::Value(value, _) => Some(i128::from(*value)),
                _ => None,
            };
            slots.iter().map(value).collect::<Option<Vec<i128>>>()
        };
        let series = of(Quantity::BatteryCharge)
            .zip(of(Quantity::BatteryDischarge))
            .zip(of(Quantity::StateOfCharge));
        let (Some(capacity), Some(((taken, given), charge))) = (capacity, series) else {
            return false;
        };
        series::charge_mismatch(i128::from(capacity.get()), &taken, &given, &charge).unwrap_or(false)
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]
mod tests;
