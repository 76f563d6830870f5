//! Measurements of the engine on the machine that it is to run on.
//!
//! [`ingest`] takes the same signed reports three ways in one run, so that the figures can be compared:
//! their signatures alone, their rows alone, and all the way from an MQTT publish to the signed receipt, which is
//! sent after the commit. Everything runs on one machine: the publisher, the broker and the database share its
//! cores with the engine.
//!
//! [`settle`] settles one event of very many sites, beside the bare fetch of the same bytes.
//! [`ledger`] posts the same transactions singly and in batches, beside the bare insert of the same rows.
//! [`verify`] verifies a bundle, beside its signatures alone.

mod ingest;
mod ledger;
mod scratch;
mod settle;
mod verify;
mod wire;
mod workload;

use std::time::Duration;

use gridtally_protocol::identity::IdentityError;
use gridtally_protocol::message::MessageError;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::TimeError;

pub use ingest::{Figures, ingest};
pub use ledger::{LedgerFigures, LedgerShape, ledger};
pub use settle::{Case, SettleFigures, settle};
pub use verify::{VerifyCase, VerifyFigures, verify};
pub use workload::Size;

use crate::engine::EngineError;
use crate::ledger::{AccountNameError, KeyError, TransactionError};
use crate::proofs::settle::SettlementError;
use crate::proofs::stream::StreamError;
use crate::rules::program::ProgramIdError;
use crate::rules::statement::NameError;
use crate::store::StoreError;
use crate::store::ledger::LedgerError;
use crate::supervise::SuperviseError;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The private database or broker.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Settling.
    #[error(transparent)]
    Settlement(#[from] SettlementError),
    /// Settling from days.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The workload's program or event.
    #[error("the workload breaks a rule: {0}")]
    Rules(String),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A report of the workload breaks a rule.
    #[error("the workload cannot be written: {0}")]
    Workload(#[from] MessageError),
    /// A key of the workload.
    #[error("the workload has an unusable key: {0}")]
    Key(#[from] IdentityError),
    /// An instant of the workload.
    #[error("the workload does not fit the calendar: {0}; take fewer reports")]
    Time(#[from] TimeError),
    /// The name of a site of the workload.
    #[error("the workload has an unusable name: {0}")]
    Name(#[from] NameError),
    /// The name of the workload's program.
    #[error("the workload has an unusable name: {0}")]
    Program(#[from] ProgramIdError),
    /// The ledger.
    #[error("the ledger: {0}")]
    Ledger(Box<LedgerError>),
    /// A report was not taken.
    #[error("the engine refused a report as {0}: nothing was measured")]
    Refused(Refusal),
    /// Not every report was opened or judged well.
    #[error("{taken} of {sent} reports were taken: nothing was measured")]
    Lost {
        /// How many were sent.
        sent: usize,
        /// How many were taken.
        taken: usize,
    },
    /// The connection broke.
    #[error("the connection to the broker broke ({0}): nothing was measured")]
    Disconnected(String),
    /// Receipts do not come.
    #[error("no receipt within {} s after {received} of {sent}", waited.as_secs())]
    Silent {
        /// For how long.
        waited: Duration,
        /// How many reports had their receipts.
        received: usize,
        /// Out of how many.
        sent: usize,
    },
    /// The scratch directory, a thread, a runtime.
    #[error("{what}: {source}")]
    Io {
        /// What it tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<LedgerError> for BenchError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(Box::new(error))
    }
}

impl From<AccountNameError> for BenchError {
    fn from(error: AccountNameError) -> Self {
        Self::Ledger(Box::new(error.into()))
    }
}

impl From<KeyError> for BenchError {
    fn from(error: KeyError) -> Self {
        Self::Ledger(Box::new(error.into()))
    }
}

impl From<TransactionError> for BenchError {
    fn from(error: TransactionError) -> Self {
        Self::Ledger(Box::new(error.into()))
    }
}
