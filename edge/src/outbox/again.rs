//! What the engine asks for again: delivered reports are kept for a while so that it can be answered.

use gridtally_protocol::resend::ResendRequest;
use gridtally_protocol::time::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{Outbox, OutboxError, sequence_column};

/// At most so many delivered reports wait to be sent again at a time; the engine asks again for the rest.
pub const AGAIN_MAX: usize = 256;

/// What a request brought about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Again {
    /// The places of the reports that are to be sent again, or wait for their first receipt anyway; ascending.
    pub ids: Vec<i64>,
    /// How many of the missed reports are here no more, or never were.
    pub gone: usize,
    /// How many are here, but were asked for beyond the bound.
    pub postponed: usize,
}

impl Outbox {
    /// When the last request that was answered was issued.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn last_asked(&self) -> Result<Option<Timestamp>, OutboxError> {
        self.connection
            .query_row("SELECT issued_at FROM asked", [], |row| row.get(0))
            .optional()?
            .map(super::instant)
            .transpose()
    }

    /// Makes the reports that the engine misses wait for a receipt again. The request is to be judged before.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing is changed then.
    pub fn ask_again(&mut self, request: &ResendRequest) -> Result<Again, OutboxError> {
        let transaction = self.connection.transaction()?;
        let mut room = {
            let waiting: i64 = transaction.query_row(
                "SELECT count(*) FROM message WHERE waiting = 1 AND delivered_at IS NOT NULL",
                [],
                |row| row.get(0),
            )?;
            AGAIN_MAX.saturating_sub(usize::try_from(waiting).unwrap_or(usize::MAX))
        };
        let mut again = Again::default();
        let mut added = 0_u64;
        {
            let mut find = transaction
                .prepare_cached("SELECT id, waiting FROM message WHERE kind = 'report' AND sequence = ?1")?;
            let mut mark = transaction.prepare_cached("UPDATE message SET waiting = 1 WHERE id = ?1")?;
            for sequence in request.sequences() {
                let found: Option<(i64, bool)> = find
                    .query_row([sequence_column(sequence)?], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                match found {
                    None => again.gone = again.gone.saturating_add(1),
                    Some((id, true)) => again.ids.push(id),
                    Some((_, false)) if room == 0 => again.postponed = again.postponed.saturating_add(1),
                    Some((id, false)) => {
                        mark.execute([id])?;
                        again.ids.push(id);
                        room = room.saturating_sub(1);
                        added = added.saturating_add(1);
                    }
                }
            }
        }
        transaction.execute(
            "INSERT OR REPLACE INTO asked (one, issued_at) VALUES (1, ?1)",
            params![request.issued_at.unix()],
        )?;
        transaction.commit()?;
        self.depth = self.depth.saturating_add(added);
        again.ids.sort_unstable();
        Ok(again)
    }
}
