//! What the owner allows, as a pure function of what is asked.
//!
//! The first reason to stay out is the one that is told, in this order: it is too late, the owner wants
//! out, the home cannot do it, the device has not shown that it may be trusted, the program is not one of
//! his, it offers too little, it is quiet then, and what his limits leave is not worth it.

use gridtally_protocol::acknowledgement::{Declined, Stage};
use gridtally_protocol::instruction::{Charge, Instruction, Level, Target, TargetKind};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::Timestamp;

use crate::config::OwnerConfig;

/// The owner's answer to an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The home takes part.
    OptedIn {
        /// What of the target is left by the owner's limits.
        target: Target,
        /// The battery's power for it: the set-point itself, or the greatest in either direction for a level
        /// and a charge state. For a limit, that limit at the meter.
        power: Milliwatts,
    },
    /// It does not.
    OptedOut(Declined),
}

impl Decision {
    /// As the engine is told.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::OptedIn { power, .. } => Stage::OptedIn(power),
            Self::OptedOut(why) => Stage::OptedOut(why),
        }
    }
}

/// How far a device has shown, on itself, that it obeys and that it goes back when the agent falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It did both.
    Passed,
    /// Nobody has tried.
    Untried,
    /// It did not.
    Failed,
}

/// The greatest power of a battery in each direction; neither is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatteryPower {
    /// What it gives at most.
    pub discharge: Milliwatts,
    /// What it takes at most; nothing where it cannot be told to charge or to rest.
    pub charge: Milliwatts,
}

/// What the home has, as the policy needs to know it.
#[derive(Debug, Clone)]
pub struct Home {
    /// The battery by its nameplate, where there is one that can be set.
    pub battery: Option<BatteryPower>,
    /// Whether the PV production can be limited.
    pub limits_production: bool,
    /// Whether there is a meter at the grid connection.
    pub has_meter: bool,
    /// The kinds of targets that this gateway follows.
    pub kinds: Vec<TargetKind>,
    /// Of the devices that would be set, the least proven.
    pub proof: Proof,
}

/// The moment of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The present.
    pub now: Timestamp,
    /// How far the clock is trusted.
    pub clock: ClockState,
    /// The owner's one tap: until then he is out.
    pub opted_out_until: Option<Timestamp>,
}

/// The owner's answer to an instruction.
///
/// The instruction's signer, addressee and number have been checked before. What the state of charge allows
/// is not known before the event: [`super::plan`] keeps the reserve while it lasts.
#[must_use]
pub fn decide(instruction: &Instruction, owner: &OwnerConfig, home: &Home, moment: Moment) -> Decision {
    match bounded(instruction, owner, home, moment) {
        Ok((target, power)) => Decision::OptedIn { target, power },
        Err(why) => Decision::OptedOut(why),
    }
}

/// Why an event that was accepted must not go on (or begin) at this moment, if it must not: what the owner
/// changed his mind about since, and the clock.
#[must_use]
pub fn interrupts(owner: &OwnerConfig, home: &Home, moment: Moment) -> Option<Declined> {
    if !owner.participate || moment.opted_out_until.is_some_and(|until| moment.now < until) {
        return Some(Declined::OwnerOptOut);
    }
    if home.proof != Proof::Passed && !owner.accept_unproven_control {
        return Some(Declined::NotCommissioned);
    }
    if owner.quiet.holds(moment.now) {
        return Some(Declined::QuietHours);
    }
    (moment.clock == ClockState::Unknown).then_some(Declined::ClockUnsure)
}

/// What owner and nameplate leave of the battery's power.
#[must_use]
pub fn battery_power(owner: &OwnerConfig, nameplate: BatteryPower) -> BatteryPower {
    let within = |limit: Option<Milliwatts>, plate: Milliwatts| limit.map_or(plate, |l| l.min(plate));
    BatteryPower {
        discharge: within(owner.discharge_limit, nameplate.discharge),
        charge: within(owner.charge_limit, nameplate.charge),
    }
}

fn bounded(
    instruction: &Instruction,
    owner: &OwnerConfig,
    home: &Home,
    moment: Moment,
) -> Result<(Target, Milliwatts), Declined> {
    if moment.now > instruction.expires_at || moment.now >= instruction.end {
        return Err(Declined::Expired);
    }
    let is_out = moment
        .opted_out_until
        .is_some_and(|until| instruction.start < until);
    if !owner.participate || is_out {
        return Err(Declined::OwnerOptOut);
    }
    let target = instruction.target;
    if moment.clock == ClockState::Unknown {
        return Err(Declined::ClockUnsure);
    }
    can_follow(target, owner, home)?;
    if home.proof != Proof::Passed && !owner.accept_unproven_control {
        return Err(Declined::NotCommissioned);
    }
    is_opted_in(instruction, owner)?;
    if owner.quiet.touch(instruction.start, instruction.end) {
        return Err(Declined::QuietHours);
    }
    let power = home.battery.map(|nameplate| battery_power(owner, nameplate));
    cut(target, owner, power)
}

/// Whether the home has what the target needs, and what the owner's own limits need.
fn can_follow(target: Target, owner: &OwnerConfig, home: &Home) -> Result<(), Declined> {
    if !home.kinds.contains(&target.kind()) {
        return Err(Declined::Unsupported);
    }
    let is_limit = matches!(target, Target::ImportLimit(_) | Target::ExportLimit(_));
    let is_bounded = owner.import.never_above.is_some() || owner.export.never_above.is_some();
    // An export can be cut at the roof as well; everything else needs a battery.
    let needs_battery = !matches!(target, Target::ExportLimit(_)) || !home.limits_production;
    let charges = match home.battery {
        None if needs_battery => return Err(Declined::NoBattery),
        None => false,
        Some(battery) => battery.charge > Milliwatts::ZERO,
    };
    if (is_limit || is_bounded) && !home.has_meter {
        return Err(Declined::NoMeter);
    }
    let can = match target {
        Target::SetPoint(power) if power <= Milliwatts::ZERO => charges,
        Target::ChargeState(_) => charges,
        Target::ExportLimit(_) => charges || home.limits_production,
        _ => true,
    };
    can.then_some(()).ok_or(Declined::Unsupported)
}

fn is_opted_in(instruction: &Instruction, owner: &OwnerConfig) -> Result<(), Declined> {
    if let Some(programs) = &owner.programs
        && !instruction.program.as_ref().is_some_and(|p| programs.contains(p))
    {
        return Err(Declined::ProgramNotOptedIn);
    }
    match owner.price_min {
        Some(floor) if instruction.price.is_none_or(|offered| offered < floor) => Err(Declined::PriceTooLow),
        _ => Ok(()),
    }
}

/// What the limits of the owner and the nameplate leave of the target.
fn cut(
    target: Target,
    owner: &OwnerConfig,
    battery: Option<BatteryPower>,
) -> Result<(Target, Milliwatts), Declined> {
    let battery = battery.unwrap_or(BatteryPower {
        discharge: Milliwatts::ZERO,
        charge: Milliwatts::ZERO,
    });
    let worth = |power: Milliwatts| {
        let is_nothing = power <= Milliwatts::ZERO || power < owner.power_min;
        if is_nothing {
            Err(Declined::BeyondOwnerLimits)
        } else {
            Ok(power)
        }
    };
    match target {
        Target::Simple(Level::Normal) => Ok((target, Milliwatts::ZERO)),
        Target::Simple(_) => Ok((target, worth(battery.discharge)?)),
        Target::SetPoint(asked) if asked == Milliwatts::ZERO => Ok((target, asked)),
        Target::SetPoint(asked) if asked > Milliwatts::ZERO => {
            let power = worth(asked.min(battery.discharge))?;
            Ok((Target::SetPoint(power), power))
        }
        Target::SetPoint(asked) => {
            let power = negated(worth(negated(asked).min(battery.charge))?);
            Ok((Target::SetPoint(power), power))
        }
        Target::ImportLimit(asked) => {
            let limit = asked.max(owner.import.always);
            Ok((Target::ImportLimit(limit), limit))
        }
        Target::ExportLimit(asked) => {
            let limit = asked.max(owner.export.always);
            Ok((Target::ExportLimit(limit), limit))
        }
        Target::ChargeState(asked) => {
            let within = asked
                .thousandths()
                .clamp(owner.reserve.thousandths(), owner.ceiling.thousandths());
            let charge = Charge::from_thousandths(within).ok_or(Declined::BeyondOwnerLimits)?;
            let power = worth(battery.discharge.max(battery.charge))?;
            Ok((Target::ChargeState(charge), power))
        }
    }
}

/// No power of a message is -2^63: turning the sign never saturates.
pub(super) const fn negated(power: Milliwatts) -> Milliwatts {
    Milliwatts::new(power.get().saturating_neg())
}

#[cfg(test)]
mod tests;
