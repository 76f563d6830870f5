//! What a program pays, as data.

use gridtally_protocol::quantity::TokenAmount;
use serde::{Deserialize, Serialize};

use super::pool::LeftOver;
use super::round::{Rounding, Step};
use crate::rules::exact::Ratio;

/// All that a program pays for, in the order of its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How amounts are rounded where a formula does not say so itself.
    pub rounding: Rounding,
    /// The formulas. No kind but `energy` stands twice, and a `data_bonus` only last.
    pub formulas: Vec<Formula>,
    /// What is taken from it.
    pub fee: Option<Fee>,
}

/// One thing that is paid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Formula {
    /// Energy × price.
    Energy(Energy),
    /// Nominated power × rate × performance.
    Capacity(Capacity),
    /// Rate × mean power over the events of a season.
    SeasonAverage(SeasonAverage),
    /// Points for energy, in whole multiples.
    Points(Points),
    /// A share of a fixed pool.
    Pool(Pool),
    /// A little for good data.
    DataBonus(DataBonus),
}

impl Formula {
    /// Its stable name.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Energy(_) => "energy",
            Self::Capacity(_) => "capacity",
            Self::SeasonAverage(_) => "season_average",
            Self::Points(_) => "points",
            Self::Pool(_) => "pool",
            Self::DataBonus(_) => "data_bonus",
        }
    }
}

/// `Σ credited × price`, in base units per kWh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Energy {
    /// What a kilowatt-hour earns.
    pub price: Price,
    /// Where it is rounded.
    pub round_per: RoundPer,
    /// What an event below zero comes to.
    pub below_zero: BelowZero,
}

/// What a kilowatt-hour earns, in base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Price {
    /// Always the same.
    Flat(TokenAmount),
    /// The price of the event's first interval, of its second, and so on; `None`, and what is not in the list, has
    /// no price.
    List(Vec<Option<TokenAmount>>),
    /// By the clock of the program's zone; other hours have no price.
    TimeOfDay(Vec<Band>),
    /// Published for each interval, and given with the event.
    Published,
    /// What the home itself asked for, at most `ceiling`.
    Bid {
        /// The most that is paid.
        ceiling: TokenAmount,
    },
}

/// A price from one time of the clock until before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// Seconds of the clock since 00:00.
    pub from: u32,
    /// Seconds of the clock since 00:00, at most 86,400.
    pub to: u32,
    /// Base units per kWh.
    pub price: TokenAmount,
}

/// Where an energy amount is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundPer {
    /// Each interval, so that the lines add up to the amount.
    Interval,
    /// The event's sum; lines are shown exactly.
    Event,
}

/// What an event comes to whose energy is worth less than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BelowZero {
    /// Nothing.
    Nothing,
    /// The site owes it.
    Owed,
}

/// `nominated kW × rate × clip(delivered / committed, floor, cap)`, less what was paid upfront.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Base units per kW.
    pub rate: TokenAmount,
    /// The least factor of who reaches the threshold.
    pub floor: Ratio,
    /// The greatest factor.
    pub cap: Ratio,
    /// A performance below it is a shortfall.
    pub threshold: Ratio,
    /// What a shortfall comes to.
    pub shortfall: Shortfall,
}

/// What a site comes to that delivered too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortfall {
    /// It is paid nothing, and keeps what it has.
    Nothing,
    /// It gives back a share (0 to 1) of what it was paid upfront.
    ClawBack(Ratio),
}

/// `rate × mean over the season's events of mean kW`, less what the season has paid so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeasonAverage {
    /// Base units per kW.
    pub rate: TokenAmount,
    /// What an event comes to that a site opted out of.
    pub opted_out: Uncounted,
    /// What an event comes to that nobody could measure.
    pub not_measured: Uncounted,
}

/// How an event without a delivery enters a mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uncounted {
    /// As 0 kW.
    Zero,
    /// Not at all.
    LeftOut,
}

/// `Σ credited × points per kWh` in whole multiples, up to the ceilings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Points {
    /// Base units per kWh.
    pub per_kwh: TokenAmount,
    /// How they are rounded.
    pub step: Step,
    /// The most for an event.
    pub event_ceiling: Option<TokenAmount>,
    /// The most for a season.
    pub season_ceiling: Option<TokenAmount>,
}

/// `floor(weight × pool / Σ weight)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// What each event has to give.
    pub amount: TokenAmount,
    /// What a share is measured by.
    pub weight: Weight,
    /// Who has what whole shares leave.
    pub left_over: LeftOver,
}

/// What a share of a pool is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The event's credited energy, in mWh.
    Energy,
    /// Each site that was credited any energy counts as one.
    EqualShares,
}

/// `min(amount × quality, most × what the other formulas pay)`, rounded down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataBonus {
    /// For an event with data of quality 1.
    pub amount: TokenAmount,
    /// Its bound, as a share of the rest.
    pub most: Ratio,
}

/// A share of all that is paid for an event, taken once and rounded once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// The share, 0 to 1.
    pub share: Ratio,
    /// Who pays it.
    pub paid_by: FeePayer,
    /// Who pays its rounding.
    pub rounding_paid_by: FeeRounding,
}

/// Who pays a fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeePayer {
    /// The site: it is paid less.
    Site,
    /// The operator, on top.
    Escrow,
}

/// Who pays the rounding of a fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeRounding {
    /// The fee account: the fee is rounded down.
    FeeAccount,
    /// Who pays the fee: it is rounded up.
    Payer,
}

impl Terms {
    /// What is shared out at each event, where something is.
    #[must_use]
    pub fn pool(&self) -> Option<&Pool> {
        self.formulas.iter().find_map(|formula| match formula {
            Formula::Pool(pool) => Some(pool),
            _ => None,
        })
    }

    /// Whether what was paid earlier in the season matters.
    #[must_use]
    pub fn looks_back(&self) -> bool {
        self.formulas.iter().any(|formula| match formula {
            Formula::SeasonAverage(_) => true,
            Formula::Points(points) => points.season_ceiling.is_some(),
            _ => false,
        })
    }

    /// Whether prices are published for single intervals.
    #[must_use]
    pub fn wants_published_prices(&self) -> bool {
        let published = |formula: &Formula| {
            matches!(
                formula,
                Formula::Energy(Energy {
                    price: Price::Published,
                    ..
                })
            )
        };
        self.formulas.iter().any(published)
    }

    /// Whether a site may come out below nothing.
    #[must_use]
    pub fn may_charge(&self) -> bool {
        self.formulas.iter().any(|formula| match formula {
            Formula::Energy(energy) => energy.below_zero == BelowZero::Owed,
            Formula::Capacity(capacity) => matches!(capacity.shortfall, Shortfall::ClawBack(_)),
            Formula::SeasonAverage(_) => true,
            Formula::Points(_) | Formula::Pool(_) | Formula::DataBonus(_) => false,
        })
    }
}
