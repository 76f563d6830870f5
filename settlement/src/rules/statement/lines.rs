//! The statement: what a settlement says.

use core::fmt;

use chrono::NaiveDate;
use gridtally_protocol::quantity::{Asset, MilliwattHours, TokenAmount};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::inputs::{BeneficiaryId, Event, MissingReason, Participation, SiteId, is_nothing};
use super::resettle::Resettled;
use crate::rules::baseline::Outcome;
use crate::rules::payment::{Netting, PoolTotals, Rounding, SitePayment, Terms};
use crate::rules::program::{Measurement, ProgramId};

/// The version of the statement's layout.
pub const FORMAT: u32 = 3;

/// Why a line earns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The site opted out.
    OptedOut,
    /// The site never answered.
    NoAnswer,
    /// There is nothing to compare with; the site's baseline says what is missing.
    NoBaseline,
    /// The gateway signed two different values for the interval.
    Equivocation,
    /// The interval's energy is not known; the line says why.
    MissingReading,
    /// The site did not use less than its baseline.
    NotReduced,
    /// It was credited, but at a price of nothing.
    ZeroPrice,
    /// What it earned is less than a base unit, and was rounded to nothing.
    RoundedToZero,
    /// It is paid for, but by the event as a whole and not by intervals.
    PaidAsAWhole,
    /// There is no price yet; that is not a price of nothing.
    NoPrice,
    /// The home never said what it asks for.
    NoBid,
    /// The site is of the control group: it was not asked.
    ControlGroup,
}

impl Reason {
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
            Self::NoPrice => "no_price",
            Self::NoBid => "no_bid",
            Self::ControlGroup => "control_group",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One interval of one site. Energies in milliwatt-hours, import − export; amounts in base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The interval's first instant.
    pub start: Timestamp,
    /// What it would have used.
    pub baseline: Option<MilliwattHours>,
    /// What it used.
    pub metered: Option<MilliwattHours>,
    /// Why `metered` is not known.
    pub missing: Option<MissingReason>,
    /// The number of the correction that stands for the meter's reading, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<u32>,
    /// `baseline − metered`: positive is a reduction.
    pub delta: Option<MilliwattHours>,
    /// What is paid for.
    pub credited: MilliwattHours,
    /// What it earned.
    pub amount: TokenAmount,
    /// Why it earned nothing; there is a reason exactly where the amount is zero.
    pub reason: Option<Reason>,
}

/// Sums over lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// How many lines there are.
    pub lines: u32,
    /// How many of them have both a baseline and a meter value: the next three are sums over these.
    pub compared: u32,
    /// What would have been used.
    pub baseline: MilliwattHours,
    /// What was used.
    pub metered: MilliwattHours,
    /// The difference.
    pub delta: MilliwattHours,
    /// What is paid for.
    pub credited: MilliwattHours,
    /// What was earned.
    pub amount: TokenAmount,
    /// Σ (exact − amount) in millionths of a base unit; negative where more was rounded up.
    pub remainder: i64,
}

/// How a site came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteStatus {
    /// It earned something.
    Paid,
    /// It came out below nothing, and owes that.
    Owes,
    /// It took part; each line says why it earned nothing.
    NothingEarned,
    /// It took part, but there is nothing to compare with.
    NoBaseline,
    /// It opted out.
    OptedOut,
    /// It never answered.
    NoAnswer,
    /// It was not asked: others are compared with it.
    ControlGroup,
}

impl SiteStatus {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Owes => "owes",
            Self::NothingEarned => "nothing_earned",
            Self::NoBaseline => "no_baseline",
            Self::OptedOut => "opted_out",
            Self::NoAnswer => "no_answer",
            Self::ControlGroup => "control_group",
        }
    }
}

impl fmt::Display for SiteStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One site's part of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteStatement {
    /// The site.
    pub site: SiteId,
    /// Who is paid.
    pub beneficiary: BeneficiaryId,
    /// How it came out.
    pub status: SiteStatus,
    /// What it said to the event.
    pub participation: Participation,
    /// Its totals.
    pub totals: Totals,
    /// Its lines in the order of time.
    pub lines: Vec<Line>,
    /// What it is paid for and how that comes about, where the program pays by formulas: then the amount of the
    /// totals is what is left of these, and lines have an amount where intervals are paid by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<SitePayment>,
    /// What it would have used, and how that is known; given for every site, also where nothing is paid.
    pub baseline: Outcome,
}

impl SiteStatement {
    /// What the fee account gets for it.
    #[must_use]
    pub fn fee(&self) -> TokenAmount {
        let fee = self.payment.as_ref().and_then(|payment| payment.fee);
        fee.map_or(TokenAmount::ZERO, |fee| fee.amount)
    }
}

/// The program under which was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramRef {
    /// Its name.
    pub id: ProgramId,
    /// Its version.
    pub version: u32,
    /// SHA-256 of its document, in hex.
    pub hash: String,
    /// The IANA zone in which days are reckoned.
    pub zone: String,
    /// The length of the intervals.
    pub interval_seconds: IntervalLength,
    /// What is measured.
    pub measurement: Measurement,
    /// The price of a kilowatt-hour, in base units, where that is all that is paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_per_kwh: Option<TokenAmount>,
    /// What is paid for, where it is more than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Terms>,
    /// How differences are netted.
    pub clip: Netting,
    /// How amounts are rounded.
    pub rounding: Rounding,
    /// The baseline rule.
    pub baseline: BaselineRef,
    /// The rule that stands in where that one has no baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_fallback: Option<BaselineRef>,
}

/// The baseline rule that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineRef {
    /// Its name.
    pub id: String,
    /// [`BaselineRule::hash`](crate::rules::baseline::BaselineRule::hash).
    pub hash: String,
}

/// What rounding left over; the law is in the [module's words](crate::rules::statement).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundingRemainder {
    /// From the last settlement, in millionths of a base unit, from 0 to 999,999.
    pub carry_in: i64,
    /// Σ (exact − amount) of this one, less that of what it takes back, in millionths of a base unit; negative where
    /// more was rounded up.
    pub remainder: i64,
    /// To the program's rounding account (from it, where negative), in base units.
    pub posted: TokenAmount,
    /// Into the next settlement, in millionths of a base unit, from 0 to 999,999.
    pub carry_out: i64,
    /// What the program's pools left in the rounding account, for the next one, in base units.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub pool_carry: TokenAmount,
}

/// The settlement of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`FORMAT`].
    pub format: u32,
    /// The rules.
    pub program: ProgramRef,
    /// The event.
    pub event: Event,
    /// Local days of other dispatches, which were not compared, in order.
    pub event_days: Vec<NaiveDate>,
    /// What is paid in.
    pub asset: Asset,
    /// All sites together.
    pub totals: Totals,
    /// What rounding left over.
    pub rounding: RoundingRemainder,
    /// What the escrow pays: all amounts, or all differences to the statement before, the fees, and what is posted
    /// to the rounding account.
    pub escrow_debit: TokenAmount,
    /// What the fee account gets of it.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub fee: TokenAmount,
    /// The pool that was shared out, where the program has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolTotals>,
    /// How it corrects the statement before, where it is not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resettled: Option<Resettled>,
    /// Every site, in the order of names.
    pub sites: Vec<SiteStatement>,
}

impl Statement {
    /// The canonical bytes: JSON without white space, fields in the order of these types, no map and no float.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default() // strings and integers only: cannot fail
    }

    /// Reads what [`Statement::to_bytes`] wrote.
    ///
    /// # Errors
    /// The JSON reader's, with line and column.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// SHA-256 of the canonical bytes, in hex.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.to_bytes()))
    }
}
