//! Instants and intervals: whole seconds of UTC, labelled by start.

use core::fmt;

use chrono::{Datelike as _, Timelike as _};
use serde::{Deserialize, Serialize};

/// An instant: whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX time).
///
/// Bounded to the years 1970 to 9999, so that every value has an RFC 3339 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// 9999-12-31T23:59:59Z.
const LATEST: i64 = 253_402_300_799;

/// Why a value is no instant or interval of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Before 1970 or after 9999.
    #[error("{seconds} seconds since 1970 is outside of the years 1970 to 9999")]
    OutOfRange {
        /// The value as given.
        seconds: i64,
    },
    /// Not RFC 3339 in UTC with whole seconds.
    #[error("{text:?} is not an instant of the form 2026-04-23T17:00:00Z")]
    NotRfc3339 {
        /// The text as given, cut to 64 characters.
        text: String,
    },
    /// An interval's length is not 1 to 60 whole minutes that divide an hour.
    #[error(
        "an interval of {seconds} s is not allowed: take 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 or 60 minutes"
    )]
    IntervalLength {
        /// The length as given.
        seconds: u32,
    },
    /// An interval does not begin at a multiple of its length.
    #[error("an interval of {length} s cannot begin at {start}: it begins at a whole multiple of its length")]
    NotAligned {
        /// The start as given.
        start: Timestamp,
        /// The interval's length in seconds.
        length: u32,
    },
}

impl Timestamp {
    /// The first instant, 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The last instant, 9999-12-31T23:59:59Z.
    pub const LATEST: Self = Self(LATEST);

    /// From seconds since 1970.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside of the years 1970 to 9999.
    pub const fn from_unix(seconds: i64) -> Result<Self, TimeError> {
        if seconds < 0 || seconds > LATEST {
            return Err(TimeError::OutOfRange { seconds });
        }
        Ok(Self(seconds))
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// The instant `seconds` later (earlier where negative), or `None` out of range.
    #[must_use]
    pub fn checked_add(self, seconds: i64) -> Option<Self> {
        Self::from_unix(self.0.checked_add(seconds)?).ok()
    }

    /// Seconds from `earlier` to this instant; negative where `earlier` is later.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0) // both within 0..=LATEST: cannot saturate
    }

    /// The latest whole multiple of `length` at or before this instant.
    #[must_use]
    pub fn floor_to(self, length: IntervalLength) -> Self {
        Self(
            self.0
                .saturating_sub(self.0.rem_euclid(i64::from(length.seconds()))),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(instant) = chrono::DateTime::from_timestamp(self.0, 0) else {
            return write!(f, "@{}", self.0);
        };
        let year = instant.year().unsigned_abs();
        let date = [
            (0, year / 100),
            (2, year % 100),
            (5, instant.month()),
            (8, instant.day()),
        ];
        let time = [
            (11, instant.hour()),
            (14, instant.minute()),
            (17, instant.second()),
        ];
        // By hand: bundles have an instant in every line, and `strftime` is slow.
        let mut text = *b"0000-00-00T00:00:00Z";
        for (place, number) in date.into_iter().chain(time) {
            let pair = text.iter_mut().skip(place).zip(two_digits(number));
            pair.for_each(|(byte, digit)| *byte = digit);
        }
        f.pad(core::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// A number below 100.
fn two_digits(number: u32) -> [u8; 2] {
    [number / 10 % 10, number % 10].map(|digit| u8::try_from(digit).map_or(b'?', |digit| b'0' | digit))
}

impl core::str::FromStr for Timestamp {
    type Err = TimeError;
    /// RFC 3339 with whole seconds; an offset is accepted and turned into UTC.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let refuse = || TimeError::NotRfc3339 {
            text: text.chars().take(64).collect(),
        };
        let instant = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| refuse())?;
        if instant.timestamp_subsec_nanos() != 0 {
            return Err(refuse());
        }
        Self::from_unix(instant.timestamp())
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimeError;
    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(instant: Timestamp) -> Self {
        instant.to_string()
    }
}

/// The length of metering intervals: whole minutes that divide an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct IntervalLength(u32);

impl IntervalLength {
    /// Five minutes, the default.
    pub const FIVE_MINUTES: Self = Self(300);
    /// Half an hour.
    pub const HALF_HOUR: Self = Self(1800);

    /// From seconds.
    ///
    /// # Errors
    /// [`TimeError::IntervalLength`] unless it is whole minutes that divide an hour.
    pub const fn from_seconds(seconds: u32) -> Result<Self, TimeError> {
        if seconds == 0 || seconds > 3600 || !seconds.is_multiple_of(60) || !3600_u32.is_multiple_of(seconds)
        {
            return Err(TimeError::IntervalLength { seconds });
        }
        Ok(Self(seconds))
    }

    /// The length in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for IntervalLength {
    type Error = TimeError;
    fn try_from(seconds: u32) -> Result<Self, TimeError> {
        Self::from_seconds(seconds)
    }
}

impl From<IntervalLength> for u32 {
    fn from(length: IntervalLength) -> Self {
        length.0
    }
}

/// A half-open span `[start, end)` of UTC, labelled by its start, aligned to a multiple of its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawInterval")]
pub struct Interval {
    start: Timestamp,
    length: IntervalLength,
}

#[derive(Deserialize)]
struct RawInterval {
    start: Timestamp,
    length: IntervalLength,
}

impl TryFrom<RawInterval> for Interval {
    type Error = TimeError;
    fn try_from(raw: RawInterval) -> Result<Self, TimeError> {
        Self::new(raw.start, raw.length)
    }
}

impl Interval {
    /// The interval that begins at `start`.
    ///
    /// # Errors
    /// [`TimeError::NotAligned`] unless `start` is a multiple of `length`;
    /// [`TimeError::OutOfRange`] where its end is.
    pub fn new(start: Timestamp, length: IntervalLength) -> Result<Self, TimeError> {
        if start.floor_to(length) != start {
            return Err(TimeError::NotAligned {
                start,
                length: length.seconds(),
            });
        }
        let end = start.unix().saturating_add(i64::from(length.seconds()));
        Timestamp::from_unix(end).map(|_| Self { start, length })
    }

    /// Its first instant.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        self.start
    }

    /// The first instant after it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Timestamp(self.start.0.saturating_add(i64::from(self.length.0))) // in range by construction
    }

    /// Its length.
    #[must_use]
    pub const fn length(self) -> IntervalLength {
        self.length
    }
}

#[cfg(test)]
mod tests;
