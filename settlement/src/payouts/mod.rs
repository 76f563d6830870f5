//! Paying out: the ledger's payouts on the one side, whoever carries them out on the other.
//!
//! A [`Carrier`] is handed payouts under keys that never change: however often the same handover comes, each is paid
//! once. That makes a cut at any moment harmless: what was written down as submitted is handed over again until its
//! outcome is known.

mod file;
pub mod roots;

use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;

pub(crate) use file::write_whole;
pub use file::{FileCarrier, FileCarrierError};

use crate::ledger::{Holder, PayoutName};
use crate::store::ledger::LedgerError;
use crate::store::ledger::payouts::{self, Payout, PayoutState};
use crate::store::{LostConnection, Store, StoreError};

/// What is to be paid to one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Under which name. `BATCH/OWNER` is the key: another attempt of it is made only after the one before failed.
    pub name: PayoutName,
    /// In what.
    pub asset: Asset,
    /// How much.
    pub amount: TokenAmount,
}

/// Who carries payouts out.
pub trait Carrier {
    /// Why it did not take them.
    type Error: std::error::Error;

    /// Its stable name, at most 40 of `a-z 0-9 _ -`.
    fn name(&self) -> &'static str;

    /// Takes the orders of a handover. The same handover may come any number of times, and counts once.
    ///
    /// # Errors
    /// Where it cannot tell that it has taken all of them; it is then asked again.
    fn take(&mut self, handover: &str, orders: &[Order]) -> Result<(), Self::Error>;
}

/// Why payouts were not handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError<E: std::error::Error> {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The carrier.
    #[error("{0}; the payouts stay submitted, hand them over again")]
    Carrier(#[source] E),
}

/// Hands the payouts of a batch over: those that were created since, and those whose outcome is not known yet.
/// Returns the names of the handovers.
///
/// # Errors
/// [`HandOverError`]; the same again goes on where it stopped.
pub fn hand_over<C: Carrier>(
    store: &mut Store,
    carrier: &mut C,
    batch: &Holder,
    now: Timestamp,
) -> Result<Vec<String>, HandOverError<C::Error>> {
    let payouts = store.transact(|client| {
        payouts::mark_submitted(client, batch, carrier.name(), now)?;
        payouts::of_batch(client, batch)
    })?;
    let mut open: Vec<String> = payouts
        .iter()
        .filter(|p| p.state == PayoutState::Submitted)
        .filter_map(|p| p.handover.clone())
        .collect();
    open.sort();
    open.dedup();
    for handover in &open {
        // All of it, also what is resolved by now: the same handover is always the same.
        let of_it = |p: &&Payout| p.handover.as_ref() == Some(handover);
        let orders: Vec<Order> = payouts.iter().filter(of_it).map(order).collect();
        carrier.take(handover, &orders).map_err(HandOverError::Carrier)?;
    }
    Ok(open)
}

fn order(payout: &Payout) -> Order {
    Order {
        name: payout.name.clone(),
        asset: payout.asset.clone(),
        amount: payout.amount,
    }
}

impl<E: std::error::Error> From<StoreError> for HandOverError<E> {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error.into())
    }
}

impl<E: std::error::Error> LostConnection for HandOverError<E> {
    fn is_lost_connection(&self) -> bool {
        match self {
            Self::Ledger(error) => error.is_lost_connection(),
            Self::Carrier(_) => false,
        }
    }
}
