//! Local time: the wall-clock day and slot of an instant, and the instants of a slot.
//!
//! Baselines compare like hours with like hours, and people live by the clock on the wall. On the day when
//! the clock goes forward some slots do not exist; on the day when it goes back some exist twice.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone, Timelike, Weekday};
use chrono_tz::Tz;
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};

/// What a calendar says of a day. A rule's day types are sets of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayKind {
    /// A Monday that is no holiday.
    Monday,
    /// A Tuesday that is no holiday.
    Tuesday,
    /// A Wednesday that is no holiday.
    Wednesday,
    /// A Thursday that is no holiday.
    Thursday,
    /// A Friday that is no holiday.
    Friday,
    /// A Saturday that is no holiday.
    Saturday,
    /// A Sunday that is no holiday.
    Sunday,
    /// A holiday, whichever day of the week it falls on.
    Holiday,
}

impl DayKind {
    /// Every kind by its name in documents.
    pub const ALL: [(&str, Self); 8] = [
        ("monday", Self::Monday),
        ("tuesday", Self::Tuesday),
        ("wednesday", Self::Wednesday),
        ("thursday", Self::Thursday),
        ("friday", Self::Friday),
        ("saturday", Self::Saturday),
        ("sunday", Self::Sunday),
        ("holiday", Self::Holiday),
    ];

    /// The kind of `day` under a holiday calendar.
    #[must_use]
    pub fn of(day: NaiveDate, holidays: &BTreeSet<NaiveDate>) -> Self {
        if holidays.contains(&day) {
            return Self::Holiday;
        }
        match day.weekday() {
            Weekday::Mon => Self::Monday,
            Weekday::Tue => Self::Tuesday,
            Weekday::Wed => Self::Wednesday,
            Weekday::Thu => Self::Thursday,
            Weekday::Fri => Self::Friday,
            Weekday::Sat => Self::Saturday,
            Weekday::Sun => Self::Sunday,
        }
    }
}

/// A place on the wall clock: a local day and the seconds that the clock shows since its midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalSlot {
    /// The local day.
    pub day: NaiveDate,
    /// What the clock shows, in seconds since 00:00; not the time that has passed.
    pub second: u32,
}

impl LocalSlot {
    /// The slot in which an instant lies.
    #[must_use]
    pub fn of(instant: Timestamp, zone: Tz) -> Option<Self> {
        let local = DateTime::from_timestamp(instant.unix(), 0)?
            .with_timezone(&zone)
            .naive_local();
        Some(Self {
            day: local.date(),
            second: local.time().num_seconds_from_midnight(),
        })
    }

    /// The instants at which the clock shows this: none where it jumps over it, two (the earlier first)
    /// where it shows it twice.
    #[must_use]
    pub fn instants(self, zone: Tz) -> [Option<Timestamp>; 2] {
        let Some(time) = NaiveTime::from_num_seconds_from_midnight_opt(self.second, 0) else {
            return [None, None];
        };
        let stamp = |t: DateTime<Tz>| Timestamp::from_unix(t.timestamp()).ok();
        match zone.from_local_datetime(&self.day.and_time(time)) {
            LocalResult::None => [None, None],
            LocalResult::Single(only) => [stamp(only), None],
            LocalResult::Ambiguous(one, other) => [stamp(one.min(other)), stamp(one.max(other))],
        }
    }

    /// `HH:MM` on the wall clock.
    #[must_use]
    pub fn clock(self) -> String {
        NaiveTime::from_num_seconds_from_midnight_opt(self.second, 0)
            .map_or_else(String::new, |t| t.format("%H:%M").to_string())
    }

    /// The slot at the same time of the clock, `days` later.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Option<Self> {
        Some(Self {
            day: plus_days(self.day, days)?,
            second: self.second,
        })
    }
}

/// The day `days` after (before, where negative) `day`.
#[must_use]
pub fn plus_days(day: NaiveDate, days: i64) -> Option<NaiveDate> {
    day.checked_add_signed(TimeDelta::try_days(days)?)
}

/// The first instant of a local day that an interval of `length` can begin at, or `None` where the zone
/// skips the whole day (Samoa, 2011-12-30).
#[must_use]
pub fn day_start(day: NaiveDate, zone: Tz, length: IntervalLength) -> Option<Timestamp> {
    let slots = (0..86_400).step_by(usize::try_from(length.seconds()).ok()?);
    slots
        .map(|second| LocalSlot { day, second })
        .find_map(|slot| slot.instants(zone).into_iter().flatten().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn in_spring_the_clock_jumps_over_an_hour() {
        let zone = chrono_tz::Europe::London;
        let skipped = LocalSlot {
            day: date("2013-03-31"),
            second: 5400,
        };
        assert_eq!(skipped.instants(zone), [None, None]);
        let after = LocalSlot {
            day: date("2013-03-31"),
            second: 7200,
        };
        assert_eq!(after.instants(zone), [Some(at("2013-03-31T01:00:00Z")), None]);
    }

    #[test]
    fn in_autumn_the_clock_shows_an_hour_twice() {
        let zone = chrono_tz::Europe::London;
        let twice = LocalSlot {
            day: date("2013-10-27"),
            second: 3600,
        };
        let instants = [at("2013-10-27T00:00:00Z"), at("2013-10-27T01:00:00Z")];
        assert_eq!(twice.instants(zone), instants.map(Some));
        for instant in instants {
            assert_eq!(LocalSlot::of(instant, zone), Some(twice));
        }
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        let zone = chrono_tz::America::Los_Angeles;
        let hours = |day: &str| {
            let start = |d| day_start(d, zone, IntervalLength::HALF_HOUR).unwrap();
            start(plus_days(date(day), 1).unwrap()).seconds_since(start(date(day))) / 3600
        };
        assert_eq!(
            ["2026-03-08", "2026-03-09", "2026-11-01"].map(hours),
            [23, 24, 25]
        );
    }

    #[test]
    fn a_day_may_begin_after_midnight_or_not_exist() {
        // Brazil moved its clocks at midnight until 2019; Samoa crossed the date line in 2011.
        let start = day_start(
            date("2018-11-04"),
            chrono_tz::America::Sao_Paulo,
            IntervalLength::HALF_HOUR,
        );
        assert_eq!(start, Some(at("2018-11-04T03:00:00Z")));
        assert_eq!(
            day_start(
                date("2011-12-30"),
                chrono_tz::Pacific::Apia,
                IntervalLength::HALF_HOUR
            ),
            None
        );
    }

    #[test]
    fn a_holiday_is_a_holiday_on_any_day_of_the_week() {
        let holidays = BTreeSet::from([date("2013-01-01"), date("2013-01-06")]);
        let kinds =
            ["2013-01-01", "2013-01-02", "2013-01-05", "2013-01-06"].map(|d| DayKind::of(date(d), &holidays));
        let expected = [
            DayKind::Holiday,
            DayKind::Wednesday,
            DayKind::Saturday,
            DayKind::Holiday,
        ];
        assert_eq!(kinds, expected);
    }
}
