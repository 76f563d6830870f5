//! What a gateway measures: channels, each a quantity of one of its devices.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number of a device behind a gateway, given at enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceNumber(pub u8);

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is measured. All energies count upwards in their own direction and are never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Energy drawn from the grid at the site's meter, in milliwatt-hours.
    GridImport,
    /// Energy given to the grid at the site's meter, in milliwatt-hours.
    GridExport,
    /// AC energy made by a PV inverter, in milliwatt-hours.
    PvProduction,
    /// AC energy given out by a battery inverter, in milliwatt-hours.
    BatteryDischarge,
    /// AC energy taken in by a battery inverter, in milliwatt-hours.
    BatteryCharge,
    /// State of charge at the interval's end, in thousandths of a percent.
    StateOfCharge,
}

impl Quantity {
    /// Every quantity there is.
    pub const ALL: [Self; 6] = [
        Self::GridImport,
        Self::GridExport,
        Self::PvProduction,
        Self::BatteryDischarge,
        Self::BatteryCharge,
        Self::StateOfCharge,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::GridImport => 1,
            Self::GridExport => 2,
            Self::PvProduction => 3,
            Self::BatteryDischarge => 4,
            Self::BatteryCharge => 5,
            Self::StateOfCharge => 6,
        }
    }

    /// The quantity of a number, where there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|q| q.code() == code)
    }

    /// Its name in configs and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GridImport => "grid_import",
            Self::GridExport => "grid_export",
            Self::PvProduction => "pv_production",
            Self::BatteryDischarge => "battery_discharge",
            Self::BatteryCharge => "battery_charge",
            Self::StateOfCharge => "state_of_charge",
        }
    }

    /// Whether it is an energy over the interval (all but the state of charge, which is a level at its end).
    #[must_use]
    pub const fn is_energy(self) -> bool {
        !matches!(self, Self::StateOfCharge)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no quantity; the quantities are grid_import, grid_export, pv_production, battery_discharge, \
     battery_charge and state_of_charge"
)]
pub struct QuantityError(String);

impl FromStr for Quantity {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Self::ALL
            .into_iter()
            .find(|q| q.name() == text)
            .ok_or_else(|| QuantityError(text.chars().take(64).collect()))
    }
}

/// A quantity of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Channel {
    /// Which device behind the gateway.
    pub device: DeviceNumber,
    /// What of it.
    pub quantity: Quantity,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.device, self.quantity)
    }
}

/// Why an interval of a channel has no value. A missing value is never a zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The device did not answer at one of the interval's ends.
    Unreachable,
    /// The device answered, but not with something that can be believed.
    BadSample,
    /// The agent was not running, or had no counter to start from.
    NoStart,
    /// The counter went backwards, or further than the device can: no energy is made of it.
    CounterFault,
    /// Another device answers than before: its counter says nothing of this interval.
    DeviceReplaced,
    /// The counter began anew.
    CounterReset,
    /// There is no counter, and samples of the power cover less than nine tenths of the interval.
    NotCovered,
}

impl Missing {
    /// Every reason there is.
    pub const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::BadSample,
        Self::NoStart,
        Self::CounterFault,
        Self::DeviceReplaced,
        Self::CounterReset,
        Self::NotCovered,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unreachable => 1,
            Self::BadSample => 2,
            Self::NoStart => 3,
            Self::CounterFault => 4,
            Self::DeviceReplaced => 5,
            Self::CounterReset => 6,
            Self::NotCovered => 7,
        }
    }

    /// The reason of a number, where there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.code() == code)
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::BadSample => "bad_sample",
            Self::NoStart => "no_start",
            Self::CounterFault => "counter_fault",
            Self::DeviceReplaced => "device_replaced",
            Self::CounterReset => "counter_reset",
            Self::NotCovered => "not_covered",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is to be known of a value. Most values have none of these: they are the difference of two readings
/// of a healthy counter.
///
/// On the wire they share one list of marks with [`Missing`], so no number is in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Integrated from samples of the power, because the device has no counter.
    Integrated,
    /// The counter went over the end of its register in the interval.
    Rollover,
    /// The counter is a floating point number that has grown coarser than a watt-hour.
    FloatQuantum,
    /// The unit of the counter changed in the interval, and the counter with it.
    ScaleChanged,
    /// The counter is still below where it was before it stepped back: nothing is counted twice.
    HeldBack,
    /// The counter and the device's own power differ by more than a twentieth over the hour that ends with the interval.
    PowerMismatch,
}

impl Quality {
    /// Every quality there is.
    pub const ALL: [Self; 6] = [
        Self::Integrated,
        Self::Rollover,
        Self::FloatQuantum,
        Self::ScaleChanged,
        Self::HeldBack,
        Self::PowerMismatch,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Integrated => 16,
            Self::Rollover => 17,
            Self::FloatQuantum => 18,
            Self::ScaleChanged => 19,
            Self::HeldBack => 20,
            Self::PowerMismatch => 21,
        }
    }

    /// The quality of a number, where there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|q| q.code() == code)
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integrated => "integrated",
            Self::Rollover => "rollover",
            Self::FloatQuantum => "float_quantum",
            Self::ScaleChanged => "scale_changed",
            Self::HeldBack => "held_back",
            Self::PowerMismatch => "power_mismatch",
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_and_names_of_quantities_are_unique_and_never_change() {
        let table = Quantity::ALL.map(|q| (q.code(), q.name()));
        let expected = [
            (1, "grid_import"),
            (2, "grid_export"),
            (3, "pv_production"),
            (4, "battery_discharge"),
            (5, "battery_charge"),
            (6, "state_of_charge"),
        ];
        assert_eq!(table, expected);
        for quantity in Quantity::ALL {
            assert_eq!(Quantity::from_code(quantity.code()), Some(quantity));
            assert_eq!(quantity.name().parse(), Ok(quantity));
            assert_eq!(serde_json::to_value(quantity).unwrap(), quantity.name());
        }
        assert_eq!(
            (0..=u8::MAX).filter_map(Quantity::from_code).count(),
            Quantity::ALL.len()
        );
    }

    #[test]
    fn codes_and_names_of_reasons_are_unique_and_never_change() {
        let table = Missing::ALL.map(|m| (m.code(), m.name()));
        assert_eq!(
            table,
            [
                (1, "unreachable"),
                (2, "bad_sample"),
                (3, "no_start"),
                (4, "counter_fault"),
                (5, "device_replaced"),
                (6, "counter_reset"),
                (7, "not_covered"),
            ]
        );
        for missing in Missing::ALL {
            assert_eq!(Missing::from_code(missing.code()), Some(missing));
            assert_eq!(serde_json::to_value(missing).unwrap(), missing.name());
        }
        assert_eq!(
            (0..=u8::MAX).filter_map(Missing::from_code).count(),
            Missing::ALL.len()
        );
    }

    #[test]
    fn codes_and_names_of_qualities_are_unique_never_change_and_are_no_reasons() {
        let table = Quality::ALL.map(|q| (q.code(), q.name()));
        assert_eq!(
            table,
            [
                (16, "integrated"),
                (17, "rollover"),
                (18, "float_quantum"),
                (19, "scale_changed"),
                (20, "held_back"),
                (21, "power_mismatch"),
            ]
        );
        for quality in Quality::ALL {
            assert_eq!(Quality::from_code(quality.code()), Some(quality));
            assert_eq!(Missing::from_code(quality.code()), None);
            assert_eq!(serde_json::to_value(quality).unwrap(), quality.name());
            assert_eq!(quality.to_string(), quality.name());
        }
        assert_eq!(
            (0..=u8::MAX).filter_map(Quality::from_code).count(),
            Quality::ALL.len()
        );
    }

    #[test]
    fn channels_are_ordered_by_device_and_then_by_the_number_of_the_quantity() {
        let channel = |device, quantity| Channel {
            device: DeviceNumber(device),
            quantity,
        };
        let ordered: BTreeSet<Channel> = [2, 1]
            .into_iter()
            .flat_map(|d| Quantity::ALL.map(|q| channel(d, q)))
            .collect();
        let numbers: Vec<(u8, u8)> = ordered.iter().map(|c| (c.device.0, c.quantity.code())).collect();
        assert!(numbers.is_sorted() && numbers.len() == 12);
        assert_eq!(channel(7, Quantity::GridImport).to_string(), "7/grid_import");
    }

    #[test]
    fn a_name_that_is_no_quantity_is_refused_and_shown_short() {
        let error = "x".repeat(1000).parse::<Quantity>().unwrap_err();
        assert!(error.to_string().len() < 250);
        assert!("Grid_Import".parse::<Quantity>().is_err());
    }
}
