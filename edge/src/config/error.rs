//! Where in the file something is wrong, and what.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the config {} cannot be read: {source}", file.display())]
    Read {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{}, line {line}{}: {problem}", file.display(), Key(key.as_deref()))]
    Value {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Which key, where the problem is with one.
        key: Option<String>,
        /// What is wrong and what is expected.
        problem: String,
    },
}

struct Key<'a>(Option<&'a str>);
impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |key| write!(f, ", {key}"))
    }
}

/// A problem at a byte of the text.
pub(super) fn at(path: &Path, text: &str, offset: usize, problem: String) -> ConfigError {
    let before = text.get(..offset.min(text.len())).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let key = text
        .lines()
        .nth(line.saturating_sub(1))
        .and_then(|l| l.split_once('='))
        .map(|(key, _)| key.trim().to_owned());
    ConfigError::Value {
        file: path.to_owned(),
        line,
        key,
        problem,
    }
}

/// What the TOML reader found, in one line.
pub(super) fn of_toml(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let offset = error.span().map_or(0, |span| span.start);
    let problem = error.message().trim().replace('\n', ", ");
    at(path, text, offset, problem)
}
