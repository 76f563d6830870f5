//! Capacity × performance, and the average of a season.

use gridtally_protocol::quantity::{MilliwattHours, Milliwatts, TokenAmount};

use super::inputs::SeasonEvent;
use super::payments::{Component, Due, Explanation, Zero};
use super::round::{Bearer, MILLIONTHS, Rounding, Step, overflow};
use super::site::Checked;
use super::terms::{Capacity, SeasonAverage, Shortfall, Uncounted};
use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::statement::AmountError;

const SECONDS_PER_HOUR: i128 = 3600;

/// Mean power in kW.
fn mean_kw(energy: MilliwattHours, seconds: u32) -> Result<Ratio, ArithmeticError> {
    let numerator = i128::from(energy.get()).checked_mul(SECONDS_PER_HOUR);
    let denominator = i128::from(seconds).checked_mul(MILLIONTHS);
    let (n, d) = numerator.zip(denominator).ok_or(overflow("product"))?;
    Ratio::new(n, d)
}

fn kw(power: Milliwatts) -> Result<Ratio, ArithmeticError> {
    Ratio::new(power.get().into(), MILLIONTHS)
}

/// The component of a capacity formula.
pub(super) fn capacity(
    formula: &Capacity,
    rounding: Rounding,
    seconds: u32,
    site: &Checked<'_>,
) -> Result<Component, AmountError> {
    let work = site.work;
    let committed = work.committed.or(work.nominated);
    let upfront = Ratio::whole(work.upfront.paid.base_units());
    let delivered_kw = mean_kw(site.credited, seconds)?;
    let positive = |power: Option<Milliwatts>| power.filter(|p| *p > Milliwatts::ZERO);
    let performance = match positive(committed).zip(positive(work.nominated)) {
        Some((committed, _)) => Some(delivered_kw.checked_div(kw(committed)?)?),
        None => None,
    };
    let is_shortfall = performance.is_some_and(|p| p < formula.threshold || p < Ratio::ZERO);
    let factor = performance
        .filter(|_| !is_shortfall)
        .map(|p| p.max(formula.floor).min(formula.cap));
    let (exact, reason) = match (factor, formula.shortfall) {
        (Some(factor), _) => {
            let full = kw(work.nominated.unwrap_or_default())?
                .checked_mul(Ratio::whole(formula.rate.base_units()))?;
            let earned = full.checked_mul(factor)?;
            let reason = match () {
                () if formula.rate == TokenAmount::ZERO => Zero::ZeroPrice,
                () if factor == Ratio::ZERO => site.why_nothing(),
                () if upfront.is_positive() => Zero::AlreadyPaid,
                () => Zero::RoundedToZero,
            };
            (earned.max(upfront), reason)
        }
        (None, Shortfall::ClawBack(share)) if is_shortfall => (
            upfront.checked_mul(Ratio::ONE.checked_sub(share)?)?,
            Zero::Shortfall,
        ),
        (None, _) if is_shortfall => (upfront, Zero::Shortfall),
        (None, _) => (upfront, Zero::NothingNominated),
    };
    let due = Due::round(
        exact,
        Step::unit(rounding)?,
        work.upfront,
        Bearer::RoundingAccount,
    )?;
    Component::known(due, reason, |due| Explanation::Capacity {
        nominated: work.nominated,
        committed,
        delivered_kw,
        performance,
        factor,
        clawed_back: due.rounded < due.before.paid,
        due,
    })
}

/// The component of a season's average.
pub(super) fn season_average(
    formula: &SeasonAverage,
    rounding: Rounding,
    seconds: u32,
    site: &Checked<'_>,
) -> Result<Component, AmountError> {
    let before = site.work.season.average;
    let (mut sum, mut events, mut counted_as_zero) = (Ratio::ZERO, 0_u32, 0_u32);
    for event in site
        .work
        .season
        .events
        .iter()
        .copied()
        .chain([site.in_season(seconds)])
    {
        let rule = match event {
            SeasonEvent::Delivered { energy, seconds } => {
                sum = sum.checked_add(mean_kw(energy, seconds)?)?;
                events = events.checked_add(1).ok_or(overflow("count"))?;
                continue;
            }
            SeasonEvent::OptedOut => formula.opted_out,
            SeasonEvent::NoAnswer => Uncounted::Zero,
            SeasonEvent::NotMeasured => formula.not_measured,
            SeasonEvent::Excused => Uncounted::LeftOut,
        };
        if rule == Uncounted::Zero {
            events = events.checked_add(1).ok_or(overflow("count"))?;
            counted_as_zero = counted_as_zero.checked_add(1).ok_or(overflow("count"))?;
        }
    }
    let mean_kw = match events {
        0 => None,
        events => Some(sum.checked_div(Ratio::whole(events.into()))?),
    };
    let (exact, reason) = match mean_kw {
        // Nothing can be said about this season yet: what was paid stays.
        None => (Ratio::whole(before.paid.base_units()), Zero::NoEventCounts),
        Some(mean) => {
            let exact = mean
                .checked_mul(Ratio::whole(formula.rate.base_units()))?
                .max(Ratio::ZERO);
            let reason = match () {
                () if before.paid > TokenAmount::ZERO => Zero::AlreadyPaid,
                () if formula.rate == TokenAmount::ZERO => Zero::ZeroPrice,
                () if exact.is_positive() => Zero::RoundedToZero,
                () => site.why_nothing(),
            };
            (exact, reason)
        }
    };
    let due = Due::round(exact, Step::unit(rounding)?, before, Bearer::RoundingAccount)?;
    Component::known(due, reason, |due| Explanation::SeasonAverage {
        events,
        counted_as_zero,
        mean_kw,
        due,
    })
}
