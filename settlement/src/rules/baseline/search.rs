//! The search for days, and the selection among them.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::average::{Averaged, mean};
use super::explanation::{Candidate, Lack, Verdict};
use super::frame::{CandidateDay, Frame, Standing};
use super::rule::{DayCount, Selection, Shortfall};
use super::series::Series;
use super::work::{Stop, count};
use crate::rules::exact::{ArithmeticError, Ratio};

/// An eligible day.
#[derive(Clone, Copy)]
struct Eligible<'f> {
    day: &'f CandidateDay,
    event_mean: Ratio,
}

/// The search for days: newest first, until enough are found.
pub(super) struct Search<'f, 's> {
    pub frame: &'f Frame,
    pub series: &'s Series,
    pub outage_days: &'s BTreeSet<NaiveDate>,
    pub temperatures: Option<&'s BTreeMap<NaiveDate, Ratio>>,
    /// All that were looked at, newest first; an eligible one is `Chosen` until it is dropped.
    pub candidates: &'s mut Vec<Candidate>,
}

impl<'f> Search<'f, '_> {
    /// The days that are averaged, in the order of their selection.
    pub(super) fn run(&mut self) -> Result<Vec<Averaged<'f>>, Stop> {
        let frame = self.frame;
        let days = frame.count.as_ref();
        let days = days.ok_or_else(|| Stop::lacking(Lack::DayType, 0, 1))?;
        self.check_recent()?;
        let on_the_day = self.temperature(frame.day);
        if frame.rule.select == Selection::ClosestTemperature && on_the_day.is_none() {
            return Err(Stop::lacking(Lack::Temperature, 0, 1));
        }
        self.check_similar()?;
        let mut eligible = self.find(days)?;
        if frame.rule.shortfall == Shortfall::FillFromEventDaysHighest {
            self.fill(&mut eligible, days.minimum)?;
        }
        let needed = match frame.rule.shortfall {
            Shortfall::None => days.look_for,
            Shortfall::UseFewer | Shortfall::FillFromEventDaysHighest => days.minimum,
        };
        if count(eligible.len()) < needed {
            return Err(Stop::lacking(Lack::Days, count(eligible.len()), needed));
        }
        self.select(&mut eligible, days, on_the_day)?;
        let weights = days.weights.iter().copied().map(Some);
        let weights = weights.chain(core::iter::repeat(None));
        let averaged = eligible.iter().zip(weights);
        let averaged: Vec<_> = averaged
            .map(|(e, weight)| Averaged { day: e.day, weight })
            .collect();
        for Averaged { day, weight } in averaged.iter().filter(|a| a.weight.is_some()) {
            if let Some(candidate) = self.candidates.iter_mut().find(|c| c.date == day.date) {
                candidate.weight = *weight;
            }
        }
        Ok(averaged)
    }

    fn check_recent(&self) -> Result<(), Stop> {
        let Some(rule) = self.frame.rule.sufficiency else {
            return Ok(());
        };
        let mut enough = 0_usize;
        for day in &self.frame.recent {
            let known = count(day.clone().filter(|place| self.series.has(*place)).count());
            let wanted = rule.share.checked_mul(Ratio::whole(count(day.len()).into()))?;
            if !day.is_empty() && Ratio::whole(known.into()) >= wanted {
                enough = enough.saturating_add(1);
            }
        }
        if count(enough) < rule.days {
            return Err(Stop::lacking(Lack::RecentDays, count(enough), rule.days));
        }
        Ok(())
    }

    /// Where similar days are looked for, the event's day has to be known outside of the event.
    fn check_similar(&self) -> Result<(), Stop> {
        if !matches!(self.frame.rule.select, Selection::MostSimilar { .. }) {
            return Ok(());
        }
        let compared = &self.frame.similar;
        let known = compared.iter().filter(|c| self.series.has(c.place)).count();
        if known == 0 || known < compared.len() {
            let needed = count(compared.len()).max(1);
            return Err(Stop::lacking(Lack::WindowReadings, count(known), needed));
        }
        Ok(())
    }

    /// The mean difference, whichever way, from the event's day in the hours without the event; none where the clock
    /// jumped over all of them.
    fn difference(&self, day: &CandidateDay) -> Result<Option<Ratio>, ArithmeticError> {
        let (mut sum, mut readings) = (Ratio::ZERO, 0_usize);
        for (own, matches) in self.frame.similar.iter().zip(&day.similar) {
            let Some(here) = self.series.at(own.place)? else {
                continue;
            };
            for place in matches.iter().flatten() {
                let Some(there) = self.series.at(*place)? else {
                    continue;
                };
                let apart = here.max(there).checked_sub(here.min(there))?;
                sum = sum.checked_add(apart)?;
                readings = readings.saturating_add(1);
            }
        }
        if readings == 0 {
            return Ok(None);
        }
        sum.checked_div(Ratio::whole(count(readings).into())).map(Some)
    }

    fn temperature(&self, day: NaiveDate) -> Option<Ratio> {
        self.temperatures.and_then(|known| known.get(&day)).copied()
    }

    /// The eligible days, newest first.
    fn find(&mut self, days: &DayCount) -> Result<Vec<Eligible<'f>>, ArithmeticError> {
        let mut eligible = Vec::new();
        for day in &self.frame.days {
            if count(eligible.len()) >= days.look_for {
                break;
            }
            let verdict = match day.standing {
                Standing::OtherDayType => Verdict::OtherDayType,
                Standing::EventDay => Verdict::EventDay,
                Standing::Like => match self.judge(day)? {
                    Ok(found) => {
                        eligible.push(found);
                        Verdict::Chosen
                    }
                    Err(rejected) => rejected,
                },
            };
            self.candidates.push(Candidate {
                date: day.date,
                verdict,
                weight: None,
            });
            if count(eligible.len()) == days.look_for {
                self.drop_low_use(&mut eligible)?;
            }
        }
        Ok(eligible)
    }

    /// Whether a day of the right type has all that it needs.
    fn judge(&self, day: &'f CandidateDay) -> Result<Result<Eligible<'f>, Verdict>, ArithmeticError> {
        if day.touched.iter().any(|d| self.outage_days.contains(d)) {
            return Ok(Err(Verdict::OutageDay));
        }
        let places = day.required.iter().cloned().flatten();
        let missing = count(places.filter(|place| !self.series.has(*place)).count());
        if missing > 0 {
            return Ok(Err(Verdict::Incomplete { missing }));
        }
        let Some((event_mean, _)) = mean(self.series, &day.event)? else {
            return Ok(Err(Verdict::NoSuchHours));
        };
        if self.frame.rule.select == Selection::ClosestTemperature && self.temperature(day.date).is_none() {
            return Ok(Err(Verdict::NoTemperature));
        }
        Ok(Ok(Eligible { day, event_mean }))
    }

    /// Adds event days until there are `minimum`, those with the highest mean over the event's hours first; of
    /// equal ones the more recent.
    fn fill(&mut self, eligible: &mut Vec<Eligible<'f>>, minimum: u32) -> Result<(), ArithmeticError> {
        let lacking = minimum.saturating_sub(count(eligible.len()));
        if lacking == 0 {
            return Ok(());
        }
        let mut usable = Vec::new();
        // A day that was not laid out reads the event's own days.
        let event_days = self
            .frame
            .days
            .iter()
            .filter(|d| d.standing == Standing::EventDay);
        for day in event_days.filter(|d| !d.event.is_empty()) {
            usable.extend(self.judge(day)?.ok());
        }
        usable.sort_by_key(|e| Reverse((e.event_mean, e.day.date)));
        usable.truncate(usize::try_from(lacking).unwrap_or(usize::MAX));
        for filled in usable {
            self.mark(&[filled.day.date], Verdict::FilledFromEventDays);
            eligible.push(filled);
        }
        eligible.sort_by_key(|e| Reverse(e.day.date));
        Ok(())
    }

    fn drop_low_use(&mut self, eligible: &mut Vec<Eligible<'f>>) -> Result<(), ArithmeticError> {
        let Some(share) = self.frame.rule.low_use_below else {
            return Ok(());
        };
        let total = Ratio::checked_sum(eligible.iter().map(|e| e.event_mean))?;
        let mean = total.checked_div(Ratio::whole(count(eligible.len()).into()))?;
        let least = mean.checked_mul(share)?;
        self.keep(eligible, Verdict::LowUse, |e| e.event_mean >= least);
        Ok(())
    }

    fn mark(&mut self, dates: &[NaiveDate], verdict: Verdict) {
        for candidate in self.candidates.iter_mut().filter(|c| dates.contains(&c.date)) {
            candidate.verdict = verdict;
        }
    }

    /// Drops those that are not to be kept.
    fn keep(
        &mut self,
        eligible: &mut Vec<Eligible<'f>>,
        verdict: Verdict,
        kept: impl Fn(&Eligible<'_>) -> bool,
    ) {
        let dropped = eligible.iter().filter(|e| !kept(e)).map(|e| e.day.date);
        let dropped: Vec<_> = dropped.collect();
        self.mark(&dropped, verdict);
        eligible.retain(|e| !dropped.contains(&e.day.date));
    }

    /// Puts the eligible days in the order of their selection, and drops those that the rule does not keep.
    fn select(
        &mut self,
        eligible: &mut Vec<Eligible<'f>>,
        days: &DayCount,
        on_the_day: Option<Ratio>,
    ) -> Result<(), ArithmeticError> {
        let keep = usize::try_from(days.keep).unwrap_or(usize::MAX);
        match self.frame.rule.select {
            Selection::All => {}
            Selection::Highest => {
                eligible.sort_by_key(|e| Reverse((e.event_mean, e.day.date)));
                self.keep_first(eligible, keep, Verdict::NotAmongHighest);
            }
            Selection::ClosestTemperature => {
                let mut ranked = Vec::with_capacity(eligible.len());
                for e in eligible.iter() {
                    let temperature = self.temperature(e.day.date).zip(on_the_day);
                    let (there, here) = temperature.unwrap_or((Ratio::ZERO, Ratio::ZERO)); // judged to be there
                    let distance = there.max(here).checked_sub(there.min(here))?;
                    ranked.push((distance, Reverse(e.day.date), *e));
                }
                ranked.sort_by_key(|(distance, date, _)| (*distance, *date));
                *eligible = ranked.into_iter().map(|(_, _, e)| e).collect();
                self.keep_first(eligible, keep, Verdict::NotAmongClosest);
            }
            Selection::MostSimilar { .. } => {
                let mut ranked = Vec::with_capacity(eligible.len());
                for e in eligible.iter() {
                    let difference = self.difference(e.day)?;
                    // What cannot be compared is least alike.
                    let rank = (difference.is_none(), difference, Reverse(e.day.date));
                    ranked.push((rank, *e));
                }
                ranked.sort_by_key(|(rank, _)| *rank);
                *eligible = ranked.into_iter().map(|(_, e)| e).collect();
                self.keep_first(eligible, keep, Verdict::NotAmongSimilar);
            }
            Selection::Middle => {
                let total = |e: &Eligible<'_>| {
                    let places = e.day.required.iter().cloned().flatten();
                    Ok((self.series.total(places)?.0, e.day.date))
                };
                let totals: Vec<_> = eligible
                    .iter()
                    .map(total)
                    .collect::<Result<_, ArithmeticError>>()?;
                let lowest = totals.iter().min().map(|(_, date)| *date);
                let highest = totals.iter().max().map(|(_, date)| *date);
                self.keep(eligible, Verdict::LowestTotal, |e| Some(e.day.date) != lowest);
                self.keep(eligible, Verdict::HighestTotal, |e| Some(e.day.date) != highest);
            }
        }
        Ok(())
    }

    fn keep_first(&mut self, eligible: &mut Vec<Eligible<'f>>, keep: usize, verdict: Verdict) {
        let dropped: Vec<_> = eligible.iter().skip(keep).map(|e| e.day.date).collect();
        self.mark(&dropped, verdict);
        eligible.truncate(keep);
    }
}
