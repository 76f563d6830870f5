//! Announcing an event.

use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::instruction::{EventId, Instruction, Target};
use gridtally_protocol::message::{Message as _, MessageError};
use gridtally_protocol::price::Price;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use crate::registry::Enrolment;
use crate::rules::document::DocumentError;
use crate::rules::program::{Program, ProgramId};
use crate::store::events::{self, StoredEvent, StoredInstruction};
use crate::store::{LostConnection, Store, StoreError, programs};

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

/// What became of an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The event as it is kept.
    pub event: StoredEvent,
    /// How many homes are asked.
    pub instructions: usize,
}

/// Why an event is not announced.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program's document, as it is kept, cannot be read.
    #[error("the program cannot be read: {0}")]
    Program(#[from] DocumentError),
    /// The instruction would break a rule.
    #[error(transparent)]
    Instruction(#[from] MessageError),
    /// It would begin before it is announced.
    #[error("the event would begin at {start}, and it is {now}; an event is announced before it begins")]
    TooLate {
        /// Its start.
        start: Timestamp,
        /// The present.
        now: Timestamp,
    },
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
    /// Nobody would hear it.
    #[error("no home is enrolled in program {0}; enrol some with `engine enrol FILE`")]
    NobodyEnrolled(ProgramId),
}

impl LostConnection for DispatchError {
    fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_lost_connection())
    }
}

/// Keeps an event under the newest version of its program, with a signed instruction for each enrolled home.
/// Announcing the same again changes nothing.
///
/// # Errors
/// [`DispatchError`] that says what is not as it must be.
pub fn announce(
    store: &mut Store,
    engine: &SigningIdentity,
    announcement: &Announcement,
    now: Timestamp,
) -> Result<Announced, DispatchError> {
    store.transact(|transaction| {
        let document = programs::newest_program(transaction, &announcement.program)?;
        let program = Program::from_toml(announcement.program.as_str(), &document)?;
        let event = StoredEvent {
            id: announcement.id.clone(),
            program: announcement.program.clone(),
            program_version: program.version,
            start: announcement.start,
            end: announcement.end,
            announced_at: now,
            discharge: announcement.discharge,
        };
        check(&event, &program, now)?;
        refuse_overlap(transaction, &event)?;
        events::insert_event(transaction, &event)?;
        let event = events::event(transaction, &event.id)?;
        let sent = events::instructions_of(transaction, &event.id)?.len();
        if sent > 0 {
            return Ok(Announced {
                event,
                instructions: sent,
            });
        }
        let homes: Vec<Enrolment> = programs::enrolments(transaction)?
            .into_iter()
            .filter(|e| e.program == announcement.program)
            .collect();
        if homes.is_empty() {
            return Err(DispatchError::NobodyEnrolled(announcement.program.clone()));
        }
        // What an instruction cannot say exactly it leaves out; the program's document says it.
        let price = Price::new(program.price_per_kwh.base_units(), program.asset.decimals()).ok();
        for home in &homes {
            instruct(transaction, engine, &event, price, home)?;
        }
        Ok(Announced {
            event,
            instructions: homes.len(),
        })
    })
}

fn check(event: &StoredEvent, program: &Program, now: Timestamp) -> Result<(), DispatchError> {
    let (start, end) = (event.start, event.end);
    if start <= now {
        return Err(DispatchError::TooLate { start, now });
    }
    if start.floor_to(program.interval) != start || end.floor_to(program.interval) != end {
        return Err(DispatchError::NotAligned {
            start,
            end,
            seconds: program.interval.seconds(),
        });
    }
    Ok(())
}

fn refuse_overlap(client: &mut impl GenericClient, event: &StoredEvent) -> Result<(), DispatchError> {
    let other = events::events(client)?.into_iter().find(|other| {
        other.program == event.program
            && other.id != event.id
            && other.start < event.end
            && event.start < other.end
    });
    match other {
        Some(other) => Err(DispatchError::Overlaps { other: other.id }),
        None => Ok(()),
    }
}

fn instruct(
    client: &mut impl GenericClient,
    engine: &SigningIdentity,
    event: &StoredEvent,
    price: Option<Price>,
    home: &Enrolment,
) -> Result<(), DispatchError> {
    let instruction = Instruction {
        sequence: events::next_instruction(client, &home.gateway)?,
        gateway: home.gateway,
        event: event.id.clone(),
        issued_at: event.announced_at,
        expires_at: event.end,
        start: event.start,
        end: event.end,
        target: Target::SetPoint(event.discharge),
        program: Some(event.program.clone()),
        price,
    };
    let envelope = instruction.seal(engine)?;
    let stored = StoredInstruction {
        gateway: home.gateway,
        sequence: instruction.sequence,
        event: instruction.event,
        digest: gridtally_protocol::identity::Digest::of(&envelope),
        expires_at: instruction.expires_at,
        envelope,
    };
    events::insert_instruction(client, &stored)?;
    Ok(())
}
