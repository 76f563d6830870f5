//! The chain of a gateway's reports: what a report says about its neighbours, and they about it. Pure.
//!
//! [`place`] judges a report beside those that are held: as they arrive when they are taken in, and in the order of
//! their signed numbers when an event is settled (`proofs::judge`), so that the order of arrival makes no difference
//! to a payment. Every signed report is kept, whatever is said of it.
//! [`standing`] says the same of a whole chain at once; the property tests hold the two against each other.

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
    if let Some(refused) = broken(held, incoming) {
        return Place::Refused(refused);
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

/// A number that is held under several digests has a fitting one if any of them fits.
fn broken(held: &[Link], incoming: &Link) -> Option<Refused> {
    let mut before = held
        .iter()
        .filter(|h| h.sequence.checked_add(1) == Some(incoming.sequence))
        .peekable();
    if before.peek().is_some() && before.all(|h| h.digest != incoming.previous) {
        let detail = format!(
            "report {} names {} as the one before, which it is not",
            incoming.sequence, incoming.previous
        );
        return Some(Refused::new(Refusal::ChainBroken, detail));
    }
    let mut after = held
        .iter()
        .filter(|h| incoming.sequence.checked_add(1) == Some(h.sequence))
        .peekable();
    if after.peek().is_some() && after.all(|h| h.previous != incoming.digest) {
        let detail = format!(
            "report {} is not the one that the report after it names",
            incoming.sequence
        );
        return Some(Refused::new(Refusal::ChainBroken, detail));
    }
    None
}

/// Whether two reports of a gateway contradict each other: of one number, of neighbouring numbers where the later
/// does not name the earlier, or of the same time.
fn contradict(one: &Link, other: &Link) -> bool {
    let unnamed = |before: &Link, after: &Link| {
        before.sequence.checked_add(1) == Some(after.sequence) && after.previous != before.digest
    };
    one.digest != other.digest
        && (one.sequence == other.sequence
            || unnamed(one, other)
            || unnamed(other, one)
            || (one.start < other.end && other.start < one.end))
}

/// The end of the last report that contradicts the incoming one, or its own, if that is later; nothing where none
/// does. Reports that end after every dispute of their gateway all stand, whatever came in which order.
#[must_use]
pub fn dispute(held: &[Link], incoming: &Link) -> Option<Timestamp> {
    let against = held.iter().filter(|h| contradict(h, incoming)).map(|h| h.end);
    Some(against.max()?.max(incoming.end))
}

/// The last end of all disputes among a gateway's reports.
#[must_use]
pub fn last_dispute(links: &[Link]) -> Option<Timestamp> {
    let mut by_number: BTreeMap<u64, Vec<&Link>> = BTreeMap::new();
    for link in links {
        by_number.entry(link.sequence).or_default().push(link);
    }
    let neighbours = links.iter().filter_map(|link| {
        let numbers = link.sequence.checked_sub(1).unwrap_or(link.sequence)..=link.sequence;
        let near = by_number.range(numbers).flat_map(|(_, slot)| slot.iter());
        let against = near
            .filter(|other| contradict(link, other))
            .map(|other| other.end);
        Some(against.max()?.max(link.end))
    });
    let mut by_start: Vec<&Link> = links.iter().collect();
    by_start.sort_by_key(|link| (link.start, link.digest));
    by_start.dedup_by_key(|link| link.digest);
    // Of those that began before, the one that ends last is in the way, if any is.
    let mut end = None;
    let overlaps = by_start.into_iter().filter_map(|link| {
        let before = end;
        end = end.max(Some(link.end));
        before.filter(|before| link.start < *before).and(end)
    });
    let overlaps = overlaps.max();
    neighbours.max().max(overlaps)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(number: u64) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_unix(minutes * 60).unwrap()
    }

    /// Reports that follow each other, of the given numbers of minutes.
    fn honest(minutes: &[i64]) -> Vec<Link> {
        let mut start = 1_000;
        (1..)
            .zip(minutes)
            .map(|(sequence, minutes)| {
                let from = start;
                start += minutes;
                let previous = if sequence == 1 {
                    Digest::NONE
                } else {
                    digest(sequence - 1)
                };
                Link {
                    sequence,
                    digest: digest(sequence),
                    previous,
                    start: at(from),
                    end: at(start),
                }
            })
            .collect()
    }

    /// Anything that may be signed: few numbers, few predecessors, few instants, so that they collide.
    fn any_link() -> impl Strategy<Value = Link> {
        (1_u64..6, 1_u64..12, 0_u64..8, 0_i64..8, 1_i64..4).prop_map(
            |(sequence, own, previous, start, span)| Link {
                sequence,
                digest: Digest::of(format!("{sequence} {own} {previous} {start} {span}").as_bytes()),
                previous: digest(previous),
                start: at(start),
                end: at(start + span),
            },
        )
    }

    fn shuffled<T: Clone + std::fmt::Debug>(
        links: impl Strategy<Value = Vec<T>>,
    ) -> impl Strategy<Value = (Vec<T>, Vec<T>)> {
        links.prop_flat_map(|links| (Just(links.clone()), Just(links).prop_shuffle()))
    }

    proptest! {
        #[test]
        fn an_honest_chain_fits_and_stands_in_whatever_order_it_comes(
            (in_order, crooked) in shuffled(proptest::collection::vec(1_i64..100, 1..20).prop_map(|m| honest(&m))),
        ) {
            let mut held = Vec::new();
            for link in &crooked {
                prop_assert_eq!(place(&held, link), Place::New);
                held.push(*link);
                prop_assert_eq!(place(&held, link), Place::Held);
            }
            let expected: BTreeMap<_, _> = in_order.iter().map(|l| (l.digest, Ok(()))).collect();
            prop_assert_eq!(standing(&held), expected);
        }

        #[test]
        fn what_stands_does_not_depend_on_the_order_nor_on_repetition(
            (one, other) in shuffled(proptest::collection::vec(any_link(), 0..16)),
        ) {
            let expected = standing(&one);
            prop_assert_eq!(&standing(&other), &expected);
            prop_assert_eq!(&standing(&[one, other].concat()), &expected);
        }

        #[test]
        fn reports_that_stand_have_their_number_and_their_time_to_themselves(
            links in proptest::collection::vec(any_link(), 0..16),
        ) {
            let verdicts = standing(&links);
            let mut standing: Vec<&Link> = links.iter().filter(|l| verdicts[&l.digest].is_ok()).collect();
            standing.sort_by_key(|l| l.digest);
            standing.dedup_by_key(|l| l.digest);
            for link in &standing {
                for other in standing.iter().filter(|o| o.digest != link.digest) {
                    prop_assert!(link.sequence != other.sequence);
                    prop_assert!(link.end <= other.start || other.end <= link.start);
                    if other.sequence == link.sequence + 1 {
                        prop_assert_eq!(other.previous, link.digest);
                    }
                }
            }
        }

        #[test]
        fn what_ends_after_every_dispute_stands_and_disputes_know_no_order(
            (one, other) in shuffled(proptest::collection::vec(any_link(), 0..12)),
        ) {
            let told = |links: &[Link]| {
                let mut held: Vec<Link> = Vec::new();
                let mut last = None;
                for link in links {
                    if !held.iter().any(|h| h.digest == link.digest) {
                        let dispute = dispute(&held, link);
                        assert!(dispute.is_some() || place(&held, link) == Place::New);
                        last = last.max(dispute);
                        held.push(*link);
                    }
                }
                last
            };
            let last = told(&one);
            prop_assert_eq!(told(&other), last);
            prop_assert_eq!(last_dispute(&one), last);
            let verdicts = standing(&one);
            for link in one.iter().filter(|link| Some(link.end) > last) {
                prop_assert_eq!(&verdicts[&link.digest], &Ok(()));
            }
        }

        #[test]
        fn a_second_report_of_a_number_voids_both_and_only_those(
            minutes in proptest::collection::vec(1_i64..100, 1..12), at_index in any::<prop::sample::Index>(),
        ) {
            let chain = honest(&minutes);
            let forked = chain[at_index.index(chain.len())];
            let twin = Link { digest: digest(1_000), ..forked };
            prop_assert!(matches!(place(&chain, &twin), Place::Equivocation(_)));
            let verdicts = standing(&[chain.clone(), vec![twin]].concat());
            for (digest, verdict) in verdicts {
                let void = digest == forked.digest || digest == twin.digest;
                prop_assert_eq!(verdict.err().map(|r| r.reason), void.then_some(Refusal::Equivocation));
            }
        }
    }

    #[test]
    fn a_report_after_a_gap_stands_until_its_predecessor_comes_and_is_another() {
        let chain = honest(&[5, 5, 5]);
        let (first, third) = (chain[0], chain[2]);
        assert!(standing(&[first, third]).values().all(Result::is_ok));
        let second = Link {
            digest: digest(77),
            ..chain[1]
        };
        assert!(
            matches!(place(&[first, third], &second), Place::Refused(r) if r.reason == Refusal::ChainBroken)
        );
        let verdicts = standing(&[third, second, first]);
        assert_eq!(verdicts[&second.digest], Ok(()));
        assert_eq!(
            verdicts[&third.digest].as_ref().map_err(|r| r.reason),
            Err(Refusal::ChainBroken)
        );
    }
}
