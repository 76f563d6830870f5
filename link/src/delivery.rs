//! A message from the broker, and what it takes to acknowledge it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rumqttc::{Publish, QoS};

/// A message that the broker delivered. It stays the broker's until it is acknowledged.
#[derive(Debug)]
pub struct Delivery {
    /// The topic it was published on. The broker says so; check it against the signature.
    pub topic: String,
    /// The payload: the beginning of it, if `truncated_from` is set.
    pub payload: Vec<u8>,
    /// The payload's length in bytes if the packet was longer than
    /// [`packet_len_max`](crate::LinkConfig::packet_len_max). Such a message is never acceptable;
    /// it is handed on, cut, so that it can be recorded, refused and acknowledged. (Breaking the
    /// connection instead, as the client library does, has the broker deliver it again for ever.)
    pub truncated_from: Option<usize>,
    claim: Claim,
}

/// Which connection's packet this is.
#[derive(Debug)]
struct Claim {
    epoch: u64,
    /// `None` for QoS 0 and for detached deliveries: there is nothing to acknowledge.
    packet_id: Option<u16>,
    acknowledged: AtomicBool,
    _held: Held,
}

impl Delivery {
    pub(crate) fn new(publish: Publish, epoch: u64, packet_len_max: usize, held: &HeldBytes) -> Delivery {
        let (packet_len, payload_len) = (publish.size(), publish.payload.len());
        let excess = packet_len.saturating_sub(packet_len_max).min(payload_len);
        let payload = Vec::from(publish.payload.slice(..payload_len - excess));
        Delivery {
            claim: Claim {
                epoch,
                packet_id: (publish.qos == QoS::AtLeastOnce).then_some(publish.pkid),
                acknowledged: AtomicBool::new(false),
                _held: held.hold(payload.len() + publish.topic.len()),
            },
            topic: publish.topic,
            payload,
            truncated_from: (excess > 0).then_some(payload_len),
        }
    }

    /// A delivery that came from no broker (a test, a replay): to acknowledge it does nothing.
    pub fn detached(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Delivery {
        Delivery {
            topic: topic.into(),
            payload: payload.into(),
            truncated_from: None,
            claim: Claim {
                epoch: 0,
                packet_id: None,
                acknowledged: AtomicBool::new(false),
                _held: HeldBytes::default().hold(0),
            },
        }
    }

    /// The packet to PUBACK on the connection of `epoch`; at most once.
    pub(crate) fn take_packet_id(&self, epoch: u64) -> Option<u16> {
        let packet_id = self.claim.packet_id.filter(|_| self.claim.epoch == epoch)?;
        (!self.claim.acknowledged.swap(true, Ordering::Relaxed)).then_some(packet_id)
    }
}

/// Counts the bytes of deliveries that nobody has dropped yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldBytes(Arc<AtomicUsize>);

impl HeldBytes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn hold(&self, len: usize) -> Held {
        self.0.fetch_add(len, Ordering::Relaxed);
        Held {
            total: self.clone(),
            len,
        }
    }
}

#[derive(Debug)]
struct Held {
    total: HeldBytes,
    len: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.0.fetch_sub(self.len, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(qos: QoS, payload_len: usize) -> Publish {
        let mut publish = Publish::new("a/b", qos, vec![7; payload_len]);
        publish.pkid = 9;
        publish
    }

    #[test]
    fn a_delivery_is_acknowledged_once_and_only_on_its_own_connection() {
        let delivery = Delivery::new(publish(QoS::AtLeastOnce, 4), 2, 1000, &HeldBytes::default());
        assert_eq!(delivery.take_packet_id(1), None);
        assert_eq!(delivery.take_packet_id(2), Some(9));
        assert_eq!(delivery.take_packet_id(2), None);
    }

    #[test]
    fn qos_0_and_detached_deliveries_have_nothing_to_acknowledge() {
        let delivery = Delivery::new(publish(QoS::AtMostOnce, 4), 0, 1000, &HeldBytes::default());
        assert_eq!(delivery.take_packet_id(0), None);
        assert_eq!(Delivery::detached("a", *b"b").take_packet_id(0), None);
    }

    #[test]
    fn an_oversized_packet_is_cut_to_the_bound_and_says_so() {
        let held = HeldBytes::default();
        let whole = Delivery::new(publish(QoS::AtLeastOnce, 191), 0, 201, &held);
        assert_eq!((whole.payload.len(), whole.truncated_from), (191, None));
        let cut = Delivery::new(publish(QoS::AtLeastOnce, 192), 0, 201, &held);
        assert_eq!((cut.payload.len(), cut.truncated_from), (191, Some(192)));
    }

    #[test]
    fn held_bytes_are_given_back_when_a_delivery_is_dropped() {
        let held = HeldBytes::default();
        let delivery = Delivery::new(publish(QoS::AtLeastOnce, 10), 0, 1000, &held);
        assert_eq!(held.count(), 13);
        drop(delivery);
        assert_eq!(held.count(), 0);
    }
}
