//! The life of events, as it is kept: every revision and every act, one row after the other.

use std::collections::BTreeMap;

use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::{EventId, TargetKind};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::StoreError;
use super::programs::version_column;
use super::types::{corrupt, timestamp, to_column};
use crate::events::life::{Act, Deed, Life, Refused, State};
use crate::events::priority::{Claim, Priority};
use crate::events::revision::{Actor, Revision, Why, Window};
use crate::events::start::{StartBound, StartSecret};
use crate::rules::program::ProgramId;

/// Who did what was done before acts were kept, and what the engine does by itself.
const ENGINE: &str = "engine";

/// An event's life, where there is such an event. One that was announced before acts were kept is told from what it
/// left.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn find(client: &mut impl GenericClient, event: &EventId) -> Result<Option<Life>, StoreError> {
    match kept(client, event)? {
        Some(life) => Ok(Some(life)),
        None => told(client, event),
    }
}

/// An event's life.
///
/// # Errors
/// [`StoreError::NotFound`].
pub fn life(client: &mut impl GenericClient, event: &EventId) -> Result<Life, StoreError> {
    find(client, event)?
        .ok_or_else(|| StoreError::NotFound(format!("no event {event}; `engine event list` shows them")))
}

/// Every event with its life, by the start that is in force.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn lives(client: &mut impl GenericClient) -> Result<Vec<(EventId, Life)>, StoreError> {
    let rows = client.query("SELECT id FROM event UNION SELECT event FROM event_revision", &[])?;
    let mut lives = Vec::with_capacity(rows.len());
    for row in &rows {
        let event: EventId = row.get::<_, String>(0).parse().map_err(corrupt)?;
        let life = life(client, &event)?;
        lives.push((event, life));
    }
    lives.sort_by(|(a, one), (b, other)| {
        (one.revision().window.start, a).cmp(&(other.revision().window.start, b))
    });
    Ok(lives)
}

fn kept(client: &mut impl GenericClient, event: &EventId) -> Result<Option<Life>, StoreError> {
    let rows = client.query(
        "SELECT modification, program, starts_at, ends_at, discharge_milliwatts, priority, targets,
             start_bound_seconds, start_drawn_at
         FROM event_revision WHERE event = $1 ORDER BY modification",
        &[&event.as_str()],
    )?;
    let revisions: Vec<Revision> = rows.iter().map(read_revision).collect::<Result<_, _>>()?;
    let mut revisions = revisions.into_iter();
    let Some(first) = revisions.next() else {
        return Ok(None);
    };
    let rows = client.query(
        "SELECT act, modification, statement_version, actor, acted_at, reason
         FROM event_act WHERE event = $1 ORDER BY number",
        &[&event.as_str()],
    )?;
    let deeds: Vec<Deed> = rows.iter().map(read_deed).collect::<Result<_, _>>()?;
    let mut deeds = deeds.into_iter();
    let draft = deeds
        .next()
        .ok_or_else(|| corrupt(format!("event {event} without its draft")))?;
    let mut life = Life::begin(draft, first).map_err(corrupt)?;
    for deed in deeds {
        let revision = if deed.act == Act::Modify {
            revisions.next()
        } else {
            None
        };
        life.take(deed, revision).map_err(corrupt)?;
    }
    Ok(Some(life))
}

/// The life of an event of which only its announcement and its settlements are kept.
fn told(client: &mut impl GenericClient, event: &EventId) -> Result<Option<Life>, StoreError> {
    let row = client.query_opt(
        "SELECT program, starts_at, ends_at, announced_at, discharge_milliwatts FROM event WHERE id = $1",
        &[&event.as_str()],
    )?;
    let Some(row) = row else {
        return Ok(None);
    };
    let revision = Revision {
        modification: 0,
        program: row.get::<_, String>(0).parse().map_err(corrupt)?,
        window: Window {
            start: timestamp(row.get(1))?,
            end: timestamp(row.get(2))?,
        },
        discharge: Milliwatts::new(row.get(4)),
        priority: Priority::LOWEST,
        targets: Default::default(),
        start_bound: StartBound::NONE,
        start_drawn_at: 0,
    };
    let announced_at = timestamp(row.get(3))?;
    let mut life = Life::begin(by_engine(Act::Draft, announced_at, 0)?, revision).map_err(corrupt)?;
    life.take(by_engine(Act::Announce, announced_at, 0)?, None)
        .map_err(corrupt)?;
    let settled = client.query(
        "SELECT version, settled_at FROM ledger.settlement WHERE event_id = $1 ORDER BY version",
        &[&event.as_str()],
    )?;
    for row in &settled {
        let version = u32::try_from(row.get::<_, i32>(0)).map_err(corrupt)?;
        settle(&mut life, version, timestamp(row.get(1))?)?;
    }
    Ok(Some(life))
}

fn settle(life: &mut Life, version: u32, at: Timestamp) -> Result<(), StoreError> {
    let modification = life.revision().modification;
    if life.state(at) == State::Finished {
        life.take(by_engine(Act::Measure, at, modification)?, None)
            .map_err(refused)?;
    }
    life.take(by_engine(Act::Settle { version }, at, modification)?, None)
        .map_err(refused)
}

fn refused(refused: Refused) -> StoreError {
    StoreError::Conflict(refused.to_string())
}

fn by_engine(act: Act, at: Timestamp, modification: u32) -> Result<Deed, StoreError> {
    Ok(Deed {
        act,
        by: ENGINE.parse().map_err(corrupt)?,
        at,
        why: "".parse().map_err(corrupt)?,
        modification,
    })
}

/// Keeps what a life has that is not kept yet. Nothing that is kept changes.
///
/// # Errors
/// [`StoreError`] of the database; that somebody else did something in between is one.
pub fn keep(client: &mut impl GenericClient, event: &EventId, life: &Life) -> Result<(), StoreError> {
    let row = client.query_one(
        "SELECT (SELECT count(*) FROM event_revision WHERE event = $1),
                (SELECT count(*) FROM event_act WHERE event = $1)",
        &[&event.as_str()],
    )?;
    let (revisions, acts): (i64, i64) = (row.get(0), row.get(1));
    let revisions = usize::try_from(revisions).map_err(corrupt)?;
    let acts = usize::try_from(acts).map_err(corrupt)?;
    for revision in life.revisions().skip(revisions) {
        insert_revision(client, event, revision)?;
    }
    for (number, deed) in (1_i32..).zip(life.deeds()).skip(acts) {
        insert_act(client, event, number, deed)?;
    }
    Ok(())
}

fn insert_revision(
    client: &mut impl GenericClient,
    event: &EventId,
    revision: &Revision,
) -> Result<(), StoreError> {
    let targets = serde_json::to_string(&revision.targets).map_err(corrupt)?;
    client.execute(
        "INSERT INTO event_revision (event, modification, program, starts_at, ends_at, discharge_milliwatts, priority,
             targets, start_bound_seconds, start_drawn_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            &event.as_str(),
            &version_column(revision.modification)?,
            &revision.program.as_str(),
            &to_column(revision.window.start),
            &to_column(revision.window.end),
            &revision.discharge.get(),
            &i32::from(revision.priority.0),
            &targets,
            &i32::from(revision.start_bound.seconds()),
            &version_column(revision.start_drawn_at)?,
        ],
    )?;
    Ok(())
}

fn insert_act(
    client: &mut impl GenericClient,
    event: &EventId,
    number: i32,
    deed: &Deed,
) -> Result<(), StoreError> {
    let version = match deed.act {
        Act::Settle { version } => Some(version_column(version)?),
        _ => None,
    };
    client.execute(
        "INSERT INTO event_act (event, number, act, modification, statement_version, actor, acted_at, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &event.as_str(),
            &number,
            &deed.act.name(),
            &version_column(deed.modification)?,
            &version,
            &deed.by.as_str(),
            &to_column(deed.at),
            &deed.why.as_str(),
        ],
    )?;
    Ok(())
}

/// An event is about to be paid by a version of its statement, in this database transaction. One that was called off
/// is not.
///
/// # Errors
/// [`StoreError::Conflict`] with the reason why it cannot be paid.
pub fn settled(
    client: &mut impl GenericClient,
    event: &EventId,
    version: u32,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut life = life(client, event)?;
    settle(&mut life, version, now)?;
    keep(client, event, &life)
}

/// Keeps that an event is final.
///
/// # Errors
/// [`StoreError::Conflict`] where it was not settled, or is final already.
pub fn finalised(
    client: &mut impl GenericClient,
    event: &EventId,
    (by, why): (&Actor, &Why),
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut life = life(client, event)?;
    let deed = Deed {
        act: Act::Finalise,
        by: by.clone(),
        at: now,
        why: why.clone(),
        modification: life.revision().modification,
    };
    life.take(deed, None).map_err(refused)?;
    keep(client, event, &life)
}

fn read_revision(row: &Row) -> Result<Revision, StoreError> {
    let small = |column: i32| u16::try_from(column).map_err(corrupt);
    let count = |column: i32| u32::try_from(column).map_err(corrupt);
    Ok(Revision {
        modification: count(row.get(0))?,
        program: row.get::<_, String>(1).parse().map_err(corrupt)?,
        window: Window {
            start: timestamp(row.get(2))?,
            end: timestamp(row.get(3))?,
        },
        discharge: Milliwatts::new(row.get(4)),
        priority: Priority(small(row.get(5))?),
        targets: serde_json::from_str(row.get(6)).map_err(corrupt)?,
        start_bound: StartBound::from_seconds(small(row.get(7))?).map_err(corrupt)?,
        start_drawn_at: count(row.get(8))?,
    })
}

fn read_deed(row: &Row) -> Result<Deed, StoreError> {
    let version: Option<i32> = row.get(2);
    let act = match (row.get::<_, &str>(0), version) {
        ("draft", None) => Act::Draft,
        ("announce", None) => Act::Announce,
        ("modify", None) => Act::Modify,
        ("cancel", None) => Act::Cancel,
        ("measure", None) => Act::Measure,
        ("finalise", None) => Act::Finalise,
        ("settle", Some(version)) => Act::Settle {
            version: u32::try_from(version).map_err(corrupt)?,
        },
        (other, _) => return Err(corrupt(format!("the act {other:?} of an event"))),
    };
    Ok(Deed {
        act,
        modification: u32::try_from(row.get::<_, i32>(1)).map_err(corrupt)?,
        by: row.get::<_, String>(3).parse().map_err(corrupt)?,
        at: timestamp(row.get(4))?,
        why: row.get::<_, String>(5).parse().map_err(corrupt)?,
    })
}

/// Keeps from what an event's starts follow.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_secret(
    client: &mut impl GenericClient,
    event: &EventId,
    secret: &StartSecret,
) -> Result<(), StoreError> {
    client.execute(
        "INSERT INTO event_start_secret (event, secret, commitment) VALUES ($1, $2, $3)",
        &[
            &event.as_str(),
            &secret.as_bytes().as_slice(),
            &secret.commitment().as_bytes().as_slice(),
        ],
    )?;
    Ok(())
}

/// From what an event's starts follow, where they are moved. It is for telling when the event is over.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn secret(client: &mut impl GenericClient, event: &EventId) -> Result<Option<StartSecret>, StoreError> {
    let row = client.query_opt(
        "SELECT secret FROM event_start_secret WHERE event = $1",
        &[&event.as_str()],
    )?;
    row.map(|row| {
        let bytes = row.get::<_, &[u8]>(0).try_into();
        Ok(StartSecret::from_bytes(
            bytes.map_err(|_| corrupt("a secret that has not 32 bytes"))?,
        ))
    })
    .transpose()
}

/// Notes that an instruction is a farewell.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_farewell(client: &mut impl GenericClient, instruction: &Digest) -> Result<(), StoreError> {
    client.execute(
        "INSERT INTO event_farewell (instruction) VALUES ($1)",
        &[&instruction.as_bytes().as_slice()],
    )?;
    Ok(())
}

/// What the announced events of a program that were not called off claim.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn claims(client: &mut impl GenericClient, program: &ProgramId) -> Result<Vec<Claim>, StoreError> {
    let rows = client.query(
        "SELECT v.id, coalesce(r.priority, 65535), v.announced_at, v.starts_at, v.ends_at, n.site
         FROM event_in_force v
         LEFT JOIN LATERAL (
             SELECT priority FROM event_revision WHERE event = v.id ORDER BY modification DESC LIMIT 1
         ) r ON true
         JOIN instruction i ON i.event = v.id
         JOIN enrolment n ON n.gateway = i.gateway
         WHERE v.program = $1 AND v.cancelled_at IS NULL",
        &[&program.as_str()],
    )?;
    let mut claims: BTreeMap<EventId, Claim> = BTreeMap::new();
    for row in &rows {
        let event: EventId = row.get::<_, String>(0).parse().map_err(corrupt)?;
        let site = row.get::<_, String>(5).parse().map_err(corrupt)?;
        let claim = match claims.entry(event.clone()) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Claim {
                event,
                priority: Priority(u16::try_from(row.get::<_, i32>(1)).map_err(corrupt)?),
                announced_at: timestamp(row.get(2))?,
                window: Window {
                    start: timestamp(row.get(3))?,
                    end: timestamp(row.get(4))?,
                },
                kind: TargetKind::SetPoint,
                sites: Default::default(),
            }),
        };
        claim.sites.insert(site);
    }
    Ok(claims.into_values().collect())
}
