//! The measurement of the ledger: posting under all its laws, beside the bare insert of the same rows.

use std::path::Path;
use std::time::{Duration, Instant};

use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use postgres::{Client, NoTls};

use super::BenchError;
use super::scratch::Scratch;
use crate::ledger::{AccountName, Entry, Transaction, TransactionKey};
use crate::store::ledger::{self, LedgerError};
use crate::store::{Store, StoreError, create_beside};
use crate::supervise::PrivateCluster;

/// A way in which transactions come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerShape {
    /// What it is called.
    pub name: &'static str,
    /// How many transactions there are.
    pub transactions: u32,
    /// How many owners each pays, out of one escrow.
    pub owners: u32,
    /// How many owners there are.
    pub accounts: u32,
    /// How many are posted together.
    pub batch: usize,
}

/// What was measured with one shape.
#[derive(Debug, Clone, Copy)]
pub struct LedgerFigures {
    /// Which.
    pub shape: LedgerShape,
    /// How many entries the transactions have together.
    pub entries: u64,
    /// To insert and commit the same rows into tables of the same columns and keys, without any law.
    pub bare: Duration,
    /// To post them.
    pub posted: Duration,
}

const BARE: &str = "CREATE SCHEMA bare;
    CREATE TABLE bare.transaction (transaction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text UNIQUE,
        kind text, booked_at timestamptz, entry_count integer, content_digest bytea, recorded_at timestamptz DEFAULT now());
    CREATE TABLE bare.entry (transaction_id bigint, position integer, account_id bigint, asset text, amount numeric,
        PRIMARY KEY (transaction_id, position), UNIQUE (account_id, transaction_id))";

/// Measures each shape in a scratch directory below `parent`; `progress` hears what is being done.
///
/// # Errors
/// [`BenchError`] that says what went wrong; nothing is left behind.
pub fn ledger(
    shapes: &[LedgerShape],
    parent: &Path,
    mut progress: impl FnMut(&str),
) -> Result<Vec<LedgerFigures>, BenchError> {
    progress("starting a private database");
    let scratch = Scratch::make(parent)?;
    let cluster = PrivateCluster::start(scratch.path())?;
    let mut figures = Vec::with_capacity(shapes.len());
    for (shape, number) in shapes.iter().zip(0_u32..) {
        progress(&format!("{}: {} transactions", shape.name, shape.transactions));
        let transactions = workload(*shape)?;
        let posted = {
            let url = create_beside(&cluster.connection_string(), &format!("posted_{number}"))?;
            let mut client = prepared(&url, shape.accounts)?;
            let start = Instant::now();
            post(&mut client, &transactions, shape.batch)?;
            start.elapsed()
        };
        let bare = {
            let url = create_beside(&cluster.connection_string(), &format!("bare_{number}"))?;
            let mut client = prepared(&url, shape.accounts)?;
            bare(&mut client, &transactions, shape.batch)?
        };
        let entries = transactions.iter().map(|t| t.entries().len()).sum::<usize>();
        figures.push(LedgerFigures {
            shape: *shape,
            entries: u64::try_from(entries).unwrap_or(u64::MAX),
            bare,
            posted,
        });
    }
    Ok(figures)
}

fn post(client: &mut Client, transactions: &[Transaction], batch: usize) -> Result<(), LedgerError> {
    for some in transactions.chunks(batch) {
        ledger::post(client, some)?;
    }
    Ok(())
}

fn run(client: &mut Client, sql: &str) -> Result<(), BenchError> {
    Ok(client.batch_execute(sql).map_err(StoreError::from)?)
}

/// A ledger with money in escrow, in which every owner has an account.
fn prepared(url: &str, accounts: u32) -> Result<Client, BenchError> {
    Store::open(url)?;
    let mut client = Client::connect(url, NoTls).map_err(StoreError::from)?;
    let all: Vec<u32> = (0..accounts).collect();
    let key = TransactionKey::deposit("bench", "all")?;
    let escrow = AccountName::escrow("bench")?;
    let amount = TokenAmount::new(1_000_000_000_000).map_err(overflow)?;
    let deposit = Transaction::deposit(key, Timestamp::EPOCH, escrow, &asset()?, amount)?;
    ledger::post(&mut client, &[deposit, settlement("warm-up", &all)?])?;
    run(&mut client, "ANALYZE")?;
    ledger::work_as_app(&mut client)?;
    Ok(client)
}

fn workload(shape: LedgerShape) -> Result<Vec<Transaction>, BenchError> {
    let of = |number: u32| {
        // Spread over the owners, another set for each.
        let first = number.wrapping_mul(7_919);
        let owners: Vec<u32> = (0..shape.owners)
            .map(|n| first.wrapping_add(n) % shape.accounts.max(1))
            .collect();
        settlement(&format!("event-{number}"), &owners)
    };
    (0..shape.transactions).map(of).collect()
}

fn settlement(event: &str, owners: &[u32]) -> Result<Transaction, BenchError> {
    let asset = asset()?;
    let entry = |account, units| {
        Ok::<_, BenchError>(Entry {
            account,
            asset: asset.clone(),
            amount: TokenAmount::new(units).map_err(overflow)?,
        })
    };
    let mut entries = vec![];
    let mut total = 0_i128;
    for owner in owners {
        let units = i128::from(owner % 1_000).saturating_add(1);
        total = total.saturating_add(units);
        entries.push(entry(
            AccountName::beneficiary(&format!("owner-{owner}"))?,
            units,
        )?);
    }
    entries.push(entry(AccountName::escrow("bench")?, total.saturating_neg())?);
    let event = event
        .parse()
        .map_err(|e| BenchError::Ledger(Box::new(corrupt(&e))))?;
    Ok(Transaction::new(
        TransactionKey::settlement(event, 1),
        Timestamp::EPOCH,
        entries,
    )?)
}

fn asset() -> Result<Asset, BenchError> {
    Asset::new("FLEX", 6).map_err(|e| BenchError::Ledger(Box::new(corrupt(&e))))
}

fn overflow(error: gridtally_protocol::quantity::Overflow) -> BenchError {
    BenchError::Ledger(Box::new(corrupt(&error)))
}

fn corrupt(what: &impl ToString) -> LedgerError {
    LedgerError::Corrupt {
        what: what.to_string(),
    }
}

/// The rows of a batch as columns, ready to be sent.
#[derive(Default)]
struct Rows {
    keys: Vec<String>,
    counts: Vec<i32>,
    digests: Vec<Vec<u8>>,
    heads: Vec<i64>,
    positions: Vec<i32>,
    accounts: Vec<i64>,
    amounts: Vec<String>,
}

fn bare(client: &mut Client, transactions: &[Transaction], batch: usize) -> Result<Duration, BenchError> {
    run(client, "RESET ROLE")?;
    run(client, BARE)?;
    let accounts = client
        .query("SELECT name, account_id FROM ledger.account", &[])
        .map_err(StoreError::from)?;
    let accounts: std::collections::HashMap<String, i64> =
        accounts.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut number = 0_i64;
    let mut batches = vec![];
    for some in transactions.chunks(batch) {
        let mut rows = Rows::default();
        for transaction in some {
            number = number.saturating_add(1);
            rows.keys.push(transaction.key().to_string());
            rows.counts
                .push(i32::try_from(transaction.entries().len()).unwrap_or(i32::MAX));
            rows.digests.push(transaction.digest().as_bytes().to_vec());
            for (entry, position) in transaction.entries().iter().zip(1..) {
                rows.heads.push(number);
                rows.positions.push(position);
                rows.accounts
                    .push(accounts.get(&entry.account.to_string()).copied().unwrap_or(0));
                rows.amounts.push(entry.amount.base_units().to_string());
            }
        }
        batches.push(rows);
    }
    let start = Instant::now();
    for rows in &batches {
        insert(client, rows).map_err(StoreError::from)?;
    }
    Ok(start.elapsed())
}

fn insert(client: &mut Client, rows: &Rows) -> Result<(), postgres::Error> {
    let mut tx = client.transaction()?;
    tx.execute(
        "INSERT INTO bare.transaction (key, kind, booked_at, entry_count, content_digest)
         SELECT key, 'settlement', 'epoch', entry_count, content_digest
         FROM unnest($1::text[], $2::integer[], $3::bytea[]) AS offered (key, entry_count, content_digest)",
        &[&rows.keys, &rows.counts, &rows.digests],
    )?;
    tx.execute(
        "INSERT INTO bare.entry (transaction_id, position, account_id, asset, amount)
         SELECT transaction_id, position, account_id, 'FLEX', amount::numeric
         FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::text[])
              AS offered (transaction_id, position, account_id, amount)",
        &[&rows.heads, &rows.positions, &rows.accounts, &rows.amounts],
    )?;
    tx.commit()
}
