//! From the first publish to the last receipt.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use gridtally_link::{Link, LinkConfig, LinkEvent, PublishError};
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::receipt::Receipt;
use gridtally_protocol::topic::TopicKind;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::BenchError;
use super::workload::Published;

/// How long a receipt is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon the link is asked again for room.
const ROOM_SOON: Duration = Duration::from_micros(500);
/// As many publishes may be on their way to the broker: a hundred gateways with ten each.
const INFLIGHT_MAX: u16 = 1_000;

/// Publishes reports as fast as the broker takes them; says how long it was until the engine had signed for the last.
pub(super) fn publish(broker: &str, engine: Identity, reports: &[Published]) -> Result<Duration, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| BenchError::Io {
            what: "cannot start the publisher's runtime",
            source,
        })?;
    let mut config = LinkConfig::new(broker, "bench");
    config.inflight_max = INFLIGHT_MAX;
    config.subscriptions = vec![TopicKind::Receipt.filter_for_all()];
    runtime.block_on(async {
        let (link, events) = Link::start(config);
        let mut wire = Wire {
            link,
            events,
            engine,
            receipted: HashSet::new(),
        };
        wire.connected().await?;
        wire.carry(reports).await
    })
}

struct Wire {
    link: Link,
    events: mpsc::Receiver<LinkEvent>,
    engine: Identity,
    receipted: HashSet<Digest>,
}

impl Wire {
    async fn connected(&mut self) -> Result<(), BenchError> {
        match timeout(PATIENCE, self.events.recv()).await {
            Ok(Some(LinkEvent::Connected)) => Ok(()),
            other => Err(BenchError::Disconnected(format!("{other:?}"))),
        }
    }

    async fn carry(&mut self, reports: &[Published]) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let mut waiting = reports.iter().peekable();
        while waiting.peek().is_some() || self.receipted.len() < reports.len() {
            while let Some(report) = waiting.peek() {
                match self.link.publish(&report.topic, report.envelope.clone(), false) {
                    Ok(()) => drop(waiting.next()),
                    Err(PublishError::Full) => break,
                    Err(error) => return Err(BenchError::Disconnected(error.to_string())),
                }
            }
            let patience = if waiting.peek().is_some() {
                ROOM_SOON
            } else {
                PATIENCE
            };
            match timeout(patience, self.events.recv()).await {
                Ok(Some(event)) => self.note(event)?,
                Ok(None) => return Err(BenchError::Disconnected("the link ended".into())),
                Err(_) if waiting.peek().is_some() && start.elapsed() < 10 * PATIENCE => {}
                Err(_) => {
                    let received = self.receipted.len();
                    return Err(BenchError::Silent {
                        waited: patience,
                        received,
                        sent: reports.len(),
                    });
                }
            }
        }
        Ok(start.elapsed())
    }

    fn note(&mut self, event: LinkEvent) -> Result<(), BenchError> {
        match event {
            LinkEvent::Message(delivery) => {
                self.link.acknowledge(&delivery);
                let receipt = Receipt::open(&delivery.payload)?;
                if receipt.signer != self.engine {
                    return Ok(());
                }
                for (digest, verdict) in receipt.message.entries {
                    verdict.map_err(BenchError::Refused)?;
                    self.receipted.insert(digest);
                }
                Ok(())
            }
            LinkEvent::Connected => Ok(()),
            LinkEvent::Disconnected { reason } => Err(BenchError::Disconnected(reason)),
        }
    }
}
