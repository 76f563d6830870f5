//! The laws of the ledger, in a real PostgreSQL.

mod books;
mod cluster;

use std::sync::Barrier;
use std::thread;

use books::{app, assert_sound, balance, deposit, flex, law_of, migrated, settlement, tokens};
use cluster::Database;
use gridtally_protocol::quantity::Asset;
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::ledger::{AccountName, Entry, Transaction, TransactionKey};
use gridtally_settlement::store::Store;
use gridtally_settlement::store::ledger::{self, Law, LedgerError, Posted};
use postgres::Client;
use proptest::prelude::*;

#[test]
fn a_deposit_and_a_settlement_move_the_balances() {
    let database = migrated();
    let mut client = app(&database);
    let batch = [deposit(1, 1_000), settlement("evening", &[(1, 300), (2, 200)])];
    assert_eq!(
        ledger::post(&mut client, &batch).unwrap(),
        [Posted::New, Posted::New]
    );
    assert_eq!(balance(&mut client, "escrow:evening-flex"), 500);
    assert_eq!(balance(&mut client, "beneficiary:owner-1"), 300);
    assert_eq!(balance(&mut client, "issuance"), -1_000);
    assert_sound(&mut client);

    let journal = ledger::journal(&mut client, 0, 10).unwrap();
    assert_eq!(
        journal.iter().map(|r| &r.transaction).collect::<Vec<_>>(),
        [&batch[0], &batch[1]]
    );
    let rest = ledger::journal(&mut client, journal[0].number, 10).unwrap();
    assert_eq!(rest, journal[1..]);
    let history = ledger::history(&mut client, &"escrow:evening-flex".parse().unwrap()).unwrap();
    let lines: Vec<_> = history
        .iter()
        .map(|m| (m.amount.base_units(), m.balance.base_units()))
        .collect();
    assert_eq!(lines, [(1_000, 1_000), (-500, 500)]);
}

#[test]
fn the_same_key_books_once_and_another_content_is_refused() {
    let database = migrated();
    let mut client = app(&database);
    ledger::post(&mut client, &[deposit(1, 1_000)]).unwrap();
    assert_eq!(
        ledger::post(&mut client, &[deposit(1, 1_000)]).unwrap(),
        [Posted::Before]
    );
    let both = [deposit(2, 5), deposit(2, 5)];
    assert_eq!(
        ledger::post(&mut client, &both).unwrap(),
        [Posted::New, Posted::Before]
    );

    let other = ledger::post(&mut client, &[deposit(3, 7), deposit(1, 1_001)]);
    assert!(matches!(other, Err(LedgerError::Conflict { .. })), "{other:?}");
    let two = ledger::post(&mut client, &[deposit(4, 7), deposit(4, 8)]);
    assert!(matches!(two, Err(LedgerError::Conflict { .. })), "{two:?}");
    assert_eq!(
        balance(&mut client, "escrow:evening-flex"),
        1_005,
        "a refused batch leaves nothing behind"
    );
    assert_sound(&mut client);
}

#[test]
fn no_escrow_and_no_beneficiary_can_be_overdrawn() {
    let database = migrated();
    let mut client = app(&database);
    ledger::post(&mut client, &[deposit(1, 100)]).unwrap();
    let refused = ledger::post(&mut client, &[settlement("evening", &[(1, 60), (2, 41)])]);
    let Err(LedgerError::Refused {
        law: Law::NoOverdraft,
        reason,
        ..
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(
        reason,
        "escrow:evening-flex holds 100 base units of FLEX, but 101 would be taken"
    );
    ledger::post(&mut client, &[settlement("evening", &[(1, 60), (2, 40)])]).unwrap();
    let taken_back = deposit(1, 100).reversal(Timestamp::EPOCH).unwrap();
    let refused = ledger::post(&mut client, &[taken_back]);
    assert!(
        matches!(
            refused,
            Err(LedgerError::Refused {
                law: Law::NoOverdraft,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_sound(&mut client);
}

#[test]
fn roundings_may_be_lacking_but_not_much() {
    let database = migrated();
    let mut client = app(&database);
    let lacking = |event: &str, amount: i128| {
        let entry = |account: &str, amount| Entry {
            account: account.parse().unwrap(),
            asset: flex(),
            amount: tokens(amount),
        };
        let entries = vec![
            entry("rounding:evening-flex", -amount),
            entry("beneficiary:owner-1", amount),
        ];
        Transaction::new(
            TransactionKey::settlement(event.parse().unwrap(), 1),
            Timestamp::EPOCH,
            entries,
        )
        .unwrap()
    };
    ledger::post(&mut client, &[lacking("one", 1_000_000)]).unwrap();
    let refused = ledger::post(&mut client, &[lacking("two", 1)]);
    assert!(
        matches!(
            refused,
            Err(LedgerError::Refused {
                law: Law::NoOverdraft,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn a_reversal_restores_every_balance_and_can_be_booked_once() {
    let database = migrated();
    let mut client = app(&database);
    let paid = settlement("evening", &[(1, 60), (2, 40)]);
    let back = paid.reversal(Timestamp::EPOCH).unwrap();
    ledger::post(&mut client, &[deposit(1, 100), paid]).unwrap();
    assert_eq!(
        ledger::post(&mut client, std::slice::from_ref(&back)).unwrap(),
        [Posted::New]
    );
    assert_eq!(ledger::post(&mut client, &[back]).unwrap(), [Posted::Before]);
    assert_eq!(balance(&mut client, "escrow:evening-flex"), 100);
    assert_eq!(balance(&mut client, "beneficiary:owner-1"), 0);
}

#[test]
fn an_amount_of_38_digits_is_kept_exactly() {
    let database = migrated();
    let mut client = app(&database);
    let all = gridtally_protocol::quantity::TOKEN_AMOUNT_MAX;
    ledger::post(&mut client, &[deposit(1, all)]).unwrap();
    assert_eq!(balance(&mut client, "issuance"), -all);
    let more = ledger::post(&mut client, &[deposit(2, 1)]);
    assert!(
        matches!(more, Err(LedgerError::Database(_))),
        "beyond 38 digits: {more:?}"
    );
    assert_sound(&mut client);
}

#[test]
fn an_asset_keeps_its_decimals() {
    let database = migrated();
    let mut client = app(&database);
    ledger::post(&mut client, &[deposit(1, 5)]).unwrap();
    let key = TransactionKey::deposit("grid", "2").unwrap();
    let escrow = AccountName::escrow("evening-flex").unwrap();
    let other = Asset::new("FLEX", 9).unwrap();
    let other = Transaction::deposit(key, Timestamp::EPOCH, escrow, &other, tokens(5)).unwrap();
    let refused = ledger::post(&mut client, &[other]);
    assert!(
        matches!(
            refused,
            Err(LedgerError::Decimals {
                known: 6,
                offered: 9,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn two_payments_at_once_cannot_overdraw_an_escrow() {
    let database = migrated();
    ledger::post(&mut app(&database), &[deposit(1, 100)]).unwrap();
    let start = Barrier::new(8);
    let paid = thread::scope(|scope| {
        let pay = |n: u32| {
            let (database, start) = (&database, &start);
            scope.spawn(move || {
                let mut client = app(database);
                let payment = settlement(&format!("event-{n}"), &[(n, 40)]);
                start.wait();
                ledger::post(&mut client, &[payment]).is_ok()
            })
        };
        let payments: Vec<_> = (0..8).map(pay).collect();
        payments
            .into_iter()
            .filter_map(|p| p.join().unwrap().then_some(()))
            .count()
    });
    assert_eq!(paid, 2);
    let mut client = app(&database);
    assert_eq!(balance(&mut client, "escrow:evening-flex"), 20);
    assert_sound(&mut client);
}

#[test]
fn without_the_right_to_create_roles_the_triggers_alone_keep_the_laws() {
    let database = Database::create();
    let mut superuser = database.connect();
    let name: String = superuser
        .query_one("SELECT current_database()::text", &[])
        .unwrap()
        .get(0);
    superuser
        .batch_execute(&format!(
            "CREATE ROLE tenant LOGIN; ALTER DATABASE \"{name}\" OWNER TO tenant"
        ))
        .unwrap();
    Store::open(&database.url_as("tenant")).unwrap();
    let mut tenant = database.connect_as("tenant");
    ledger::work_as_app(&mut tenant).unwrap();
    ledger::post(&mut tenant, &[deposit(1, 100), settlement("evening", &[(1, 60)])]).unwrap();
    for attack in [
        "UPDATE ledger.entry SET amount = 5",
        "UPDATE ledger.balance SET amount = 5",
        "TRUNCATE ledger.balance",
    ] {
        assert_eq!(
            law_of(tenant.batch_execute(attack)),
            Some(Law::AppendOnly),
            "{attack}"
        );
    }
    assert_sound(&mut tenant);
}

#[test]
fn a_role_that_may_create_roles_needs_not_be_superuser_and_databases_do_not_clash() {
    let one = Database::create();
    one.connect()
        .batch_execute("CREATE ROLE admin LOGIN CREATEROLE CREATEDB")
        .unwrap();
    for database in [one, Database::create()] {
        let mut superuser = database.connect();
        let name: String = superuser
            .query_one("SELECT current_database()::text", &[])
            .unwrap()
            .get(0);
        superuser
            .batch_execute(&format!("ALTER DATABASE \"{name}\" OWNER TO admin"))
            .unwrap();
        Store::open(&database.url_as("admin")).unwrap();
        let mut admin = database.connect_as("admin");
        ledger::work_as_app(&mut admin).unwrap();
        ledger::post(&mut admin, &[deposit(1, 100)]).unwrap();
        assert!(admin.batch_execute("DELETE FROM ledger.entry").is_err());
    }
}

#[test]
fn everything_in_the_schema_is_commented() {
    let database = migrated();
    let silent = database
        .connect()
        .query(
            "SELECT c.relname::text || coalesce('.' || a.attname, '') FROM pg_class c
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r'
             WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'v')
               AND (col_description(c.oid, a.attnum) IS NULL AND a.attnum IS NOT NULL OR obj_description(c.oid) IS NULL)
             UNION ALL SELECT proname::text FROM pg_proc
             WHERE pronamespace = 'ledger'::regnamespace AND obj_description(oid) IS NULL
             UNION ALL SELECT tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
             WHERE c.relnamespace = 'ledger'::regnamespace AND NOT tgisinternal AND obj_description(t.oid) IS NULL",
            &[],
        )
        .unwrap();
    let silent: Vec<String> = silent.iter().map(|row| row.get(0)).collect();
    assert_eq!(silent, Vec::<String>::new());
}

/// What one of several sessions does, one after the other.
#[derive(Debug, Clone)]
enum Step {
    Deposit { reference: u32, amount: i128 },
    Settle { event: u32, shares: Vec<(u32, i128)> },
}

fn step() -> impl Strategy<Value = Step> {
    let shares = prop::collection::btree_map(0_u32..5, 1_i128..400, 1..5);
    prop_oneof![
        (0_u32..6, 1_i128..500).prop_map(|(reference, amount)| Step::Deposit { reference, amount }),
        (0_u32..6, shares).prop_map(|(event, shares)| Step::Settle {
            event,
            shares: shares.into_iter().collect()
        }),
    ]
}

fn transaction_of(step: &Step) -> Transaction {
    match step {
        Step::Deposit { reference, amount } => deposit(*reference, *amount),
        Step::Settle { event, shares } => settlement(&format!("event-{event}"), shares),
    }
}

#[test]
fn any_interleaving_of_sessions_and_repetitions_leaves_a_ledger_that_adds_up() {
    let scripts = prop::collection::vec(
        prop::collection::vec(prop::collection::vec(step(), 1..4), 1..6),
        2..4,
    );
    let config = ProptestConfig {
        cases: 8,
        max_shrink_iters: 64,
        ..ProptestConfig::default()
    };
    proptest!(config, |(scripts in scripts)| {
        let database = migrated();
        let start = Barrier::new(scripts.len());
        let posted: Vec<Transaction> = thread::scope(|scope| {
            let sessions: Vec<_> = scripts.iter().map(|script| {
                let (database, start) = (&database, &start);
                scope.spawn(move || run_script(&mut app(database), script, start))
            }).collect();
            sessions.into_iter().flat_map(|s| s.join().unwrap()).collect()
        });
        let mut client = app(&database);
        assert_sound(&mut client);
        let journal = ledger::journal(&mut client, 0, 1_000).unwrap();
        for transaction in &posted {
            let found = journal.iter().filter(|r| r.transaction.key() == transaction.key()).collect::<Vec<_>>();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&found[0].transaction, transaction);
        }
        prop_assert!(journal.iter().all(|r| posted.contains(&r.transaction)));
        for balance in ledger::balances(&mut client).unwrap() {
            let entries = journal.iter().flat_map(|r| r.transaction.entries());
            let sum: i128 = entries.filter(|e| e.account == balance.account).map(|e| e.amount.base_units()).sum();
            prop_assert_eq!(balance.amount.base_units(), sum);
            prop_assert!(balance.account.lowest().is_none_or(|lowest| sum >= lowest));
        }
    });
}

/// Posts every batch twice; returns what the ledger took.
fn run_script(client: &mut Client, script: &[Vec<Step>], start: &Barrier) -> Vec<Transaction> {
    start.wait();
    let mut taken = Vec::new();
    for batch in script {
        let batch: Vec<Transaction> = batch.iter().map(transaction_of).collect();
        for _ in 0..2 {
            match ledger::post(client, &batch) {
                Ok(_) => taken.extend(batch.iter().cloned()),
                Err(
                    LedgerError::Conflict { .. }
                    | LedgerError::Refused {
                        law: Law::NoOverdraft,
                        ..
                    },
                ) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
    taken
}
