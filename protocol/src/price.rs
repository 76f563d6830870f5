//! Prices: exact decimals, each with one form only.

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use minicbor::{Decoder, Encoder, decode};
use serde::{Deserialize, Serialize};

use crate::cbor::{self, Sink, Write};
use crate::quantity::{ParseQuantityError, format_scaled, parse_scaled};

/// A price has at most so many decimals, as an asset has ([`crate::quantity::Asset`]).
pub const PRICE_DECIMALS_MAX: u8 = 18;

/// What is offered for a kilowatt-hour, in whole units of the program's asset: `coefficient × 10^-decimals`,
/// never negative.
///
/// The coefficient has no trailing zero where there are decimals: 0.5 and 0.50 are one value with one form.
///
/// ```
/// # use gridtally_protocol::price::Price;
/// let price: Price = "0.850".parse()?;
/// assert_eq!((price.coefficient(), price.decimals()), (85, 2));
/// assert!(price < "0.9".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Price {
    coefficient: i64,
    decimals: u8,
}

/// Why a number or a text is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Below nothing.
    #[error("a price is not negative")]
    Negative,
    /// More digits than it can hold.
    #[error("a price has at most {PRICE_DECIMALS_MAX} decimals and fits 63 bits without its point")]
    TooLong,
    /// No decimal number.
    #[error(transparent)]
    Text(#[from] ParseQuantityError),
}

impl Price {
    /// `coefficient × 10^-decimals`, in its one form.
    ///
    /// # Errors
    /// [`PriceError`] where it is negative, or does not fit in that form.
    pub fn new(coefficient: i128, decimals: u8) -> Result<Self, PriceError> {
        if coefficient < 0 {
            return Err(PriceError::Negative);
        }
        let (mut coefficient, mut decimals) = (coefficient, decimals);
        while decimals > 0 && coefficient.checked_rem(10) == Some(0) {
            coefficient = coefficient.checked_div(10).unwrap_or(0);
            decimals = decimals.saturating_sub(1);
        }
        let coefficient = i64::try_from(coefficient).map_err(|_| PriceError::TooLong)?;
        if decimals > PRICE_DECIMALS_MAX {
            return Err(PriceError::TooLong);
        }
        Ok(Self {
            coefficient,
            decimals,
        })
    }

    /// All its digits as a whole number.
    #[must_use]
    pub const fn coefficient(self) -> i64 {
        self.coefficient
    }

    /// How many of the digits stand behind the point.
    #[must_use]
    pub const fn decimals(self) -> u8 {
        self.decimals
    }

    /// As a whole number of 10^-18: 63 bits times 10^18 fit 127 bits.
    fn scaled(self) -> i128 {
        let zeros = u32::from(PRICE_DECIMALS_MAX.saturating_sub(self.decimals));
        i128::from(self.coefficient).saturating_mul(10_i128.saturating_pow(zeros))
    }

    pub(crate) fn write(self, e: &mut Encoder<Sink>) -> Write {
        e.array(2)?.i64(self.coefficient)?.u8(self.decimals)?;
        Ok(())
    }

    /// A longer form of the same value reads as its one form, and is refused because it is written otherwise.
    pub(crate) fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(2), "a price is an array of two")?;
        let (coefficient, decimals) = (d.i64()?, d.u8()?);
        cbor::expect(decimals <= PRICE_DECIMALS_MAX, "a price has at most 18 decimals")?;
        Self::new(coefficient.into(), decimals).map_err(decode::Error::message)
    }
}

impl Ord for Price {
    fn cmp(&self, other: &Self) -> Ordering {
        self.scaled().cmp(&other.scaled())
    }
}

impl PartialOrd for Price {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        format_scaled(self.coefficient.into(), self.decimals, f)
    }
}

impl FromStr for Price {
    type Err = PriceError;
    fn from_str(text: &str) -> Result<Self, PriceError> {
        Self::new(parse_scaled(text, PRICE_DECIMALS_MAX)?, PRICE_DECIMALS_MAX)
    }
}

impl TryFrom<String> for Price {
    type Error = PriceError;
    fn try_from(text: String) -> Result<Self, PriceError> {
        text.parse()
    }
}

impl From<Price> for String {
    fn from(price: Price) -> Self {
        price.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    #[test]
    fn a_price_is_read_and_shown_exactly() {
        for (text, shown) in [
            ("0", "0"),
            ("0.00", "0"),
            ("12", "12"),
            ("120", "120"),
            ("0.850", "0.85"),
            ("00.000000000000000001", "0.000000000000000001"),
            ("9223372036854775807", "9223372036854775807"),
            ("9.223372036854775807", "9.223372036854775807"),
        ] {
            assert_eq!(price(text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in ["", "-0.1", "1e3", ".5", "5.", "0.0000000000000000001"] {
            assert!(text.parse::<Price>().is_err(), "{text:?}");
        }
        for text in ["9223372036854775808", "9.2233720368547758071"] {
            assert!(text.parse::<Price>().is_err(), "{text:?}");
        }
        assert_eq!(Price::new(-1, 0), Err(PriceError::Negative));
        assert_eq!(Price::new(1, 19), Err(PriceError::TooLong));
        assert_eq!(Price::new(10, 19), Price::new(1, 18));
        assert_eq!(Price::new(0, u8::MAX), Price::new(0, 0));
    }

    #[test]
    fn prices_are_ordered_by_their_value() {
        let ordered = [
            "0",
            "0.09",
            "0.1",
            "0.11",
            "1",
            "1.000000000000000001",
            "9223372036854775807",
        ];
        for pair in ordered.windows(2) {
            assert!(price(pair[0]) < price(pair[1]), "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn the_text_of_a_price_reads_back(coefficient in 0..=i64::MAX, decimals in 0..=PRICE_DECIMALS_MAX) {
            let price = Price::new(coefficient.into(), decimals).unwrap();
            prop_assert_eq!(price.to_string().parse(), Ok(price));
            prop_assert!(price.decimals() == 0 || price.coefficient() % 10 != 0);
        }

        #[test]
        fn the_order_agrees_with_equality(a in 0..1_000_i128, b in 0..1_000_i128, da in 0_u8..4, db in 0_u8..4) {
            let (a, b) = (Price::new(a, da).unwrap(), Price::new(b, db).unwrap());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        }
    }
}
