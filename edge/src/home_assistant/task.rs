//! Publishes the home on the owner's broker, and listens to the switch.

use std::time::Duration;

use gridtally_link::{LastWill, Link, LinkConfig, LinkEvent};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::discovery::{Topics, discovery};
use super::state::{command, state};
use crate::config::HomeAssistantConfig;
use crate::page::command::{OwnerRequest, send};
use crate::page::state::{HomeState, OptOutScope};

/// Longer than any payload that means something, so that a flood of long ones is cut early.
const PACKET_LEN_MAX: usize = 32 * 1024;

/// Keeps Home Assistant informed until the sender of the state is dropped.
///
/// # Errors
/// [`gridtally_link::ConfigError`] where the broker's address can never work.
pub async fn run(
    config: HomeAssistantConfig,
    mut home: watch::Receiver<HomeState>,
    commands: mpsc::Sender<OwnerRequest>,
) -> Result<(), gridtally_link::ConfigError> {
    let topics = Topics::new(&config, &home.borrow().gateway);
    let link_config = LinkConfig {
        subscriptions: vec![topics.opt_out.clone(), topics.birth.clone()],
        last_will: Some(LastWill {
            topic: topics.availability.clone(),
            payload: b"offline".to_vec(),
            retain: true,
        }),
        packet_len_max: PACKET_LEN_MAX,
        ..LinkConfig::new(config.broker.clone(), topics.id.clone())
    };
    link_config.check()?;
    let (link, mut events) = Link::start(link_config);
    let mut publisher = Publisher {
        config,
        topics,
        link,
        announced: false,
        shown: None,
    };
    let mut ticks = interval(Duration::from_secs(u64::from(publisher.config.interval_seconds)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => publisher.react(event, &home, &commands).await,
                None => return Ok(()),
            },
            _ = ticks.tick() => publisher.publish(&home),
            changed = home.changed() => match changed {
                Ok(()) => publisher.publish_if_pressing(&home),
                Err(_) => break,
            },
        }
    }
    publisher.say(&publisher.topics.availability, b"offline".to_vec(), true);
    // Dropping the link sees that through.
    drop(publisher);
    while events.recv().await.is_some() {}
    Ok(())
}

struct Publisher {
    config: HomeAssistantConfig,
    topics: Topics,
    link: Link,
    /// Whether this connection has the discovery.
    announced: bool,
    /// What was last published of what is pressing.
    shown: Option<Pressing>,
}

/// The opt-out, and the event that runs.
type Pressing = (Option<OptOutScope>, Option<String>);

fn pressing(home: &HomeState) -> Pressing {
    (
        home.opt_out.clone(),
        home.current_event.as_ref().map(|event| event.id.clone()),
    )
}

impl Publisher {
    async fn react(
        &mut self,
        event: LinkEvent,
        home: &watch::Receiver<HomeState>,
        commands: &mpsc::Sender<OwnerRequest>,
    ) {
        match event {
            LinkEvent::Connected => {
                info!("connected to the broker of Home Assistant");
                self.announced = false;
                self.publish(home);
            }
            LinkEvent::Disconnected { reason } => warn!("the broker of Home Assistant is away: {reason}"),
            LinkEvent::Message(delivery) => {
                self.link.acknowledge(&delivery);
                if delivery.topic == self.topics.birth {
                    self.announced = false;
                    self.publish(home);
                } else if delivery.topic == self.topics.opt_out && !delivery.payload.is_empty() {
                    self.obey(&delivery.payload, home, commands).await;
                }
            }
        }
    }

    async fn obey(
        &mut self,
        payload: &[u8],
        home: &watch::Receiver<HomeState>,
        commands: &mpsc::Sender<OwnerRequest>,
    ) {
        // Somebody may have had it retained: then each reconnection would press the switch again.
        self.say(&self.topics.opt_out, Vec::new(), true);
        let meant = command(payload, &home.borrow());
        match meant {
            Some(command) => {
                if let Err(e) = send(commands, command).await {
                    warn!("the switch in Home Assistant had no effect: {e}");
                }
            }
            None => debug!("a message on {} means nothing", self.topics.opt_out),
        }
        self.publish(home);
    }

    /// Shows the switch and the event at once; powers have their pace.
    fn publish_if_pressing(&mut self, home: &watch::Receiver<HomeState>) {
        let pressing = pressing(&home.borrow());
        if self.shown.as_ref() != Some(&pressing) {
            self.publish(home);
        }
    }

    fn publish(&mut self, home: &watch::Receiver<HomeState>) {
        let (description, state) = {
            let home = home.borrow();
            self.shown = Some(pressing(&home));
            let description = (!self.announced).then(|| discovery(&self.config, &self.topics, &home));
            (description, state(&home))
        };
        if let Some(description) = description {
            self.announced = self.say_json(&self.topics.discovery, &description, true)
                && self.say(&self.topics.availability, b"online".to_vec(), true);
        }
        self.say_json(&self.topics.state, &state, false);
    }

    fn say_json(&self, topic: &str, value: &Value, retain: bool) -> bool {
        self.say(topic, value.to_string().into_bytes(), retain)
    }

    /// What cannot be said now is said at the next tick, with newer values.
    fn say(&self, topic: &str, payload: Vec<u8>, retain: bool) -> bool {
        let said = self.link.publish(topic, payload, retain);
        if let Err(e) = &said {
            debug!("not published on {topic}: {e}");
        }
        said.is_ok()
    }
}
