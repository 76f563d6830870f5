//! Replies that are no answers: each way in which a device or the client library is known to go wrong,
//! sprung. Nothing panics, and nothing that cannot be believed becomes a value.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gridtally_edge::config::DeviceConfig;
use gridtally_edge::device::bus::{Answer, Bus, BusError, BusSettings, Query, Table, Unit};
use gridtally_edge::device::endpoint::Location;
use gridtally_protocol::channel::Missing;
use support::at;
use support::driver::{TIMEOUT, configured, drive, driver, energy, observe};
use support::map::{self, BASE, Device, Registers};
use support::raw::{Asked, Peer, RawServer, frame};

/// Unit 1 at an address.
fn unit(address: &str) -> Unit {
    let endpoint = address.parse::<Location>().unwrap().endpoint;
    Bus::start(endpoint, BusSettings::default()).unit(1, TIMEOUT)
}

fn bus(server: &RawServer) -> Unit {
    unit(&server.address())
}

async fn read(unit: &Unit, address: u16, count: u16) -> Result<Vec<u16>, BusError> {
    let answer = unit.read(Table::Holding, address, count, at(0), true).await;
    answer.map(|Answer { words, .. }| words)
}

async fn write(unit: &Unit, address: u16, words: &[u16]) -> Result<(), BusError> {
    let words = words.to_vec();
    unit.write(Query::Write { address, words }, at(0)).await
}

/// A well-behaved device that answers from `registers`, for raw servers that go wrong only now and then.
fn healthy(registers: &Registers, asked: &Asked) -> Vec<u8> {
    let words: Option<Vec<u16>> = (asked.address..)
        .take(asked.count.into())
        .map(|a| registers.words.get(&a).copied())
        .collect();
    match words {
        Some(words) => asked.frame(&Asked::words(&words)),
        None => asked.frame(&[0x83, 2]),
    }
}

#[tokio::test]
async fn a_short_reply_is_an_error_and_not_a_panic() {
    let server = RawServer::start(|mut peer: Peer, _| async move {
        while let Some(asked) = peer.asked().await {
            let reply = asked.frame(&Asked::words(&[7]));
            peer.send(&reply).await;
        }
    })
    .await;
    let error = read(&bus(&server), 40_000, 2).await.unwrap_err();
    assert!(
        matches!(
            error,
            BusError::Length {
                asked: 2,
                received: 1
            }
        ),
        "{error}"
    );
    assert_eq!(
        energy(&mut driver("pv_inverter", &server.address()), 0).await,
        Err(Missing::BadSample)
    );
}

#[tokio::test]
async fn a_long_reply_is_an_error_and_its_beginning_is_not_taken() {
    let server = RawServer::start(|mut peer: Peer, _| async move {
        while let Some(asked) = peer.asked().await {
            let reply = asked.frame(&Asked::words(&[1, 2, 3]));
            peer.send(&reply).await;
        }
    })
    .await;
    let error = read(&bus(&server), 40_000, 2).await.unwrap_err();
    assert!(
        matches!(
            error,
            BusError::Length {
                asked: 2,
                received: 3
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn an_empty_reply_and_an_odd_one_are_errors() {
    for pdu in [
        vec![3, 0],
        vec![3, 3, 0, 1, 2],
        vec![3, 4, 0, 1],
        vec![3],
        vec![3, 2, 0, 1, 9],
    ] {
        let server = RawServer::start(move |mut peer: Peer, _| {
            let pdu = pdu.clone();
            async move {
                while let Some(asked) = peer.asked().await {
                    peer.send(&asked.frame(&pdu)).await;
                }
            }
        })
        .await;
        assert!(read(&bus(&server), 40_000, 2).await.is_err());
    }
}

#[tokio::test]
async fn a_late_reply_is_never_taken_for_the_answer_to_a_later_request() {
    let registers = Arc::new(map::inverter(5_000));
    let server = RawServer::start(move |mut peer: Peer, number| {
        let registers = Arc::clone(&registers);
        async move {
            let mut late = None;
            while let Some(asked) = peer.asked().await {
                // On the first connection every reply comes with the next request only.
                if number == 0 {
                    if let Some(before) = late.replace(asked) {
                        peer.send(&healthy(&registers, &before)).await;
                    }
                } else {
                    peer.send(&healthy(&registers, &asked)).await;
                }
            }
        }
    })
    .await;
    let bus = bus(&server);
    assert!(matches!(
        read(&bus, 40_000, 2).await,
        Err(BusError::Timeout { .. })
    ));
    // The poisoned connection is gone; the next one starts afresh.
    assert_eq!(read(&bus, 40_002, 2).await.unwrap(), [1, 65]);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_reply_with_a_foreign_header_or_function_is_an_error_and_ends_the_connection() {
    type Reply = fn(Asked) -> Vec<u8>;
    let replies: [Reply; 6] = [
        |asked| {
            frame(
                asked.transaction.wrapping_add(1),
                asked.unit,
                &Asked::words(&[1, 2]),
            )
        },
        |asked| {
            frame(
                asked.transaction,
                asked.unit.wrapping_add(1),
                &Asked::words(&[1, 2]),
            )
        },
        |asked| asked.frame(&[4, 4, 0, 1, 0, 2]),
        |asked| asked.frame(&[0x84, 2]),
        |asked| asked.frame(&[0x10, 0, 0, 0, 2]),
        |asked| asked.frame(&[0x2b, 14, 1]),
    ];
    for reply in replies {
        let server = RawServer::start(move |mut peer: Peer, _| async move {
            while let Some(asked) = peer.asked().await {
                peer.send(&reply(asked)).await;
            }
        })
        .await;
        let bus = bus(&server);
        let error = read(&bus, 40_000, 2).await.unwrap_err();
        assert!(matches!(error, BusError::Foreign(_)), "{error}");
        assert!(error.is_answer());
        assert!(read(&bus, 40_000, 2).await.is_err());
        assert_eq!(server.connections(), 2, "the first connection is gone");
    }
}

#[tokio::test]
async fn a_write_that_is_confirmed_for_another_place_is_an_error() {
    for pdu in [[0x10, 0x9c, 0x41, 0, 2], [0x10, 0x9c, 0x40, 0, 1]] {
        let server = RawServer::start(move |mut peer: Peer, _| async move {
            while let Some(asked) = peer.asked().await {
                peer.send(&asked.frame(&pdu)).await;
            }
        })
        .await;
        let error = write(&bus(&server), 40_000, &[1, 2]).await.unwrap_err();
        assert!(matches!(error, BusError::Foreign(_)), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_the_device_closes_is_made_anew_within_the_same_reading() {
    let registers = Arc::new(map::inverter(5_000));
    let server = RawServer::start(move |mut peer: Peer, number| {
        let registers = Arc::clone(&registers);
        async move {
            // The first connection is closed after the first reading: SunS, two models, the end, 103, 1.
            let mut left = if number == 0 { 6 } else { usize::MAX };
            while let Some(asked) = peer.asked().await {
                if left == 0 {
                    return;
                }
                left -= 1;
                peer.send(&healthy(&registers, &asked)).await;
            }
        }
    })
    .await;
    let mut driver = driver("pv_inverter", &server.address());
    assert_eq!(energy(&mut driver, 0).await, Ok(5_000));
    assert_eq!(energy(&mut driver, 300).await, Ok(5_000));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn silence_costs_one_deadline_and_is_unreachable() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let server = RawServer::start(move |mut peer: Peer, _| {
        let counter = Arc::clone(&counter);
        async move {
            while peer.asked().await.is_some() {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let mut driver = driver("battery_inverter", &server.address());
    let seen = observe(&mut driver, 0).await;
    assert!(seen.iter().all(|seen| *seen == Err(Missing::Unreachable)));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let unit = unit(&address);
    let ask = async |seconds, must| {
        unit.read(Table::Holding, 0, 2, at(seconds), must)
            .await
            .unwrap_err()
    };
    assert!(matches!(ask(0, false).await, BusError::Connect { .. }));
    // Between boundaries it is not tried again at once, at a boundary it is.
    assert!(matches!(ask(4, false).await, BusError::BackingOff { .. }));
    assert!(matches!(ask(4, true).await, BusError::Connect { .. }));
    // Ten seconds, and a quarter at most by chance.
    assert!(matches!(ask(13, false).await, BusError::BackingOff { .. }));
    assert!(matches!(ask(17, false).await, BusError::Connect { .. }));
    assert_eq!(
        energy(&mut driver("pv_inverter", &address), 0).await,
        Err(Missing::Unreachable)
    );
}

#[tokio::test]
async fn whatever_bytes_come_nothing_panics_and_nothing_is_believed() {
    let server = RawServer::start(|mut peer: Peer, number| async move {
        // A fixed sequence (xorshift), so that a failure repeats.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (number as u64 + 1).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        while let Some(asked) = peer.asked().await {
            let len = usize::try_from(random() % 40).unwrap();
            let noise: Vec<u8> = (0..len).map(|_| random().to_le_bytes()[0]).collect();
            let bytes = match random() % 4 {
                0 => noise,
                1 => frame(asked.transaction, asked.unit, &noise),
                2 => {
                    let mut pdu = vec![3];
                    pdu.extend(noise);
                    asked.frame(&pdu)
                }
                _ => {
                    let mut bytes = asked.frame(&Asked::words(&[0x5375, 0x6e53]));
                    bytes.extend(noise);
                    bytes
                }
            };
            peer.send(&bytes).await;
        }
    })
    .await;
    let quick = DeviceConfig {
        timeout: Duration::from_millis(20),
        ..configured("pv_inverter", &server.address(), "")
    };
    let mut driver = drive(quick);
    for round in 0..150 {
        assert!(energy(&mut driver, round * 300).await.is_err());
    }
}

#[tokio::test]
async fn a_request_beyond_the_bounds_of_modbus_is_not_sent() {
    let device = Device::serve(map::inverter(1)).await;
    let bus = unit(&device.address());
    for (address, count) in [(0, 0), (0, 126), (65_535, 2)] {
        assert!(matches!(
            read(&bus, address, count).await,
            Err(BusError::Request { .. })
        ));
    }
    for (address, count) in [(0, 0), (0, 124), (65_535, 2)] {
        assert!(matches!(
            write(&bus, address, &vec![0; count]).await,
            Err(BusError::Request { .. })
        ));
    }
    assert!(device.lock().seen.is_empty());
    assert!(read(&bus, BASE, 2).await.is_ok());
}
