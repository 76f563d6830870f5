//! Payout roots in a real PostgreSQL: what is published from the ledger, and that it never falls.

mod books;
mod cluster;

use std::collections::BTreeMap;
use std::fs;

use books::{app, deposit, flex, migrated, settlement, tokens};
use clap::Parser;
use cluster::Database;
use gridtally_protocol::instruction::ProgramId;
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::cli::engine::{self, EngineArgs};
use gridtally_settlement::ledger::recovery::{self, Overpayment};
use gridtally_settlement::ledger::{Debt, Holder, Transaction, TransactionKey};
use gridtally_settlement::payouts::roots::{Address, Leaf};
use gridtally_settlement::store::ledger;
use gridtally_settlement::store::ledger::payouts::{self, Creation};
use gridtally_settlement::store::payout_roots::{self, Root};
use postgres::Client;
use serde_json::Value;

const ONE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const OTHER: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

fn owner(n: u32) -> Holder {
    format!("owner-{n}").parse().unwrap()
}

fn program() -> ProgramId {
    "evening-flex".parse().unwrap()
}

/// Owner 1 was credited 300, owner 2 200.
fn credited(database: &Database) -> Client {
    let mut client = app(database);
    let booked = [deposit(1, 10_000), settlement("evening", &[(1, 300), (2, 200)])];
    ledger::post(&mut client, &booked).unwrap();
    client
}

fn bind(client: &mut Client, n: u32, address: &str) {
    let mut transaction = client.transaction().unwrap();
    payout_roots::bind(&mut transaction, &owner(n), address.parse().unwrap(), at(1)).unwrap();
    transaction.commit().unwrap();
}

/// Lets everything mature, and these amounts go out by the ledger's own payouts.
fn pay_out(client: &mut Client, amounts: &[(u32, i128)]) {
    let batch: Holder = "m-1".parse().unwrap();
    let matured = payouts::mature(client, &batch, &flex(), &BTreeMap::new(), at(5)).unwrap();
    assert!(matured.is_some());
    let lines = amounts
        .iter()
        .map(|(n, amount)| (owner(*n), tokens(*amount)))
        .collect();
    let created = payouts::create(client, &batch, &flex(), &lines, at(6)).unwrap();
    assert!(matches!(created, Creation::Created), "{created:?}");
}

fn publish(client: &mut Client) -> (Root, bool) {
    let mut transaction = client.transaction().unwrap();
    let published = payout_roots::publish(&mut transaction, &program(), &flex(), at(5)).unwrap();
    transaction.commit().unwrap();
    published.unwrap()
}

fn claim(root: &Root, address: &str) -> Option<u128> {
    root.claims.tree().ok()?.amount(&address.parse().unwrap())
}

fn overpaid(event: &str, n: u32, taken: i128, owed: i128) -> Transaction {
    let overpayment = Overpayment {
        taken: tokens(taken),
        owed: tokens(owed),
    };
    let entries =
        recovery::overpayment_entries(&Debt::new(program(), owner(n)), &flex(), overpayment).unwrap();
    Transaction::new(
        TransactionKey::Overpayment(event.parse().unwrap(), 2),
        Timestamp::EPOCH,
        entries,
    )
    .unwrap()
}

#[test]
fn a_root_holds_what_settlements_credited_and_proves_every_claim() {
    let database = migrated();
    let mut client = credited(&database);
    bind(&mut client, 1, ONE);
    bind(&mut client, 2, OTHER);
    let (root, new) = publish(&mut client);
    assert!(new);
    assert_eq!((root.name.number, root.previous_root), (1, None));
    let tree = root.claims.tree().unwrap();
    for (address, amount) in [(ONE, 300), (OTHER, 200)] {
        let address: Address = address.parse().unwrap();
        let proof = tree.proof(&address).unwrap();
        assert!(Leaf { address, amount }.is_under(root.root.unwrap(), &proof));
    }
}

#[test]
fn the_same_again_changes_nothing() {
    let database = migrated();
    let mut client = credited(&database);
    bind(&mut client, 1, ONE);
    let (first, _) = publish(&mut client);
    // What concerns nobody's total does not either.
    ledger::post(&mut client, &[deposit(2, 5)]).unwrap();
    bind(&mut client, 1, ONE);
    assert_eq!(publish(&mut client), (first, false));
    let count: i64 = client
        .query_one("SELECT count(*) FROM payout_root", &[])
        .unwrap()
        .get(0);
    assert_eq!(count, 1);
}

#[test]
fn totals_add_up_over_settlements_and_each_root_names_the_one_before() {
    let database = migrated();
    let mut client = credited(&database);
    bind(&mut client, 1, ONE);
    let (first, _) = publish(&mut client);
    ledger::post(&mut client, &[settlement("night", &[(1, 50), (3, 7)])]).unwrap();
    let (second, new) = publish(&mut client);
    assert!(new);
    assert_eq!((second.name.number, second.previous_root), (2, first.root));
    assert_eq!(claim(&second, ONE), Some(350));
    assert_eq!(second.claims.sums().unwrap().not_claimable_yet, tokens(207));
}

#[test]
fn what_matures_is_paid_out_or_recovered_leaves_the_total_as_it_is() {
    let database = migrated();
    let mut client = credited(&database);
    bind(&mut client, 1, ONE);
    ledger::post(&mut client, &[overpaid("evening", 1, 0, 40)]).unwrap();
    let (first, _) = publish(&mut client);
    assert_eq!(claim(&first, ONE), Some(260));
    pay_out(&mut client, &[(2, 200)]);
    assert_eq!(publish(&mut client), (first, false));
}

#[test]
fn an_overpayment_lowers_what_is_credited_and_never_a_claim() {
    let database = migrated();
    let mut client = credited(&database);
    bind(&mut client, 1, ONE);
    let (first, _) = publish(&mut client);
    ledger::post(&mut client, &[overpaid("evening", 1, 60, 40)]).unwrap();
    let (second, new) = publish(&mut client);
    assert!(new);
    assert_eq!(second.root, first.root);
    assert_eq!(claim(&second, ONE), Some(300));
    assert_eq!(second.claims.lines[&owner(1)].credited, tokens(200));
    assert_eq!(second.claims.sums().unwrap().over_claimable, tokens(100));
    // What is earned later fills the difference first.
    ledger::post(&mut client, &[settlement("night", &[(1, 130)])]).unwrap();
    assert_eq!(claim(&publish(&mut client).0, ONE), Some(330));
}

#[test]
fn a_settlement_that_was_reversed_counts_no_more() {
    let database = migrated();
    let mut client = credited(&database);
    let night = settlement("night", &[(1, 50), (2, 5)]);
    ledger::post(&mut client, std::slice::from_ref(&night)).unwrap();
    let reversal = night.reversal(at(9)).unwrap();
    ledger::post(&mut client, &[reversal]).unwrap();
    let (root, _) = publish(&mut client);
    assert_eq!(root.claims.lines[&owner(1)].credited, tokens(300));
    assert_eq!(root.claims.sums().unwrap().credited, tokens(500));
}

#[test]
fn what_is_credited_elsewhere_counts_there() {
    let database = migrated();
    let mut client = credited(&database);
    let other = "other".parse().unwrap();
    let mut transaction = client.transaction().unwrap();
    let none = payout_roots::publish(&mut transaction, &other, &flex(), at(5)).unwrap();
    assert_eq!(none, None);
}

#[test]
fn another_address_takes_what_comes_after_and_its_history_stays() {
    let database = migrated();
    let mut client = credited(&database);
    bind(&mut client, 1, ONE);
    publish(&mut client);
    bind(&mut client, 1, OTHER);
    ledger::post(&mut client, &[settlement("night", &[(1, 50)])]).unwrap();
    let (root, _) = publish(&mut client);
    assert_eq!((claim(&root, ONE), claim(&root, OTHER)), (Some(300), Some(50)));
    let history = payout_roots::addresses(&mut client, &owner(1)).unwrap();
    let history: Vec<String> = history.iter().map(|(address, _)| address.to_string()).collect();
    assert_eq!(history, [ONE, OTHER]);
}

#[test]
fn what_was_published_or_bound_is_never_changed() {
    let database = migrated();
    let mut client = credited(&database);
    bind(&mut client, 1, ONE);
    publish(&mut client);
    let mut owner = database.connect();
    for table in [
        "payout_address",
        "payout_root",
        "payout_root_line",
        "payout_root_claim",
    ] {
        for change in [
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table} CASCADE"),
            match table {
                "payout_root" => "UPDATE payout_root SET made_at = now()".to_owned(),
                _ => format!("UPDATE {table} SET beneficiary = beneficiary"),
            },
        ] {
            assert!(client.batch_execute(&change).is_err(), "{change}");
            assert!(owner.batch_execute(&change).is_err(), "{change} as the owner");
        }
    }
}

#[test]
fn the_database_refuses_a_root_by_which_somebody_could_claim_less() {
    let database = migrated();
    let mut client = credited(&database);
    bind(&mut client, 1, ONE);
    publish(&mut client);
    let root = "INSERT INTO payout_root (program, asset, number, ledger_place, made_at) VALUES ('evening-flex', 'FLEX', 2, 9, now());";
    let line = "INSERT INTO payout_root_line VALUES ('evening-flex', 'FLEX', 2, 'owner-1', 300);";
    let claim = |amount: u32| {
        format!(
            "INSERT INTO payout_root_claim SELECT program, asset, 2, beneficiary, address, {amount} FROM payout_root_claim;"
        )
    };
    for less in [root.to_owned(), format!("{root}{line}{}", claim(299))] {
        let refused = client.batch_execute(&format!("BEGIN;{less}COMMIT;")).unwrap_err();
        assert!(refused.to_string().contains("db error"), "{refused}");
        let said = refused.as_db_error().unwrap().message().to_owned();
        assert!(said.contains("owner-1"), "{said}");
        client.batch_execute("ROLLBACK").unwrap();
    }
    client
        .batch_execute(&format!("BEGIN;{root}{line}{}COMMIT;", claim(300)))
        .unwrap();
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    engine: EngineArgs,
}

fn engine(database: &Database, arguments: &[&str]) -> Result<String, String> {
    let url = database.url();
    let place = [
        "engine",
        "--database",
        &url,
        "--now",
        "2026-04-22T08:00:00Z",
        "payout",
    ];
    let cli = Cli::try_parse_from(place.iter().chain(arguments)).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    engine::answer(cli.engine, &mut out).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn an_operator_binds_publishes_and_hands_proofs_out() {
    let database = migrated();
    credited(&database);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("root.json");
    let path = file.to_str().unwrap();

    let refused = engine(&database, &["proof", "owner-1"]).unwrap_err();
    assert!(refused.contains("engine payout address"), "{refused}");
    let refused = engine(&database, &["root", "--out", path]).unwrap_err();
    assert!(refused.contains("nobody can claim anything yet"), "{refused}");
    let mistyped = ONE.replace("BeAed", "Beaed");
    let refused = engine(&database, &["address", "owner-1", &mistyped]).unwrap_err();
    assert!(refused.contains("EIP-55"), "{refused}");
    let refused = engine(&database, &["root", "--program", "nobodys"]).unwrap_err();
    assert!(refused.contains("nobodys"), "{refused}");

    engine(&database, &["address", "owner-1", ONE]).unwrap();
    let said = engine(&database, &["address", "stranger", OTHER]).unwrap();
    assert!(said.contains("Nothing was credited to stranger yet"), "{said}");
    let said = engine(&database, &["root", "--out", path]).unwrap();
    assert!(said.contains("Root 2 of evening-flex in FLEX: 0x"), "{said}");
    let written = fs::read(&file).unwrap();
    let totals: Value = serde_json::from_slice(&fs::read(format!("{path}.totals.json")).unwrap()).unwrap();
    assert_eq!(totals["claimable"][0]["addresses"][0]["address"], ONE);
    assert_eq!(totals["not_claimable_yet"][0]["beneficiary"], "owner-2");
    assert_eq!(totals["not_claimable_yet"][0]["amount"], "200");

    let said = engine(&database, &["root", "--out", path]).unwrap();
    assert!(said.contains("as before"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), written);

    let proof: Value = serde_json::from_str(&engine(&database, &["proof", "owner-1"]).unwrap()).unwrap();
    let dump: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(proof["claims"][0]["root"], dump["tree"][0]);
    assert_eq!(proof["claims"][0]["amount"], "300");
    assert_eq!(totals["root"], dump["tree"][0]);
}

#[test]
fn an_operator_is_warned_where_the_ledger_paid_the_same_out() {
    let database = migrated();
    let mut client = credited(&database);
    let said = engine(&database, &["root"]).unwrap();
    assert!(!said.contains("WARNING"), "{said}");
    pay_out(&mut client, &[(1, 120), (2, 200)]);
    bind(&mut client, 1, ONE);
    let said = engine(&database, &["root"]).unwrap();
    // Owner 2 cannot claim.
    assert!(said.contains("WARNING: 0.000120 FLEX went out"), "{said}");
}

#[test]
fn who_claims_on_chain_is_not_paid_by_the_ledger_as_well() {
    let database = migrated();
    let mut client = credited(&database);
    bind(&mut client, 1, ONE);
    publish(&mut client);
    let batch: Holder = "m-1".parse().unwrap();
    payouts::mature(&mut client, &batch, &flex(), &BTreeMap::new(), at(5)).unwrap();
    let both = BTreeMap::from([(owner(1), tokens(120)), (owner(2), tokens(200))]);
    let refused = payouts::create(&mut client, &batch, &flex(), &both, at(6)).unwrap_err();
    assert!(
        refused.to_string().starts_with("owner-1 may claim FLEX on chain"),
        "{refused}"
    );
    let other = BTreeMap::from([(owner(2), tokens(200))]);
    let created = payouts::create(&mut client, &batch, &flex(), &other, at(6)).unwrap();
    assert!(matches!(created, Creation::Created));
}
