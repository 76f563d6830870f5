//! The bound: how long and how much is kept, what goes first, and the record of what went undelivered.
//!
//! 1. What the engine has signed for goes first: after a week, or earlier where the space is needed.
//! 2. Then what it refused, which is kept as evidence only.
//! 3. Then what statements say of the earliest events: it is for the owner to read, and the engine has it.
//! 4. Then reports that were never delivered, the oldest first. This is a loss, and it is recorded.
//! 5. Acknowledgements only when there is no report left.
//!
//! Age alone makes a loss of an undelivered message after `days`, and only by a clock that is synchronised:
//! a clock that leaps must not empty the outbox.

use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::Timestamp;
use rusqlite::{Connection, Transaction, params};

use super::delivery::Kind;
use super::{Outbox, OutboxError, instant};

const DAY: i64 = 86_400;
/// How many days a report is kept after its receipt, so that the engine can ask for it again.
pub const DELIVERED_DAYS: u16 = 7;
/// So many messages are dropped at once while the size is over its bound.
const BATCH: i64 = 32;

/// How long and how much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Days that an undelivered message is kept.
    pub days: u16,
    /// Bytes that the file may fill.
    pub bytes: u64,
}

impl Keep {
    /// From the config's days and MiB.
    #[must_use]
    pub fn new(days: u16, mib: u16) -> Self {
        Self {
            days,
            bytes: u64::from(mib).saturating_mul(1 << 20),
        }
    }
}

/// Why an undelivered message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// It waited for longer than the days of [`Keep`].
    Age,
    /// The bytes of [`Keep`] were needed for later ones.
    Size,
}

impl DropReason {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
        }
    }
}

/// What was dropped undelivered, ever, for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Of which kind.
    pub kind: Kind,
    /// Why.
    pub reason: DropReason,
    /// How many messages.
    pub count: u64,
    /// The lowest and the highest number of a report among them.
    pub sequences: Option<(u64, u64)>,
    /// When the first and the last of them were dropped.
    pub at: (Timestamp, Timestamp),
}

/// How full the outbox is, and what it had to drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How many messages wait for a receipt.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// When the oldest of them was signed.
    pub oldest: Option<Timestamp>,
    /// How many delivered reports are still kept.
    pub delivered: u64,
    /// Bytes of the file that are in use.
    pub file_bytes: u64,
    /// Intervals that are only in memory because the disk does not take them.
    pub unkept_intervals: usize,
    /// Why the disk does not take them, since when it does not.
    pub trouble: Option<String>,
    /// What was dropped undelivered since the outbox was made.
    pub dropped: Vec<Dropped>,
}

impl Outbox {
    /// Drops what is over the bound. Returns how many messages went undelivered.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing is dropped then. A disk that takes nothing is no error: it is tried again.
    pub fn tidy(&mut self, keep: Keep, now: Timestamp, clock: ClockState) -> Result<u64, OutboxError> {
        let before = |days: u16| now.unix().saturating_sub(DAY.saturating_mul(i64::from(days)));
        let statements = count_statements(&self.connection)?;
        let mut change = || -> Result<u64, OutboxError> {
            let transaction = self.connection.transaction()?;
            transaction
                .prepare_cached("DELETE FROM message WHERE waiting = 0 AND delivered_at < ?1")?
                .execute([before(DELIVERED_DAYS)])?;
            let mut lost = 0;
            if clock == ClockState::Synchronised {
                for kind in [Kind::Report, Kind::Acknowledgement] {
                    let old = "kind = ?1 AND waiting = 1 AND sealed_at < ?2";
                    lost +=
                        drop_undelivered(&transaction, kind, DropReason::Age, old, before(keep.days), now)?;
                }
                forget_old(&transaction, before(keep.days))?;
            }
            lost += make_room(&transaction, keep.bytes, now)?;
            transaction.commit()?;
            Ok(lost)
        };
        let lost = match change() {
            Err(error) if error.is_storage() => {
                self.complain(&error);
                0
            }
            result => result?,
        };
        self.depth = count_waiting(&self.connection)?;
        if count_statements(&self.connection)? != statements {
            self.statements_revision = self.statements_revision.saturating_add(1);
        }
        Ok(lost)
    }

    /// How full the outbox is, and what it had to drop.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn status(&self) -> Result<Status, OutboxError> {
        let (waiting, waiting_bytes, oldest, delivered): (i64, i64, Option<i64>, i64) =
            self.connection.query_row(
                "SELECT count(*) FILTER (WHERE waiting = 1), \
                 coalesce(sum(length(envelope)) FILTER (WHERE waiting = 1), 0), \
                 min(sealed_at) FILTER (WHERE waiting = 1), count(*) FILTER (WHERE waiting = 0) FROM message",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )?;
        Ok(Status {
            waiting: natural(waiting),
            waiting_bytes: natural(waiting_bytes),
            oldest: oldest.map(instant).transpose()?,
            delivered: natural(delivered),
            file_bytes: used_bytes(&self.connection)?,
            unkept_intervals: self.unkept.len(),
            trouble: self.trouble.clone(),
            dropped: dropped(&self.connection)?,
        })
    }
}

fn forget_old(transaction: &Transaction<'_>, before: i64) -> Result<(), OutboxError> {
    transaction
        .prepare_cached("DELETE FROM refused WHERE refused_at < ?1")?
        .execute([before])?;
    transaction
        .prepare_cached(
            "DELETE FROM instruction WHERE ends_at < ?1 AND progress = 'done' \
             AND sequence < (SELECT max(sequence) FROM instruction)",
        )?
        .execute([before])?;
    Ok(())
}

/// Drops in the order of the policy until the file is within its bound, or nothing is left to drop.
fn make_room(transaction: &Transaction<'_>, bytes: u64, now: Timestamp) -> Result<u64, OutboxError> {
    let mut lost = 0;
    while used_bytes(transaction)? > bytes {
        let harmless = [
            "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE waiting = 0 ORDER BY id LIMIT ?1)",
            "DELETE FROM refused WHERE id IN (SELECT id FROM refused ORDER BY id LIMIT ?1)",
            "DELETE FROM statement WHERE event IN \
             (SELECT event FROM statement ORDER BY starts_at, event LIMIT ?1)",
        ];
        let mut removed = 0;
        for delete in harmless {
            if removed == 0 {
                removed = transaction.prepare_cached(delete)?.execute([BATCH])?;
            }
        }
        for kind in [Kind::Report, Kind::Acknowledgement] {
            if removed == 0 {
                let oldest =
                    "id IN (SELECT id FROM message WHERE kind = ?1 AND waiting = 1 ORDER BY id LIMIT ?2)";
                let count = drop_undelivered(transaction, kind, DropReason::Size, oldest, BATCH, now)?;
                lost += count;
                removed = usize::try_from(count).unwrap_or(usize::MAX);
            }
        }
        if removed == 0 {
            break;
        }
    }
    Ok(lost)
}

/// Drops the messages of a kind that `which` selects, and records those that were never delivered.
fn drop_undelivered(
    transaction: &Transaction<'_>,
    kind: Kind,
    reason: DropReason,
    which: &str,
    argument: i64,
    now: Timestamp,
) -> Result<u64, OutboxError> {
    let (count, first, last): (i64, Option<i64>, Option<i64>) = transaction
        .prepare_cached(&format!(
            "SELECT count(*), min(sequence), max(sequence) FROM message WHERE {which}"
        ))?
        .query_row(params![kind.name(), argument], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    if count == 0 {
        return Ok(0);
    }
    transaction.execute(
        "INSERT INTO dropped (kind, reason, count, first_sequence, last_sequence, first_at, last_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (kind, reason) DO UPDATE SET \
         count = count + excluded.count, \
         first_sequence = min(coalesce(first_sequence, excluded.first_sequence), excluded.first_sequence), \
         last_sequence = max(coalesce(last_sequence, excluded.last_sequence), excluded.last_sequence), \
         last_at = excluded.last_at",
        params![kind.name(), reason.name(), count, first, last, now.unix()],
    )?;
    transaction
        .prepare_cached(&format!("DELETE FROM message WHERE {which}"))?
        .execute(params![kind.name(), argument])?;
    tracing::error!(
        count,
        kind = kind.name(),
        reason = reason.name(),
        ?first,
        ?last,
        "messages that were never delivered are dropped"
    );
    Ok(natural(count))
}

fn dropped(connection: &Connection) -> Result<Vec<Dropped>, OutboxError> {
    let mut statement = connection.prepare(
        "SELECT kind, reason, count, first_sequence, last_sequence, first_at, last_at FROM dropped \
         ORDER BY kind DESC, reason",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)?,
            (row.get::<_, Option<i64>>(3)?, row.get::<_, Option<i64>>(4)?),
            (row.get::<_, i64>(5)?, row.get::<_, i64>(6)?),
        ))
    })?;
    rows.map(|row| {
        let (kind, reason, count, sequences, at) = row?;
        let reason = [DropReason::Age, DropReason::Size]
            .into_iter()
            .find(|r| r.name() == reason)
            .ok_or_else(|| OutboxError::corrupt("reason of a loss", reason))?;
        Ok(Dropped {
            kind: Kind::from_name(&kind)?,
            reason,
            count: natural(count),
            sequences: match sequences {
                (Some(first), Some(last)) => Some((natural(first), natural(last))),
                _ => None,
            },
            at: (instant(at.0)?, instant(at.1)?),
        })
    })
    .collect()
}

/// The bytes of all pages that hold something.
fn used_bytes(connection: &Connection) -> Result<u64, OutboxError> {
    let pragma = |name| connection.query_row(name, [], |row| row.get::<_, i64>(0));
    let pages = pragma("PRAGMA page_count")?.saturating_sub(pragma("PRAGMA freelist_count")?);
    Ok(natural(pages.saturating_mul(pragma("PRAGMA page_size")?)))
}

pub(super) fn count_waiting(connection: &Connection) -> Result<u64, OutboxError> {
    let count = connection
        .prepare_cached("SELECT count(*) FROM message WHERE waiting = 1")?
        .query_row([], |row| row.get::<_, i64>(0))?;
    Ok(natural(count))
}

fn count_statements(connection: &Connection) -> Result<i64, OutboxError> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM statement")?
        .query_row([], |row| row.get(0))?)
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
