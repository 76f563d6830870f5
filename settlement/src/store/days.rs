//! Days of readings, and what the reports behind them dispute.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::identity::Identity;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::StoreError;
use super::types::{corrupt, identity, timestamp, to_column};
use crate::days::{Day, Days, DeviceDay};

/// The first half of the keys of our locks; the second is the first byte of a gateway's key.
const LOCK: i32 = 0x6461_7973;

/// Keeps others who would add reports of the same gateways out until the database transaction ends.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn lock(
    client: &mut impl GenericClient,
    gateways: impl IntoIterator<Item = Identity>,
) -> Result<(), StoreError> {
    // In order, so that nobody waits for who waits for him; and of few keys, so that the server's table holds them.
    let first = |gateway: Identity| gateway.as_bytes().first().copied().unwrap_or_default();
    let keys: BTreeSet<i32> = gateways.into_iter().map(|g| i32::from(first(g))).collect();
    let keys: Vec<i32> = keys.into_iter().collect();
    client.query(
        "SELECT pg_advisory_xact_lock($1, key) FROM unnest($2::integer[]) AS key",
        &[&LOCK, &keys],
    )?;
    Ok(())
}

/// Joins what reports say to the days that are kept. Who calls it holds [`lock`] on their gateways.
///
/// # Errors
/// [`StoreError`] of the database; [`StoreError::Corrupt`] where a kept day does not read.
pub fn join(
    client: &mut impl GenericClient,
    said: &BTreeMap<Identity, Days>,
    received_at: Timestamp,
) -> Result<(), StoreError> {
    let of = |(gateway, days): (&Identity, &Days)| -> Vec<_> {
        let key = |(device, day): &(DeviceNumber, Day)| (*gateway, *device, *day);
        days.iter()
            .map(|(place, day)| (key(place), day.clone()))
            .collect()
    };
    let mut merged: BTreeMap<Key, DeviceDay> = said.iter().flat_map(of).collect();
    if merged.is_empty() {
        return Ok(());
    }
    let columns = KeyColumns::of(merged.keys());
    let rows = client.query(
        "SELECT k.gateway, k.device, k.day, d.channels
         FROM unnest($1::bytea[], $2::smallint[], $3::integer[]) AS k (gateway, device, day)
         JOIN enrolment e ON e.gateway = k.gateway
         JOIN device_day d ON d.enrolment = e.number AND d.device = k.device AND d.day = date '1970-01-01' + k.day",
        &[&columns.gateways, &columns.devices, &columns.days],
    )?;
    for row in rows {
        let kept = DeviceDay::from_bytes(row.get(3)).map_err(corrupt)?;
        if let Some(day) = merged.get_mut(&key(row.get(0), row.get(1), row.get(2))?) {
            day.join(&kept);
        }
    }
    write(client, &merged, |_| received_at)
}

type Key = (Identity, DeviceNumber, Day);

fn key(gateway: &[u8], device: i16, day: i32) -> Result<Key, StoreError> {
    let device = u8::try_from(device).map_err(corrupt)?;
    Ok((identity(gateway)?, DeviceNumber(device), Day::from_number(day)))
}

struct KeyColumns<'k> {
    gateways: Vec<&'k [u8]>,
    devices: Vec<i16>,
    days: Vec<i32>,
}

impl<'k> KeyColumns<'k> {
    fn of(keys: impl Iterator<Item = &'k Key> + Clone) -> Self {
        Self {
            gateways: keys.clone().map(|(g, ..)| g.as_bytes().as_slice()).collect(),
            devices: keys.clone().map(|(_, d, _)| i16::from(d.0)).collect(),
            days: keys.map(|(.., day)| day.number()).collect(),
        }
    }
}

/// Writes whole days in the place of those that are kept.
pub(super) fn write(
    client: &mut impl GenericClient,
    days: &BTreeMap<Key, DeviceDay>,
    received_at: impl Fn(&Key) -> Timestamp,
) -> Result<(), StoreError> {
    let columns = KeyColumns::of(days.keys());
    let received: Vec<DateTime<Utc>> = days.keys().map(|key| to_column(received_at(key))).collect();
    let readings = |day: &DeviceDay| i32::try_from(day.known().count()).unwrap_or(i32::MAX);
    let readings: Vec<i32> = days.values().map(readings).collect();
    let channels: Vec<Vec<u8>> = days.values().map(DeviceDay::to_bytes).collect();
    client.execute(
        "INSERT INTO device_day AS kept (enrolment, device, day, received_at, readings, channels)
         SELECT e.number, k.device, date '1970-01-01' + k.day, k.received_at, k.readings, k.channels
         FROM unnest($1::bytea[], $2::smallint[], $3::integer[], $4::timestamptz[], $5::integer[], $6::bytea[])
              AS k (gateway, device, day, received_at, readings, channels)
         JOIN enrolment e ON e.gateway = k.gateway
         ON CONFLICT (enrolment, device, day) DO UPDATE
             SET received_at = greatest(kept.received_at, excluded.received_at),
                 readings = excluded.readings, channels = excluded.channels",
        &[
            &columns.gateways,
            &columns.devices,
            &columns.days,
            &received,
            &readings,
            &channels,
        ],
    )?;
    Ok(())
}

/// Keeps what reports dispute. The same again is a no-op.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_disputes(
    client: &mut impl GenericClient,
    disputes: &BTreeSet<(Identity, Timestamp)>,
) -> Result<(), StoreError> {
    if disputes.is_empty() {
        return Ok(());
    }
    let gateways: Vec<&[u8]> = disputes.iter().map(|(g, _)| g.as_bytes().as_slice()).collect();
    let until: Vec<_> = disputes.iter().map(|(_, until)| to_column(*until)).collect();
    client.execute(
        "INSERT INTO dispute (enrolment, until)
         SELECT e.number, k.until FROM unnest($1::bytea[], $2::timestamptz[]) AS k (gateway, until)
         JOIN enrolment e ON e.gateway = k.gateway ON CONFLICT DO NOTHING",
        &[&gateways, &until],
    )?;
    Ok(())
}

/// Up to when the reports of a gateway contradict each other, if they ever do.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn disputed_until(
    client: &mut impl GenericClient,
    gateway: &Identity,
) -> Result<Option<Timestamp>, StoreError> {
    let row = client.query_one(
        "SELECT max(until) FROM dispute d JOIN enrolment e ON e.number = d.enrolment WHERE e.gateway = $1",
        &[&gateway.as_bytes().as_slice()],
    )?;
    row.get::<_, Option<DateTime<Utc>>>(0).map(timestamp).transpose()
}

/// The days of a gateway's devices, from one day to another, both included.
///
/// # Errors
/// [`StoreError`] of the database; [`StoreError::Corrupt`] where a day does not read.
pub fn days_of(
    client: &mut impl GenericClient,
    gateway: &Identity,
    from: Day,
    to: Day,
) -> Result<Days, StoreError> {
    let rows = client.query(
        "SELECT e.gateway, d.device, d.day - date '1970-01-01', d.channels
         FROM device_day d JOIN enrolment e ON e.number = d.enrolment
         WHERE e.gateway = $1 AND d.day BETWEEN date '1970-01-01' + $2::integer AND date '1970-01-01' + $3::integer",
        &[&gateway.as_bytes().as_slice(), &from.number(), &to.number()],
    )?;
    let day = |row: &postgres::Row| {
        let (_, device, day) = key(row.get(0), row.get(1), row.get(2))?;
        Ok(((device, day), DeviceDay::from_bytes(row.get(3)).map_err(corrupt)?))
    };
    rows.iter().map(day).collect()
}

/// A day as it is kept, whether it reads or not.
pub(super) struct KeptDay {
    pub(super) received_at: Timestamp,
    pub(super) bytes: Vec<u8>,
}

/// All days of a gateway.
pub(super) fn kept_bytes(
    client: &mut impl GenericClient,
    gateway: &Identity,
) -> Result<BTreeMap<(DeviceNumber, Day), KeptDay>, StoreError> {
    let rows = client.query(
        "SELECT e.gateway, d.device, d.day - date '1970-01-01', d.received_at, d.channels
         FROM device_day d JOIN enrolment e ON e.number = d.enrolment WHERE e.gateway = $1",
        &[&gateway.as_bytes().as_slice()],
    )?;
    let day = |row: &postgres::Row| {
        let (_, device, day) = key(row.get(0), row.get(1), row.get(2))?;
        let (received_at, bytes) = (timestamp(row.get(3))?, row.get(4));
        Ok(((device, day), KeptDay { received_at, bytes }))
    };
    rows.iter().map(day).collect()
}

/// Whether there are reports, but no days: then they were taken in by a version that kept none.
pub(super) fn are_missing(client: &mut impl GenericClient) -> Result<bool, StoreError> {
    let row = client.query_one(
        "SELECT EXISTS (SELECT FROM report) AND NOT EXISTS (SELECT FROM device_day)",
        &[],
    )?;
    Ok(row.get(0))
}
