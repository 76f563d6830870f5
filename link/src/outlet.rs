//! What leaves on one connection: a window of unacknowledged publishes and the queue behind it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Publish, QoS};

use crate::delivery::Delivery;
use crate::link::PublishError;

/// A queued publish.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
}

/// The way out of one connection; it dies with it.
///
/// The client library sends acknowledgements through the same channel as publishes, and stops
/// reading that channel when its own window is full. So it is never given more publishes than the
/// link's window, which is smaller than the library's: acknowledgements always get through, and
/// its channel is never full.
pub(crate) struct Outlet {
    client: AsyncClient,
    epoch: u64,
    inflight_max: usize,
    queued_max: usize,
    inflight: usize,
    queued: VecDeque<Outgoing>,
    progressed: Instant,
    closing: bool,
}

impl Outlet {
    pub(crate) fn new(client: AsyncClient, epoch: u64, inflight_max: u16) -> Outlet {
        let inflight_max = usize::from(inflight_max);
        Outlet {
            client,
            epoch,
            inflight_max,
            queued_max: queued_max(inflight_max),
            inflight: 0,
            queued: VecDeque::new(),
            progressed: Instant::now(),
            closing: false,
        }
    }

    pub(crate) fn publish(&mut self, outgoing: Outgoing) -> Result<(), PublishError> {
        if self.inflight < self.inflight_max {
            return self.send(outgoing);
        }
        if self.queued.len() >= self.queued_max {
            return Err(PublishError::Full);
        }
        self.queued.push_back(outgoing);
        Ok(())
    }

    pub(crate) fn acknowledge(&self, delivery: &Delivery) {
        if let Some(packet_id) = delivery.take_packet_id(self.epoch) {
            let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new());
            publish.pkid = packet_id;
            if self.client.try_ack(&publish).is_err() {
                // Only a broker that reuses packet ids before they are acknowledged gets here.
                tracing::warn!(
                    packet_id,
                    "an acknowledgement did not fit; the broker will deliver again"
                );
            }
        }
    }

    /// The broker has PUBACKed one publish: send the next.
    pub(crate) fn confirmed(&mut self) {
        self.inflight = self.inflight.saturating_sub(1);
        self.progressed = Instant::now();
        if let Some(next) = self.queued.pop_front()
            && self.send(next).is_err()
        {
            tracing::debug!("the connection ended under a queued publish");
        }
        self.say_goodbye_if_done();
    }

    /// For how long publishes have waited without any PUBACK.
    pub(crate) fn stuck_for(&self) -> Option<Duration> {
        (self.inflight > 0).then(|| self.progressed.elapsed())
    }

    /// Sends DISCONNECT as soon as everything published is acknowledged.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.say_goodbye_if_done();
    }

    fn say_goodbye_if_done(&mut self) {
        if self.closing && self.inflight == 0 && self.client.try_disconnect().is_err() {
            tracing::debug!("the connection ended before the goodbye");
        }
    }

    fn send(&mut self, outgoing: Outgoing) -> Result<(), PublishError> {
        let Outgoing {
            topic,
            payload,
            retain,
        } = outgoing;
        self.client
            .try_publish(topic, QoS::AtLeastOnce, retain, payload)
            .map_err(|_| PublishError::Offline)?;
        if self.inflight == 0 {
            self.progressed = Instant::now();
        }
        self.inflight += 1;
        Ok(())
    }
}

/// How many publishes may wait behind a window of `inflight_max`.
fn queued_max(inflight_max: usize) -> usize {
    (4 * inflight_max).max(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::MqttOptions;

    fn outgoing() -> Outgoing {
        Outgoing {
            topic: "a".to_owned(),
            payload: vec![1],
            retain: false,
        }
    }

    #[test]
    fn the_queue_is_bounded_and_each_confirmation_sends_one_more() {
        // The event loop is kept but never polled: its channel must not be what holds us.
        let (client, _eventloop) = AsyncClient::new(MqttOptions::new("a", "b", 1), 10);
        let mut outlet = Outlet::new(client, 1, 2);
        for _ in 0..2 + 1024 {
            outlet.publish(outgoing()).unwrap();
        }
        assert_eq!(outlet.publish(outgoing()), Err(PublishError::Full));
        assert_eq!((outlet.inflight, outlet.queued.len()), (2, 1024));
        outlet.confirmed();
        assert_eq!((outlet.inflight, outlet.queued.len()), (2, 1023));
        assert_eq!(outlet.publish(outgoing()), Ok(()));
    }
}
