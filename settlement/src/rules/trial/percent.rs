//! Shares, for people: hundredths of a percent, rounded once.

use core::fmt;

use serde::{Serialize, Serializer};

use crate::rules::exact::{ArithmeticError, Ratio};

const HUNDREDTHS: i128 = 10_000;

/// A share in hundredths of a percent. Its text has two decimals: `12.34`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(i128);

impl Percent {
    /// `part / whole`, half-even; nothing where `whole` is not above zero.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where the share does not fit.
    pub fn of(part: i128, whole: i128) -> Result<Option<Self>, ArithmeticError> {
        if whole <= 0 {
            return Ok(None);
        }
        let share = Ratio::new(part, whole)?.checked_mul(Ratio::whole(HUNDREDTHS))?;
        share.round_half_even().map(|hundredths| Some(Self(hundredths)))
    }

    /// In hundredths of a percent.
    #[must_use]
    pub const fn hundredths(self) -> i128 {
        self.0
    }

    /// Whether it is more than so many whole percent.
    #[must_use]
    pub fn exceeds(self, percent: u32) -> bool {
        self.0 > i128::from(percent).saturating_mul(100)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        let (whole, part) = (all.checked_div(100), all.checked_rem(100));
        let text = format!("{sign}{}.{:02}", whole.unwrap_or(0), part.unwrap_or(0));
        f.pad(&text)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_two_decimals_and_its_sign() {
        let cases = [
            (1, 3, "33.33"),
            (-1, 300, "-0.33"),
            (5, 4, "125.00"),
            (1, 80_000, "0.00"),
        ];
        for (part, whole, text) in cases {
            assert_eq!(Percent::of(part, whole).unwrap().unwrap().to_string(), text);
        }
        assert_eq!(Percent::of(1, 0), Ok(None));
        assert_eq!(Percent::of(1, -5), Ok(None));
    }
}
