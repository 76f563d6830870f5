//! The two hashes of RFC 9162 §2.1.1: leaves and nodes under different prefixes, so that no node can be
//! passed off as a leaf.

use gridtally_protocol::identity::Digest;
use sha2::{Digest as _, Sha256};

/// `SHA-256(0x00 || data)`.
#[must_use]
pub fn leaf(data: &[u8]) -> Digest {
    let hash = Sha256::new().chain_update([0x00]).chain_update(data);
    Digest::from_bytes(hash.finalize().into())
}

/// `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node(left: Digest, right: Digest) -> Digest {
    let hash = Sha256::new()
        .chain_update([0x01])
        .chain_update(left.as_bytes())
        .chain_update(right.as_bytes());
    Digest::from_bytes(hash.finalize().into())
}

/// The root over leaf hashes, in their order; of none, the hash of nothing.
#[must_use]
pub fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(&[]),
        [only] => *only,
        _ => {
            // The largest power of two that is smaller than the number of leaves.
            let half = leaves.len().next_power_of_two().wrapping_shr(1);
            let (left, right) = leaves.split_at(half);
            node(root(left), root(right))
        }
    }
}
