//! Signed notes (C2SP signed-note), checkpoints (C2SP tlog-checkpoint) and cosignatures (C2SP tlog-cosignature).

mod checkpoint;
mod key;
mod text;

pub use checkpoint::{
    Checkpoint, CheckpointError, ORIGIN_LEN_MAX, SIZE_MAX, SignedCheckpoint, TreeHead, TrustError,
};
pub use key::{Algorithm, KeyError, KeyName, SIGNER_PREFIX, Signer, Verified, VerifierKey};
pub use text::{NOTE_LEN_MAX, Note, NoteError, SIGNATURES_MAX, SignatureLine};

#[cfg(test)]
mod tests;
