//! `[page]`: the homeowner's page. Nothing listens where the table is absent.

use std::net::SocketAddr;

use serde::Deserialize;

use super::zone::Zone;

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
    #[serde(default = "Zone::utc")]
    pub zone: Zone,
    /// Whether `/metrics` tells Prometheus, without a password, to the home network.
    #[serde(default)]
    pub metrics: bool,
}

fn everywhere() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 8321))
}
