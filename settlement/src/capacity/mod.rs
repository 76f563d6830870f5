//! What a site's battery can be relied on for: drawn tests that nobody hears of beforehand, and what they prove.
//!
//! A test is a short dispatch of one site at an instant that follows from a secret seed. What the meter of the site's
//! connection then shows is held against what it shows just before and after: a battery that is not behind that meter
//! moves nothing there. All of it is pure; `docs/test-dispatches.md` says the rules in words.
//!
//! - [`draw`]: when each site's tests are, from a seed that was committed to before;
//! - [`forecast`]: what the meter would have shown, between two exact bounds;
//! - [`verdict`]: what a test proved;
//! - [`standing`]: what a site's last tests prove together;
//! - [`audit`]: whether the tests that were held are those that were drawn.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

pub mod audit;
pub mod draw;
pub mod forecast;
pub mod period;
pub mod standing;
pub mod verdict;

/// How long a test lasts: a quarter of an hour.
pub const TEST_SECONDS: i64 = 900;
