//! Intervals become the bars of a chart: pure.

use chrono::NaiveDate;
use gridtally_protocol::quantity::Overflow;
use gridtally_protocol::time::Timestamp;

use super::days::{bounds_of, day_of, local};
use super::{Energies, Entry};
use crate::config::Zone;

/// An hour of a chart, in seconds.
const HOUR: i64 = 3600;

/// One bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What stands below it: the local hour (`07`), or the day of the month (`24`).
    pub label: String,
    /// What was counted in it.
    pub energies: Energies,
    /// The seconds of it of which something is known.
    pub covered_seconds: u32,
}

/// The sum of a local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Which day.
    pub date: NaiveDate,
    /// What was counted in it.
    pub energies: Energies,
    /// The seconds of it of which something is known.
    pub covered_seconds: u32,
}

/// The hours of a local day, 23 to 25 of them. An interval belongs to the hour in which it starts.
///
/// # Errors
/// [`Overflow`] where a sum does not fit.
pub fn hours(day: NaiveDate, zone: &Zone, entries: &[Entry]) -> Result<Vec<Bar>, Overflow> {
    let Some((start, end)) = bounds_of(day, zone) else {
        return Ok(Vec::new());
    };
    let mut bars: Vec<Bar> = starts(start, end)
        .map(|hour| Bar {
            label: local(hour, zone).format("%H").to_string(),
            energies: Energies::default(),
            covered_seconds: 0,
        })
        .collect();
    // Where the clock moves by half an hour, the last hour of the day is half the next day's.
    let of_the_day = |entry: &&Entry| (start..end).contains(&entry.interval.start());
    for entry in entries.iter().filter(of_the_day) {
        let offset = entry.interval.start().seconds_since(start);
        let index = usize::try_from(offset.div_euclid(HOUR)).ok();
        if let Some(bar) = index.and_then(|i| bars.get_mut(i)) {
            bar.energies = bar.energies.checked_add(entry.energies)?;
            bar.covered_seconds = covered(bar.covered_seconds, entry);
        }
    }
    Ok(bars)
}

/// The sum of one local day over those of `entries` that start in it.
///
/// # Errors
/// [`Overflow`] where a sum does not fit.
pub fn sum_of_day(date: NaiveDate, zone: &Zone, entries: &[Entry]) -> Result<Day, Overflow> {
    let none = Day {
        date,
        energies: Energies::default(),
        covered_seconds: 0,
    };
    entries
        .iter()
        .filter(|entry| day_of(entry.interval.start(), zone) == date)
        .try_fold(none, |day, entry| {
            Ok(Day {
                energies: day.energies.checked_add(entry.energies)?,
                covered_seconds: covered(day.covered_seconds, entry),
                ..day
            })
        })
}

/// A bar for each day of the month that begins at `first`, whether something is known of it or not.
#[must_use]
pub fn month(first: NaiveDate, next: NaiveDate, known: &[Day]) -> Vec<Bar> {
    first
        .iter_days()
        .take_while(|date| *date < next)
        .map(|date| {
            let day = known.iter().find(|day| day.date == date);
            Bar {
                label: date.format("%-d").to_string(),
                energies: day.map(|d| d.energies).unwrap_or_default(),
                covered_seconds: day.map_or(0, |d| d.covered_seconds),
            }
        })
        .collect()
}

/// The sum of all bars.
///
/// # Errors
/// [`Overflow`] where a sum does not fit.
pub fn total(bars: &[Bar]) -> Result<Energies, Overflow> {
    bars.iter()
        .try_fold(Energies::default(), |sum, bar| sum.checked_add(bar.energies))
}

fn starts(start: Timestamp, end: Timestamp) -> impl Iterator<Item = Timestamp> {
    std::iter::successors(Some(start), |hour| hour.checked_add(HOUR)).take_while(move |hour| *hour < end)
}

fn covered(so_far: u32, entry: &Entry) -> u32 {
    so_far.saturating_add(entry.interval.length().seconds())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtally_protocol::quantity::MilliwattHours;
    use gridtally_protocol::time::{Interval, IntervalLength};
    use proptest::prelude::*;

    fn berlin() -> Zone {
        Zone::load("Europe/Berlin").unwrap()
    }

    /// Half-hours from an instant on, each of one watt-hour from the roof.
    fn half_hours(from: &str, count: i64) -> Vec<Entry> {
        let from: Timestamp = from.parse().unwrap();
        (0..count)
            .map(|i| Entry {
                interval: Interval::new(from.checked_add(i * 1800).unwrap(), IntervalLength::HALF_HOUR)
                    .unwrap(),
                energies: Energies {
                    solar: Some(MilliwattHours::new(1000)),
                    ..Energies::default()
                },
                state_of_charge: None,
            })
            .collect()
    }

    #[test]
    fn the_day_when_clocks_go_forward_has_23_bars_and_no_hour_two() {
        let bars = hours(
            "2026-03-29".parse().unwrap(),
            &berlin(),
            &half_hours("2026-03-28T22:00:00Z", 60),
        )
        .unwrap();
        let labels: Vec<_> = bars.iter().map(|b| b.label.as_str()).collect();
        assert_eq!(&labels[..4], ["00", "01", "03", "04"]);
        assert_eq!((labels.len(), labels[22]), (23, "23"));
        assert!(bars.iter().all(|b| b.covered_seconds == 3600));
        assert_eq!(total(&bars).unwrap().solar, Some(MilliwattHours::new(46_000)));
    }

    #[test]
    fn the_day_when_clocks_go_back_has_25_bars_and_the_hour_two_twice() {
        let bars = hours(
            "2026-10-25".parse().unwrap(),
            &berlin(),
            &half_hours("2026-10-24T22:00:00Z", 50),
        )
        .unwrap();
        let labels: Vec<_> = bars.iter().map(|b| b.label.as_str()).collect();
        assert_eq!(&labels[..5], ["00", "01", "02", "02", "03"]);
        assert_eq!(labels.len(), 25);
        assert_eq!(total(&bars).unwrap().solar, Some(MilliwattHours::new(50_000)));
    }

    #[test]
    fn what_was_not_measured_is_no_zero() {
        let bars = hours(
            "2026-04-09".parse().unwrap(),
            &Zone::utc(),
            &half_hours("2026-04-09T12:00:00Z", 1),
        )
        .unwrap();
        assert_eq!(bars[11].energies.solar, None);
        assert_eq!(
            (bars[12].energies.solar, bars[12].covered_seconds),
            (Some(MilliwattHours::new(1000)), 1800)
        );
        assert_eq!(bars[12].energies.grid_import, None);
    }

    #[test]
    fn a_month_has_a_bar_for_each_day() {
        let day = Day {
            date: "2024-02-29".parse().unwrap(),
            energies: Energies::default(),
            covered_seconds: 600,
        };
        let bars = month(
            "2024-02-01".parse().unwrap(),
            "2024-03-01".parse().unwrap(),
            &[day],
        );
        assert_eq!(
            (bars.len(), bars[28].label.as_str(), bars[28].covered_seconds),
            (29, "29", 600)
        );
    }

    #[test]
    fn where_the_clock_moves_by_half_an_hour_the_next_day_is_not_counted() {
        let (date, zone) = (
            "1989-10-29".parse().unwrap(),
            Zone::load("Australia/Lord_Howe").unwrap(),
        );
        let entries = half_hours("1989-10-28T00:00:00Z", 150);
        let sum = sum_of_day(date, &zone, &entries).unwrap();
        assert_eq!(sum.covered_seconds, 47 * 1800, "a day of 23 and a half hours");
        assert_eq!(
            total(&hours(date, &zone, &entries).unwrap()).unwrap(),
            sum.energies
        );
    }

    proptest! {
        #[test]
        fn the_hours_of_a_day_sum_to_the_day(
            day in 0_u64..20_000, skip in 0_i64..96,
            zone in crate::history::days::tests::zones(),
        ) {
            let date = NaiveDate::from_ymd_opt(1975, 1, 1).unwrap() + chrono::Days::new(day);
            let noon = date.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp();
            let from = Timestamp::from_unix(noon - 86_400 + skip * 1800).unwrap();
            let entries = half_hours(&from.to_string(), 150);
            let (start, end) = bounds_of(date, &zone).unwrap();
            // Days that are whole in `entries` and in one piece.
            let inside = |e: &&Entry| e.interval.start() >= start && e.interval.start() < end;
            prop_assume!(entries.iter().filter(inside).all(|e| day_of(e.interval.start(), &zone) == date));
            let one_piece = entries.iter().filter(|e| day_of(e.interval.start(), &zone) == date).count()
                == entries.iter().filter(inside).count();
            prop_assume!(one_piece);
            let sum = sum_of_day(date, &zone, &entries).unwrap();
            prop_assert_eq!(total(&hours(date, &zone, &entries).unwrap()).unwrap(), sum.energies);
        }
    }
}
