//! The database of the history.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{Days, NaiveDate};
use gridtally_protocol::quantity::{MilliwattHours, Overflow};
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::chart::{Day, sum_of_day};
use super::days::{bounds_of, day_of, start_of};
use super::{Energies, Entry, KEEP_DAYS, KEEP_YEARS};
use crate::config::Zone;

const SCHEMA: &str = include_str!("schema.sql");
const ENERGIES: &str = "grid_import, grid_export, solar, battery_charge, battery_discharge";

/// Why the history cannot be kept or shown. The agent goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file does not open.
    #[error(
        "the history {} cannot be opened: {source}; move it away and the agent starts a new one",
        file.display()
    )]
    Open {
        /// Which file.
        file: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A statement failed.
    #[error("the history cannot be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Sums are out of all bounds.
    #[error("the history holds energies that no home has: {0}")]
    Overflow(#[from] Overflow),
}

/// The history of one home.
#[derive(Debug)]
pub struct History {
    connection: Connection,
    zone: Zone,
}

impl History {
    /// Opens or makes the file. Days are those of `zone`; days that were summed under another zone stay
    /// as they are.
    ///
    /// # Errors
    /// [`HistoryError::Open`].
    pub fn open(file: &Path, zone: Zone) -> Result<Self, HistoryError> {
        let open = || {
            let connection = Connection::open(file)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            // A Pi Zero 2 has better uses for memory: 256 KiB.
            connection.pragma_update(None, "cache_size", -256)?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        let connection = open().map_err(|source| HistoryError::Open {
            file: file.to_owned(),
            source,
        })?;
        Ok(Self { connection, zone })
    }

    /// The zone of its days.
    #[must_use]
    pub const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Keeps what was counted. An interval that is already there is replaced, so that to record twice is
    /// to record once; one that is older than what is kept is left out.
    ///
    /// # Errors
    /// [`HistoryError`]; then nothing of it was kept.
    pub fn record(&mut self, entries: &[Entry]) -> Result<(), HistoryError> {
        let zone = &self.zone;
        let transaction = self.connection.transaction()?;
        let before = latest_day(&transaction, zone)?;
        let newest = entries.iter().map(|e| day_of(e.interval.start(), zone)).max();
        let Some(running) = before.max(newest) else {
            return Ok(());
        };
        let oldest = running.checked_sub_days(Days::new(u64::from(KEEP_DAYS)));
        // A day is summed when it is over, and again when something late comes in for it.
        let mut over: BTreeSet<_> = before.into_iter().collect();
        for entry in entries {
            let day = day_of(entry.interval.start(), zone);
            if oldest.is_some_and(|oldest| day < oldest) {
                continue;
            }
            put(&transaction, entry)?;
            over.insert(day);
        }
        for day in over.into_iter().filter(|day| *day < running) {
            let entries = between(&transaction, day, zone)?;
            put_day(&transaction, &sum_of_day(day, zone, &entries)?)?;
        }
        prune(&transaction, running, oldest, zone)?;
        transaction.commit()?;
        Ok(())
    }

    /// The intervals that start in a local day, in their order.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn intervals_of(&self, day: NaiveDate) -> Result<Vec<Entry>, HistoryError> {
        between(&self.connection, day, &self.zone)
    }

    /// The days from `first` to before `next` of which something is known, in their order; the running
    /// day with what it has so far.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn days(&self, first: NaiveDate, next: NaiveDate) -> Result<Vec<Day>, HistoryError> {
        let sql = format!(
            "SELECT {ENERGIES}, date, covered_seconds FROM day WHERE date >= ?1 AND date < ?2 ORDER BY date"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![first.to_string(), next.to_string()], |row| {
            Ok((row.get::<_, String>(5)?, row.get(6)?, energies(row)?))
        })?;
        let mut days = Vec::new();
        for row in rows {
            let (date, covered_seconds, energies) = row?;
            // A date that is none was not written by this program.
            if let Ok(date) = date.parse() {
                days.push(Day {
                    date,
                    energies,
                    covered_seconds,
                });
            }
        }
        if let Some(running) = latest_day(&self.connection, &self.zone)?.filter(|d| (first..next).contains(d))
        {
            days.retain(|day| day.date != running);
            days.push(sum_of_day(running, &self.zone, &self.intervals_of(running)?)?);
        }
        Ok(days)
    }

    /// Everything that was ever recorded: counters that only grow, whatever is pruned.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn totals(&self) -> Result<Energies, HistoryError> {
        let sql = format!("SELECT {ENERGIES} FROM total");
        Ok(self
            .connection
            .query_row(&sql, [], energies)
            .optional()?
            .unwrap_or_default())
    }
}

fn latest_day(connection: &Connection, zone: &Zone) -> Result<Option<NaiveDate>, HistoryError> {
    let latest: Option<i64> =
        connection.query_row("SELECT max(start) FROM interval", [], |row| row.get(0))?;
    Ok(latest
        .and_then(|seconds| Timestamp::from_unix(seconds).ok())
        .map(|at| day_of(at, zone)))
}

fn between(connection: &Connection, day: NaiveDate, zone: &Zone) -> Result<Vec<Entry>, HistoryError> {
    let Some((from, to)) = bounds_of(day, zone) else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT {ENERGIES}, start, seconds, state_of_charge FROM interval WHERE start >= ?1 AND start < ?2 ORDER BY start"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([from.unix(), to.unix()], |row| {
        Ok((row.get(5)?, row.get(6)?, row.get(7)?, energies(row)?))
    })?;
    let mut entries = Vec::new();
    for row in rows {
        let (start, seconds, state_of_charge, energies) = row?;
        let interval = Timestamp::from_unix(start)
            .and_then(|start| Interval::new(start, IntervalLength::from_seconds(seconds)?));
        // What is no interval was not written by this program.
        if let Ok(interval) = interval {
            entries.push(Entry {
                interval,
                energies,
                state_of_charge,
            });
        }
    }
    Ok(entries)
}

/// Replaces an interval, and moves the total by the difference.
fn put(connection: &Connection, entry: &Entry) -> Result<(), HistoryError> {
    let start = entry.interval.start().unix();
    let old = connection
        .prepare_cached(&format!("SELECT {ENERGIES} FROM interval WHERE start = ?1"))?
        .query_row([start], energies)
        .optional()?
        .unwrap_or_default();
    let total = connection
        .prepare_cached(&format!("SELECT {ENERGIES} FROM total"))?
        .query_row([], energies)
        .optional()?
        .unwrap_or_default();
    let total = total.checked_add(entry.energies)?.checked_add(negated(old)?)?;
    let e = entry.energies;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO interval (start, seconds, grid_import, grid_export, solar, battery_charge,
             battery_discharge, state_of_charge) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            start,
            entry.interval.length().seconds(),
            number(e.grid_import),
            number(e.grid_export),
            number(e.solar),
            number(e.battery_charge),
            number(e.battery_discharge),
            entry.state_of_charge
        ])?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO total VALUES (1, ?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            number(total.grid_import),
            number(total.grid_export),
            number(total.solar),
            number(total.battery_charge),
            number(total.battery_discharge)
        ])?;
    Ok(())
}

fn put_day(connection: &Connection, day: &Day) -> Result<(), HistoryError> {
    let e = day.energies;
    connection
        .prepare_cached("INSERT OR REPLACE INTO day VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            day.date.to_string(),
            day.covered_seconds,
            number(e.grid_import),
            number(e.grid_export),
            number(e.solar),
            number(e.battery_charge),
            number(e.battery_discharge)
        ])?;
    Ok(())
}

fn prune(
    connection: &Connection,
    running: NaiveDate,
    oldest: Option<NaiveDate>,
    zone: &Zone,
) -> Result<(), HistoryError> {
    if let Some(start) = oldest.and_then(|day| start_of(day, zone)) {
        connection
            .prepare_cached("DELETE FROM interval WHERE start < ?1")?
            .execute([start.unix()])?;
    }
    if let Some(first) =
        running.checked_sub_months(chrono::Months::new(u32::from(KEEP_YEARS).saturating_mul(12)))
    {
        connection
            .prepare_cached("DELETE FROM day WHERE date < ?1")?
            .execute([first.to_string()])?;
    }
    Ok(())
}

fn energies(row: &Row<'_>) -> rusqlite::Result<Energies> {
    let energy = |i: usize| row.get::<_, Option<i64>>(i).map(|e| e.map(MilliwattHours::new));
    Ok(Energies {
        grid_import: energy(0)?,
        grid_export: energy(1)?,
        solar: energy(2)?,
        battery_charge: energy(3)?,
        battery_discharge: energy(4)?,
    })
}

fn negated(e: Energies) -> Result<Energies, Overflow> {
    let turn = |e: Option<MilliwattHours>| e.map(|e| MilliwattHours::ZERO.checked_sub(e)).transpose();
    Ok(Energies {
        grid_import: turn(e.grid_import)?,
        grid_export: turn(e.grid_export)?,
        solar: turn(e.solar)?,
        battery_charge: turn(e.battery_charge)?,
        battery_discharge: turn(e.battery_discharge)?,
    })
}

fn number(energy: Option<MilliwattHours>) -> Option<i64> {
    energy.map(MilliwattHours::get)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
