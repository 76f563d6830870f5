//! `gridtally edge scan`: simulated devices on sockets, behind a gateway and on a serial line.

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use gridtally_edge::config::{DeviceKind, profiles};
use gridtally_edge::device::endpoint::Parity;
use gridtally_edge::find::places::{self, Named, Place};
use gridtally_edge::find::report::Report;
use gridtally_edge::find::{Plan, scan};
use gridtally_simulators::{
    Device, DeviceSpec, Fault, Generation, Home, HomeSpec, Line, Phases, Role, Server,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

const NOON: i64 = 1_782_043_200;
const DEADLINE: Duration = Duration::from_secs(60);

fn home(devices: Vec<DeviceSpec>) -> Home {
    let mut spec = HomeSpec::draw(7);
    spec.devices = devices;
    let mut home = Home::new(spec, NOON - 600);
    home.advance_to(NOON);
    home
}

fn spec(role: Role, generation: Generation, unit: u8) -> DeviceSpec {
    let mut spec = DeviceSpec::new(role, format!("SN-{role:?}-{unit}"));
    spec.speak(generation, Phases::Three);
    spec.unit = unit;
    spec.name = format!("{role:?}{unit}");
    spec
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn plan(places: Vec<Place>) -> Plan {
    Plan {
        places,
        units: vec![1, 2, 3, 126],
        bases: vec![40_000, 0, 50_000],
        connect_within: Duration::from_millis(500),
        answer_within: Duration::from_millis(500),
        pause: Duration::ZERO,
        parallel: 8,
    }
}

async fn find(plan: Plan) -> Report {
    let (events, mut inbox) = mpsc::channel(8);
    let mut report = Report::default();
    let taking = async {
        while let Some(event) = inbox.recv().await {
            report.take(event);
        }
    };
    timeout(DEADLINE, async { tokio::join!(scan(plan, events), taking) })
        .await
        .expect("an end in time");
    report.sort();
    report
}

/// Unit, serial number and kinds of each find.
fn seen(report: &Report) -> Vec<(u8, String, Vec<DeviceKind>)> {
    let of = |found: &gridtally_edge::find::report::Found| {
        let find = &found.find;
        (
            find.unit,
            find.identity.serial.clone().unwrap_or_default(),
            find.guess.kinds.clone(),
        )
    };
    report.found.iter().map(of).collect()
}

#[tokio::test]
async fn three_devices_on_three_ports_of_a_host_are_found_with_their_units_bases_and_kinds() {
    let mut meter = spec(Role::Meter, Generation::Integer, 3);
    meter.base = 0;
    let home = home(vec![
        spec(Role::Hybrid, Generation::Ieee1547, 1),
        spec(Role::Battery, Generation::Integer, 126),
        meter,
    ]);
    let mut servers: Vec<Server> = Vec::new();
    for device in home.devices() {
        servers.push(device.serve(any()).await.unwrap());
    }
    let ports: Vec<u16> = servers.iter().map(|server| server.address().port()).collect();
    let report = find(plan("127.0.0.1".parse::<Named>().unwrap().places(&ports))).await;
    let mut found = seen(&report);
    found.sort_by_key(|(unit, ..)| *unit);
    assert_eq!(
        found,
        [
            (1, "SN-Hybrid-1".to_owned(), vec![DeviceKind::HybridInverter]),
            (3, "SN-Meter-3".to_owned(), vec![DeviceKind::GridMeter]),
            (
                126,
                "SN-Battery-126".to_owned(),
                vec![DeviceKind::BatteryInverter]
            ),
        ]
    );
    for found in &report.found {
        let find = &found.find;
        assert_eq!(find.base, Some(if find.unit == 3 { 0 } else { 40_000 }));
        assert_eq!(find.guess.nameplate.is_some(), find.unit != 3, "{find:?}");
        assert_eq!(find.identity.maker.as_deref(), Some("Gridtally"));
    }
}

#[tokio::test]
async fn all_units_behind_a_gateway_are_found_and_no_others() {
    let home = home(vec![
        spec(Role::Meter, Generation::Integer, 2),
        spec(Role::Inverter, Generation::Float, 1),
        spec(Role::Inverter, Generation::Integer, 126),
    ]);
    let devices: Vec<Device> = home.devices().to_vec();
    let server = Server::bind(any(), devices).await.unwrap();
    let place = server.address().to_string().parse::<Named>().unwrap();
    let report = find(plan(place.places(&[]))).await;
    let units: Vec<u8> = report.found.iter().map(|found| found.find.unit).collect();
    assert_eq!(units, [1, 2, 126], "{}", report.table());
    assert!(report.found.iter().all(|found| found.also.is_empty()));
}

#[tokio::test]
async fn a_device_on_a_serial_line_is_found_among_its_units() {
    let home = home(vec![
        spec(Role::Meter, Generation::Integer, 2),
        spec(Role::Inverter, Generation::Integer, 3),
    ]);
    let server = Server::open(&Line::Pty { link: None }, home.devices().to_vec()).unwrap();
    let path = server.path().unwrap().to_str().unwrap().to_owned();
    let mut plan = plan(vec![places::line(&path, &[19_200, 9_600], &[Parity::None])]);
    plan.answer_within = Duration::from_millis(300);
    let report = find(plan).await;
    let found = seen(&report);
    assert_eq!(
        found,
        [
            (2, "SN-Meter-2".to_owned(), vec![DeviceKind::GridMeter]),
            (3, "SN-Inverter-3".to_owned(), vec![DeviceKind::PvInverter]),
        ],
        "{}",
        report.table()
    );
    assert!(
        report.found[0].find.endpoint.to_string().contains("baud=19200"),
        "the first speed answered"
    );
}

#[tokio::test]
async fn devices_without_sunspec_are_perhaps_of_a_profile_that_comes_along() {
    let mut told = 0;
    for (name, _) in profiles::SHIPPED {
        let profile = profiles::load(name, Path::new("")).unwrap();
        let mut spec = DeviceSpec::profiled(profile, "A2340512345");
        spec.unit = 1;
        let home = home(vec![spec]);
        let server = home.devices()[0].serve(any()).await.unwrap();
        let place = server.address().to_string().parse::<Named>().unwrap();
        let report = find(plan(place.places(&[]))).await;
        let families: Vec<&str> = report
            .found
            .iter()
            .flat_map(|found| found.find.families.iter().map(|family| family.profile.as_str()))
            .collect();
        // Many have no text by which they could be told; none is taken for another one alone.
        if !families.is_empty() {
            assert!(families.contains(name), "{name}: {}", report.table());
            assert!(report.table().contains("perhaps"), "{}", report.table());
            told += 1;
        }
    }
    assert!(told >= 3, "{told}");
}

#[tokio::test]
async fn a_device_that_takes_one_connection_and_swallows_its_first_seconds_is_found() {
    let home = home(vec![spec(Role::Meter, Generation::Integer, 1)]);
    let device = &home.devices()[0];
    device.inject(Fault::OneConnection);
    device.inject(Fault::DeafAfterConnect { millis: 2_000 });
    let server = device.serve(any()).await.unwrap();
    let place = server.address().to_string().parse::<Named>().unwrap();
    let mut plan = plan(place.places(&[]));
    plan.units = vec![1];
    let report = find(plan).await;
    assert_eq!(seen(&report).len(), 1, "{}", report.table());
}

#[tokio::test]
async fn where_nobody_is_nothing_is_found_and_that_is_said() {
    let free = std::net::TcpListener::bind(any()).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let report = find(plan(address.to_string().parse::<Named>().unwrap().places(&[]))).await;
    assert!(report.found.is_empty() && report.done == 1);
    assert!(report.table().starts_with("No device was found."));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_scan_tells_what_it_found_by_then() {
    let home = home(vec![spec(Role::Meter, Generation::Integer, 1)]);
    let server = home.devices()[0].serve(any()).await.unwrap();
    // Takes connections and says nothing for as long as the test runs.
    let deaf = std::net::TcpListener::bind(any()).unwrap();
    let place = support::Place::new("scan");
    let file = place.path().join("devices.toml");
    let mut scan = Command::new(support::program())
        .args([
            "edge",
            "scan",
            "--progress",
            "--units",
            "1",
            "--timeout",
            "60000",
            "--connect-timeout",
            "30000",
            "-o",
        ])
        .arg(&file)
        .args([
            server.address().to_string(),
            deaf.local_addr().unwrap().to_string(),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(scan.stderr.take().unwrap());
    let mut told = Vec::new();
    tokio::task::block_in_place(|| {
        while !String::from_utf8_lossy(&told).contains("1 of 2 places, 1 found") {
            assert!(
                progress.read_until(b' ', &mut told).unwrap() > 0,
                "it ended before: {}",
                String::from_utf8_lossy(&told)
            );
        }
        Command::new("kill")
            .args(["-INT", &scan.id().to_string()])
            .status()
            .unwrap();
        let mut table = String::new();
        scan.stdout.take().unwrap().read_to_string(&mut table).unwrap();
        assert!(scan.wait().unwrap().success(), "{table}");
        assert!(
            table.contains("SN-Meter-1") && table.contains("grid_meter"),
            "{table}"
        );
        assert!(std::fs::read_to_string(&file).unwrap().contains("[[device]]"));
    });
}
