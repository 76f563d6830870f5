//! What is to be simulated, wherever it was said: on the command line or in a file.

use super::clock::Pace;
use crate::device::{Device, DeviceSpec};
use crate::fault::{Fault, Schedule};
use crate::spec::HomeSpec;
use crate::wire::Line;
use std::net::SocketAddr;

/// Where a device is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On a TCP socket; devices of one address share it and are told apart by their units.
    Socket(SocketAddr),
    /// On a serial line; devices of one line share it.
    Line(Line),
}

impl Place {
    /// Whether both are one socket or line. Port 0 is another one each time.
    pub(crate) fn is_shared_with(&self, other: &Self) -> bool {
        let any_port = matches!(self, Self::Socket(address) if address.port() == 0);
        self == other && !any_port
    }
}

/// A fault that a device begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// Which.
    pub fault: Fault,
    /// When; always, if nothing is said.
    pub schedule: Option<Schedule>,
}

impl PlannedFault {
    /// Lets a device have it.
    pub fn strike(&self, device: &Device) {
        match &self.schedule {
            Some(schedule) => device.plan(self.fault, schedule.clone()),
            None => device.inject(self.fault),
        }
    }
}

/// A device, where it is reached, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedDevice {
    /// How it presents itself.
    pub spec: DeviceSpec,
    /// Where it is reached.
    pub place: Place,
    /// What is wrong with it.
    pub faults: Vec<PlannedFault>,
}

/// A home to be simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The home but for its devices; [`home_spec`](Self::home_spec) is the whole.
    pub home: HomeSpec,
    /// Its devices.
    pub devices: Vec<PlannedDevice>,
    /// The instant to begin at, in Unix seconds; now, if nothing is said.
    pub start: Option<i64>,
    /// How time passes.
    pub pace: Pace,
    /// Where the control API listens, if anywhere.
    pub control: Option<SocketAddr>,
}

impl Plan {
    /// The home with the devices of the plan.
    #[must_use]
    pub fn home_spec(&self) -> HomeSpec {
        HomeSpec {
            devices: self.devices.iter().map(|device| device.spec.clone()).collect(),
            ..self.home.clone()
        }
    }
}
