//! From inputs to a statement.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gridtally_protocol::quantity::{MilliwattHours, Overflow, TokenAmount};
use gridtally_protocol::time::Timestamp;

use super::inputs::{
    Corrected, Metered, MissingReason, Participation, Reading, SettlementInputs, SiteId, SiteInputs,
};
use super::lines::{
    BaselineRef, Line, ProgramRef, Reason, RoundingRemainder, SiteStatement, SiteStatus, Statement, Totals,
};
use super::sheet::{Sheet, Sum};
use crate::rules::baseline::{
    BaselineInterval, BaselineRule, Frame, FrameError, Outcome, Series, SeriesError, baseline,
};
use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::program::{Clip, Program, ProgramId, Rounding};

const MILLIONTHS: i128 = 1_000_000;

/// Why inputs do not make a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The event is of another program.
    #[error("the event belongs to program {event}, and is not settled under {program}")]
    OtherProgram {
        /// The event's program.
        event: ProgramId,
        /// The given one.
        program: ProgramId,
    },
    /// The event does not fit the program's calendar.
    #[error(transparent)]
    Event(#[from] FrameError),
    /// A site stands twice in the inputs.
    #[error("site {site} is given twice")]
    SiteTwice {
        /// The site.
        site: SiteId,
    },
    /// A site's readings contradict one another.
    #[error("site {site}: {error}")]
    Readings {
        /// The site.
        site: SiteId,
        /// What is wrong.
        error: SeriesError,
    },
    /// The carry is not a part of a base unit.
    #[error("a carry of {carry_in} millionths is not within 0 to 999999")]
    CarryIn {
        /// As given.
        carry_in: i64,
    },
    /// An exact value does not fit.
    #[error("{}: {error}", site.as_ref().map_or_else(|| "the totals".to_owned(), |s| format!("site {s}")))]
    Arithmetic {
        /// The site, where it is one's.
        site: Option<SiteId>,
        /// What does not fit.
        error: AmountError,
    },
}

/// An amount or sum that cannot be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// In the rule's fractions.
    #[error(transparent)]
    Exact(#[from] ArithmeticError),
    /// In a quantity's integer.
    #[error(transparent)]
    Quantity(#[from] Overflow),
}

pub(super) fn overflow(operation: &'static str) -> AmountError {
    ArithmeticError::Overflow { operation }.into()
}

/// Settles an event.
///
/// # Errors
/// [`SettleError`] where the inputs contradict one another or a value does not fit its integer. A site without
/// enough data is no error: its lines say why they earn nothing.
pub fn settle(inputs: &SettlementInputs) -> Result<Statement, SettleError> {
    let sheet = Sheet::new(&inputs.program, &inputs.event, &inputs.event_days)?;
    let mut by_name = BTreeMap::new();
    for site in &inputs.sites {
        if by_name.insert(&site.site, site).is_some() {
            return Err(SettleError::SiteTwice {
                site: site.site.clone(),
            });
        }
    }
    let mut sites = Vec::with_capacity(by_name.len());
    let mut sum = Sum::default();
    for site in by_name.into_values() {
        let settled = sheet.site(site)?;
        sum.add(&settled)?;
        sites.push(settled);
    }
    let mut statement = sheet.close(&sum, inputs.carry_in)?;
    statement.sites = sites;
    Ok(statement)
}

pub(super) fn reference(program: &Program) -> ProgramRef {
    ProgramRef {
        id: program.id.clone(),
        version: program.version,
        hash: program.hash.clone(),
        zone: program.zone.name().to_owned(),
        interval_seconds: program.interval,
        measurement: program.measurement,
        price_per_kwh: program.price_per_kwh,
        clip: program.clip,
        rounding: program.rounding,
        baseline: rule_reference(&program.baseline),
        baseline_fallback: program.baseline_fallback.as_ref().map(rule_reference),
    }
}

fn rule_reference(rule: &BaselineRule) -> BaselineRef {
    BaselineRef {
        id: rule.id.clone(),
        hash: rule.hash(),
    }
}

/// `carry_in + remainder = posted × 1,000,000 + carry_out`.
pub(super) fn carry(carry_in: i64, remainder: i64) -> Result<RoundingRemainder, AmountError> {
    let sum = i128::from(remainder).checked_add(carry_in.into());
    let sum = sum.ok_or(overflow("sum"))?;
    let posted = sum.checked_div_euclid(MILLIONTHS).ok_or(overflow("quotient"))?;
    let carry_out = sum.checked_rem_euclid(MILLIONTHS).ok_or(overflow("quotient"))?;
    Ok(RoundingRemainder {
        carry_in,
        remainder,
        posted: TokenAmount::new(posted)?,
        carry_out: i64::try_from(carry_out).map_err(|_| overflow("remainder"))?,
    })
}

pub(super) fn settle_site(
    site: &SiteInputs,
    program: &Program,
    frame: &Frame,
    fallback: Option<&Frame>,
) -> Result<SiteStatement, SettleError> {
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
    let mut lines = Vec::new();
    let mut totals = Totals::default();
    for (i, interval) in frame.event_intervals().enumerate() {
        let not_received = Metered::Missing(MissingReason::NotReceived);
        let place = metered.binary_search_by_key(&interval.start(), |r| r.interval.start());
        let net = place.ok().and_then(|place| metered.get(place));
        let net = net.map_or(not_received, |reading| reading.net);
        let comparison = Comparison {
            start: interval.start(),
            baseline: baselines.get(i),
            net,
            correction: corrected.get(&interval.start()).map(|c| c.number),
        };
        let priced = comparison
            .line(&site.participation, program)
            .map_err(arithmetic)?;
        totals = totals.with(&priced.totals()).map_err(arithmetic)?;
        lines.push(priced.line);
    }
    Ok(SiteStatement {
        site: site.site.clone(),
        beneficiary: site.beneficiary.clone(),
        status: status(&site.participation, &outcome, &totals),
        participation: site.participation.clone(),
        totals,
        lines,
        baseline: outcome,
    })
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

fn status(participation: &Participation, outcome: &Outcome, totals: &Totals) -> SiteStatus {
    match (participation, outcome) {
        (Participation::OptedOut { .. }, _) => SiteStatus::OptedOut,
        (Participation::NoAnswer, _) => SiteStatus::NoAnswer,
        (Participation::OptedIn, Outcome::NoBaseline(_)) => SiteStatus::NoBaseline,
        (Participation::OptedIn, _) if totals.amount > TokenAmount::ZERO => SiteStatus::Paid,
        (Participation::OptedIn, _) => SiteStatus::NothingEarned,
    }
}

/// An interval before it is priced.
struct Comparison<'b> {
    start: Timestamp,
    baseline: Option<&'b BaselineInterval>,
    net: Metered,
    correction: Option<u32>,
}

struct PricedLine {
    line: Line,
    /// exact − amount, in millionths of a base unit.
    remainder: i64,
}

impl PricedLine {
    fn totals(&self) -> Totals {
        let line = &self.line;
        let totals = Totals {
            lines: 1,
            credited: line.credited,
            amount: line.amount,
            remainder: self.remainder,
            ..Totals::default()
        };
        match (line.baseline, line.metered, line.delta) {
            (Some(baseline), Some(metered), Some(delta)) => Totals {
                compared: 1,
                baseline,
                metered,
                delta,
                ..totals
            },
            _ => totals,
        }
    }
}

impl Comparison<'_> {
    fn line(&self, participation: &Participation, program: &Program) -> Result<PricedLine, AmountError> {
        let baseline = self.baseline.map(|b| b.rounded);
        let (metered, missing) = match self.net {
            Metered::Energy(energy) => (Some(energy), None),
            Metered::Missing(reason) => (None, Some(reason)),
        };
        let delta = match (baseline, metered) {
            (Some(baseline), Some(metered)) => Some(baseline.checked_sub(metered)?),
            _ => None,
        };
        let earned = match participation {
            Participation::OptedOut { .. } => Err(Reason::OptedOut),
            Participation::NoAnswer => Err(Reason::NoAnswer),
            Participation::OptedIn => credit(program.clip, baseline, missing, delta),
        };
        let credited = earned.unwrap_or(MilliwattHours::ZERO);
        let (amount, remainder) = price(credited, program)?;
        let reason = match earned {
            Err(reason) => Some(reason),
            Ok(_) if amount > TokenAmount::ZERO => None,
            Ok(_) if program.price_per_kwh == TokenAmount::ZERO => Some(Reason::ZeroPrice),
            Ok(_) => Some(Reason::RoundedToZero),
        };
        let line = Line {
            start: self.start,
            baseline,
            metered,
            missing,
            correction: self.correction,
            delta,
            credited,
            amount,
            reason,
        };
        Ok(PricedLine { line, remainder })
    }
}

/// What is paid for in an interval, or why nothing is.
fn credit(
    clip: Clip,
    baseline: Option<MilliwattHours>,
    missing: Option<MissingReason>,
    delta: Option<MilliwattHours>,
) -> Result<MilliwattHours, Reason> {
    if missing == Some(MissingReason::Equivocation) {
        return Err(Reason::Equivocation);
    }
    if baseline.is_none() {
        return Err(Reason::NoBaseline);
    }
    let delta = delta.ok_or(Reason::MissingReading)?;
    match clip {
        Clip::Interval if delta > MilliwattHours::ZERO => Ok(delta),
        Clip::Interval => Err(Reason::NotReduced),
    }
}

/// The amount for an energy, and what rounding took from it in millionths of a base unit.
fn price(credited: MilliwattHours, program: &Program) -> Result<(TokenAmount, i64), AmountError> {
    let exact = i128::from(credited.get()).checked_mul(program.price_per_kwh.base_units());
    let exact = exact.ok_or(overflow("product"))?;
    let amount = match program.rounding {
        Rounding::HalfEven => Ratio::new(exact, MILLIONTHS)?.round_half_even()?,
        Rounding::Down => exact.checked_div_euclid(MILLIONTHS).ok_or(overflow("quotient"))?,
    };
    let back = amount.checked_mul(MILLIONTHS).ok_or(overflow("product"))?;
    let remainder = exact.checked_sub(back).ok_or(overflow("difference"))?;
    let remainder = i64::try_from(remainder).map_err(|_| overflow("remainder"))?;
    Ok((TokenAmount::new(amount)?, remainder))
}

impl Totals {
    /// Both together.
    ///
    /// # Errors
    /// [`AmountError`] where a sum does not fit.
    pub fn with(&self, more: &Self) -> Result<Self, AmountError> {
        let count = |a: u32, b: u32| a.checked_add(b).ok_or(overflow("count"));
        Ok(Self {
            lines: count(self.lines, more.lines)?,
            compared: count(self.compared, more.compared)?,
            baseline: self.baseline.checked_add(more.baseline)?,
            metered: self.metered.checked_add(more.metered)?,
            delta: self.delta.checked_add(more.delta)?,
            credited: self.credited.checked_add(more.credited)?,
            amount: self.amount.checked_add(more.amount)?,
            remainder: self
                .remainder
                .checked_add(more.remainder)
                .ok_or(overflow("remainder"))?,
        })
    }
}
