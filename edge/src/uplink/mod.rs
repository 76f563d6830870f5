//! The line to the engine: what waits in the outbox is published in order until the engine's receipt, what
//! comes is judged and made durable before the broker may forget it.
//!
//! A message is published again on every new connection, and when its receipt does not come in time:
//! neither the broker nor the connection is trusted to keep anything.

pub mod inbox;

use std::collections::BTreeMap;
use std::time::Duration;

use gridtally_link::{Delivery, LastWill, Link, LinkConfig, LinkEvent, PublishError};
use gridtally_protocol::identity::Identity;
use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{BEACON_TOPIC, Topic, TopicKind};
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::inbox::{Handled, Ignored, Judge};
use crate::config::{BrokerConfig, BrokerError};
use crate::control::policy::Home;
use crate::outbox::{Outbox, OutboxError, Outgoing};
use crate::page::state::LinkState;

/// At most so many messages wait for their receipts at a time.
const IN_FLIGHT_MAX: usize = 64;

/// The line to the engine.
#[derive(Debug)]
pub struct Uplink {
    link: Link,
    events: mpsc::Receiver<LinkEvent>,
    gateway: Identity,
    judge: Judge,
    online: bool,
    /// Since when, or why not.
    connected_since: Option<Timestamp>,
    complaint: Option<String>,
    last_receipt: Option<Timestamp>,
    broker: String,
    /// The place in the outbox up to which everything was published on this connection.
    sent_to: i64,
    /// What was published and is not receipted, with the time of publication.
    in_flight: BTreeMap<i64, Instant>,
    resend_after: Duration,
}

impl Uplink {
    /// Starts the connection to `broker`. A message is published again when its receipt takes longer than
    /// `resend_after`.
    ///
    /// # Errors
    /// [`BrokerError`] where the broker's address, or a file for it, can never work.
    pub fn start(
        broker: &BrokerConfig,
        gateway: Identity,
        judge: Judge,
        resend_after: Duration,
    ) -> Result<Self, BrokerError> {
        let topic = |kind| Topic { gateway, kind }.to_string();
        let config = LinkConfig {
            clean_session: false,
            subscriptions: [
                TopicKind::Instruction,
                TopicKind::Receipt,
                TopicKind::Resend,
                TopicKind::Statement,
            ]
            .map(topic)
            .into_iter()
            .chain([BEACON_TOPIC.to_owned()])
            .collect(),
            last_will: Some(LastWill {
                topic: topic(TopicKind::Status),
                payload: b"offline".to_vec(),
                retain: true,
            }),
            ..broker.link(format!("gridtally-{}", gateway.multibase()))?
        };
        let (link, events) = Link::start(config);
        Ok(Self {
            link,
            events,
            gateway,
            judge,
            online: false,
            connected_since: None,
            complaint: None,
            last_receipt: None,
            broker: broker.address.clone(),
            sent_to: 0,
            in_flight: BTreeMap::new(),
            resend_after,
        })
    }

    /// The link as the owner is told of it.
    #[must_use]
    pub fn state(&self) -> LinkState {
        // Whatever stands before the host is the password's.
        let broker = self
            .broker
            .rsplit_once('@')
            .map_or(self.broker.as_str(), |(_, host)| host);
        LinkState {
            broker: broker.to_owned(),
            connected_since: self.connected_since,
            complaint: self.complaint.clone(),
        }
    }

    /// When the engine last signed for something.
    #[must_use]
    pub const fn last_receipt(&self) -> Option<Timestamp> {
        self.last_receipt
    }

    /// How far the clock is trusted from now on.
    pub const fn trust_clock(&mut self, clock: ClockState) {
        self.judge.clock = clock;
    }

    /// What the home has from now on.
    pub fn know_home(&mut self, home: Home) {
        self.judge.home = home;
    }

    /// Waits for the next event of the link; `None` where the link has ended, which it does not by itself.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        self.events.recv().await
    }

    /// When the oldest message in flight is to be published again.
    #[must_use]
    pub fn resend_at(&self) -> Option<Instant> {
        let oldest = self.in_flight.values().min()?;
        oldest.checked_add(self.resend_after)
    }

    /// Takes an event of the link. A delivery is acknowledged to the broker when its effect is durable.
    ///
    /// # Errors
    /// [`OutboxError`]; the delivery will come again.
    pub fn take(&mut self, event: LinkEvent, outbox: &mut Outbox, now: Timestamp) -> Result<(), OutboxError> {
        match event {
            LinkEvent::Connected => {
                tracing::info!("connected to the broker");
                self.forget_connection();
                self.online = true;
                self.connected_since = Some(now);
                self.complaint = None;
                self.say("online");
            }
            LinkEvent::Disconnected { reason } => {
                tracing::warn!(%reason, "no connection to the broker");
                self.forget_connection();
                self.complaint = Some(reason.to_string());
            }
            LinkEvent::Message(delivery) => match self.receive(&delivery, outbox, now) {
                Ok(()) => self.link.acknowledge(&delivery),
                // Not acknowledged: the broker, or the engine itself, delivers it again.
                Err(error) if error.is_storage() => outbox.complain(&error),
                Err(error) => return Err(error),
            },
        }
        self.pump(outbox)
    }

    fn receive(
        &mut self,
        delivery: &Delivery,
        outbox: &mut Outbox,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let handled = match delivery.truncated_from {
            Some(len) => Handled::Ignored(Ignored::TooLong { len }),
            None => self
                .judge
                .handle(outbox, &delivery.topic, &delivery.payload, now)?,
        };
        match handled {
            Handled::Receipt(receipted) => {
                self.last_receipt = Some(now);
                for id in &receipted.ids {
                    self.in_flight.remove(id);
                }
                if receipted.refused > 0 {
                    tracing::warn!(
                        count = receipted.refused,
                        "the engine refuses messages of this gateway"
                    );
                }
            }
            Handled::Instruction => {}
            Handled::Beacon(is_new) => tracing::debug!(is_new, "a beacon of the engine"),
            Handled::Again(again) => {
                tracing::info!(
                    reports = again.ids.len(),
                    gone = again.gone,
                    postponed = again.postponed,
                    "the engine asks for reports again"
                );
                if let Some(first) = again.ids.first() {
                    self.sent_to = self.sent_to.min(first.saturating_sub(1));
                }
            }
            Handled::Statement(kept) => tracing::info!(?kept, "a statement of the engine"),
            Handled::Ignored(Ignored::Known) => {
                tracing::debug!(topic = %delivery.topic, "an instruction that was taken before");
            }
            Handled::Ignored(reason) => {
                tracing::warn!(topic = %delivery.topic, %reason, "a message is ignored");
            }
        }
        Ok(())
    }

    /// Publishes what is due: what has waited too long for its receipt, then what was not published yet.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn pump(&mut self, outbox: &Outbox) -> Result<(), OutboxError> {
        if !self.online {
            return Ok(());
        }
        let now = Instant::now();
        let is_late = |sent: &Instant| now.saturating_duration_since(*sent) >= self.resend_after;
        let late: Vec<i64> = self
            .in_flight
            .iter()
            .filter(|(_, sent)| is_late(sent))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let message = outbox.outgoing_after(id.saturating_sub(1), 1)?;
            match message.into_iter().find(|m| m.id == id) {
                Some(message) => {
                    if !self.publish(message, now) {
                        return Ok(());
                    }
                }
                // It expired in the outbox.
                None => drop(self.in_flight.remove(&id)),
            }
        }
        let room = IN_FLIGHT_MAX.saturating_sub(self.in_flight.len());
        if room == 0 || outbox.depth() == 0 {
            return Ok(());
        }
        // After a request to send again, some that are in flight come by a second time.
        let look = room.saturating_add(self.in_flight.len());
        for message in outbox.outgoing_after(self.sent_to, look)? {
            let id = message.id;
            let full = self.in_flight.len() >= IN_FLIGHT_MAX;
            if !self.in_flight.contains_key(&id) && (full || !self.publish(message, now)) {
                break;
            }
            self.sent_to = id;
        }
        Ok(())
    }

    /// Publishes a message; `false` where the link takes nothing more for now.
    fn publish(&mut self, message: Outgoing, now: Instant) -> bool {
        let topic = Topic {
            gateway: self.gateway,
            kind: message.kind.topic(),
        };
        match self.link.publish(&topic.to_string(), message.envelope, false) {
            Ok(()) => {
                self.in_flight.insert(message.id, now);
                true
            }
            Err(PublishError::Full) => {
                // A late one that finds no room counts as tried, lest the loop spins.
                if let Some(sent) = self.in_flight.get_mut(&message.id) {
                    *sent = now;
                }
                false
            }
            Err(PublishError::Offline) => {
                self.forget_connection();
                false
            }
            Err(error) => {
                tracing::error!(%error, "a message of the outbox can never be published");
                true
            }
        }
    }

    fn say(&self, status: &str) {
        let topic = Topic {
            gateway: self.gateway,
            kind: TopicKind::Status,
        };
        if let Err(error) = self
            .link
            .publish(&topic.to_string(), status.as_bytes().to_vec(), true)
        {
            tracing::debug!(%error, "the status is not published");
        }
    }

    fn forget_connection(&mut self) {
        self.online = false;
        self.connected_since = None;
        self.sent_to = 0;
        self.in_flight.clear();
    }

    /// Says goodbye: publishes the status, lets what is queued leave, and ends the link.
    pub async fn stop(self) {
        self.say("offline");
        let Self { link, mut events, .. } = self;
        drop(link);
        while events.recv().await.is_some() {}
    }
}
