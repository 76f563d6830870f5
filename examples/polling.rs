//! What the agent's reading costs: its bus against a bare client, a thousand devices at 1 Hz, its memory.
//!
//! `cargo run --release --example polling [seconds]`
//!
//! The devices live in a process of their own (this program again), so that the figures are the agent's.
//! Every reading is checked: a wrong one ends the run.

use std::error::Error;
use std::io::{BufRead, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gridtally_edge::config::{AgentConfig, DeviceConfig};
use gridtally_edge::device::bus::{Bus, BusSettings, Table};
use gridtally_edge::device::endpoint::Endpoint;
use gridtally_edge::device::{self, Observed};
use gridtally_protocol::time::Timestamp;
use gridtally_simulators::{Home, HomeSpec, Role};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_modbus::client::{Reader as _, tcp};
use tokio_modbus::slave::Slave;

const DEVICES: usize = 1_000;
const START: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z
/// ID and L of model 103 behind model 1; the model and its header.
const ADDRESS: u16 = 40_070;
const REGISTERS: u16 = 52;
const ROUNDS: usize = 7;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "devices") {
        return devices(arguments.get(1).ok_or("how many?")?.parse()?);
    }
    let seconds: u64 = arguments.first().map_or(Ok(10), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    println!("resident before anything: {}", memory()?);
    runtime.block_on(async {
        bus_against_bare(seconds).await?;
        a_thousand(seconds, Phase::Spread).await?;
        a_thousand(seconds, Phase::AtOnce).await
    })
}

/// Serves so many devices on sockets of their own, names the ports, and ends with its standard input.
fn devices(count: usize) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let homes: Vec<Home> = (0..)
        .take(count)
        .map(|seed| Home::new(HomeSpec::draw(seed), START))
        .collect();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let served = runtime.block_on(async {
        let mut served = Vec::new();
        for home in &homes {
            let inverter = home.device(Role::Inverter).ok_or("every drawn home has one")?;
            served.push(inverter.serve(any).await?);
        }
        Ok::<_, Box<dyn Error>>(served)
    })?;
    for server in &served {
        println!("{}", server.address().port());
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

struct Devices(Child, Vec<u16>);

impl Devices {
    fn start(count: usize) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["devices", &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let told = child.stdout.take().ok_or("it has a standard output")?;
        let mut ports = Vec::new();
        for line in BufReader::new(told).lines() {
            match line?.as_str() {
                "ready" => return Ok(Self(child, ports)),
                port => ports.push(port.parse()?),
            }
        }
        Err("the devices ended before they were ready".into())
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The same reads of one device, in turn by tokio-modbus alone and through the agent's bus.
async fn bus_against_bare(seconds: u64) -> Done {
    let devices = Devices::start(1)?;
    let address = format!("127.0.0.1:{}", devices.1[0]);
    let span = Duration::from_secs(seconds).div_f64(2.0 * ROUNDS as f64);
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let mut bare = tcp::attach_slave(stream, Slave(1));
    let unit = Bus::start(Endpoint::Tcp(address), BusSettings::default()).unit(1, Duration::from_secs(1));
    let mut ratios = Vec::new();
    let (mut all_bare, mut all_bus) = (0_u64, 0_u64);
    for _ in 0..ROUNDS {
        let (mut by_bare, mut by_bus) = (0_u64, 0_u64);
        let end = Instant::now() + span;
        while Instant::now() < end {
            let words = bare.read_holding_registers(ADDRESS, REGISTERS).await??;
            right(&words)?;
            by_bare += 1;
        }
        let end = Instant::now() + span;
        while Instant::now() < end {
            let answer = unit
                .read(Table::Holding, ADDRESS, REGISTERS, Timestamp::EPOCH, true)
                .await?;
            right(&answer.words)?;
            by_bus += 1;
        }
        ratios.push(by_bus as f64 / by_bare as f64);
        all_bare += by_bare;
        all_bus += by_bus;
    }
    ratios.sort_by(f64::total_cmp);
    let rate = |count: u64| count as f64 / (span.as_secs_f64() * ROUNDS as f64);
    println!(
        "one device, {REGISTERS} registers a read: bare tokio-modbus {:.0} reads/s, the agent's bus {:.0} reads/s; \
         bus over bare in {ROUNDS} rounds: min {:.2}, median {:.2}, max {:.2}",
        rate(all_bare),
        rate(all_bus),
        ratios[0],
        ratios[ROUNDS / 2],
        ratios[ROUNDS - 1]
    );
    Ok(())
}

fn right(words: &[u16]) -> Done {
    if words.len() == usize::from(REGISTERS) && words[0] == 103 {
        return Ok(());
    }
    Err(format!("a wrong reading: {words:?}").into())
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Each device at a time of its own within the second.
    Spread,
    /// All at the full second, as at the end of an interval.
    AtOnce,
}

/// All devices once a second, through the drivers, as the agent reads them.
async fn a_thousand(seconds: u64, phase: Phase) -> Done {
    let served = Devices::start(DEVICES)?;
    let model = configured(served.1[0])?;
    let configs: Vec<DeviceConfig> = served
        .1
        .iter()
        .map(|port| DeviceConfig {
            endpoint: Endpoint::Tcp(format!("127.0.0.1:{port}")),
            ..model.clone()
        })
        .collect();
    let before = memory()?;
    let mut devices = device::start(&configs)?;
    // The first round finds the maps.
    let now = Timestamp::from_unix(START)?;
    for chunk in devices.chunks_mut(32) {
        let observing: Vec<_> = chunk.iter_mut().map(|device| device.observe(now, true)).collect();
        for device in observing {
            drop(device.finish().await);
        }
    }
    let cpu = cpu_seconds()?;
    let began = Instant::now() + Duration::from_millis(100);
    let mut tasks = Vec::new();
    for (index, mut device) in devices.into_iter().enumerate() {
        let offset = match phase {
            Phase::Spread => Duration::from_micros(u64::try_from(index * 1_000_000 / DEVICES)?),
            Phase::AtOnce => Duration::ZERO,
        };
        tasks.push(tokio::spawn(async move {
            let mut lateness = Vec::new();
            for second in 0..seconds {
                let due = began + offset + Duration::from_secs(second);
                sleep_until(due).await;
                let snapshot = device.observe(now, true).finish().await;
                let is_read = snapshot
                    .channels
                    .iter()
                    .all(|(_, seen)| matches!(seen, Ok(Observed::Counter(_))));
                if !is_read || snapshot.live.pv.is_none() {
                    return Err(format!("device {index} was not read: {snapshot:?}"));
                }
                lateness.push(due.elapsed());
            }
            Ok(lateness)
        }));
    }
    let mut lateness = Vec::new();
    for task in tasks {
        lateness.extend(task.await??);
    }
    lateness.sort_unstable();
    let at = |permille: usize| lateness[(lateness.len() - 1) * permille / 1_000];
    let took = began.elapsed().as_secs_f64();
    println!(
        "{DEVICES} devices at 1 Hz, {phase:?}: answered after {:.1?} (median), {:.1?} (99 %), {:.1?} (all); \
         {:.2} cores; resident {} (before: {before})",
        at(500),
        at(990),
        at(1_000),
        (cpu_seconds()? - cpu) / took,
        memory()?
    );
    Ok(())
}

fn configured(port: u16) -> Result<DeviceConfig, Box<dyn Error>> {
    let text = format!(
        "[gateway]\nkey = \"k\"\ndata = \"d\"\nengine = \"did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw\"\n\
         [broker]\naddress = \"127.0.0.1:1883\"\n[owner]\nreserve_percent = 0\n[[device]]\nnumber = 1\n\
         name = \"roof\"\nkind = \"pv_inverter\"\naddress = \"127.0.0.1:{port}\"\nnameplate_watts = 6000\n"
    );
    let config = AgentConfig::parse(&text, Path::new("agent.toml"))?;
    config
        .devices
        .into_iter()
        .next()
        .ok_or_else(|| "one device".into())
}

/// What is resident, of this process.
fn memory() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.unwrap_or("unknown").trim().to_owned())
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / 100.0)
}
