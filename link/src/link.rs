//! The handle that the rest of the program holds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use crate::config::{LinkConfig, topic_is_valid};
use crate::connection::{self, EVENTS_MAX};
use crate::delivery::Delivery;
use crate::outlet::{Outgoing, Outlet};

/// A connection to a broker that is made anew whenever it breaks.
///
/// Clones share it. When the last clone is dropped, what was published is waited for up to two
/// seconds, the broker is told goodbye (so that the last will is not published), and the event
/// channel closes: a caller who wants to see that through receives until `None`. When the receiver
/// is dropped the link ends too, because nobody could see what happens to it.
#[derive(Clone)]
pub struct Link {
    handle: Arc<Handle>,
}

struct Handle {
    slot: OutletSlot,
    packet_len_max: usize,
    /// Its dropping tells the connection task that nobody is left.
    _alive: watch::Sender<()>,
}

/// What happens on a link, in order.
#[derive(Debug)]
pub enum LinkEvent {
    /// The broker has accepted the connection and granted the subscriptions: publishing is possible.
    /// Whatever was published earlier and may not have arrived is to be published again now.
    Connected,
    /// The connection broke, or an attempt to connect failed for a reason not yet told. What was
    /// published and is unacknowledged is forgotten. The link goes on trying.
    Disconnected {
        /// A sentence for the log.
        reason: String,
    },
    /// A message. It comes after `Connected`, even if the broker was quicker.
    Message(Delivery),
}

/// Why a publish was not taken. The message is still the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The queue is full: the broker acknowledges too slowly. Try again later.
    #[error("the link's queue is full: the broker does not acknowledge fast enough; try again later")]
    Full,
    /// There is no connection. Try again on [`LinkEvent::Connected`].
    #[error("the link is not connected; try again when it is")]
    Offline,
    /// The packet would be longer than [`LinkConfig::packet_len_max`]. Trying again does not help.
    #[error("the message needs an MQTT packet of {len} bytes; the limit is {max}")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The topic is empty, too long, or holds a wildcard or control character.
    #[error("{topic:?} is not a topic that can be published on (MQTT 3.1.1 §4.7)")]
    Topic {
        /// The topic.
        topic: String,
    },
}

impl Link {
    /// Spawns the connection task on the current tokio runtime.
    ///
    /// If the configuration can never work (see [`LinkConfig::check`]), the receiver yields one
    /// [`LinkEvent::Disconnected`] with the reason, then ends.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn start(config: LinkConfig) -> (Link, mpsc::Receiver<LinkEvent>) {
        let (events_in, events_out) = mpsc::channel(EVENTS_MAX);
        let (alive, closing) = watch::channel(());
        let slot = OutletSlot::default();
        let handle = Handle {
            slot: slot.clone(),
            packet_len_max: config.packet_len_max,
            _alive: alive,
        };
        tokio::spawn(connection::keep_connected(config, slot, events_in, closing));
        (
            Link {
                handle: Arc::new(handle),
            },
            events_out,
        )
    }

    /// Queues a QoS 1 publish. Never blocks and never waits.
    ///
    /// # Errors
    /// See [`PublishError`]; after `Full` and `Offline` the caller keeps the message and tries again.
    pub fn publish(&self, topic: &str, payload: Vec<u8>, retain: bool) -> Result<(), PublishError> {
        if !topic_is_valid(topic) {
            return Err(PublishError::Topic {
                topic: topic.to_owned(),
            });
        }
        let (len, max) = (publish_packet_len(topic, &payload), self.handle.packet_len_max);
        if len > max {
            return Err(PublishError::TooLarge { len, max });
        }
        match self.handle.slot.lock().as_mut() {
            Some(outlet) => outlet.publish(Outgoing {
                topic: topic.to_owned(),
                payload,
                retain,
            }),
            None => Err(PublishError::Offline),
        }
    }

    /// PUBACKs a delivery: the broker may forget it. Call it when the effect is durable, in the
    /// order of delivery where possible (MQTT 3.1.1 §4.6).
    ///
    /// A second call, and one for a delivery of an earlier connection, does nothing: in the
    /// latter case the broker will deliver the message again.
    pub fn acknowledge(&self, delivery: &Delivery) {
        if let Some(outlet) = self.handle.slot.lock().as_ref() {
            outlet.acknowledge(delivery);
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("connected", &self.handle.slot.lock().is_some())
            .finish()
    }
}

/// The longest fixed header, the topic's length, the topic, the packet identifier, the payload.
fn publish_packet_len(topic: &str, payload: &[u8]) -> usize {
    5 + 2 + topic.len() + 2 + payload.len()
}

/// The present connection's outlet; empty while there is none.
#[derive(Clone, Default)]
pub(crate) struct OutletSlot(Arc<Mutex<Option<Outlet>>>);

impl OutletSlot {
    /// No code that can panic runs under this lock, and an outlet is consistent between any two
    /// of its steps; so a poisoned lock is as good as any.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<Outlet>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
