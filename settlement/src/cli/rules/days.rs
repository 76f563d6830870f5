//! An analyst's files of days: holidays and temperatures.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::arguments::Stamp;
use crate::rules::calendar::LocalSlot;
use crate::rules::exact::{Ratio, read_decimal};

/// What is wrong in a file of days.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DaysError {
    /// A line that is no day.
    #[error("line {line} is no day of the form 2013-12-25")]
    Day {
        /// The line, from 1 on.
        line: usize,
    },
    /// The first line is not a header.
    #[error("line 1 is neither the header day,max nor start,temperature")]
    Header,
    /// Not two fields.
    #[error("line {line} does not have two fields")]
    Fields {
        /// The line.
        line: usize,
    },
    /// Not a time.
    #[error(
        "line {line} does not begin with a time of the form 2013-01-16 17:00, with Z or an offset where it is not local"
    )]
    Stamp {
        /// The line.
        line: usize,
    },
    /// Not a temperature.
    #[error("line {line}: {error}")]
    Value {
        /// The line.
        line: usize,
        /// What is wrong.
        error: String,
    },
    /// Two different values for one day.
    #[error("line {line} and line {earlier} have different values for one day")]
    Conflict {
        /// The line.
        line: usize,
        /// The earlier one.
        earlier: usize,
    },
}

/// One day a line; `#` begins a comment.
pub(super) fn read_days(text: &str) -> Result<BTreeSet<NaiveDate>, DaysError> {
    let mut days = BTreeSet::new();
    for (line, text) in (1..).zip(text.lines()) {
        let day = text.split('#').next().unwrap_or_default().trim();
        if !day.is_empty() {
            days.insert(day.parse().map_err(|_| DaysError::Day { line })?);
        }
    }
    Ok(days)
}

/// The highest temperature of each local day, from a file that has it (`day,max`) or that has temperatures
/// (`start,temperature`).
pub(super) fn read_temperatures(text: &str, zone: Tz) -> Result<BTreeMap<NaiveDate, Ratio>, DaysError> {
    let mut lines = (1..).zip(text.trim_start_matches('\u{feff}').lines());
    let header = lines.next().map(|(_, line)| line.trim_end().to_ascii_lowercase());
    let daily = match header.as_deref() {
        Some("day,max") => true,
        Some("start,temperature") => false,
        _ => return Err(DaysError::Header),
    };
    let mut highest: BTreeMap<NaiveDate, (usize, Ratio)> = BTreeMap::new();
    for (line, text) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let (when, value) = text.split_once(',').ok_or(DaysError::Fields { line })?;
        if value.contains(',') {
            return Err(DaysError::Fields { line });
        }
        let (when, value) = (when.trim(), value.trim());
        let day = if daily {
            when.parse().map_err(|_| DaysError::Day { line })?
        } else {
            local_day(when, zone).ok_or(DaysError::Stamp { line })?
        };
        if value.is_empty() {
            continue;
        }
        let value = read_temperature(value).map_err(|error| DaysError::Value { line, error })?;
        match highest.get_mut(&day) {
            Some((earlier, known)) if daily && *known != value => {
                return Err(DaysError::Conflict {
                    line,
                    earlier: *earlier,
                });
            }
            Some((_, known)) => *known = value.max(*known),
            None => {
                highest.insert(day, (line, value));
            }
        }
    }
    Ok(highest
        .into_iter()
        .map(|(day, (_, value))| (day, value))
        .collect())
}

fn local_day(stamp: &str, zone: Tz) -> Option<NaiveDate> {
    match Stamp::parse(stamp)? {
        Stamp::Local(local) => Some(local.date()),
        Stamp::Instant(instant) => LocalSlot::of(instant, zone).map(|slot| slot.day),
    }
}

/// A temperature as a plain decimal between −1000 and 1000.
pub(super) fn read_temperature(text: &str) -> Result<Ratio, String> {
    let value = Ratio::of_decimal(read_decimal(text)?).map_err(|e| e.to_string())?;
    if (Ratio::whole(-1000)..=Ratio::whole(1000)).contains(&value) {
        Ok(value)
    } else {
        Err(format!(
            "{text:?} is no temperature: it is not between -1000 and 1000"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, DaysError> {
        let days = read_temperatures(text, chrono_tz::America::Los_Angeles)?;
        Ok(days.iter().map(|(d, t)| (d.to_string(), t.to_string())).collect())
    }

    #[test]
    fn the_highest_temperature_of_a_local_day_is_found() {
        // 06:00Z on 2 July is still 1 July in Los Angeles.
        let text = "start,temperature\n2026-07-01 12:00,29.5\n2026-07-02T06:00Z,30.25\n2026-07-02 09:00,-1\n2026-07-03 09:00,\n";
        let days = [("2026-07-01", "121/4"), ("2026-07-02", "-1")];
        assert_eq!(
            read(text),
            Ok(days.map(|(d, t)| (d.to_owned(), t.to_owned())).to_vec())
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("day,kwh\n", DaysError::Header),
            ("day,max\n2026-07-01\n", DaysError::Fields { line: 2 }),
            ("day,max\n2026-07-01,1,2\n", DaysError::Fields { line: 2 }),
            ("day,max\n2026-02-30,1\n", DaysError::Day { line: 2 }),
            ("start,temperature\nnoon,1\n", DaysError::Stamp { line: 2 }),
            (
                "day,max\n2026-07-01,1\n\n2026-07-01,2\n",
                DaysError::Conflict { line: 4, earlier: 2 },
            ),
        ];
        for (text, error) in cases {
            assert_eq!(read(text), Err(error), "{text}");
        }
        for value in ["warm", "1e1", "1000.1", "NaN"] {
            let error = read(&format!("day,max\n2026-07-01,{value}\n")).unwrap_err();
            assert!(
                matches!(error, DaysError::Value { line: 2, .. }),
                "{value}: {error}"
            );
        }
        assert_eq!(
            read_days("2026-01-01 # new\n\nsoon\n"),
            Err(DaysError::Day { line: 3 })
        );
    }
}
