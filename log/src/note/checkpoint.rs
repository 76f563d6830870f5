//! What a log says of itself: a note whose text is origin, size and root.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gridtally_protocol::identity::Digest;

use super::key::{Algorithm, Signer, VerifierKey};
use super::text::{Note, NoteError, SIGNATURES_MAX, SignatureLine};

/// The longest origin, in bytes.
pub const ORIGIN_LEN_MAX: usize = 255;
/// The most leaves that a checkpoint may speak of: 2^62, so that sums of sizes stay within 64 bits.
pub const SIZE_MAX: u64 = 1 << 62;
const EXTENSIONS_MAX: usize = 16;
/// So that there is room for the signatures of witnesses in a note of the longest kind.
const EXTENSION_LEN_MAX: usize = 1024;

/// How large a log is, and the root of its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// Leaves.
    pub size: u64,
    /// RFC 9162 root over them.
    pub root: Digest,
}

/// What a checkpoint's text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: the name of its key.
    pub origin: String,
    /// How large, with which root.
    pub head: TreeHead,
    /// Lines that this program has no use for.
    pub extensions: Vec<String>,
}

/// Why a note is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Its text.
    #[error("not a checkpoint: {0}")]
    Text(&'static str),
}

impl Checkpoint {
    /// Reads a note's text.
    ///
    /// # Errors
    /// [`CheckpointError::Text`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let fail = CheckpointError::Text;
        let body = text
            .strip_suffix('\n')
            .ok_or(fail("the text ends with a line feed"))?;
        let mut lines = body.split('\n');
        let origin = lines
            .next()
            .filter(|origin| !origin.is_empty() && origin.len() <= ORIGIN_LEN_MAX)
            .ok_or(fail("the first line is the origin, 1 to 255 bytes"))?;
        let size = lines.next().and_then(parse_size).ok_or(fail(
            "the second line is the size, in plain decimal, 2^62 at most",
        ))?;
        let root = lines
            .next()
            .and_then(|line| <[u8; 32]>::try_from(BASE64.decode(line).ok()?).ok())
            .ok_or(fail("the third line is the root, 32 bytes in canonical Base64"))?;
        let extensions: Vec<String> = lines
            .take(EXTENSIONS_MAX.saturating_add(1))
            .map(str::to_owned)
            .collect();
        let unfit = |line: &String| line.is_empty() || line.len() > EXTENSION_LEN_MAX;
        if extensions.len() > EXTENSIONS_MAX || extensions.iter().any(unfit) {
            return Err(fail(
                "its extension lines are empty, longer than 1024 bytes, or more than 16",
            ));
        }
        Ok(Self {
            origin: origin.to_owned(),
            head: TreeHead {
                size,
                root: Digest::from_bytes(root),
            },
            extensions,
        })
    }
}

/// Decimal digits without a leading zero or sign.
fn parse_size(text: &str) -> Option<u64> {
    let size: u64 = text.parse().ok()?;
    (size <= SIZE_MAX && size.to_string() == text).then_some(size)
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TreeHead { size, root } = self.head;
        writeln!(f, "{}\n{size}\n{}", self.origin, BASE64.encode(root.as_bytes()))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A checkpoint with the lines below it. Who signed it is another question: [`SignedCheckpoint::trusted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    note: Note,
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It says that it is another log's.
    #[error("the checkpoint is of the log {found:?}, not of {expected}")]
    Origin {
        /// Whose it is.
        found: String,
        /// The name of the key.
        expected: String,
    },
    /// The key has not signed it.
    #[error("the checkpoint is not signed by {0}")]
    Unsigned(String),
    /// There is a signature that says it is of the key, and is not.
    #[error("the checkpoint has a signature in the name of {0} that does not hold")]
    Forged(String),
}

impl SignedCheckpoint {
    /// Reads a signed note that is a checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { checkpoint, note })
    }

    /// Signs the state of a log, in the name of the key.
    ///
    /// # Errors
    /// [`CheckpointError`] where the name of the key can be no origin.
    pub fn sign(head: TreeHead, signer: &Signer) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint {
            origin: signer.verifier().name().to_string(),
            head,
            extensions: Vec::new(),
        };
        let mut note = Note::unsigned(checkpoint.to_string())?;
        note.signatures.push(signer.sign(note.text(), 0));
        Ok(Self { checkpoint, note })
    }

    /// Refuses what is not the log's: another origin, no signature of the key, or one in its name that does not hold.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn trusted(&self, log: &VerifierKey) -> Result<(), TrustError> {
        if self.checkpoint.origin != log.name().as_str() {
            return Err(TrustError::Origin {
                found: self.checkpoint.origin.clone(),
                expected: log.name().to_string(),
            });
        }
        self.signed_by(log).map(drop)
    }

    /// When a key signed it: of a cosignature, the latest time, in seconds of Unix time; of a plain signature, 0.
    ///
    /// # Errors
    /// [`TrustError::Unsigned`], or [`TrustError::Forged`] as soon as one line in its name does not hold.
    pub fn signed_by(&self, key: &VerifierKey) -> Result<u64, TrustError> {
        let mut latest = None;
        for line in self.note.signatures.iter().filter(|line| key.claims(line)) {
            let verified = key.verify(self.note.text(), line);
            let verified = verified.ok_or_else(|| TrustError::Forged(key.name().to_string()))?;
            latest = latest.max(Some(verified.unix_seconds.unwrap_or(0)));
        }
        latest.ok_or_else(|| TrustError::Unsigned(key.name().to_string()))
    }

    /// A cosignature of it, made now (seconds of Unix time).
    #[must_use]
    pub fn cosignature(&self, witness: &Signer, unix_seconds: u64) -> SignatureLine {
        witness.sign(self.note.text(), unix_seconds)
    }

    /// Puts a line below it, in the place of an earlier one by the same key.
    pub fn add(&mut self, line: SignatureLine) {
        let same = |other: &SignatureLine| other.name == line.name && other.key_id == line.key_id;
        self.note.signatures.retain(|other| !same(other));
        self.note.signatures.push(line);
    }

    /// The same with one line of one key only, however many a hostile copy repeats.
    #[must_use]
    pub fn only(&self, key: &VerifierKey) -> Self {
        let mut copy = self.clone();
        copy.note.signatures.retain(|line| key.claims(line));
        copy.note.signatures.truncate(1);
        copy
    }

    /// Takes over from another copy of the same checkpoint what the keys have signed there, as far as a note has
    /// room; how many lines.
    pub fn merge(&mut self, other: &Self, keys: &[VerifierKey]) -> usize {
        if self.note.text() != other.note.text() {
            return 0;
        }
        let mut taken = 0_usize;
        for key in keys
            .iter()
            .filter(|key| key.algorithm() == Algorithm::CosignatureV1)
        {
            let holding = |line: &&SignatureLine| key.verify(other.note.text(), line).is_some();
            let there = self.note.signatures.iter().any(|line| key.claims(line));
            if !there && self.note.signatures.len() >= SIGNATURES_MAX {
                break;
            }
            if let Some(line) = other.note.signatures.iter().rfind(holding) {
                self.add(line.clone());
                taken = taken.saturating_add(1);
            }
        }
        taken
    }

    /// The note.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}
