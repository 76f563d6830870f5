//! Hashes of complete subtrees, out of the tiles of a log of some size.

use std::collections::BTreeMap;

use gridtally_protocol::identity::Digest;

use super::source::{Source, SourceError};
use crate::merkle::{self, Nodes};
use crate::tile::{HEIGHT, Kind, Tile, TileError, decode_hashes, place_of};

/// A proof takes a few tiles for each level; more than these are forgotten.
const TILES_KEPT_MAX: usize = 256;

/// Why a hash cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its tile cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no such file, neither partial nor full.
    #[error("{place} lacks the tile {tile}, which its checkpoint needs")]
    Missing {
        /// Where the log is.
        place: String,
        /// The path of the tile.
        tile: String,
    },
    /// It is no tile.
    #[error("the tile {tile} is malformed: {source}")]
    Malformed {
        /// The path of the tile.
        tile: String,
        /// What is wrong with it.
        source: TileError,
    },
    /// The hash is not in a log of this size.
    #[error("a log of {size} leaves has no such subtree")]
    Outside {
        /// Its leaves.
        size: u64,
    },
}

/// The tiles of a log of a size. What they say is believed only once it leads to a root that is.
pub struct TileNodes<'a, S> {
    source: &'a S,
    size: u64,
    kept: BTreeMap<Tile, Vec<Digest>>,
}

impl<'a, S: Source> TileNodes<'a, S> {
    /// The tiles of a log of `size` leaves.
    pub const fn new(source: &'a S, size: u64) -> Self {
        Self {
            source,
            size,
            kept: BTreeMap::new(),
        }
    }

    /// The hashes in a tile, fetched at most once.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn tile(&mut self, tile: Tile) -> Result<&[Digest], NodeError> {
        if !self.kept.contains_key(&tile) {
            let hashes = fetch_tile(self.source, tile)?;
            if self.kept.len() >= TILES_KEPT_MAX {
                self.kept.pop_first();
            }
            self.kept.insert(tile, hashes);
        }
        Ok(self.kept.get(&tile).map(Vec::as_slice).unwrap_or_default())
    }
}

/// The hashes of a tile; of a partial one that is gone, those of the full one that took its place.
pub fn fetch_tile<S: Source>(source: &S, tile: Tile) -> Result<Vec<Digest>, NodeError> {
    let fetch = |tile: Tile| {
        let path = tile.to_string();
        let len_max = usize::from(tile.width).saturating_mul(32);
        let bytes = source.fetch(&path, len_max)?;
        let read = bytes.map(|bytes| decode_hashes(tile.width, &bytes));
        read.transpose()
            .map_err(|source| NodeError::Malformed { tile: path, source })
    };
    let mut hashes = fetch(tile)?;
    if hashes.is_none() && tile.is_partial() {
        hashes = fetch(tile.full())?;
    }
    let mut hashes = hashes.ok_or_else(|| NodeError::Missing {
        place: source.name(),
        tile: tile.to_string(),
    })?;
    hashes.truncate(usize::from(tile.width));
    Ok(hashes)
}

impl<S: Source> Nodes for TileNodes<'_, S> {
    type Error = NodeError;

    fn node(&mut self, level: u32, index: u64) -> Result<Digest, NodeError> {
        let outside = NodeError::Outside { size: self.size };
        // The subtree's leaves in its tile: 2^within hashes, from `first` on.
        let (of_tiles, within) = (level / HEIGHT, level % HEIGHT);
        let place = || {
            let kind = Kind::Hashes(u8::try_from(of_tiles).ok()?);
            let first = index.checked_mul(1_u64.checked_shl(within)?)?;
            let (number, start) = place_of(first);
            let tile = Tile::in_log(kind, number, self.size)?;
            let end = start.checked_add(1_usize.checked_shl(within)?)?;
            Some((tile, start, end))
        };
        let Some((tile, start, end)) = place() else {
            return Err(outside);
        };
        let hashes = self.tile(tile)?.get(start..end).ok_or(outside)?;
        Ok(merkle::root(hashes))
    }
}
