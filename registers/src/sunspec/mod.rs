//! SunSpec models as data: which points they have, in which order, of which type.
//!
//! A [`Model`] is a definition with its groups; a [`Layout`] is one as a device lays it out, with so
//! many curves, ports or modules. Standard: SunSpec Device Information Model Specification 1.2.1.

mod kind;
mod layout;
mod model;
pub mod models;

pub use kind::Kind;
pub use layout::{Layout, Placed};
pub use model::{Count, Group, Model, PointDefinition, Scale};

/// The marker `SunS` at the base address.
pub const SUNS: [u16; 2] = [0x5375, 0x6E53];

/// The end model: ID 0xFFFF, length 0.
pub const END_MODEL: [u16; 2] = [0xFFFF, 0];
