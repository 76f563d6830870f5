//! Days on which sites had an outage.

use chrono::NaiveDate;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::StoreError;
use super::types::{corrupt, timestamp, to_column};
use crate::events::revision::{Actor, Why};
use crate::proofs::evidence::Outage;
use crate::rules::program::ProgramId;
use crate::rules::statement::SiteId;

/// Keeps that a site had an outage on a local day; whether it is new. What is kept stays as it is.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn declare(
    client: &mut impl GenericClient,
    (program, site): (&ProgramId, &SiteId),
    day: NaiveDate,
    (by, why): (&Actor, &Why),
    now: Timestamp,
) -> Result<bool, StoreError> {
    if why.as_str().is_empty() {
        return Err(StoreError::Conflict(
            "an outage has a reason; say it in a sentence".into(),
        ));
    }
    let rows = client.execute(
        "INSERT INTO site_outage (program, site, day, actor, reason, declared_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING",
        &[
            &program.as_str(),
            &site.as_str(),
            &day,
            &by.as_str(),
            &why.as_str(),
            &to_column(now),
        ],
    )?;
    Ok(rows > 0)
}

/// The outages of a program's sites that were declared by `until`.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn outages(
    client: &mut impl GenericClient,
    program: &ProgramId,
    until: Timestamp,
) -> Result<Vec<Outage>, StoreError> {
    let rows = client.query(
        "SELECT site, day, actor, reason, declared_at FROM site_outage
         WHERE program = $1 AND declared_at <= $2 ORDER BY site, day",
        &[&program.as_str(), &to_column(until)],
    )?;
    let read = |row: &postgres::Row| {
        Ok(Outage {
            site: row.get::<_, String>(0).parse().map_err(corrupt)?,
            day: row.get(1),
            by: row.get(2),
            why: row.get(3),
            declared_at: timestamp(row.get(4))?,
        })
    };
    rows.iter().map(read).collect()
}
