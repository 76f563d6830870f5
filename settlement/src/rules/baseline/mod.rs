//! Baselines: what a site would have used without the event.
//!
//! One engine; a rule is data ([`BaselineRule`]), a preset is a file. The work is in three steps:
//!
//! 1. [`Frame::new`] lays the event out on the calendar: candidate days, local hours, windows. Same for all sites.
//! 2. [`Series::new`] lays one site's readings out under it.
//! 3. [`baseline`] looks for eligible days, newest first, selects, averages, adjusts, and rounds **once**,
//!    to the milliwatt-hour, half-even. Until then everything is an exact fraction.
//!
//! Of NAESB's types it knows *Baseline Type I* (days of the site itself, or control sites), *Type II* (missing
//! readings from a sample of sites), *Maximum Base Load*, *Meter Before / Meter After* and *Metering Generator
//! Output*; see [`Method`].
//!
//! `docs/rules-baseline.md` says the same for people who do not read Rust.

mod adjust;
mod average;
mod explanation;
mod frame;
mod rule;
mod search;
mod series;
mod spans;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

pub use self::explanation::{
    AdjustmentKind, Applied, BaselineInterval, Candidate, Control, Explanation, Lack, NoBaseline, Outcome,
    Verdict,
};
pub use self::frame::{EVENT_SECONDS_MAX, EventCalendar, Frame, FrameError, NO_DAY_TYPE, NOTICE_SECONDS_MAX};
pub use self::rule::{
    AdditiveCap, Adjustment, Anchor, BaselineRule, Cap, Charging, Clip, Completeness, DayCount, DayType,
    Exports, Method, Need, PRESETS, PresetError, Selection, Shortfall, Sufficiency, UnknownPreset, Window,
    read_level,
};
pub use self::series::{Series, SeriesError};
pub use self::work::{CandidateReadings, WindowInterval, Worked, work_out};

use super::exact::{ArithmeticError, Ratio};

/// What is known of one site.
#[derive(Debug, Clone, Copy)]
pub struct SiteData<'s> {
    /// What is compared: the site's meter, or the device's where the rule is of its output.
    pub series: &'s Series,
    /// Local days on which the site had an outage.
    pub outage_days: &'s BTreeSet<NaiveDate>,
    /// Whether the site feeds in at times, so that a ratio of its net readings may have no meaning.
    pub net_metered: bool,
    /// The highest temperature of each local day, in any one unit.
    pub temperatures: Option<&'s BTreeMap<NaiveDate, Ratio>>,
    /// Control sites, or the sample that missing readings are taken from.
    pub others: &'s [Series],
    /// The site's meter, where `series` is a device's.
    pub site_meter: Option<&'s Series>,
    /// The site's firm level in kilowatts, which goes before the rule's.
    pub level_kw: Option<Ratio>,
}

impl<'s> SiteData<'s> {
    /// Nothing but its readings and outages.
    #[must_use]
    pub const fn new(series: &'s Series, outage_days: &'s BTreeSet<NaiveDate>) -> Self {
        Self {
            series,
            outage_days,
            net_metered: false,
            temperatures: None,
            others: &[],
            site_meter: None,
            level_kw: None,
        }
    }
}

/// The baseline of one site for one event, from its readings alone. `outage_days` are the local days on which
/// the site had an outage.
///
/// # Errors
/// [`ArithmeticError`] where an exact value does not fit 128 bits. Too little data is no error but
/// [`Outcome::NoBaseline`].
pub fn baseline(
    frame: &Frame,
    series: &Series,
    outage_days: &BTreeSet<NaiveDate>,
) -> Result<Outcome, ArithmeticError> {
    work_out(frame, &SiteData::new(series, outage_days)).map(|worked| worked.outcome)
}

impl Outcome {
    /// What holds where a rule has no baseline and another was to stand in for it: the other's, which then says
    /// what it stands in for; or the refusal of the first, which then has the other's as well.
    ///
    /// # Errors
    /// The other's.
    pub fn or_else(
        self,
        other: impl FnOnce() -> Result<Self, ArithmeticError>,
    ) -> Result<Self, ArithmeticError> {
        let Self::NoBaseline(mut none) = self else {
            return Ok(self);
        };
        Ok(match other()? {
            Self::Baseline(mut explanation) => {
                explanation.instead_of = Some(Box::new(none));
                Self::Baseline(explanation)
            }
            Self::NoBaseline(as_well) => {
                none.fallback = Some(Box::new(as_well));
                Self::NoBaseline(none)
            }
        })
    }
}
