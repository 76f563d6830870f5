//! Attacks by name: what a stranger on the broker or a dishonest home can try, as the messages that they send.
//!
//! An attack is played on what a home's devices [truly counted](Truth): [`Attack::play`] gives every message that reaches
//! the broker, the honest ones among them, in the order of time. Whoever receives them can see whether they are found
//! out, and whether they pay. Nothing here knows how an engine judges: [`Attack::meets`] says what a good one does.

mod bend;
mod catalogue;
mod scene;
mod send;

pub use bend::without_history;
pub use catalogue::{Attack, Attacker, Meets};
pub use scene::{BATTERY, METER, PV, Scene, Sent, Truth};
pub use send::{answer, honest};
