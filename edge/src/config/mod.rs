//! What the owner writes in `agent.toml`, read strictly: an unknown key, a number out of range or two
//! devices of one number are errors that name the file, the line and the key.

mod error;
mod home_assistant;
mod page;
mod value;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::Identity;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::IntervalLength;
use serde::Deserialize;
use toml::Spanned;

pub use self::error::ConfigError;
pub use self::home_assistant::HomeAssistantConfig;
pub use self::page::PageConfig;
pub use self::value::Percent;
use self::value::{Address, Bounded, Name, Watts};

/// The documented example, which `init` writes with the names filled in.
pub const EXAMPLE: &str = include_str!("../../../config/agent.toml");

/// At most this many devices behind one gateway: their channels fit one report.
pub const DEVICES_MAX: usize = 16;

/// Everything that an agent is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentConfig {
    /// The box itself.
    pub gateway: GatewayConfig,
    /// `host:port` of the broker, or `mqtt://user:password@host:port`.
    pub broker: String,
    /// What the owner allows.
    pub owner: OwnerConfig,
    /// The homeowner's page, where it is wanted.
    pub page: Option<PageConfig>,
    /// The owner's Home Assistant, where there is one.
    pub home_assistant: Option<HomeAssistantConfig>,
    /// The devices, in the order of the file.
    pub devices: Vec<DeviceConfig>,
}

/// The box itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// The file of its private key.
    pub key: PathBuf,
    /// The directory of its durable state.
    pub data: PathBuf,
    /// Whose instructions are obeyed and whose receipts count.
    pub engine: Identity,
    /// The length of the metering intervals.
    pub interval: IntervalLength,
    /// How many intervals travel in one report: 1 to 288.
    pub intervals_per_report: u16,
    /// How many days what was not delivered is kept: 1 to 365.
    pub keep_days: u16,
    /// Whether a message is forced to the disk before it leaves. Without, a power cut (not a crash) can
    /// make the gateway sign two reports of one number, and neither is paid.
    pub sync: bool,
}

/// What the owner allows. Instructions are bounded by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerConfig {
    /// Whether the battery takes part in events at all.
    pub participate: bool,
    /// The charge below which no event takes the battery.
    pub reserve: Percent,
    /// The greatest power of a discharge for an event; the battery's nameplate where absent.
    pub discharge_limit: Option<Milliwatts>,
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The site's meter at the grid connection: SunSpec model 203.
    GridMeter,
    /// A PV inverter: SunSpec model 103.
    PvInverter,
    /// A battery inverter: SunSpec models 103, 124 and 802.
    BatteryInverter,
}

impl DeviceKind {
    /// What is measured at a device of this kind.
    #[must_use]
    pub const fn quantities(self) -> &'static [Quantity] {
        match self {
            Self::GridMeter => &[Quantity::GridImport, Quantity::GridExport],
            Self::PvInverter => &[Quantity::PvProduction],
            Self::BatteryInverter => &[Quantity::BatteryDischarge, Quantity::StateOfCharge],
        }
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
    /// `host:port` of its Modbus TCP socket.
    pub address: String,
    /// Its Modbus unit, 0 to 255.
    pub unit: u8,
    /// Where its SunSpec map starts, if not at one of 40000, 0 and 50000.
    pub base: Option<u16>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The greatest power that it can move, for plausibility and as a bound of set-points.
    pub nameplate: Milliwatts,
}

impl DeviceConfig {
    /// The channels of the device.
    pub fn channels(&self) -> impl Iterator<Item = Channel> + '_ {
        let device = self.number;
        self.kind
            .quantities()
            .iter()
            .map(move |&quantity| Channel { device, quantity })
    }
}

impl AgentConfig {
    /// Reads the file. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// [`ConfigError`] with the place of the first thing that is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            file: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads the text of the file `path`.
    ///
    /// # Errors
    /// [`ConfigError`] with the place of the first thing that is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|e| error::of_toml(path, text, &e))?;
        check_devices(&file.device).map_err(|(at, problem)| error::at(path, text, at, problem))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            gateway: GatewayConfig {
                key: directory.join(file.gateway.key),
                data: directory.join(file.gateway.data),
                engine: file.gateway.engine,
                interval: file.gateway.interval_seconds,
                intervals_per_report: file.gateway.intervals_per_report.0,
                keep_days: file.gateway.keep_days.0,
                sync: file.gateway.sync,
            },
            broker: file.broker.address.0,
            owner: OwnerConfig {
                participate: file.owner.participate,
                reserve: file.owner.reserve_percent,
                discharge_limit: file.owner.discharge_limit_watts.map(|w| w.0),
            },
            page: file.page,
            home_assistant: file.home_assistant,
            devices: file.device.into_iter().map(|d| d.into_inner().into()).collect(),
        })
    }

    /// The battery inverter, where there is one.
    #[must_use]
    pub fn battery(&self) -> Option<&DeviceConfig> {
        self.devices
            .iter()
            .find(|d| d.kind == DeviceKind::BatteryInverter)
    }

    /// All channels, in their order in reports.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        let mut channels: Vec<_> = self.devices.iter().flat_map(DeviceConfig::channels).collect();
        channels.sort_unstable();
        channels
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    gateway: Gateway,
    broker: Broker,
    owner: Owner,
    page: Option<PageConfig>,
    home_assistant: Option<HomeAssistantConfig>,
    device: Vec<Spanned<Device>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gateway {
    key: PathBuf,
    data: PathBuf,
    engine: Identity,
    #[serde(default = "five_minutes")]
    interval_seconds: IntervalLength,
    #[serde(default = "an_hour")]
    intervals_per_report: Bounded<1, 288>,
    #[serde(default = "a_month")]
    keep_days: Bounded<1, 365>,
    #[serde(default = "yes")]
    sync: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Broker {
    address: Address,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    #[serde(default = "yes")]
    participate: bool,
    reserve_percent: Percent,
    discharge_limit_watts: Option<Watts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    number: Spanned<DeviceNumber>,
    name: Spanned<Name>,
    kind: Spanned<DeviceKind>,
    address: Address,
    #[serde(default = "unit_one")]
    unit: u8,
    base: Option<u16>,
    #[serde(default = "a_second")]
    timeout_ms: Bounded<10, 60_000>,
    nameplate_watts: Watts,
}

impl From<Device> for DeviceConfig {
    fn from(device: Device) -> Self {
        Self {
            number: device.number.into_inner(),
            name: device.name.into_inner().0,
            kind: device.kind.into_inner(),
            address: device.address.0,
            unit: device.unit,
            base: device.base,
            timeout: Duration::from_millis(u64::from(device.timeout_ms.0)),
            nameplate: device.nameplate_watts.0,
        }
    }
}

const fn five_minutes() -> IntervalLength {
    IntervalLength::FIVE_MINUTES
}
const fn an_hour() -> Bounded<1, 288> {
    Bounded(12)
}
const fn a_month() -> Bounded<1, 365> {
    Bounded(30)
}
const fn a_second() -> Bounded<10, 60_000> {
    Bounded(1_000)
}
const fn unit_one() -> u8 {
    1
}
const fn yes() -> bool {
    true
}

/// What holds between devices; the offset of the offender and the sentence.
fn check_devices(devices: &[Spanned<Device>]) -> Result<(), (usize, String)> {
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
        let is_battery = *device.kind.get_ref() == DeviceKind::BatteryInverter;
        if is_battery && battery_seen {
            return Err((
                device.kind.span().start,
                "a second battery_inverter: an instruction is for one battery, so there can be only one"
                    .to_owned(),
            ));
        }
        battery_seen |= is_battery;
    }
    if devices.is_empty() {
        return Err((0, "there is no [[device]]; add at least one".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
