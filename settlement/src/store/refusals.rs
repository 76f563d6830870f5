//! What was not taken.

use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::StoreError;
use super::types::{corrupt, digest, identity, timestamp, to_column};

/// At most this many bytes of what was refused are kept.
pub const BYTES_KEPT_MAX: usize = 20 * 1024;

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRefusal {
    /// When it came.
    pub received_at: Timestamp,
    /// The topic it came on, cut to 256 characters.
    pub topic: String,
    /// The topic's gateway, where it names one.
    pub gateway: Option<Identity>,
    /// Why.
    pub reason: Refusal,
    /// The evidence, for people.
    pub detail: String,
    /// SHA-256 of all its bytes.
    pub digest: Digest,
    /// Its bytes, cut to [`BYTES_KEPT_MAX`].
    pub bytes: Vec<u8>,
}

/// Keeps refusals; the same one again is kept once.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_refusals(
    client: &mut impl GenericClient,
    refusals: &[StoredRefusal],
) -> Result<(), StoreError> {
    for refusal in refusals {
        client.execute(
            "INSERT INTO refused (received_at, topic, gateway, reason, detail, digest, bytes)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            &[
                &to_column(refusal.received_at),
                &printable(&refusal.topic),
                &refusal.gateway.as_ref().map(|g| g.as_bytes().as_slice()),
                &refusal.reason.name(),
                &printable(&refusal.detail),
                &refusal.digest.as_bytes().as_slice(),
                &refusal.bytes,
            ],
        )?;
    }
    Ok(())
}

/// PostgreSQL's text holds no NUL; a stranger's text may.
fn printable(text: &str) -> String {
    text.chars()
        .take(1_000)
        .map(|c| if c == '\0' { '\u{fffd}' } else { c })
        .collect()
}

/// Everything that was refused in `[from, until)`, in an order that does not depend on that of arrival.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn refusals(
    client: &mut impl GenericClient,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<StoredRefusal>, StoreError> {
    let rows = client.query(
        "SELECT received_at, topic, gateway, reason, detail, digest, bytes FROM refused
         WHERE received_at >= $1 AND received_at < $2 ORDER BY received_at, reason, topic, digest, detail",
        &[&to_column(from), &to_column(until)],
    )?;
    rows.iter()
        .map(|row| {
            let gateway: Option<&[u8]> = row.get(2);
            let reason: &str = row.get(3);
            Ok(StoredRefusal {
                received_at: timestamp(row.get(0))?,
                topic: row.get(1),
                gateway: gateway.map(identity).transpose()?,
                reason: Refusal::from_name(reason)
                    .ok_or_else(|| corrupt(format!("a refusal for {reason}")))?,
                detail: row.get(4),
                digest: digest(row.get(5))?,
                bytes: row.get(6),
            })
        })
        .collect()
}
