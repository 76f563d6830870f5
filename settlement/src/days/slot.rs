//! What is known of one interval of one channel.

use gridtally_protocol::channel::{Missing, Quality};
use gridtally_protocol::refusal::Refusal;

/// What all reports together say of one interval of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slot {
    /// No report has it.
    #[default]
    Absent,
    /// A value in the quantity's smallest unit, and what is to be known of it.
    Value(i64, Option<Quality>),
    /// The gateway had none.
    Missing(Missing),
    /// The engine does not take it.
    Refused(Refusal),
    /// Reports say different things: which of them counts, only they can tell.
    Contested,
}

const ABSENT: u8 = 0;
const REFUSED: u8 = 64;
const CONTESTED: u8 = 255;

impl Slot {
    /// What both say together: the same in whatever order, and however often, things are joined.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Absent, known) | (known, Self::Absent) => known,
            (one, other) if one == other => one,
            _ => Self::Contested,
        }
    }

    /// The byte of its mark; a plain value has none.
    pub(super) fn mark(self) -> Option<u8> {
        match self {
            Self::Absent => Some(ABSENT),
            Self::Value(_, quality) => quality.map(Quality::code),
            Self::Missing(missing) => Some(missing.code()),
            Self::Refused(refusal) => REFUSED.checked_add(refusal.code()),
            Self::Contested => Some(CONTESTED),
        }
    }

    pub(super) const fn value(self) -> Option<i64> {
        match self {
            Self::Value(value, _) => Some(value),
            _ => None,
        }
    }
}

/// What a mark says of the slots that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// They hold no value, but this.
    Instead(Slot),
    /// Their values are to be taken with care.
    Beside(Quality),
}

impl Mark {
    pub(super) fn of(code: u8) -> Option<Self> {
        if let Some(quality) = Quality::from_code(code) {
            return Some(Self::Beside(quality));
        }
        match code {
            ABSENT => Some(Self::Instead(Slot::Absent)),
            CONTESTED => Some(Self::Instead(Slot::Contested)),
            _ => Missing::from_code(code).map_or_else(
                || {
                    let refusal = Refusal::from_code(code.checked_sub(REFUSED)?)?;
                    Some(Self::Instead(Slot::Refused(refusal)))
                },
                |missing| Some(Self::Instead(Slot::Missing(missing))),
            ),
        }
    }
}
