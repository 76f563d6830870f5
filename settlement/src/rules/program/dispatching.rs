//! When a program's events may be and how long before they are announced: `[dispatch]`. Who may be asked:
//! `[eligibility]`. What it does not say is free.

use std::collections::BTreeSet;

use chrono::{Datelike as _, NaiveDate, Weekday};
use chrono_tz::Tz;
use gridtally_protocol::time::Timestamp;
use serde::Serialize;

use crate::registry::{GroupName, Membership, ZoneName};
use crate::rules::calendar::LocalSlot;
use crate::rules::document::{Found, Section};
use crate::rules::payment::read_clock;

const MINUTE: i64 = 60;
const NOTICE_MINUTES_MAX: u32 = 60 * 24 * 60;
const LENGTH_MINUTES_MAX: u32 = 24 * 60;
const EVENTS_MAX: u32 = 10_000;
const NAMES_MAX: usize = 1_000;

/// A span of the year, both days included; it may reach over New Year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeasonDates {
    /// Month and day of its first day.
    pub from: (u32, u32),
    /// Month and day of its last day.
    pub to: (u32, u32),
}

impl SeasonDates {
    /// The season in which a day lies, by its first and last day.
    #[must_use]
    pub fn around(&self, day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        // A last day of 29 February is the 28th in other years.
        let date = |year: i32, (month, day): (u32, u32)| {
            NaiveDate::from_ymd_opt(year, month, day)
                .or_else(|| NaiveDate::from_ymd_opt(year, month, day.checked_sub(1)?))
        };
        let wraps = self.to < self.from;
        [day.year().checked_sub(1), Some(day.year())]
            .into_iter()
            .flatten()
            .filter_map(|year| {
                let last = if wraps { year.checked_add(1)? } else { year };
                Some((date(year, self.from)?, date(last, self.to)?))
            })
            .find(|(first, last)| *first <= day && day <= *last)
    }
}

/// On which days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchDays {
    /// Monday to Friday, without holidays.
    Working,
    /// All.
    All,
}

/// What the program says of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DispatchRules {
    /// When in the year.
    pub season: Option<SeasonDates>,
    /// From when until when by the local clock, in seconds since 00:00.
    pub window: Option<(u32, u32)>,
    /// On which days.
    pub days: DispatchDays,
    /// How long before its start an event is announced at least, in minutes.
    pub notice_minutes: u32,
    /// How long an event is at least, in minutes.
    pub minutes_min: u32,
    /// How long an event is at most, in minutes.
    pub minutes_max: u32,
    /// How many events there are on one local day at most.
    pub events_per_day: Option<u32>,
    /// How many events there are in one season at most (in one calendar year, where there is no season).
    pub events_per_season: Option<u32>,
    /// On how many days in a row there are events at most.
    pub days_in_a_row: Option<u32>,
}

impl Default for DispatchRules {
    fn default() -> Self {
        Self {
            season: None,
            window: None,
            days: DispatchDays::All,
            notice_minutes: 0,
            minutes_min: 1,
            minutes_max: LENGTH_MINUTES_MAX,
            events_per_day: None,
            events_per_season: None,
            days_in_a_row: None,
        }
    }
}

/// An event as these rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

/// A rule of the program that an event does not keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Not in the season.
    #[error("{day} is not in the program's season, from {} to {}", month_day(*.from), month_day(*.to))]
    OutOfSeason {
        /// The event's day.
        day: NaiveDate,
        /// The season's first day.
        from: (u32, u32),
        /// The season's last day.
        to: (u32, u32),
    },
    /// Not in the window.
    #[error("the program's events are between {} and {} of the local clock", clock(*.from), clock(*.to))]
    OutOfWindow {
        /// From when, in seconds since 00:00.
        from: u32,
        /// Until when.
        to: u32,
    },
    /// Not on such a day.
    #[error("{0} is no working day, and the program's events are on working days")]
    NoWorkingDay(NaiveDate),
    /// Too late.
    #[error("the program's events are announced at least {minutes} minutes before they begin")]
    Notice {
        /// How long before.
        minutes: u32,
    },
    /// Too short or too long.
    #[error("the program's events last {min} to {max} minutes")]
    Length {
        /// The shortest, in minutes.
        min: u32,
        /// The longest.
        max: u32,
    },
    /// Too many.
    #[error("the program has {most} events {what} at most, and there are so many already")]
    TooMany {
        /// How many.
        most: u32,
        /// In what time.
        what: &'static str,
    },
    /// Too many days in a row.
    #[error("the program has events on {most} days in a row at most")]
    InARow {
        /// How many.
        most: u32,
    },
}

fn month_day((month, day): (u32, u32)) -> String {
    format!("{month:02}-{day:02}")
}

fn clock(seconds: u32) -> String {
    let minutes = seconds.div_euclid(60);
    format!("{:02}:{:02}", minutes.div_euclid(60), minutes.rem_euclid(60))
}

impl DispatchRules {
    /// The season in which a day lies: the program's, or the calendar year.
    #[must_use]
    pub fn season_around(&self, day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        const YEAR: SeasonDates = SeasonDates {
            from: (1, 1),
            to: (12, 31),
        };
        self.season.unwrap_or(YEAR).around(day)
    }

    /// Everything that an event does not keep; `others` are the program's other events that were not cancelled.
    #[must_use]
    pub fn broken(
        &self,
        zone: Tz,
        holidays: &BTreeSet<NaiveDate>,
        event: Planned,
        announced_at: Timestamp,
        others: &[Planned],
    ) -> Vec<NotAllowed> {
        let (Some(start), Some(last)) = (
            LocalSlot::of(event.start, zone),
            LocalSlot::of(event.end.checked_add(-1).unwrap_or(event.end), zone),
        ) else {
            return Vec::new();
        };
        let day = start.day;
        let mut broken = Vec::new();
        if let Some(SeasonDates { from, to }) = self.season.filter(|season| season.around(day).is_none()) {
            broken.push(NotAllowed::OutOfSeason { day, from, to });
        }
        if let Some((from, to)) = self.window {
            let within = last.day == day && from <= start.second && last.second < to;
            if !within {
                broken.push(NotAllowed::OutOfWindow { from, to });
            }
        }
        let is_weekend = matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
        if self.days == DispatchDays::Working && (is_weekend || holidays.contains(&day)) {
            broken.push(NotAllowed::NoWorkingDay(day));
        }
        let notice = i64::from(self.notice_minutes).saturating_mul(MINUTE);
        if event.start.seconds_since(announced_at) < notice {
            let minutes = self.notice_minutes;
            broken.push(NotAllowed::Notice { minutes });
        }
        let seconds = event.end.seconds_since(event.start);
        let (min, max) = (self.minutes_min, self.minutes_max);
        let bound = |minutes: u32| i64::from(minutes).saturating_mul(MINUTE);
        if seconds < bound(min) || seconds > bound(max) {
            broken.push(NotAllowed::Length { min, max });
        }
        self.count(zone, day, others, &mut broken);
        broken
    }

    fn count(&self, zone: Tz, day: NaiveDate, others: &[Planned], broken: &mut Vec<NotAllowed>) {
        let days = others.iter().filter_map(|other| LocalSlot::of(other.start, zone));
        let days: Vec<NaiveDate> = days.map(|slot| slot.day).collect();
        let count = |within: &dyn Fn(&NaiveDate) -> bool| {
            u32::try_from(days.iter().filter(|day| within(day)).count()).unwrap_or(u32::MAX)
        };
        if let Some(most) = self.events_per_day.filter(|most| count(&|d| *d == day) >= *most) {
            broken.push(NotAllowed::TooMany {
                most,
                what: "on a day",
            });
        }
        if let Some((first, last)) = self.season_around(day) {
            let so_far = count(&|d| first <= *d && *d <= last);
            if let Some(most) = self.events_per_season.filter(|most| so_far >= *most) {
                broken.push(NotAllowed::TooMany {
                    most,
                    what: "in a season",
                });
            }
        }
        let with: BTreeSet<NaiveDate> = days.iter().copied().chain([day]).collect();
        let next = |by: &dyn Fn(NaiveDate) -> Option<NaiveDate>| {
            std::iter::successors(by(day), |d| by(*d))
                .take_while(|d| with.contains(d))
                .count()
        };
        let one = chrono::Days::new(1);
        let in_a_row = next(&|d| d.checked_sub_days(one))
            .saturating_add(next(&|d| d.checked_add_days(one)))
            .saturating_add(1);
        let in_a_row = u32::try_from(in_a_row).unwrap_or(u32::MAX);
        if let Some(most) = self.days_in_a_row.filter(|most| in_a_row > *most) {
            broken.push(NotAllowed::InARow { most });
        }
    }

    pub(super) fn read(found: &Found<'_, '_>) -> Option<Self> {
        let mut s = found.section()?;
        let standard = Self::default();
        let season = optional(&mut s, "season", |v| read_season(v.section()?));
        let window = optional(&mut s, "window", |v| read_window(v.section()?));
        let days = optional(&mut s, "days", |v| {
            v.one_of(&[("working", DispatchDays::Working), ("all", DispatchDays::All)])
        });
        let notice = optional(&mut s, "notice_minutes", |v| v.whole(0..=NOTICE_MINUTES_MAX));
        let min = optional(&mut s, "minutes_min", |v| v.whole(1..=LENGTH_MINUTES_MAX));
        let max = optional(&mut s, "minutes_max", |v| v.whole(1..=LENGTH_MINUTES_MAX));
        let per_day = optional(&mut s, "events_per_day", |v| v.whole(1..=EVENTS_MAX));
        let per_season = optional(&mut s, "events_per_season", |v| v.whole(1..=EVENTS_MAX));
        let in_a_row = optional(&mut s, "days_in_a_row", |v| v.whole(1..=EVENTS_MAX));
        if let (Some(min), Some(max)) = (min.flatten(), max.flatten())
            && min > max
        {
            s.mistake("minutes_min", "is above minutes_max: no event could be so long");
        }
        s.finish();
        Some(Self {
            season: season?,
            window: window?,
            days: days?.unwrap_or(standard.days),
            notice_minutes: notice?.unwrap_or(standard.notice_minutes),
            minutes_min: min?.unwrap_or(standard.minutes_min),
            minutes_max: max?.unwrap_or(standard.minutes_max),
            events_per_day: per_day?,
            events_per_season: per_season?,
            days_in_a_row: in_a_row?,
        })
    }
}

/// What is not given is nothing; what is given has to be right.
#[expect(
    clippy::option_option,
    reason = "the outer one is whether there was no mistake"
)]
pub(super) fn optional<T>(
    s: &mut Section<'_, '_>,
    key: &'static str,
    read: impl FnOnce(&Found<'_, '_>) -> Option<T>,
) -> Option<Option<T>> {
    match s.optional(key) {
        None => Some(None),
        Some(found) => read(&found).map(Some),
    }
}

fn read_season(mut s: Section<'_, '_>) -> Option<SeasonDates> {
    let read = |text: &str| {
        let parts = || {
            let (month, day) = text.split_once('-')?;
            let two = |part: &str| (part.len() == 2).then(|| part.parse::<u32>().ok())?;
            let (month, day) = (two(month)?, two(day)?);
            // A leap year, so that 02-29 is a day.
            NaiveDate::from_ymd_opt(2_000, month, day).map(|_| (month, day))
        };
        parts().ok_or("is no day of the year of the form 05-31")
    };
    let from = s.required("from").and_then(|v| v.read_with(read));
    let to = s.required("to").and_then(|v| v.read_with(read));
    s.finish();
    Some(SeasonDates { from: from?, to: to? })
}

pub(super) fn read_window(mut s: Section<'_, '_>) -> Option<(u32, u32)> {
    let from = s.required("from").and_then(|v| v.read_with(read_clock));
    let to = s.required("to").and_then(|v| v.read_with(read_clock));
    let (from, to) = (from?, to?);
    if from >= to {
        s.mistake(
            "to",
            "is not after from; an event does not reach over midnight here",
        );
        return None;
    }
    s.finish();
    Some((from, to))
}

/// Who may be asked; by default everybody who is enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Eligibility {
    /// Only homes of these zones; empty: of any, and of none.
    pub zones: BTreeSet<ZoneName>,
    /// Only homes that are in one of these groups; empty: in any, and in none.
    pub groups: BTreeSet<GroupName>,
}

impl Eligibility {
    /// Whether a home may be asked.
    #[must_use]
    pub fn admits(&self, home: &Membership) -> bool {
        let zone = self.zones.is_empty() || home.zone.as_ref().is_some_and(|zone| self.zones.contains(zone));
        zone && (self.groups.is_empty() || !self.groups.is_disjoint(&home.groups))
    }

    pub(super) fn read(found: &Found<'_, '_>) -> Option<Self> {
        let mut s = found.section()?;
        let zones = optional(&mut s, "zones", names);
        let groups = optional(&mut s, "groups", names);
        s.finish();
        Some(Self {
            zones: zones?.unwrap_or_default(),
            groups: groups?.unwrap_or_default(),
        })
    }
}

fn names<T: std::str::FromStr<Err: std::fmt::Display> + Ord>(found: &Found<'_, '_>) -> Option<BTreeSet<T>> {
    let items = found.items(NAMES_MAX)?;
    let names: Vec<Option<T>> = items.iter().map(Found::parsed).collect();
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONDON: Tz = chrono_tz::Europe::London;

    fn rules(text: &str) -> Result<DispatchRules, String> {
        let program = include_str!("../../../../config/programs/evening-flex.toml");
        let text = format!("{program}\n[dispatch]\n{text}");
        super::super::Program::from_toml("a", &text)
            .map(|program| program.dispatch)
            .map_err(|error| error.to_string())
    }

    fn event(start: &str, minutes: i64) -> Planned {
        let start: Timestamp = start.parse().unwrap();
        let end = start.checked_add(minutes * MINUTE).unwrap();
        Planned { start, end }
    }

    fn broken(rules: &DispatchRules, event: Planned, announced_at: &str, others: &[Planned]) -> Vec<String> {
        let holidays = BTreeSet::from([NaiveDate::from_ymd_opt(2026, 8, 31).unwrap()]);
        let broken = rules.broken(LONDON, &holidays, event, announced_at.parse().unwrap(), others);
        broken.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_program_that_says_nothing_allows_everything() {
        let any = event("2026-01-01T00:00:00Z", 600);
        assert!(broken(&DispatchRules::default(), any, "2025-12-31T23:59:59Z", &[any; 9]).is_empty());
    }

    #[test]
    fn each_rule_that_is_broken_is_named() {
        let rules = rules(
            "season = { from = \"05-01\", to = \"09-30\" }\nwindow = { from = \"16:00\", to = \"20:00\" }\n\
             days = \"working\"\nnotice_minutes = 60\nminutes_min = 30\nminutes_max = 120\nevents_per_day = 1\n\
             events_per_season = 2\ndays_in_a_row = 2",
        )
        .unwrap();
        // 16:00 to 18:00 by the clock in London, in summer.
        let fine = event("2026-06-10T15:00:00Z", 120);
        assert_eq!(broken(&rules, fine, "2026-06-10T14:00:00Z", &[]), [""; 0]);
        let said = broken(&rules, fine, "2026-06-10T14:00:01Z", &[fine]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("at least 60 minutes before") && said[1].contains("1 events on a day"));
        let winter = event("2026-12-12T14:00:00Z", 600);
        let said = broken(&rules, winter, "2026-12-01T00:00:00Z", &[]);
        assert!(said[0].contains("from 05-01 to 09-30") && said[1].contains("between 16:00 and 20:00"));
        assert!(
            said[2].contains("no working day") && said[3].contains("30 to 120 minutes"),
            "{said:?}"
        );
        let holiday = event("2026-08-31T15:00:00Z", 60);
        assert!(broken(&rules, holiday, "2026-08-01T00:00:00Z", &[])[0].contains("no working day"));
        let before = [
            event("2026-06-08T15:00:00Z", 60),
            event("2026-06-09T15:00:00Z", 60),
        ];
        let said = broken(&rules, fine, "2026-06-01T00:00:00Z", &before);
        assert!(
            said[0].contains("2 events in a season") && said[1].contains("on 2 days in a row"),
            "{said:?}"
        );
    }

    #[test]
    fn a_season_may_reach_over_new_year() {
        let winter = SeasonDates {
            from: (11, 1),
            to: (3, 31),
        };
        let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        let season = Some((day(2025, 11, 1), day(2026, 3, 31)));
        assert_eq!(winter.around(day(2025, 12, 24)), season);
        assert_eq!(winter.around(day(2026, 3, 31)), season);
        assert_eq!(winter.around(day(2026, 4, 1)), None);
    }

    #[test]
    fn every_mistake_is_named() {
        let said = rules("season = { from = \"13-01\", to = \"9-30\" }\nwindow = { from = \"20:00\", to = \"16:00\" }\nminutes_min = 90\nminutes_max = 60\nnotice = 3").unwrap_err();
        for key in ["season.from", "season.to", "window.to", "notice"] {
            assert!(said.contains(key), "{key}: {said}");
        }
    }

    #[test]
    fn who_is_in_no_group_is_not_eligible_where_the_program_names_some() {
        let home = |zone: Option<&str>, groups: &[&str]| Membership {
            zone: zone.map(|z| z.parse().unwrap()),
            groups: groups.iter().map(|g| g.parse().unwrap()).collect(),
        };
        let all = Eligibility::default();
        assert!(all.admits(&home(None, &[])));
        let some = Eligibility {
            zones: ["north".parse().unwrap()].into(),
            groups: ["ev".parse().unwrap(), "pump".parse().unwrap()].into(),
        };
        assert!(some.admits(&home(Some("north"), &["pump", "other"])));
        assert!(!some.admits(&home(Some("north"), &[])));
        assert!(!some.admits(&home(None, &["ev"])));
    }
}
