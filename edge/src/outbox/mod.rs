//! The agent's durable memory, in one SQLite file: counters, intervals that wait for their report, signed
//! messages that wait for their receipt, and what was done to the battery.
//!
//! Everything that belongs together changes in one transaction. What an interval brings is written without
//! forcing the disk (a crash of the agent loses nothing, a power cut the last interval at most); what is
//! signed is forced to the disk *before* it leaves, so that no sequence number is ever used for two reports.
//!
//! **The bound** is one of days and of bytes: see [`Keep`]. What goes undelivered is recorded for good.
//!
//! **A disk that takes nothing** (full, failing, turned read-only) does not end the agent: intervals wait in
//! memory within a bound, nothing is signed, no instruction is taken, and all is made up for when the disk
//! is back. [`Outbox::status`] says so meanwhile.
//!
//! The file is held exclusively: a second agent with the same state is refused.

mod again;
mod commissions;
mod delivery;
mod dispatch;
mod keep;
mod owner;
mod report;
mod schema;
mod statements;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::message::MessageError;
use gridtally_protocol::time::{Interval, IntervalLength, TimeError, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

pub use self::again::{AGAIN_MAX, Again};
pub use self::delivery::{Kind, Outgoing, Receipted};
pub use self::dispatch::{Dispatch, EventRecord, Progress};
pub use self::keep::{DELIVERED_DAYS, DropReason, Dropped, Keep, Status};
pub use self::statements::{Kept, STATEMENTS_MAX};
use crate::meter::{Meters, Sample};

pub(crate) use self::schema::VERSION;
pub(crate) const FILE: &str = "outbox.sqlite";
/// How long to wait for an agent that is just ending.
const LOCK_WAIT: Duration = Duration::from_secs(3);
/// Bytes of a page of a new file. At 1000 pages the journal is folded back into the file, so it stays at 1 MiB.
const PAGE_LEN: i64 = 1_024;
/// At most so many intervals wait in memory while the disk takes nothing: two days of five minutes.
const UNKEPT_MAX: usize = 576;

/// Why the memory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The directory cannot be made.
    #[error("the state directory {} cannot be made: {source}", directory.display())]
    Directory {
        /// Which one.
        directory: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another agent has it.
    #[error("{} is held by another agent; run one agent for each state directory", file.display())]
    Held {
        /// The file.
        file: PathBuf,
    },
    /// SQLite failed.
    #[error("the outbox failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// It was made by a later version.
    #[error(
        "the outbox has version {found}, this agent knows version {}; install the later agent",
        schema::VERSION
    )]
    Version {
        /// The version in the file.
        found: i64,
    },
    /// It belongs to another key.
    #[error(
        "the state belongs to gateway {found}, the key to {expected}; a new key needs a new state directory"
    )]
    Foreign {
        /// Whose the state is.
        found: String,
        /// Whose the key is.
        expected: String,
    },
    /// Something in it cannot be read back.
    #[error("the outbox holds a {what} that cannot be read: {reason}")]
    Corrupt {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A message cannot be signed.
    #[error("a message cannot be made: {0}")]
    Message(#[from] MessageError),
}

impl OutboxError {
    /// Whether the disk takes nothing at the moment: it is full, it fails, or it was turned read-only.
    #[must_use]
    pub fn is_storage(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, DiskFull, ReadOnly, SystemIoFailure};
        let Self::Sqlite(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(DiskFull | SystemIoFailure | ReadOnly | CannotOpen)
        )
    }

    fn corrupt(what: &'static str, reason: impl ToString) -> Self {
        Self::Corrupt {
            what,
            reason: reason.to_string(),
        }
    }
}

/// An interval that waits for its report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// When.
    pub interval: Interval,
    /// One for each channel, in order.
    pub samples: Vec<Sample>,
}

/// The durable memory, with the key that signs what leaves it.
#[derive(Debug)]
pub struct Outbox {
    connection: Connection,
    key: SigningIdentity,
    sync: bool,
    /// How many messages wait for a receipt.
    depth: u64,
    /// The newest beacon that was verified: when it was issued, and its digest.
    beacon: Option<(Timestamp, Digest)>,
    /// Grows with every change of what statements say.
    statements_revision: u64,
    /// Intervals that the disk did not take, oldest first.
    unkept: Vec<Pending>,
    /// Why it did not.
    trouble: Option<String>,
}

impl Outbox {
    /// Opens (or makes) the memory in `directory` for the gateway of `key`.
    ///
    /// With `sync` signed messages are forced to the disk.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn open(directory: &Path, key: SigningIdentity, sync: bool) -> Result<Self, OutboxError> {
        std::fs::create_dir_all(directory).map_err(|source| OutboxError::Directory {
            directory: directory.to_owned(),
            source,
        })?;
        let file = directory.join(FILE);
        let held = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                OutboxError::Held { file: file.clone() }
            }
            _ => error.into(),
        };
        let mut connection = Connection::open(&file)?;
        connection.busy_timeout(LOCK_WAIT)?;
        connection
            .pragma_update(None, "locking_mode", "EXCLUSIVE")
            .map_err(held)?;
        // Before the first table: each step changes a few rows, and a small page makes the writing small.
        connection.pragma_update(None, "page_size", PAGE_LEN)?;
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(held)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::prepare(&mut connection, key.identity()).map_err(|error| match error {
            OutboxError::Sqlite(error) => held(error),
            other => other,
        })?;
        let depth = keep::count_waiting(&connection)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(Self {
            connection,
            key,
            sync,
            depth,
            beacon: None,
            statements_revision: 1,
            unkept: Vec::new(),
            trouble: None,
        })
    }

    /// Whose it is.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.key.identity()
    }

    /// How many messages wait for a receipt.
    #[must_use]
    pub const fn depth(&self) -> u64 {
        self.depth
    }

    /// The counters, and the boundary at which they were read; `None` at the very first start.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn meters(&self) -> Result<Option<(Timestamp, Meters)>, OutboxError> {
        let row = self
            .connection
            .query_row("SELECT boundary, state FROM meters", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        row.map(|(boundary, state)| {
            let boundary = instant(boundary)?;
            let meters = serde_json::from_str(&state).unwrap_or_else(|error| {
                tracing::error!(%error, "the state of the counters cannot be read; they start anew");
                Meters::default()
            });
            Ok((boundary, meters))
        })
        .transpose()
    }

    /// Keeps the counters of a boundary with the intervals that ended there, in one transaction.
    ///
    /// A disk that takes nothing is no error: the intervals wait in memory and are kept with the next ones.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing is kept then.
    pub fn keep_intervals(
        &mut self,
        boundary: Timestamp,
        meters: &Meters,
        ended: &[Pending],
    ) -> Result<(), OutboxError> {
        let state = json("counter state", meters)?;
        match self.write_intervals(boundary, &state, ended) {
            Ok(()) => {
                self.unkept.clear();
                if self.trouble.take().is_some() {
                    tracing::warn!(
                        "the disk takes what is measured again; nothing that was in memory is lost"
                    );
                }
                Ok(())
            }
            Err(error) if error.is_storage() => {
                self.complain(&error);
                self.unkept.extend_from_slice(ended);
                let over = self.unkept.len().saturating_sub(UNKEPT_MAX);
                self.unkept.drain(..over);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn write_intervals(
        &mut self,
        boundary: Timestamp,
        state: &str,
        ended: &[Pending],
    ) -> Result<(), OutboxError> {
        let transaction = self.connection.transaction()?;
        // A transaction of which the disk said that it failed may have been kept after all.
        for pending in &self.unkept {
            insert_interval(&transaction, "INSERT OR IGNORE", pending)?;
        }
        for pending in ended {
            insert_interval(&transaction, "INSERT", pending)?;
        }
        transaction
            .prepare_cached("INSERT OR REPLACE INTO meters (one, boundary, state) VALUES (1, ?1, ?2)")?
            .execute(params![boundary.unix(), state])?;
        transaction.commit()?;
        Ok(())
    }

    /// Says once that the disk takes nothing, and remembers why.
    pub(crate) fn complain(&mut self, error: &OutboxError) {
        let reason = error.to_string();
        if self.trouble.as_ref() != Some(&reason) {
            tracing::error!(
                %reason,
                "the disk takes nothing: measuring goes on in memory, nothing is signed; make room or replace it"
            );
            self.trouble = Some(reason);
        }
    }

    /// The intervals that wait for their report, oldest first.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn pending(&self) -> Result<Vec<Pending>, OutboxError> {
        pending(&self.connection)
    }

    /// The number of the last report, and its digest.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn chain(&self) -> Result<(u64, Digest), OutboxError> {
        chain(&self.connection)
    }

    /// Runs `change` in a transaction that is on the disk when this returns.
    fn durably<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>, &SigningIdentity) -> Result<T, OutboxError>,
    ) -> Result<T, OutboxError> {
        if self.sync {
            self.connection.pragma_update(None, "synchronous", "FULL")?;
        }
        let result = (|| {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = change(&transaction, &self.key)?;
            transaction.commit()?;
            Ok(value)
        })();
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        result
    }
}

fn insert_interval(
    transaction: &Transaction<'_>,
    insert: &str,
    pending: &Pending,
) -> Result<(), OutboxError> {
    let samples = json("samples", &pending.samples)?;
    transaction
        .prepare_cached(&format!(
            "{insert} INTO interval (start, length, samples) VALUES (?1, ?2, ?3)"
        ))?
        .execute(params![
            pending.interval.start().unix(),
            pending.interval.length().seconds(),
            samples
        ])?;
    Ok(())
}

/// A report's number as a column holds it.
fn sequence_column(sequence: u64) -> Result<i64, OutboxError> {
    i64::try_from(sequence).map_err(|e| OutboxError::corrupt("sequence number", e))
}

fn pending(connection: &Connection) -> Result<Vec<Pending>, OutboxError> {
    let mut statement =
        connection.prepare_cached("SELECT start, length, samples FROM interval ORDER BY start")?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, u32>(1)?,
            row.get::<_, String>(2)?,
        ))
    })?;
    rows.map(|row| {
        let (start, length, samples) = row?;
        let unreadable = |e: TimeError| OutboxError::corrupt("interval", e);
        let length = IntervalLength::from_seconds(length).map_err(unreadable)?;
        Ok(Pending {
            interval: Interval::new(instant(start)?, length).map_err(unreadable)?,
            samples: serde_json::from_str(&samples).map_err(|e| OutboxError::corrupt("sample", e))?,
        })
    })
    .collect()
}

fn chain(connection: &Connection) -> Result<(u64, Digest), OutboxError> {
    let (sequence, digest) = connection
        .prepare_cached("SELECT sequence, digest FROM chain")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?)))?;
    let sequence = u64::try_from(sequence).map_err(|e| OutboxError::corrupt("sequence number", e))?;
    Ok((sequence, Digest::from_bytes(digest)))
}

fn instant(seconds: i64) -> Result<Timestamp, OutboxError> {
    Timestamp::from_unix(seconds).map_err(|e| OutboxError::corrupt("time", e))
}

fn json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, OutboxError> {
    serde_json::to_string(value).map_err(|e| OutboxError::corrupt(what, e))
}

#[cfg(test)]
mod tests;
