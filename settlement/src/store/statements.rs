//! What the homes are told of settlements, and that they hold it.

use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::StoreError;
use super::programs::version_column;
use super::types::{digest, identity, to_column};

/// One home's part of a statement, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStatement {
    /// For whom.
    pub gateway: Identity,
    /// What was settled.
    pub event: EventId,
    /// Which statement of it.
    pub version: u32,
    /// SHA-256 of the envelope.
    pub digest: Digest,
    /// The signed bytes.
    pub envelope: Vec<u8>,
}

/// A home's word that it holds its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHolding {
    /// The digest of the part's envelope.
    pub statement: Digest,
    /// When the home kept it, by its own clock.
    pub reached_at: Timestamp,
    /// When the engine heard of it.
    pub received_at: Timestamp,
    /// The signed bytes.
    pub envelope: Vec<u8>,
}

/// Keeps what is to be sent, in the database transaction of the settlement. What is kept already stays.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_statements(
    client: &mut impl GenericClient,
    statements: &[StoredStatement],
) -> Result<(), StoreError> {
    for statement in statements {
        client.execute(
            "INSERT INTO statement_sent (gateway, event, version, digest, envelope)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            &[
                &statement.gateway.as_bytes().as_slice(),
                &statement.event.as_str(),
                &version_column(statement.version)?,
                &statement.digest.as_bytes().as_slice(),
                &statement.envelope,
            ],
        )?;
    }
    Ok(())
}

/// How many settlements there are. It says at little cost whether there may be something new to send.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn settlements(client: &mut impl GenericClient) -> Result<i64, StoreError> {
    Ok(client
        .query_one("SELECT count(*) FROM ledger.settlement", &[])?
        .get(0))
}

/// What no home has said that it holds, of each home the `window` newest. Of an event only the last version.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn waiting(client: &mut impl GenericClient, window: i64) -> Result<Vec<(Digest, Identity)>, StoreError> {
    let rows = client.query(
        "SELECT digest, gateway FROM (
             SELECT digest, gateway, row_number() OVER (PARTITION BY gateway ORDER BY id DESC) AS place
             FROM statement_sent s
             WHERE NOT EXISTS (SELECT FROM statement_held h WHERE h.digest = s.digest)
                 AND NOT EXISTS (SELECT FROM statement_sent later
                     WHERE later.gateway = s.gateway AND later.event = s.event AND later.version > s.version)
         ) w WHERE place <= $1 ORDER BY place, gateway",
        &[&window],
    )?;
    rows.iter()
        .map(|row| Ok((digest(row.get(0))?, identity(row.get(1))?)))
        .collect()
}

/// The signed bytes of those of these that no home has said that it holds.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn envelopes(
    client: &mut impl GenericClient,
    digests: &[Digest],
) -> Result<Vec<(Digest, Vec<u8>)>, StoreError> {
    let digests: Vec<&[u8]> = digests.iter().map(|d| d.as_bytes().as_slice()).collect();
    let rows = client.query(
        "SELECT digest, envelope FROM statement_sent s WHERE digest = ANY ($1)
         AND NOT EXISTS (SELECT FROM statement_held h WHERE h.digest = s.digest)",
        &[&digests],
    )?;
    rows.iter()
        .map(|row| Ok((digest(row.get(0))?, row.get(1))))
        .collect()
}

/// Which of these were sent to these gateways.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn known_statements(
    client: &mut impl GenericClient,
    asked: &[(Identity, Digest)],
) -> Result<Vec<(Identity, Digest)>, StoreError> {
    let gateways: Vec<&[u8]> = asked.iter().map(|(g, _)| g.as_bytes().as_slice()).collect();
    let digests: Vec<&[u8]> = asked.iter().map(|(_, d)| d.as_bytes().as_slice()).collect();
    let rows = client.query(
        "SELECT DISTINCT s.gateway, s.digest FROM statement_sent s
         JOIN unnest($1::bytea[], $2::bytea[]) AS k (gateway, digest) USING (gateway, digest)",
        &[&gateways, &digests],
    )?;
    rows.iter()
        .map(|row| Ok((identity(row.get(0))?, digest(row.get(1))?)))
        .collect()
}

/// Keeps the homes' word. Of what is held already the first word stays.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_holdings(
    client: &mut impl GenericClient,
    holdings: &[StoredHolding],
) -> Result<(), StoreError> {
    for holding in holdings {
        client.execute(
            "INSERT INTO statement_held (digest, reached_at, received_at, envelope)
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            &[
                &holding.statement.as_bytes().as_slice(),
                &to_column(holding.reached_at),
                &to_column(holding.received_at),
                &holding.envelope,
            ],
        )?;
    }
    Ok(())
}
