//! What the operator looks at: events, refusals, readings.

use std::collections::BTreeMap;
use std::io::{self, Write};

use gridtally_protocol::acknowledgement::Stage;
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::identity::Identity;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::table::Table;
use super::{EngineCommandError, Open, Span};
use crate::registry::Enrolment;
use crate::rules::statement::SiteId;
use crate::store::events::{self, StoredAcknowledgement, StoredEvent, StoredInstruction};
use crate::store::refusals::{self, StoredRefusal};
use crate::store::reports::{self, ReadingValue, StoredReading};
use crate::store::{StoreError, programs};

pub(super) fn events(open: &mut Open, json: bool, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let events = open.store.transact(|t| events::events(t))?;
    if json {
        return write_json(&Value::Array(events.iter().map(event_json).collect()), out);
    }
    let mut table = Table::new(["event", "program", "start", "end", "announced", "W a home"]);
    for event in &events {
        table.row([
            event.id.to_string(),
            format!("{} v{}", event.program, event.program_version),
            event.start.to_string(),
            event.end.to_string(),
            event.announced_at.to_string(),
            event.discharge.to_string(),
        ]);
    }
    Ok(table.print(out)?)
}

fn event_json(event: &StoredEvent) -> Value {
    json!({
        "event": event.id, "program": event.program, "program_version": event.program_version,
        "start": event.start, "end": event.end, "announced_at": event.announced_at,
        "discharge_milliwatts": event.discharge,
    })
}

/// What became of one home's instruction.
struct Home<'a> {
    site: String,
    instruction: &'a StoredInstruction,
    stages: Vec<&'a StoredAcknowledgement>,
}

impl<'a> Home<'a> {
    fn new(
        instruction: &'a StoredInstruction,
        acknowledgements: &'a [StoredAcknowledgement],
        sites: &BTreeMap<Identity, &SiteId>,
    ) -> Self {
        let StoredInstruction { gateway, digest, .. } = instruction;
        let site = sites
            .get(gateway)
            .map_or_else(|| gateway.to_string(), ToString::to_string);
        let stages = acknowledgements
            .iter()
            .filter(|a| a.instruction == *digest)
            .collect();
        Self {
            site,
            instruction,
            stages,
        }
    }
}

pub(super) fn event(
    open: &mut Open,
    id: &EventId,
    json: bool,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let (event, instructions, acknowledgements, enrolments) = open.store.transact(|t| {
        Ok::<_, StoreError>((
            events::event(t, id)?,
            events::instructions_of(t, id)?,
            events::acknowledgements_of(t, id)?,
            programs::enrolments(t)?,
        ))
    })?;
    let sites: BTreeMap<Identity, &SiteId> = enrolments.iter().map(|e| (e.gateway, &e.site)).collect();
    let home = |instruction| Home::new(instruction, &acknowledgements, &sites);
    let mut homes: Vec<Home> = instructions.iter().map(home).collect();
    homes.sort_by(|a, b| a.site.cmp(&b.site));
    if json {
        let mut value = event_json(&event);
        value["homes"] = homes.iter().map(home_json).collect();
        return write_json(&value, out);
    }
    print_event(&event, &homes, out)
}

fn home_json(home: &Home) -> Value {
    let stage = |a: &&StoredAcknowledgement| {
        json!({
            "stage": a.stage.name(), "detail": detail(a.stage), "at": a.reached_at, "received_at": a.received_at,
        })
    };
    json!({
        "site": home.site, "gateway": home.instruction.gateway, "instruction": home.instruction.digest.to_string(),
        "stages": home.stages.iter().map(stage).collect::<Vec<_>>(),
    })
}

fn print_event(event: &StoredEvent, homes: &[Home], out: &mut impl Write) -> Result<(), EngineCommandError> {
    writeln!(
        out,
        "Event {} of {} version {}",
        event.id, event.program, event.program_version
    )?;
    writeln!(
        out,
        "{} to {}, announced {}",
        event.start, event.end, event.announced_at
    )?;
    writeln!(
        out,
        "{} homes were asked for {} W each\n",
        homes.len(),
        event.discharge
    )?;
    let mut table = Table::new(["site", "stage", "detail", "at", "received"]);
    for home in homes {
        if home.stages.is_empty() {
            let unanswered = ["no answer".into(), String::new(), String::new(), String::new()];
            let [stage, detail, at, received] = unanswered;
            table.row([home.site.clone(), stage, detail, at, received]);
        }
        for a in &home.stages {
            table.row([
                home.site.clone(),
                a.stage.name().into(),
                detail(a.stage),
                a.reached_at.to_string(),
                a.received_at.to_string(),
            ]);
        }
    }
    Ok(table.print(out)?)
}

fn detail(stage: Stage) -> String {
    match stage {
        Stage::OptedIn(power) | Stage::Written(power) | Stage::ReadBack(power) => format!("{power} W"),
        Stage::Observed { power, after_seconds } => format!("{power} W after {after_seconds} s"),
        Stage::OptedOut(why) | Stage::Stopped(why) => why.to_string(),
        Stage::Received | Stage::Completed | Stage::Restored => String::new(),
    }
}

pub(super) fn refused(
    open: &mut Open,
    span: &Span,
    json: bool,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let refused = open
        .store
        .transact(|t| refusals::refusals(t, span.from, span.until))?;
    let mut counts: BTreeMap<Refusal, usize> = BTreeMap::new();
    for refusal in &refused {
        *counts.entry(refusal.reason).or_default() += 1;
    }
    if json {
        let counts: BTreeMap<&str, usize> = counts.iter().map(|(reason, n)| (reason.name(), *n)).collect();
        let refused: Vec<Value> = refused.iter().map(refusal_json).collect();
        return write_json(&json!({ "counts": counts, "refused": refused }), out);
    }
    let mut summary = Table::new(["reason", "times"]);
    for (reason, count) in &counts {
        summary.row([reason.to_string(), count.to_string()]);
    }
    summary.print(out)?;
    writeln!(out)?;
    let mut table = Table::new(["received", "reason", "detail", "topic"]);
    for refusal in &refused {
        table.row([
            refusal.received_at.to_string(),
            refusal.reason.to_string(),
            visible(&refusal.detail),
            visible(&refusal.topic),
        ]);
    }
    Ok(table.print(out)?)
}

/// A stranger's text must not steer the operator's terminal.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn refusal_json(refusal: &StoredRefusal) -> Value {
    json!({
        "received_at": refusal.received_at, "reason": refusal.reason, "detail": refusal.detail,
        "topic": refusal.topic, "gateway": refusal.gateway, "digest": refusal.digest.to_string(),
    })
}

pub(super) fn readings(
    open: &mut Open,
    site: &SiteId,
    span: &Span,
    net: bool,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let found = open.store.transact(|t| {
        let Some(enrolment) = programs::enrolments(t)?.into_iter().find(|e| e.site == *site) else {
            return Ok(None);
        };
        let readings = reports::readings_of(t, &enrolment.gateway, span.from, span.until)?;
        Ok::<_, StoreError>(Some((enrolment, readings)))
    })?;
    let (enrolment, mut readings) = found.ok_or_else(|| EngineCommandError::UnknownSite(site.clone()))?;
    if net {
        return print_net(&enrolment, &readings, out);
    }
    readings.sort_by_key(|r| (r.start, r.channel));
    writeln!(out, "start,channel,value,unit,reason")?;
    readings
        .iter()
        .try_for_each(|reading| print_reading(reading, out))?;
    Ok(())
}

fn print_reading(reading: &StoredReading, out: &mut impl Write) -> io::Result<()> {
    let StoredReading { start, channel, .. } = reading;
    let unit = if channel.quantity.is_energy() { "kWh" } else { "%" };
    match reading.value {
        ReadingValue::Value(value) if channel.quantity.is_energy() => {
            writeln!(out, "{start},{channel},{},{unit},", MilliwattHours::new(value))
        }
        // Thousandths of a percent, checked to lie between empty and full.
        ReadingValue::Value(value) => {
            writeln!(
                out,
                "{start},{channel},{}.{:03},{unit},",
                value / 1_000,
                value % 1_000
            )
        }
        ReadingValue::Missing(missing) => writeln!(out, "{start},{channel},,{unit},{missing}"),
        ReadingValue::Refused(refusal) => writeln!(out, "{start},{channel},,{unit},{refusal}"),
    }
}

/// Intervals of which either count is missing are left out.
fn print_net(
    enrolment: &Enrolment,
    readings: &[StoredReading],
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let of = |quantity| {
        let meter = enrolment.grid_meter();
        readings.iter().filter_map(move |r| match r.value {
            ReadingValue::Value(value)
                if Some(r.channel.device) == meter && r.channel.quantity == quantity =>
            {
                Some((r.start, MilliwattHours::new(value)))
            }
            _ => None,
        })
    };
    let exported: BTreeMap<Timestamp, MilliwattHours> = of(Quantity::GridExport).collect();
    let imported: BTreeMap<Timestamp, MilliwattHours> = of(Quantity::GridImport).collect();
    writeln!(out, "start,kwh")?;
    for (start, import) in imported {
        if let Some(export) = exported.get(&start) {
            let net = import
                .checked_sub(*export)
                .map_err(|_| EngineCommandError::Overflow { start })?;
            writeln!(out, "{start},{net}")?;
        }
    }
    Ok(())
}

fn write_json(value: &Value, out: &mut impl Write) -> Result<(), EngineCommandError> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}
