//! The schema, as numbered migrations that are applied once, in order, and never change.

use postgres::Client;
use sha2::{Digest as _, Sha256};

use super::StoreError;

/// A step of the schema.
struct Migration {
    number: i32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "engine",
        sql: include_str!("migrations/0001_engine.sql"),
    },
    Migration {
        number: 2,
        name: "ledger",
        sql: include_str!("migrations/0002_ledger.sql"),
    },
    Migration {
        number: 3,
        name: "rights",
        sql: include_str!("migrations/0003_rights.sql"),
    },
    Migration {
        number: 4,
        name: "statements_sent",
        sql: include_str!("migrations/0004_statements_sent.sql"),
    },
    Migration {
        number: 5,
        name: "ledger_two_phase",
        sql: include_str!("migrations/0005_ledger_two_phase.sql"),
    },
    Migration {
        number: 6,
        name: "event_life",
        sql: include_str!("migrations/0006_event_life.sql"),
    },
    Migration {
        number: 7,
        name: "channel day",
        sql: include_str!("migrations/0007_channel_day.sql"),
    },
    Migration {
        number: 8,
        name: "ledger speed",
        sql: include_str!("migrations/0008_ledger_speed.sql"),
    },
    Migration {
        number: 9,
        name: "resettlement",
        sql: include_str!("migrations/0009_resettlement.sql"),
    },
    Migration {
        number: 10,
        name: "temperatures",
        sql: include_str!("migrations/0010_temperatures.sql"),
    },
    Migration {
        number: 11,
        name: "agreements",
        sql: include_str!("migrations/0011_agreements.sql"),
    },
    Migration {
        number: 12,
        name: "payout roots",
        sql: include_str!("migrations/0012_payout_roots.sql"),
    },
    Migration {
        number: 13,
        name: "test dispatches",
        sql: include_str!("migrations/0013_test_dispatches.sql"),
    },
    Migration {
        number: 14,
        name: "beacons",
        sql: include_str!("migrations/0014_beacons.sql"),
    },
    Migration {
        number: 15,
        name: "originals",
        sql: include_str!("migrations/0015_originals.sql"),
    },
    Migration {
        number: 16,
        name: "log heads",
        sql: include_str!("migrations/0016_log_heads.sql"),
    },
];

/// Any number that nobody else locks: `gridtaly` in ASCII.
const LOCK: i64 = 0x6772_6964_7461_6c79;

/// Brings the schema up to date; several engines may try at once.
///
/// # Errors
/// [`StoreError::Schema`] where the database was migrated by another version of the program.
pub(super) fn migrate(client: &mut Client) -> Result<(), StoreError> {
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK])?;
    let done = apply_missing(client);
    client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK])?;
    done
}

fn apply_missing(client: &mut Client) -> Result<(), StoreError> {
    client.batch_execute(
        "CREATE TABLE IF NOT EXISTS migration (
            number integer PRIMARY KEY,
            name text NOT NULL,
            hash text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        )",
    )?;
    let rows = client.query("SELECT number, name, hash FROM migration ORDER BY number", &[])?;
    for row in &rows {
        let (number, name, hash): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
        let known = MIGRATIONS.iter().find(|m| m.number == number);
        if known.is_none_or(|m| hash_of(m) != hash) {
            return Err(StoreError::Schema { number, name });
        }
    }
    let applied = |m: &&Migration| rows.iter().any(|row| row.get::<_, i32>(0) == m.number);
    for migration in MIGRATIONS.iter().filter(|m| !applied(m)) {
        let mut transaction = client.transaction()?;
        transaction.batch_execute(migration.sql)?;
        transaction.execute(
            "INSERT INTO migration (number, name, hash) VALUES ($1, $2, $3)",
            &[&migration.number, &migration.name, &hash_of(migration)],
        )?;
        transaction.commit()?;
    }
    Ok(())
}

fn hash_of(migration: &Migration) -> String {
    hex::encode(Sha256::digest(migration.sql))
}
