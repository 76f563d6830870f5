//! What the engine says to the homes of its own accord. Events: announced by an operator, turned into a signed
//! instruction for each home, and sent until answered. And which reports are missing.

mod announce;
pub mod resend;
mod sender;

pub use announce::{Announced, Announcement, DispatchError, announce};
pub use sender::Sender;
