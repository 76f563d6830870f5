//! The ledger in PostgreSQL: posting in batches, and reading back. The laws are in
//! `migrations/0002_ledger.sql`, `migrations/0005_ledger_two_phase.sql` and `migrations/0008_ledger_speed.sql`.

mod accounts;
mod audit;
pub mod breaker;
pub mod credits;
pub mod payouts;
mod post;
mod read;
pub mod reservations;

use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

pub use audit::{Audit, verify};
pub use post::{Deposit, deposit, lock_journal, post};
pub use read::{Moment, asset_named, balances, balances_at, find, history, journal, trial_balance};

use super::{LostConnection, StoreError, lost_connection};
use crate::ledger::Holder;
use crate::ledger::chain::{ChainError, Head};
use crate::ledger::{AccountNameError, KeyError, Kind, Transaction, TransactionError, TransactionKey};

/// The laws that PostgreSQL keeps, by the names of their constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// For each asset of a transaction the amounts add up to nothing.
    Balanced,
    /// What was written is never changed nor removed.
    AppendOnly,
    /// A transaction has all of its entries from the start, and gets none later.
    CompleteAtOnce,
    /// No account gives what it does not have (or may lack).
    NoOverdraft,
    /// Nobody pays back more than is owed.
    NoExcess,
    /// A key is posted once.
    KeyOnce,
    /// Each kind of transaction keeps to its accounts.
    Routed,
    /// The digest of a transaction is that of its content.
    DigestTrue,
    /// Only what was set aside is resolved.
    PendingFirst,
    /// What was set aside is resolved once.
    ResolvedOnce,
    /// What was set aside is resolved whole, between the accounts that its key names.
    WithinPending,
    /// A reservation is posted before its end, and expires after it.
    InTime,
    /// Only a payout that was handed over is confirmed.
    SubmittedFirst,
    /// No more is paid out within a window of time than the limit allows.
    PayoutLimit,
    /// After a trip nothing is paid out until a reset.
    Breaker,
}

impl Law {
    /// Every law there is.
    pub const ALL: [Self; 15] = [
        Self::Balanced,
        Self::AppendOnly,
        Self::CompleteAtOnce,
        Self::NoOverdraft,
        Self::NoExcess,
        Self::KeyOnce,
        Self::Routed,
        Self::DigestTrue,
        Self::PendingFirst,
        Self::ResolvedOnce,
        Self::WithinPending,
        Self::InTime,
        Self::SubmittedFirst,
        Self::PayoutLimit,
        Self::Breaker,
    ];

    /// The name of its constraint.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::AppendOnly => "append_only",
            Self::CompleteAtOnce => "complete_at_once",
            Self::NoOverdraft => "no_overdraft",
            Self::NoExcess => "no_excess",
            Self::KeyOnce => "key_once",
            Self::Routed => "routed",
            Self::DigestTrue => "digest_true",
            Self::PendingFirst => "pending_first",
            Self::ResolvedOnce => "resolved_once",
            Self::WithinPending => "within_pending",
            Self::InTime => "in_time",
            Self::SubmittedFirst => "submitted_first",
            Self::PayoutLimit => "payout_limit",
            Self::Breaker => "breaker",
        }
    }

    /// The law that an error of PostgreSQL names, if any.
    #[must_use]
    pub fn broken_in(error: &postgres::Error) -> Option<Self> {
        let constraint = error.as_db_error()?.constraint()?;
        Self::ALL.into_iter().find(|law| law.name() == constraint)
    }
}

impl core::fmt::Display for Law {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// Why the ledger did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// PostgreSQL refused it by one of the laws.
    #[error("the ledger refuses it by the law `{law}`: {reason}")]
    Refused {
        /// Which law.
        law: Law,
        /// What the database says: which transaction or account, and by how much.
        reason: String,
        /// The database's error.
        #[source]
        source: postgres::Error,
    },
    /// The key was posted before, for something else.
    #[error(
        "transaction {key} was posted before with other content ({posted}, now {offered}); nothing is posted, look at why the two differ"
    )]
    Conflict {
        /// The key.
        key: Box<TransactionKey>,
        /// The digest of what was posted.
        posted: Digest,
        /// The digest of what was offered now.
        offered: Digest,
    },
    /// Who claims on chain is not paid here as well.
    #[error(
        "{owner} may claim {asset} on chain, under a payout root that was published: a payout from the ledger would pay the same again. Leave {owner} out of the batch"
    )]
    ClaimsOnChain {
        /// Who.
        owner: Holder,
        /// In what.
        asset: String,
    },
    /// There is nothing to resolve.
    #[error("nothing was set aside as {name}, so there is nothing to {step}")]
    NothingPending {
        /// What should be done.
        step: Kind,
        /// With what.
        name: String,
    },
    /// An asset that is not there.
    #[error("the ledger has no asset {code:?}; it knows those of which something was deposited")]
    NoAsset {
        /// The code as given, cut to 64 characters.
        code: String,
    },
    /// There is nothing to reset.
    #[error("the payouts of {asset} are not stopped, so there is nothing to reset")]
    NotStopped {
        /// The asset's code.
        asset: String,
    },
    /// An asset with another number of decimals than before.
    #[error("asset {code} has {known} decimals in the ledger, not {offered}; take another code")]
    Decimals {
        /// The asset's code.
        code: String,
        /// As recorded.
        known: i16,
        /// As offered.
        offered: u8,
    },
    /// What was read back is not what was once written.
    #[error(
        "the ledger holds something that was never posted through here ({what}); compare it with a backup and with the bundles"
    )]
    Corrupt {
        /// What is wrong, and where.
        what: String,
    },
    /// The journal is not the chain that it claims to be.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A name of an account.
    #[error(transparent)]
    Account(#[from] AccountNameError),
    /// A reference.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A transaction that breaks a law before it is posted.
    #[error(transparent)]
    Transaction(Box<TransactionError>),
    /// The database cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Anything else the database said.
    #[error("the database did not do what the ledger asked: {0}")]
    Database(#[source] postgres::Error),
}

impl From<TransactionError> for LedgerError {
    fn from(error: TransactionError) -> Self {
        Self::Transaction(Box::new(error))
    }
}

impl From<postgres::Error> for LedgerError {
    fn from(source: postgres::Error) -> Self {
        match Law::broken_in(&source) {
            Some(law) => {
                let reason = source
                    .as_db_error()
                    .map(|e| e.message().to_owned())
                    .unwrap_or_default();
                Self::Refused { law, reason, source }
            }
            None => Self::Database(source),
        }
    }
}

impl LostConnection for LedgerError {
    fn is_lost_connection(&self) -> bool {
        match self {
            Self::Database(error) => lost_connection(error),
            Self::Store(error) => error.is_lost_connection(),
            _ => false,
        }
    }
}

/// What became of a transaction that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It is in the journal now.
    New,
    /// It was there already, with the same content.
    Before,
}

/// A transaction of the journal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Its place in the order of posting, from 1 on and without gaps.
    pub number: i64,
    /// The hash of the journal up to it: [`crate::ledger::chain`].
    pub hash: Digest,
    /// What was booked.
    pub transaction: Transaction,
}

impl Recorded {
    /// Its place and hash, as the database has them.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            place: u64::try_from(self.number).unwrap_or(0),
            hash: self.hash,
        }
    }
}

/// A line of an account's history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Movement {
    /// In which transaction.
    pub key: TransactionKey,
    /// When it counts.
    pub booked_at: Timestamp,
    /// Of what.
    pub asset: Asset,
    /// Received (positive) or given (negative).
    pub amount: TokenAmount,
    /// What the account held after it.
    pub balance: TokenAmount,
}

/// Lets the session work as the role that may only read and insert in the ledger, from now on.
///
/// # Errors
/// [`LedgerError::Database`] where the role is not there: the migrations have not run.
pub fn work_as_app(client: &mut impl GenericClient) -> Result<(), LedgerError> {
    client.batch_execute("DO $$ BEGIN EXECUTE format('SET ROLE %I', ledger.app_role()); END $$")?;
    Ok(())
}
