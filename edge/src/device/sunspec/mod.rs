//! SunSpec maps (Device Information Model Specification 1.2.1): finding the models, reading the points of
//! one in as few requests as the device takes, and making numbers of registers.
//!
//! What the models hold is in `gridtally-registers`; the walk along the chain and the judgement of values
//! are ours, because devices in the field answer short, late, shifted, and with scale factors that change
//! (see the tests of this crate).

mod chain;
mod image;
mod number;
mod reader;
mod spans;

pub use self::chain::{BASES, Map, ModelPlace, discover};
pub use self::image::{Image, Unusable};
pub use self::number::{Number, scaled};
pub use self::reader::{Asked, Reader};
use crate::device::bus::BusError;

/// Registers before a model's points: its number and its length.
pub const HEADER_LEN: u16 = 2;

/// Why nothing could be made of a device's registers.
#[derive(Debug, thiserror::Error)]
pub enum SunSpecError {
    /// The exchange failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// There is no map.
    #[error("no SunSpec map: no register of {bases:?} holds the marker SunS")]
    NoMap {
        /// Where it was looked for.
        bases: Vec<u16>,
    },
    /// The map lacks a model.
    #[error("the device has none of the models {wanted:?}; its models are {found:?}")]
    NoModel {
        /// The models of which one is needed.
        wanted: Vec<u16>,
        /// The models that are there.
        found: Vec<u16>,
    },
    /// Where the model's header was, there is something else now.
    #[error("the map has shifted: model {model} is no longer at register {address}")]
    Shifted {
        /// Which model.
        model: u16,
        /// Where it was.
        address: u16,
    },
    /// A point that cannot be used.
    #[error("{point} of model {model}: {why}")]
    Point {
        /// Which model.
        model: u16,
        /// Which point.
        point: String,
        /// Why not.
        why: Unusable,
    },
}

impl SunSpecError {
    /// Whether the device said anything at all.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        match self {
            Self::Bus(error) => error.is_answer(),
            _ => true,
        }
    }
}
