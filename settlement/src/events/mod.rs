//! Events, as pure rules: their life, who is asked, which of several counts, when each home begins, whose bid is taken.
//!
//! Nothing here reads a clock, a database or a random number. `docs/events.md` describes it exactly enough to compute
//! it again.

pub mod clearing;
pub mod farewell;
pub mod life;
pub mod priority;
pub mod revision;
pub mod start;
pub mod target;
