//! A real PostgreSQL for tests: one throw-away cluster for all tests of a process, a database for each.
#![allow(dead_code, reason = "not every test needs every kind of session")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

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

    /// A new one in a cluster of its own, which may be killed.
    pub fn create_alone() -> Self {
        let cluster = Arc::new(Cluster::start());
        let name = "Ledger".to_owned();
        cluster
            .connect("postgres", "postgres")
            .batch_execute(&format!("CREATE DATABASE \"{name}\""))
            .unwrap();
        Self { cluster, name }
    }

    /// Kills the server without a word, as a cut of the power would, and starts it again. Other tests must not share
    /// its cluster.
    pub fn kill_and_restart(&self) {
        self.cluster.kill();
        self.cluster.launch();
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
        cluster.launch();
        cluster
    }

    fn launch(&self) {
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off -c max_connections=40",
            self.directory.path().display()
        );
        let (data, log) = (self.data(), self.directory.path().join("log"));
        let (data, log) = (data.to_str().unwrap(), log.to_str().unwrap());
        self.run("pg_ctl", &["-D", data, "-w", "-l", log, "-o", &options, "start"]);
    }

    /// Returns when all of its processes are gone, which hold the shared memory until then.
    fn kill(&self) {
        let pid_file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let postmaster = pid_file.lines().next().unwrap().trim().to_owned();
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let killed = Command::new("kill").args(["-9", &postmaster]).status().unwrap();
        assert!(killed.success(), "kill -9 {postmaster}");
        let deadline = Instant::now() + Duration::from_secs(60);
        for pid in children.split_whitespace().chain([postmaster.as_str()]) {
            // One that nobody has waited for yet is gone as well.
            let alive = || {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
                stat.is_ok_and(|stat| !stat.contains(") Z "))
            };
            while alive() {
                assert!(Instant::now() < deadline, "process {pid} outlives its postmaster");
                std::thread::yield_now();
            }
        }
        // The numbers in there may be those of the dead, as long as nobody has waited for them.
        for left in ["data/postmaster.pid", ".s.PGSQL.5432.lock"] {
            let left = self.directory.path().join(left);
            fs::remove_file(&left).unwrap_or_else(|error| panic!("{}: {error}", left.display()));
        }
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
