//! The engine's own key: a file that only its owner reads.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use gridtally_protocol::identity::{IdentityError, SigningIdentity};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file.
    #[error("cannot use the engine's key {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could read it.
    #[error("{} can be read by others (mode {mode:03o}); after `chmod 600` on it, consider it known to them", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not 64 hexadecimal digits.
    #[error("{} is no key: it holds 64 hexadecimal digits", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
    },
    /// An unusable key.
    #[error("the engine's key is unusable: {0}")]
    Unsound(#[from] IdentityError),
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for a new key: {0}")]
    Random(getrandom::Error),
}

/// The engine's key in its data directory; made at the first use.
///
/// # Errors
/// [`KeyFileError`] that says what is wrong with it.
pub fn engine_key(data: &Path) -> Result<SigningIdentity, KeyFileError> {
    let path = data.join("engine.key");
    let file_error = |source| KeyFileError::File {
        path: path.clone(),
        source,
    };
    match fs::read_to_string(&path) {
        Ok(text) => {
            let mode = fs::metadata(&path).map_err(file_error)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyFileError::Exposed { path, mode });
            }
            let mut secret = [0; 32];
            hex::decode_to_slice(text.trim(), &mut secret)
                .map_err(|_| KeyFileError::Form { path: path.clone() })?;
            Ok(SigningIdentity::from_secret(&secret)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(data, &path),
        Err(error) => Err(file_error(error)),
    }
}

fn make(data: &Path, path: &Path) -> Result<SigningIdentity, KeyFileError> {
    let file_error = |source| KeyFileError::File {
        path: path.to_owned(),
        source,
    };
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(KeyFileError::Random)?;
    let key = SigningIdentity::from_secret(&secret)?;
    fs::create_dir_all(data).map_err(file_error)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(file_error)?;
    writeln!(file, "{}", hex::encode(secret))
        .and_then(|()| file.sync_all())
        .map_err(file_error)?;
    Ok(key)
}
