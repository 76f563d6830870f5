//! `[page]`: the homeowner's page. Nothing listens where the table is absent.

use std::net::SocketAddr;

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, de::Error};

/// The homeowner's page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageConfig {
    /// Where it listens.
    #[serde(default = "everywhere")]
    pub listen: SocketAddr,
    /// Names under which it answers, beside addresses, `localhost` and names under `.local`.
    #[serde(default)]
    pub names: Vec<String>,
    /// The home's time zone, by its IANA name: in it the days of the charts begin.
    #[serde(default = "utc", deserialize_with = "zone")]
    pub zone: Tz,
    /// Whether `/metrics` tells Prometheus, without a password, to the home network.
    #[serde(default)]
    pub metrics: bool,
}

fn everywhere() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 8321))
}

const fn utc() -> Tz {
    Tz::UTC
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(|_| {
        D::Error::custom(format!(
            "{name:?} is no time zone; take one such as \"Europe/Berlin\""
        ))
    })
}
