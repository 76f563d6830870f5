//! Whether a report names a beacon of this engine, and how fresh that makes its readings. Pure.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;

use gridtally_protocol::beacon::TrustTier;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::Report;
use gridtally_protocol::time::{Interval, Timestamp};

use super::checks::Refused;

/// Beacons of this engine by digest, with when each was issued.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beacons(BTreeMap<Digest, Timestamp>);

impl FromIterator<(Digest, Timestamp)> for Beacons {
    fn from_iter<T: IntoIterator<Item = (Digest, Timestamp)>>(beacons: T) -> Self {
        Self(beacons.into_iter().collect())
    }
}

impl Beacons {
    /// When the beacon that a report names was issued; none where it names none.
    ///
    /// # Errors
    /// [`Refused`] where what it names is no beacon of this engine.
    pub fn named_by(&self, report: &Report) -> Result<Option<Timestamp>, Refused> {
        let Some(digest) = &report.beacon else {
            return Ok(None);
        };
        let unknown = || {
            let detail = format!("this engine has made no beacon of the digest {digest}");
            Refused::new(Refusal::UnknownBeacon, detail)
        };
        self.0.get(digest).copied().map(Some).ok_or_else(unknown)
    }
}

/// Between when and when a report that counts was signed, and of which time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedWithin {
    /// The start of its first interval.
    pub start: Timestamp,
    /// The end of its last.
    pub end: Timestamp,
    /// When the beacon that it names was issued: it was signed later.
    pub beacon: Option<Timestamp>,
    /// When it came: it was signed before.
    pub received_at: Timestamp,
}

impl SignedWithin {
    /// The tier of its readings of an interval; none where it says nothing of it.
    #[must_use]
    pub fn tier(&self, interval: Interval) -> Option<TrustTier> {
        let covers = self.start <= interval.start() && interval.end() <= self.end;
        covers.then(|| TrustTier::of(interval, self.beacon, self.received_at))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]
mod tests {
    use gridtally_protocol::beacon::{EPOCH_SECONDS, FRESH_EPOCHS};
    use gridtally_protocol::time::IntervalLength;
    use proptest::prelude::*;

    use super::*;

    const WITHIN: i64 = FRESH_EPOCHS * EPOCH_SECONDS;
    const START: i64 = 1_775_692_800;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(START + seconds).unwrap()
    }

    proptest! {
        #[test]
        fn a_reading_is_fresh_exactly_where_both_bounds_hold(
            beacon in prop::option::of(-20_000_i64..40_000), received in -5_000_i64..40_000, place in 0_i64..24,
        ) {
            let interval = Interval::new(at(place * 300), IntervalLength::FIVE_MINUTES).unwrap();
            let end = (place + 1) * 300;
            let signed = SignedWithin {
                start: at(0),
                end: at(12 * 300),
                beacon: beacon.map(at),
                received_at: at(received),
            };
            let fresh = beacon.is_some_and(|beacon| end - beacon <= WITHIN) && received - end <= WITHIN;
            let expected = if fresh { TrustTier::Fresh } else { TrustTier::Reported };
            prop_assert_eq!(signed.tier(interval), (place < 12).then_some(expected));
        }
    }
}
