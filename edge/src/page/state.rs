//! What the page, the metrics and Home Assistant are told: plain data, made anew by the agent each time
//! that something changes.

use std::sync::Arc;

use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::earned::Earned;

/// The home at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeState {
    /// When this was true.
    pub time: Timestamp,
    /// The gateway's public identity, `did:key:…`.
    pub gateway: String,
    /// The devices, in the order of the config.
    pub devices: Vec<DeviceState>,
    /// The power that flows now.
    pub power: PowerFlows,
    /// The energy that was counted so far, since the agent keeps count.
    pub totals: EnergyTotals,
    /// The battery, where there is one.
    pub battery: Option<BatteryState>,
    /// Whether the battery takes part in events at all.
    pub participates: bool,
    /// The owner's opt-out that is in force.
    pub opt_out: Option<OptOutScope>,
    /// The event that runs now.
    pub current_event: Option<EventState>,
    /// The next event that was announced.
    pub next_event: Option<EventState>,
    /// Events that are over, the latest first. A dozen is plenty.
    pub past_events: Vec<EventState>,
    /// What the engine's statements say. Shared: it is long, and seldom changes.
    #[serde(skip)]
    pub earned: Arc<Earned>,
    /// The connection to the broker of the engine.
    pub link: LinkState,
    /// What waits for the engine's receipt.
    pub outbox: OutboxState,
    /// When the engine last signed that it has a report.
    pub last_receipt: Option<Timestamp>,
    /// Whether the clock can be trusted.
    pub clock: ClockHealth,
}

impl HomeState {
    /// A home of which nothing is known yet.
    #[must_use]
    pub fn unknown(time: Timestamp, gateway: String) -> Self {
        Self {
            time,
            gateway,
            devices: Vec::new(),
            power: PowerFlows::default(),
            totals: EnergyTotals::default(),
            battery: None,
            participates: false,
            opt_out: None,
            current_event: None,
            next_event: None,
            past_events: Vec::new(),
            earned: Arc::default(),
            link: LinkState::default(),
            outbox: OutboxState::default(),
            last_receipt: None,
            clock: ClockHealth::Trusted,
        }
    }
}

/// What a device is to the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceRole {
    /// The meter at the grid connection.
    GridMeter,
    /// A PV inverter.
    Solar,
    /// A battery.
    Battery,
    /// Anything else.
    Other,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceState {
    /// The owner's name for it.
    pub name: String,
    /// What it is.
    pub role: DeviceRole,
    /// Whether it answers.
    pub reachable: bool,
    /// When it last gave a good value.
    pub last_seen: Option<Timestamp>,
    /// What is wrong with it, in a sentence.
    pub complaint: Option<String>,
}

/// Powers in milliwatts. A value that is not known is `None`, never zero. No member is negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerFlows {
    /// Bought from the grid now.
    pub grid_import: Option<Milliwatts>,
    /// Sent to the grid now.
    pub grid_export: Option<Milliwatts>,
    /// From the roof.
    pub solar: Option<Milliwatts>,
    /// Into the battery.
    pub battery_charge: Option<Milliwatts>,
    /// Out of the battery.
    pub battery_discharge: Option<Milliwatts>,
}

impl PowerFlows {
    /// What the house uses: import − export + solar + discharge − charge.
    ///
    /// `None` without a grid meter. A home without a roof or a battery has none of their power. The
    /// devices are not read at one instant, so a small negative sum is shown as nothing.
    #[must_use]
    pub fn house(&self) -> Option<Milliwatts> {
        let part = |p: Option<Milliwatts>| i128::from(p.unwrap_or_default().get());
        if self.grid_import.is_none() && self.grid_export.is_none() {
            return None;
        }
        let sum = part(self.grid_import) + part(self.solar) + part(self.battery_discharge)
            - part(self.grid_export)
            - part(self.battery_charge);
        i64::try_from(sum.max(0)).ok().map(Milliwatts::new)
    }
}

/// Energies that only grow, in milliwatt-hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnergyTotals {
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

/// The battery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatteryState {
    /// Thousandths of a percent, 0 to 100 000.
    pub state_of_charge: Option<u32>,
    /// The charge below which no event takes it: thousandths of a percent.
    pub reserve: u32,
    /// What it holds when it is full, where it is known.
    pub capacity: Option<MilliwattHours>,
}

/// How far an opt-out reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOutScope {
    /// This event, by its identifier.
    Event(String),
    /// Every event until then.
    Until(Timestamp),
}

/// What an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventTarget {
    /// This power out of the battery.
    Discharge(Milliwatts),
    /// This power into the battery.
    Charge(Milliwatts),
    /// At most this power from the grid.
    ImportLimit(Milliwatts),
    /// At most this power to the grid.
    ExportLimit(Milliwatts),
    /// This charge of the battery at the end: thousandths of a percent.
    ChargeTo(u32),
    /// A level of OpenADR's SIMPLE signal, 0 (normal) to 3.
    Simple(u8),
}

/// What was decided about an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The home takes part; why, in a sentence.
    TakesPart(String),
    /// It took part, and no longer does; why, in a sentence.
    EndedEarly(String),
    /// It does not; why, in a sentence.
    Declined(String),
}

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStage {
    /// Received, not begun.
    Announced,
    /// The set-point was written to the device.
    Written,
    /// The device says that it has the set-point.
    ReadBack,
    /// The meter shows it.
    Observed,
    /// It is over.
    Completed,
    /// The owner's setting is back.
    Restored,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventState {
    /// Its identifier.
    pub id: String,
    /// Its name, as its program gives it.
    pub name: String,
    /// Its beginning.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// What it asks for.
    pub target: EventTarget,
    /// What was decided, and why.
    pub decision: Decision,
    /// How far it has come.
    pub stage: EventStage,
    /// The power that the home gives (takes, for a charge) for it now.
    pub power: Option<Milliwatts>,
}

/// The connection to the engine's broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// The broker, without credentials.
    pub broker: String,
    /// Since when it stands; `None` while it does not.
    pub connected_since: Option<Timestamp>,
    /// Why it broke, in a sentence.
    pub complaint: Option<String>,
}

/// What waits to be delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxState {
    /// How many messages wait.
    pub messages: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
    /// How many bytes the store has on the disk.
    pub bytes: u64,
}

/// Whether the clock can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockHealth {
    /// It is synchronised.
    Trusted,
    /// It is not; why, in a sentence.
    Doubtful(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn watts(watts: i64) -> Option<Milliwatts> {
        Some(Milliwatts::new(watts * 1000))
    }

    #[test]
    fn the_house_uses_what_comes_in_and_does_not_go_out() {
        let power = PowerFlows {
            grid_import: watts(0),
            grid_export: watts(500),
            solar: watts(3000),
            battery_charge: watts(1200),
            battery_discharge: watts(0),
        };
        assert_eq!(power.house(), watts(1300));
    }

    #[test]
    fn the_house_is_unknown_without_a_meter_and_never_negative() {
        let no_meter = PowerFlows {
            solar: watts(3000),
            ..PowerFlows::default()
        };
        assert_eq!(no_meter.house(), None);
        let skewed = PowerFlows {
            grid_export: watts(3100),
            ..no_meter
        };
        assert_eq!(skewed.house(), watts(0));
        let huge = PowerFlows {
            grid_import: Some(Milliwatts::new(i64::MAX)),
            solar: Some(Milliwatts::new(i64::MAX)),
            ..PowerFlows::default()
        };
        assert_eq!(huge.house(), None);
    }
}
