//! A private key on the disk, the gateway's or its owner's: 64 hexadecimal digits in a file that only its owner can
//! read; or, where a passphrase is given, the same encrypted ([`sealed`]).

pub mod sealed;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use gridtally_protocol::identity::{IdentityError, SigningIdentity};

use self::sealed::{Passphrase, SealError};

/// The environment variable that names the file whose first line is the passphrase of keys.
pub const PASSPHRASE_FILE: &str = "GRIDTALLY_KEY_PASSPHRASE_FILE";
/// The environment variable that is the passphrase of keys.
pub const PASSPHRASE: &str = "GRIDTALLY_KEY_PASSPHRASE";

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
    /// It is encrypted, and there is no passphrase.
    #[error("the key {} is encrypted; put its passphrase into a file and that file's name into {PASSPHRASE_FILE}", file.display())]
    NoPassphrase {
        /// Which file.
        file: PathBuf,
    },
    /// It is encrypted, and cannot be opened.
    #[error("the key {} cannot be opened: {source}", file.display())]
    Sealed {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: SealError,
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

/// Reads the key, or makes one where the file does not exist: encrypted, where the environment has a passphrase.
///
/// # Errors
/// [`KeyError`]; an existing file is never changed.
pub fn load_or_create(path: &Path) -> Result<SigningIdentity, KeyError> {
    load_or_create_with(path, from_environment()?.as_ref())
}

/// As [`load_or_create`], with this passphrase or none.
///
/// # Errors
/// As [`load_or_create`].
pub fn load_or_create_with(
    path: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<SigningIdentity, KeyError> {
    match load_with(path, passphrase) {
        Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path, passphrase)
        }
        result => result,
    }
}

/// The passphrase that the environment gives.
///
/// # Errors
/// [`KeyError::File`] where the file that it names cannot be read.
pub fn from_environment() -> Result<Option<Passphrase>, KeyError> {
    if let Some(path) = std::env::var_os(PASSPHRASE_FILE) {
        let path = PathBuf::from(path);
        let bytes = std::fs::read(&path).map_err(|source| KeyError::File { file: path, source })?;
        return Ok(Passphrase::new(&bytes));
    }
    let given = std::env::var(PASSPHRASE).ok();
    Ok(given.and_then(|text| Passphrase::new(text.as_bytes())))
}

/// Reads the key.
///
/// # Errors
/// [`KeyError`].
pub fn load(path: &Path) -> Result<SigningIdentity, KeyError> {
    load_with(path, from_environment()?.as_ref())
}

/// As [`load`], with this passphrase or none; a key that is not encrypted needs none.
///
/// # Errors
/// [`KeyError`].
pub fn load_with(path: &Path, passphrase: Option<&Passphrase>) -> Result<SigningIdentity, KeyError> {
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
    file.take(512).read_to_end(&mut text).map_err(fail)?;
    if sealed::is_sealed(&text) {
        let file = || path.to_owned();
        let passphrase = passphrase.ok_or_else(|| KeyError::NoPassphrase { file: file() })?;
        let secret =
            sealed::open(&text, passphrase).map_err(|source| KeyError::Sealed { file: file(), source })?;
        return sound(path, &secret);
    }
    let mut secret = [0; 32];
    let digits = text.trim_ascii();
    decode_hex(digits, &mut secret).ok_or_else(|| KeyError::Malformed {
        file: path.to_owned(),
    })?;
    sound(path, &secret)
}

fn create(path: &Path, passphrase: Option<&Passphrase>) -> Result<SigningIdentity, KeyError> {
    let fail = |source| KeyError::File {
        file: path.to_owned(),
        source,
    };
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(KeyError::Random)?;
    let key = sound(path, &secret)?;
    let text = match passphrase {
        None => format!("{}\n", hex::encode(secret)),
        Some(passphrase) => {
            let (mut salt, mut nonce) = ([0; 16], [0; 24]);
            getrandom::fill(&mut salt).map_err(KeyError::Random)?;
            getrandom::fill(&mut nonce).map_err(KeyError::Random)?;
            sealed::seal(&secret, passphrase, salt, nonce).map_err(|source| KeyError::Sealed {
                file: path.to_owned(),
                source,
            })?
        }
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(fail)?;
    file.write_all(text.as_bytes())
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
    fn a_key_made_with_a_passphrase_is_encrypted_and_opens_with_it_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.key");
        let (right, wrong) = (
            Passphrase::new(b"right").unwrap(),
            Passphrase::new(b"wrong").unwrap(),
        );
        let made = load_or_create_with(&path, Some(&right)).unwrap().identity();
        assert!(fs::read_to_string(&path).unwrap().starts_with("gridtally-key 1 "));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(load_or_create_with(&path, Some(&right)).unwrap().identity(), made);
        assert!(matches!(
            load_with(&path, Some(&wrong)),
            Err(KeyError::Sealed { .. })
        ));
        assert!(matches!(
            load_with(&path, None),
            Err(KeyError::NoPassphrase { .. })
        ));
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
