//! The engine as a process: a database, a broker, a link between them, and a clock.
//!
//! One thread takes messages in and stores them; another, this module's, keeps the time and sends instructions.
//! What they share is the database.

mod intake;
mod key;
mod stepped;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use gridtally_link::{Link, LinkConfig};
use gridtally_protocol::identity::{Identity, SigningIdentity};
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::TopicKind;
use tokio::sync::oneshot;

pub use key::{KeyFileError, engine_key};

use crate::clock::Clock;
use crate::dispatch::beacons::Lighthouse;
use crate::dispatch::resend::Asker;
use crate::dispatch::statements::Teller;
use crate::dispatch::{Sender, Tester};
use crate::store::{Store, StoreError};
use crate::supervise::{PrivateBroker, PrivateCluster, SuperviseError};

/// How the engine is started.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Where its key, and its private database and broker, are kept.
    pub data: PathBuf,
    /// A database of the operator's own, as a connection string; a private cluster otherwise.
    pub database: Option<String>,
    /// A broker of the operator's own, as `host:port`; a private mosquitto otherwise.
    pub broker: Option<String>,
    /// Where the private broker listens.
    pub listen: Option<SocketAddr>,
    /// Time comes on standard input instead of from the system.
    pub stepped: bool,
}

/// Why the engine cannot run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// Its private database or broker.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// Its store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its threads or pipes.
    #[error("{what}: {source}")]
    Io {
        /// What it tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of standard input that is no step.
    #[error("line {line:?} is no step of the form {{\"now\":\"2026-04-09T00:05:00Z\"}}: {reason}")]
    Step {
        /// The line, cut to 200 characters.
        line: String,
        /// What the reader met.
        reason: String,
    },
}

/// A database that is there as long as this value is.
#[derive(Debug)]
pub enum Database {
    /// The operator's own.
    Given(String),
    /// A private cluster.
    Private(PrivateCluster),
}

impl Database {
    /// The operator's own database, or the private cluster of a data directory: the one that a running engine
    /// has started, or else one for the moment.
    ///
    /// # Errors
    /// [`SuperviseError`].
    pub fn attach(options: &EngineOptions) -> Result<Self, SuperviseError> {
        match &options.database {
            Some(url) => Ok(Self::Given(url.clone())),
            None => PrivateCluster::attach(&options.data).map(Self::Private),
        }
    }

    /// How to connect.
    #[must_use]
    pub fn connection_string(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Private(cluster) => cluster.connection_string(),
        }
    }
}

/// Runs the engine until it is told to stop: by a signal, or in stepped time by the end of its input.
///
/// # Errors
/// [`EngineError`] that says what is not there.
pub fn run(options: &EngineOptions) -> Result<(), EngineError> {
    if options.stepped {
        stepped::run(&Parts::prepare(options)?)
    } else {
        run_in_real_time(options)
    }
}

/// An engine at work inside another program. It takes messages in by itself; events are sent by [`Engine::tick`].
pub struct Engine {
    working: Working,
    // After what uses it.
    parts: Parts,
}

impl Engine {
    /// Starts an engine that takes its time from `clock`; whether `options` say `stepped` makes no difference.
    ///
    /// # Errors
    /// [`EngineError`] that says what is not there.
    pub fn start(options: &EngineOptions, clock: Clock) -> Result<Self, EngineError> {
        let parts = Parts::prepare(options)?;
        Ok(Self {
            working: Working::start(&parts, clock)?,
            parts,
        })
    }

    /// Who signs its receipts and instructions.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.parts.identity()
    }

    /// Its broker, as `host:port`.
    #[must_use]
    pub fn broker(&self) -> &str {
        &self.parts.broker
    }

    /// Sends the instructions that are due at `now`, and says how many are neither answered nor expired.
    ///
    /// # Errors
    /// [`EngineError::Store`] where they cannot be looked up.
    pub fn tick(&mut self, now: Timestamp) -> Result<usize, EngineError> {
        self.working.tick(now)
    }

    /// Stops taking messages in, then the private broker and database. What was not committed will be delivered
    /// again.
    pub fn stop(self) {
        self.working.stop();
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("broker", &self.parts.broker)
            .finish_non_exhaustive()
    }
}

/// What a running engine is made of.
struct Parts {
    key: Arc<SigningIdentity>,
    broker: String,
    url: String,
    // Both are there as long as the engine is.
    _private_broker: Option<PrivateBroker>,
    _database: Database,
}

impl Parts {
    fn prepare(options: &EngineOptions) -> Result<Self, EngineError> {
        let key = Arc::new(engine_key(&options.data)?);
        let database = match &options.database {
            Some(url) => Database::Given(url.clone()),
            None => Database::Private(PrivateCluster::start(&options.data)?),
        };
        let (broker, private_broker) = match &options.broker {
            Some(address) => (address.clone(), None),
            None => {
                let private = PrivateBroker::start(&options.data, options.listen)?;
                (private.address().to_string(), Some(private))
            }
        };
        let url = database.connection_string();
        Ok(Self {
            key,
            broker,
            url,
            _private_broker: private_broker,
            _database: database,
        })
    }

    fn identity(&self) -> Identity {
        self.key.identity()
    }
}

/// The engine at work: messages are taken in on a thread of their own.
struct Working {
    link: Link,
    store: Store,
    sender: Sender,
    asker: Asker,
    teller: Teller,
    tester: Tester,
    /// None in the stepped time of simulations, whose every run signs the same bytes: a beacon is random.
    lighthouse: Option<Lighthouse>,
    heard: intake::Heard,
    key: Arc<SigningIdentity>,
    reconnected: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

/// The engine asks for many deliveries at once, because it acknowledges them only after a commit.
const INFLIGHT_MAX: u16 = 4_000;
/// So long a start waits for the broker. What is published before the first subscription ever would be lost on the
/// engine, until its gateway sends it again.
const CONNECTED_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

impl Working {
    fn start(parts: &Parts, clock: Clock) -> Result<Self, EngineError> {
        let store = Store::open(&parts.url)?;
        let intake_store = Store::open(&parts.url)?;
        let (stop, stopped) = oneshot::channel();
        let (link, events, link_thread) = start_link(parts, stopped)?;
        let reconnected = Arc::new(AtomicBool::new(false));
        let stopping = Arc::new(AtomicBool::new(false));
        let heard = intake::Heard::default();
        let (connected, connection) = std::sync::mpsc::channel();
        let intake = intake::Intake {
            link: link.clone(),
            store: intake_store,
            engine: Arc::clone(&parts.key),
            clock,
            reconnected: Arc::clone(&reconnected),
            heard: Arc::clone(&heard),
            stopping: Arc::clone(&stopping),
            connected,
        };
        let intake_thread = thread::Builder::new()
            .name("intake".into())
            .spawn(move || intake.run(events))
            .map_err(|source| EngineError::Io {
                what: "cannot start a thread",
                source,
            })?;
        if connection.recv_timeout(CONNECTED_WITHIN).is_err() {
            tracing::warn!(
                broker = parts.broker,
                "the broker is not there yet; the engine goes on trying"
            );
        }
        let threads = vec![intake_thread, link_thread];
        Ok(Self {
            link,
            store,
            sender: Sender::default(),
            asker: Asker::default(),
            teller: Teller::default(),
            tester: Tester::default(),
            lighthouse: Some(Lighthouse::default()),
            heard,
            key: Arc::clone(&parts.key),
            reconnected,
            stopping,
            threads,
            stop: Some(stop),
        })
    }

    /// Sends what is due at `now`, test dispatches among it, tells homes what was settled, and asks for reports that are
    /// missing; says how many instructions are open.
    fn tick(&mut self, now: Timestamp) -> Result<usize, EngineError> {
        if self.reconnected.swap(false, Ordering::AcqRel) {
            self.sender.forget();
            self.teller.forget();
            if let Some(lighthouse) = &mut self.lighthouse {
                lighthouse.forget();
            }
        }
        if let Some(lighthouse) = &mut self.lighthouse
            && let Err(error) = lighthouse.shine(&mut self.store, &self.link, &self.key, now)
        {
            // Instructions do not wait for it.
            tracing::error!(%error, "no beacon is published; trying again");
        }
        self.tester.test_due(&mut self.store, &self.key, now);
        self.asker.ask_due(&mut self.store, &self.link, &self.key, now)?;
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        self.teller.tell_due(&mut self.store, &self.link, &heard)?;
        Ok(self.sender.send_due(&mut self.store, &self.link, now)?)
    }

    /// Ends the link and with it the intake; what was not committed will be delivered again.
    fn stop(mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let Self { link, threads, .. } = self;
        drop(link);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

type Events = tokio::sync::mpsc::Receiver<gridtally_link::LinkEvent>;

/// The link lives on a runtime of its own thread.
fn start_link(
    parts: &Parts,
    stopped: oneshot::Receiver<()>,
) -> Result<(Link, Events, JoinHandle<()>), EngineError> {
    let io = |what| move |source| EngineError::Io { what, source };
    let mut config = LinkConfig::new(
        parts.broker.clone(),
        format!("engine-{}", parts.identity().multibase()),
    );
    config.clean_session = false;
    config.inflight_max = INFLIGHT_MAX;
    config.subscriptions = [TopicKind::Report, TopicKind::Acknowledgement, TopicKind::Original]
        .map(TopicKind::filter_for_all)
        .to_vec();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io("cannot start the link's runtime"))?;
    let (link, events) = {
        let _inside = runtime.enter();
        Link::start(config)
    };
    let thread = thread::Builder::new()
        .name("link".into())
        .spawn(move || {
            runtime.block_on(async {
                let _ = stopped.await;
            });
        })
        .map_err(io("cannot start a thread"))?;
    Ok((link, events, thread))
}

fn run_in_real_time(options: &EngineOptions) -> Result<(), EngineError> {
    let clock = Clock::System;
    let mut engine = Engine::start(options, clock.clone())?;
    eprintln!(
        "The engine {} is at work; its broker is {}.",
        engine.identity(),
        engine.broker()
    );
    let stop = stop_signal()?;
    while stop
        .recv_timeout(TICK)
        .is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout)
    {
        if let Err(error) = engine.tick(clock.now()) {
            tracing::error!(%error, "instructions could not be looked up; trying again");
        }
    }
    eprintln!("The engine stops.");
    engine.stop();
    Ok(())
}

/// How often the engine looks for new events.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// A channel that closes at SIGINT or SIGTERM.
fn stop_signal() -> Result<std::sync::mpsc::Receiver<()>, EngineError> {
    let io = |what| move |source| EngineError::Io { what, source };
    let (told, stop) = std::sync::mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io("cannot wait for signals"))?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            runtime.block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let Ok(mut terminate) = signal(SignalKind::terminate()) else {
                    return;
                };
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
            });
            drop(told);
        })
        .map_err(io("cannot start a thread"))?;
    Ok(stop)
}
