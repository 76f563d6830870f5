//! Exact quantities: energy, power and tokens.
//!
//! Each is an integer of its smallest unit behind a type of its own, with checked arithmetic only:
//! a result that does not fit is an [`Overflow`], never a wrap and never a rounding. Text goes in and
//! out exactly: `parse` of what `Display` printed gives the same value, and a text that the unit
//! cannot hold exactly is refused.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// A sum, difference or product that does not fit its integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{operation} of {unit} does not fit its integer; the inputs are implausible, look at where they came from"
)]
pub struct Overflow {
    /// What was computed: `sum`, `difference`, `product`.
    pub operation: &'static str,
    /// The unit of the quantity.
    pub unit: &'static str,
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseQuantityError {
    /// Not of the form `[-]digits[.digits]`.
    #[error("{text:?} is not a decimal number of the form -12.345")]
    NotDecimal {
        /// The offending text, cut to 64 characters.
        text: String,
    },
    /// More decimals than the smallest unit has: reading it would round.
    #[error("{text:?} has more than {decimals} decimals and cannot be held exactly")]
    TooPrecise {
        /// The offending text, cut to 64 characters.
        text: String,
        /// How many decimals the unit holds.
        decimals: u8,
    },
    /// Does not fit the integer.
    #[error("{text:?} is too large")]
    TooLarge {
        /// The offending text, cut to 64 characters.
        text: String,
    },
}

/// Reads a decimal text as an integer of `10^-decimals`, exactly or not at all.
///
/// # Errors
/// [`ParseQuantityError`] where the text is no plain decimal, has more decimals than fit, or is too large.
pub fn parse_scaled(text: &str, decimals: u8) -> Result<i128, ParseQuantityError> {
    let shown = || text.chars().take(64).collect::<String>();
    let not_decimal = || ParseQuantityError::NotDecimal { text: shown() };
    let too_large = || ParseQuantityError::TooLarge { text: shown() };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(not_decimal()),
        None => (digits, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(not_decimal());
    }
    let significant = fraction.trim_end_matches('0');
    let width = usize::from(decimals);
    if significant.len() > width {
        return Err(ParseQuantityError::TooPrecise {
            text: shown(),
            decimals,
        });
    }
    let mut value: i128 = 0;
    let padding = core::iter::repeat_n(b'0', width.saturating_sub(significant.len()));
    for digit in whole.bytes().chain(significant.bytes()).chain(padding) {
        let digit = i128::from(digit.saturating_sub(b'0'));
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(digit))
            .ok_or_else(too_large)?;
    }
    if negative {
        value.checked_neg().ok_or_else(too_large)
    } else {
        Ok(value)
    }
}

/// Writes an integer of `10^-decimals` as a decimal text, all decimals shown.
pub(crate) fn format_scaled(value: i128, decimals: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let width = usize::from(decimals);
    let digits = format!("{:0>1$}", value.unsigned_abs(), width.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(width));
    let text = if width == 0 {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    };
    f.pad_integral(value >= 0, "", &text)
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $unit:literal, $display_decimals:literal, $display_unit:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0);

            #[doc = concat!("From a whole number of ", $unit, ".")]
            #[must_use]
            pub const fn new(value: i64) -> Self {
                Self(value)
            }

            #[doc = concat!("The whole number of ", $unit, ".")]
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }

            /// The sum, or [`Overflow`].
            ///
            /// # Errors
            /// [`Overflow`] where the sum does not fit.
            pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
                self.0.checked_add(other.0).map(Self).ok_or(Overflow { operation: "sum", unit: $unit })
            }

            /// The difference, or [`Overflow`].
            ///
            /// # Errors
            /// [`Overflow`] where the difference does not fit.
            pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
                self.0.checked_sub(other.0).map(Self).ok_or(Overflow { operation: "difference", unit: $unit })
            }

            /// The sum of all, or [`Overflow`].
            ///
            /// # Errors
            /// [`Overflow`] where a partial sum does not fit.
            pub fn checked_sum(values: impl IntoIterator<Item = Self>) -> Result<Self, Overflow> {
                values.into_iter().try_fold(Self::ZERO, Self::checked_add)
            }
        }

        #[doc = concat!("Shown in ", $display_unit, " with all decimals.")]
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                format_scaled(i128::from(self.0), $display_decimals, f)
            }
        }

        #[doc = concat!("Read as ", $display_unit, ", exactly.")]
        impl FromStr for $name {
            type Err = ParseQuantityError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let value = parse_scaled(text, $display_decimals)?;
                i64::try_from(value).map(Self).map_err(|_| ParseQuantityError::TooLarge { text: text.chars().take(64).collect() })
            }
        }
    };
}

quantity!(
    /// Energy in milliwatt-hours, signed: what flows *into* the site, or out of a device in its named
    /// direction, is positive. `i64` holds ±9.2 PWh.
    MilliwattHours, "milliwatt-hours", 6, "kWh"
);
quantity!(
    /// Power in milliwatts, signed. `i64` holds ±9.2 PW.
    Milliwatts, "milliwatts", 3, "W"
);

impl Milliwatts {
    /// The energy that this power moves in `seconds`, rounded towards zero to whole milliwatt-hours.
    ///
    /// For bounds (a nameplate over an interval), never for counting.
    ///
    /// # Errors
    /// [`Overflow`] where the product does not fit.
    pub fn energy_over(self, seconds: u32) -> Result<MilliwattHours, Overflow> {
        let overflow = Overflow {
            operation: "product",
            unit: "milliwatts",
        };
        let product = i128::from(self.0)
            .checked_mul(i128::from(seconds))
            .ok_or(overflow)?;
        let energy = product.checked_div(3600).ok_or(overflow)?;
        i64::try_from(energy).map(MilliwattHours).map_err(|_| overflow)
    }
}

/// An amount of a token in its smallest (base) units, signed. What a unit is worth is in [`Asset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TokenAmount(i128);

/// The largest magnitude that a ledger column `NUMERIC(38,0)` holds: 38 nines.
pub const TOKEN_AMOUNT_MAX: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

impl TokenAmount {
    /// No token at all.
    pub const ZERO: Self = Self(0);

    /// From base units; at most [`TOKEN_AMOUNT_MAX`] in magnitude.
    ///
    /// # Errors
    /// [`Overflow`] where the ledger could not hold it.
    pub fn new(base_units: i128) -> Result<Self, Overflow> {
        if base_units.unsigned_abs() > TOKEN_AMOUNT_MAX.unsigned_abs() {
            return Err(Overflow {
                operation: "amount",
                unit: "token base units",
            });
        }
        Ok(Self(base_units))
    }

    /// The number of base units.
    #[must_use]
    pub const fn base_units(self) -> i128 {
        self.0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`Overflow`] where the sum does not fit the ledger.
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        let sum = self.0.checked_add(other.0).ok_or(Overflow {
            operation: "sum",
            unit: "token base units",
        })?;
        Self::new(sum)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`Overflow`] where the difference does not fit the ledger.
    pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
        let difference = self.0.checked_sub(other.0).ok_or(Overflow {
            operation: "difference",
            unit: "token base units",
        })?;
        Self::new(difference)
    }

    /// The sum of all.
    ///
    /// # Errors
    /// [`Overflow`] where a partial sum does not fit the ledger.
    pub fn checked_sum(values: impl IntoIterator<Item = Self>) -> Result<Self, Overflow> {
        values.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// The amount with its sign turned.
    #[must_use]
    pub const fn negated(self) -> Self {
        // The range is symmetric, so this cannot overflow.
        Self(self.0.saturating_neg())
    }
}

impl Serialize for TokenAmount {
    /// As a string of base units: JSON numbers lose digits beyond 2^53.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TokenAmount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value = parse_scaled(&text, 0).map_err(serde::de::Error::custom)?;
        Self::new(value).map_err(serde::de::Error::custom)
    }
}

/// Why a text is not an asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// The code is not 2 to 12 upper-case letters or digits.
    #[error("asset code {code:?} is not 2 to 12 characters of A-Z and 0-9")]
    Code {
        /// The code as given, cut to 64 characters.
        code: String,
    },
    /// More decimals than an amount can hold.
    #[error("asset decimals {decimals} exceed 18")]
    Decimals {
        /// The number as given.
        decimals: u8,
    },
}

/// A token: its code and how many decimals one whole token has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawAsset")]
pub struct Asset {
    code: String,
    decimals: u8,
}

#[derive(Deserialize)]
struct RawAsset {
    code: String,
    decimals: u8,
}

impl TryFrom<RawAsset> for Asset {
    type Error = AssetError;
    fn try_from(raw: RawAsset) -> Result<Self, AssetError> {
        Self::new(&raw.code, raw.decimals)
    }
}

impl Asset {
    /// An asset of 2 to 12 characters `A-Z0-9` and at most 18 decimals.
    ///
    /// # Errors
    /// [`AssetError`] that says which of the two is wrong.
    pub fn new(code: &str, decimals: u8) -> Result<Self, AssetError> {
        let well_formed = (2..=12).contains(&code.len())
            && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !well_formed {
            return Err(AssetError::Code {
                code: code.chars().take(64).collect(),
            });
        }
        if decimals > 18 {
            return Err(AssetError::Decimals { decimals });
        }
        Ok(Self {
            code: code.to_owned(),
            decimals,
        })
    }

    /// The code, `FLEX` say.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// How many decimals one token has.
    #[must_use]
    pub const fn decimals(&self) -> u8 {
        self.decimals
    }

    /// Reads an amount of whole tokens (`12.5`), exactly.
    ///
    /// # Errors
    /// [`ParseQuantityError`] where the text is no decimal or holds more decimals than the asset.
    pub fn parse(&self, text: &str) -> Result<TokenAmount, ParseQuantityError> {
        let value = parse_scaled(text, self.decimals)?;
        TokenAmount::new(value).map_err(|_| ParseQuantityError::TooLarge {
            text: text.chars().take(64).collect(),
        })
    }

    /// Shows an amount in whole tokens with all decimals, without the code.
    #[must_use]
    pub fn show(&self, amount: TokenAmount) -> String {
        struct Shown(i128, u8);
        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                format_scaled(self.0, self.1, f)
            }
        }
        Shown(amount.base_units(), self.decimals).to_string()
    }
}

#[cfg(test)]
mod tests;
