//! A real PostgreSQL for tests: one throw-away cluster for all tests of a process, a database for each.
#![allow(dead_code, reason = "not every test needs every kind of session")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use postgres::{Client, Config, NoTls};

static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Stopped and removed with its last database.
struct Cluster {
    binaries: PathBuf,
    directory: tempfile::TempDir,
    user: Option<(u32, u32)>,
}

/// An empty database of its own.
pub struct Database {
    cluster: Arc<Cluster>,
    name: String,
}

impl Database {
    /// A new one, in the cluster that the tests of this process share.
    pub fn create() -> Self {
        let cluster = {
            let mut shared = SHARED.lock().unwrap();
            shared.upgrade().unwrap_or_else(|| {
                let cluster = Arc::new(Cluster::start());
                *shared = Arc::downgrade(&cluster);
                cluster
            })
        };
        let name = format!("Ledger {}", DATABASES.fetch_add(1, Ordering::Relaxed));
        cluster
            .connect("postgres", "postgres")
            .batch_execute(&format!("CREATE DATABASE \"{name}\""))
            .unwrap();
        Self { cluster, name }
    }

    /// How the superuser connects, as a connection string.
    pub fn url(&self) -> String {
        self.url_as("postgres")
    }

    /// How another role connects.
    pub fn url_as(&self, user: &str) -> String {
        format!(
            "host='{}' user={user} dbname='{}'",
            self.cluster.directory.path().display(),
            self.name
        )
    }

    /// A session of the superuser.
    pub fn connect(&self) -> Client {
        self.connect_as("postgres")
    }

    /// A session of another role.
    pub fn connect_as(&self, user: &str) -> Client {
        self.cluster.connect(user, &self.name)
    }
}

impl Cluster {
    fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        let cluster = Self {
            binaries: binaries(),
            user: unprivileged_user(),
            directory,
        };
        fs::set_permissions(cluster.directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        if let Some((uid, gid)) = cluster.user {
            chown(cluster.directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let data = cluster.data();
        let data = data.to_str().unwrap();
        cluster.run(
            "initdb",
            &[
                "-D",
                data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
                "--no-locale",
            ],
        );
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off -c max_connections=40",
            cluster.directory.path().display()
        );
        let log = cluster.directory.path().join("log");
        cluster.run(
            "pg_ctl",
            &[
                "-D",
                data,
                "-w",
                "-l",
                log.to_str().unwrap(),
                "-o",
                &options,
                "start",
            ],
        );
        cluster
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.binaries.join(program));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .stdout(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        let status = command.status().unwrap();
        assert!(status.success(), "{program} ended with {status}");
    }

    fn connect(&self, user: &str, database: &str) -> Client {
        let mut config = Config::new();
        config
            .host_path(self.directory.path())
            .user(user)
            .dbname(database);
        config.connect(NoTls).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.run(
            "pg_ctl",
            &[
                "-D",
                self.data().to_str().unwrap(),
                "-w",
                "-m",
                "immediate",
                "stop",
            ],
        );
    }
}

/// The newest installed PostgreSQL.
fn binaries() -> PathBuf {
    let versions =
        fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is not installed: apt-get install postgresql");
    let number = |path: &Path| path.file_name().and_then(|n| n.to_str()?.parse::<u32>().ok());
    let newest = versions
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| number(path));
    newest
        .expect("no version of PostgreSQL in /usr/lib/postgresql")
        .join("bin")
}

/// PostgreSQL refuses to run as root: whom it runs as then.
fn unprivileged_user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse::<u32>()
            .ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?))
}
