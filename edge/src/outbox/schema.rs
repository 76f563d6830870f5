//! The file's layout, and how an earlier one becomes the present one.

use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::report::Report;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{OutboxError, sequence_column};

const SCHEMA: &str = include_str!("schema.sql");
const CONTROL: &str = include_str!("control.sql");
/// New in the third layout.
const STATEMENTS: &str = include_str!("statements.sql");
/// The layout that this agent knows.
pub(crate) const VERSION: i64 = 3;

/// From the first layout, which forgot a report at its receipt and whatever it dropped.
const FROM_1: &str = "
ALTER TABLE message ADD COLUMN sequence INTEGER;
ALTER TABLE message ADD COLUMN waiting INTEGER NOT NULL DEFAULT 1 CHECK (waiting IN (0, 1));
ALTER TABLE message ADD COLUMN delivered_at INTEGER;
CREATE TABLE dropped (
    kind           TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    count          INTEGER NOT NULL,
    first_sequence INTEGER,
    last_sequence  INTEGER,
    first_at       INTEGER NOT NULL,
    last_at        INTEGER NOT NULL,
    PRIMARY KEY (kind, reason)
) STRICT;
CREATE TABLE asked (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    issued_at INTEGER NOT NULL
) STRICT;
DROP TABLE instruction;
DROP TABLE owner_setting;
";

/// Makes the tables of a new file, brings those of an old one up to date, and checks whose they are.
pub(super) fn prepare(connection: &mut Connection, gateway: Identity) -> Result<(), OutboxError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        0 => {
            transaction.execute_batch(SCHEMA)?;
            transaction.execute_batch(CONTROL)?;
            transaction.execute_batch(STATEMENTS)?;
            transaction.execute(
                "INSERT INTO chain (one, gateway, sequence, digest) VALUES (1, ?1, 0, ?2)",
                params![gateway.to_string(), Digest::NONE.as_bytes()],
            )?;
        }
        1 => {
            // What was under way at that moment is given up: devices go back by their own timers.
            transaction.execute_batch(FROM_1)?;
            transaction.execute_batch(CONTROL)?;
            transaction.execute_batch(STATEMENTS)?;
            number_reports(&transaction)?;
        }
        2 => transaction.execute_batch(STATEMENTS)?,
        VERSION => {}
        found => return Err(OutboxError::Version { found }),
    }
    if version != VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    let found: String = transaction.query_row("SELECT gateway FROM chain", [], |row| row.get(0))?;
    if found != gateway.to_string() {
        return Err(OutboxError::Foreign {
            found,
            expected: gateway.to_string(),
        });
    }
    transaction.commit()?;
    Ok(())
}

fn number_reports(transaction: &Transaction<'_>) -> Result<(), OutboxError> {
    let mut statement = transaction.prepare("SELECT id, envelope FROM message WHERE kind = 'report'")?;
    let reports = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, envelope) in reports {
        let signed = Report::open(&envelope).map_err(|e| OutboxError::corrupt("report", e))?;
        transaction.execute(
            "UPDATE message SET sequence = ?2 WHERE id = ?1",
            params![id, sequence_column(signed.message.sequence)?],
        )?;
    }
    Ok(())
}
