//! What a baseline is made of, for whoever wants to follow it: every day looked at, every number.

use chrono::NaiveDate;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::rules::calendar::DayType;
use crate::rules::exact::Ratio;

/// Why a day was taken, or was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is averaged.
    Chosen,
    /// A weekday for an event on another day, or the reverse.
    OtherDayType,
    /// There was a dispatch on it, or on a neighbour that the windows reach into.
    EventDay,
    /// The site had an outage on it.
    OutageDay,
    /// Readings are missing.
    Incomplete {
        /// How many.
        missing: u32,
    },
    /// The clock jumped over all of the event's hours.
    NoSuchHours,
    /// Its use during the event's hours is below the rule's share of the candidates' mean.
    LowUse,
    /// Eligible, but others had a higher mean over the event's hours.
    NotAmongHighest,
    /// Eligible, but it had the highest total of all.
    HighestTotal,
    /// Eligible, but it had the lowest total of all.
    LowestTotal,
}

/// A day that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The local day.
    pub date: NaiveDate,
    /// What became of it.
    pub verdict: Verdict,
}

/// How the average was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentKind {
    /// A factor.
    Ratio,
    /// Energy added to each interval.
    Additive,
}

/// The same-day adjustment. Energies in milliwatt-hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    /// Factor or addend.
    pub kind: AdjustmentKind,
    /// How many intervals the windows have.
    pub intervals: u32,
    /// A: what was metered over the windows on the event day.
    pub metered: Ratio,
    /// B: the average of the chosen days over the windows.
    pub average: Ratio,
    /// A / B, or (A − B) / intervals; nothing where a ratio has no meaning.
    pub uncapped: Option<Ratio>,
    /// What was applied.
    pub applied: Ratio,
    /// Whether the cap changed it.
    pub capped: bool,
    /// Whether the ratio had no meaning (B zero or negative; or negative without a cap) and 1 was taken.
    pub undefined: bool,
}

/// The baseline of one interval. Energies in milliwatt-hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineInterval {
    /// Its first instant.
    pub start: Timestamp,
    /// What the clock shows then, `17:30`.
    pub clock: String,
    /// How many readings were averaged.
    pub readings: u32,
    /// Their mean.
    pub raw: Ratio,
    /// The baseline: the mean, adjusted.
    pub exact: Ratio,
    /// The baseline, rounded half-even: the one rounding.
    pub rounded: MilliwattHours,
}

/// A baseline with all that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// The rule's name.
    pub rule: String,
    /// The local day on which the event begins.
    pub day: NaiveDate,
    /// Its type.
    pub day_type: DayType,
    /// The days that were looked at, newest first.
    pub candidates: Vec<Candidate>,
    /// The adjustment, where the rule has one.
    pub adjustment: Option<Applied>,
    /// The event's intervals.
    pub intervals: Vec<BaselineInterval>,
}

impl Explanation {
    /// The days that were averaged, oldest first.
    #[must_use]
    pub fn chosen_days(&self) -> Vec<NaiveDate> {
        let chosen = self
            .candidates
            .iter()
            .rev()
            .filter(|c| c.verdict == Verdict::Chosen);
        chosen.map(|c| c.date).collect()
    }
}

/// What is missing for a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// Eligible days within the look-back.
    Days,
    /// Readings within the adjustment windows of the event day.
    WindowReadings,
    /// A reading on any chosen day at one of the times of the clock that are compared.
    Readings,
}

/// There is no baseline, because something is missing; nothing is guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoBaseline {
    /// The rule's name.
    pub rule: String,
    /// The local day on which the event begins.
    pub day: NaiveDate,
    /// Its type.
    pub day_type: DayType,
    /// What is missing.
    pub lacking: Lack,
    /// How much of it there is.
    pub found: u32,
    /// How much there has to be.
    pub needed: u32,
    /// The days that were looked at, newest first.
    pub candidates: Vec<Candidate>,
}

/// A baseline or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There is one.
    Baseline(Explanation),
    /// There is none.
    NoBaseline(NoBaseline),
}

impl Outcome {
    /// The days that were looked at, newest first.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        match self {
            Self::Baseline(explanation) => &explanation.candidates,
            Self::NoBaseline(lack) => &lack.candidates,
        }
    }

    /// The baseline, where there is one.
    #[must_use]
    pub const fn explanation(&self) -> Option<&Explanation> {
        match self {
            Self::Baseline(explanation) => Some(explanation),
            Self::NoBaseline(_) => None,
        }
    }
}
