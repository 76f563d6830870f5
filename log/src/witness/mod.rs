//! A third party with a key of its own, who remembers how far each log had come, and cosigns only what continues it.
//!
//! ```text
//! DIR/key                  the private key, which only the owner can read
//! DIR/logs/<hash>          for each log, the last checkpoint that was cosigned, with the cosignature
//! DIR/evidence/<…>/        what was refused: `known`, `shown`, and `why` in a sentence
//! ```
//!
//! Nothing is taken on trust: consistency is computed from the tiles, and whoever serves them can only make it fail.
//! What is cosigned is remembered durably before the cosignature leaves the witness.

mod evidence;
mod key;
mod memory;

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::files::{
    DiskError, ExtendError, ReadError, Source, check_extends, disk_lock, empty, fetch_checkpoint,
    make_directory,
};
use crate::note::{KeyError, KeyName, SignatureLine, SignedCheckpoint, Signer, TreeHead, VerifierKey};

/// Why nothing was cosigned.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A file of the witness.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is a witness already.
    #[error("there is a witness in {} already; its key is not replaced", .0.display())]
    Exists(PathBuf),
    /// The key file.
    #[error("the key {} is unusable: {source}", file.display())]
    Key {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A key that does not make cosignatures.
    #[error("the key {} is not a cosigner's (type 0x04); make one with: gridtally witness init", .0.display())]
    NotCosigner(PathBuf),
    /// Others can read the key.
    #[error("the key {} may be read by others (mode {mode:03o}); run: chmod 600 {}", file.display(), file.display())]
    Exposed {
        /// Which file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No random numbers.
    #[error("the system gives no random numbers for a new key: {0}")]
    Random(getrandom::Error),
    /// What was remembered is damaged.
    #[error(
        "what this witness remembers in {} is damaged ({why}); nothing is cosigned until it is brought back",
        file.display()
    )]
    Memory {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The log cannot be read, or is not the key's.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log does not continue what was cosigned.
    #[error("not cosigned: {why}; {evidence}")]
    Refused {
        /// Why not.
        why: ExtendError,
        /// Where both checkpoints are kept, as a sentence.
        evidence: String,
    },
}

/// What was cosigned.
#[derive(Debug, Clone)]
pub struct Cosigned {
    /// The log's checkpoint with this witness's cosignature, and without those of others.
    pub checkpoint: SignedCheckpoint,
    /// The cosignature alone.
    pub line: SignatureLine,
    /// What had been cosigned of this log before, if anything.
    pub before: Option<TreeHead>,
}

/// A witness in its directory, which it holds alone.
#[derive(Debug)]
pub struct Witness {
    directory: PathBuf,
    signer: Signer,
    _lock: File,
}

impl Witness {
    /// Makes a witness: a directory with a new key in it.
    ///
    /// # Errors
    /// [`WitnessError`]; an existing key is never changed.
    pub fn init(directory: &Path, name: &KeyName) -> Result<Self, WitnessError> {
        make_directory(directory)?;
        key::create(directory, name)?;
        Self::open(directory)
    }

    /// Opens a witness.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn open(directory: &Path) -> Result<Self, WitnessError> {
        let signer = key::load(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            signer,
            _lock: disk_lock(&directory.join(".lock"))?,
        })
    }

    /// The public key, which those who rely on this witness put into their configuration.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// Cosigns what a log shows, if it is signed by the log's key and continues what was cosigned before.
    /// `unix_seconds` is now.
    ///
    /// # Errors
    /// [`WitnessError`]; then what is remembered is what it was.
    pub fn cosign<S: Source>(
        &self,
        source: &S,
        log: &VerifierKey,
        unix_seconds: u64,
    ) -> Result<Cosigned, WitnessError> {
        let known = memory::load(&self.directory, self.verifier(), log.name().as_str())?;
        let shown = fetch_checkpoint(source, log)?;
        let before = known.as_ref().map(|known| known.checkpoint.head);
        let head = shown.checkpoint.head;
        match check_extends(source, before.unwrap_or_else(empty), head) {
            Ok(()) => {}
            Err(ExtendError::Node(error)) => return Err(WitnessError::Read(error.into())),
            Err(why) => {
                let evidence = evidence::keep(&self.directory, known.as_ref(), &shown, &why);
                return Err(WitnessError::Refused { why, evidence });
            }
        }
        let line = shown.cosignature(&self.signer, unix_seconds);
        let mut checkpoint = shown.only(log);
        checkpoint.add(line.clone());
        memory::store(&self.directory, &checkpoint)?;
        Ok(Cosigned {
            checkpoint,
            line,
            before,
        })
    }

    /// The last checkpoint that was cosigned of each log, in the order of their origins.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn known(&self) -> Result<Vec<SignedCheckpoint>, WitnessError> {
        memory::all(&self.directory, self.verifier())
    }
}
