//! One site's baseline, and all that it was worked out from.

use std::borrow::Cow;

use chrono::NaiveDate;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::Timestamp;

use super::SiteData;
use super::adjust::{Windows, adjust, energy_of};
use super::average::{Averaged, Mean, averages};
use super::explanation::{
    AdjustmentKind, Applied, BaselineInterval, Candidate, Control, Explanation, Lack, NoBaseline, Outcome,
};
use super::frame::{Compared, Frame, Matches};
use super::rule::{Adjustment, Method};
use super::search::Search;
use super::series::{Series, mean_of};
use crate::rules::exact::{ArithmeticError, Ratio};

/// An interval of an adjustment window. Energies in milliwatt-hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowInterval {
    /// Its first instant.
    pub start: Timestamp,
    /// What the clock shows then.
    pub clock: String,
    /// What was metered on the event day.
    pub metered: Ratio,
    /// How many readings were averaged.
    pub readings: u32,
    /// The average; nothing where the rule takes none.
    pub average: Option<Ratio>,
}

/// The readings of a candidate day that are compared: for each interval of the event, and of the windows, none,
/// one, or the two of a repeated hour. Energies in milliwatt-hours; what is missing is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateReadings {
    /// At the event's times of the clock.
    pub event: Vec<Vec<Ratio>>,
    /// At the windows'.
    pub windows: Vec<Vec<Ratio>>,
    /// How many of them were not metered but worked out.
    pub derived: u32,
}

/// A baseline and what it was worked out from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worked<'s> {
    /// The baseline, or why there is none.
    pub outcome: Outcome,
    /// What was metered in each interval of the windows, and averaged where the rule averages.
    windows: Vec<(Ratio, Option<Mean>)>,
    series: Cow<'s, Series>,
}

impl Worked<'_> {
    /// The windows, where an adjustment or a same-day mean was reckoned.
    #[must_use]
    pub fn windows(&self, frame: &Frame) -> Vec<WindowInterval> {
        let windows = frame.windows.iter().zip(&self.windows);
        let interval = |(compared, (metered, mean)): (&Compared, &(Ratio, Option<Mean>))| WindowInterval {
            start: compared.interval.start(),
            clock: compared.slot.clock(),
            metered: *metered,
            readings: mean.map_or(0, |(_, readings)| readings),
            average: mean.map(|(average, _)| average),
        };
        windows.map(interval).collect()
    }

    /// For each interval of the event, what is to be compared with its baseline, in milliwatt-hours, and whether
    /// that was worked out (a device's output, the mean of a sample) rather than metered.
    ///
    /// # Errors
    /// [`ArithmeticError`] where a value does not fit.
    pub fn compared(&self, frame: &Frame) -> Result<Vec<(Option<Ratio>, bool)>, ArithmeticError> {
        let one = |c: &Compared| Ok((self.series.at(c.place)?, self.series.is_derived(c.place)));
        frame.event.iter().map(one).collect()
    }

    /// What a day that was looked at has to be compared; nothing for a day that is not alike.
    ///
    /// # Errors
    /// [`ArithmeticError`] where a value does not fit.
    pub fn readings(
        &self,
        frame: &Frame,
        date: NaiveDate,
    ) -> Result<Option<CandidateReadings>, ArithmeticError> {
        let Some(day) = frame.days.iter().find(|d| d.date == date && !d.event.is_empty()) else {
            return Ok(None);
        };
        let values = |matches: &[Matches]| {
            let known = |m: &Matches| {
                m.iter()
                    .flatten()
                    .filter_map(|p| self.series.at(*p).transpose())
                    .collect()
            };
            matches
                .iter()
                .map(known)
                .collect::<Result<Vec<Vec<_>>, ArithmeticError>>()
        };
        let places = day.event.iter().chain(&day.windows).flatten().flatten();
        Ok(Some(CandidateReadings {
            event: values(&day.event)?,
            windows: values(&day.windows)?,
            derived: count(places.filter(|place| self.series.is_derived(**place)).count()),
        }))
    }
}

/// Why there is no explanation.
#[derive(Debug)]
pub(super) enum Stop {
    Lacking { lacking: Lack, found: u32, needed: u32 },
    Arithmetic(ArithmeticError),
}

impl Stop {
    pub(super) const fn lacking(lacking: Lack, found: u32, needed: u32) -> Self {
        Self::Lacking {
            lacking,
            found,
            needed,
        }
    }
}

impl From<ArithmeticError> for Stop {
    fn from(error: ArithmeticError) -> Self {
        Self::Arithmetic(error)
    }
}

pub(super) fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX) // bounded by days × intervals of a day
}

/// The baseline of one site for one event, with what it was worked out from.
///
/// # Errors
/// [`ArithmeticError`] where an exact value does not fit 128 bits. Too little data is no error but
/// [`Outcome::NoBaseline`].
pub fn work_out<'s>(frame: &Frame, site: &SiteData<'s>) -> Result<Worked<'s>, ArithmeticError> {
    let series = match (&frame.rule.method, frame.rule.sample_minimum) {
        (Method::GeneratorOutput { exports, charging }, _) => {
            Cow::Owned(site.series.output(site.site_meter, *exports, *charging)?)
        }
        (_, Some(minimum)) => Cow::Owned(site.series.filled(site.others, minimum)?),
        _ => Cow::Borrowed(site.series),
    };
    let mut attempt = Attempt {
        frame,
        site,
        series: &series,
        candidates: Vec::new(),
        controls: Vec::new(),
        windows: Vec::new(),
        adjustment: None,
    };
    let result = attempt.run();
    let Attempt {
        candidates,
        controls,
        windows,
        adjustment,
        ..
    } = attempt;
    let (rule, day, day_type) = (frame.rule.id.clone(), frame.day, frame.day_type.clone());
    let outcome = match result {
        Ok(intervals) => Outcome::Baseline(Explanation {
            rule,
            day,
            day_type,
            candidates,
            controls,
            adjustment,
            intervals,
            instead_of: None,
        }),
        Err(Stop::Lacking {
            lacking,
            found,
            needed,
        }) => Outcome::NoBaseline(NoBaseline {
            rule,
            day,
            day_type,
            lacking,
            found,
            needed,
            candidates,
            controls,
            fallback: None,
        }),
        Err(Stop::Arithmetic(error)) => return Err(error),
    };
    Ok(Worked {
        outcome,
        windows,
        series,
    })
}

struct Attempt<'f, 's> {
    frame: &'f Frame,
    site: &'f SiteData<'s>,
    series: &'f Series,
    candidates: Vec<Candidate>,
    controls: Vec<Control>,
    windows: Vec<(Ratio, Option<Mean>)>,
    adjustment: Option<Applied>,
}

impl Attempt<'_, '_> {
    fn run(&mut self) -> Result<Vec<BaselineInterval>, Stop> {
        let frame = self.frame;
        if self.site.net_metered && matches!(frame.rule.adjustment, Adjustment::Ratio { cap: None, .. }) {
            return Err(Stop::lacking(Lack::RatioCap, 0, 1));
        }
        match &frame.rule.method {
            Method::DayMatching | Method::GeneratorOutput { .. } => self.of_days(),
            Method::SameDay { .. } => self.of_the_same_day(),
            Method::FirmLevel { level_kw } => {
                let level = self.site.level_kw.or(*level_kw);
                let level = level.ok_or_else(|| Stop::lacking(Lack::FirmLevel, 0, 1))?;
                let level = energy_of(level, frame.length)?;
                self.finish(&vec![(level, 0); frame.event.len()])
            }
            Method::ControlGroup { minimum } => self.of_controls(*minimum),
        }
    }

    fn of_days(&mut self) -> Result<Vec<BaselineInterval>, Stop> {
        let frame = self.frame;
        if let Method::GeneratorOutput {
            exports: super::Exports::Excluded,
            ..
        } = frame.rule.method
            && self.site.site_meter.is_none()
        {
            return Err(Stop::lacking(Lack::SiteMeter, 0, 1));
        }
        let days: Vec<Averaged<'_>> = Search {
            frame,
            series: self.series,
            outage_days: self.site.outage_days,
            temperatures: self.site.temperatures,
            candidates: &mut self.candidates,
        }
        .run()?;
        let raw = averages(self.series, frame.event.len(), &days, |day| &day.event)?;
        let windows = averages(self.series, frame.windows.len(), &days, |day| &day.windows)?;
        let (raw, windows) = raw
            .zip(windows)
            .ok_or_else(|| Stop::lacking(Lack::Readings, 0, 1))?;
        self.adjusted(&raw, &windows)
    }

    fn of_controls(&mut self, minimum: u32) -> Result<Vec<BaselineInterval>, Stop> {
        let frame = self.frame;
        let places = || frame.event.iter().chain(&frame.windows).map(|c| c.place);
        let mut complete = Vec::new();
        for control in self.site.others {
            let missing = count(places().filter(|place| !control.has(*place)).count());
            if missing == 0 {
                complete.push(control.clone());
            }
            self.controls.push(Control { missing });
        }
        let found = count(complete.len());
        if found < minimum {
            return Err(Stop::lacking(Lack::Controls, found, minimum));
        }
        let mean = |compared: &Compared| {
            let mean = mean_of(&complete, compared.place)?;
            mean.ok_or_else(|| Stop::lacking(Lack::Controls, 0, 1))
        };
        let raw: Vec<_> = frame.event.iter().map(mean).collect::<Result<_, Stop>>()?;
        let windows: Vec<_> = frame.windows.iter().map(mean).collect::<Result<_, Stop>>()?;
        self.adjusted(&raw, &windows)
    }

    fn of_the_same_day(&mut self) -> Result<Vec<BaselineInterval>, Stop> {
        let metered = self.metered()?;
        self.windows = metered.iter().map(|metered| (*metered, None)).collect();
        let intervals = count(metered.len());
        let mean = Ratio::checked_sum(metered)?.checked_div(Ratio::whole(intervals.into()))?;
        self.finish(&vec![(mean, intervals); self.frame.event.len()])
    }

    /// What was metered over the windows of the event day.
    fn metered(&self) -> Result<Vec<Ratio>, Stop> {
        let windows = &self.frame.windows;
        let metered = windows.iter().filter_map(|c| self.series.at(c.place).transpose());
        let metered: Vec<_> = metered.collect::<Result<_, _>>()?;
        if metered.len() < windows.len() {
            let (found, needed) = (count(metered.len()), count(windows.len()));
            return Err(Stop::lacking(Lack::WindowReadings, found, needed));
        }
        Ok(metered)
    }

    fn adjusted(&mut self, raw: &[Mean], averages: &[Mean]) -> Result<Vec<BaselineInterval>, Stop> {
        let metered = self.metered()?;
        let frame = self.frame;
        let windows = metered.iter().zip(averages);
        self.windows = windows.map(|(metered, mean)| (*metered, Some(*mean))).collect();
        let intervals = count(metered.len());
        let windows = Windows {
            metered: Ratio::checked_sum(metered)?,
            average: Ratio::checked_sum(averages.iter().map(|(mean, _)| *mean))?,
            intervals,
        };
        self.adjustment = adjust(&frame.rule.adjustment, windows, frame.length)?;
        self.finish(raw)
    }

    fn finish(&self, raw: &[Mean]) -> Result<Vec<BaselineInterval>, Stop> {
        let intervals = self.frame.event.iter().zip(raw);
        let intervals = intervals.map(|(compared, (raw, readings))| {
            let exact = match &self.adjustment {
                None => *raw,
                Some(a) if a.kind == AdjustmentKind::Ratio => raw.checked_mul(a.applied)?,
                Some(a) => raw.checked_add(a.applied)?,
            };
            Ok(BaselineInterval {
                start: compared.interval.start(),
                clock: compared.slot.clock(),
                readings: *readings,
                raw: *raw,
                exact,
                rounded: round(exact)?,
            })
        });
        intervals.collect()
    }
}

/// The one rounding.
fn round(exact: Ratio) -> Result<MilliwattHours, ArithmeticError> {
    let rounded = exact.round_half_even()?;
    let rounded = i64::try_from(rounded).map_err(|_| ArithmeticError::Overflow {
        operation: "baseline",
    })?;
    Ok(MilliwattHours::new(rounded))
}
