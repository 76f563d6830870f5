//! Files that are whole or not there: written beside, synced, renamed, and the directory synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file or directory that cannot be read, written or made durable.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {action}: {source}", path.display())]
pub struct DiskError {
    /// Which.
    pub path: PathBuf,
    /// What was tried.
    pub action: &'static str,
    /// What the system said.
    pub source: io::Error,
}

impl DiskError {
    /// For `map_err`.
    pub(crate) fn at(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path, action, source }
    }
}

/// Writes a file so that it has either its old content or the new, whenever the power fails; durable on return.
///
/// # Errors
/// [`DiskError`].
pub fn replace_file(path: &Path, incoming: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    put(path, incoming, bytes)?;
    sync_directory(path.parent().unwrap_or(Path::new("/")))
}

/// Writes a file whole, by way of `incoming` on the same file system; its directory is yet to be synced.
pub(super) fn put(path: &Path, incoming: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(incoming)
        .map_err(DiskError::at(incoming, "made"))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(DiskError::at(incoming, "written"))?;
    fs::rename(incoming, path).map_err(DiskError::at(path, "put in place"))
}

/// Makes a directory, durably.
pub(crate) fn make_directory(path: &Path) -> Result<(), DiskError> {
    fs::create_dir_all(path).map_err(DiskError::at(path, "made"))?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), DiskError> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(DiskError::at(path, "synced"))
}

/// Holds a file as long as the value lives, so that one process at a time writes.
pub(crate) fn lock(path: &Path) -> Result<File, DiskError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(DiskError::at(path, "made"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(DiskError {
            path: path.to_owned(),
            action: "locked",
            source: io::Error::new(
                io::ErrorKind::WouldBlock,
                "another process writes here; wait for it",
            ),
        }),
        Err(fs::TryLockError::Error(source)) => Err(DiskError {
            path: path.to_owned(),
            action: "locked",
            source,
        }),
    }
}
