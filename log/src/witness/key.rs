//! The witness's private key on the disk: one line of text in a file that only its owner can read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::WitnessError;
use crate::files::{DiskError, sync_directory};
use crate::note::{Algorithm, KeyError, KeyName, Signer};

const FILE: &str = "key";
const LEN_MAX: u64 = 1024;

/// Makes a key, unless there is one.
pub fn create(directory: &Path, name: &KeyName) -> Result<(), WitnessError> {
    let path = directory.join(FILE);
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(WitnessError::Random)?;
    let text = Signer::secret_text(name, Algorithm::CosignatureV1, &secret);
    let text = text.map_err(|source| WitnessError::Key {
        file: path.clone(),
        source,
    })?;
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    let mut file = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(WitnessError::Exists(directory.to_owned()));
        }
        result => result.map_err(DiskError::at(&path, "made"))?,
    };
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .map_err(DiskError::at(&path, "written"))?;
    Ok(sync_directory(directory)?)
}

/// Reads the key, and refuses one that others could read too.
pub fn load(directory: &Path) -> Result<Signer, WitnessError> {
    let path = directory.join(FILE);
    let fail = |error| DiskError::at(&path, "read")(error);
    let file = File::open(&path).map_err(fail)?;
    let mode = file.metadata().map_err(fail)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(WitnessError::Exposed { file: path, mode });
    }
    let mut bytes = Vec::new();
    file.take(LEN_MAX).read_to_end(&mut bytes).map_err(fail)?;
    let signer = core::str::from_utf8(bytes.trim_ascii())
        .map_err(|_| KeyError::Form)
        .and_then(str::parse::<Signer>)
        .map_err(|source| WitnessError::Key {
            file: path.clone(),
            source,
        })?;
    if signer.verifier().algorithm() == Algorithm::CosignatureV1 {
        Ok(signer)
    } else {
        Err(WitnessError::NotCosigner(path))
    }
}
