//! Transfers of two steps: a part of an escrow is reserved, then posted, voided, or expired.
//!
//! Every step is a transaction of the journal, so that what is pending counts in every balance: the escrow has
//! already given it. PostgreSQL sees to it that a reservation is resolved once, whole and in time.

use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::read::{amount, asset, timestamp};
use super::{LedgerError, Posted, find, lock_journal, post};
use crate::ledger::{AccountName, Entry, Kind, ReservationName, Transaction, TransactionKey};
use crate::store::types::to_column;

/// What is set aside, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reservation {
    /// Which program's, and what for.
    pub name: ReservationName,
    /// Of what.
    pub asset: Asset,
    /// How much.
    pub amount: TokenAmount,
    /// When it was set aside.
    pub reserved_at: Timestamp,
    /// From when on it can only be given back.
    pub expires_at: Timestamp,
    /// How it was resolved: `post`, `void`, `expire`; none while it is open.
    pub resolution: Option<String>,
}

/// Sets a part of a program's escrow aside until `expires_at`, at `now` unless that was done before.
///
/// # Errors
/// [`LedgerError::Refused`] where the escrow has less; [`LedgerError::Conflict`] where the name stands for another
/// amount or end.
pub fn reserve(
    client: &mut impl GenericClient,
    name: &ReservationName,
    asset: &Asset,
    amount: TokenAmount,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(Posted, Transaction), LedgerError> {
    let key = TransactionKey::Reserve(name.clone());
    let (escrow, reserved) = accounts(name)?;
    let entries = vec![
        entry(escrow, asset, amount.negated()),
        entry(reserved, asset, amount),
    ];
    once(client, key, now, Some(expires_at), entries)
}

/// Pays what was reserved to `shares`, wholly or partly; what they leave returns to the escrow.
///
/// # Errors
/// [`LedgerError::Refused`] where there is no such reservation, it was resolved before, is over, or is less than the
/// shares.
pub fn post_reserved(
    client: &mut impl GenericClient,
    name: &ReservationName,
    shares: Vec<Entry>,
    now: Timestamp,
) -> Result<(Posted, Transaction), LedgerError> {
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    let key = TransactionKey::Post(name.clone());
    let reservation = require(&mut tx, name, Kind::Post)?;
    let (escrow, reserved) = accounts(name)?;
    let paid = TokenAmount::checked_sum(shares.iter().map(|share| share.amount));
    let rest = paid.and_then(|paid| reservation.amount.checked_sub(paid));
    let rest = rest.map_err(|source| {
        LedgerError::from(crate::ledger::TransactionError::Overflow {
            key: key.clone(),
            source,
        })
    })?;
    let asset = &reservation.asset;
    let mut entries = shares;
    if rest != TokenAmount::ZERO {
        entries.push(entry(escrow, asset, rest));
    }
    entries.push(entry(reserved, asset, reservation.amount.negated()));
    let done = once(&mut tx, key, now, None, entries)?;
    tx.commit()?;
    Ok(done)
}

/// Gives a reservation back to the escrow.
///
/// # Errors
/// [`LedgerError::Refused`] where there is none or it was resolved before in another way.
pub fn void(
    client: &mut impl GenericClient,
    name: &ReservationName,
    now: Timestamp,
) -> Result<(Posted, Transaction), LedgerError> {
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    let reservation = require(&mut tx, name, Kind::Void)?;
    let key = TransactionKey::Void(name.clone());
    let done = once(&mut tx, key, now, None, give_back(&reservation)?)?;
    tx.commit()?;
    Ok(done)
}

/// Gives every reservation back whose time is over at `now`. The same again finds nothing to do.
///
/// # Errors
/// [`LedgerError::Database`].
pub fn expire(client: &mut impl GenericClient, now: Timestamp) -> Result<Vec<Transaction>, LedgerError> {
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    let open = "h.resolved_by IS NULL AND h.expires_at <= $1";
    let mut expired = Vec::new();
    for reservation in select(&mut tx, open, &[&to_column(now)])? {
        let key = TransactionKey::Expire(reservation.name.clone());
        expired.push(Transaction::new(key, now, give_back(&reservation)?)?);
    }
    post(&mut tx, &expired)?;
    tx.commit()?;
    Ok(expired)
}

/// A reservation, where there is one.
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a row is none of ours.
pub fn reservation(
    client: &mut impl GenericClient,
    name: &ReservationName,
) -> Result<Option<Reservation>, LedgerError> {
    Ok(select(client, "h.name = $1", &[&name.to_string()])?.pop())
}

/// Every reservation that is open, by its name.
///
/// # Errors
/// As [`reservation`].
pub fn open_reservations(client: &mut impl GenericClient) -> Result<Vec<Reservation>, LedgerError> {
    select(client, "h.resolved_by IS NULL", &[])
}

fn require(
    client: &mut impl GenericClient,
    name: &ReservationName,
    step: Kind,
) -> Result<Reservation, LedgerError> {
    reservation(client, name)?.ok_or_else(|| LedgerError::NothingPending {
        step,
        name: name.to_string(),
    })
}

fn select(
    client: &mut impl GenericClient,
    condition: &str,
    parameters: &[&(dyn postgres::types::ToSql + Sync)],
) -> Result<Vec<Reservation>, LedgerError> {
    let query = format!(
        "SELECT h.name, s.code, s.decimals, h.amount::text, h.booked_at, h.expires_at, h.resolution
         FROM ledger.pending h JOIN ledger.asset s ON s.code = h.asset
         WHERE h.kind = 'reserve' AND {condition} ORDER BY h.name"
    );
    let read = |row: &Row| {
        let name: String = row.get(0);
        Ok(Reservation {
            name: name.parse()?,
            asset: asset(row.get(1), row.get(2))?,
            amount: amount(row.get(3))?,
            reserved_at: timestamp(row.get(4))?,
            expires_at: timestamp(row.get(5))?,
            resolution: row.get(6),
        })
    };
    client.query(&query, parameters)?.iter().map(read).collect()
}

/// Posts a step, or finds it posted before: then it was booked when it was booked.
pub(super) fn once(
    client: &mut impl GenericClient,
    key: TransactionKey,
    now: Timestamp,
    expires_at: Option<Timestamp>,
    entries: Vec<Entry>,
) -> Result<(Posted, Transaction), LedgerError> {
    let booked_at = find(client, &key)?.map_or(now, |before| before.transaction.booked_at());
    let transaction = Transaction::assemble(key, booked_at, expires_at, entries)?;
    let posted = post(client, std::slice::from_ref(&transaction))?;
    Ok((posted.first().copied().unwrap_or(Posted::Before), transaction))
}

fn give_back(reservation: &Reservation) -> Result<Vec<Entry>, LedgerError> {
    let (escrow, reserved) = accounts(&reservation.name)?;
    let asset = &reservation.asset;
    Ok(vec![
        entry(escrow, asset, reservation.amount),
        entry(reserved, asset, reservation.amount.negated()),
    ])
}

fn accounts(name: &ReservationName) -> Result<(AccountName, AccountName), LedgerError> {
    let holder: crate::ledger::Holder = name.program.as_str().parse()?;
    Ok((AccountName::Escrow(holder.clone()), AccountName::Reserved(holder)))
}

pub(super) fn entry(account: AccountName, asset: &Asset, amount: TokenAmount) -> Entry {
    Entry {
        account,
        asset: asset.clone(),
        amount,
    }
}
