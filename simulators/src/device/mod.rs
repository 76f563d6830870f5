//! Devices: a register map with rules for writing, reversion timers and faults.

mod build;
mod chain;
mod clock;
mod commands;
mod control;
mod models;
mod profiled;
mod snapshot;
mod spec;
mod state;
mod view;

pub use build::BuildError;
pub(crate) use commands::Commands;
pub use spec::{Branch, DeviceSpec, Generation, Phases, Role};
pub(crate) use state::DeviceState;

use crate::fault::{Fault, Schedule};
use crate::registers::RegisterMap;
use crate::server::Server;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_modbus::{ExceptionCode, Request, Response};

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

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        self.lock().name().to_owned()
    }

    /// What it is; `None` of a replayed one.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.lock().role()
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

    /// All its registers as a client sees them now, with what faults make of values and chain.
    #[must_use]
    pub fn seen_registers(&self) -> RegisterMap {
        self.lock().seen()
    }

    /// The number in a point of the first model of that number; `None` when the device has no such
    /// model or point, or does not implement it. Not scaled, and without regard to faults. A point in
    /// a group is named with it: `Prt[0].DCW`.
    #[must_use]
    pub fn value(&self, model: u16, point: &str) -> Option<i64> {
        let integer = self.lock().map().value(model, 0, point)?;
        i64::try_from(integer).ok()
    }

    /// The register address of a point of the first model of that number.
    #[must_use]
    pub fn address(&self, model: u16, point: &str) -> Option<u16> {
        let state = self.lock();
        let (model, point) = state.map().find(model, 0, point)?;
        Some(model.address_of(point))
    }

    /// Handles a request as the wire would deliver it, faults above the frame included.
    #[must_use]
    pub fn answer(&self, request: &Request<'_>) -> Answer {
        self.lock().answer(request)
    }

    /// Handles a request as its bytes, from the function code on, without address and checksum; the
    /// reply likewise. `None` for silence.
    #[must_use]
    pub fn answer_pdu(&self, request: &[u8]) -> Option<Vec<u8>> {
        crate::wire::respond(request, |request| self.answer(request))
    }

    /// Switches a fault on until [`eject`](Self::eject) or [`clear_faults`](Self::clear_faults). One
    /// of the same name is replaced.
    pub fn inject(&self, fault: Fault) {
        self.lock().inject(fault);
    }

    /// Switches a fault off that was switched on by hand; whether there was one of that name.
    pub fn eject(&self, fault: &str) -> bool {
        self.lock().eject(fault)
    }

    /// Puts a fault on for a span of simulated time, in Unix seconds.
    pub fn schedule(&self, fault: Fault, span: Range<i64>) {
        self.plan(fault, Schedule::Once(span));
    }

    /// Puts a fault on by a schedule.
    pub fn plan(&self, fault: Fault, schedule: Schedule) {
        self.lock().plan(fault, schedule);
    }

    /// Takes all faults off, live and scheduled.
    pub fn clear_faults(&self) {
        self.lock().clear_faults();
    }

    /// The faults in force now.
    #[must_use]
    pub fn active_faults(&self) -> Vec<Fault> {
        self.lock().active().iter().map(|active| active.fault).collect()
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.lock().is_offline()
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
