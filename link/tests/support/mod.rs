//! A real mosquitto, a broker that misbehaves as it is told, and waiting with a deadline.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod mosquitto;

use std::net::SocketAddr;
use std::time::Duration;

use gridtally_link::{Delivery, LinkConfig, LinkEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// Long enough for a machine under load; nothing waits for it when all is well.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub const CONNECT: u8 = 1;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const SUBSCRIBE: u8 = 8;
pub const PINGREQ: u8 = 12;
pub const DISCONNECT: u8 = 14;

pub fn config(broker: SocketAddr, client_id: &str) -> LinkConfig {
    LinkConfig {
        keep_alive: Duration::from_secs(1),
        backoff_max: Duration::from_millis(400),
        ..LinkConfig::new(broker.to_string(), client_id)
    }
}

pub async fn next(events: &mut Receiver<LinkEvent>) -> LinkEvent {
    timeout(DEADLINE, events.recv())
        .await
        .expect("an event in time")
        .expect("the link goes on")
}

/// Waits for `Connected`, over any number of disconnections.
pub async fn connected(events: &mut Receiver<LinkEvent>) {
    while !matches!(next(events).await, LinkEvent::Connected) {}
}

/// Waits for the reason of a disconnection; any other event fails the test.
pub async fn disconnected(events: &mut Receiver<LinkEvent>) -> String {
    match next(events).await {
        LinkEvent::Disconnected { reason } => reason,
        other => panic!("expected a disconnection, got {other:?}"),
    }
}

/// Waits for a message; any other event fails the test.
pub async fn message(events: &mut Receiver<LinkEvent>) -> Delivery {
    match next(events).await {
        LinkEvent::Message(delivery) => delivery,
        other => panic!("expected a message, got {other:?}"),
    }
}

/// A broker that does only what the test tells it.
pub struct FakeBroker {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl FakeBroker {
    pub async fn start() -> FakeBroker {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        FakeBroker { listener, address }
    }

    /// Takes a TCP connection and says nothing on it.
    pub async fn accept(&self) -> Peer {
        let (stream, _) = timeout(DEADLINE, self.listener.accept())
            .await
            .expect("a connection in time")
            .unwrap();
        Peer { stream }
    }

    /// Takes a connection, welcomes it, and grants its subscription if it has any.
    pub async fn welcome(&self, subscribes: bool) -> Peer {
        let mut peer = self.accept().await;
        peer.expect(CONNECT).await;
        peer.send(&[0x20, 2, 0, 0]).await;
        if subscribes {
            let subscribe = peer.expect(SUBSCRIBE).await;
            peer.send(&[0x90, 3, subscribe[0], subscribe[1], 1]).await;
        }
        peer
    }
}

/// A client, as the fake broker sees it.
pub struct Peer {
    stream: TcpStream,
}

impl Peer {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends what the client may refuse by closing the connection.
    pub async fn send_anyway(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    pub async fn send_publish(&mut self, packet_id: u16, topic: &str, payload: &[u8]) {
        let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
        body.extend(topic.as_bytes());
        if packet_id > 0 {
            body.extend(packet_id.to_be_bytes());
        }
        body.extend(payload);
        let mut packet = vec![if packet_id > 0 { 0x32 } else { 0x30 }];
        let mut len = body.len();
        while len >= 128 {
            packet.push(u8::try_from(len % 128).unwrap() | 128);
            len /= 128;
        }
        packet.push(u8::try_from(len).unwrap());
        packet.extend(body);
        self.send_anyway(&packet).await;
    }

    pub async fn send_puback(&mut self, packet_id: u16) {
        let [high, low] = packet_id.to_be_bytes();
        self.send(&[0x40, 2, high, low]).await;
    }

    /// The next packet: its type and what follows the fixed header. `None` when the client is gone.
    pub async fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        timeout(DEADLINE, self.read_packet())
            .await
            .expect("a packet in time")
    }

    async fn read_packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.stream.read_u8().await.ok()?;
        let (mut len, mut shift) = (0_usize, 0);
        loop {
            let byte = self.stream.read_u8().await.ok()?;
            len |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
        }
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).await.ok()?;
        Some((first >> 4, body))
    }

    /// Waits for a packet of this type; answers pings meanwhile and ignores the rest.
    pub async fn expect(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let (kind, body) = self.receive().await.expect("the client is still there");
            if kind == wanted {
                return body;
            }
            if kind == PINGREQ {
                self.send(&[0xd0, 0]).await;
            }
        }
    }

    /// Waits for a QoS 1 publish; returns its packet identifier and payload.
    pub async fn expect_publish(&mut self) -> (u16, Vec<u8>) {
        let body = self.expect(PUBLISH).await;
        let topic_len = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let rest = &body[2 + topic_len..];
        (u16::from_be_bytes([rest[0], rest[1]]), rest[2..].to_vec())
    }

    /// Answers pings and ignores everything else until the client goes.
    pub async fn answer_pings_only(&mut self) {
        while let Some((kind, _)) = self.receive().await {
            if kind == PINGREQ {
                self.send_anyway(&[0xd0, 0]).await;
            }
        }
    }

    /// Waits for the client to go, without reading a byte.
    pub async fn hold_without_reading(&self, until: impl Future<Output = ()>) {
        timeout(DEADLINE, until)
            .await
            .expect("the client gives up in time");
    }
}
