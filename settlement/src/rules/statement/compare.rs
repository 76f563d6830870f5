//! Comparing one site: what each interval would have used, what it used, and what of that is paid for.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use chrono_tz::Tz;
use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_protocol::time::{Interval, Timestamp};

use super::inputs::{Corrected, Metered, MissingReason, Participation, Reading, SiteInputs};
use super::lines::{Line, Reason};
use super::settle::{AmountError, SettleError, overflow};
use crate::rules::baseline::{Frame, Method, Outcome, Series, SeriesError, SiteData, work_out};
use crate::rules::calendar::LocalSlot;
use crate::rules::exact::Ratio;
use crate::rules::payment::{Netting, NotCredited, net};

/// A rule, laid out for an event, with the sites that others are compared with.
#[derive(Debug, Clone)]
pub(super) struct Laid {
    pub frame: Frame,
    /// In the order of their names.
    pub controls: Vec<Series>,
}

impl Laid {
    pub const fn new(frame: Frame) -> Self {
        Self {
            frame,
            controls: Vec::new(),
        }
    }
}

/// What every site of an event is compared under.
#[derive(Debug, Clone)]
pub(super) struct Yardstick {
    pub own: Laid,
    pub fallback: Option<Laid>,
    /// The highest temperature of each local day.
    pub temperatures: BTreeMap<NaiveDate, Ratio>,
}

impl Yardstick {
    /// Adds a site that others are compared with. A day on which it had an outage does not show what sites use.
    ///
    /// # Errors
    /// [`SettleError::Readings`] where its readings contradict one another.
    pub fn add_control(&mut self, site: &SiteInputs, zone: Tz) -> Result<(), SettleError> {
        let readings_error = readings_error(site);
        let readings = counted(site).map_err(&readings_error)?;
        let outages: BTreeSet<NaiveDate> = site.outage_days.iter().copied().collect();
        for laid in core::iter::once(&mut self.own).chain(&mut self.fallback) {
            let frame = &laid.frame;
            let day = |interval: Interval| LocalSlot::of(interval.start(), zone).map(|slot| slot.day);
            let usual = known(&readings).filter(|(interval, _)| {
                outages.is_empty() || day(*interval).is_none_or(|day| !outages.contains(&day))
            });
            let series = Series::new(frame, usual).map_err(&readings_error)?;
            laid.controls.push(series);
        }
        Ok(())
    }
}

fn readings_error(site: &SiteInputs) -> impl Fn(SeriesError) -> SettleError + '_ {
    |error| SettleError::Readings {
        site: site.site.clone(),
        error,
    }
}

/// The readings that are known.
fn known(readings: &[Reading]) -> impl Iterator<Item = (Interval, MilliwattHours)> {
    readings.iter().filter_map(|r| match r.net {
        Metered::Energy(energy) => Some((r.interval, energy)),
        Metered::Missing(_) => None,
    })
}

/// What counts of what a site metered, in the order of time: corrections stand in the place of readings.
fn counted(site: &SiteInputs) -> Result<Cow<'_, [Reading]>, SeriesError> {
    let metered = in_order(&site.readings)?;
    Ok(with_corrections(
        metered,
        &corrections_by_start(&site.corrections),
    ))
}

/// The reading of the interval that begins then.
fn at(readings: &[Reading], start: Timestamp) -> Metered {
    let place = readings.binary_search_by_key(&start, |r| r.interval.start());
    let reading = place.ok().and_then(|place| readings.get(place));
    reading.map_or(Metered::Missing(MissingReason::NotReceived), |r| r.net)
}

/// A site before it is priced.
pub(super) struct Compared {
    /// Its lines, credited; no amounts yet, and a reason where nothing is credited.
    pub lines: Vec<Line>,
    /// What it would have used.
    pub outcome: Outcome,
}

/// Compares a site under its program's baseline, or the fallback where that has none.
///
/// # Errors
/// [`SettleError`] where its readings contradict one another or a value does not fit.
pub(super) fn compare(
    site: &SiteInputs,
    netting: Netting,
    yardstick: &Yardstick,
) -> Result<Compared, SettleError> {
    let arithmetic = |error| SettleError::Arithmetic {
        site: Some(site.site.clone()),
        error,
    };
    let readings_error = readings_error(site);
    let corrected = corrections_by_start(&site.corrections);
    let metered = counted(site).map_err(&readings_error)?;
    let site_meter = in_order(&site.site_meter).map_err(&readings_error)?;
    let outage_days = site.outage_days.iter().copied().collect();
    let under = |laid: &Laid| -> Result<(Outcome, Option<Vec<Metered>>), SettleError> {
        let frame = &laid.frame;
        let series = Series::new(frame, known(&metered)).map_err(&readings_error)?;
        let of_output = matches!(frame.rule().method, Method::GeneratorOutput { .. });
        let meter = (of_output && !site_meter.is_empty()).then(|| Series::new(frame, known(&site_meter)));
        let meter = meter.transpose().map_err(&readings_error)?;
        let data = SiteData {
            temperatures: Some(&yardstick.temperatures),
            others: &laid.controls,
            site_meter: meter.as_ref(),
            ..SiteData::new(&series, &outage_days)
        };
        let worked = work_out(frame, &data).map_err(|e| arithmetic(e.into()))?;
        let output = if of_output {
            let output = worked.compared(frame).map_err(|e| arithmetic(e.into()))?;
            let output = output.into_iter().map(|(energy, _)| energy);
            Some(counted_output(frame, output, &metered, &site_meter).map_err(arithmetic)?)
        } else {
            None
        };
        Ok((worked.outcome, output))
    };
    let (mut outcome, mut output) = under(&yardstick.own)?;
    if let (Outcome::NoBaseline(_), Some(fallback)) = (&outcome, &yardstick.fallback) {
        let (other, its_output) = under(fallback)?;
        outcome = outcome.or_else(|| Ok(other)).map_err(|e| arithmetic(e.into()))?;
        if matches!(outcome, Outcome::Baseline(_)) {
            output = its_output;
        }
    }
    let baselines = outcome.explanation().map_or(&[][..], |e| e.intervals.as_slice());
    let frame = &yardstick.own.frame;
    let mut lines = Vec::with_capacity(frame.event_intervals().count());
    for (i, interval) in frame.event_intervals().enumerate() {
        let output = output.as_ref().and_then(|output| output.get(i).copied());
        let read = output.unwrap_or_else(|| at(&metered, interval.start()));
        let correction = corrected.get(&interval.start()).map(|c| c.number);
        let baseline = baselines.get(i).map(|b| b.rounded);
        lines.push(unpriced(interval.start(), baseline, read, correction).map_err(arithmetic)?);
    }
    credit(&mut lines, &site.participation, netting).map_err(arithmetic)?;
    Ok(Compared { lines, outcome })
}

/// What of a device's output counts in each interval of the event, or why it is not known: because the device's
/// reading is not, or else because the site's meter's is not.
fn counted_output(
    frame: &Frame,
    output: impl Iterator<Item = Option<Ratio>>,
    device: &[Reading],
    site_meter: &[Reading],
) -> Result<Vec<Metered>, AmountError> {
    let counted = |(interval, output): (Interval, Option<Ratio>)| {
        let Some(output) = output else {
            let missing = [device, site_meter].map(|readings| at(readings, interval.start()));
            let missing = missing
                .into_iter()
                .find(|read| matches!(read, Metered::Missing(_)));
            return Ok(missing.unwrap_or(Metered::Missing(MissingReason::NotReceived)));
        };
        // Differences of whole numbers: there is nothing to be rounded.
        let whole = i64::try_from(output.round_half_even()?).map_err(|_| overflow("output"))?;
        Ok(Metered::Energy(MilliwattHours::new(whole)))
    };
    frame.event_intervals().zip(output).map(counted).collect()
}

fn unpriced(
    start: Timestamp,
    baseline: Option<MilliwattHours>,
    read: Metered,
    correction: Option<u32>,
) -> Result<Line, AmountError> {
    let (metered, missing) = match read {
        Metered::Energy(energy) => (Some(energy), None),
        Metered::Missing(reason) => (None, Some(reason)),
    };
    let delta = match (baseline, metered) {
        (Some(baseline), Some(metered)) => Some(baseline.checked_sub(metered)?),
        _ => None,
    };
    Ok(Line {
        start,
        baseline,
        metered,
        missing,
        correction,
        delta,
        credited: MilliwattHours::ZERO,
        amount: TokenAmount::ZERO,
        reason: None,
    })
}

/// What of each line is paid for, or why nothing is.
fn credit(lines: &mut [Line], participation: &Participation, netting: Netting) -> Result<(), AmountError> {
    let counts = |line: &Line| {
        line.delta
            .filter(|_| line.missing != Some(MissingReason::Equivocation))
    };
    let deltas: Vec<_> = lines.iter().map(counts).collect();
    let netted = net(&deltas, netting)?;
    for (line, netted) in lines.iter_mut().zip(netted) {
        let earned = match participation {
            Participation::OptedOut { .. } => Err(Reason::OptedOut),
            Participation::NoAnswer => Err(Reason::NoAnswer),
            Participation::ControlGroup => Err(Reason::ControlGroup),
            Participation::OptedIn if line.missing == Some(MissingReason::Equivocation) => {
                Err(Reason::Equivocation)
            }
            Participation::OptedIn if line.baseline.is_none() => Err(Reason::NoBaseline),
            Participation::OptedIn => netted.map_err(|not| match not {
                NotCredited::Unknown => Reason::MissingReading,
                NotCredited::NotReduced | NotCredited::EventNotReduced => Reason::NotReduced,
            }),
        };
        match earned {
            Ok(credited) => line.credited = credited,
            Err(reason) => line.reason = Some(reason),
        }
    }
    Ok(())
}

/// What is said about each interval, in the order of time; two different things about one are refused.
fn in_order(readings: &[Reading]) -> Result<Cow<'_, [Reading]>, SeriesError> {
    let start = |reading: &Reading| reading.interval.start();
    if readings.is_sorted_by(|a, b| start(a) < start(b)) {
        return Ok(Cow::Borrowed(readings));
    }
    let mut metered = BTreeMap::new();
    for reading in readings {
        match metered.insert(start(reading), *reading) {
            Some(earlier) if earlier.net != reading.net => {
                return Err(SeriesError::Conflict {
                    start: start(reading),
                });
            }
            _ => {}
        }
    }
    Ok(metered.into_values().collect())
}

/// Of each interval the correction that counts.
fn corrections_by_start(corrections: &[Corrected]) -> BTreeMap<Timestamp, Corrected> {
    let mut by_start: BTreeMap<Timestamp, Corrected> = BTreeMap::new();
    for correction in corrections {
        let counts = by_start.entry(correction.interval.start()).or_insert(*correction);
        if counts.number < correction.number {
            *counts = *correction;
        }
    }
    by_start
}

/// Puts corrections in the place of what the meter counted.
fn with_corrections<'r>(
    metered: Cow<'r, [Reading]>,
    corrected: &BTreeMap<Timestamp, Corrected>,
) -> Cow<'r, [Reading]> {
    if corrected.is_empty() {
        return metered;
    }
    let mut by_start: BTreeMap<Timestamp, Reading> =
        metered.iter().map(|r| (r.interval.start(), *r)).collect();
    for Corrected { interval, net, .. } in corrected.values() {
        let reading = Reading {
            interval: *interval,
            net: *net,
        };
        by_start.insert(interval.start(), reading);
    }
    Cow::Owned(by_start.into_values().collect())
}
