//! A home on real sockets and lines, the agent's own device tasks before it, and a twin of it that shares its
//! lies and none of its other faults, which is what the agent is held against.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gridtally_edge::config::AgentConfig;
use gridtally_edge::device::{self, Observed};
use gridtally_protocol::channel::{Channel, DeviceNumber, Missing, Quantity};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::time::Timestamp;
use gridtally_simulators::{Device, Fault, Home, HomeSpec, Layer, Line, Role, Schedule, Server};
use tokio::time::timeout;

use crate::truth;

/// 2026-06-21T10:00:00Z: sunshine, and all counters run.
pub const MORNING: i64 = 1_782_036_000;
/// Long enough for a machine under load; nothing waits for it when all is well.
pub const DEADLINE: Duration = Duration::from_secs(40);
/// How long the agent waits for an answer of a device that may be broken.
pub const TIMEOUT_MS: u16 = 300;
/// For the device on a socket of its own, which no load of the machine may make late.
const PATIENT_MS: u16 = 20_000;

/// What the devices of a home hang on. The panels always have a socket of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wiring {
    /// Battery and meter have a socket each.
    Sockets,
    /// Battery and meter are behind one socket.
    Gateway,
    /// Battery and meter are on one serial line.
    Line,
}

/// The devices of a home, as the agent numbers them.
pub const METER: usize = 0;
pub const PANELS: usize = 1;
pub const BATTERY: usize = 2;
const ROLES: [Role; 3] = [Role::Meter, Role::Inverter, Role::Battery];
const KINDS: [&str; 3] = ["grid_meter", "pv_inverter", "battery_inverter"];

/// What the channels of a device showed.
pub type Shown = Vec<(Quantity, Result<Observed, Missing>)>;

pub struct House {
    home: Home,
    twin: Home,
    agent: Vec<device::Device>,
    /// Who each device said that it is.
    identities: BTreeMap<usize, u64>,
    served: Served,
}

/// Where devices are, for as long as it is kept.
pub struct Served {
    pub places: [String; 3],
    #[expect(dead_code, reason = "kept, not asked")]
    pub by: Vec<Box<dyn Any + Send>>,
}

/// What the agent is told of its devices besides.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    pub timeouts_ms: [u16; 3],
    pub lines: [&'a str; 3],
}

impl Default for Told<'_> {
    fn default() -> Self {
        Self {
            timeouts_ms: [TIMEOUT_MS, PATIENT_MS, TIMEOUT_MS],
            lines: [""; 3],
        }
    }
}

/// A home and its twin. Meter, panels and battery are units 1, 2 and 3, unless the spec has other ideas.
pub struct Homes {
    pub home: Home,
    twin: Home,
}

impl Homes {
    pub fn new(mut spec: HomeSpec) -> Self {
        for (unit, role) in (1..).zip(ROLES) {
            let device = spec.device_mut(role).unwrap();
            if device.unit == 1 {
                device.unit = unit;
            }
        }
        let (mut home, mut twin) = (Home::new(spec.clone(), MORNING), Home::new(spec, MORNING));
        home.advance_to(MORNING + 60);
        twin.advance_to(MORNING + 60);
        Self { home, twin }
    }

    pub fn device(&self, index: usize) -> Device {
        self.home.device(ROLES[index]).unwrap().clone()
    }

    pub async fn serve(&self, wiring: Wiring) -> Served {
        let panels = bind(vec![self.device(PANELS)]).await;
        let mut places = [(); 3].map(|()| format!("tcp://{}", panels.address()));
        let mut by: Vec<Box<dyn Any + Send>> = vec![Box::new(panels)];
        let shared = || vec![self.device(METER), self.device(BATTERY)];
        match wiring {
            Wiring::Sockets => {
                for index in [METER, BATTERY] {
                    let server = bind(vec![self.device(index)]).await;
                    places[index] = format!("tcp://{}", server.address());
                    by.push(Box::new(server));
                }
            }
            Wiring::Gateway => {
                let server = bind(shared()).await;
                places[METER] = format!("tcp://{}", server.address());
                by.push(Box::new(server));
            }
            Wiring::Line => {
                let server = Server::open(&Line::Pty { link: None }, shared()).unwrap();
                places[METER] = format!("rtu://{}?baud=115200", server.path().unwrap().display());
                by.push(Box::new(server));
            }
        }
        if wiring != Wiring::Sockets {
            places[BATTERY] = places[METER].clone();
        }
        Served { places, by }
    }
}

impl House {
    pub async fn new(spec: HomeSpec, wiring: Wiring) -> Self {
        let homes = Homes::new(spec);
        let served = homes.serve(wiring).await;
        let mut told = Told::default();
        if wiring == Wiring::Sockets {
            told.timeouts_ms[METER] = PATIENT_MS;
        }
        Self::of(homes, served, told)
    }

    pub fn of(homes: Homes, served: Served, told: Told<'_>) -> Self {
        let devices = (0..3).map(|index| {
            format!(
                "[[device]]\nnumber = {}\nname = \"{}\"\nkind = \"{}\"\naddress = \"{}\"\nunit = {}\n\
                 timeout_ms = {}\nnameplate_watts = 20000\n{}\n",
                index + 1,
                KINDS[index],
                KINDS[index],
                served.places[index],
                homes.device(index).unit(),
                told.timeouts_ms[index],
                told.lines[index],
            )
        });
        Self {
            agent: device::start(&config(&devices.collect::<String>()).devices).unwrap(),
            home: homes.home,
            twin: homes.twin,
            identities: BTreeMap::new(),
            served,
        }
    }

    /// Where the device is, of one that is on a socket.
    pub fn address(&self, index: usize) -> &str {
        self.served.places[index].split_once("://").unwrap().1
    }

    pub fn device(&self, index: usize) -> &Device {
        self.home.device(ROLES[index]).unwrap()
    }

    /// Puts a fault on; what it makes registers say, it makes those of the twin say.
    pub fn inject(&self, index: usize, fault: Fault) {
        self.device(index).inject(fault);
        if fault.layer() == Layer::Value {
            self.twin.device(ROLES[index]).unwrap().inject(fault);
        }
    }

    /// Puts a fault on for a while, as [`House::inject`] does.
    pub fn plan(&self, index: usize, fault: Fault, when: &Schedule) {
        self.device(index).plan(fault, when.clone());
        if fault.layer() == Layer::Value {
            self.twin.device(ROLES[index]).unwrap().plan(fault, when.clone());
        }
    }

    /// Takes all faults off a device.
    pub fn mend(&self, index: usize) {
        self.device(index).clear_faults();
        self.twin.device(ROLES[index]).unwrap().clear_faults();
    }

    /// Time passes, and the agent reads all devices at once.
    ///
    /// # Errors
    /// What it believed and was not so, or what it did that it never should.
    pub async fn look_after(&mut self, seconds: i64) -> Result<Vec<Shown>, String> {
        let now = self.home.now() + seconds;
        self.home.advance_to(now);
        self.twin.advance_to(now);
        let at = Timestamp::from_unix(now).unwrap();
        let begun: Vec<_> = self
            .agent
            .iter_mut()
            .map(|device| device.observe(at, true))
            .collect();
        let mut all = Vec::new();
        for (index, observing) in begun.into_iter().enumerate() {
            let snapshot = timeout(DEADLINE, observing.finish())
                .await
                .map_err(|_| format!("{}: no end of reading within {DEADLINE:?}", KINDS[index]))?;
            let complaint = snapshot.complaint.unwrap_or_default();
            if complaint.contains("a fault of the agent") {
                return Err(format!("{}: {complaint}", KINDS[index]));
            }
            let mut shown = Shown::new();
            for (channel, seen) in snapshot.channels {
                if let Ok(observed) = seen {
                    self.check(index, channel, observed)?;
                }
                shown.push((channel.quantity, seen));
            }
            all.push(shown);
        }
        Ok(all)
    }

    pub fn look(&mut self) -> impl Future<Output = Result<Vec<Shown>, String>> {
        self.look_after(300)
    }

    /// Whether what was believed is what the device said.
    fn check(&mut self, index: usize, channel: Channel, observed: Observed) -> Result<(), String> {
        let quantity = channel.quantity;
        if channel.device != DeviceNumber(u8::try_from(index + 1).unwrap()) {
            return Err(format!("{} answered for {channel:?}", KINDS[index]));
        }
        let twin = self.twin.device(ROLES[index]).unwrap();
        let said = truth::said(&twin.registers(), &twin.seen_registers(), quantity);
        let (value, who) = truth::apart(observed);
        let device = self.device(index);
        let is_making_it_up = || {
            device.active_faults().contains(&Fault::Nonsense) && truth::might_be_said(device, quantity, value)
        };
        if said != Some(value) && !is_making_it_up() {
            return Err(format!(
                "{}: {quantity} was believed to be {value:?}, and its registers say {said:?}",
                KINDS[index]
            ));
        }
        if let Some(who) = who
            && *self.identities.entry(index).or_insert(who) != who
        {
            return Err(format!("{} was taken for another device", KINDS[index]));
        }
        Ok(())
    }

    /// Looks until everything of the device is read.
    ///
    /// # Errors
    /// If it is not within so many looks, or as [`House::look_after`].
    pub async fn until_read(&mut self, index: usize, looks: usize) -> Result<usize, String> {
        let mut last = Shown::new();
        for look in 1..=looks {
            last = self.look().await?.swap_remove(index);
            if is_read(&last) {
                return Ok(look);
            }
        }
        Err(format!(
            "{} is not read within {looks} looks: {last:?}",
            KINDS[index]
        ))
    }
}

/// Whether every channel has a value.
pub fn is_read(shown: &Shown) -> bool {
    !shown.is_empty() && shown.iter().all(|(_, seen)| seen.is_ok())
}

/// Whether no channel has one.
pub fn is_missing(shown: &Shown) -> bool {
    !shown.is_empty() && shown.iter().all(|(_, seen)| seen.is_err())
}

pub async fn bind(devices: Vec<Device>) -> Server {
    Server::bind(([127, 0, 0, 1], 0).into(), devices).await.unwrap()
}

/// The agent's config with these `[[device]]` tables.
pub fn config(devices: &str) -> AgentConfig {
    let engine = SigningIdentity::from_secret(&[1; 32]).unwrap().identity();
    let text = format!(
        "[gateway]\nkey = \"k\"\ndata = \"d\"\nengine = \"{engine}\"\n[broker]\naddress = \"b:1\"\n\
         [owner]\nreserve_percent = 0\n{devices}"
    );
    AgentConfig::parse(&text, Path::new("agent.toml")).unwrap()
}
