//! A season so far: what each site did in earlier events, and what it was paid for that, from their statements.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use gridtally_protocol::time::Timestamp;

use super::inputs::{Participation, SiteId};
use super::lines::{SiteStatement, Statement};
use super::settle::{AmountError, overflow};
use crate::rules::calendar::LocalSlot;
use crate::rules::payment::{Before, Component, Explanation, Season, SeasonEvent};
use crate::rules::program::Program;

/// The season of each site. `events` has for each event all versions of its statement, the first one first: of a site
/// whose difference was not paid the version before stands.
///
/// # Errors
/// [`AmountError`] where a sum does not fit.
pub fn seasons(events: &[Vec<Statement>]) -> Result<BTreeMap<SiteId, Season>, AmountError> {
    let mut seasons: BTreeMap<SiteId, Season> = BTreeMap::new();
    for versions in events {
        let Some(newest) = versions.last() else {
            continue;
        };
        let seconds = u32::try_from(newest.event.end.seconds_since(newest.event.start)).unwrap_or(0);
        for site in standing(versions).into_values() {
            let season = seasons.entry(site.site.clone()).or_default();
            season.events.push(did(site, seconds));
            add(season, site)?;
        }
    }
    Ok(seasons)
}

/// The season of events that are settled one after the other, in the order of time.
#[derive(Debug, Default)]
pub struct SeasonSoFar {
    dates: Option<(NaiveDate, NaiveDate)>,
    /// Its events before the one that is settled.
    before: Vec<Vec<Statement>>,
}

impl SeasonSoFar {
    /// What each site did in the season of an event that begins then; another season's events are forgotten.
    ///
    /// # Errors
    /// As [`seasons`].
    pub fn enter(
        &mut self,
        program: &Program,
        start: Timestamp,
    ) -> Result<BTreeMap<SiteId, Season>, AmountError> {
        let day = LocalSlot::of(start, program.zone).map(|slot| slot.day);
        let dates = day.and_then(|day| program.dispatch.season_around(day));
        if dates.is_none() || dates != self.dates {
            self.before.clear();
        }
        self.dates = dates;
        seasons(&self.before)
    }

    /// The event is settled: the next ones see it.
    pub fn settled(&mut self, statement: Statement) {
        self.before.push(vec![statement]);
    }
}

/// The version of each site's part that was paid.
fn standing(versions: &[Statement]) -> BTreeMap<&SiteId, &SiteStatement> {
    let mut standing = BTreeMap::new();
    for statement in versions {
        let differs = statement.resettled.iter().flat_map(|r| &r.sites);
        let kept: BTreeMap<&SiteId, bool> = differs.map(|site| (&site.site, site.settled)).collect();
        for site in &statement.sites {
            if kept.get(&site.site).copied().unwrap_or(true) {
                standing.insert(&site.site, site);
            }
        }
    }
    standing
}

fn did(site: &SiteStatement, seconds: u32) -> SeasonEvent {
    match site.participation {
        Participation::OptedOut { .. } => SeasonEvent::OptedOut,
        Participation::NoAnswer => SeasonEvent::NoAnswer,
        Participation::ControlGroup => SeasonEvent::Excused,
        Participation::OptedIn if site.totals.compared > 0 => SeasonEvent::Delivered {
            energy: site.totals.credited,
            seconds,
        },
        Participation::OptedIn => SeasonEvent::NotMeasured,
    }
}

fn add(season: &mut Season, site: &SiteStatement) -> Result<(), AmountError> {
    for component in site.payment.iter().flat_map(|payment| &payment.components) {
        let Component {
            amount, remainder, ..
        } = component;
        let amount = amount.unwrap_or_default();
        match component.explanation {
            Explanation::SeasonAverage { .. } => {
                let Before {
                    paid,
                    remainder: so_far,
                } = &mut season.average;
                *paid = paid.checked_add(amount)?;
                *so_far = so_far.checked_add(*remainder).ok_or(overflow("remainder"))?;
            }
            Explanation::Points { .. } => season.points = season.points.checked_add(amount)?,
            _ => {}
        }
    }
    Ok(())
}
