//! A house whose time is the real one, with the agent as a process in it, and beside it the same house without.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gridtally_protocol::identity::{Identity, SigningIdentity};
use gridtally_protocol::time::Timestamp;
use gridtally_simulators::{
    Generation, Home, HomeSpec, LoadProfile, Location, Phases, ProfileSeries, Role, ServedHome, Table,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};

use crate::DEADLINE;

const SECRET: [u8; 32] = [1; 32];
/// Between two looks at the clock, or at what is waited for.
const LOOK: Duration = Duration::from_millis(50);
/// All points of model 704 that a client may set, with their words.
const SETTINGS: [(&str, u16); 13] = [
    ("WMaxLimPctEna", 1),
    ("WMaxLimPct", 1),
    ("WMaxLimPctRvrt", 1),
    ("WMaxLimPctEnaRvrt", 1),
    ("WMaxLimPctRvrtTms", 2),
    ("WSetEna", 1),
    ("WSetMod", 1),
    ("WSet", 2),
    ("WSetRvrt", 2),
    ("WSetPct", 1),
    ("WSetPctRvrt", 1),
    ("WSetEnaRvrt", 1),
    ("WSetRvrtTms", 2),
];

/// Whose agent it is.
pub fn identity() -> Identity {
    SigningIdentity::from_secret(&SECRET).unwrap().identity()
}

/// Unix seconds of the system's clock.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

pub fn at(unix_seconds: i64) -> Timestamp {
    Timestamp::from_unix(unix_seconds).unwrap()
}

/// The house, and its twin in which no agent ever was.
struct Twins {
    home: Home,
    twin: Home,
}

pub struct House {
    twins: Arc<Mutex<Twins>>,
    time: JoinHandle<()>,
    _served: ServedHome,
    directory: TempDir,
    agent: Child,
}

impl House {
    /// Starts the agent, and waits until its page is there.
    pub async fn start(broker: SocketAddr, engine: Identity) -> Self {
        let (spec, start) = (spec(), now());
        let home = Home::new(spec.clone(), start);
        let served = home.serve().await.unwrap();
        let twins = Arc::new(Mutex::new(Twins {
            home,
            twin: Home::new(spec.clone(), start),
        }));
        let directory = tempfile::tempdir().unwrap();
        let secret = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(directory.path().join("gateway.key"));
        let digits: String = SECRET.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(secret.unwrap(), "{digits}").unwrap();
        let config = config(&spec, &served, broker, engine);
        fs::write(directory.path().join("agent.toml"), config).unwrap();
        let agent = Command::new(env!("CARGO_BIN_EXE_gridtally"))
            .args(["edge", "run", "--config", "agent.toml"])
            .current_dir(directory.path())
            .env("RUST_LOG", "gridtally_edge=info")
            .stdin(Stdio::null())
            .stderr(File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let house = Self {
            time: tokio::spawn(time_passes(Arc::clone(&twins))),
            twins,
            _served: served,
            directory,
            agent,
        };
        house
            .until("the page is there", |house| house.address().is_some())
            .await;
        house
    }

    /// Waits until it is so.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < DEADLINE, "in vain: {what}\n{}", self.log());
            sleep(LOOK).await;
        }
    }

    /// Where the owner's browser looks.
    pub fn page(&self) -> String {
        format!("http://{}", self.address().unwrap())
    }

    /// What the owner reads in the log to set the first password.
    pub fn code(&self) -> String {
        let log = self.log();
        let (_, code) = log.split_once("with the code ").expect("a code in the log");
        code.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect()
    }

    fn address(&self) -> Option<SocketAddr> {
        let log = self.log();
        let (_, rest) = log.split_once("page is at http://")?;
        rest.split_once('/')?.0.parse().ok()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// What can be set on the battery.
    pub fn setting(&self) -> Vec<(&'static str, Vec<u16>)> {
        let twins = self.twins.lock().unwrap();
        let battery = twins.home.battery_inverter();
        let registers = battery.registers();
        let shown = SETTINGS.iter().map(|(point, words)| {
            let address = battery.address(704, point).unwrap();
            let shown = registers.read(Table::Holding, address, *words).unwrap();
            (*point, shown.to_vec())
        });
        shown.collect()
    }

    /// By how much the battery gives something else than that of the twin.
    pub fn strays_by_watts(&self) -> u64 {
        let twins = self.twins.lock().unwrap();
        let (ours, its) = (twins.home.flow().battery, twins.twin.flow().battery);
        ours.abs_diff(its) / 1_000
    }

    /// Whether the battery gives these watts, or as good as.
    pub fn battery_is_within(&self, watts: i64, of: u64) -> bool {
        let given = self.twins.lock().unwrap().home.flow().battery;
        given.abs_diff(watts * 1_000) <= of * 1_000
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.time.abort();
        drop(self.agent.kill());
        drop(self.agent.wait());
    }
}

async fn time_passes(twins: Arc<Mutex<Twins>>) {
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        let mut twins = twins.lock().unwrap();
        let now = now();
        twins.home.advance_to(now);
        twins.twin.advance_to(now);
    }
}

/// A house on the equator, where it is an hour to noon whenever this runs, with a household of 1,800 W.
fn spec() -> HomeSpec {
    let mut spec = HomeSpec::draw(7);
    let before_noon = 43_200 - 3_600 - i32::try_from(now().rem_euclid(86_400)).unwrap();
    spec.location = Location {
        latitude: 0.0,
        longitude: f64::from(before_noon) / 240.0,
    };
    (spec.pv.peak_watts, spec.pv.nameplate_watts, spec.pv.tilt_degrees) = (1_500, 1_500, 10.0);
    spec.battery.capacity_watt_hours = 10_000;
    spec.battery.power_watts = 5_000;
    spec.battery.reserve_permille = 100;
    spec.battery.initial_soc_permille = 600;
    let csv = "instant,watts\n2026-01-01T00:00:00Z,1800\n2026-01-01T00:30:00Z,1800\n";
    spec.load.profile = LoadProfile::File(Arc::new(ProfileSeries::parse("load", csv).unwrap()));
    (spec.load.shift_weeks, spec.load.scale_permille) = (0, 1_000);
    for device in spec
        .devices
        .iter_mut()
        .filter(|device| device.role != Role::Meter)
    {
        device.speak(Generation::Ieee1547, Phases::Three);
    }
    spec
}

fn config(spec: &HomeSpec, served: &ServedHome, broker: SocketAddr, engine: Identity) -> String {
    let device = |number: u8, name: &str, kind: &str, role: Role, address: SocketAddr, watts: u32| {
        let unit = spec
            .devices
            .iter()
            .find(|device| device.role == role)
            .unwrap()
            .unit;
        format!(
            "[[device]]\nnumber = {number}\nname = \"{name}\"\nkind = \"{kind}\"\naddress = \"{address}\"\n\
             unit = {unit}\nnameplate_watts = {watts}\n"
        )
    };
    let ServedHome {
        pv_inverter,
        battery_inverter,
        grid_meter,
    } = served;
    let devices = [
        device(
            1,
            "grid meter",
            "grid_meter",
            Role::Meter,
            grid_meter.address(),
            23_000,
        ),
        device(
            2,
            "roof",
            "pv_inverter",
            Role::Inverter,
            pv_inverter.address(),
            1_500,
        ),
        device(
            3,
            "battery",
            "battery_inverter",
            Role::Battery,
            battery_inverter.address(),
            5_000,
        ),
    ];
    format!(
        "[gateway]\nkey = \"gateway.key\"\ndata = \"state\"\nengine = \"{engine}\"\n\n\
         [broker]\naddress = \"{broker}\"\n\n[page]\nlisten = \"127.0.0.1:0\"\nzone = \"Europe/London\"\n\n\
         [owner]\nreserve_percent = 20\naccept_unproven_control = true\n\n{}capacity_watt_hours = 10000\n",
        devices.concat()
    )
}
