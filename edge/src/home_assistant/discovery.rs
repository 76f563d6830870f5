//! What Home Assistant is told about the home: the topics, and the message of device discovery.

use serde_json::{Map, Value, json};

use crate::config::HomeAssistantConfig;
use crate::page::state::{DeviceRole, HomeState};

/// Pressing the switch: the owner opts out.
pub const OPT_OUT: &str = "ON";
/// Releasing it: the owner takes part again.
pub const OPT_IN: &str = "OFF";
/// A state that is older than this many of its intervals is no state.
const STALE_AFTER_INTERVALS: u32 = 6;
/// The last characters of the gateway's identity, enough to tell homes on one broker apart.
const ID_LEN: usize = 12;

/// The topics of one home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// What its entities are called by.
    pub id: String,
    /// The message of discovery, retained.
    pub discovery: String,
    /// `online` or, by the last will, `offline`; retained.
    pub availability: String,
    /// The state, as JSON.
    pub state: String,
    /// Where the switch is pressed.
    pub opt_out: String,
    /// Where Home Assistant says that it has come up.
    pub birth: String,
}

impl Topics {
    /// The topics of the home of this gateway.
    #[must_use]
    pub fn new(config: &HomeAssistantConfig, gateway: &str) -> Self {
        let letters: Vec<char> = gateway.chars().filter(char::is_ascii_alphanumeric).collect();
        let id: String = letters
            .iter()
            .skip(letters.len().saturating_sub(ID_LEN))
            .collect();
        let (prefix, id) = (&config.discovery_prefix, format!("gridtally_{id}"));
        Self {
            discovery: format!("{prefix}/device/{id}/config"),
            availability: format!("gridtally/home/{id}/availability"),
            state: format!("gridtally/home/{id}/state"),
            opt_out: format!("gridtally/home/{id}/opt_out/set"),
            birth: format!("{prefix}/status"),
            id,
        }
    }
}

/// The message of device discovery.
#[must_use]
pub fn discovery(config: &HomeAssistantConfig, topics: &Topics, home: &HomeState) -> Value {
    let has = |role| home.devices.iter().any(|device| device.role == role);
    let stale = u32::from(config.interval_seconds)
        .saturating_mul(STALE_AFTER_INTERVALS)
        .max(60);
    let mut all = Components {
        topics,
        stale,
        components: Map::new(),
    };
    if has(DeviceRole::GridMeter) {
        all.power("grid_import_power", "Grid import");
        all.power("grid_export_power", "Grid export");
        all.power("house_power", "House");
        all.energy("grid_import_energy", "Grid import energy");
        all.energy("grid_export_energy", "Grid export energy");
    }
    if has(DeviceRole::Solar) {
        all.power("solar_power", "Solar");
        all.energy("solar_energy", "Solar energy");
    }
    if has(DeviceRole::Battery) {
        all.power("battery_charge_power", "Battery charge");
        all.power("battery_discharge_power", "Battery discharge");
        all.energy("battery_charge_energy", "Battery charge energy");
        all.energy("battery_discharge_energy", "Battery discharge energy");
        all.measurement("battery_level", "Battery", "battery", "%");
        all.switch();
    }
    all.add("event", "sensor", "Event", json!({"icon": "mdi:calendar-clock"}));
    all.add(
        "event_active",
        "binary_sensor",
        "Taking part in an event",
        json!({"device_class": "running"}),
    );
    // A text with the token's code: there is no currency of that name.
    all.add("earned", "sensor", "Earned", json!({"icon": "mdi:hand-coin"}));
    let diagnostic = json!({"device_class": "connectivity", "entity_category": "diagnostic"});
    all.add("engine_connected", "binary_sensor", "Engine", diagnostic);
    let diagnostic =
        json!({"state_class": "measurement", "entity_category": "diagnostic", "icon": "mdi:tray-full"});
    all.add("outbox_messages", "sensor", "Messages waiting", diagnostic);
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "device": {
            "identifiers": [topics.id],
            "name": "Gridtally",
            "manufacturer": "Gridtally",
            "model": "Home agent",
            "sw_version": version,
        },
        "origin": {"name": "gridtally", "sw_version": version, "support_url": env!("CARGO_PKG_REPOSITORY")},
        "availability_topic": topics.availability,
        "state_topic": topics.state,
        "qos": 1,
        "components": all.components,
    })
}

struct Components<'a> {
    topics: &'a Topics,
    stale: u32,
    components: Map<String, Value>,
}

impl Components<'_> {
    fn add(&mut self, key: &str, platform: &str, name: &str, more: Value) {
        let mut component = json!({
            "platform": platform,
            "unique_id": format!("{}_{key}", self.topics.id),
            "name": name,
            "value_template": format!("{{{{ value_json.{key} }}}}"),
        });
        if let (Some(component), Value::Object(more)) = (component.as_object_mut(), more) {
            component.extend(more);
            if platform != "switch" {
                component.insert("expire_after".to_owned(), json!(self.stale));
            }
        }
        self.components.insert(key.to_owned(), component);
    }

    fn measurement(&mut self, key: &str, name: &str, class: &str, unit: &str) {
        let more = json!({"device_class": class, "state_class": "measurement", "unit_of_measurement": unit});
        self.add(key, "sensor", name, more);
    }

    fn power(&mut self, key: &str, name: &str) {
        self.measurement(key, name, "power", "W");
    }

    fn energy(&mut self, key: &str, name: &str) {
        let more = json!({
            "device_class": "energy",
            "state_class": "total_increasing",
            "unit_of_measurement": "kWh",
            "suggested_display_precision": 2,
        });
        self.add(key, "sensor", name, more);
    }

    fn switch(&mut self) {
        let more = json!({
            "command_topic": self.topics.opt_out,
            "payload_on": OPT_OUT,
            "payload_off": OPT_IN,
            "state_on": OPT_OUT,
            "state_off": OPT_IN,
            "icon": "mdi:hand-back-left",
        });
        self.add("opted_out", "switch", "Opt out of events", more);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
