//! What the charts show: interval energies of the last weeks, and the sum of each day for years.
//!
//! It has a database file of its own. Charts must never endanger the outbox, and what is lost here in a
//! power cut is the last minutes of a picture: so it is synced rarely (WAL, `synchronous = NORMAL`),
//! which spares SD cards. Everything is bounded: [`KEEP_DAYS`] of intervals, [`KEEP_YEARS`] of days.
//!
//! A day is the home's local day: 23 or 25 hours long twice a year. [`days`] knows how they lie in UTC,
//! [`chart`] turns intervals into bars, both pure; [`store`] keeps them.

pub mod chart;
pub mod days;
pub mod store;

use gridtally_protocol::quantity::{MilliwattHours, Overflow};
use gridtally_protocol::time::Interval;

pub use self::store::{History, HistoryError};

/// How many days of intervals are kept.
pub const KEEP_DAYS: u16 = 40;
/// How many years of daily sums are kept.
pub const KEEP_YEARS: u16 = 10;

/// The energies of an interval or of a day. What was not measured is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Energies {
    /// Bought from the grid.
    pub grid_import: Option<MilliwattHours>,
    /// Sent to the grid.
    pub grid_export: Option<MilliwattHours>,
    /// From the roof.
    pub solar: Option<MilliwattHours>,
    /// Into the battery.
    pub battery_charge: Option<MilliwattHours>,
    /// Out of the battery.
    pub battery_discharge: Option<MilliwattHours>,
}

impl Energies {
    /// The sum, quantity by quantity; what is `None` on one side is what the other side has.
    ///
    /// # Errors
    /// [`Overflow`] where a sum does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        let sum = |a: Option<MilliwattHours>, b: Option<MilliwattHours>| match (a, b) {
            (Some(a), Some(b)) => a.checked_add(b).map(Some),
            (one, None) | (None, one) => Ok(one),
        };
        Ok(Self {
            grid_import: sum(self.grid_import, other.grid_import)?,
            grid_export: sum(self.grid_export, other.grid_export)?,
            solar: sum(self.solar, other.solar)?,
            battery_charge: sum(self.battery_charge, other.battery_charge)?,
            battery_discharge: sum(self.battery_discharge, other.battery_discharge)?,
        })
    }

    /// What the house used: import − export + solar + discharge − charge, not below zero. `None` without
    /// a grid meter.
    #[must_use]
    pub fn house(&self) -> Option<MilliwattHours> {
        let part = |e: Option<MilliwattHours>| i128::from(e.unwrap_or_default().get());
        if self.grid_import.is_none() && self.grid_export.is_none() {
            return None;
        }
        let sum = part(self.grid_import) + part(self.solar) + part(self.battery_discharge)
            - part(self.grid_export)
            - part(self.battery_charge);
        i64::try_from(sum.max(0)).ok().map(MilliwattHours::new)
    }
}

/// One interval of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub interval: Interval,
    /// What was counted in it.
    pub energies: Energies,
    /// The battery's charge at its end: thousandths of a percent.
    pub state_of_charge: Option<u32>,
}
