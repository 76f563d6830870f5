//! From terms and work to payments.

use std::collections::BTreeMap;

use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};

use super::energy::{energy, event_prices, points};
use super::error::PaymentError;
use super::inputs::{Before, EventWork, SiteWork};
use super::payments::{Component, Due, Explanation, FeeTaken, Payments, PoolTotals, SitePayment, Zero};
use super::pool::{PoolPart, Shares, share_out};
use super::power::{Duration, capacity, season_average};
use super::round::{Bearer, Rounding, Step, overflow, round};
use super::site::Checked;
use super::terms::{DataBonus, Fee, FeePayer, FeeRounding, Formula, Pool, Terms, Weight};
use crate::rules::exact::Ratio;
use crate::rules::statement::AmountError;

/// Pays for one event's work. The order of the sites and of their intervals has no meaning.
///
/// # Errors
/// [`PaymentError`] where the inputs contradict one another or a value does not fit its integer. A site that earns
/// nothing is no error: its components say why.
pub fn pay(terms: &Terms, event: &EventWork, sites: &[SiteWork]) -> Result<Payments, PaymentError> {
    let pricing = EventPricing::new(terms, event)?;
    let total = |error| PaymentError::Arithmetic { site: None, error };
    let mut by_name = BTreeMap::new();
    for work in sites {
        if by_name.insert(&work.site, work).is_some() {
            let site = work.site.clone();
            return Err(PaymentError::SiteTwice { site });
        }
    }
    let mut weights = BTreeMap::new();
    for (site, work) in &by_name {
        if let Some(weight) = pricing.weight(work)? {
            weights.insert(*site, weight);
        }
    }
    let shares = pricing.share_out(&weights).map_err(total)?;
    let mut paid = Vec::with_capacity(by_name.len());
    let mut remainder = 0_i64;
    for (site, work) in by_name {
        let part = match &shares {
            Some(shares) => shares.part(&site).map_err(total)?,
            None => None,
        };
        let payment = pricing.pay_site(work, part)?;
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

/// The terms with all that is the same for every site of an event: what [`pay`] is made of, for who has too many
/// sites to hold them at once. Only a pool needs all sites: first the weight of each, then [`Self::share_out`], then
/// [`Self::pay_site`].
#[derive(Debug)]
pub struct EventPricing<'e> {
    terms: &'e Terms,
    event: &'e EventWork,
    duration: Duration,
    /// For each formula the price of each interval; empty where it has none.
    prices: Vec<Vec<Option<TokenAmount>>>,
}

impl<'e> EventPricing<'e> {
    /// Looks the event through.
    ///
    /// # Errors
    /// [`PaymentError`] where its intervals are not in order, or a value of its own is below zero.
    pub fn new(terms: &'e Terms, event: &'e EventWork) -> Result<Self, PaymentError> {
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
            duration: Duration {
                interval_seconds: event.length.seconds(),
                seconds: seconds.ok_or(PaymentError::Arithmetic {
                    site: None,
                    error: overflow("duration").into(),
                })?,
            },
            prices: terms.formulas.iter().map(prices).collect(),
        })
    }

    fn pool(&self) -> Option<&'e Pool> {
        self.terms.pool()
    }

    /// What a site's share of the pool is measured by; `None` where there is no pool.
    ///
    /// # Errors
    /// [`PaymentError`] where its inputs contradict one another.
    pub fn weight(&self, work: &SiteWork) -> Result<Option<u64>, PaymentError> {
        let weight = |pool| Ok(weight(pool, &Checked::new(self.event, work)?));
        self.pool().map(weight).transpose()
    }

    /// Shares out the event's pool, where it has one.
    ///
    /// # Errors
    /// [`AmountError`] where the pool does not fit.
    pub fn share_out<K: Ord + Clone>(
        &self,
        weights: &BTreeMap<K, u64>,
    ) -> Result<Option<Shares<K>>, AmountError> {
        let shares = |pool: &Pool| share_out(pool.amount, self.event.pool_carry, weights, pool.left_over);
        self.pool().map(shares).transpose()
    }

    /// Pays for one site's work; `part` is its part of the pool, where there is one.
    ///
    /// # Errors
    /// [`PaymentError`] where its inputs contradict one another or a value does not fit.
    pub fn pay_site(&self, work: &SiteWork, part: Option<PoolPart>) -> Result<SitePayment, PaymentError> {
        let site = Checked::new(self.event, work)?;
        if self.pool().is_some() && part.is_none() {
            let site = work.site.clone();
            return Err(PaymentError::NoShare { site });
        }
        self.pay_checked(&site, part)
            .map_err(|error| PaymentError::Arithmetic {
                site: Some(work.site.clone()),
                error,
            })
    }

    fn pay_checked(&self, site: &Checked<'_>, part: Option<PoolPart>) -> Result<SitePayment, AmountError> {
        let rounding = self.terms.rounding;
        let mut components: Vec<Component> = Vec::with_capacity(self.terms.formulas.len());
        for (formula, prices) in self.terms.formulas.iter().zip(&self.prices) {
            let component = match formula {
                Formula::Energy(f) => energy(f, prices, rounding, &self.event.starts, site)?,
                Formula::Capacity(f) => capacity(f, rounding, self.duration, site)?,
                Formula::SeasonAverage(f) => season_average(f, rounding, self.duration, site)?,
                Formula::Points(f) => points(f, site)?,
                Formula::Pool(_) => match part {
                    Some(part) => pool_share(part, site),
                    None => continue, // refused before
                },
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

fn pool_share(part: PoolPart, site: &Checked<'_>) -> Component {
    let PoolPart {
        pool,
        total_weight,
        share,
    } = part;
    let reason = match () {
        () if share.amount != TokenAmount::ZERO => None,
        () if site.credited <= MilliwattHours::ZERO => Some(site.why_nothing()),
        () if pool == TokenAmount::ZERO => Some(Zero::ZeroPrice),
        () => Some(Zero::RoundedToZero),
    };
    Component {
        amount: Some(share.amount),
        reason,
        remainder: 0,
        explanation: Explanation::Pool {
            pool,
            total_weight: Ratio::whole(total_weight),
            share,
        },
    }
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
