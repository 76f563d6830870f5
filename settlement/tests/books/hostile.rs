//! A hostile session, and what it books by hand.

use gridtally_protocol::identity::Digest;
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::ledger::AccountName;
use postgres::Client;

use crate::cluster::Database;

/// A session of a login that may work as the engine's role and nothing more.
pub fn hostile(database: &Database) -> Client {
    let mut owner = database.connect();
    let login = format!(
        "hostile_{}",
        owner
            .query_one(
                "SELECT oid FROM pg_database WHERE datname = current_database()",
                &[]
            )
            .unwrap()
            .get::<_, u32>(0)
    );
    let grant = format!(
        "CREATE ROLE {login} LOGIN;
         DO $$ BEGIN EXECUTE format('GRANT %I TO {login}', ledger.app_role()); END $$"
    );
    owner.batch_execute(&grant).unwrap();
    let role: String = owner.query_one("SELECT ledger.app_role()", &[]).unwrap().get(0);
    let mut session = database.connect_as(&login);
    session.batch_execute(&format!("SET ROLE \"{role}\"")).unwrap();
    session
}

/// A head with `count` declared entries, and the statement that gives it entries; all booked at the epoch.
pub fn by_hand(key: &str, count: u32, entries: &[(&str, &str)]) -> String {
    head_by_hand(key, 0, None, count, entries) + &entries_by_hand(key, entries)
}

/// The head alone, booked at a second, with the digest that is due to it.
pub fn head_by_hand(key: &str, at: i64, until: Option<i64>, count: u32, entries: &[(&str, &str)]) -> String {
    let until_column = until.map_or("NULL".to_owned(), |until| format!("to_timestamp({until})"));
    format!(
        "INSERT INTO ledger.transaction (key, kind, booked_at, expires_at, entry_count, content_digest)
         VALUES ('{key}', split_part('{key}', '/', 1), to_timestamp({at}), {until_column}, {count}, '\\x{}');",
        digest_by_hand(key, at, until, entries)
    )
}

/// The digest of what is booked in FLEX.
fn digest_by_hand(key: &str, at: i64, until: Option<i64>, entries: &[(&str, &str)]) -> Digest {
    let mut entries: Vec<(AccountName, &str)> = entries
        .iter()
        .map(|(name, amount)| (name.parse().unwrap(), *amount))
        .collect();
    entries.sort();
    let instant = |seconds| Timestamp::from_unix(seconds).unwrap();
    let mut text = format!("gridtally transaction 1\n{key}\n{}\n", instant(at));
    if let Some(until) = until {
        text += &format!("expires {}\n", instant(until));
    }
    for (name, amount) in entries {
        text += &format!("{name} FLEX 6 {amount}\n");
    }
    Digest::of(text.as_bytes())
}

pub fn entries_by_hand(key: &str, entries: &[(&str, &str)]) -> String {
    entries_from(1, key, entries)
}

/// The statement that gives a transaction entries at the places from `first` on.
pub fn entries_from(first: usize, key: &str, entries: &[(&str, &str)]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let values: Vec<_> = entries
        .iter()
        .zip(first..)
        .map(|((name, amount), position)| format!("({position}, '{name}', {amount})"))
        .collect();
    format!(
        "INSERT INTO ledger.entry (transaction_id, position, account_id, asset, amount)
         SELECT t.transaction_id, v.position, a.account_id, a.asset, v.amount
         FROM (VALUES {}) AS v (position, name, amount), ledger.transaction t, ledger.account a
         WHERE t.key = '{key}' AND a.name = v.name;",
        values.join(", ")
    )
}
