//! Devices on a socket or a serial line.

use crate::device::{Answer, Device};
use crate::fault::Fault;
use crate::wire::{Bus, Line, LineError, RtuServer, TcpServer};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;
use tokio_modbus::{ExceptionCode, Request};

/// Two devices cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("two devices on one line answer to unit {unit}: give one of them another")]
pub struct SameUnit {
    /// Their unit.
    pub unit: u8,
}

/// A Modbus socket or serial line with one or several devices on it, told apart by their units.
/// Dropping it closes the socket and its connections, or the line.
///
/// On a socket, a request for a unit that is not there, or whose device is offline, is answered with
/// exception 11 as a gateway does; when all devices are offline, connections are closed. On a serial
/// line nobody answers for another. Function codes 3, 4, 6 and 16 are served, FC 6 and 16 on a serial
/// line also as broadcasts (unit 0).
#[derive(Debug)]
pub struct Server {
    place: Place,
}

#[derive(Debug)]
enum Place {
    Socket(TcpServer),
    Line(RtuServer),
}

impl Server {
    /// Serves devices over Modbus TCP.
    ///
    /// # Errors
    /// If the address cannot be bound, or two devices have one unit.
    pub async fn bind(address: SocketAddr, devices: Vec<Device>) -> io::Result<Self> {
        let bus = Units::new(devices, Medium::Socket).map_err(io::Error::other)?;
        let place = Place::Socket(TcpServer::bind(address, Arc::new(bus)).await?);
        Ok(Self { place })
    }

    /// Serves devices over Modbus RTU, on a serial port or a pseudo-terminal.
    ///
    /// # Errors
    /// If the line cannot be opened, or two devices have one unit.
    pub fn open(line: &Line, devices: Vec<Device>) -> Result<Self, LineError> {
        let bus = Units::new(devices, Medium::Line)?;
        let place = Place::Line(RtuServer::open(line, Arc::new(bus))?);
        Ok(Self { place })
    }

    /// Where it listens; 0.0.0.0:0 of a serial line.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match &self.place {
            Place::Socket(server) => server.address(),
            Place::Line(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        }
    }

    /// What clients of a serial line open; `None` of a socket.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Socket(_) => None,
            Place::Line(server) => Some(server.path()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Medium {
    Socket,
    Line,
}

/// Devices by unit.
struct Units {
    devices: Vec<Device>,
    by_unit: [Option<Device>; 256],
    medium: Medium,
}

impl Units {
    fn new(devices: Vec<Device>, medium: Medium) -> Result<Self, SameUnit> {
        let mut by_unit = [const { None }; 256];
        for device in &devices {
            let unit = device.unit();
            if by_unit[usize::from(unit)].replace(device.clone()).is_some() {
                return Err(SameUnit { unit });
            }
        }
        Ok(Self {
            devices,
            by_unit,
            medium,
        })
    }

    fn find(&self, unit: u8) -> Option<&Device> {
        self.by_unit[usize::from(unit)].as_ref()
    }

    /// A single device behind a socket stands for the socket.
    fn is_gateway(&self) -> bool {
        self.medium == Medium::Socket && self.devices.len() > 1
    }
}

impl Bus for Units {
    fn wire_faults(&self, unit: Option<u8>) -> Vec<Fault> {
        let Some(unit) = unit else {
            return self.of_connection();
        };
        let mut faults = self.find(unit).map(Device::active_faults).unwrap_or_default();
        if self.is_gateway() {
            // The gateway is there and answers for it.
            faults.retain(|fault| *fault != Fault::Offline);
        }
        faults
    }

    fn has(&self, unit: u8) -> bool {
        self.find(unit).is_some()
    }

    fn answer(&self, unit: u8, request: &Request<'_>) -> Answer {
        let gone = match self.medium {
            Medium::Socket => Answer::Exception(ExceptionCode::GatewayTargetDevice),
            Medium::Line => Answer::Silence,
        };
        match self.find(unit) {
            Some(device) if !device.is_offline() => device.answer(request),
            _ => gone,
        }
    }

    fn broadcast(&self, request: &Request<'_>) {
        for device in &self.devices {
            let _ = device.answer(request);
        }
    }
}

impl Units {
    fn of_connection(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = Vec::new();
        for device in &self.devices {
            let of_device = device.active_faults();
            faults.extend(
                of_device
                    .into_iter()
                    .filter(|fault| matches!(fault, Fault::DeafAfterConnect { .. } | Fault::OneConnection)),
            );
        }
        if self.devices.iter().all(Device::is_offline) {
            faults.push(Fault::Offline);
        }
        faults
    }
}
