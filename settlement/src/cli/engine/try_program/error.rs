//! Why a program cannot be tried.

use chrono::NaiveDate;
use gridtally_protocol::instruction::EventIdError;

use crate::cli::rules::{ArgumentError, RulesError};
use crate::rules::baseline::PresetError;
use crate::rules::exact::ArithmeticError;
use crate::rules::program::ProgramId;
use crate::rules::statement::{NameError, SettleError, SiteId};
use crate::rules::trial::saturation::SaturationError;
use crate::rules::trial::tries::TryError;

/// Why a program cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum TryProgramError {
    /// A file of readings.
    #[error(transparent)]
    Readings(#[from] RulesError),
    /// An event's time.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// A file's name is no site's name.
    #[error("{file}: its name without .csv is to be the site's, and {error}")]
    SiteName {
        /// The file.
        file: String,
        /// What is wrong.
        error: NameError,
    },
    /// Two files of one name.
    #[error("two files are of a site {0}; a site's file has the site's name")]
    SiteTwice(SiteId),
    /// Not both.
    #[error("--on takes either files or the word engine, not both")]
    FilesAndEngine,
    /// No data.
    #[error("{what} has no readings in intervals of {minutes} minutes; {hint}")]
    NoReadings {
        /// The site or the program.
        what: String,
        /// The program's intervals.
        minutes: u32,
        /// What to do.
        hint: &'static str,
    },
    /// More than is read.
    #[error("{found} {what} are given; at most {most} are tried at once")]
    TooMany {
        /// How many.
        found: usize,
        /// Of what.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// Nothing says when.
    #[error(
        "say when: --event 2013-01-16T17:00/PT2H (several times), --events-of PROGRAM, or --window 17:00/PT2H for every day"
    )]
    NoTime,
    /// No event is over.
    #[error("program {0} has no event that is over")]
    NoEvents(ProgramId),
    /// No day without an event lies in the data.
    #[error(
        "no day without an event lies within the data from {from} to {until}; look at --from, --until and --window"
    )]
    NoDays {
        /// The first day.
        from: NaiveDate,
        /// The last day.
        until: NaiveDate,
    },
    /// Too much for one run.
    #[error(
        "{days} days at {sites} sites under {rules} rules are more than the {most} that are tried at once; narrow them with --from, --until or --against"
    )]
    TooMuch {
        /// How many days.
        days: usize,
        /// How many sites.
        sites: usize,
        /// How many rules.
        rules: usize,
        /// The limit.
        most: usize,
    },
    /// An event's name; never in practice.
    #[error(transparent)]
    EventId(#[from] EventIdError),
    /// A preset; never in practice.
    #[error(transparent)]
    Preset(#[from] PresetError),
    /// An event cannot be settled.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// A day cannot be tried.
    #[error(transparent)]
    Try(#[from] TryError),
    /// The look-back cannot be told.
    #[error(transparent)]
    Saturation(#[from] SaturationError),
    /// A value does not fit.
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
    /// Threads.
    #[error("a thread that tried days ended early; its words are above")]
    Thread,
}
