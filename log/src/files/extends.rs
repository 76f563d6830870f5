//! Whether one state of a log continues another, out of nothing but its tiles.

use gridtally_protocol::identity::Digest;

use super::nodes::{NodeError, TileNodes};
use super::source::Source;
use crate::merkle::{self, Span, consistency_spans, roots_by_consistency, span_hash};
use crate::note::TreeHead;

/// Why a state of a log is not taken for the continuation of another.
#[derive(Debug, thiserror::Error)]
pub enum ExtendError {
    /// It has fewer leaves.
    #[error("the log was taken back from {} leaves to {}", old.size, new.size)]
    Shrinks {
        /// What was known.
        old: TreeHead,
        /// What is shown now.
        new: TreeHead,
    },
    /// Its first leaves are other ones: shown by the hashes that the log itself serves.
    #[error(
        "the log was forked: the tree of {} leaves with root {} does not begin with that of {} leaves with root {}",
        new.size, new.root, old.size, old.root
    )]
    Fork {
        /// What was known.
        old: TreeHead,
        /// What is shown now.
        new: TreeHead,
    },
    /// The tiles are not those of the checkpoint, whatever the reason; nothing can be said about the old state.
    #[error(
        "the tiles that are served do not lead to the root {} of {} leaves; the copy is damaged or not yet complete",
        head.root, head.size
    )]
    Tiles {
        /// What is shown now.
        head: TreeHead,
    },
    /// A tile cannot be had.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// An empty log.
#[must_use]
pub fn empty() -> TreeHead {
    let root = merkle::root(&[]);
    TreeHead { size: 0, root }
}

/// Computes from the tiles whether the tree `new` begins with the tree `old`.
///
/// # Errors
/// [`ExtendError`].
pub fn check_extends<S: Source>(source: &S, old: TreeHead, new: TreeHead) -> Result<(), ExtendError> {
    if new.size < old.size {
        return Err(ExtendError::Shrinks { old, new });
    }
    if new.size == old.size && old.size != 0 {
        let same = new.root == old.root;
        return if same {
            Ok(())
        } else {
            Err(ExtendError::Fork { old, new })
        };
    }
    let tiles = ExtendError::Tiles { head: new };
    let mut nodes = TileNodes::new(source, new.size);
    if old.size == 0 {
        let whole = Span {
            start: 0,
            end: new.size,
        };
        let root = span_hash(&mut nodes, whole)?;
        return if root == new.root { Ok(()) } else { Err(tiles) };
    }
    let proof = consistency(&mut nodes, old.size, new.size)?;
    match roots_by_consistency(old.size, new.size, old.root, &proof) {
        // Where the old tree is a node of the new one, it is in the proof only as the root that we knew.
        Ok((_, newer)) if newer != new.root && old.size.is_power_of_two() => {
            let theirs = span_hash(
                &mut nodes,
                Span {
                    start: 0,
                    end: old.size,
                },
            )?;
            match roots_by_consistency(old.size, new.size, theirs, &proof) {
                Ok((_, newer)) if newer == new.root => Err(ExtendError::Fork { old, new }),
                _ => Err(tiles),
            }
        }
        Ok((_, newer)) if newer != new.root => Err(tiles),
        Ok((older, _)) if older != old.root => Err(ExtendError::Fork { old, new }),
        Ok(_) => Ok(()),
        Err(_) => Err(tiles),
    }
}

/// The consistency proof between two sizes, of the tiles.
pub(super) fn consistency<S: Source>(
    nodes: &mut TileNodes<'_, S>,
    old: u64,
    new: u64,
) -> Result<Vec<Digest>, NodeError> {
    let spans = consistency_spans(old, new).ok_or(NodeError::Outside { size: new })?;
    spans.into_iter().map(|span| span_hash(nodes, span)).collect()
}
