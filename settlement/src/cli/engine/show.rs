//! What the operator looks at: refusals, readings.

use std::collections::BTreeMap;
use std::io::{self, Write};

use gridtally_protocol::channel::Quantity;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::table::Table;
use super::{EngineCommandError, Open, Span};
use crate::registry::Enrolment;
use crate::rules::statement::SiteId;
use crate::store::refusals::{self, StoredRefusal};
use crate::store::reports::{self, ReadingValue, StoredReading};
use crate::store::{StoreError, programs};

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

pub(super) fn write_json(value: &Value, out: &mut impl Write) -> Result<(), EngineCommandError> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}
