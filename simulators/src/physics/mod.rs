//! What happens in a home: sun, clouds, panel, load, battery and grid, without a clock of its own.
//!
//! Floating point is used for the sun, the clouds and the panel only. Once a minute their result
//! becomes whole milliwatts; from there on everything is integer. Between two events (a new minute,
//! a changed control) all powers are constant, so energy is power × seconds exactly, and it makes no
//! difference in how many steps the time is advanced.

mod battery;
mod clouds;
mod grid;
mod load;
mod pv;
mod site;
mod sun;

pub(crate) use battery::PowerWindow;
pub(crate) use site::{Controls, Site};

pub use battery::BatterySpec;
pub use grid::GridSpec;
pub use load::{LoadProfile, LoadSpec, ProfileError, ProfileSeries};
pub use pv::PvSpec;
pub use site::{Energies, Flow};
pub use sun::Location;
