//! What the engine takes for the present: the system's clock, or the one that it is stepped with.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gridtally_protocol::time::Timestamp;

/// A clock.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's.
    System,
    /// Stands still until it is set.
    Stepped(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still, at the epoch.
    #[must_use]
    pub fn stepped() -> Self {
        Self::Stepped(Arc::new(AtomicI64::new(0)))
    }

    /// The present, in whole seconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let seconds = match self {
            Self::System => chrono::Utc::now().timestamp(),
            Self::Stepped(seconds) => seconds.load(Ordering::Acquire),
        };
        // A system clock before 1970 is taken for 1970: every report is then from the future, and refused.
        Timestamp::from_unix(seconds).unwrap_or(Timestamp::EPOCH)
    }

    /// Sets a stepped clock; the system's is not ours to set.
    pub fn set(&self, now: Timestamp) {
        if let Self::Stepped(seconds) = self {
            seconds.store(now.unix(), Ordering::Release);
        }
    }
}
