//! A load read from a file.

use chrono::DateTime;
use std::path::Path;
use thiserror::Error;

const HEADER: &str = "instant,watts";
const STEP_SECONDS_MIN: i64 = 60;
const STEP_SECONDS_MAX: i64 = 3_600;
const SECONDS_PER_WEEK: i64 = 7 * 86_400;
/// A megawatt: more than any home, and far from where a scaled sum would leave an `i64`.
const WATTS_MAX: i64 = 1_000_000;

/// Load readings at a constant step, repeated over and over: by whole weeks if there is at least one,
/// so that a Sunday stays a Sunday, else by their whole length.
///
/// The file is CSV with the header `instant,watts`. Instants are RFC 3339 in UTC, at whole minutes
/// and a constant step of a minute to an hour; a reading holds from its instant until the next. Watts
/// are from 0 to 1,000,000 with at most three decimals. Lines that are empty or begin with `#` are
/// skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileSeries {
    start: i64,
    step_seconds: i64,
    cycle_seconds: i64,
    milliwatts: Vec<i64>,
}

/// Why a file is no load profile.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// The file system's fault.
    #[error("{file}: cannot read the load profile; give the path of a CSV file")]
    Unreadable {
        /// The file.
        file: String,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The first line is something else.
    #[error("{file}, line {line}: the header is {found:?}, but has to be \"instant,watts\"")]
    Header {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// A line does not have two columns.
    #[error("{file}, line {line}: {found:?} has to be an instant and a number of watts with a comma between")]
    Columns {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// No instant in UTC at a whole minute.
    #[error("{file}, line {line}: {found:?} has to be a whole minute in UTC, such as 2026-01-31T18:30:00Z")]
    Instant {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// No power that a home could have.
    #[error(
        "{file}, line {line}: {found:?} has to be watts from 0 to 1000000 with at most three decimals, such as 412.5"
    )]
    Watts {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// The first two lines are too close, too far apart, or in the wrong order.
    #[error("{file}, line {line}: a step of {seconds} s is not between 60 and 3600 s")]
    Step {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// From the line before to this one.
        seconds: i64,
    },
    /// A gap, a repetition, or a step back in time.
    #[error(
        "{file}, line {line}: {seconds} s after the line before, but the step of this file is {expected} s"
    )]
    Uneven {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// From the line before to this one.
        seconds: i64,
        /// The step of the lines before.
        expected: i64,
    },
    /// One reading makes no step.
    #[error("{file}: a load profile needs the header \"instant,watts\" and at least two readings")]
    TooShort {
        /// The file.
        file: String,
    },
}

/// A year of minutes takes some 16 MiB.
const LONGEST_BYTES: usize = 64 << 20;

impl ProfileSeries {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or if a line is not as the format asks; the error names file and line.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let file = path.display().to_string();
        match crate::bounded::read(path, LONGEST_BYTES) {
            Ok(csv) => Self::parse(&file, &csv),
            Err(source) => Err(ProfileError::Unreadable { file, source }),
        }
    }

    /// The same from text; `file` is what errors call it.
    ///
    /// # Errors
    /// If a line is not as the format asks; the error names file and line.
    pub fn parse(file: &str, csv: &str) -> Result<Self, ProfileError> {
        let mut lines = (1..)
            .zip(csv.trim_start_matches('\u{feff}').lines())
            .filter(|(_, text)| !text.trim().is_empty() && !text.starts_with('#'))
            .map(|(number, text)| Line { file, number, text });
        let too_short = || ProfileError::TooShort {
            file: file.to_owned(),
        };
        lines.next().ok_or_else(too_short)?.expect_header()?;
        let (start, first_power) = lines.next().ok_or_else(too_short)?.reading()?;
        let mut milliwatts = vec![first_power];
        let (mut last, mut step) = (start, None);
        for line in lines {
            let (instant, power) = line.reading()?;
            step = Some(line.checked_step(instant - last, step)?);
            milliwatts.push(power);
            last = instant;
        }
        let step_seconds = step.ok_or_else(too_short)?;
        let length = last + step_seconds - start;
        let whole_weeks = length / SECONDS_PER_WEEK * SECONDS_PER_WEEK;
        Ok(Self {
            start,
            step_seconds,
            cycle_seconds: if whole_weeks > 0 { whole_weeks } else { length },
            milliwatts,
        })
    }

    /// Power in milliwatts at an instant in Unix seconds.
    pub(super) fn milliwatts(&self, unix_seconds: i64) -> i64 {
        let into = (unix_seconds - self.start).rem_euclid(self.cycle_seconds) / self.step_seconds;
        usize::try_from(into)
            .ok()
            .and_then(|index| self.milliwatts.get(index))
            .copied()
            .unwrap_or_default()
    }
}

/// A line that is not skipped.
#[derive(Clone, Copy)]
struct Line<'a> {
    file: &'a str,
    number: usize,
    text: &'a str,
}

impl Line<'_> {
    fn expect_header(self) -> Result<(), ProfileError> {
        if self.text.trim() == HEADER {
            return Ok(());
        }
        Err(ProfileError::Header {
            file: self.file.to_owned(),
            line: self.number,
            found: self.text.to_owned(),
        })
    }

    /// Unix seconds and milliwatts.
    fn reading(self) -> Result<(i64, i64), ProfileError> {
        let (file, line) = (self.file.to_owned(), self.number);
        let Some((instant, watts)) = self.text.split_once(',') else {
            let found = self.text.to_owned();
            return Err(ProfileError::Columns { file, line, found });
        };
        let (instant, watts) = (instant.trim(), watts.trim());
        let Some(seconds) = whole_minute(instant) else {
            let found = instant.to_owned();
            return Err(ProfileError::Instant { file, line, found });
        };
        let Some(milliwatts) = milliwatts(watts) else {
            let found = watts.to_owned();
            return Err(ProfileError::Watts { file, line, found });
        };
        Ok((seconds, milliwatts))
    }

    fn checked_step(self, seconds: i64, expected: Option<i64>) -> Result<i64, ProfileError> {
        let (file, line) = (self.file.to_owned(), self.number);
        match expected {
            Some(expected) if seconds != expected => Err(ProfileError::Uneven {
                file,
                line,
                seconds,
                expected,
            }),
            None if !(STEP_SECONDS_MIN..=STEP_SECONDS_MAX).contains(&seconds) => {
                Err(ProfileError::Step { file, line, seconds })
            }
            _ => Ok(seconds),
        }
    }
}

fn whole_minute(text: &str) -> Option<i64> {
    let instant = DateTime::parse_from_rfc3339(text).ok()?;
    let whole = instant.timestamp() % 60 == 0 && instant.timestamp_subsec_nanos() == 0;
    (whole && instant.offset().local_minus_utc() == 0).then(|| instant.timestamp())
}

/// Decimal watts, exactly.
fn milliwatts(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return None;
    }
    let thousandths: i64 = format!("{decimals:0<3}").parse().ok()?;
    let milliwatts = whole.parse::<i64>().ok()?.checked_mul(1_000)? + thousandths;
    (milliwatts <= WATTS_MAX * 1_000).then_some(milliwatts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    const MONDAY: i64 = 1_767_571_200; // 2026-01-05T00:00:00Z

    fn written(start: i64, step_seconds: i64, watts: &[i64]) -> String {
        let mut csv = format!("{HEADER}\n");
        for (index, watts) in (0..).zip(watts) {
            let instant = DateTime::from_timestamp(start + index * step_seconds, 0).unwrap();
            csv += &format!("{},{watts}\n", instant.to_rfc3339_opts(SecondsFormat::Secs, true));
        }
        csv
    }

    fn complaint(csv: &str) -> String {
        ProfileSeries::parse("home.csv", csv).unwrap_err().to_string()
    }

    #[test]
    fn comments_decimals_and_windows_line_ends_are_read() {
        let csv = "\u{feff}# a home\r\ninstant,watts\r\n\r\n2026-01-05T00:00:00Z,0.5\r\n\
                   2026-01-05T00:15:00+00:00, 1000000\r\n2026-01-05T00:30:00Z,12.345\r\n";
        let series = ProfileSeries::parse("home.csv", csv).unwrap();
        let quarters = [500, 1_000_000_000, 12_345, 500];
        for (quarter, power) in (0..).zip(quarters) {
            assert_eq!(series.milliwatts(MONDAY + quarter * 900), power);
            assert_eq!(series.milliwatts(MONDAY + quarter * 900 + 899), power);
        }
    }

    #[test]
    fn whole_weeks_are_repeated_and_the_days_beyond_are_left_out() {
        let hours: Vec<_> = (0..24 * 7 * 2 + 30).collect();
        let series = ProfileSeries::parse("home.csv", &written(MONDAY, 3_600, &hours)).unwrap();
        assert_eq!(series.milliwatts(MONDAY + 335 * 3_600), 335_000);
        assert_eq!(series.milliwatts(MONDAY + 336 * 3_600), 0);
        assert_eq!(series.milliwatts(MONDAY - 3_600), 335_000);
    }

    #[test]
    fn an_error_names_file_line_and_what_to_do() {
        let first = "instant,watts\n2026-01-05T00:00:00Z,1\n";
        for (csv, says) in [
            (String::new(), "home.csv: a load profile needs the header"),
            (first.to_owned(), "at least two readings"),
            (
                "time,power\n".to_owned(),
                "home.csv, line 1: the header is \"time,power\", but has to be \"instant,watts\"",
            ),
            (
                format!("{first}\n# x\n7"),
                "home.csv, line 5: \"7\" has to be an instant and",
            ),
            (
                format!("{first}2026-01-05T00:01:00,1"),
                "line 3: \"2026-01-05T00:01:00\" has to be a whole minute in UTC",
            ),
            (
                format!("{first}2026-01-05T01:01:00+01:00,1"),
                "line 3: \"2026-01-05T01:01",
            ),
            (format!("{first}2026-01-05T00:01:30Z,1"), "whole minute in UTC"),
            (
                format!("{first}2026-01-05T00:01:00Z,-5"),
                "line 3: \"-5\" has to be watts",
            ),
            (
                format!("{first}2026-01-05T00:01:00Z,1e3"),
                "\"1e3\" has to be watts",
            ),
            (
                format!("{first}2026-01-05T00:01:00Z,1.2345"),
                "at most three decimals",
            ),
            (
                format!("{first}2026-01-05T00:01:00Z,1000000.001"),
                "from 0 to 1000000",
            ),
            (
                format!("{first}2026-01-05T02:00:00Z,1"),
                "line 3: a step of 7200 s is not",
            ),
            (
                format!("{first}2026-01-05T00:00:00Z,1"),
                "line 3: a step of 0 s is not",
            ),
            (
                format!("{first}2026-01-05T00:01:00Z,1\n2026-01-05T00:03:00Z,1"),
                "home.csv, line 4: 120 s after the line before, but the step of this file is 60 s",
            ),
        ] {
            let complaint = complaint(&csv);
            assert!(complaint.contains(says), "{complaint:?} does not say {says:?}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = ProfileSeries::read(Path::new("/nowhere/load.csv")).unwrap_err();
        assert!(
            error.to_string().starts_with("/nowhere/load.csv: cannot read"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn every_reading_is_found_again_one_cycle_later(
            step_minutes in 1_i64..=60,
            watts in prop::collection::vec(0..=WATTS_MAX, 2..200),
        ) {
            let step = step_minutes * 60;
            let series = ProfileSeries::parse("home.csv", &written(MONDAY, step, &watts)).unwrap();
            let cycle = series.cycle_seconds;
            for (index, watts) in (0..).zip(&watts).take_while(|(index, _)| index * step < cycle) {
                let instant = MONDAY + index * step;
                prop_assert_eq!(series.milliwatts(instant), watts * 1_000);
                prop_assert_eq!(series.milliwatts(instant - 3 * cycle), watts * 1_000);
            }
        }

        #[test]
        fn no_text_breaks_the_reader(csv in ".{0,200}", lines in "(instant,watts\n)?[-0-9TZ:.,\n]{0,99}") {
            let _ = ProfileSeries::parse("any", &csv);
            let _ = ProfileSeries::parse("any", &lines);
        }
    }
}
