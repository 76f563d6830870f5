//! The homes of `config/homes/` are what their comments say.

use gridtally_simulators::lab::{Lab, Pace, Place, Plan, config};
use gridtally_simulators::{Fault, Home, Line, Role};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/homes")
}

fn plan(file: &str) -> Plan {
    config::load(&folder().join(file)).unwrap_or_else(|error| panic!("{error}"))
}

/// Without sockets.
fn home(plan: &Plan) -> Home {
    let mut spec = plan.home.clone();
    spec.devices = plan.devices.iter().map(|device| device.spec.clone()).collect();
    Home::try_new(spec, plan.start.expect("every home says when it begins")).unwrap()
}

#[test]
fn every_home_can_be_started_and_names_itself_in_its_first_comment() {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains(&format!("gridtally simulate home config/homes/{file}")),
            "{file}"
        );
        let plan = plan(&file);
        let mut home = home(&plan);
        home.advance_to(home.now() + 86_400);
        assert!(
            home.energies().load > plan.home.lifetime.load,
            "{file}: a day goes by"
        );
        files.insert(file);
    }
    let expected = [
        "broken-afternoon.toml",
        "gateway.toml",
        "hybrid-ieee1547.toml",
        "terrace.toml",
    ];
    assert_eq!(files, expected.map(str::to_owned).into());
}

#[test]
fn the_terrace_has_three_single_phase_devices_on_three_ports() {
    let plan = plan("terrace.toml");
    let ports: Vec<_> = plan.devices.iter().map(|device| device.place.clone()).collect();
    let expected =
        [5_020, 5_021, 5_022].map(|port| Place::Socket(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
    assert_eq!(ports, expected);
    assert_eq!(plan.pace, Pace::Scaled(1));
    let meter = &plan.devices[2].spec;
    assert_eq!((meter.role, meter.models.as_slice()), (Role::Meter, &[201][..]));
}

#[test]
fn the_gateway_has_four_units_on_one_socket_and_two_meters_in_one_map() {
    let plan = plan("gateway.toml");
    assert!(
        plan.devices
            .iter()
            .all(|device| device.place == plan.devices[0].place)
    );
    let units: Vec<_> = plan.devices.iter().map(|device| device.spec.unit).collect();
    assert_eq!(units, [1, 2, 10, 11]);

    let mut home = home(&plan);
    home.advance_to(home.now() + 4 * 3_600);
    let [_, _, meters, household] = home.devices() else {
        panic!("four devices")
    };
    let (meters, flow) = (meters.registers(), home.flow());
    let ids: Vec<_> = meters
        .models()
        .iter()
        .map(gridtally_simulators::ModelAt::id)
        .collect();
    assert_eq!(ids, [1, 203, 203]);
    assert!(flow.pv > 0, "it is noon in May");
    assert_eq!(meters.value(203, 0, "W"), Some(i128::from(flow.grid / 1_000)));
    assert_eq!(meters.value(203, 1, "W"), Some(i128::from(-flow.pv / 1_000)));
    assert_eq!(household.registers().base(), 0);
    let bits = u32::try_from(household.value(213, "W").unwrap()).unwrap();
    let error = f64::from(f32::from_bits(bits)) * 1_000.0 - f64::from(i32::try_from(flow.load).unwrap());
    assert!(error.abs() < 1.0, "{error} mW");
}

#[test]
fn the_hybrid_and_its_meter_share_a_pseudo_terminal() {
    let plan = plan("hybrid-ieee1547.toml");
    let line = Place::Line(Line::Pty {
        link: Some("/tmp/gridtally-line".into()),
    });
    assert!(plan.devices.iter().all(|device| device.place == line));
    let hybrid = &plan.devices[0].spec;
    assert_eq!(hybrid.role, Role::Hybrid);
    assert!(
        [701, 704, 713, 715, 802]
            .iter()
            .all(|model| hybrid.models.contains(model)),
        "{:?}",
        hybrid.models
    );
    assert!(!hybrid.models.contains(&103));
}

#[tokio::test]
async fn the_afternoon_breaks_when_its_file_says() {
    let mut plan = plan("broken-afternoon.toml");
    for device in &mut plan.devices {
        device.place = Place::Socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    }
    let start = plan.start.expect("it begins at five to twelve");
    let lab = Lab::start("afternoon", &plan).await.unwrap();
    let names_at = |clock: (i64, i64), device: usize| -> Vec<&'static str> {
        lab.advance_to(start + (clock.0 - 11) * 3_600 + (clock.1 - 55) * 60);
        lab.home().unwrap().devices()[device]
            .active_faults()
            .iter()
            .map(Fault::name)
            .collect()
    };
    let (roof, battery, meter) = (0, 1, 2);
    assert_eq!(names_at((11, 55), roof), [""; 0]);
    assert_eq!(names_at((12, 10), roof), ["counters-at-zero"]);
    assert_eq!(names_at((12, 13), roof), [""; 0]);
    assert_eq!(names_at((12, 20), meter), ["split-segments", "late-reply"]);
    assert_eq!(
        names_at((12, 30), battery),
        ["never-reverts", "writes-not-obeyed"]
    );
    assert_eq!(names_at((12, 59), roof), ["frozen"]);
    assert_eq!(names_at((14, 0), meter), ["split-segments", "nonsense"]);
    assert_eq!(names_at((14, 44), roof), ["offline"]);
    assert_eq!(names_at((14, 45), roof), [""; 0]);
    assert_eq!(names_at((14, 50), meter), ["split-segments"]);
}
