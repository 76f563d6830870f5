//! From counters to the energy of each interval: exact where the counter is healthy, nothing where it is
//! not, and never more than the device moved. Where a device has no counter, its power is integrated.

mod classification;
mod counter;
pub mod integrated;
mod stored;

use std::collections::BTreeMap;

use gridtally_protocol::channel::{Channel, Missing, Quality};
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::classification::Classification;
pub use self::counter::{CounterMeter, Metered};
use crate::config::AgentConfig;
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
        samples
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
