//! Signed messages on their way: sent until the engine has signed for them.

use gridtally_protocol::identity::Digest;
use gridtally_protocol::receipt::Verdict;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::TopicKind;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Outbox, OutboxError};

const DAY: i64 = 86_400;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A report.
    Report,
    /// An acknowledgement of an instruction.
    Acknowledgement,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Acknowledgement => "ack",
        }
    }

    fn from_name(name: &str) -> Result<Self, OutboxError> {
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
    now: Timestamp,
) -> Result<u64, OutboxError> {
    let added = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO message (kind, digest, envelope, sealed_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            kind.name(),
            Digest::of(envelope).as_bytes(),
            envelope,
            now.unix()
        ])?;
    Ok(u64::try_from(added).unwrap_or(0))
}

impl Outbox {
    /// The messages after the place `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn outgoing_after(&self, after: i64, limit: usize) -> Result<Vec<Outgoing>, OutboxError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, kind, envelope FROM message WHERE id > ?1 ORDER BY id LIMIT ?2")?;
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

    /// Takes the entries of a receipt: what the engine holds is removed, what it refuses for good is set
    /// aside with the reason. Digests of nothing that waits are passed over.
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
            if let Err(refusal) = verdict {
                receipted.refused += transaction
                    .prepare_cached(
                        "INSERT OR IGNORE INTO refused (kind, digest, envelope, reason, refused_at) \
                         SELECT kind, digest, envelope, ?2, ?3 FROM message WHERE digest = ?1",
                    )?
                    .execute(params![digest.as_bytes(), refusal.name(), now.unix()])?;
            }
            let id: Option<i64> = transaction
                .prepare_cached("DELETE FROM message WHERE digest = ?1 RETURNING id")?
                .query_row([digest.as_bytes()], |row| row.get(0))
                .optional()?;
            receipted.ids.extend(id);
        }
        transaction.commit()?;
        let removed = u64::try_from(receipted.ids.len()).unwrap_or(u64::MAX);
        self.depth = self.depth.saturating_sub(removed);
        Ok(receipted)
    }

    /// Drops what is older than `keep_days`; returns the places of the messages that were never delivered.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn expire(&mut self, keep_days: u16, now: Timestamp) -> Result<Vec<i64>, OutboxError> {
        let before = now
            .unix()
            .saturating_sub(DAY.saturating_mul(i64::from(keep_days)));
        let transaction = self.connection.transaction()?;
        let expired: Vec<i64> = transaction
            .prepare_cached("DELETE FROM message WHERE sealed_at < ?1 RETURNING id")?
            .query_map([before], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        transaction
            .prepare_cached("DELETE FROM refused WHERE refused_at < ?1")?
            .execute([before])?;
        transaction
            .prepare_cached(
                "DELETE FROM instruction WHERE ends_at < ?1 AND progress = 'done' \
                 AND sequence < (SELECT max(sequence) FROM instruction)",
            )?
            .execute([before])?;
        transaction.commit()?;
        let removed = u64::try_from(expired.len()).unwrap_or(u64::MAX);
        self.depth = self.depth.saturating_sub(removed);
        Ok(expired)
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
