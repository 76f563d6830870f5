//! When each home begins: moved by a random span, so that not all batteries of a neighbourhood switch at once.
//!
//! The span follows from a secret of the event. The secret's commitment is announced with the event, and the secret is
//! told when the event is over: until then nobody can tell a home's start beforehand, and from then on everybody can
//! compute it again and see that nobody was favoured.
//!
//! ```text
//! commitment = SHA-256( "gridtally/v1/event-start/commitment" 00 secret )
//! block(c)   = SHA-256( "gridtally/v1/event-start/span" 00 secret gateway modification c event )
//!              secret and gateway of 32 bytes each, modification and c of 4 bytes each, big-endian; the event's name last
//! n          = 2 × bound + 1
//! x          = the first 8 bytes of block(c), big-endian, of the lowest c = 0, 1, 2 … for which x < n × ⌊2^64 / n⌋
//! span       = (x mod n) − bound seconds
//! ```
//!
//! Below that limit every remainder stands for equally many values of x: the span is uniform, exactly.

use core::fmt;

use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::instruction::EventId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::revision::Window;

const COMMITMENT_DOMAIN: &[u8] = b"gridtally/v1/event-start/commitment\0";
const SPAN_DOMAIN: &[u8] = b"gridtally/v1/event-start/span\0";

/// How far a home's start is moved at most, either way: 0 to 3,600 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct StartBound(u16);

/// A start that would be moved too far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a start is moved by at most {most} seconds either way, not by {seconds}", most = StartBound::MAX.0)]
pub struct StartBoundError {
    seconds: u16,
}

impl StartBound {
    /// Every home begins when the event does.
    pub const NONE: Self = Self(0);
    /// The most there is.
    pub const MAX: Self = Self(3_600);

    /// From seconds.
    ///
    /// # Errors
    /// [`StartBoundError`] beyond an hour.
    pub const fn from_seconds(seconds: u16) -> Result<Self, StartBoundError> {
        if seconds > Self::MAX.0 {
            return Err(StartBoundError { seconds });
        }
        Ok(Self(seconds))
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for StartBound {
    type Error = StartBoundError;
    fn try_from(seconds: u16) -> Result<Self, StartBoundError> {
        Self::from_seconds(seconds)
    }
}

impl From<StartBound> for u16 {
    fn from(bound: StartBound) -> Self {
        bound.0
    }
}

/// From which the spans of an event follow. It is not shown until the event is over.
#[derive(Clone, PartialEq, Eq)]
pub struct StartSecret([u8; 32]);

impl fmt::Debug for StartSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartSecret")
    }
}

impl StartSecret {
    /// From 32 bytes that nobody can guess.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// In hexadecimal, for when it may be told.
    #[must_use]
    pub fn reveal(&self) -> String {
        hex::encode(self.0)
    }

    /// What is announced of it.
    #[must_use]
    pub fn commitment(&self) -> Digest {
        let hash = Sha256::new().chain_update(COMMITMENT_DOMAIN).chain_update(self.0);
        Digest::from_bytes(hash.finalize().into())
    }

    /// By how many seconds a home's start is moved: −bound to +bound, each equally likely.
    #[must_use]
    pub fn span(&self, event: &EventId, modification: u32, gateway: &Identity, bound: StartBound) -> i64 {
        let values = u64::from(bound.0) * 2 + 1;
        let draws = (0..=u32::MAX).map(|counter| self.draw(event, modification, gateway, counter));
        let drawn = draws.filter_map(|x| uniform(x, values)).next();
        // Billions of draws beyond the limit, each of one in 10^15, do not happen.
        let drawn = i64::try_from(drawn.unwrap_or(0)).unwrap_or(0);
        drawn - i64::from(bound.0)
    }

    fn draw(&self, event: &EventId, modification: u32, gateway: &Identity, counter: u32) -> u64 {
        let hash = Sha256::new()
            .chain_update(SPAN_DOMAIN)
            .chain_update(self.0)
            .chain_update(gateway.as_bytes())
            .chain_update(modification.to_be_bytes())
            .chain_update(counter.to_be_bytes())
            .chain_update(event.as_str());
        let block: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = block;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// The remainder by `n`, unless `x` lies beyond the last whole run of remainders.
const fn uniform(x: u64, n: u64) -> Option<u64> {
    // 2^64 mod n; so many values at the end of the range are left over.
    let over = (u64::MAX % n + 1) % n;
    if x > u64::MAX - over { None } else { Some(x % n) }
}

/// A window as one home has it. It is moved whole: every home serves as long as the event lasts.
#[must_use]
pub fn moved(window: Window, span: i64) -> Option<Window> {
    Some(Window {
        start: window.start.checked_add(span)?,
        end: window.end.checked_add(span)?,
    })
}

#[cfg(test)]
mod tests;
