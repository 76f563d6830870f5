//! Settling site by site.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use gridtally_protocol::quantity::TokenAmount;
use gridtally_protocol::time::Timestamp;

use super::compare::{Compared, Laid, Yardstick, compare};
use super::inputs::{DayTemperature, Event, Participation, SettlementInputs, SiteInputs};
use super::lines::{FORMAT, SiteStatement, Statement, Totals};
use super::price::{by_formulas, by_interval, unpaid, work};
use super::settle::{AmountError, SettleError, carry, reference};
use crate::rules::baseline::{EventCalendar, Frame};
use crate::rules::calendar::LocalSlot;
use crate::rules::exact::Ratio;
use crate::rules::payment::{EventWork, Payments, PoolTotals, pay};
use crate::rules::program::Program;

/// A program's rules, laid out for one event: every site is settled on its own, and summed.
#[derive(Debug, Clone)]
pub struct Sheet<'p> {
    program: &'p Program,
    event: &'p Event,
    event_days: BTreeSet<NaiveDate>,
    yardstick: Yardstick,
}

impl<'p> Sheet<'p> {
    /// Lays an event out; `event_days` are the local days of other dispatches.
    ///
    /// # Errors
    /// [`SettleError`] where event and program do not fit together.
    pub fn new(
        program: &'p Program,
        event: &'p Event,
        event_days: &[NaiveDate],
    ) -> Result<Self, SettleError> {
        if event.program != program.id {
            let (event, program) = (event.program.clone(), program.id.clone());
            return Err(SettleError::OtherProgram { event, program });
        }
        let event_days: BTreeSet<_> = event_days.iter().copied().collect();
        let calendar = EventCalendar {
            zone: program.zone,
            length: program.interval,
            start: event.start,
            end: event.end,
            notified: Some(event.announced_at),
            holidays: program.holidays.clone(),
            event_days: event_days.clone(),
        };
        let frame = Frame::new(&program.baseline, &calendar)?;
        let fallback = program.baseline_fallback.as_ref();
        let fallback = fallback.map(|rule| Frame::new(rule, &calendar)).transpose()?;
        let yardstick = Yardstick {
            own: Laid::new(frame),
            fallback: fallback.map(Laid::new),
            temperatures: BTreeMap::new(),
        };
        Ok(Self {
            program,
            event,
            event_days,
            yardstick,
        })
    }

    /// With what the baselines look at beside a site's own readings: temperatures, and of the sites those of the control
    /// group. The order of neither has a meaning.
    ///
    /// # Errors
    /// [`SettleError`] where one day has two temperatures, or a control site's readings contradict one another.
    pub fn beside(
        mut self,
        temperatures: &[DayTemperature],
        sites: &[SiteInputs],
    ) -> Result<Self, SettleError> {
        for DayTemperature {
            day,
            max_millidegrees,
        } in temperatures
        {
            let max = Ratio::whole((*max_millidegrees).into());
            if self.yardstick.temperatures.insert(*day, max).is_some() {
                return Err(SettleError::TemperatureTwice { day: *day });
            }
        }
        if self.program.control_group.is_some() {
            let controls = sites.iter().filter(|site| is_control(site));
            let mut controls: Vec<&SiteInputs> = controls.collect();
            controls.sort_by(|a, b| a.site.cmp(&b.site));
            for site in controls {
                self.yardstick.add_control(site, self.program.zone)?;
            }
        }
        Ok(self)
    }

    /// Which readings can matter.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.yardstick.own.frame
    }

    /// From when until when readings can matter, the fallback's too.
    #[must_use]
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let (from, until) = self.frame().span();
        let other = self.yardstick.fallback.as_ref().map(|laid| laid.frame.span());
        other.map_or((from, until), |(first, last)| (from.min(first), until.max(last)))
    }

    /// As [`Frame::usual`]; nothing where a fallback may look at other days.
    #[must_use]
    pub fn usual(&self) -> Option<(usize, Timestamp)> {
        if self.yardstick.fallback.is_some() {
            return None;
        }
        self.frame().usual()
    }

    /// When the event was announced.
    #[must_use]
    pub const fn announced_at(&self) -> Timestamp {
        self.event.announced_at
    }

    /// Settles a site of a program that pays each interval at one price.
    ///
    /// # Errors
    /// As [`settle`]; [`SettleError::ByFormulas`] where the program pays otherwise.
    pub fn site(&self, site: &SiteInputs) -> Result<SiteStatement, SettleError> {
        let Some(price) = self.program.price_per_kwh else {
            let program = self.program.id.clone();
            return Err(SettleError::ByFormulas { program });
        };
        let compared = self.compare(site)?;
        by_interval(site, compared, price, self.program.rounding).map_err(of_site(site))
    }

    fn compare(&self, site: &SiteInputs) -> Result<Compared, SettleError> {
        compare(site, self.program.clip, &self.yardstick)
    }

    /// Settles all sites of a program that pays by formulas.
    ///
    /// # Errors
    /// As [`settle`].
    pub(super) fn by_formulas<'s>(
        &self,
        sites: impl Iterator<Item = &'s SiteInputs>,
        inputs: &SettlementInputs,
    ) -> Result<(Vec<SiteStatement>, Option<PoolTotals>), SettleError> {
        let event = EventWork {
            zone: self.program.zone,
            length: self.program.interval,
            starts: self
                .frame()
                .event_intervals()
                .map(|interval| interval.start())
                .collect(),
            published: inputs
                .published
                .iter()
                .map(|price| (price.start, price.per_kwh))
                .collect(),
            pool_carry: inputs.pool_carry,
        };
        let day = LocalSlot::of(self.event.start, self.program.zone).map(|slot| slot.day);
        let mut works = Vec::new();
        let (mut compared, mut controls) = (Vec::new(), Vec::new());
        for site in sites {
            let one = self.compare(site)?;
            if is_control(site) {
                controls.push(unpaid(site, one).map_err(of_site(site))?);
                continue;
            }
            let excused = day.is_some_and(|day| site.outage_days.contains(&day));
            works.push(work(site, &one, excused).map_err(of_site(site))?);
            compared.push((site, one));
        }
        let Payments {
            sites: paid, pool, ..
        } = pay(&self.program.payment, &event, &works)?;
        let settled = compared.into_iter().zip(paid);
        let settled = settled
            .map(|((site, compared), payment)| by_formulas(site, compared, payment).map_err(of_site(site)));
        let mut settled = settled.collect::<Result<Vec<_>, _>>()?;
        settled.append(&mut controls);
        settled.sort_by(|a, b| a.site.cmp(&b.site));
        Ok((settled, pool))
    }

    /// The statement of all sites that were summed, without their own statements.
    ///
    /// # Errors
    /// As [`settle`].
    pub fn close(
        &self,
        sum: &Sum,
        carry_in: i64,
        pool: Option<PoolTotals>,
        pool_carry: TokenAmount,
    ) -> Result<Statement, SettleError> {
        if !(0..1_000_000).contains(&carry_in) {
            return Err(SettleError::CarryIn { carry_in });
        }
        let total = |error| SettleError::Arithmetic { site: None, error };
        let mut rounding = carry(carry_in, sum.totals.remainder).map_err(total)?;
        rounding.pool_carry = pool.map_or(pool_carry, |pool| pool.left);
        // The shares are among the amounts, and partly paid by what the last pool left.
        let pooled = pool.map_or(Ok(TokenAmount::ZERO), |pool| pool.left.checked_sub(pool.carry_in));
        let parts = [
            sum.totals.amount,
            sum.fee,
            rounding.posted,
            pooled.map_err(|e| total(e.into()))?,
        ];
        let escrow_debit = TokenAmount::checked_sum(parts).map_err(|e| total(e.into()))?;
        Ok(Statement {
            format: FORMAT,
            program: reference(self.program),
            event: self.event.clone(),
            event_days: self.event_days.iter().copied().collect(),
            asset: self.program.asset.clone(),
            totals: sum.totals,
            rounding,
            escrow_debit,
            fee: sum.fee,
            pool,
            resettled: None,
            sites: Vec::new(),
        })
    }
}

fn is_control(site: &SiteInputs) -> bool {
    site.participation == Participation::ControlGroup
}

fn of_site(site: &SiteInputs) -> impl Fn(AmountError) -> SettleError + '_ {
    |error| SettleError::Arithmetic {
        site: Some(site.site.clone()),
        error,
    }
}

/// What sites have earned together; sums of parts add up to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    totals: Totals,
    fee: TokenAmount,
}

impl Sum {
    /// Adds a site.
    ///
    /// # Errors
    /// [`SettleError::Arithmetic`] where a sum does not fit.
    pub fn add(&mut self, site: &SiteStatement) -> Result<(), SettleError> {
        self.join(&Self {
            totals: site.totals,
            fee: site.fee(),
        })
    }

    /// Adds what others have earned together.
    ///
    /// # Errors
    /// As [`Sum::add`].
    pub fn join(&mut self, other: &Self) -> Result<(), SettleError> {
        let total = |error| SettleError::Arithmetic { site: None, error };
        self.totals = self.totals.with(&other.totals).map_err(total)?;
        self.fee = self.fee.checked_add(other.fee).map_err(|e| total(e.into()))?;
        Ok(())
    }
}
