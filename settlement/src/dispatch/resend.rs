//! Asking gateways for the reports that are missing between those that came.

use std::collections::BTreeMap;

use gridtally_link::Link;
use gridtally_protocol::identity::{Identity, SigningIdentity};
use gridtally_protocol::message::{Message as _, MessageError};
use gridtally_protocol::resend::ResendRequest;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{Topic, TopicKind};

use crate::ingest::checks::{PAST_SECONDS_MAX, PROMPT_SECONDS_MAX};
use crate::store::{Store, StoreError, reports};

/// How often holes are looked for, and so how often a gateway is asked for the same.
pub const ASK_EVERY_SECONDS: i64 = 600;
/// Most holes are young. All that would still be taken are looked for this often.
const THOROUGH_EVERY_SECONDS: i64 = 86_400;
/// A hole that is younger may fill by itself: what follows it came only just.
const SETTLE_SECONDS: i64 = 60;
/// More numbers than this are not lost: a gateway whose disk was restored leaps over those it may have used.
const HOLE_LEN_MAX: u64 = 4_096;

/// Numbers of a gateway between two that are held: neither of the two is missing, all between them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Whose.
    pub gateway: Identity,
    /// The last number that is held before it.
    pub after: u64,
    /// The first that is held behind it.
    pub before: u64,
}

impl Hole {
    fn is_a_leap(&self) -> bool {
        self.before.saturating_sub(self.after) > HOLE_LEN_MAX
    }
}

/// One request for each gateway that has holes: as many of its missing numbers as one request holds, from
/// the lowest on. Pure.
#[must_use]
pub fn requests(holes: &[Hole], issued_at: Timestamp) -> Vec<ResendRequest> {
    let mut by_gateway: BTreeMap<Identity, Vec<Hole>> = BTreeMap::new();
    for hole in holes.iter().filter(|hole| !hole.is_a_leap()) {
        by_gateway.entry(hole.gateway).or_default().push(*hole);
    }
    by_gateway
        .into_iter()
        .filter_map(|(gateway, mut holes)| {
            holes.sort_unstable_by_key(|hole| hole.after);
            let missing = holes
                .into_iter()
                .flat_map(|hole| hole.after.saturating_add(1)..hole.before);
            ResendRequest::of(gateway, issued_at, missing)
        })
        .collect()
}

/// Looks for holes from time to time. It remembers only when it last did; everything that matters is in the
/// store.
#[derive(Debug, Default)]
pub struct Asker {
    next_at: Option<Timestamp>,
    thorough_at: Option<Timestamp>,
}

impl Asker {
    /// Asks for what is missing, if it is time to. Returns how many gateways were asked.
    ///
    /// Only what would still be taken is asked for: a report that is older than the window of receipt is
    /// refused when it comes.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn ask_due(
        &mut self,
        store: &mut Store,
        link: &Link,
        engine: &SigningIdentity,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        if self.next_at.is_some_and(|next| now < next) {
            return Ok(0);
        }
        self.next_at = now.checked_add(ASK_EVERY_SECONDS);
        let back = |seconds: i64| now.checked_add(-seconds).unwrap_or(Timestamp::EPOCH);
        let is_thorough = self.thorough_at.is_none_or(|next| now >= next);
        if is_thorough {
            self.thorough_at = now.checked_add(THOROUGH_EVERY_SECONDS);
        }
        let since = if is_thorough {
            PAST_SECONDS_MAX
        } else {
            PROMPT_SECONDS_MAX
        };
        let holes =
            store.transact(|transaction| reports::holes(transaction, back(since), back(SETTLE_SECONDS)))?;
        let requests = requests(&holes, now);
        for request in &requests {
            if let Err(error) = ask(request, link, engine) {
                tracing::error!(gateway = %request.gateway, %error, "a resend request cannot be written");
            }
        }
        Ok(requests.len())
    }
}

fn ask(request: &ResendRequest, link: &Link, engine: &SigningIdentity) -> Result<(), MessageError> {
    let topic = Topic {
        gateway: request.gateway,
        kind: TopicKind::Resend,
    };
    let reports = request.sequences().count();
    match link.publish(&topic.to_string(), request.seal(engine)?, false) {
        Ok(()) => tracing::info!(
            gateway = %request.gateway, first = request.first_sequence, reports,
            "asked for reports that are missing"
        ),
        Err(error) => tracing::debug!(%error, "a resend request waits for the next time"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn gateway(seed: u8) -> Identity {
        SigningIdentity::from_secret(&[seed; 32]).unwrap().identity()
    }

    /// The holes of a gateway that holds these numbers.
    fn holes(gateway: Identity, held: &BTreeSet<u64>) -> Vec<Hole> {
        let held: Vec<u64> = held.iter().copied().collect();
        held.windows(2)
            .filter(|pair| pair[0] + 1 < pair[1])
            .map(|pair| Hole {
                gateway,
                after: pair[0],
                before: pair[1],
            })
            .collect()
    }

    proptest! {
        #[test]
        fn exactly_what_is_missing_between_the_first_and_the_last_is_asked_for_and_filling_it_ends_the_asking(
            held in prop::collection::btree_set(1_u64..1_000, 2..400),
        ) {
            let (first, last) = (*held.first().unwrap(), *held.last().unwrap());
            let mut held = held;
            let missing: BTreeSet<u64> = (first..last).filter(|n| !held.contains(n)).collect();
            let mut asked = BTreeSet::new();
            while let Some(request) = requests(&holes(gateway(1), &held), Timestamp::EPOCH).pop() {
                prop_assert_eq!(request.check(), Ok(()));
                let before = asked.len();
                asked.extend(request.sequences());
                held.extend(request.sequences());
                prop_assert!(asked.len() > before, "a request that brings nothing new");
            }
            prop_assert_eq!(asked, missing);
        }
    }

    #[test]
    fn each_gateway_is_asked_for_its_own_and_a_leap_is_no_loss() {
        let hole = |seed, after, before| Hole {
            gateway: gateway(seed),
            after,
            before,
        };
        let leap = hole(2, 7, 7 + (1 << 20));
        let asked = requests(
            &[hole(1, 9, 11), leap, hole(3, 1, 4), hole(1, 3, 5)],
            Timestamp::EPOCH,
        );
        let of = |seed| {
            let found = asked.iter().find(|r| r.gateway == gateway(seed));
            found.map(|r| r.sequences().collect::<Vec<_>>())
        };
        assert_eq!((of(1), of(2), of(3)), (Some(vec![4, 10]), None, Some(vec![2, 3])));
        assert!(requests(&[], Timestamp::EPOCH).is_empty());
    }
}
