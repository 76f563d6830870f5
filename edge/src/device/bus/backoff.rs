//! How long a unit or a connection that failed is left alone.

use gridtally_protocol::time::Timestamp;

const FIRST_SECONDS: i64 = 5;
const LONGEST_SECONDS: i64 = 300;

/// Failures in a row, and when the next attempt is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
    next: Timestamp,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            failures: 0,
            next: Timestamp::EPOCH,
        }
    }
}

impl Backoff {
    /// When the next attempt is due, if that is after `now`.
    pub(super) fn waits_until(self, now: Timestamp) -> Option<Timestamp> {
        (self.failures > 0 && now < self.next).then_some(self.next)
    }

    /// Whether the last attempt failed.
    pub(super) const fn has_failed(self) -> bool {
        self.failures > 0
    }

    /// An attempt failed: the wait doubles from 5 s up to 5 min, and up to a quarter of it comes on top by
    /// `chance`, so that the units of one line do not all come back at once.
    pub(super) fn failed(&mut self, now: Timestamp, chance: u8) {
        let wait = FIRST_SECONDS
            .saturating_mul(1_i64.checked_shl(self.failures.min(10)).unwrap_or(i64::MAX))
            .min(LONGEST_SECONDS);
        let extra = wait.saturating_mul(i64::from(chance)) / (4 * 256);
        self.failures = self.failures.saturating_add(1);
        self.next = now.checked_add(wait.saturating_add(extra)).unwrap_or(now);
    }

    /// An attempt succeeded.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds).unwrap()
    }

    #[test]
    fn the_wait_doubles_up_to_five_minutes_and_success_ends_it() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            backoff.failed(at(0), 0);
            waits.push(backoff.waits_until(at(0)).unwrap().unix());
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(backoff.waits_until(at(300)), None);
        backoff.succeeded();
        assert!(!backoff.has_failed() && backoff.waits_until(at(0)).is_none());
    }

    proptest! {
        #[test]
        fn chance_adds_a_quarter_at_most(failures in 1_u32..40, chance: u8) {
            let (mut plain, mut jittered) = (Backoff::default(), Backoff::default());
            for _ in 0..failures {
                plain.failed(at(1_000), 0);
                jittered.failed(at(1_000), chance);
            }
            let wait = |b: Backoff| b.waits_until(at(1_000)).unwrap().unix() - 1_000;
            prop_assert!((wait(plain)..=wait(plain) + wait(plain) / 4).contains(&wait(jittered)));
        }
    }
}
