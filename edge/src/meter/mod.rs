//! From lifetime counters to the energy of each interval: exact where the counter is healthy, nothing
//! where it is not, and never more than the device moved.

mod counter;

use std::collections::BTreeMap;

use gridtally_protocol::channel::{Channel, Missing, Quality, Quantity};
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::counter::CounterMeter;
use crate::config::AgentConfig;
use crate::device::{Observations, Observed};

/// One channel's value of one interval, in milliwatt-hours or thousandths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Which channel.
    #[serde(rename = "c", with = "channel_code")]
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
    #[serde(with = "by_channel")]
    counters: BTreeMap<Channel, CounterMeter>,
}

impl Meters {
    /// Takes what the devices showed at the boundary `at`, and gives the samples of the interval that
    /// ends there, one for each configured channel, in order.
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
                let value = self.sample(channel, nameplate, config.gateway.interval, at, seen);
                Sample {
                    channel,
                    value,
                    quality: None,
                }
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
    ) -> Result<MilliwattHours, Missing> {
        match (channel.quantity, seen) {
            (Quantity::StateOfCharge, Ok(Observed::Level(level))) => Ok(MilliwattHours::new(level)),
            (Quantity::StateOfCharge, seen) => Err(seen.err().unwrap_or(Missing::BadSample)),
            (_, seen) => {
                let seen = match seen {
                    Ok(Observed::Counter(counter)) => Ok(counter),
                    Ok(Observed::Level(_)) => Err(Missing::BadSample),
                    Err(missing) => Err(missing),
                };
                let meter = self.counters.entry(channel).or_default();
                meter.observe(nameplate, interval, at, seen)
            }
        }
    }
}

/// Channels as `[device, quantity]` numbers: state that is written every interval is kept short.
mod channel_code {
    use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(channel: &Channel, serializer: S) -> Result<S::Ok, S::Error> {
        (channel.device.0, channel.quantity.code()).serialize(serializer)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Channel, D::Error> {
        let (device, code) = Deserialize::deserialize(deserializer)?;
        let quantity = Quantity::from_code(code).ok_or_else(|| D::Error::custom("an unknown quantity"))?;
        Ok(Channel {
            device: DeviceNumber(device),
            quantity,
        })
    }
}

/// A map whose keys are no texts, as a list of pairs.
mod by_channel {
    use super::{BTreeMap, Channel, CounterMeter, channel_code};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Entry(#[serde(with = "channel_code")] Channel, CounterMeter);

    pub fn serialize<S: Serializer>(
        map: &BTreeMap<Channel, CounterMeter>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter().map(|(channel, meter)| Entry(*channel, meter.clone())))
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Channel, CounterMeter>, D::Error> {
        let entries = Vec::<Entry>::deserialize(deserializer)?;
        Ok(entries
            .into_iter()
            .map(|Entry(channel, meter)| (channel, meter))
            .collect())
    }
}
