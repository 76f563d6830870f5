//! A leaf of the tree: an address and an amount, in the encoding of Solidity's `abi.encode(address, uint256)`.

use core::fmt;

use serde::{Serialize, Serializer};
use sha3::{Digest as _, Keccak256};

use super::Address;

/// A hash in the tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node([u8; 32]);

impl Node {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The node above two: the hash of both, the lower one first, so that a proof need not say which is left.
    #[must_use]
    pub fn above(self, other: Self) -> Self {
        let (low, high) = if self <= other {
            (self, other)
        } else {
            (other, self)
        };
        Self(
            Keccak256::new()
                .chain_update(low.0)
                .chain_update(high.0)
                .finalize()
                .into(),
        )
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("0x{}", hex::encode(self.0)))
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How much an address may claim in all, in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// Whose.
    pub address: Address,
    /// How much.
    pub amount: u128,
}

impl Leaf {
    /// Both as 32 bytes, big-endian, filled with zeros on the left: Solidity's ABI, "Formal Specification of the
    /// Encoding".
    #[must_use]
    pub fn encoded(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        let (_, address) = bytes.split_at_mut(12);
        let (address, rest) = address.split_at_mut(20);
        address.copy_from_slice(self.address.as_bytes());
        let (_, amount) = rest.split_at_mut(16);
        amount.copy_from_slice(&self.amount.to_be_bytes());
        bytes
    }

    /// The hash of the hash of the encoding: twice, so that a leaf is never taken for a node above two others,
    /// whose encoding has 64 bytes too.
    #[must_use]
    pub fn hash(&self) -> Node {
        Node(Keccak256::digest(Keccak256::digest(self.encoded())).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_encoded_as_solidity_does() {
        let leaf = Leaf {
            address: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse().unwrap(),
            amount: 258,
        };
        let expected = format!(
            "{}5aaeb6053f3e94c9b9a09f33669435e7ef1beaed{}0102",
            "0".repeat(24),
            "0".repeat(60)
        );
        assert_eq!(hex::encode(leaf.encoded()), expected);
    }

    #[test]
    fn keccak_is_that_of_ethereum_and_not_sha3() {
        let of_nothing = hex::encode(Keccak256::digest(b""));
        assert_eq!(
            of_nothing,
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
    }

    #[test]
    fn the_order_of_two_nodes_never_matters() {
        let (one, other) = (Node([1; 32]), Node([2; 32]));
        assert_eq!(one.above(other), other.above(one));
        assert_ne!(one.above(other), one.above(one));
    }
}
