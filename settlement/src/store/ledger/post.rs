//! Posting: a batch of transactions in a few statements, however many there are.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use postgres::types::Type;
use postgres::{GenericClient, Row};

use super::accounts::Accounts;
use super::read::{self, find};
use super::{LedgerError, Posted};
use crate::ledger::{AccountName, Transaction, TransactionKey};
use crate::store::StoreError;
use crate::store::copy::{Rows, whole_numeric};
use crate::store::types::to_column;

/// More rows than this are copied; fewer are there sooner in one statement with its values.
pub(super) const COPIED_FROM: usize = 100;

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
    let (batch, repeated) = batch_of(offered)?;
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    let accounts = Accounts::open(&mut tx, batch.values().map(|head| head.transaction))?;
    let fresh = insert_heads(&mut tx, &batch)?;
    check_repetitions(&mut tx, &batch, &fresh)?;
    insert_entries(&mut tx, &fresh, &accounts)?;
    // Deferred laws speak here, where their error can be told apart.
    tx.batch_execute(
        "SET CONSTRAINTS ledger.require_entries IMMEDIATE; SET CONSTRAINTS ledger.require_entries DEFERRED",
    )?;
    tx.commit()?;
    let fresh: BTreeSet<&TransactionKey> = fresh.values().map(|head| head.transaction.key()).collect();
    let outcome = |(transaction, repeated): (&Transaction, bool)| match fresh.contains(transaction.key()) {
        true if !repeated => Posted::New,
        _ => Posted::Before,
    };
    Ok(offered.iter().zip(repeated).map(outcome).collect())
}

/// A transaction that is offered, and what is reckoned of it once.
struct Head<'t> {
    transaction: &'t Transaction,
    digest: Digest,
}

/// What is offered, by the text of the key, whose order is that of the journal.
type Batch<'t> = BTreeMap<String, Head<'t>>;

/// What is offered, and of each whether it was offered before in the same breath.
fn batch_of(offered: &[Transaction]) -> Result<(Batch<'_>, Vec<bool>), LedgerError> {
    let mut batch = Batch::new();
    let mut repeated = Vec::with_capacity(offered.len());
    for transaction in offered {
        let digest = transaction.digest();
        let head = Head { transaction, digest };
        match batch.entry(transaction.key().to_string()) {
            Entry::Occupied(first) => {
                head.require_same(first.get().digest)?;
                repeated.push(true);
            }
            Entry::Vacant(place) => {
                place.insert(head);
                repeated.push(false);
            }
        }
    }
    Ok((batch, repeated))
}

impl Head<'_> {
    fn require_same(&self, posted: Digest) -> Result<(), LedgerError> {
        if self.digest == posted {
            return Ok(());
        }
        Err(LedgerError::Conflict {
            key: Box::new(self.transaction.key().clone()),
            posted,
            offered: self.digest,
        })
    }
}

/// Inserts the heads that are new; returns them by their numbers.
fn insert_heads<'t, 'b>(
    client: &mut impl GenericClient,
    batch: &'b Batch<'t>,
) -> Result<BTreeMap<i64, &'b Head<'t>>, LedgerError> {
    let heads = || batch.values().map(|head| head.transaction);
    let keys: Vec<&str> = batch.keys().map(String::as_str).collect();
    let kinds: Vec<&str> = heads().map(|t| t.key().kind().name()).collect();
    let booked: Vec<DateTime<Utc>> = heads().map(|t| to_column(t.booked_at())).collect();
    let ends: Vec<Option<DateTime<Utc>>> = heads().map(|t| t.expires_at().map(to_column)).collect();
    let counts: Vec<i32> = heads()
        .map(|t| i32::try_from(t.entries().len()).unwrap_or(i32::MAX))
        .collect();
    let digests: Vec<&[u8]> = batch
        .values()
        .map(|head| head.digest.as_bytes().as_slice())
        .collect();
    let rows = client.query_typed(
        "INSERT INTO ledger.transaction (key, kind, booked_at, expires_at, entry_count, content_digest)
         SELECT key, kind, booked_at, expires_at, entry_count, content_digest
         FROM unnest($1, $2, $3, $4, $5, $6) AS offered (key, kind, booked_at, expires_at, entry_count, content_digest)
         ORDER BY key COLLATE \"C\"
         ON CONFLICT (key) DO NOTHING
         RETURNING transaction_id, key",
        &[
            (&keys, Type::TEXT_ARRAY),
            (&kinds, Type::TEXT_ARRAY),
            (&booked, Type::TIMESTAMPTZ_ARRAY),
            (&ends, Type::TIMESTAMPTZ_ARRAY),
            (&counts, Type::INT4_ARRAY),
            (&digests, Type::BYTEA_ARRAY),
        ],
    )?;
    let known = |row: &Row| Some((row.get(0), batch.get(row.get::<_, &str>(1))?));
    Ok(rows.iter().filter_map(known).collect())
}

/// What was there before has to be the same.
fn check_repetitions(
    client: &mut impl GenericClient,
    batch: &Batch<'_>,
    fresh: &BTreeMap<i64, &Head<'_>>,
) -> Result<(), LedgerError> {
    if fresh.len() == batch.len() {
        return Ok(());
    }
    let fresh: BTreeSet<&TransactionKey> = fresh.values().map(|head| head.transaction.key()).collect();
    let keys: Vec<&str> = batch
        .iter()
        .filter(|(_, head)| !fresh.contains(head.transaction.key()))
        .map(|(key, _)| key.as_str())
        .collect();
    let rows = client.query_typed(
        "SELECT key, content_digest FROM ledger.transaction WHERE key = ANY($1)",
        &[(&keys, Type::TEXT_ARRAY)],
    )?;
    for row in rows {
        let key: &str = row.get(0);
        if let Some(head) = batch.get(key) {
            head.require_same(read::digest(row.get(1), key)?)?;
        }
    }
    Ok(())
}

fn insert_entries(
    client: &mut impl GenericClient,
    fresh: &BTreeMap<i64, &Head<'_>>,
    accounts: &Accounts<'_>,
) -> Result<(), LedgerError> {
    let entries = fresh.iter().flat_map(|(number, head)| {
        let entries = head.transaction.entries().iter();
        (1_i32..)
            .zip(entries)
            .map(|(position, entry)| (*number, position, entry))
    });
    let count: usize = fresh.values().map(|head| head.transaction.entries().len()).sum();
    if count == 0 {
        return Ok(());
    }
    if count > COPIED_FROM {
        return copy_entries(client, entries, accounts);
    }
    let (mut numbers, mut positions, mut ids) = (vec![], vec![], vec![]);
    let (mut assets, mut amounts) = (vec![], vec![]);
    for (number, position, entry) in entries {
        numbers.push(number);
        positions.push(position);
        ids.push(accounts.id(entry)?);
        assets.push(entry.asset.code());
        amounts.push(entry.amount.base_units().to_string());
    }
    client.execute_typed(
        "INSERT INTO ledger.entry (transaction_id, position, account_id, asset, amount)
         SELECT transaction_id, position, account_id, asset, amount::numeric
         FROM unnest($1, $2, $3, $4, $5) AS offered (transaction_id, position, account_id, asset, amount)",
        &[
            (&numbers, Type::INT8_ARRAY),
            (&positions, Type::INT4_ARRAY),
            (&ids, Type::INT8_ARRAY),
            (&assets, Type::TEXT_ARRAY),
            (&amounts, Type::TEXT_ARRAY),
        ],
    )?;
    Ok(())
}

fn copy_entries<'e>(
    client: &mut impl GenericClient,
    entries: impl Iterator<Item = (i64, i32, &'e crate::ledger::Entry)>,
    accounts: &Accounts<'_>,
) -> Result<(), LedgerError> {
    let table = "ledger.entry (transaction_id, position, account_id, asset, amount)";
    let mut rows = Rows::into(client, table).map_err(told)?;
    let mut amount = Vec::new();
    for (number, position, entry) in entries {
        whole_numeric(entry.amount.base_units(), &mut amount);
        rows.row(&[
            &number.to_be_bytes(),
            &position.to_be_bytes(),
            &accounts.id(entry)?.to_be_bytes(),
            entry.asset.code().as_bytes(),
            &amount,
        ])
        .map_err(told)?;
    }
    rows.finish().map_err(told)
}

/// What the database said of a law, it said as the database.
pub(super) fn told(error: StoreError) -> LedgerError {
    match error {
        StoreError::Database(error) => error.into(),
        other => other.into(),
    }
}
