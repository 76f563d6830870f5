//! Capacity × performance, and the average of a season.

use gridtally_protocol::quantity::{MilliwattHours, Milliwatts, TokenAmount};

use super::inputs::SeasonEvent;
use super::payments::{Component, Due, Explanation, Zero};
use super::round::{Bearer, MILLIONTHS, Rounding, Step, overflow};
use super::site::Checked;
use super::terms::{Capacity, SeasonAverage, Shortfall, Uncounted};
use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::statement::{AmountError, Participation};

const SECONDS_PER_HOUR: i128 = 3600;

/// How long an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Duration {
    /// Each interval.
    pub interval_seconds: u32,
    /// All of them.
    pub seconds: u32,
}

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
    duration: Duration,
    site: &Checked<'_>,
) -> Result<Component, AmountError> {
    let work = site.work;
    let upfront = Ratio::whole(work.upfront.paid.base_units());
    let delivery = Delivery::of(duration, site)?;
    let is_enough = |performance: Ratio| performance >= formula.threshold.max(Ratio::ZERO);
    let factor = delivery
        .performance
        .filter(|p| is_enough(*p))
        .map(|p| p.max(formula.floor).min(formula.cap));
    let (exact, reason) = match factor {
        Some(factor) => {
            let rate = Ratio::whole(formula.rate.base_units());
            let earned = kw(delivery.nominated)?.checked_mul(rate)?.checked_mul(factor)?;
            let reason = match () {
                () if formula.rate == TokenAmount::ZERO => Zero::ZeroPrice,
                () if factor == Ratio::ZERO => site.why_nothing(),
                () if upfront.is_positive() => Zero::AlreadyPaid,
                () => Zero::RoundedToZero,
            };
            (earned.max(upfront), reason)
        }
        None if delivery.performance.is_none() => (upfront, Zero::NothingNominated),
        None => match spared(site, delivery.measured_performance.is_some_and(is_enough)) {
            Some(reason) => (upfront, reason),
            None => (kept(formula.shortfall, upfront)?, Zero::Shortfall),
        },
    };
    let due = Due::round(
        exact,
        Step::unit(rounding)?,
        work.upfront,
        Bearer::RoundingAccount,
    )?;
    Component::known(due, reason, |due| Explanation::Capacity {
        nominated: work.nominated,
        committed: work.committed.or(work.nominated),
        delivered_kw: delivery.kw,
        performance: delivery.performance,
        measured_performance: delivery.measured_performance,
        factor,
        clawed_back: due.rounded < due.before.paid,
        due,
    })
}

/// What a site delivered of what it nominated.
struct Delivery {
    nominated: Milliwatts,
    kw: Ratio,
    /// None where nothing was nominated or called for.
    performance: Option<Ratio>,
    /// None where, besides, nothing was measured.
    measured_performance: Option<Ratio>,
}

impl Delivery {
    fn of(duration: Duration, site: &Checked<'_>) -> Result<Self, ArithmeticError> {
        let positive = |power: Option<Milliwatts>| power.filter(|p| *p > Milliwatts::ZERO);
        let nominated = positive(site.work.nominated);
        let committed = positive(site.work.committed.or(site.work.nominated)).filter(|_| nominated.is_some());
        let performance_over = |seconds: u32| match committed {
            Some(committed) if seconds > 0 => mean_kw(site.credited, seconds)?
                .checked_div(kw(committed)?)
                .map(Some),
            _ => Ok(None),
        };
        let measured = site
            .measured()
            .and_then(|n| n.checked_mul(duration.interval_seconds));
        Ok(Self {
            nominated: nominated.unwrap_or_default(),
            kw: mean_kw(site.credited, duration.seconds)?,
            performance: performance_over(duration.seconds)?,
            measured_performance: performance_over(measured.ok_or(overflow("duration"))?)?,
        })
    }
}

/// Why a shortfall is not held against a site: nobody is punished for an outage, or for what was not measured.
fn spared(site: &Checked<'_>, is_enough_where_measured: bool) -> Option<Zero> {
    let took_part = site.work.participation == Participation::OptedIn;
    if site.work.excused {
        Some(Zero::Excused)
    } else if took_part && site.measured() == Some(0) {
        Some(site.why_nothing())
    } else if is_enough_where_measured {
        Some(Zero::NotMeasured)
    } else {
        None
    }
}

/// What a site keeps in a shortfall.
fn kept(shortfall: Shortfall, upfront: Ratio) -> Result<Ratio, ArithmeticError> {
    match shortfall {
        Shortfall::Nothing => Ok(upfront),
        Shortfall::ClawBack(share) => upfront.checked_mul(Ratio::ONE.checked_sub(share)?),
    }
}

/// The component of a season's average.
pub(super) fn season_average(
    formula: &SeasonAverage,
    rounding: Rounding,
    duration: Duration,
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
        .chain([site.in_season(duration.seconds)])
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
