//! Holding test dispatches as they fall due, while the engine runs.

use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::time::Timestamp;

use super::judging::judge;
use super::testing::{self, SENT_WITHIN_SECONDS, TestError};
use crate::store::Store;

/// How often it looks whether a test is due: several times while it may be sent.
const LOOK_SECONDS: i64 = 300;
const _: () = assert!(LOOK_SECONDS * 2 < SENT_WITHIN_SECONDS);
/// How often it looks whether one can be judged, which waits for the end of a day anyway.
const JUDGE_SECONDS: i64 = 3_600;

/// When the tests were last looked at.
#[derive(Debug, Default)]
pub struct Tester {
    looked: Option<Timestamp>,
    judged: Option<Timestamp>,
}

impl Tester {
    /// Sends the tests that are due at `now`, and judges those whose day is over. It does nothing where it did so a
    /// short while ago. What fails is tried again after the same while: a test waits for no other, and instructions
    /// for none.
    pub fn test_due(&mut self, store: &mut Store, engine: &SigningIdentity, now: Timestamp) {
        if due(&mut self.looked, LOOK_SECONDS, now) {
            match testing::run(store, engine, now) {
                Ok(tests) if tests.is_empty() => {}
                Ok(tests) => tracing::info!(count = tests.len(), "test dispatches were due"),
                Err(error) => say("tests that are due could not be sent", &error),
            }
        }
        if due(&mut self.judged, JUDGE_SECONDS, now) {
            match judge(store, now) {
                Ok(tests) if tests.is_empty() => {}
                Ok(tests) => tracing::info!(count = tests.len(), "test dispatches were judged"),
                Err(error) => say("tests could not be judged", &error),
            }
        }
    }
}

fn say(what: &str, error: &TestError) {
    tracing::error!(%error, "{what}; trying again");
}

/// Whether it is time again; a clock that was set back does not make it wait.
fn due(last: &mut Option<Timestamp>, every: i64, now: Timestamp) -> bool {
    let waits = last.is_some_and(|last| (0..every).contains(&now.seconds_since(last)));
    if !waits {
        *last = Some(now);
    }
    !waits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_at_once_then_after_a_while_and_when_the_clock_was_set_back() {
        let at = |seconds| Timestamp::from_unix(seconds).unwrap();
        let mut last = None;
        let mut asked = |seconds| due(&mut last, 300, at(seconds));
        assert!(asked(10_000));
        assert!(!asked(10_000) && !asked(10_299));
        assert!(asked(10_300));
        assert!(!asked(10_301));
        assert!(asked(9_000), "the clock was set back");
        assert!(!asked(9_001));
    }
}
