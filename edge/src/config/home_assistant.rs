//! `[home_assistant]`: the owner's own broker, where Home Assistant finds the home.

use serde::Deserialize;

use super::value::{Address, Bounded};

/// Home Assistant over MQTT discovery.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, from = "Raw")]
pub struct HomeAssistantConfig {
    /// `host:port` of the owner's broker, or `mqtt://user:password@host:port`.
    pub broker: String,
    /// The discovery prefix that Home Assistant is set to.
    pub discovery_prefix: String,
    /// How often the state is published, in seconds: 1 to 3600.
    pub interval_seconds: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    broker: Address,
    #[serde(default)]
    discovery_prefix: Prefix,
    #[serde(default = "ten_seconds")]
    interval_seconds: Bounded<1, 3600>,
}

/// A topic without wildcards, as MQTT and Home Assistant take it.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Prefix(String);

impl Default for Prefix {
    fn default() -> Self {
        Self("homeassistant".to_owned())
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
        if text.is_empty() || text.len() > 128 || !text.chars().all(fine) {
            return Err(format!("{text:?} is no prefix; take letters, digits, _, - and /"));
        }
        Ok(Self(text))
    }
}

const fn ten_seconds() -> Bounded<1, 3600> {
    Bounded(10)
}

impl From<Raw> for HomeAssistantConfig {
    fn from(raw: Raw) -> Self {
        Self {
            broker: raw.broker.0,
            discovery_prefix: raw.discovery_prefix.0,
            interval_seconds: raw.interval_seconds.0,
        }
    }
}
