//! What a verifier does with a proof: RFC 9162 §2.1.3.2 and §2.1.4.2.

use gridtally_protocol::identity::Digest;

use super::hash::node;

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf would stand behind the end of the tree.
    #[error("a tree of {size} leaves has no leaf {index}")]
    NoSuchLeaf {
        /// The leaf asked for.
        index: u64,
        /// How many there are.
        size: u64,
    },
    /// The older tree is the larger.
    #[error("a tree of {new} leaves cannot follow one of {old}; a log never shrinks")]
    Shrinks {
        /// Leaves before.
        old: u64,
        /// Leaves after.
        new: u64,
    },
    /// Too few or too many hashes for these sizes.
    #[error("the proof has {count} hashes, which is not the number for these sizes")]
    Length {
        /// How many there are.
        count: usize,
    },
    /// The older root does not come out.
    #[error("the proof leads to another root for the older tree than the one given")]
    OldRoot,
    /// The root does not come out.
    #[error("the proof leads to another root than the one given")]
    Root,
}

/// The root to which a leaf hash and its path lead.
///
/// # Errors
/// [`ProofError::NoSuchLeaf`] or [`ProofError::Length`].
pub fn root_by_inclusion(index: u64, size: u64, leaf: Digest, path: &[Digest]) -> Result<Digest, ProofError> {
    if index >= size {
        return Err(ProofError::NoSuchLeaf { index, size });
    }
    let mut walk = Walk {
        at: index,
        last: size.saturating_sub(1),
    };
    let mut hash = leaf;
    for sibling in path {
        let wrong = ProofError::Length { count: path.len() };
        hash = match walk.up().ok_or(wrong)? {
            Side::Left => node(*sibling, hash),
            Side::Right => node(hash, *sibling),
        };
    }
    walk.arrived(path.len())?;
    Ok(hash)
}

/// Whether `leaf` is the leaf `index` of the tree with this size and root.
///
/// # Errors
/// [`ProofError`] where this does not follow from the path.
pub fn check_inclusion(
    index: u64,
    size: u64,
    leaf: Digest,
    path: &[Digest],
    root: Digest,
) -> Result<(), ProofError> {
    if root_by_inclusion(index, size, leaf, path)? == root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// The roots of the older and of the newer tree to which a consistency proof leads. The older root must be given,
/// because the proof leaves it out where the older tree is a node of the newer. For `0 < old < new`.
///
/// # Errors
/// [`ProofError::Shrinks`] or [`ProofError::Length`].
pub fn roots_by_consistency(
    old: u64,
    new: u64,
    old_root: Digest,
    proof: &[Digest],
) -> Result<(Digest, Digest), ProofError> {
    let length = ProofError::Length { count: proof.len() };
    if old > new {
        return Err(ProofError::Shrinks { old, new });
    }
    if old == 0 || old == new {
        return Err(length);
    }
    let (first, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(length)?;
        (*first, rest)
    };
    let mut walk = Walk {
        at: old.saturating_sub(1),
        last: new.saturating_sub(1),
    };
    while walk.at & 1 == 1 {
        walk.halve();
    }
    let (mut older, mut newer) = (first, first);
    for sibling in rest {
        match walk.up().ok_or(length)? {
            Side::Left => {
                older = node(*sibling, older);
                newer = node(*sibling, newer);
            }
            Side::Right => newer = node(newer, *sibling),
        }
    }
    walk.arrived(proof.len())?;
    Ok((older, newer))
}

/// Whether the tree of `new` leaves begins with the tree of `old` leaves.
///
/// # Errors
/// [`ProofError`] where this does not follow from the proof.
pub fn check_consistency(
    old: u64,
    new: u64,
    old_root: Digest,
    new_root: Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    if old == new || old == 0 {
        let count = proof.len();
        return match () {
            () if count > 0 => Err(ProofError::Length { count }),
            () if old == new && old_root != new_root => Err(ProofError::Root),
            () if old == 0 && old_root != super::root(&[]) => Err(ProofError::OldRoot),
            () => Ok(()),
        };
    }
    let (older, newer) = roots_by_consistency(old, new, old_root, proof)?;
    if newer != new_root {
        Err(ProofError::Root)
    } else if older != old_root {
        Err(ProofError::OldRoot)
    } else {
        Ok(())
    }
}

/// The way from a node to the root: `at` among the nodes `0..=last` of its level (fn and sn of the RFC).
struct Walk {
    at: u64,
    last: u64,
}

/// On which side the sibling stands.
enum Side {
    Left,
    Right,
}

impl Walk {
    const fn halve(&mut self) {
        self.at = self.at.wrapping_shr(1);
        self.last = self.last.wrapping_shr(1);
    }

    /// Goes up to the next node with a sibling; `None` at the root.
    fn up(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let side = if self.at & 1 == 1 || self.at == self.last {
            // A last node without a sibling of its own is its parent, and so on.
            while self.at & 1 == 0 && self.at != 0 {
                self.halve();
            }
            Side::Left
        } else {
            Side::Right
        };
        self.halve();
        Some(side)
    }

    const fn arrived(&self, count: usize) -> Result<(), ProofError> {
        if self.last == 0 {
            Ok(())
        } else {
            Err(ProofError::Length { count })
        }
    }
}
