//! Events: announced by an operator, turned into a signed instruction for each home, and sent until answered.

mod announce;
mod sender;

pub use announce::{Announced, Announcement, DispatchError, announce};
pub use sender::Sender;
