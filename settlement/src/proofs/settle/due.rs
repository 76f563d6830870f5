//! When an event is settled anew: by the program's calendar, or because a dispute was upheld; and when no more.

use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::SettlementError;
use crate::events::life::State;
use crate::events::revision::{Actor, Why};
use crate::proofs::evidence::Dispute;
use crate::proofs::patience;
use crate::rules::program::Program;
use crate::rules::statement::{Occasion, SiteId, Statement};
use crate::store::events::StoredEvent;
use crate::store::settlements::{self, StoredSettlement};
use crate::store::types::corrupt;
use crate::store::{Store, StoreError, disputes, event_life, events, programs};

/// What asks for the statement after `last`: disputes that were upheld since, else the calendar.
pub(super) fn occasion(
    client: &mut impl GenericClient,
    event: &StoredEvent,
    program: &Program,
    last: &StoredSettlement,
    now: Timestamp,
) -> Result<Occasion, SettlementError> {
    let settled = statement(last)?;
    let settled_for: &[u32] = match settled.resettled.as_ref().map(|r| &r.occasion) {
        Some(Occasion::Dispute { upheld }) => upheld,
        _ => &[],
    };
    let asks = |dispute: &Dispute| {
        let decision = dispute.decision.as_ref().filter(|decision| decision.upheld);
        // What was decided in the very second of the last statement may not be in it.
        decision.is_some_and(|decision| decision.at >= last.settled_at)
            && !settled_for.contains(&dispute.number)
    };
    let disputes = disputes::disputes(client, &event.id, now)?;
    let upheld: Vec<u32> = disputes.iter().filter(|d| asks(d)).map(|d| d.number).collect();
    if !upheld.is_empty() {
        return Ok(Occasion::Dispute { upheld });
    }
    let rules = &program.resettlement;
    match rules.due(event.end, last.settled_at, now) {
        Some(after_days) => Ok(Occasion::Calendar { after_days }),
        None => Err(SettlementError::NothingDue {
            event: event.id.clone(),
            next: rules.next(event.end, last.settled_at),
        }),
    }
}

fn statement(settlement: &StoredSettlement) -> Result<Statement, StoreError> {
    Statement::from_bytes(settlement.statement.as_bytes()).map_err(corrupt)
}

/// An event that was settled, under the program's lock.
struct Ground {
    event: StoredEvent,
    program: Program,
    last: StoredSettlement,
}

impl Ground {
    fn read(client: &mut impl GenericClient, event: &EventId) -> Result<Self, SettlementError> {
        let event = events::event(client, event)?;
        settlements::lock_program(client, &event.program)?;
        let last = settlements::last(client, &event.id)?;
        let last = last.ok_or_else(|| SettlementError::NotSettled(event.id.clone()))?;
        let document = programs::program(client, &event.program, event.program_version)?;
        let program = Program::from_toml("program", &document).map_err(corrupt)?;
        Ok(Self { event, program, last })
    }
}

/// What is kept for good has a reason.
fn reasoned((_, why): (&Actor, &Why)) -> Result<(), SettlementError> {
    if why.as_str().is_empty() {
        return Err(SettlementError::NoReason);
    }
    Ok(())
}

/// Writes down that somebody holds a site's part of the last statement to be wrong, and gives the dispute's number.
///
/// # Errors
/// [`SettlementError::TooLateToDispute`], [`SettlementError::NoSuchSite`], [`SettlementError::NotSettled`].
pub fn raise_dispute(
    store: &mut Store,
    event: &EventId,
    site: &SiteId,
    hand: (&Actor, &Why),
    now: Timestamp,
) -> Result<u32, SettlementError> {
    reasoned(hand)?;
    store.transact(|client| {
        let Ground { event, program, last } = Ground::read(client, event)?;
        let until = program.resettlement.disputable_until(last.settled_at);
        if now >= until {
            return Err(SettlementError::TooLateToDispute {
                event: event.id,
                version: last.version,
                until,
                now,
            });
        }
        if !statement(&last)?.sites.iter().any(|known| known.site == *site) {
            return Err(SettlementError::NoSuchSite {
                event: event.id,
                site: site.clone(),
            });
        }
        Ok(disputes::raise(client, &event.id, site, last.version, hand, now)?)
    })
}

/// Writes down what came of a dispute.
///
/// # Errors
/// [`SettlementError::NoSuchDispute`] where there is none of this number, or it is decided.
pub fn decide_dispute(
    store: &mut Store,
    event: &EventId,
    number: u32,
    upheld: bool,
    hand: (&Actor, &Why),
    now: Timestamp,
) -> Result<(), SettlementError> {
    reasoned(hand)?;
    store.transact(|client| {
        let ground = Ground::read(client, event)?;
        let known = disputes::disputes(client, &ground.event.id, now)?;
        let none = |what: String| Err(SettlementError::NoSuchDispute(what));
        match known.iter().find(|dispute| dispute.number == number) {
            None => none(format!("event {event} has no dispute {number}")),
            Some(Dispute {
                decision: Some(decision),
                ..
            }) => none(format!(
                "dispute {number} of event {event} was decided by {} at {}; a decision stands",
                decision.by, decision.at
            )),
            Some(_) => Ok(disputes::decide(client, event, number, upheld, hand, now)?),
        }
    })
}

/// What there is to do about an event.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "due", rename_all = "snake_case")]
pub enum Due {
    /// It is over, and has no statement.
    Settle {
        /// When it is settled whoever has reported.
        at_the_latest: Timestamp,
    },
    /// Something asks for another statement.
    Resettle {
        /// What.
        occasion: Occasion,
    },
    /// A dispute waits for its decision.
    Decide {
        /// Which.
        dispute: u32,
    },
    /// Nothing now.
    Wait {
        /// Until then something may come, or will.
        until: Timestamp,
    },
    /// Nothing can change its statement any more.
    Finalise,
}

/// What there is to do about every event that is over and not final.
///
/// # Errors
/// [`SettlementError`] of the store.
pub fn due(store: &mut Store, now: Timestamp) -> Result<Vec<(EventId, Vec<Due>)>, SettlementError> {
    store.transact(|client| {
        let mut all = Vec::new();
        for (event, life) in event_life::lives(client)? {
            let due = match life.state(now) {
                State::Finished | State::Measured => {
                    let end = life.revision().window.end;
                    let at_the_latest = patience::deadline(end);
                    vec![Due::Settle { at_the_latest }]
                }
                State::Settled { .. } => due_of_settled(client, &event, now)?,
                _ => continue,
            };
            all.push((event, due));
        }
        Ok(all)
    })
}

fn due_of_settled(
    client: &mut impl GenericClient,
    event: &EventId,
    now: Timestamp,
) -> Result<Vec<Due>, SettlementError> {
    let Ground { event, program, last } = Ground::read(client, event)?;
    let disputes = disputes::disputes(client, &event.id, now)?.into_iter();
    let open = disputes.filter(|dispute| dispute.decision.is_none());
    let mut due: Vec<Due> = open.map(|d| Due::Decide { dispute: d.number }).collect();
    match occasion(client, &event, &program, &last, now) {
        Ok(occasion) => due.push(Due::Resettle { occasion }),
        Err(SettlementError::NothingDue { next, .. }) => {
            let disputable = program.resettlement.disputable_until(last.settled_at);
            let disputable = Some(disputable).filter(|until| *until > now);
            match next.into_iter().chain(disputable).min() {
                Some(until) => due.push(Due::Wait { until }),
                None if due.is_empty() => due.push(Due::Finalise),
                None => {}
            }
        }
        Err(error) => return Err(error),
    }
    Ok(due)
}

/// Makes an event final: nothing follows.
///
/// # Errors
/// [`SettlementError::StillOpen`] with everything that may still change its statement.
pub fn finalise(
    store: &mut Store,
    event: &EventId,
    hand: (&Actor, &Why),
    now: Timestamp,
) -> Result<(), SettlementError> {
    store.transact(|client| {
        let Ground { event, program, last } = Ground::read(client, event)?;
        let mut open = Vec::new();
        if let Some(next) = program.resettlement.next(event.end, last.settled_at) {
            open.push(format!(
                "the program's calendar asks for another statement on {next}"
            ));
        }
        let until = program.resettlement.disputable_until(last.settled_at);
        if now < until {
            open.push(format!(
                "statement {} may be disputed until {until}",
                last.version
            ));
        }
        let known = disputes::disputes(client, &event.id, now)?;
        for dispute in known.iter().filter(|dispute| dispute.decision.is_none()) {
            open.push(format!("dispute {} is not decided", dispute.number));
        }
        if let Ok(Occasion::Dispute { .. }) = occasion(client, &event, &program, &last, now) {
            open.push("a dispute was upheld, and the event is not settled anew yet".to_owned());
        }
        if !open.is_empty() {
            return Err(SettlementError::StillOpen {
                event: event.id,
                open,
            });
        }
        Ok(event_life::finalised(client, &event.id, hand, now)?)
    })
}
