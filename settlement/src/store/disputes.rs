//! What statements are disputed for, what was decided, and who approved of a statement before it was posted.

use std::collections::BTreeSet;

use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::StoreError;
use super::programs::version_column;
use super::types::{corrupt, digest, timestamp, to_column};
use crate::events::revision::{Actor, Why};
use crate::proofs::evidence::{Decision, Dispute};
use crate::rules::statement::SiteId;

/// Keeps a dispute under the event's next number. The caller holds the program's lock.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn raise(
    client: &mut impl GenericClient,
    event: &EventId,
    site: &SiteId,
    version: u32,
    (by, why): (&Actor, &Why),
    now: Timestamp,
) -> Result<u32, StoreError> {
    let number: i32 = client
        .query_one(
            "INSERT INTO statement_dispute (event, number, site, statement_version, actor, reason, raised_at)
             SELECT $1, coalesce((SELECT max(number) FROM statement_dispute WHERE event = $1), 0) + 1, $2, $3, $4, $5, $6
             RETURNING number",
            &[
                &event.as_str(),
                &site.as_str(),
                &version_column(version)?,
                &by.as_str(),
                &why.as_str(),
                &to_column(now),
            ],
        )?
        .get(0);
    u32::try_from(number).map_err(corrupt)
}

/// Keeps what came of a dispute.
///
/// # Errors
/// [`StoreError`] of the database; a second decision is one.
pub fn decide(
    client: &mut impl GenericClient,
    event: &EventId,
    number: u32,
    upheld: bool,
    (by, why): (&Actor, &Why),
    now: Timestamp,
) -> Result<(), StoreError> {
    client.execute(
        "INSERT INTO statement_decision (event, number, upheld, actor, reason, decided_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &event.as_str(),
            &version_column(number)?,
            &upheld,
            &by.as_str(),
            &why.as_str(),
            &to_column(now),
        ],
    )?;
    Ok(())
}

/// The disputes of an event as they stood at an instant, by number.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn disputes(
    client: &mut impl GenericClient,
    event: &EventId,
    at: Timestamp,
) -> Result<Vec<Dispute>, StoreError> {
    let rows = client.query(
        "SELECT d.number, d.site, d.statement_version, d.actor, d.reason, d.raised_at,
             c.upheld, c.actor, c.reason, c.decided_at
         FROM statement_dispute d
         LEFT JOIN statement_decision c ON c.event = d.event AND c.number = d.number AND c.decided_at <= $2
         WHERE d.event = $1 AND d.raised_at <= $2 ORDER BY d.number",
        &[&event.as_str(), &to_column(at)],
    )?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Dispute, StoreError> {
    let decision = match row.get::<_, Option<bool>>(6) {
        None => None,
        Some(upheld) => Some(Decision {
            upheld,
            by: row.get(7),
            why: row.get(8),
            at: timestamp(row.get(9))?,
        }),
    };
    Ok(Dispute {
        number: u32::try_from(row.get::<_, i32>(0)).map_err(corrupt)?,
        site: row.get::<_, String>(1).parse().map_err(corrupt)?,
        version: u32::try_from(row.get::<_, i32>(2)).map_err(corrupt)?,
        by: row.get(3),
        why: row.get(4),
        raised_at: timestamp(row.get(5))?,
        decision,
    })
}

/// A run that somebody approved of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// Its name.
    pub run: Digest,
    /// Up to when it took evidence in.
    pub settled_at: Timestamp,
}

/// The run of a statement of which somebody else than `by` approved last, where there is one.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn proposal_of_another(
    client: &mut impl GenericClient,
    event: &EventId,
    version: u32,
    by: &Actor,
) -> Result<Option<Proposal>, StoreError> {
    let row = client.query_opt(
        "SELECT run, settled_at FROM statement_approval
         WHERE event = $1 AND statement_version = $2 AND actor <> $3
         ORDER BY settled_at DESC, approved_at DESC, run LIMIT 1",
        &[&event.as_str(), &version_column(version)?, &by.as_str()],
    )?;
    let read = |row: Row| {
        Ok(Proposal {
            run: digest(row.get(0))?,
            settled_at: timestamp(row.get(1))?,
        })
    };
    row.map(read).transpose()
}

/// Keeps that somebody approves of a run, and gives everybody who does.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn approve(
    client: &mut impl GenericClient,
    event: &EventId,
    version: u32,
    proposal: Proposal,
    by: &Actor,
    now: Timestamp,
) -> Result<BTreeSet<String>, StoreError> {
    let version = version_column(version)?;
    let run = proposal.run.as_bytes().as_slice();
    client.execute(
        "INSERT INTO statement_approval (event, statement_version, run, settled_at, actor, approved_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        &[
            &event.as_str(),
            &version,
            &run,
            &to_column(proposal.settled_at),
            &by.as_str(),
            &to_column(now),
        ],
    )?;
    let rows = client.query(
        "SELECT actor FROM statement_approval WHERE event = $1 AND statement_version = $2 AND run = $3",
        &[&event.as_str(), &version, &run],
    )?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
