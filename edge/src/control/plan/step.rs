//! One step of the plan: from what is asked and what is measured to what the devices are told.

use gridtally_protocol::acknowledgement::Declined;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::Timestamp;

use super::limit::{Flow, Loop};
use super::live::Wanted;
use super::{Limits, Live, MARGIN};
use crate::config::Percent;
use crate::control::policy::BatteryPower;

/// What never changes during an event: nameplates and the owner's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What owner and nameplate leave of the battery's power, where there is a battery.
    pub power: Option<BatteryPower>,
    /// At this charge the battery gives nothing more.
    pub reserve: Percent,
    /// At this charge it takes nothing more.
    pub ceiling: Percent,
    /// What fits into the battery, where it is known.
    pub capacity: Option<MilliwattHours>,
    /// By how much its power may change in a second, where that is bounded.
    pub ramp_per_second: Option<Milliwatts>,
    /// The nameplate of the PV, where its production can be limited.
    pub production: Option<Milliwatts>,
    /// What the owner never wants an event to bring about at the meter.
    pub never_above: Limits,
}

/// What is measured, of one moment; what could not be read is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// The state of charge in thousandths of a percent.
    pub charge: Option<i64>,
    /// The power at the grid meter; import is positive.
    pub grid: Option<Milliwatts>,
    /// The AC power of the battery; discharge is positive.
    pub battery: Option<Milliwatts>,
    /// The power of the PV.
    pub production: Option<Milliwatts>,
}

/// What is carried from one step to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// The command in force; `None` where the battery is its owner's.
    held: Option<Milliwatts>,
    /// When the last step was.
    at: Option<Timestamp>,
    meter: Loop,
}

impl State {
    /// After a restart that found the battery at `held`.
    #[must_use]
    pub fn resumed(held: Option<Milliwatts>) -> Self {
        Self {
            held,
            ..Self::default()
        }
    }

    /// The command in force; `None` where the battery is its owner's.
    #[must_use]
    pub const fn held(&self) -> Option<Milliwatts> {
        self.held
    }
}

/// What the battery is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Keep this AC power; discharge is positive.
    Hold(Milliwatts),
    /// Be your owner's.
    Release,
    /// Too little is known to tell it anything, for this reason. Its own timer runs meanwhile.
    Wait(Declined),
}

/// What the devices are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The battery.
    pub battery: Command,
    /// The most that the PV may produce; `None` where it may produce all.
    pub production: Option<Milliwatts>,
    /// An instruction that cannot be followed any further, and why.
    pub spent: Option<(Digest, Declined)>,
}

/// One step. The state that comes back is for the next one, if the command was written.
#[must_use]
pub fn plan(
    state: State,
    live: &Live,
    bounds: &Bounds,
    measured: &Measured,
    now: Timestamp,
) -> (Plan, State) {
    match step(state, live, bounds, measured, now) {
        Ok(planned) => planned,
        Err(why) => {
            let plan = Plan {
                battery: Command::Wait(why),
                production: None,
                spent: None,
            };
            (plan, state)
        }
    }
}

fn step(
    state: State,
    live: &Live,
    bounds: &Bounds,
    measured: &Measured,
    now: Timestamp,
) -> Result<(Plan, State), Declined> {
    let asked = live.limits();
    let (wanted, spent) = match want(live, bounds, measured, now)? {
        Wanted::Nothing => (None, None),
        Wanted::Power(power) => (Some(power), None),
        Wanted::Spent(instruction, why) => (None, Some((instruction, why))),
    };
    // The owner's own limits hold where an event moves the battery, not where he does.
    let limits = if wanted.is_some() || asked.any() {
        asked.and(bounds.never_above)
    } else {
        Limits::default()
    };
    measured.is_enough_for(bounds, limits)?;
    let flow = Flow {
        grid: measured.grid.unwrap_or(Milliwatts::ZERO),
        battery: measured.battery.unwrap_or(Milliwatts::ZERO),
    };
    let is_engaged =
        wanted.is_some() || (asked.any() && (state.held.is_some() || limits.are_in_danger(flow.grid)));
    let mut next = State {
        at: Some(now),
        ..State::default()
    };
    let battery = match bounds.power.filter(|_| is_engaged) {
        None => Command::Release,
        Some(power) => {
            let start = state.held.unwrap_or(flow.battery);
            let reach = power.discharge.max(power.charge);
            let (window, meter) = state.meter.step(limits, flow, state.held, reach);
            // A limit alone wants the battery at rest, and moves it no more than it must: what the limit
            // does not need now it may need later.
            let place = window.nearest(wanted.unwrap_or(Milliwatts::ZERO), state.held);
            let ramped = ramp(place, start, state.at, now, bounds.ramp_per_second);
            let hold = within(ramped, power, bounds, measured.charge);
            next.meter = if hold == place {
                meter
            } else {
                meter.without_what_was_added_since(&state.meter)
            };
            next.held = Some(hold);
            Command::Hold(hold)
        }
    };
    let plan = Plan {
        battery,
        production: production(asked, bounds, measured, flow, next.held),
        spent,
    };
    Ok((plan, next))
}

fn want(live: &Live, bounds: &Bounds, measured: &Measured, now: Timestamp) -> Result<Wanted, Declined> {
    if bounds.power.is_none() || live.iter().next().is_none() {
        return Ok(Wanted::Nothing);
    }
    let charge = measured.charge.ok_or(Declined::ChargeUnknown)?;
    Ok(live.wanted(charge, bounds, now))
}

/// No further from `start` than the ramp allows in the time since the last step; a second at the first.
fn ramp(
    place: Milliwatts,
    start: Milliwatts,
    before: Option<Timestamp>,
    now: Timestamp,
    per_second: Option<Milliwatts>,
) -> Milliwatts {
    let Some(per_second) = per_second else {
        return place;
    };
    let seconds = before.map_or(1, |before| now.seconds_since(before)).max(0);
    let most = per_second.get().max(0).saturating_mul(seconds);
    let low = start.get().saturating_sub(most);
    let high = start.get().saturating_add(most);
    Milliwatts::new(place.get().clamp(low, high))
}

/// Nameplate, owner and state of charge, which no ramp outranks.
fn within(power: Milliwatts, most: BatteryPower, bounds: &Bounds, charge: Option<i64>) -> Milliwatts {
    let may_give = charge.is_some_and(|charge| charge > bounds.reserve.thousandths());
    let may_take = charge.is_some_and(|charge| charge < bounds.ceiling.thousandths());
    let high = if may_give { most.discharge.get().max(0) } else { 0 };
    let low = if may_take {
        most.charge.get().max(0).saturating_neg()
    } else {
        0
    };
    Milliwatts::new(power.get().clamp(low, high))
}

/// What the PV may produce under an export limit: what the house uses and the battery takes, and the limit.
///
/// None of it depends on what the PV produces now, so that the loop does not swing. Of what the battery was
/// told and what it does the lesser counts: a battery that will not charge leaves it to the roof.
fn production(
    asked: Limits,
    bounds: &Bounds,
    measured: &Measured,
    flow: Flow,
    held: Option<Milliwatts>,
) -> Option<Milliwatts> {
    let (nameplate, export, produced) = (bounds.production?, asked.export?, measured.production?);
    measured.grid?;
    let battery = held.map_or(flow.battery, |held| held.max(flow.battery));
    let used = flow.net().saturating_add(produced.get());
    let most = used
        .saturating_sub(battery.get())
        .saturating_add(export.get())
        .saturating_sub(MARGIN.get())
        .max(0);
    (most < nameplate.get()).then_some(Milliwatts::new(most))
}

#[cfg(test)]
mod tests;
