//! What makes an enrolment more than the operator's word: the agreement behind it, and when it and its keys hold.

use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::{Interval, Timestamp};
use serde::{Deserialize, Serialize};

/// The agreement that an enrolment follows from, as far as readings are held against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Which: the digest of the admission's envelope.
    pub agreement: Digest,
    /// Whose site it is.
    pub owner: Identity,
    /// Intervals begin no earlier.
    pub valid_from: Timestamp,
    /// Intervals end no later: it expires, is revoked, or another takes its place.
    pub ends_at: Timestamp,
    /// Where the gateway's key was rotated in: intervals that it signs end after this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_from: Option<Timestamp>,
    /// Where the gateway's key is rotated away: intervals that it signs end no later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_until: Option<Timestamp>,
    /// From when on nothing is taken of its key, of whatever time it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compromised_at: Option<Timestamp>,
    /// The keys that the gateway had before, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<FormerKey>,
}

/// A key that a gateway had before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerKey {
    /// The key.
    pub key: Identity,
    /// Where it was rotated in itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// When it was rotated away.
    pub until: Timestamp,
}

impl Standing {
    /// Why a reading of an interval does not count, where it does not.
    ///
    /// An interval across the instant at which a key is exchanged belongs to the new key, whose gateway reports it.
    #[must_use]
    pub fn refusal(&self, interval: Interval) -> Option<Refusal> {
        let (start, end) = (interval.start(), interval.end());
        if self.key_from.is_some_and(|from| end <= from) || self.key_until.is_some_and(|until| end > until) {
            return Some(Refusal::Revoked);
        }
        (start < self.valid_from || end > self.ends_at).then_some(Refusal::NotValidThen)
    }

    /// Whether nothing is taken of the key any more at this instant.
    #[must_use]
    pub fn is_compromised(&self, received_at: Timestamp) -> bool {
        self.compromised_at.is_some_and(|at| received_at >= at)
    }
}

#[cfg(test)]
mod tests {
    use gridtally_protocol::identity::SigningIdentity;
    use gridtally_protocol::time::IntervalLength;
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_unix(minutes * 60).unwrap()
    }

    fn standing(from: i64, until: i64) -> Standing {
        Standing {
            agreement: Digest::NONE,
            owner: SigningIdentity::from_secret(&[1; 32]).unwrap().identity(),
            valid_from: at(from),
            ends_at: at(until),
            key_from: None,
            key_until: None,
            compromised_at: None,
            former: Vec::new(),
        }
    }

    fn interval(start: i64) -> Interval {
        Interval::new(at(start), IntervalLength::FIVE_MINUTES).unwrap()
    }

    #[test]
    fn only_whole_intervals_of_the_validity_count() {
        let standing = standing(102, 203);
        for (start, refused) in [
            (100, Some(Refusal::NotValidThen)),
            (105, None),
            (195, None),
            (200, Some(Refusal::NotValidThen)),
        ] {
            assert_eq!(standing.refusal(interval(start)), refused, "{start}");
        }
    }

    #[test]
    fn from_a_compromise_on_nothing_is_taken() {
        let mut standing = standing(0, 1_000);
        assert!(!standing.is_compromised(at(999)));
        standing.compromised_at = Some(at(50));
        assert!(!standing.is_compromised(at(49)));
        assert!(standing.is_compromised(at(50)));
    }

    proptest! {
        #[test]
        fn every_interval_belongs_to_exactly_one_of_two_keys(change in 1_i64..2_000, slot in 0_i64..400) {
            let (mut old, mut new) = (standing(0, 10_000), standing(0, 10_000));
            old.key_until = Some(at(change));
            new.key_from = Some(at(change));
            let interval = interval(slot * 5);
            let taken = [old.refusal(interval), new.refusal(interval)];
            prop_assert_eq!(taken.iter().filter(|refusal| refusal.is_none()).count(), 1);
            prop_assert!(taken.contains(&Some(Refusal::Revoked)));
        }
    }
}
