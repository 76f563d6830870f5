//! How zones, interval lengths and events are written on the command line.

use std::str::FromStr;

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use gridtally_protocol::time::{IntervalLength, Timestamp};

use crate::rules::calendar::LocalSlot;

/// An argument that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Not an event's time.
    #[error(
        "{text:?} is no event: write its start and duration, 2013-01-16T17:00/PT2H, or its start and end"
    )]
    Event {
        /// As given.
        text: String,
    },
    /// A time that the clock jumps over.
    #[error("{local} does not exist in {zone}: the clock jumps over it")]
    Skipped {
        /// As given.
        local: NaiveDateTime,
        /// The zone.
        zone: Tz,
    },
    /// A time that the clock shows twice.
    #[error("{local} happens twice in {zone}: add Z or an offset, {local}+01:00 say")]
    Twice {
        /// As given.
        local: NaiveDateTime,
        /// The zone.
        zone: Tz,
    },
    /// Not an instant.
    #[error("{text:?} is no time of the form 2013-01-16T12:00, with Z or an offset where it is not local")]
    Instant {
        /// As given.
        text: String,
    },
    /// Out of the years that we know.
    #[error("the event is not within the years 1970 to 9999")]
    OutOfRange,
}

/// A zone of the IANA database.
pub(super) fn parse_zone(text: &str) -> Result<Tz, String> {
    text.parse()
        .map_err(|_| "no zone of the IANA database, Europe/London say".to_owned())
}

/// `30m` or `1h`.
pub(in crate::cli) fn parse_interval(text: &str) -> Result<IntervalLength, String> {
    let minutes = |digits: &str, of: u32| digits.parse::<u32>().ok().and_then(|n| n.checked_mul(of));
    let minutes = match (text.strip_suffix('m'), text.strip_suffix('h')) {
        (Some(digits), _) => minutes(digits, 1),
        (_, Some(digits)) => minutes(digits, 60),
        _ => None,
    };
    let seconds = minutes
        .and_then(|m| m.checked_mul(60))
        .ok_or("write minutes, 30m, or 1h")?;
    IntervalLength::from_seconds(seconds).map_err(|e| e.to_string())
}

/// A point in time, absolute or by the clock on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    Instant(Timestamp),
    Local(NaiveDateTime),
}

impl Stamp {
    /// `2013-01-16T17:00`, with a space instead of the T, with seconds, with Z or an offset.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (day, clock) = (text.get(..10)?, text.get(11..)?);
        if !matches!(text.as_bytes().get(10), Some(b'T' | b' ')) {
            return None;
        }
        let (clock, offset) = match clock.find(['Z', '+', '-']) {
            Some(at) => clock.split_at_checked(at)?,
            None => (clock, ""),
        };
        let seconds = if clock.len() == 5 { ":00" } else { "" };
        let stamp = format!("{day}T{clock}{seconds}");
        if offset.is_empty() {
            return NaiveDateTime::parse_from_str(&stamp, "%Y-%m-%dT%H:%M:%S")
                .ok()
                .map(Self::Local);
        }
        format!("{stamp}{offset}").parse().ok().map(Self::Instant)
    }

    fn resolve(self, zone: Tz) -> Result<Timestamp, ArgumentError> {
        match self {
            Self::Instant(instant) => Ok(instant),
            Self::Local(local) => match slot(local).instants(zone) {
                [None, _] => Err(ArgumentError::Skipped { local, zone }),
                [Some(instant), None] => Ok(instant),
                [Some(_), Some(_)] => Err(ArgumentError::Twice { local, zone }),
            },
        }
    }
}

/// The place on the wall clock of a local time.
pub(super) fn slot(local: NaiveDateTime) -> LocalSlot {
    LocalSlot {
        day: local.date(),
        second: chrono::Timelike::num_seconds_from_midnight(&local),
    }
}

/// An instant, local where no offset is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstantTime(Stamp);

impl InstantTime {
    /// The instant.
    ///
    /// # Errors
    /// [`ArgumentError`] where a local time does not exist, or exists twice.
    pub fn resolve(self, zone: Tz) -> Result<Timestamp, ArgumentError> {
        self.0.resolve(zone)
    }
}

impl FromStr for InstantTime {
    type Err = ArgumentError;
    fn from_str(text: &str) -> Result<Self, ArgumentError> {
        Stamp::parse(text)
            .map(Self)
            .ok_or_else(|| ArgumentError::Instant {
                text: text.chars().take(64).collect(),
            })
    }
}

/// When an event is: `START/DURATION` or `START/END` (ISO 8601), local where no offset is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime {
    start: Stamp,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    After(i64),
    At(Stamp),
}

impl EventTime {
    /// Its first instant, and the first after it.
    ///
    /// # Errors
    /// [`ArgumentError`] where a local time does not exist, or exists twice.
    pub fn resolve(self, zone: Tz) -> Result<(Timestamp, Timestamp), ArgumentError> {
        let start = self.start.resolve(zone)?;
        let end = match self.end {
            End::After(seconds) => start.checked_add(seconds).ok_or(ArgumentError::OutOfRange)?,
            End::At(stamp) => stamp.resolve(zone)?,
        };
        Ok((start, end))
    }
}

impl FromStr for EventTime {
    type Err = ArgumentError;
    fn from_str(text: &str) -> Result<Self, ArgumentError> {
        let parse = || {
            let (start, end) = text.split_once('/')?;
            let end = match end.strip_prefix("PT") {
                Some(duration) => End::After(parse_duration(duration)?),
                None => End::At(Stamp::parse(end)?),
            };
            Some(Self {
                start: Stamp::parse(start)?,
                end,
            })
        };
        parse().ok_or_else(|| ArgumentError::Event {
            text: text.chars().take(64).collect(),
        })
    }
}

/// The `2H30M` of an ISO 8601 duration, in seconds.
pub(in crate::cli) fn parse_duration(text: &str) -> Option<i64> {
    let (hours, rest) = text.split_once('H').unwrap_or(("0", text));
    let minutes = if rest.is_empty() {
        "0"
    } else {
        rest.strip_suffix('M')?
    };
    let number = |digits: &str| digits.parse::<u16>().ok().map(i64::from);
    number(hours)?
        .checked_mul(3600)?
        .checked_add(number(minutes)?.checked_mul(60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONDON: Tz = chrono_tz::Europe::London;

    fn resolve(text: &str) -> Result<(String, String), ArgumentError> {
        let (start, end) = text.parse::<EventTime>()?.resolve(LONDON)?;
        Ok((start.to_string(), end.to_string()))
    }

    #[test]
    fn an_event_is_a_start_and_a_duration_or_an_end() {
        let evening = Ok((
            "2013-06-12T16:00:00Z".to_owned(),
            "2013-06-12T18:30:00Z".to_owned(),
        ));
        for text in [
            "2013-06-12T17:00/PT2H30M",
            "2013-06-12 17:00:00/PT150M",
            "2013-06-12T16:00Z/2013-06-12T19:30",
            "2013-06-12T17:00+01:00/2013-06-12T18:30:00Z",
        ] {
            assert_eq!(resolve(text), evening, "{text}");
        }
    }

    #[test]
    fn a_local_time_that_does_not_exist_or_exists_twice_is_refused() {
        assert!(matches!(
            resolve("2013-03-31T01:30/PT1H"),
            Err(ArgumentError::Skipped { .. })
        ));
        assert!(matches!(
            resolve("2013-10-27T01:30/PT1H"),
            Err(ArgumentError::Twice { .. })
        ));
        assert!(resolve("2013-10-27T01:30+01:00/PT1H").is_ok());
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for text in [
            "",
            "2013-01-16",
            "2013-01-16T17:00",
            "2013-01-16T17:00/2H",
            "x/PT1H",
            "2013-13-01T00:00/PT1H",
        ] {
            assert!(
                matches!(resolve(text), Err(ArgumentError::Event { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn intervals_are_minutes_that_divide_an_hour() {
        assert_eq!(parse_interval("30m").map(IntervalLength::seconds), Ok(1800));
        assert_eq!(parse_interval("1h").map(IntervalLength::seconds), Ok(3600));
        for text in ["7m", "0m", "30", "m", "2h", "30s", "-5m"] {
            assert!(parse_interval(text).is_err(), "{text}");
        }
    }
}
