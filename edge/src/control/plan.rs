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

use gridtally_protocol::time::Timestamp;

pub use self::limit::{Limits, MARGIN};
pub use self::live::{CHARGE_TOLERANCE, Live};
pub use self::step::{Bounds, Command, Measured, Plan, State, plan};
use crate::config::Percent;
use crate::outbox::{Dispatch, Progress};

/// A device gives the battery back after so many seconds of our silence, where it can.
const REVERSION_SECONDS: u16 = 900;

/// The reversion timer for an agent that looks after its set-points every `tick` seconds at the latest: it
/// never runs out while the agent lives, missed ticks included.
#[must_use]
pub fn reversion_seconds(tick: u32) -> u16 {
    let three_ticks = u16::try_from(tick.saturating_mul(3)).unwrap_or(u16::MAX - 1);
    REVERSION_SECONDS.max(three_ticks)
}

/// What is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The instruction to obey now: of those whose time it is, the one with the highest number.
    pub current: Option<Dispatch>,
    /// Instructions that came to their end, were stopped, or were superseded by a later one.
    pub over: Vec<Dispatch>,
}

/// Sorts the instructions that are not done.
#[must_use]
pub fn due(dispatches: &[Dispatch], now: Timestamp) -> Due {
    let is_live = |d: &&Dispatch| d.start <= now && now < d.end && d.progress < Progress::Stopped;
    let current = dispatches
        .iter()
        .filter(is_live)
        .max_by_key(|d| d.sequence)
        .copied();
    let over = dispatches
        .iter()
        .filter(|d| d.start <= now && d.progress != Progress::Done)
        .filter(|d| current.is_none_or(|c| c.instruction != d.instruction))
        .copied()
        .collect();
    Due { current, over }
}

/// Whether the battery has reached what the owner keeps for himself. `charge` in thousandths of a percent.
#[must_use]
pub const fn reserve_is_reached(charge: i64, reserve: Percent) -> bool {
    charge <= reserve.thousandths()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtally_protocol::identity::Digest;
    use gridtally_protocol::instruction::Target;
    use gridtally_protocol::quantity::Milliwatts;

    fn dispatch(sequence: u64, start: i64, end: i64, progress: Progress) -> Dispatch {
        Dispatch {
            instruction: Digest::of(&sequence.to_be_bytes()),
            sequence,
            start: at(start),
            end: at(end),
            expires_at: at(end),
            target: Target::SetPoint(Milliwatts::new(1)),
            power: Milliwatts::new(1),
            progress,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds).unwrap()
    }

    #[test]
    fn an_instruction_is_current_from_its_start_to_before_its_end() {
        let dispatches = [dispatch(1, 100, 200, Progress::Waiting)];
        assert_eq!(due(&dispatches, at(99)), Due::default());
        for now in [100, 199] {
            let due = due(&dispatches, at(now));
            assert_eq!((due.current, due.over.len()), (Some(dispatches[0]), 0));
        }
        let due = due(&dispatches, at(200));
        assert_eq!((due.current, due.over), (None, dispatches.to_vec()));
    }

    #[test]
    fn a_later_instruction_supersedes_one_that_overlaps() {
        let dispatches = [
            dispatch(1, 100, 200, Progress::Held),
            dispatch(2, 150, 250, Progress::Waiting),
        ];
        assert_eq!(due(&dispatches, at(149)).current, Some(dispatches[0]));
        let due = due(&dispatches, at(150));
        assert_eq!(
            (due.current, due.over),
            (Some(dispatches[1]), vec![dispatches[0]])
        );
    }

    #[test]
    fn what_was_stopped_is_not_begun_again() {
        let dispatches = [dispatch(1, 100, 200, Progress::Stopped)];
        let due = due(&dispatches, at(150));
        assert_eq!((due.current, due.over), (None, dispatches.to_vec()));
    }

    #[test]
    fn the_timer_outlasts_three_ticks_and_is_a_quarter_of_an_hour_at_least() {
        assert_eq!(reversion_seconds(5), 900);
        assert_eq!(reversion_seconds(300), 900);
        assert_eq!(reversion_seconds(1_800), 5_400);
        assert_eq!(reversion_seconds(u32::MAX), u16::MAX - 1);
    }

    #[test]
    fn the_reserve_itself_is_not_used() {
        let reserve = Percent::from_thousandths(20_000).unwrap();
        assert!(reserve_is_reached(20_000, reserve));
        assert!(!reserve_is_reached(20_001, reserve));
    }
}
