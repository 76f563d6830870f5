//! The parts of a home's amount, where its program pays for more than energy by the interval.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::ZeroReason;
use crate::quantity::TokenAmount;

/// At most so many parts: sixteen formulas and a fee.
pub const PARTS_MAX: usize = 17;

/// What a part is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// Energy × price.
    Energy,
    /// Nominated power × rate × performance.
    Capacity,
    /// Rate × mean power over the events of a season.
    SeasonAverage,
    /// Points for energy.
    Points,
    /// A share of a fixed pool.
    Pool,
    /// A little for good data.
    DataBonus,
    /// What the program keeps.
    Fee,
}

impl PartKind {
    /// Every kind there is, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Energy,
        Self::Capacity,
        Self::SeasonAverage,
        Self::Points,
        Self::Pool,
        Self::DataBonus,
        Self::Fee,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Energy => 1,
            Self::Capacity => 2,
            Self::SeasonAverage => 3,
            Self::Points => 4,
            Self::Pool => 5,
            Self::DataBonus => 6,
            Self::Fee => 7,
        }
    }

    /// The kind of a number, where there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Energy => "energy",
            Self::Capacity => "capacity",
            Self::SeasonAverage => "season_average",
            Self::Points => "points",
            Self::Pool => "pool",
            Self::DataBonus => "data_bonus",
            Self::Fee => "fee",
        }
    }
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One thing that is paid for, or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementPart {
    /// What it is for.
    pub kind: PartKind,
    /// What it comes to; below zero where it is taken. `None` is not zero: it is not known yet.
    pub amount: Option<TokenAmount>,
    /// Why it comes to nothing: there is a reason exactly where the amount is zero or not known.
    pub reason: Option<ZeroReason>,
}
