//! The beacons that the engine has signed, in the order of their numbers.

use std::collections::BTreeSet;

use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::message::Signed;
use gridtally_protocol::report;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::StoreError;
use super::types::{digest, sequence, sequence_column, timestamp, to_column};
use crate::ingest::Beacons;
use crate::proofs::evidence::PublishedBeacon;

/// The last beacon that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// Its number.
    pub number: u64,
    /// When.
    pub issued_at: Timestamp,
    /// The signed bytes.
    pub envelope: Vec<u8>,
}

/// The last beacon that was signed, where there is one.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn newest(client: &mut impl GenericClient) -> Result<Option<Newest>, StoreError> {
    let row = client.query_opt(
        "SELECT number, issued_at, envelope FROM beacon ORDER BY number DESC LIMIT 1",
        &[],
    )?;
    row.map(|row| {
        Ok(Newest {
            number: sequence(row.get(0))?,
            issued_at: timestamp(row.get(1))?,
            envelope: row.get(2),
        })
    })
    .transpose()
}

/// Keeps a beacon; of two of one number the first stays.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn keep(
    client: &mut impl GenericClient,
    signed: &Signed<Beacon>,
    envelope: &[u8],
) -> Result<(), StoreError> {
    let beacon = &signed.message;
    client.execute(
        "INSERT INTO beacon (number, digest, issued_at, envelope) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        &[
            &sequence_column(beacon.number)?,
            &signed.digest.as_bytes().as_slice(),
            &to_column(beacon.issued_at),
            &envelope,
        ],
    )?;
    Ok(())
}

/// Which of these digests are those of beacons, and when those were issued.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn known(client: &mut impl GenericClient, digests: &BTreeSet<Digest>) -> Result<Beacons, StoreError> {
    if digests.is_empty() {
        return Ok(Beacons::default());
    }
    let digests: Vec<&[u8]> = digests
        .iter()
        .map(|digest| digest.as_bytes().as_slice())
        .collect();
    let rows = client.query(
        "SELECT digest, issued_at FROM beacon WHERE digest = ANY($1)",
        &[&digests],
    )?;
    rows.iter()
        .map(|row| Ok((digest(row.get(0))?, timestamp(row.get(1))?)))
        .collect()
}

/// The beacons that these reports name, as far as they are known.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn named_by<'e>(
    client: &mut impl GenericClient,
    envelopes: impl Iterator<Item = &'e [u8]>,
) -> Result<Beacons, StoreError> {
    known(client, &envelopes.filter_map(report::named_beacon).collect())
}

/// As [`named_by`], whole.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn published<'e>(
    client: &mut impl GenericClient,
    envelopes: impl Iterator<Item = &'e [u8]>,
    until: Timestamp,
) -> Result<Vec<PublishedBeacon>, StoreError> {
    let digests: BTreeSet<Digest> = envelopes.filter_map(report::named_beacon).collect();
    if digests.is_empty() {
        return Ok(Vec::new());
    }
    let digests: Vec<&[u8]> = digests
        .iter()
        .map(|digest| digest.as_bytes().as_slice())
        .collect();
    let rows = client.query(
        "SELECT number, envelope FROM beacon WHERE digest = ANY($1) AND issued_at <= $2 ORDER BY number",
        &[&digests, &to_column(until)],
    )?;
    let read = |row: &postgres::Row| {
        Ok(PublishedBeacon {
            number: sequence(row.get(0))?,
            envelope: row.get(1),
        })
    };
    rows.iter().map(read).collect()
}
