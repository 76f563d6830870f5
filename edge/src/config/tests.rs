use super::*;
use gridtally_protocol::quantity::Milliwatts;
use std::time::Duration;

const GOOD: &str = r#"[gateway]
key = "gateway.key"
data = "state"
engine = "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"

[broker]
address = "127.0.0.1:1883"

[owner]
reserve_percent = "12.5"
discharge_limit_watts = 3000

[[device]]
number = 1
name = "grid meter"
kind = "grid_meter"
address = "192.0.2.1:502"
nameplate_watts = 23000

[[device]]
number = 3
name = "battery"
kind = "battery_inverter"
address = "inverter.local:1502"
unit = 126
base = 4096
timeout_ms = 250
nameplate_watts = "4999.5"
"#;

fn parse(text: &str) -> Result<AgentConfig, ConfigError> {
    AgentConfig::parse(text, Path::new("/home/box/agent.toml"))
}

fn complaint(find: &str, replace: &str) -> String {
    assert!(GOOD.contains(find), "{find:?} is not in the config");
    parse(&GOOD.replacen(find, replace, 1)).unwrap_err().to_string()
}

#[test]
fn a_config_is_read_with_its_defaults_and_its_paths_beside_it() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.gateway.key, Path::new("/home/box/gateway.key"));
    assert_eq!(config.gateway.data, Path::new("/home/box/state"));
    assert_eq!(config.gateway.interval, IntervalLength::FIVE_MINUTES);
    assert_eq!(
        (
            config.gateway.intervals_per_report,
            config.gateway.keep_days,
            config.gateway.sync
        ),
        (12, 30, true)
    );
    assert!(config.owner.participate);
    assert_eq!(config.owner.reserve.thousandths(), 12_500);
    assert_eq!(config.owner.discharge_limit, Some(Milliwatts::new(3_000_000)));
    let battery = config.battery().unwrap();
    assert_eq!((battery.unit, battery.base), (126, Some(4096)));
    assert_eq!(battery.timeout, Duration::from_millis(250));
    assert_eq!(battery.nameplate, Milliwatts::new(4_999_500));
    assert_eq!(config.channels().len(), 4);
}

#[test]
fn the_example_in_the_config_folder_is_a_config() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.devices.len(), 3);
}

#[test]
fn every_complaint_names_the_file_the_line_and_the_key() {
    let cases = [
        (
            "key = \"gateway.key\"",
            "kay = \"gateway.key\"",
            "line 2, kay: unknown field `kay`",
        ),
        ("unit = 126", "unit = 300", "line 25, unit: "),
        (
            "unit = 126",
            "unit = \"one\"",
            "line 25, unit: invalid type: string \"one\"",
        ),
        ("z6Mktwup", "x6Mktwup", "line 4, engine: not a"),
        (
            "\"12.5\"",
            "12.5",
            "line 10, reserve_percent: write 12.5 in quotes",
        ),
        (
            "\"12.5\"",
            "101",
            "line 10, reserve_percent: a percentage is 0 to 100",
        ),
        (
            "\"12.5\"",
            "\"12.00001\"",
            "line 10, reserve_percent: \"12.00001\" has more than 3 decimals",
        ),
        (
            "number = 3",
            "number = 1",
            "line 21, number: 1 is the number of an earlier device",
        ),
        (
            "\"battery\"",
            "\"grid meter\"",
            "line 22, name: \"grid meter\" is the name of an earlier",
        ),
        (
            "\"grid_meter\"",
            "\"battery_inverter\"",
            "line 23, kind: a second battery",
        ),
        (
            "\"grid_meter\"",
            "\"gridmeter\"",
            "line 16, kind: unknown variant `gridmeter`",
        ),
        (
            "127.0.0.1:1883",
            "127.0.0.1",
            "line 7, address: \"127.0.0.1\" is not of the form host:port",
        ),
        (
            "timeout_ms = 250",
            "timeout_ms = 0",
            "line 27, timeout_ms: 0 is not within 10 and 60000",
        ),
        (
            "23000",
            "0",
            "line 18, nameplate_watts: a power in watts is more than 0",
        ),
        ("number = 1\n", "", "missing field `number`"),
        ("[owner]", "[owner", "line 9"),
        (
            "data = \"state\"",
            "data = \"state\"\ninterval_seconds = 7",
            "line 4, interval_seconds: an interval of 7 s is not allowed",
        ),
        (
            "data = \"state\"",
            "data = \"state\"\nintervals_per_report = 289",
            "line 4, intervals_per_report: 289 is not within 1 and 288",
        ),
    ];
    for (find, replace, expected) in cases {
        let complaint = complaint(find, replace);
        assert!(
            complaint.starts_with("/home/box/agent.toml, line "),
            "{complaint}"
        );
        assert!(
            complaint.contains(expected),
            "{complaint:?} does not say {expected:?}"
        );
        assert!(!complaint.contains('\n'), "{complaint:?} is not one sentence");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = AgentConfig::load(Path::new("/no/such/agent.toml")).unwrap_err();
    assert!(error.to_string().contains("/no/such/agent.toml"));
}

#[test]
fn the_page_and_home_assistant_are_off_until_they_are_named() {
    let none = parse(GOOD).unwrap();
    assert_eq!((none.page, none.home_assistant), (None, None));
    let with = |tables: &str| parse(&GOOD.replacen("[[device]]", &format!("{tables}\n[[device]]"), 1));
    let config = with("[page]\n[home_assistant]\nbroker = \"192.0.2.5:1883\"\n").unwrap();
    let page = config.page.unwrap();
    assert_eq!(page.listen.to_string(), "0.0.0.0:8321");
    assert_eq!((&page.zone, page.metrics), (&Zone::utc(), false));
    let home_assistant = config.home_assistant.unwrap();
    assert_eq!(home_assistant.discovery_prefix, "homeassistant");
    assert_eq!(home_assistant.interval_seconds, 10);
    for (tables, word) in [
        ("[page]\nzone = \"Mars/Olympus\"", "check its spelling"),
        ("[page]\nport = 80", "unknown field"),
        ("[home_assistant]\nbroker = \"nowhere\"", "host:port"),
        (
            "[home_assistant]\nbroker = \"a:1\"\ndiscovery_prefix = \"#\"",
            "no prefix",
        ),
        (
            "[home_assistant]\nbroker = \"a:1\"\ninterval_seconds = 0",
            "not within",
        ),
    ] {
        let error = with(tables).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
