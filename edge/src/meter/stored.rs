//! The state of the meters as it is kept: short, because it is written every interval.

/// Channels as `[device, quantity]` numbers.
pub(super) mod channel_code {
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

/// A map whose keys are no texts, as a list of pairs. A meter that cannot be read, because another version
/// wrote it or because it is damaged, starts anew: that costs one interval, and no energy is made of it.
pub(super) mod by_channel {
    use std::collections::BTreeMap;

    use gridtally_protocol::channel::Channel;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::IgnoredAny};

    use super::super::CounterMeter;
    use super::channel_code;

    #[derive(Serialize)]
    struct Entry<'a>(#[serde(with = "channel_code")] Channel, &'a CounterMeter);

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Meter(#[serde(with = "channel_code")] Channel, CounterMeter),
        Channel(#[serde(with = "channel_code")] Channel, IgnoredAny),
        Unreadable(IgnoredAny),
    }

    pub fn serialize<S: Serializer>(
        map: &BTreeMap<Channel, CounterMeter>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter().map(|(channel, meter)| Entry(*channel, meter)))
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Channel, CounterMeter>, D::Error> {
        let meter = |stored| match stored {
            Stored::Meter(channel, meter) => Some((channel, meter)),
            Stored::Channel(channel, _) => {
                tracing::warn!(%channel, "the state of this counter cannot be read; it starts anew");
                None
            }
            Stored::Unreadable(_) => {
                tracing::warn!("the state of a counter cannot be read; it starts anew");
                None
            }
        };
        let stored = Vec::<Stored>::deserialize(deserializer)?;
        Ok(stored.into_iter().filter_map(meter).collect())
    }
}
