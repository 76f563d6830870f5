//! What a witness remembers: of each log the last checkpoint that it cosigned, below its own signature, so that
//! a damaged memory is noticed rather than believed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gridtally_protocol::identity::Digest;

use super::WitnessError;
use crate::files::{DiskError, make_directory, replace_file};
use crate::note::{SignedCheckpoint, VerifierKey};

const FOLDER: &str = "logs";

/// An origin is any text; its hash is a name for a file.
fn file_of(directory: &Path, origin: &str) -> PathBuf {
    directory
        .join(FOLDER)
        .join(Digest::of(origin.as_bytes()).to_string())
}

/// What is known of a log; `None` where there was never anything.
pub fn load(
    directory: &Path,
    witness: &VerifierKey,
    origin: &str,
) -> Result<Option<SignedCheckpoint>, WitnessError> {
    let file = file_of(directory, origin);
    match fs::read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::at(&file, "read")(error).into()),
        Ok(bytes) => read(&file, &bytes, witness).map(Some),
    }
}

fn read(file: &Path, bytes: &[u8], witness: &VerifierKey) -> Result<SignedCheckpoint, WitnessError> {
    let damaged = |why: String| WitnessError::Memory {
        file: file.to_owned(),
        why,
    };
    let known = SignedCheckpoint::parse(bytes).map_err(|error| damaged(error.to_string()))?;
    known
        .signed_by(witness)
        .map_err(|error| damaged(error.to_string()))?;
    let name = Digest::of(known.checkpoint.origin.as_bytes()).to_string();
    if file.file_name().is_none_or(|file| file != name.as_str()) {
        return Err(damaged("it is of another log".to_owned()));
    }
    Ok(known)
}

/// Remembers a checkpoint; durable on return.
pub fn store(directory: &Path, cosigned: &SignedCheckpoint) -> Result<(), WitnessError> {
    let file = file_of(directory, &cosigned.checkpoint.origin);
    let folder = directory.join(FOLDER);
    if !folder.is_dir() {
        make_directory(&folder)?;
    }
    let incoming = directory.join(".incoming");
    Ok(replace_file(&file, &incoming, cosigned.to_string().as_bytes())?)
}

/// Everything that is remembered.
pub fn all(directory: &Path, witness: &VerifierKey) -> Result<Vec<SignedCheckpoint>, WitnessError> {
    let folder = directory.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(DiskError::at(&folder, "read"))?,
    };
    let mut known = Vec::new();
    for entry in entries {
        let file = entry.map_err(DiskError::at(&folder, "read"))?.path();
        let bytes = fs::read(&file).map_err(DiskError::at(&file, "read"))?;
        known.push(read(&file, &bytes, witness)?);
    }
    known.sort_by(|a, b| a.checkpoint.origin.cmp(&b.checkpoint.origin));
    Ok(known)
}
