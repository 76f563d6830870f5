//! Roles as child processes in stepped time: one JSON line in, one JSON line out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use gridtally_protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// Why a role cannot be stepped any further.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("cannot start {role}: {source}")]
    Start {
        /// Which role.
        role: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended, or was killed.
    #[error("{role} has ended; its log is {log}")]
    Gone {
        /// Which role.
        role: String,
        /// Where it logged.
        log: String,
    },
    /// It answered with something that is no answer.
    #[error("{role} answered {line:?}, which is not understood: {source}")]
    Answer {
        /// Which role.
        role: String,
        /// The line as it came.
        line: String,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
}

/// How a role is started, so that it can be started again after it was killed.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its name in messages: `engine`, `home-03`.
    pub role: String,
    /// The `gridtally` program.
    pub program: PathBuf,
    /// What to call it with.
    pub arguments: Vec<String>,
    /// Where its standard error goes.
    pub log: PathBuf,
}

/// A role that runs in stepped time.
#[derive(Debug)]
pub struct Stepped<R> {
    launch: Launch,
    child: Child,
    /// Closed to tell the role to stop.
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    /// What the role said of itself when it was ready.
    pub ready: R,
}

#[derive(Deserialize)]
struct Ready<R> {
    ready: R,
}

/// What the engine says of itself when it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct EngineReady {
    /// The broker's `host:port`.
    pub broker: String,
    /// How to reach its database.
    pub database: String,
    /// Its `did:key`.
    pub identity: String,
}

/// What an agent says of itself when it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct AgentReady {
    /// Its `did:key`.
    pub identity: String,
}

/// The engine's answer to a step.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct EngineDone {
    /// Instructions that were sent and are neither answered nor expired.
    pub unanswered: u64,
}

/// An agent's answer to a step.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct AgentDone {
    /// Messages for which the engine has not signed yet.
    pub outbox: u64,
}

/// When an agent has done its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Everything is in its durable outbox.
    Stored,
    /// The engine has signed for everything.
    Delivered,
}

impl<R: DeserializeOwned> Stepped<R> {
    /// Starts the role and waits until it says that it is ready.
    ///
    /// # Errors
    /// [`ProcessError`] where it cannot be started, ends, or says something else.
    pub fn start(launch: Launch) -> Result<Self, ProcessError> {
        let cannot_start = |source| ProcessError::Start {
            role: launch.role.clone(),
            source,
        };
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&launch.log)
            .map_err(cannot_start)?;
        let mut child = Command::new(&launch.program)
            .args(&launch.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(cannot_start)?;
        let gone = || gone(&launch);
        let to = child.stdin.take();
        let mut from = BufReader::new(child.stdout.take().ok_or_else(gone)?);
        let Ready { ready } = read_answer(&launch, &mut from)?;
        Ok(Self {
            launch,
            child,
            to,
            from,
            ready,
        })
    }

    /// Starts the role again after it was killed.
    ///
    /// # Errors
    /// As [`Stepped::start`].
    pub fn restart(&mut self) -> Result<(), ProcessError> {
        self.kill();
        *self = Self::start(self.launch.clone())?;
        Ok(())
    }

    /// Kills the role outright (`SIGKILL`), as a power cut or the system's memory killer would.
    pub fn kill(&mut self) {
        self.kill_child();
    }

    /// The process number, for a killer.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the role to end in good order, and waits for it.
    pub fn stop(mut self) {
        self.to = None;
        let _ = self.child.wait();
    }

    fn say(&mut self, line: &serde_json::Value) -> Result<(), ProcessError> {
        let to = self.to.as_mut().ok_or_else(|| gone(&self.launch))?;
        writeln!(to, "{line}")
            .and_then(|()| to.flush())
            .map_err(|_| gone(&self.launch))
    }

    fn answer<A: DeserializeOwned>(&mut self) -> Result<A, ProcessError> {
        read_answer(&self.launch, &mut self.from)
    }
}

/// How long a role that is dropped in the middle may take to end in good order.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

impl<R> Drop for Stepped<R> {
    /// A role that is still there when something else failed is told to stop, so that the engine's database and
    /// broker do not stay behind; if it does not, it is killed.
    fn drop(&mut self) {
        self.to = None;
        let deadline = Instant::now() + DROP_PATIENCE;
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() >= deadline {
                self.kill_child();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl<R> Stepped<R> {
    fn kill_child(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stepped<EngineReady> {
    /// Steps the engine to `now`.
    ///
    /// # Errors
    /// [`ProcessError`] where it is gone or answers nonsense.
    pub fn step(&mut self, now: Timestamp) -> Result<EngineDone, ProcessError> {
        self.say(&json!({ "now": now }))?;
        self.answer()
    }
}

impl Stepped<AgentReady> {
    /// Tells the agent to step to `now`, without waiting for its answer.
    ///
    /// # Errors
    /// [`ProcessError::Gone`].
    pub fn begin(&mut self, now: Timestamp, until: Until) -> Result<(), ProcessError> {
        let until = match until {
            Until::Stored => "stored",
            Until::Delivered => "delivered",
        };
        self.say(&json!({ "now": now, "until": until }))
    }

    /// Waits until the agent has done its step.
    ///
    /// # Errors
    /// [`ProcessError`] where it is gone or answers nonsense.
    pub fn finish(&mut self) -> Result<AgentDone, ProcessError> {
        self.answer()
    }
}

fn read_answer<A: DeserializeOwned>(
    launch: &Launch,
    from: &mut BufReader<ChildStdout>,
) -> Result<A, ProcessError> {
    let mut line = String::new();
    match from.read_line(&mut line) {
        Ok(length) if length > 0 && line.ends_with('\n') => {
            serde_json::from_str(&line).map_err(|source| ProcessError::Answer {
                role: launch.role.clone(),
                line,
                source,
            })
        }
        _ => Err(gone(launch)),
    }
}

fn gone(launch: &Launch) -> ProcessError {
    ProcessError::Gone {
        role: launch.role.clone(),
        log: shown(&launch.log),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
