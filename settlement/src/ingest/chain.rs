//! The chain of a gateway's reports: what a report says about its neighbours, and they about it. Pure.
//!
//! [`place`] judges a report as it arrives, beside what is held then; every signed report is kept whatever it says.
//! [`standing`] judges all that are held together, and that is what settlement goes by: the order in which reports
//! arrived makes no difference to it.

use std::collections::BTreeMap;

use gridtally_protocol::identity::Digest;
use gridtally_protocol::message::Signed;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::Report;
use gridtally_protocol::time::Timestamp;

use super::checks::Refused;

/// A report's place in its gateway's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub sequence: u64,
    /// The digest of its envelope.
    pub digest: Digest,
    /// The digest that it names as that of the report before.
    pub previous: Digest,
    /// The start of its first interval.
    pub start: Timestamp,
    /// The end of its last.
    pub end: Timestamp,
}

impl Link {
    /// The place of a report that was opened.
    #[must_use]
    pub fn of(signed: &Signed<Report>) -> Self {
        let report = &signed.message;
        Self {
            sequence: report.sequence,
            digest: signed.digest,
            previous: report.previous,
            start: report.start,
            end: report.end().unwrap_or(report.start),
        }
    }
}

/// What a report is beside those that are held already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It fits.
    New,
    /// It is held already, byte for byte.
    Held,
    /// Another one of its number is held: both are void.
    Equivocation(Refused),
    /// It does not fit.
    Refused(Refused),
}

/// Judges a report beside all that are held of the same gateway and could matter: those with its number, the
/// number before, the number after, and those whose time overlaps.
#[must_use]
pub fn place(held: &[Link], incoming: &Link) -> Place {
    if held.iter().any(|h| h.digest == incoming.digest) {
        return Place::Held;
    }
    if let Some(other) = held.iter().find(|h| h.sequence == incoming.sequence) {
        let detail = format!(
            "report {} was signed twice: {} and {}",
            incoming.sequence, other.digest, incoming.digest
        );
        return Place::Equivocation(Refused::new(Refusal::Equivocation, detail));
    }
    if let Some(break_) = held.iter().find_map(|h| broken(h, incoming)) {
        return Place::Refused(break_);
    }
    if let Some(other) = held
        .iter()
        .find(|h| h.start < incoming.end && incoming.start < h.end)
    {
        let detail = format!(
            "its intervals from {} on were given by report {} already",
            incoming.start, other.sequence
        );
        return Place::Refused(Refused::new(Refusal::AlreadyReported, detail));
    }
    Place::New
}

fn broken(held: &Link, incoming: &Link) -> Option<Refused> {
    let (before, after) = if held.sequence.checked_add(1) == Some(incoming.sequence) {
        (held, incoming)
    } else if incoming.sequence.checked_add(1) == Some(held.sequence) {
        (incoming, held)
    } else {
        return None;
    };
    (after.previous != before.digest).then(|| {
        let detail = format!(
            "report {} names {} as the one before; report {} is {}",
            after.sequence, after.previous, before.sequence, before.digest
        );
        Refused::new(Refusal::ChainBroken, detail)
    })
}

/// Which of a gateway's reports stand, given all of them, in whatever order.
///
/// - Two different reports of one number are equivocation: neither stands.
/// - A report whose predecessor's number is held, but not under the digest that it names, is broken.
/// - Of two reports that give one interval, the one with the lower number stands.
#[must_use]
pub fn standing(links: &[Link]) -> BTreeMap<Digest, Result<(), Refused>> {
    let mut slots: BTreeMap<u64, Vec<&Link>> = BTreeMap::new();
    for link in links {
        let slot = slots.entry(link.sequence).or_default();
        if !slot.iter().any(|held| held.digest == link.digest) {
            slot.push(link);
        }
    }
    let mut standing = BTreeMap::new();
    let mut given: BTreeMap<Timestamp, &Link> = BTreeMap::new();
    for slot in slots.values() {
        for link in slot {
            let verdict = stands(link, slot, &slots, &given);
            if verdict.is_ok() {
                given.insert(link.start, link);
            }
            standing.insert(link.digest, verdict);
        }
    }
    standing
}

fn stands(
    link: &Link,
    slot: &[&Link],
    slots: &BTreeMap<u64, Vec<&Link>>,
    given: &BTreeMap<Timestamp, &Link>,
) -> Result<(), Refused> {
    if slot.len() > 1 {
        let mut digests: Vec<String> = slot.iter().map(|l| l.digest.to_string()).collect();
        digests.sort();
        let detail = format!(
            "report {} was signed in versions: {}",
            link.sequence,
            digests.join(" and ")
        );
        return Err(Refused::new(Refusal::Equivocation, detail));
    }
    let before = link.sequence.checked_sub(1).and_then(|number| slots.get(&number));
    if before.is_some_and(|slot| slot.iter().all(|b| b.digest != link.previous)) {
        let detail = format!(
            "report {} names {} as the one before, which it is not",
            link.sequence, link.previous
        );
        return Err(Refused::new(Refusal::ChainBroken, detail));
    }
    // Those that stand do not overlap, so only the last to start before this one ends can.
    let overlapping = given
        .range(..link.end)
        .next_back()
        .filter(|(_, other)| link.start < other.end);
    if let Some((_, other)) = overlapping {
        let detail = format!(
            "its intervals from {} on are given by report {}",
            link.start, other.sequence
        );
        return Err(Refused::new(Refusal::AlreadyReported, detail));
    }
    Ok(())
}
