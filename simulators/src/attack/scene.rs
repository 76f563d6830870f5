//! Who is there, and what really happened.

use std::collections::BTreeMap;
use std::ops::Range;

use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::time::{IntervalLength, Timestamp};

/// The grid meter's number.
pub const METER: DeviceNumber = DeviceNumber(1);
/// The PV inverter's number.
pub const PV: DeviceNumber = DeviceNumber(2);
/// The battery inverter's number.
pub const BATTERY: DeviceNumber = DeviceNumber(3);

/// What a home's devices truly counted, interval by interval, in milliwatt-hours (the state of charge in thousandths of a
/// percent at the interval's end).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The start of the first interval.
    pub start: Timestamp,
    /// How long each is.
    pub interval: IntervalLength,
    /// By channel, all of the same length.
    pub series: BTreeMap<Channel, Vec<i64>>,
}

impl Truth {
    /// The number of its intervals.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.values().map(Vec::len).min().unwrap_or(0)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first instant of an interval.
    #[must_use]
    pub fn at(&self, interval: usize) -> Timestamp {
        let seconds = i64::try_from(interval)
            .unwrap_or(0)
            .saturating_mul(i64::from(self.interval.seconds()));
        self.start.checked_add(seconds).unwrap_or(self.start)
    }

    pub(super) fn of(&mut self, device: DeviceNumber, quantity: Quantity) -> &mut [i64] {
        self.series.entry(Channel { device, quantity }).or_default()
    }
}

/// A home that is attacked, or attacks, and what it knows.
#[derive(Debug)]
pub struct Scene<'s> {
    /// The home's key.
    pub key: &'s SigningIdentity,
    /// What its devices truly counted.
    pub truth: &'s Truth,
    /// A neighbour's key.
    pub neighbour: &'s SigningIdentity,
    /// What the neighbour's devices counted.
    pub beside: &'s Truth,
    /// The stranger's key.
    pub stranger: &'s SigningIdentity,
    /// The instruction that the home got, as bytes.
    pub instruction: &'s [u8],
    /// When it got it.
    pub announced_at: Timestamp,
    /// The intervals of the event.
    pub event: Range<usize>,
}

/// A message as it reaches the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// On which topic.
    pub topic: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When.
    pub at: Timestamp,
}
