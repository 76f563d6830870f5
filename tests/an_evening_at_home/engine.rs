//! An engine that asks one home for its battery and signs for what it hears.

use std::net::SocketAddr;

use gridtally_link::{Link, LinkConfig, LinkEvent};
use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::receipt::Receipt;
use gridtally_protocol::topic::{Topic, TopicKind};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::DEADLINE;
use crate::house::{at, now};

fn key() -> SigningIdentity {
    SigningIdentity::from_secret(&[2; 32]).unwrap()
}

/// Whose instructions the agent obeys.
pub fn identity() -> Identity {
    key().identity()
}

pub struct Engine {
    link: Link,
    events: Receiver<LinkEvent>,
    gateway: Identity,
}

impl Engine {
    /// On the broker, for this gateway.
    pub async fn start(broker: SocketAddr, gateway: Identity) -> Self {
        let acknowledgements = Topic {
            gateway,
            kind: TopicKind::Acknowledgement,
        };
        let (link, mut events) = Link::start(LinkConfig {
            subscriptions: vec![acknowledgements.to_string()],
            ..LinkConfig::new(broker.to_string(), "engine")
        });
        let connected = async { while !matches!(events.recv().await, Some(LinkEvent::Connected)) {} };
        timeout(DEADLINE, connected).await.expect("the engine connects");
        Self {
            link,
            events,
            gateway,
        }
    }

    /// An event that began a minute ago and lasts half an hour; what it is known by.
    pub fn asks_to_discharge(&self, watts: i64) -> Digest {
        let instruction = Instruction {
            sequence: 1,
            gateway: self.gateway,
            event: "evening-peak".parse().unwrap(),
            issued_at: at(now() - 90),
            expires_at: at(now() + 1_740),
            start: at(now() - 60),
            end: at(now() + 1_740),
            target: Target::SetPoint(Milliwatts::new(watts * 1_000)),
            program: None,
            price: None,
        };
        let envelope = instruction.seal(&key()).unwrap();
        let digest = Digest::of(&envelope);
        self.say(TopicKind::Instruction, envelope);
        digest
    }

    /// Waits for this stage. Every one that comes is signed by the gateway, and is signed for.
    pub async fn tells(&mut self, asked: &Digest, what: &str, is_it: impl Fn(Stage) -> bool) {
        let mut told = Vec::new();
        let telling = async {
            while !told.last().copied().is_some_and(&is_it) {
                told.push(self.next(asked).await);
            }
        };
        let in_time = timeout(DEADLINE, telling).await;
        assert!(in_time.is_ok(), "{what} was not told: {told:?}");
    }

    async fn next(&mut self, asked: &Digest) -> Stage {
        loop {
            if let LinkEvent::Message(delivery) = self.events.recv().await.expect("the link goes on") {
                self.link.acknowledge(&delivery);
                let told = Acknowledgement::open(&delivery.payload).unwrap();
                assert_eq!((told.signer, told.message.instruction), (self.gateway, *asked));
                let receipt = Receipt {
                    gateway: self.gateway,
                    issued_at: at(now()),
                    entries: vec![(told.digest, Ok(()))],
                };
                self.say(TopicKind::Receipt, receipt.seal(&key()).unwrap());
                break told.message.stage;
            }
        }
    }

    fn say(&self, kind: TopicKind, payload: Vec<u8>) {
        let topic = Topic {
            gateway: self.gateway,
            kind,
        };
        self.link.publish(&topic.to_string(), payload, false).unwrap();
    }
}
