//! A proof that a record is in the log, as a text that needs nothing else: C2SP tlog-proof.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index 73894
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//! …
//!
//! <the checkpoint, with its signatures>
//! ```

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gridtally_protocol::identity::Digest;

use crate::leaf::Leaf;
use crate::merkle::{ProofError, check_inclusion};
use crate::note::{CheckpointError, SignedCheckpoint, TrustError, VerifierKey};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
const PATH_LEN_MAX: usize = 64;

/// The path from a leaf to the root of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's number, from 0.
    pub index: u64,
    /// From its sibling upwards.
    pub path: Vec<Digest>,
    /// The log as of then.
    pub checkpoint: SignedCheckpoint,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// Its form.
    #[error("not a proof of inclusion ({FIRST_LINE}): {0}")]
    Form(&'static str),
    /// Its checkpoint.
    #[error("in the proof: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Not the log's.
    #[error("in the proof: {0}")]
    Trust(#[from] TrustError),
    /// The path.
    #[error("the leaf is not shown to be in the log: {0}")]
    Proof(#[from] ProofError),
}

impl InclusionProof {
    /// Whether it shows that a leaf is in a log.
    ///
    /// # Errors
    /// [`InclusionError`].
    pub fn verify(&self, leaf: &Leaf, log: &VerifierKey) -> Result<(), InclusionError> {
        self.checkpoint.trusted(log)?;
        let head = self.checkpoint.checkpoint.head;
        Ok(check_inclusion(
            self.index,
            head.size,
            leaf.hash(),
            &self.path,
            head.root,
        )?)
    }

    /// Reads a proof; a line with extra data is not taken.
    ///
    /// # Errors
    /// [`InclusionError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InclusionError> {
        let fail = InclusionError::Form;
        let text = core::str::from_utf8(bytes).map_err(|_| fail("it is not UTF-8"))?;
        let (proof, checkpoint) = text
            .split_once("\n\n")
            .ok_or(fail("an empty line divides path and checkpoint"))?;
        let mut lines = proof.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(fail("its first line is another"));
        }
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(|digits| digits.parse::<u64>().ok().filter(|n| n.to_string() == digits))
            .ok_or(fail("its second line is “index” and a number"))?;
        let mut path = Vec::new();
        for line in lines {
            let hash = BASE64.decode(line).ok().and_then(|hash| hash.try_into().ok());
            path.push(Digest::from_bytes(
                hash.ok_or(fail("a line of the path is not 32 bytes in Base64"))?,
            ));
            if path.len() > PATH_LEN_MAX {
                return Err(fail("its path is longer than any"));
            }
        }
        let checkpoint = SignedCheckpoint::parse(checkpoint.as_bytes())?;
        Ok(Self {
            index,
            path,
            checkpoint,
        })
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nindex {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", BASE64.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}
