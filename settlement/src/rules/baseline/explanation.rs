//! What a baseline is made of, for whoever wants to follow it: every day looked at, every number.

use core::fmt;

use chrono::NaiveDate;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::rules::exact::Ratio;

/// Why a day was taken, or was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is averaged.
    Chosen,
    /// It is averaged although there was a dispatch on it, because there are too few other days.
    FilledFromEventDays,
    /// Not of the type of the event's day.
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
    /// Its temperature is not known, and the rule compares temperatures.
    NoTemperature,
    /// Its use during the event's hours is below the rule's share of the candidates' mean.
    LowUse,
    /// Eligible, but others had a higher mean over the event's hours.
    NotAmongHighest,
    /// Eligible, but the temperatures of others were closer to the event day's.
    NotAmongClosest,
    /// Eligible, but others were more like the event's day in the hours without the event.
    NotAmongSimilar,
    /// Eligible, but it had the highest total of all.
    HighestTotal,
    /// Eligible, but it had the lowest total of all.
    LowestTotal,
}

impl Verdict {
    /// Whether the day is averaged.
    #[must_use]
    pub const fn is_chosen(self) -> bool {
        matches!(self, Self::Chosen | Self::FilledFromEventDays)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chosen => "averaged",
            Self::FilledFromEventDays => {
                "averaged, though homes were asked then: there are too few other days"
            }
            Self::OtherDayType => "another type of day",
            Self::EventDay => "homes were asked for something then",
            Self::OutageDay => "an outage",
            Self::Incomplete { missing } => return write!(f, "{missing} readings are missing"),
            Self::NoSuchHours => "the clock jumped over the event's hours",
            Self::NoTemperature => "its temperature is not known",
            Self::LowUse => "less use than the rule's share of the mean",
            Self::NotAmongHighest => "others had a higher use",
            Self::NotAmongClosest => "other days' temperatures are closer",
            Self::NotAmongSimilar => "others were more like the event's day in its other hours",
            Self::HighestTotal => "the highest of all",
            Self::LowestTotal => "the lowest of all",
        })
    }
}

/// A day that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The local day.
    pub date: NaiveDate,
    /// What became of it.
    pub verdict: Verdict,
    /// What it counts, where the rule weights its days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Ratio>,
}

/// A control site that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// How many of its readings are missing; it counts only if none is.
    pub missing: u32,
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
    /// The name of its type.
    pub day_type: String,
    /// The days that were looked at, newest first.
    pub candidates: Vec<Candidate>,
    /// The control sites in their given order, where the rule compares with these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<Control>,
    /// The adjustment, where the rule has one.
    pub adjustment: Option<Applied>,
    /// The event's intervals.
    pub intervals: Vec<BaselineInterval>,
    /// Why the rule that this one stands in for has no baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<Box<NoBaseline>>,
}

impl Explanation {
    /// The days that were averaged, oldest first.
    #[must_use]
    pub fn chosen_days(&self) -> Vec<NaiveDate> {
        let chosen = self.candidates.iter().rev().filter(|c| c.verdict.is_chosen());
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
    /// A type of day in the rule for the event's day.
    DayType,
    /// Recent days with enough of their readings.
    RecentDays,
    /// The event day's temperature.
    Temperature,
    /// Control sites with all of their readings.
    Controls,
    /// The site's firm level.
    FirmLevel,
    /// Readings of the site's own meter, without which it is not known what left the site.
    SiteMeter,
    /// A cap on the ratio, without which a site that exports cannot be adjusted by one.
    RatioCap,
}

/// There is no baseline, because something is missing; nothing is guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoBaseline {
    /// The rule's name.
    pub rule: String,
    /// The local day on which the event begins.
    pub day: NaiveDate,
    /// The name of its type.
    pub day_type: String,
    /// What is missing.
    pub lacking: Lack,
    /// How much of it there is.
    pub found: u32,
    /// How much there has to be.
    pub needed: u32,
    /// The days that were looked at, newest first.
    pub candidates: Vec<Candidate>,
    /// The control sites in their given order, where the rule compares with these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<Control>,
    /// Why the rule that was to stand in has none either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Box<NoBaseline>>,
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
