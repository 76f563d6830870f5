//! The registers of one unit: a chain of SunSpec models, or whatever a profile or a recording says.

mod map;
mod page;

pub(crate) use map::shared_layout;
pub use map::{ModelAt, OutsideTheMap, RegisterMap, Table};
pub(crate) use page::Page;
