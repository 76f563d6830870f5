//! A simulated home in stepped time, and the agent's config for it.

use std::num::NonZeroU32;

use gridtally_edge::agent::{Agent, Pace};
use gridtally_edge::commission::{CommissionError, Interrupted, Outcome, Subject, Time, commission};
use gridtally_edge::config::AgentConfig;
use gridtally_edge::config::profiles::SHIPPED;
use gridtally_edge::control::policy::Proof;
use gridtally_edge::device::{self, Hand};
use gridtally_edge::outbox::Outbox;
use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::commission::{CommissionRecord, Failure, Step};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::Timestamp;
use gridtally_registers::profile::Profile;
use gridtally_simulators::{DeviceSpec, Generation, Home, HomeSpec, Phases, Role, Server};
use tempfile::TempDir;

/// 2026-06-21T11:00:00Z: the sun is high, in London.
pub const NOON: i64 = 1_782_039_600;
/// 2026-06-21T00:30:00Z.
pub const NIGHT: i64 = NOON - 37_800;
pub const PV: u8 = 2;
pub const BATTERY: u8 = 3;

pub fn key(seed: u8) -> SigningIdentity {
    SigningIdentity::from_secret(&[seed; 32]).unwrap()
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

/// A home whose household uses nothing, with its battery half full.
pub fn quiet() -> HomeSpec {
    let mut spec = HomeSpec::draw(7);
    spec.load.scale_permille = 0;
    spec.battery.initial_soc_permille = 500;
    spec.battery.power_watts = 5_000;
    spec.battery.reserve_permille = 100;
    spec
}

/// As [`quiet`], with devices that speak IEEE 1547-2018.
pub fn modern() -> HomeSpec {
    let mut spec = quiet();
    for role in [Role::Inverter, Role::Battery] {
        let device = spec.device_mut(role).unwrap();
        device.speak(Generation::Ieee1547, Phases::Three);
    }
    spec
}

/// The text of a profile that ships, without the rest that the device wants between requests: the simulator
/// wants none.
pub fn profile(name: &str) -> String {
    let (_, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("pause_ms"));
    lines.fold(String::new(), |text, line| {
        let pause = if line.starts_with("max_registers") {
            "pause_ms = 0\n"
        } else {
            ""
        };
        text + pause + line + "\n"
    })
}

/// As [`quiet`], with panels and battery behind one inverter that speaks a profile.
pub fn profiled(name: &str) -> HomeSpec {
    let mut spec = quiet();
    let profile = Profile::parse(&profile(name), name).unwrap();
    spec.devices.retain(|device| device.role == Role::Meter);
    spec.devices.push(DeviceSpec::profiled(profile.into(), "SN1"));
    spec
}

/// Somebody who does something to the home.
pub type Meddler = Box<dyn Fn(&Home)>;

/// Simulated time: nothing sleeps.
pub struct Stepped {
    pub home: Home,
    /// At this instant somebody else does something.
    pub meddled_at: Option<(i64, Meddler)>,
    /// At this instant somebody interrupts.
    pub interrupted_at: Option<i64>,
    /// From this instant on nothing goes on, as if the process were killed.
    pub dies_at: Option<i64>,
}

impl Time for Stepped {
    fn now(&self) -> Timestamp {
        at(self.home.now())
    }

    async fn pass(&mut self, seconds: u32) -> Result<(), Interrupted> {
        let next = self.home.now() + i64::from(seconds);
        if self.dies_at.is_some_and(|dies| next >= dies) {
            std::future::pending::<()>().await;
        }
        if let Some((_, meddle)) = self.meddled_at.take_if(|(at, _)| *at <= next) {
            meddle(&self.home);
        }
        self.home.advance_to(next);
        if self.interrupted_at.is_some_and(|interrupts| next >= interrupts) {
            self.interrupted_at = None;
            return Err(Interrupted);
        }
        Ok(())
    }
}

pub struct Bench {
    pub time: Stepped,
    pub servers: Vec<(Role, Server)>,
    pub directory: TempDir,
    /// What was told, line by line.
    pub told: Vec<String>,
    /// Lines for the meter's, the PV inverter's and the battery's sections.
    pub extra: [String; 3],
}

impl Bench {
    pub async fn new(spec: HomeSpec, start: i64) -> Self {
        let mut home = Home::new(spec, start);
        home.advance_to(start + 60);
        let any = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
        let mut servers = Vec::new();
        for device in home.devices() {
            servers.push((device.role().unwrap(), device.serve(any).await.unwrap()));
        }
        Self {
            time: Stepped {
                home,
                meddled_at: None,
                interrupted_at: None,
                dies_at: None,
            },
            servers,
            directory: tempfile::tempdir().unwrap(),
            told: Vec::new(),
            extra: [
                String::new(),
                "production_limit = true\n".to_owned(),
                "grid_charging = true\nmeasures = [\"battery_discharge\", \"state_of_charge\"]\n".to_owned(),
            ],
        }
    }

    /// A bench for a home with a profile, which lies beside the config.
    pub async fn profiled(name: &str, start: i64) -> Self {
        let mut bench = Self::new(profiled(name), start).await;
        std::fs::write(bench.directory.path().join("device.toml"), profile(name)).unwrap();
        bench.extra[2] = "profile = \"device.toml\"\n".to_owned();
        bench
    }

    pub fn config_with(&self, owner: &str) -> AgentConfig {
        let device = |(role, server): &(Role, Server)| {
            let [meter, pv, battery] = &self.extra;
            let (number, kind, watts, extra) = match role {
                Role::Meter => (1, "grid_meter", 23_000, meter),
                Role::Inverter => (PV, "pv_inverter", 6_000, pv),
                Role::Battery => (BATTERY, "battery_inverter", 5_000, battery),
                Role::Hybrid => (BATTERY, "hybrid_inverter", 5_000, battery),
            };
            let address = server.address();
            format!(
                "[[device]]\nnumber = {number}\nname = \"device {number}\"\nkind = \"{kind}\"\n\
                 address = \"{address}\"\ntimeout_ms = 3000\nnameplate_watts = {watts}\n{extra}\n"
            )
        };
        let devices: String = self.servers.iter().map(device).collect();
        let engine = key(2).identity();
        let text = format!(
            "[gateway]\nkey = \"gateway.key\"\ndata = \"state\"\nengine = \"{engine}\"\n\n\
             [broker]\naddress = \"127.0.0.1:1\"\n\n[owner]\nreserve_percent = 20\n{owner}\n\n{devices}"
        );
        AgentConfig::parse(&text, &self.directory.path().join("agent.toml")).unwrap()
    }

    pub fn config(&self) -> AgentConfig {
        self.config_with("")
    }

    pub fn outbox(&self) -> Outbox {
        Outbox::open(&self.config().gateway.data, key(1), true).unwrap()
    }

    pub async fn try_for(&mut self, device: u8, hand: Hand, timer: u32) -> Result<Outcome, CommissionError> {
        let config = self.config();
        let mut outbox = self.outbox();
        let mut devices = device::start(&config.devices).unwrap();
        let subject = Subject {
            device: DeviceNumber(device),
            hand,
            timer: NonZeroU32::new(timer).unwrap(),
        };
        let told = &mut self.told;
        let mut tell = |line: &str| told.push(line.to_owned());
        let (key, time) = (key(1), &mut self.time);
        commission(&config, &key, &mut outbox, &mut devices, subject, time, &mut tell).await
    }

    pub async fn battery(&mut self) -> Outcome {
        self.try_for(BATTERY, Hand::Battery, 60).await.unwrap()
    }

    pub async fn production(&mut self) -> Outcome {
        self.try_for(PV, Hand::Production, 60).await.unwrap()
    }

    /// The agent starts as after a restart of the machine, looks once, and ends in good order.
    /// Returns what it thinks of its devices then.
    pub async fn agent_looks_once(&self) -> Proof {
        let pace = Pace {
            tick_seconds: 300,
            resend_after: std::time::Duration::from_secs(60),
        };
        let now = self.time.now();
        let mut agent = Agent::start(self.config(), key(1), pace).unwrap();
        agent.tick(now, ClockState::Synchronised).await.unwrap();
        let proof = agent.proof();
        agent.stop(Some(now)).await.unwrap();
        proof
    }
}

/// What a trial showed, where there was one.
pub fn record(outcome: &Outcome) -> &CommissionRecord {
    match outcome {
        Outcome::Tried(record) => record,
        Outcome::NotTried { why, .. } => panic!("not tried: {why}"),
    }
}

pub fn failure(outcome: &Outcome) -> Option<(Step, Failure)> {
    record(outcome).failure()
}
