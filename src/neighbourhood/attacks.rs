//! A stranger on the broker, and a dishonest owner: what they try, with the means that they really have.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use gridtally_link::{Link, LinkConfig, LinkEvent};
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::envelope::{self, Purpose};
use gridtally_protocol::identity::{Identity, SigningIdentity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::report::Report;
use gridtally_protocol::topic::{Topic, TopicKind};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// A real broker on loopback needs far less.
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who listens to every report on the broker and publishes what he likes.
#[derive(Debug)]
pub struct Stranger {
    link: Link,
    events: Receiver<LinkEvent>,
    heard: BTreeMap<Identity, Vec<Vec<u8>>>,
}

impl Stranger {
    /// Connects and listens.
    ///
    /// # Errors
    /// Where the broker does not let him in within the deadline.
    pub async fn connect(broker: &str) -> anyhow::Result<Self> {
        let mut config = LinkConfig::new(broker, "stranger");
        config.subscriptions = vec![TopicKind::Report.filter_for_all()];
        let (link, mut events) = Link::start(config);
        let connected = async {
            while let Some(event) = events.recv().await {
                if matches!(event, LinkEvent::Connected) {
                    return Ok(());
                }
            }
            anyhow::bail!("the stranger's link ended")
        };
        timeout(PATIENCE, connected)
            .await
            .context("the stranger could not connect")??;
        Ok(Self {
            link,
            events,
            heard: BTreeMap::new(),
        })
    }

    /// Listens until the latest report of a gateway that covers the interval before `until` has passed by.
    ///
    /// # Errors
    /// Where it does not come within the deadline.
    pub async fn overhear(&mut self, gateway: Identity, sequence: u64) -> anyhow::Result<Vec<u8>> {
        let heard = async {
            loop {
                if let Some(bytes) = self.find(gateway, sequence) {
                    return Ok(bytes);
                }
                match self.events.recv().await {
                    Some(LinkEvent::Message(delivery)) => {
                        if let Ok(topic) = delivery.topic.parse::<Topic>() {
                            self.heard
                                .entry(topic.gateway)
                                .or_default()
                                .push(delivery.payload.clone());
                        }
                        self.link.acknowledge(&delivery);
                    }
                    Some(_) => {}
                    None => anyhow::bail!("the stranger's link ended"),
                }
            }
        };
        timeout(PATIENCE, heard)
            .await
            .context("the stranger heard no such report")?
    }

    fn find(&self, gateway: Identity, sequence: u64) -> Option<Vec<u8>> {
        let is_it =
            |bytes: &&Vec<u8>| Report::open(bytes).is_ok_and(|signed| signed.message.sequence == sequence);
        self.heard.get(&gateway)?.iter().find(is_it).cloned()
    }

    /// Publishes bytes as a report of a gateway.
    ///
    /// # Errors
    /// Where the link does not take them.
    pub fn publish(&self, gateway: Identity, bytes: Vec<u8>) -> anyhow::Result<()> {
        let topic = Topic {
            gateway,
            kind: TopicKind::Report,
        };
        self.link
            .publish(&topic.to_string(), bytes, false)
            .context("the stranger could not publish")
    }
}

/// A genuine report with one bit of its content turned: the signature no longer fits.
#[must_use]
pub fn tampered(genuine: &[u8]) -> Vec<u8> {
    let mut bytes = genuine.to_vec();
    // The byte before the signature's header is the payload's last: a sample.
    if let Some(sample) = bytes.len().checked_sub(67).and_then(|index| bytes.get_mut(index)) {
        *sample ^= 1;
    }
    bytes
}

/// The same report with ten times the export, signed with whatever key is at hand.
///
/// # Errors
/// Where the genuine bytes are no report.
pub fn enriched(genuine: &[u8], key: &SigningIdentity) -> anyhow::Result<Vec<u8>> {
    let mut report = Report::open(genuine)?.message;
    for series in &mut report.series {
        if series.channel.quantity == Quantity::GridExport {
            for steps in series.samples.iter_mut().flatten() {
                *steps = steps.checked_mul(10).unwrap_or(*steps).max(1_000);
            }
        }
    }
    Ok(report.seal(key)?)
}

/// A report's payload under a signature that was made for another purpose.
///
/// # Errors
/// Where the genuine bytes are no report.
pub fn wrong_purpose(genuine: &[u8], key: &SigningIdentity) -> anyhow::Result<Vec<u8>> {
    let payload = Report::open(genuine)?.message.encode()?;
    Ok(envelope::seal(Purpose::Acknowledgement, &payload, key))
}
