//! What can be odd about data, and what the owner can do about it.

use core::fmt;

use gridtally_protocol::channel::{Missing, Quality};
use gridtally_protocol::refusal::Refusal;
use serde::{Serialize, Serializer};

use crate::days::Slot;

/// An annotation code. Its name is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// No report has it.
    NotReceived,
    /// The box had no value.
    Missing(Missing),
    /// It was not believed.
    Refused(Refusal),
    /// The box itself says to take it with care.
    Marked(Quality),
    /// The same value for six hours.
    Stale,
    /// The same difference from interval to interval, twelve times in a row.
    Interpolated,
    /// In and out of a battery do not go with its state of charge.
    ChargeMismatch,
    /// Bright hours of a day without any solar energy.
    NoProduction,
}

impl Finding {
    /// What an interval says by itself; nothing where its value is sound.
    pub(super) const fn of(slot: Slot) -> Option<Self> {
        match slot {
            Slot::Absent => Some(Self::NotReceived),
            Slot::Missing(missing) => Some(Self::Missing(missing)),
            Slot::Refused(refusal) => Some(Self::Refused(refusal)),
            Slot::Contested => Some(Self::Refused(Refusal::AlreadyReported)),
            Slot::Value(_, Some(quality)) => Some(Self::Marked(quality)),
            Slot::Value(_, None) => None,
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotReceived => "not_received",
            Self::Missing(missing) => missing.name(),
            Self::Refused(refusal) => refusal.name(),
            Self::Marked(quality) => quality.name(),
            Self::Stale => "stale",
            Self::Interpolated => "interpolated",
            Self::ChargeMismatch => "charge_mismatch",
            Self::NoProduction => "no_production",
        }
    }

    /// What the owner can do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NotReceived => {
                "Look whether the box has power and the internet; what it kept, it sends later by itself."
            }
            Self::Missing(missing) => of_missing(missing),
            Self::Refused(refusal) => of_refused(refusal),
            Self::Marked(Quality::Integrated) => {
                "The device has no counter; its energy is added up from its power. Nothing to do, a meter with a counter would be better."
            }
            Self::Marked(Quality::PowerMismatch) => {
                "The device's counter and its power differ by more than 5 % over an hour: have its scale in the box's configuration checked, and the meter looked at."
            }
            Self::Marked(_) => "The device's counter is coarse, or began anew. Nothing to do.",
            Self::Stale => {
                "The device says the same for hours: look whether it or its data logger hangs, and switch it off and on."
            }
            Self::Interpolated => {
                "The device fills gaps with straight lines: read the device itself instead of its data logger or cloud."
            }
            Self::ChargeMismatch => {
                "The battery's counters and its state of charge differ: have the capacity in the enrolment checked, and let it charge full once."
            }
            Self::NoProduction => {
                "The panels gave nothing while the sun was up: look whether the inverter is on and shows a fault."
            }
        }
    }
}

const fn of_missing(missing: Missing) -> &'static str {
    match missing {
        Missing::Unreachable => {
            "The device did not answer: look whether it is on and its cable or wireless network is well; `gridtally edge doctor` says more."
        }
        Missing::BadSample => {
            "The device answers with what cannot be believed: `gridtally edge doctor` says more."
        }
        Missing::NoStart => "The box was not running: let it run all day.",
        Missing::CounterFault => {
            "The device's counter went backwards or too far: if it happens often, have the device looked at."
        }
        Missing::DeviceReplaced => "Another device answers than was enrolled: enrol the new one.",
        Missing::CounterReset => {
            "The device's counter began anew: if nobody reset it, have the device looked at."
        }
        Missing::NotCovered => {
            "The device answered too seldom: look whether its network is well, or whether something else reads it at the same time."
        }
    }
}

const fn of_refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::BeyondNameplate => {
            "More than the device can do: have its nameplate in the enrolment checked, and its scale in the box's configuration."
        }
        Refusal::NoSun | Refusal::BeyondClearSky => {
            "More sun than there was: have the place in the enrolment checked, and that the box reads the inverter and not the battery."
        }
        Refusal::NotConserved => {
            "More left the home than came in: enrol every source behind the meter, and have the direction of the meter checked."
        }
        Refusal::BeyondStorage => {
            "More came out of the battery than it held: have its capacity in the enrolment checked."
        }
        Refusal::Equivocation => {
            "Two boxes sign with one key: never copy a box's key or memory card; make a new key."
        }
        Refusal::NotValidThen | Refusal::Revoked => {
            "The enrolment did not hold then: ask your operator to renew it."
        }
        Refusal::TooLate | Refusal::FromTheFuture => {
            "The box's clock is wrong, or it was without the internet for weeks: look at both."
        }
        Refusal::UnknownChannel | Refusal::WrongInterval => {
            "The box reads other devices than were enrolled: enrol them, or correct its configuration."
        }
        _ => {
            "The box's messages are broken on their way: update it; if that does not help, ask your operator."
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
