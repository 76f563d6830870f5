//! Merkle tree hashes by RFC 9162 §2.1.1: leaves and nodes are hashed under different prefixes, so that no
//! node can be passed off as a leaf.

use gridtally_protocol::identity::Digest;
use sha2::{Digest as _, Sha256};

/// `SHA-256(0x00 || data)`.
#[must_use]
pub fn leaf(data: &[u8]) -> Digest {
    let hash = Sha256::new().chain_update([0x00]).chain_update(data).finalize();
    Digest::from_bytes(hash.into())
}

fn node(left: Digest, right: Digest) -> Digest {
    let hash = Sha256::new()
        .chain_update([0x01])
        .chain_update(left.as_bytes())
        .chain_update(right.as_bytes());
    Digest::from_bytes(hash.finalize().into())
}

/// The root over leaf hashes, in their order.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves that the reference implementations of Certificate Transparency test with, and their roots.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let leaves = LEAVES.map(|text| leaf(&hex::decode(text).unwrap()));
        for (count, expected) in ROOTS.iter().enumerate() {
            assert_eq!(root(&leaves[..count]).to_string(), *expected, "{count} leaves");
        }
    }
}
