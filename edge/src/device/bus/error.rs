//! Why a request brought nothing.

use std::time::Duration;

use gridtally_protocol::time::Timestamp;
use tokio_modbus::ExceptionCode;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No connection could be made.
    #[error("{endpoint} cannot be opened: {source}")]
    Connect {
        /// What the connection was made to.
        endpoint: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Too early to try again after failures.
    #[error("{endpoint} unit {unit} did not answer; the next attempt is at {next}")]
    BackingOff {
        /// What the connection is made to.
        endpoint: String,
        /// Which unit.
        unit: u8,
        /// When the next attempt is due.
        next: Timestamp,
    },
    /// No answer within the deadline.
    #[error("no answer within {} ms", after.as_millis())]
    Timeout {
        /// The deadline.
        after: Duration,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Transport(std::io::Error),
    /// The reply is no answer to the request.
    #[error("a reply to another request: {0}")]
    Foreign(String),
    /// After silence on a line without transaction numbers, what is known of the unit did not read back.
    #[error("the line cannot be believed yet: registers of the unit that never change read otherwise")]
    NotInStep,
    /// The reply has another number of registers than were asked for.
    #[error("{received} registers came where {asked} were asked for")]
    Length {
        /// How many were asked for.
        asked: usize,
        /// How many came.
        received: usize,
    },
    /// The device refused.
    #[error("the device refuses: {0}")]
    Exception(ExceptionCode),
    /// The request is longer than Modbus allows, or runs off the end of the register space.
    #[error("a request for {count} registers at {address} cannot be made")]
    Request {
        /// The first register.
        address: u16,
        /// How many.
        count: usize,
    },
    /// The task of the connection has ended.
    #[error("the task of the connection ended; this is a fault of the agent, please report it")]
    Ended,
}

impl BusError {
    /// Whether the device said anything at all.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        match self {
            Self::Exception(exception) => !is_the_gateways(*exception),
            Self::Foreign(_) | Self::Length { .. } | Self::NotInStep => true,
            _ => false,
        }
    }

    /// Whether what comes next on the connection may belong to an earlier request.
    #[must_use]
    pub(super) const fn is_poison(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. }
                | Self::Transport(_)
                | Self::Foreign(_)
                | Self::NotInStep
                | Self::Length { .. }
        )
    }

    /// Whether the unit kept silent, itself or by the word of the gateway before it.
    #[must_use]
    pub(super) const fn is_silence(&self) -> bool {
        match self {
            Self::Exception(exception) => is_the_gateways(*exception),
            Self::Timeout { .. } => true,
            _ => false,
        }
    }
}

/// Exceptions 10 and 11 come from a gateway that could not reach the unit (Modbus Application Protocol
/// 1.1b3, §7).
const fn is_the_gateways(exception: ExceptionCode) -> bool {
    matches!(
        exception,
        ExceptionCode::GatewayPathUnavailable | ExceptionCode::GatewayTargetDevice
    )
}
