use super::super::Health;
use super::*;
use crate::config::AgentConfig;
use crate::show::{ModelSight, PointSight};

fn config(kind: &str) -> DeviceConfig {
    let text = format!(
        "[gateway]\nkey = \"k\"\ndata = \"d\"\nengine = \"did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw\"\n\
         [broker]\naddress = \"b:1\"\n[owner]\nreserve_percent = 0\n[[device]]\nnumber = 1\nname = \"it\"\n\
         kind = \"{kind}\"\naddress = \"a:502\"\nnameplate_watts = 5000\n"
    );
    AgentConfig::parse(&text, std::path::Path::new("agent.toml"))
        .unwrap()
        .devices[0]
        .clone()
}

fn with(model: u16, points: &[(&str, Result<&str, &str>)]) -> Sight {
    let points = points.iter().map(|(point, value)| PointSight {
        point: (*point).to_owned(),
        raw: vec![1],
        value: value.map(str::to_owned).map_err(str::to_owned),
        unit: String::new(),
        is_filler: false,
    });
    Sight {
        base: Some(0),
        models: vec![ModelSight {
            name: MapName::Model(model),
            instance: 0,
            label: "it".to_owned(),
            place: None,
            points: points.collect(),
            problem: None,
        }],
    }
}

#[test]
fn a_power_that_contradicts_its_counters_is_bad_and_says_what_to_write() {
    let meter = config("grid_meter");
    let seen = |watts: i64, moved| sign(&meter, Milliwatts::new(watts * 1_000), moved);
    assert_eq!(seen(1_000, Moved::Import).health, Health::Well);
    assert_eq!(seen(-1_000, Moved::Export).health, Health::Well);
    assert_eq!(seen(-1_000, Moved::Neither).health, Health::Well);
    for (watts, moved) in [(1_000, Moved::Export), (-1_000, Moved::Import)] {
        let finding = seen(watts, moved);
        assert_eq!(finding.health, Health::Bad);
        assert!(
            finding.text.contains("positive_power = \"export\""),
            "{}",
            finding.text
        );
    }
    assert_eq!(seen(5_001, Moved::Import).health, Health::Odd);
}

#[test]
fn a_nameplate_is_compared_with_the_device_s_own() {
    let rated = |watts: &str| {
        nameplate(&config("pv_inverter"), &with(120, &[("WRtg", Ok(watts))]))
            .unwrap()
            .health
    };
    assert_eq!(rated("5000"), Health::Well);
    assert_eq!(rated("4000"), Health::Well);
    assert_eq!(rated("6000"), Health::Odd);
    assert_eq!(rated("3000"), Health::Odd);
    assert_eq!(nameplate(&config("grid_meter"), &with(203, &[])), None);
}

#[test]
fn a_battery_without_controls_or_timer_is_told() {
    let health = |sight: &Sight| battery(&config("battery_inverter"), sight)[0].health;
    assert_eq!(health(&with(103, &[])), Health::Odd);
    assert_eq!(
        health(&with(124, &[("InOutWRte_RvrtTms", Err("not implemented"))])),
        Health::Odd
    );
    assert_eq!(
        health(&with(124, &[("InOutWRte_RvrtTms", Ok("60"))])),
        Health::Well
    );
    assert_eq!(health(&with(704, &[("WSetRvrtTms", Ok("60"))])), Health::Well);
}

#[test]
fn a_serial_port_that_does_not_open_says_why() {
    let Endpoint::Serial(line) = "rtu:///dev/does-not-exist"
        .parse::<crate::device::endpoint::Location>()
        .unwrap()
        .endpoint
    else {
        panic!("a line")
    };
    assert_eq!(trouble_of(&line.path), Some(io::ErrorKind::NotFound));
    assert_eq!(trouble_of(std::path::Path::new("/dev/null")), None);
    let endpoint = Endpoint::Serial(line);
    let said = |trouble| no_line(&endpoint, &io::Error::other("it"), trouble);
    assert!(said(Some(io::ErrorKind::PermissionDenied)).contains("dialout"));
    assert!(said(Some(io::ErrorKind::NotFound)).contains("plugged in"));
    assert!(said(Some(io::ErrorKind::ResourceBusy)).contains("another program"));
    assert!(said(None).contains("is it a serial port"));
}
