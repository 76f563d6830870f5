//! What an operator asks for, and why it is not done.

use std::collections::BTreeMap;

use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::message::MessageError;
use gridtally_protocol::quantity::{Milliwatts, ParseQuantityError};
use gridtally_protocol::time::Timestamp;

use crate::capacity::standing::Unproven;
use crate::events::clearing::ClearingError;
use crate::events::life::{Act, Deed, Refused};
use crate::events::priority::Priority;
use crate::events::revision::{Actor, Revision, Why, Window};
use crate::events::start::StartBound;
use crate::events::target::{NobodyThere, Targets};
use crate::rules::document::DocumentError;
use crate::rules::program::{NotAllowed, Program, ProgramId};
use crate::rules::statement::{SettleError, SiteId};
use crate::store::events::StoredEvent;
use crate::store::ledger::LedgerError;
use crate::store::{LostConnection, StoreError};

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The event's name.
    pub id: EventId,
    /// Whose homes, rules and prices.
    pub program: ProgramId,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// What each battery is asked to give.
    pub discharge: Milliwatts,
}

/// How an event stands beside others, whom it asks, and when each home begins. By default it asks everybody, at its
/// start, and counts least.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Which of two overlapping events counts.
    pub priority: Priority,
    /// Who is asked.
    pub targets: Targets,
    /// How far each home's start is moved at most, either way.
    pub start_bound: StartBound,
}

/// Who does something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hand {
    /// Who.
    pub by: Actor,
    /// Why.
    pub why: Why,
}

impl Hand {
    pub(super) fn deed(&self, act: Act, at: Timestamp, modification: u32) -> Deed {
        Deed {
            act,
            by: self.by.clone(),
            at,
            why: self.why.clone(),
            modification,
        }
    }
}

impl Announcement {
    pub(super) fn revision(&self, terms: &Terms) -> Revision {
        Revision {
            modification: 0,
            program: self.program.clone(),
            window: Window {
                start: self.start,
                end: self.end,
            },
            discharge: self.discharge,
            priority: terms.priority,
            targets: terms.targets.clone(),
            start_bound: terms.start_bound,
            start_drawn_at: 0,
        }
    }
}

/// What became of an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The event as it is kept.
    pub event: StoredEvent,
    /// How many homes are asked.
    pub instructions: usize,
    /// The homes that are not asked, because another event has them in a part of the time.
    pub left_to_others: BTreeMap<SiteId, EventId>,
    /// The homes that are not asked, because the program asks for proof and they have none.
    pub unproven: BTreeMap<SiteId, Unproven>,
    /// What is told beforehand of how each home's start is moved, where it is.
    pub start_commitment: Option<Digest>,
}

/// Why an event is not announced, modified or cancelled.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The program's document, as it is kept, cannot be read.
    #[error("the program cannot be read: {0}")]
    Program(#[from] DocumentError),
    /// The instruction would break a rule.
    #[error(transparent)]
    Instruction(#[from] MessageError),
    /// The event's life does not allow it.
    #[error(transparent)]
    Life(#[from] Refused),
    /// Somebody is named whom there is not.
    #[error(transparent)]
    Targets(#[from] NobodyThere),
    /// The amount to be reserved.
    #[error("the amount: {0}")]
    Amount(#[from] ParseQuantityError),
    /// It would begin before it is announced.
    #[error("the event would begin at {start}, and it is {now}; an event is announced before it begins")]
    TooLate {
        /// When its first home would begin.
        start: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// Bids cannot be cleared.
    #[error(transparent)]
    Clearing(#[from] ClearingError),
    /// No version of the program is in force by then.
    #[error("no version of program {program} is in force at {start}")]
    NotInForce {
        /// Which program.
        program: ProgramId,
        /// The event's start.
        start: Timestamp,
    },
    /// The program's rules do not allow it.
    #[error("program {program} does not allow it: {}", each(.broken))]
    NotAllowed {
        /// Which program.
        program: ProgramId,
        /// Every rule that is broken.
        broken: Vec<NotAllowed>,
    },
    /// It could not be settled.
    #[error("it could not be settled under its program: {0}")]
    NotToBeSettled(#[from] SettleError),
    /// Its window does not fit the program's intervals.
    #[error(
        "the event's start {start} and end {end} are not whole multiples of the program's interval of {seconds} s"
    )]
    NotAligned {
        /// Its start.
        start: Timestamp,
        /// Its end.
        end: Timestamp,
        /// The interval's length.
        seconds: u32,
    },
    /// The same energy would be paid twice.
    #[error(
        "it overlaps event {other} of the same program; one and the same energy is paid once, so choose another time"
    )]
    Overlaps {
        /// The other event.
        other: EventId,
    },
    /// It counts more than one whose homes were asked already.
    #[error(
        "it counts more than event {other}, which has asked some of its homes for the same time already; modify or cancel that one first"
    )]
    Outranks {
        /// The other event.
        other: EventId,
    },
    /// Nobody would hear it.
    #[error("no home is enrolled in program {0}; enrol some with `engine enrol FILE`")]
    NobodyEnrolled(ProgramId),
    /// Nobody is both.
    #[error("no home of program {0} fits everything that the event names; name fewer zones, groups or sites")]
    NobodyAsked(ProgramId),
    /// Nobody has proved anything.
    #[error(
        "no home of program {0} has proved what it can do, and the program asks for that; `engine test capacity` says why"
    )]
    NobodyProven(ProgramId),
    /// There is one of this name, and it is another.
    #[error("there is another event {0}; give this one a name of its own")]
    Taken(EventId),
    /// A draft of this name asks for something else.
    #[error("the draft {0} asks for something else; announce it by its name alone, or modify it first")]
    DraftDiffers(EventId),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

fn each(broken: &[NotAllowed]) -> String {
    let each: Vec<String> = broken.iter().map(ToString::to_string).collect();
    each.join("; ")
}

impl LostConnection for DispatchError {
    fn is_lost_connection(&self) -> bool {
        match self {
            Self::Store(error) => error.is_lost_connection(),
            Self::Ledger(error) => error.is_lost_connection(),
            _ => false,
        }
    }
}

/// An event fits its program's intervals, and its first home begins after `now`.
pub(super) fn check(revision: &Revision, program: &Program, now: Timestamp) -> Result<(), DispatchError> {
    let bound = i64::from(revision.start_bound.seconds());
    let earliest = revision.window.start.checked_add(-bound);
    let start = earliest.unwrap_or(Timestamp::EPOCH);
    if start <= now {
        return Err(DispatchError::TooLate { start, now });
    }
    check_alignment(revision, program)
}

/// An event fits its program's intervals.
pub(super) fn check_alignment(revision: &Revision, program: &Program) -> Result<(), DispatchError> {
    let Window { start, end } = revision.window;
    if start.floor_to(program.interval) != start || end.floor_to(program.interval) != end {
        return Err(DispatchError::NotAligned {
            start,
            end,
            seconds: program.interval.seconds(),
        });
    }
    Ok(())
}
