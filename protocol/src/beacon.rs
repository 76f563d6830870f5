//! Beacons: a number that nobody could know before the engine signed it, once in every epoch.
//!
//! A gateway names the newest beacon that it has verified in its next report. Its signature over the beacon's digest
//! cannot be older than the beacon, and when the report came is known: so the engine knows from both sides when the
//! report was signed, whatever the gateway's clock says.

use minicbor::{Decoder, Encoder, decode};

use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::message::{self, Message};
use crate::report::read_instant;
use crate::time::{Interval, Timestamp};

/// The length of an epoch, in seconds: the engine signs a beacon an hour.
pub const EPOCH_SECONDS: i64 = 3_600;
/// A reading is fresh where its report was signed and received within this many epochs of its interval's end.
pub const FRESH_EPOCHS: i64 = 2;

/// What the engine publishes, retained, for every gateway alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beacon {
    /// The epoch: the first is 1, each further one is one more; at most [`message::SEQUENCE_MAX`].
    pub number: u64,
    /// Random bytes, made for this epoch.
    pub nonce: [u8; 32],
    /// When the engine signed.
    pub issued_at: Timestamp,
}

impl Message for Beacon {
    const PURPOSE: Purpose = Purpose::Beacon;

    fn check(&self) -> Result<(), &'static str> {
        message::check_sequence(self.number)
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(4)?
            .u8(message::VERSION)?
            .u64(self.number)?
            .bytes(&self.nonce)?
            .i64(self.issued_at.unix())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(4), "a beacon is an array of four")?;
        message::read_version(d)?;
        Ok(Self {
            number: d.u64()?,
            nonce: cbor::fixed(d.bytes()?, "a beacon's nonce is not of 32 bytes")?,
            issued_at: read_instant(d)?,
        })
    }
}

/// How much is known of when, and by what, a reading was signed. The order is that of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrustTier {
    /// A gateway's word, at some time between the interval and its receipt.
    Reported,
    /// A gateway's word, given at about the time of the interval: see [`TrustTier::of`].
    Fresh,
    /// The meter's own signature.
    MeterSigned,
}

impl TrustTier {
    /// Every tier there is, in the order of trust.
    pub const ALL: [Self; 3] = [Self::Reported, Self::Fresh, Self::MeterSigned];

    /// The tier of a reading of `interval` that a gateway signed alone: fresh where the beacon that its report names
    /// was `issued_at` no more than [`FRESH_EPOCHS`] epochs before the interval's end, and the report was
    /// `received_at` no more than as many after it. Without a beacon nothing is known from below.
    #[must_use]
    pub fn of(interval: Interval, beacon: Option<Timestamp>, received_at: Timestamp) -> Self {
        let within = FRESH_EPOCHS.saturating_mul(EPOCH_SECONDS);
        let end = interval.end();
        match beacon {
            Some(issued_at)
                if end.seconds_since(issued_at) <= within && received_at.seconds_since(end) <= within =>
            {
                Self::Fresh
            }
            _ => Self::Reported,
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Fresh => "fresh",
            Self::MeterSigned => "meter_signed",
        }
    }
}

impl core::fmt::Display for TrustTier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::IntervalLength;

    fn interval() -> Interval {
        let start = "2026-04-21T17:55:00Z".parse().unwrap();
        Interval::new(start, IntervalLength::FIVE_MINUTES).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_reading_is_fresh_within_two_epochs_on_both_sides_of_its_end_and_not_a_second_beyond() {
        let tier = |beacon: &str, received: &str| TrustTier::of(interval(), Some(at(beacon)), at(received));
        assert_eq!(
            tier("2026-04-21T16:00:00Z", "2026-04-21T20:00:00Z"),
            TrustTier::Fresh
        );
        assert_eq!(
            tier("2026-04-21T15:59:59Z", "2026-04-21T18:00:05Z"),
            TrustTier::Reported
        );
        assert_eq!(
            tier("2026-04-21T17:00:00Z", "2026-04-21T20:00:01Z"),
            TrustTier::Reported
        );
    }

    #[test]
    fn a_later_beacon_makes_nothing_fresh_that_came_late() {
        let late = at("2026-04-22T09:00:00Z");
        assert_eq!(TrustTier::of(interval(), Some(late), late), TrustTier::Reported);
    }

    #[test]
    fn without_a_beacon_a_reading_is_reported() {
        let soon = at("2026-04-21T18:00:05Z");
        assert_eq!(TrustTier::of(interval(), None, soon), TrustTier::Reported);
    }

    #[test]
    fn tiers_are_in_the_order_of_trust() {
        assert!(TrustTier::ALL.is_sorted());
        assert_eq!(
            TrustTier::ALL.map(TrustTier::name),
            ["reported", "fresh", "meter_signed"]
        );
    }
}
