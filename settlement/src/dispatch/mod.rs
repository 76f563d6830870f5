//! What the engine says to the homes of its own accord. Events: announced by an operator, turned into a signed
//! instruction for each home, and sent until answered. Which reports are missing. And what an event was settled with.

mod announce;
pub mod resend;
mod sender;
pub mod statements;

pub use announce::{Announced, Announcement, DispatchError, announce};
pub use sender::Sender;
