//! How warm it was: what an operator publishes for programs that look for days of like weather.

use chrono::NaiveDate;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::types::{corrupt, timestamp, to_column};
use super::{StoreError, settlements};
use crate::proofs::evidence::Temperature;
use crate::rules::program::ProgramId;
use crate::rules::statement::DayTemperature;

/// Publishes temperatures; how many are new. The same again is a no-op; another value for a day is its next number, and
/// the one before stays.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn publish(
    client: &mut impl GenericClient,
    program: &ProgramId,
    temperatures: &[DayTemperature],
    now: Timestamp,
) -> Result<u64, StoreError> {
    // Two who publish at once would take the same number.
    settlements::lock_program(client, program)?;
    let mut new = 0_u64;
    for temperature in temperatures {
        let rows = client.execute(
            "INSERT INTO program_temperature (program, day, number, max_millidegrees, published_at)
             SELECT $1::text, $2::date, coalesce(last.number, 0) + 1, $3::integer, $4::timestamptz
             FROM (VALUES (1)) one LEFT JOIN LATERAL (
                 SELECT number, max_millidegrees FROM program_temperature
                 WHERE program = $1 AND day = $2 ORDER BY number DESC LIMIT 1) last ON true
             WHERE last.max_millidegrees IS DISTINCT FROM $3",
            &[
                &program.as_str(),
                &temperature.day,
                &temperature.max_millidegrees,
                &to_column(now),
            ],
        )?;
        new = new.saturating_add(rows);
    }
    Ok(new)
}

/// The last temperature of each day, from the first day to the last, that was published by `until`.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn known(
    client: &mut impl GenericClient,
    program: &ProgramId,
    (first, last): (NaiveDate, NaiveDate),
    until: Timestamp,
) -> Result<Vec<Temperature>, StoreError> {
    let rows = client.query(
        "SELECT DISTINCT ON (day) day, number, max_millidegrees, published_at FROM program_temperature
         WHERE program = $1 AND day BETWEEN $2 AND $3 AND published_at <= $4 ORDER BY day, number DESC",
        &[&program.as_str(), &first, &last, &to_column(until)],
    )?;
    let read = |row: &postgres::Row| {
        Ok(Temperature {
            day: row.get(0),
            number: u32::try_from(row.get::<_, i32>(1)).map_err(corrupt)?,
            max_millidegrees: row.get(2),
            published_at: timestamp(row.get(3))?,
        })
    };
    rows.iter().map(read).collect()
}
