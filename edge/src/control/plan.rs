//! What is due for the battery at an instant, as pure functions of the accepted instructions and of what
//! is measured.
//!
//! ```text
//!   accepted instructions ──▶ live ──▶ wanted power ─┐
//!                              │                     ▼
//!   grid, battery, PV ──▶ limits at the meter ──▶ nearest allowed ──▶ ramp ──▶ nameplate, reserve ──▶ command
//! ```
//!
//! **Which instruction counts.** Of each kind the one with the highest number. Limits at the meter outrank
//! everything; a set-point outranks a charge state, and that a level.

mod limit;
mod live;
mod step;

use std::num::NonZeroU32;

pub use self::limit::{Limits, MARGIN};
pub use self::live::{CHARGE_TOLERANCE, Live};
pub use self::step::{Bounds, Command, Measured, Plan, State, plan};

/// A device gives the battery back after so many seconds of our silence, where it can.
const REVERSION_SECONDS: NonZeroU32 = NonZeroU32::new(900).unwrap();

/// The reversion timer for an agent that looks after its set-points every `tick` seconds at the latest: it
/// never runs out while the agent lives, missed ticks included.
#[must_use]
pub fn reversion_seconds(tick: u32) -> NonZeroU32 {
    // A device's register for it may have 16 bits, of which all ones mean that there is none.
    let three_ticks = tick.saturating_mul(3).min(u32::from(u16::MAX) - 1);
    NonZeroU32::new(three_ticks).map_or(REVERSION_SECONDS, |ticks| ticks.max(REVERSION_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timer_outlasts_three_ticks_and_is_a_quarter_of_an_hour_at_least() {
        for (tick, timer) in [(5, 900), (300, 900), (1_800, 5_400), (u32::MAX, 65_534)] {
            assert_eq!(reversion_seconds(tick).get(), timer);
        }
    }
}
