//! SunSpec as a device sees it: model layouts, and the register map that serves them.
//!
//! Source: *SunSpec Device Information Model Specification* 1.2.1 and the model definitions that go
//! with it. A map starts with `SunS`, goes on with models (ID, L, then L registers each), and ends
//! with the end model (0xFFFF, 0). Whatever a device does not implement answers the sentinel of its
//! type.

mod layout;
mod map;
pub mod models;

pub use layout::{Kind, Layout, Point};
pub use map::{END_MODEL, ModelAt, OutsideTheMap, RegisterMap, SUNS};
