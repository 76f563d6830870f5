//! How the local days of a home lie in UTC.

use chrono::{DateTime, Days, Months, NaiveDate, TimeDelta, TimeZone};
use chrono_tz::Tz;
use gridtally_protocol::time::Timestamp;

/// The instant in local time.
#[must_use]
pub fn local(at: Timestamp, zone: Tz) -> DateTime<Tz> {
    DateTime::from_timestamp(at.unix(), 0)
        .unwrap_or_default()
        .with_timezone(&zone)
}

/// The local day in which an instant lies.
#[must_use]
pub fn day_of(at: Timestamp, zone: Tz) -> NaiveDate {
    local(at, zone).date_naive()
}

/// The first instant of a local day. Where clocks are put forward at midnight, that is the instant at
/// which they are. `None` outside of the years that have a [`Timestamp`].
#[must_use]
pub fn start_of(day: NaiveDate, zone: Tz) -> Option<Timestamp> {
    let midnight = day.and_hms_opt(0, 0, 0)?;
    // No zone ever left out more than a day (Samoa, 2011-12-30); then the next one begins here.
    (0..=96_i64)
        .filter_map(|quarters| midnight.checked_add_signed(TimeDelta::minutes(quarters.saturating_mul(15))))
        .find_map(|time| zone.from_local_datetime(&time).earliest())
        .and_then(|start| Timestamp::from_unix(start.timestamp()).ok())
}

/// The first instant of a local day, and of the next.
#[must_use]
pub fn bounds_of(day: NaiveDate, zone: Tz) -> Option<(Timestamp, Timestamp)> {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hours(day: &str, zone: Tz) -> i64 {
        let (start, end) = bounds_of(day.parse().unwrap(), zone).unwrap();
        end.seconds_since(start) / 3600
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        assert_eq!(hours("2026-03-28", chrono_tz::Europe::Berlin), 24);
        assert_eq!(hours("2026-03-29", chrono_tz::Europe::Berlin), 23);
        assert_eq!(hours("2026-10-25", chrono_tz::Europe::Berlin), 25);
        assert_eq!(hours("2026-10-25", Tz::UTC), 24);
    }

    #[test]
    fn a_day_without_a_midnight_begins_when_it_begins() {
        // Beirut puts its clocks forward from 00:00 to 01:00.
        let start = start_of("2026-03-29".parse().unwrap(), chrono_tz::Asia::Beirut).unwrap();
        assert_eq!(start.to_string(), "2026-03-28T22:00:00Z");
        assert_eq!(hours("2026-03-29", chrono_tz::Asia::Beirut), 23);
        // Samoa left out a whole day: it has no length.
        assert_eq!(hours("2011-12-30", chrono_tz::Pacific::Apia), 0);
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
            zone in prop::sample::select(chrono_tz::TZ_VARIANTS.as_slice()),
        ) {
            let at = Timestamp::from_unix(at).unwrap();
            // Zones whose offset jumped across midnight in the past have a day in two pieces.
            if let Some((start, end)) = bounds_of(day_of(at, zone), zone) {
                prop_assert!(at < end || day_of(end, zone) == day_of(at, zone));
                prop_assert!(start <= at);
            }
        }
    }
}
