//! A simulated house with the agent in it, in stepped time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use gridtally_edge::agent::{Agent, Pace};
use gridtally_edge::config::AgentConfig;
use gridtally_edge::control::policy::Decision;
use gridtally_edge::device::controls::Controls;
use gridtally_edge::home;
use gridtally_edge::outbox::Outbox;
use gridtally_edge::uplink::inbox::Judge;
use gridtally_protocol::acknowledgement::Acknowledgement;
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::Timestamp;
use gridtally_registers::profile::Profile;
use gridtally_simulators::{
    Answer, Device, DeviceSpec, Generation, Home, HomeSpec, LoadProfile, Phases, ProfileSeries, Role, Table,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_modbus::Request;

use crate::story::Story;
use crate::wire::{Book, Wire};

/// 2026-06-21T00:00:00Z: no sun, so that only the battery moves.
pub const MIDNIGHT: i64 = 1_782_000_000;
/// Twelve hours later there is sun enough.
pub const NOON: i64 = MIDNIGHT + 43_200;
/// Of the battery and of the panels' inverter.
pub const BATTERY_WATTS: u32 = 5_000;
pub const PV_WATTS: u32 = 6_000;

/// `ems_mode`, `battery_command` and `battery_command_power` of the Sungrow profile.
const SUNGROW_MODE: u16 = 13_049;
const SUNGROW_COMMAND: u16 = 13_050;
const SUNGROW_POWER: u16 = 13_051;

/// By which registers the house is controlled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// Models 103, 123, 124 and 802.
    Storage,
    /// Models 701, 704 and 713.
    Der,
    /// A hybrid inverter without SunSpec, by its profile.
    Sungrow,
    /// A hybrid inverter with every model there is.
    Hybrid,
}

/// How a house is.
#[derive(Debug, Clone)]
pub struct Plan {
    pub map: Map,
    pub start: i64,
    pub tick_seconds: i64,
    /// The household's watts, minute by minute, over and over.
    pub load: Vec<u32>,
    pub charge_permille: u32,
    /// Lines of `[owner]` besides the reserve.
    pub owner: String,
    /// Whether the wires are counted, on which the agent can be struck dead.
    pub is_counted: bool,
    pub timeout_ms: u32,
    /// Whether the roof may be limited.
    pub limits_production: bool,
}

impl Plan {
    pub fn of(map: Map) -> Self {
        Self {
            map,
            start: MIDNIGHT,
            tick_seconds: 5,
            load: vec![800],
            charge_permille: 600,
            owner: String::new(),
            is_counted: false,
            timeout_ms: 300,
            limits_production: true,
        }
    }

    pub fn ticking(mut self, seconds: i64) -> Self {
        self.tick_seconds = seconds;
        self
    }

    pub fn counted(mut self) -> Self {
        self.is_counted = true;
        self
    }

    pub fn at_noon(mut self) -> Self {
        self.start = NOON;
        self
    }

    fn spec(&self) -> HomeSpec {
        let mut spec = HomeSpec::draw(7);
        spec.pv.peak_watts = 6_500;
        spec.pv.nameplate_watts = PV_WATTS;
        spec.battery.capacity_watt_hours = 10_000;
        spec.battery.power_watts = BATTERY_WATTS;
        spec.battery.reserve_permille = 100;
        spec.battery.initial_soc_permille = self.charge_permille;
        let instant = |minute: usize| {
            let minute = i64::try_from(minute).unwrap();
            chrono::DateTime::from_timestamp(self.start + minute * 60, 0)
                .unwrap()
                .format("%Y-%m-%dT%H:%M:%SZ")
                .to_string()
        };
        let mut load = self.load.clone();
        if load.len() < 2 {
            load = [load.clone(), load].concat();
        }
        let lines = load.iter().enumerate();
        let lines = lines.map(|(minute, watts)| format!("{},{watts}\n", instant(minute)));
        let csv = format!("instant,watts\n{}", lines.collect::<String>());
        spec.load.profile = LoadProfile::File(Arc::new(ProfileSeries::parse("load", &csv).unwrap()));
        (spec.load.shift_weeks, spec.load.scale_permille) = (0, 1_000);
        let generation = match self.map {
            Map::Storage => Generation::Integer,
            Map::Der => Generation::Ieee1547,
            Map::Hybrid => Generation::All,
            Map::Sungrow => {
                let meter = DeviceSpec::new(Role::Meter, "M1");
                spec.devices = vec![DeviceSpec::profiled(sungrow(), "H1"), meter];
                return spec;
            }
        };
        if self.map == Map::Hybrid {
            spec.devices = vec![
                DeviceSpec::new(Role::Hybrid, "H1"),
                DeviceSpec::new(Role::Meter, "M1"),
            ];
        }
        for device in &mut spec.devices {
            if device.role != Role::Meter {
                device.speak(generation, Phases::Three);
            }
        }
        spec
    }
}

fn sungrow() -> Arc<Profile> {
    let text = include_str!("../../config/device-profiles/sungrow-shxrt.toml");
    // The rest that a real one wants between two requests would only cost the tests their time.
    let text = text.replace("pause_ms = 100", "pause_ms = 0");
    Arc::new(Profile::parse(&text, "sungrow-shxrt").unwrap())
}

fn key(seed: u8) -> SigningIdentity {
    SigningIdentity::from_secret(&[seed; 32]).unwrap()
}

const GATEWAY: u8 = 1;
const ENGINE: u8 = 2;

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticked {
    Done,
    StruckDead,
}

pub struct House {
    pub plan: Plan,
    pub home: Home,
    pub book: Arc<Book>,
    pub clock: ClockState,
    wires: Vec<(Role, Wire)>,
    directory: TempDir,
    life: Option<(Runtime, Agent)>,
    sequence: u64,
}

impl House {
    pub fn new(plan: Plan) -> Self {
        let home = Home::new(plan.spec(), plan.start);
        let book = Arc::new(Book::default());
        let wire = |device: &Device| (device.role().unwrap(), Wire::to(device, &book, plan.is_counted));
        let wires = home.devices().iter().map(wire).collect();
        let house = Self {
            home,
            book,
            clock: ClockState::Synchronised,
            wires,
            // In memory where there is such a place: what survives a power cut is another test's matter.
            directory: tempfile::tempdir_in("/dev/shm")
                .or_else(|_| tempfile::tempdir())
                .unwrap(),
            life: None,
            sequence: 0,
            plan,
        };
        if house.plan.map == Map::Sungrow {
            let text = include_str!("../../config/device-profiles/sungrow-shxrt.toml");
            let text = text.replace("pause_ms = 100", "pause_ms = 0");
            std::fs::write(house.directory.path().join("sungrow.toml"), text).unwrap();
        }
        house
    }

    /// The same house in which no agent ever was.
    pub fn twin(&self) -> Home {
        Home::new(self.plan.spec(), self.plan.start)
    }

    pub fn at(&self, seconds: i64) -> Timestamp {
        Timestamp::from_unix(self.plan.start + seconds).unwrap()
    }

    /// Seconds since the start.
    pub fn now(&self) -> i64 {
        self.home.now() - self.plan.start
    }

    fn config(&self) -> AgentConfig {
        let devices = self.wires.iter().zip(1..).map(|((role, wire), number)| {
            let (kind, watts, more) = match role {
                Role::Meter => ("grid_meter", 23_000, String::new()),
                Role::Inverter => (
                    "pv_inverter",
                    PV_WATTS,
                    format!("production_limit = {}\n", self.plan.limits_production),
                ),
                Role::Battery => (
                    "battery_inverter",
                    BATTERY_WATTS,
                    "grid_charging = true\n".to_owned(),
                ),
                Role::Hybrid => (
                    "hybrid_inverter",
                    BATTERY_WATTS,
                    "grid_charging = true\n".to_owned(),
                ),
            };
            let profile = match (self.plan.map, role) {
                (Map::Sungrow, Role::Hybrid) => "profile = \"sungrow.toml\"\n",
                _ => "",
            };
            let capacity = if matches!(role, Role::Battery | Role::Hybrid) {
                "capacity_watt_hours = 10000\n"
            } else {
                ""
            };
            format!(
                "[[device]]\nnumber = {number}\nname = \"{kind}\"\nkind = \"{kind}\"\naddress = \"{}\"\n\
                 timeout_ms = {}\nnameplate_watts = {watts}\n{more}{profile}{capacity}\n",
                wire.address, self.plan.timeout_ms
            )
        });
        let text = format!(
            "[gateway]\nkey = \"gateway.key\"\ndata = \"state\"\nengine = \"{}\"\nsync = false\n\n\
             [broker]\naddress = \"127.0.0.1:1\"\n\n\
             [owner]\nreserve_percent = 20\naccept_unproven_control = true\n{}\n{}",
            key(ENGINE).identity(),
            self.plan.owner,
            devices.collect::<String>()
        );
        AgentConfig::parse(&text, &self.directory.path().join("agent.toml")).unwrap()
    }

    /// The memory, while no agent holds it.
    pub fn outbox(&mut self) -> Outbox {
        self.die();
        Outbox::open(&self.config().gateway.data, key(GATEWAY), false).unwrap()
    }

    /// An instruction of the engine, and the owner's answer to it.
    pub fn asked(&mut self, target: Target, start: i64, end: i64) -> Decision {
        self.asked_with(target, start, end, |_| {})
    }

    pub fn asked_with(
        &mut self,
        target: Target,
        start: i64,
        end: i64,
        change: impl FnOnce(&mut Instruction),
    ) -> Decision {
        let mut outbox = self.outbox();
        let config = self.config();
        self.sequence += 1;
        let mut asked = Instruction {
            sequence: self.sequence,
            gateway: key(GATEWAY).identity(),
            event: format!("event-{}", self.sequence).parse().unwrap(),
            issued_at: self.at(self.now()),
            expires_at: self.at(end),
            start: self.at(start),
            end: self.at(end),
            target,
            program: None,
            price: None,
        };
        change(&mut asked);
        let signed = Instruction::open(&asked.seal(&key(ENGINE)).unwrap()).unwrap();
        let judge = Judge {
            engine: config.gateway.engine,
            owner: config.owner.clone(),
            home: home::home(&config, &outbox).unwrap(),
            clock: self.clock,
        };
        let now = self.at(self.now());
        let until = outbox.opted_out_until().unwrap();
        let decision = judge.decide(&signed.message, until, now);
        outbox.admit(&signed, decision, now).unwrap();
        decision
    }

    /// The agent is started, unless it lives.
    pub fn wake(&mut self) {
        if self.life.is_some() {
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let pace = Pace {
            tick_seconds: u32::try_from(self.plan.tick_seconds).unwrap(),
            resend_after: Duration::from_secs(60),
        };
        let config = self.config();
        let agent = runtime.block_on(async { Agent::start(config, key(GATEWAY), pace).unwrap() });
        self.life = Some((runtime, agent));
    }

    /// As kill −9 would: nothing is given back, and what its tasks were about stays undone.
    pub fn die(&mut self) {
        if let Some((runtime, agent)) = self.life.take() {
            drop(agent);
            runtime.shutdown_background();
        }
    }

    /// An orderly end.
    pub fn stop(&mut self) {
        let now = self.at(self.now());
        if let Some((runtime, agent)) = self.life.take() {
            runtime.block_on(agent.stop(Some(now))).unwrap();
        }
    }

    /// A tick of the agent at the present of the house.
    pub fn tick(&mut self) -> Ticked {
        self.wake();
        let (now, clock) = (self.at(self.now()), self.clock);
        let book = Arc::clone(&self.book);
        let Some((runtime, agent)) = &mut self.life else {
            return Ticked::StruckDead;
        };
        let ticked = runtime.block_on(async {
            tokio::select! {
                biased;
                () = book.fallen.notified() => Ticked::StruckDead,
                done = agent.tick(now, clock) => {
                    done.unwrap();
                    Ticked::Done
                }
            }
        });
        if ticked == Ticked::StruckDead {
            self.die();
        }
        ticked
    }

    /// Nobody looks at the house until then.
    pub fn pass_until(&mut self, seconds: i64) {
        self.home.advance_to(self.plan.start + seconds);
    }

    /// Ticks as often as it should, up to and at that time, unless it is struck dead.
    pub fn live_until(&mut self, seconds: i64) -> Ticked {
        self.live_and_look(seconds, |_| {})
    }

    /// As [`House::live_until`], looking at the house just before each tick: what came of the one before.
    pub fn live_and_look(&mut self, seconds: i64, mut look: impl FnMut(&mut Self)) -> Ticked {
        loop {
            look(self);
            if self.tick() == Ticked::StruckDead {
                return Ticked::StruckDead;
            }
            if self.now() >= seconds {
                return Ticked::Done;
            }
            self.pass_until((self.now() + self.plan.tick_seconds).min(seconds));
        }
    }

    pub fn battery(&self) -> &Device {
        let hybrid = || self.home.device(Role::Hybrid);
        self.home.device(Role::Battery).or_else(hybrid).unwrap()
    }

    /// What the battery's registers ask of it, in milliwatts, where they force anything.
    pub fn expressed(&self) -> Option<i64> {
        let value = |model, point| self.battery().value(model, point);
        match self.plan.map {
            Map::Storage => {
                let (out, into) = (value(124, "OutWRte")?, value(124, "InWRte")?);
                let is_forced = value(124, "StorCtl_Mod") == Some(3) && out == -into;
                is_forced.then_some(out * i64::from(BATTERY_WATTS) / 10)
            }
            Map::Der | Map::Hybrid => {
                let is_forced = value(704, "WSetEna") == Some(1);
                value(704, "WSet")
                    .filter(|_| is_forced)
                    .map(|watts| watts * 1_000)
            }
            Map::Sungrow => {
                let registers = self.battery().registers();
                let shown = |address| registers.read(Table::Holding, address, 1).unwrap()[0];
                let watts = i64::from(shown(SUNGROW_POWER)) * 1_000;
                match (shown(SUNGROW_MODE), shown(SUNGROW_COMMAND)) {
                    (2, 0xAA) => Some(-watts),
                    (2, 0xBB) => Some(watts),
                    _ => None,
                }
            }
        }
    }

    /// The registers that can be set, of all devices.
    pub fn setting(&self) -> Vec<(String, Vec<u16>)> {
        let mut setting = Vec::new();
        for device in self.home.devices() {
            let name = device.name();
            let registers = device.registers();
            for &(model, point, words) in POINTS {
                if let Some(address) = device.address(model, point) {
                    let shown = registers.read(Table::Holding, address, words).unwrap().to_vec();
                    setting.push((format!("{name} {model}.{point}"), shown));
                }
            }
            if self.plan.map == Map::Sungrow && device.role() == Some(Role::Hybrid) {
                for (address, count) in Controls::registers_of(&sungrow()) {
                    let shown = registers.read(Table::Holding, address, count).unwrap().to_vec();
                    setting.push((format!("{name} {address}"), shown));
                }
            }
        }
        setting
    }

    /// Somebody sets a register of a device himself.
    pub fn set_by_hand(&self, role: Role, model: u16, point: &str, value: i32) {
        set_by_hand(&self.home, role, model, point, value);
    }

    /// All that was told, in the order in which it was signed.
    pub fn story(&mut self) -> Story {
        let outbox = self.outbox();
        let start = self.plan.start;
        let outgoing = outbox.outgoing_after(0, 10_000).unwrap();
        let told = outgoing
            .iter()
            .filter_map(|message| Acknowledgement::open(&message.envelope).ok());
        let gateway = key(GATEWAY).identity();
        let told = told.inspect(|told| assert_eq!(told.signer, gateway));
        Story::of(
            told.map(|told| {
                let Acknowledgement {
                    instruction,
                    at,
                    stage,
                } = told.message;
                (instruction, at.unix() - start, stage)
            })
            .collect(),
        )
    }
}

/// What a client may set: model, point, and its words.
pub const POINTS: &[(u16, &str, u16)] = &[
    (123, "Conn", 1),
    (123, "WMaxLimPct", 1),
    (123, "WMaxLimPct_WinTms", 1),
    (123, "WMaxLimPct_RvrtTms", 1),
    (123, "WMaxLimPct_RmpTms", 1),
    (123, "WMaxLim_Ena", 1),
    (124, "StorCtl_Mod", 1),
    (124, "MinRsvPct", 1),
    (124, "OutWRte", 1),
    (124, "InWRte", 1),
    (124, "InOutWRte_WinTms", 1),
    (124, "InOutWRte_RvrtTms", 1),
    (124, "InOutWRte_RmpTms", 1),
    (124, "ChaGriSet", 1),
    (704, "WMaxLimPctEna", 1),
    (704, "WMaxLimPct", 1),
    (704, "WMaxLimPctRvrt", 1),
    (704, "WMaxLimPctEnaRvrt", 1),
    (704, "WMaxLimPctRvrtTms", 2),
    (704, "WSetEna", 1),
    (704, "WSetMod", 1),
    (704, "WSet", 2),
    (704, "WSetRvrt", 2),
    (704, "WSetPct", 1),
    (704, "WSetPctRvrt", 1),
    (704, "WSetEnaRvrt", 1),
    (704, "WSetRvrtTms", 2),
];

/// Somebody sets a register of a device himself.
pub fn set_by_hand(home: &Home, role: Role, model: u16, point: &str, value: i32) {
    let device = home.device(role).unwrap();
    let address = device.address(model, point).unwrap();
    let known = POINTS.iter().find(|(m, p, _)| (*m, *p) == (model, point));
    let words = known.map_or(1, |(_, _, words)| *words);
    let [a, b, c, d] = value.to_be_bytes();
    let both = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    let words = &both[2 - usize::from(words)..];
    let answer = device.answer(&Request::WriteMultipleRegisters(address, Cow::Borrowed(words)));
    assert!(matches!(answer, Answer::Reply(_)), "{model}.{point}: {answer:?}");
}
