//! Where the sun stands, and how bright a clear sky is.

use libm::{cos, exp, sin};
use std::f64::consts::PI;

/// A place on earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl Location {
    /// London, Charing Cross.
    pub const LONDON: Self = Self {
        latitude: 51.507,
        longitude: -0.128,
    };
}

/// The direction to the sun as a unit vector of the place's horizon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Direction {
    pub(crate) east: f64,
    pub(crate) north: f64,
    pub(crate) up: f64,
}

/// Irradiance in W/m².
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Irradiance {
    /// On a surface that faces the sun, from the sun's disc only.
    pub(crate) beam: f64,
    /// From the rest of the sky, on the horizontal.
    pub(crate) diffuse: f64,
    /// Both, on the horizontal.
    pub(crate) global: f64,
}

/// The angle of the year, in radians, for a time in Unix seconds.
fn year_angle(unix_seconds: i64) -> f64 {
    const TROPICAL_YEAR_SECONDS: f64 = 31_556_925.0;
    // 1 January 2000, 12:00 UTC: as good as any other beginning of a year.
    const ORIGIN: i64 = 946_728_000;
    let seconds = small(unix_seconds - ORIGIN);
    2.0 * PI * libm::fmod(seconds, TROPICAL_YEAR_SECONDS) / TROPICAL_YEAR_SECONDS
}

/// Whole seconds as a float; exact for 285 million years.
#[expect(clippy::cast_precision_loss, reason = "seconds since 2000 are far below 2^53")]
fn small(seconds: i64) -> f64 {
    seconds as f64
}

/// The sun's direction: declination and equation of time by J. W. Spencer, *Fourier series
/// representation of the position of the sun*, Search 2(5), 1971, as used by NOAA's general solar
/// position calculations. Good to about a quarter of a degree.
pub(crate) fn direction(unix_seconds: i64, place: Location) -> Direction {
    let g = year_angle(unix_seconds);
    let declination = 0.006_918 - 0.399_912 * cos(g) + 0.070_257 * sin(g) - 0.006_758 * cos(2.0 * g)
        + 0.000_907 * sin(2.0 * g)
        - 0.002_697 * cos(3.0 * g)
        + 0.001_48 * sin(3.0 * g);
    let equation_of_time_minutes = 229.18
        * (0.000_075 + 0.001_868 * cos(g)
            - 0.032_077 * sin(g)
            - 0.014_615 * cos(2.0 * g)
            - 0.040_849 * sin(2.0 * g));
    let utc_minutes = small(unix_seconds.rem_euclid(86_400)) / 60.0;
    let solar_minutes = utc_minutes + equation_of_time_minutes + 4.0 * place.longitude;
    let hour_angle = (solar_minutes / 4.0 - 180.0).to_radians();
    let latitude = place.latitude.to_radians();
    Direction {
        east: -cos(declination) * sin(hour_angle),
        north: cos(latitude) * sin(declination) - sin(latitude) * cos(declination) * cos(hour_angle),
        up: sin(latitude) * sin(declination) + cos(latitude) * cos(declination) * cos(hour_angle),
    }
}

/// Clear-sky irradiance on the horizontal by B. Haurwitz, *Insolation in relation to cloudiness and
/// cloud density*, Journal of Meteorology 2, 1945.
fn haurwitz(sun_up: f64) -> f64 {
    if sun_up <= 0.0 {
        0.0
    } else {
        1098.0 * sun_up * exp(-0.057 / sun_up)
    }
}

/// Irradiance under a sky that lets through `clearness` of the clear-sky value, split into beam and
/// diffuse by Erbs, Klein and Duffie, *Estimation of the diffuse radiation fraction*, Solar Energy
/// 28(4), 1982.
pub(crate) fn irradiance(unix_seconds: i64, sun: Direction, clearness: f64) -> Irradiance {
    let global = haurwitz(sun.up) * clearness;
    if global <= 0.0 {
        return Irradiance {
            beam: 0.0,
            diffuse: 0.0,
            global: 0.0,
        };
    }
    let extraterrestrial = 1361.0 * (1.0 + 0.033 * cos(year_angle(unix_seconds))) * sun.up;
    let k = (global / extraterrestrial).min(1.0);
    let diffuse_fraction = if k <= 0.22 {
        1.0 - 0.09 * k
    } else if k <= 0.80 {
        0.9511 - 0.1604 * k + 4.388 * k * k - 16.638 * k * k * k + 12.336 * k * k * k * k
    } else {
        0.165
    };
    let diffuse = global * diffuse_fraction;
    // Near the horizon the quotient would explode; the sun below 3 degrees gives a panel nothing.
    let beam = (global - diffuse) / sun.up.max(0.05);
    Irradiance {
        beam,
        diffuse,
        global,
    }
}

/// Air temperature in °C, a plain yearly and daily wave for south-east England: coldest at the end
/// of January and before sunrise.
pub(crate) fn air_temperature(unix_seconds: i64) -> f64 {
    let day = 2.0 * PI * small(unix_seconds.rem_euclid(86_400)) / 86_400.0;
    11.0 - 7.0 * cos(year_angle(unix_seconds) - 0.45) - 3.0 * cos(day - 2.0 * PI * 3.0 / 24.0)
}

/// The same in tenths of a degree.
#[expect(clippy::cast_possible_truncation, reason = "a few hundred at most")]
pub(crate) fn air_decicelsius(unix_seconds: i64) -> i64 {
    libm::round(air_temperature(unix_seconds) * 10.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elevation_degrees(sun: Direction) -> f64 {
        90.0 - libm::acos(sun.up).to_degrees()
    }

    const SUMMER_SOLSTICE_NOON: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z
    const WINTER_SOLSTICE_NOON: i64 = 1_797_854_400; // 2026-12-21T12:00:00Z

    #[test]
    fn the_noon_sun_over_london_stands_where_the_almanac_says() {
        let summer = elevation_degrees(direction(SUMMER_SOLSTICE_NOON, Location::LONDON));
        let winter = elevation_degrees(direction(WINTER_SOLSTICE_NOON, Location::LONDON));
        assert!((summer - 61.93).abs() < 0.3, "{summer}");
        assert!((winter - 15.06).abs() < 0.3, "{winter}");
    }

    #[test]
    fn the_direction_is_a_unit_vector_and_turns_from_east_to_west() {
        for hour in 0..24 {
            let sun = direction(SUMMER_SOLSTICE_NOON + hour * 3_600, Location::LONDON);
            let length = sun.east * sun.east + sun.north * sun.north + sun.up * sun.up;
            assert!((length - 1.0).abs() < 1e-9);
        }
        assert!(direction(SUMMER_SOLSTICE_NOON - 5 * 3_600, Location::LONDON).east > 0.5);
        assert!(direction(SUMMER_SOLSTICE_NOON + 5 * 3_600, Location::LONDON).east < -0.5);
    }

    #[test]
    fn a_clear_summer_noon_is_bright_and_the_night_is_dark() {
        let noon = direction(SUMMER_SOLSTICE_NOON, Location::LONDON);
        let clear = irradiance(SUMMER_SOLSTICE_NOON, noon, 1.0);
        assert!((850.0..950.0).contains(&clear.global), "{clear:?}");
        assert!(clear.beam > 4.0 * clear.diffuse);
        let overcast = irradiance(SUMMER_SOLSTICE_NOON, noon, 0.2);
        assert!(overcast.diffuse > 0.9 * overcast.global);
        let midnight = SUMMER_SOLSTICE_NOON + 12 * 3_600;
        let dark = irradiance(midnight, direction(midnight, Location::LONDON), 1.0);
        assert!(dark.global.abs() < f64::EPSILON);
    }
}
