//! Devices: a register map with rules for writing, reversion timers and faults.

pub(crate) mod battery_inverter;
mod control;
pub(crate) mod grid_meter;
mod inverter;
pub(crate) mod pv_inverter;
mod state;

pub(crate) use control::{Reversion, Writable};
pub(crate) use state::DeviceState;

use crate::fault::{Fault, Schedule};
use crate::server::Server;
use crate::sunspec::{Point, RegisterMap};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_modbus::{ExceptionCode, Request, Response};

/// How a device presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSpec {
    /// Where `SunS` stands: 0, 40000 and 50000 are the bases that clients look at.
    pub base: u16,
    /// The Modbus unit that it answers to.
    pub unit: u8,
    /// Serial number, model 1 `SN`.
    pub serial_number: String,
    /// Scale factor of the energy accumulators, in powers of ten of a watt-hour.
    pub energy_scale: i16,
    /// Scale factor of active power, in powers of ten of a watt. Beyond 32767 units a power register
    /// stays at its end: 3.2 kW at −1, 32 kW at 0.
    pub power_scale: i16,
    /// Scale factor of the state of charge, in powers of ten of a percent.
    pub soc_scale: i16,
}

impl DeviceSpec {
    /// Base 40000, unit 1, energy in 0.1 Wh, power in 1 W, state of charge in 0.1 %.
    #[must_use]
    pub fn new(serial_number: impl Into<String>) -> Self {
        Self {
            base: 40_000,
            unit: 1,
            serial_number: serial_number.into(),
            energy_scale: -1,
            power_scale: 0,
            soc_scale: -1,
        }
    }
}

/// What a device does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It replies.
    Reply(Response),
    /// It refuses.
    Exception(ExceptionCode),
    /// Nothing comes back.
    Silence,
}

/// A simulated device. Clones are handles to the same device: give one to a server, keep one to
/// look at registers and to switch faults.
#[derive(Debug, Clone)]
pub struct Device {
    state: Arc<Mutex<DeviceState>>,
}

impl Device {
    pub(crate) fn new(state: DeviceState) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The lock protects plain data and is never held across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, DeviceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The Modbus unit that the device answers to.
    #[must_use]
    pub fn unit(&self) -> u8 {
        self.lock().unit()
    }

    /// All its registers as they are now, without regard to faults.
    #[must_use]
    pub fn registers(&self) -> RegisterMap {
        self.lock().map().clone()
    }

    /// The number in a point of the first model of that number; `None` when the device has no such
    /// model or point, or does not implement it. Not scaled, and without regard to faults.
    #[must_use]
    pub fn value(&self, model: u16, point: &str) -> Option<i64> {
        let state = self.lock();
        let (at, point) = find(state.map(), model, point)?;
        state.map().get(at, point)
    }

    /// The register address of a point of the first model of that number.
    #[must_use]
    pub fn address(&self, model: u16, point: &str) -> Option<u16> {
        let state = self.lock();
        let (at, point) = find(state.map(), model, point)?;
        Some(state.map().address_of(at, point))
    }

    /// Handles a request as the wire would deliver it, faults included.
    #[must_use]
    pub fn answer(&self, request: &Request<'_>) -> Answer {
        self.lock().answer(request)
    }

    /// Switches a fault on until [`clear_faults`](Self::clear_faults).
    pub fn inject(&self, fault: Fault) {
        self.lock().inject(fault);
    }

    /// Puts a fault on for a span of simulated time, in Unix seconds.
    pub fn schedule(&self, fault: Fault, span: Range<i64>) {
        self.lock().faults_mut().schedule(fault, Schedule::Once(span));
    }

    /// Takes all faults off, live and scheduled.
    pub fn clear_faults(&self) {
        self.lock().faults_mut().clear();
    }

    /// The faults in force now.
    #[must_use]
    pub fn active_faults(&self) -> Vec<Fault> {
        self.lock().active_faults()
    }

    /// Serves the device over Modbus TCP on a socket of its own. Port 0 takes a free port; ask the
    /// [`Server`] which. It stops when the `Server` is dropped.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn serve(&self, address: SocketAddr) -> io::Result<Server> {
        Server::bind(address, vec![self.clone()]).await
    }
}

fn find(map: &RegisterMap, model: u16, point: &str) -> Option<(crate::sunspec::ModelAt, Point)> {
    let (at, layout) = map.models().find(|(at, _)| at.id == model)?;
    let (_, point) = layout.named_points().find(|(name, _)| *name == point)?;
    Some((at, point))
}
