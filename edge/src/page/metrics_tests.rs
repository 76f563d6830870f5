use super::*;
use crate::page::state::{BatteryState, DeviceRole, DeviceState};
use proptest::prelude::*;

/// A small reader of the format: name and labels to value, and the types. Panics where a line breaks a rule.
fn read(text: &str) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut samples, mut types, mut helped) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(
                helped.insert(name.to_owned(), help.to_owned()).is_none(),
                "{name} has two HELP lines"
            );
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(matches!(kind, "gauge" | "counter"));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(helped.contains_key(name), "{name} has no HELP before its TYPE");
            types.insert(name.to_owned(), kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let letters = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(
                name.starts_with("gridtally_") && name.chars().all(letters),
                "{name}"
            );
            assert!(types.contains_key(name), "{name} has no TYPE");
            value.parse::<f64>().unwrap();
            assert!(
                samples.insert(series.to_owned(), value.to_owned()).is_none(),
                "{series} is there twice"
            );
        }
    }
    (samples, types)
}

fn home() -> HomeState {
    let time = "2026-04-09T12:00:00Z".parse().unwrap();
    HomeState::unknown(time, "did:key:z6Mk".to_owned())
}

#[test]
fn what_is_known_is_told_exactly_in_base_units() {
    let mut home = home();
    home.power.grid_import = Some(Milliwatts::new(1_234_567));
    home.totals.solar = Some(MilliwattHours::new(12_345));
    home.battery = Some(BatteryState {
        state_of_charge: Some(73_456),
        reserve: 20_000,
        capacity: None,
    });
    home.devices.push(DeviceState {
        name: "the \"roof\"".to_owned(),
        role: DeviceRole::Solar,
        reachable: true,
        last_seen: None,
        complaint: None,
    });
    let registry = Registry::default();
    let labels = [("device", "roof"), ("outcome", "timeout")];
    registry
        .counter("gridtally_bus_requests", "Requests.", &labels)
        .fetch_add(3, Ordering::Relaxed);
    registry
        .counter("gridtally_bus_requests", "Requests.", &labels)
        .fetch_add(4, Ordering::Relaxed);
    let (samples, _) = read(&render(&home, &registry));
    for (series, value) in [
        ("gridtally_grid_import_watts", "1234.567"),
        ("gridtally_house_watts", "1234.567"),
        ("gridtally_solar_joules_total", "44442.0"),
        ("gridtally_battery_state_of_charge_ratio", "0.73456"),
        ("gridtally_link_up", "0"),
        ("gridtally_device_up{device=\"the \\\"roof\\\"\"}", "1"),
        (
            "gridtally_bus_requests_total{device=\"roof\",outcome=\"timeout\"}",
            "7",
        ),
    ] {
        assert_eq!(samples.get(series).map(String::as_str), Some(value), "{series}");
    }
}

#[test]
fn what_is_not_known_is_absent_and_not_zero() {
    let (samples, _) = read(&render(&home(), &Registry::default()));
    assert!(
        !samples
            .keys()
            .any(|s| s.contains("watts") || s.contains("joules") || s.contains("ratio"))
    );
    assert!(!samples.contains_key("gridtally_last_receipt_timestamp_seconds"));
}

#[test]
fn a_label_without_bound_does_not_fill_the_memory() {
    let registry = Registry::default();
    for i in 0..5000 {
        registry.counter(
            "gridtally_bus_requests",
            "Requests.",
            &[("device", &i.to_string())],
        );
    }
    let (samples, _) = read(&render(&home(), &registry));
    let count = samples
        .keys()
        .filter(|s| s.starts_with("gridtally_bus_requests_total"))
        .count();
    assert_eq!(count, SERIES_MAX);
}

proptest! {
    #[test]
    fn no_name_of_a_device_breaks_a_line(name in any::<String>()) {
        let mut home = home();
        home.devices.push(DeviceState {
            name, role: DeviceRole::Other, reachable: false, last_seen: None, complaint: None,
        });
        let text = render(&home, &Registry::default());
        let lines = text.split('\n').filter(|l| l.starts_with("gridtally_device_up{")).count();
        prop_assert_eq!(lines, 1);
    }
}
