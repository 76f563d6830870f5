//! Reading back what was posted. What is read is checked again as if it were new.

use chrono::{DateTime, Utc};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::{LedgerError, Movement, Recorded};
use crate::ledger::{AccountName, Balance, Entry, Transaction, TransactionKey, TrialBalance};
use crate::store::types::to_column;

/// Every balance, by account and asset; those of nothing too.
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a row is none of ours.
pub fn balances(client: &mut impl GenericClient) -> Result<Vec<Balance>, LedgerError> {
    let rows = client.query(
        "SELECT a.name, s.code, s.decimals, b.amount::text
         FROM ledger.balance b JOIN ledger.account a USING (account_id) JOIN ledger.asset s ON s.code = a.asset",
        &[],
    )?;
    let mut balances = rows
        .iter()
        .map(balance)
        .collect::<Result<Vec<_>, LedgerError>>()?;
    balances.sort();
    Ok(balances)
}

/// A moment of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After everything that was booked at an instant or before it, whenever it was posted.
    Instant(Timestamp),
    /// After a place of the journal.
    Place(i64),
}

/// Every balance at a moment of the past: the present ones without what came after it, so that the time it takes
/// grows with how long ago that is.
///
/// # Errors
/// As [`balances`].
pub fn balances_at(client: &mut impl GenericClient, moment: Moment) -> Result<Vec<Balance>, LedgerError> {
    let query = |later: &str| {
        format!(
            "SELECT a.name, s.code, s.decimals, (b.amount - coalesce(later.amount, 0))::text
             FROM ledger.balance b JOIN ledger.account a USING (account_id) JOIN ledger.asset s ON s.code = a.asset
             LEFT JOIN (SELECT e.account_id, sum(e.amount) AS amount FROM {later} GROUP BY e.account_id) later
                 USING (account_id)"
        )
    };
    let entries = "JOIN ledger.entry e USING (transaction_id)";
    let rows = match moment {
        Moment::Instant(instant) => client.query(
            &query(&format!("ledger.transaction t {entries} WHERE t.booked_at > $1")),
            &[&to_column(instant)],
        ),
        Moment::Place(place) => client.query(
            &query(&format!("ledger.link l {entries} WHERE l.sequence > $1")),
            &[&place],
        ),
    }?;
    let mut balances = rows
        .iter()
        .map(balance)
        .collect::<Result<Vec<_>, LedgerError>>()?;
    balances.sort();
    Ok(balances)
}

fn balance(row: &Row) -> Result<Balance, LedgerError> {
    Ok(Balance {
        account: account(row.get(0))?,
        asset: asset(row.get(1), row.get(2))?,
        amount: amount(row.get(3))?,
    })
}

/// The proof by addition, asset by asset. Every one must [`TrialBalance::holds`].
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a row is none of ours.
pub fn trial_balance(client: &mut impl GenericClient) -> Result<Vec<TrialBalance>, LedgerError> {
    let rows = client.query(
        "SELECT asset, decimals, balances, entries, accounts_off FROM ledger.trial_balance ORDER BY asset",
        &[],
    )?;
    let read = |row: &Row| {
        Ok(TrialBalance {
            asset: asset(row.get(0), row.get(1))?,
            balances: amount(row.get(2))?,
            entries: amount(row.get(3))?,
            accounts_off: u64::try_from(row.get::<_, i64>(4)).unwrap_or(u64::MAX),
        })
    };
    rows.iter().map(read).collect()
}

/// At most `count_max` transactions of the journal after place `after`, in the order of posting.
///
/// Each is checked again as if it were new, and against its digest.
///
/// # Errors
/// [`LedgerError::Corrupt`] where a transaction is not what was once posted.
pub fn journal(
    client: &mut impl GenericClient,
    after: i64,
    count_max: u32,
) -> Result<Vec<Recorded>, LedgerError> {
    let heads =
        "SELECT l.sequence, l.hash, t.* FROM ledger.link l JOIN ledger.transaction t USING (transaction_id)
                 WHERE l.sequence > $1 ORDER BY l.sequence LIMIT $2";
    let rows = client.query(&transactions_among(heads), &[&after, &i64::from(count_max)])?;
    rows.chunk_by(|one, other| one.get::<_, i64>(0) == other.get::<_, i64>(0))
        .map(recorded)
        .collect()
}

/// The transaction of a key, where there is one.
///
/// # Errors
/// As [`journal`].
pub fn find(client: &mut impl GenericClient, key: &TransactionKey) -> Result<Option<Recorded>, LedgerError> {
    let heads =
        "SELECT l.sequence, l.hash, t.* FROM ledger.transaction t JOIN ledger.link l USING (transaction_id)
                 WHERE t.key = $1";
    let rows = client.query(&transactions_among(heads), &[&key.to_string()])?;
    if rows.is_empty() {
        Ok(None)
    } else {
        recorded(&rows).map(Some)
    }
}

fn transactions_among(heads: &str) -> String {
    format!(
        "SELECT t.sequence, t.key, t.booked_at, t.content_digest, a.name, s.code, s.decimals, e.amount::text,
                t.expires_at, t.hash
         FROM ({heads}) t
         JOIN ledger.entry e USING (transaction_id)
         JOIN ledger.account a USING (account_id)
         JOIN ledger.asset s ON s.code = e.asset
         ORDER BY t.sequence"
    )
}

fn recorded(rows: &[Row]) -> Result<Recorded, LedgerError> {
    let corrupt = |what: String| LedgerError::Corrupt { what };
    let Some(head) = rows.first() else {
        return Err(corrupt("a transaction without entries".to_owned()));
    };
    let text: String = head.get(1);
    let key: TransactionKey = text.parse().map_err(|e| corrupt(format!("{e}")))?;
    let entry = |row: &Row| {
        Ok(Entry {
            account: account(row.get(4))?,
            asset: asset(row.get(5), row.get(6))?,
            amount: amount(row.get(7))?,
        })
    };
    let entries = rows.iter().map(entry).collect::<Result<Vec<_>, LedgerError>>()?;
    let expires_at = head
        .get::<_, Option<DateTime<Utc>>>(8)
        .map(timestamp)
        .transpose()?;
    let transaction = Transaction::assemble(key, timestamp(head.get(2))?, expires_at, entries)
        .map_err(|e| corrupt(e.to_string()))?;
    if transaction.digest() != digest(&head.get::<_, Vec<u8>>(3), &text)? {
        return Err(corrupt(format!(
            "transaction {text} does not have the digest it was posted with"
        )));
    }
    Ok(Recorded {
        number: head.get(0),
        hash: digest(&head.get::<_, Vec<u8>>(9), &text)?,
        transaction,
    })
}

/// What an account received and gave, in the order of posting, with what it held after each.
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a row is none of ours.
pub fn history(client: &mut impl GenericClient, account: &AccountName) -> Result<Vec<Movement>, LedgerError> {
    let rows = client.query(
        "SELECT t.key, t.booked_at, s.code, s.decimals, e.amount::text,
                (sum(e.amount) OVER (PARTITION BY e.account_id ORDER BY e.transaction_id))::text
         FROM ledger.account a JOIN ledger.entry e USING (account_id)
         JOIN ledger.transaction t USING (transaction_id) JOIN ledger.asset s ON s.code = e.asset
         WHERE a.name = $1 ORDER BY e.transaction_id, s.code",
        &[&account.to_string()],
    )?;
    let read = |row: &Row| {
        let key: String = row.get(0);
        Ok(Movement {
            key: key
                .parse()
                .map_err(|e| LedgerError::Corrupt { what: format!("{e}") })?,
            booked_at: timestamp(row.get(1))?,
            asset: asset(row.get(2), row.get(3))?,
            amount: amount(row.get(4))?,
            balance: amount(row.get(5))?,
        })
    };
    rows.iter().map(read).collect()
}

/// The asset of a code.
///
/// # Errors
/// [`LedgerError::NoAsset`] where it was never booked.
pub fn asset_named(client: &mut impl GenericClient, code: &str) -> Result<Asset, LedgerError> {
    let row = client.query_opt(
        "SELECT code, decimals FROM ledger.asset WHERE code = $1",
        &[&code],
    )?;
    let row = row.ok_or_else(|| LedgerError::NoAsset {
        code: code.chars().take(64).collect(),
    })?;
    asset(row.get(0), row.get(1))
}

pub(super) fn account(text: String) -> Result<AccountName, LedgerError> {
    text.parse()
        .map_err(|e| LedgerError::Corrupt { what: format!("{e}") })
}

pub(super) fn asset(code: String, decimals: i16) -> Result<Asset, LedgerError> {
    let corrupt = |e: String| LedgerError::Corrupt { what: e };
    let decimals = u8::try_from(decimals).map_err(|e| corrupt(e.to_string()))?;
    Asset::new(&code, decimals).map_err(|e| corrupt(e.to_string()))
}

pub(super) fn amount(text: String) -> Result<TokenAmount, LedgerError> {
    let corrupt = || LedgerError::Corrupt {
        what: format!("an amount of {text}"),
    };
    let base_units = text.parse::<i128>().map_err(|_| corrupt())?;
    TokenAmount::new(base_units).map_err(|_| corrupt())
}

pub(super) fn digest(bytes: &[u8], key: &str) -> Result<Digest, LedgerError> {
    let what = || LedgerError::Corrupt {
        what: format!("transaction {key} has no digest of 32 bytes"),
    };
    Ok(Digest::from_bytes(bytes.try_into().map_err(|_| what())?))
}

pub(super) fn timestamp(instant: DateTime<Utc>) -> Result<Timestamp, LedgerError> {
    Timestamp::from_unix(instant.timestamp()).map_err(|e| LedgerError::Corrupt { what: e.to_string() })
}
