//! Why a command cannot be turned into writes.

use gridtally_protocol::quantity::Milliwatts;
use gridtally_registers::profile;

use super::{Command, Source};

/// Why a command cannot be turned into writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// These are not the registers of a model that controls anything.
    #[error(
        "registers that begin with {found:?} are no model {expected}: read the model again, from its ID on"
    )]
    Header {
        /// The models that would do.
        expected: &'static str,
        /// The first registers.
        found: Vec<u16>,
    },
    /// The map has no means for it.
    #[error("{source_map} cannot {command}: use another model of the device, or leave the device out")]
    Unsupported {
        /// The map.
        source_map: Source,
        /// What was wanted.
        command: Command,
    },
    /// The device lacks a register without which nothing may be enabled.
    #[error("the device has no register {register}: it cannot be controlled by this model")]
    NoRegister {
        /// Its name.
        register: String,
    },
    /// A scale factor that the standard does not allow: nothing that it scales can be believed.
    #[error("{register} shows {value}, not a scale factor of -10 to 10: read the model again")]
    Scale {
        /// Its name.
        register: &'static str,
        /// What it shows.
        value: i16,
    },
    /// It is not known how much the device can do at most, or of what its percentages are.
    #[error("the greatest {rating} power is not known: give it in the configuration of the device")]
    NoRating {
        /// charge, discharge or production.
        rating: &'static str,
    },
    /// A charge that may come from the grid, which the owner has not allowed.
    #[error("a charge of {power} W may come from the grid: the owner must allow that first")]
    GridCharging {
        /// What was asked.
        power: Milliwatts,
    },
    /// A limit below zero.
    #[error("production cannot be limited to {limit} W: give a limit of 0 or more")]
    BelowZero {
        /// The limit.
        limit: Milliwatts,
    },
    /// A number that no register of this kind holds.
    #[error("{value} does not fit register {register}: give a smaller value")]
    DoesNotFit {
        /// Its name.
        register: String,
        /// The number.
        value: i64,
    },
    /// The least that a register takes is more than what was asked.
    #[error("register {address} takes no power as small as {asked} W: ask for more, or for nothing")]
    TooSmall {
        /// The register.
        address: u16,
        /// What was asked.
        asked: Milliwatts,
    },
    /// The power has no exact place between the steps of all registers of the recipe.
    #[error("the registers of the recipe have no step in common below {asked} W: correct the profile")]
    NoCommonStep {
        /// What was asked.
        asked: Milliwatts,
    },
    /// A percentage that is none.
    #[error("{thousandths} thousandths of a percent is no reserve: give 0 to 100000")]
    Reserve {
        /// What was asked.
        thousandths: i64,
    },
    /// The saved registers are of another map.
    #[error("the saved setting is of {saved}, and the registers are of {shown}: restore it by hand")]
    OtherMap {
        /// Where it was saved from.
        saved: Source,
        /// What was read now.
        shown: Source,
    },
    /// The recipe cannot be rendered.
    #[error(transparent)]
    Recipe(#[from] profile::ControlError),
}
