//! What the engine says to the homes of its own accord. Events: announced, modified and cancelled by an operator, turned
//! into signed instructions for each home, and sent until answered. Which reports are missing. And what an
//! event was settled with.

mod announce;
pub mod beacons;
mod bids;
mod change;
mod escrow;
mod instruct;
mod judging;
mod plan;
mod proof;
pub mod resend;
mod rules;
mod sender;
pub mod statements;
mod tester;
pub mod testing;

pub use announce::{announce, announce_draft, announce_with, draft};
pub use bids::{Needed, cleared};
pub use change::{Changed, cancel, modify};
pub use escrow::release;
pub use judging::{PATIENCE_SECONDS, check, judge};
pub use plan::{Announced, Announcement, DispatchError, Hand, Terms};
pub use proof::{nameplate, proven};
pub use sender::Sender;
pub use tester::Tester;
