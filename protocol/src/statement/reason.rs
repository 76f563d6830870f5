//! Why nothing was earned: reasons that are stable on the wire.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Why an interval, or a whole event, earned a home nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroReason {
    /// The home opted out.
    OptedOut,
    /// The home never answered.
    NoAnswer,
    /// There is nothing to compare with.
    NoBaseline,
    /// The gateway signed two different values for the interval.
    Equivocation,
    /// What the meter counted is not known.
    MissingReading,
    /// The home did not use less than its baseline.
    NotReduced,
    /// It was credited, but at a price of nothing.
    ZeroPrice,
    /// What it earned is less than a base unit, and was rounded to nothing.
    RoundedToZero,
}

impl ZeroReason {
    /// Every reason there is, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::OptedOut,
        Self::NoAnswer,
        Self::NoBaseline,
        Self::Equivocation,
        Self::MissingReading,
        Self::NotReduced,
        Self::ZeroPrice,
        Self::RoundedToZero,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::OptedOut => 1,
            Self::NoAnswer => 2,
            Self::NoBaseline => 3,
            Self::Equivocation => 4,
            Self::MissingReading => 5,
            Self::NotReduced => 6,
            Self::ZeroPrice => 7,
            Self::RoundedToZero => 8,
        }
    }

    /// The reason of a number, where there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OptedOut => "opted_out",
            Self::NoAnswer => "no_answer",
            Self::NoBaseline => "no_baseline",
            Self::Equivocation => "equivocation",
            Self::MissingReading => "missing_reading",
            Self::NotReduced => "not_reduced",
            Self::ZeroPrice => "zero_price",
            Self::RoundedToZero => "rounded_to_zero",
        }
    }
}

impl fmt::Display for ZeroReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_never_change() {
        let expected = [
            (1, "opted_out"),
            (2, "no_answer"),
            (3, "no_baseline"),
            (4, "equivocation"),
            (5, "missing_reading"),
            (6, "not_reduced"),
            (7, "zero_price"),
            (8, "rounded_to_zero"),
        ];
        assert_eq!(
            ZeroReason::ALL.map(|reason| (reason.code(), reason.name())),
            expected
        );
        for code in 0..=u8::MAX {
            let known = ZeroReason::from_code(code).map(ZeroReason::code);
            assert_eq!(known, (1..=8).contains(&code).then_some(code));
        }
        for reason in ZeroReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
