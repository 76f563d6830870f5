//! Posting: a batch of transactions in a few statements, however many there are.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::read::{self, find};
use super::{LedgerError, Posted};
use crate::ledger::{AccountName, Entry, Transaction, TransactionKey};
use crate::store::types::to_column;

/// A payment of an operator into a program's escrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit<'d> {
    /// Who pays.
    pub operator: &'d str,
    /// The operator's own reference of the payment: the same one again is the same payment.
    pub reference: &'d str,
    /// For which program.
    pub program: &'d str,
    /// In what.
    pub asset: &'d Asset,
    /// How much, more than nothing.
    pub amount: TokenAmount,
}

/// Books an operator's payment, booked at `now` unless it was booked before.
///
/// # Errors
/// [`LedgerError::Conflict`] where the operator used the reference for another payment.
pub fn deposit(
    client: &mut impl GenericClient,
    deposit: &Deposit<'_>,
    now: Timestamp,
) -> Result<(Posted, Transaction), LedgerError> {
    let key = TransactionKey::deposit(deposit.operator, deposit.reference)?;
    let escrow = AccountName::escrow(deposit.program)?;
    let booked_at = find(client, &key)?.map_or(now, |before| before.transaction.booked_at());
    let transaction = Transaction::deposit(key, booked_at, escrow, deposit.asset, deposit.amount)?;
    let posted = post(client, std::slice::from_ref(&transaction))?;
    Ok((posted.first().copied().unwrap_or(Posted::Before), transaction))
}

/// Keeps other writers of the journal out until the database transaction ends. What decides by looking at the ledger
/// takes it first.
///
/// # Errors
/// [`LedgerError::Database`].
pub fn lock_journal(client: &mut impl GenericClient) -> Result<(), LedgerError> {
    client.batch_execute("SELECT ledger.lock_journal()")?;
    Ok(())
}

/// Posts transactions, all or none, in a few statements however many there are.
///
/// What was posted before with the same content is left as it is. In a transaction of the caller, everything
/// else of the caller's commits with it. One batch is posted at a time: the journal is one chain.
///
/// # Errors
/// [`LedgerError::Refused`] where a law would be broken, [`LedgerError::Conflict`] where a key stands for
/// something else already; then nothing is posted.
pub fn post(client: &mut impl GenericClient, offered: &[Transaction]) -> Result<Vec<Posted>, LedgerError> {
    let mut batch: BTreeMap<&TransactionKey, &Transaction> = BTreeMap::new();
    for transaction in offered {
        let first = *batch.entry(transaction.key()).or_insert(transaction);
        require_same(transaction, first.digest())?;
    }
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    insert_assets(&mut tx, &batch)?;
    insert_accounts(&mut tx, &batch)?;
    let fresh = insert_heads(&mut tx, &batch)?;
    check_repetitions(&mut tx, &batch, &fresh)?;
    insert_entries(&mut tx, &batch, &fresh)?;
    // Deferred laws speak here, where their error can be told apart.
    tx.batch_execute(
        "SET CONSTRAINTS ledger.require_entries IMMEDIATE; SET CONSTRAINTS ledger.require_entries DEFERRED",
    )?;
    tx.commit()?;
    let mut unseen: BTreeSet<&str> = fresh.keys().map(String::as_str).collect();
    let outcome = |t: &Transaction| {
        if unseen.remove(t.key().to_string().as_str()) {
            Posted::New
        } else {
            Posted::Before
        }
    };
    Ok(offered.iter().map(outcome).collect())
}

type Batch<'t> = BTreeMap<&'t TransactionKey, &'t Transaction>;

fn require_same(offered: &Transaction, posted: Digest) -> Result<(), LedgerError> {
    if offered.digest() == posted {
        return Ok(());
    }
    Err(LedgerError::Conflict {
        key: Box::new(offered.key().clone()),
        posted,
        offered: offered.digest(),
    })
}

fn entries_of<'t>(batch: &Batch<'t>) -> impl Iterator<Item = &'t Entry> {
    batch.values().flat_map(|t| t.entries())
}

fn insert_assets(client: &mut impl GenericClient, batch: &Batch<'_>) -> Result<(), LedgerError> {
    let assets: BTreeSet<&Asset> = entries_of(batch).map(|e| &e.asset).collect();
    let codes: Vec<&str> = assets.iter().map(|a| a.code()).collect();
    let decimals: Vec<i16> = assets.iter().map(|a| i16::from(a.decimals())).collect();
    client.execute(
        "INSERT INTO ledger.asset (code, decimals)
         SELECT code, decimals FROM unnest($1::text[], $2::smallint[]) AS offered (code, decimals) ORDER BY code
         ON CONFLICT (code) DO NOTHING",
        &[&codes, &decimals],
    )?;
    let known = client.query(
        "SELECT code, decimals FROM ledger.asset WHERE code = ANY($1)",
        &[&codes],
    )?;
    let known: BTreeMap<String, i16> = known.iter().map(|row| (row.get(0), row.get(1))).collect();
    for asset in assets {
        match known.get(asset.code()) {
            Some(decimals) if *decimals == i16::from(asset.decimals()) => {}
            Some(decimals) => {
                let (code, offered) = (asset.code().to_owned(), asset.decimals());
                return Err(LedgerError::Decimals {
                    code,
                    known: *decimals,
                    offered,
                });
            }
            None => {
                return Err(LedgerError::Corrupt {
                    what: format!("asset {} vanished", asset.code()),
                });
            }
        }
    }
    Ok(())
}

fn insert_accounts(client: &mut impl GenericClient, batch: &Batch<'_>) -> Result<(), LedgerError> {
    let accounts: BTreeSet<(String, &str)> = entries_of(batch)
        .map(|e| (e.account.to_string(), e.asset.code()))
        .collect();
    let names: Vec<&str> = accounts.iter().map(|(name, _)| name.as_str()).collect();
    let assets: Vec<&str> = accounts.iter().map(|(_, asset)| *asset).collect();
    client.execute(
        "INSERT INTO ledger.account (name, asset)
         SELECT name, asset FROM unnest($1::text[], $2::text[]) AS offered (name, asset)
         WHERE NOT EXISTS (SELECT FROM ledger.account a WHERE (a.name, a.asset) = (offered.name, offered.asset))
         ORDER BY name, asset
         ON CONFLICT (name, asset) DO NOTHING",
        &[&names, &assets],
    )?;
    Ok(())
}

/// Inserts the heads that are new; returns their numbers by key.
fn insert_heads(
    client: &mut impl GenericClient,
    batch: &Batch<'_>,
) -> Result<BTreeMap<String, i64>, LedgerError> {
    let keys: Vec<String> = batch.keys().map(ToString::to_string).collect();
    let kinds: Vec<&str> = batch.keys().map(|key| key.kind().name()).collect();
    let booked: Vec<DateTime<Utc>> = batch.values().map(|t| to_column(t.booked_at())).collect();
    let ends: Vec<Option<DateTime<Utc>>> = batch.values().map(|t| t.expires_at().map(to_column)).collect();
    let counts: Vec<i32> = batch
        .values()
        .map(|t| i32::try_from(t.entries().len()).unwrap_or(i32::MAX))
        .collect();
    let digests: Vec<Vec<u8>> = batch.values().map(|t| t.digest().as_bytes().to_vec()).collect();
    let rows = client.query(
        "INSERT INTO ledger.transaction (key, kind, booked_at, expires_at, entry_count, content_digest)
         SELECT key, kind, booked_at, expires_at, entry_count, content_digest
         FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::bytea[])
              AS offered (key, kind, booked_at, expires_at, entry_count, content_digest)
         ORDER BY key COLLATE \"C\"
         ON CONFLICT (key) DO NOTHING
         RETURNING key, transaction_id",
        &[&keys, &kinds, &booked, &ends, &counts, &digests],
    )?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// What was there before has to be the same.
fn check_repetitions(
    client: &mut impl GenericClient,
    batch: &Batch<'_>,
    fresh: &BTreeMap<String, i64>,
) -> Result<(), LedgerError> {
    let repeated = batch
        .iter()
        .map(|(key, t)| (key.to_string(), *t))
        .filter(|(key, _)| !fresh.contains_key(key));
    let repeated: BTreeMap<String, &Transaction> = repeated.collect();
    if repeated.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = repeated.keys().map(String::as_str).collect();
    let rows = client.query(
        "SELECT key, content_digest FROM ledger.transaction WHERE key = ANY($1)",
        &[&keys],
    )?;
    for row in rows {
        let key: String = row.get(0);
        let Some(transaction) = repeated.get(&key) else {
            continue;
        };
        require_same(transaction, read::digest(&row.get::<_, Vec<u8>>(1), &key)?)?;
    }
    Ok(())
}

fn insert_entries(
    client: &mut impl GenericClient,
    batch: &Batch<'_>,
    fresh: &BTreeMap<String, i64>,
) -> Result<(), LedgerError> {
    let (mut numbers, mut positions) = (vec![], vec![]);
    let (mut names, mut assets, mut amounts) = (vec![], vec![], vec![]);
    for (key, transaction) in batch {
        let Some(number) = fresh.get(&key.to_string()) else {
            continue;
        };
        for (position, entry) in (1_i32..).zip(transaction.entries()) {
            numbers.push(*number);
            positions.push(position);
            names.push(entry.account.to_string());
            assets.push(entry.asset.code());
            amounts.push(entry.amount.base_units().to_string());
        }
    }
    if numbers.is_empty() {
        return Ok(());
    }
    client.execute(
        "INSERT INTO ledger.entry (transaction_id, position, account_id, asset, amount)
         SELECT offered.transaction_id, offered.position, a.account_id, a.asset, offered.amount::numeric
         FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[])
              AS offered (transaction_id, position, name, asset, amount)
         JOIN ledger.account a ON (a.name, a.asset) = (offered.name, offered.asset)",
        &[&numbers, &positions, &names, &assets, &amounts],
    )?;
    Ok(())
}
