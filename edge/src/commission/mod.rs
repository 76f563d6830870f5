//! Commissioning: a device proves, on itself, that it obeys and that it goes back to its owner's setting when
//! the agent falls silent.
//!
//! ```text
//! measure ─▶ save ─▶ write ─▶ read back ─▶ observe ─▶ meter ─▶ direction ─▶ silence: revert ─▶ return ─┐
//!    └─ not tried     └──────────┴────────────┴─ the first that fails ─────────────┴────────────┐      │
//!                                                                                               ▼      ▼
//!                                                                     restore: whatever happened, the owner's
//! ```
//!
//! [`trial`] chooses a small command, [`judge`] says what the measurements show of it, [`direction`] compares
//! counters with powers, and [`silence`] watches the way back: all of them pure. A session talks to the
//! device. The owner's setting is kept durably before the first write, so that the agent's next start puts it
//! back where a commissioning was killed.

mod direction;
mod judge;
mod outcome;
mod session;
mod silence;
mod time;
mod trial;
mod watch;

pub use self::outcome::{CommissionError, Obstacle, Outcome};
pub use self::session::{Subject, commission};
pub use self::time::{Interrupted, RealTime, Time};
