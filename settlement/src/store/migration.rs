//! Migrations: numbered, embedded, each applied once and in one transaction, and never changed afterwards.

use gridtally_protocol::identity::Digest;
use postgres::Client;

/// A step of the schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its number; they run in this order.
    pub number: i32,
    /// Its name, for people.
    pub name: &'static str,
    /// What it does.
    pub sql: &'static str,
}

/// All of them. A new one is appended; none is ever changed.
pub const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "evidence", sql: include_str!("migrations/0001_evidence.sql") },
    Migration { number: 2, name: "ledger", sql: include_str!("migrations/0002_ledger.sql") },
    Migration { number: 3, name: "rights", sql: include_str!("migrations/0003_rights.sql") },
];

/// Whoever migrates holds this advisory lock of the database ("gridtall" in ASCII).
const LOCK: i64 = 0x6772_6964_7461_6c6c;

/// Why the schema cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A migration that was applied is not the one of this program.
    #[error(
        "migration {number} ({name}) was applied to this database in another form than this program knows; \
         use the program that wrote it, or another database"
    )]
    Changed {
        /// Its number.
        number: i32,
        /// Its name in the database.
        name: String,
    },
    /// The database is newer than the program.
    #[error("the database has migration {number} ({name}), which this program does not know; use a newer program")]
    Unknown {
        /// Its number.
        number: i32,
        /// Its name in the database.
        name: String,
    },
    /// A migration did not run; nothing of it is left.
    #[error("migration {number} ({name}) failed, and nothing of it was kept: {source}")]
    Failed {
        /// Its number.
        number: i32,
        /// Its name.
        name: &'static str,
        /// What the database said.
        source: postgres::Error,
    },
    /// The table of migrations could not be read.
    #[error("the schema cannot be examined: {0}")]
    Database(#[from] postgres::Error),
}

/// Applies what is missing of `migrations`, under a lock, so that several programs may start at once.
///
/// # Errors
/// [`MigrationError`]; migrations before the failed one stay applied.
pub fn migrate(client: &mut Client, migrations: &[Migration]) -> Result<(), MigrationError> {
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK])?;
    let outcome = apply(client, migrations);
    client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK])?;
    outcome
}

fn apply(client: &mut Client, migrations: &[Migration]) -> Result<(), MigrationError> {
    // A table in the schema of the first migration could not be made before it; so it lives in a function-free
    // corner of its own until then.
    client.batch_execute(
        "SET client_min_messages = warning;
         CREATE SCHEMA IF NOT EXISTS gridtally_schema;
         COMMENT ON SCHEMA gridtally_schema IS 'How the schemas of Gridtally came to be.';
         CREATE TABLE IF NOT EXISTS gridtally_schema.migration (
             number integer PRIMARY KEY, name text NOT NULL,
             hash bytea NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
         COMMENT ON TABLE gridtally_schema.migration IS 'The migrations that were applied, with the SHA-256 of their SQL.';",
    )?;
    let applied = client.query("SELECT number, name, hash FROM gridtally_schema.migration ORDER BY number", &[])?;
    for row in &applied {
        let (number, name, hash): (i32, String, Vec<u8>) = (row.get(0), row.get(1), row.get(2));
        match migrations.iter().find(|m| m.number == number) {
            None => return Err(MigrationError::Unknown { number, name }),
            Some(known) if hash_of(known) != hash => return Err(MigrationError::Changed { number, name }),
            Some(_) => {}
        }
    }
    let done = |m: &&Migration| !applied.iter().any(|row| row.get::<_, i32>(0) == m.number);
    for migration in migrations.iter().filter(done) {
        let failed =
            |source| MigrationError::Failed { number: migration.number, name: migration.name, source };
        apply_one(client, migration).map_err(failed)?;
    }
    Ok(())
}

fn apply_one(client: &mut Client, migration: &Migration) -> Result<(), postgres::Error> {
    let mut tx = client.transaction()?;
    tx.batch_execute(migration.sql)?;
    tx.execute(
        "INSERT INTO gridtally_schema.migration (number, name, hash) VALUES ($1, $2, $3)",
        &[&migration.number, &migration.name, &hash_of(migration)],
    )?;
    tx.commit()
}

fn hash_of(migration: &Migration) -> Vec<u8> {
    Digest::of(migration.sql.as_bytes()).as_bytes().to_vec()
}
