//! An engine that does what the test tells it, and one that takes everything.

use std::net::SocketAddr;

use gridtally_link::{Delivery, Link, LinkConfig, LinkEvent};
use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::receipt::{Receipt, Verdict};
use gridtally_protocol::report::Report;
use gridtally_protocol::resend::ResendRequest;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{BEACON_TOPIC, Topic, TopicKind};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::{DEADLINE, at, key};

pub struct Engine {
    link: Link,
    events: Receiver<LinkEvent>,
    pub key: SigningIdentity,
    pub gateway: Identity,
}

/// What a gateway sent.
pub struct Message {
    pub kind: TopicKind,
    pub payload: Vec<u8>,
}

/// An instruction of this number: discharge with 3 kW from `start` to `end`, in seconds after midnight.
pub fn instruction(gateway: Identity, sequence: u64, start: i64, end: i64) -> Instruction {
    Instruction {
        sequence,
        gateway,
        event: format!("event-{sequence}").parse().unwrap(),
        issued_at: at(0),
        expires_at: at(end),
        start: at(start),
        end: at(end),
        target: Target::SetPoint(Milliwatts::new(3_000_000)),
        program: None,
        price: None,
    }
}

impl Engine {
    /// An engine whose key has this seed, on the broker, for one gateway.
    pub async fn start(broker: SocketAddr, seed: u8, gateway: Identity) -> Self {
        let (link, events) = Link::start(LinkConfig {
            subscriptions: [TopicKind::Report, TopicKind::Acknowledgement, TopicKind::Status]
                .map(|kind| Topic { gateway, kind }.to_string())
                .to_vec(),
            packet_len_max: 1 << 20,
            ..LinkConfig::new(broker.to_string(), format!("engine-{seed}"))
        });
        let mut engine = Self {
            link,
            events,
            key: key(seed),
            gateway,
        };
        engine.connected().await;
        engine
    }

    pub async fn connected(&mut self) {
        let connected = async { while !matches!(self.events.recv().await, Some(LinkEvent::Connected)) {} };
        timeout(DEADLINE, connected).await.expect("the engine connects");
    }

    pub fn say(&self, kind: TopicKind, payload: Vec<u8>) {
        let topic = Topic {
            gateway: self.gateway,
            kind,
        };
        self.link.publish(&topic.to_string(), payload, false).unwrap();
    }

    /// Publishes a beacon, retained, issued so many seconds after midnight as its number says; its digest.
    pub fn shine(&self, number: u64) -> Digest {
        let beacon = Beacon {
            number,
            nonce: [7; 32],
            issued_at: at(i64::try_from(number).unwrap()),
        };
        let envelope = beacon.seal(&self.key).unwrap();
        let digest = Digest::of(&envelope);
        self.link.publish(BEACON_TOPIC, envelope, true).unwrap();
        digest
    }

    pub fn instruct(&self, instruction: &Instruction) -> Vec<u8> {
        let envelope = instruction.seal(&self.key).unwrap();
        self.say(TopicKind::Instruction, envelope.clone());
        envelope
    }

    pub fn receipt(&self, entries: &[(Digest, Verdict)]) {
        let mut entries = entries.to_vec();
        entries.sort_unstable_by_key(|e| e.0);
        let receipt = Receipt {
            gateway: self.gateway,
            issued_at: at(0),
            entries,
        };
        self.say(TopicKind::Receipt, receipt.seal(&self.key).unwrap());
    }

    /// Asks for reports again, at so many seconds after midnight.
    pub fn ask(&self, issued_at: i64, sequences: &[u64]) {
        let request = ResendRequest::of(self.gateway, at(issued_at), sequences.iter().copied()).unwrap();
        self.say(TopicKind::Resend, request.seal(&self.key).unwrap());
    }

    /// The next message of the gateway of this kind; others are passed over.
    pub async fn next(&mut self, kind: TopicKind) -> Delivery {
        let topic = Topic {
            gateway: self.gateway,
            kind,
        }
        .to_string();
        let next = async {
            loop {
                match self.events.recv().await.expect("the link goes on") {
                    LinkEvent::Message(delivery) if delivery.topic == topic => break delivery,
                    LinkEvent::Message(other) => self.link.acknowledge(&other),
                    _ => {}
                }
            }
        };
        let delivery = timeout(DEADLINE, next).await.expect("a message in time");
        self.link.acknowledge(&delivery);
        delivery
    }

    /// The next report or acknowledgement.
    pub async fn next_of_any(&mut self) -> Message {
        loop {
            match self.events.recv().await.expect("the link goes on") {
                LinkEvent::Message(delivery) => {
                    self.link.acknowledge(&delivery);
                    let kind = delivery.topic.parse::<Topic>().unwrap().kind;
                    if kind != TopicKind::Status {
                        let payload = delivery.payload;
                        break Message { kind, payload };
                    }
                }
                LinkEvent::Connected | LinkEvent::Disconnected { .. } => {}
            }
        }
    }

    /// The next report, with its digest.
    pub async fn report(&mut self) -> (Report, Digest) {
        let signed = Report::open(&self.next(TopicKind::Report).await.payload).unwrap();
        assert_eq!(signed.signer, self.gateway);
        (signed.message, signed.digest)
    }

    /// The next stage that is told after the receipt of the instruction, receipted.
    pub async fn stage(&mut self, of: &[u8]) -> (Stage, Timestamp) {
        loop {
            let (stage, at) = self.any_stage(of).await;
            if stage != Stage::Received {
                return (stage, at);
            }
        }
    }

    /// The next stage, receipted.
    pub async fn any_stage(&mut self, of: &[u8]) -> (Stage, Timestamp) {
        let signed = Acknowledgement::open(&self.next(TopicKind::Acknowledgement).await.payload).unwrap();
        assert_eq!(signed.signer, self.gateway);
        assert_eq!(signed.message.instruction, Digest::of(of));
        self.receipt(&[(signed.digest, Ok(()))]);
        (signed.message.stage, signed.message.at)
    }
}
