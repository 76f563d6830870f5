//! Where a site is, coarsely: a cell of a tenth of a degree each way, some eleven kilometres from south to north. The
//! exact place stays in the home.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

const LATITUDE_MAX: i16 = 900;
const LONGITUDE_MAX: i16 = 1_800;

/// A cell of a tenth of a degree, named by the nearest whole tenths of its middle (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CoarseLocation {
    latitude: i16,
    longitude: i16,
}

/// What names no cell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no coarse location; it is written as latitude and longitude in degrees with one decimal each, as 59.9,10.7 \
     or -33.9,151.2"
)]
pub struct LocationError(String);

impl CoarseLocation {
    /// A cell, in tenths of degrees north and east.
    ///
    /// # Errors
    /// [`LocationError`] beyond the poles, or from the antimeridian on: 180.0 east is written as 180.0 west.
    pub fn new(latitude: i16, longitude: i16) -> Result<Self, LocationError> {
        let cell = Self { latitude, longitude };
        let on_earth = latitude.unsigned_abs() <= LATITUDE_MAX.unsigned_abs()
            && (-LONGITUDE_MAX..LONGITUDE_MAX).contains(&longitude);
        on_earth
            .then_some(cell)
            .ok_or_else(|| LocationError(cell.to_string()))
    }

    /// Tenths of degrees north, of the middle of the cell.
    #[must_use]
    pub const fn latitude_tenths(self) -> i16 {
        self.latitude
    }

    /// Tenths of degrees east, of the middle of the cell.
    #[must_use]
    pub const fn longitude_tenths(self) -> i16 {
        self.longitude
    }
}

impl fmt::Display for CoarseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = |f: &mut fmt::Formatter<'_>, value: i16| {
            let (sign, size) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
            write!(f, "{sign}{}.{}", size / 10, size % 10)
        };
        tenths(f, self.latitude)?;
        f.write_str(",")?;
        tenths(f, self.longitude)
    }
}

impl FromStr for CoarseLocation {
    type Err = LocationError;
    fn from_str(text: &str) -> Result<Self, LocationError> {
        let wrong = || LocationError(text.chars().take(64).collect());
        let (latitude, longitude) = text.split_once(',').ok_or_else(wrong)?;
        let cell = Self::new(
            tenths(latitude).ok_or_else(wrong)?,
            tenths(longitude).ok_or_else(wrong)?,
        );
        // One way to write it: no plus, no leading zeros, no minus zero.
        cell.ok()
            .filter(|cell| cell.to_string() == text)
            .ok_or_else(wrong)
    }
}

fn tenths(text: &str) -> Option<i16> {
    let (sign, size) = text.strip_prefix('-').map_or((1, text), |size| (-1, size));
    let (whole, tenth) = size.split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(tenth) || tenth.len() != 1 {
        return None;
    }
    let tenths = whole.parse::<i16>().ok()?.checked_mul(10)?;
    tenths.checked_add(tenth.parse().ok()?)?.checked_mul(sign)
}

impl TryFrom<String> for CoarseLocation {
    type Error = LocationError;
    fn try_from(text: String) -> Result<Self, LocationError> {
        text.parse()
    }
}

impl From<CoarseLocation> for String {
    fn from(cell: CoarseLocation) -> Self {
        cell.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cell_is_written_in_one_way_only() {
        let oslo: CoarseLocation = "59.9,10.7".parse().unwrap();
        assert_eq!((oslo.latitude_tenths(), oslo.longitude_tenths()), (599, 107));
        for wrong in [
            "",
            "59.9",
            "59,10",
            "59.91,10.7",
            "+59.9,10.7",
            "059.9,10.7",
            "-0.0,1.0",
            "90.1,0.0",
            "0.0,180.0",
            "0.0,1.0,2.0",
            "NaN,0.0",
            "9999999999.0,0.0",
            "0.0, 1.0",
        ] {
            assert!(wrong.parse::<CoarseLocation>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_cell_comes_back_out_of_its_text(latitude in -900_i16..=900, longitude in -1800_i16..1800) {
            let cell = CoarseLocation::new(latitude, longitude).unwrap();
            prop_assert_eq!(cell.to_string().parse::<CoarseLocation>().unwrap(), cell);
        }

        #[test]
        fn any_text_is_a_cell_or_an_error(text in ".{0,32}") {
            if let Ok(cell) = text.parse::<CoarseLocation>() {
                prop_assert_eq!(cell.to_string(), text);
            }
        }
    }
}
