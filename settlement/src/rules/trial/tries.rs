//! One day without an event, under every rule.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::accuracy::Tallies;
use super::adjustments::Adjustments;
use super::contenders::Contender;
use super::data::{TrialEvent, TrialSite, inputs};
use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::statement::{DayTemperature, SettleError, SiteId, SiteStatus, settle};

/// Why a day cannot be tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TryError {
    /// It cannot be settled.
    #[error("under {rule}: {error}")]
    Settle {
        /// Under which rule.
        rule: String,
        /// Why not.
        error: SettleError,
    },
    /// A sum does not fit.
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
}

/// What the rules did, in the order of the contenders; the first is the program's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scores {
    /// How far they were off.
    pub rules: Vec<Tallies>,
    /// What the adjustment of the program's own rule did.
    pub adjustments: Adjustments,
}

impl Scores {
    /// Adds what was found on other days; the order has no meaning.
    ///
    /// # Errors
    /// [`ArithmeticError`] where a sum does not fit.
    pub fn join(&mut self, more: &Self) -> Result<(), ArithmeticError> {
        self.rules
            .resize_with(self.rules.len().max(more.rules.len()), Tallies::default);
        for (rule, more) in self.rules.iter_mut().zip(&more.rules) {
            rule.join(more)?;
        }
        self.adjustments = self.adjustments.with(&more.adjustments);
        Ok(())
    }
}

/// What stays the same from day to day.
#[derive(Debug, Clone, Copy)]
pub struct Trying<'t> {
    /// The rules; the first is the program's own.
    pub contenders: &'t [Contender],
    /// The sites.
    pub sites: &'t [TrialSite],
    /// How warm it was, where that is known.
    pub temperatures: &'t [DayTemperature],
    /// The mean size of each site's readings.
    pub sizes: &'t BTreeMap<SiteId, Ratio>,
    /// Local days of events, which are not compared.
    pub event_days: &'t [NaiveDate],
    /// How far back the rules read.
    pub reach_days: u32,
}

impl Trying<'_> {
    /// Settles one day on which nothing was asked under every rule.
    ///
    /// # Errors
    /// [`TryError`] where the day does not fit the calendar, or a value its integer.
    pub fn day(&self, day: &TrialEvent) -> Result<Scores, TryError> {
        let mut scores = Scores::default();
        let Some(own) = self.contenders.first() else {
            return Ok(scores);
        };
        let mut inputs = inputs(
            &own.program,
            self.sites,
            self.temperatures,
            day,
            self.event_days,
            self.reach_days,
        );
        for (at, contender) in self.contenders.iter().enumerate() {
            inputs.program = contender.program.clone();
            let statement = settle(&inputs).map_err(|error| TryError::Settle {
                rule: contender.name().to_owned(),
                error,
            })?;
            let mut tallies = Tallies::default();
            // Those that others are compared with do not say how well they are compared.
            let compared = statement.sites.iter();
            for site in compared.filter(|site| site.status != SiteStatus::ControlGroup) {
                tallies.add(site)?;
                if at == 0 {
                    let size = self.sizes.get(&site.site).copied().unwrap_or(Ratio::ZERO);
                    scores.adjustments.add(site, size)?;
                }
            }
            scores.rules.push(tallies);
        }
        Ok(scores)
    }
}
