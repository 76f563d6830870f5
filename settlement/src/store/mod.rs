//! PostgreSQL: migrations and queries. Nothing above it writes SQL.
//!
//! A [`Store`] is one connection. Work is done in transactions that are tried again when the database goes away
//! and comes back: everything that is written here has a key of its own, so that repeating has no second effect.

pub mod agreements;
pub mod beacons;
pub mod bulk;
pub mod capacity;
mod copy;
pub mod corrections;
pub mod days;
pub mod disputes;
pub mod event_life;
pub mod events;
pub mod evidence;
pub mod ledger;
pub mod log_heads;
mod migrate;
pub mod originals;
pub mod outages;
pub mod payout_roots;
pub mod prices;
pub mod programs;
mod readings;
pub mod rebuild;
pub mod record;
pub mod refusals;
pub mod reports;
pub mod seasons;
pub mod settlements;
pub mod statements;
pub mod stream;
pub mod temperatures;
pub(crate) mod types;

use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls, Transaction};

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL refused, or went away.
    #[error("the database said: {}", said(.0))]
    Database(#[from] postgres::Error),
    /// It could not be reached in time.
    #[error(
        "no database at {url} within {seconds} s: {last}; is PostgreSQL running, and may this user connect?"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// How long.
        seconds: u64,
        /// What the last attempt met.
        last: String,
    },
    /// It was migrated by another version.
    #[error(
        "migration {number} ({name}) of the database is not one that this version knows; run the version that made it, or a later one"
    )]
    Schema {
        /// The migration's number.
        number: i32,
        /// Its name.
        name: String,
    },
    /// What stands there is not what this program writes.
    #[error("the database holds {what}, which this program does not write; restore it from a backup")]
    Corrupt {
        /// What stands there.
        what: String,
    },
    /// What was being read broke off.
    #[error("the database stopped in the middle of an answer ({0}); try again")]
    Interrupted(std::io::Error),
    /// The same name for something else.
    #[error("{0}")]
    Conflict(String),
    /// It is not there.
    #[error("{0}")]
    NotFound(String),
}

fn said(error: &postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || error.to_string(),
        |e| format!("{} ({})", e.message(), e.code().code()),
    )
}

/// Class 57P is the server shutting down, class 08 the connection; the rest shows in the socket.
fn lost_connection(error: &postgres::Error) -> bool {
    let by_socket = || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>());
    match error.code() {
        Some(code) => code.code().starts_with("57P") || code.code().starts_with("08"),
        None => error.is_closed() || by_socket(),
    }
}

/// Errors that can tell whether the connection to the database was lost.
pub trait LostConnection {
    /// Whether the connection is gone, so that it is worth trying again on a new one.
    fn is_lost_connection(&self) -> bool;
}

impl LostConnection for StoreError {
    fn is_lost_connection(&self) -> bool {
        match self {
            Self::Database(error) => lost_connection(error),
            _ => false,
        }
    }
}

/// How long a lost database is waited for.
const RECONNECT_SECONDS_MAX: u64 = 60;

/// A connection to the engine's database.
pub struct Store {
    client: Client,
    url: String,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Connects and brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] or [`StoreError::Schema`].
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let mut client = connect(url, RECONNECT_SECONDS_MAX)?;
        migrate::migrate(&mut client)?;
        work_as_app(&mut client)?;
        let mut store = Self {
            client,
            url: url.to_owned(),
        };
        // A database of before there were days.
        if store.transact(|client| days::are_missing(client))? {
            rebuild::check(&mut store, true, |_, _| ())?;
        }
        Ok(store)
    }

    /// Runs a body in a transaction and commits it. Where the connection is lost, even while committing, the
    /// whole is done once more on a new one: the body's effects must bear being repeated.
    ///
    /// # Errors
    /// What the body says, and [`StoreError`] where the database does not come back.
    pub fn transact<T, E: From<StoreError> + LostConnection>(
        &mut self,
        mut body: impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        loop {
            let attempt = self.attempt(&mut body);
            match attempt {
                Ok(done) => return Ok(done),
                Err(Failure::Lost(error)) => {
                    tracing::warn!(%error, "the database went away; connecting again");
                    self.client = connect(&self.url, RECONNECT_SECONDS_MAX).map_err(E::from)?;
                    work_as_app(&mut self.client).map_err(E::from)?;
                }
                Err(Failure::Told(error)) => return Err(error),
            }
        }
    }

    /// How others connect to the same database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn attempt<T, E: From<StoreError> + LostConnection>(
        &mut self,
        body: &mut impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, Failure<E>> {
        let lost = |error: postgres::Error| {
            let error = StoreError::from(error);
            if error.is_lost_connection() {
                Failure::Lost(error)
            } else {
                Failure::Told(error.into())
            }
        };
        let mut transaction = self.client.transaction().map_err(lost)?;
        match body(&mut transaction) {
            Ok(done) => {
                transaction.commit().map_err(lost)?;
                Ok(done)
            }
            Err(error) => {
                if error.is_lost_connection() {
                    return Err(Failure::Lost(StoreError::Conflict(
                        "the connection was lost".into(),
                    )));
                }
                Err(Failure::Told(error))
            }
        }
    }
}

/// Makes an empty database beside that of a private cluster, and says how to connect to it.
///
/// # Errors
/// [`StoreError::Conflict`] where the name is more than a-z, 0-9 and `_`, or is taken.
pub fn create_beside(url: &str, name: &str) -> Result<String, StoreError> {
    if name.is_empty()
        || !name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    {
        return Err(StoreError::Conflict(format!(
            "{name:?} is no name for a database: take a-z, 0-9 and _"
        )));
    }
    connect(url, RECONNECT_SECONDS_MAX)?.batch_execute(&format!("CREATE DATABASE {name}"))?;
    // Of a key that stands twice, the last counts.
    Ok(format!("{url} dbname={name}"))
}

enum Failure<E> {
    Lost(StoreError),
    Told(E),
}

fn work_as_app(client: &mut Client) -> Result<(), StoreError> {
    ledger::work_as_app(client).map_err(|e| StoreError::Conflict(e.to_string()))
}

fn connect(url: &str, seconds: u64) -> Result<Client, StoreError> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut pause = Duration::from_millis(20);
    loop {
        match Client::connect(url, NoTls) {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() >= deadline => {
                let last = said(&error);
                return Err(StoreError::Unreachable {
                    url: without_password(url),
                    seconds,
                    last,
                });
            }
            Err(_) => thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// A connection string for people's eyes.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split_once(':').map_or(user, |(name, _)| name);
                format!("{scheme}://{user}@{host}")
            }
            None => url.to_owned(),
        },
        None => url
            .split_whitespace()
            .filter(|w| !w.starts_with("password="))
            .collect::<Vec<_>>()
            .join(" "),
    }
}
