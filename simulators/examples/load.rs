//! A thousand devices in one process, each on its own socket, and how many reads they answer.
//!
//! `cargo run --release -p gridtally-simulators --example load [seconds] [in flight]`
//!
//! The devices live in this process, with their physics moving on once a second. The clients live in
//! another one on the same machine, keep a connection to every device, and read a block of model 103
//! or 203 from one after the other, so many at a time. Each reply is checked: transaction, unit,
//! function, length, and the model's number in it.

use gridtally_simulators::{Home, HomeSpec, Role, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEVICES: usize = 1_000;
const START: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z
const WARM_UP: Duration = Duration::from_secs(2);
/// ID and L of the model behind model 1.
const ADDRESS: u16 = 40_070;
/// The whole of model 103; about half of model 203.
const REGISTERS: u16 = 52;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    raise_the_limit_of_open_files()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("client") => clients(arguments[1].parse()?, arguments[2].parse()?),
        seconds => {
            let seconds: u64 = seconds.map_or(Ok(10), str::parse)?;
            let in_flight: usize = arguments.get(1).map_or(Ok(64), |text| text.parse())?;
            server(seconds, in_flight)
        }
    }
}

/// 1,000 listeners and as many connections are more than a shell's usual 1,024 files.
fn raise_the_limit_of_open_files() -> Result<(), rustix::io::Errno> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
}

fn server(seconds: u64, in_flight: usize) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let began = Instant::now();
    let mut homes: Vec<Home> = (0..)
        .take(DEVICES / 2)
        .map(|seed| Home::new(HomeSpec::draw(seed), START))
        .collect();
    homes.iter_mut().for_each(|home| home.advance_to(START + 60));
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let served: Vec<Server> = runtime.block_on(async {
        let mut served = Vec::with_capacity(DEVICES);
        for home in &homes {
            for role in [Role::Inverter, Role::Meter] {
                let device = home.device(role).ok_or("every drawn home has both")?;
                served.push(device.serve(any).await?);
            }
        }
        Ok::<_, Box<dyn std::error::Error>>(served)
    })?;
    println!(
        "{} devices on as many sockets after {:?}",
        served.len(),
        began.elapsed()
    );

    let (me, client) = (
        std::env::current_exe()?,
        [seconds.to_string(), in_flight.to_string()],
    );
    let mut client = Command::new(me)
        .arg("client")
        .args(client)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ports = client.stdin.take().ok_or("the client has a standard input")?;
    for server in &served {
        writeln!(ports, "{}", server.address().port())?;
    }
    drop(ports);
    let cpu_before = cpu_ticks()?;
    let (mut now, mut moving) = (START + 60, Duration::ZERO);
    while client.try_wait()?.is_none() {
        let tick = Instant::now();
        now += 1;
        homes.iter_mut().for_each(|home| home.advance_to(now));
        moving += tick.elapsed();
        std::thread::sleep(Duration::from_secs(1).saturating_sub(tick.elapsed()));
    }
    let told = client.stdout.take().ok_or("the client has a standard output")?;
    BufReader::new(told)
        .lines()
        .map_while(Result::ok)
        .for_each(|line| println!("{line}"));
    let ticks = now - START - 60;
    println!(
        "server: {} of memory, {} CPU ticks, {:?} to move 500 homes by a second (mean of {ticks})",
        memory()?,
        cpu_ticks()? - cpu_before,
        moving / u32::try_from(ticks.max(1))?
    );
    if !client.wait()?.success() {
        return Err("a client saw a wrong reply".into());
    }
    Ok(())
}

/// What is resident.
fn memory() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.unwrap_or("unknown").trim().to_owned())
}

/// User and system time of this process, in hundredths of a second as a rule.
fn cpu_ticks() -> Result<u64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

fn clients(seconds: u64, in_flight: usize) -> Result<(), Box<dyn std::error::Error>> {
    let ports: Vec<u16> = std::io::stdin()
        .lock()
        .lines()
        .map(|line| Ok(line?.parse()?))
        .collect::<Result<_, Box<dyn std::error::Error>>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    let latencies = local.block_on(&runtime, async move {
        let mut connections = Vec::with_capacity(ports.len());
        for port in ports {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            stream.set_nodelay(true)?;
            connections.push(stream);
        }
        let share = connections.len().div_ceil(in_flight);
        let counting = Instant::now() + WARM_UP;
        let end = counting + Duration::from_secs(seconds);
        let mut tasks = Vec::new();
        while !connections.is_empty() {
            let mine = connections.split_off(connections.len().saturating_sub(share));
            tasks.push(tokio::task::spawn_local(read_in_turn(mine, counting, end)));
        }
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await??);
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(latencies)
    });
    let mut latencies: Vec<u32> = latencies.map_err(|error| error.to_string())?;
    latencies.sort_unstable();
    let at = |permille: usize| latencies[(latencies.len() - 1) * permille / 1_000];
    let reads = u64::try_from(latencies.len())?;
    println!(
        "{} reads a second ({reads} in {seconds} s, {in_flight} in flight, {REGISTERS} registers each), every reply right",
        reads / seconds
    );
    println!(
        "latency: median {} µs, 99 % within {} µs, all within {} µs",
        at(500),
        at(990),
        at(1_000)
    );
    Ok(())
}

/// Reads from one connection after the other; the microseconds that each read took.
async fn read_in_turn(
    mut connections: Vec<TcpStream>,
    counting: Instant,
    end: Instant,
) -> Result<Vec<u32>, Box<dyn std::error::Error + Send + Sync>> {
    let ([a, b], [c, d]) = (ADDRESS.to_be_bytes(), REGISTERS.to_be_bytes());
    let mut reply = [0_u8; 9 + 2 * REGISTERS as usize];
    let (mut latencies, mut transaction) = (Vec::new(), 0_u16);
    loop {
        for connection in &mut connections {
            let began = Instant::now();
            if began >= end {
                return Ok(latencies);
            }
            transaction = transaction.wrapping_add(1);
            let [high, low] = transaction.to_be_bytes();
            connection
                .write_all(&[high, low, 0, 0, 0, 6, 1, 3, a, b, c, d])
                .await?;
            connection.read_exact(&mut reply).await?;
            let length = u8::try_from(2 * REGISTERS)?;
            let header = [high, low, 0, 0, 0, length + 3, 1, 3, length, 0];
            if reply[..10] != header || !matches!(reply[10], 103 | 203) {
                return Err(format!("a wrong reply: {:02X?}", &reply[..11]).into());
            }
            if began >= counting {
                latencies.push(u32::try_from(began.elapsed().as_micros())?);
            }
        }
    }
}
