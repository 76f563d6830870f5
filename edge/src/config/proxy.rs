//! The `[[proxy]]` sections: doors for other software in the house.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use toml::Spanned;

use super::device::DeviceConfig;

/// A door to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyConfig {
    /// The name of the device whose connection is shared.
    pub device: String,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The registers that clients may write.
    pub writable: Vec<RangeInclusive<u16>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proxy {
    device: Spanned<String>,
    listen: Spanned<SocketAddr>,
    #[serde(default)]
    writable: Vec<Registers>,
}

/// `"40100"` or `"40100-40105"`.
struct Registers(RangeInclusive<u16>);

impl<'de> Deserialize<'de> for Registers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(D::Error::custom(format!(
                "{text:?} is no register and no range of registers, such as \"40100\" or \"40100-40105\""
            ))),
        }
    }
}

/// The doors, each to a device that is there and on a socket of its own.
pub(super) fn check(
    proxies: Vec<Proxy>,
    devices: &[DeviceConfig],
) -> Result<Vec<ProxyConfig>, (usize, String)> {
    let mut checked: Vec<ProxyConfig> = Vec::new();
    for proxy in proxies {
        let at = proxy.device.span().start;
        let device = proxy.device.into_inner();
        if !devices.iter().any(|known| known.name == device) {
            return Err((at, format!("{device:?} is the name of no [[device]]")));
        }
        let at = proxy.listen.span().start;
        let listen = proxy.listen.into_inner();
        if checked
            .iter()
            .any(|other| other.listen == listen && listen.port() != 0)
        {
            return Err((at, format!("{listen} is taken by an earlier [[proxy]]")));
        }
        checked.push(ProxyConfig {
            device,
            listen,
            writable: proxy.writable.into_iter().map(|registers| registers.0).collect(),
        });
    }
    Ok(checked)
}
