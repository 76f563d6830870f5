//! How simulated time passes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Instant;
use thiserror::Error;

/// How time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// So many simulated seconds in a real one; 1 is real time.
    Scaled(u32),
    /// Only when the control API says so.
    Stepped,
}

/// No pace.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no pace of time: write real, x60 (sixty times as fast, up to x86400) or stepped")]
pub struct PaceError(String);

impl FromStr for Pace {
    type Err = PaceError;

    fn from_str(text: &str) -> Result<Self, PaceError> {
        match text {
            "real" => Ok(Self::Scaled(1)),
            "stepped" => Ok(Self::Stepped),
            _ => {
                let factor = text.strip_prefix('x').and_then(|factor| factor.parse().ok());
                let factor = factor.filter(|factor| (1..=86_400).contains(factor));
                factor.map(Self::Scaled).ok_or_else(|| PaceError(text.to_owned()))
            }
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scaled(1) => f.write_str("real"),
            Self::Scaled(factor) => write!(f, "x{factor}"),
            Self::Stepped => f.write_str("stepped"),
        }
    }
}

impl<'de> Deserialize<'de> for Pace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl Serialize for Pace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Simulated time beside the machine's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    began: Instant,
    start: i64,
    pace: Pace,
}

impl Clock {
    pub(crate) fn start(start: i64, pace: Pace) -> Self {
        Self {
            began: Instant::now(),
            start,
            pace,
        }
    }

    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// The simulated instant, in Unix seconds; `None` where only steps count.
    pub(crate) fn now(&self) -> Option<i64> {
        match self.pace {
            Pace::Stepped => None,
            Pace::Scaled(factor) => {
                let elapsed = self.began.elapsed().as_millis() * u128::from(factor) / 1_000;
                Some(
                    self.start
                        .saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX)),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_reads_as_it_is_written() {
        for pace in ["real", "x60", "x86400", "stepped"] {
            assert_eq!(pace.parse::<Pace>().unwrap().to_string(), pace);
        }
        for nonsense in ["x0", "x86401", "60", "fast", "x-1", "x1.5"] {
            assert!(nonsense.parse::<Pace>().is_err(), "{nonsense}");
        }
    }
}
