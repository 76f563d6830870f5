//! Modifying and cancelling an event.

use std::collections::BTreeMap;

use gridtally_protocol::identity::{Identity, SigningIdentity};
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::announce::in_force;
use super::escrow;
use super::instruct::{self, Voice};
use super::plan::{self, DispatchError, Hand};
use super::proof::Proof;
use super::rules;
use crate::events::life::{Act, Life, State};
use crate::events::revision::{Change, Revision};
use crate::rules::program::Program;
use crate::rules::statement::SiteId;
use crate::store::{Store, event_life, events, programs};

/// What became of a modification or a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The event with all that was done with it.
    pub life: Life,
    /// How many homes are told.
    pub told: usize,
}

/// Changes an event. What it asked before is kept, and each home that was asked is asked anew.
///
/// # Errors
/// [`DispatchError`] that says what is not as it must be.
pub fn modify(
    store: &mut Store,
    engine: &SigningIdentity,
    event: &EventId,
    change: Change,
    hand: &Hand,
    now: Timestamp,
) -> Result<Changed, DispatchError> {
    store.transact(|client| {
        events::lock(client)?;
        let mut life = event_life::life(client, event)?;
        let state = life.state(now);
        let revision = life.revision().changed(change);
        let deed = hand.deed(Act::Modify, now, revision.modification);
        life.take(deed, Some(revision.clone()))?;
        let program = program(client, event, &revision, state)?;
        match state {
            State::Active => plan::check_alignment(&revision, &program)?,
            _ => {
                plan::check(&revision, &program, now)?;
                let moves = change.start.is_some() || state == State::Draft;
                // What stays where it was announced was announced in time.
                let told_at = if moves {
                    now
                } else {
                    events::event(client, event)?.announced_at
                };
                rules::check(client, event, &revision, &program, told_at)?;
            }
        }
        if state == State::Draft {
            event_life::keep(client, event, &life)?;
            return Ok(Changed { life, told: 0 });
        }
        refuse_overlap(client, event, &revision)?;
        event_life::keep(client, event, &life)?;
        let told = tell(client, engine, event, &program, Some(&revision), now)?;
        Ok(Changed { life, told })
    })
}

/// Calls an event off: no home follows it any more, nothing is paid for it, and what was set aside is given back.
///
/// # Errors
/// [`DispatchError`] that says what is not as it must be.
pub fn cancel(
    store: &mut Store,
    engine: &SigningIdentity,
    event: &EventId,
    hand: &Hand,
    now: Timestamp,
) -> Result<Changed, DispatchError> {
    store.transact(|client| {
        events::lock(client)?;
        let mut life = event_life::life(client, event)?;
        let state = life.state(now);
        let revision = life.revision().clone();
        life.take(hand.deed(Act::Cancel, now, revision.modification), None)?;
        event_life::keep(client, event, &life)?;
        if state == State::Draft {
            return Ok(Changed { life, told: 0 });
        }
        let program = program(client, event, &revision, state)?;
        let told = tell(client, engine, event, &program, None, now)?;
        escrow::release(client, event, &program.id, now)?;
        Ok(Changed { life, told })
    })
}

/// The program as it is for a draft, as it was for what is announced.
fn program(
    client: &mut impl GenericClient,
    event: &EventId,
    revision: &Revision,
    state: State,
) -> Result<Program, DispatchError> {
    if state == State::Draft {
        return in_force(client, revision);
    }
    let version = events::event(client, event)?.program_version;
    let document = programs::program(client, &revision.program, version)?;
    Ok(Program::from_toml(revision.program.as_str(), &document)?)
}

/// The homes of an event keep the time that another event has asked them for.
fn refuse_overlap(
    client: &mut impl GenericClient,
    event: &EventId,
    revision: &Revision,
) -> Result<(), DispatchError> {
    let claims = event_life::claims(client, &revision.program)?;
    let Some(own) = claims.iter().find(|claim| claim.event == *event) else {
        return Ok(());
    };
    let other = claims.iter().find(|other| {
        other.event != *event
            && other.window.overlaps(&revision.window)
            && !other.sites.is_disjoint(&own.sites)
    });
    match other {
        Some(other) => Err(DispatchError::Overlaps {
            other: other.event.clone(),
        }),
        None => Ok(()),
    }
}

/// Tells every home that was asked what it is asked instead, or that it is asked nothing any more.
fn tell(
    client: &mut impl GenericClient,
    engine: &SigningIdentity,
    event: &EventId,
    program: &Program,
    instead: Option<&Revision>,
    now: Timestamp,
) -> Result<usize, DispatchError> {
    let secret = event_life::secret(client, event)?;
    let voice = Voice {
        engine,
        event,
        program,
        secret: secret.as_ref(),
        now,
    };
    let asked = instruct::asked(client, event)?;
    let proof = Proof::of(client, program, now)?;
    let sites: BTreeMap<Identity, SiteId> = programs::enrolments_of(client, asked.keys().copied(), now)?
        .into_iter()
        .map(|home| (home.gateway, home.site))
        .collect();
    for (gateway, before) in &asked {
        voice.say_farewell(client, *gateway, before, instead)?;
        if let Some(revision) = instead {
            let power = match sites.get(gateway) {
                Some(site) => proof.at_most(site, revision.discharge),
                None => revision.discharge,
            };
            voice.ask(client, revision, power, *gateway)?;
        }
    }
    Ok(asked.len())
}
