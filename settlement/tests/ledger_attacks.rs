//! A hostile session as the engine's role, and as the superuser, against the laws of the ledger.

mod books;
mod cluster;

use books::hostile::{by_hand, entries_from, hostile};
use books::{app, assert_sound, balance, deposit, law_of, migrated, settlement};
use cluster::Database;
use gridtally_settlement::store::ledger::{self, Law};
use postgres::Client;

fn ready_for_an_attack() -> (Database, Client) {
    let database = migrated();
    let batch = [deposit(1, 1_000), settlement("evening", &[(1, 300), (2, 200)])];
    ledger::post(&mut app(&database), &batch).unwrap();
    let session = hostile(&database);
    (database, session)
}

#[test]
fn a_hostile_session_can_book_only_what_balances() {
    let (_database, mut session) = ready_for_an_attack();
    let one_off = by_hand(
        "deposit/h/1",
        2,
        &[("issuance", "-10"), ("escrow:evening-flex", "11")],
    );
    assert_eq!(law_of(session.batch_execute(&one_off)), Some(Law::Balanced));
    let overdraft = by_hand(
        "settlement/h/1",
        2,
        &[("escrow:evening-flex", "-501"), ("beneficiary:owner-1", "501")],
    );
    assert_eq!(law_of(session.batch_execute(&overdraft)), Some(Law::NoOverdraft));
    for amount in ["0.5", "'NaN'", "'Infinity'", "1e38", "0", "1.0"] {
        let odd = format!("{amount}::numeric");
        let minus = format!("-({amount}::numeric)");
        let odd = by_hand(
            "deposit/h/2",
            2,
            &[("issuance", &minus), ("escrow:evening-flex", &odd)],
        );
        assert!(session.batch_execute(&odd).is_err(), "an amount of {amount}");
    }
    let sound = by_hand(
        "deposit/h/3",
        2,
        &[("issuance", "-10"), ("escrow:evening-flex", "10")],
    );
    session.batch_execute(&sound).unwrap();
    assert_eq!(balance(&mut session, "escrow:evening-flex"), 510);
    assert_sound(&mut session);
}

#[test]
fn a_transaction_gets_all_of_its_entries_at_once_and_none_later() {
    let (_database, mut session) = ready_for_an_attack();
    let none = by_hand("deposit/h/1", 2, &[]);
    assert_eq!(law_of(session.batch_execute(&none)), Some(Law::CompleteAtOnce));

    let open = "INSERT INTO ledger.account (name, asset) SELECT 'rounding:' || x, 'FLEX' FROM unnest('{x,y,z}'::text[]) x;";
    session.batch_execute(open).unwrap();
    // To a transaction of long ago, in every way that there is: over its places, after them, as many again.
    let more: [(&str, &str); 3] = [("rounding:x", "2"), ("rounding:y", "-1"), ("rounding:z", "-1")];
    for (first, entries) in [
        (1, &more[..]),
        (4, &more[..]),
        (3, &more[..]),
        (4, &more[..1]),
        (1, &more[..1]),
    ] {
        let later = entries_from(first, "settlement/evening/1", entries);
        assert_eq!(
            law_of(session.batch_execute(&later)),
            Some(Law::CompleteAtOnce),
            "{later}"
        );
    }
    // And to one that was begun in the same database transaction.
    let pair = [("issuance", "-10"), ("escrow:evening-flex", "10")];
    let other = [("rounding:x", "5"), ("beneficiary:owner-1", "-5")];
    let begun = by_hand("deposit/h/2", 4, &pair);
    assert_eq!(
        law_of(session.batch_execute(&begun)),
        Some(Law::CompleteAtOnce),
        "too few"
    );
    let begun = by_hand("deposit/h/3", 2, &pair);
    for first in [1, 3] {
        let twice = begun.clone() + &entries_from(first, "deposit/h/3", &other);
        assert_eq!(
            law_of(session.batch_execute(&twice)),
            Some(Law::CompleteAtOnce),
            "{twice}"
        );
    }
    let twice = by_hand("deposit/h/4", 4, &[pair, pair].concat());
    assert!(session.batch_execute(&twice).is_err(), "an account twice");
    assert_sound(&mut session);
}

#[test]
fn a_hostile_session_can_change_nothing_that_was_written() {
    let (database, mut session) = ready_for_an_attack();
    let before = ledger::journal(&mut session, 0, 100).unwrap();
    let attacks = [
        "UPDATE ledger.entry SET amount = amount + 1",
        "UPDATE ledger.transaction SET booked_at = now()",
        "UPDATE ledger.account SET name = 'escrow:mine'",
        "UPDATE ledger.asset SET decimals = 0",
        "UPDATE ledger.balance SET amount = 1000000",
        "INSERT INTO ledger.balance (account_id, amount) VALUES (999, 5)",
        "DELETE FROM ledger.entry",
        "DELETE FROM ledger.balance",
        "DELETE FROM ledger.transaction",
        "TRUNCATE ledger.entry",
        "TRUNCATE ledger.transaction, ledger.entry CASCADE",
        "INSERT INTO ledger.asset VALUES ('FLEX', 6) ON CONFLICT (code) DO UPDATE SET decimals = 0",
        "INSERT INTO ledger.account (name, asset, lowest) VALUES ('escrow:x', 'FLEX', -9)",
        "INSERT INTO ledger.account (name, asset) VALUES ('treasury:x', 'FLEX')",
        "INSERT INTO ledger.account (name, asset) VALUES ('escrow:x', 'NONE')",
        "INSERT INTO ledger.transaction (transaction_id, key, kind, booked_at, entry_count, content_digest)
             OVERRIDING SYSTEM VALUE VALUES (1, 'deposit/a/b', 'deposit', now(), 2, sha256('x'))",
        "ALTER TABLE ledger.entry DISABLE TRIGGER ALL",
        "ALTER TABLE ledger.entry DISABLE TRIGGER post_entries",
        "DROP TRIGGER append_only ON ledger.entry",
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER mine AFTER INSERT ON ledger.entry EXECUTE FUNCTION ledger.open_balances()",
        "CREATE TABLE ledger.mine (x int)",
        "ALTER DOMAIN ledger.base_units DROP CONSTRAINT whole_base_units",
        "DROP SCHEMA ledger CASCADE",
        "SELECT ledger.post_entries()",
        "ALTER TABLE ledger.balance OWNER TO CURRENT_USER",
        "INSERT INTO migration (number, name, hash) VALUES (99, 'mine', '')",
        "UPDATE report SET envelope = ''",
        "DELETE FROM refused",
        "TRUNCATE acknowledgement",
        "CREATE TABLE mine (x int)",
        "UPDATE ledger.link SET hash = sha256('x')",
        "DELETE FROM ledger.link",
        "TRUNCATE ledger.link",
        "INSERT INTO ledger.link VALUES (99, 99, sha256('x'))",
        "CREATE OR REPLACE FUNCTION ledger.post_entries() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "DROP FUNCTION ledger.post_entries() CASCADE",
        "ALTER FUNCTION ledger.post_entries() RESET search_path",
        "ALTER TABLE ledger.link DISABLE TRIGGER ALL",
        "UPDATE ledger.pending SET resolved_by = NULL, resolution = NULL",
        "DELETE FROM ledger.pending",
        "TRUNCATE ledger.pending CASCADE",
        "INSERT INTO ledger.pending (transaction_id, kind, name, account_id, asset, amount, booked_at)
             VALUES (1, 'payout', 'a/b/1', 1, 'FLEX', 1, now())",
        "INSERT INTO ledger.submission (transaction_id, handover, adapter, submitted_at) VALUES (1, 'a', 'file', now())",
        "UPDATE ledger.submission SET handover = 'x'",
        "DELETE FROM ledger.submission",
        "UPDATE ledger.payout_limit SET amount_max = 1000000",
        "DELETE FROM ledger.payout_limit",
        "TRUNCATE ledger.breaker_act",
        "DELETE FROM ledger.breaker_act",
        "INSERT INTO ledger.breaker_act (asset, act, acted_at, acted_by, reason, after_transaction)
             VALUES ('FLEX', 'reset', now(), 'me', 'mine', 99)",
        "INSERT INTO ledger.route VALUES ('deposit', 'clearing', true)",
        "DELETE FROM ledger.route",
        "UPDATE ledger.route SET gives = true",
        "SELECT ledger.guard_payouts('{1}')",
        "SELECT ledger.follow_steps('{1}')",
        "SELECT ledger.begin_transactions()",
        "SELECT ledger.require_entries()",
        "INSERT INTO ledger.begun (first_id, last_id) VALUES (1, 1)",
        "DELETE FROM ledger.begun",
        "TRUNCATE ledger.begun",
        "UPDATE ledger.route SET road = 0",
        "UPDATE ledger.account SET highest = 5",
        "INSERT INTO ledger.account (name, asset, highest) VALUES ('receivable:p:x', 'FLEX', 9)",
        "INSERT INTO ledger.account (name, asset) VALUES ('receivable:x', 'FLEX')",
        "CREATE TEMP TABLE bait (x int);
         CREATE FUNCTION pg_temp.deep() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO ledger.link VALUES (99, 99, sha256(''x'')); RETURN NULL; END';
         CREATE TRIGGER deep AFTER INSERT ON bait FOR EACH ROW EXECUTE FUNCTION pg_temp.deep();
         INSERT INTO bait VALUES (1)",
    ];
    for attack in attacks {
        assert!(session.batch_execute(attack).is_err(), "{attack}");
    }
    assert_eq!(ledger::journal(&mut session, 0, 100).unwrap(), before);
    assert_eq!(balance(&mut session, "escrow:evening-flex"), 500);

    // Whoever owns the tables, and the superuser, are refused as well as long as they leave the triggers alone.
    let mut superuser = database.connect();
    superuser
        .batch_execute("SET session_replication_role = replica")
        .unwrap();
    let appended = attacks
        .iter()
        .filter(|a| a.contains("ledger.link") || a.contains("ledger.route"));
    for attack in attacks[..12]
        .iter()
        .chain(appended.filter(|a| !a.contains("TEMP") && !a.contains("ALTER")))
    {
        assert!(superuser.batch_execute(attack).is_err(), "{attack}");
    }
    for attack in [&attacks[0], &attacks[4], &attacks[9]] {
        assert_eq!(
            law_of(superuser.batch_execute(attack)),
            Some(Law::AppendOnly),
            "{attack}"
        );
    }
    assert_sound(&mut superuser);
}

#[test]
fn objects_of_the_attackers_own_do_not_mislead_the_triggers() {
    let (_database, mut session) = ready_for_an_attack();
    session
        .batch_execute(
            "CREATE TEMP TABLE balance (account_id bigint, lowest numeric, amount numeric);
             CREATE TEMP TABLE posted (transaction_id bigint, account_id bigint, asset text, amount numeric);
             CREATE TEMP TABLE entry (transaction_id bigint);
             SET search_path = pg_temp, ledger, public;",
        )
        .unwrap();
    let one_off = by_hand(
        "deposit/h/1",
        2,
        &[("issuance", "-10"), ("escrow:evening-flex", "11")],
    );
    assert_eq!(law_of(session.batch_execute(&one_off)), Some(Law::Balanced));
    let overdraft = by_hand(
        "settlement/h/1",
        2,
        &[("escrow:evening-flex", "-501"), ("beneficiary:owner-1", "501")],
    );
    assert_eq!(law_of(session.batch_execute(&overdraft)), Some(Law::NoOverdraft));
    assert_sound(&mut session);
}

#[test]
fn settings_of_the_attackers_own_do_not_mislead_the_triggers() {
    let (_database, mut session) = ready_for_an_attack();
    session
        .batch_execute(
            "SET standard_conforming_strings = off; SET escape_string_warning = off; SET backslash_quote = on;
             SET bytea_output = 'escape'; SET DateStyle = 'German, DMY'; SET timezone = 'Asia/Kolkata';
             SET IntervalStyle = 'sql_standard'; SET enable_indexscan = off; SET enable_hashagg = off; SET work_mem = '64kB';
             SET transform_null_equals = on; SET array_nulls = off; SET extra_float_digits = 0; SET client_encoding = 'LATIN1'",
        )
        .unwrap();
    let sound = by_hand(
        "deposit/h/1",
        2,
        &[("issuance", "-10"), ("escrow:evening-flex", "10")],
    );
    // The digest is written with a backslash.
    let sound = sound.replace("'\\x", "E'\\\\x");
    session.batch_execute(&sound).unwrap();
    session.batch_execute("RESET ALL").unwrap();
    assert_eq!(balance(&mut session, "escrow:evening-flex"), 510);
    assert_sound(&mut session);
}
