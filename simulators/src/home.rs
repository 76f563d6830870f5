//! A home: one site's physics and the devices through which the world sees it.

use crate::device::{BuildError, Commands, Device, DeviceState, Role};
use crate::energy::{Counter, Energy};
use crate::physics::{Controls, Energies, Flow, PowerWindow, Site};
use crate::server::Server;
use crate::spec::{HomeSpec, Impossible};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use thiserror::Error;

/// Why a home cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HomeError {
    /// The spec contradicts physics.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// A device cannot be built.
    #[error(transparent)]
    Device(#[from] BuildError),
}

impl HomeError {
    /// The key of a home's file by which it can be mended.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Impossible(error) => error.key(),
            Self::Device(error) => error.key(),
        }
    }
}

/// The accumulators that a client can read, one for each channel of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// `TotWhImp` of the grid meter.
    pub grid_import: Counter,
    /// `TotWhExp` of the grid meter.
    pub grid_export: Counter,
    /// `WH` of the PV inverter.
    pub pv_production: Counter,
    /// `WH` of the battery inverter.
    pub battery_discharge: Counter,
}

/// A simulated home.
///
/// It has no clock: [`advance_to`](Self::advance_to) moves it. What clients have written into the
/// devices until then acts from then on; timers run out at their second, wherever in a step it lies.
#[derive(Debug)]
pub struct Home {
    site: Site,
    devices: Vec<Device>,
}

impl Home {
    /// A home at this instant, in Unix seconds. Its powers are zero until it is advanced.
    ///
    /// # Panics
    /// If the spec describes no possible home; [`try_new`](Self::try_new) says so instead.
    #[must_use]
    pub fn new(spec: HomeSpec, start: i64) -> Self {
        Self::try_new(spec, start).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A home at this instant, in Unix seconds.
    ///
    /// # Errors
    /// If the spec describes no possible home: a battery without capacity, an efficiency beyond
    /// 100 %, a scale factor beyond ±10, a chain of models that does not fit. The message says which.
    pub fn try_new(spec: HomeSpec, start: i64) -> Result<Self, HomeError> {
        spec.check()?;
        let devices = (0..).zip(&spec.devices).map(|(n, device)| {
            let state = DeviceState::new(device.clone(), &spec, spec.seed ^ n)?;
            Ok(Device::new(state))
        });
        let devices = devices.collect::<Result<Vec<_>, BuildError>>()?;
        let mut home = Self {
            site: Site::new(spec, start),
            devices,
        };
        home.tick();
        home.publish();
        Ok(home)
    }

    /// Moves the home to this instant, in Unix seconds. A time that has passed already does nothing.
    pub fn advance_to(&mut self, unix_seconds: i64) {
        while self.site.now() < unix_seconds {
            let changes = self
                .devices
                .iter()
                .filter_map(|device| device.lock().next_change());
            let next = changes.min().unwrap_or(i64::MAX).max(self.site.now() + 1);
            let controls = self.controls();
            self.site.advance(next.min(unix_seconds), controls);
            if next <= unix_seconds {
                // A fault that begins now remembers what the registers say now.
                self.publish();
            }
            self.tick();
        }
        self.publish();
    }

    /// What the control registers of all devices ask for together.
    fn controls(&self) -> Controls {
        let battery = &self.site.spec().battery;
        let mut controls = Controls {
            pv_connected: true,
            pv_limit_milliwatts: i64::MAX,
            window: PowerWindow::OPEN,
            reserve_basis_points: i64::from(battery.reserve_permille) * 10,
            grid_charging: false,
            inverter_limit: None,
            inverter_set_point: None,
            export_limit: None,
        };
        for device in &self.devices {
            if let Some((role, commands)) = device.lock().commands() {
                apply(&mut controls, role, commands);
            }
        }
        controls
    }

    fn tick(&mut self) {
        for device in &self.devices {
            device.lock().tick(self.site.now());
        }
    }

    fn publish(&self) {
        for device in &self.devices {
            device.lock().publish(&self.site);
        }
    }

    /// The instant up to which everything has happened, in Unix seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.site.now()
    }

    /// What the home was made from.
    #[must_use]
    pub fn spec(&self) -> &HomeSpec {
        self.site.spec()
    }

    /// All devices, in the order of the spec.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The first device of that role.
    #[must_use]
    pub fn device(&self, role: Role) -> Option<&Device> {
        self.devices.iter().find(|device| device.role() == Some(role))
    }

    /// The PV inverter.
    ///
    /// # Panics
    /// If the home has none; every drawn home has one.
    #[must_use]
    pub fn pv_inverter(&self) -> &Device {
        self.device(Role::Inverter).expect("this home has no PV inverter")
    }

    /// The battery inverter.
    ///
    /// # Panics
    /// If the home has none; every drawn home has one.
    #[must_use]
    pub fn battery_inverter(&self) -> &Device {
        self.device(Role::Battery)
            .expect("this home has no battery inverter")
    }

    /// The grid meter.
    ///
    /// # Panics
    /// If the home has none; every drawn home has one.
    #[must_use]
    pub fn grid_meter(&self) -> &Device {
        self.device(Role::Meter).expect("this home has no meter")
    }

    /// The true powers of the time just passed.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.site.flow()
    }

    /// The true energies, exact; the load among them, from which a test knows what would have been
    /// without a battery's help.
    #[must_use]
    pub fn energies(&self) -> Energies {
        self.site.energies()
    }

    /// The accumulators as the devices show them.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let scale = |role| {
            self.spec()
                .devices
                .iter()
                .find(|device| device.role == role)
                .map_or(0, |it| it.energy_scale)
        };
        let energies = self.energies();
        Counters {
            grid_import: energies.grid_import.counter(scale(Role::Meter)),
            grid_export: energies.grid_export.counter(scale(Role::Meter)),
            pv_production: energies.pv.counter(scale(Role::Inverter)),
            battery_discharge: energies.battery_discharge.counter(scale(Role::Battery)),
        }
    }

    /// The true state of charge, in hundredths of a percent.
    #[must_use]
    pub fn soc_basis_points(&self) -> i64 {
        self.site.battery().soc_basis_points()
    }

    /// Voltage in millivolts and frequency in millihertz where the home meets the grid.
    #[must_use]
    pub fn grid(&self) -> (i64, i64) {
        (self.site.grid_millivolts(), self.site.grid_millihertz())
    }

    /// Energy in the battery's cells.
    #[must_use]
    pub fn stored(&self) -> Energy {
        self.site.battery().stored()
    }

    /// Serves PV inverter, battery inverter and grid meter, each on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no port can be bound.
    ///
    /// # Panics
    /// If the home has not all three; every drawn home has.
    pub async fn serve(&self) -> io::Result<ServedHome> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(ServedHome {
            pv_inverter: self.pv_inverter().serve(any).await?,
            battery_inverter: self.battery_inverter().serve(any).await?,
            grid_meter: self.grid_meter().serve(any).await?,
        })
    }
}

/// Joins what one device asks for to what the others do: the narrower wins.
fn apply(controls: &mut Controls, role: Role, commands: Commands) {
    let export_limits = [controls.export_limit, commands.export_limit];
    controls.export_limit = export_limits.into_iter().flatten().min();
    match role {
        Role::Meter => return,
        Role::Inverter => {
            controls.pv_connected &= commands.connected;
            let asked = commands
                .limit
                .into_iter()
                .chain(commands.set_point.map(|watts| watts.max(0)));
            controls.pv_limit_milliwatts = asked.fold(controls.pv_limit_milliwatts, i64::min);
            return;
        }
        Role::Battery => {
            let window = match commands.set_point {
                Some(power) => PowerWindow::exactly(power),
                None => commands.window,
            };
            controls.window = controls
                .window
                .narrowed(window)
                .narrowed(PowerWindow::up_to(commands.limit));
        }
        Role::Hybrid => {
            controls.pv_connected &= commands.connected;
            // A set-point for both goes before the rates of model 124, as it does on a battery.
            if commands.set_point.is_none() {
                controls.window = controls.window.narrowed(commands.window);
            }
            controls.inverter_limit = commands.limit;
            controls.inverter_set_point = commands.set_point;
        }
    }
    if !commands.connected {
        controls.window = PowerWindow::exactly(0);
    }
    controls.reserve_basis_points = commands.reserve_basis_points;
    controls.grid_charging = commands.grid_charging;
}

/// A home's sockets; dropping it closes them.
#[derive(Debug)]
pub struct ServedHome {
    /// The PV inverter's socket.
    pub pv_inverter: Server,
    /// The battery inverter's socket.
    pub battery_inverter: Server,
    /// The grid meter's socket.
    pub grid_meter: Server,
}
