//! An enrolment: plain data that the store, the checks and the bundle share.

use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::Identity;
use gridtally_protocol::location::CoarseLocation;
use gridtally_protocol::quantity::{Asset, MilliwattHours, Milliwatts, ParseQuantityError};
use gridtally_protocol::time::IntervalLength;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Membership, Standing};
use crate::ingest::originals::MeterKey;
use crate::ledger::{AccountName, AccountNameError};
use crate::rules::program::{Measurement, Program, ProgramId};
use crate::rules::statement::{self as rules, BeneficiaryId, SiteId};

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
    /// What it offered, where its program pays by that.
    #[serde(default, skip_serializing_if = "Offer::is_none")]
    pub offer: Offer,
    /// Where it is, coarsely; without it, nothing is held against the sun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<CoarseLocation>,
    /// What three have signed of it; without it, all of it is the operator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Standing>,
}

/// What a site offers, as its owner writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The power that it nominates for capacity payments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nominated_milliwatts: Option<Milliwatts>,
    /// What it asks for a kilowatt-hour, in whole tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid_per_kwh: Option<Decimal>,
}

impl Offer {
    /// Whether it offers nothing in particular.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The same in the base units of an asset.
    ///
    /// # Errors
    /// [`ParseQuantityError`] where the bid is finer than the asset, or too large.
    pub fn in_base_units(&self, asset: &Asset) -> Result<rules::Offer, ParseQuantityError> {
        let bid = self
            .bid_per_kwh
            .map(|bid| asset.parse(&bid.normalize().to_string()));
        Ok(rules::Offer {
            nominated_milliwatts: self.nominated_milliwatts,
            bid_per_kwh: bid.transpose()?,
        })
    }
}

/// A device of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolledDevice {
    /// Its number in the reports.
    pub number: DeviceNumber,
    /// The most that it can draw or give, in milliwatts (the connection's rating for a grid meter).
    pub nameplate_milliwatts: Milliwatts,
    /// The usable energy of a battery, in milliwatt-hours; without it, its state of charge is not held against its energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_milliwatt_hours: Option<MilliwattHours>,
    /// What it may report.
    pub quantities: Vec<Quantity>,
    /// The key that the device itself signs its totals with, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter_key: Option<MeterKey>,
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
    /// A capacity of nothing or less, or of what is no battery.
    #[error("site {site}: the capacity of device {device} is more than nothing, and it is a battery")]
    Capacity {
        /// Which site.
        site: SiteId,
        /// Which device.
        device: DeviceNumber,
    },
    /// A power or a price below nothing.
    #[error("site {site}: what it offers is not below nothing")]
    Offer {
        /// Which site.
        site: SiteId,
    },
    /// Its intervals are others than the program's.
    #[error("site {site}: its intervals last {found} s, and those of program {program} {wanted} s")]
    Interval {
        /// Which site.
        site: SiteId,
        /// Its own, in seconds.
        found: u32,
        /// Which program.
        program: ProgramId,
        /// The program's, in seconds.
        wanted: u32,
    },
    /// Its program measures batteries, and it has none whose meter counts both ways.
    #[error(
        "site {site}: program {program} measures batteries, and no device of the site measures battery_charge and battery_discharge"
    )]
    NoBattery {
        /// Which site.
        site: SiteId,
        /// Which program.
        program: ProgramId,
    },
    /// Who cannot be paid.
    #[error("site {site}: its beneficiary cannot be paid: {error}")]
    Beneficiary {
        /// Which site.
        site: SiteId,
        /// Why.
        error: AccountNameError,
    },
    /// A bid that is no amount of the program's asset.
    #[error("site {site}: bid_per_kwh: {error}")]
    Bid {
        /// Which site.
        site: SiteId,
        /// Why.
        error: ParseQuantityError,
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
        let impossible = |device: &&EnrolledDevice| {
            device.capacity_milliwatt_hours.is_some_and(|capacity| {
                capacity <= MilliwattHours::ZERO || !device.quantities.contains(&Quantity::StateOfCharge)
            })
        };
        if let Some(device) = self.devices.iter().find(impossible) {
            return Err(EnrolmentError::Capacity {
                site: site(),
                device: device.number,
            });
        }
        let power = self
            .offer
            .nominated_milliwatts
            .is_some_and(|power| power < Milliwatts::ZERO);
        if power || self.offer.bid_per_kwh.is_some_and(|bid| bid < Decimal::ZERO) {
            return Err(EnrolmentError::Offer { site: site() });
        }
        let found = self.devices.iter().filter(|d| d.measures_the_grid()).count();
        if found != 1 {
            return Err(EnrolmentError::GridMeter { site: site(), found });
        }
        Ok(())
    }

    /// Checks that it can be settled under its program.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn fits(&self, program: &Program) -> Result<(), EnrolmentError> {
        let site = || self.site.clone();
        if self.interval_seconds != program.interval {
            return Err(EnrolmentError::Interval {
                site: site(),
                found: self.interval_seconds.seconds(),
                program: program.id.clone(),
                wanted: program.interval.seconds(),
            });
        }
        if self.metered(program.measurement).next().is_none() {
            return Err(EnrolmentError::NoBattery {
                site: site(),
                program: program.id.clone(),
            });
        }
        if let Err(error) = AccountName::beneficiary(self.beneficiary.as_str()) {
            return Err(EnrolmentError::Beneficiary { site: site(), error });
        }
        match self.offer.in_base_units(&program.asset) {
            Ok(_) => Ok(()),
            Err(error) => Err(EnrolmentError::Bid { site: site(), error }),
        }
    }

    /// The same for each key that the gateway had before.
    pub fn former(&self) -> impl Iterator<Item = Self> + '_ {
        let former = self.agreement.iter().flat_map(|standing| &standing.former);
        former.map(|former| {
            let mut enrolment = self.clone();
            enrolment.gateway = former.key;
            if let Some(standing) = &mut enrolment.agreement {
                standing.key_from = former.from;
                standing.key_until = Some(former.until);
                standing.former.clear();
            }
            enrolment
        })
    }

    /// The device that measures the exchange with the grid.
    #[must_use]
    pub fn grid_meter(&self) -> Option<DeviceNumber> {
        self.devices
            .iter()
            .find(|d| d.measures_the_grid())
            .map(|d| d.number)
    }

    /// The channels that a measurement is made of: what counts as used, and what counts as given.
    pub fn metered(&self, measurement: Measurement) -> impl Iterator<Item = (Channel, Channel)> {
        let (used, given) = measurement.quantities();
        let metered = move |device: &&EnrolledDevice| {
            device.quantities.contains(&used) && device.quantities.contains(&given)
        };
        self.devices.iter().filter(metered).map(move |device| {
            let channel = |quantity| Channel {
                device: device.number,
                quantity,
            };
            (channel(used), channel(given))
        })
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
