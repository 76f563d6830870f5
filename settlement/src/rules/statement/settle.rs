//! From inputs to a statement.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use gridtally_protocol::quantity::{Overflow, TokenAmount};

use super::inputs::{SettlementInputs, SiteId, SiteInputs};
use super::lines::{BaselineRef, ProgramRef, RoundingRemainder, Statement, Totals};
use super::sheet::{Sheet, Sum};
use crate::cores;
use crate::rules::baseline::{BaselineRule, FrameError, SeriesError};
use crate::rules::exact::ArithmeticError;
use crate::rules::payment::PaymentError;
use crate::rules::program::{Program, ProgramId};

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
    /// A day has two temperatures.
    #[error("{day} has two temperatures")]
    TemperatureTwice {
        /// The day.
        day: NaiveDate,
    },
    /// A site's readings contradict one another.
    #[error("site {site}: {error}")]
    Readings {
        /// The site.
        site: SiteId,
        /// What is wrong.
        error: SeriesError,
    },
    /// The formulas.
    #[error(transparent)]
    Payment(#[from] PaymentError),
    /// Sites are settled one by one only where each interval has its price.
    #[error("program {program} pays by formulas, and these are reckoned for all sites together")]
    ByFormulas {
        /// The program.
        program: ProgramId,
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
    let sheet = sheet.beside(&inputs.temperatures, &inputs.sites)?;
    let mut by_name = BTreeMap::new();
    for site in &inputs.sites {
        if by_name.insert(&site.site, site).is_some() {
            return Err(SettleError::SiteTwice {
                site: site.site.clone(),
            });
        }
    }
    let (sites, pool) = if inputs.program.price_per_kwh.is_some() {
        let sites: Vec<&SiteInputs> = by_name.into_values().collect();
        let settled = cores::map(&sites, |site| sheet.site(site));
        (settled.into_iter().collect::<Result<Vec<_>, _>>()?, None)
    } else {
        sheet.by_formulas(by_name.into_values(), inputs)?
    };
    let mut sum = Sum::default();
    for site in &sites {
        sum.add(site)?;
    }
    let mut statement = sheet.close(&sum, inputs.carry_in, pool, inputs.pool_carry)?;
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
        payment: program.price_per_kwh.is_none().then(|| program.payment.clone()),
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
        pool_carry: TokenAmount::ZERO,
    })
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
