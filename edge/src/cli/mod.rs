//! What a person types: `gridtally edge …`, or `gridtally-edge …` where the agent is alone.

mod commission;
mod doctor;
mod enrol;
mod owner;
mod scan;
mod show;

use std::fs;
use std::io::{self, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use gridtally_protocol::identity::Identity;

use crate::agent::{Agent, AgentError, Pace};
use crate::config::{AgentConfig, ConfigError, EXAMPLE};
use crate::enrol::EnrolError;
use crate::identity::{self, KeyError};
use crate::page::PasswordStore;
use crate::page::password::PasswordError;
use crate::real_time::{self, RealTimeError};
use crate::stepped::{self, SteppedError};

pub use self::commission::CommissionArgs;
pub use self::doctor::DoctorArgs;
pub use self::enrol::EnrolArgs;
pub use self::owner::{HomeArgs, OptOutArgs, OwnerError};
pub use self::scan::ScanArgs;
pub use self::show::{DumpArgs, ReadArgs};
use crate::show::{ShowError, TargetError};

/// Where the config is looked for.
const CONFIG: &str = "agent.toml";
const STEPPED_RESEND: Duration = Duration::from_secs(3);
const REAL_RESEND: Duration = Duration::from_secs(30);

/// The arguments of the agent.
#[derive(Debug, Clone, Args)]
pub struct EdgeArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: EdgeCommand,
}

/// What the agent can be told to do.
#[derive(Debug, Clone, Subcommand)]
pub enum EdgeCommand {
    /// Run the agent until it is asked to end
    Run {
        /// The owner's config
        #[arg(long, value_name = "FILE", default_value = "agent.toml")]
        config: PathBuf,
        /// Take the time from standard input, one JSON line a step
        #[arg(long)]
        stepped: bool,
    },
    /// Make a directory with a commented agent.toml and a new key; print the key to give to the operator
    Init {
        /// The directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Look at everything that the agent needs, and say what to do where something is not well
    Doctor(DoctorArgs),
    /// Look for devices on the network and on serial lines; print what was found and sections for agent.toml
    Scan(ScanArgs),
    /// Show every point of a device, of the config or not: nothing is written to it
    Read(ReadArgs),
    /// Take down every register of a device in a file, for a bug report or to be replayed
    Dump(DumpArgs),
    /// Let a device prove on itself that it obeys, and that it goes back when the agent falls silent
    Commission(CommissionArgs),
    /// Take no part in events for a while; while the agent runs its page does this
    OptOut(OptOutArgs),
    /// Take part in events again
    OptIn(HomeArgs),
    /// Say how outbox, events, the owner's word and the proofs of the devices stand
    Status(HomeArgs),
    /// Print the code with which you set the password of your page
    PageCode {
        /// The owner's config
        #[arg(long, value_name = "FILE", default_value = "agent.toml")]
        config: PathBuf,
        /// Forget the password that was set
        #[arg(long)]
        reset: bool,
    },
    /// Show the claim of this box and its devices, as text and as a QR code, for the owner to accept
    Enrol(EnrolArgs),
    /// Print the gateway's did:key
    Identity {
        /// The owner's config
        #[arg(long, value_name = "FILE", default_value = "agent.toml")]
        config: PathBuf,
    },
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Stepped time.
    #[error(transparent)]
    Stepped(#[from] SteppedError),
    /// Real time.
    #[error(transparent)]
    RealTime(#[from] RealTimeError),
    /// There is no such device.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The page's password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Something in the home does not work.
    #[error("{0} of these things must be put right (✗)")]
    Unwell(usize),
    /// There is nothing to look through.
    #[error("this machine stands in no private subnet that can be looked through{}; name a host, a subnet or a line", Behind(.0))]
    Nowhere(String),
    /// A device cannot be shown.
    #[error(transparent)]
    Show(#[from] ShowError),
    /// There is no claim.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// What the owner asked for was not done.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// A file or directory cannot be made.
    #[error("{} cannot be made: {source}", path.display())]
    Make {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime cannot be started.
    #[error("the agent's runtime cannot be started: {0}")]
    Runtime(io::Error),
}

struct Behind<'t>(&'t str);
impl std::fmt::Display for Behind<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.0)
    }
}

/// Does what the arguments say.
///
/// # Errors
/// [`EdgeError`], a sentence that says what to do.
pub fn run(args: EdgeArgs) -> Result<(), EdgeError> {
    match args.command {
        EdgeCommand::Run { config, stepped } => run_agent(&config, stepped),
        EdgeCommand::Init { directory } => {
            let identity = init(&directory)?;
            println!("{identity}");
            eprintln!(
                "Give this key to your operator, put his engine's key and your devices into {}, then run:\n  \
                 gridtally edge run --config {}",
                directory.join("agent.toml").display(),
                directory.join("agent.toml").display()
            );
            Ok(())
        }
        EdgeCommand::Doctor(args) => doctor::run(&args),
        EdgeCommand::Scan(args) => scan::run(&args),
        EdgeCommand::Read(args) => show::read(args),
        EdgeCommand::Dump(args) => show::dump(args),
        EdgeCommand::Commission(args) => commission::run(&args),
        EdgeCommand::OptOut(args) => owner::opt_out(&args),
        EdgeCommand::OptIn(args) => owner::opt_in(&args),
        EdgeCommand::Status(args) => owner::status(&args),
        EdgeCommand::PageCode { config, reset } => page_code(&config, reset),
        EdgeCommand::Enrol(args) => enrol::run(&args),
        EdgeCommand::Identity { config } => {
            let config = AgentConfig::load(&config)?;
            println!("{}", identity::load(&config.gateway.key)?.identity());
            Ok(())
        }
    }
}

fn run_agent(path: &Path, stepped: bool) -> Result<(), EdgeError> {
    let config = AgentConfig::load(path)?;
    runtime()?.block_on(async {
        if stepped {
            let key = identity::load_or_create(&config.gateway.key)?;
            let pace = Pace {
                tick_seconds: config.gateway.interval.seconds(),
                resend_after: STEPPED_RESEND,
            };
            let agent = Agent::start(config, key, pace)?;
            stepped::run(agent, BufReader::new(io::stdin()), io::stdout()).await?;
        } else {
            let pace = Pace {
                tick_seconds: real_time::TICK_SECONDS,
                resend_after: REAL_RESEND,
            };
            let start = |config: AgentConfig| {
                let key = identity::load_or_create(&config.gateway.key)?;
                Agent::start(config, key, pace)
            };
            real_time::run(config, start, || AgentConfig::load(path)).await?;
        }
        Ok(())
    })
}

/// The code with which the owner sets his password.
fn page_code(config: &Path, reset: bool) -> Result<(), EdgeError> {
    let passwords = PasswordStore::new(&AgentConfig::load(config)?.gateway.data);
    if reset {
        passwords.reset()?;
    }
    match passwords.code()? {
        Some(code) => println!("{code}"),
        None => eprintln!("The password is set. With --reset it is forgotten, and there is a new code."),
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime, EdgeError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(EdgeError::Runtime)
}

/// Writes a file that is whole or not there.
fn write_whole(path: &Path, text: &str) -> Result<(), EdgeError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, path));
    written.map_err(|source| EdgeError::Make {
        path: path.to_owned(),
        source,
    })
}

/// Makes the directory, a config to be filled in, and the key. Nothing that exists is overwritten.
fn init(directory: &Path) -> Result<Identity, EdgeError> {
    let make = |path: &Path, source| EdgeError::Make {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(directory).map_err(|e| make(directory, e))?;
    let config = directory.join("agent.toml");
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        // The passwords of brokers will stand in it.
        .mode(0o600)
        .open(&config)
        .and_then(|mut file| io::Write::write_all(&mut file, EXAMPLE.as_bytes()))
        .map_err(|e| make(&config, e))?;
    Ok(identity::load_or_create(&directory.join("gateway.key"))?.identity())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_makes_a_config_that_loads_and_a_key_and_overwrites_neither() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("my-home");
        let made = init(&directory).unwrap();
        let config = AgentConfig::load(&directory.join("agent.toml")).unwrap();
        assert_eq!(identity::load(&config.gateway.key).unwrap().identity(), made);
        assert!(matches!(init(&directory), Err(EdgeError::Make { .. })));
        assert_eq!(identity::load(&config.gateway.key).unwrap().identity(), made);
    }
}
