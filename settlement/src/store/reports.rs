//! Signed reports.

use std::collections::BTreeMap;

use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::StoreError;
pub use super::readings::{ReadingValue, StoredReading, judge_reports, readings_of};
use super::types::{digest, identity, sequence, sequence_column, timestamp, to_column};
use crate::dispatch::resend::Hole;
use crate::ingest::chain::Link;

/// A report to be kept, or as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReport {
    /// Who signed.
    pub gateway: Identity,
    /// Its place in the chain.
    pub link: Link,
    /// When the engine got it.
    pub received_at: Timestamp,
    /// The signed bytes.
    pub envelope: Vec<u8>,
}

/// What is held near each of the given places: same number, the numbers beside it, or overlapping times.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn neighbours(
    client: &mut impl GenericClient,
    places: &[(Identity, Link)],
) -> Result<Vec<(Identity, Link)>, StoreError> {
    let gateways: Vec<&[u8]> = places.iter().map(|(g, _)| g.as_bytes().as_slice()).collect();
    let sequences = places
        .iter()
        .map(|(_, l)| sequence_column(l.sequence))
        .collect::<Result<Vec<_>, _>>()?;
    let starts: Vec<_> = places.iter().map(|(_, l)| to_column(l.start)).collect();
    let ends: Vec<_> = places.iter().map(|(_, l)| to_column(l.end)).collect();
    let rows = client.query(
        "SELECT DISTINCT r.gateway, r.sequence, r.digest, r.previous, r.starts_at, r.ends_at
         FROM unnest($1::bytea[], $2::bigint[], $3::timestamptz[], $4::timestamptz[]) AS k (gateway, sequence, starts_at, ends_at)
         JOIN LATERAL (
             SELECT * FROM report WHERE report.gateway = k.gateway AND report.sequence BETWEEN k.sequence - 1 AND k.sequence + 1
             UNION ALL
             SELECT * FROM report WHERE report.gateway = k.gateway
                 AND report.ends_at > k.starts_at AND report.starts_at < k.ends_at
                 -- No report is longer than 288 hours; said so that the index on the end bounds the search.
                 AND report.ends_at < k.ends_at + interval '13 days'
         ) r ON true",
        &[&gateways, &sequences, &starts, &ends],
    )?;
    rows.iter()
        .map(|row| {
            let link = Link {
                sequence: sequence(row.get(1))?,
                digest: digest(row.get(2))?,
                previous: digest(row.get(3))?,
                start: timestamp(row.get(4))?,
                end: timestamp(row.get(5))?,
            };
            Ok((identity(row.get(0))?, link))
        })
        .collect()
}

/// Keeps reports. One that is kept already is left as it is.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_reports(client: &mut impl GenericClient, reports: &[StoredReport]) -> Result<(), StoreError> {
    if reports.is_empty() {
        return Ok(());
    }
    let gateways: Vec<&[u8]> = reports.iter().map(|r| r.gateway.as_bytes().as_slice()).collect();
    let sequences = reports
        .iter()
        .map(|r| sequence_column(r.link.sequence))
        .collect::<Result<Vec<_>, _>>()?;
    let digests: Vec<&[u8]> = reports
        .iter()
        .map(|r| r.link.digest.as_bytes().as_slice())
        .collect();
    let previous: Vec<&[u8]> = reports
        .iter()
        .map(|r| r.link.previous.as_bytes().as_slice())
        .collect();
    let starts: Vec<_> = reports.iter().map(|r| to_column(r.link.start)).collect();
    let ends: Vec<_> = reports.iter().map(|r| to_column(r.link.end)).collect();
    let received: Vec<_> = reports.iter().map(|r| to_column(r.received_at)).collect();
    let envelopes: Vec<&[u8]> = reports.iter().map(|r| r.envelope.as_slice()).collect();
    client.execute(
        "INSERT INTO report (gateway, sequence, digest, previous, starts_at, ends_at, received_at, envelope)
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::bytea[], $5::timestamptz[],
             $6::timestamptz[], $7::timestamptz[], $8::bytea[])
         ON CONFLICT DO NOTHING",
        &[
            &gateways, &sequences, &digests, &previous, &starts, &ends, &received, &envelopes,
        ],
    )?;
    Ok(())
}

/// The reports of a gateway that touch `[from, until)`, equivocating ones all, by sequence and digest.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn reports_of(
    client: &mut impl GenericClient,
    gateway: &Identity,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<StoredReport>, StoreError> {
    let rows = client.query(
        "SELECT sequence, digest, previous, starts_at, ends_at, received_at, envelope FROM report
         WHERE gateway = $1 AND starts_at < $3 AND ends_at > $2 ORDER BY sequence, digest",
        &[
            &gateway.as_bytes().as_slice(),
            &to_column(from),
            &to_column(until),
        ],
    )?;
    rows.iter().map(|row| report(*gateway, row)).collect()
}

/// As [`reports_of`], and whatever else bears the number of one of them.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn slots_of(
    client: &mut impl GenericClient,
    gateway: &Identity,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<StoredReport>, StoreError> {
    let rows = client.query(
        "SELECT sequence, digest, previous, starts_at, ends_at, received_at, envelope FROM report
         WHERE gateway = $1 AND sequence IN (
             SELECT sequence FROM report WHERE gateway = $1 AND starts_at < $3 AND ends_at > $2
         ) ORDER BY sequence, digest",
        &[
            &gateway.as_bytes().as_slice(),
            &to_column(from),
            &to_column(until),
        ],
    )?;
    rows.iter().map(|row| report(*gateway, row)).collect()
}

/// At most `limit` reports of a gateway, from a place on in the order of their numbers and digests.
///
/// # Errors
/// [`StoreError`] of the database.
pub(super) fn reports_after(
    client: &mut impl GenericClient,
    gateway: &Identity,
    after: Option<(u64, Digest)>,
    limit: i64,
) -> Result<Vec<StoredReport>, StoreError> {
    let (number, digest) = after.unwrap_or((0, Digest::NONE));
    let rows = client.query(
        "SELECT sequence, digest, previous, starts_at, ends_at, received_at, envelope FROM report
         WHERE gateway = $1 AND (sequence, digest) > ($2, $3) ORDER BY sequence, digest LIMIT $4",
        &[
            &gateway.as_bytes().as_slice(),
            &sequence_column(number)?,
            &digest.as_bytes().as_slice(),
            &limit,
        ],
    )?;
    rows.iter().map(|row| report(*gateway, row)).collect()
}

fn report(gateway: Identity, row: &postgres::Row) -> Result<StoredReport, StoreError> {
    Ok(StoredReport {
        gateway,
        link: Link {
            sequence: sequence(row.get(0))?,
            digest: digest(row.get(1))?,
            previous: digest(row.get(2))?,
            start: timestamp(row.get(3))?,
            end: timestamp(row.get(4))?,
        },
        received_at: timestamp(row.get(5))?,
        envelope: row.get(6),
    })
}

/// The numbers that are missing between those of the reports that end after `from`, where what follows them came
/// before `settled`.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn holes(
    client: &mut impl GenericClient,
    from: Timestamp,
    settled: Timestamp,
) -> Result<Vec<Hole>, StoreError> {
    let rows = client.query(
        "SELECT gateway, held_before, sequence FROM (
             SELECT r.*, lag(r.sequence) OVER (PARTITION BY r.gateway ORDER BY r.sequence) AS held_before
             -- Gateway by gateway, so that the index on the end bounds the search.
             FROM enrolment JOIN LATERAL (
                 SELECT gateway, sequence, received_at FROM report
                 WHERE report.gateway = enrolment.gateway AND report.ends_at > $1
             ) r ON true
         ) AS followed
         WHERE sequence > held_before + 1 AND received_at <= $2
         ORDER BY gateway, sequence",
        &[&to_column(from), &to_column(settled)],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Hole {
                gateway: identity(row.get(0))?,
                after: sequence(row.get(1))?,
                before: sequence(row.get(2))?,
            })
        })
        .collect()
}

/// What was heard of gateways since an instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// Of each that was heard of: the end of its last interval.
    pub until: BTreeMap<Identity, Timestamp>,
    /// When the newest report came.
    pub newest: Option<Timestamp>,
}

/// What was heard of these gateways: reports that reach beyond `since`.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn heard(
    client: &mut impl GenericClient,
    gateways: &[Identity],
    since: Timestamp,
) -> Result<Heard, StoreError> {
    let gateways: Vec<&[u8]> = gateways.iter().map(|g| g.as_bytes().as_slice()).collect();
    let rows = client.query(
        "SELECT gateway, max(ends_at), max(received_at) FROM report
         WHERE gateway = ANY($1) AND ends_at > $2 GROUP BY gateway",
        &[&gateways, &to_column(since)],
    )?;
    let mut heard = Heard::default();
    for row in &rows {
        heard.until.insert(identity(row.get(0))?, timestamp(row.get(1))?);
        heard.newest = heard.newest.max(Some(timestamp(row.get(2))?));
    }
    Ok(heard)
}

/// How many reports and readings are held.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn volume(client: &mut impl GenericClient) -> Result<(i64, i64), StoreError> {
    let row = client.query_one(
        "SELECT (SELECT count(*) FROM report), (SELECT coalesce(sum(readings), 0) FROM device_day)",
        &[],
    )?;
    Ok((row.get(0), row.get(1)))
}

/// The digests of held reports of one number: two or more are equivocation.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn digests_of(
    client: &mut impl GenericClient,
    gateway: &Identity,
    number: u64,
) -> Result<Vec<Digest>, StoreError> {
    let rows = client.query(
        "SELECT digest FROM report WHERE gateway = $1 AND sequence = $2 ORDER BY digest",
        &[&gateway.as_bytes().as_slice(), &sequence_column(number)?],
    )?;
    rows.iter().map(|row| digest(row.get(0))).collect()
}
