//! Time zones, from the system's own database.
//!
//! A table that is compiled in would cost a small box 1.9 MB on the disk and 1.8 MB of memory, and would be
//! as old as the agent; governments change their clocks more often than a home changes its box, and the
//! system's updates bring what they decide.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use gridtally_protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use tz::TimeZone;

/// Where systems keep it.
const DIRECTORY: &str = "/usr/share/zoneinfo";
/// No zone's file is near so long.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// A zone of the IANA database, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// Why there is no such zone here.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// No name of a zone has this form.
    #[error("{0:?} is no time zone; write one such as \"Europe/London\"")]
    Name(String),
    /// The database has no such file.
    #[error(
        "the time zone cannot be read from {}: {source}; check its spelling, and that the system's tzdata is installed",
        file.display()
    )]
    Read {
        /// The file that was looked for.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no table of a zone.
    #[error("{} is no time zone: {reason}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Zone {
    /// Greenwich without summer, for which no file is needed.
    #[must_use]
    pub fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            rules: TimeZone::utc(),
        }
    }

    /// Reads the zone of a name such as `Europe/London`.
    ///
    /// # Errors
    /// [`ZoneError`].
    pub fn load(name: &str) -> Result<Self, ZoneError> {
        let is_part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
        };
        if name.len() > 64 || !name.split('/').all(is_part) {
            return Err(ZoneError::Name(name.chars().take(64).collect()));
        }
        let file = Path::new(DIRECTORY).join(name);
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&file).and_then(|f| f.take(FILE_LEN_MAX).read_to_end(&mut bytes));
        if let Err(source) = read {
            return Err(ZoneError::Read { file, source });
        }
        match TimeZone::from_tz_data(&bytes) {
            Ok(rules) => Ok(Self {
                name: name.to_owned(),
                rules,
            }),
            Err(error) => Err(ZoneError::Malformed {
                file,
                reason: error.to_string(),
            }),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// By how many seconds the clock on the wall is ahead of UTC, if the rules tell.
    #[must_use]
    pub fn offset_seconds(&self, at: Timestamp) -> Option<i32> {
        let kind = self.rules.find_local_time_type(at.unix()).ok()?;
        Some(kind.ut_offset())
    }

    /// The seconds that the clock on the wall shows since its midnight, if the rules tell.
    #[must_use]
    pub fn second_of_day(&self, at: Timestamp) -> Option<u32> {
        let offset = self.offset_seconds(at)?;
        let second = at.unix().checked_add(offset.into())?.rem_euclid(86_400);
        u32::try_from(second).ok()
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::load(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_on_the_wall_is_read_by_the_rules_of_its_zone_in_years_to_come_too() {
        for (zone, at, hour) in [
            ("Europe/London", "2026-01-10T12:00:00Z", 12),
            ("Europe/London", "2026-07-10T12:00:00Z", 13),
            ("America/New_York", "2036-07-10T03:00:00Z", 23),
            ("Etc/GMT+5", "2036-07-10T03:00:00Z", 22),
        ] {
            let second = Zone::load(zone).unwrap().second_of_day(at.parse().unwrap());
            assert_eq!(second, Some(hour * 3_600), "{zone}");
        }
    }

    #[test]
    fn what_is_no_zone_is_refused_with_the_reason_and_no_other_file_is_opened() {
        for name in [
            "",
            "/etc/passwd",
            "../passwd",
            "Europe/../../passwd",
            "Europe//London",
            "a b",
            &"a".repeat(65),
        ] {
            assert!(matches!(Zone::load(name), Err(ZoneError::Name(_))), "{name:?}");
        }
        let missing = Zone::load("Europe/Atlantis").unwrap_err().to_string();
        assert!(
            missing.contains("Europe/Atlantis") && missing.contains("tzdata"),
            "{missing}"
        );
        // A directory of zones is none.
        assert!(matches!(Zone::load("Europe"), Err(ZoneError::Read { .. })));
    }
}
