//! What events were settled with, beside the evidence for it.

use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::TokenAmount;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::StoreError;
use super::programs::version_column;
use super::types::{corrupt, digest, timestamp, to_column};
use crate::ledger::TransactionKey;
use crate::proofs::evidence::Carry;
use crate::rules::program::ProgramId;

/// A settlement as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSettlement {
    /// Which event.
    pub event: EventId,
    /// Which version of its statement.
    pub version: u32,
    /// Of which program.
    pub program: ProgramId,
    /// Up to when evidence was taken in.
    pub settled_at: Timestamp,
    /// The key of the payment; none where nothing was paid.
    pub transaction: Option<TransactionKey>,
    /// SHA-256 of the statement.
    pub statement_hash: Digest,
    /// The statement, canonical JSON.
    pub statement: String,
    /// What rounding left over, in millionths of a base unit, from 0 to 999,999.
    pub carry_out: i64,
    /// What the program's pools have left, in base units.
    pub pool_carry: TokenAmount,
    /// The Merkle root of the bundle.
    pub bundle_root: Digest,
    /// The bundle, as the file that `gridtally verify` reads.
    pub bundle: String,
    /// The name of the run; not known of settlements of before runs had names.
    pub run: Option<Digest>,
}

/// The end of a program's chain of settlements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEnd {
    number: i64,
    /// What the next settlement carries on from.
    pub carry: Carry,
}

/// Keeps other settlements of the program out until the database transaction ends.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn lock_program(client: &mut impl GenericClient, program: &ProgramId) -> Result<(), StoreError> {
    let name = format!("settlement of {program}");
    client.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", &[&name])?;
    Ok(())
}

/// The last settlement of a program, where there is one.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn chain_end(
    client: &mut impl GenericClient,
    program: &ProgramId,
) -> Result<Option<ChainEnd>, StoreError> {
    let row = client.query_opt(
        "SELECT settlement_id, event_id, version, statement_hash, carry_out, pool_carry::text FROM ledger.settlement s
         WHERE program_id = $1
             AND NOT EXISTS (SELECT FROM ledger.settlement next WHERE next.carried_from = s.settlement_id)",
        &[&program.as_str()],
    )?;
    row.map(|row| {
        let carry = Carry {
            event: row.get::<_, String>(1).parse().map_err(corrupt)?,
            version: u32::try_from(row.get::<_, i32>(2)).map_err(corrupt)?,
            statement: digest(row.get(3))?,
            carry_out: i64::from(row.get::<_, i32>(4)),
            pool_carry: units(row.get(5))?,
        };
        Ok(ChainEnd {
            number: row.get(0),
            carry,
        })
    })
    .transpose()
}

/// The settlement of an event by one version of its statement, where there is one.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn find(
    client: &mut impl GenericClient,
    event: &EventId,
    version: u32,
) -> Result<Option<StoredSettlement>, StoreError> {
    let row = client.query_opt(
        "SELECT s.program_id, s.settled_at, t.key, s.statement_hash, s.statement, s.carry_out, s.bundle_root, s.bundle,
             s.run, s.pool_carry::text
         FROM ledger.settlement s LEFT JOIN ledger.transaction t USING (transaction_id)
         WHERE s.event_id = $1 AND s.version = $2",
        &[&event.as_str(), &version_column(version)?],
    )?;
    row.map(|row| {
        Ok(StoredSettlement {
            event: event.clone(),
            version,
            program: row.get::<_, String>(0).parse().map_err(corrupt)?,
            settled_at: timestamp(row.get(1))?,
            transaction: row
                .get::<_, Option<String>>(2)
                .map(|key| key.parse().map_err(corrupt))
                .transpose()?,
            statement_hash: digest(row.get(3))?,
            statement: row.get(4),
            carry_out: i64::from(row.get::<_, i32>(5)),
            bundle_root: digest(row.get(6))?,
            bundle: row.get(7),
            run: row.get::<_, Option<&[u8]>>(8).map(digest).transpose()?,
            pool_carry: units(row.get(9))?,
        })
    })
    .transpose()
}

/// The highest version of an event's statement, where it was settled.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn last(
    client: &mut impl GenericClient,
    event: &EventId,
) -> Result<Option<StoredSettlement>, StoreError> {
    let version: Option<i32> = client
        .query_one(
            "SELECT max(version) FROM ledger.settlement WHERE event_id = $1",
            &[&event.as_str()],
        )?
        .get(0);
    match version {
        None => Ok(None),
        Some(version) => find(client, event, u32::try_from(version).map_err(corrupt)?),
    }
}

fn units(text: &str) -> Result<TokenAmount, StoreError> {
    TokenAmount::new(text.parse().map_err(corrupt)?).map_err(corrupt)
}

/// Keeps a settlement, in the database transaction in which its payment is posted.
///
/// # Errors
/// [`StoreError`] of the database; that it was carried on from `after` by another settlement is one.
pub fn insert(
    client: &mut impl GenericClient,
    settlement: &StoredSettlement,
    after: Option<&ChainEnd>,
) -> Result<(), StoreError> {
    let carry_out = i32::try_from(settlement.carry_out).map_err(corrupt)?;
    client.execute(
        "INSERT INTO ledger.settlement (event_id, version, program_id, carried_from, carry_out, settled_at,
             transaction_id, statement_hash, statement, bundle_root, bundle, run, pool_carry)
         VALUES ($1, $2, $3, $4, $5, $6, (SELECT transaction_id FROM ledger.transaction WHERE key = $7),
             $8, $9, $10, $11, $12, $13::text::numeric)",
        &[
            &settlement.event.as_str(),
            &version_column(settlement.version)?,
            &settlement.program.as_str(),
            &after.map(|end| end.number),
            &carry_out,
            &to_column(settlement.settled_at),
            &settlement.transaction.as_ref().map(ToString::to_string),
            &settlement.statement_hash.as_bytes().as_slice(),
            &settlement.statement,
            &settlement.bundle_root.as_bytes().as_slice(),
            &settlement.bundle,
            &settlement.run.map(|run| run.as_bytes().to_vec()),
            &settlement.pool_carry.base_units().to_string(),
        ],
    )?;
    Ok(())
}
