//! What a home is, by its config and by what its devices have shown: what the owner's policy and the plan go by.

use std::collections::BTreeMap;

use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::instruction::TargetKind;
use gridtally_protocol::quantity::Milliwatts;

use crate::config::{AgentConfig, DeviceConfig, DeviceKind};
use crate::control::plan::{Bounds, Limits, Measured};
use crate::control::policy::{BatteryPower, Home, Proof, battery_power};
use crate::device::reading::Counter;
use crate::device::{Hand, Live, Observations, Observed};
use crate::outbox::{Outbox, OutboxError};

/// What the home has.
///
/// # Errors
/// [`OutboxError`] where what was shown at commissioning cannot be read.
pub fn home(config: &AgentConfig, outbox: &Outbox) -> Result<Home, OutboxError> {
    Ok(Home {
        battery: config.battery().map(nameplate),
        limits_production: config.devices.iter().any(|device| device.limits_production),
        has_meter: config
            .devices
            .iter()
            .any(|device| device.kind == DeviceKind::GridMeter),
        kinds: TargetKind::ALL.to_vec(),
        proof: proof(config, outbox, &Fingerprints::new())?,
    })
}

/// Who the devices say that they are, as far as they have said it: [`Counter::device`] by the device's number.
///
/// [`Counter::device`]: crate::device::reading::Counter::device
pub type Fingerprints = BTreeMap<DeviceNumber, u64>;

/// The least that a control of the home has shown. A device that says that it is another than the one that
/// was tried has shown nothing; one that has not said who it is yet is taken for the one that was tried.
///
/// # Errors
/// [`OutboxError`].
pub fn proof(config: &AgentConfig, outbox: &Outbox, seen: &Fingerprints) -> Result<Proof, OutboxError> {
    let mut proof = Proof::Passed;
    for device in &config.devices {
        for hand in hands(device) {
            let shown = match seen.get(&device.number) {
                Some(fingerprint) => outbox.proof_of(device.number, hand, *fingerprint)?,
                None => outbox.proof(device.number, hand)?,
            };
            proof = lesser(proof, shown);
        }
    }
    Ok(proof)
}

/// Adds who the devices of these observations say that they are; returns whether something is new.
pub fn recognise(seen: &mut Fingerprints, observations: &Observations) -> bool {
    let mut is_new = false;
    for (channel, observed) in observations {
        if let Ok(Observed::Counter(Counter {
            device: Some(device), ..
        })) = observed
        {
            is_new |= seen.insert(channel.device, *device) != Some(*device);
        }
    }
    is_new
}

/// Nameplates and the owner's bounds.
#[must_use]
pub fn bounds(config: &AgentConfig) -> Bounds {
    let owner = &config.owner;
    Bounds {
        power: config
            .battery()
            .map(|battery| battery_power(owner, nameplate(battery))),
        reserve: owner.reserve,
        ceiling: owner.ceiling,
        capacity: config.battery().and_then(|battery| battery.capacity),
        ramp_per_second: config.battery().and_then(|battery| battery.ramp_per_second),
        production: config
            .devices
            .iter()
            .find(|device| device.limits_production)
            .map(|device| device.nameplate),
        never_above: Limits {
            import: owner.import.never_above,
            export: owner.export.never_above,
        },
    }
}

/// What the devices show at this moment, as the plan needs it: the battery's own device tells of the battery,
/// and that whose production can be limited tells of the production.
pub fn measured<'a>(shown: impl IntoIterator<Item = (&'a DeviceConfig, Live)>) -> Measured {
    let mut measured = Measured::default();
    for (device, live) in shown {
        match device.kind {
            DeviceKind::GridMeter => measured.grid = measured.grid.or(live.grid),
            DeviceKind::BatteryInverter | DeviceKind::HybridInverter => {
                measured.battery = measured.battery.or(live.battery);
                measured.charge = measured.charge.or(live.charge);
            }
            DeviceKind::PvInverter => {}
        }
        if device.limits_production {
            measured.production = measured.production.or(live.pv);
        }
    }
    measured
}

/// What of a device events may set.
pub fn hands(device: &DeviceConfig) -> impl Iterator<Item = Hand> {
    let battery = device.kind.has_battery().then_some(Hand::Battery);
    let production = device.limits_production.then_some(Hand::Production);
    battery.into_iter().chain(production)
}

const fn nameplate(battery: &DeviceConfig) -> BatteryPower {
    BatteryPower {
        discharge: battery.nameplate,
        charge: if battery.grid_charging {
            battery.nameplate
        } else {
            Milliwatts::ZERO
        },
    }
}

const fn lesser(one: Proof, other: Proof) -> Proof {
    match (one, other) {
        (Proof::Failed, _) | (_, Proof::Failed) => Proof::Failed,
        (Proof::Untried, _) | (_, Proof::Untried) => Proof::Untried,
        _ => Proof::Passed,
    }
}
