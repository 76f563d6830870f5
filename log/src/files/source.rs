//! Where a log's files come from: a directory, or whatever a web server says.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::http::Http;

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system or the network.
    #[error("{file} cannot be read: {why}")]
    Unreadable {
        /// Path or URL.
        file: String,
        /// What was said.
        why: String,
    },
    /// More bytes than such a file can have.
    #[error("{file} has more than {len_max} bytes, which no such file of a log has")]
    TooLong {
        /// Path or URL.
        file: String,
        /// The most.
        len_max: usize,
    },
}

/// The files of a log. Nothing that comes out of it is believed.
pub trait Source {
    /// The bytes of a file, `None` where there is none. `path` is `checkpoint` or the path of a tile.
    ///
    /// # Errors
    /// [`SourceError`].
    fn fetch(&self, path: &str, len_max: usize) -> Result<Option<Vec<u8>>, SourceError>;

    /// How people call it.
    fn name(&self) -> String;
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn fetch(&self, path: &str, len_max: usize) -> Result<Option<Vec<u8>>, SourceError> {
        (**self).fetch(path, len_max)
    }

    fn name(&self) -> String {
        (**self).name()
    }
}

/// A log's directory on a disk.
#[derive(Debug, Clone)]
pub struct Directory(PathBuf);

impl Directory {
    /// The directory with the file `checkpoint`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Source for Directory {
    fn fetch(&self, path: &str, len_max: usize) -> Result<Option<Vec<u8>>, SourceError> {
        let full = self.0.join(path);
        let fail = |error: io::Error| SourceError::Unreadable {
            file: full.display().to_string(),
            why: error.to_string(),
        };
        let file = match File::open(&full) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result.map_err(fail)?,
        };
        read_bounded(file, len_max, || full.display().to_string()).map(Some)
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }
}

/// Reads to the end, or to one byte more than there may be.
pub(super) fn read_bounded(
    from: impl io::Read,
    len_max: usize,
    file: impl Fn() -> String,
) -> Result<Vec<u8>, SourceError> {
    let bound = u64::try_from(len_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    from.take(bound)
        .read_to_end(&mut bytes)
        .map_err(|error| SourceError::Unreadable {
            file: file(),
            why: error.to_string(),
        })?;
    if bytes.len() > len_max {
        return Err(SourceError::TooLong {
            file: file(),
            len_max,
        });
    }
    Ok(bytes)
}

/// Where somebody says that a log is: a directory, or a URL that begins with `http://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On a disk.
    Directory(PathBuf),
    /// The URL before `/checkpoint`.
    Url(String),
}

/// A URL of another kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is neither a directory nor an http:// URL; everything in a log is signed or hashed, so that plain http is \
     enough, and for https:// any proxy or mirror tool will do"
)]
pub struct PlaceError(String);

impl Place {
    /// Its files.
    #[must_use]
    pub fn open(&self) -> Box<dyn Source> {
        match self {
            Self::Directory(path) => Box::new(Directory::new(path)),
            Self::Url(url) => Box::new(Http::new(url)),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if text.starts_with("http://") {
            return Ok(Self::Url(text.trim_end_matches('/').to_owned()));
        }
        if text.is_empty() || text.contains("://") {
            return Err(PlaceError(text.to_owned()));
        }
        Ok(Self::Directory(PathBuf::from(text)))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}
