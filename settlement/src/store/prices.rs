//! Prices that are published for single intervals.

use gridtally_protocol::quantity::TokenAmount;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::StoreError;
use super::types::{corrupt, timestamp, to_column};
use crate::rules::program::{Program, ProgramId};
use crate::rules::statement::PublishedPrice;

/// Publishes prices. The same again is a no-op.
///
/// # Errors
/// [`StoreError::Conflict`] where an interval has another price already: what was published stands.
pub fn publish(
    client: &mut impl GenericClient,
    program: &ProgramId,
    prices: &[PublishedPrice],
    now: Timestamp,
) -> Result<(), StoreError> {
    for price in prices {
        let units = price.per_kwh.base_units().to_string();
        let start = to_column(price.start);
        client.execute(
            "INSERT INTO published_price (program, starts_at, base_units_per_kwh, published_at)
             VALUES ($1, $2, $3::text::numeric, $4) ON CONFLICT DO NOTHING",
            &[&program.as_str(), &start, &units, &to_column(now)],
        )?;
        let kept: String = client
            .query_one(
                "SELECT base_units_per_kwh::text FROM published_price WHERE program = $1 AND starts_at = $2",
                &[&program.as_str(), &start],
            )?
            .get(0);
        if kept != units {
            return Err(StoreError::Conflict(format!(
                "the interval that begins at {} has another price already; what was published stands",
                price.start
            )));
        }
    }
    Ok(())
}

/// The prices of the intervals from one instant to another that were published by `until`, in the order of time.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn published(
    client: &mut impl GenericClient,
    program: &Program,
    (start, end): (Timestamp, Timestamp),
    until: Timestamp,
) -> Result<Vec<PublishedPrice>, StoreError> {
    let rows = client.query(
        "SELECT starts_at, base_units_per_kwh::text FROM published_price
         WHERE program = $1 AND starts_at >= $2 AND starts_at < $3 AND published_at <= $4 ORDER BY starts_at",
        &[
            &program.id.as_str(),
            &to_column(start),
            &to_column(end),
            &to_column(until),
        ],
    )?;
    let read = |row: &postgres::Row| {
        let units: i128 = row.get::<_, &str>(1).parse().map_err(corrupt)?;
        Ok(PublishedPrice {
            start: timestamp(row.get(0))?,
            per_kwh: TokenAmount::new(units).map_err(corrupt)?,
        })
    };
    rows.iter().map(read).collect()
}
