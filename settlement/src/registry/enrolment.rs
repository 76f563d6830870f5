//! An enrolment: plain data that the store, the checks and the bundle share.

use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::Identity;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::IntervalLength;
use serde::{Deserialize, Serialize};

use super::Membership;
use crate::rules::program::ProgramId;
use crate::rules::statement::{BeneficiaryId, SiteId};

const DEVICES_MAX: usize = 32;

/// A site with its gateway, its program and its devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The site behind one grid meter.
    pub site: SiteId,
    /// Whose account earns.
    pub beneficiary: BeneficiaryId,
    /// The key of the box at the site.
    pub gateway: Identity,
    /// The program that it takes part in.
    pub program: ProgramId,
    /// How long the intervals of its reports are.
    pub interval_seconds: IntervalLength,
    /// Its devices, in the order of their numbers.
    pub devices: Vec<EnrolledDevice>,
    /// What it belongs to, where events ask for it.
    #[serde(default, skip_serializing_if = "Membership::is_none")]
    pub membership: Membership,
}

/// A device of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolledDevice {
    /// Its number in the reports.
    pub number: DeviceNumber,
    /// The most that it can draw or give, in milliwatts (the connection's rating for a grid meter).
    pub nameplate_milliwatts: Milliwatts,
    /// What it may report.
    pub quantities: Vec<Quantity>,
}

/// Why an enrolment makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// Devices out of order, doubled, none, or too many.
    #[error("site {site}: devices are numbered upwards, each number once, 1 to {DEVICES_MAX} of them")]
    Devices {
        /// Which site.
        site: SiteId,
    },
    /// A nameplate of nothing or less.
    #[error("site {site}: the nameplate of device {device} is more than nothing")]
    Nameplate {
        /// Which site.
        site: SiteId,
        /// Which device.
        device: DeviceNumber,
    },
    /// None, or more than one, device measures the exchange with the grid.
    #[error("site {site}: exactly one device measures grid_import and grid_export; {found} do")]
    GridMeter {
        /// Which site.
        site: SiteId,
        /// How many do.
        found: usize,
    },
}

impl Enrolment {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), EnrolmentError> {
        let site = || self.site.clone();
        let in_order = self.devices.is_sorted_by(|a, b| a.number < b.number);
        if !in_order || self.devices.is_empty() || self.devices.len() > DEVICES_MAX {
            return Err(EnrolmentError::Devices { site: site() });
        }
        if let Some(device) = self
            .devices
            .iter()
            .find(|d| d.nameplate_milliwatts <= Milliwatts::ZERO)
        {
            return Err(EnrolmentError::Nameplate {
                site: site(),
                device: device.number,
            });
        }
        let found = self.devices.iter().filter(|d| d.measures_the_grid()).count();
        if found != 1 {
            return Err(EnrolmentError::GridMeter { site: site(), found });
        }
        Ok(())
    }

    /// The device that measures the exchange with the grid.
    #[must_use]
    pub fn grid_meter(&self) -> Option<DeviceNumber> {
        self.devices
            .iter()
            .find(|d| d.measures_the_grid())
            .map(|d| d.number)
    }

    /// The device of a channel, where the channel is enrolled.
    #[must_use]
    pub fn device_of(&self, channel: Channel) -> Option<&EnrolledDevice> {
        let device = self.devices.iter().find(|d| d.number == channel.device)?;
        device.quantities.contains(&channel.quantity).then_some(device)
    }
}

impl EnrolledDevice {
    pub(crate) fn measures_the_grid(&self) -> bool {
        [Quantity::GridImport, Quantity::GridExport]
            .iter()
            .all(|q| self.quantities.contains(q))
    }
}
