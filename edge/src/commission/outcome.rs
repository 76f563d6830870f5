//! How a commissioning ends.

use gridtally_protocol::commission::CommissionRecord;
use gridtally_protocol::message::MessageError;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;

use crate::outbox::OutboxError;

/// Why a device was not tried, or not to the end. What it showed earlier stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// It does not answer, or not now.
    #[error("the device does not answer as it should: {0}; look at it with `gridtally edge doctor`")]
    Unanswered(String),
    /// Its power cannot be read, so obedience cannot be seen.
    #[error("the device does not show its power, so it could not be seen whether it obeys")]
    Unmeasured,
    /// Its state of charge cannot be read, so the reserve could not be kept.
    #[error("the state of charge cannot be read, so the owner's reserve could not be kept")]
    ChargeUnknown,
    /// The state of charge leaves nothing to try.
    #[error(
        "the battery holds {}; it is tried 5 % above the reserve of {}, or where it may be charged from the grid 5 % below {}",
        Percent(.charge), Percent(.reserve), Percent(.ceiling)
    )]
    Charge {
        /// In thousandths of a percent.
        charge: i64,
        /// The owner's reserve.
        reserve: i64,
        /// What the owner lets it be charged to.
        ceiling: i64,
    },
    /// The limits of owner and nameplate leave no power that could be seen.
    #[error(
        "what the owner's limits and the nameplate leave is too little to be told from the noise of a house"
    )]
    TooWeak,
    /// The panels give too little to limit it.
    #[error("the panels give {power} W; a limit can be seen from {least} W on: try again by day")]
    TooDark {
        /// What they give.
        power: Milliwatts,
        /// From where on it is tried.
        least: Milliwatts,
    },
    /// An event is under way, or near.
    #[error("an event runs or begins soon (at {0}); try again after it")]
    Event(Timestamp),
    /// Somebody else set the device meanwhile.
    #[error("somebody else set the device meanwhile; it stays as he set it")]
    Overruled,
    /// The owner asked for the end.
    #[error("it was interrupted")]
    Interrupted,
}

/// Thousandths of a percent, for people.
struct Percent<'a>(&'a i64);

impl std::fmt::Display for Percent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} %", self.0.div_euclid(1_000))
    }
}

/// How a commissioning ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The device was tried: [`CommissionRecord::passed`] says how it did. The record is stored, signed.
    Tried(CommissionRecord),
    /// It was not, or not to the end; nothing is stored.
    NotTried {
        /// Why not.
        why: Obstacle,
        /// Whether the owner's setting stands. Where it does not, the agent puts it back when it starts.
        is_restored: bool,
    },
}

/// Why a commissioning could not be begun, or its result not be kept.
#[derive(Debug, thiserror::Error)]
pub enum CommissionError {
    /// The memory failed, or an agent that runs holds it.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The record cannot be signed.
    #[error("the record cannot be made: {0}")]
    Message(#[from] MessageError),
    /// There is nothing at the device that events could set.
    #[error("{device} has no such control; the config says what it is (kind, production_limit)")]
    NoControl {
        /// Its name.
        device: String,
    },
}
