//! What the engine remembers of its public log, so that it never signs files which do not continue it.

use gridtally_log::note::TreeHead;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::StoreError;
use super::types::{corrupt, digest, to_column};

/// The newest size and root of a log, where it was published before.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn newest(client: &mut impl GenericClient, origin: &str) -> Result<Option<TreeHead>, StoreError> {
    let row = client.query_opt(
        "SELECT size, root FROM log_head WHERE origin = $1 ORDER BY size DESC LIMIT 1",
        &[&origin],
    )?;
    row.map(|row| {
        let size: i64 = row.get(0);
        Ok(TreeHead {
            size: u64::try_from(size).map_err(corrupt)?,
            root: digest(row.get(1))?,
        })
    })
    .transpose()
}

/// Remembers what a log became. The same again is a no-op.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn remember(
    client: &mut impl GenericClient,
    origin: &str,
    head: TreeHead,
    now: Timestamp,
) -> Result<(), StoreError> {
    let size = i64::try_from(head.size).map_err(corrupt)?;
    client.execute(
        "INSERT INTO log_head (origin, size, root, published_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        &[&origin, &size, &head.root.as_bytes().as_slice(), &to_column(now)],
    )?;
    Ok(())
}
