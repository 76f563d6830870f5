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
    /// It is paid for, but by the event as a whole and not by intervals.
    PaidAsAWhole,
    /// What it did came to less than nothing, which the program does not charge for.
    BelowZero,
    /// There is no price yet; that is not a price of nothing.
    NoPrice,
    /// The home never said what it asks for.
    NoBid,
    /// It nominated nothing, or was called for nothing.
    NothingNominated,
    /// It delivered too little of what it nominated.
    Shortfall,
    /// It delivered too little through no fault of its own.
    Excused,
    /// It was paid as much before.
    AlreadyPaid,
    /// No event of the season counts.
    NoEventCounts,
    /// A ceiling was reached before.
    CeilingReached,
    /// Nothing is known of its data's quality, or the quality is 0.
    NoQuality,
    /// The other formulas pay nothing, and a bonus is bounded by them.
    NothingElsePaid,
    /// The home is of the control group: it was not asked, and others are compared with it.
    ControlGroup,
}

impl ZeroReason {
    /// Every reason there is, in the order of their numbers.
    pub const ALL: [Self; 21] = [
        Self::OptedOut,
        Self::NoAnswer,
        Self::NoBaseline,
        Self::Equivocation,
        Self::MissingReading,
        Self::NotReduced,
        Self::ZeroPrice,
        Self::RoundedToZero,
        Self::PaidAsAWhole,
        Self::BelowZero,
        Self::NoPrice,
        Self::NoBid,
        Self::NothingNominated,
        Self::Shortfall,
        Self::Excused,
        Self::AlreadyPaid,
        Self::NoEventCounts,
        Self::CeilingReached,
        Self::NoQuality,
        Self::NothingElsePaid,
        Self::ControlGroup,
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
            Self::PaidAsAWhole => 9,
            Self::BelowZero => 10,
            Self::NoPrice => 11,
            Self::NoBid => 12,
            Self::NothingNominated => 13,
            Self::Shortfall => 14,
            Self::Excused => 15,
            Self::AlreadyPaid => 16,
            Self::NoEventCounts => 17,
            Self::CeilingReached => 18,
            Self::NoQuality => 19,
            Self::NothingElsePaid => 20,
            Self::ControlGroup => 21,
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
            Self::PaidAsAWhole => "paid_as_a_whole",
            Self::BelowZero => "below_zero",
            Self::NoPrice => "no_price",
            Self::NoBid => "no_bid",
            Self::NothingNominated => "nothing_nominated",
            Self::Shortfall => "shortfall",
            Self::Excused => "excused",
            Self::AlreadyPaid => "already_paid",
            Self::NoEventCounts => "no_event_counts",
            Self::CeilingReached => "ceiling_reached",
            Self::NoQuality => "no_quality",
            Self::NothingElsePaid => "nothing_else_paid",
            Self::ControlGroup => "control_group",
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
            (9, "paid_as_a_whole"),
            (10, "below_zero"),
            (11, "no_price"),
            (12, "no_bid"),
            (13, "nothing_nominated"),
            (14, "shortfall"),
            (15, "excused"),
            (16, "already_paid"),
            (17, "no_event_counts"),
            (18, "ceiling_reached"),
            (19, "no_quality"),
            (20, "nothing_else_paid"),
            (21, "control_group"),
        ];
        assert_eq!(
            ZeroReason::ALL.map(|reason| (reason.code(), reason.name())),
            expected
        );
        for code in 0..=u8::MAX {
            let known = ZeroReason::from_code(code).map(ZeroReason::code);
            assert_eq!(known, (1..=21).contains(&code).then_some(code));
        }
        for reason in ZeroReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
