//! The one that appends. Tiles first, then, when they are durable, the checkpoint.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::disk::{DiskError, lock, make_directory, put, replace_file, sync_directory};
use super::edge::Edge;
use super::extends::{ExtendError, check_extends, empty};
use super::nodes::{NodeError, fetch_tile};
use super::reader::{ReadError, fetch_bundle, fetch_checkpoint};
use super::source::Directory;
use super::{CHECKPOINT, reader};
use crate::leaf::Leaf;
use crate::merkle;
use crate::note::{CheckpointError, SIZE_MAX, SignedCheckpoint, Signer, TreeHead, VerifierKey};
use crate::tile::{Kind, Tile, TileError, decode_entries, encode_hashes, place_of, push_entry};

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// What is on the disk cannot be read, or is not this key's.
    #[error("the log cannot be continued: {0}")]
    Read(#[from] ReadError),
    /// There is a log already.
    #[error("there is a log in {} already", .0.display())]
    Exists(PathBuf),
    /// Tiles without a checkpoint: a log that was signed once, and whose size is not known.
    #[error(
        "{} has tiles but no checkpoint; bring the last checkpoint back, or a new one could take back what was signed",
        .0.display()
    )]
    Headless(PathBuf),
    /// The tiles at the log's end do not lead to the signed root.
    #[error(
        "the files at the end of the log do not lead to the root that was signed; bring them back from a copy"
    )]
    Damaged,
    /// Another leaf stands there.
    #[error("leaf {index} of the log is another one; what was logged is not changed")]
    Fork {
        /// Which.
        index: u64,
    },
    /// The log is shorter or other than is known.
    #[error("the log is not the one that was known: {0}")]
    NotExtended(#[from] ExtendError),
    /// Leaves would be missing in between.
    #[error("the log has {size} leaves, and these would begin at {at}; append those in between first")]
    Gap {
        /// Leaves in the log.
        size: u64,
        /// Where these would begin.
        at: u64,
    },
    /// More leaves than a checkpoint can speak of.
    #[error("the log is full")]
    Full,
    /// A leaf that cannot be written.
    #[error("a leaf cannot be written: {0}")]
    Entry(#[from] TileError),
    /// The key's name.
    #[error("the key cannot sign for a log: {0}")]
    Sign(#[from] CheckpointError),
    /// After a failed write it is not known what the disk holds.
    #[error("an earlier write failed; open the log anew to see what is on the disk")]
    Stopped,
}

impl From<NodeError> for WriteError {
    fn from(error: NodeError) -> Self {
        Self::Read(error.into())
    }
}

/// A log that this process alone appends to.
#[derive(Debug)]
pub struct LogWriter {
    directory: PathBuf,
    signer: Signer,
    checkpoint: SignedCheckpoint,
    end: End,
    stopped: bool,
    _lock: File,
}

/// What is not yet in full tiles.
#[derive(Debug, Clone, Default)]
struct End {
    edge: Edge,
    /// The entries of the last, partial bundle.
    bundle: Vec<u8>,
}

impl LogWriter {
    /// Begins a log in a directory, with a checkpoint of nothing.
    ///
    /// # Errors
    /// [`WriteError`], also where there is a log or what is left of one.
    pub fn create(directory: &Path, signer: Signer) -> Result<Self, WriteError> {
        make_directory(directory)?;
        let lock = lock(&directory.join(".lock"))?;
        let there = |name: &str| fs::exists(directory.join(name)).map_err(DiskError::at(directory, "read"));
        if there(CHECKPOINT)? {
            return Err(WriteError::Exists(directory.to_owned()));
        }
        if there("tile")? {
            return Err(WriteError::Headless(directory.to_owned()));
        }
        let writer = Self {
            directory: directory.to_owned(),
            checkpoint: SignedCheckpoint::sign(empty(), &signer)?,
            signer,
            end: End::default(),
            stopped: false,
            _lock: lock,
        };
        writer.put_checkpoint(&writer.checkpoint)?;
        Ok(writer)
    }

    /// Continues a log, after a look at whether the files are those that were signed.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn open(directory: &Path, signer: Signer) -> Result<Self, WriteError> {
        let lock = lock(&directory.join(".lock"))?;
        let source = Directory::new(directory);
        let checkpoint = fetch_checkpoint(&source, signer.verifier())?;
        let head = checkpoint.checkpoint.head;
        let edge = Edge::read(&source, head.size)?;
        if edge.root() != head.root {
            return Err(WriteError::Damaged);
        }
        let bundle = match Tile::in_log(Kind::Entries, place_of(head.size).0, head.size) {
            None => Vec::new(),
            Some(tile) => last_bundle(&source, tile, &edge)?,
        };
        Ok(Self {
            directory: directory.to_owned(),
            signer,
            checkpoint,
            end: End { edge, bundle },
            stopped: false,
            _lock: lock,
        })
    }

    /// What the log says of itself now.
    #[must_use]
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Its size and root.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.checkpoint.checkpoint.head
    }

    /// Refuses to go on where the directory is an older copy, or another log, than the caller remembers.
    ///
    /// # Errors
    /// [`WriteError::NotExtended`].
    pub fn must_extend(&self, known: TreeHead) -> Result<(), WriteError> {
        Ok(check_extends(
            &Directory::new(&self.directory),
            known,
            self.head(),
        )?)
    }

    /// Appends leaves of which the first has the number `at`, and signs the result. Those that are in the log
    /// already must be the same, so that a caller who does not know how far he came may simply repeat himself.
    /// Durable on return: entries, hashes, then the checkpoint.
    ///
    /// # Errors
    /// [`WriteError`]; then the log is what it was, or, where the last write failed, what this call should make it.
    pub fn append(&mut self, at: u64, leaves: &[Leaf]) -> Result<&SignedCheckpoint, WriteError> {
        if self.stopped {
            return Err(WriteError::Stopped);
        }
        let size = self.end.edge.size();
        let known = size.checked_sub(at).ok_or(WriteError::Gap { size, at })?;
        let known = usize::try_from(known).map_or(leaves.len(), |known| known.min(leaves.len()));
        let (known, new) = leaves.split_at(known);
        self.must_be_logged(at, known)?;
        if new.is_empty() {
            return Ok(&self.checkpoint);
        }
        let added = u64::try_from(new.len()).map_err(|_| WriteError::Full)?;
        if size.saturating_add(added) > SIZE_MAX {
            return Err(WriteError::Full);
        }
        self.stopped = true;
        let (end, outgrown) = self.write_tiles(new)?;
        let head = TreeHead {
            size: end.edge.size(),
            root: end.edge.root(),
        };
        let checkpoint = SignedCheckpoint::sign(head, &self.signer)?;
        self.put_checkpoint(&checkpoint)?;
        self.checkpoint = checkpoint;
        self.end = end;
        self.stopped = false;
        for tile in outgrown {
            // Room that is given back; what stays is outdated, not wrong.
            let _ = fs::remove_dir_all(self.directory.join(tile.partial_directory()));
        }
        Ok(&self.checkpoint)
    }

    /// Puts below the checkpoint what these witnesses have signed on their copy of it; how many did.
    ///
    /// # Errors
    /// [`WriteError::Disk`].
    pub fn add_cosignatures(
        &mut self,
        copy: &SignedCheckpoint,
        witnesses: &[VerifierKey],
    ) -> Result<usize, WriteError> {
        if self.stopped {
            return Err(WriteError::Stopped);
        }
        let mut merged = self.checkpoint.clone();
        let count = merged.merge(copy, witnesses);
        if merged != self.checkpoint {
            self.put_checkpoint(&merged)?;
            self.checkpoint = merged;
        }
        Ok(count)
    }

    fn must_be_logged(&self, at: u64, leaves: &[Leaf]) -> Result<(), WriteError> {
        let source = Directory::new(&self.directory);
        let mut hashes: (Option<Tile>, Vec<_>) = (None, Vec::new());
        for (leaf, index) in leaves.iter().zip(at..) {
            let (number, place) = place_of(index);
            let tile = Tile::in_log(Kind::Hashes(0), number, self.end.edge.size());
            if let Some(tile) = tile.filter(|tile| hashes.0 != Some(*tile)) {
                hashes = (Some(tile), fetch_tile(&source, tile)?);
            }
            if hashes.1.get(place) != Some(&leaf.hash()) {
                return Err(WriteError::Fork { index });
            }
        }
        Ok(())
    }

    /// Writes what becomes of the log's end with these leaves; the new end, and the tiles that became full.
    fn write_tiles(&self, leaves: &[Leaf]) -> Result<(End, Vec<Tile>), WriteError> {
        let mut end = self.end.clone();
        let mut full = Vec::new();
        let mut touched = BTreeSet::new();
        for leaf in leaves {
            let entry = leaf.encode();
            push_entry(&mut end.bundle, &entry)?;
            for done in end.edge.push(merkle::leaf(&entry)) {
                if done.tile.kind == Kind::Hashes(0) {
                    let kind = Kind::Entries;
                    let bundle = Tile { kind, ..done.tile };
                    self.put(bundle, &std::mem::take(&mut end.bundle), &mut touched)?;
                    full.push(bundle);
                }
                self.put(done.tile, &encode_hashes(&done.hashes), &mut touched)?;
                full.push(done.tile);
            }
        }
        let before: BTreeSet<Tile> = self.end.edge.partial().map(|(tile, _)| tile).collect();
        for (tile, hashes) in end.edge.partial().filter(|(tile, _)| !before.contains(tile)) {
            if tile.kind == Kind::Hashes(0) {
                let kind = Kind::Entries;
                self.put(Tile { kind, ..tile }, &end.bundle, &mut touched)?;
            }
            self.put(tile, &encode_hashes(hashes), &mut touched)?;
        }
        touched.iter().try_for_each(|path| sync_directory(path))?;
        Ok((end, full))
    }

    /// Writes a tile; the directories whose names changed are noted, to be synced together.
    fn put(&self, tile: Tile, bytes: &[u8], touched: &mut BTreeSet<PathBuf>) -> Result<(), DiskError> {
        let path = self.directory.join(tile.to_string());
        let parent = path.parent().unwrap_or(&self.directory);
        if !touched.contains(parent) {
            fs::create_dir_all(parent).map_err(DiskError::at(parent, "made"))?;
            let inside = |path: &&Path| path.starts_with(&self.directory);
            touched.extend(parent.ancestors().take_while(inside).map(Path::to_owned));
        }
        put(&path, &self.directory.join(".incoming"), bytes)
    }

    fn put_checkpoint(&self, checkpoint: &SignedCheckpoint) -> Result<(), DiskError> {
        let text = checkpoint.to_string();
        let incoming = self.directory.join(".incoming");
        replace_file(&self.directory.join(CHECKPOINT), &incoming, text.as_bytes())
    }
}

/// The entries of the partial bundle, which must be those of the hashes beside it.
fn last_bundle(source: &Directory, tile: Tile, edge: &Edge) -> Result<Vec<u8>, WriteError> {
    let bytes = fetch_bundle(source, tile)?;
    let entries = decode_entries(tile.width, &bytes).map_err(|source| reader::bundle_error(tile, source))?;
    let hashes = edge
        .partial()
        .find(|(partial, _)| partial.kind == Kind::Hashes(0));
    let same = hashes.is_some_and(|(_, hashes)| {
        hashes.len() == entries.len()
            && hashes
                .iter()
                .zip(&entries)
                .all(|(hash, entry)| *hash == merkle::leaf(entry))
    });
    if same { Ok(bytes) } else { Err(WriteError::Damaged) }
}
