//! `gridtally edge scan`.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;

use super::{EdgeError, runtime, write_whole};
use crate::device::endpoint::Parity;
use crate::device::sunspec::BASES;
use crate::find::places::{self, Named, Place};
use crate::find::report::Report;
use crate::find::{PORTS, Plan, UNITS, scan};

/// Where to look, for what.
#[derive(Debug, Clone, Args)]
pub struct ScanArgs {
    /// Hosts, host:port, subnets as 192.168.1.0/24, rtu:///dev/ttyUSB0 [default: the private subnets that this
    /// machine stands in, up to /22]
    #[arg(value_name = "PLACE")]
    places: Vec<Named>,
    /// Ports to try [default: 502 and 1502; 802 is told, and not asked]
    #[arg(long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
    /// Units to ask for, as 1 or 1-247 [default: 1-3, 100, 126, 200, 240, 246, 247]
    #[arg(long, value_name = "A-B", value_parser = units)]
    units: Vec<Units>,
    /// Registers where a SunSpec map may start [default: 40000, 0 and 50000]
    #[arg(long = "base", value_name = "REGISTER")]
    bases: Vec<u16>,
    /// A serial line to look at
    #[arg(long = "serial", value_name = "PATH")]
    lines: Vec<PathBuf>,
    /// Speeds to try on serial lines [default: 9600, 19200, 115200, 38400]
    #[arg(long = "baud", value_name = "BAUD")]
    speeds: Vec<u32>,
    /// Parities to try on serial lines: none, even, odd [default: none and even]
    #[arg(long = "parity", value_name = "PARITY", value_parser = parity)]
    parities: Vec<Parity>,
    /// Hosts that are asked at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Milliseconds that a host may take to accept a connection
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(20..=30_000))]
    connect_timeout: u64,
    /// Milliseconds that a unit may take to answer
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(20..=60_000))]
    timeout: u64,
    /// Milliseconds of rest between two requests
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pause: u64,
    /// Tell how far it is, even where standard error is no terminal
    #[arg(long)]
    progress: bool,
    /// Write the [[device]] sections for agent.toml into this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The number of the first section
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=200))]
    first_number: u8,
    /// A JSON list instead of the table and the sections
    #[arg(long)]
    json: bool,
}

/// From one unit to another.
#[derive(Debug, Clone, Copy)]
struct Units(u8, u8);

fn units(text: &str) -> Result<Units, String> {
    let number = |text: &str| {
        text.trim()
            .parse::<u8>()
            .map_err(|_| format!("{text:?} is no unit, 0 to 255"))
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    if first > last {
        return Err(format!("{first} is greater than {last}"));
    }
    Ok(Units(first, last))
}

fn parity(text: &str) -> Result<Parity, String> {
    match text {
        "none" => Ok(Parity::None),
        "even" => Ok(Parity::Even),
        "odd" => Ok(Parity::Odd),
        _ => Err("a parity is none, even or odd".to_owned()),
    }
}

fn or<T: Clone>(given: &[T], usual: &[T]) -> Vec<T> {
    if given.is_empty() { usual } else { given }.to_vec()
}

impl ScanArgs {
    /// The plan, and what is to be said before.
    fn plan(&self) -> Result<(Plan, Vec<String>), EdgeError> {
        let ports = or(&self.ports, &PORTS);
        let mut places: Vec<Place> = self
            .places
            .iter()
            .flat_map(|named| named.places(&ports))
            .collect();
        let mut told = Vec::new();
        if !(self.speeds.is_empty() && self.parities.is_empty()) {
            for place in &mut places {
                if let Place::Line(settings) = place
                    && let Some(line) = settings.first()
                {
                    *place = self.line(&line.path.to_string_lossy());
                }
            }
        }
        places.extend(self.lines.iter().map(|path| self.line(&path.to_string_lossy())));
        if places.is_empty() {
            let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
            let (subnets, too_large) = places::own_subnets(&routes);
            told = too_large;
            if subnets.is_empty() {
                return Err(EdgeError::Nowhere(told.join("; ")));
            }
            told.extend(subnets.iter().map(|subnet| format!("looking through {subnet}")));
            places.extend(subnets.iter().flat_map(|subnet| places::swept(*subnet, &ports)));
        }
        let mut units: Vec<u8> = Vec::new();
        for Units(first, last) in &self.units {
            let wanted = (*first..=*last).filter(|unit| !units.contains(unit));
            units.extend(wanted.collect::<Vec<_>>());
        }
        let milliseconds = Duration::from_millis;
        let plan = Plan {
            places,
            units: or(&units, &UNITS),
            bases: or(&self.bases, &BASES),
            connect_within: milliseconds(self.connect_timeout),
            answer_within: milliseconds(self.timeout),
            pause: milliseconds(self.pause),
            parallel: usize::from(self.parallel),
        };
        Ok((plan, told))
    }

    fn line(&self, path: &str) -> Place {
        let speeds = or(&self.speeds, &places::SPEEDS);
        places::line(path, &speeds, &or(&self.parities, &places::PARITIES))
    }
}

/// Looks for devices, and tells what it found, also where it was interrupted.
pub(super) fn run(args: &ScanArgs) -> Result<(), EdgeError> {
    let (plan, told) = args.plan()?;
    for what in told {
        eprintln!("{what}");
    }
    let all = plan.places.len();
    let shows_progress = args.progress || std::io::stderr().is_terminal();
    let (report, was_interrupted) = runtime()?.block_on(collect(plan, |report| {
        if shows_progress {
            eprint!("\r{} of {all} places, {} found ", report.done, report.found.len());
        }
    }));
    if shows_progress {
        eprintln!();
    }
    if was_interrupted {
        eprintln!("interrupted after {} of {all} places", report.done);
    }
    let snippet = report.snippet(args.first_number);
    if let Some(file) = &args.output {
        write_whole(file, &snippet)?;
    }
    let text = match (args.json, &args.output) {
        (true, _) => report.json(),
        (false, Some(file)) => format!(
            "{}\nThe [[device]] sections are in {}.\n",
            report.table(),
            file.display()
        ),
        (false, None) if report.found.is_empty() => report.table(),
        (false, None) => format!("{}\n{snippet}", report.table()),
    };
    // Whoever reads may have seen enough, and closed the pipe.
    drop(std::io::stdout().write_all(text.as_bytes()));
    Ok(())
}

async fn collect(plan: Plan, mut progress: impl FnMut(&Report)) -> (Report, bool) {
    let (events, mut inbox) = mpsc::channel(64);
    let mut report = Report::default();
    let mut was_interrupted = false;
    progress(&report);
    let looking = scan(plan, events);
    let taking = async {
        while let Some(event) = inbox.recv().await {
            report.take(event);
            progress(&report);
        }
    };
    tokio::select! {
        _ = async { tokio::join!(looking, taking) } => {}
        _ = tokio::signal::ctrl_c() => was_interrupted = true,
    }
    report.sort();
    (report, was_interrupted)
}
