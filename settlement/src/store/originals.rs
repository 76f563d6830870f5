//! What meters have signed themselves, as their gateways gave it.

use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::original::OriginalFormat;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::StoreError;
use super::types::{identity, timestamp, to_column};

/// An original to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOriginal {
    /// Who took it.
    pub gateway: Identity,
    /// SHA-256 of the envelope.
    pub digest: Digest,
    /// Of which device.
    pub device: DeviceNumber,
    /// In which form.
    pub format: OriginalFormat,
    /// When it was taken, by the gateway's clock.
    pub taken_at: Timestamp,
    /// When the engine got it.
    pub received_at: Timestamp,
    /// Why it was not verified when it came; nothing where it was.
    pub unverified: Option<String>,
    /// The signed bytes, with the meter's own inside.
    pub envelope: Vec<u8>,
}

/// An original as it was kept, for a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOriginal {
    /// Who took it.
    pub gateway: Identity,
    /// When the engine got it.
    pub received_at: Timestamp,
    /// The signed bytes.
    pub envelope: Vec<u8>,
}

/// Keeps originals; the same one again is kept once.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_originals(
    client: &mut impl GenericClient,
    originals: &[StoredOriginal],
) -> Result<(), StoreError> {
    for original in originals {
        client.execute(
            "INSERT INTO original (digest, gateway, device, format, taken_at, received_at, unverified, envelope)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
            &[
                &original.digest.as_bytes().as_slice(),
                &original.gateway.as_bytes().as_slice(),
                &i16::from(original.device.0),
                &original.format.name(),
                &to_column(original.taken_at),
                &to_column(original.received_at),
                &original.unverified.as_ref().map(|why| why.replace('\0', "")),
                &original.envelope,
            ],
        )?;
    }
    Ok(())
}

/// What was taken of some gateways within a time, both ends included, in the order of the digests, as far as it was
/// received by `known_at`.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn originals_of(
    client: &mut impl GenericClient,
    gateways: &[Identity],
    from: Timestamp,
    until: Timestamp,
    known_at: Timestamp,
) -> Result<Vec<KeptOriginal>, StoreError> {
    let gateways: Vec<&[u8]> = gateways.iter().map(|g| g.as_bytes().as_slice()).collect();
    let rows = client.query(
        "SELECT gateway, received_at, envelope FROM original
         WHERE gateway = ANY ($1) AND taken_at BETWEEN $2 AND $3 AND received_at <= $4 ORDER BY digest",
        &[
            &gateways,
            &to_column(from),
            &to_column(until),
            &to_column(known_at),
        ],
    )?;
    rows.iter()
        .map(|row| {
            Ok(KeptOriginal {
                gateway: identity(row.get(0))?,
                received_at: timestamp(row.get(1))?,
                envelope: row.get(2),
            })
        })
        .collect()
}
