//! Drafting and announcing an event.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::instruction::{EventId, TargetKind};
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::escrow;
use super::instruct::Voice;
use super::plan::{self, Announced, Announcement, DispatchError, Hand, Terms};
use super::proof::Proof;
use super::rules;
use crate::capacity::standing::Unproven;
use crate::events::life::{Act, Life, Refused, State};
use crate::events::priority::{Claim, left_to_others};
use crate::events::revision::{Actor, Revision};
use crate::events::start::{StartBound, StartSecret};
use crate::registry::Enrolment;
use crate::rules::program::{Program, ProgramId};
use crate::rules::statement::SiteId;
use crate::store::events::{self, StoredEvent};
use crate::store::{Store, StoreError, event_life, programs};

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
    let hand = Hand {
        by: Actor::operator(),
        why: Default::default(),
    };
    announce_with(store, engine, announcement, &Terms::default(), None, &hand, now)
}

/// As [`announce`], with terms, with `reserve` (in whole tokens) set aside in the program's escrow, and by somebody.
///
/// # Errors
/// As [`announce`].
pub fn announce_with(
    store: &mut Store,
    engine: &SigningIdentity,
    announcement: &Announcement,
    terms: &Terms,
    reserve: Option<&str>,
    hand: &Hand,
    now: Timestamp,
) -> Result<Announced, DispatchError> {
    store.transact(|client| {
        events::lock(client)?;
        let id = &announcement.id;
        let revision = announcement.revision(terms);
        let program = in_force(client, &revision)?;
        plan::check(&revision, &program, now)?;
        rules::check(client, id, &revision, &program, now)?;
        let life = match event_life::find(client, id)? {
            None => Life::begin(hand.deed(Act::Draft, now, 0), revision)?,
            Some(life) if life.state(now) == State::Draft => {
                let draft = life.revision();
                let differs = is_other(draft, &revision);
                if differs {
                    return Err(DispatchError::DraftDiffers(id.clone()));
                }
                life
            }
            Some(life) => return announced_before(client, id, &life, &revision, now),
        };
        put_out(client, engine, id, life, &program, reserve, hand, now)
    })
}

/// Announces what was drafted.
///
/// # Errors
/// As [`announce`]; [`DispatchError::Life`] where it is no draft any more.
pub fn announce_draft(
    store: &mut Store,
    engine: &SigningIdentity,
    event: &EventId,
    reserve: Option<&str>,
    hand: &Hand,
    now: Timestamp,
) -> Result<Announced, DispatchError> {
    store.transact(|client| {
        events::lock(client)?;
        let life = event_life::life(client, event)?;
        let program = in_force(client, life.revision())?;
        if life.state(now) == State::Draft {
            plan::check(life.revision(), &program, now)?;
            rules::check(client, event, life.revision(), &program, now)?;
        }
        put_out(client, engine, event, life, &program, reserve, hand, now)
    })
}

/// Writes an event down, without asking anybody.
///
/// # Errors
/// [`DispatchError`] that says what is not as it must be.
pub fn draft(
    store: &mut Store,
    announcement: &Announcement,
    terms: &Terms,
    hand: &Hand,
    now: Timestamp,
) -> Result<Life, DispatchError> {
    store.transact(|client| {
        events::lock(client)?;
        let id = &announcement.id;
        let revision = announcement.revision(terms);
        let program = in_force(client, &revision)?;
        plan::check(&revision, &program, now)?;
        rules::check(client, id, &revision, &program, now)?;
        if let Some(life) = event_life::find(client, id)? {
            // The same again is a no-op.
            let same = life.state(now) == State::Draft && !is_other(life.revision(), &revision);
            return if same {
                Ok(life)
            } else {
                Err(DispatchError::Taken(id.clone()))
            };
        }
        let homes = programs::enrolments_at(client, revision.window.start)?;
        terms.targets.asked(&program.id, &homes)?;
        let life = Life::begin(hand.deed(Act::Draft, now, 0), revision)?;
        event_life::keep(client, id, &life)?;
        Ok(life)
    })
}

/// The highest version of the program that is in force when the event begins.
pub(super) fn in_force(
    client: &mut impl GenericClient,
    revision: &Revision,
) -> Result<Program, DispatchError> {
    in_force_at(client, &revision.program, revision.window.start)
}

/// The highest version of a program that is in force at an instant.
pub(super) fn in_force_at(
    client: &mut impl GenericClient,
    id: &ProgramId,
    start: Timestamp,
) -> Result<Program, DispatchError> {
    for document in programs::documents(client, id)? {
        let program = Program::from_toml(id.as_str(), &document)?;
        if program.in_force_from <= start {
            return Ok(program);
        }
    }
    let program = id.clone();
    Err(DispatchError::NotInForce { program, start })
}

/// Whether two revisions ask for different things, however often each was modified.
fn is_other(one: &Revision, other: &Revision) -> bool {
    let numbered = Revision {
        modification: one.modification,
        start_drawn_at: one.start_drawn_at,
        ..other.clone()
    };
    *one != numbered
}

fn announced_before(
    client: &mut impl GenericClient,
    id: &EventId,
    life: &Life,
    revision: &Revision,
    now: Timestamp,
) -> Result<Announced, DispatchError> {
    if life.state(now) == State::Cancelled {
        let (act, state) = (Act::Announce, State::Cancelled);
        return Err(Refused::NotInState { act, state }.into());
    }
    if is_other(life.revision(), revision) {
        return Err(StoreError::Conflict(format!(
            "there is another event {id}; give this one a name of its own"
        ))
        .into());
    }
    let asked = super::instruct::asked(client, id)?.len();
    Ok(Announced {
        event: events::event(client, id)?,
        instructions: asked,
        left_to_others: Default::default(),
        unproven: Default::default(),
        start_commitment: event_life::secret(client, id)?.map(|secret| secret.commitment()),
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "the event, who announces it, and by what"
)]
fn put_out(
    client: &mut impl GenericClient,
    engine: &SigningIdentity,
    id: &EventId,
    mut life: Life,
    program: &Program,
    reserve: Option<&str>,
    hand: &Hand,
    now: Timestamp,
) -> Result<Announced, DispatchError> {
    life.take(hand.deed(Act::Announce, now, life.revision().modification), None)?;
    let revision = life.revision();
    let homes = programs::enrolments_at(client, revision.window.start)?;
    let mut asked = revision.targets.asked(&program.id, &homes)?;
    asked.retain(|home| program.may_ask(&home.membership));
    let proof = Proof::of(client, program, now)?;
    let unproven: BTreeMap<SiteId, Unproven> = asked
        .iter()
        .filter_map(|home| Some((home.site.clone(), proof.lacking(&home.site)?)))
        .collect();
    asked.retain(|home| !unproven.contains_key(&home.site));
    if asked.is_empty() && !unproven.is_empty() {
        return Err(DispatchError::NobodyProven(program.id.clone()));
    }
    if asked.is_empty() {
        let is_enrolled = homes.iter().any(|home| home.program == program.id);
        let nobody = if is_enrolled {
            DispatchError::NobodyAsked
        } else {
            DispatchError::NobodyEnrolled
        };
        return Err(nobody(program.id.clone()));
    }
    let claim = claim(id, revision, now, &asked);
    let standing = event_life::claims(client, &program.id)?;
    if let Some(beaten) = standing.iter().find(|other| {
        claim.outranks(other)
            && claim.window.overlaps(&other.window)
            && !claim.sites.is_disjoint(&other.sites)
    }) {
        let other = beaten.event.clone();
        return Err(DispatchError::Outranks { other });
    }
    let left = left_to_others(&claim, &standing);
    asked.retain(|home| !left.contains_key(&home.site));
    if let (true, Some(other)) = (asked.is_empty(), left.values().next()) {
        let other = other.clone();
        return Err(DispatchError::Overlaps { other });
    }
    let event = StoredEvent {
        id: id.clone(),
        program: program.id.clone(),
        program_version: program.version,
        start: revision.window.start,
        end: revision.window.end,
        announced_at: now,
        discharge: revision.discharge,
    };
    event_life::keep(client, id, &life)?;
    events::insert_event(client, &event)?;
    let secret = drawn(client, id, revision)?;
    let voice = Voice {
        engine,
        event: id,
        program,
        secret: secret.as_ref(),
        now,
    };
    for home in &asked {
        let power = proof.at_most(&home.site, revision.discharge);
        voice.ask(client, revision, power, home.gateway)?;
    }
    if let Some(amount) = reserve {
        escrow::reserve(client, id, program, revision.window, amount, now)?;
    }
    Ok(Announced {
        event,
        instructions: asked.len(),
        left_to_others: left,
        unproven,
        start_commitment: secret.map(|secret| secret.commitment()),
    })
}

fn claim(id: &EventId, revision: &Revision, now: Timestamp, asked: &[&Enrolment]) -> Claim {
    let sites: BTreeSet<_> = asked.iter().map(|home| home.site.clone()).collect();
    Claim {
        event: id.clone(),
        priority: revision.priority,
        announced_at: now,
        window: revision.window,
        kind: TargetKind::SetPoint,
        sites,
    }
}

/// A secret for the starts of an event's homes, where they are moved.
fn drawn(
    client: &mut impl GenericClient,
    id: &EventId,
    revision: &Revision,
) -> Result<Option<StartSecret>, DispatchError> {
    if revision.start_bound == StartBound::NONE {
        return Ok(None);
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| DispatchError::Random(error.to_string()))?;
    let secret = StartSecret::from_bytes(bytes);
    event_life::insert_secret(client, id, &secret)?;
    Ok(Some(secret))
}
