//! A driver for one device, and what it makes of it.

use std::time::Duration;

use gridtally_edge::config::{AgentConfig, DeviceConfig};
use gridtally_edge::device::{Count, Counter, Driver, Observed};
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
    Driver::new(configured(kind, address, ""))
}

pub async fn energy(driver: &mut Driver, now: i64) -> Result<u64, Missing> {
    let observations = timeout(DEADLINE, driver.observe(at(now)))
        .await
        .expect("an end in time");
    observations[0].1.map(|observed| match observed {
        Observed::Counter(Counter {
            count: Count::Integer { count, .. },
            ..
        }) => count,
        other => panic!("{other:?} for an energy"),
    })
}
