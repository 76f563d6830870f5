//! A carrier that writes a file for each handover: for a bank's upload, or for a person.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Carrier, Order};

/// Writes `HANDOVER.csv` into a directory: `key,attempt,owner,amount,asset,base_units`, a payout a line.
#[derive(Debug, Clone)]
pub struct FileCarrier {
    directory: PathBuf,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum FileCarrierError {
    /// The system.
    #[error("the payout file {} cannot be written: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is another one.
    #[error(
        "{} is there already with other payouts; nothing is overwritten, look at where it came from",
        path.display()
    )]
    Differs {
        /// Which file.
        path: PathBuf,
    },
}

impl FileCarrier {
    /// Into a directory that exists.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The file of a handover.
    #[must_use]
    pub fn path(&self, handover: &str) -> PathBuf {
        // A ':' is fine in the name of a batch, but not of a file everywhere.
        self.directory.join(format!("{}.csv", handover.replace(':', "_")))
    }
}

impl Carrier for FileCarrier {
    type Error = FileCarrierError;

    fn name(&self) -> &'static str {
        "file"
    }

    fn take(&mut self, handover: &str, orders: &[Order]) -> Result<(), FileCarrierError> {
        let (path, text) = (self.path(handover), lines(orders));
        let failed = |source| FileCarrierError::Io {
            path: path.clone(),
            source,
        };
        match fs::read(&path) {
            Ok(there) if there == text.as_bytes() => Ok(()),
            Ok(_) => Err(FileCarrierError::Differs { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_whole(&self.directory, &path, text.as_bytes()).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

fn lines(orders: &[Order]) -> String {
    let mut text = "key,attempt,owner,amount,asset,base_units\n".to_owned();
    for Order { name, asset, amount } in orders {
        let (key, attempt) = (format!("{}/{}", name.batch, name.owner), name.attempt);
        let (shown, code, units) = (asset.show(*amount), asset.code(), amount.base_units());
        text.push_str(&format!(
            "{key},{attempt},{},{shown},{code},{units}\n",
            name.owner
        ));
    }
    text
}

/// So that the file is either not there or whole, also when the power fails.
pub(crate) fn write_whole(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(directory)?.sync_all()
}
