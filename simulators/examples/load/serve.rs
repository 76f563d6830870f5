//! The measured process: the devices, their physics, and the report.

use crate::{Failure, Options, Tally, Target, WARM};
use chrono::Utc;
use gridtally_simulators::{Device, Neighbourhood, Server};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const DEVICES_OF_A_HOME: usize = 3;
/// Standard streams, the runtime's own, and what a C library keeps open.
const OTHER_DESCRIPTORS: usize = 64;

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    // A listening socket and one connection for each device.
    raise_descriptors(2 * options.devices + OTHER_DESCRIPTORS)?;
    let mut homes = Neighbourhood::new(
        1,
        options.devices.div_ceil(DEVICES_OF_A_HOME),
        Utc::now().timestamp() - 60,
    );
    let devices: Vec<Device> = homes
        .homes()
        .iter()
        .flat_map(|home| home.devices().iter().cloned())
        .take(options.devices)
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let servers = runtime.block_on(serve(&devices))?;
    let targets: Vec<Target> = devices
        .iter()
        .zip(&servers)
        .map(|(device, server)| target(device, server))
        .collect::<Result<_, _>>()?;

    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let physics = scope.spawn(|| tick(&mut homes, &over));
        let measured = measure(options, &targets);
        over.store(true, Ordering::Relaxed);
        physics.thread().unpark();
        let physics = physics.join().map_err(|_| "the physics panicked")?;
        report(options, &measured?, physics)
    })
}

/// Lets this process, and those that it starts, have so many files open.
fn raise_descriptors(needed: usize) -> Result<(), Failure> {
    let needed = u64::try_from(needed)?;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(needed);
        setrlimit(Resource::Nofile, limit).map_err(|error| {
            format!("{needed} files have to be open at once, and the system does not allow that ({error}): raise `ulimit -Hn`")
        })?;
    }
    Ok(())
}

async fn serve(devices: &[Device]) -> std::io::Result<Vec<Server>> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut servers = Vec::with_capacity(devices.len());
    for device in devices {
        servers.push(device.serve(any).await?);
    }
    Ok(servers)
}

/// What a client that polls a device reads each time: the whole measuring model.
fn target(device: &Device, server: &Server) -> Result<Target, Failure> {
    let registers = device.registers();
    let model = registers
        .models()
        .iter()
        .find(|model| matches!(model.id(), 103 | 203));
    let model = model.ok_or("a device has neither model 103 nor 203")?;
    Ok(Target {
        port: server.address().port(),
        unit: device.unit(),
        address: model.address,
        length: 2 + model.layout.length(),
        model: model.id(),
    })
}

/// How long a step of all homes took.
#[derive(Debug, Clone, Copy, Default)]
struct Physics {
    steps: u32,
    longest: Duration,
}

/// Moves all homes once a second of real time.
fn tick(homes: &mut Neighbourhood, over: &AtomicBool) -> Physics {
    let mut physics = Physics::default();
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        if began < due {
            thread::park_timeout(due - began);
            continue;
        }
        homes.advance_to(Utc::now().timestamp());
        physics.steps += 1;
        physics.longest = physics.longest.max(began.elapsed());
        due += Duration::from_secs(1);
    }
    physics
}

/// What the clients counted, and what it cost this process meanwhile.
#[derive(Debug, Clone)]
struct Measured {
    tally: Tally,
    elapsed: Duration,
    processor: Duration,
}

fn measure(options: &Options, targets: &[Target]) -> Result<Measured, Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--clients")
        .args(["--seconds", &options.seconds.to_string()])
        .args(["--in-flight", &options.in_flight.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let told = converse(&mut child, targets);
    if told.is_err() {
        // It may be waiting for something that never comes.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let measured = told?;
    if !status.success() {
        return Err(format!("the clients ended with {status}").into());
    }
    Ok(measured)
}

fn converse(child: &mut Child, targets: &[Target]) -> Result<Measured, Failure> {
    let mut input = child.stdin.take().ok_or("the clients have no standard input")?;
    for target in targets {
        writeln!(input, "{target}")?;
    }
    drop(input);
    let output = child.stdout.take().ok_or("the clients have no standard output")?;
    let mut lines = BufReader::new(output).lines();
    expect_warm(&next(&mut lines)?)?;
    let (began, processor) = (Instant::now(), processor_time()?);
    let tally = next(&mut lines)?.parse()?;
    Ok(Measured {
        tally,
        elapsed: began.elapsed(),
        processor: processor_time()? - processor,
    })
}

fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<String, Failure> {
    Ok(lines
        .next()
        .ok_or("the clients ended early; what they said stands above")??)
}

fn expect_warm(line: &str) -> Result<(), Failure> {
    if line == WARM {
        Ok(())
    } else {
        Err(format!("the clients said {line:?} instead of {WARM:?}").into())
    }
}

/// The time that all threads of this process have had a processor.
fn processor_time() -> Result<Duration, Failure> {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Ok(Duration::new(
        u64::try_from(time.tv_sec)?,
        u32::try_from(time.tv_nsec)?,
    ))
}

/// A line of /proc/self/status in KiB.
fn memory_kib(line: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|other| other.strip_prefix(line));
    let number = value.and_then(|value| value.trim_start_matches(':').split_whitespace().next());
    Ok(number
        .ok_or_else(|| format!("/proc/self/status has no {line}"))?
        .parse()?)
}

fn report(options: &Options, measured: &Measured, physics: Physics) -> Result<(), Failure> {
    let Measured {
        tally,
        elapsed,
        processor,
    } = measured;
    let reads_a_second = u64::try_from(u128::from(tally.reads) * 1_000 / elapsed.as_millis().max(1))?;
    let percent = processor.as_millis() * 100 / elapsed.as_millis().max(1);
    println!(
        "{} devices, each on a socket of its own; {} requests under way at once, from a second process",
        options.devices, options.in_flight
    );
    println!(
        "{reads_a_second} reads/s: {} replies of models 103 and 203 in {:.1} s, each checked",
        tally.reads,
        elapsed.as_secs_f64()
    );
    println!(
        "latency p50 {} µs, p99 {} µs, longest {} µs",
        tally.p50, tally.p99, tally.longest
    );
    println!(
        "server: {} MiB resident (at most {} MiB), {percent} % of one of {} processors",
        memory_kib("VmRSS")? / 1_024,
        memory_kib("VmHWM")? / 1_024,
        thread::available_parallelism()?
    );
    println!(
        "physics meanwhile: {} steps of a second, the longest took {:.1} ms",
        physics.steps,
        physics.longest.as_secs_f64() * 1_000.0
    );
    if reads_a_second < options.at_least {
        return Err(format!("{reads_a_second} reads/s are fewer than {}", options.at_least).into());
    }
    Ok(())
}
