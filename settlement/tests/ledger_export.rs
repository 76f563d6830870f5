//! Exports of a ledger in a real PostgreSQL, read by a real beancount.

mod books;
mod cluster;

use std::fs;
use std::path::Path;
use std::process::Command;

use books::{app, deposit, flex, migrated, settlement, tokens};
use cluster::Database;
use gridtally_protocol::quantity::{Asset, TOKEN_AMOUNT_MAX};
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::cli::ledger::{BalancesArgs, ExportArgs, LedgerCommand, run};
use gridtally_settlement::ledger::export::Format;
use gridtally_settlement::ledger::{AccountName, Entry, Transaction, TransactionKey};
use gridtally_settlement::store::Store;
use gridtally_settlement::store::ledger::{self, reservations};

fn booked(database: &Database) -> Store {
    let mut client = app(database);
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    // 38 digits, 18 decimals, a code that begins with a digit, and a holder that no other program would take.
    let asset = Asset::new("2WATT", 18).unwrap();
    let key = TransactionKey::deposit("grid", "w").unwrap();
    let escrow = AccountName::escrow("Z_evening.flex").unwrap();
    let all = tokens(TOKEN_AMOUNT_MAX);
    let watts = Transaction::deposit(key, at("2026-04-23T18:00:00Z"), escrow.clone(), &asset, all).unwrap();
    let entry = |account, amount| Entry {
        account,
        asset: asset.clone(),
        amount: tokens(amount),
    };
    let shares = vec![
        entry(escrow, 2 - TOKEN_AMOUNT_MAX),
        entry(
            AccountName::beneficiary("did:key:zZ").unwrap(),
            TOKEN_AMOUNT_MAX - 3,
        ),
        entry(AccountName::beneficiary("_").unwrap(), 1),
    ];
    // Booked on an earlier day than what is before it in the journal.
    let key = TransactionKey::settlement("watts".parse().unwrap(), 1);
    let earlier = Transaction::new(key, at("2026-04-22T00:00:00Z"), shares).unwrap();
    ledger::post(
        &mut client,
        &[
            watts,
            earlier,
            deposit(1, 1_000),
            settlement("evening", &[(1, 300)]),
        ],
    )
    .unwrap();
    let name = "evening-flex/e".parse().unwrap();
    let (now, end) = (at("2026-04-23T18:00:00Z"), at("2026-04-24T18:00:00Z"));
    reservations::reserve(&mut client, &name, &flex(), tokens(7), end, now).unwrap();
    Store::open(&database.url()).unwrap()
}

fn exported(store: &mut Store, format: Format, until: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    let command = LedgerCommand::Export(ExportArgs {
        format,
        until,
        output: None,
    });
    run(&command, store, Timestamp::EPOCH, &mut out).unwrap();
    out
}

fn check(export: &Path, balances: &Path) -> (bool, String) {
    let python = std::env::var_os("GRIDTALLY_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/ledger/check.py"))
        .args([export, balances])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap_or_else(|error| panic!("{} does not start ({error}); ./test makes it", python.display()));
    let said = String::from_utf8_lossy(if output.status.success() {
        &output.stdout
    } else {
        &output.stderr
    });
    (output.status.success(), said.into_owned())
}

#[test]
fn beancount_finds_our_export_balanced_and_its_balances_are_ours() {
    let database = migrated();
    let mut store = booked(&database);
    let directory = tempfile::tempdir().unwrap();
    let (export, balances) = (
        directory.path().join("ledger.beancount"),
        directory.path().join("balances.json"),
    );
    let text = exported(&mut store, Format::Beancount, None);
    fs::write(&export, &text).unwrap();
    let mut out = Vec::new();
    let show = LedgerCommand::Balances(BalancesArgs {
        at: None,
        place: None,
        json: true,
    });
    run(&show, &mut store, Timestamp::EPOCH, &mut out).unwrap();
    fs::write(&balances, out).unwrap();
    let (agreed, said) = check(&export, &balances);
    assert!(agreed, "{said}");
    assert_eq!(said, "5 transactions, 8 balances, 8 assertions\n");

    // And it would say so if it were not: one base unit of 10²⁰ tokens, and of a balance alone.
    let text = String::from_utf8(text).unwrap();
    let nines = "  99999999999999999999.999999999999999996 N.2WATT";
    let off = text.replacen(nines, &nines.replace("6 N", "5 N"), 1);
    assert_ne!(off, text);
    fs::write(&export, off).unwrap();
    assert!(!check(&export, &balances).0);
    let asserted = "0.000700 ~ 0 FLEX";
    let off = text.replace("0.000693 ~ 0 FLEX", asserted);
    assert!(off.contains(asserted), "{text}");
    fs::write(&export, off).unwrap();
    assert!(!check(&export, &balances).0);
}

#[test]
fn the_same_journal_gives_the_same_bytes() {
    let database = migrated();
    let mut store = booked(&database);
    for format in [Format::Hledger, Format::Beancount, Format::Csv, Format::Json] {
        let before = exported(&mut store, format, None);
        assert_eq!(exported(&mut store, format, Some(5)), before);
        assert_ne!(exported(&mut store, format, Some(4)), before);
    }
    let csv = String::from_utf8(exported(&mut store, Format::Csv, None)).unwrap();
    let entries = 2 + 3 + 2 + 2 + 2;
    assert_eq!(csv.lines().count(), 1 + entries);
    assert!(csv.contains(",beneficiary:did:key:zZ,2WATT,18,99999999999999999999999999999999999996,99999999999999999999.999999999999999996\n"), "{csv}");
}

#[test]
fn verifying_says_how_the_journal_ends() {
    let database = migrated();
    let mut store = booked(&database);
    let mut out = Vec::new();
    run(
        &LedgerCommand::Verify { json: false },
        &mut store,
        Timestamp::EPOCH,
        &mut out,
    )
    .unwrap();
    let said = String::from_utf8(out).unwrap();
    assert!(said.starts_with("5 transactions: "), "{said}");

    // The superuser changes the past and mends every digest that stands beside it; the chain is what is left.
    database
        .connect()
        .batch_execute(
            "SET session_replication_role = replica;
             ALTER TABLE ledger.link DISABLE TRIGGER ALL;
             UPDATE ledger.link SET hash = sha256('x') WHERE sequence = 2",
        )
        .unwrap();
    let found = run(
        &LedgerCommand::Verify { json: false },
        &mut store,
        Timestamp::EPOCH,
        &mut Vec::new(),
    );
    let said = found.unwrap_err().to_string();
    assert!(
        said.starts_with("the hash at place 2 of the journal is "),
        "{said}"
    );
}
