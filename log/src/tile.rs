//! Where the hashes and entries of a log stand in files: C2SP tlog-tiles, with tiles of height 8.
//!
//! A tile of level `l` holds up to 256 hashes, each of a complete subtree of 256^l leaves. A tile that is not yet
//! full is *partial*, and its width is in its name, so that no file ever changes.

use core::fmt;
use core::str::FromStr;

use gridtally_protocol::identity::Digest;

/// How many hashes or entries a full tile holds.
pub const WIDTH: u16 = 256;
/// The levels of the tree within a tile: 2^8 = 256.
pub const HEIGHT: u32 = 8;
/// The highest level of tiles that the format knows.
pub const LEVEL_MAX: u8 = 63;
const HASH_LEN: usize = 32;

/// What stands in a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Hashes of complete subtrees of 256^level leaves.
    Hashes(u8),
    /// The entries themselves: an entry bundle.
    Entries,
}

/// A tile by its place; its path by [`fmt::Display`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// What is in it.
    pub kind: Kind,
    /// Its number within the level, from 0.
    pub index: u64,
    /// How much of it is there, 1 to 256.
    pub width: u16,
}

/// In which tile of a level a hash stands, and where in it.
pub(crate) fn place_of(index: u64) -> (u64, usize) {
    let [.., low] = index.to_be_bytes();
    (index.wrapping_shr(HEIGHT), usize::from(low))
}

/// Why bytes or a path are no tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The name of a file.
    #[error("not the path of a tile; one looks like tile/0/x001/234 or tile/entries/000.p/17")]
    Path,
    /// Not as long as its width says.
    #[error("a tile of {width} hashes has {} bytes, this has {len}", usize::from(*width).saturating_mul(32))]
    Length {
        /// Hashes by its name.
        width: u16,
        /// Bytes.
        len: usize,
    },
    /// An entry bundle ends in the middle of an entry, or has too few or too many.
    #[error("the entry bundle does not hold {width} entries and nothing else")]
    Entries {
        /// Entries by its name.
        width: u16,
    },
    /// An entry longer than its length can be written.
    #[error("an entry of {len} bytes is too long; 65535 is the most")]
    EntryTooLong {
        /// Its bytes.
        len: usize,
    },
}

impl Tile {
    /// The tile with this number as a log of `size` leaves has it; `None` where it has none.
    #[must_use]
    pub fn in_log(kind: Kind, index: u64, size: u64) -> Option<Self> {
        let level = match kind {
            Kind::Entries => 0,
            Kind::Hashes(level) => u32::from(level),
        };
        let hashes = size.checked_shr(level.checked_mul(HEIGHT)?).unwrap_or(0);
        let before = index.checked_mul(u64::from(WIDTH))?;
        let width = hashes.checked_sub(before)?.min(u64::from(WIDTH));
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { kind, index, width })
    }

    /// The full tile in the same place.
    #[must_use]
    pub const fn full(self) -> Self {
        Self { width: WIDTH, ..self }
    }

    /// Whether there is room left in it.
    #[must_use]
    pub const fn is_partial(self) -> bool {
        self.width < WIDTH
    }

    /// The directory of the partial tiles in the same place: `…/000.p`.
    #[must_use]
    pub fn partial_directory(self) -> String {
        format!("{}.p", self.full())
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Hashes(level) => write!(f, "tile/{level}/")?,
            Kind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = Vec::new();
        let mut rest = self.index;
        while rest >= 1000 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        groups.push(rest);
        while let Some(group) = groups.pop() {
            if groups.is_empty() {
                write!(f, "{group:03}")?;
            } else {
                write!(f, "x{group:03}/")?;
            }
        }
        if self.is_partial() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for Tile {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let read = || {
            let (kind, place) = path.strip_prefix("tile/")?.split_once('/')?;
            let kind = match kind {
                "entries" => Kind::Entries,
                level => Kind::Hashes(level.parse().ok().filter(|level| *level <= LEVEL_MAX)?),
            };
            let (place, width) = match place.split_once(".p/") {
                Some((place, width)) => (place, width.parse().ok().filter(|w| (1..WIDTH).contains(w))?),
                None => (place, WIDTH),
            };
            let mut index = 0_u64;
            for group in place.split('/') {
                let digits = group.strip_prefix('x').unwrap_or(group);
                let number: u64 = digits.parse().ok().filter(|number| *number < 1000)?;
                index = index.checked_mul(1000)?.checked_add(number)?;
            }
            Some(Self { kind, index, width })
        };
        // One place has one path: signs, missing zeros and stray letters are another's.
        read()
            .filter(|tile| tile.to_string() == path)
            .ok_or(TileError::Path)
    }
}

/// The file of a tile of hashes.
#[must_use]
pub fn encode_hashes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Reads a tile of hashes.
///
/// # Errors
/// [`TileError::Length`].
pub fn decode_hashes(width: u16, bytes: &[u8]) -> Result<Vec<Digest>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<HASH_LEN>();
    if !rest.is_empty() || hashes.len() != usize::from(width) {
        return Err(TileError::Length {
            width,
            len: bytes.len(),
        });
    }
    Ok(hashes.iter().map(|hash| Digest::from_bytes(*hash)).collect())
}

/// Adds an entry to the bytes of a bundle.
///
/// # Errors
/// [`TileError::EntryTooLong`].
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    let len = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong { len: entry.len() })?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Reads an entry bundle.
///
/// # Errors
/// [`TileError::Entries`].
pub fn decode_entries(width: u16, bytes: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let wrong = TileError::Entries { width };
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk().ok_or(wrong)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (entry, after) = after.split_at_checked(len).ok_or(wrong)?;
        entries.push(entry);
        rest = after;
        if entries.len() > usize::from(width) {
            return Err(wrong);
        }
    }
    if entries.len() == usize::from(width) {
        Ok(entries)
    } else {
        Err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(kind: Kind, index: u64, width: u16) -> String {
        Tile { kind, index, width }.to_string()
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(path(Kind::Hashes(0), 0, 256), "tile/0/000");
        assert_eq!(path(Kind::Hashes(1), 1_234_067, 256), "tile/1/x001/x234/067");
        assert_eq!(path(Kind::Hashes(63), 1000, 1), "tile/63/x001/000.p/1");
        assert_eq!(path(Kind::Entries, 273, 112), "tile/entries/273.p/112");
    }

    #[test]
    fn a_log_of_70_000_leaves_has_the_tiles_of_the_specification() {
        let width = |kind, index| Tile::in_log(kind, index, 70_000).map(|tile| tile.width);
        assert_eq!(width(Kind::Hashes(0), 272), Some(256));
        assert_eq!(width(Kind::Hashes(0), 273), Some(112));
        assert_eq!(width(Kind::Entries, 273), Some(112));
        assert_eq!(width(Kind::Hashes(0), 274), None);
        assert_eq!(width(Kind::Hashes(1), 0), Some(256));
        assert_eq!(width(Kind::Hashes(1), 1), Some(17));
        assert_eq!(width(Kind::Hashes(2), 0), Some(1));
        assert_eq!(width(Kind::Hashes(3), 0), None);
        assert_eq!(Tile::in_log(Kind::Hashes(1), 0, 256).unwrap().width, 1);
        assert_eq!(Tile::in_log(Kind::Hashes(63), 0, u64::MAX), None);
    }

    #[test]
    fn other_spellings_of_a_path_are_no_path() {
        for wrong in [
            "",
            "tile/0",
            "tile/0/",
            "tile/00/000",
            "tile/64/000",
            "tile/+1/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/000",
            "tile/0/001/000",
            "tile/0/x001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p",
            "/tile/0/000",
            "tile/0/../0/000",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(wrong.parse::<Tile>(), Err(TileError::Path), "{wrong}");
        }
    }

    #[test]
    fn a_bundle_that_is_cut_or_has_too_much_is_refused() {
        let mut bundle = Vec::new();
        push_entry(&mut bundle, b"one").unwrap();
        push_entry(&mut bundle, b"").unwrap();
        assert_eq!(bundle, b"\x00\x03one\x00\x00");
        assert_eq!(decode_entries(2, &bundle).unwrap(), [b"one".as_slice(), b""]);
        for width in [0, 1, 3] {
            assert_eq!(decode_entries(width, &bundle), Err(TileError::Entries { width }));
        }
        for cut in 1..bundle.len() {
            assert!(decode_entries(2, &bundle[..cut]).is_err());
        }
        assert!(push_entry(&mut bundle, &[0; 65_536]).is_err());
        assert!(decode_hashes(1, &[0; 33]).is_err() && decode_hashes(2, &[0; 32]).is_err());
    }

    proptest! {
        #[test]
        fn a_path_reads_back(level in 0..=64_u8, index in any::<u64>(), width in 1..=256_u16) {
            let kind = if level == 64 { Kind::Entries } else { Kind::Hashes(level) };
            let tile = Tile { kind, index, width };
            prop_assert_eq!(tile.to_string().parse::<Tile>(), Ok(tile));
        }
    }
}
