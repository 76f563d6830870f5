//! Comparing one site: what each interval would have used, what it used, and what of that is paid for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_protocol::time::Timestamp;

use super::inputs::{Corrected, Metered, MissingReason, Participation, Reading, SiteInputs};
use super::lines::{Line, Reason};
use super::settle::{AmountError, SettleError};
use crate::rules::baseline::{Frame, Outcome, Series, SeriesError, baseline};
use crate::rules::payment::{Netting, NotCredited, net};

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
    frame: &Frame,
    fallback: Option<&Frame>,
) -> Result<Compared, SettleError> {
    let readings_error = |error| SettleError::Readings {
        site: site.site.clone(),
        error,
    };
    let arithmetic = |error| SettleError::Arithmetic {
        site: Some(site.site.clone()),
        error,
    };
    let metered = metered_by_start(site).map_err(readings_error)?;
    let corrected = corrections_by_start(&site.corrections);
    let metered = with_corrections(metered, &corrected);
    let known = metered.iter().filter_map(|r| match r.net {
        Metered::Energy(energy) => Some((r.interval, energy)),
        Metered::Missing(_) => None,
    });
    let outage_days = site.outage_days.iter().copied().collect();
    let under = |frame: &Frame| {
        let series = Series::new(frame, known.clone()).map_err(readings_error)?;
        baseline(frame, &series, &outage_days).map_err(|e| arithmetic(e.into()))
    };
    let mut outcome = under(frame)?;
    if let (Outcome::NoBaseline(_), Some(fallback)) = (&outcome, fallback) {
        let other = under(fallback)?;
        outcome = outcome.or_else(|| Ok(other)).map_err(|e| arithmetic(e.into()))?;
    }
    let baselines = outcome.explanation().map_or(&[][..], |e| e.intervals.as_slice());
    let mut lines = Vec::with_capacity(frame.event_intervals().count());
    for (i, interval) in frame.event_intervals().enumerate() {
        let not_received = Metered::Missing(MissingReason::NotReceived);
        let place = metered.binary_search_by_key(&interval.start(), |r| r.interval.start());
        let read = place.ok().and_then(|place| metered.get(place));
        let read = read.map_or(not_received, |reading| reading.net);
        let correction = corrected.get(&interval.start()).map(|c| c.number);
        let baseline = baselines.get(i).map(|b| b.rounded);
        lines.push(unpriced(interval.start(), baseline, read, correction).map_err(arithmetic)?);
    }
    credit(&mut lines, &site.participation, netting).map_err(arithmetic)?;
    Ok(Compared { lines, outcome })
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
fn metered_by_start(site: &SiteInputs) -> Result<Cow<'_, [Reading]>, SeriesError> {
    let start = |reading: &Reading| reading.interval.start();
    if site.readings.is_sorted_by(|a, b| start(a) < start(b)) {
        return Ok(Cow::Borrowed(&site.readings));
    }
    let mut metered = BTreeMap::new();
    for reading in &site.readings {
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
