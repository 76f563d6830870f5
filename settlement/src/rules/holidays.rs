//! Holiday calendars: documents that name their source.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::document::{self, DocumentError, Found};

/// No calendar has more days.
pub const HOLIDAYS_MAX: usize = 2_000;
const SOURCE_LEN_MAX: usize = 500;

/// A calendar of holidays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holidays {
    /// Where the days are from.
    pub source: String,
    /// The days.
    pub days: BTreeSet<NaiveDate>,
}

/// The calendars that are built in: name and document.
pub const CALENDARS: [(&str, &str); 2] = [
    (
        "england-wales",
        include_str!("../../../config/programs/holidays/england-wales.toml"),
    ),
    (
        "us-nerc",
        include_str!("../../../config/programs/holidays/us-nerc.toml"),
    ),
];

impl Holidays {
    /// The built-in calendar of this name, where there is one.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Result<Self, DocumentError>> {
        let (_, text) = CALENDARS.iter().find(|(known, _)| *known == name)?;
        Some(Self::from_toml(name, text))
    }

    /// Reads a calendar's document; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`DocumentError`] with every mistake in it.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, DocumentError> {
        document::read(name, text, |s| {
            let source = s.required("source").and_then(|v| v.read_with(read_source));
            let days = s.required("days").and_then(|v| read_listed(&v));
            Some(Self {
                source: source?,
                days: days?,
            })
        })
    }
}

/// Days that are listed.
pub(super) fn read_listed(found: &Found<'_, '_>) -> Option<BTreeSet<NaiveDate>> {
    let days: Vec<_> = found.items(HOLIDAYS_MAX)?.iter().map(Found::day).collect();
    days.into_iter().collect()
}

fn read_source(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() || text.len() > SOURCE_LEN_MAX {
        return Err("does not say where the days are from, in up to 500 characters");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(name: &str) -> BTreeSet<NaiveDate> {
        Holidays::built_in(name).unwrap().unwrap().days
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn every_built_in_calendar_reads_and_names_its_source() {
        for (name, text) in CALENDARS {
            let calendar = Holidays::from_toml(name, text).unwrap();
            assert!(calendar.source.len() > 20 && calendar.days.len() > 90, "{name}");
        }
        assert_eq!(Holidays::built_in("atlantis"), None);
    }

    #[test]
    fn holidays_that_moved_are_where_they_were_held() {
        let england = days("england-wales");
        // The queen's funeral, the coronation, VE Day in 2020 in place of the first Monday of May.
        for day in [
            "2022-09-19",
            "2023-05-08",
            "2020-05-08",
            "2015-12-28",
            "2013-03-29",
        ] {
            assert!(england.contains(&date(day)), "{day}");
        }
        assert!(!england.contains(&date("2020-05-04")));
        let nerc = days("us-nerc");
        // Thanksgiving; Independence Day on a Sunday is kept on Monday, on a Saturday it is not moved.
        for day in ["2026-11-26", "2021-07-05", "2020-07-04", "2023-01-02"] {
            assert!(nerc.contains(&date(day)), "{day}");
        }
        assert!(!nerc.contains(&date("2020-07-03")) && !nerc.contains(&date("2021-07-04")));
    }

    #[test]
    fn a_calendar_without_a_source_is_refused_with_all_that_is_wrong() {
        let error = Holidays::from_toml("mine.toml", "days = [\"2026-02-30\"]\nname = 1\n").unwrap_err();
        let found: Vec<_> = error.mistakes.iter().map(|m| (m.line, m.key.as_str())).collect();
        assert_eq!(found, [(1, "source"), (1, "days[0]"), (2, "name")], "{error}");
    }
}
