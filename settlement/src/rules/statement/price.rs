//! Pricing what was compared: each interval at one price, or by a program's formulas.

use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};

use super::compare::Compared;
use super::inputs::{Participation, SiteInputs};
use super::lines::{Line, Reason, SiteStatement, SiteStatus, Totals};
use super::settle::{AmountError, overflow};
use crate::rules::baseline::Outcome;
use crate::rules::exact::Ratio;
use crate::rules::payment::{
    Before, EnergyLine, Explanation, NotCredited, Rounding, SitePayment, SiteWork, WorkInterval, Zero, divide,
};

const MILLIONTHS: i128 = 1_000_000;

/// Each interval at one price, rounded once.
///
/// # Errors
/// [`AmountError`] where an amount or a sum does not fit.
pub(super) fn by_interval(
    site: &SiteInputs,
    compared: Compared,
    price: TokenAmount,
    rounding: Rounding,
) -> Result<SiteStatement, AmountError> {
    let Compared { mut lines, outcome } = compared;
    let mut totals = Totals::default();
    for line in &mut lines {
        let (amount, remainder) = price_of(line.credited, price, rounding)?;
        line.amount = amount;
        if line.reason.is_none() && amount == TokenAmount::ZERO {
            let free = price == TokenAmount::ZERO;
            line.reason = Some(if free {
                Reason::ZeroPrice
            } else {
                Reason::RoundedToZero
            });
        }
        totals = totals.with(&Totals {
            amount,
            remainder,
            ..totals_of(line)
        })?;
    }
    Ok(statement(site, lines, outcome, totals, None))
}

/// The amount for an energy, and what rounding took from it in millionths of a base unit.
fn price_of(
    credited: MilliwattHours,
    price: TokenAmount,
    rounding: Rounding,
) -> Result<(TokenAmount, i64), AmountError> {
    let exact = i128::from(credited.get()).checked_mul(price.base_units());
    let exact = exact.ok_or(overflow("product"))?;
    let amount = divide(exact, MILLIONTHS, rounding)?;
    let back = amount.checked_mul(MILLIONTHS).ok_or(overflow("product"))?;
    let remainder = exact.checked_sub(back).ok_or(overflow("difference"))?;
    let remainder = i64::try_from(remainder).map_err(|_| overflow("remainder"))?;
    Ok((TokenAmount::new(amount)?, remainder))
}

/// What the formulas are given of a site.
///
/// # Errors
/// [`AmountError`] never in practice: a part of its intervals is a fraction.
pub(super) fn work(site: &SiteInputs, compared: &Compared, excused: bool) -> Result<SiteWork, AmountError> {
    let measured = compared
        .lines
        .iter()
        .filter(|line| line.metered.is_some())
        .count();
    let part = |n: usize| i128::try_from(n).map_err(|_| overflow("count"));
    let quality = match compared.lines.len() {
        0 => None,
        all => Some(Ratio::new(part(measured)?, part(all)?)?),
    };
    Ok(SiteWork {
        site: site.site.clone(),
        participation: site.participation.clone(),
        excused,
        intervals: compared.lines.iter().map(worked).collect(),
        nominated: site.offer.nominated_milliwatts,
        committed: None,
        upfront: Before::default(),
        bid: site.offer.bid_per_kwh,
        quality,
        season: site.season.clone(),
    })
}

fn worked(line: &Line) -> WorkInterval {
    let credited = match line.reason {
        None => Ok(line.credited),
        Some(Reason::NotReduced) => Err(NotCredited::NotReduced),
        Some(_) => Err(NotCredited::Unknown),
    };
    // Who signed two values has none.
    let metered = line.metered.filter(|_| line.reason != Some(Reason::Equivocation));
    WorkInterval {
        start: line.start,
        baseline: line.baseline,
        metered,
        credited,
    }
}

/// By formulas, which have been reckoned.
///
/// # Errors
/// [`AmountError`] where a sum does not fit.
pub(super) fn by_formulas(
    site: &SiteInputs,
    compared: Compared,
    payment: SitePayment,
) -> Result<SiteStatement, AmountError> {
    let Compared { mut lines, outcome } = compared;
    let mut totals = Totals::default();
    for (place, line) in lines.iter_mut().enumerate() {
        if line.reason.is_none() {
            (line.amount, line.reason) = by_itself(&payment, place)?;
        }
        totals = totals.with(&totals_of(line))?;
    }
    totals.amount = payment.net;
    totals.remainder = payment.remainder;
    Ok(statement(site, lines, outcome, totals, Some(payment)))
}

/// What an interval earned by itself, where intervals do; else why it is nothing.
fn by_itself(payment: &SitePayment, place: usize) -> Result<(TokenAmount, Option<Reason>), AmountError> {
    let mut amount = TokenAmount::ZERO;
    let mut reason = Reason::PaidAsAWhole;
    for component in &payment.components {
        let Explanation::Energy { lines, .. } = &component.explanation else {
            continue;
        };
        // Where the event's sum was taken to nothing, no interval has earned anything.
        if component.reason == Some(Zero::BelowZero) {
            continue;
        }
        let Some(EnergyLine {
            amount: own,
            reason: why,
            ..
        }) = lines.get(place)
        else {
            continue;
        };
        amount = amount.checked_add(own.unwrap_or_default())?;
        reason = match why {
            Some(Zero::NoPrice) => Reason::NoPrice,
            Some(Zero::NoBid) => Reason::NoBid,
            Some(Zero::ZeroPrice) => Reason::ZeroPrice,
            Some(Zero::RoundedToZero) => Reason::RoundedToZero,
            _ => reason,
        };
    }
    let reason = (amount == TokenAmount::ZERO).then_some(reason);
    Ok((amount, reason))
}

/// A site that was not asked, and whose lines say so: formulas never see it.
///
/// # Errors
/// [`AmountError`] where a sum does not fit.
pub(super) fn unpaid(site: &SiteInputs, compared: Compared) -> Result<SiteStatement, AmountError> {
    let Compared { lines, outcome } = compared;
    let mut totals = Totals::default();
    for line in &lines {
        totals = totals.with(&totals_of(line))?;
    }
    Ok(statement(site, lines, outcome, totals, None))
}

fn statement(
    site: &SiteInputs,
    lines: Vec<Line>,
    outcome: Outcome,
    totals: Totals,
    payment: Option<SitePayment>,
) -> SiteStatement {
    SiteStatement {
        site: site.site.clone(),
        beneficiary: site.beneficiary.clone(),
        status: status(&site.participation, &outcome, &totals),
        participation: site.participation.clone(),
        totals,
        lines,
        payment,
        baseline: outcome,
    }
}

fn status(participation: &Participation, outcome: &Outcome, totals: &Totals) -> SiteStatus {
    match (participation, outcome) {
        _ if totals.amount < TokenAmount::ZERO => SiteStatus::Owes,
        (Participation::OptedOut { .. }, _) => SiteStatus::OptedOut,
        (Participation::NoAnswer, _) => SiteStatus::NoAnswer,
        (Participation::ControlGroup, _) => SiteStatus::ControlGroup,
        (Participation::OptedIn, _) if totals.amount > TokenAmount::ZERO => SiteStatus::Paid,
        (Participation::OptedIn, Outcome::NoBaseline(_)) => SiteStatus::NoBaseline,
        (Participation::OptedIn, _) => SiteStatus::NothingEarned,
    }
}

/// A line's energies.
fn totals_of(line: &Line) -> Totals {
    let totals = Totals {
        lines: 1,
        credited: line.credited,
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
