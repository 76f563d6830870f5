//! Values of the config that check themselves while they are read, so that an error has its place.

use std::fmt;

use gridtally_protocol::quantity::{Milliwatts, parse_scaled};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::device::endpoint::Location;

/// A percentage from 0 to 100 in thousandths, as the state of charge is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(i64);

impl Percent {
    /// All of it.
    pub const FULL: Self = Self(100_000);

    /// From thousandths of a percent, 0 to 100 000.
    #[must_use]
    pub fn from_thousandths(thousandths: i64) -> Option<Self> {
        (0..=Self::FULL.0)
            .contains(&thousandths)
            .then_some(Self(thousandths))
    }

    /// In thousandths of a percent.
    #[must_use]
    pub const fn thousandths(self) -> i64 {
        self.0
    }
}

/// A decimal number as the owner wrote it, in thousandths. TOML floats are refused: what is written in
/// decimal must not pass through binary.
struct Thousandths(i64);

impl<'de> Deserialize<'de> for Thousandths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Decimal;
        impl Visitor<'_> for Decimal {
            type Value = Thousandths;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a decimal number in quotes such as \"12.5\"")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Thousandths, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Thousandths, E> {
                Err(E::custom(format!(
                    "write {value} in quotes, \"{value}\", so that it is read exactly as it stands"
                )))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Thousandths, E> {
                let value = parse_scaled(text, 3).map_err(E::custom)?;
                i64::try_from(value)
                    .map(Thousandths)
                    .map_err(|_| E::custom(format!("{text} is too large")))
            }
        }
        deserializer.deserialize_any(Decimal)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Thousandths(value) = Thousandths::deserialize(deserializer)?;
        Self::from_thousandths(value).ok_or_else(|| D::Error::custom("a percentage is 0 to 100"))
    }
}

/// A power of more than nothing, at most 1 GW.
pub(super) struct Watts(pub Milliwatts);

const GIGAWATT: i64 = 1_000_000_000_000;

impl<'de> Deserialize<'de> for Watts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Thousandths(value) = Thousandths::deserialize(deserializer)?;
        if !(1..=GIGAWATT).contains(&value) {
            return Err(D::Error::custom(
                "a power in watts is more than 0 and at most 1000000000",
            ));
        }
        Ok(Self(Milliwatts::new(value)))
    }
}

/// A power of 0 W to 1 GW.
pub(super) struct WattsFromZero(pub Milliwatts);

impl<'de> Deserialize<'de> for WattsFromZero {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Thousandths(value) = Thousandths::deserialize(deserializer)?;
        if !(0..=GIGAWATT).contains(&value) {
            return Err(D::Error::custom("this power in watts is 0 to 1000000000"));
        }
        Ok(Self(Milliwatts::new(value)))
    }
}

/// A whole number within bounds.
pub(super) struct Bounded<const MIN: u16, const MAX: u16>(pub u16);

impl<'de, const MIN: u16, const MAX: u16> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        u16::try_from(value)
            .ok()
            .filter(|v| (MIN..=MAX).contains(v))
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("{value} is not within {MIN} and {MAX}")))
    }
}

/// `host:port`, perhaps with a scheme and credentials before it.
pub(super) struct Address(pub String);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let well_formed = text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && !text.contains(char::is_whitespace)
                && port.parse::<u16>().is_ok_and(|p| p > 0)
        });
        if !well_formed {
            return Err(D::Error::custom(format!("{text:?} is not of the form host:port")));
        }
        Ok(Self(text))
    }
}

/// Where a device is.
pub(super) struct Place(pub Location);

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A name that can be shown: 1 to 64 characters.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let shown = !text.trim().is_empty() && !text.contains(char::is_control);
        if !shown || text.chars().count() > 64 {
            return Err(D::Error::custom("a name has 1 to 64 printable characters"));
        }
        Ok(Self(text))
    }
}
