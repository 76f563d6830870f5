//! For how long one seed draws: the weeks whose Monday lies in one month.

use core::fmt;
use core::str::FromStr;

use chrono::{Datelike as _, NaiveDate, Weekday};
use chrono_tz::Tz;
use gridtally_protocol::time::{IntervalLength, Timestamp};

use crate::rules::calendar::{day_start, plus_days};

/// A calendar month; to it belong the weeks that begin in it, each from Monday to Sunday by the program's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    first: NaiveDate,
}

/// A text that is no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no month of the form 2026-12")]
pub struct PeriodError {
    text: String,
}

/// The seventh day after.
const WEEK: i64 = 7;

impl Period {
    /// The Mondays of its weeks, the earlier first.
    pub fn mondays(self) -> impl Iterator<Item = NaiveDate> {
        let in_it =
            move |day: &NaiveDate| (day.year(), day.month()) == (self.first.year(), self.first.month());
        let days = (0..31).filter_map(move |n| plus_days(self.first, n));
        days.filter(in_it).filter(|day| day.weekday() == Weekday::Mon)
    }

    /// When its first week begins.
    #[must_use]
    pub fn start(self, zone: Tz, interval: IntervalLength) -> Option<Timestamp> {
        day_start(self.mondays().next()?, zone, interval)
    }

    /// When its last week is over.
    #[must_use]
    pub fn end(self, zone: Tz, interval: IntervalLength) -> Option<Timestamp> {
        day_start(plus_days(self.mondays().last()?, WEEK)?, zone, interval)
    }
}

impl FromStr for Period {
    type Err = PeriodError;
    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let first = || {
            let (year, month) = text.split_once('-')?;
            let digits = |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
            if !digits(year, 4) || !digits(month, 2) {
                return None;
            }
            NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)
        };
        let first = first().filter(|day| (1970..=9998).contains(&day.year()));
        first.map(|first| Self { first }).ok_or_else(|| PeriodError {
            text: text.chars().take(32).collect(),
        })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04}-{:02}", self.first.year(), self.first.month()))
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod tests {
    use super::*;

    #[test]
    fn every_week_belongs_to_the_month_of_its_monday() {
        let mondays = |text: &str| -> Vec<String> {
            let period: Period = text.parse().unwrap();
            period.mondays().map(|day| day.to_string()).collect()
        };
        assert_eq!(
            mondays("2026-12"),
            ["2026-12-07", "2026-12-14", "2026-12-21", "2026-12-28"]
        );
        assert_eq!(mondays("2027-01")[0], "2027-01-04");
        assert_eq!(mondays("2027-02").len(), 4);
    }

    #[test]
    fn a_period_begins_and_ends_at_midnight_of_the_programs_clock() {
        let period: Period = "2026-03".parse().unwrap();
        let zone = chrono_tz::Europe::London;
        let half_hour = IntervalLength::HALF_HOUR;
        let shown = |at: Option<Timestamp>| at.unwrap().to_string();
        assert_eq!(shown(period.start(zone, half_hour)), "2026-03-02T00:00:00Z");
        // Summer time begins on its last Sunday but one day.
        assert_eq!(shown(period.end(zone, half_hour)), "2026-04-05T23:00:00Z");
    }

    #[test]
    fn only_months_are_read() {
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-1",
            "+026-01",
            "2026-12-01",
            "9999-12",
            "1969-01",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        assert_eq!("2026-12".parse::<Period>().unwrap().to_string(), "2026-12");
    }
}
