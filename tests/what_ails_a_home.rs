//! `gridtally edge doctor`: a healthy home is well, and each fault is named.

mod support;

#[path = "../link/tests/support/mosquitto.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mosquitto;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use gridtally_edge::doctor::{Finding, Health, Surroundings, examine, lines};
use gridtally_edge::find::places::Named;
use gridtally_edge::find::report::Report;
use gridtally_edge::find::{Plan, scan};
use gridtally_edge::identity;
use gridtally_protocol::identity::SigningIdentity;
use gridtally_simulators::{DeviceSpec, Fault, Generation, Home, HomeSpec, Phases, Role, Server};
use mosquitto::Mosquitto;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

const NOON: i64 = 1_782_043_200;
const DEADLINE: Duration = Duration::from_secs(60);

/// A home as its owner has it after a scan: three devices, a broker, a key, a config of what was found.
struct Household {
    home: Home,
    servers: Vec<Server>,
    broker: Mosquitto,
    directory: TempDir,
}

impl Household {
    async fn new() -> Self {
        let mut drawn = HomeSpec::draw(7);
        drawn.devices = [Role::Meter, Role::Inverter, Role::Battery]
            .into_iter()
            .map(|role| {
                let mut spec = DeviceSpec::new(role, format!("SN-{role:?}"));
                spec.speak(Generation::Integer, Phases::Three);
                spec
            })
            .collect();
        let mut home = Home::new(drawn, NOON - 7_200);
        home.advance_to(NOON);
        let mut servers = Vec::new();
        for device in home.devices() {
            servers.push(device.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap());
        }
        let household = Self {
            home,
            servers,
            broker: Mosquitto::start().await,
            directory: tempfile::tempdir().unwrap(),
        };
        identity::load_or_create(&household.path("gateway.key")).unwrap();
        fs::write(household.path("synchronized"), "").unwrap();
        let engine = SigningIdentity::from_secret(&[9; 32]).unwrap().identity();
        let config = format!(
            "[gateway]\nkey = \"gateway.key\"\ndata = \"state\"\nengine = \"{engine}\"\n[broker]\naddress = \"{}\"\n\
             [owner]\nreserve_percent = 20\n{}",
            household.broker.address,
            household.scanned().await
        );
        fs::write(household.path("agent.toml"), config).unwrap();
        household
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn scanned(&self) -> String {
        let places = self
            .servers
            .iter()
            .flat_map(|server| server.address().to_string().parse::<Named>().unwrap().places(&[]));
        let plan = Plan {
            places: places.collect(),
            units: vec![1],
            bases: vec![40_000],
            connect_within: Duration::from_secs(5),
            answer_within: Duration::from_secs(5),
            pause: Duration::ZERO,
            parallel: 3,
        };
        let (events, mut inbox) = mpsc::channel(8);
        let mut report = Report::default();
        let taking = async {
            while let Some(event) = inbox.recv().await {
                report.take(event);
            }
        };
        tokio::join!(scan(plan, events), taking);
        report.snippet(1)
    }

    /// Changes the config.
    fn rewrite(&self, from: &str, to: &str) {
        let file = self.path("agent.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
    }

    async fn findings(&self) -> Vec<Finding> {
        let surroundings = Surroundings {
            synchronised: self.path("synchronized"),
        };
        let mut findings = Vec::new();
        let config = self.path("agent.toml");
        timeout(
            DEADLINE,
            examine(&config, &surroundings, |finding| findings.push(finding)),
        )
        .await
        .expect("an end in time");
        findings
    }

    /// What is not well, which must be of this one thing.
    async fn ails(&self, what: &str) -> Finding {
        let findings = self.findings().await;
        let ill: Vec<&Finding> = findings.iter().filter(|it| it.health != Health::Well).collect();
        assert!(
            ill.len() == 1 && ill[0].what.contains(what),
            "{}",
            lines(&findings)
        );
        ill[0].clone()
    }
}

#[tokio::test]
async fn a_healthy_home_is_well_in_every_respect() {
    let household = Household::new().await;
    let findings = household.findings().await;
    let shown = lines(&findings);
    assert!(
        findings.iter().all(|finding| finding.health == Health::Well),
        "{shown}"
    );
    for what in [
        "config", "key", "data", "disk", "clock", "broker", "engine", "outbox",
    ] {
        assert!(
            findings.iter().any(|finding| finding.what == what),
            "{what} in\n{shown}"
        );
    }
    for seen in [
        "SN-Meter",
        "can be metered: grid_import",
        "its nameplate says",
        "with a timer",
        "its power is",
    ] {
        assert!(shown.contains(seen), "{seen} in\n{shown}");
    }
}

#[tokio::test]
async fn a_device_that_is_off_is_named() {
    let mut household = Household::new().await;
    household.servers.remove(1);
    let finding = household.ails("inverter").await;
    assert_eq!(finding.health, Health::Bad);
    assert!(
        finding.text.contains("cannot be reached") && finding.text.contains("is the device on"),
        "{}",
        finding.text
    );
}

#[tokio::test]
async fn a_wrong_unit_is_named_by_the_gateway_s_word_and_by_silence() {
    let household = Household::new().await;
    household.rewrite("unit=1", "unit=77");
    let finding = household.ails("").await;
    assert!(
        finding.text.contains("unit 77 does not") && finding.health == Health::Bad,
        "{}",
        finding.text
    );

    let household = Household::new().await;
    household.home.grid_meter().inject(Fault::Silent);
    let finding = household.ails("meter").await;
    assert!(
        finding
            .text
            .contains("takes the connection, but unit 1 does not answer"),
        "{}",
        finding.text
    );
}

#[tokio::test]
async fn a_device_of_another_kind_is_named() {
    let household = Household::new().await;
    household.rewrite("kind = \"pv_inverter\"", "kind = \"grid_meter\"");
    let finding = household.ails("inverter").await;
    assert!(
        finding.text.contains("no credible value of grid_import"),
        "{}",
        finding.text
    );
}

#[tokio::test]
async fn a_key_that_others_can_read_is_named_with_the_command_that_mends_it() {
    let household = Household::new().await;
    fs::set_permissions(household.path("gateway.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let finding = household.ails("key").await;
    assert!(
        finding.text.contains("chmod 600") && finding.health == Health::Bad,
        "{}",
        finding.text
    );
}

#[tokio::test]
async fn a_broker_that_is_down_is_named() {
    let mut household = Household::new().await;
    household.broker.kill();
    let finding = household.ails("broker").await;
    assert_eq!(finding.health, Health::Bad);
}

#[tokio::test]
async fn counters_that_run_against_the_power_are_named_with_what_to_write() {
    let mut household = Household::new().await;
    household.home.grid_meter().inject(Fault::SwappedSign);
    // Time passes while the doctor looks twice.
    let surroundings = Surroundings {
        synchronised: household.path("synchronized"),
    };
    let config = household.path("agent.toml");
    let mut findings = Vec::new();
    let mut home = household.home;
    let passing = async {
        let mut now = NOON;
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            now += 5;
            home.advance_to(now);
        }
    };
    tokio::select! {
        () = examine(&config, &surroundings, |finding| findings.push(finding)) => {}
        () = passing => {}
    }
    household.broker.kill();
    let shown = lines(&findings);
    assert!(
        findings
            .iter()
            .any(|it| it.health == Health::Bad && it.text.contains("positive_power = \"export\"")),
        "{shown}"
    );
}

#[tokio::test]
async fn a_nameplate_below_the_device_s_own_and_an_unset_clock_are_odd() {
    let household = Household::new().await;
    fs::remove_file(household.path("synchronized")).unwrap();
    let finding = household.ails("clock").await;
    assert!(finding.text.contains("timedatectl set-ntp true") && finding.health == Health::Odd);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_fails_where_something_is_bad_and_says_what() {
    let household = Household::new().await;
    household.rewrite("reserve_percent = 20", "reserve_percent = 200");
    let output = tokio::task::block_in_place(|| {
        std::process::Command::new(support::program())
            .args(["edge", "doctor", "--json", "--config"])
            .arg(household.path("agent.toml"))
            .output()
            .unwrap()
    });
    assert_eq!(output.status.code(), Some(1));
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        list[0]["health"] == "bad"
            && list[0]["text"]
                .as_str()
                .unwrap()
                .contains("a percentage is 0 to 100"),
        "{list}"
    );
}
