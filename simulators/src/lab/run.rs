//! Starts what a plan says and lets time pass.

use super::api;
use super::clock::{Clock, Pace};
use super::plan::{Place, Plan};
use super::watch;
use crate::device::Device;
use crate::home::{Home, HomeError};
use crate::server::Server;
use crate::wire::LineError;
use chrono::Utc;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

/// A home has no powers before its first minute.
const WARM_UP_SECONDS: i64 = 60;

/// Why a lab does not run.
#[derive(Debug, Error)]
pub enum LabError {
    /// A port cannot be had.
    #[error("cannot listen on {address} ({source}): choose another --port, or --port 0 for any free one")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A serial line cannot be had.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The plan describes no possible home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Signals cannot be waited for.
    #[error("cannot wait for Ctrl-C: {0}")]
    Signal(#[source] io::Error),
}

/// A device that can be reached.
#[derive(Debug, Clone)]
pub struct Running {
    pub(crate) device: Device,
    /// A socket's address or a serial line's path, as a client would write it.
    pub(crate) at: At,
}

/// Where a client finds a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    Socket(SocketAddr),
    Path(String),
}

/// Devices on their sockets and lines. Dropping it closes them.
#[derive(Debug)]
pub struct Lab {
    title: String,
    home: Option<Mutex<Home>>,
    running: Vec<Running>,
    servers: Vec<Server>,
    clock: Clock,
    control: Option<SocketAddr>,
}

impl Lab {
    /// Starts the home of a plan.
    ///
    /// # Errors
    /// If the home cannot be, or a socket or line cannot be had.
    pub async fn start(title: &str, plan: &Plan) -> Result<Self, LabError> {
        let start = plan.start.unwrap_or_else(|| Utc::now().timestamp());
        let mut home = Home::try_new(plan.home_spec(), start - WARM_UP_SECONDS)?;
        for (device, planned) in home.devices().iter().zip(&plan.devices) {
            planned.faults.iter().for_each(|fault| fault.strike(device));
        }
        home.advance_to(start);
        let placed = home
            .devices()
            .iter()
            .cloned()
            .zip(plan.devices.iter().map(|planned| planned.place.clone()));
        let (running, servers) = serve(placed.collect()).await?;
        Ok(Self {
            title: title.to_owned(),
            home: Some(Mutex::new(home)),
            running,
            servers,
            clock: Clock::start(start, plan.pace),
            control: plan.control,
        })
    }

    /// Starts devices that need no home: replayed ones.
    ///
    /// # Errors
    /// If a socket or line cannot be had.
    pub async fn start_devices(
        title: &str,
        devices: Vec<(Device, Place)>,
        pace: Pace,
        control: Option<SocketAddr>,
    ) -> Result<Self, LabError> {
        let start = Utc::now().timestamp();
        devices.iter().for_each(|(device, _)| device.advance_to(start));
        let (running, servers) = serve(devices).await?;
        Ok(Self {
            title: title.to_owned(),
            home: None,
            running,
            servers,
            clock: Clock::start(start, pace),
            control,
        })
    }

    /// Lets time pass until Ctrl-C or SIGTERM, with the control API if the plan has one, and the power flows on
    /// the terminal if that is wished.
    ///
    /// # Errors
    /// If the control API cannot listen, or Ctrl-C cannot be waited for.
    pub async fn run(self, watched: bool) -> Result<(), LabError> {
        let lab = Arc::new(self);
        let api = match lab.control {
            Some(address) => {
                let listen = |source| LabError::Listen { address, source };
                let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
                let address = listener.local_addr().map_err(listen)?;
                println!("Control API on http://{address}/ (try: curl http://{address}/)\n");
                Some(tokio::spawn(api::serve(listener, Arc::clone(&lab))))
            }
            None => None,
        };
        let outcome = lab.live(watched).await;
        if let Some(api) = api {
            api.abort();
        }
        outcome
    }

    async fn live(&self, watched: bool) -> Result<(), LabError> {
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut interrupts = signal(SignalKind::interrupt()).map_err(LabError::Signal)?;
        let mut terminations = signal(SignalKind::terminate()).map_err(LabError::Signal)?;
        let mut screen = watched.then(watch::Screen::new);
        loop {
            tokio::select! {
                _ = interrupts.recv() => return Ok(()),
                _ = terminations.recv() => return Ok(()),
                _ = ticks.tick() => {
                    if let Some(now) = self.clock.now() {
                        self.advance_to(now);
                    }
                    if let Some(screen) = &mut screen {
                        screen.show(self);
                    }
                }
            }
        }
    }

    /// Moves all devices to this instant, in Unix seconds; an instant that has passed changes nothing.
    pub fn advance_to(&self, unix_seconds: i64) {
        match self.home() {
            Some(mut home) => home.advance_to(unix_seconds),
            None => self
                .running
                .iter()
                .for_each(|running| running.device.advance_to(unix_seconds)),
        }
    }

    /// The home, locked; `None` where only recordings are played.
    #[must_use]
    pub fn home(&self) -> Option<MutexGuard<'_, Home>> {
        Some(self.home.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The simulated instant, in Unix seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        match self.home() {
            Some(home) => home.now(),
            None => self
                .running
                .first()
                .map_or(0, |running| running.device.lock().now()),
        }
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    pub(crate) fn running(&self) -> &[Running] {
        &self.running
    }

    pub(crate) fn pace(&self) -> Pace {
        self.clock.pace()
    }

    /// The device of that name.
    pub(crate) fn device(&self, name: &str) -> Option<&Device> {
        let mut running = self.running.iter().map(|running| &running.device);
        running.find(|device| device.name() == name)
    }

    /// How many sockets and lines are open.
    #[must_use]
    pub fn places(&self) -> usize {
        self.servers.len()
    }
}

/// Opens each place once, with all the devices that belong there.
async fn serve(devices: Vec<(Device, Place)>) -> Result<(Vec<Running>, Vec<Server>), LabError> {
    let mut groups: Vec<(Place, Vec<Device>)> = Vec::new();
    for (device, place) in &devices {
        match groups.iter_mut().find(|(other, _)| other.is_shared_with(place)) {
            Some((_, group)) => group.push(device.clone()),
            None => groups.push((place.clone(), vec![device.clone()])),
        }
    }
    let (mut running, mut servers) = (Vec::new(), Vec::new());
    for (place, group) in groups {
        let (server, at) = open(&place, group.clone()).await?;
        servers.push(server);
        running.extend(group.into_iter().map(|device| Running {
            device,
            at: at.clone(),
        }));
    }
    Ok((running, servers))
}

async fn open(place: &Place, devices: Vec<Device>) -> Result<(Server, At), LabError> {
    match place {
        Place::Socket(address) => {
            let listen = |source| LabError::Listen {
                address: *address,
                source,
            };
            let server = Server::bind(*address, devices).await.map_err(listen)?;
            let at = At::Socket(server.address());
            Ok((server, at))
        }
        Place::Line(line) => {
            let server = Server::open(line, devices)?;
            let path = server.path().map(|path| path.display().to_string());
            Ok((server, At::Path(path.unwrap_or_default())))
        }
    }
}
