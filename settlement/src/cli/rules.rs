//! `gridtally rules`: baselines for an analyst, from a CSV file, without a database.
//!
//! The formats are described in `docs/rules-baseline.md`.

mod arguments;
mod readings;
mod report;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use gridtally_protocol::time::IntervalLength;

pub use self::arguments::{ArgumentError, EventTime};
pub use self::readings::ReadingsError;

use self::arguments::{parse_interval, parse_zone};
use self::readings::CsvReadings;
use crate::rules::baseline::{
    BaselineRule, EventCalendar, Frame, FrameError, PRESETS, PresetError, Series, SeriesError, baseline,
};
use crate::rules::document::DocumentError;
use crate::rules::exact::ArithmeticError;

/// `gridtally rules …`
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// What `gridtally rules` can do.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Compute a baseline from a CSV file of readings and explain it
    Baseline(BaselineArgs),
    /// List the built-in baseline rules, or print the document of one
    Presets(PresetsArgs),
}

/// `gridtally rules baseline …`
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// A built-in rule; `gridtally rules presets` lists them
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "rule",
        conflicts_with = "rule"
    )]
    pub preset: Option<String>,
    /// A rule of your own: a TOML file like those that `gridtally rules presets NAME` prints
    #[arg(long, value_name = "FILE")]
    pub rule: Option<PathBuf>,
    /// A CSV file with the columns start,kwh: the interval's start and its kilowatt-hours
    #[arg(long, value_name = "FILE")]
    pub readings: PathBuf,
    /// The site's IANA zone, in which days, hours and stamps without an offset are read
    #[arg(long, value_name = "ZONE", value_parser = parse_zone)]
    pub zone: Tz,
    /// The length of the readings' intervals
    #[arg(long, value_name = "30m", value_parser = parse_interval)]
    pub interval: IntervalLength,
    /// The event: its start and its duration, or its start and its end
    #[arg(long, value_name = "2013-01-16T17:00/PT2H")]
    pub event: EventTime,
    /// A day with another event, which is not compared; may be given several times
    #[arg(long = "event-day", value_name = "DAY")]
    pub event_days: Vec<NaiveDate>,
    /// A day on which the site had an outage; may be given several times
    #[arg(long = "outage-day", value_name = "DAY")]
    pub outage_days: Vec<NaiveDate>,
    /// A file of days that are no weekdays: one a line, `#` begins a comment
    #[arg(long, value_name = "FILE")]
    pub holidays: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `gridtally rules presets …`
#[derive(Debug, Args)]
pub struct PresetsArgs {
    /// The rule to print
    pub name: Option<String>,
}

/// Why `gridtally rules` cannot do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is larger than is read.
    #[error("{path} is larger than {limit} bytes; cut it to what the rule looks back on")]
    FileSize {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The readings' file is wrong.
    #[error("{path}: {error}")]
    Readings {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: ReadingsError,
    },
    /// The file of holidays is wrong.
    #[error("{path}: line {line} is no day of the form 2013-12-25")]
    Holidays {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
    },
    /// An argument is wrong.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// There is no such preset.
    #[error(transparent)]
    Preset(#[from] PresetError),
    /// The rule's document is wrong.
    #[error(transparent)]
    Rule(#[from] DocumentError),
    /// The event does not fit the calendar.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The readings contradict one another.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// A value does not fit.
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs `gridtally rules …`; what it says goes to `out`.
///
/// That there is no baseline is an answer, not an error.
///
/// # Errors
/// [`RulesError`] that says which file, line or argument is wrong.
pub fn run(args: &RulesArgs, out: &mut dyn Write) -> Result<(), RulesError> {
    match &args.command {
        RulesCommand::Baseline(args) => run_baseline(args, out),
        RulesCommand::Presets(args) => run_presets(args, out),
    }
}

fn run_presets(args: &PresetsArgs, out: &mut dyn Write) -> Result<(), RulesError> {
    if let Some(name) = &args.name {
        BaselineRule::preset(name)?;
        let text = PRESETS
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, text)| text);
        out.write_all(text.as_bytes())?;
        return Ok(());
    }
    for (name, _) in PRESETS {
        writeln!(out, "{name:<22}{}", BaselineRule::preset(name)?.about)?;
    }
    Ok(())
}

fn run_baseline(args: &BaselineArgs, out: &mut dyn Write) -> Result<(), RulesError> {
    let rule = match (&args.preset, &args.rule) {
        (_, Some(path)) => {
            BaselineRule::from_toml(&path.display().to_string(), &read_text(path, RULE_LEN_MAX)?)?
        }
        (name, None) => BaselineRule::preset(name.as_deref().unwrap_or_default())?,
    };
    let (start, end) = args.event.resolve(args.zone)?;
    let calendar = EventCalendar {
        zone: args.zone,
        length: args.interval,
        start,
        end,
        holidays: args
            .holidays
            .as_deref()
            .map(read_holidays)
            .transpose()?
            .unwrap_or_default(),
        event_days: args.event_days.iter().copied().collect(),
    };
    let text = read_text(&args.readings, READINGS_LEN_MAX)?;
    let readings =
        CsvReadings::parse(&text, args.zone, args.interval).map_err(|error| RulesError::Readings {
            path: args.readings.clone(),
            error,
        })?;
    let frame = Frame::new(&rule, &calendar)?;
    let series = Series::with_parts(&frame, readings::PARTS, readings.values.iter().copied())?;
    let outcome = baseline(&frame, &series, &args.outage_days.iter().copied().collect())?;
    let report = report::Report::new(&rule, &calendar, &outcome, &readings)?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        report.print(out)?;
    }
    Ok(())
}

const RULE_LEN_MAX: u64 = 256 * 1024;
const HOLIDAYS_LEN_MAX: u64 = 256 * 1024;
const READINGS_LEN_MAX: u64 = 128 * 1024 * 1024;

fn read_text(path: &Path, limit: u64) -> Result<String, RulesError> {
    let failed = |error| RulesError::File {
        path: path.to_owned(),
        error,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(limit.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|len| len <= limit) {
        Ok(text)
    } else {
        Err(RulesError::FileSize {
            path: path.to_owned(),
            limit,
        })
    }
}

fn read_holidays(path: &Path) -> Result<BTreeSet<NaiveDate>, RulesError> {
    let text = read_text(path, HOLIDAYS_LEN_MAX)?;
    let mut days = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let day = line.split('#').next().unwrap_or_default().trim();
        if !day.is_empty() {
            let refuse = |_| RulesError::Holidays {
                path: path.to_owned(),
                line: number,
            };
            days.insert(day.parse().map_err(refuse)?);
        }
    }
    Ok(days)
}
