//! Readings as compact days: what all kept reports of a gateway say of one device on one UTC day.
//!
//! A day follows from the set of reports alone. Joining is commutative, associative and idempotent ([`Slot::join`]),
//! so that ingest may add reports one by one, in whatever order and however often, and has the same as who reads all
//! of them at once. Where reports contradict each other, days do not judge: who needs to know reads the reports
//! (`proofs::judge`).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

mod codec;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::report::{Reading, Report};
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};

pub use self::codec::{BYTES_MAX, DayError, VERSION, read, slots_of};
pub use self::slot::Slot;
use crate::ingest::checks::Refused;
use crate::ingest::physics;
use crate::registry::Enrolment;

const SECONDS: i64 = 86_400;

/// A UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The day in which an instant lies.
    #[must_use]
    pub fn of(instant: Timestamp) -> Self {
        // Every instant is within the years 1970 to 9999.
        let days = instant.unix().checked_div_euclid(SECONDS).unwrap_or(0);
        Self(i32::try_from(days).unwrap_or(i32::MAX))
    }

    /// The day of a number: days since 1970-01-01.
    #[must_use]
    pub const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Its interval at a place, where the day is within the years 1970 to 9999.
    #[must_use]
    pub fn interval(self, length: IntervalLength, place: usize) -> Option<Interval> {
        let within = i64::try_from(place).ok()?.checked_mul(length.seconds().into())?;
        let start = i64::from(self.0).checked_mul(SECONDS)?.checked_add(within)?;
        Interval::new(Timestamp::from_unix(start).ok()?, length).ok()
    }
}

/// A device's day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceDay {
    length: IntervalLength,
    channels: BTreeMap<Quantity, Vec<Slot>>,
}

impl DeviceDay {
    /// Of which nothing is known.
    #[must_use]
    pub const fn empty(length: IntervalLength) -> Self {
        Self {
            length,
            channels: BTreeMap::new(),
        }
    }

    /// Reads what [`DeviceDay::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`DayError`] where they are not exactly that.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DayError> {
        let mut known = Vec::new();
        let length = read(bytes, |quantity, place, slot| known.push((quantity, place, slot)))?;
        let mut day = Self::empty(length);
        for (quantity, place, slot) in known {
            day.join_slot(quantity, place, slot);
        }
        Ok(day)
    }

    /// Its one form in bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = codec::write_head(self.length);
        for (quantity, slots) in &self.channels {
            codec::write_channel(&mut out, *quantity, slots);
        }
        out
    }

    /// How long its intervals are.
    #[must_use]
    pub const fn length(&self) -> IntervalLength {
        self.length
    }

    /// The slots of a quantity, from midnight on, where anything was reported of it.
    #[must_use]
    pub fn channel(&self, quantity: Quantity) -> &[Slot] {
        self.channels.get(&quantity).map_or(&[], Vec::as_slice)
    }

    /// Everything that is known, in the order of channels and time.
    pub fn known(&self) -> impl Iterator<Item = (Quantity, usize, Slot)> + '_ {
        let known = |(place, slot): (usize, &Slot)| (*slot != Slot::Absent).then_some((place, *slot));
        self.channels.iter().flat_map(move |(quantity, slots)| {
            let slots = slots.iter().enumerate().filter_map(known);
            slots.map(move |(place, slot)| (*quantity, place, slot))
        })
    }

    /// Adds what is said of one interval. What lies beyond the day is left out.
    pub fn join_slot(&mut self, quantity: Quantity, place: usize, said: Slot) {
        let slots = self.channels.entry(quantity);
        let slots = slots.or_insert_with(|| vec![Slot::Absent; slots_of(self.length)]);
        if let Some(slot) = slots.get_mut(place) {
            *slot = slot.join(said);
        }
    }

    /// Adds all that another day says. Its intervals must be of the same length, as those of one enrolment are.
    pub fn join(&mut self, other: &Self) {
        for (quantity, place, slot) in other.known() {
            self.join_slot(quantity, place, slot);
        }
    }
}

/// The days of a gateway's devices.
pub type Days = BTreeMap<(DeviceNumber, Day), DeviceDay>;

/// Adds what a report says, and of values that are impossible, that they do not count.
pub fn add_report(days: &mut Days, enrolment: &Enrolment, report: &Report) {
    for (reading, verdict) in physics::examine(enrolment, report) {
        let start = reading.interval.start();
        let day = days
            .entry((reading.channel.device, Day::of(start)))
            .or_insert_with(|| DeviceDay::empty(reading.interval.length()));
        if let Some(place) = place_of(&reading) {
            day.join_slot(reading.channel.quantity, place, said(verdict, &reading));
        }
    }
}

fn place_of(reading: &Reading) -> Option<usize> {
    let since_midnight = reading.interval.start().unix().checked_rem_euclid(SECONDS)?;
    let length = i64::from(reading.interval.length().seconds());
    usize::try_from(since_midnight.checked_div(length)?).ok()
}

fn said(verdict: Result<(), Refused>, reading: &Reading) -> Slot {
    match (verdict, reading.value) {
        (Err(refused), _) => Slot::Refused(refused.reason),
        (Ok(()), Ok(value)) => Slot::Value(value.get(), reading.quality),
        (Ok(()), Err(missing)) => Slot::Missing(missing),
    }
}
