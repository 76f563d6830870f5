//! What counts in the place of meters' readings.

use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};
use postgres::{GenericClient, Row};

use super::StoreError;
use super::settlements::lock_program;
use super::types::{corrupt, timestamp, to_column};
use crate::events::revision::{Actor, Why};
use crate::proofs::evidence::Correction;
use crate::rules::program::ProgramId;
use crate::rules::statement::{Metered, MissingReason, SiteId};

/// What is put in the place of a site's readings, by whom and why.
#[derive(Debug, Clone)]
pub struct Correcting<'c> {
    /// Of which program the site is.
    pub program: &'c ProgramId,
    /// Whose meter.
    pub site: &'c SiteId,
    /// Each interval with its energy, import − export, or with nothing where the reading is withdrawn.
    pub readings: &'c [(Interval, Option<MilliwattHours>)],
    /// Who.
    pub by: &'c Actor,
    /// Why.
    pub why: &'c Why,
}

/// Keeps corrections under the next numbers of the program; gives the numbers.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn correct(
    client: &mut impl GenericClient,
    correcting: &Correcting<'_>,
    now: Timestamp,
) -> Result<Vec<u32>, StoreError> {
    let Correcting {
        program,
        site,
        readings,
        by,
        why,
    } = correcting;
    if why.as_str().is_empty() {
        return Err(StoreError::Conflict(
            "a correction has a reason; say where its values come from".into(),
        ));
    }
    lock_program(client, program)?;
    let last: i32 = client
        .query_one(
            "SELECT coalesce(max(number), 0) FROM reading_correction WHERE program = $1",
            &[&program.as_str()],
        )?
        .get(0);
    let mut numbers = Vec::with_capacity(readings.len());
    for (number, (interval, energy)) in (1_i32..).zip(*readings) {
        let number = last
            .checked_add(number)
            .ok_or_else(|| StoreError::Conflict("more than 2,147,483,647 corrections".into()))?;
        let seconds = i32::try_from(interval.length().seconds()).map_err(corrupt)?;
        client.execute(
            "INSERT INTO reading_correction
                 (program, number, site, starts_at, seconds, net_milliwatt_hours, actor, reason, made_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                &program.as_str(),
                &number,
                &site.as_str(),
                &to_column(interval.start()),
                &seconds,
                &energy.map(MilliwattHours::get),
                &by.as_str(),
                &why.as_str(),
                &to_column(now),
            ],
        )?;
        numbers.push(u32::try_from(number).map_err(corrupt)?);
    }
    Ok(numbers)
}

/// The corrections of intervals that begin within a time, as they stood at `made_until`, by number.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn corrections(
    client: &mut impl GenericClient,
    program: &ProgramId,
    (from, until): (Timestamp, Timestamp),
    made_until: Timestamp,
) -> Result<Vec<Correction>, StoreError> {
    let rows = client.query(
        "SELECT number, site, starts_at, seconds, net_milliwatt_hours, actor, reason, made_at
         FROM reading_correction
         WHERE program = $1 AND starts_at >= $2 AND starts_at < $3 AND made_at <= $4 ORDER BY number",
        &[
            &program.as_str(),
            &to_column(from),
            &to_column(until),
            &to_column(made_until),
        ],
    )?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Correction, StoreError> {
    let site: SiteId = row.get::<_, String>(1).parse().map_err(corrupt)?;
    let seconds = u32::try_from(row.get::<_, i32>(3)).map_err(corrupt)?;
    let length = IntervalLength::from_seconds(seconds).map_err(corrupt)?;
    let energy: Option<i64> = row.get(4);
    Ok(Correction {
        number: u32::try_from(row.get::<_, i32>(0)).map_err(corrupt)?,
        site,
        interval: Interval::new(timestamp(row.get(2))?, length).map_err(corrupt)?,
        net: energy.map_or(Metered::Missing(MissingReason::Withdrawn), |energy| {
            Metered::Energy(MilliwattHours::new(energy))
        }),
        by: row.get(5),
        why: row.get(6),
        made_at: timestamp(row.get(7))?,
    })
}
