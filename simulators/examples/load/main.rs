//! How much one process serves: 1,000 devices, each on a TCP socket of its own, with their physics
//! running in real time, read block by block from a second process that checks every reply.
//!
//! `cargo run --release -p gridtally-simulators --example load`
//!
//! `-- --at-least 20000` makes it fail below that many reads a second.

mod clients;
mod serve;

use clap::Parser;
use std::fmt;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// Measures how many reads a second one process of simulated devices answers.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// How many devices there are, each on a socket of its own.
    #[arg(long, default_value_t = 1_000)]
    devices: usize,
    /// How long is measured, after the warm-up.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many requests are under way at once, each on another connection.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Fail if there are fewer reads a second.
    #[arg(long, default_value_t = 0)]
    at_least: u64,
    /// The second process: reads targets from standard input and reports on standard output.
    #[arg(long, hide = true)]
    clients: bool,
}

impl Options {
    /// Caches, connections and allocators settle first.
    const WARM_UP: Duration = Duration::from_secs(2);
}

/// Why there is no figure.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = if options.clients {
        clients::run(&options)
    } else {
        serve::run(&options)
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("load: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// A block to be read again and again: `port unit address length model`, one to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    port: u16,
    unit: u8,
    address: u16,
    /// Registers, model ID and length among them.
    length: u16,
    /// What the first register of the block has to say.
    model: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            port,
            unit,
            address,
            length,
            model,
        } = self;
        write!(f, "{port} {unit} {address} {length} {model}")
    }
}

impl FromStr for Target {
    type Err = Failure;

    fn from_str(line: &str) -> Result<Self, Failure> {
        let mut words = line.split(' ');
        let mut next = || words.next().ok_or_else(|| format!("{line:?} is no target"));
        Ok(Self {
            port: next()?.parse()?,
            unit: next()?.parse()?,
            address: next()?.parse()?,
            length: next()?.parse()?,
            model: next()?.parse()?,
        })
    }
}

/// What the clients say once they are through the warm-up.
const WARM: &str = "warm";

/// What the clients counted, latencies in microseconds: `reads p50 p99 longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tally {
    reads: u64,
    p50: u32,
    p99: u32,
    longest: u32,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reads,
            p50,
            p99,
            longest,
        } = self;
        write!(f, "{reads} {p50} {p99} {longest}")
    }
}

impl FromStr for Tally {
    type Err = Failure;

    fn from_str(line: &str) -> Result<Self, Failure> {
        let mut words = line.split(' ');
        let mut next = || words.next().ok_or_else(|| format!("{line:?} is no tally"));
        Ok(Self {
            reads: next()?.parse()?,
            p50: next()?.parse()?,
            p99: next()?.parse()?,
            longest: next()?.parse()?,
        })
    }
}
