//! Quiet hours: ranges of the clock on the owner's wall.
//!
//! Quiet is what the clock shows, whatever the day's length: in the hour that a 25-hour day has twice both
//! are quiet, and in the hour that a 23-hour day lacks there is nothing to keep quiet.

use std::fmt;

use gridtally_protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::zone::Zone;

const DAY_MINUTES: u16 = 1_440;

/// A range of the wall clock, from its first minute to before its last, over midnight where it ends earlier
/// than it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietRange {
    from: u16,
    to: u16,
}

impl QuietRange {
    /// From and to minutes after midnight, `to` at most 24:00; `None` where it is no range.
    #[must_use]
    pub fn from_minutes(from: u16, to: u16) -> Option<Self> {
        (from < DAY_MINUTES && to <= DAY_MINUTES && from != to).then_some(Self { from, to })
    }

    fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        Self::from_minutes(minutes(from)?, minutes(to)?)
    }

    const fn holds(self, minute: u16) -> bool {
        if self.from < self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

/// `HH:MM`, up to 24:00.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str, max: u16| {
        let is_plain = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|n: &u16| is_plain && *n <= max)
    };
    let (hour, minute) = (two_digits(hour, 24)?, two_digits(minute, 59)?);
    hour.checked_mul(60)?
        .checked_add(minute)
        .filter(|m| *m <= DAY_MINUTES)
}

impl fmt::Display for QuietRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |minute: u16| format!("{:02}:{:02}", minute.div_euclid(60), minute.rem_euclid(60));
        write!(f, "{}-{}", shown(self.from), shown(self.to))
    }
}

impl<'de> Deserialize<'de> for QuietRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no range of the clock such as \"22:00-07:00\" (the whole day is \"00:00-24:00\")"
            ))
        })
    }
}

/// When the owner wants quiet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    /// Universal time where absent.
    zone: Option<Zone>,
    ranges: Vec<QuietRange>,
}

impl QuietHours {
    /// Never.
    pub const NONE: Self = Self {
        zone: None,
        ranges: Vec::new(),
    };

    /// In these ranges of the clocks of `zone`.
    #[must_use]
    pub const fn new(zone: Zone, ranges: Vec<QuietRange>) -> Self {
        Self {
            zone: Some(zone),
            ranges,
        }
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[QuietRange] {
        &self.ranges
    }

    /// Whether it is quiet at an instant.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        // Where the zone's rules do not tell, quiet is the safe answer.
        !self.ranges.is_empty() && self.second_of_day(at).is_none_or(|second| self.is_quiet(second))
    }

    /// Whether it is quiet anywhere between `start` and before `end`.
    ///
    /// Looks at each minute of the clock: both ranges and the clock's jumps begin with one.
    #[must_use]
    pub fn touch(&self, start: Timestamp, end: Timestamp) -> bool {
        if self.ranges.is_empty() {
            return false;
        }
        let mut at = start;
        while at < end {
            let Some(second) = self.second_of_day(at).filter(|s| !self.is_quiet(*s)) else {
                return true;
            };
            let to_next_minute = 60_i64.saturating_sub(i64::from(second.rem_euclid(60)));
            match at.checked_add(to_next_minute) {
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    }

    fn second_of_day(&self, at: Timestamp) -> Option<u32> {
        match &self.zone {
            Some(zone) => zone.second_of_day(at),
            None => u32::try_from(at.unix().rem_euclid(86_400)).ok(),
        }
    }

    fn is_quiet(&self, second: u32) -> bool {
        let minute = u16::try_from(second.div_euclid(60)).unwrap_or(0);
        self.ranges.iter().any(|range| range.holds(minute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str) -> QuietRange {
        QuietRange::parse(text).unwrap()
    }

    fn quiet(zone: &str, ranges: &[&str]) -> QuietHours {
        QuietHours::new(
            Zone::load(zone).unwrap(),
            ranges.iter().map(|r| range(r)).collect(),
        )
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// How many minutes of quiet there are from an instant on.
    fn quiet_minutes(quiet: &QuietHours, start: &str, minutes: i64) -> usize {
        (0..minutes)
            .filter(|m| quiet.holds(at(start).checked_add(m * 60).unwrap()))
            .count()
    }

    #[test]
    fn a_range_is_read_as_it_is_shown() {
        for text in ["22:00-07:00", "00:00-24:00", "06:30-06:31", "23:59-00:00"] {
            assert_eq!(range(text).to_string(), text);
        }
        for text in [
            "",
            "22-7",
            "22:00",
            "7:00-8:00",
            "22:00-22:00",
            "24:00-01:00",
            "12:60-13:00",
            "25:00-01:00",
            "24:01-02:00",
            "+1:00-02:00",
            "22:00-24:01",
            "22:00 - 07:00",
        ] {
            assert_eq!(QuietRange::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_night_of_quiet_is_as_long_as_the_clock_makes_it() {
        let night = quiet("Europe/London", &["00:30-03:00"]);
        for (day, minutes) in [
            ("2026-06-10T23:00:00Z", 150), // an ordinary night of summer time
            ("2026-03-29T00:00:00Z", 90),  // 01:00 to 02:00 is not on the clock
            ("2026-10-24T23:00:00Z", 210), // 01:00 to 02:00 is there twice
        ] {
            assert_eq!(quiet_minutes(&night, day, 6 * 60), minutes, "{day}");
        }
    }

    #[test]
    fn a_range_that_the_clock_jumps_over_is_not_there_and_one_that_it_repeats_is_there_twice() {
        let hour = quiet("Europe/London", &["01:15-01:45"]);
        assert!(!hour.touch(at("2026-03-29T00:00:00Z"), at("2026-03-29T06:00:00Z")));
        for start in ["2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z"] {
            let end = at(start).checked_add(60).unwrap();
            assert!(hour.touch(at(start), end), "{start}");
        }
        assert!(!hour.touch(at("2026-10-25T00:45:00Z"), at("2026-10-25T01:15:00Z")));
    }

    #[test]
    fn an_event_touches_quiet_hours_over_midnight_from_both_sides() {
        let night = quiet("Europe/Berlin", &["22:00-07:00"]);
        for (start, end, touches) in [
            ("2026-04-23T17:00:00Z", "2026-04-23T20:00:00Z", false), // ends at 22:00
            ("2026-04-23T17:00:00Z", "2026-04-23T20:00:01Z", true),
            ("2026-04-24T04:59:59Z", "2026-04-24T08:00:00Z", true),
            ("2026-04-24T05:00:00Z", "2026-04-24T08:00:00Z", false), // begins at 07:00
            ("2026-04-23T06:00:00Z", "2026-04-24T05:00:00Z", true),
        ] {
            assert_eq!(night.touch(at(start), at(end)), touches, "{start} to {end}");
        }
    }

    #[test]
    fn no_range_is_never_and_the_whole_day_is_always() {
        let (start, end) = (at("2026-04-23T17:00:00Z"), at("2026-04-23T17:00:01Z"));
        assert!(!QuietHours::NONE.touch(start, end) && !QuietHours::NONE.holds(start));
        let always = quiet("Asia/Kathmandu", &["00:00-24:00"]);
        assert!(always.touch(start, end) && always.holds(start));
    }

    proptest! {
        /// Against the plain reading: second by second, by what the clock shows. Zones with days of 23 and 25
        /// hours, with half an hour and with quarters.
        #[test]
        fn an_event_touches_quiet_hours_exactly_where_some_second_of_it_is_quiet(
            zone in prop::sample::select(vec![
                "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC",
            ]),
            day in prop::sample::select(vec![
                "2026-03-07T20:00:00Z", "2026-03-28T20:00:00Z", "2026-04-04T08:00:00Z", "2026-10-03T08:00:00Z",
                "2026-10-24T20:00:00Z", "2026-10-31T20:00:00Z", "2026-07-01T00:00:00Z",
            ]),
            offset in 0_i64..86_400, seconds in 1_i64..7_200,
            from in 0_u16..1_440, to in 0_u16..=1_440,
        ) {
            prop_assume!(from != to);
            let hours = QuietHours::new(Zone::load(zone).unwrap(), vec![QuietRange::from_minutes(from, to).unwrap()]);
            let start = at(day).checked_add(offset).unwrap();
            let end = start.checked_add(seconds).unwrap();
            let plainly = (0..seconds).any(|s| hours.holds(start.checked_add(s).unwrap()));
            prop_assert_eq!(hours.touch(start, end), plainly);
        }
    }
}
