//! Signed messages on their way: sent until the engine has signed for them.

use gridtally_protocol::identity::Digest;
use gridtally_protocol::receipt::Verdict;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::TopicKind;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Outbox, OutboxError};

/// How far the numbers leap when the engine holds another report of a number of ours: then this memory is
/// older than what was sent (a restored disk), and none of the numbers up to the engine's last may be used
/// again. No gateway makes so many reports within what a backup may be old.
const LEAP: i64 = 1 << 20;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A report.
    Report,
    /// An acknowledgement of an instruction.
    Acknowledgement,
}

impl Kind {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Acknowledgement => "ack",
        }
    }

    pub(super) fn from_name(name: &str) -> Result<Self, OutboxError> {
        match name {
            "report" => Ok(Self::Report),
            "ack" => Ok(Self::Acknowledgement),
            _ => Err(OutboxError::corrupt("kind of message", name)),
        }
    }

    /// Where it is published.
    #[must_use]
    pub const fn topic(self) -> TopicKind {
        match self {
            Self::Report => TopicKind::Report,
            Self::Acknowledgement => TopicKind::Acknowledgement,
        }
    }
}

/// A message that waits for its receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its place in the order.
    pub id: i64,
    /// What it is.
    pub kind: Kind,
    /// The signed bytes.
    pub envelope: Vec<u8>,
}

/// What a receipt brought about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipted {
    /// The places of the messages that need not be sent again.
    pub ids: Vec<i64>,
    /// How many of them the engine refused.
    pub refused: usize,
}

/// Adds a message; the same bytes again change nothing. Returns how many were added: one or none.
pub(super) fn enqueue(
    transaction: &Transaction<'_>,
    kind: Kind,
    envelope: &[u8],
    sequence: Option<i64>,
    now: Timestamp,
) -> Result<u64, OutboxError> {
    let added = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO message (kind, digest, envelope, sealed_at, sequence) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            kind.name(),
            Digest::of(envelope).as_bytes(),
            envelope,
            now.unix(),
            sequence
        ])?;
    Ok(u64::try_from(added).unwrap_or(0))
}

impl Outbox {
    /// The messages after the place `after` that wait for a receipt, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn outgoing_after(&self, after: i64, limit: usize) -> Result<Vec<Outgoing>, OutboxError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, kind, envelope FROM message \
             WHERE id > ?1 AND waiting = 1 ORDER BY id LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map([after, limit], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
        rows.map(|row| {
            let (id, kind, envelope) = row?;
            Ok(Outgoing {
                id,
                kind: Kind::from_name(&kind)?,
                envelope,
            })
        })
        .collect()
    }

    /// Takes the entries of a receipt: what the engine holds waits no more (a report stays for a while,
    /// should the engine ask for it again), what it refuses for good is set aside with the reason. Digests
    /// of nothing that waits are passed over.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing is changed then.
    pub fn receipt(
        &mut self,
        entries: &[(Digest, Verdict)],
        now: Timestamp,
    ) -> Result<Receipted, OutboxError> {
        let mut receipted = Receipted::default();
        let transaction = self.connection.transaction()?;
        for (digest, verdict) in entries {
            let id = match verdict {
                Ok(()) => held(&transaction, *digest, now)?,
                Err(refusal) => {
                    let id = refused(&transaction, *digest, *refusal, now)?;
                    receipted.refused = receipted.refused.saturating_add(usize::from(id.is_some()));
                    id
                }
            };
            receipted.ids.extend(id);
        }
        transaction.commit()?;
        let removed = u64::try_from(receipted.ids.len()).unwrap_or(u64::MAX);
        self.depth = self.depth.saturating_sub(removed);
        Ok(receipted)
    }

    /// The reasons of what the engine refused, oldest first.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn refused(&self) -> Result<Vec<(Digest, String)>, OutboxError> {
        let mut statement = self
            .connection
            .prepare("SELECT digest, reason FROM refused ORDER BY id")?;
        let rows = statement.query_map([], |row| Ok((Digest::from_bytes(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// The engine holds a message; its place, if it waited.
fn held(transaction: &Transaction<'_>, digest: Digest, now: Timestamp) -> Result<Option<i64>, OutboxError> {
    let kept = transaction
        .prepare_cached(
            "UPDATE message SET waiting = 0, delivered_at = coalesce(delivered_at, ?2) \
             WHERE digest = ?1 AND waiting = 1 AND kind = 'report' RETURNING id",
        )?
        .query_row(params![digest.as_bytes(), now.unix()], |row| row.get(0))
        .optional()?;
    if kept.is_some() {
        return Ok(kept);
    }
    Ok(transaction
        .prepare_cached("DELETE FROM message WHERE digest = ?1 AND waiting = 1 RETURNING id")?
        .query_row([digest.as_bytes()], |row| row.get(0))
        .optional()?)
}

/// The engine refuses a message for good; its place, if it waited.
fn refused(
    transaction: &Transaction<'_>,
    digest: Digest,
    refusal: Refusal,
    now: Timestamp,
) -> Result<Option<i64>, OutboxError> {
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO refused (kind, digest, envelope, reason, refused_at) \
             SELECT kind, digest, envelope, ?2, ?3 FROM message WHERE digest = ?1 AND waiting = 1",
        )?
        .execute(params![digest.as_bytes(), refusal.name(), now.unix()])?;
    let gone: Option<(i64, String)> = transaction
        .prepare_cached("DELETE FROM message WHERE digest = ?1 AND waiting = 1 RETURNING id, kind")?
        .query_row([digest.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let is_report = gone.as_ref().is_some_and(|(_, kind)| kind == Kind::Report.name());
    if is_report && refusal == Refusal::Equivocation {
        transaction.execute("UPDATE chain SET sequence = sequence + ?1", [LEAP])?;
        tracing::error!(
            "the engine holds another report of a number of ours: this state is older than what was sent \
             (a restored disk, or two gateways with one key); the numbers go on {LEAP} higher"
        );
    }
    Ok(gone.map(|(id, _)| id))
}
