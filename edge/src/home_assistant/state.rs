//! The state that Home Assistant reads, and what its switch means.

use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use serde_json::{Value, json};

use super::discovery::{OPT_IN, OPT_OUT};
use crate::page::command::OwnerCommand;
use crate::page::state::{Decision, HomeState, OptOutScope};

const DAY_SECONDS: i64 = 86_400;

/// The state as JSON. Quantities are decimal texts, exact to the last digit; what is not known is `null`,
/// which Home Assistant shows as unknown.
#[must_use]
pub fn state(home: &HomeState) -> Value {
    let watts = |p: Option<Milliwatts>| p.map(|p| p.to_string());
    let kilowatt_hours = |e: Option<MilliwattHours>| e.map(|e| e.to_string());
    let switch = |on: bool| if on { OPT_OUT } else { OPT_IN };
    let (power, total) = (&home.power, &home.totals);
    let charge = home.battery.as_ref().and_then(|b| b.state_of_charge);
    let event = home.current_event.as_ref().or(home.next_event.as_ref());
    let active = home
        .current_event
        .as_ref()
        .is_some_and(|event| matches!(event.decision, Decision::TakesPart(_)));
    json!({
        "grid_import_power": watts(power.grid_import),
        "grid_export_power": watts(power.grid_export),
        "house_power": watts(power.house()),
        "solar_power": watts(power.solar),
        "battery_charge_power": watts(power.battery_charge),
        "battery_discharge_power": watts(power.battery_discharge),
        "grid_import_energy": kilowatt_hours(total.grid_import),
        "grid_export_energy": kilowatt_hours(total.grid_export),
        "solar_energy": kilowatt_hours(total.solar),
        "battery_charge_energy": kilowatt_hours(total.battery_charge),
        "battery_discharge_energy": kilowatt_hours(total.battery_discharge),
        "battery_level": charge.map(|c| format!("{}.{:03}", c / 1000, c % 1000)),
        // Home Assistant's states have at most 255 characters.
        "event": event.map_or_else(|| "none".to_owned(), |e| e.name.chars().take(200).collect()),
        "event_active": switch(active),
        "engine_connected": switch(home.link.connected_since.is_some()),
        "outbox_messages": home.outbox.messages,
        "opted_out": switch(home.opt_out.is_some()),
        "earned": home.earned.shown_totals().next(),
    })
}

/// What the owner means by the switch: on is out of the current or the next event, or out for a day where
/// none is known. Any other payload means nothing.
#[must_use]
pub fn command(payload: &[u8], home: &HomeState) -> Option<OwnerCommand> {
    if payload == OPT_IN.as_bytes() {
        return Some(OwnerCommand::OptIn);
    }
    if payload != OPT_OUT.as_bytes() {
        return None;
    }
    let event = home.current_event.as_ref().or(home.next_event.as_ref());
    let scope = match event {
        Some(event) => OptOutScope::Event(event.id.clone()),
        None => OptOutScope::Until(home.time.checked_add(DAY_SECONDS)?),
    };
    Some(OwnerCommand::OptOut(scope))
}
