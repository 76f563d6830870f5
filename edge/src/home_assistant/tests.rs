use serde_json::json;

use super::super::state::{command, state};
use super::*;
use crate::page::command::OwnerCommand;
use crate::page::state::{BatteryState, DeviceState, OptOutScope};
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};

fn config() -> HomeAssistantConfig {
    toml::from_str("broker = \"192.0.2.1:1883\"").unwrap()
}

fn home(roles: &[DeviceRole]) -> HomeState {
    let time = "2026-04-09T12:00:00Z".parse().unwrap();
    let mut home = HomeState::unknown(
        time,
        "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw".to_owned(),
    );
    home.devices = roles
        .iter()
        .map(|&role| DeviceState {
            name: "x".to_owned(),
            role,
            reachable: true,
            last_seen: None,
            complaint: None,
        })
        .collect();
    home
}

fn described(roles: &[DeviceRole]) -> Value {
    let home = home(roles);
    let config = config();
    discovery(&config, &Topics::new(&config, &home.gateway), &home)
}

#[test]
fn the_device_and_its_topics_are_described_once_for_all_entities() {
    let mut message = described(&[DeviceRole::GridMeter, DeviceRole::Solar, DeviceRole::Battery]);
    let components = message.as_object_mut().unwrap().remove("components").unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        message,
        json!({
            "device": {
                "identifiers": ["gridtally_XjN4Zq7oMMsw"],
                "name": "Gridtally", "manufacturer": "Gridtally", "model": "Home agent", "sw_version": version,
            },
            "origin": {"name": "gridtally", "sw_version": version, "support_url": "https://github.com/gridtally/gridtally"},
            "availability_topic": "gridtally/home/gridtally_XjN4Zq7oMMsw/availability",
            "state_topic": "gridtally/home/gridtally_XjN4Zq7oMMsw/state",
            "qos": 1,
        })
    );
    assert_eq!(
        components["solar_energy"],
        json!({
            "platform": "sensor", "unique_id": "gridtally_XjN4Zq7oMMsw_solar_energy", "name": "Solar energy",
            "device_class": "energy", "state_class": "total_increasing", "unit_of_measurement": "kWh",
            "suggested_display_precision": 2, "value_template": "{{ value_json.solar_energy }}", "expire_after": 60,
        })
    );
    assert_eq!(
        components["battery_level"],
        json!({
            "platform": "sensor", "unique_id": "gridtally_XjN4Zq7oMMsw_battery_level", "name": "Battery",
            "device_class": "battery", "state_class": "measurement", "unit_of_measurement": "%",
            "value_template": "{{ value_json.battery_level }}", "expire_after": 60,
        })
    );
    assert_eq!(
        components["opted_out"],
        json!({
            "platform": "switch", "unique_id": "gridtally_XjN4Zq7oMMsw_opted_out", "name": "Opt out of events",
            "command_topic": "gridtally/home/gridtally_XjN4Zq7oMMsw/opt_out/set",
            "payload_on": "ON", "payload_off": "OFF", "state_on": "ON", "state_off": "OFF",
            "icon": "mdi:hand-back-left", "value_template": "{{ value_json.opted_out }}",
        })
    );
}

#[test]
fn every_entity_reads_a_key_that_the_state_has_and_has_the_classes_of_its_kind() {
    let roles = [DeviceRole::GridMeter, DeviceRole::Solar, DeviceRole::Battery];
    let (message, state) = (described(&roles), state(&home(&roles)));
    let components = message["components"].as_object().unwrap();
    assert_eq!(components.len(), state.as_object().unwrap().len());
    for (key, component) in components {
        assert!(state.get(key).is_some(), "{key}");
        if key.ends_with("_energy") {
            assert_eq!(component["state_class"], "total_increasing");
        }
        if key.ends_with("_power") {
            let classes = (
                &component["device_class"],
                &component["state_class"],
                &component["unit_of_measurement"],
            );
            assert_eq!(classes, (&json!("power"), &json!("measurement"), &json!("W")));
        }
    }
}

#[test]
fn a_home_without_a_battery_has_no_switch() {
    let message = described(&[DeviceRole::GridMeter]);
    let keys: Vec<_> = message["components"].as_object().unwrap().keys().collect();
    assert!(
        keys.iter()
            .all(|k| !k.contains("battery") && !k.contains("solar") && *k != "opted_out"),
        "{keys:?}"
    );
}

#[test]
fn the_state_is_exact_and_what_is_unknown_is_null() {
    let mut home = home(&[]);
    home.power.grid_import = Some(Milliwatts::new(1_234_567));
    home.totals.solar = Some(MilliwattHours::new(9_007_199_254_740_993));
    home.battery = Some(BatteryState {
        state_of_charge: Some(73_045),
        reserve: 0,
        capacity: None,
    });
    let state = state(&home);
    assert_eq!(state["grid_import_power"], "1234.567");
    assert_eq!(state["solar_energy"], "9007199254.740993");
    assert_eq!(state["battery_level"], "73.045");
    assert_eq!(
        (&state["solar_power"], &state["opted_out"]),
        (&Value::Null, &json!("OFF"))
    );
}

#[test]
fn the_switch_means_out_and_in_and_nothing_else() {
    let home = home(&[]);
    let day = home.time.checked_add(86_400).unwrap();
    assert_eq!(
        command(b"ON", &home),
        Some(OwnerCommand::OptOut(OptOutScope::Until(day)))
    );
    assert_eq!(command(b"OFF", &home), Some(OwnerCommand::OptIn));
    for nothing in [&b""[..], b"on", b"ON ", b"\xff", &[b'O'; 100_000]] {
        assert_eq!(command(nothing, &home), None);
    }
}
