//! What becomes of the look-back as events accumulate.
//!
//! A rule that leaves event days out looks further and further back the more events there are, at last on days of
//! another season, or on none.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use gridtally_protocol::instruction::EventId;
use serde::Serialize;

use super::percent::Percent;
use crate::rules::baseline::{BaselineRule, EventCalendar, Frame, FrameError, Outcome, Verdict};
use crate::rules::exact::ArithmeticError;
use crate::rules::program::Program;
use crate::rules::statement::Statement;

/// The look-back of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventSaturation {
    /// Which event.
    pub event: EventId,
    /// Its local day.
    pub day: NaiveDate,
    /// Days of its type in the look-back.
    pub like_days: u32,
    /// Those of them on which there was an event.
    pub event_days: u32,
    /// Sites that took part.
    pub sites: u32,
    /// Those of them for which fewer days were found than the rule looks for.
    pub short: u32,
    /// Those of them that have no baseline, or another rule's.
    pub without: u32,
}

/// The look-back of all events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saturation {
    /// Event by event, in the order of time.
    pub events: Vec<EventSaturation>,
    /// Σ event days / Σ like days.
    pub share: Option<Percent>,
    /// The event whose look-back has the greatest share of event days, and the share.
    pub worst: Option<(EventId, Percent)>,
    /// Which share of the sites' events was short of days or without a baseline.
    pub share_short: Option<Percent>,
    /// The first event at which a site was.
    pub first_short: Option<EventId>,
    /// How many like days there were in a row with an event on each, at most.
    pub longest_run: u32,
}

/// Looks at the look-back of each of the statements, which are in the order of time.
///
/// # Errors
/// [`SaturationError`] where an event does not fit the calendar.
pub fn saturation(
    program: &Program,
    statements: &[Statement],
    event_days: &BTreeSet<NaiveDate>,
) -> Result<Saturation, SaturationError> {
    let events = statements
        .iter()
        .map(|statement| of_event(program, statement, event_days));
    let events: Vec<EventSaturation> = events.collect::<Result<_, FrameError>>()?;
    let (mut like, mut on_events, mut sites, mut short) = (0_i128, 0_i128, 0_i128, 0_i128);
    let mut worst: Option<(EventId, Percent)> = None;
    for event in &events {
        like = like.saturating_add(event.like_days.into());
        on_events = on_events.saturating_add(event.event_days.into());
        sites = sites.saturating_add(event.sites.into());
        short = short.saturating_add(event.short.saturating_add(event.without).into());
        if let Some(share) = Percent::of(event.event_days.into(), event.like_days.into())?
            && worst.as_ref().is_none_or(|(_, most)| *most < share)
        {
            worst = Some((event.event.clone(), share));
        }
    }
    let first_short = events.iter().find(|e| e.short > 0 || e.without > 0);
    Ok(Saturation {
        share: Percent::of(on_events, like)?,
        worst,
        share_short: Percent::of(short, sites)?,
        first_short: first_short.map(|e| e.event.clone()),
        longest_run: longest_run(program, event_days),
        events,
    })
}

/// Why saturation cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SaturationError {
    /// An event does not fit the calendar.
    #[error(transparent)]
    Event(#[from] FrameError),
    /// A share does not fit.
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
}

fn of_event(
    program: &Program,
    statement: &Statement,
    event_days: &BTreeSet<NaiveDate>,
) -> Result<EventSaturation, FrameError> {
    let event = &statement.event;
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
    let (like_days, on_events) = frame.look_back();
    let (mut sites, mut short, mut without) = (0_u32, 0_u32, 0_u32);
    for site in &statement.sites {
        sites = sites.saturating_add(1);
        match found(&program.baseline, &site.baseline) {
            None => without = without.saturating_add(1),
            Some(found) if frame.looks_for().is_some_and(|wanted| found < wanted) => {
                short = short.saturating_add(1);
            }
            Some(_) => {}
        }
    }
    Ok(EventSaturation {
        event: event.id.clone(),
        day: frame.day(),
        like_days,
        event_days: on_events,
        sites,
        short,
        without,
    })
}

/// How many eligible days were found, where the rule itself has a baseline.
fn found(rule: &BaselineRule, outcome: &Outcome) -> Option<u32> {
    let explanation = outcome
        .explanation()
        .filter(|e| e.rule == rule.id && e.instead_of.is_none())?;
    let eligible = |verdict: Verdict| {
        matches!(
            verdict,
            Verdict::Chosen
                | Verdict::NotAmongHighest
                | Verdict::NotAmongClosest
                | Verdict::NotAmongSimilar
                | Verdict::HighestTotal
                | Verdict::LowestTotal
        )
    };
    let found = explanation
        .candidates
        .iter()
        .filter(|c| eligible(c.verdict))
        .count();
    u32::try_from(found).ok()
}

/// How many days of one type follow each other with an event on each.
fn longest_run(program: &Program, event_days: &BTreeSet<NaiveDate>) -> u32 {
    let (Some(first), Some(last)) = (event_days.first(), event_days.last()) else {
        return 0;
    };
    let mut longest = 0_u32;
    for day_type in &program.baseline.day_types {
        let mut run = 0_u32;
        for day in first.iter_days().take_while(|day| day <= last) {
            let its_type = program.baseline.day_type(day, &program.holidays);
            if its_type.is_none_or(|t| t.name != day_type.name) {
                continue;
            }
            run = if event_days.contains(&day) {
                run.saturating_add(1)
            } else {
                0
            };
            longest = longest.max(run);
        }
    }
    longest
}
