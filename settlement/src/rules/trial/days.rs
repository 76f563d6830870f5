//! The days that are tried: those on which nothing was asked, at the event's time of the clock.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use chrono_tz::Tz;
use gridtally_protocol::time::Timestamp;

use crate::rules::calendar::LocalSlot;

/// A time of the clock, and how long from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClockWindow {
    /// What the clock shows at its start, in seconds since 00:00.
    pub second: u32,
    /// How many seconds it lasts.
    pub seconds: i64,
}

impl ClockWindow {
    /// That of an event.
    #[must_use]
    pub fn of(start: Timestamp, end: Timestamp, zone: Tz) -> Option<Self> {
        let slot = LocalSlot::of(start, zone)?;
        Some(Self {
            second: slot.second,
            seconds: end.seconds_since(start),
        })
    }

    /// When it is on a day; never where the clock jumps over its start, or shows that twice.
    #[must_use]
    pub fn on(self, day: NaiveDate, zone: Tz) -> Option<(Timestamp, Timestamp)> {
        let slot = LocalSlot {
            day,
            second: self.second,
        };
        match slot.instants(zone) {
            [Some(start), None] => Some((start, start.checked_add(self.seconds)?)),
            _ => None,
        }
    }
}

/// The window that most events have, of equally many the earliest.
#[must_use]
pub fn usual_window(events: impl IntoIterator<Item = ClockWindow>) -> Option<ClockWindow> {
    let mut all: Vec<ClockWindow> = events.into_iter().collect();
    all.sort_unstable();
    let mut best: Option<(usize, ClockWindow)> = None;
    for same in all.chunk_by(|a, b| a == b) {
        if let Some(window) = same.first()
            && best.is_none_or(|(most, _)| most < same.len())
        {
            best = Some((same.len(), *window));
        }
    }
    best.map(|(_, window)| window)
}

/// The local days that lie in `[start, end)`.
#[must_use]
pub fn local_days(start: Timestamp, end: Timestamp, zone: Tz) -> BTreeSet<NaiveDate> {
    let last = end.checked_add(-1).unwrap_or(end).max(start);
    let day = |instant| LocalSlot::of(instant, zone).map(|slot| slot.day);
    match (day(start), day(last)) {
        (Some(first), Some(last)) => first.iter_days().take_while(|day| *day <= last).collect(),
        _ => BTreeSet::new(),
    }
}

/// Each day of the span `[from, until]` on which the window lies and no event, oldest first.
#[must_use]
pub fn tried(
    (from, until): (NaiveDate, NaiveDate),
    window: ClockWindow,
    zone: Tz,
    event_days: &BTreeSet<NaiveDate>,
) -> Vec<(Timestamp, Timestamp)> {
    let days = from.iter_days().take_while(|day| *day <= until);
    let free = |(start, end): &(Timestamp, Timestamp)| local_days(*start, *end, zone).is_disjoint(event_days);
    days.filter_map(|day| window.on(day, zone)).filter(free).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: Tz = chrono_tz::Europe::London;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn window(hour: u32, hours: i64) -> ClockWindow {
        ClockWindow {
            second: hour * 3600,
            seconds: hours * 3600,
        }
    }

    #[test]
    fn days_with_an_event_are_not_tried_nor_evenings_that_reach_into_one() {
        let span = (date("2013-01-14"), date("2013-01-18"));
        let events = BTreeSet::from([date("2013-01-16")]);
        let starts = |window| -> Vec<String> {
            let days = tried(span, window, ZONE, &events);
            days.iter()
                .map(|(start, _)| start.to_string()[..10].to_owned())
                .collect()
        };
        assert_eq!(
            starts(window(17, 2)),
            ["2013-01-14", "2013-01-15", "2013-01-17", "2013-01-18"]
        );
        assert_eq!(starts(window(23, 2)), ["2013-01-14", "2013-01-17", "2013-01-18"]);
        assert_eq!(
            starts(window(22, 2)),
            ["2013-01-14", "2013-01-15", "2013-01-17", "2013-01-18"]
        );
    }

    #[test]
    fn an_hour_that_the_clock_jumps_over_or_shows_twice_is_not_tried() {
        let none = BTreeSet::new();
        for (from, until) in [("2013-03-30", "2013-04-01"), ("2013-10-26", "2013-10-28")] {
            let days = tried((date(from), date(until)), window(1, 1), ZONE, &none);
            assert_eq!(days.len(), 2, "{from}");
        }
    }

    #[test]
    fn the_window_of_most_events_is_usual_and_of_equals_the_earliest() {
        let (early, late) = (window(7, 1), window(17, 2));
        assert_eq!(usual_window([late, early, late]), Some(late));
        assert_eq!(usual_window([late, early]), Some(early));
        assert_eq!(usual_window([]), None);
    }
}
