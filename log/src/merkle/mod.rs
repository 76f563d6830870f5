//! Merkle trees of RFC 9162 §2.1: hashes, a tree in memory, proofs made from any store of hashes, and their checks.

mod check;
mod hash;
mod prove;
mod tree;

pub use check::{ProofError, check_consistency, check_inclusion, root_by_inclusion, roots_by_consistency};
pub use hash::{leaf, node, root};
pub use prove::{Nodes, Span, consistency_spans, inclusion_spans, span_hash};
pub use tree::{NotInTree, Tree};

#[cfg(test)]
mod tests;
