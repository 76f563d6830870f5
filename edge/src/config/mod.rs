//! What the owner writes in `agent.toml`, read strictly: an unknown key, a number out of range or two
//! devices of one number are errors that name the file, the line and the key.

mod broker;
pub mod device;
mod error;
mod home_assistant;
mod owner;
mod page;
pub mod profiles;
mod proxy;
mod quiet;
mod value;
mod zone;

use std::path::{Path, PathBuf};

use gridtally_protocol::channel::Channel;
use gridtally_protocol::identity::Identity;
use gridtally_protocol::time::IntervalLength;
use serde::Deserialize;
use toml::Spanned;

pub use self::broker::{BrokerConfig, BrokerError};
pub use self::device::{DEVICES_MAX, DeviceConfig, DeviceKind};
pub use self::error::ConfigError;
pub use self::home_assistant::HomeAssistantConfig;
pub use self::owner::{GridBounds, OwnerConfig};
pub use self::page::PageConfig;
pub use self::proxy::ProxyConfig;
pub use self::quiet::{QuietHours, QuietRange};
use self::value::Bounded;
pub use self::value::Percent;
pub use self::zone::{Zone, ZoneError};

/// The documented example, which `init` writes with the names filled in.
pub const EXAMPLE: &str = include_str!("../../../config/agent.toml");

/// Everything that an agent is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentConfig {
    /// The box itself.
    pub gateway: GatewayConfig,
    /// The broker, and how it is reached.
    pub broker: BrokerConfig,
    /// What the owner allows.
    pub owner: OwnerConfig,
    /// The homeowner's page, where it is wanted.
    pub page: Option<PageConfig>,
    /// The owner's Home Assistant, where there is one.
    pub home_assistant: Option<HomeAssistantConfig>,
    /// The devices, in the order of the file.
    pub devices: Vec<DeviceConfig>,
    /// The doors for other software in the house.
    pub proxies: Vec<ProxyConfig>,
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
    /// How many MiB the messages may take, the delivered ones included: 1 to 4096.
    pub keep_mib: u16,
    /// Whether a message is forced to the disk before it leaves. Without, a power cut (not a crash) can
    /// make the gateway sign two reports of one number, and neither is paid.
    pub sync: bool,
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
        let directory = path.parent().unwrap_or(Path::new(""));
        let devices = device::check(file.device, directory)
            .map_err(|(at, problem)| error::at(path, text, at, problem))?;
        let proxies =
            proxy::check(file.proxy, &devices).map_err(|(at, problem)| error::at(path, text, at, problem))?;
        let broker_at = file.broker.span().start;
        let broker = file.broker.into_inner().into_config(directory);
        let broker = broker.map_err(|problem| error::at(path, text, broker_at, problem))?;
        Ok(Self {
            gateway: GatewayConfig {
                key: directory.join(file.gateway.key),
                data: directory.join(file.gateway.data),
                engine: file.gateway.engine,
                interval: file.gateway.interval_seconds,
                intervals_per_report: file.gateway.intervals_per_report.0,
                keep_days: file.gateway.keep_days.0,
                keep_mib: file.gateway.keep_mib.0,
                sync: file.gateway.sync,
            },
            broker,
            owner: file.owner,
            page: file.page,
            home_assistant: file.home_assistant,
            devices,
            proxies,
        })
    }

    /// The battery inverter, where there is one.
    #[must_use]
    pub fn battery(&self) -> Option<&DeviceConfig> {
        self.devices.iter().find(|d| d.kind.has_battery())
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
    broker: Spanned<broker::Broker>,
    owner: OwnerConfig,
    page: Option<PageConfig>,
    home_assistant: Option<HomeAssistantConfig>,
    device: Vec<Spanned<device::Device>>,
    #[serde(default)]
    proxy: Vec<proxy::Proxy>,
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
    #[serde(default = "sixty_four")]
    keep_mib: Bounded<1, 4096>,
    #[serde(default = "yes")]
    sync: bool,
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
const fn sixty_four() -> Bounded<1, 4096> {
    Bounded(64)
}
const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests;
