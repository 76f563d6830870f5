//! Looking readings up.

use std::collections::BTreeMap;

use gridtally_protocol::channel::{Channel, Missing};
use gridtally_protocol::identity::Identity;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::{StoreError, beacons, days, programs, reports};
use crate::days::{Day, Slot};
use crate::proofs::judge::{self, Judged, Source, Submission};
use crate::registry::Enrolment;

/// What is shown is shown whenever it came.
const NO_EVENT: Timestamp = Timestamp::EPOCH;

/// A reading: its value, the gateway's reason for none, or the engine's for not taking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredReading {
    /// Whose.
    pub gateway: Identity,
    /// Of what.
    pub channel: Channel,
    /// The start of its interval.
    pub start: Timestamp,
    /// Milliwatt-hours (thousandths of a percent), or why not.
    pub value: ReadingValue,
}

/// What a reading holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingValue {
    /// A value in the quantity's smallest unit.
    Value(i64),
    /// The gateway had none.
    Missing(Missing),
    /// The engine does not take it.
    Refused(Refusal),
}

/// The readings of a gateway that start in `[from, until)`, by channel and time. Where its reports contradict each
/// other, they are judged as a settlement would.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn readings_of(
    client: &mut impl GenericClient,
    gateway: &Identity,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<StoredReading>, StoreError> {
    let readings = if days::disputed_until(client, gateway)? > Some(from) {
        judged(client, gateway, from, until)?
    } else {
        of_days(client, gateway, from, until)?
    };
    let within = |((channel, start), value): ((Channel, Timestamp), ReadingValue)| {
        (from <= start && start < until).then_some(StoredReading {
            gateway: *gateway,
            channel,
            start,
            value,
        })
    };
    Ok(readings.into_iter().filter_map(within).collect())
}

/// What a site's signed reports of a time say, judged for no event in particular.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn judge_reports(
    client: &mut impl GenericClient,
    enrolment: &Enrolment,
    (from, until): (Timestamp, Timestamp),
) -> Result<Judged, StoreError> {
    let reports = reports::slots_of(client, &enrolment.gateway, from, until)?;
    let submissions: Vec<Submission<'_>> = reports
        .iter()
        .map(|report| Submission {
            record: Source::Store,
            received_at: report.received_at,
            envelope: &report.envelope,
        })
        .collect();
    let beacons = beacons::named_by(client, submissions.iter().map(|one| one.envelope))?;
    Ok(judge::judge(enrolment, &submissions, NO_EVENT, &beacons))
}

type Readings = BTreeMap<(Channel, Timestamp), ReadingValue>;

fn of_days(
    client: &mut impl GenericClient,
    gateway: &Identity,
    from: Timestamp,
    until: Timestamp,
) -> Result<Readings, StoreError> {
    let mut readings = Readings::new();
    for ((device, day), known) in days::days_of(client, gateway, Day::of(from), Day::of(until))? {
        for (quantity, place, slot) in known.known() {
            let value = match slot {
                Slot::Absent => continue,
                Slot::Value(value, _) => ReadingValue::Value(value),
                Slot::Missing(missing) => ReadingValue::Missing(missing),
                Slot::Refused(refusal) => ReadingValue::Refused(refusal),
                // Only reports of the same time make this, and those are in dispute.
                Slot::Contested => ReadingValue::Refused(Refusal::AlreadyReported),
            };
            if let Some(interval) = day.interval(known.length(), place) {
                readings.insert((Channel { device, quantity }, interval.start()), value);
            }
        }
    }
    Ok(readings)
}

fn judged(
    client: &mut impl GenericClient,
    gateway: &Identity,
    from: Timestamp,
    until: Timestamp,
) -> Result<Readings, StoreError> {
    let Some(enrolment) = programs::enrolments_of(client, [*gateway], until)?.pop() else {
        return Ok(Readings::new());
    };
    let judged = judge_reports(client, &enrolment, (from, until))?;
    let mut readings = Readings::new();
    for (reading, refused) in &judged.readings {
        let value = match (refused, reading.value) {
            (Some(refusal), _) => ReadingValue::Refused(*refusal),
            (None, Ok(value)) => ReadingValue::Value(value.get()),
            (None, Err(missing)) => ReadingValue::Missing(missing),
        };
        readings.insert((reading.channel, reading.interval.start()), value);
    }
    Ok(readings)
}
