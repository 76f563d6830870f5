//! What payments say: each amount with its arithmetic, or the reason why there is none.

use core::fmt;

use gridtally_protocol::quantity::{MilliwattHours, Milliwatts, TokenAmount};
use gridtally_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::inputs::Before;
use super::pool::Share;
use super::round::{Bearer, Step};
use super::terms::{FeePayer, FeeRounding};
use crate::rules::exact::Ratio;
use crate::rules::statement::SiteId;

/// Why something earns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zero {
    /// The site opted out.
    OptedOut,
    /// The site never answered.
    NoAnswer,
    /// There is nothing to compare with.
    NoBaseline,
    /// The meter's energy is not known.
    NotMeasured,
    /// It did not use less than its baseline.
    NotReduced,
    /// What it did came to less than nothing, which the program does not charge for.
    BelowZero,
    /// There is no price. Not a price of nothing: the energy is settled, the amount is open.
    NoPrice,
    /// The home never bid. The energy is settled, the amount is open.
    NoBid,
    /// The price, rate, pool or amount is nothing.
    ZeroPrice,
    /// What it earned is less than the smallest amount, and was rounded to nothing.
    RoundedToZero,
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
}

impl Zero {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OptedOut => "opted_out",
            Self::NoAnswer => "no_answer",
            Self::NoBaseline => "no_baseline",
            Self::NotMeasured => "not_measured",
            Self::NotReduced => "not_reduced",
            Self::BelowZero => "below_zero",
            Self::NoPrice => "no_price",
            Self::NoBid => "no_bid",
            Self::ZeroPrice => "zero_price",
            Self::RoundedToZero => "rounded_to_zero",
            Self::NothingNominated => "nothing_nominated",
            Self::Shortfall => "shortfall",
            Self::Excused => "excused",
            Self::AlreadyPaid => "already_paid",
            Self::NoEventCounts => "no_event_counts",
            Self::CeilingReached => "ceiling_reached",
            Self::NoQuality => "no_quality",
            Self::NothingElsePaid => "nothing_else_paid",
        }
    }
}

impl fmt::Display for Zero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One formula's amount for one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// What is paid, in base units; below zero the site owes it. `None` is not zero: it is not known yet.
    pub amount: Option<TokenAmount>,
    /// Why nothing is paid; there is a reason exactly where the amount is zero or absent.
    pub reason: Option<Zero>,
    /// For the rounding account: what is due exactly, less what is paid, in millionths of a base unit.
    pub remainder: i64,
    /// How it came about.
    pub explanation: Explanation,
}

/// What a site is due, and its one rounding: `amount = round(exact) − before.paid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// What it is due in all, in base units.
    pub exact: Ratio,
    /// How that becomes whole.
    pub step: Step,
    /// Who bears it.
    pub rounding_borne_by: Bearer,
    /// What it is due in whole base units.
    pub rounded: TokenAmount,
    /// What it has had of that.
    pub before: Before,
}

/// How an amount came about, by the kind of its formula.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Explanation {
    /// Energy × price.
    Energy {
        /// What is paid for.
        credited: MilliwattHours,
        /// How much of it has no price yet.
        unpriced: MilliwattHours,
        /// Every interval of the event.
        lines: Vec<EnergyLine>,
        /// `exact` is the sum of the lines' exact values; where each line is rounded, `rounded` is the sum of those.
        due: Due,
    },
    /// Nominated power × rate × performance.
    Capacity {
        /// What is paid for.
        nominated: Option<Milliwatts>,
        /// What was called for.
        committed: Option<Milliwatts>,
        /// Mean reduction over the event, in kW.
        delivered_kw: Ratio,
        /// Delivered / committed.
        performance: Option<Ratio>,
        /// The same over those intervals alone that were measured.
        measured_performance: Option<Ratio>,
        /// The performance within floor and cap; none in a shortfall.
        factor: Option<Ratio>,
        /// Whether what was paid upfront is taken back, in whole or in part.
        clawed_back: bool,
        /// What follows.
        due: Due,
    },
    /// Rate × mean power.
    SeasonAverage {
        /// How many events count, this one included.
        events: u32,
        /// How many of them count as 0 kW without a delivery.
        counted_as_zero: u32,
        /// The mean of their mean powers, in kW.
        mean_kw: Option<Ratio>,
        /// What follows.
        due: Due,
    },
    /// Points.
    Points {
        /// What is paid for.
        credited: MilliwattHours,
        /// The points before any ceiling, rounded.
        uncapped: TokenAmount,
        /// Which ceiling cut them.
        cut_by: Option<Ceiling>,
        /// What follows.
        due: Due,
    },
    /// A share of a pool.
    Pool {
        /// What is shared out.
        pool: TokenAmount,
        /// All weights.
        total_weight: Ratio,
        /// This share.
        share: Share,
    },
    /// A bonus for data.
    DataBonus {
        /// How good the data is.
        quality: Option<Ratio>,
        /// What the other formulas pay.
        rest: TokenAmount,
        /// Whether the bound has cut it.
        bounded: bool,
        /// What follows.
        due: Due,
    },
}

/// A ceiling on points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ceiling {
    /// That of an event.
    Event,
    /// That of a season.
    Season,
}

/// One interval's energy and price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnergyLine {
    /// The interval's start.
    pub start: Timestamp,
    /// What is paid for.
    pub credited: MilliwattHours,
    /// Base units per kWh. `None` is no price.
    pub price: Option<TokenAmount>,
    /// `credited × price` in millionths of a base unit; absent where there is energy without a price.
    #[serde(with = "text")]
    pub exact_millionths: Option<i128>,
    /// The rounded line, where lines are rounded.
    pub amount: Option<TokenAmount>,
    /// Why it earns nothing.
    pub reason: Option<Zero>,
}

/// What is taken from a site's payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeTaken {
    /// The share.
    pub share: Ratio,
    /// `share × gross`, in base units.
    pub exact: Ratio,
    /// What goes to the fee account.
    pub amount: TokenAmount,
    /// Who pays it.
    pub paid_by: FeePayer,
    /// Who pays its rounding.
    pub rounding_paid_by: FeeRounding,
}

/// All of one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SitePayment {
    /// The site.
    pub site: SiteId,
    /// One component for each formula, in their order.
    pub components: Vec<Component>,
    /// The sum of the amounts that are known.
    pub gross: TokenAmount,
    /// What is taken from it.
    pub fee: Option<FeeTaken>,
    /// What the site is paid: `gross`, less the fee where the site pays it.
    pub net: TokenAmount,
    /// For the rounding account: the sum of the components' remainders, in millionths of a base unit.
    pub remainder: i64,
}

/// A pool that was shared out: `drawn + carry_in = Σ shares + left`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolTotals {
    /// From the escrow.
    pub drawn: TokenAmount,
    /// From the rounding account, where the last pool left it.
    pub carry_in: TokenAmount,
    /// To the rounding account, for the next pool.
    pub left: TokenAmount,
}

/// All that one event pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payments {
    /// Every site, in the order of names.
    pub sites: Vec<SitePayment>,
    /// The pool, where there is one.
    pub pool: Option<PoolTotals>,
    /// The sum of the sites' remainders, in millionths of a base unit.
    pub remainder: i64,
}

/// A large integer as a string: JSON numbers lose digits beyond 2^53.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(value: &Option<i128>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i128>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|t| t.parse().map_err(D::Error::custom)).transpose()
    }
}
