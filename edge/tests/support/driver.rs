//! A driver for one device, and what it makes of it.

use std::sync::Arc;
use std::time::Duration;

use gridtally_edge::config::{AgentConfig, DeviceConfig};
use gridtally_edge::device::bus::{Bus, BusSettings};
use gridtally_edge::device::reading::Count;
use gridtally_edge::device::{Driver, Observed};
use gridtally_protocol::channel::Missing;
use tokio::time::timeout;

use super::{DEADLINE, at, key};

pub const TIMEOUT: Duration = Duration::from_millis(300);

pub fn configured(kind: &str, address: &str, extra: &str) -> DeviceConfig {
    let text = format!(
        "[gateway]\nkey = \"k\"\ndata = \"d\"\nengine = \"{}\"\n[broker]\naddress = \"b:1\"\n\
         [owner]\nreserve_percent = 0\n[[device]]\nnumber = 1\nname = \"it\"\nkind = \"{kind}\"\n\
         address = \"{address}\"\ntimeout_ms = {}\nnameplate_watts = 6000\n{extra}\n",
        key(1).identity(),
        TIMEOUT.as_millis()
    );
    let config = AgentConfig::parse(&text, std::path::Path::new("agent.toml")).unwrap();
    config.devices[0].clone()
}

pub fn driver(kind: &str, address: &str) -> Driver {
    drive(configured(kind, address, ""))
}

pub fn drive(config: DeviceConfig) -> Driver {
    let settings = BusSettings {
        pause: config.pause,
        settle: config.settle,
        ..BusSettings::default()
    };
    let bus = Bus::start(config.endpoint.clone(), settings);
    Driver::new(Arc::new(config), &bus)
}

pub type Seen = Result<Observed, Missing>;

/// The channels in the order of the config.
pub async fn observe(driver: &mut Driver, now: i64) -> Vec<Seen> {
    let snapshot = timeout(DEADLINE, driver.observe(at(now), true))
        .await
        .expect("an end in time");
    let mut channels = snapshot.channels;
    channels.sort_by_key(|(channel, _)| *channel);
    channels.into_iter().map(|(_, seen)| seen).collect()
}

/// What the first channel's counter shows.
pub async fn energy(driver: &mut Driver, now: i64) -> Result<u64, Missing> {
    observe(driver, now).await[0].map(count_of)
}

pub fn count_of(observed: Observed) -> u64 {
    match observed {
        Observed::Counter(counter) => match counter.count {
            Count::Integer { count, .. } => count,
            Count::Float { energy, .. } => panic!("a float of {energy} mWh"),
        },
        other => panic!("{other:?} for an energy"),
    }
}
