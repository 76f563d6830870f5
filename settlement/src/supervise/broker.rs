//! A private mosquitto.

mod address;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::account::Account;
use super::error::{At, SuperviseError};
use super::lock::Lock;
use super::log::LogFile;
use super::process::{self, Ladder};
use super::watch::{Server, Watch};

const PROGRAM: &str = "mosquitto";
/// The user that Debian's package makes for it, then what every system has.
const ACCOUNTS: &[&str] = &["mosquitto", "nobody"];
/// Debian installs it outside of an ordinary user's PATH.
const SBIN_DIRS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
const READY_WITHIN: Duration = Duration::from_secs(30);
/// On SIGTERM it saves its state and ends.
const LADDER: Ladder = &[
    (Signal::TERM, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// A private mosquitto, running, on a loopback address that stays the same over restarts.
///
/// It lets everybody on this machine in: what they send is believed by its signature only.
/// Dropping it stops the broker.
pub struct PrivateBroker {
    address: SocketAddr,
    // Dropped in this order: the broker ends before the lock.
    watch: Watch<Mosquitto>,
    _owner: Lock,
}

impl PrivateBroker {
    /// Starts a broker that keeps its state below `data_dir`, and watches it.
    ///
    /// It listens on `listen`, where port 0 means "the same as last time, else a free one";
    /// without `listen`, on the address of last time, else on 127.0.0.1 with port 1883 or, if that
    /// is taken, another.
    ///
    /// # Errors
    /// If the package is missing, another process runs this broker, the address is not a loopback
    /// address or is taken, or the broker does not start; each error says what to do.
    pub fn start(data_dir: &Path, listen: Option<SocketAddr>) -> Result<PrivateBroker, SuperviseError> {
        let account = Account::choose(ACCOUNTS, &data_dir.join("broker/state"))?;
        account.open_way_to(data_dir)?;
        let data_dir = fs::canonicalize(data_dir).at("resolve", data_dir)?;
        let dir = data_dir.join("broker");
        account.make_passage(&dir)?;
        let owner = Lock::exclusive_within(&dir.join("owner.lock"), Lock::LINGERS)?;
        let owner = owner.ok_or(SuperviseError::InUse {
            server: "broker",
            dir: dir.clone(),
        })?;

        account.make_own_dir(&dir.join("state"))?;
        end_remains(&dir)?;
        let address = address::choose(&dir.join("address"), listen)?;
        let log = LogFile::new(dir.join("mosquitto.log"));
        let mosquitto = Mosquitto {
            program: find_program()?,
            account,
            log,
            dir,
            address,
        };
        mosquitto.configure()?;
        let watch = Watch::start(mosquitto)?;
        Ok(PrivateBroker {
            address,
            watch,
            _owner: owner,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process; `None` while it is being started again.
    pub fn process_id(&self) -> Option<u32> {
        self.watch.process_id()
    }

    /// How often it died and was started again.
    pub fn restarts(&self) -> u32 {
        self.watch.restarts()
    }

    /// Stops the broker in order. Dropping does the same, without a result.
    ///
    /// # Errors
    /// If it does not end, not even by force.
    pub fn stop(mut self) -> Result<(), SuperviseError> {
        self.watch.stop()
    }
}

impl std::fmt::Debug for PrivateBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateBroker")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The broker's program and what it is given.
struct Mosquitto {
    program: PathBuf,
    account: Account,
    log: LogFile,
    dir: PathBuf,
    address: SocketAddr,
}

impl Mosquitto {
    fn configure(&self) -> Result<(), SuperviseError> {
        let path = configuration_file(&self.dir);
        fs::write(&path, configuration(self.address, &self.dir.join("state"))?).at("write", &path)
    }
}

impl Server for Mosquitto {
    fn program(&self) -> &'static str {
        PROGRAM
    }

    fn clear_remains(&self) -> Result<(), SuperviseError> {
        end_remains(&self.dir)
    }

    fn spawn(&self) -> Result<Child, SuperviseError> {
        let mut command = self.account.command(&self.program);
        command
            .arg("-c")
            .arg(configuration_file(&self.dir))
            .current_dir("/")
            .stdin(Stdio::null());
        command
            .stdout(self.log.open()?)
            .stderr(self.log.open()?)
            .spawn()
            .at("run", &self.program)
    }

    fn is_ready(&self, _process_id: u32) -> bool {
        TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok()
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
        tracing::info!(process_id, address = %self.address, "the private broker serves");
        let pid_file = pid_file(&self.dir);
        fs::write(&pid_file, format!("{process_id}\n")).at("write", &pid_file)
    }
}

/// Ends a broker that a killed engine left behind, which is known by its configuration file.
fn end_remains(dir: &Path) -> Result<(), SuperviseError> {
    let configuration = configuration_file(dir);
    process::end_all(
        PROGRAM,
        || process::with_argument(PROGRAM, &configuration),
        LADDER,
    )?;
    let pid_file = pid_file(dir);
    match fs::remove_file(&pid_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", &pid_file),
        _ => Ok(()),
    }
}

fn configuration_file(dir: &Path) -> PathBuf {
    dir.join("mosquitto.conf")
}

/// For people and scripts; written by us, because mosquitto writes one only as a daemon.
fn pid_file(dir: &Path) -> PathBuf {
    dir.join("mosquitto.pid")
}

fn find_program() -> Result<PathBuf, SuperviseError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    SBIN_DIRS
        .into_iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path))
        .map(|dir| dir.join(PROGRAM))
        .find(|program| program.is_file())
        .ok_or_else(|| SuperviseError::NotInstalled {
            program: PROGRAM,
            package: PROGRAM.to_owned(),
            option: "--broker",
        })
}

/// The text of mosquitto.conf(5).
fn configuration(address: SocketAddr, state: &Path) -> Result<String, SuperviseError> {
    // The file has one setting a line, and no way to quote.
    let state_dir = state
        .to_str()
        .filter(|path| !path.contains(char::is_control))
        .ok_or_else(|| SuperviseError::UnusablePath {
            path: state.to_owned(),
        })?;
    let (ip, port) = (address.ip(), address.port());
    Ok(format!(
        "# Written by the engine at each start; changes are lost. For a broker of your own, see\n\
         # config/mosquitto/README.md and the option --broker.\n\
         listener {port} {ip}\n\
         # Only programs on this machine reach it, and nothing is believed without a signature.\n\
         allow_anonymous true\n\
         set_tcp_nodelay true\n\
         # The engine acknowledges after its commit: the window must hold what arrives meanwhile.\n\
         max_inflight_messages 4000\n\
         max_queued_messages 100000\n\
         max_queued_bytes 268435456\n\
         # Four times the longest envelope, so that what is a little too long is refused with a reason.\n\
         message_size_limit 65536\n\
         persistence true\n\
         persistence_location {state_dir}/\n\
         autosave_interval 30\n\
         persistent_client_expiration 30d\n\
         log_dest stderr\n\
         log_type error\n\
         log_type warning\n\
         log_type notice\n\
         log_timestamp_format %Y-%m-%dT%H:%M:%S%z\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_smuggle_settings_into_the_configuration() {
        let address = "127.0.0.1:1883".parse().unwrap();
        let smuggling = configuration(address, Path::new("/data\nlistener 1 0.0.0.0"));
        assert!(matches!(smuggling, Err(SuperviseError::UnusablePath { .. })));
        let text = configuration(address, Path::new("/my data/state")).unwrap();
        assert!(
            text.contains("\npersistence_location /my data/state/\n"),
            "{text}"
        );
        assert!(text.contains("\nlistener 1883 127.0.0.1\n"), "{text}");
    }
}
