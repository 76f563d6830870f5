//! Devices: one task for each connection ([`bus`]) and one for each device, so that a slow or dead device
//! holds up nobody else, and a fault while talking to it ends nothing but that task.
//!
//! [`endpoint`] says where a device is, [`sunspec`] finds and reads models, [`controls`] is what can be set,
//! [`driver`] what is asked of each kind of device, [`reading`] and [`live`] what it showed.

pub mod bus;
pub mod controls;
pub mod driver;
pub mod endpoint;
pub mod live;
pub mod reading;
pub mod sunspec;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gridtally_protocol::channel::Missing;
use gridtally_protocol::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_modbus::ExceptionCode;

use self::bus::tls::{Tls, TlsError};
use self::bus::{Bus, BusError, BusSettings, pace};
use self::controls::{Controls, Write};
pub use self::driver::{Driver, DriverError, Hand, Observations, Snapshot};
use self::endpoint::Endpoint;
pub use self::live::Live;
pub use self::reading::{Count, Counter, Integrated, Observed, Step};
pub use self::sunspec::SunSpecError;
use crate::config::DeviceConfig;
use crate::config::device::reads_of_a_round;

/// Starts the connections and the tasks of all devices on the current runtime. Nothing connects before it is
/// asked for something.
///
/// # Errors
/// [`TlsError`] where the certificates of a device cannot be used.
pub fn start(configs: &[DeviceConfig]) -> Result<Vec<Device>, TlsError> {
    let mut buses: BTreeMap<&Endpoint, Bus> = BTreeMap::new();
    for config in configs {
        if !buses.contains_key(&config.endpoint) {
            buses.insert(&config.endpoint, connection(&config.endpoint, configs)?);
        }
    }
    let device = |config: &DeviceConfig| {
        let bus = buses.get(&config.endpoint)?;
        Some(Device::start(Arc::new(config.clone()), bus.clone()))
    };
    Ok(configs.iter().filter_map(device).collect())
}

/// The connection of all devices of an endpoint, as the most delicate of them wants it.
fn connection(endpoint: &Endpoint, configs: &[DeviceConfig]) -> Result<Bus, TlsError> {
    let behind = || configs.iter().filter(|config| config.endpoint == *endpoint);
    let tls = behind()
        .find_map(|config| config.tls.as_ref())
        .map(Tls::load)
        .transpose()?;
    let settings = BusSettings {
        tls,
        pause: behind().map(|config| config.pause).max().unwrap_or_default(),
        settle: behind().map(|config| config.settle).max().unwrap_or_default(),
        ignores_transaction_ids: behind().any(|config| config.ignores_transaction_ids),
    };
    Ok(Bus::start(endpoint.clone(), settings))
}

/// The serial lines that cannot carry a round of their devices within `period`.
#[must_use]
pub fn overloaded_lines(configs: &[DeviceConfig], period: Duration) -> Vec<pace::BudgetExceeded> {
    let mut lines: BTreeMap<&Endpoint, (Vec<u16>, Duration)> = BTreeMap::new();
    for config in configs {
        let (reads, pause) = lines.entry(&config.endpoint).or_default();
        reads.extend(reads_of_a_round(config));
        *pause = (*pause).max(config.pause);
    }
    let checked = lines
        .into_iter()
        .map(|(endpoint, (reads, pause))| pace::check_budget(endpoint, reads, pause, period));
    checked.filter_map(Result::err).collect()
}

/// What is asked of a device's task.
#[derive(Debug)]
enum Ask {
    Observe(Timestamp, bool, oneshot::Sender<Snapshot>),
    Charge(Timestamp, oneshot::Sender<Result<i64, DriverError>>),
    Controls(Hand, Timestamp, oneshot::Sender<Result<Controls, DriverError>>),
    Write(
        Box<Controls>,
        Vec<Write>,
        Timestamp,
        oneshot::Sender<Result<(), DriverError>>,
    ),
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
    Driver(#[from] DriverError),
    /// The task is gone.
    #[error(transparent)]
    Task(#[from] TaskEnded),
    /// It cannot be told what its control stands at.
    #[error("its {} shows something else each time it is read", .0.name())]
    Unsettled(Hand),
}

impl DeviceError {
    /// Whether the device refuses by the standard's reasons (Modbus Application Protocol 1.1b3, §7), or has no
    /// such control. What did not come through, or met a busy device or gateway, is no refusal.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Driver(DriverError::Control(_) | DriverError::NotInProfile { .. }) => true,
            Self::Driver(DriverError::SunSpec(SunSpecError::Bus(BusError::Exception(exception)))) => {
                matches!(
                    exception,
                    ExceptionCode::IllegalFunction
                        | ExceptionCode::IllegalDataAddress
                        | ExceptionCode::IllegalDataValue
                        | ExceptionCode::ServerDeviceFailure
                )
            }
            _ => false,
        }
    }
}

/// A handle to a device's task.
#[derive(Debug)]
pub struct Device {
    config: Arc<DeviceConfig>,
    bus: Bus,
    asks: mpsc::Sender<Ask>,
}

impl Device {
    fn start(config: Arc<DeviceConfig>, bus: Bus) -> Self {
        let asks = spawn(Arc::clone(&config), &bus);
        Self { config, bus, asks }
    }

    /// What the owner wrote of it.
    #[must_use]
    pub fn config(&self) -> &DeviceConfig {
        &self.config
    }

    /// Its connection, which it may share.
    #[must_use]
    pub const fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Begins to read all channels; the answer is awaited apart, so that devices are read at once. A device
    /// that was silent is left alone for a while, unless it `must` be asked.
    pub fn observe(&mut self, now: Timestamp, must: bool) -> Observing {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Observe(now, must, reply));
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

    /// The controls as they stand.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn controls(&mut self, hand: Hand, now: Timestamp) -> Result<Controls, DeviceError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Controls(hand, now, reply));
        Ok(answer.await.map_err(|_| TaskEnded)??)
    }

    /// Writes to the map that these controls were read from.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn write(
        &mut self,
        controls: &Controls,
        writes: Vec<Write>,
        now: Timestamp,
    ) -> Result<(), DeviceError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Write(Box::new(controls.clone()), writes, now, reply));
        Ok(answer.await.map_err(|_| TaskEnded)??)
    }

    /// Whoever asks waits for the answer before he asks again, so there is always room; where there is
    /// none, the question is dropped and its answer is [`TaskEnded`].
    fn ask(&mut self, ask: Ask) {
        if self.asks.is_closed() {
            self.asks = spawn(Arc::clone(&self.config), &self.bus);
        }
        drop(self.asks.try_send(ask));
    }
}

/// An answer that is on its way.
#[derive(Debug)]
pub struct Observing {
    answer: oneshot::Receiver<Snapshot>,
    channels: Vec<gridtally_protocol::channel::Channel>,
}

impl Observing {
    /// Waits for it. Where the task is gone, everything is missing.
    pub async fn finish(self) -> Snapshot {
        match self.answer.await {
            Ok(snapshot) => snapshot,
            Err(_) => Snapshot {
                channels: self
                    .channels
                    .into_iter()
                    .map(|channel| (channel, Err(Missing::Unreachable)))
                    .collect(),
                live: Live::default(),
                complaint: Some(TaskEnded.to_string()),
            },
        }
    }
}

fn spawn(config: Arc<DeviceConfig>, bus: &Bus) -> mpsc::Sender<Ask> {
    let (asks, mut inbox) = mpsc::channel(4);
    let mut driver = Driver::new(config, bus);
    tokio::spawn(async move {
        // Nobody waits for an answer that cannot be sent.
        while let Some(ask) = inbox.recv().await {
            match ask {
                Ask::Observe(now, must, reply) => drop(reply.send(driver.observe(now, must).await)),
                Ask::Charge(now, reply) => drop(reply.send(driver.charge(now).await)),
                Ask::Controls(hand, now, reply) => drop(reply.send(driver.controls(hand, now).await)),
                Ask::Write(controls, writes, now, reply) => {
                    drop(reply.send(driver.write(&controls, &writes, now).await));
                }
            }
        }
    });
    asks
}
