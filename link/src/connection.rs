//! The life of a link: connect, subscribe, carry, break, wait, and again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rumqttc::mqttbytes::Error as PacketError;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming, MqttOptions, NetworkOptions, Outgoing, Publish,
    QoS, StateError, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::address::BrokerAddress;
use crate::backoff::Backoff;
use crate::config::LinkConfig;
use crate::delivery::{Delivery, HeldBytes};
use crate::link::{LinkEvent, OutletSlot};
use crate::outlet::Outlet;
use crate::tls::{self, TlsError};

/// How many events wait for the consumer: more than a broker may have in flight at QoS 1 (its
/// packet identifiers have 16 bits), so that only QoS 0 or the bound on bytes can fill it.
pub(crate) const EVENTS_MAX: usize = 65_536 + 1024;
/// How many bytes of deliveries are held before the connection is given up.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// From the first SYN to the last SUBACK: two keep-alives, within these bounds.
const CONNECT_TIMEOUT_MIN: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// How long the link goes on for what was published after its last handle is dropped.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// Publishes without any PUBACK for so many keep-alives: the connection has lost its wits.
const STUCK_KEEP_ALIVES: u32 = 3;
/// Packets up to this length are read, cut and handed on, so that they can be refused.
const SWALLOWED_LEN_MAX: usize = 4 * 1024 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Break {
    #[error("the broker could not be reached, or did not accept us, within {0:?}")]
    ConnectTimeout(Duration),
    #[error("{0}")]
    Client(Box<ConnectionError>),
    #[error("the broker refused the subscription `{filter}`; check its access control list")]
    SubscriptionRefused { filter: String },
    #[error("the connection stood still for {0:?} and was given up")]
    Silent(Duration),
    #[error("no publish was acknowledged for {0:?}; starting afresh")]
    Stuck(Duration),
    #[error(
        "the broker sent a packet of {0} bytes, more than the {SWALLOWED_LEN_MAX} that are read at most; \
         set a message size limit at the broker"
    )]
    Oversized(usize),
    #[error("the consumer holds too many deliveries; the connection is paused until it has caught up")]
    ConsumerTooSlow,
    #[error("{0}")]
    TlsHandshake(String),
    #[error(transparent)]
    TlsFiles(#[from] TlsError),
    #[error("the MQTT client failed: {0}")]
    Panicked(String),
}

/// What a connection leaves behind.
enum End {
    /// Orderly: nobody needs the link any more.
    Goodbye,
    Broken {
        reason: Break,
        /// For how long it had been connected and subscribed.
        connected_for: Option<Duration>,
    },
}

/// Keeps `slot` filled with the present connection until the link's handles are gone.
pub(crate) async fn keep_connected(
    config: LinkConfig,
    slot: OutletSlot,
    events: mpsc::Sender<LinkEvent>,
    mut closing: watch::Receiver<()>,
) {
    let address = match config.checked_address() {
        Ok(address) => address,
        Err(error) => {
            drop(
                events
                    .send(LinkEvent::Disconnected {
                        reason: error.to_string(),
                    })
                    .await,
            );
            return;
        }
    };
    let mut backoff = Backoff::new(config.backoff_max);
    let mut connection = Connection {
        config: Arc::new(config),
        address: Arc::new(address),
        epoch: 0,
        discard_session: false,
        slot,
        events,
        held: HeldBytes::default(),
        closing: closing.clone(),
    };
    let mut told = None;
    loop {
        connection.epoch += 1;
        let (reason, connected_for) = match connection.clone().carried_apart().await {
            End::Goodbye => return,
            End::Broken {
                reason,
                connected_for,
            } => (reason, connected_for),
        };
        connection.slot.lock().take();
        connection.discard_session =
            matches!(reason, Break::Oversized(_)) && !connection.config.clean_session;
        backoff.after_connection_of(connected_for.unwrap_or_default());

        let reason = reason.to_string();
        tracing::debug!(broker = connection.address.host, epoch = connection.epoch, %reason, "disconnected");
        if connected_for.is_some() || told.as_ref() != Some(&reason) {
            let event = LinkEvent::Disconnected {
                reason: reason.clone(),
            };
            if connection.events.send(event).await.is_err() {
                return;
            }
            told = Some(reason);
        }
        tokio::select! {
            () = connection.wait_for_consumer(backoff.next()) => {}
            _ = closing.changed() => return,
            () = connection.events.closed() => return,
        }
    }
}

/// One connection, with everything it needs; a fresh copy for each.
#[derive(Clone)]
struct Connection {
    config: Arc<LinkConfig>,
    address: Arc<BrokerAddress>,
    epoch: u64,
    discard_session: bool,
    slot: OutletSlot,
    events: mpsc::Sender<LinkEvent>,
    held: HeldBytes,
    closing: watch::Receiver<()>,
}

impl Connection {
    /// Waits out the back-off, and until the consumer has worked off half of what it may hold.
    async fn wait_for_consumer(&self, backoff: Duration) {
        tokio::time::sleep(backoff).await;
        while self.held.count() > HELD_BYTES_MAX / 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The permits are given back at once: this only waits for the queue to be half empty.
        drop(self.events.reserve_many(EVENTS_MAX / 2).await);
    }

    /// Runs the connection in a task of its own, so that a panic in the client library costs one
    /// connection and not the link.
    async fn carried_apart(self) -> End {
        let mut task = JoinSet::new();
        task.spawn(self.carry());
        match task.join_next().await {
            Some(Ok(end)) => end,
            Some(Err(error)) => End::Broken {
                reason: Break::Panicked(error.to_string()),
                connected_for: None,
            },
            None => End::Goodbye,
        }
    }

    /// The whole life of one connection.
    async fn carry(self) -> End {
        let mut closing = self.closing.clone();
        if self.discard_session {
            self.make_broker_forget_session().await;
        }
        let (client, mut eventloop) = match self.fresh_client(self.config.clean_session) {
            Ok(fresh) => fresh,
            Err(error) => {
                return End::Broken {
                    reason: error.into(),
                    connected_for: None,
                };
            }
        };
        let time_limit = self.connect_timeout();
        let established = timeout(time_limit, self.establish(&client, &mut eventloop));
        let early = tokio::select! {
            established = established => match established {
                Ok(Ok(early)) => early,
                Ok(Err(reason)) => return End::Broken { reason, connected_for: None },
                Err(_) => return End::Broken { reason: Break::ConnectTimeout(time_limit), connected_for: None },
            },
            _ = closing.changed() => return End::Goodbye,
            () = self.events.closed() => return End::Goodbye,
        };
        let since = Instant::now();
        *self.slot.lock() = Some(Outlet::new(client, self.epoch, self.config.inflight_max));
        let carried = match self.announce(early) {
            Ok(()) => self.carry_until_closing(&mut eventloop).await,
            Err(reason) => Err(reason),
        };
        match carried {
            Ok(()) => End::Goodbye,
            Err(reason) => End::Broken {
                reason,
                connected_for: Some(since.elapsed()),
            },
        }
    }

    fn connect_timeout(&self) -> Duration {
        (self.config.keep_alive * 2).clamp(CONNECT_TIMEOUT_MIN, CONNECT_TIMEOUT_MAX)
    }

    /// A client without a past. Its window is twice ours, so that it never stops taking
    /// acknowledgements, and its channel holds whatever we could put into it.
    fn fresh_client(&self, clean_session: bool) -> Result<(AsyncClient, EventLoop), TlsError> {
        let window = self.config.inflight_max.saturating_mul(2).max(16);
        let swallowed = self.config.packet_len_max.max(SWALLOWED_LEN_MAX);
        // The client library takes an IPv6 address with brackets, or as the name of a certificate without.
        let host = if self.address.tls {
            self.address.server_name()
        } else {
            &self.address.host
        };
        let mut options = MqttOptions::new(&self.config.client_id, host, self.address.port);
        if self.address.tls {
            let config = TlsConfiguration::Rustls(tls::client(&self.config.tls)?);
            options.set_transport(Transport::tls_with_config(config));
        }
        options
            .set_keep_alive(self.config.keep_alive)
            .set_clean_session(clean_session)
            .set_manual_acks(true)
            .set_inflight(window)
            .set_max_packet_size(swallowed, swallowed);
        if let Some((user, password)) = &self.address.credentials {
            options.set_credentials(user, password);
        }
        if let Some(will) = &self.config.last_will {
            options.set_last_will(rumqttc::LastWill::new(
                &will.topic,
                will.payload.clone(),
                QoS::AtLeastOnce,
                will.retain,
            ));
        }
        let channel_len = usize::from(window) + usize::from(u16::MAX) + 16;
        let (client, mut eventloop) = AsyncClient::new(options, channel_len);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_TIMEOUT_MAX.as_secs());
        eventloop.set_network_options(network);
        Ok((client, eventloop))
    }

    /// Connects and subscribes. Returns what the broker delivered before it granted the subscriptions.
    async fn establish(
        &self,
        client: &AsyncClient,
        eventloop: &mut EventLoop,
    ) -> Result<VecDeque<Delivery>, Break> {
        let mut early = VecDeque::new();
        eventloop.poll().await.map_err(|e| self.broken(e))?;
        if self.config.subscriptions.is_empty() {
            return Ok(early);
        }
        let filters = &self.config.subscriptions;
        let requested = filters
            .iter()
            .map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        if client.try_subscribe_many(requested).is_err() {
            return Err(self.broken(ConnectionError::RequestsDone));
        }
        loop {
            match eventloop.poll().await.map_err(|e| self.broken(e))? {
                Event::Incoming(Incoming::Publish(publish)) => early.push_back(self.received(publish)?),
                Event::Incoming(Incoming::SubAck(granted)) => {
                    let granted = |index| {
                        matches!(
                            granted.return_codes.get(index),
                            Some(SubscribeReasonCode::Success(_))
                        )
                    };
                    return match (0..filters.len()).find(|index| !granted(*index)) {
                        None => Ok(early),
                        Some(index) => Err(Break::SubscriptionRefused {
                            filter: filters[index].clone(),
                        }),
                    };
                }
                _ => {}
            }
        }
    }

    fn announce(&self, early: VecDeque<Delivery>) -> Result<(), Break> {
        self.tell(LinkEvent::Connected)?;
        early
            .into_iter()
            .try_for_each(|delivery| self.tell(LinkEvent::Message(delivery)))
    }

    /// Carries messages until the connection breaks (an error) or the link's last handle is gone
    /// and the goodbye is said.
    async fn carry_until_closing(&self, eventloop: &mut EventLoop) -> Result<(), Break> {
        let (mut closing, events) = (self.closing.clone(), self.events.clone());
        // The client's poll must not be cancelled in the middle of a write; so it runs in one
        // future from beginning to end, which is dropped only with the connection.
        let mut carrying = std::pin::pin!(self.carry_messages(eventloop));
        tokio::select! {
            ended = &mut carrying => return ended,
            _ = closing.changed() => {}
            () = events.closed() => {}
        }
        if let Some(outlet) = self.slot.lock().as_mut() {
            outlet.close();
        }
        timeout(GOODBYE_TIMEOUT, carrying).await.unwrap_or(Ok(()))
    }

    /// Ends well only after a DISCONNECT of ours.
    async fn carry_messages(&self, eventloop: &mut EventLoop) -> Result<(), Break> {
        let keep_alive = self.config.keep_alive;
        // The client pings once a keep-alive, which ends its poll: a poll that lasts longer hangs
        // in a write that the broker does not read.
        let silence_max = keep_alive * 2 + Duration::from_secs(1);
        loop {
            let event = timeout(silence_max, eventloop.poll())
                .await
                .map_err(|_| Break::Silent(silence_max))?
                .map_err(|e| self.broken(e))?;
            match event {
                Event::Incoming(Incoming::Publish(publish)) => {
                    self.tell(LinkEvent::Message(self.received(publish)?))?;
                }
                Event::Incoming(Incoming::PubAck(_)) => {
                    if let Some(outlet) = self.slot.lock().as_mut() {
                        outlet.confirmed();
                    }
                }
                Event::Outgoing(Outgoing::Disconnect) => return Ok(()),
                _ => {}
            }
            let stuck_for = self.slot.lock().as_ref().and_then(Outlet::stuck_for);
            if let Some(stuck_for) = stuck_for.filter(|time| *time > keep_alive * STUCK_KEEP_ALIVES) {
                return Err(Break::Stuck(stuck_for));
            }
        }
    }

    fn received(&self, publish: Publish) -> Result<Delivery, Break> {
        let delivery = Delivery::new(publish, self.epoch, self.config.packet_len_max, &self.held);
        if let Some(len) = delivery.truncated_from {
            tracing::warn!(topic = delivery.topic, len, "an oversized message was cut");
        }
        if self.held.count() > HELD_BYTES_MAX {
            return Err(Break::ConsumerTooSlow);
        }
        Ok(delivery)
    }

    /// Never waits: the consumer's slowness must not silence us towards the broker.
    fn tell(&self, event: LinkEvent) -> Result<(), Break> {
        match self.events.try_send(event) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Break::ConsumerTooSlow),
        }
    }

    /// Has the broker throw away our session, with the message in it that is too large to read
    /// and would come again at every connection. What else was in it is resent by those who need
    /// it received.
    async fn make_broker_forget_session(&self) {
        tracing::warn!(
            client_id = self.config.client_id,
            "discarding the broker's session: a message in it is too large"
        );
        let Ok((client, mut eventloop)) = self.fresh_client(true) else {
            return;
        };
        let forgetting = async {
            eventloop.poll().await?;
            drop(client.try_disconnect());
            while !matches!(eventloop.poll().await?, Event::Outgoing(Outgoing::Disconnect)) {}
            Ok::<_, ConnectionError>(())
        };
        if !matches!(timeout(self.connect_timeout(), forgetting).await, Ok(Ok(()))) {
            tracing::warn!("the broker did not answer; its session stays");
        }
    }

    fn broken(&self, error: ConnectionError) -> Break {
        match error {
            ConnectionError::NetworkTimeout => Break::ConnectTimeout(CONNECT_TIMEOUT_MAX),
            ConnectionError::MqttState(StateError::Deserialization(
                PacketError::PayloadSizeLimitExceeded(len),
            )) => Break::Oversized(len),
            other if self.address.tls => tls::explain(&other, self.address.server_name())
                .map_or_else(|| Break::Client(Box::new(other)), Break::TlsHandshake),
            other => Break::Client(Box::new(other)),
        }
    }
}
