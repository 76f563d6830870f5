//! `gridtally log` and `gridtally witness`.

mod log;
mod witness;

use std::io;
use std::path::PathBuf;

pub use log::{LogArgs, run as run_log};
pub use witness::{WitnessArgs, run as run_witness};

use crate::files::{DiskError, ReadError};
use crate::note::{CheckpointError, TrustError};
use crate::proof::InclusionError;
use crate::witness::WitnessError;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Reading a log.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A witness.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// A signature that was asked for.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A proof that does not hold.
    #[error("{}: {source}", file.display())]
    Proof {
        /// Which file.
        file: PathBuf,
        /// Why not.
        source: InclusionError,
    },
    /// A file that is no checkpoint.
    #[error("{}: {source}", file.display())]
    Checkpoint {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// A record that is not in the log.
    #[error("no leaf of the log is named {0}")]
    NoSuchName(String),
    /// A file.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The clock.
    #[error("this machine's clock stands before 1970; set it first")]
    Clock,
    /// The output.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}
