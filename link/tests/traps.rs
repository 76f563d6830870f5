//! Each known trap of the MQTT client library, and of brokers, sprung by a broker that misbehaves.

mod support;

use std::time::{Duration, Instant};

use gridtally_link::{Link, LinkConfig, LinkEvent, PublishError};
use support::*;

fn subscriber(broker: &FakeBroker) -> LinkConfig {
    LinkConfig {
        subscriptions: vec!["a/#".to_owned()],
        ..config(broker.address, "box")
    }
}

/// rumqttc #1056: a packet-id collision outlives the session that it belonged to, and the client
/// reconnects for ever without sending anything.
#[tokio::test]
async fn a_collision_and_a_lost_session_do_not_livelock() {
    let broker = FakeBroker::start().await;
    let window = 8;
    let (link, mut events) = Link::start(LinkConfig {
        inflight_max: window,
        ..config(broker.address, "box")
    });
    let mut peer = broker.welcome(false).await;
    connected(&mut events).await;
    // The first publish is never acknowledged; all others are, until the packet ids of the client
    // come round to the first one again.
    for number in 0..100_u8 {
        link.publish("a/b", vec![number], false).unwrap();
    }
    let (unacknowledged, _) = peer.expect_publish().await;
    for _ in 0..15 {
        let (packet_id, _) = peer.expect_publish().await;
        assert_ne!(packet_id, unacknowledged);
        peer.send_puback(packet_id).await;
    }
    // The collided publish is stuck in the client. The session is lost with the connection.
    drop(peer);
    let mut peer = broker.welcome(false).await;
    disconnected(&mut events).await;
    connected(&mut events).await;
    link.publish("a/b", vec![200], false).unwrap();
    let (packet_id, payload) = peer.expect_publish().await;
    assert_eq!(payload, [200]);
    peer.send_puback(packet_id).await;
}

/// The same collision while the connection stays up: no progress for some keep-alives → afresh.
#[tokio::test]
async fn a_collision_that_is_never_resolved_ends_in_a_fresh_connection() {
    let broker = FakeBroker::start().await;
    let (link, mut events) = Link::start(LinkConfig {
        inflight_max: 8,
        ..config(broker.address, "box")
    });
    let mut peer = broker.welcome(false).await;
    connected(&mut events).await;
    for number in 0..100_u8 {
        link.publish("a/b", vec![number], false).unwrap();
    }
    peer.expect_publish().await;
    for _ in 0..15 {
        let (packet_id, _) = peer.expect_publish().await;
        peer.send_puback(packet_id).await;
    }
    peer.answer_pings_only().await;
    disconnected(&mut events).await;
    let _peer = broker.welcome(false).await;
    connected(&mut events).await;
}

/// rumqttc #1025: whoever publishes and polls in one task hangs when the channel is full.
#[tokio::test]
async fn publishing_without_ever_yielding_fills_the_queue_and_does_not_hang() {
    let broker = FakeBroker::start().await;
    let (link, mut events) = Link::start(LinkConfig {
        inflight_max: 10,
        ..config(broker.address, "box")
    });
    let mut peer = broker.welcome(false).await;
    connected(&mut events).await;
    let mut taken = 0_usize;
    let refusal = loop {
        match link.publish("a/b", taken.to_string().into_bytes(), false) {
            Ok(()) => taken += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, PublishError::Full);
    for number in 0..taken {
        let (packet_id, payload) = peer.expect_publish().await;
        assert_eq!(payload, number.to_string().into_bytes());
        peer.send_puback(packet_id).await;
    }
    // An answered publish makes room again.
    link.publish("a/b", b"again".to_vec(), false).unwrap();
    assert_eq!(peer.expect_publish().await.1, b"again");
}

/// The client library stops sending acknowledgements when its publish window is full.
#[tokio::test]
async fn acknowledgements_pass_while_the_publish_window_is_full() {
    let broker = FakeBroker::start().await;
    let (link, mut events) = Link::start(LinkConfig {
        inflight_max: 1,
        ..subscriber(&broker)
    });
    let mut peer = broker.welcome(true).await;
    connected(&mut events).await;
    for _ in 0..50 {
        link.publish("a/b", vec![0], false).unwrap();
    }
    peer.expect_publish().await;
    peer.send_publish(77, "a/b", b"x").await;
    let delivery = message(&mut events).await;
    link.acknowledge(&delivery);
    assert_eq!(peer.expect(PUBACK).await, [0, 77]);
}

#[tokio::test]
async fn publish_acknowledgements_may_come_in_any_order() {
    let broker = FakeBroker::start().await;
    let (link, mut events) = Link::start(LinkConfig {
        inflight_max: 4,
        ..config(broker.address, "box")
    });
    let mut peer = broker.welcome(false).await;
    connected(&mut events).await;
    for number in 0..40_u8 {
        link.publish("a/b", vec![number], false).unwrap();
    }
    for round in 0..10_u8 {
        let mut packet_ids = Vec::new();
        for number in 0..4 {
            let (packet_id, payload) = peer.expect_publish().await;
            assert_eq!(payload, [round * 4 + number]);
            packet_ids.push(packet_id);
        }
        for packet_id in packet_ids.into_iter().rev() {
            peer.send_puback(packet_id).await;
        }
    }
}

/// Packet ids mean something on one connection only: acknowledging with an old one would confirm
/// a message that nobody has stored.
#[tokio::test]
async fn acknowledging_a_delivery_of_an_earlier_connection_does_nothing() {
    let broker = FakeBroker::start().await;
    let (link, mut events) = Link::start(subscriber(&broker));
    let mut peer = broker.welcome(true).await;
    connected(&mut events).await;
    peer.send_publish(7, "a/b", b"old").await;
    let old = message(&mut events).await;
    drop(peer);
    let mut peer = broker.welcome(true).await;
    disconnected(&mut events).await;
    connected(&mut events).await;
    peer.send_publish(7, "a/b", b"other").await;
    peer.send_publish(8, "a/b", b"new").await;
    let (_other, new) = (message(&mut events).await, message(&mut events).await);
    link.acknowledge(&old);
    link.acknowledge(&new);
    assert_eq!(peer.expect(PUBACK).await, [0, 8]);
}

/// A session that was kept delivers before the subscriptions are granted.
#[tokio::test]
async fn messages_that_come_before_the_grant_follow_connected() {
    let broker = FakeBroker::start().await;
    let (_link, mut events) = Link::start(LinkConfig {
        clean_session: false,
        ..subscriber(&broker)
    });
    let mut peer = broker.accept().await;
    peer.expect(CONNECT).await;
    peer.send(&[0x20, 2, 1, 0]).await;
    peer.send_publish(1, "a/b", b"early").await;
    let subscribe = peer.expect(SUBSCRIBE).await;
    peer.send(&[0x90, 3, subscribe[0], subscribe[1], 1]).await;
    assert!(matches!(next(&mut events).await, LinkEvent::Connected));
    assert_eq!(message(&mut events).await.payload, b"early");
}

/// Not polling is the client library's only back-pressure, and it silences the keep-alive too.
#[tokio::test]
async fn a_stalled_consumer_does_not_silence_the_keep_alive() {
    let broker = FakeBroker::start().await;
    let (link, mut events) = Link::start(subscriber(&broker));
    let mut peer = broker.welcome(true).await;
    for number in 1..=2000_u16 {
        peer.send_publish(number, "a/b", &number.to_be_bytes()).await;
    }
    // The consumer takes nothing while four keep-alives pass.
    for _ in 0..4 {
        peer.expect(PINGREQ).await;
        peer.send(&[0xd0, 0]).await;
    }
    connected(&mut events).await;
    for number in 1..=2000_u16 {
        let delivery = message(&mut events).await;
        assert_eq!(delivery.payload, number.to_be_bytes());
        link.acknowledge(&delivery);
    }
    assert_eq!(peer.expect(PUBACK).await, [0, 1]);
}

#[tokio::test]
async fn a_flood_that_the_consumer_does_not_take_is_bounded_and_told() {
    let broker = FakeBroker::start().await;
    let (_link, mut events) = Link::start(subscriber(&broker));
    let mut peer = broker.welcome(true).await;
    let payload = vec![0; 60_000];
    for _ in 0..1200 {
        peer.send_publish(0, "a/b", &payload).await;
    }
    connected(&mut events).await;
    let (mut held, mut deliveries) = (0, Vec::new());
    let reason = loop {
        match next(&mut events).await {
            LinkEvent::Message(delivery) => {
                held += delivery.payload.len();
                deliveries.push(delivery);
            }
            LinkEvent::Disconnected { reason } => break reason,
            LinkEvent::Connected => panic!("connected twice"),
        }
    };
    assert!(reason.contains("consumer"), "{reason}");
    assert!(held <= 64 * 1024 * 1024, "{held} bytes were held");
    drop(deliveries);
    let _peer = broker.welcome(true).await;
    connected(&mut events).await;
}

#[tokio::test]
async fn a_broker_that_accepts_and_then_says_nothing_is_given_up() {
    let broker = FakeBroker::start().await;
    let (_link, mut events) = Link::start(subscriber(&broker));
    let silent = broker.accept().await;
    let reason = disconnected(&mut events).await;
    assert!(reason.contains("within"), "{reason}");
    // The next attempt is answered, but the subscription is not.
    let mut half = broker.accept().await;
    half.expect(CONNECT).await;
    half.send(&[0x20, 2, 0, 0]).await;
    half.answer_pings_only().await;
    let _peer = broker.welcome(true).await;
    connected(&mut events).await;
    drop(silent);
}

#[tokio::test]
async fn a_half_open_connection_is_given_up() {
    let broker = FakeBroker::start().await;
    let (_link, mut events) = Link::start(subscriber(&broker));
    // The peer stays open and never says another word.
    let silent = broker.welcome(true).await;
    connected(&mut events).await;
    disconnected(&mut events).await;
    let _peer = broker.welcome(true).await;
    connected(&mut events).await;
    drop(silent);
}

/// The client library writes without a time limit.
#[tokio::test]
async fn a_broker_that_stops_reading_is_given_up() {
    let broker = FakeBroker::start().await;
    let (link, mut events) = Link::start(LinkConfig {
        inflight_max: 1000,
        ..config(broker.address, "box")
    });
    let deaf = broker.welcome(false).await;
    connected(&mut events).await;
    for _ in 0..1000 {
        link.publish("a/b", vec![0; 60_000], false).unwrap();
    }
    let reason = disconnected(&mut events).await;
    assert!(reason.contains("stood still"), "{reason}");
    assert_eq!(link.publish("a/b", vec![0], false), Err(PublishError::Offline));
    drop(deaf);
}

#[tokio::test]
async fn a_broker_that_never_acknowledges_is_given_up() {
    let broker = FakeBroker::start().await;
    let (link, mut events) = Link::start(config(broker.address, "box"));
    let mut peer = broker.welcome(false).await;
    connected(&mut events).await;
    link.publish("a/b", vec![1], false).unwrap();
    peer.answer_pings_only().await;
    let reason = disconnected(&mut events).await;
    assert!(reason.contains("no publish was acknowledged"), "{reason}");
}

/// `poll` after an error reconnects at once, as often as it is called.
#[tokio::test]
async fn reconnecting_slows_down() {
    let broker = FakeBroker::start().await;
    let (_link, mut events) = Link::start(config(broker.address, "box"));
    let start = Instant::now();
    for _ in 0..6 {
        drop(broker.accept().await);
    }
    // Waits of at least 50, 100, 200, 200 and 200 ms lie between six attempts.
    assert!(
        start.elapsed() >= Duration::from_millis(750),
        "six attempts in {:?}",
        start.elapsed()
    );
    disconnected(&mut events).await;
}

#[tokio::test]
async fn a_refused_connection_and_a_refused_subscription_are_told() {
    let broker = FakeBroker::start().await;
    let (_link, mut events) = Link::start(subscriber(&broker));
    let mut peer = broker.accept().await;
    peer.expect(CONNECT).await;
    peer.send(&[0x20, 2, 0, 5]).await;
    let reason = disconnected(&mut events).await;
    assert!(reason.contains("NotAuthorized"), "{reason}");
    let mut peer = broker.accept().await;
    peer.expect(CONNECT).await;
    peer.send(&[0x20, 2, 0, 0]).await;
    let subscribe = peer.expect(SUBSCRIBE).await;
    peer.send(&[0x90, 3, subscribe[0], subscribe[1], 0x80]).await;
    let reason = disconnected(&mut events).await;
    assert!(reason.contains("`a/#`"), "{reason}");
}

#[tokio::test]
async fn nonsense_from_the_broker_costs_one_connection() {
    let broker = FakeBroker::start().await;
    let (_link, mut events) = Link::start(subscriber(&broker));
    let nonsense: [&[u8]; 14] = [
        &[0xff; 64],
        &[0x00, 0x00],
        &[0x32, 0x00],
        &[0x32, 0x02, 0xff, 0xff],
        &[0x32, 0x05, 0x00, 0x01, b'a', 0x00, 0x00],
        &[0x36, 0x05, 0x00, 0x01, b'a', 0x00, 0x01],
        &[0x30, 0x03, 0x00, 0x01, 0xff],
        &[0x40, 0x02, 0xff, 0xff],
        &[0x40, 0x02, 0x00, 0x01],
        &[0x50, 0x02, 0x00, 0x01],
        &[0x62, 0x02, 0x00, 0x01],
        &[0x70, 0x02, 0x00, 0x01],
        &[0xb0, 0x01, 0x00],
        &[0x90, 0x01, 0x00],
    ];
    for bytes in nonsense {
        let mut peer = broker.welcome(true).await;
        connected(&mut events).await;
        peer.send_anyway(bytes).await;
        // Nonsense that the client shrugs off is followed by what it cannot.
        peer.send_anyway(&[0xff; 8]).await;
        while peer.receive().await.is_some() {}
    }
    let mut peer = broker.welcome(true).await;
    connected(&mut events).await;
    peer.send_publish(3, "a/b", b"sense").await;
    assert_eq!(message(&mut events).await.payload, b"sense");
}

#[tokio::test]
async fn what_cannot_be_published_is_given_back() {
    let broker = FakeBroker::start().await;
    let (link, mut events) = Link::start(LinkConfig {
        packet_len_max: 128,
        ..config(broker.address, "box")
    });
    assert_eq!(link.publish("a", vec![], false), Err(PublishError::Offline));
    let mut peer = broker.welcome(false).await;
    connected(&mut events).await;
    for topic in ["", "a/+", "#", "a\0b"] {
        assert_eq!(
            link.publish(topic, vec![], false),
            Err(PublishError::Topic {
                topic: topic.to_owned()
            })
        );
    }
    assert_eq!(
        link.publish("abc", vec![0; 117], false),
        Err(PublishError::TooLarge { len: 129, max: 128 })
    );
    link.publish("abc", vec![0; 116], false).unwrap();
    assert_eq!(peer.expect_publish().await.1.len(), 116);
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_told_and_ends_the_link() {
    let (link, mut events) = Link::start(LinkConfig::new("wss://somewhere", "box"));
    let reason = disconnected(&mut events).await;
    assert!(reason.contains("WebSocket"), "{reason}");
    assert!(events.recv().await.is_none());
    assert_eq!(link.publish("a", vec![], false), Err(PublishError::Offline));
}

#[tokio::test]
async fn dropping_the_last_handle_finishes_what_was_published_and_says_goodbye() {
    let broker = FakeBroker::start().await;
    let (link, mut events) = Link::start(LinkConfig {
        inflight_max: 2,
        ..config(broker.address, "box")
    });
    let mut peer = broker.welcome(false).await;
    connected(&mut events).await;
    for number in 0..5_u8 {
        link.publish("a/b", vec![number], false).unwrap();
    }
    let clone = link.clone();
    drop(link);
    drop(clone);
    for number in 0..5_u8 {
        let (packet_id, payload) = peer.expect_publish().await;
        assert_eq!(payload, [number]);
        peer.send_puback(packet_id).await;
    }
    peer.expect(DISCONNECT).await;
    assert!(events.recv().await.is_none());
}
