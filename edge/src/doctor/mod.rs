//! What ails a home: `gridtally edge doctor` looks at everything that the agent needs, in the order in which
//! it needs it, and says of each thing whether it is well; where it is not, what to do.
//!
//! The judgements are functions from what was seen to [`Finding`]s; [`examine`] does the looking. Nothing is
//! written to any device, and the broker is asked under a name of its own, so that an agent that runs is not
//! thrown out.

mod broker;
mod device;
mod engine;
mod finding;
mod home;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::finding::{Finding, Health, json, lines};
use crate::config::AgentConfig;
use crate::device::bus::Bus;
use crate::device::endpoint::Endpoint;
use crate::show::Target;

/// Where the system tells of itself.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The file that is there while the clock is disciplined.
    pub synchronised: PathBuf,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            synchronised: PathBuf::from("/run/systemd/timesync/synchronized"),
        }
    }
}

/// Looks at the home of a config. Each finding is told as soon as it is there.
pub async fn examine(config: &Path, surroundings: &Surroundings, mut tell: impl FnMut(Finding)) {
    let config = match AgentConfig::load(config) {
        Ok(loaded) => {
            let devices = loaded.devices.len();
            tell(Finding::well(
                "config",
                format!("{}: {devices} devices", config.display()),
            ));
            loaded
        }
        Err(error) => {
            tell(Finding::bad("config", error.to_string()));
            return;
        }
    };
    home::config(&config).into_iter().for_each(&mut tell);
    tell(home::key(&config.gateway.key));
    home::data(&config.gateway.data).into_iter().for_each(&mut tell);
    tell(home::clock(&surroundings.synchronised));
    let outbox = engine::look(&config.gateway.data);
    if outbox == engine::Outbox::Held {
        tell(Finding::odd(
            "agent",
            "an agent runs with this config. Devices that take one connection only may refuse the doctor's: if one \
             does, stop the agent and ask again",
        ));
    }
    // Devices of one connection share it, as they do with the agent.
    let mut buses: BTreeMap<Endpoint, Bus> = BTreeMap::new();
    for device in &config.devices {
        let target = Target::of(device);
        let bus = match buses.get(&device.endpoint) {
            Some(bus) => bus.clone(),
            None => match target.connect() {
                Ok(bus) => {
                    buses.insert(device.endpoint.clone(), bus.clone());
                    bus
                }
                Err(error) => {
                    tell(Finding::bad(&device.name, error.to_string()));
                    continue;
                }
            },
        };
        device::examine(device, &target, &bus)
            .await
            .into_iter()
            .for_each(&mut tell);
    }
    tell(broker::examine(&config).await);
    tell(engine::key(&config));
    tell(engine::outbox(&outbox, crate::show::now()));
}
