//! A package: what a stranger needs to check a settlement and that everybody else was shown the same one. The bundle,
//! proofs that its statement and its transactions are in the operator's log, under a checkpoint that witnesses may have
//! signed, and the newest payout root of its program. Plain files in a compressed archive (`docs/bundle.md`).
//!
//! - [`squeezed`]: compression that leaves no bit unchecked;
//! - [`check`]: what the files prove beside the bundle.

pub mod check;
pub mod squeezed;

use std::collections::BTreeMap;
use std::io::{self, Read as _};

use squeezed::SqueezedError;

/// The bundle's file.
pub const BUNDLE: &str = "bundle";
/// The proof of the statement.
pub const STATEMENT_PROOF: &str = "statement.tlog-proof";
/// The proofs of transactions: before and after their number, from 0.
pub const TRANSACTION_PROOF: (&str, &str) = ("transaction-", ".tlog-proof");
/// The payout root's tree, as `StandardMerkleTree.load` reads it: before and after the root's number.
pub const PAYOUT_TREE: (&str, &str) = ("payout-root-", ".json");
/// The proof of the payout root.
pub const PAYOUT_PROOF: (&str, &str) = ("payout-root-", ".tlog-proof");

/// No file but the bundle is longer, in bytes.
const FILE_LEN_MAX: u64 = 64 << 20;
/// There are no more files.
const FILES_MAX: usize = 16;
/// A bundle of the greatest length, and what is beside it.
const ARCHIVE_LEN_MAX: u64 = (1 << 30) + 2 * FILE_LEN_MAX;

/// The files of a package by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    files: BTreeMap<String, Vec<u8>>,
}

/// Why a file is no package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Its outside.
    #[error(transparent)]
    Squeezed(#[from] SqueezedError),
    /// Its archive.
    #[error("what is in it is no tar archive of plain files: {0}")]
    Archive(#[from] io::Error),
    /// A file that does not belong into it.
    #[error("{name:?} does not belong into a package, is in it twice, or is too long")]
    File {
        /// Which, cut to 100 characters.
        name: String,
    },
    /// No bundle.
    #[error("there is no file {BUNDLE:?} in it")]
    NoBundle,
}

impl Package {
    /// A package with a bundle.
    #[must_use]
    pub fn of(bundle: &str) -> Self {
        let files = BTreeMap::from([(BUNDLE.to_owned(), bundle.as_bytes().to_vec())]);
        Self { files }
    }

    /// Puts a file in.
    pub fn put(&mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(name.into(), content.into());
    }

    /// A file, where there is one.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// The names of all files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The file of it: the same package makes the same bytes.
    ///
    /// # Errors
    /// [`io::Error`], which memory does not give.
    pub fn write(&self) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in &self.files {
            let mut header = tar::Header::new_ustar();
            header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
            header.set_mode(0o644);
            header.set_mtime(0);
            archive.append_data(&mut header, name, content.as_slice())?;
        }
        squeezed::squeeze(&archive.into_inner()?)
    }

    /// Reads a package. What its files say is not looked at: see [`check`].
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn read(bytes: &[u8]) -> Result<Self, PackageError> {
        let content = squeezed::expand(bytes, ARCHIVE_LEN_MAX)?;
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(content.as_slice()).entries()? {
            let entry = entry?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let most = if name == BUNDLE {
                ARCHIVE_LEN_MAX
            } else {
                FILE_LEN_MAX
            };
            let is_plain = entry.header().entry_type().is_file();
            let refused = !is_plain || !belongs(&name) || entry.size() > most || files.len() >= FILES_MAX;
            if refused || files.contains_key(&name) {
                let name = name.chars().take(100).collect();
                return Err(PackageError::File { name });
            }
            let mut content = Vec::new();
            entry.take(most).read_to_end(&mut content)?;
            files.insert(name, content);
        }
        if !files.contains_key(BUNDLE) {
            return Err(PackageError::NoBundle);
        }
        Ok(Self { files })
    }
}

/// The name of a numbered file.
#[must_use]
pub fn numbered((before, after): (&str, &str), number: u32) -> String {
    format!("{before}{number}{after}")
}

/// The number in the name of a file, where it has one.
fn number_of((before, after): (&str, &str), name: &str) -> Option<u32> {
    let digits = name.strip_prefix(before)?.strip_suffix(after)?;
    digits
        .parse()
        .ok()
        .filter(|number: &u32| number.to_string() == digits)
}

fn belongs(name: &str) -> bool {
    let families = [TRANSACTION_PROOF, PAYOUT_TREE, PAYOUT_PROOF];
    [BUNDLE, STATEMENT_PROOF].contains(&name) || families.iter().any(|f| number_of(*f, name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_reads_as_it_was_written() {
        let mut package = Package::of("a bundle");
        package.put(STATEMENT_PROOF, "a proof");
        package.put("transaction-0.tlog-proof", "another");
        let bytes = package.write().unwrap();
        assert_eq!(package.write().unwrap(), bytes);
        assert_eq!(Package::read(&bytes).unwrap(), package);
    }

    #[test]
    fn what_does_not_belong_into_a_package_is_not_taken() {
        for name in [
            "../../etc/passwd",
            "notes.txt",
            "transaction-01.tlog-proof",
            "statement.tlog-proof/x",
        ] {
            let mut package = Package::of("a bundle");
            package.files.insert(name.replace("../", "up/"), Vec::new());
            let refused = Package::read(&package.write().unwrap());
            assert!(
                matches!(refused, Err(PackageError::File { .. })),
                "{name}: {refused:?}"
            );
        }
        let empty = Package::default().write().unwrap();
        assert!(matches!(Package::read(&empty), Err(PackageError::NoBundle)));
        let no_archive = squeezed::squeeze(&[7; 2_000]).unwrap();
        assert!(matches!(
            Package::read(&no_archive),
            Err(PackageError::Archive(_))
        ));
    }
}
