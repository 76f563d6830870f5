//! The device lab: simulated or replayed devices on sockets and serial lines, in real, scaled or
//! stepped time, with a small HTTP API to look at them and to break them.

mod api;
mod clock;
pub mod config;
mod explain;
mod plan;
mod points;
mod run;
mod watch;

pub use clock::{Pace, PaceError};
pub use explain::explain;
pub use plan::{Place, Plan, PlannedDevice, PlannedFault};
pub use run::{Lab, LabError};
