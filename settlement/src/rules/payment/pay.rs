//! From terms and work to payments.

use std::collections::BTreeMap;

use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};

use super::energy::{energy, event_prices, points};
use super::error::PaymentError;
use super::inputs::{Before, EventWork, SiteWork};
use super::payments::{Component, Due, Explanation, FeeTaken, Payments, PoolTotals, SitePayment, Zero};
use super::pool::{Shares, share_out};
use super::power::{capacity, season_average};
use super::round::{Bearer, Rounding, Step, overflow, round};
use super::site::Checked;
use super::terms::{DataBonus, Fee, FeePayer, FeeRounding, Formula, Pool, Terms, Weight};
use crate::rules::exact::Ratio;
use crate::rules::statement::{AmountError, SiteId};

/// Pays for one event's work. The order of the sites and of their intervals has no meaning.
///
/// # Errors
/// [`PaymentError`] where the inputs contradict one another or a value does not fit its integer. A site that earns
/// nothing is no error: its components say why.
pub fn pay(terms: &Terms, event: &EventWork, sites: &[SiteWork]) -> Result<Payments, PaymentError> {
    let pricing = EventPricing::new(terms, event)?;
    let mut checked = BTreeMap::new();
    for work in sites {
        let site = Checked::new(event, work)?;
        if checked.insert(&work.site, site).is_some() {
            return Err(PaymentError::SiteTwice {
                site: work.site.clone(),
            });
        }
    }
    let total = |error| PaymentError::Arithmetic { site: None, error };
    let shares = pricing.share_out(&checked).map_err(total)?;
    let mut paid = Vec::with_capacity(checked.len());
    let mut remainder = 0_i64;
    for site in checked.values() {
        let arithmetic = |error| PaymentError::Arithmetic {
            site: Some(site.work.site.clone()),
            error,
        };
        let payment = pricing.pay_site(site, shares.as_ref()).map_err(arithmetic)?;
        let sum = remainder.checked_add(payment.remainder);
        remainder = sum.ok_or_else(|| total(overflow("remainder").into()))?;
        paid.push(payment);
    }
    let pool = shares.map(|s| PoolTotals {
        drawn: s.drawn,
        carry_in: s.carry_in,
        left: s.left,
    });
    Ok(Payments {
        sites: paid,
        pool,
        remainder,
    })
}

/// The terms with all that is the same for every site of an event.
struct EventPricing<'e> {
    terms: &'e Terms,
    event: &'e EventWork,
    seconds: u32,
    /// For each formula the price of each interval; empty where it has none.
    prices: Vec<Vec<Option<TokenAmount>>>,
}

impl<'e> EventPricing<'e> {
    fn new(terms: &'e Terms, event: &'e EventWork) -> Result<Self, PaymentError> {
        let in_order = event.starts.is_sorted_by(|a, b| a < b);
        if event.starts.is_empty() || !in_order {
            return Err(PaymentError::Starts);
        }
        let negative = |what| Err(PaymentError::NegativeEvent { what });
        if event.pool_carry < TokenAmount::ZERO {
            return negative("carry of its pool");
        }
        if event.published.values().any(|p| *p < TokenAmount::ZERO) {
            return negative("published price");
        }
        let count = u32::try_from(event.starts.len()).ok();
        let seconds = count.and_then(|n| n.checked_mul(event.length.seconds()));
        let prices = |formula: &Formula| match formula {
            Formula::Energy(energy) => event_prices(&energy.price, event),
            _ => Vec::new(),
        };
        Ok(Self {
            terms,
            event,
            seconds: seconds.ok_or(PaymentError::Arithmetic {
                site: None,
                error: overflow("duration").into(),
            })?,
            prices: terms.formulas.iter().map(prices).collect(),
        })
    }

    fn share_out(
        &self,
        sites: &BTreeMap<&'e SiteId, Checked<'e>>,
    ) -> Result<Option<Shares<&'e SiteId>>, AmountError> {
        let pool = self.terms.formulas.iter().find_map(|f| match f {
            Formula::Pool(pool) => Some(pool),
            _ => None,
        });
        let Some(pool) = pool else {
            return Ok(None);
        };
        let weights = sites.iter().map(|(id, site)| (*id, weight(pool, site))).collect();
        share_out(pool.amount, self.event.pool_carry, &weights, pool.left_over).map(Some)
    }

    fn pay_site(
        &self,
        site: &Checked<'_>,
        shares: Option<&Shares<&'e SiteId>>,
    ) -> Result<SitePayment, AmountError> {
        let rounding = self.terms.rounding;
        let mut components: Vec<Component> = Vec::with_capacity(self.terms.formulas.len());
        for (formula, prices) in self.terms.formulas.iter().zip(&self.prices) {
            let component = match formula {
                Formula::Energy(f) => energy(f, prices, rounding, &self.event.starts, site)?,
                Formula::Capacity(f) => capacity(f, rounding, self.seconds, site)?,
                Formula::SeasonAverage(f) => season_average(f, rounding, self.seconds, site)?,
                Formula::Points(f) => points(f, site)?,
                Formula::Pool(_) => pool_share(shares, site)?,
                Formula::DataBonus(f) => data_bonus(f, sum(&components)?, site)?,
            };
            components.push(component);
        }
        let gross = sum(&components)?;
        let fee = self.terms.fee.as_ref().map(|f| take_fee(f, gross)).transpose()?;
        let net = match fee {
            Some(fee) if fee.paid_by == FeePayer::Site => gross.checked_sub(fee.amount)?,
            _ => gross,
        };
        let remainders = components.iter().map(|c| c.remainder);
        let remainder = remainders.into_iter().try_fold(0_i64, i64::checked_add);
        Ok(SitePayment {
            site: site.work.site.clone(),
            components,
            gross,
            fee,
            net,
            remainder: remainder.ok_or(overflow("remainder"))?,
        })
    }
}

fn sum(components: &[Component]) -> Result<TokenAmount, AmountError> {
    Ok(TokenAmount::checked_sum(
        components.iter().filter_map(|c| c.amount),
    )?)
}

fn weight(pool: &Pool, site: &Checked<'_>) -> u64 {
    // Below zero is no work.
    let energy = u64::try_from(site.credited.get()).unwrap_or(0);
    match pool.weight {
        Weight::Energy => energy,
        Weight::EqualShares => energy.min(1),
    }
}

fn pool_share(shares: Option<&Shares<&SiteId>>, site: &Checked<'_>) -> Result<Component, AmountError> {
    let found = shares.and_then(|s| Some((s, *s.shares.get(&site.work.site)?)));
    let (shares, share) = found.ok_or(overflow("pool"))?; // every site has a share, be it of nothing
    let pool = shares.drawn.checked_add(shares.carry_in)?;
    let reason = match () {
        () if share.amount != TokenAmount::ZERO => None,
        () if site.credited <= MilliwattHours::ZERO => Some(site.why_nothing()),
        () if pool == TokenAmount::ZERO => Some(Zero::ZeroPrice),
        () => Some(Zero::RoundedToZero),
    };
    Ok(Component {
        amount: Some(share.amount),
        reason,
        remainder: 0,
        explanation: Explanation::Pool {
            pool,
            total_weight: Ratio::whole(shares.total_weight),
            share,
        },
    })
}

fn data_bonus(formula: &DataBonus, rest: TokenAmount, site: &Checked<'_>) -> Result<Component, AmountError> {
    let quality = site.work.quality.unwrap_or(Ratio::ZERO);
    let full = Ratio::whole(formula.amount.base_units()).checked_mul(quality)?;
    let bound = Ratio::whole(rest.base_units().max(0)).checked_mul(formula.most)?;
    let step = Step::unit(Rounding::Down)?;
    let due = Due::round(full.min(bound), step, Before::default(), Bearer::RoundingAccount)?;
    let reason = match () {
        () if quality == Ratio::ZERO => Zero::NoQuality,
        () if full == Ratio::ZERO => Zero::ZeroPrice,
        () if bound == Ratio::ZERO => Zero::NothingElsePaid,
        () => Zero::RoundedToZero,
    };
    Component::known(due, reason, |due| Explanation::DataBonus {
        quality: site.work.quality,
        rest,
        bounded: bound < full,
        due,
    })
}

fn take_fee(fee: &Fee, gross: TokenAmount) -> Result<FeeTaken, AmountError> {
    let exact = Ratio::whole(gross.base_units().max(0)).checked_mul(fee.share)?;
    let rounding = match fee.rounding_paid_by {
        FeeRounding::FeeAccount => Rounding::Down,
        FeeRounding::Payer => Rounding::Ceil,
    };
    Ok(FeeTaken {
        share: fee.share,
        exact,
        amount: TokenAmount::new(round(exact, rounding)?)?,
        paid_by: fee.paid_by,
        rounding_paid_by: fee.rounding_paid_by,
    })
}
