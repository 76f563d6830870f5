//! Devices: one task for each, which owns the connection, so that a slow or dead device holds up nobody
//! else, and a fault while talking to it ends nothing but that task.
//!
//! [`bus`] is the exchange of requests and replies, [`sunspec`] finds and reads models, [`storage`] is what
//! can be set on a battery, [`driver`] what is asked of each kind of device.

pub mod bus;
pub mod driver;
pub mod reading;
pub mod storage;
pub mod sunspec;

use gridtally_protocol::channel::Missing;
use gridtally_protocol::time::Timestamp;
use tokio::sync::{mpsc, oneshot};

pub use self::driver::{Driver, Observations};
pub use self::reading::{Count, Counter, Integrated, Observed, Step};
pub use self::storage::{Setting, StorageState};
pub use self::sunspec::SunSpecError;
use crate::config::DeviceConfig;

/// What is asked of a device's task.
#[derive(Debug)]
enum Ask {
    Observe(Timestamp, oneshot::Sender<Observations>),
    Charge(Timestamp, oneshot::Sender<Result<i64, SunSpecError>>),
    Storage(Timestamp, oneshot::Sender<Result<StorageState, SunSpecError>>),
    Write(Timestamp, Setting, oneshot::Sender<Result<(), SunSpecError>>),
}

/// The task of a device has ended; it is started anew for the next question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the device's task ended while it was asked; this is a fault of the agent, please report it")]
pub struct TaskEnded;

/// Why a device did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The exchange, or what it brought.
    #[error(transparent)]
    SunSpec(#[from] SunSpecError),
    /// The task is gone.
    #[error(transparent)]
    Task(#[from] TaskEnded),
}

/// A handle to a device's task.
#[derive(Debug)]
pub struct Device {
    config: DeviceConfig,
    asks: mpsc::Sender<Ask>,
}

impl Device {
    /// Starts the task of a device on the current runtime. It connects when it is first asked.
    #[must_use]
    pub fn start(config: DeviceConfig) -> Self {
        let asks = spawn(config.clone());
        Self { config, asks }
    }

    /// What the owner wrote of it.
    #[must_use]
    pub const fn config(&self) -> &DeviceConfig {
        &self.config
    }

    /// Begins to read all channels; the answer is awaited apart, so that devices are read at once.
    pub fn observe(&mut self, now: Timestamp) -> Observing {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Observe(now, reply));
        Observing {
            answer,
            channels: self.config.channels().collect(),
        }
    }

    /// The state of charge in thousandths of a percent.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn charge(&mut self, now: Timestamp) -> Result<i64, DeviceError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Charge(now, reply));
        Ok(answer.await.map_err(|_| TaskEnded)??)
    }

    /// The storage controls.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn storage(&mut self, now: Timestamp) -> Result<StorageState, DeviceError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Storage(now, reply));
        Ok(answer.await.map_err(|_| TaskEnded)??)
    }

    /// Writes the storage controls.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn write_storage(&mut self, now: Timestamp, setting: Setting) -> Result<(), DeviceError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Write(now, setting, reply));
        Ok(answer.await.map_err(|_| TaskEnded)??)
    }

    /// Whoever asks waits for the answer before he asks again, so there is always room; where there is
    /// none, the question is dropped and its answer is [`TaskEnded`].
    fn ask(&mut self, ask: Ask) {
        if self.asks.is_closed() {
            self.asks = spawn(self.config.clone());
        }
        drop(self.asks.try_send(ask));
    }
}

/// An answer that is on its way.
#[derive(Debug)]
pub struct Observing {
    answer: oneshot::Receiver<Observations>,
    channels: Vec<gridtally_protocol::channel::Channel>,
}

impl Observing {
    /// Waits for it. Where the task is gone, everything is missing.
    pub async fn finish(self) -> Observations {
        match self.answer.await {
            Ok(observations) => observations,
            Err(_) => self
                .channels
                .into_iter()
                .map(|channel| (channel, Err(Missing::Unreachable)))
                .collect(),
        }
    }
}

fn spawn(config: DeviceConfig) -> mpsc::Sender<Ask> {
    let (asks, mut inbox) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut driver = Driver::new(config);
        // Nobody waits for an answer that cannot be sent.
        while let Some(ask) = inbox.recv().await {
            match ask {
                Ask::Observe(now, reply) => drop(reply.send(driver.observe(now).await)),
                Ask::Charge(now, reply) => drop(reply.send(driver.charge(now).await)),
                Ask::Storage(now, reply) => drop(reply.send(driver.storage(now).await)),
                Ask::Write(now, setting, reply) => {
                    drop(reply.send(driver.write_storage(now, setting).await));
                }
            }
        }
    });
    asks
}
