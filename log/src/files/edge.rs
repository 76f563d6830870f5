//! The right edge of a log: the hashes of its partial tiles, from which root and growth follow.

use gridtally_protocol::identity::Digest;

use super::nodes::{NodeError, fetch_tile};
use super::source::Source;
use crate::merkle;
use crate::tile::{Kind, LEVEL_MAX, Tile, WIDTH, place_of};

/// What is not yet in full tiles, level by level: fewer than 256 hashes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Digest>>,
}

/// A tile that became full.
pub struct FullTile {
    /// Where it belongs.
    pub tile: Tile,
    /// Its 256 hashes.
    pub hashes: Vec<Digest>,
}

impl Edge {
    /// Reads the edge of a log of `size` leaves.
    pub fn read<S: Source>(source: &S, size: u64) -> Result<Self, NodeError> {
        let mut levels = Vec::new();
        let mut hashes = size;
        for level in 0..=LEVEL_MAX {
            if hashes == 0 {
                break;
            }
            let kind = Kind::Hashes(level);
            let tile = Tile::in_log(kind, place_of(hashes).0, size);
            levels.push(tile.map_or(Ok(Vec::new()), |tile| fetch_tile(source, tile))?);
            (hashes, _) = place_of(hashes);
        }
        Ok(Self { size, levels })
    }

    /// Leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree. All hashes of a level, and the root of what is right of them, are a tree of the
    /// same shape as the whole: what is right of them is smaller than any of them.
    pub fn root(&self) -> Digest {
        let mut right: Option<Digest> = None;
        for level in &self.levels {
            let hashes: Vec<Digest> = level.iter().copied().chain(right).collect();
            right = (!hashes.is_empty()).then(|| merkle::root(&hashes));
        }
        right.unwrap_or_else(|| merkle::root(&[]))
    }

    /// Adds a leaf hash; what became full by it.
    pub fn push(&mut self, leaf: Digest) -> Vec<FullTile> {
        let mut full = Vec::new();
        let mut hash = leaf;
        let mut index = self.size;
        self.size = self.size.saturating_add(1);
        for number in 0..=LEVEL_MAX {
            (index, _) = place_of(index);
            if self.levels.len() <= usize::from(number) {
                self.levels.push(Vec::new());
            }
            let Some(level) = self.levels.get_mut(usize::from(number)) else {
                break;
            };
            level.push(hash);
            if level.len() < usize::from(WIDTH) {
                break;
            }
            let hashes = std::mem::take(level);
            hash = merkle::root(&hashes);
            let kind = Kind::Hashes(number);
            full.push(FullTile {
                tile: Tile {
                    kind,
                    index,
                    width: WIDTH,
                },
                hashes,
            });
        }
        full
    }

    /// The partial tiles, with their hashes.
    pub fn partial(&self) -> impl Iterator<Item = (Tile, &[Digest])> {
        self.levels
            .iter()
            .zip(0..=LEVEL_MAX)
            .filter(|(hashes, _)| !hashes.is_empty())
            .filter_map(|(hashes, level)| {
                let kind = Kind::Hashes(level);
                let shift = u32::from(level)
                    .saturating_add(1)
                    .saturating_mul(crate::tile::HEIGHT);
                let index = self.size.checked_shr(shift).unwrap_or(0);
                Some((Tile::in_log(kind, index, self.size)?, hashes.as_slice()))
            })
    }
}
