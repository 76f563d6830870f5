//! Which parts of a tree make a proof, and their hashes out of any store that knows complete subtrees.

use gridtally_protocol::identity::Digest;

use super::hash::{node, root};

/// A run of leaves `start..end` that is a node of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first leaf.
    pub start: u64,
    /// The leaf after the last.
    pub end: u64,
}

impl Span {
    const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The two children, split at the largest power of two that is smaller than the length; `None` of a leaf.
    fn children(self) -> Option<(Self, Self)> {
        if self.len() < 2 {
            return None;
        }
        let half = 1_u64.checked_shl(self.len().saturating_sub(1).ilog2())?;
        let middle = self.start.checked_add(half)?;
        let (start, end) = (self.start, self.end);
        Some((Self { start, end: middle }, Self { start: middle, end }))
    }
}

/// The nodes of `PATH(index, D[size])` of RFC 9162 §2.1.3.1, from the leaf's sibling upwards; `None` where the tree
/// has no such leaf.
#[must_use]
pub fn inclusion_spans(index: u64, size: u64) -> Option<Vec<Span>> {
    if index >= size {
        return None;
    }
    let mut spans = Vec::new();
    let mut at = Span { start: 0, end: size };
    while let Some((left, right)) = at.children() {
        let (next, sibling) = if index < left.end {
            (left, right)
        } else {
            (right, left)
        };
        spans.push(sibling);
        at = next;
    }
    spans.reverse();
    Some(spans)
}

/// The nodes of `PROOF(old, D[new])` of RFC 9162 §2.1.4.1; empty where there is nothing to prove (the old tree
/// is empty, or is the new one), `None` where the old tree is the larger.
#[must_use]
pub fn consistency_spans(old: u64, new: u64) -> Option<Vec<Span>> {
    if old > new {
        return None;
    }
    if old == 0 || old == new {
        return Some(Vec::new());
    }
    let mut spans = Vec::new();
    let mut at = Span { start: 0, end: new };
    while at.end != old {
        let (left, right) = at.children()?;
        let (next, sibling) = if old <= left.end {
            (left, right)
        } else {
            (right, left)
        };
        spans.push(sibling);
        at = next;
    }
    // The whole old tree is what the verifier has already; any other node he is told.
    if at.start != 0 {
        spans.push(at);
    }
    spans.reverse();
    Some(spans)
}

/// A store of the hashes of complete subtrees.
pub trait Nodes {
    /// Why a hash cannot be had.
    type Error;

    /// The hash over the leaves `index·2^level .. (index+1)·2^level`.
    ///
    /// # Errors
    /// The store's own.
    fn node(&mut self, level: u32, index: u64) -> Result<Digest, Self::Error>;
}

/// The hash over a span, of complete subtrees.
///
/// # Errors
/// Those of the store.
pub fn span_hash<N: Nodes>(nodes: &mut N, span: Span) -> Result<Digest, N::Error> {
    let len = span.len();
    if len.is_power_of_two() {
        let level = len.trailing_zeros();
        return nodes.node(level, span.start.checked_shr(level).unwrap_or(0));
    }
    match span.children() {
        None => Ok(root(&[])),
        Some((left, right)) => Ok(node(span_hash(nodes, left)?, span_hash(nodes, right)?)),
    }
}
