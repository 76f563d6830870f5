//! What each event would have credited and paid, under the program's own rule and terms.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use chrono_tz::Tz;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_protocol::time::Timestamp;
use serde::Serialize;

use super::data::{TrialEvent, TrialSite, inputs};
use super::days::local_days;
use crate::rules::program::Program;
use crate::rules::statement::{DayTemperature, SeasonSoFar, SettleError, SiteStatus, Statement, settle};

/// What one event came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventTrial {
    /// Its name.
    pub event: EventId,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// Whether homes were really asked; where not, all of the credit is phantom.
    pub dispatched: bool,
    /// Sites that could have taken part.
    pub sites: usize,
    /// Sites that took part, but have no baseline.
    pub without_baseline: usize,
    /// Sites that opted out or never answered.
    pub not_in: usize,
    /// What is paid for.
    pub credited: MilliwattHours,
    /// What the sites earn, in base units.
    pub amount: TokenAmount,
}

impl EventTrial {
    /// What a statement came to.
    #[must_use]
    pub fn of(event: &TrialEvent, statement: &Statement) -> Self {
        let with = |wanted: &[SiteStatus]| {
            statement
                .sites
                .iter()
                .filter(|s| wanted.contains(&s.status))
                .count()
        };
        Self {
            event: event.id.clone(),
            start: event.start,
            end: event.end,
            dispatched: event.dispatched,
            sites: statement.sites.len(),
            without_baseline: with(&[SiteStatus::NoBaseline]),
            not_in: with(&[
                SiteStatus::OptedOut,
                SiteStatus::NoAnswer,
                SiteStatus::ControlGroup,
            ]),
            credited: statement.totals.credited,
            amount: statement.totals.amount,
        }
    }
}

/// The local days of all events.
#[must_use]
pub fn event_days(events: &[TrialEvent], zone: Tz) -> BTreeSet<NaiveDate> {
    events
        .iter()
        .flat_map(|event| local_days(event.start, event.end, zone))
        .collect()
}

/// Settles the events one after the other, by their start, as they would have been: each carries on from the one before,
/// and formulas that look back on a season see those that were before it. `other_days` are local days of other dispatches.
/// The statements are in the order of time.
///
/// # Errors
/// [`SettleError`] of [`settle`].
pub fn replay(
    program: &Program,
    sites: &[TrialSite],
    temperatures: &[DayTemperature],
    events: &[TrialEvent],
    other_days: &BTreeSet<NaiveDate>,
) -> Result<Vec<Statement>, SettleError> {
    let days = event_days(events, program.zone);
    let days: Vec<NaiveDate> = days.union(other_days).copied().collect();
    let mut in_order: Vec<&TrialEvent> = events.iter().collect();
    in_order.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
    let mut settled: Vec<Statement> = Vec::new();
    let mut season = SeasonSoFar::default();
    for event in in_order {
        let mut inputs = inputs(
            program,
            sites,
            temperatures,
            event,
            &days,
            program.lookback_days(),
        );
        if let Some(last) = settled.last() {
            (inputs.carry_in, inputs.pool_carry) = (last.rounding.carry_out, last.rounding.pool_carry);
        }
        if program.payment.looks_back() {
            let total = |error| SettleError::Arithmetic { site: None, error };
            let mut so_far = season.enter(program, event.start).map_err(total)?;
            for site in &mut inputs.sites {
                site.season = so_far.remove(&site.site).unwrap_or_default();
            }
        }
        let statement = settle(&inputs)?;
        if program.payment.looks_back() {
            season.settled(statement.clone());
        }
        settled.push(statement);
    }
    Ok(settled)
}
