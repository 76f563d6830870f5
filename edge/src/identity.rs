//! The gateway's private key on the disk: 64 hexadecimal digits in a file that only its owner can read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use gridtally_protocol::identity::{IdentityError, SigningIdentity};

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("the key {} cannot be read or made: {source}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read it.
    #[error("the key {} may be read by others (mode {mode:03o}); run: chmod 600 {}", file.display(), file.display())]
    Exposed {
        /// Which file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else.
    #[error("{} is no key: a key is 64 hexadecimal digits and nothing else", file.display())]
    Malformed {
        /// Which file.
        file: PathBuf,
    },
    /// The key is unsound.
    #[error("the key {} is unusable: {source}", file.display())]
    Unsound {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: IdentityError,
    },
    /// The system gave no random numbers.
    #[error("the system gives no random numbers for a new key: {0}")]
    Random(getrandom::Error),
}

/// Reads the key, or makes one where the file does not exist.
///
/// # Errors
/// [`KeyError`]; an existing file is never changed.
pub fn load_or_create(path: &Path) -> Result<SigningIdentity, KeyError> {
    match load(path) {
        Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => create(path),
        result => result,
    }
}

/// Reads the key.
///
/// # Errors
/// [`KeyError`].
pub fn load(path: &Path) -> Result<SigningIdentity, KeyError> {
    let fail = |source| KeyError::File {
        file: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(fail)?;
    let mode = file.metadata().map_err(fail)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed {
            file: path.to_owned(),
            mode,
        });
    }
    let mut text = Vec::new();
    file.take(128).read_to_end(&mut text).map_err(fail)?;
    let mut secret = [0; 32];
    let digits = text.trim_ascii();
    decode_hex(digits, &mut secret).ok_or_else(|| KeyError::Malformed {
        file: path.to_owned(),
    })?;
    sound(path, &secret)
}

fn create(path: &Path) -> Result<SigningIdentity, KeyError> {
    let fail = |source| KeyError::File {
        file: path.to_owned(),
        source,
    };
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(KeyError::Random)?;
    let key = sound(path, &secret)?;
    let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(fail)?;
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .map_err(fail)?;
    let directory = path
        .parent()
        .filter(|d| !d.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(directory).and_then(|d| d.sync_all()).map_err(fail)?;
    Ok(key)
}

fn sound(path: &Path, secret: &[u8; 32]) -> Result<SigningIdentity, KeyError> {
    SigningIdentity::from_secret(secret).map_err(|source| KeyError::Unsound {
        file: path.to_owned(),
        source,
    })
}

fn decode_hex(digits: &[u8], out: &mut [u8; 32]) -> Option<()> {
    if digits.len() != 64 {
        return None;
    }
    for (pair, byte) in digits.chunks_exact(2).zip(out) {
        let text = std::str::from_utf8(pair).ok().filter(|t| !t.starts_with('+'))?;
        *byte = u8::from_str_radix(text, 16).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_is_the_same_ever_after() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.key");
        let made = load_or_create(&path).unwrap().identity();
        assert_eq!(load_or_create(&path).unwrap().identity(), made);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap().trim().len(), 64);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.key");
        load_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(load_or_create(&path), Err(KeyError::Exposed { .. })),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn anything_but_64_digits_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.key");
        for text in [
            String::new(),
            "ab".repeat(31),
            "ab".repeat(33),
            "+1".repeat(32),
            "zz".repeat(32),
        ] {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
            assert!(
                matches!(load_or_create(&path), Err(KeyError::Malformed { .. })),
                "{text:?}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
