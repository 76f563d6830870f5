//! `gridtally edge read` against simulated devices: every point, as the registers have it.

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use gridtally_edge::config::profiles;
use gridtally_edge::show::{self, Sight, Target};
use gridtally_simulators::{
    Device, DeviceSpec, Fault, Generation, Home, HomeSpec, Layer, Phases, Role, Server,
};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

const NOON: i64 = 1_782_043_200;
const DEADLINE: Duration = Duration::from_secs(120);

fn home(devices: Vec<DeviceSpec>) -> Home {
    let mut spec = HomeSpec::draw(7);
    spec.devices = devices;
    let mut home = Home::new(spec, NOON - 600);
    home.advance_to(NOON);
    home
}

fn spec(role: Role, generation: Generation) -> DeviceSpec {
    let mut spec = DeviceSpec::new(role, format!("SN-{role:?}-1"));
    spec.speak(generation, Phases::Three);
    spec
}

async fn serve(device: &Device) -> Server {
    device.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()
}

fn target(server: &Server, query: &str) -> Target {
    Target::at(
        format!("tcp://{}{query}", server.address()).parse().unwrap(),
        None,
    )
}

/// What `--json` says of a device.
async fn listed(device: &Device) -> Vec<Value> {
    let server = serve(device).await;
    let query = format!("?unit={}&base={}", device.unit(), device.registers().base());
    let sight = show::look(&target(&server, &query)).await.unwrap();
    points(&sight)
}

fn points(sight: &Sight) -> Vec<Value> {
    serde_json::from_str(&show::json(sight)).unwrap()
}

/// `integer × 10^scale`, read from the text without passing through a float.
fn is_decimal(text: &str, integer: i128, scale: i128) -> bool {
    let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let digits: i128 = text.replace('.', "").parse().unwrap();
    let power = |exponent: i128| 10_i128.pow(u32::try_from(exponent.max(0)).unwrap());
    places == usize::try_from((-scale).max(0)).unwrap() && digits == integer * power(scale)
}

/// Compares the list with the registers of the simulator, point by point; returns how many had a value.
fn compare(device: &Device, list: &[Value]) -> usize {
    let map = device.registers();
    let mut valued = 0;
    let mut listed = list.iter();
    for (model, point) in map.points() {
        let line = listed.next().expect("a line for every point");
        let at = format!("{line}");
        let words = map.point_words(model, point).unwrap();
        assert_eq!(line["model"], model.id(), "{at}");
        assert_eq!(line["instance"], model.instance, "{at}");
        assert_eq!(line["point"], point.path, "{at}");
        assert_eq!(line["unit"], point.definition.unit, "{at}");
        let raw: Vec<u16> = serde_json::from_value(line["raw"].clone()).unwrap();
        assert_eq!(raw, words, "{at}");
        let kind = point.kind();
        let Some(value) = line["value"].as_str() else {
            assert!(
                line["value"].is_null() && !line["reason"].as_str().unwrap().is_empty(),
                "{at}"
            );
            let scale_is_absent = point.scale_offset.is_some_and(|offset| {
                map.read(gridtally_simulators::Table::Holding, model.address + offset, 1) == Ok(&[0x8000])
            });
            assert!(kind.is_sentinel(words) || scale_is_absent, "{at}");
            continue;
        };
        assert!(line.get("reason").is_none(), "{at}");
        valued += 1;
        if let Some(integer) = kind.integer(words).filter(|_| kind.is_integer()) {
            let scale = point.scale_offset.map_or(0, |offset| {
                let word = map
                    .read(gridtally_simulators::Table::Holding, model.address + offset, 1)
                    .unwrap()[0];
                i128::from(word.cast_signed())
            });
            assert!(is_decimal(value, integer, scale), "{at}");
        } else if words.len() == 2 {
            let bits = u32::from(words[0]) << 16 | u32::from(words[1]);
            assert_eq!(value.parse::<f32>().unwrap().to_bits(), bits, "{at}");
        } else {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert!(bytes.starts_with(value.as_bytes()), "{at}");
        }
    }
    assert_eq!(listed.next(), None);
    valued
}

#[tokio::test]
async fn every_point_of_every_generation_is_that_of_the_registers() {
    for (role, generation, least) in [
        (Role::Inverter, Generation::Integer, 60),
        (Role::Inverter, Generation::Float, 60),
        (Role::Battery, Generation::Integer, 100),
        (Role::Battery, Generation::Ieee1547, 200),
        (Role::Hybrid, Generation::All, 300),
        (Role::Meter, Generation::Integer, 30),
        (Role::Meter, Generation::Float, 30),
    ] {
        let home = home(vec![spec(role, generation)]);
        let device = &home.devices()[0];
        let valued = compare(device, &listed(device).await);
        assert!(valued >= least, "{role:?} {generation:?}: only {valued} values");
    }
}

#[tokio::test]
async fn a_map_at_another_base_and_models_of_one_number_are_shown_one_by_one() {
    let mut two = spec(Role::Meter, Generation::Integer);
    two.models = vec![203, 203];
    two.base = 1_234;
    two.unit = 7;
    let home = home(vec![two]);
    let device = &home.devices()[0];
    let list = listed(device).await;
    compare(device, &list);
    let instances: Vec<&Value> = list
        .iter()
        .filter(|line| line["point"] == "W")
        .map(|line| &line["instance"])
        .collect();
    assert_eq!(instances, [0, 1]);
}

#[tokio::test]
async fn every_point_of_each_profile_that_comes_along_has_its_value_or_its_reason() {
    for (name, _) in profiles::SHIPPED {
        let profile = profiles::load(name, Path::new("")).unwrap();
        let home = home(vec![DeviceSpec::profiled(profile.clone(), "SN12345678")]);
        let device = &home.devices()[0];
        let server = serve(device).await;
        let mut target = target(&server, &format!("?unit={}", device.unit()));
        target.profile = Some(profile.clone());
        let list = points(&show::look(&target).await.unwrap());
        assert_eq!(list.len(), profile.points.len());
        for (line, point) in list.iter().zip(&profile.points) {
            assert_eq!(line["model"], profile.name);
            assert_eq!(line["point"], point.name.to_string());
            let map = device.registers();
            let table = match format!("{:?}", point.table).as_str() {
                "Holding" => gridtally_simulators::Table::Holding,
                _ => gridtally_simulators::Table::Input,
            };
            let raw: Vec<u16> = serde_json::from_value(line["raw"].clone()).unwrap();
            match map.read(table, point.address, point.length()) {
                Ok(words) => assert_eq!(raw, words, "{name} {line}"),
                Err(_) => assert!(raw.is_empty() && line["reason"].is_string(), "{name} {line}"),
            }
        }
        assert!(
            list.iter().filter(|line| line["value"].is_string()).count() > 10,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_device_that_is_not_there_is_named_with_what_to_do() {
    let home = home(vec![spec(Role::Meter, Generation::Integer)]);
    let server = serve(&home.devices()[0]).await;
    let gone = target(&server, "");
    drop(server);
    let error = show::look(&gone).await.unwrap_err().to_string();
    assert!(
        error.contains("cannot be opened") && error.contains("switched on"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_shows_a_device_by_its_place_with_its_identity_on_top() {
    let home = home(vec![spec(Role::Inverter, Generation::Integer)]);
    let device = &home.devices()[0];
    let server = serve(device).await;
    let run = |extra: &[&str]| {
        let output = std::process::Command::new(support::program())
            .args(["edge", "read", &server.address().to_string()])
            .args(extra)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let (table, json) = tokio::task::block_in_place(|| (run(&[]), run(&["--json"])));
    assert!(table.contains("serial number  SN-Inverter-1"), "{table}");
    assert!(table.contains("Model 103"), "{table}");
    compare(device, &serde_json::from_str::<Vec<Value>>(&json).unwrap());
}

/// Whatever a device does to its replies, a value that is shown is the value that it has.
#[tokio::test]
async fn no_fault_of_wire_or_reply_makes_a_foreign_value_or_an_endless_look() {
    let home = home(vec![spec(Role::Battery, Generation::Integer)]);
    let healthy = {
        let server = serve(&home.devices()[0]).await;
        show::look(&target(&server, "")).await.unwrap()
    };
    let faults = Fault::ALL
        .iter()
        .filter(|it| matches!(it.layer, Layer::Wire | Layer::Reply) && it.fault != Fault::Nonsense);
    let mut looks = JoinSet::new();
    for description in faults {
        let (fault, healthy) = (description.fault, healthy.clone());
        looks.spawn(async move {
            let mut spec = HomeSpec::draw(7);
            spec.devices = vec![self::spec(Role::Battery, Generation::Integer)];
            let mut home = Home::new(spec, NOON - 600);
            home.advance_to(NOON);
            let device = home.devices()[0].clone();
            device.inject(fault);
            let server = serve(&device).await;
            let target = target(&server, "");
            let Ok(seen) = timeout(DEADLINE, show::look(&target))
                .await
                .expect("an end in time")
            else {
                return (fault, 0);
            };
            let mut valued = 0;
            for model in &seen.models {
                let mut true_ones = healthy.models.iter();
                let true_one = true_ones
                    .find(|it| it.place == model.place)
                    .expect("a model that is there");
                for point in model.points.iter().filter(|point| point.value.is_ok()) {
                    assert_eq!(Some(point), true_one.point(&point.point), "{fault}");
                    valued += 1;
                }
            }
            (fault, valued)
        });
    }
    let mut shown = 0;
    while let Some(look) = looks.join_next().await {
        let (fault, valued) = look.unwrap();
        let harmless = [
            "one-connection",
            "small-reads",
            "no-read-across-models",
            "split-segments",
            "merged-segments",
            "deaf-after-connect",
        ];
        if harmless.iter().any(|name| fault.to_string().starts_with(name)) {
            assert!(valued > 100, "{fault}: {valued}");
            shown += 1;
        }
    }
    assert_eq!(shown, 6);
}
