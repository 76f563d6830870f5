//! Keeping a server alive for as long as its owner lives.

use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::error::{At, SuperviseError};
use super::log::LogFile;
use super::process::Ladder;

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A server that ran for so long has recovered: the next failure starts with a short wait again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// A server program, as the watch needs to know it.
pub(super) trait Server: Send + Sync + 'static {
    /// The program's name, for logs and errors.
    fn program(&self) -> &'static str;
    /// Ends what an earlier run left behind, so that a new process can start.
    fn clear_remains(&self) -> Result<(), SuperviseError>;
    /// Starts the process.
    fn spawn(&self) -> Result<Child, SuperviseError>;
    /// Whether this process serves.
    fn is_ready(&self, process_id: u32) -> bool;
    /// How long it may take to serve; recovery after a crash included.
    fn ready_within(&self) -> Duration;
    /// How to end it.
    fn ladder(&self) -> Ladder;
    /// Where it writes.
    fn log(&self) -> &LogFile;
    /// Told of each process that serves.
    fn serving(&self, process_id: u32) -> Result<(), SuperviseError>;
}

/// A server that is started again whenever it dies. Stopped on drop.
pub(super) struct Watch<S: Server> {
    server: Arc<S>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    process: Option<Process>,
    restarts: u32,
    stopping: bool,
    ended: bool,
}

struct Process {
    id: u32,
    /// Refers to this very process even when its number has been given to another one.
    handle: OwnedFd,
}

impl<S: Server> Watch<S> {
    /// Starts the server, waits until it serves, and watches it from then on.
    pub(super) fn start(server: S) -> Result<Watch<S>, SuperviseError> {
        let (server, shared) = (Arc::new(server), Arc::new(Shared::default()));
        let child = bring_up(&*server, &shared)?;
        let started = Instant::now();
        let thread = std::thread::Builder::new()
            .name(format!("watch-{}", server.program()))
            .spawn({
                let (server, shared) = (server.clone(), shared.clone());
                move || {
                    watch(&*server, &shared, child, started);
                    shared.lock().ended = true;
                    shared.changed.notify_all();
                }
            })
            .at("start a thread for", server.log().path())?;
        Ok(Watch {
            server,
            shared,
            thread: Some(thread),
        })
    }

    /// The process that serves now; `None` between two.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.shared.lock().process.as_ref().map(|process| process.id)
    }

    /// How often it had to be started again.
    pub(super) fn restarts(&self) -> u32 {
        self.shared.lock().restarts
    }

    /// Ends the server in order; by force where order takes too long.
    pub(super) fn stop(&mut self) -> Result<(), SuperviseError> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        for (signal, patience) in self.server.ladder() {
            if self.ended_after(*signal, *patience) {
                break;
            }
        }
        if thread.join().is_err() {
            tracing::error!(program = self.server.program(), "the watching thread panicked");
        }
        self.server.clear_remains()
    }

    fn ended_after(&self, signal: Signal, patience: Duration) -> bool {
        let state = self.shared.lock();
        if let Some(process) = &state.process {
            process.send(signal);
        }
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, patience, |state| !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }
}

impl<S: Server> Drop for Watch<S> {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!(program = self.server.program(), %error, "the server was not stopped in order");
        }
    }
}

impl Shared {
    /// The state is consistent between any two statements that change it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a process known; one that comes when all is to stop is ended at once.
    fn register(&self, child: &Child) -> std::io::Result<()> {
        let pid = Pid::from_child(child);
        let process = Process {
            id: child.id(),
            handle: pidfd_open(pid, PidfdFlags::empty())?,
        };
        let mut state = self.lock();
        if state.stopping {
            process.send(Signal::KILL);
        }
        state.process = Some(process);
        Ok(())
    }

    /// Waits; says whether all is to stop.
    fn stopping_within(&self, wait: Duration) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), wait, |state| !state.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }
}

impl Process {
    fn send(&self, signal: Signal) {
        // The only way to fail is that the process has ended, which is what signals are for.
        if let Err(error) = pidfd_send_signal(&self.handle, signal) {
            tracing::debug!(process_id = self.id, ?signal, %error, "not signalled");
        }
    }
}

/// Waits for the server to die, starts it again, and so on until all is to stop.
fn watch<S: Server>(server: &S, shared: &Shared, mut child: Child, mut started: Instant) {
    let program = server.program();
    let mut backoff = BACKOFF_FIRST;
    loop {
        let ended = child.wait();
        shared.lock().process = None;
        if shared.lock().stopping {
            return;
        }
        tracing::error!(program, status = ?ended, log = %server.log().path().display(), "ended by itself; starting it again");
        if started.elapsed() >= HEALTHY_AFTER {
            backoff = BACKOFF_FIRST;
        }
        child = loop {
            if shared.stopping_within(backoff) {
                return;
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
            match bring_up(server, shared) {
                Ok(child) => break child,
                Err(error) if shared.lock().stopping => {
                    tracing::debug!(program, %error, "stopped while it was starting");
                    return;
                }
                Err(error) => tracing::error!(program, %error, "not started; trying again"),
            }
        };
        started = Instant::now();
        let mut state = shared.lock();
        state.restarts = state.restarts.saturating_add(1);
        tracing::warn!(
            program,
            process_id = child.id(),
            restarts = state.restarts,
            "serves again"
        );
    }
}

/// From nothing to a process that serves.
fn bring_up<S: Server>(server: &S, shared: &Shared) -> Result<Child, SuperviseError> {
    server.clear_remains()?;
    let mut child = server.spawn()?;
    let served = shared
        .register(&child)
        .at("watch the process of", server.log().path())
        .and_then(|()| await_ready(server, &mut child))
        .and_then(|()| server.serving(child.id()));
    match served {
        Ok(()) => Ok(child),
        Err(error) => {
            shared.lock().process = None;
            if let Err(error) = child.kill().and_then(|()| child.wait()) {
                tracing::warn!(program = server.program(), %error, "not ended");
            }
            Err(error)
        }
    }
}

fn await_ready<S: Server>(server: &S, child: &mut Child) -> Result<(), SuperviseError> {
    let start = Instant::now();
    loop {
        if let Some(status) = child
            .try_wait()
            .at("wait for the process of", server.log().path())?
        {
            return Err(ended(server, status));
        }
        if server.is_ready(child.id()) {
            return Ok(());
        }
        if start.elapsed() >= server.ready_within() {
            return Err(SuperviseError::NotReady {
                program: server.program(),
                waited: start.elapsed(),
                log: server.log().path().to_owned(),
                log_tail: server.log().tail(),
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ended<S: Server>(server: &S, status: ExitStatus) -> SuperviseError {
    SuperviseError::Ended {
        program: server.program(),
        status,
        log: server.log().path().to_owned(),
        log_tail: server.log().tail(),
    }
}
