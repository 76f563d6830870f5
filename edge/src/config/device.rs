//! The `[[device]]` sections: where a device is, what it is, and what is peculiar about it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gridtally_protocol::agreement::Label;
use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_registers::profile::{Poll, Profile};
use serde::Deserialize;
use toml::Spanned;

use super::profiles;
use super::value::{Bounded, Name, Place, Watts};
use crate::device::bus::READ_MAX;
use crate::device::bus::tls::TlsFiles;
use crate::device::endpoint::Endpoint;
use crate::enrol::Plate;

/// At most this many devices behind one gateway: their channels fit one report.
pub const DEVICES_MAX: usize = 16;

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The site's meter at the grid connection: SunSpec models 201 to 204, 211 to 214.
    GridMeter,
    /// A PV inverter: models 101 to 103, 111 to 113, 701.
    PvInverter,
    /// A battery inverter: as a PV inverter, with 124 or 704, and 713, 802 or 124 for the charge.
    BatteryInverter,
    /// An inverter with panels and a battery behind it: models 714 or 160 tell them apart, on the DC side.
    HybridInverter,
}

impl DeviceKind {
    /// What is measured at a device of this kind, where the config does not say otherwise.
    #[must_use]
    pub const fn quantities(self) -> &'static [Quantity] {
        match self {
            Self::GridMeter => &[Quantity::GridImport, Quantity::GridExport],
            Self::PvInverter => &[Quantity::PvProduction],
            Self::BatteryInverter => &[Quantity::BatteryDischarge, Quantity::StateOfCharge],
            Self::HybridInverter => self.measurable(),
        }
    }

    /// What can be measured at a device of this kind.
    #[must_use]
    pub const fn measurable(self) -> &'static [Quantity] {
        match self {
            Self::BatteryInverter => &[
                Quantity::BatteryDischarge,
                Quantity::BatteryCharge,
                Quantity::StateOfCharge,
            ],
            Self::HybridInverter => &[
                Quantity::PvProduction,
                Quantity::BatteryDischarge,
                Quantity::BatteryCharge,
                Quantity::StateOfCharge,
            ],
            other => other.quantities(),
        }
    }

    /// Whether it has a battery.
    #[must_use]
    pub const fn has_battery(self) -> bool {
        matches!(self, Self::BatteryInverter | Self::HybridInverter)
    }
}

/// One device behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceConfig {
    /// Its number, under which it is enrolled.
    pub number: DeviceNumber,
    /// The owner's name for it.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// What the connection to it is made to.
    pub endpoint: Endpoint,
    /// Its Modbus unit, 0 to 255.
    pub unit: u8,
    /// Where its SunSpec map starts, if not at one of 40000, 0 and 50000.
    pub base: Option<u16>,
    /// How it is read and set where it has no SunSpec map.
    pub profile: Option<Arc<Profile>>,
    /// Which of several models of one kind in its map is meant, counted from 0.
    pub instance: usize,
    /// What is measured at it.
    pub measures: Vec<Quantity>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The rest that it wants between two requests.
    pub pause: Duration,
    /// How long it swallows requests after a connection was made.
    pub settle: Duration,
    /// Whether its replies bear other transaction numbers than their requests, and count all the same.
    pub ignores_transaction_ids: bool,
    /// The most registers that it gives in one reply.
    pub max_registers: u16,
    /// The greatest power that it can move, for plausibility and as a bound of set-points.
    pub nameplate: Milliwatts,
    /// Whether a grid meter shows exported power as positive.
    pub export_is_positive: bool,
    /// Whether a grid meter counts its import where its export should stand.
    pub counters_are_swapped: bool,
    /// Whether its energies are summed up from its power, because it counts none.
    pub integrates_power: bool,
    /// What fits into its battery, where the owner says it.
    pub capacity: Option<MilliwattHours>,
    /// By how much an event may change its power in a second, where the owner bounds it.
    pub ramp_per_second: Option<Milliwatts>,
    /// Whether an event may charge its battery from the grid.
    pub grid_charging: bool,
    /// Whether an event may limit its production.
    pub limits_production: bool,
    /// The certificates of a connection within TLS.
    pub tls: Option<TlsFiles>,
    /// What stands on its plate, where the owner says it.
    pub plate: Plate,
}

impl DeviceConfig {
    /// The channels of the device.
    pub fn channels(&self) -> impl Iterator<Item = Channel> + '_ {
        let device = self.number;
        self.measures
            .iter()
            .map(move |&quantity| Channel { device, quantity })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Device {
    number: Spanned<DeviceNumber>,
    name: Spanned<Name>,
    kind: Spanned<DeviceKind>,
    address: Spanned<Place>,
    unit: Option<Spanned<u8>>,
    base: Option<Spanned<u16>>,
    profile: Option<Spanned<String>>,
    #[serde(default = "first")]
    instance: Bounded<1, 16>,
    measures: Option<Vec<Spanned<Quantity>>>,
    #[serde(default = "a_second")]
    timeout_ms: Bounded<10, 60_000>,
    #[serde(default = "nothing")]
    pause_ms: Bounded<0, 10_000>,
    #[serde(default = "nothing")]
    settle_ms: Bounded<0, 10_000>,
    #[serde(default)]
    transaction_ids: TransactionIds,
    #[serde(default = "all_that_modbus_has")]
    max_registers: Bounded<4, READ_MAX>,
    nameplate_watts: Watts,
    positive_power: Option<Spanned<Direction>>,
    #[serde(default)]
    counters_swapped: bool,
    #[serde(default)]
    integrate_power: bool,
    capacity_watt_hours: Option<Watts>,
    ramp_watts_per_second: Option<Watts>,
    #[serde(default)]
    grid_charging: bool,
    #[serde(default)]
    production_limit: bool,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    make: Option<Label>,
    model: Option<Label>,
    serial: Option<Label>,
}

/// What becomes of a reply on a socket that bears another transaction number than its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TransactionIds {
    /// It answers another request.
    #[default]
    Checked,
    /// It is the answer: for gateways that send one number with everything.
    Ignored,
}

/// In which direction a meter's power is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Import,
    Export,
}

const fn a_second() -> Bounded<10, 60_000> {
    Bounded(1_000)
}
const fn nothing() -> Bounded<0, 10_000> {
    Bounded(0)
}
const fn first() -> Bounded<1, 16> {
    Bounded(1)
}
const fn all_that_modbus_has() -> Bounded<4, READ_MAX> {
    Bounded(READ_MAX)
}

/// What is wrong, and at which offset of the file.
type Problem = (usize, String);

/// The devices, checked one by one and against one another. Relative paths are relative to `directory`.
pub(super) fn check(devices: Vec<Spanned<Device>>, directory: &Path) -> Result<Vec<DeviceConfig>, Problem> {
    check_all(&devices)?;
    devices
        .into_iter()
        .map(|device| {
            let start = device.span().start;
            device.into_inner().check(start, directory)
        })
        .collect()
}

impl Device {
    fn check(self, start: usize, directory: &Path) -> Result<DeviceConfig, Problem> {
        let kind = *self.kind.get_ref();
        let at = self.address.span().start;
        let Place(location) = self.address.into_inner();
        let tls = tls(&location.endpoint, self.ca, self.certificate, self.key, directory)
            .map_err(|problem| (start, problem))?;
        let both = |what: &str| {
            (
                at,
                format!("the {what} stands in the address and on a line of its own; keep one"),
            )
        };
        let unit = match (self.unit, location.unit) {
            (Some(_), Some(_)) => return Err(both("unit")),
            (unit, in_address) => unit.map(Spanned::into_inner).or(in_address),
        };
        let base = match (self.base, location.base) {
            (Some(_), Some(_)) => return Err(both("base")),
            (base, in_address) => base.map(Spanned::into_inner).or(in_address),
        };
        let profile = self
            .profile
            .map(|named| {
                profiles::load(named.get_ref(), directory).map_err(|problem| (named.span().start, problem))
            })
            .transpose()?;
        let measures = match self.measures {
            None => kind.quantities().to_vec(),
            Some(measures) => measured(kind, &measures)?,
        };
        let unit_of_profile = profile.as_ref().map(|profile| profile.unit);
        let pause = profile
            .as_ref()
            .map_or(0, |profile| profile.pause_ms)
            .max(self.pause_ms.0);
        let milliseconds = |count: u16| Duration::from_millis(u64::from(count));
        Ok(DeviceConfig {
            number: self.number.into_inner(),
            name: self.name.into_inner().0,
            kind,
            endpoint: location.endpoint,
            unit: unit.or(unit_of_profile).unwrap_or(1),
            base,
            instance: usize::from(self.instance.0.saturating_sub(1)),
            measures,
            timeout: milliseconds(self.timeout_ms.0),
            pause: milliseconds(pause),
            settle: milliseconds(self.settle_ms.0),
            ignores_transaction_ids: self.transaction_ids == TransactionIds::Ignored,
            max_registers: self.max_registers.0,
            nameplate: self.nameplate_watts.0,
            export_is_positive: self
                .positive_power
                .is_some_and(|direction| direction.into_inner() == Direction::Export),
            counters_are_swapped: self.counters_swapped,
            integrates_power: self.integrate_power,
            capacity: self.capacity_watt_hours.map(|w| MilliwattHours::new(w.0.get())),
            ramp_per_second: self.ramp_watts_per_second.map(|w| w.0),
            grid_charging: self.grid_charging,
            limits_production: self.production_limit,
            tls,
            profile,
            plate: Plate {
                make: self.make,
                model: self.model,
                serial: self.serial,
            },
        })
    }
}

fn measured(kind: DeviceKind, measures: &[Spanned<Quantity>]) -> Result<Vec<Quantity>, Problem> {
    let mut seen = BTreeSet::new();
    for quantity in measures {
        let at = quantity.span().start;
        let quantity = *quantity.get_ref();
        if !kind.measurable().contains(&quantity) {
            return Err((
                at,
                format!("{quantity} cannot be measured at a device of this kind"),
            ));
        }
        if !seen.insert(quantity) {
            return Err((at, format!("{quantity} stands in the list twice")));
        }
    }
    Ok(seen.into_iter().collect())
}

fn tls(
    endpoint: &Endpoint,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    directory: &Path,
) -> Result<Option<TlsFiles>, String> {
    let is_tls = matches!(endpoint, Endpoint::Tls(_));
    match (is_tls, ca, certificate, key) {
        (false, None, None, None) => Ok(None),
        (false, ..) => Err("certificates are for addresses that begin with tls://".to_owned()),
        (true, None, ..) => {
            Err("an address with tls:// needs ca, the file of whose certificates are believed".to_owned())
        }
        (true, Some(ca), None, None) => Ok(Some(TlsFiles {
            ca: directory.join(ca),
            client: None,
        })),
        (true, Some(ca), Some(certificate), Some(key)) => Ok(Some(TlsFiles {
            ca: directory.join(ca),
            client: Some((directory.join(certificate), directory.join(key))),
        })),
        (true, Some(_), ..) => Err("certificate and key come together".to_owned()),
    }
}

/// What holds between devices.
fn check_all(devices: &[Spanned<Device>]) -> Result<(), Problem> {
    let (mut numbers, mut names) = (BTreeSet::new(), BTreeSet::new());
    let mut battery_seen = false;
    for (index, device) in devices.iter().enumerate() {
        let start = device.span().start;
        let device = device.get_ref();
        if index >= DEVICES_MAX {
            return Err((
                start,
                format!("there are at most {DEVICES_MAX} devices behind one gateway"),
            ));
        }
        let number = device.number.get_ref();
        if !numbers.insert(*number) {
            return Err((
                device.number.span().start,
                format!("{number} is the number of an earlier device; give each device a number of its own"),
            ));
        }
        let Name(name) = device.name.get_ref();
        if !names.insert(name) {
            return Err((
                device.name.span().start,
                format!("{name:?} is the name of an earlier device; give each device a name of its own"),
            ));
        }
        let has_battery = device.kind.get_ref().has_battery();
        if has_battery && battery_seen {
            return Err((
                device.kind.span().start,
                "a second battery: an instruction is for one battery, so there can be only one".to_owned(),
            ));
        }
        battery_seen |= has_battery;
    }
    if devices.is_empty() {
        return Err((0, "there is no [[device]]; add at least one".to_owned()));
    }
    Ok(())
}

/// The reads of one round of a device, in registers, as far as they are known before it was asked: what its
/// models or its profile take.
#[must_use]
pub fn reads_of_a_round(device: &DeviceConfig) -> Vec<u16> {
    if let Some(profile) = &device.profile {
        let blocks = [Poll::Fast, Poll::Slow]
            .into_iter()
            .flat_map(|poll| profile.blocks(poll));
        return blocks.map(|block| block.count).collect();
    }
    let whole: &[u16] = match device.kind {
        // Models 203; 103; 103 and 802; 714 with two ports and 713.
        DeviceKind::GridMeter => &[56],
        DeviceKind::PvInverter => &[27],
        DeviceKind::BatteryInverter => &[27, 57],
        DeviceKind::HybridInverter => &[70, 9],
    };
    let limit = device.max_registers.max(1);
    whole
        .iter()
        .flat_map(|registers| {
            let full = std::iter::repeat_n(limit, usize::from(registers / limit));
            full.chain([registers % limit])
        })
        .filter(|registers| *registers > 0)
        .collect()
}
