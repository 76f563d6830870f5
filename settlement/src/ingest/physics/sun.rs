//! Where the sun stands, and what it can give: only ever a bound, never an amount.
//!
//! The position is the Astronomical Almanac's of low precision (better than a hundredth of a degree until 2050), in
//! floating point of one software library, so that every machine says the same.

use gridtally_protocol::location::CoarseLocation;
use gridtally_protocol::time::{Interval, Timestamp};
use libm::{asin, atan2, cos, sin};

const RADIANS: f64 = core::f64::consts::PI / 180.0;
/// From 1970-01-01T00:00 to 2000-01-01T12:00, in days.
const J2000: f64 = 10_957.5;
/// A clock may be off by five minutes, which is 1.25 degrees; refraction lifts the sun by half a degree; a cell is a
/// tenth wide.
const MARGIN_DEGREES: f64 = 2.0;

/// The lowest height in the table: below it, there is no light to speak of (the end of civil twilight).
const DARK_DEGREES: i16 = -6;
/// What an array can give at most by the height of the sun, from [`DARK_DEGREES`] on in whole degrees, in thousandths of
/// its AC nameplate; above the last one the nameplate is the narrower bound.
///
/// `1.1 × 1.35 × (1.3 × beam + 60 W/m²) / (1000 W/m²)`: an array may be 1.35 times its inverter, and everything a tenth
/// better than its label; it faces the beam; edges of clouds add a third. `beam = 1361 W/m² × 1.035 × 0.7^(AM^0.678)`
/// (Meinel), with the air mass of Kasten and Young (1989); none where the sun is below the horizon.
const MOST: [u32; 19] = [
    90, 90, 90, 90, 90, 90, 131, 193, 279, 376, 474, 570, 659, 742, 819, 890, 955, 1_015, 1_070,
];

/// What the sun allows in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Light {
    /// It is dark all the time.
    Dark,
    /// At most so many thousandths of the nameplate.
    AtMost(u32),
    /// More than an inverter can give.
    Enough,
}

/// The light in an interval, as seen from anywhere in a cell.
pub(super) fn light(place: CoarseLocation, interval: Interval) -> Light {
    let highest = elevation(place, interval.start()).max(elevation(place, interval.end()));
    let highest = highest + MARGIN_DEGREES;
    // The first whole degree that is not below it.
    let above = (DARK_DEGREES..)
        .zip(MOST)
        .find(|(degrees, _)| f64::from(*degrees) >= highest);
    match above {
        Some((DARK_DEGREES, _)) => Light::Dark,
        Some((_, most)) => Light::AtMost(most),
        None => Light::Enough,
    }
}

/// How high the sun's middle stands above the horizon, in degrees, without refraction.
fn elevation(place: CoarseLocation, at: Timestamp) -> f64 {
    let since = days(at) - J2000;
    let mean_longitude = 280.460 + 0.985_647_4 * since;
    let anomaly = (357.528 + 0.985_600_3 * since) * RADIANS;
    let longitude = (mean_longitude + 1.915 * sin(anomaly) + 0.020 * sin(2.0 * anomaly)) * RADIANS;
    let tilt = (23.439 - 0.000_000_4 * since) * RADIANS;
    let declination = asin(sin(tilt) * sin(longitude));
    let ascension = atan2(cos(tilt) * sin(longitude), cos(longitude));
    let sidereal = (18.697_374_558 + 24.065_709_824_419_08 * since) * 15.0;
    let east = f64::from(place.longitude_tenths()) / 10.0;
    let hour_angle = (sidereal + east) * RADIANS - ascension;
    let north = f64::from(place.latitude_tenths()) / 10.0 * RADIANS;
    asin(sin(north) * sin(declination) + cos(north) * cos(declination) * cos(hour_angle)) / RADIANS
}

/// Days since 1970, with their fraction. Timestamps are bounded, so none is out of range.
fn days(at: Timestamp) -> f64 {
    let (whole, rest) = (at.unix().div_euclid(86_400), at.unix().rem_euclid(86_400));
    let exact = |part: i64| f64::from(i32::try_from(part).unwrap_or(i32::MAX));
    exact(whole) + exact(rest) / 86_400.0
}

#[cfg(test)]
mod tests {
    use gridtally_protocol::time::IntervalLength;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cell(text: &str) -> CoarseLocation {
        text.parse().unwrap()
    }

    /// Solstices and equinox by what everybody can reckon: 90° − latitude ± 23.44° at noon.
    #[test]
    fn the_sun_stands_where_almanacs_have_it() {
        for (place, when, degrees) in [
            // Solar noon in Greenwich is at 12:01:45 on 21 June (equation of time −1:45) and 11:58 on 21 December.
            ("51.5,0.0", "2026-06-21T12:01:45Z", 61.94),
            ("51.5,0.0", "2026-12-21T11:58:00Z", 15.06),
            ("0.0,0.0", "2026-03-20T12:07:30Z", 89.9),
            // Midnight sun: 69.6° N, 23.44° − 20.4° above the horizon at solar midnight (22:44 UTC at 18.9° E).
            ("69.6,18.9", "2026-06-21T22:46:00Z", 3.04),
            // The far side.
            ("-33.9,151.2", "2026-12-21T01:53:00Z", 79.5),
        ] {
            let found = elevation(cell(place), at(when));
            assert!(
                (found - degrees).abs() < 0.12,
                "{place} {when}: {found}, not {degrees}"
            );
        }
        // Sunset in London on 2026-03-20 is at 18:13 UTC, when the middle stands 0.83° below.
        let found = elevation(cell("51.5,-0.1"), at("2026-03-20T18:13:00Z"));
        assert!((found + 0.83).abs() < 0.25, "{found}");
    }

    #[test]
    fn the_table_is_what_the_formula_says() {
        for (degrees, most) in (DARK_DEGREES..).zip(MOST) {
            let height = f64::from(degrees);
            let beam = if degrees < 0 {
                0.0
            } else {
                let mass = 1.0 / (sin(height * RADIANS) + 0.505_72 * libm::pow(height + 6.079_95, -1.636_4));
                1361.0 * 1.035 * libm::pow(0.7, libm::pow(mass, 0.678))
            };
            let bound = 1.1 * 1.35 * (1.3 * beam + 60.0);
            assert!(
                (libm::ceil(bound) - f64::from(most)).abs() < 0.5,
                "{degrees}: {bound}"
            );
        }
        assert!(MOST.is_sorted());
    }

    fn light_at(place: &str, when: &str) -> Light {
        light(
            cell(place),
            Interval::new(at(when), IntervalLength::FIVE_MINUTES).unwrap(),
        )
    }

    #[test]
    fn nights_are_dark_and_middays_bright() {
        assert_eq!(light_at("51.5,-0.1", "2026-06-21T00:00:00Z"), Light::Dark);
        assert_eq!(light_at("51.5,-0.1", "2026-06-21T12:00:00Z"), Light::Enough);
        assert!(matches!(
            light_at("51.5,-0.1", "2026-06-21T04:00:00Z"),
            Light::AtMost(_)
        ));
        assert_eq!(
            light_at("69.6,18.9", "2026-06-21T22:45:00Z"),
            Light::AtMost(659),
            "the midnight sun"
        );
        assert_eq!(
            light_at("69.6,18.9", "2026-12-21T23:00:00Z"),
            Light::Dark,
            "the polar night"
        );
    }

    proptest! {
        #[test]
        fn there_is_an_answer_anywhere_at_any_time(north in -900_i16..=900, east in -1800_i16..1800, slot in 0_i64..13_000_000) {
            let place = CoarseLocation::new(north, east).unwrap();
            let start = Timestamp::from_unix(slot * 300).unwrap();
            let height = elevation(place, start);
            prop_assert!((-90.0..=90.0).contains(&height));
            light(place, Interval::new(start, IntervalLength::FIVE_MINUTES).unwrap());
        }
    }
}
