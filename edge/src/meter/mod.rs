//! From counters to the energy of each interval: exact where the counter is healthy, nothing where it is
//! not, and never more than the device moved. Where a device has no counter, its power is integrated.

mod agreement;
mod classification;
mod counter;
pub mod integrated;
mod stored;

use std::collections::BTreeMap;

use gridtally_protocol::channel::{Channel, Missing, Quality, Quantity};
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};

use self::agreement::Agreement;
pub use self::agreement::power_of;
pub use self::classification::Classification;
pub use self::counter::{CounterMeter, Metered};
use self::integrated::{PowerMeter, PowerSample, SampleLimits};
use crate::config::{AgentConfig, DeviceConfig};
use crate::device::{Observations, Observed};

/// One channel's value of one interval, in milliwatt-hours or thousandths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Which channel.
    #[serde(rename = "c", with = "stored::channel_code")]
    pub channel: Channel,
    /// Its value, or why there is none.
    #[serde(rename = "v")]
    pub value: Result<MilliwattHours, Missing>,
    /// What is to be known of the value.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
}

/// The meters of all energy channels; what has to survive a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meters {
    #[serde(with = "stored::by_channel")]
    counters: BTreeMap<Channel, CounterMeter>,
    /// Of the devices that have no counters, by their numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    powers: BTreeMap<u8, PowerMeter>,
    /// Of the devices that have counters and show their power, by their numbers.
    #[serde(skip)]
    agreements: BTreeMap<u8, Agreement>,
}

/// What a device showed: its power in its first direction (import, production, discharge),
/// at an instant.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Which device.
    pub device: &'a DeviceConfig,
    /// When.
    pub at: Timestamp,
    /// Its power; `None` where it showed none.
    pub power: Option<Milliwatts>,
}

/// The end of an interval, as the powers of devices are summed up to it.
#[derive(Debug, Clone, Copy)]
pub struct Boundary {
    /// When.
    pub at: Timestamp,
    /// Whether the boundary before it was read: otherwise what is summed up is of more than one interval.
    pub follows: bool,
}

impl Meters {
    /// Takes what the devices showed at the boundary `at`, and gives the samples of the interval that
    /// ends there, one for each configured channel, in order. What happened to a counter is logged.
    pub fn observe(
        &mut self,
        config: &AgentConfig,
        at: Timestamp,
        observations: &Observations,
    ) -> Vec<Sample> {
        let mut samples: Vec<_> = config
            .devices
            .iter()
            .flat_map(|device| device.channels().map(|channel| (channel, device.nameplate)))
            .map(|(channel, nameplate)| {
                let seen = observations
                    .iter()
                    .find(|(of, _)| *of == channel)
                    .map_or(Err(Missing::Unreachable), |(_, seen)| *seen);
                self.sample(channel, nameplate, config.gateway.interval, at, seen)
            })
            .collect();
        samples.sort_unstable_by_key(|s| s.channel);
        self.hold_against_power(config, at, &mut samples);
        samples
    }

    /// Takes the power of a device that has counters, to be held against them.
    pub fn watch(&mut self, shown: Shown<'_>, boundary: Option<Boundary>) {
        let Shown { device, at, power } = shown;
        let limits = SampleLimits::of(device.nameplate);
        let agreement = self.agreements.entry(device.number.0).or_default();
        let sample = power.map(|power| PowerSample {
            unix_ms: at.unix().saturating_mul(1_000),
            milliwatts: power.get(),
        });
        if let Some(boundary) = boundary {
            let boundary_ms = boundary.at.unix().saturating_mul(1_000);
            agreement.end(limits, boundary_ms, sample, boundary.follows);
        }
        agreement.sample(limits, sample);
    }

    /// Marks the values whose counter does not say what the power was.
    fn hold_against_power(&mut self, config: &AgentConfig, at: Timestamp, samples: &mut [Sample]) {
        for device in &config.devices {
            let Some(agreement) = self.agreements.get_mut(&device.number.0) else {
                continue;
            };
            let of_device = samples
                .iter()
                .filter(|sample| sample.channel.device == device.number);
            let counted = of_device
                .filter(|sample| sample.channel.quantity.is_energy())
                .filter_map(|sample| Some((sample.channel, sample.value.ok()?.get())))
                .collect();
            let told = agreement.count(device.nameplate, config.gateway.interval, counted);
            for sample in samples.iter_mut().filter(|sample| told.contains(&sample.channel)) {
                tracing::warn!(channel = %sample.channel, boundary = %at, "the counter and the power differ over the last hour");
                sample.quality.get_or_insert(Quality::PowerMismatch);
            }
        }
    }

    /// Takes the power of a device that has no counters. At a boundary it gives what its channels show of the
    /// interval that ends there.
    pub fn integrate(&mut self, shown: Shown<'_>, boundary: Option<Boundary>) -> Observations {
        let Shown { device, at, power } = shown;
        let limits = SampleLimits::of(device.nameplate);
        let meter = self.powers.entry(device.number.0).or_default();
        let sample = power.map(|power| PowerSample {
            unix_ms: at.unix().saturating_mul(1_000),
            milliwatts: power.get(),
        });
        let both = boundary.map(|boundary| {
            let ended = meter.end(limits, boundary.at.unix().saturating_mul(1_000), sample);
            (ended, boundary.follows)
        });
        if let Some(sample) = sample {
            meter.sample(limits, sample);
        }
        let Some((both, follows)) = both else {
            return Vec::new();
        };
        let channels = device.channels().filter(|channel| channel.quantity.is_energy());
        channels
            .map(|channel| {
                let energy = match channel.quantity {
                    Quantity::GridExport | Quantity::BatteryCharge => both.negative,
                    _ => both.positive,
                };
                let seen = if follows {
                    Ok(Observed::Energy(energy))
                } else {
                    Err(Missing::NoStart)
                };
                (channel, seen)
            })
            .collect()
    }

    fn sample(
        &mut self,
        channel: Channel,
        nameplate: Milliwatts,
        interval: IntervalLength,
        at: Timestamp,
        seen: Result<Observed, Missing>,
    ) -> Sample {
        let sample = |value, quality| Sample {
            channel,
            value,
            quality,
        };
        let seen = match (channel.quantity.is_energy(), seen) {
            (false, Ok(Observed::Level(level))) => return sample(Ok(MilliwattHours::new(level)), None),
            (false, seen) => return sample(Err(seen.err().unwrap_or(Missing::BadSample)), None),
            (true, Ok(Observed::Energy(integrated))) => {
                let value = integrated.judged(nameplate, interval);
                return sample(value, value.ok().map(|_| Quality::Integrated));
            }
            (true, Ok(Observed::Counter(counter))) => Ok(counter),
            (true, Ok(Observed::Level(_))) => Err(Missing::BadSample),
            (true, Err(missing)) => Err(missing),
        };
        let meter = self.counters.entry(channel).or_default();
        let metered = meter.observe(nameplate, interval, at, seen);
        if metered.classification.is_notable() {
            let value = metered.value.map(MilliwattHours::get);
            tracing::warn!(%channel, boundary = %at, found = metered.classification.name(), ?value, "the counter");
        }
        sample(metered.value, metered.quality)
    }
}

#[cfg(test)]
mod tests;
