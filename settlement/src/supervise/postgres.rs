//! A private PostgreSQL cluster.

mod initialise;
mod install;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sha2::{Digest, Sha256};

use super::account::Account;
use super::error::{At, SuperviseError};
use super::lock::Lock;
use super::log::LogFile;
use super::process::{self, Ladder};
use super::watch::{Server, Watch};
use install::Installation;

pub(super) const PROGRAM: &str = "postgres";
/// The cluster's superuser and its database have the same name.
const NAME: &str = "gridtally";
/// The user under which Debian's package runs its own clusters, then what every system has.
const ACCOUNTS: &[&str] = &["postgres", "nobody"];
/// Part of a socket's file name; no TCP port is opened.
const PORT: u16 = 5432;
/// Linux allows 107 bytes for a socket's path; this leaves room for `/.s.PGSQL.5432.lock`.
const SOCKET_DIR_LEN_MAX: usize = 80;
/// Recovery after a crash replays up to `max_wal_size`.
const READY_WITHIN: Duration = Duration::from_secs(180);
/// For how long [`PrivateCluster::attach`] waits for a cluster that starts or stops.
const ATTACH_WITHIN: Duration = Duration::from_secs(60);
/// For how long a stopping owner waits for others who use the cluster.
const USERS_LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// Fast shutdown (with a checkpoint), immediate shutdown, and the last resort.
const LADDER: Ladder = &[
    (Signal::INT, Duration::from_secs(30)),
    (Signal::QUIT, Duration::from_secs(5)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// A private PostgreSQL cluster, running.
///
/// It is reached through a Unix socket in a directory that only its account and root may enter,
/// never over TCP. Data checksums, `fsync`, `full_page_writes` and `synchronous_commit` are on.
/// Dropping it stops the cluster, if this value is its owner (see [`PrivateCluster::attach`]).
pub struct PrivateCluster {
    connection: String,
    tenure: Tenure,
}

/// In which capacity we hold a cluster.
enum Tenure {
    /// We run it. The fields are dropped in this order: the server ends before the lock.
    Owner {
        watch: Watch<Postmaster>,
        users: PathBuf,
        _owner: Lock,
    },
    /// Another process runs it and waits for us before it stops.
    User { _user: Lock },
}

impl PrivateCluster {
    /// Makes the cluster below `data_dir` unless it is there, starts it, and watches it.
    ///
    /// It returns when the cluster serves and has the database that
    /// [`connection_string`](Self::connection_string) names: after 2 s or so the first time,
    /// some 0.1 s later on, and longer when a crash has to be recovered from.
    ///
    /// # Errors
    /// If the package is missing, another process runs this cluster, the account that it must run
    /// as cannot reach it, or it does not start; each error says what to do.
    pub fn start(data_dir: &Path) -> Result<PrivateCluster, SuperviseError> {
        let site = Site::prepare(data_dir)?;
        let owner = Lock::exclusive_within(&site.dir.join("owner.lock"), Lock::LINGERS)?;
        let owner = owner.ok_or(SuperviseError::InUse {
            server: "database",
            dir: site.dir.clone(),
        })?;
        PrivateCluster::own(site, owner)
    }

    /// Uses the cluster that an engine runs below `data_dir`; if none does, runs it for as long as
    /// this value lives.
    ///
    /// An owner who stops waits some seconds for those who have attached.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn attach(data_dir: &Path) -> Result<PrivateCluster, SuperviseError> {
        let site = Site::prepare(data_dir)?;
        let start = Instant::now();
        loop {
            if let Some(owner) = Lock::try_exclusive(&site.dir.join("owner.lock"))? {
                return PrivateCluster::own(site, owner);
            }
            if let Some(user) = Lock::try_shared(&site.users_lock())?
                && let Some(socket_dir) = ready_socket_dir(&site.cluster())
            {
                let connection = connection_string(&socket_dir);
                return Ok(PrivateCluster {
                    connection,
                    tenure: Tenure::User { _user: user },
                });
            }
            if start.elapsed() >= ATTACH_WITHIN {
                let log = site.log();
                return Err(SuperviseError::NotReady {
                    program: PROGRAM,
                    waited: start.elapsed(),
                    log: log.path().to_owned(),
                    log_tail: log.tail(),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How the `postgres` crate connects: a socket directory, a user, a database; no password.
    pub fn connection_string(&self) -> String {
        self.connection.clone()
    }

    /// The postmaster's process; `None` while it is being started again, or if another process owns it.
    pub fn process_id(&self) -> Option<u32> {
        match &self.tenure {
            Tenure::Owner { watch, .. } => watch.process_id(),
            Tenure::User { .. } => None,
        }
    }

    /// How often the postmaster died and was started again.
    pub fn restarts(&self) -> u32 {
        match &self.tenure {
            Tenure::Owner { watch, .. } => watch.restarts(),
            Tenure::User { .. } => 0,
        }
    }

    /// Stops the cluster in order, if it is ours. Dropping does the same, without a result.
    ///
    /// # Errors
    /// If it does not end, not even by force.
    pub fn stop(mut self) -> Result<(), SuperviseError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), SuperviseError> {
        let Tenure::Owner { watch, users, .. } = &mut self.tenure else {
            return Ok(());
        };
        let last = Lock::exclusive_within(users, USERS_LEAVE_WITHIN)?;
        if last.is_none() {
            tracing::warn!("the database stops although another command still uses it");
        }
        watch.stop()
    }

    fn own(site: Site, owner: Lock) -> Result<PrivateCluster, SuperviseError> {
        let installation = Installation::find(&site.cluster())?;
        let socket_dir = site.socket_dir()?;
        let postmaster = Postmaster {
            log: site.log(),
            installation,
            socket_dir,
            site,
        };
        postmaster.clear_remains()?;
        if !postmaster.site.cluster().join("PG_VERSION").exists() {
            initialise::initialise(&postmaster.installation, &postmaster.site)?;
        }
        let connection = connection_string(&postmaster.socket_dir);
        let users = postmaster.site.users_lock();
        let watch = Watch::start(postmaster)?;
        Ok(PrivateCluster {
            connection,
            tenure: Tenure::Owner {
                watch,
                users,
                _owner: owner,
            },
        })
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the database was not stopped in order");
        }
    }
}

impl std::fmt::Debug for PrivateCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateCluster")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// Where a cluster lives, and as whom it runs.
struct Site {
    dir: PathBuf,
    account: Account,
}

impl Site {
    fn prepare(data_dir: &Path) -> Result<Site, SuperviseError> {
        let account = Account::choose(ACCOUNTS, &data_dir.join("postgres/cluster"))?;
        account.open_way_to(data_dir)?;
        let data_dir = fs::canonicalize(data_dir).at("resolve", data_dir)?;
        let dir = data_dir.join("postgres");
        account.make_passage(&dir)?;
        Ok(Site { dir, account })
    }

    fn cluster(&self) -> PathBuf {
        self.dir.join("cluster")
    }

    fn users_lock(&self) -> PathBuf {
        self.dir.join("users.lock")
    }

    fn log(&self) -> LogFile {
        LogFile::new(self.dir.join("postgres.log"))
    }

    /// The socket's directory: below our own if the path is short enough, else a short one in the
    /// system's directory for temporary files, named after ours.
    fn socket_dir(&self) -> Result<PathBuf, SuperviseError> {
        let mut socket_dir = self.dir.join("socket");
        if socket_dir.as_os_str().len() > SOCKET_DIR_LEN_MAX || socket_dir.to_str().is_none() {
            let name = Sha256::digest(self.dir.as_os_str().as_encoded_bytes());
            socket_dir = std::env::temp_dir().join(format!("{NAME}-{}", hex::encode(&name[..8])));
            if socket_dir.as_os_str().len() > SOCKET_DIR_LEN_MAX {
                socket_dir = Path::new("/tmp").join(socket_dir.file_name().unwrap_or_default());
            }
        }
        self.account.make_own_dir(&socket_dir)?;
        Ok(socket_dir)
    }
}

/// The server process of a cluster.
struct Postmaster {
    installation: Installation,
    site: Site,
    socket_dir: PathBuf,
    log: LogFile,
}

impl Server for Postmaster {
    fn program(&self) -> &'static str {
        PROGRAM
    }

    /// Ends a postmaster that a killed engine left, and the backends that a killed postmaster left:
    /// two of them on one cluster would destroy it. Then, and only then, the pid file is stale for
    /// sure; left alone, it would bar the start if its number were some other process's by now.
    fn clear_remains(&self) -> Result<(), SuperviseError> {
        let cluster = self.site.cluster();
        process::end_all(PROGRAM, || process::working_in(&cluster), LADDER)?;
        let pid_file = cluster.join("postmaster.pid");
        match fs::remove_file(&pid_file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).at("remove the stale", &pid_file)
            }
            _ => Ok(()),
        }
    }

    fn spawn(&self) -> Result<Child, SuperviseError> {
        let program = self.installation.program(PROGRAM);
        let mut socket_dirs = std::ffi::OsString::from("unix_socket_directories=");
        socket_dirs.push(quoted_list_item(&self.socket_dir));
        let mut command = self.site.account.command(&program);
        command
            .arg("-D")
            .arg(self.site.cluster())
            .arg("-c")
            .arg(socket_dirs);
        for setting in [
            "listen_addresses=",
            "unix_socket_permissions=0700",
            &format!("port={PORT}"),
            "fsync=on",
            "full_page_writes=on",
            "synchronous_commit=on",
            "max_connections=64",
            "timezone=UTC",
            "log_timezone=UTC",
            "log_destination=stderr",
            "logging_collector=off",
        ] {
            command.args(["-c", setting]);
        }
        let child = command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(self.log.open()?)
            .stderr(self.log.open()?)
            .spawn();
        child.at("run", &program)
    }

    fn is_ready(&self, process_id: u32) -> bool {
        ready_process_id(&self.site.cluster()) == Some(process_id)
    }

    fn ready_within(&self) -> Duration {
        READY_WITHIN
    }

    fn ladder(&self) -> Ladder {
        LADDER
    }

    fn log(&self) -> &LogFile {
        &self.log
    }

    fn serving(&self, process_id: u32) -> Result<(), SuperviseError> {
        tracing::info!(process_id, cluster = %self.site.cluster().display(), "the private database serves");
        Ok(())
    }
}

/// The lines of `postmaster.pid`: process, cluster, start, port, socket directory, address, shared memory, status.
fn pid_file_of_ready(cluster: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    (lines.get(7)? == "ready").then_some(lines)
}

fn ready_process_id(cluster: &Path) -> Option<u32> {
    pid_file_of_ready(cluster)?.first()?.parse().ok()
}

/// Where a running cluster's socket is.
fn ready_socket_dir(cluster: &Path) -> Option<PathBuf> {
    let lines = pid_file_of_ready(cluster)?;
    process::working_in(cluster)
        .iter()
        .find(|found| found.process_id.to_string() == lines[0])?;
    lines.get(4).map(PathBuf::from)
}

/// libpq's `keyword='value'` form: quotes and backslashes are escaped with backslashes.
fn connection_string(socket_dir: &Path) -> String {
    let host = socket_dir
        .to_string_lossy()
        .replace('\\', r"\\")
        .replace('\'', r"\'");
    format!("host='{host}' port={PORT} user={NAME} dbname={NAME}")
}

/// `unix_socket_directories` is a list: an item with a comma or a space stands in double quotes.
fn quoted_list_item(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_survives_quotes_and_spaces_in_the_path() {
        let text = connection_string(Path::new(r"/tmp/it's a \ dir"));
        let config: ::postgres::Config = text.parse().unwrap();
        let host = config.get_hosts().first().unwrap();
        assert_eq!(
            *host,
            ::postgres::config::Host::Unix(PathBuf::from(r"/tmp/it's a \ dir"))
        );
        assert_eq!(config.get_dbname(), Some(NAME));
    }

    #[test]
    fn a_cluster_is_ready_only_when_its_pid_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ready_process_id(dir.path()), None);
        let pid_file = dir.path().join("postmaster.pid");
        let lines = "4711\n/data\n1700000000\n5432\n/socket\n\n  123 456\n";
        fs::write(&pid_file, lines).unwrap();
        assert_eq!(ready_process_id(dir.path()), None);
        fs::write(&pid_file, format!("{lines}starting\n")).unwrap();
        assert_eq!(ready_process_id(dir.path()), None);
        fs::write(&pid_file, format!("{lines}ready   \n")).unwrap();
        assert_eq!(ready_process_id(dir.path()), Some(4711));
        // 4711 is no postmaster of this cluster.
        assert_eq!(ready_socket_dir(dir.path()), None);
    }
}
