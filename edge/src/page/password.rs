//! The owner's password, and the code with which it is set at first use.
//!
//! Whoever sets the password owns the page, so the first use asks for proof that one owns the box: a code
//! of 50 random bits, printed in the agent's log and by `gridtally edge page-code`, in a file that only
//! the agent's user reads. It has no time window, because a box may wait in its carton for a year; what
//! bounds guessing is [`Attempts`](super::attempts::Attempts). Setting the password uses the code up.
//!
//! Argon2id with 7 MiB, 5 passes, 1 lane: one of the settings of OWASP's password storage cheat sheet, and
//! the one with the least memory, because the box is a Raspberry Pi Zero 2.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};

use super::secret::{NoRandomness, random, same};

/// The shortest password, in characters.
pub const PASSWORD_MIN: usize = 8;
/// The longest password, in bytes.
pub const PASSWORD_MAX: usize = 256;
const MEMORY_KIB: u32 = 7 * 1024;
const PASSES: u32 = 5;
/// What a person can read out and type without taking one for another.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const FILE_LEN_MAX: u64 = 1024;

/// Why a password cannot be set or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// A file failed.
    #[error("{} cannot be used: {source}; check the data directory and its disk", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of the hash holds something else.
    #[error("{} holds no password; run `gridtally edge page-code --reset` and set a new one", file.display())]
    Corrupt {
        /// Which file.
        file: PathBuf,
    },
    /// There is one already.
    #[error("a password is set already; sign in with it")]
    AlreadySet,
    /// The code is wrong.
    #[error("this is not the code; `gridtally edge page-code` on the box prints it")]
    Code,
    /// The password is too short or too long.
    #[error("a password has {PASSWORD_MIN} characters or more, and at most {PASSWORD_MAX} bytes")]
    Length,
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The hash could not be made.
    #[error("the password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

/// The files of the password and of the code.
#[derive(Debug, Clone)]
pub struct PasswordStore {
    password: PathBuf,
    code: PathBuf,
}

impl PasswordStore {
    /// In the agent's data directory, which exists.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self {
            password: data.join("page-password"),
            code: data.join("page-code"),
        }
    }

    /// Whether a password is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        // What cannot be looked at counts as set: a broken disk must not open the page.
        self.password.try_exists().unwrap_or(true)
    }

    /// The code of the first use, `ABCDE-23456`; `None` where the password is set.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn code(&self) -> Result<Option<String>, PasswordError> {
        if self.is_set() {
            return Ok(None);
        }
        if let Some(code) = read(&self.code)?.filter(|code| !code.is_empty()) {
            return Ok(Some(code));
        }
        let letters: String = random::<10>()?
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)))
            .map(|letter| char::from(*letter))
            .collect();
        let (head, tail) = letters.split_at(letters.len().min(5));
        let code = format!("{head}-{tail}");
        write(&self.code, &code)?;
        Ok(Some(code))
    }

    /// Sets the first password. Takes the processor for a good part of a second.
    ///
    /// # Errors
    /// [`PasswordError`]: a wrong code, a password of a wrong length, one that is there already.
    pub fn set_first(&self, code: &str, password: &str) -> Result<(), PasswordError> {
        let expected = self.code()?.ok_or(PasswordError::AlreadySet)?;
        if !same(plain(&expected).as_bytes(), plain(code).as_bytes()) {
            return Err(PasswordError::Code);
        }
        if password.chars().count() < PASSWORD_MIN || password.len() > PASSWORD_MAX {
            return Err(PasswordError::Length);
        }
        let salt = random::<16>()?;
        let hash: PasswordHash = hasher()?
            .hash_password_with_salt(password.as_bytes(), &salt)
            .map_err(PasswordError::Hash)?;
        write(&self.password, &hash.to_string())?;
        remove(&self.code)
    }

    /// Whether this is the password. Takes the processor for a good part of a second.
    ///
    /// # Errors
    /// [`PasswordError`] where the file cannot be read or holds something else.
    pub fn verify(&self, password: &str) -> Result<bool, PasswordError> {
        if password.len() > PASSWORD_MAX {
            return Ok(false);
        }
        let Some(text) = read(&self.password)? else {
            return Ok(false);
        };
        let hash = PasswordHash::new(&text).map_err(|_| PasswordError::Corrupt {
            file: self.password.clone(),
        })?;
        Ok(hasher()?.verify_password(password.as_bytes(), &hash).is_ok())
    }

    /// Forgets the password; the next use is a first use, with a new code.
    ///
    /// # Errors
    /// [`PasswordError::File`].
    pub fn reset(&self) -> Result<(), PasswordError> {
        remove(&self.code)?;
        remove(&self.password)
    }
}

fn hasher() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|e| PasswordError::Hash(e.into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A code as one may type it: in small letters, without its dash.
fn plain(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

fn read(file: &Path) -> Result<Option<String>, PasswordError> {
    let mut text = String::new();
    match fs::File::open(file).and_then(|f| f.take(FILE_LEN_MAX).read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text.trim().to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(fail(file, source)),
    }
}

/// Writes the whole file or nothing, for the agent's user only.
fn write(file: &Path, text: &str) -> Result<(), PasswordError> {
    let new = file.with_extension("new");
    let write = || {
        remove_if_there(&new)?;
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        writeln!(out, "{text}")?;
        out.sync_all()?;
        fs::rename(&new, file)
    };
    write().map_err(|source| fail(file, source))
}

fn remove(file: &Path) -> Result<(), PasswordError> {
    remove_if_there(file).map_err(|source| fail(file, source))
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn fail(file: &Path, source: io::Error) -> PasswordError {
    PasswordError::File {
        file: file.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_code_sets_the_password_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = PasswordStore::new(directory.path());
        let code = store.code().unwrap().unwrap();
        assert_eq!(
            store.code().unwrap().unwrap(),
            code,
            "the code stays until it is used"
        );
        assert!(matches!(
            store.set_first("ABCDE-FGHJK", "correct horse"),
            Err(PasswordError::Code)
        ));
        assert!(matches!(
            store.set_first(&code, "short"),
            Err(PasswordError::Length)
        ));
        assert!(!store.is_set());
        let typed = code.to_lowercase().replace('-', " ");
        store.set_first(&typed, "correct horse").unwrap();
        assert!(store.is_set());
        assert_eq!(store.code().unwrap(), None);
        assert!(matches!(
            store.set_first(&code, "another one"),
            Err(PasswordError::AlreadySet)
        ));
        assert!(store.verify("correct horse").unwrap());
        assert!(!store.verify("correct horsf").unwrap());
        assert!(!store.verify(&"x".repeat(100_000)).unwrap());
    }

    #[test]
    fn the_files_are_for_the_agent_alone_and_hold_no_password() {
        let directory = tempfile::tempdir().unwrap();
        let store = PasswordStore::new(directory.path());
        let code = store.code().unwrap().unwrap();
        let mode = |file: &str| {
            fs::metadata(directory.path().join(file))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode("page-code"), 0o600);
        store.set_first(&code, "correct horse").unwrap();
        assert_eq!(mode("page-password"), 0o600);
        let kept = fs::read_to_string(directory.path().join("page-password")).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{kept}");
        assert!(!kept.contains("horse"));
    }

    #[test]
    fn a_reset_asks_for_a_new_code_and_a_broken_file_opens_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = PasswordStore::new(directory.path());
        let code = store.code().unwrap().unwrap();
        store.set_first(&code, "correct horse").unwrap();
        store.reset().unwrap();
        assert!(!store.verify("correct horse").unwrap());
        assert_ne!(store.code().unwrap().unwrap(), code);
        fs::write(directory.path().join("page-password"), "").unwrap();
        assert!(store.is_set());
        assert!(matches!(store.verify(""), Err(PasswordError::Corrupt { .. })));
    }
}
