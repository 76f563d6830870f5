//! Anyone who reads a log: proofs of what is in it, and the whole of it recomputed.

use std::collections::BTreeMap;

use gridtally_protocol::identity::Digest;

use super::CHECKPOINT;
use super::edge::Edge;
use super::extends::{ExtendError, check_extends, consistency};
use super::nodes::{NodeError, TileNodes, fetch_tile};
use super::source::{Source, SourceError};
use crate::leaf::{Kind as Sort, LEAF_LEN_MAX, Leaf, LeafError, Name};
use crate::merkle::{self, Nodes as _, inclusion_spans, span_hash};
use crate::note::{CheckpointError, NOTE_LEN_MAX, SignedCheckpoint, TreeHead, TrustError, VerifierKey};
use crate::proof::InclusionProof;
use crate::tile::{Kind, Tile, TileError, WIDTH, decode_entries, place_of, push_entry};

/// Why a log cannot be read, or is not what was signed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no log.
    #[error("there is no log in {0}: it has no file named checkpoint")]
    NoCheckpoint(String),
    /// The checkpoint is malformed.
    #[error("the checkpoint of {place} is malformed: {source}")]
    Checkpoint {
        /// Where.
        place: String,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// It is not the log's.
    #[error("{place}: {source}")]
    Trust {
        /// Where.
        place: String,
        /// Why it is not believed.
        source: TrustError,
    },
    /// A hash.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// It does not continue what is known.
    #[error(transparent)]
    Extend(#[from] ExtendError),
    /// A bundle of entries is gone.
    #[error("{place} lacks the entries {bundle}")]
    NoBundle {
        /// Where.
        place: String,
        /// The path of the bundle.
        bundle: String,
    },
    /// A bundle is none.
    #[error("the entries {bundle} are malformed: {source}")]
    Bundle {
        /// The path of the bundle.
        bundle: String,
        /// What is wrong with it.
        source: TileError,
    },
    /// An entry is not a leaf of this kind of log.
    #[error("entry {index}: {source}")]
    Leaf {
        /// Its number.
        index: u64,
        /// What is wrong with it.
        source: LeafError,
    },
    /// A tile has other hashes than those of the entries.
    #[error("the tile {tile} does not hold the hashes of the entries")]
    Tile {
        /// The path of the tile.
        tile: String,
    },
    /// The signed root is another.
    #[error("the entries lead to the root {computed}, and {signed} was signed")]
    Root {
        /// Of the entries.
        computed: Digest,
        /// Of the checkpoint.
        signed: Digest,
    },
    /// There are fewer leaves.
    #[error("the log has {size} leaves, and none with the number {index}")]
    NoLeaf {
        /// How many there are.
        size: u64,
        /// Which was asked for.
        index: u64,
    },
}

/// A log as of one checkpoint, which its key has signed.
#[derive(Debug)]
pub struct LogReader<S> {
    source: S,
    checkpoint: SignedCheckpoint,
}

/// What was recomputed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Leaves by the sort of their records.
    pub leaves: BTreeMap<Sort, u64>,
    /// Tiles of hashes that were compared.
    pub tiles: u64,
}

/// A leaf and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number, from 0.
    pub index: u64,
    /// What it says.
    pub leaf: Leaf,
}

impl<S: Source> LogReader<S> {
    /// Reads the checkpoint, and refuses one that the log's key has not signed.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(source: S, log: &VerifierKey) -> Result<Self, ReadError> {
        let checkpoint = fetch_checkpoint(&source, log)?;
        Ok(Self { source, checkpoint })
    }

    /// The log as of a checkpoint that was kept, or comes from a witness; its key must have signed it.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn as_of(source: S, log: &VerifierKey, checkpoint: SignedCheckpoint) -> Result<Self, TrustError> {
        checkpoint.trusted(log)?;
        Ok(Self { source, checkpoint })
    }

    /// The checkpoint.
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Its size and root.
    pub const fn head(&self) -> TreeHead {
        self.checkpoint.checkpoint.head
    }

    /// The leaf with a number. That it is in the log is shown by [`Self::prove_inclusion`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn leaf(&self, index: u64) -> Result<Leaf, ReadError> {
        let none = || ReadError::NoLeaf {
            size: self.head().size,
            index,
        };
        let (bundle, place) = place_of(index);
        let tile = Tile::in_log(Kind::Entries, bundle, self.head().size).ok_or_else(none)?;
        let bytes = fetch_bundle(&self.source, tile)?;
        let entries = decode_entries(tile.width, &bytes).map_err(|source| bundle_error(tile, source))?;
        let entry = entries.get(place).ok_or_else(none)?;
        Leaf::decode(entry).map_err(|source| ReadError::Leaf { index, source })
    }

    /// A proof that the leaf with a number is in the log, which was checked before it is given away.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn prove_inclusion(&self, index: u64) -> Result<InclusionProof, ReadError> {
        let TreeHead { size, root } = self.head();
        let mut nodes = TileNodes::new(&self.source, size);
        let spans = inclusion_spans(index, size).ok_or(ReadError::NoLeaf { size, index })?;
        let path: Result<_, _> = spans
            .into_iter()
            .map(|span| span_hash(&mut nodes, span))
            .collect();
        let path: Vec<Digest> = path?;
        let hash = nodes.node(0, index)?;
        merkle::check_inclusion(index, size, hash, &path, root)
            .map_err(|_| ExtendError::Tiles { head: self.head() })?;
        Ok(InclusionProof {
            index,
            path,
            checkpoint: self.checkpoint.clone(),
        })
    }

    /// The proof that this log begins with the tree that it was at a smaller size.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn prove_consistency(&self, old: u64) -> Result<Vec<Digest>, ReadError> {
        let size = self.head().size;
        Ok(consistency(&mut TileNodes::new(&self.source, size), old, size)?)
    }

    /// Computes from the tiles whether the log begins with a tree that was known before.
    ///
    /// # Errors
    /// [`ReadError::Extend`].
    pub fn must_extend(&self, known: TreeHead) -> Result<(), ReadError> {
        Ok(check_extends(&self.source, known, self.head())?)
    }

    /// Recomputes everything: entries, hashes, every tile, and the root. `see` is shown every leaf in its turn.
    ///
    /// # Errors
    /// [`ReadError`] with the first thing that does not hold.
    pub fn check_all(&self, mut see: impl FnMut(u64, &Leaf)) -> Result<Checked, ReadError> {
        let TreeHead { size, root } = self.head();
        let mut checked = Checked::default();
        let mut edge = Edge::default();
        while let Some(bundle) = Tile::in_log(Kind::Entries, place_of(edge.size()).0, size) {
            let bytes = fetch_bundle(&self.source, bundle)?;
            let entries =
                decode_entries(bundle.width, &bytes).map_err(|source| bundle_error(bundle, source))?;
            for entry in entries {
                let index = edge.size();
                let leaf = Leaf::decode(entry).map_err(|source| ReadError::Leaf { index, source })?;
                see(index, &leaf);
                let count = checked.leaves.entry(leaf.kind).or_insert(0);
                *count = count.saturating_add(1);
                for full in edge.push(merkle::leaf(entry)) {
                    self.compare(full.tile, &full.hashes, &mut checked)?;
                }
            }
            if bundle.is_partial() {
                break;
            }
        }
        for (tile, hashes) in edge.partial() {
            self.compare(tile, hashes, &mut checked)?;
        }
        let computed = edge.root();
        if computed != root {
            let signed = root;
            return Err(ReadError::Root { computed, signed });
        }
        Ok(checked)
    }

    /// All leaves of a name, with the whole log recomputed on the way.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn find(&self, name: &Name) -> Result<Vec<Found>, ReadError> {
        let mut found = Vec::new();
        self.check_all(|index, leaf| {
            if leaf.name == *name {
                let leaf = leaf.clone();
                found.push(Found { index, leaf });
            }
        })?;
        Ok(found)
    }

    fn compare(&self, tile: Tile, hashes: &[Digest], checked: &mut Checked) -> Result<(), ReadError> {
        checked.tiles = checked.tiles.saturating_add(1);
        if fetch_tile(&self.source, tile)? == hashes {
            return Ok(());
        }
        let tile = tile.to_string();
        Err(ReadError::Tile { tile })
    }
}

/// The checkpoint of a log, signed by its key.
pub(crate) fn fetch_checkpoint<S: Source>(
    source: &S,
    log: &VerifierKey,
) -> Result<SignedCheckpoint, ReadError> {
    let bytes = source.fetch(CHECKPOINT, NOTE_LEN_MAX)?;
    let bytes = bytes.ok_or_else(|| ReadError::NoCheckpoint(source.name()))?;
    let place = || source.name();
    let signed = SignedCheckpoint::parse(&bytes).map_err(|source| ReadError::Checkpoint {
        place: place(),
        source,
    })?;
    signed.trusted(log).map_err(|source| ReadError::Trust {
        place: place(),
        source,
    })?;
    Ok(signed)
}

/// The bytes of an entry bundle; of a partial one that is gone, the beginning of the full one in its place.
pub(super) fn fetch_bundle<S: Source>(source: &S, tile: Tile) -> Result<Vec<u8>, ReadError> {
    let fetch = |tile: Tile| {
        let len_max = usize::from(tile.width).saturating_mul(LEAF_LEN_MAX.saturating_add(2));
        source.fetch(&tile.to_string(), len_max)
    };
    if let Some(bytes) = fetch(tile)? {
        return Ok(bytes);
    }
    let full = if tile.is_partial() {
        fetch(tile.full())?
    } else {
        None
    };
    let bytes = full.ok_or_else(|| ReadError::NoBundle {
        place: source.name(),
        bundle: tile.to_string(),
    })?;
    let entries = decode_entries(WIDTH, &bytes).map_err(|source| bundle_error(tile, source))?;
    let mut part = Vec::new();
    for entry in entries.into_iter().take(usize::from(tile.width)) {
        push_entry(&mut part, entry).map_err(|source| bundle_error(tile, source))?;
    }
    Ok(part)
}

pub(super) fn bundle_error(tile: Tile, source: TileError) -> ReadError {
    let bundle = tile.to_string();
    ReadError::Bundle { bundle, source }
}
