//! A server's log file.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::error::{At, SuperviseError};

/// At a start, a log longer than this becomes the old log.
const LEN_MAX: u64 = 16 * 1024 * 1024;
/// How much of the end is shown in an error.
const TAIL_LEN: u64 = 2000;

/// A file that a server's output is appended to. It is opened by us and inherited by the server,
/// which needs no right to its directory.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    path: PathBuf,
}

impl LogFile {
    pub(super) fn new(path: PathBuf) -> LogFile {
        LogFile { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for a server that starts.
    pub(super) fn open(&self) -> Result<Stdio, SuperviseError> {
        if fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() > LEN_MAX) {
            fs::rename(&self.path, self.path.with_extension("log.old")).at("rename", &self.path)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(&self.path);
        file.map(Stdio::from).at("open", &self.path)
    }

    /// Its last lines.
    pub(super) fn tail(&self) -> String {
        let tail = || {
            let mut file = File::open(&self.path)?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(TAIL_LEN)))?;
            let mut bytes = Vec::new();
            file.take(TAIL_LEN).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        tail().unwrap_or_else(|error| format!("(not readable: {error})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_put_aside_and_the_tail_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogFile::new(dir.path().join("server.log"));
        fs::write(log.path(), vec![b'x'; usize::try_from(LEN_MAX).unwrap() + 1]).unwrap();
        assert_eq!(u64::try_from(log.tail().len()).unwrap(), TAIL_LEN);
        drop(log.open().unwrap());
        assert_eq!(fs::metadata(log.path()).unwrap().len(), 0);
        assert!(dir.path().join("server.log.old").exists());
    }
}
