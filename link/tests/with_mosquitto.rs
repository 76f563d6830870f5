//! The link against a real mosquitto.

mod support;

use gridtally_link::{LastWill, Link, LinkConfig};
use support::mosquitto::Mosquitto;
use support::*;

fn engine(broker: &Mosquitto) -> LinkConfig {
    LinkConfig {
        clean_session: false,
        subscriptions: vec!["grid/+/report".to_owned()],
        ..config(broker.address, "engine")
    }
}

#[tokio::test]
async fn what_is_not_acknowledged_is_delivered_again() {
    let broker = Mosquitto::start().await;
    let (sender, mut sent) = Link::start(config(broker.address, "box"));
    connected(&mut sent).await;
    let (link, mut events) = Link::start(engine(&broker));
    connected(&mut events).await;
    for payload in [b"one", b"two"] {
        sender.publish("grid/1/report", payload.to_vec(), false).unwrap();
    }
    let (one, two) = (message(&mut events).await, message(&mut events).await);
    assert_eq!(
        (one.payload.as_slice(), two.payload.as_slice()),
        (b"one".as_slice(), b"two".as_slice())
    );
    link.acknowledge(&one);
    drop(link);
    while events.recv().await.is_some() {}

    let (link, mut events) = Link::start(engine(&broker));
    connected(&mut events).await;
    let again = message(&mut events).await;
    assert_eq!(again.payload, b"two");
    // The claim of the first link is void here; the message's own is not.
    link.acknowledge(&two);
    link.acknowledge(&again);
    drop(link);
    while events.recv().await.is_some() {}

    let (_link, mut events) = Link::start(engine(&broker));
    connected(&mut events).await;
    sender.publish("grid/1/report", b"three".to_vec(), false).unwrap();
    assert_eq!(message(&mut events).await.payload, b"three");
}

/// rumqttc #250: subscriptions are not made again after a reconnection.
#[tokio::test]
async fn subscriptions_are_made_again_when_the_broker_has_lost_the_session() {
    let mut broker = Mosquitto::start().await;
    let (sender, mut sent) = Link::start(config(broker.address, "box"));
    let (link, mut events) = Link::start(engine(&broker));
    connected(&mut sent).await;
    connected(&mut events).await;
    for round in 0..3_u8 {
        broker.kill();
        disconnected(&mut events).await;
        broker.start_again().await;
        connected(&mut events).await;
        connected(&mut sent).await;
        sender.publish("grid/1/report", vec![round], false).unwrap();
        let delivery = message(&mut events).await;
        assert_eq!(delivery.payload, [round]);
        link.acknowledge(&delivery);
    }
}

/// The client library breaks the connection over a packet that is too long, and a kept session
/// delivers that packet again at once, for ever.
#[tokio::test]
async fn an_oversized_message_is_cut_acknowledged_and_does_not_come_again() {
    let broker = Mosquitto::start().await;
    let (sender, mut sent) = Link::start(config(broker.address, "forger"));
    connected(&mut sent).await;
    let bounded = LinkConfig {
        packet_len_max: 1000,
        ..engine(&broker)
    };
    let (link, mut events) = Link::start(bounded);
    connected(&mut events).await;
    sender.publish("grid/1/report", vec![9; 50_000], false).unwrap();
    sender.publish("grid/1/report", b"next".to_vec(), false).unwrap();
    let cut = message(&mut events).await;
    assert_eq!(cut.truncated_from, Some(50_000));
    assert!(cut.payload.len() < 1000);
    link.acknowledge(&cut);
    let following = message(&mut events).await;
    assert_eq!(
        (following.payload.as_slice(), following.truncated_from),
        (b"next".as_slice(), None)
    );
}

#[tokio::test]
async fn a_message_too_large_to_read_is_got_rid_of_with_the_session() {
    let broker = Mosquitto::start().await;
    let (sender, mut sent) = Link::start(LinkConfig {
        packet_len_max: 10_000_000,
        ..config(broker.address, "forger")
    });
    connected(&mut sent).await;
    let (_link, mut events) = Link::start(engine(&broker));
    connected(&mut events).await;
    sender
        .publish("grid/1/report", vec![9; 6_000_000], false)
        .unwrap();
    let reason = disconnected(&mut events).await;
    assert!(reason.contains("message size limit"), "{reason}");
    connected(&mut events).await;
    sender.publish("grid/1/report", b"next".to_vec(), false).unwrap();
    assert_eq!(message(&mut events).await.payload, b"next");
}

#[tokio::test]
async fn the_last_will_is_published_only_without_a_goodbye() {
    let broker = Mosquitto::start().await;
    let (_watcher, mut seen) = Link::start(LinkConfig {
        subscriptions: vec!["grid/+/status".to_owned()],
        ..config(broker.address, "watcher")
    });
    connected(&mut seen).await;
    let with_will = LinkConfig {
        last_will: Some(LastWill {
            topic: "grid/1/status".to_owned(),
            payload: b"gone".to_vec(),
            retain: true,
        }),
        ..config(broker.address, "box")
    };

    let (link, mut events) = Link::start(with_will.clone());
    connected(&mut events).await;
    link.publish("grid/1/status", b"goodbye".to_vec(), false).unwrap();
    drop(link);
    while events.recv().await.is_some() {}
    assert_eq!(message(&mut seen).await.payload, b"goodbye");

    // A process that dies: its runtime, and with it the socket, goes without a word.
    let dying = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let link = runtime.block_on(async {
            let (link, mut events) = Link::start(with_will);
            connected(&mut events).await;
            link
        });
        drop(runtime);
        drop(link);
    });
    assert_eq!(message(&mut seen).await.payload, b"gone");
    dying.join().unwrap();
}

#[tokio::test]
async fn ten_thousand_messages_pass_through_small_windows_in_order() {
    let broker = Mosquitto::start().await;
    let (sender, mut sent) = Link::start(LinkConfig {
        inflight_max: 7,
        ..config(broker.address, "box")
    });
    let (link, mut events) = Link::start(engine(&broker));
    connected(&mut sent).await;
    connected(&mut events).await;
    let (mut next_to_send, count) = (0_u32, 10_000_u32);
    for expected in 0..count {
        // As an outbox does: offer until it is full, go on when something has moved.
        while next_to_send < count
            && sender
                .publish("grid/1/report", next_to_send.to_be_bytes().to_vec(), false)
                .is_ok()
        {
            next_to_send += 1;
        }
        let delivery = message(&mut events).await;
        assert_eq!(delivery.payload, expected.to_be_bytes());
        link.acknowledge(&delivery);
    }
}

/// The access control list in config/mosquitto/, with a broker that enforces it.
#[tokio::test]
async fn the_shipped_access_control_list_keeps_gateways_apart() {
    let directory = tempfile::tempdir().unwrap();
    let passwords = directory.path().join("passwords");
    let mut hashing = std::process::Command::new("mosquitto_passwd");
    std::fs::write(&passwords, "engine:e\nz6MkA:a\nz6MkB:b\n").unwrap();
    assert!(hashing.arg("-U").arg(&passwords).status().unwrap().success());
    let list = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/mosquitto/acl");
    std::fs::copy(list, directory.path().join("acl")).unwrap();
    let settings = format!(
        "allow_anonymous false\nuser root\npassword_file {}\nacl_file {}\n",
        passwords.display(),
        directory.path().join("acl").display(),
    );
    let broker = Mosquitto::start_with(directory, &settings).await;
    let as_user = |user: &str, filter: &str| LinkConfig {
        broker: format!("mqtt://{user}@{}", broker.address),
        subscriptions: vec![filter.to_owned()],
        ..config(broker.address, user)
    };
    let (engine, mut heard) = Link::start(as_user("engine:e", "gridtally/v1/+/report"));
    let (a, mut at_a) = Link::start(as_user("z6MkA:a", "gridtally/v1/#"));
    let (_b, mut at_b) = Link::start(as_user("z6MkB:b", "gridtally/v1/z6MkB/instruction"));
    for events in [&mut heard, &mut at_a, &mut at_b] {
        connected(events).await;
    }
    // A speaks in B's name, which the broker drops, then in its own.
    a.publish("gridtally/v1/z6MkB/report", b"forged".to_vec(), false)
        .unwrap();
    a.publish("gridtally/v1/z6MkB/instruction", b"forged".to_vec(), false)
        .unwrap();
    a.publish("gridtally/v1/z6MkA/report", b"own".to_vec(), false)
        .unwrap();
    assert_eq!(message(&mut heard).await.payload, b"own");
    // A listens to everything, and hears only what is for it.
    engine
        .publish("gridtally/v1/z6MkB/instruction", b"for B".to_vec(), false)
        .unwrap();
    engine
        .publish("gridtally/v1/z6MkA/instruction", b"for A".to_vec(), false)
        .unwrap();
    assert_eq!(message(&mut at_b).await.payload, b"for B");
    assert_eq!(message(&mut at_a).await.payload, b"for A");

    let (_stranger, mut events) = Link::start(as_user("z6MkA:wrong", "gridtally/v1/#"));
    let reason = disconnected(&mut events).await;
    assert!(reason.contains("NotAuthorized"), "{reason}");
}
