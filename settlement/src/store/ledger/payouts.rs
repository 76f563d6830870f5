//! Money on its way out: created, submitted, confirmed or failed, and tried again.
//!
//! Creating takes it from `payable:OWNER` to `clearing`. Submitting is written down *before* it is handed over, so
//! that what is not written down was certainly not. Confirming takes it out of the ledger and is final; failing makes
//! it payable again. PostgreSQL sees to it that each payout is resolved once.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::read::{amount, asset, balances, timestamp};
use super::reservations::{entry, once};
use super::{Law, LedgerError, Posted, breaker, find, lock_journal, post};
use crate::ledger::{AccountName, Holder, Kind, PayoutName, Transaction, TransactionKey};
use crate::store::payout_roots;
use crate::store::types::to_column;

/// Where a payout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutState {
    /// Set aside; in nobody else's hands.
    Created,
    /// Handed over, or about to be.
    Submitted,
    /// Arrived; final.
    Confirmed,
    /// Did not arrive; payable again.
    Failed,
}

/// A payout.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Payout {
    /// In which batch, to whom, which attempt.
    pub name: PayoutName,
    /// Of what.
    pub asset: Asset,
    /// How much.
    pub amount: TokenAmount,
    /// When it was created.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: PayoutState,
    /// Together with which others it was handed over.
    pub handover: Option<String>,
    #[serde(skip)]
    resolved_at: Option<Timestamp>,
}

/// What became of payouts that were to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// They are there now, or were before.
    Created,
    /// The breaker tripped: none is there, and none will be until it is reset.
    Tripped {
        /// Which limit, and by how much.
        reason: String,
    },
}

/// What can be paid out of an asset, by owner.
///
/// # Errors
/// [`LedgerError::Database`].
pub fn payable(
    client: &mut impl GenericClient,
    asset: &Asset,
) -> Result<BTreeMap<Holder, TokenAmount>, LedgerError> {
    held(client, asset, |account| match account {
        AccountName::Payable(owner) => Some(owner),
        _ => None,
    })
}

/// Makes what owners have earned payable: the amounts of `lines`, or everything of everybody where there are none.
/// The same reference again changes nothing. None where there is nothing to be made payable.
///
/// # Errors
/// [`LedgerError::Refused`] where somebody has earned less; [`LedgerError::Conflict`] where the reference stands for
/// other amounts.
pub fn mature(
    client: &mut impl GenericClient,
    reference: &Holder,
    asset: &Asset,
    lines: &BTreeMap<Holder, TokenAmount>,
    now: Timestamp,
) -> Result<Option<(Posted, Transaction)>, LedgerError> {
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    let key = TransactionKey::Mature(reference.clone());
    if let (true, Some(before)) = (lines.is_empty(), find(&mut tx, &key)?) {
        return Ok(Some((Posted::Before, before.transaction)));
    }
    let earned = if lines.is_empty() {
        held(&mut tx, asset, |account| match account {
            AccountName::Beneficiary(owner) => Some(owner),
            _ => None,
        })?
    } else {
        lines.clone()
    };
    if earned.is_empty() {
        return Ok(None);
    }
    let move_one = |(owner, amount): (&Holder, &TokenAmount)| {
        let from = AccountName::Beneficiary(owner.clone());
        let to = AccountName::Payable(owner.clone());
        [entry(from, asset, amount.negated()), entry(to, asset, *amount)]
    };
    let done = once(
        &mut tx,
        key,
        now,
        None,
        earned.iter().flat_map(move_one).collect(),
    )?;
    tx.commit()?;
    Ok(Some(done))
}

fn held(
    client: &mut impl GenericClient,
    asset: &Asset,
    owner: impl Fn(AccountName) -> Option<Holder>,
) -> Result<BTreeMap<Holder, TokenAmount>, LedgerError> {
    let there = balances(client)?
        .into_iter()
        .filter(|balance| balance.asset == *asset && balance.amount > TokenAmount::ZERO);
    Ok(there
        .filter_map(|balance| Some((owner(balance.account)?, balance.amount)))
        .collect())
}

/// Creates the payouts of a batch; those that were created before stay as they are.
///
/// # Errors
/// [`LedgerError::Refused`] where somebody has less payable, or payouts are stopped; [`LedgerError::Conflict`] where
/// the batch has another amount for somebody already; [`LedgerError::ClaimsOnChain`] where somebody new in it may claim the
/// same on chain.
pub fn create(
    client: &mut impl GenericClient,
    batch: &Holder,
    asset: &Asset,
    lines: &BTreeMap<Holder, TokenAmount>,
    now: Timestamp,
) -> Result<Creation, LedgerError> {
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    let before: BTreeMap<PayoutName, Timestamp> = of_batch(&mut tx, batch)?
        .into_iter()
        .map(|p| (p.name, p.created_at))
        .collect();
    let claimants = payout_roots::claimants(&mut tx, asset)?;
    let mut offered = Vec::with_capacity(lines.len());
    for (owner, amount) in lines {
        let name = PayoutName {
            batch: batch.clone(),
            owner: owner.clone(),
            attempt: 1,
        };
        if claimants.contains(owner) && !before.contains_key(&name) {
            let (owner, asset) = (owner.clone(), asset.code().to_owned());
            return Err(LedgerError::ClaimsOnChain { owner, asset });
        }
        let at = before.get(&name).copied().unwrap_or(now);
        offered.push(take(name, asset, *amount, at)?);
    }
    let done = post_or_trip(&mut tx, &offered, asset, now)?;
    tx.commit()?;
    Ok(done)
}

/// Tries the failed payouts of a batch again, under their keys, as attempts of a next number.
///
/// # Errors
/// As [`create`].
pub fn retry(
    client: &mut impl GenericClient,
    batch: &Holder,
    now: Timestamp,
) -> Result<Creation, LedgerError> {
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    // In the order of attempts, so that the last one stays.
    let last: BTreeMap<Holder, Payout> = of_batch(&mut tx, batch)?
        .into_iter()
        .map(|p| (p.name.owner.clone(), p))
        .collect();
    let mut by_asset: BTreeMap<Asset, Vec<Transaction>> = BTreeMap::new();
    for payout in last.into_values().filter(|p| p.state == PayoutState::Failed) {
        let attempt = payout.name.attempt.saturating_add(1);
        let name = PayoutName {
            attempt,
            ..payout.name
        };
        let again = take(name, &payout.asset, payout.amount, now)?;
        by_asset.entry(payout.asset).or_default().push(again);
    }
    for (asset, offered) in &by_asset {
        if let Creation::Tripped { reason } = post_or_trip(&mut tx, offered, asset, now)? {
            tx.commit()?;
            return Ok(Creation::Tripped { reason });
        }
    }
    tx.commit()?;
    Ok(Creation::Created)
}

fn take(
    name: PayoutName,
    asset: &Asset,
    amount: TokenAmount,
    at: Timestamp,
) -> Result<Transaction, LedgerError> {
    let entries = vec![
        entry(AccountName::Payable(name.owner.clone()), asset, amount.negated()),
        entry(AccountName::Clearing, asset, amount),
    ];
    Ok(Transaction::new(TransactionKey::Payout(name), at, entries)?)
}

/// Where the limit refuses, nothing is posted but the trip.
fn post_or_trip(
    client: &mut impl GenericClient,
    offered: &[Transaction],
    asset: &Asset,
    now: Timestamp,
) -> Result<Creation, LedgerError> {
    match post(client, offered) {
        Ok(_) => Ok(Creation::Created),
        Err(LedgerError::Refused {
            law: Law::PayoutLimit,
            reason,
            ..
        }) => {
            breaker::trip(client, asset, &reason, now)?;
            Ok(Creation::Tripped { reason })
        }
        Err(other) => Err(other),
    }
}

/// Writes down that the created payouts of a batch are about to be handed over together. None: nothing is to be.
///
/// # Errors
/// [`LedgerError::Database`].
pub fn mark_submitted(
    client: &mut impl GenericClient,
    batch: &Holder,
    adapter: &str,
    now: Timestamp,
) -> Result<Option<String>, LedgerError> {
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    let payouts = of_batch(&mut tx, batch)?;
    let created: Vec<String> = payouts
        .iter()
        .filter(|p| p.state == PayoutState::Created)
        .map(|p| p.name.to_string())
        .collect();
    if created.is_empty() {
        return Ok(None);
    }
    let handovers: std::collections::BTreeSet<&String> =
        payouts.iter().filter_map(|p| p.handover.as_ref()).collect();
    let handover = format!("{batch}.{}", handovers.len().saturating_add(1));
    tx.execute(
        "INSERT INTO ledger.submission (transaction_id, handover, adapter, submitted_at)
         SELECT transaction_id, $2, $3, $4 FROM ledger.pending WHERE kind = 'payout' AND name = ANY ($1)",
        &[&created, &handover, &adapter, &to_column(now)],
    )?;
    tx.commit()?;
    Ok(Some(handover))
}

/// Confirms payouts: they arrived, and that is final. Those confirmed before stay as they are.
///
/// # Errors
/// [`LedgerError::Refused`] where one was never submitted, or failed.
pub fn confirm(
    client: &mut impl GenericClient,
    names: &[PayoutName],
    now: Timestamp,
) -> Result<(), LedgerError> {
    resolve(client, names, Kind::Confirm, now)
}

/// Fails payouts: they did not arrive and are payable again. Those failed before stay as they are.
///
/// # Errors
/// [`LedgerError::Refused`] where one was confirmed.
pub fn fail(
    client: &mut impl GenericClient,
    names: &[PayoutName],
    now: Timestamp,
) -> Result<(), LedgerError> {
    resolve(client, names, Kind::Fail, now)
}

fn resolve(
    client: &mut impl GenericClient,
    names: &[PayoutName],
    step: Kind,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
    let found = select(&mut tx, "h.name = ANY ($1)", &[&texts])?;
    let found: BTreeMap<&PayoutName, &Payout> = found.iter().map(|p| (&p.name, p)).collect();
    let mut offered = Vec::with_capacity(names.len());
    for name in names {
        let payout = found.get(name).ok_or_else(|| LedgerError::NothingPending {
            step,
            name: name.to_string(),
        })?;
        let (key, to) = match step {
            Kind::Confirm => (TransactionKey::Confirm(name.clone()), AccountName::Issuance),
            _ => (
                TransactionKey::Fail(name.clone()),
                AccountName::Payable(name.owner.clone()),
            ),
        };
        let entries = vec![
            entry(AccountName::Clearing, &payout.asset, payout.amount.negated()),
            entry(to, &payout.asset, payout.amount),
        ];
        // Resolved in the other way, it is not the same key, and the database refuses.
        offered.push(Transaction::new(key, payout.resolved_at.unwrap_or(now), entries)?);
    }
    post(&mut tx, &offered)?;
    Ok(tx.commit()?)
}

/// The payouts of a batch, by attempt and owner.
///
/// # Errors
/// [`LedgerError::Database`]; [`LedgerError::Corrupt`] where a row is none of ours.
pub fn of_batch(client: &mut impl GenericClient, batch: &Holder) -> Result<Vec<Payout>, LedgerError> {
    // The range of names that begin with the batch: '0' comes after '/'.
    let range = "h.name >= $1 || '/' AND h.name < $1 || '0'";
    select(client, range, &[&batch.as_str()])
}

/// Every payout that is not resolved, by attempt and name.
///
/// # Errors
/// As [`of_batch`].
pub fn open(client: &mut impl GenericClient) -> Result<Vec<Payout>, LedgerError> {
    select(client, "h.resolved_by IS NULL", &[])
}

fn select(
    client: &mut impl GenericClient,
    condition: &str,
    parameters: &[&(dyn postgres::types::ToSql + Sync)],
) -> Result<Vec<Payout>, LedgerError> {
    let query = format!(
        "SELECT h.name, s.code, s.decimals, h.amount::text, h.booked_at, h.resolution, m.handover, t.booked_at
         FROM ledger.pending h JOIN ledger.asset s ON s.code = h.asset
         LEFT JOIN ledger.submission m USING (transaction_id)
         LEFT JOIN ledger.transaction t ON t.transaction_id = h.resolved_by
         WHERE h.kind = 'payout' AND {condition}"
    );
    let mut payouts = client
        .query(&query, parameters)?
        .iter()
        .map(payout)
        .collect::<Result<Vec<_>, _>>()?;
    payouts.sort_by(|one, other| (one.name.attempt, &one.name).cmp(&(other.name.attempt, &other.name)));
    Ok(payouts)
}

fn payout(row: &Row) -> Result<Payout, LedgerError> {
    let name: String = row.get(0);
    let handover: Option<String> = row.get(6);
    let state = match row.get::<_, Option<&str>>(5) {
        Some("confirm") => PayoutState::Confirmed,
        Some(_) => PayoutState::Failed,
        None if handover.is_some() => PayoutState::Submitted,
        None => PayoutState::Created,
    };
    Ok(Payout {
        name: name.parse()?,
        asset: asset(row.get(1), row.get(2))?,
        amount: amount(row.get(3))?,
        created_at: timestamp(row.get(4))?,
        state,
        handover,
        resolved_at: row
            .get::<_, Option<DateTime<Utc>>>(7)
            .map(timestamp)
            .transpose()?,
    })
}
