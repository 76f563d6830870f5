//! The breaker of payouts: how much of an asset may leave within any window of time, and who let it go on.

use chrono::{DateTime, Utc};
use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::read::{amount, timestamp};
use super::{LedgerError, lock_journal};
use crate::ledger::Holder;
use crate::store::types::to_column;

/// How much of an asset may be paid out within any window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PayoutLimit {
    /// The length of the window, from 1 second to 366 days.
    pub window_seconds: i32,
    /// At most this much within it.
    pub amount_max: TokenAmount,
    /// At most so many payouts within it.
    pub count_max: i32,
}

/// That the payouts of an asset are stopped.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Trip {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// Sets the limit of an asset, from now on; `by` is recorded.
///
/// # Errors
/// [`LedgerError::Database`], also where the asset was never booked.
pub fn set_limit(
    client: &mut impl GenericClient,
    asset: &Asset,
    limit: PayoutLimit,
    by: &Holder,
    now: Timestamp,
) -> Result<(), LedgerError> {
    client.execute(
        "INSERT INTO ledger.payout_limit (asset, window_seconds, amount_max, count_max, set_at, set_by)
         VALUES ($1, $2, $3::text::numeric, $4, $5, $6)",
        &[
            &asset.code(),
            &limit.window_seconds,
            &limit.amount_max.base_units().to_string(),
            &limit.count_max,
            &to_column(now),
            &by.as_str(),
        ],
    )?;
    Ok(())
}

/// The limit of an asset, where it has one.
///
/// # Errors
/// [`LedgerError::Database`].
pub fn limit(client: &mut impl GenericClient, asset: &Asset) -> Result<Option<PayoutLimit>, LedgerError> {
    let row = client.query_opt(
        "SELECT window_seconds, amount_max::text, count_max FROM ledger.payout_limit
         WHERE asset = $1 ORDER BY limit_id DESC LIMIT 1",
        &[&asset.code()],
    )?;
    row.map(|row| {
        Ok(PayoutLimit {
            window_seconds: row.get(0),
            amount_max: amount(row.get(1))?,
            count_max: row.get(2),
        })
    })
    .transpose()
}

/// Lets the payouts of an asset go on after a trip. What was paid before is not counted any more.
///
/// # Errors
/// [`LedgerError::NotStopped`] where nothing stopped them.
pub fn reset(
    client: &mut impl GenericClient,
    asset: &Asset,
    by: &Holder,
    reason: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let mut tx = client.transaction()?;
    lock_journal(&mut tx)?;
    if stopped(&mut tx, asset)?.is_none() {
        return Err(LedgerError::NotStopped {
            asset: asset.code().to_owned(),
        });
    }
    act(&mut tx, asset, "reset", by.as_str(), reason, now)?;
    Ok(tx.commit()?)
}

/// Whether the payouts of an asset are stopped.
///
/// # Errors
/// [`LedgerError::Database`].
pub fn stopped(client: &mut impl GenericClient, asset: &Asset) -> Result<Option<Trip>, LedgerError> {
    let row = client.query_opt(
        "SELECT act, acted_at, reason FROM ledger.breaker_act WHERE asset = $1 ORDER BY act_id DESC LIMIT 1",
        &[&asset.code()],
    )?;
    match row {
        Some(row) if row.get::<_, &str>(0) == "trip" => Ok(Some(Trip {
            at: timestamp(row.get::<_, DateTime<Utc>>(1))?,
            reason: row.get(2),
        })),
        _ => Ok(None),
    }
}

pub(super) fn trip(
    client: &mut impl GenericClient,
    asset: &Asset,
    reason: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    act(client, asset, "trip", "limit", reason, now)
}

fn act(
    client: &mut impl GenericClient,
    asset: &Asset,
    what: &str,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    client.execute(
        "INSERT INTO ledger.breaker_act (asset, act, acted_at, acted_by, reason) VALUES ($1, $2, $3, $4, $5)",
        &[&asset.code(), &what, &to_column(now), &by, &reason],
    )?;
    Ok(())
}
