//! A ledger that was begun before its journal was chained.

mod books;
mod cluster;

use books::hostile::{entries_by_hand, head_by_hand};
use books::{app, assert_sound, balance, deposit};
use cluster::Database;
use gridtally_protocol::identity::Digest;
use gridtally_settlement::store::Store;
use gridtally_settlement::store::ledger;

const BEFORE: [(i32, &str, &str); 3] = [
    (
        1,
        "engine",
        include_str!("../src/store/migrations/0001_engine.sql"),
    ),
    (
        2,
        "ledger",
        include_str!("../src/store/migrations/0002_ledger.sql"),
    ),
    (
        3,
        "rights",
        include_str!("../src/store/migrations/0003_rights.sql"),
    ),
];

#[test]
fn what_was_posted_before_is_chained_as_it_is() {
    let database = Database::create();
    let mut owner = database.connect();
    owner
        .batch_execute(
            "CREATE TABLE migration (number integer PRIMARY KEY, name text NOT NULL, hash text NOT NULL,
             applied_at timestamptz NOT NULL DEFAULT now())",
        )
        .unwrap();
    for (number, name, sql) in BEFORE {
        owner.batch_execute(sql).unwrap();
        let hash = Digest::of(sql.as_bytes()).to_string();
        owner
            .execute(
                "INSERT INTO migration VALUES ($1, $2, $3)",
                &[&number, &name, &hash],
            )
            .unwrap();
    }
    let mut old = app(&database);
    let accounts = "INSERT INTO ledger.asset VALUES ('FLEX', 6);
         INSERT INTO ledger.account (name, asset) SELECT name, 'FLEX'
         FROM unnest('{issuance,escrow:evening-flex,beneficiary:owner-1}'::text[]) name;";
    old.batch_execute(accounts).unwrap();
    let escrow = "escrow:evening-flex";
    for (key, entries) in [
        ("deposit/h/1", [("issuance", "-100"), (escrow, "100")]),
        ("settlement/h/1", [(escrow, "-60"), ("beneficiary:owner-1", "60")]),
    ] {
        let head = head_by_hand(key, 5, None, 2, &entries);
        let head = head
            .replace("booked_at, expires_at,", "booked_at,")
            .replace("NULL, 2", "2");
        old.batch_execute(&(head + &entries_by_hand(key, &entries)))
            .unwrap();
    }
    drop(old);

    Store::open(&database.url()).unwrap();
    let mut client = app(&database);
    ledger::post(&mut client, &[deposit(1, 5)]).unwrap();
    let places: Vec<i64> = ledger::journal(&mut client, 0, 10)
        .unwrap()
        .iter()
        .map(|r| r.number)
        .collect();
    assert_eq!(places, [1, 2, 3]);
    assert_eq!(balance(&mut client, escrow), 45);
    assert_sound(&mut client);
    Store::open(&database.url()).unwrap();
}
