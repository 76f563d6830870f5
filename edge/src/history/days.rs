//! How the local days of a home lie in UTC.

use chrono::{DateTime, Days, Months, NaiveDate, NaiveDateTime};
use gridtally_protocol::time::Timestamp;

use crate::config::Zone;

const QUARTER_SECONDS: i64 = 900;
const DAY_SECONDS: i64 = 86_400;

/// What the clock on the wall shows; UTC where the zone's rules do not tell.
#[must_use]
pub fn local(at: Timestamp, zone: &Zone) -> NaiveDateTime {
    let offset = zone.offset_seconds(at).unwrap_or(0);
    let shown = at.unix().saturating_add(offset.into());
    DateTime::from_timestamp(shown, 0).unwrap_or_default().naive_utc()
}

/// The local day in which an instant lies.
#[must_use]
pub fn day_of(at: Timestamp, zone: &Zone) -> NaiveDate {
    local(at, zone).date()
}

/// The first instant of a local day. Where clocks are put forward at midnight, that is the instant at
/// which they are. `None` outside of the years that have a [`Timestamp`].
#[must_use]
pub fn start_of(day: NaiveDate, zone: &Zone) -> Option<Timestamp> {
    let midnight = day.and_hms_opt(0, 0, 0)?.and_utc().timestamp();
    // No zone ever left out more than a day (Samoa, 2011-12-30); then the next one begins here.
    (0..=96_i64)
        .filter_map(|quarters| midnight.checked_add(quarters.checked_mul(QUARTER_SECONDS)?))
        .find_map(|shown| first_showing(shown, zone))
}

/// The first instant at which the clock on the wall shows this, in seconds since 1970-01-01 of its own.
fn first_showing(shown: i64, zone: &Zone) -> Option<Timestamp> {
    // What the rules say a day before and a day after is what they may say then.
    let around = [DAY_SECONDS.checked_neg()?, 0, DAY_SECONDS];
    let instants = around.into_iter().filter_map(|aside| {
        let near = Timestamp::from_unix(shown.checked_add(aside)?).ok()?;
        let offset = zone.offset_seconds(near).unwrap_or(0);
        let at = Timestamp::from_unix(shown.checked_sub(offset.into())?).ok()?;
        (zone.offset_seconds(at).unwrap_or(0) == offset).then_some(at)
    });
    instants.min()
}

/// The first instant of a local day, and of the next.
#[must_use]
pub fn bounds_of(day: NaiveDate, zone: &Zone) -> Option<(Timestamp, Timestamp)> {
    let next = day.checked_add_days(Days::new(1))?;
    Some((start_of(day, zone)?, start_of(next, zone)?))
}

/// The first day of the month of `day`, and of the next.
#[must_use]
pub fn month_of(day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    use chrono::Datelike as _;
    let first = day.with_day(1)?;
    Some((first, first.checked_add_months(Months::new(1))?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any zone of the system's list.
    pub fn zones() -> impl Strategy<Value = Zone> {
        let list = std::fs::read_to_string("/usr/share/zoneinfo/zone1970.tab").expect("tzdata is installed");
        let lines = list.lines().filter(|line| !line.starts_with('#'));
        let names: Vec<String> = lines
            .filter_map(|line| line.split('\t').nth(2))
            .map(String::from)
            .collect();
        prop::sample::select(names).prop_map(|name| Zone::load(&name).unwrap())
    }

    fn hours(day: &str, zone: &str) -> i64 {
        let (start, end) = bounds_of(day.parse().unwrap(), &Zone::load(zone).unwrap()).unwrap();
        end.seconds_since(start) / 3600
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        assert_eq!(hours("2026-03-28", "Europe/Berlin"), 24);
        assert_eq!(hours("2026-03-29", "Europe/Berlin"), 23);
        assert_eq!(hours("2026-10-25", "Europe/Berlin"), 25);
        assert_eq!(hours("2026-10-25", "UTC"), 24);
    }

    #[test]
    fn a_day_without_a_midnight_begins_when_it_begins() {
        // Beirut puts its clocks forward from 00:00 to 01:00.
        let start = start_of("2026-03-29".parse().unwrap(), &Zone::load("Asia/Beirut").unwrap()).unwrap();
        assert_eq!(start.to_string(), "2026-03-28T22:00:00Z");
        assert_eq!(hours("2026-03-29", "Asia/Beirut"), 23);
        // Samoa left out a whole day: it has no length.
        assert_eq!(hours("2011-12-30", "Pacific/Apia"), 0);
    }

    #[test]
    fn a_month_goes_to_the_first_of_the_next() {
        let (first, next) = month_of("2026-12-24".parse().unwrap()).unwrap();
        assert_eq!(
            (first.to_string(), next.to_string()),
            ("2026-12-01".to_owned(), "2027-01-01".to_owned())
        );
    }

    proptest! {
        #[test]
        fn every_instant_lies_within_its_own_day(
            at in 0_i64..4_102_444_800,
            zone in zones(),
        ) {
            let at = Timestamp::from_unix(at).unwrap();
            // Zones whose offset jumped across midnight in the past have a day in two pieces.
            if let Some((start, end)) = bounds_of(day_of(at, &zone), &zone) {
                prop_assert!(at < end || day_of(end, &zone) == day_of(at, &zone));
                prop_assert!(start <= at);
            }
        }
    }
}
