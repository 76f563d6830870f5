//! The engine as a process that may be killed at any moment, and is then started again.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gridtally_protocol::time::Timestamp;

use super::process::{EngineDone, EngineReady, Launch, ProcessError, Stepped};

/// How often an engine that is killed over and over is started again within one step.
const RESTARTS_MAX: u32 = 50;

/// The engine; clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Engine {
    running: Arc<Mutex<Running>>,
}

#[derive(Debug)]
struct Running {
    process: Option<Stepped<EngineReady>>,
    now: Option<Timestamp>,
}

impl Engine {
    /// Starts the engine on its data directory, with a private database and broker.
    ///
    /// # Errors
    /// [`ProcessError`] where it does not start.
    pub fn start(program: &Path, data: &Path, log: &Path) -> Result<Self, ProcessError> {
        let launch = Launch {
            role: "engine".into(),
            program: program.to_owned(),
            arguments: ["engine", "run", "--stepped", "--listen", "127.0.0.1:0", "--data"]
                .into_iter()
                .map(String::from)
                .chain([data.display().to_string()])
                .collect(),
            log: log.to_owned(),
        };
        let process = Some(Stepped::start(launch)?);
        Ok(Self {
            running: Arc::new(Mutex::new(Running { process, now: None })),
        })
    }

    /// What the engine said of itself when it was ready.
    ///
    /// # Errors
    /// [`ProcessError::Gone`] after it was stopped.
    pub fn ready(&self) -> Result<EngineReady, ProcessError> {
        self.lock().process().map(|p| p.ready.clone())
    }

    /// The engine's process number, where it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.lock().process.as_ref().map(Stepped::pid)
    }

    /// Steps the engine to `now`; if it was killed, starts it again first.
    ///
    /// # Errors
    /// [`ProcessError`] where it does not come to an end in many tries.
    pub fn step(&self, now: Timestamp) -> Result<EngineDone, ProcessError> {
        let mut running = self.lock();
        running.now = Some(now);
        running.step_until_done(now)
    }

    /// Starts the engine again where it was killed, and gives it the time that it had.
    ///
    /// # Errors
    /// As [`Engine::step`].
    pub fn revive(&self) -> Result<(), ProcessError> {
        let mut running = self.lock();
        match running.now {
            Some(now) => running.step_until_done(now).map(drop),
            None => Ok(()),
        }
    }

    /// Ends the engine, its database and its broker in good order.
    pub fn stop(self) {
        if let Some(process) = self.lock().process.take() {
            process.stop();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn process(&mut self) -> Result<&mut Stepped<EngineReady>, ProcessError> {
        self.process.as_mut().ok_or_else(|| ProcessError::Gone {
            role: "engine".into(),
            log: "closed".into(),
        })
    }

    fn step_until_done(&mut self, now: Timestamp) -> Result<EngineDone, ProcessError> {
        let mut tries = 0;
        loop {
            match self.process()?.step(now) {
                Err(ProcessError::Gone { .. }) if tries < RESTARTS_MAX => tries += 1,
                done => return done,
            }
            match self.process()?.restart() {
                Err(ProcessError::Gone { .. }) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
