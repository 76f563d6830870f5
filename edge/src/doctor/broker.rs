//! The broker: does it take the agent?

use std::time::Duration;

use gridtally_link::{Link, LinkConfig, LinkEvent};
use gridtally_protocol::topic::{Topic, TopicKind};
use tokio::time::timeout;

use super::finding::Finding;
use crate::config::AgentConfig;
use crate::identity;

/// A broker that takes longer is of no use.
const DEADLINE: Duration = Duration::from_secs(15);

/// Connects as a client of its own name, and subscribes to what the agent subscribes to.
pub(super) async fn examine(config: &AgentConfig) -> Finding {
    let key = identity::load(&config.gateway.key).ok();
    let subscriptions = key.iter().map(|key| {
        let topic = Topic {
            gateway: key.identity(),
            kind: TopicKind::Receipt,
        };
        topic.to_string()
    });
    let name = format!("gridtally-doctor-{}", std::process::id());
    let link = match config.broker.link(name) {
        Ok(link) => LinkConfig {
            subscriptions: subscriptions.collect(),
            ..link
        },
        Err(error) => return Finding::bad("broker", error.to_string()),
    };
    if let Err(error) = link.check() {
        return Finding::bad("broker", error.to_string());
    }
    let (_link, mut events) = Link::start(link);
    let first = timeout(DEADLINE, events.recv()).await;
    judge(without_password(&config.broker.address), first.ok().flatten())
}

fn judge(broker: &str, first: Option<LinkEvent>) -> Finding {
    match first {
        Some(LinkEvent::Connected | LinkEvent::Message(_)) => {
            Finding::well("broker", format!("{broker} takes the connection"))
        }
        Some(LinkEvent::Disconnected { reason }) => Finding::bad(
            "broker",
            format!(
                "{broker}: {reason}. Is the address right, does the broker run, does it know the user and the \
                 password? Metering goes on without it; nothing is paid before reports arrive"
            ),
        ),
        None => Finding::bad(
            "broker",
            format!(
                "{broker} did not answer within {} s; is the address right, and does a firewall stand between?",
                DEADLINE.as_secs()
            ),
        ),
    }
}

/// The address without `user:password@`.
fn without_password(broker: &str) -> &str {
    broker.rsplit_once('@').map_or(broker, |(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Health;

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(without_password("mqtt://me:secret@broker:1883"), "broker:1883");
        assert_eq!(without_password("broker:1883"), "broker:1883");
    }

    #[test]
    fn silence_and_refusal_are_bad() {
        assert_eq!(judge("b", None).health, Health::Bad);
        let reason = "bad user name or password".to_owned();
        let refused = judge("b", Some(LinkEvent::Disconnected { reason }));
        assert!(
            refused.health == Health::Bad && refused.text.contains("bad user"),
            "{refused:?}"
        );
    }
}
