//! The thread that takes messages in: whatever has come while the last batch was committed is the next batch.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gridtally_link::{Delivery, Link, LinkEvent, PublishError};
use gridtally_protocol::identity::{Identity, SigningIdentity};

use super::Events;
use crate::clock::Clock;
use crate::ingest::{self, Arrival, Outgoing};
use crate::store::{Store, StoreError};

/// At most this many messages are committed at once.
const BATCH_MAX: usize = 1_000;
/// How long a batch that the database does not take is held before it is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often a batch is tried as a whole before its messages are tried one by one.
const WHOLE_TRIES: u32 = 3;
/// How long a receipt waits for room in the link's queue. One that is dropped is asked for again by its gateway.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(2);

/// Gateways, between the thread that hears of them and the one that sends.
pub(super) type Heard = Arc<Mutex<BTreeSet<Identity>>>;

pub(super) struct Intake {
    pub(super) link: Link,
    pub(super) store: Store,
    pub(super) engine: Arc<SigningIdentity>,
    pub(super) clock: Clock,
    pub(super) reconnected: Arc<AtomicBool>,
    /// The enrolled gateways of which something came.
    pub(super) heard: Heard,
    /// Nothing is tried again any more: what is not acknowledged comes again.
    pub(super) stopping: Arc<AtomicBool>,
    /// Hears of every connection, as long as somebody listens.
    pub(super) connected: Sender<()>,
}

impl Intake {
    /// Works until the link ends.
    pub(super) fn run(mut self, mut events: Events) {
        while let Some(event) = events.blocking_recv() {
            let mut batch = Vec::new();
            self.note(event, &mut batch);
            while batch.len() < BATCH_MAX {
                match events.try_recv() {
                    Ok(event) => self.note(event, &mut batch),
                    Err(_) => break,
                }
            }
            if !batch.is_empty() {
                self.take(&batch);
            }
        }
    }

    fn note(&self, event: LinkEvent, batch: &mut Vec<Delivery>) {
        match event {
            LinkEvent::Message(delivery) => batch.push(delivery),
            LinkEvent::Connected => {
                self.reconnected.store(true, Ordering::Release);
                let _ = self.connected.send(());
            }
            LinkEvent::Disconnected { reason } => tracing::warn!(reason, "the broker is out of reach"),
        }
    }

    /// Stores a batch, then acknowledges it to the broker, then sends the receipts: in this order only.
    fn take(&mut self, batch: &[Delivery]) {
        let arrivals = open(batch);
        let mut tries = 0;
        loop {
            match ingest::take(&mut self.store, &self.engine, &arrivals, self.clock.now()) {
                Ok(receipts) => {
                    batch.iter().for_each(|delivery| self.link.acknowledge(delivery));
                    let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                    heard.extend(receipts.iter().map(|receipt| receipt.gateway));
                    drop(heard);
                    receipts.into_iter().for_each(|receipt| self.send(receipt));
                    return;
                }
                Err(error) if self.stopping.load(Ordering::Acquire) => {
                    return tracing::warn!(%error, messages = batch.len(), "not stored; they will be delivered again");
                }
                // While there is no database nothing else can be done, however long it takes: what was given up here
                // would fill the broker's window, unacknowledged, and nothing would be delivered any more.
                Err(error @ StoreError::Unreachable { .. }) => {
                    tracing::error!(%error, messages = batch.len(), "not stored, not acknowledged; trying again");
                }
                Err(error) if tries < WHOLE_TRIES => {
                    tracing::error!(%error, messages = batch.len(), "not stored, not acknowledged; trying again");
                    tries += 1;
                    thread::sleep(TRY_AGAIN_AFTER);
                }
                // One message must not hold up the others for ever. Alone, it stays unacknowledged: the broker
                // delivers it again at the next connection, and its gateway sends it again.
                Err(_) if batch.len() > 1 => {
                    return batch
                        .iter()
                        .for_each(|delivery| self.take(std::slice::from_ref(delivery)));
                }
                Err(error) => {
                    return tracing::error!(%error, "a message cannot be stored and is left with the broker");
                }
            }
        }
    }

    fn send(&self, receipt: Outgoing) {
        let deadline = Instant::now() + RECEIPT_PATIENCE;
        loop {
            match self.link.publish(&receipt.topic, receipt.payload.clone(), false) {
                Err(PublishError::Full) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(1))
                }
                Err(error) => {
                    return tracing::debug!(%error, "a receipt was not sent; its gateway will ask again");
                }
                Ok(()) => return,
            }
        }
    }
}

fn open(batch: &[Delivery]) -> Vec<Arrival> {
    let message = |d: &Delivery| (d.topic.clone(), d.payload.clone());
    if batch.iter().all(|d| d.truncated_from.is_none()) {
        return ingest::open_all(batch.iter().map(message).collect());
    }
    batch
        .iter()
        .map(|d| match d.truncated_from {
            Some(len) => Arrival::too_long(&d.topic, d.payload.clone(), len),
            None => Arrival::open(&d.topic, d.payload.clone()),
        })
        .collect()
}
