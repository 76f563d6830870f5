//! Warnings of days: too few of them, unnamed holidays, clocks, and what the program itself does not allow.

use std::collections::BTreeSet;

use chrono::{Datelike as _, NaiveDate};

use super::{Found, Warning};
use crate::rules::calendar::{DayKind, LocalSlot, day_start, plus_days};
use crate::rules::program::Planned;
use crate::rules::trial::data::TrialEvent;

const DAY: i64 = 86_400;

fn local_day(found: &Found<'_>, time: &TrialEvent) -> Option<NaiveDate> {
    LocalSlot::of(time.start, found.program.zone).map(|slot| slot.day)
}

/// The first local day of a time's look-back, and its own.
fn look_back(found: &Found<'_>, time: &TrialEvent) -> Option<(NaiveDate, NaiveDate)> {
    let day = local_day(found, time)?;
    let back = i64::from(found.program.baseline.lookback_days).saturating_neg();
    Some((plus_days(day, back)?, day))
}

pub(super) fn data(found: &Found<'_>, told: &mut Vec<Warning>) {
    let lookback_days = found.program.baseline.lookback_days;
    let (mut short, mut of) = (0_usize, 0_usize);
    let mut since: Option<NaiveDate> = None;
    for (first, _) in found.times().filter_map(|time| look_back(found, time)) {
        since = Some(since.map_or(first, |earliest| earliest.min(first)));
        let Some(start) = day_start(first, found.program.zone, found.program.interval) else {
            continue;
        };
        // A site whose meter began within the look-back's first day has all but hours of it.
        let latest = start.checked_add(DAY).unwrap_or(start);
        for (begins, _) in found.sites.iter().filter_map(|site| site.span()) {
            of = of.saturating_add(1);
            short = short.saturating_add(usize::from(begins >= latest));
        }
    }
    if let (Some(since), true) = (since, short > 0 && lookback_days > 0) {
        told.push(Warning::LookbackBeyondData {
            lookback_days,
            short,
            of,
            since,
        });
    }
}

pub(super) fn holidays(found: &Found<'_>, told: &mut Vec<Warning>) {
    let rule = &found.program.baseline;
    let alike = |on: &BTreeSet<DayKind>| DayKind::ALL.iter().all(|(_, kind)| on.contains(kind));
    if rule.day_types.is_empty() || rule.day_types.iter().any(|t| alike(&t.on)) {
        return;
    }
    let spans = found.times().filter_map(|time| look_back(found, time));
    let years: BTreeSet<i32> = spans
        .flat_map(|(first, day)| [first.year(), day.year()])
        .collect();
    let named: BTreeSet<i32> = found.program.holidays.iter().map(NaiveDate::year).collect();
    let years: Vec<i32> = years.difference(&named).copied().collect();
    if !years.is_empty() {
        told.push(Warning::HolidaysMissing { years });
    }
}

pub(super) fn clock_changes(found: &Found<'_>, told: &mut Vec<Warning>) {
    let spans: Vec<_> = found.times().filter_map(|time| look_back(found, time)).collect();
    let first = spans.iter().map(|(first, _)| *first).min();
    let last = spans.iter().map(|(_, day)| *day).max();
    let (Some(first), Some(last)) = (first, last) else {
        return;
    };
    let begins = |day| day_start(day, found.program.zone, found.program.interval);
    let changes = |day: &NaiveDate| {
        let length = begins(*day).zip(day.succ_opt().and_then(begins));
        length.is_some_and(|(start, end)| end.seconds_since(start) != DAY)
    };
    let days = first.iter_days().take_while(|day| *day <= last);
    let days: Vec<NaiveDate> = days.filter(changes).collect();
    let has = |(first, day): &&(NaiveDate, NaiveDate)| days.iter().any(|d| first <= d && d <= day);
    let times = spans.iter().filter(has).count();
    if times > 0 {
        let of = spans.len();
        told.push(Warning::ClockChange { days, times, of });
    }
}

pub(super) fn dispatch(found: &Found<'_>, told: &mut Vec<Warning>) {
    let program = found.program;
    let planned = |event: &TrialEvent| Planned {
        start: event.start,
        end: event.end,
    };
    let mut broken = found.events.iter().filter_map(|event| {
        // Those before it: a program that is full refuses the next event, not those it has.
        let others = found
            .events
            .iter()
            .filter(|other| (other.start, &other.id) < (event.start, &event.id));
        let others: Vec<Planned> = others.map(planned).collect();
        let rules = &program.dispatch;
        let broken = rules.broken(
            program.zone,
            &program.holidays,
            planned(event),
            event.announced_at,
            &others,
        );
        Some((event, broken.into_iter().next()?))
    });
    if let Some((event, what)) = broken.next() {
        told.push(Warning::NotAllowed {
            times: broken.count().saturating_add(1),
            of: found.events.len(),
            event: event.id.clone(),
            what: what.to_string(),
        });
    }
    let without = found
        .events
        .iter()
        .filter(|event| event.published.is_empty())
        .count();
    if program.payment.wants_published_prices() && without > 0 {
        told.push(Warning::NoPrices {
            times: without,
            of: found.events.len(),
        });
    }
}
