//! From the broker to the store: every message is judged by an ordered chain of small pure checks, what
//! passes is stored with what was refused in one transaction, and only then acknowledged and receipted.

pub mod chain;
pub mod checks;
mod freshness;
mod judge;
pub mod originals;
pub mod physics;
mod pipeline;

pub use freshness::{Beacons, SignedWithin};
pub use judge::{Arrival, Judged, Knowledge, judge};
pub use pipeline::{Outgoing, open_all, take};
