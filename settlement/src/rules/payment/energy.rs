//! Energy × price, and points for energy.

use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_protocol::time::Timestamp;

use super::inputs::{Before, EventWork};
use super::payments::{Ceiling, Component, Due, EnergyLine, Explanation, Zero};
use super::round::{Bearer, MILLIONTHS, Rounding, Step, divide, overflow};
use super::site::{Checked, Slot};
use super::terms::{Band, BelowZero, Energy, Points, Price, RoundPer};
use crate::rules::calendar::LocalSlot;
use crate::rules::exact::Ratio;
use crate::rules::statement::AmountError;

/// The prices of an event's intervals, where they are the same for every site.
pub(super) fn event_prices(price: &Price, event: &EventWork) -> Vec<Option<TokenAmount>> {
    let at = |(i, start): (usize, &Timestamp)| match price {
        Price::Flat(price) => Some(*price),
        Price::List(prices) => prices.get(i).copied().flatten(),
        Price::TimeOfDay(bands) => {
            let second = LocalSlot::of(*start, event.zone)?.second;
            let covers = |band: &&Band| (band.from..band.to).contains(&second);
            bands.iter().find(covers).map(|band| band.price)
        }
        Price::Published => event.published.get(start).copied(),
        Price::Bid { .. } => None,
    };
    event.starts.iter().enumerate().map(at).collect()
}

/// The component of an energy formula; `prices` are [`event_prices`].
pub(super) fn energy(
    formula: &Energy,
    prices: &[Option<TokenAmount>],
    rounding: Rounding,
    starts: &[Timestamp],
    site: &Checked<'_>,
) -> Result<Component, AmountError> {
    let (bid, no_price) = match &formula.price {
        Price::Bid { ceiling } => (site.work.bid.map(|bid| bid.min(*ceiling)), Zero::NoBid),
        _ => (None, Zero::NoPrice),
    };
    let pricing = Pricing {
        per: formula.round_per,
        rounding,
        no_price,
    };
    let mut lines = Vec::with_capacity(starts.len());
    for ((start, slot), price) in starts.iter().zip(&site.slots).zip(prices) {
        lines.push(pricing.line(*start, slot, price.or(bid))?);
    }
    let unpriced = lines.iter().filter(|l| l.exact_millionths.is_none());
    let unpriced = MilliwattHours::checked_sum(unpriced.map(|l| l.credited))?;
    let due = sum(&lines, formula, rounding)?;
    let reason = why_nothing(&lines, &due, site);
    let explain = |due| Explanation::Energy {
        credited: site.credited,
        unpriced,
        lines,
        due,
    };
    let is_open = reason == no_price;
    let mut component = Component::known(due, reason, explain)?;
    if is_open {
        component.amount = None;
    }
    Ok(component)
}

struct Pricing {
    per: RoundPer,
    rounding: Rounding,
    no_price: Zero,
}

impl Pricing {
    fn line(
        &self,
        start: Timestamp,
        slot: &Slot,
        price: Option<TokenAmount>,
    ) -> Result<EnergyLine, AmountError> {
        let exact = match price {
            _ if slot.credited == MilliwattHours::ZERO => Some(0),
            None => None,
            Some(price) => {
                let product = i128::from(slot.credited.get()).checked_mul(price.base_units());
                Some(product.ok_or(overflow("product"))?)
            }
        };
        let rounded = match (self.per, exact) {
            (RoundPer::Interval, Some(exact)) => Some(divide(exact, MILLIONTHS, self.rounding)?),
            _ => None,
        };
        let reason = match (exact, rounded) {
            (None, _) => Some(self.no_price),
            (Some(0), _) => slot.reason.or(Some(Zero::ZeroPrice)),
            (Some(_), Some(0)) => Some(Zero::RoundedToZero),
            (Some(_), _) => None,
        };
        Ok(EnergyLine {
            start,
            credited: slot.credited,
            price,
            exact_millionths: exact,
            amount: rounded.map(TokenAmount::new).transpose()?,
            reason,
        })
    }
}

fn sum(lines: &[EnergyLine], formula: &Energy, rounding: Rounding) -> Result<Due, AmountError> {
    let exact = lines.iter().filter_map(|l| l.exact_millionths);
    let exact = exact.into_iter().try_fold(0_i128, i128::checked_add);
    let mut exact = exact.ok_or(overflow("sum"))?;
    let mut rounded = match formula.round_per {
        RoundPer::Interval => TokenAmount::checked_sum(lines.iter().filter_map(|l| l.amount))?,
        RoundPer::Event => TokenAmount::new(divide(exact, MILLIONTHS, rounding)?)?,
    };
    if formula.below_zero == BelowZero::Nothing {
        rounded = if exact > 0 {
            rounded.max(TokenAmount::ZERO)
        } else {
            TokenAmount::ZERO
        };
        exact = exact.max(0);
    }
    Ok(Due {
        exact: Ratio::new(exact, MILLIONTHS)?,
        step: Step::unit(rounding)?,
        rounding_borne_by: Bearer::RoundingAccount,
        rounded,
        before: Before::default(),
    })
}

fn why_nothing(lines: &[EnergyLine], due: &Due, site: &Checked<'_>) -> Zero {
    let counted = || lines.iter().filter(|l| l.credited != MilliwattHours::ZERO);
    let open = counted().find(|l| l.exact_millionths.is_none());
    let has_priced = counted().any(|l| l.exact_millionths.is_some());
    match open.and_then(|l| l.reason) {
        Some(reason) if !has_priced => return reason,
        _ => {}
    }
    if counted().next().is_none() {
        site.why_nothing()
    } else if counted().all(|l| l.exact_millionths.unwrap_or(0) == 0) {
        Zero::ZeroPrice
    } else if due.exact > Ratio::ZERO {
        Zero::RoundedToZero
    } else {
        Zero::BelowZero
    }
}

/// The component of a points formula.
pub(super) fn points(formula: &Points, site: &Checked<'_>) -> Result<Component, AmountError> {
    let credited = i128::from(site.credited.get()).max(0);
    let product = credited.checked_mul(formula.per_kwh.base_units());
    let exact = Ratio::new(product.ok_or(overflow("product"))?, MILLIONTHS)?;
    let uncapped = Due::round(exact, formula.step, Before::default(), Bearer::Escrow)?;
    let (mut due, mut cut_by) = (uncapped, None);
    let season_left = match formula.season_ceiling {
        None => None,
        Some(ceiling) => Some(
            ceiling
                .checked_sub(site.work.season.points)?
                .max(TokenAmount::ZERO),
        ),
    };
    for (ceiling, which) in [
        (formula.event_ceiling, Ceiling::Event),
        (season_left, Ceiling::Season),
    ] {
        if let Some(ceiling) = ceiling.filter(|c| *c < due.rounded) {
            due.exact = Ratio::whole(ceiling.base_units());
            due.rounded = ceiling;
            cut_by = Some(which);
        }
    }
    let reason = match cut_by {
        Some(_) => Zero::CeilingReached,
        None if credited == 0 => site.why_nothing(),
        None if formula.per_kwh == TokenAmount::ZERO => Zero::ZeroPrice,
        None => Zero::RoundedToZero,
    };
    Component::known(due, reason, |due| Explanation::Points {
        credited: site.credited,
        uncapped: uncapped.rounded,
        cut_by,
        due,
    })
}
