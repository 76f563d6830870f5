//! The forms of names and keys as the database has them are those of their patterns; and every transaction of a
//! statement has its entries in the end.

mod books;
mod cluster;

use books::hostile::{entries_by_hand, head_by_hand, hostile};
use books::{assert_sound, law_of, migrated};
use gridtally_settlement::store::ledger::Law;
use postgres::Client;

const NAME: &str = "^(issuance|clearing|(escrow|reserved|beneficiary|vesting|payable|fee|rounding|claim):[A-Za-z0-9._:-]{1,100}|receivable:[a-z0-9_-]{1,64}:[A-Za-z0-9._:-]{1,100})$";
const KEY: &str = "^(deposit/H/H|(settlement|overpayment|recovery)/E/N|(reserve|post|void|expire)/P/H|mature/H|(payout|confirm|fail)/H/H/N|reversal/(deposit/H/H|(settlement|overpayment|recovery)/E/N|mature/H))$";

/// Texts at, and beyond, every bound of a part.
fn parts() -> Vec<String> {
    let mut parts: Vec<String> = [
        "", "a", "A", "0", "7", "07", "a_b", "a.b", "a:b", "-", "ä", "a b", "a\n", "\n", "a'",
    ]
    .map(str::to_owned)
    .to_vec();
    for length in [2, 10, 11, 64, 65, 100, 101] {
        parts.push("a".repeat(length));
        parts.push("9".repeat(length));
    }
    parts
}

/// Whether a row can be inserted, without leaving it there.
fn takes(client: &mut Client, insert: &str, value: &str, kind: &str) -> bool {
    let mut tx = client.transaction().unwrap();
    let outcome = match kind {
        "" => tx.execute(insert, &[&value]),
        kind => tx.execute(insert, &[&value, &kind]),
    };
    outcome.is_ok()
}

fn matches(client: &mut Client, value: &str, pattern: &str) -> bool {
    client
        .query_one("SELECT $1::text ~ $2", &[&value, &pattern])
        .unwrap()
        .get(0)
}

#[test]
fn a_name_is_taken_exactly_where_its_pattern_matches() {
    let database = migrated();
    let mut client = database.connect();
    client
        .batch_execute("INSERT INTO ledger.asset VALUES ('FLEX', 6)")
        .unwrap();
    let mut names: Vec<String> = ["issuance", "clearing", "issuance\n", "xissuance", ""]
        .map(str::to_owned)
        .to_vec();
    for purpose in [
        "issuance",
        "clearing",
        "escrow",
        "reserved",
        "fee",
        "claim",
        "receivable",
        "Escrow",
        "treasury",
        "",
    ] {
        for part in parts() {
            names.push(format!("{purpose}:{part}"));
            names.push(format!("{purpose}:p:{part}"));
            names.push(format!("{purpose}:{part}:o"));
        }
    }
    let mut taken = 0;
    for name in &names {
        let insert = "INSERT INTO ledger.account (name, asset) VALUES ($1, 'FLEX')";
        let expected = matches(&mut client, name, NAME);
        assert_eq!(takes(&mut client, insert, name, ""), expected, "{name:?}");
        taken += u32::from(expected);
    }
    assert!(taken > 50, "{taken}");
}

#[test]
fn a_key_is_taken_exactly_where_its_pattern_matches() {
    let database = migrated();
    let mut client = database.connect();
    let pattern = KEY
        .replace('H', "[A-Za-z0-9._:-]{1,100}")
        .replace('P', "[a-z0-9_-]{1,64}")
        .replace('E', "[a-z0-9-]{1,64}")
        .replace('N', "[1-9][0-9]{0,9}");
    let insert = "INSERT INTO ledger.transaction (key, kind, booked_at, expires_at, entry_count, content_digest)
         VALUES ($1, $2, 'epoch', CASE WHEN $2 = 'reserve' THEN 'epoch'::timestamptz + '1 s' END, 2, sha256('x'))";
    let mut taken = 0;
    for kind in [
        "deposit",
        "settlement",
        "recovery",
        "reserve",
        "expire",
        "mature",
        "payout",
        "fail",
        "reversal",
    ] {
        let front = [
            kind.to_owned(),
            format!("{kind}/settlement"),
            format!("{kind}/mature"),
        ];
        let front = if kind == "reversal" {
            &front[..]
        } else {
            &front[..1]
        };
        for front in front {
            let mut keys = vec![front.clone(), format!("{front}/")];
            for part in parts() {
                keys.push(format!("{front}/{part}"));
                keys.push(format!("{front}/{part}/1"));
                keys.push(format!("{front}/a/{part}"));
                keys.push(format!("{front}/a/{part}/1"));
                keys.push(format!("{front}/a/1/{part}"));
                keys.push(format!("{front}/a/b/1/{part}"));
            }
            for key in &keys {
                let expected = matches(&mut client, key, &pattern);
                assert_eq!(takes(&mut client, insert, key, kind), expected, "{key:?}");
                taken += u32::from(expected);
            }
        }
    }
    assert!(taken > 100, "{taken}");
}

#[test]
fn one_of_many_transactions_of_a_statement_can_not_stay_empty() {
    let database = migrated();
    let mut session = hostile(&database);
    session
        .batch_execute(
            "INSERT INTO ledger.asset VALUES ('FLEX', 6);
         INSERT INTO ledger.account (name, asset) VALUES ('issuance', 'FLEX'), ('escrow:p', 'FLEX')",
        )
        .unwrap();
    let pair = [("issuance", "-10"), ("escrow:p", "10")];
    let head = |n: u32| head_by_hand(&format!("deposit/h/{n}"), 0, None, 2, &pair);
    let values = |n: u32| {
        head(n)
            .split_once("VALUES")
            .unwrap()
            .1
            .trim_end_matches(';')
            .to_owned()
    };
    let insert = head(1).split_once("VALUES").unwrap().0.to_owned();
    let both = format!("{insert} VALUES {}, {};", values(1), values(2));
    for given in [1, 2] {
        let attack = both.clone() + &entries_by_hand(&format!("deposit/h/{given}"), &pair);
        assert_eq!(
            law_of(session.batch_execute(&attack)),
            Some(Law::CompleteAtOnce),
            "only {given}"
        );
    }
    // Neither by asking too early, nor by taking back only what noted it down.
    let early = format!("BEGIN; {both} SET CONSTRAINTS ALL IMMEDIATE;");
    assert_eq!(law_of(session.batch_execute(&early)), Some(Law::CompleteAtOnce));
    session.batch_execute("ROLLBACK").unwrap();
    assert!(
        session
            .batch_execute(&format!("BEGIN; {both} DELETE FROM ledger.begun;"))
            .is_err()
    );
    session.batch_execute("ROLLBACK").unwrap();
    // Nor by giving entries for the question alone.
    let given = entries_by_hand("deposit/h/1", &pair) + &entries_by_hand("deposit/h/2", &pair);
    let asked =
        format!("BEGIN; {both} SAVEPOINT s; {given} SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO s; COMMIT;");
    assert_eq!(law_of(session.batch_execute(&asked)), Some(Law::CompleteAtOnce));
    session.batch_execute("ROLLBACK").unwrap();
    let whole = both + &entries_by_hand("deposit/h/1", &pair) + &entries_by_hand("deposit/h/2", &pair);
    session.batch_execute(&whole).unwrap();
    assert_sound(&mut session);
}
