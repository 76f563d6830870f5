//! Baselines: what a site would have used without the event (NAESB's "Baseline Type I").
//!
//! One engine; a rule is data ([`BaselineRule`]), a preset is a file. The work is in three steps:
//!
//! 1. [`Frame::new`] lays the event out on the calendar: candidate days, local hours, windows. Same for all sites.
//! 2. [`Series::new`] lays one site's readings out under it.
//! 3. [`baseline`] looks for eligible days, newest first, selects, averages, adjusts, and rounds **once**,
//!    to the milliwatt-hour, half-even. Until then everything is an exact fraction.
//!
//! `docs/rules-baseline.md` says the same for people who do not read Rust.

mod explanation;
mod frame;
mod rule;
mod series;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use gridtally_protocol::quantity::MilliwattHours;

pub use self::explanation::{
    AdjustmentKind, Applied, BaselineInterval, Candidate, Explanation, Lack, NoBaseline, Outcome, Verdict,
};
pub use self::frame::{EVENT_SECONDS_MAX, EventCalendar, Frame, FrameError};
pub use self::rule::{
    Adjustment, Anchor, BaselineRule, Cap, Completeness, DayCount, PRESETS, PresetError, Selection,
    UnknownPreset, Window,
};
pub use self::series::{Series, SeriesError};

use self::frame::{CandidateDay, Compared, Matches, Standing};
use super::exact::{ArithmeticError, Ratio};

/// The baseline of one site for one event. `outage_days` are the local days on which the site had an outage.
///
/// # Errors
/// [`ArithmeticError`] where an exact value does not fit 128 bits. Too little data is no error but
/// [`Outcome::NoBaseline`].
pub fn baseline(
    frame: &Frame,
    series: &Series,
    outage_days: &BTreeSet<NaiveDate>,
) -> Result<Outcome, ArithmeticError> {
    let site = Site { frame, series };
    let mut search = Search {
        site,
        outage_days,
        eligible: Vec::new(),
        candidates: Vec::new(),
    };
    search.run()?;
    let needed = frame.rule.days(frame.day_type).minimum;
    let found = count(search.eligible.len());
    if found < needed {
        return Ok(search.refuse(Lack::Days, found, needed));
    }
    search.select()?;
    let days: Vec<_> = search.eligible.iter().map(|e| e.day).collect();
    let raw = site.averages(&frame.event, &days, |day| &day.event)?;
    let (Some(raw), Some(windows)) = (raw, site.averages(&frame.windows, &days, |day| &day.windows)?) else {
        return Ok(search.refuse(Lack::Readings, 0, 1));
    };
    let metered: Vec<_> = frame.windows.iter().filter_map(|c| series.at(c.place)).collect();
    if metered.len() < windows.len() {
        return Ok(search.refuse(Lack::WindowReadings, count(metered.len()), count(windows.len())));
    }
    let metered = site.energy(metered.into_iter().map(i128::from))?;
    let average = Ratio::checked_sum(windows.iter().map(|(mean, _)| *mean))?;
    let adjustment = adjust(&frame.rule.adjustment, metered, average, count(windows.len()))?;
    let intervals = frame.event.iter().zip(&raw).map(|(compared, (raw, readings))| {
        let exact = match &adjustment {
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
    Ok(Outcome::Baseline(Explanation {
        rule: frame.rule.id.clone(),
        day: frame.day,
        day_type: frame.day_type,
        intervals: intervals.collect::<Result<_, ArithmeticError>>()?,
        adjustment,
        candidates: search.candidates,
    }))
}

/// The one rounding.
fn round(exact: Ratio) -> Result<MilliwattHours, ArithmeticError> {
    let rounded = exact.round_half_even()?;
    let rounded = i64::try_from(rounded).map_err(|_| ArithmeticError::Overflow {
        operation: "baseline",
    })?;
    Ok(MilliwattHours::new(rounded))
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX) // bounded by days × intervals of a day
}

fn adjust(
    rule: &Adjustment,
    metered: Ratio,
    average: Ratio,
    intervals: u32,
) -> Result<Option<Applied>, ArithmeticError> {
    let applied = match rule {
        Adjustment::None => return Ok(None),
        Adjustment::Additive { .. } => {
            let addend = metered
                .checked_sub(average)?
                .checked_div(Ratio::whole(intervals.into()))?;
            Applied {
                kind: AdjustmentKind::Additive,
                intervals,
                metered,
                average,
                uncapped: Some(addend),
                applied: addend,
                capped: false,
                undefined: false,
            }
        }
        Adjustment::Ratio { cap, .. } => {
            let uncapped = if average.is_positive() {
                Some(metered.checked_div(average)?)
            } else {
                None
            };
            // Without a cap, an exporting home would turn the sign of its own baseline.
            let uncapped = uncapped.filter(|factor| cap.is_some() || *factor >= Ratio::ZERO);
            let applied = match (uncapped, cap) {
                (None, _) => Ratio::ONE,
                (Some(factor), None) => factor,
                (Some(factor), Some(cap)) => factor.max(cap.low).min(cap.high),
            };
            Applied {
                kind: AdjustmentKind::Ratio,
                intervals,
                metered,
                average,
                uncapped,
                applied,
                capped: uncapped.is_some_and(|factor| factor != applied),
                undefined: uncapped.is_none(),
            }
        }
    };
    Ok(Some(applied))
}

/// A site's readings under a frame.
#[derive(Clone, Copy)]
struct Site<'f> {
    frame: &'f Frame,
    series: &'f Series,
}

impl<'f> Site<'f> {
    /// The sum of values of the series, in milliwatt-hours.
    fn energy(self, values: impl IntoIterator<Item = i128>) -> Result<Ratio, ArithmeticError> {
        Ratio::new(sum(values)?, self.series.parts().into())
    }

    /// For each interval the mean of all readings at its time of the clock, and how many they are; `None`
    /// where one has no reading at all. A repeated hour counts with both its readings.
    fn averages(
        self,
        compared: &[Compared],
        days: &[&'f CandidateDay],
        matches: impl Fn(&'f CandidateDay) -> &'f Vec<Matches>,
    ) -> Result<Option<Vec<(Ratio, u32)>>, ArithmeticError> {
        let mut averages = Vec::with_capacity(compared.len());
        for i in 0..compared.len() {
            let places = days
                .iter()
                .filter_map(|day| matches(day).get(i))
                .flatten()
                .flatten();
            let values: Vec<_> = places
                .filter_map(|place| self.series.at(*place))
                .map(i128::from)
                .collect();
            let readings = count(values.len());
            if readings == 0 {
                return Ok(None);
            }
            let mean = self.energy(values)?.checked_div(Ratio::whole(readings.into()))?;
            averages.push((mean, readings));
        }
        Ok(Some(averages))
    }

    /// The mean of a day over the event's hours; `None` where it has none of them.
    fn event_mean(self, day: &CandidateDay) -> Result<Option<Ratio>, ArithmeticError> {
        let places = day.event.iter().flatten().flatten();
        let values: Vec<_> = places
            .filter_map(|place| self.series.at(*place))
            .map(i128::from)
            .collect();
        if values.is_empty() {
            return Ok(None);
        }
        let readings = count(values.len());
        self.energy(values)?
            .checked_div(Ratio::whole(readings.into()))
            .map(Some)
    }

    /// The sum over all that a day must have, which is the day's total where the rule asks for whole days.
    fn day_total(self, day: &CandidateDay) -> Result<i128, ArithmeticError> {
        let places = day.required.iter().cloned().flatten();
        sum(places.filter_map(|place| self.series.at(place)).map(i128::from))
    }
}

fn sum(values: impl IntoIterator<Item = i128>) -> Result<i128, ArithmeticError> {
    let overflow = ArithmeticError::Overflow { operation: "sum" };
    values
        .into_iter()
        .try_fold(0_i128, |sum, v| sum.checked_add(v))
        .ok_or(overflow)
}

/// An eligible day.
#[derive(Clone, Copy)]
struct Eligible<'f> {
    day: &'f CandidateDay,
    event_mean: Ratio,
}

/// The search for days: newest first, until enough are found.
struct Search<'f> {
    site: Site<'f>,
    outage_days: &'f BTreeSet<NaiveDate>,
    /// Newest first.
    eligible: Vec<Eligible<'f>>,
    /// All that were looked at, newest first; an eligible one is `Chosen` until it is dropped.
    candidates: Vec<Candidate>,
}

impl Search<'_> {
    fn run(&mut self) -> Result<(), ArithmeticError> {
        let frame = self.site.frame;
        let look_for = frame.rule.days(frame.day_type).look_for;
        for day in &frame.days {
            if count(self.eligible.len()) >= look_for {
                break;
            }
            let verdict = match self.judge(day) {
                Verdict::Chosen => match self.site.event_mean(day)? {
                    Some(event_mean) => {
                        self.eligible.push(Eligible { day, event_mean });
                        Verdict::Chosen
                    }
                    None => Verdict::NoSuchHours,
                },
                rejected => rejected,
            };
            self.candidates.push(Candidate {
                date: day.date,
                verdict,
            });
            if count(self.eligible.len()) == look_for {
                self.drop_low_use()?;
            }
        }
        Ok(())
    }

    fn judge(&self, day: &CandidateDay) -> Verdict {
        match day.standing {
            Standing::OtherDayType => return Verdict::OtherDayType,
            Standing::EventDay => return Verdict::EventDay,
            Standing::Like => {}
        }
        if day.touched.iter().any(|d| self.outage_days.contains(d)) {
            return Verdict::OutageDay;
        }
        let places = day.required.iter().cloned().flatten();
        match count(
            places
                .filter(|place| self.site.series.at(*place).is_none())
                .count(),
        ) {
            0 => Verdict::Chosen,
            missing => Verdict::Incomplete { missing },
        }
    }

    fn drop_low_use(&mut self) -> Result<(), ArithmeticError> {
        let Some(share) = self.site.frame.rule.low_use_below else {
            return Ok(());
        };
        let total = Ratio::checked_sum(self.eligible.iter().map(|e| e.event_mean))?;
        let mean = total.checked_div(Ratio::whole(count(self.eligible.len()).into()))?;
        let least = mean.checked_mul(share)?;
        let dropped: Vec<_> = self
            .eligible
            .iter()
            .filter(|e| e.event_mean < least)
            .map(|e| e.day.date)
            .collect();
        self.drop(&dropped, Verdict::LowUse);
        Ok(())
    }

    fn drop(&mut self, dates: &[NaiveDate], verdict: Verdict) {
        self.eligible.retain(|e| !dates.contains(&e.day.date));
        for candidate in self.candidates.iter_mut().filter(|c| dates.contains(&c.date)) {
            candidate.verdict = verdict;
        }
    }

    /// Drops the eligible days that the rule does not keep.
    fn select(&mut self) -> Result<(), ArithmeticError> {
        let frame = self.site.frame;
        let keep = usize::try_from(frame.rule.days(frame.day_type).keep).unwrap_or(usize::MAX);
        match frame.rule.select {
            Selection::All => {}
            Selection::Highest => {
                let mut ranked = self.eligible.clone();
                ranked.sort_by_key(|e| core::cmp::Reverse((e.event_mean, e.day.date)));
                let rest: Vec<_> = ranked.iter().skip(keep).map(|e| e.day.date).collect();
                self.drop(&rest, Verdict::NotAmongHighest);
            }
            Selection::Middle => {
                let total = |e: &Eligible<'_>| Ok((self.site.day_total(e.day)?, e.day.date));
                let totals: Vec<_> = self.eligible.iter().map(total).collect::<Result<_, _>>()?;
                let lowest = totals.iter().min().map(|(_, date)| *date);
                let highest = totals.iter().max().map(|(_, date)| *date);
                self.drop(lowest.as_slice(), Verdict::LowestTotal);
                self.drop(highest.as_slice(), Verdict::HighestTotal);
            }
        }
        Ok(())
    }

    fn refuse(self, lacking: Lack, found: u32, needed: u32) -> Outcome {
        let frame = self.site.frame;
        Outcome::NoBaseline(NoBaseline {
            rule: frame.rule.id.clone(),
            day: frame.day,
            day_type: frame.day_type,
            lacking,
            found,
            needed,
            candidates: self.candidates,
        })
    }
}
