use super::*;
use crate::config::AgentConfig;
use crate::device::endpoint::Endpoint;
use crate::find::family;
use crate::find::guess::Guess;
use crate::show::Identity;
use proptest::prelude::*;
use std::path::Path;

const ENGINE: &str = "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw";

fn find(port: u16, unit: u8, kinds: &[DeviceKind], model: &str) -> Event {
    Event::Found(Box::new(Find {
        endpoint: Endpoint::Tcp(format!("192.0.2.1:{port}")),
        unit,
        base: Some(40_000),
        identity: Identity {
            maker: Some("Maker".to_owned()),
            model: Some(model.to_owned()),
            ..Identity::default()
        },
        models: vec![1, 103],
        guess: Guess {
            kinds: kinds.to_vec(),
            nameplate: Some("5000.50".parse().unwrap()),
            meters: 1,
        },
        families: Vec::new(),
    }))
}

fn report(events: impl IntoIterator<Item = Event>) -> Report {
    let mut report = Report::default();
    events.into_iter().for_each(|event| report.take(event));
    report.sort();
    report
}

fn read(snippet: &str) -> AgentConfig {
    let text = format!(
        "[gateway]\nkey = \"k\"\ndata = \"d\"\nengine = \"{ENGINE}\"\n[broker]\naddress = \"b:1\"\n[owner]\n\
         reserve_percent = 0\n{snippet}"
    );
    AgentConfig::parse(&text, Path::new("agent.toml")).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn what_is_found_is_a_config_that_the_agent_takes() {
    use DeviceKind::*;
    let report = report([
        find(502, 1, &[PvInverter, GridMeter], "A"),
        find(502, 3, &[BatteryInverter], "B \"quoted\" \\ #"),
        find(1502, 1, &[HybridInverter], "C"),
        find(1502, 7, &[], "nobody knows"),
    ]);
    let snippet = report.snippet(1);
    let config = read(&snippet);
    let kinds: Vec<DeviceKind> = config.devices.iter().map(|device| device.kind).collect();
    assert_eq!(kinds, [HybridInverter, PvInverter, GridMeter]);
    assert!(
        snippet.contains("A second battery") && snippet.contains("unit 7 answers"),
        "{snippet}"
    );
    assert_eq!(config.devices[1].nameplate.get(), 5_000_500);
    assert_eq!(config.devices[1].base, Some(40_000));
}

#[test]
fn profiles_are_perhaps_and_stand_only_where_one_fits() {
    let family = |profile: &str| family::Family {
        profile: profile.to_owned(),
        why: "it\nreads so".to_owned(),
        kind: gridtally_registers::profile::DeviceKind::Meter,
        serial: None,
        model: None,
    };
    let with = |families: Vec<family::Family>| {
        let Event::Found(mut find) = find(502, 1, &[], "x") else {
            panic!("a find")
        };
        (find.base, find.families) = (None, families);
        report([Event::Found(find)])
    };
    let one = with(vec![family("eastron-sdm630")]);
    assert!(read(&one.snippet(1)).devices[0].profile.is_some());
    assert!(one.table().contains("perhaps eastron-sdm630"), "{}", one.table());
    let two = with(vec![family("eastron-sdm630"), family("huawei-sun2000")]).snippet(1);
    assert!(
        two.lines().all(|line| line.is_empty() || line.starts_with('#')),
        "{two}"
    );
}

#[test]
fn units_that_answer_alike_are_one_device() {
    let report = report([
        find(502, 1, &[DeviceKind::PvInverter], "A"),
        Event::Also {
            endpoint: Endpoint::Tcp("192.0.2.1:502".to_owned()),
            known: 1,
            unit: 2,
        },
        Event::Done,
    ]);
    assert_eq!((report.found.len(), report.done), (1, 1));
    assert!(report.table().contains("1 (+1)"));
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json[0]["also_units"], serde_json::json!([2]));
    assert_eq!(json[0]["nameplate_watts"], "5000.5");
}

proptest! {
    #[test]
    fn whatever_devices_call_themselves_the_config_reads(
        names in prop::collection::vec("\\PC{0,40}", 1..20), ports in prop::collection::vec(1_u16..5, 20),
    ) {
        let events = names.iter().zip(&ports).map(|(name, port)| find(*port, 1, &[DeviceKind::PvInverter], name));
        let config = read(&report(events).snippet(1));
        prop_assert_eq!(config.devices.len(), names.len().min(DEVICES_MAX));
    }
}
