//! Sites and events from the engine's own store.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use gridtally_protocol::channel::Channel;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::{Interval, Timestamp};
use postgres::GenericClient;

use super::arguments::{EVENTS_MAX, TryArgs};
use super::files::{READINGS_MAX, SITES_MAX, too_many};
use super::{Data, TryProgramError};
use crate::cli::engine::EngineCommandError;
use crate::registry::Enrolment;
use crate::rules::program::{Measurement, Program, ProgramId};
use crate::rules::statement::{Offer, Participation, SiteId, Statement};
use crate::rules::trial::data::{TrialEvent, TrialSite, coarsened};
use crate::store::events::{self as stored_events, StoredEvent};
use crate::store::reports::{ReadingValue, StoredReading};
use crate::store::{Store, StoreError, outages, prices, programs, reports, settlements, temperatures};

const ALL_TIME: Timestamp = Timestamp::EPOCH;

/// The sites with all that their meters counted, and the events where they are asked for.
pub(super) fn load(
    store: &mut Store,
    program: &Program,
    args: &TryArgs,
    now: Timestamp,
) -> Result<Data, EngineCommandError> {
    let of = args.sites_of.as_ref().unwrap_or(&program.id);
    let mut data = Data {
        sites: Vec::new(),
        temperatures: Vec::new(),
        events: Vec::new(),
        dispatches: Vec::new(),
        notes: Vec::new(),
    };
    store.transact(|client| {
        sites(client, program, of, now, &mut data)?;
        if program.wants_temperatures() {
            let last = NaiveDate::from_ymd_opt(9_999, 12, 31).unwrap_or_default();
            let all = (NaiveDate::default(), last);
            let known = temperatures::known(client, of, all, now)?.into_iter();
            data.temperatures = known.map(|t| t.as_input()).collect();
        }
        for event in past(client, now)?.filter(|event| event.program == *of) {
            data.dispatches.push((event.start, event.end));
        }
        Ok::<_, EngineCommandError>(())
    })?;
    if let Some(of) = &args.events_of {
        events(store, program, of, now, &mut data)?;
    }
    Ok(data)
}

fn past(
    client: &mut impl GenericClient,
    now: Timestamp,
) -> Result<impl Iterator<Item = StoredEvent>, StoreError> {
    let all = stored_events::events(client)?;
    Ok(all.into_iter().filter(move |event| event.end <= now))
}

fn sites(
    client: &mut impl GenericClient,
    program: &Program,
    of: &ProgramId,
    now: Timestamp,
    data: &mut Data,
) -> Result<(), EngineCommandError> {
    let mut enrolments = programs::enrolments(client)?;
    enrolments.retain(|enrolment| enrolment.program == *of);
    if enrolments.len() > SITES_MAX {
        return Err(too_many(enrolments.len(), "enrolled sites", SITES_MAX).into());
    }
    let mut outage_days: BTreeMap<SiteId, Vec<_>> = BTreeMap::new();
    for outage in outages::outages(client, of, now)? {
        outage_days.entry(outage.site).or_default().push(outage.day);
    }
    let mut count = 0_usize;
    for enrolment in &enrolments {
        let readings = reports::readings_of(client, &enrolment.gateway, ALL_TIME, now)?;
        let values = net(enrolment, program.measurement, &readings)?;
        let values = coarsened(&values, program.interval);
        if values.is_empty() {
            data.notes.push(format!(
                "{} is left out: it has no readings that make intervals of {} minutes",
                enrolment.site,
                program.interval.seconds() / 60
            ));
            continue;
        }
        count = count.saturating_add(values.len());
        if count > READINGS_MAX {
            return Err(too_many(count, "readings", READINGS_MAX).into());
        }
        let offer = enrolment
            .offer
            .in_base_units(&program.asset)
            .unwrap_or_else(|error| {
                data.notes
                    .push(format!("{}: its bid is left out: {error}", enrolment.site));
                Offer::default()
            });
        let outages = outage_days.remove(&enrolment.site).unwrap_or_default();
        let file = || enrolment.site.to_string();
        let site = TrialSite::new(enrolment.site.clone(), values)
            .map_err(|error| TryProgramError::SiteName { file: file(), error })?;
        let mut site = site
            .with(outages, offer)
            .as_control(program.is_control(&enrolment.membership));
        if program.wants_site_meter() {
            let values = net(enrolment, Measurement::SiteMeterNet, &readings)?;
            site = site.with_site_meter(coarsened(&values, program.interval));
        }
        data.sites.push(site);
    }
    if data.sites.is_empty() {
        return Err(TryProgramError::NoReadings {
            what: format!("program {of}"),
            minutes: program.interval.seconds() / 60,
            hint: "--sites-of names a program whose sites have, --on takes files",
        }
        .into());
    }
    Ok(())
}

/// What was used less what was given, in each interval of which all counts are known.
fn net(
    enrolment: &Enrolment,
    measurement: Measurement,
    readings: &[StoredReading],
) -> Result<Vec<(Interval, MilliwattHours)>, EngineCommandError> {
    let mut known: BTreeMap<(Channel, Timestamp), MilliwattHours> = BTreeMap::new();
    for reading in readings {
        if let ReadingValue::Value(value) = reading.value {
            known.insert((reading.channel, reading.start), MilliwattHours::new(value));
        }
    }
    let meters: Vec<(Channel, Channel)> = enrolment.metered(measurement).collect();
    let Some((first, _)) = meters.first() else {
        return Ok(Vec::new());
    };
    let mut values = Vec::new();
    let starts = known
        .keys()
        .filter(|(channel, _)| channel == first)
        .map(|(_, start)| *start);
    'intervals: for start in starts {
        let Ok(interval) = Interval::new(start, enrolment.interval_seconds) else {
            continue;
        };
        let mut sum = MilliwattHours::ZERO;
        for (used, given) in &meters {
            let (Some(used), Some(given)) = (known.get(&(*used, start)), known.get(&(*given, start))) else {
                continue 'intervals;
            };
            let more = used.checked_sub(*given).and_then(|net| sum.checked_add(net));
            sum = more.map_err(|_| EngineCommandError::Overflow { start })?;
        }
        values.push((interval, sum));
    }
    Ok(values)
}

/// The events of a program that are over, with what the sites said to those that are settled.
pub(super) fn events(
    store: &mut Store,
    program: &Program,
    of: &ProgramId,
    now: Timestamp,
    data: &mut Data,
) -> Result<(), EngineCommandError> {
    let found = store.transact(|client| {
        let past: Vec<StoredEvent> = past(client, now)?.filter(|event| event.program == *of).collect();
        if past.len() > EVENTS_MAX {
            return Err(too_many(past.len(), "events", EVENTS_MAX).into());
        }
        let mut found = Vec::with_capacity(past.len());
        for event in past {
            found.push(event_of(client, program, &event, now)?);
        }
        Ok::<_, EngineCommandError>(found)
    })?;
    if found.is_empty() {
        return Err(TryProgramError::NoEvents(of.clone()).into());
    }
    let unsettled = found.iter().filter(|event| event.said.is_none()).count();
    if unsettled > 0 {
        data.notes.push(format!(
            "{unsettled} of {} events are not settled: every site is taken to have taken part in them",
            found.len()
        ));
    }
    data.events.extend(found);
    Ok(())
}

fn event_of(
    client: &mut impl GenericClient,
    program: &Program,
    event: &StoredEvent,
    now: Timestamp,
) -> Result<TrialEvent, StoreError> {
    let settled = settlements::last(client, &event.id)?;
    let said = settled.map(|settled| {
        let statement = Statement::from_bytes(settled.statement.as_bytes());
        statement.map(said_in).map_err(|error| StoreError::Corrupt {
            what: error.to_string(),
        })
    });
    let span = (event.start, event.end);
    Ok(TrialEvent {
        id: event.id.clone(),
        start: event.start,
        end: event.end,
        announced_at: event.announced_at,
        dispatched: true,
        said: said.transpose()?,
        published: prices::published(client, program, span, now)?,
    })
}

fn said_in(statement: Statement) -> BTreeMap<SiteId, Participation> {
    let said = statement.sites.into_iter();
    said.map(|site| (site.site, site.participation)).collect()
}
