//! `gridtally engine correct`: values of another meter, from a CSV file.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use gridtally_protocol::quantity::{MilliwattHours, ParseQuantityError, parse_scaled};
use gridtally_protocol::time::{Interval, IntervalLength, TimeError, Timestamp};

use super::{Remark, SettlementCommandError};
use crate::rules::statement::SiteId;
use crate::store::corrections::{Correcting, correct};
use crate::store::{Store, programs};

/// A year of five-minute intervals is more than anybody corrects at once.
const LINES_MAX: usize = 110_000;
/// Decimals of a kWh down to a milliwatt-hour.
const DECIMALS: u8 = 6;
/// No interval has more, in kWh, either way.
const KWH_MAX: i64 = 9_000_000;
const MWH_PER_KWH: i64 = 1_000_000;

/// What is to be corrected.
#[derive(Debug, Args)]
pub struct CorrectArgs {
    /// The site, as it was enrolled
    pub site: SiteId,
    /// A CSV file with the header start,kwh: each interval's first instant (2026-04-21T17:00:00Z), and what counts,
    /// import − export, or the word withdrawn
    pub file: PathBuf,
    /// Who, and why: say where the values come from
    #[command(flatten)]
    pub remark: Remark,
}

/// What is wrong in a file of corrections.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorrectionsError {
    /// The first line is not the header.
    #[error("line 1 is not the header start,kwh")]
    Header,
    /// There is nothing in it.
    #[error("it has no line after the header")]
    Empty,
    /// Too much is in it.
    #[error("it has more than {LINES_MAX} lines")]
    TooLong,
    /// Not two fields.
    #[error("line {0} does not have the two fields start,kwh")]
    Fields(usize),
    /// Not an instant.
    #[error("line {line}: {error}")]
    Start {
        /// The line.
        line: usize,
        /// What is wrong.
        error: TimeError,
    },
    /// Not a value.
    #[error("line {line}: {error}; give kWh with at most 6 decimals, or the word withdrawn")]
    Value {
        /// The line.
        line: usize,
        /// What is wrong.
        error: ParseQuantityError,
    },
    /// A value that no meter shows.
    #[error("line {line}: no interval has more than {KWH_MAX} kWh")]
    TooMuch {
        /// The line.
        line: usize,
    },
    /// An interval twice.
    #[error("line {line}: the interval that begins at {start} stands twice")]
    Twice {
        /// The line.
        line: usize,
        /// The interval's start.
        start: Timestamp,
    },
}

type Readings = Vec<(Interval, Option<MilliwattHours>)>;

/// Reads `start,kwh` lines of intervals of one length.
///
/// # Errors
/// [`CorrectionsError`] with the first line that is wrong.
pub fn read(text: &str, length: IntervalLength) -> Result<Readings, CorrectionsError> {
    let mut lines = (1_usize..).zip(text.lines());
    if lines.next().map(|(_, line)| line.trim_end()) != Some("start,kwh") {
        return Err(CorrectionsError::Header);
    }
    let mut seen = BTreeSet::new();
    let mut readings = Readings::new();
    for (number, line) in lines {
        if number > LINES_MAX {
            return Err(CorrectionsError::TooLong);
        }
        let (start, value) = line
            .trim_end()
            .split_once(',')
            .ok_or(CorrectionsError::Fields(number))?;
        let wrong_start = |error| CorrectionsError::Start { line: number, error };
        let start: Timestamp = start.parse().map_err(wrong_start)?;
        let interval = Interval::new(start, length).map_err(wrong_start)?;
        if !seen.insert(start) {
            return Err(CorrectionsError::Twice { line: number, start });
        }
        readings.push((interval, read_value(value, number)?));
    }
    if readings.is_empty() {
        return Err(CorrectionsError::Empty);
    }
    Ok(readings)
}

fn read_value(text: &str, line: usize) -> Result<Option<MilliwattHours>, CorrectionsError> {
    if text == "withdrawn" {
        return Ok(None);
    }
    let too_much = CorrectionsError::TooMuch { line };
    let value = parse_scaled(text, DECIMALS).map_err(|error| CorrectionsError::Value { line, error })?;
    let value = i64::try_from(value).map_err(|_| too_much.clone())?;
    let bound = KWH_MAX.saturating_mul(MWH_PER_KWH);
    if (-bound..=bound).contains(&value) {
        Ok(Some(MilliwattHours::new(value)))
    } else {
        Err(too_much)
    }
}

/// Keeps what is in a file of corrections.
///
/// # Errors
/// [`SettlementCommandError`] as a sentence.
pub fn run_correct(
    args: &CorrectArgs,
    text: &str,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), SettlementCommandError> {
    let (by, why) = args.remark.given()?;
    let enrolments = store.transact(|client| programs::enrolments(client))?;
    let enrolment = enrolments.iter().find(|enrolment| enrolment.site == args.site);
    let enrolment = enrolment.ok_or_else(|| SettlementCommandError::UnknownSite(args.site.clone()))?;
    let readings =
        read(text, enrolment.interval_seconds).map_err(|error| SettlementCommandError::Corrections {
            path: args.file.clone(),
            error,
        })?;
    let correcting = Correcting {
        program: &enrolment.program,
        site: &args.site,
        readings: &readings,
        by,
        why,
    };
    let numbers = store.transact(|client| correct(client, &correcting, now))?;
    let (first, last) = (numbers.first().copied(), numbers.last().copied());
    writeln!(
        out,
        "{} intervals of {} are corrected (corrections {} to {}); the next statement of their events counts them.",
        numbers.len(),
        args.site,
        first.unwrap_or_default(),
        last.unwrap_or_default()
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn half_hours() -> IntervalLength {
        IntervalLength::from_seconds(1_800).unwrap()
    }

    #[test]
    fn values_and_withdrawals_are_read_exactly() {
        let text = "start,kwh\n2026-04-21T17:00:00Z,0.25\n2026-04-21T17:30:00Z,withdrawn\n2026-04-21T18:00:00Z,-1.000001\n";
        let read = read(text, half_hours()).unwrap();
        let values: Vec<_> = read
            .iter()
            .map(|(_, value)| value.map(MilliwattHours::get))
            .collect();
        assert_eq!(values, [Some(250_000), None, Some(-1_000_001)]);
    }

    #[test]
    fn a_wrong_line_is_told_with_its_number() {
        for (text, said) in [
            ("", "line 1"),
            ("start,kwh\n", "no line after"),
            ("start,kwh\n2026-04-21T17:00:00Z", "line 2"),
            ("start,kwh\n2026-04-21T17:10:00Z,1", "line 2"),
            ("start,kwh\n2026-04-21T17:00:00Z,0.0000001", "line 2"),
            ("start,kwh\n2026-04-21T17:00:00Z,99999999", "line 2: no interval"),
            (
                "start,kwh\n2026-04-21T17:00:00Z,1\n2026-04-21T17:00:00Z,1",
                "line 3",
            ),
        ] {
            let error = read(text, half_hours()).unwrap_err().to_string();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "(start,kwh\n)?[0-9TZ:,.\n-]{0,60}.*") {
            let _ = read(&text, half_hours());
        }
    }
}
