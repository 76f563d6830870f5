//! Home Assistant's side of a real mosquitto: what is found there, and the switch.

#[path = "../../link/tests/support/mosquitto.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod mosquitto;
mod page_support;

use gridtally_edge::config::HomeAssistantConfig;
use gridtally_edge::home_assistant::{Topics, run};
use gridtally_edge::page::OwnerCommand;
use gridtally_edge::page::state::OptOutScope;
use gridtally_link::{Delivery, Link, LinkConfig, LinkEvent};
use mosquitto::Mosquitto;
use page_support::{DEADLINE, busy_home};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// The next message on a topic for which a check holds.
async fn heard(
    events: &mut mpsc::Receiver<LinkEvent>,
    topic: &str,
    check: impl Fn(&Delivery) -> bool,
) -> Delivery {
    let hear = async {
        loop {
            if let LinkEvent::Message(delivery) = events.recv().await.expect("the link goes on")
                && delivery.topic == topic
                && check(&delivery)
            {
                return delivery;
            }
        }
    };
    timeout(DEADLINE, hear)
        .await
        .unwrap_or_else(|_| panic!("nothing on {topic}"))
}

fn json(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.payload).unwrap()
}

#[tokio::test]
async fn home_assistant_finds_the_home_presses_the_switch_and_sees_it_leave() {
    let broker = Mosquitto::start().await;
    let config: HomeAssistantConfig =
        toml::from_str(&format!("broker = \"{}\"\ninterval_seconds = 1", broker.address)).unwrap();
    let (state, states) = watch::channel(busy_home());
    let topics = Topics::new(&config, &state.borrow().gateway);
    let (commands_in, mut commands) = mpsc::channel(4);

    let (owner, mut seen) = Link::start(LinkConfig {
        subscriptions: vec![topics.discovery.clone(), "gridtally/home/#".to_owned()],
        ..LinkConfig::new(broker.address.to_string(), "home-assistant")
    });
    timeout(DEADLINE, async {
        while !matches!(seen.recv().await, Some(LinkEvent::Connected)) {}
    })
    .await
    .unwrap();

    let task = tokio::spawn(run(config, states, commands_in));
    let found = json(&heard(&mut seen, &topics.discovery, |_| true).await);
    assert_eq!(found["state_topic"], topics.state);
    assert_eq!(found["components"]["opted_out"]["command_topic"], topics.opt_out);
    heard(&mut seen, &topics.availability, |d| d.payload == b"online").await;
    let shown = json(&heard(&mut seen, &topics.state, |_| true).await);
    assert_eq!(
        (&shown["solar_power"], &shown["opted_out"]),
        (&"1940.000".into(), &"OFF".into())
    );

    owner
        .publish(&topics.opt_out, b"nonsense".to_vec(), false)
        .unwrap();
    owner.publish(&topics.opt_out, b"ON".to_vec(), true).unwrap();
    let request = timeout(DEADLINE, commands.recv()).await.unwrap().unwrap();
    let scope = OptOutScope::Event("01JEVENING".to_owned());
    assert_eq!(request.command, OwnerCommand::OptOut(scope.clone()));
    state.send_modify(|home| home.opt_out = Some(scope));
    request.answer.send(Ok(())).unwrap();
    heard(&mut seen, &topics.state, |d| json(d)["opted_out"] == "ON").await;

    // A newcomer finds what is retained: the description, but no old command.
    let (_late, mut late) = Link::start(LinkConfig {
        subscriptions: vec![topics.opt_out.clone(), topics.availability.clone()],
        ..LinkConfig::new(broker.address.to_string(), "late")
    });
    let first = timeout(DEADLINE, async {
        loop {
            if let Some(LinkEvent::Message(delivery)) = late.recv().await {
                return delivery;
            }
        }
    });
    assert_eq!(first.await.unwrap().topic, topics.availability);

    drop(state);
    heard(&mut seen, &topics.availability, |d| d.payload == b"offline").await;
    timeout(DEADLINE, task).await.unwrap().unwrap().unwrap();
}
