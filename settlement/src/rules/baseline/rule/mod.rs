//! A baseline rule: the parameters of the one engine, as data.

mod days;
mod presets;
mod read;
mod shape;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use self::days::{DayCount, DayType};
pub use self::presets::{PRESETS, PresetError, UnknownPreset};
pub use self::read::read_level;

use chrono::NaiveDate;
use std::collections::BTreeSet;

use crate::rules::calendar::DayKind;
use crate::rules::document::{self, DocumentError};
use crate::rules::exact::Ratio;

/// Where the baseline comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Method {
    /// From like days before the event.
    DayMatching,
    /// From like days before the event, of the device's output instead of the site's meter (NAESB's metering
    /// generator output).
    GeneratorOutput {
        /// What becomes of output that leaves the site.
        exports: Exports,
        /// What becomes of a battery's charging.
        charging: Charging,
    },
    /// The mean over windows of the event day itself (NAESB's meter before / meter after).
    SameDay {
        /// Where it is taken.
        windows: Vec<Window>,
    },
    /// A static power (NAESB's maximum base load).
    FirmLevel {
        /// In kilowatts, for sites that do not state their own.
        level_kw: Option<Ratio>,
    },
    /// The mean of sites without an event.
    ControlGroup {
        /// With fewer complete control sites there is no baseline.
        minimum: u32,
    },
}

impl Method {
    /// Whether days before the event are compared.
    #[must_use]
    pub const fn compares_days(&self) -> bool {
        matches!(self, Self::DayMatching | Self::GeneratorOutput { .. })
    }
}

/// What becomes of a device's output that leaves the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exports {
    /// It counts.
    Counted,
    /// What the site's meter exports in an interval is taken off the device's output, down to zero.
    Excluded,
}

/// What becomes of a battery's charging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Charging {
    /// It counts as negative output.
    Counted,
    /// It counts as no output.
    Zero,
}

/// Which of the eligible days are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// All that were found.
    All,
    /// Those with the highest mean over the event's hours; of equal ones the more recent.
    Highest,
    /// All but the one with the highest and the one with the lowest day total; of equal totals the older
    /// counts as lower.
    Middle,
    /// Those whose highest temperature is closest to the event day's; of equal distances the more recent.
    ClosestTemperature,
    /// Those that differ least from the event's day in the hours without the event; of equal differences the more recent.
    MostSimilar {
        /// So many minutes before the event's start and after its end are not compared either.
        gap_minutes: u32,
    },
}

/// What a day must have to be eligible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// A reading for every interval of the local day.
    WholeDay,
    /// A reading for every interval that the event and the adjustment windows use.
    UsedIntervals,
}

/// What happens when the look-back has fewer eligible days than are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortfall {
    /// There is no baseline.
    None,
    /// Those found are used, if they are not fewer than the minimum.
    UseFewer,
    /// As `UseFewer`, after event days were added up to the minimum, the highest first.
    FillFromEventDaysHighest,
}

/// How much of the recent past a site must have readings for, whatever the types of the days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sufficiency {
    /// At least so many days …
    pub days: u32,
    /// … of so many calendar days before the event's …
    pub of: u32,
    /// … must have at least this share of their readings.
    pub share: Ratio,
}

/// How differences from the baseline are netted where the rule is used by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// Not at all: use above the baseline is taken off.
    None,
    /// Each interval by itself, never below zero.
    Interval,
    /// The event's sum, never below zero.
    Event,
}

/// What a window is measured from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// Minutes before the event's start.
    BeforeStart,
    /// Minutes before the event was notified, rounded down to an interval's start.
    BeforeNotification,
    /// Minutes after the event's end.
    AfterEnd,
}

/// A stretch of the event day that shows how it differs from the days before: from `from_minutes` to
/// `to_minutes` before the start or the notification, or after the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// What it is measured from.
    pub anchor: Anchor,
    /// Its first minute.
    pub from_minutes: u32,
    /// The minute after its last.
    pub to_minutes: u32,
}

/// The bounds of a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cap {
    /// The least factor.
    pub low: Ratio,
    /// The greatest factor.
    pub high: Ratio,
}

/// The bounds of an addend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdditiveCap {
    /// In kilowatts.
    Power {
        /// The least, zero or negative.
        low_kw: Ratio,
        /// The greatest, zero or positive.
        high_kw: Ratio,
    },
    /// This share of the mean of the averages over the windows, up or down; nothing where that is negative.
    Share(Ratio),
}

/// How the average is fitted to the event day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Adjustment {
    /// Not at all.
    None,
    /// Multiplied by metered / average over the windows, within the cap.
    Ratio {
        /// Where the two are compared.
        windows: Vec<Window>,
        /// The bounds of the factor.
        cap: Option<Cap>,
    },
    /// The mean of metered − average over the windows is added to each interval.
    Additive {
        /// Where the two are compared.
        windows: Vec<Window>,
        /// The bounds of the addend.
        #[serde(skip_serializing_if = "Option::is_none")]
        cap: Option<AdditiveCap>,
    },
}

impl Adjustment {
    /// The windows, none without an adjustment.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        match self {
            Self::None => &[],
            Self::Ratio { windows, .. } | Self::Additive { windows, .. } => windows,
        }
    }
}

/// A week's notice, and a window of a day before it.
const NOTICE_DAYS: u32 = 8;

/// One baseline rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineRule {
    /// Its name.
    pub id: String,
    /// What it is, for a person.
    pub about: String,
    /// Where the baseline comes from.
    pub method: Method,
    /// Which days are alike, and how many are taken; none where the method compares no days.
    pub day_types: Vec<DayType>,
    /// How many calendar days back the search goes; zero where the method compares no days.
    pub lookback_days: u32,
    /// What a day must have.
    pub completeness: Completeness,
    /// A day whose mean over the event's hours is below this share of the candidates' mean is dropped, and
    /// the search goes on.
    pub low_use_below: Option<Ratio>,
    /// Which days are averaged.
    pub select: Selection,
    /// How the average is fitted to the event day.
    pub adjustment: Adjustment,
    /// What happens with too few days.
    pub shortfall: Shortfall,
    /// How much of the recent past there must be.
    pub sufficiency: Option<Sufficiency>,
    /// A missing reading is the mean of a sample of sites, if at least so many of them have it (NAESB's type II).
    pub sample_minimum: Option<u32>,
    /// How differences are netted.
    pub clip: Clip,
}

/// What a rule needs besides a site's meter readings and the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Temperatures.
    Temperatures,
    /// Sites without an event, to compare with.
    ControlSites,
    /// A sample of sites, to fill in missing readings from.
    Sample,
    /// A device's own readings.
    DeviceMeter,
    /// A level that a site states.
    FirmLevel,
}

impl BaselineRule {
    /// Reads a rule's document; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`DocumentError`] with every mistake in it.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, DocumentError> {
        document::read(name, text, Self::read)
    }

    /// The rule's type of a day; none where the rule does not speak of such days.
    #[must_use]
    pub fn day_type(&self, day: NaiveDate, holidays: &BTreeSet<NaiveDate>) -> Option<&DayType> {
        let kind = DayKind::of(day, holidays);
        self.day_types.iter().find(|t| t.on.contains(&kind))
    }

    /// The windows of the event day that it reads.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        match &self.method {
            Method::SameDay { windows } => windows,
            _ => self.adjustment.windows(),
        }
    }

    /// How many calendar days before the event's it may read: its look-back, and where windows may count from an
    /// earlier notification, as many more as that may lie before.
    #[must_use]
    pub fn reach_days(&self) -> u32 {
        let notified = self
            .windows()
            .iter()
            .any(|w| w.anchor == Anchor::BeforeNotification);
        let notice = if notified { NOTICE_DAYS } else { 0 };
        self.lookback_days.saturating_add(notice)
    }

    /// Whether it looks at no other days than the event's and those before it, until it has found enough.
    #[must_use]
    pub fn takes_the_most_recent(&self) -> bool {
        self.method == Method::DayMatching
            && self.select != Selection::ClosestTemperature
            && !matches!(self.select, Selection::MostSimilar { .. })
            && self.shortfall != Shortfall::FillFromEventDaysHighest
            && self.sufficiency.is_none()
            && self.sample_minimum.is_none()
            && self.reach_days() == self.lookback_days
    }

    /// What it needs besides readings and calendar.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        let temperatures = (self.select == Selection::ClosestTemperature).then_some(Need::Temperatures);
        let controls = matches!(self.method, Method::ControlGroup { .. });
        let device = matches!(self.method, Method::GeneratorOutput { .. });
        let level = matches!(self.method, Method::FirmLevel { level_kw: None });
        let needs = [
            temperatures,
            controls.then_some(Need::ControlSites),
            self.sample_minimum.map(|_| Need::Sample),
            device.then_some(Need::DeviceMeter),
            level.then_some(Need::FirmLevel),
        ];
        needs.into_iter().flatten().collect()
    }

    /// SHA-256, in hex, of the parameters as JSON: equal rules have equal hashes, wherever they were written down.
    #[must_use]
    pub fn hash(&self) -> String {
        let bytes = serde_json::to_vec(self).unwrap_or_default(); // no map, no float: cannot fail
        hex::encode(Sha256::digest(bytes))
    }
}

#[cfg(test)]
mod tests;
