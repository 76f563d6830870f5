//! Whether the tests that were held are those that were drawn.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::{IntervalLength, Timestamp};

use super::draw::Seed;
use super::forecast::Around;
use super::verdict::Unavailability;
use super::{TEST_SECONDS, draw};
use crate::events::revision::Window;
use crate::rules::program::ProgramId;
use crate::rules::statement::SiteId;

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An instruction that asks for this was signed.
    Sent {
        /// When it was signed.
        issued_at: Timestamp,
        /// Its window, as it is written in the signed instruction.
        window: Window,
        /// The power, as it is written in the signed instruction.
        asked: Milliwatts,
        /// Its name, as it is written in the signed instruction.
        event: EventId,
    },
    /// It was left out, because the site had said that it cannot.
    Unavailable,
    /// It was left out, because an event had the site.
    Event(EventId),
}

/// A test as the operator kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Whose.
    pub site: SiteId,
    /// The Monday of its week.
    pub monday: NaiveDate,
    /// When it began, or would have begun.
    pub start: Timestamp,
    /// The power that every test asks of the site.
    pub asks: Milliwatts,
    /// When it was written down.
    pub recorded_at: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
}

/// What is wrong with a period's tests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The seed that is told is not the one that was committed to.
    #[error("the seed's commitment is {found}, and {committed} was told before: the seed was exchanged")]
    OtherSeed {
        /// What follows from the seed.
        found: Digest,
        /// What was told.
        committed: Digest,
    },
    /// The commitment came too late to commit to anything.
    #[error("the commitment was told at {committed_at}, and the period began at {start}")]
    LateCommitment {
        /// When it was told.
        committed_at: Timestamp,
        /// When the period began.
        start: Timestamp,
    },
    /// A test that does not follow from the seed.
    #[error("the test of site {site} at {start} was not drawn")]
    NotDrawn {
        /// Whose.
        site: SiteId,
        /// When.
        start: Timestamp,
    },
    /// A test that follows from the seed, and of which nothing is kept.
    #[error("the test of site {site} at {start} was drawn and never sent")]
    NeverSent {
        /// Whose.
        site: SiteId,
        /// When.
        start: Timestamp,
    },
    /// Its instruction is another.
    #[error(
        "the test of site {site} at {start} was drawn, and its signed instruction asks for something else"
    )]
    OtherInstruction {
        /// Whose.
        site: SiteId,
        /// When.
        start: Timestamp,
    },
    /// It was left out without a reason that holds.
    #[error("the test of site {site} at {start} was left out, and the reason that is given does not hold")]
    NoReason {
        /// Whose.
        site: SiteId,
        /// When.
        start: Timestamp,
    },
}

/// What everybody knows once the seed is told.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    /// The program.
    pub program: &'k ProgramId,
    /// The seed.
    pub seed: &'k Seed,
    /// What was told of it before.
    pub committed: Digest,
    /// When that was.
    pub committed_at: Timestamp,
    /// When the period began.
    pub start: Timestamp,
    /// The meters' intervals.
    pub interval: IntervalLength,
    /// What sites said of when they cannot be tested.
    pub unavailable: &'k BTreeMap<SiteId, Vec<Unavailability>>,
    /// When each site was in an event of its program.
    pub events: &'k BTreeMap<EventId, (Window, Vec<SiteId>)>,
}

/// A test as it has to be: by site and start, its Monday.
pub type DrawnTests = BTreeMap<(SiteId, Timestamp), NaiveDate>;

/// The first thing that is wrong, in the order of time; nothing where everything is as drawn.
#[must_use]
pub fn audit(known: &Known<'_>, drawn: &DrawnTests, held: &[Held]) -> Option<Finding> {
    let found = known.seed.commitment();
    if found != known.committed {
        let committed = known.committed;
        return Some(Finding::OtherSeed { found, committed });
    }
    if known.committed_at >= known.start {
        let (committed_at, start) = (known.committed_at, known.start);
        return Some(Finding::LateCommitment { committed_at, start });
    }
    let by_key: BTreeMap<(SiteId, Timestamp), &Held> = held
        .iter()
        .map(|test| ((test.site.clone(), test.start), test))
        .collect();
    let mut wrong: Vec<(Timestamp, SiteId, Finding)> = Vec::new();
    for (site, start) in drawn.keys().filter(|key| !by_key.contains_key(*key)) {
        let (site, start) = (site.clone(), *start);
        wrong.push((start, site.clone(), Finding::NeverSent { site, start }));
    }
    for test in held {
        let key = (test.site.clone(), test.start);
        let (site, start) = key.clone();
        let finding = match drawn.get(&key) {
            Some(monday) if *monday == test.monday => match is_as_drawn(known, test) {
                true => continue,
                false if matches!(test.outcome, Outcome::Sent { .. }) => {
                    Finding::OtherInstruction { site, start }
                }
                false => Finding::NoReason { site, start },
            },
            _ => Finding::NotDrawn { site, start },
        };
        wrong.push((test.start, test.site.clone(), finding));
    }
    wrong.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    wrong.into_iter().next().map(|(_, _, finding)| finding)
}

fn is_as_drawn(known: &Known<'_>, test: &Held) -> bool {
    let Some(end) = test.start.checked_add(TEST_SECONDS) else {
        return false;
    };
    let drawn = Window {
        start: test.start,
        end,
    };
    match &test.outcome {
        Outcome::Sent {
            issued_at,
            window,
            asked,
            event,
        } => {
            let name = draw::name(known.seed, known.program, &test.site, test.monday);
            *window == drawn && *asked == test.asks && *issued_at < test.start && name.as_ref() == Ok(event)
        }
        Outcome::Unavailable => known.unavailable.get(&test.site).is_some_and(|spans| {
            let excuses = |span: &Unavailability| span.excuses(test.start, test.recorded_at);
            spans.iter().any(excuses)
        }),
        Outcome::Event(event) => known.events.get(event).is_some_and(|(window, sites)| {
            let around = Around::of(test.start, known.interval);
            sites.contains(&test.site) && around.is_some_and(|around| around.overlaps(window))
        }),
    }
}
