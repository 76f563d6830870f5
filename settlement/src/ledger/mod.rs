//! Double entry, append only.
//!
//! Two nouns. An **account** holds one asset for one purpose: a program's escrow, a beneficiary's earnings,
//! what is on its way out, or the issuance, whose balance is the negative of everything that is out. A
//! **transaction** moves amounts between accounts, all of it or nothing, under a key that says what it is for.
//! A positive amount is received by the account, a negative one is given. docs/ledger.md lists both.
//!
//! Laws, each kept by PostgreSQL itself (`store/migrations/0002_ledger.sql`, `0005_ledger_two_phase.sql`),
//! whoever asks, and those of a single transaction here as well:
//!
//! - **balanced**: for each asset of a transaction, `Σ amount = 0`; hence the same for the whole ledger;
//! - **append only**: what was posted is never changed nor removed; a correction is [`Transaction::reversal`];
//! - **complete at once**: a transaction gets all of its entries when it is posted, and none later;
//! - **no overdraft**: nobody gives what he does not have, also under concurrency ([`AccountName::lowest`]), or
//!   pays back more than he owes ([`AccountName::highest`]); what is pending has left the account already;
//! - **idempotent**: a key is posted once. The same content again is a no-op, another content an error;
//! - **routed**: each kind of transaction keeps to its accounts;
//! - **resolved once**: what is pending is resolved once, whole and in time;
//! - **chained**: each transaction has a place, and a hash over everything up to it ([`chain`]).
//!
//! Nothing in here does I/O or reads a clock; posting is in `store::ledger`.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing
    )
)]

mod account;
pub mod chain;
pub mod export;
mod key;
pub mod recovery;
mod transaction;

pub use account::{AccountName, AccountNameError, Debt, Holder};
pub use key::{KeyError, Kind, PayoutName, ReservationName, TransactionKey};
pub use transaction::{ENTRIES_MAX, Entry, Transaction, TransactionError};

use gridtally_protocol::quantity::{Asset, TokenAmount};

/// What an account holds of an asset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Balance {
    /// Whose.
    pub account: AccountName,
    /// Of what.
    pub asset: Asset,
    /// How much; never below [`AccountName::lowest`].
    pub amount: TokenAmount,
}

/// The proof by addition of one asset: both sums are zero in a sound ledger.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TrialBalance {
    /// Of what.
    pub asset: Asset,
    /// The sum of the balances of all accounts.
    pub balances: TokenAmount,
    /// The sum of all entries of the journal.
    pub entries: TokenAmount,
    /// How many accounts have a balance that is not the sum of their entries.
    pub accounts_off: u64,
}

impl TrialBalance {
    /// Whether everything is as it must be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.balances == TokenAmount::ZERO && self.entries == TokenAmount::ZERO && self.accounts_off == 0
    }
}
