//! What the engine's statements say of this home: kept durably, and then acknowledged.

use gridtally_protocol::acknowledgement::Stage;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::message::{Message as _, Signed};
use gridtally_protocol::statement::SiteStatement;
use gridtally_protocol::time::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::dispatch::acknowledge;
use super::{Outbox, OutboxError, instant};

/// So many events are kept, those that began last: a year with one on each day.
pub const STATEMENTS_MAX: u16 = 400;

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is kept, in the place of an earlier version where there was one.
    New,
    /// This very one was kept before.
    Before,
    /// A later version is kept.
    Superseded,
    /// Another one of the same version is kept, which stays. It is not acknowledged.
    Contradicts,
}

impl Outbox {
    /// Takes a statement of which signer and addressee are as they must be. It is on the disk, with the
    /// acknowledgement that says so, when this returns.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing is changed then.
    pub fn hold_statement(
        &mut self,
        signed: &Signed<SiteStatement>,
        envelope: &[u8],
        now: Timestamp,
    ) -> Result<Kept, OutboxError> {
        let statement = &signed.message;
        let (kept, added) = self.durably(|transaction, key| {
            let held = held(transaction, statement.event.as_str())?;
            let (kept, at) = match held {
                Some((_, digest, at)) if digest == signed.digest => (Kept::Before, at),
                Some((version, _, at)) if version > statement.version => (Kept::Superseded, at),
                Some((version, ..)) if version == statement.version => return Ok((Kept::Contradicts, 0)),
                _ => {
                    insert(transaction, signed, envelope, now)?;
                    (Kept::New, now)
                }
            };
            // With the time at which it was kept: so the acknowledgement of the same is the same.
            let added = acknowledge(transaction, key, signed.digest, Stage::Received, at)?;
            Ok((kept, added))
        })?;
        self.depth = self.depth.saturating_add(added);
        if kept == Kept::New {
            self.statements_revision = self.statements_revision.saturating_add(1);
        }
        Ok(kept)
    }

    /// The statements that are kept, the latest event first.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn statements(&self) -> Result<Vec<SiteStatement>, OutboxError> {
        let mut rows = self
            .connection
            .prepare_cached("SELECT envelope FROM statement ORDER BY starts_at DESC, event DESC")?;
        let rows = rows.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
        rows.map(|envelope| {
            let signed = SiteStatement::open(&envelope?).map_err(|e| OutboxError::corrupt("statement", e))?;
            Ok(signed.message)
        })
        .collect()
    }

    /// A number that grows with every change of what is kept.
    #[must_use]
    pub const fn statements_revision(&self) -> u64 {
        self.statements_revision
    }
}

/// The version, the digest and the time of what is kept of an event.
fn held(transaction: &Transaction<'_>, event: &str) -> Result<Option<(u32, Digest, Timestamp)>, OutboxError> {
    let row = transaction
        .prepare_cached("SELECT version, digest, held_at FROM statement WHERE event = ?1")?
        .query_row([event], |row| {
            Ok((row.get(0)?, row.get::<_, [u8; 32]>(1)?, row.get(2)?))
        })
        .optional()?;
    row.map(|(version, digest, at)| Ok((version, Digest::from_bytes(digest), instant(at)?)))
        .transpose()
}

fn insert(
    transaction: &Transaction<'_>,
    signed: &Signed<SiteStatement>,
    envelope: &[u8],
    now: Timestamp,
) -> Result<(), OutboxError> {
    let statement = &signed.message;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO statement (event, version, starts_at, digest, envelope, held_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            statement.event.as_str(),
            statement.version,
            statement.start.unix(),
            signed.digest.as_bytes(),
            envelope,
            now.unix()
        ])?;
    transaction
        .prepare_cached(
            "DELETE FROM statement WHERE event IN \
             (SELECT event FROM statement ORDER BY starts_at DESC, event DESC LIMIT -1 OFFSET ?1)",
        )?
        .execute([STATEMENTS_MAX])?;
    Ok(())
}
