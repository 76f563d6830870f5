//! How long to wait before the next attempt to connect.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);

/// Doubling waits with jitter: thousands of boxes whose broker came back must not all knock at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    ceiling: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(max: Duration) -> Backoff {
        Backoff {
            ceiling: FIRST.min(max),
            max,
        }
    }

    /// The next wait: between half of the ceiling and the ceiling, which then doubles up to `max`.
    pub(crate) fn next(&mut self) -> Duration {
        let half = self.ceiling / 2;
        // Without randomness the wait is merely not spread; that is no reason to fail.
        let random = getrandom::u32().unwrap_or(u32::MAX);
        let nanos = half.as_nanos() * u128::from(random) / u128::from(u32::MAX);
        let jitter = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.ceiling = self.ceiling.saturating_mul(2).min(self.max);
        half + jitter
    }

    /// Starts from the shortest wait again, if the connection that has ended had proven itself:
    /// a broker that accepts everybody and drops everybody is not to be hammered.
    pub(crate) fn after_connection_of(&mut self, lived: Duration) {
        if lived >= self.ceiling.saturating_mul(2) {
            *self = Backoff::new(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_stay_within_the_bound_and_are_never_zero() {
        let max = Duration::from_secs(5);
        let mut backoff = Backoff::new(max);
        let mut ceiling = FIRST;
        for _ in 0..20 {
            let wait = backoff.next();
            assert!(
                wait >= ceiling / 2 && wait <= ceiling,
                "{wait:?} against {ceiling:?}"
            );
            ceiling = (ceiling * 2).min(max);
        }
    }

    #[test]
    fn only_a_connection_that_lived_resets_the_wait() {
        let mut backoff = Backoff::new(Duration::from_secs(60));
        assert!((0..6).map(|_| backoff.next()).all(|wait| wait <= FIRST * 32));
        backoff.after_connection_of(Duration::from_millis(5));
        assert!(backoff.next() >= Duration::from_secs(3));
        backoff.after_connection_of(Duration::from_secs(3600));
        assert!(backoff.next() <= FIRST);
    }
}
