//! What can go wrong with a supervised server.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Why a private server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The package is not installed.
    #[error(
        "{program} was not found; install it (apt-get install {package}) or use a server of your own ({option})"
    )]
    NotInstalled {
        /// The program that is missing.
        program: &'static str,
        /// The Debian package that has it.
        package: String,
        /// The option that makes it unnecessary.
        option: &'static str,
    },
    /// Another process runs this data directory.
    #[error("another process already runs the {server} in {}; stop it, or choose another data directory", dir.display())]
    InUse {
        /// Which server.
        server: &'static str,
        /// Its directory.
        dir: PathBuf,
    },
    /// The unprivileged account cannot reach the data directory.
    #[error(
        "{} (mode {mode:04o}) cannot be entered by the user `{account}`, as whom the server must run because it \
         may not run as root; choose a data directory below a public one, such as /var/lib/gridtally, or run \
         the engine as an ordinary user", dir.display()
    )]
    Unreachable {
        /// The directory that bars the way.
        dir: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The account.
        account: String,
    },
    /// There is no account to run as.
    #[error("the server may not run as root, and none of the users {wanted:?} exists; create one of them")]
    NoAccount {
        /// The names that were looked for.
        wanted: &'static [&'static str],
    },
    /// The directory belongs to somebody else.
    #[error("{} belongs to user {owner} and this is user {user}; run as that user, or as root", dir.display())]
    ForeignOwner {
        /// The directory.
        dir: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// Our user id.
        user: u32,
    },
    /// The cluster was made by a version that is not installed.
    #[error(
        "the cluster in {} was made by PostgreSQL {version}, which is not installed; install it \
         (apt-get install postgresql-{version}), or upgrade the cluster with pg_upgrade", dir.display()
    )]
    VersionMissing {
        /// The cluster's directory.
        dir: PathBuf,
        /// Its major version.
        version: String,
    },
    /// A path that cannot be written into a configuration file.
    #[error("the path {path:?} holds a control character; choose another data directory")]
    UnusablePath {
        /// The path.
        path: PathBuf,
    },
    /// The private broker has no access control, so only this machine may reach it.
    #[error(
        "the private broker would listen on {address}, where others can reach it, and it lets everybody in; \
         let it listen on a loopback address, or run a broker with access control (config/mosquitto/README.md)"
    )]
    NotLoopback {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address is taken.
    #[error("{address} is taken by another program; free it, or choose another address for the broker")]
    AddressTaken {
        /// The address.
        address: SocketAddr,
    },
    /// The program ended instead of serving.
    #[error("{program} ended with {status} instead of serving; the end of {}:\n{log_tail}", log.display())]
    Ended {
        /// The program.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        log_tail: String,
    },
    /// The program did not become ready.
    #[error("{program} was not ready within {waited:?}; the end of {}:\n{log_tail}", log.display())]
    NotReady {
        /// The program.
        program: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        log_tail: String,
    },
    /// A process that an earlier run left behind does not end.
    #[error(
        "process {process_id} of an earlier {program} does not end, not even when killed; look at what it waits for"
    )]
    Undead {
        /// The program.
        program: &'static str,
        /// The process.
        process_id: u32,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Gives an I/O error its place.
pub(super) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, SuperviseError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, SuperviseError> {
        self.map_err(|source| SuperviseError::Io {
            action,
            path: path.to_owned(),
            source,
        })
    }
}
