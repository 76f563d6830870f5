//! What a site's last tests prove together.
//!
//! The least of the last three passes since the last failure, of tests that began within the last 91 days. A failed test
//! sets it to nothing until the next pass. Tests that count for nothing, and those for which the site had said that it
//! cannot, change nothing; but what it proved grows old meanwhile.

use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::verdict::{Failure, Verdict};

/// So many of the last passes count.
pub const PASSES: usize = 3;
/// So long a test counts: a quarter of a year, 13 weeks.
pub const VALID_SECONDS: i64 = 91 * 86_400;

/// A test that was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// When it began.
    pub start: Timestamp,
    /// What it proved.
    pub verdict: Verdict,
}

/// Why a site has proved nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Unproven {
    /// It has passed no test yet.
    #[error("it has passed no test")]
    NoPass,
    /// Its passes are too old.
    #[error("it has passed no test in the last 91 days")]
    Expired,
    /// It failed the last test that counts.
    #[error("it failed its last test: {0}")]
    Failed(Failure),
}

/// The power that a site may enrol at `now`, from its tests in whatever order.
///
/// # Errors
/// [`Unproven`] where that is nothing.
pub fn standing(tests: &[Judged], now: Timestamp) -> Result<Milliwatts, Unproven> {
    let mut counted: Vec<&Judged> = tests
        .iter()
        .filter(|test| test.start <= now && matches!(test.verdict, Verdict::Passed(_) | Verdict::Failed(_)))
        .collect();
    counted.sort_by_key(|test| core::cmp::Reverse(test.start));
    let mut passes = Vec::new();
    for test in &counted {
        match test.verdict {
            Verdict::Passed(power) if passes.len() < PASSES => {
                if now.seconds_since(test.start) <= VALID_SECONDS {
                    passes.push(power);
                }
            }
            Verdict::Failed(failure) if passes.is_empty() && is_newest(test, &counted) => {
                return Err(Unproven::Failed(failure));
            }
            _ => break,
        }
    }
    passes.into_iter().min().ok_or(if counted.is_empty() {
        Unproven::NoPass
    } else {
        Unproven::Expired
    })
}

fn is_newest(test: &Judged, counted: &[&Judged]) -> bool {
    counted.first().is_some_and(|first| first.start == test.start)
}
