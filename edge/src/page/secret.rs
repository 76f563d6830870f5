//! Random secrets and their comparison.

use sha2::{Digest as _, Sha256};

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system has no random numbers yet; try again in a moment")]
pub struct NoRandomness;

/// Random bytes of the system.
///
/// # Errors
/// [`NoRandomness`].
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// SHA-256.
#[must_use]
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether two secrets are one. What the time of the comparison tells is about their digests, of which
/// nobody can choose the next byte.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    digest(a) == digest(b)
}
