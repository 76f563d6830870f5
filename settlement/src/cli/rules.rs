//! `gridtally rules`: baselines for an analyst, from CSV files, without a database.
//!
//! The formats are described in `docs/rules-baseline.md`.

pub(in crate::cli) mod arguments;
mod batch;
mod case;
mod days;
pub(in crate::cli) mod files;
pub(in crate::cli) mod readings;
mod report;

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use gridtally_protocol::time::IntervalLength;

pub use self::arguments::{ArgumentError, EventTime, InstantTime};
pub use self::case::CaseError;
pub use self::days::DaysError;
pub use self::readings::ReadingsError;

use self::arguments::{parse_interval, parse_zone};
use self::case::Case;
use self::report::{Detail, Report};
use crate::rules::baseline::{BaselineRule, EventCalendar, PRESETS, PresetError, read_level};
use crate::rules::document::DocumentError;
use crate::rules::exact::{ArithmeticError, Ratio};

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
    Baseline(Box<BaselineArgs>),
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
        required_unless_present_any = ["rule", "batch"],
        conflicts_with = "rule"
    )]
    pub preset: Option<String>,
    /// A rule of your own: a TOML file like those that `gridtally rules presets NAME` prints
    #[arg(long, value_name = "FILE")]
    pub rule: Option<PathBuf>,
    /// What stands in where the rule has no baseline: a built-in rule's name, or a TOML file
    #[arg(long, value_name = "NAME|FILE")]
    pub fallback: Option<String>,
    /// A CSV file with the columns start,kwh: the interval's start and its kilowatt-hours
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    pub readings: Option<PathBuf>,
    /// The site's IANA zone, in which days, hours and stamps without an offset are read
    #[arg(long, value_name = "ZONE", value_parser = parse_zone, required_unless_present = "batch")]
    pub zone: Option<Tz>,
    /// The length of the readings' intervals
    #[arg(long, value_name = "30m", value_parser = parse_interval, required_unless_present = "batch")]
    pub interval: Option<IntervalLength>,
    /// The event: its start and its duration, or its start and its end
    #[arg(long, value_name = "2013-01-16T17:00/PT2H", required_unless_present = "batch")]
    pub event: Option<EventTime>,
    /// When the event was notified, for rules whose windows count from there
    #[arg(long, value_name = "2013-01-15T12:00")]
    pub notified: Option<InstantTime>,
    /// A day with another event, which is not compared; may be given several times
    #[arg(long = "event-day", value_name = "DAY")]
    pub event_days: Vec<NaiveDate>,
    /// A day on which the site had an outage; may be given several times
    #[arg(long = "outage-day", value_name = "DAY")]
    pub outage_days: Vec<NaiveDate>,
    /// Holidays: a built-in calendar (england-wales, us-nerc), a TOML file with source and days, or a text
    /// file with one day a line, `#` begins a comment
    #[arg(long, value_name = "NAME|FILE")]
    pub holidays: Option<String>,
    /// Temperatures, for rules that compare them: a CSV file with the columns day,max or start,temperature
    #[arg(long, value_name = "FILE")]
    pub temperatures: Option<PathBuf>,
    /// The readings of a control site, or of a site of the sample, in the same form as `--readings`; may be
    /// given several times
    #[arg(long, value_name = "FILE")]
    pub controls: Vec<PathBuf>,
    /// The readings of the site's meter, where `--readings` are a device's
    #[arg(long, value_name = "FILE")]
    pub site_meter: Option<PathBuf>,
    /// The site feeds in at times: an adjustment by a ratio without a cap is refused
    #[arg(long)]
    pub net_metered: bool,
    /// The site's firm level in kilowatts, for rules of that kind
    #[arg(long, value_name = "KW", value_parser = read_level)]
    pub level_kw: Option<Ratio>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Many cases instead: a file with one JSON case a line; `-` is the standard input
    #[arg(long, value_name = "FILE", exclusive = true)]
    pub batch: Option<PathBuf>,
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
    /// A file of readings is wrong.
    #[error("{path}: {error}")]
    Readings {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: ReadingsError,
    },
    /// A file of holidays or temperatures is wrong.
    #[error("{path}: {error}")]
    Days {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: DaysError,
    },
    /// There are more control sites than are read.
    #[error("{found} files of control sites are given; at most {limit} are read")]
    Controls {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// An argument is wrong.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// There is no such preset.
    #[error(transparent)]
    Preset(#[from] PresetError),
    /// A rule's or calendar's document is wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The case cannot be worked out.
    #[error(transparent)]
    Case(#[from] CaseError),
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
        RulesCommand::Baseline(args) => match &args.batch {
            Some(path) => run_batch(path, out),
            None => run_baseline(args, out),
        },
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
    let width = PRESETS
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    for (name, _) in PRESETS {
        writeln!(out, "{name:<width$}  {}", BaselineRule::preset(name)?.about)?;
    }
    Ok(())
}

fn run_batch(path: &Path, out: &mut dyn Write) -> Result<(), RulesError> {
    let failed = |error| RulesError::File {
        path: path.to_owned(),
        error,
    };
    if path == Path::new("-") {
        batch::run(std::io::stdin().lock(), out)?;
    } else {
        batch::run(BufReader::new(File::open(path).map_err(failed)?), out)?;
    }
    Ok(())
}

fn run_baseline(args: &BaselineArgs, out: &mut dyn Write) -> Result<(), RulesError> {
    let Some(case) = read_case(args)? else {
        return Ok(()); // the parser has seen to it that all required arguments are there
    };
    let solved = case.solve()?;
    let report = Report::new(&case, &solved, Detail::Full)?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        report.print(out)?;
    }
    Ok(())
}

fn read_case(args: &BaselineArgs) -> Result<Option<Case>, RulesError> {
    let rule = match (&args.preset, &args.rule) {
        (_, Some(path)) => files::rule(path)?,
        (name, None) => BaselineRule::preset(name.as_deref().unwrap_or_default())?,
    };
    let (Some(path), Some(event)) = (&args.readings, args.event) else {
        return Ok(None);
    };
    let (Some(zone), Some(length)) = (args.zone, args.interval) else {
        return Ok(None);
    };
    let (start, end) = event.resolve(zone)?;
    let holidays = args.holidays.as_deref().map(files::holidays).transpose()?;
    let mut notes = Vec::new();
    let mut readings = |path: &PathBuf| files::readings(path, zone, length, &mut notes);
    let main = readings(path)?;
    let site_meter = args.site_meter.as_ref().map(&mut readings).transpose()?;
    let limit = files::CONTROLS_MAX;
    if args.controls.len() > limit {
        let found = args.controls.len();
        return Err(RulesError::Controls { found, limit });
    }
    let others = args.controls.iter().map(readings).collect::<Result<_, _>>()?;
    let temperatures = args
        .temperatures
        .as_deref()
        .map(|path| files::temperatures(path, zone));
    Ok(Some(Case {
        rule,
        fallback: args.fallback.as_deref().map(files::preset_or_rule).transpose()?,
        calendar: EventCalendar {
            zone,
            length,
            start,
            end,
            notified: args.notified.map(|n| n.resolve(zone)).transpose()?,
            holidays: holidays.unwrap_or_default(),
            event_days: args.event_days.iter().copied().collect(),
        },
        outage_days: args.outage_days.iter().copied().collect(),
        readings: main,
        site_meter,
        others,
        temperatures: temperatures.transpose()?,
        net_metered: args.net_metered,
        level_kw: args.level_kw,
        notes,
    }))
}
