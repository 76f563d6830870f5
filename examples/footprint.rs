//! What an agent costs its home: memory, bytes on the wire, bytes on the disk.
//!
//! `cargo build --release --workspace && cargo run --release --example footprint [days [agent]]`
//!
//! A home with a meter, an inverter and a battery at 5-minute intervals, twelve of them in a report, with a real
//! broker and engine. Wire: what passes between agent and broker, receipts and pings included, without the
//! headers of TCP and IP and without TLS. Disk: `write_bytes` of `/proc/PID/io`, with the system's write-back
//! after each interval played by a sync of the agent's files. Memory: the agent in real time with its page asked for,
//! as the release profile builds it, or as the path `agent` names it: `target/agent/gridtally-edge`, built by
//! `cargo build --profile agent -p gridtally-edge`, is the one that is packaged for homes.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gridtally::neighbourhood::Neighbourhood;
use gridtally::neighbourhood::scenario::{Scenario, Span};
use gridtally_protocol::time::IntervalLength;

const DAY: i64 = 86_400;
/// How long the agent runs in real time before its memory is taken.
const REAL_TIME: Duration = Duration::from_secs(60);

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let days: i64 = std::env::args().nth(1).map_or(Ok(2), |text| text.parse())?;
    let program = beside_this("gridtally")?;
    let agent = match std::env::args().nth(2) {
        Some(path) => path.into(),
        None => beside_this("gridtally-edge")?,
    };
    let place = std::env::temp_dir().join(format!("gridtally-footprint-{}", std::process::id()));
    let outcome = measure(&program, &agent, &place, days);
    drop(fs::remove_dir_all(&place));
    outcome
}

fn measure(program: &Path, agent: &Path, place: &Path, days: i64) -> Done {
    let scenario = quiet_days(days)?;
    let mut neighbourhood = Neighbourhood::start(scenario.clone(), place, program)?;
    let files = place.join("home-01/state");
    // The first day warms up: the store is made, the devices are found.
    let measured_from = scenario.start.checked_add(DAY).ok_or("beyond all years")?;
    let (mut wire, mut disk) = (0, 0);
    for now in scenario.steps() {
        neighbourhood.step(now)?;
        write_back(&files)?;
        if now == measured_from {
            (wire, disk) = (carried(&neighbourhood)?, written(&neighbourhood)?);
        }
    }
    let per_day = |total: u64| total / u64::try_from(days).unwrap_or(1).max(1);
    println!(
        "wire: {} bytes a home and day, both ways",
        per_day(carried(&neighbourhood)? - wire)
    );
    println!(
        "disk: {} bytes a home and day",
        per_day(written(&neighbourhood)? - disk)
    );
    // The agent goes on in real time; broker, engine and devices stay.
    neighbourhood.end_agents();
    let page = listen_on(&place.join("home-01/agent.toml"))?;
    let agent = Agent::start(agent, &place.join("home-01"))?;
    let began = Instant::now();
    while began.elapsed() < REAL_TIME {
        ask(page).map_err(|e| format!("its page does not answer: {e}"))?;
        std::thread::sleep(Duration::from_secs(5));
    }
    println!(
        "memory: {} with 3 devices, after {} s in real time with its page asked every 5 s",
        agent.resident()?,
        began.elapsed().as_secs()
    );
    drop(agent);
    neighbourhood.stop();
    Ok(())
}

/// A home, a day to warm up and the days that are measured, nothing else.
fn quiet_days(days: i64) -> Result<Scenario, Box<dyn Error>> {
    let mut scenario = Scenario::small(2026);
    scenario.homes = 1;
    scenario.interval = IntervalLength::FIVE_MINUTES;
    scenario.intervals_per_report = 12;
    scenario.end = scenario
        .start
        .checked_add((days + 1) * DAY)
        .ok_or("beyond all years")?;
    scenario.nonsense = None;
    scenario.event.announced_at = scenario.end.checked_add(DAY).ok_or("beyond all years")?;
    // Its line goes through a relay, which is never cut.
    let never = Span {
        from: scenario.event.announced_at,
        until: scenario.event.announced_at,
    };
    scenario.offline = Some((1, never));
    Ok(scenario)
}

fn carried(neighbourhood: &Neighbourhood) -> Result<u64, Box<dyn Error>> {
    let relay = neighbourhood.homes().first().and_then(|home| home.relay());
    Ok(relay.ok_or("the home has a relay")?.carried())
}

/// What the agent's process wrote to its disk so far.
fn written(neighbourhood: &Neighbourhood) -> Result<u64, Box<dyn Error>> {
    let home = neighbourhood.homes().first().ok_or("there is a home")?;
    let pid = home.pid().load(Ordering::Relaxed);
    let told = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let line = told.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("the system tells no write_bytes")?.parse()?)
}

/// What the system would write by itself within five minutes.
fn write_back(files: &Path) -> Done {
    for file in fs::read_dir(files)? {
        let path = file?.path();
        if path.is_file() {
            File::open(path)?.sync_all()?;
        }
    }
    Ok(())
}

/// Turns the page on, on a free port.
fn listen_on(config: &Path) -> Result<SocketAddr, Box<dyn Error>> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let text = fs::read_to_string(config)?;
    fs::write(config, format!("{text}\n[page]\nlisten = \"{address}\"\n"))?;
    Ok(address)
}

/// Waits for the page, asks for it, and takes it whole.
fn ask(page: SocketAddr) -> std::io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut stream = loop {
        match TcpStream::connect(page) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n").as_bytes())?;
    std::io::copy(&mut stream, &mut std::io::sink())?;
    Ok(())
}

/// The agent as a home runs it.
struct Agent(Child);

impl Agent {
    fn start(program: &Path, home: &Path) -> Result<Self, Box<dyn Error>> {
        let log = File::create(home.join("real-time.log"))?;
        let mut command = Command::new(program);
        command
            .args(["run", "--config"])
            .arg(home.join("agent.toml"))
            .stderr(log);
        Ok(Self(command.spawn()?))
    }

    fn resident(&self) -> Result<String, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let field = |name| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        let (all, own) = field("VmRSS:")
            .zip(field("RssAnon:"))
            .ok_or("the agent has ended; see its log")?;
        Ok(format!("{all} resident, {own} of them its own data,"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A program that was built beside this one.
fn beside_this(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let this = std::env::current_exe()?;
    let built = this
        .parent()
        .and_then(Path::parent)
        .ok_or("no folder of builds")?;
    let program = built.join(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(format!(
        "{} is missing: cargo build --release --workspace",
        program.display()
    )
    .into())
}
