//! What goes wrong, and when.

mod catalogue;
mod nonsense;
mod plan;

pub use catalogue::{Description, Fault, Layer, Parameter};
pub use nonsense::Nonsense;
pub use plan::Schedule;
pub(crate) use plan::{Active, FaultPlan, read_duration};

use thiserror::Error;

/// Why a fault cannot be switched on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultError {
    /// There is none of that name.
    #[error("there is no fault {name:?}; is it {nearest:?}? `gridtally simulate faults` lists all")]
    NoFault {
        /// The name that was given.
        name: String,
        /// One that looks like it.
        nearest: &'static str,
    },
    /// It has no such parameter.
    #[error("{fault} has no parameter {parameter:?}; it has: {}", if known.is_empty() { "none" } else { known })]
    NoParameter {
        /// The fault.
        fault: &'static str,
        /// The parameter that was given.
        parameter: String,
        /// Those that it has.
        known: String,
    },
    /// A parameter without an integer.
    #[error("{0:?} is not a parameter with a whole number, as millis=500")]
    NoValue(String),
    /// A time of day, instant or duration that cannot be read.
    #[error(
        "{0:?} is no time: write 14:00 (each day, UTC), 2026-06-21T14:00:00Z (once), 90s, 10m or 2h (a year at most)"
    )]
    NoTime(String),
}
