//! Between the columns' types and ours.

use chrono::{DateTime, Utc};
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::time::Timestamp;

use super::StoreError;

pub(crate) fn corrupt(what: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        what: what.to_string(),
    }
}

pub(crate) fn to_column(instant: Timestamp) -> DateTime<Utc> {
    // Every timestamp is within the years 1970 to 9999, which chrono holds.
    DateTime::from_timestamp(instant.unix(), 0).unwrap_or(DateTime::UNIX_EPOCH)
}

pub(crate) fn timestamp(column: DateTime<Utc>) -> Result<Timestamp, StoreError> {
    Timestamp::from_unix(column.timestamp()).map_err(corrupt)
}

pub(crate) fn digest(column: &[u8]) -> Result<Digest, StoreError> {
    let bytes = column
        .try_into()
        .map_err(|_| corrupt("a digest that has not 32 bytes"))?;
    Ok(Digest::from_bytes(bytes))
}

pub(crate) fn identity(column: &[u8]) -> Result<Identity, StoreError> {
    let bytes = column
        .try_into()
        .map_err(|_| corrupt("a key that has not 32 bytes"))?;
    Identity::from_bytes(bytes).map_err(corrupt)
}

pub(crate) fn sequence(column: i64) -> Result<u64, StoreError> {
    u64::try_from(column).map_err(|_| corrupt("a negative sequence number"))
}

pub(crate) fn sequence_column(sequence: u64) -> Result<i64, StoreError> {
    i64::try_from(sequence).map_err(|_| StoreError::Conflict("a sequence number beyond 63 bits".into()))
}
