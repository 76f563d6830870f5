//! A ledger in a real PostgreSQL, and what is booked in it.
#![allow(dead_code, reason = "not every test needs all of it")]

pub mod hostile;

use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::ledger::{AccountName, Entry, Transaction, TransactionKey};
use gridtally_settlement::store::Store;
use gridtally_settlement::store::ledger::{self, Law};
use postgres::Client;

use super::cluster::Database;

pub fn migrated() -> Database {
    let database = Database::create();
    Store::open(&database.url()).unwrap();
    database
}

/// A session as the engine works.
pub fn app(database: &Database) -> Client {
    let mut client = database.connect();
    ledger::work_as_app(&mut client).unwrap();
    client
}

pub fn flex() -> Asset {
    Asset::new("FLEX", 6).unwrap()
}

pub fn tokens(base_units: i128) -> TokenAmount {
    TokenAmount::new(base_units).unwrap()
}

pub fn deposit(reference: u32, amount: i128) -> Transaction {
    let key = TransactionKey::deposit("grid", &reference.to_string()).unwrap();
    let escrow = AccountName::escrow("evening-flex").unwrap();
    Transaction::deposit(key, Timestamp::EPOCH, escrow, &flex(), tokens(amount)).unwrap()
}

pub fn settlement(event: &str, shares: &[(u32, i128)]) -> Transaction {
    let entry = |account, amount| Entry {
        account,
        asset: flex(),
        amount: tokens(amount),
    };
    let total: i128 = shares.iter().map(|(_, share)| share).sum();
    let mut entries = vec![entry(AccountName::escrow("evening-flex").unwrap(), -total)];
    for (owner, share) in shares {
        entries.push(entry(
            AccountName::beneficiary(&format!("owner-{owner}")).unwrap(),
            *share,
        ));
    }
    Transaction::new(
        TransactionKey::settlement(event.parse().unwrap(), 1),
        Timestamp::EPOCH,
        entries,
    )
    .unwrap()
}

pub fn balance(client: &mut Client, account: &str) -> i128 {
    let account: AccountName = account.parse().unwrap();
    let balances = ledger::balances(client).unwrap();
    balances
        .iter()
        .find(|b| b.account == account)
        .map_or(0, |b| b.amount.base_units())
}

pub fn assert_sound(client: &mut Client) {
    for trial in ledger::trial_balance(client).unwrap() {
        assert!(trial.holds(), "{trial:?}");
    }
    let audit = ledger::verify(client).unwrap();
    assert!(audit.holds(), "{audit:?}");
}

pub fn law_of(result: Result<(), postgres::Error>) -> Option<Law> {
    Law::broken_in(&result.expect_err("this must be refused"))
}
