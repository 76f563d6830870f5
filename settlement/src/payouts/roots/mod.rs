//! Payout roots: what every beneficiary of a program was credited in all, as a Merkle tree that an on-chain
//! distributor can pay claims by. Pure: nothing here reads or writes anything. See `docs/payout-roots.md`.
//!
//! The tree is OpenZeppelin's `StandardMerkleTree` with the leaf encoding `["address","uint256"]`, and its dump the
//! format `standard-v1` of `@openzeppelin/merkle-tree` 1.0.

mod address;
mod claims;
mod dump;
mod leaf;
mod proof;
mod tree;

pub use address::{Address, AddressError};
pub use claims::{Bindings, Claims, ClaimsError, Line, Published, Sums};
pub use dump::{Dump, DumpError, read_dump};
pub use leaf::{Leaf, Node};
pub use proof::{Companion, Proof, RootName};
pub use tree::{Tree, TreeError};
