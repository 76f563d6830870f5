//! One case: a rule, an event, and one site's data.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::readings::Readings;
use crate::rules::baseline::{
    BaselineRule, CandidateReadings, EventCalendar, Frame, FrameError, Outcome, Series, SeriesError,
    SiteData, WindowInterval, work_out,
};
use crate::rules::exact::{ArithmeticError, Ratio};

/// Why a case cannot be worked out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// The event does not fit the calendar.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The readings contradict one another.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// A value does not fit.
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
}

/// A case.
#[derive(Debug)]
pub(super) struct Case {
    pub rule: BaselineRule,
    /// What is used where the rule has no baseline.
    pub fallback: Option<BaselineRule>,
    pub calendar: EventCalendar,
    pub outage_days: BTreeSet<NaiveDate>,
    /// Of the channel that the rule compares.
    pub readings: Readings,
    /// Of the site's meter, where `readings` are a device's.
    pub site_meter: Option<Readings>,
    /// Of control sites, or a sample.
    pub others: Vec<Readings>,
    pub temperatures: Option<BTreeMap<NaiveDate, Ratio>>,
    pub net_metered: bool,
    pub level_kw: Option<Ratio>,
    pub notes: Vec<String>,
}

/// A case, worked out.
#[derive(Debug)]
pub(super) struct Solved {
    pub outcome: Outcome,
    pub windows: Vec<WindowInterval>,
    /// What is compared with each interval's baseline, in milliwatt-hours, and whether it was worked out.
    pub compared: Vec<(Option<Ratio>, bool)>,
    /// What each of the days that were looked at has.
    pub days: BTreeMap<NaiveDate, CandidateReadings>,
}

impl Case {
    /// Works it out; with the fallback where the rule has no baseline.
    pub(super) fn solve(&self) -> Result<Solved, CaseError> {
        let first = self.under(&self.rule)?;
        let Some(fallback) = &self.fallback else {
            return Ok(first);
        };
        if first.outcome.explanation().is_some() {
            return Ok(first);
        }
        let second = self.under(fallback)?;
        Ok(Solved {
            outcome: first.outcome.or_else(|| Ok(second.outcome))?,
            ..second
        })
    }

    fn under(&self, rule: &BaselineRule) -> Result<Solved, CaseError> {
        let frame = Frame::new(rule, &self.calendar)?;
        let lay_out = |r: &Readings| {
            Series::with_parts(&frame, r.parts, r.values.iter().copied()).map_err(CaseError::from)
        };
        let series = lay_out(&self.readings)?;
        let site_meter = self.site_meter.as_ref().map(lay_out).transpose()?;
        let others: Vec<_> = self.others.iter().map(lay_out).collect::<Result<_, _>>()?;
        let site = SiteData {
            net_metered: self.net_metered,
            temperatures: self.temperatures.as_ref(),
            others: &others,
            site_meter: site_meter.as_ref(),
            level_kw: self.level_kw,
            ..SiteData::new(&series, &self.outage_days)
        };
        let worked = work_out(&frame, &site)?;
        let mut days = BTreeMap::new();
        let candidates = worked
            .outcome
            .explanation()
            .map_or(&[][..], |e| e.candidates.as_slice());
        for candidate in candidates {
            if let Some(readings) = worked.readings(&frame, candidate.date)? {
                days.insert(candidate.date, readings);
            }
        }
        Ok(Solved {
            days,
            compared: worked.compared(&frame)?,
            windows: worked.windows(&frame),
            outcome: worked.outcome,
        })
    }
}
