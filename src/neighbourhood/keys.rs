//! Keys that follow from a seed: for simulations only, where every run must sign the same bytes.

use gridtally_protocol::identity::{Digest, IdentityError, SigningIdentity};

/// The secret of a role in the neighbourhood of a seed.
#[must_use]
pub fn secret(seed: u64, role: &str) -> [u8; 32] {
    *Digest::of(format!("gridtally simulated key, seed {seed}, {role}").as_bytes()).as_bytes()
}

/// The key of a role in the neighbourhood of a seed.
///
/// # Errors
/// [`IdentityError`] in the practically impossible case that the key is unsound.
pub fn signing(seed: u64, role: &str) -> Result<SigningIdentity, IdentityError> {
    SigningIdentity::from_secret(&secret(seed, role))
}
