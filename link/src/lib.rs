//! An MQTT 3.1.1 link that survives what brokers and clients are known to do.
//!
//! The box in the home and the engine both talk to a broker through a [`Link`]. It knows bytes and
//! topics only; what they mean, and who may say it, is the business of the layers above, which
//! trust neither the broker nor this crate: they sign end to end and resend from durable stores.
//!
//! What a link promises:
//!
//! * **A fresh client for each connection.** Nothing of a broken connection lives on, so no lost
//!   session, packet-id collision or half-written packet can poison the next one. Subscriptions
//!   are made anew each time, and [`LinkEvent::Connected`] comes after the broker has granted them.
//! * **[`Link::publish`] never waits.** It queues within a bound or says [`PublishError::Full`].
//! * **Manual acknowledgement.** A QoS 1 delivery is PUBACKed by [`Link::acknowledge`] and by
//!   nothing else, so that "acknowledge only what is durable" can be kept. If the connection it
//!   came on is gone, acknowledging does nothing: the broker delivers the message again.
//! * **What was published and not yet PUBACKed when a connection breaks is forgotten.**
//!   [`LinkEvent::Disconnected`] says so; whoever needs it delivered sends it again from a durable
//!   store. (A PUBACK is not durability anyway: brokers lose acknowledged messages in a crash.)
//! * **A slow consumer does not kill the connection.** Deliveries wait in a bounded queue
//!   while the link goes on answering the broker. The broker's own in-flight window normally
//!   closes long before that queue is full; if it does not, the link disconnects *and says so*,
//!   and reconnects when the consumer has caught up.
//! * **Time limits everywhere.** Connecting, subscribing, writing, a silent broker and publishes
//!   that nobody acknowledges all end in a new connection, after a bounded back-off with jitter.
//! * **TLS where the address says `mqtts://`**, with the broker's name checked, and what does not fit said in a
//!   sentence: at the start, or as the reason of a disconnection.
//!
//! Where to read: [`LinkConfig`] (what can be set), `link.rs` (the handle), `connection.rs` (the
//! life of one connection), `outlet.rs` (the window of unacknowledged publishes),
//! `tests/traps.rs` (each known trap of the MQTT client library, with the test that springs it).

mod address;
mod backoff;
mod config;
mod connection;
mod delivery;
mod link;
mod outlet;
mod tls;

pub use config::{ConfigError, LastWill, LinkConfig, Login};
pub use delivery::Delivery;
pub use link::{Link, LinkEvent, PublishError};
pub use tls::{TlsError, TlsFiles, TlsIdentity};
