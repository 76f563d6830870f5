//! What is tried, on what, and when.

use std::path::PathBuf;
use std::str::FromStr;

use chrono::{NaiveDate, NaiveTime, Timelike as _};
use clap::Args;
use gridtally_protocol::time::IntervalLength;

use super::TryProgramError;
use crate::cli::rules::EventTime;
use crate::cli::rules::arguments::{parse_duration, parse_interval};
use crate::rules::baseline::{EVENT_SECONDS_MAX, NOTICE_SECONDS_MAX, PRESETS};
use crate::rules::program::ProgramId;
use crate::rules::trial::days::ClockWindow;

/// So many events are tried.
pub(super) const EVENTS_MAX: usize = 400;

const ENGINE: &str = "engine";
const NONE: &str = "none";

/// `gridtally engine program try …`
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub struct TryArgs {
    /// The program's TOML file; it need not be added to the engine.
    pub file: PathBuf,
    /// Whose readings: `engine` for what the engine has, or a site's CSV file start,kwh, named as the site; may be
    /// given several times
    #[arg(long, value_name = "engine|FILE", default_value = ENGINE)]
    pub on: Vec<PathBuf>,
    /// The length of the files' intervals, where it is not the program's
    #[arg(long, value_name = "5m", value_parser = parse_interval)]
    pub interval: Option<IntervalLength>,
    /// The engine's sites of this program (default: of the program that is tried)
    #[arg(long, value_name = "PROGRAM")]
    pub sites_of: Option<ProgramId>,
    /// How warm it was, for a rule that looks for days of like weather: a CSV file day,max (default: what was published
    /// to the engine)
    #[arg(long, value_name = "FILE")]
    pub temperatures: Option<PathBuf>,
    /// An event: its start and its duration, or its start and its end; may be given several times
    #[arg(long = "event", value_name = "2013-01-16T17:00/PT2H")]
    pub events: Vec<EventTime>,
    /// The engine's events of this program that are over
    #[arg(long, value_name = "PROGRAM")]
    pub events_of: Option<ProgramId>,
    /// How long before an event homes know of it (default: the program's notice_minutes, or PT2H)
    #[arg(long, value_name = "PT2H")]
    pub notice: Option<Notice>,
    /// The hours of the days without an event (default: those that most events have)
    #[arg(long, value_name = "17:00/PT2H", value_parser = parse_window)]
    pub window: Option<ClockWindow>,
    /// The first day without an event that is tried
    #[arg(long, value_name = "DAY")]
    pub from: Option<NaiveDate>,
    /// The last day without an event that is tried
    #[arg(long, value_name = "DAY")]
    pub until: Option<NaiveDate>,
    /// A built-in rule to compare with, or none (default: all that need nothing but a meter); may be given several times
    #[arg(long, value_name = "PRESET|none", value_parser = parse_preset)]
    pub against: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const EXAMPLE: &str = "\
Examples:
  gridtally engine program try winter.toml --on home-1.csv --on home-2.csv --window 17:00/PT2H
  gridtally engine program try winter.toml --on home-1.csv --event 2013-01-16T17:00/PT2H --notice PT24H
  gridtally engine --data ./engine program try winter.toml --events-of evening-flex --sites-of evening-flex

Nothing is written. What the figures mean stands in docs/trying-a-program.md.";

/// How long before an event homes know of it, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice(pub i64);

impl FromStr for Notice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = text.strip_prefix("PT").and_then(parse_duration);
        let seconds = seconds.filter(|seconds| (0..=NOTICE_SECONDS_MAX).contains(seconds));
        seconds
            .map(Self)
            .ok_or_else(|| "write a duration of up to 168 hours, PT2H or PT30M say".to_owned())
    }
}

fn parse_window(text: &str) -> Result<ClockWindow, String> {
    let parse = || {
        let (start, duration) = text.split_once('/')?;
        let start = NaiveTime::parse_from_str(start, "%H:%M").ok()?;
        let seconds = parse_duration(duration.strip_prefix("PT")?)?;
        (1..=EVENT_SECONDS_MAX).contains(&seconds).then(|| ClockWindow {
            second: start.num_seconds_from_midnight(),
            seconds,
        })
    };
    parse().ok_or_else(|| {
        "write a time of the clock and a duration of up to 24 hours, 17:00/PT2H say".to_owned()
    })
}

fn parse_preset(text: &str) -> Result<String, String> {
    if text == NONE || PRESETS.iter().any(|(name, _)| *name == text) {
        Ok(text.to_owned())
    } else {
        Err("no built-in rule; `gridtally rules presets` lists them".to_owned())
    }
}

impl TryArgs {
    /// The files, or nothing where the engine's data are meant.
    pub(super) fn files(&self) -> Result<Option<Vec<PathBuf>>, TryProgramError> {
        let is_engine = |path: &PathBuf| path.as_os_str() == ENGINE;
        match (self.on.iter().any(is_engine), self.on.iter().all(is_engine)) {
            (_, true) => Ok(None),
            (true, false) => Err(TryProgramError::FilesAndEngine),
            (false, false) => Ok(Some(self.on.clone())),
        }
    }

    /// Whether a preset is to be compared with.
    pub(super) fn is_wanted(&self, preset: &str) -> bool {
        self.against.is_empty() || self.against.iter().any(|name| name == preset)
    }
}
