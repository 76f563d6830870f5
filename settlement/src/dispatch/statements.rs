//! Telling each home its part of a statement: signed when the event is settled, sent until the home says that it
//! holds it.

mod part;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gridtally_link::Link;
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::topic::{Topic, TopicKind};

pub use part::{PartError, Settled, part, signed_parts};

use crate::store::{Store, StoreError, statements};

/// A part is sent again after this time, and then after twice as long each time.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// A home that is away for long is told no oftener.
const SEND_AGAIN_AFTER_MAX: Duration = Duration::from_hours(24);
/// So many of a home's parts are on their way at a time, the newest: one that a home never takes holds up no
/// other, and a home that was away for years is not flooded.
const WINDOW: i64 = 16;
/// So many are sent at a time.
const BATCH_MAX: usize = 256;
/// Without anything new, the store is searched anew after this time.
const LOOK_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// A part that waits for its home.
#[derive(Debug)]
struct Waiting {
    gateway: Identity,
    /// When it was last sent, and how often.
    sent: Option<(Instant, u32)>,
    /// Whether the home was heard of since.
    heard: bool,
}

impl Waiting {
    fn is_due(&self, now: Instant) -> bool {
        let Some((sent, times)) = self.sent else {
            return true;
        };
        let wait = if self.heard {
            SEND_AGAIN_AFTER
        } else {
            let doubled = 2_u32.saturating_pow(times.saturating_sub(1));
            SEND_AGAIN_AFTER.saturating_mul(doubled).min(SEND_AGAIN_AFTER_MAX)
        };
        now.saturating_duration_since(sent) >= wait
    }
}

/// Remembers what waits, and when it was last sent; everything that matters is in the store.
#[derive(Debug, Default)]
pub struct Teller {
    waiting: BTreeMap<Digest, Waiting>,
    /// When the store was searched, and how many settlements there were.
    looked: Option<(Instant, i64)>,
}

impl Teller {
    /// After the link was down, everything is to be sent again.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Sends what is due. Of homes that were `heard` of meanwhile it is due sooner: they are there.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn tell_due(
        &mut self,
        store: &mut Store,
        link: &Link,
        heard: &BTreeSet<Identity>,
    ) -> Result<(), StoreError> {
        let now = Instant::now();
        self.look(store, now)?;
        for waiting in self.waiting.values_mut() {
            waiting.heard |= heard.contains(&waiting.gateway);
        }
        let due = self.waiting.iter().filter(|(_, waiting)| waiting.is_due(now));
        let due: Vec<Digest> = due.map(|(digest, _)| *digest).take(BATCH_MAX).collect();
        if due.is_empty() {
            return Ok(());
        }
        let open = store.transact(|transaction| statements::envelopes(transaction, &due))?;
        let open: BTreeMap<Digest, Vec<u8>> = open.into_iter().collect();
        let before = self.waiting.len();
        self.waiting
            .retain(|digest, _| !due.contains(digest) || open.contains_key(digest));
        if self.waiting.len() < before {
            // What is held made room for older ones.
            self.looked = None;
        }
        for (digest, envelope) in open {
            self.send(digest, envelope, link, now);
        }
        Ok(())
    }

    fn send(&mut self, digest: Digest, envelope: Vec<u8>, link: &Link, now: Instant) {
        let Some(waiting) = self.waiting.get_mut(&digest) else {
            return;
        };
        let topic = Topic {
            gateway: waiting.gateway,
            kind: TopicKind::Statement,
        };
        match link.publish(&topic.to_string(), envelope, false) {
            Ok(()) => {
                let times = waiting.sent.map_or(0, |(_, times)| times);
                waiting.sent = Some((now, times.saturating_add(1)));
                waiting.heard = false;
            }
            Err(error) => tracing::debug!(%error, gateway = %waiting.gateway, "a statement waits"),
        }
    }

    /// Searches the store where something may be new.
    fn look(&mut self, store: &mut Store, now: Instant) -> Result<(), StoreError> {
        let looked = self.looked;
        let found = store.transact(|transaction| {
            let settlements = statements::settlements(transaction)?;
            let is_fresh = looked.is_some_and(|(at, then)| {
                then == settlements && now.saturating_duration_since(at) < LOOK_AGAIN_AFTER
            });
            if is_fresh {
                return Ok(None);
            }
            let waiting = statements::waiting(transaction, WINDOW)?;
            Ok::<_, StoreError>(Some((settlements, waiting)))
        })?;
        let Some((settlements, found)) = found else {
            return Ok(());
        };
        let mut before = std::mem::take(&mut self.waiting);
        for (digest, gateway) in found {
            let waiting = before.remove(&digest).unwrap_or(Waiting {
                gateway,
                sent: None,
                heard: false,
            });
            self.waiting.insert(digest, waiting);
        }
        self.looked = Some((now, settlements));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use gridtally_protocol::identity::SigningIdentity;

    use super::*;

    #[test]
    fn a_home_that_is_away_is_told_ever_more_rarely_and_at_once_when_it_is_back() {
        let start = Instant::now();
        let mut waiting = Waiting {
            gateway: SigningIdentity::from_secret(&[1; 32]).unwrap().identity(),
            sent: None,
            heard: false,
        };
        assert!(waiting.is_due(start));
        for (times, seconds) in [
            (1, 10),
            (2, 20),
            (3, 40),
            (10, 5_120),
            (14, 81_920),
            (15, 86_400),
            (u32::MAX, 86_400),
        ] {
            waiting.sent = Some((start, times));
            assert!(
                !waiting.is_due(start + Duration::from_secs(seconds - 1)),
                "{times}"
            );
            assert!(waiting.is_due(start + Duration::from_secs(seconds)), "{times}");
        }
        waiting.heard = true;
        assert!(!waiting.is_due(start + Duration::from_secs(9)));
        assert!(waiting.is_due(start + Duration::from_secs(10)));
    }
}
