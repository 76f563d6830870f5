//! A tree in memory that grows leaf by leaf and proves what it holds, at any size that it had.

use gridtally_protocol::identity::Digest;

use super::hash::node;
use super::prove::{Nodes, Span, consistency_spans, inclusion_spans, span_hash};

/// The hashes of all complete subtrees: 64 bytes for each leaf.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    levels: Vec<Vec<Digest>>,
}

/// A size or leaf that the tree does not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tree does not reach so far; it has {size} leaves")]
pub struct NotInTree {
    /// How many leaves there are.
    pub size: u64,
}

impl Tree {
    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        let leaves = self.levels.first().map_or(0, Vec::len);
        u64::try_from(leaves).unwrap_or(u64::MAX)
    }

    /// Adds a leaf hash at the end.
    pub fn append(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for level in &mut self.levels {
            level.push(hash);
            match level.as_slice() {
                [.., left, right] if level.len().is_multiple_of(2) => hash = node(*left, *right),
                _ => return,
            }
        }
        self.levels.push(vec![hash]);
    }

    /// The root that the tree had at a size.
    ///
    /// # Errors
    /// [`NotInTree`] where it is smaller.
    pub fn root_at(&self, size: u64) -> Result<Digest, NotInTree> {
        span_hash(&mut &*self, Span { start: 0, end: size })
    }

    /// The path from a leaf to the root at a size.
    ///
    /// # Errors
    /// [`NotInTree`].
    pub fn prove_inclusion(&self, index: u64, size: u64) -> Result<Vec<Digest>, NotInTree> {
        self.hashes(inclusion_spans(index, size))
    }

    /// The proof that the tree at size `new` begins with the one at size `old`.
    ///
    /// # Errors
    /// [`NotInTree`].
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, NotInTree> {
        self.hashes(consistency_spans(old, new))
    }

    fn hashes(&self, spans: Option<Vec<Span>>) -> Result<Vec<Digest>, NotInTree> {
        let spans = spans.ok_or(NotInTree { size: self.size() })?;
        spans
            .into_iter()
            .map(|span| span_hash(&mut &*self, span))
            .collect()
    }
}

impl Nodes for &Tree {
    type Error = NotInTree;

    fn node(&mut self, level: u32, index: u64) -> Result<Digest, NotInTree> {
        let hash = || {
            let level = self.levels.get(usize::try_from(level).ok()?)?;
            level.get(usize::try_from(index).ok()?).copied()
        };
        hash().ok_or(NotInTree { size: self.size() })
    }
}
