//! What a device does at this moment: shown to its owner, watched while an event runs, never paid for.

use gridtally_protocol::quantity::Milliwatts;

/// Powers and the state of charge, as far as the device shows them. Positive is into the house: imported,
/// produced, discharged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Live {
    /// At the grid connection, positive while importing.
    pub grid: Option<Milliwatts>,
    /// Of the panels.
    pub pv: Option<Milliwatts>,
    /// Of the battery, positive while discharging.
    pub battery: Option<Milliwatts>,
    /// State of charge, in thousandths of a percent.
    pub charge: Option<i64>,
}

impl Live {
    /// What is known here, and from `other` what is not.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            grid: self.grid.or(other.grid),
            pv: self.pv.or(other.pv),
            battery: self.battery.or(other.battery),
            charge: self.charge.or(other.charge),
        }
    }
}
