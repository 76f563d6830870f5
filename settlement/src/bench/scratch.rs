//! A directory for the time of a measurement.

use std::fs;
use std::path::{Path, PathBuf};

use super::BenchError;

/// Removed with everything in it when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn make(parent: &Path) -> Result<Self, BenchError> {
        let path = parent.join(format!("gridtally-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(|source| BenchError::Io {
            what: "cannot make a scratch directory",
            source,
        })?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "the scratch directory is left behind");
        }
    }
}
