//! Each way in which a device or the client libraries are known to go wrong, sprung: nothing panics, and
//! nothing that cannot be believed becomes a value.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gridtally_edge::config::{AgentConfig, DeviceConfig};
use gridtally_edge::device::bus::{Bus, BusError};
use gridtally_edge::device::{Counter, Driver, Observed};
use gridtally_protocol::channel::Missing;
use support::map::{self, BASE, Device, Registers, Seen};
use support::raw::{Asked, Peer, RawServer, frame};
use support::{at, key};
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_millis(300);

fn configured(kind: &str, address: &str, extra: &str) -> DeviceConfig {
    let text = format!(
        "[gateway]\nkey = \"k\"\ndata = \"d\"\nengine = \"{}\"\n[broker]\naddress = \"b:1\"\n\
         [owner]\nreserve_percent = 0\n[[device]]\nnumber = 1\nname = \"it\"\nkind = \"{kind}\"\n\
         address = \"{address}\"\ntimeout_ms = {}\nnameplate_watts = 6000\n{extra}\n",
        key(1).identity(),
        TIMEOUT.as_millis()
    );
    let config = AgentConfig::parse(&text, std::path::Path::new("agent.toml")).unwrap();
    config.devices[0].clone()
}

fn driver(kind: &str, address: &str) -> Driver {
    Driver::new(configured(kind, address, ""))
}

async fn energy(driver: &mut Driver, now: i64) -> Result<u32, Missing> {
    let observations = timeout(support::DEADLINE, driver.observe(at(now)))
        .await
        .expect("an end in time");
    observations[0].1.map(|observed| match observed {
        Observed::Counter(Counter { count, .. }) => count,
        Observed::Level(level) => panic!("a level of {level} for an energy"),
    })
}

/// A bus to a raw server, connected.
async fn bus(server: &RawServer) -> Bus {
    let mut bus = Bus::new(server.address(), 1, TIMEOUT);
    bus.connect(at(0), true).await.unwrap();
    bus
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

// ---- Replies that are no answers (facts §0.1) ----

#[tokio::test]
async fn a_short_reply_is_an_error_and_not_a_panic() {
    let server = RawServer::start(|mut peer: Peer, _| async move {
        while let Some(asked) = peer.asked().await {
            let reply = asked.frame(&Asked::words(&[7]));
            peer.send(&reply).await;
        }
    })
    .await;
    let error = bus(&server).await.read(40_000, 2).await.unwrap_err();
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
    let error = bus(&server).await.read(40_000, 2).await.unwrap_err();
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
        assert!(bus(&server).await.read(40_000, 2).await.is_err());
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
    let mut bus = bus(&server).await;
    assert!(matches!(bus.read(40_000, 2).await, Err(BusError::Timeout { .. })));
    // The poisoned connection is gone; the next one starts afresh.
    assert!(matches!(bus.read(40_002, 2).await, Err(BusError::Transport(_))));
    bus.connect(at(0), true).await.unwrap();
    assert_eq!(bus.read(40_002, 2).await.unwrap(), [1, 65]);
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
        let mut bus = bus(&server).await;
        let error = bus.read(40_000, 2).await.unwrap_err();
        assert!(matches!(error, BusError::Foreign(_)), "{error}");
        assert!(error.is_answer());
        assert!(matches!(bus.read(40_000, 2).await, Err(BusError::Transport(_))));
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
        let error = bus(&server).await.write(40_000, &[1, 2]).await.unwrap_err();
        assert!(matches!(error, BusError::Foreign(_)), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_the_device_closes_is_made_anew_within_the_same_reading() {
    let registers = Arc::new(map::inverter(5_000));
    let server = RawServer::start(move |mut peer: Peer, number| {
        let registers = Arc::clone(&registers);
        async move {
            // The first connection is closed after the discovery: SunS, two models, the end.
            let mut left = if number == 0 { 5 } else { usize::MAX };
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
    let observations = driver.observe(at(0)).await;
    assert!(
        observations
            .iter()
            .all(|(_, seen)| *seen == Err(Missing::Unreachable))
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut bus = Bus::new(address.clone(), 1, TIMEOUT);
    assert!(matches!(
        bus.connect(at(0), false).await,
        Err(BusError::Connect { .. })
    ));
    // Between boundaries it is not tried again at once, at a boundary it is.
    assert!(matches!(
        bus.connect(at(4), false).await,
        Err(BusError::BackingOff { .. })
    ));
    assert!(matches!(
        bus.connect(at(4), true).await,
        Err(BusError::Connect { .. })
    ));
    assert!(matches!(
        bus.connect(at(14), false).await,
        Err(BusError::Connect { .. })
    ));
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
    let mut driver = Driver::new(quick);
    for round in 0..150 {
        assert!(energy(&mut driver, round * 300).await.is_err());
    }
}

#[tokio::test]
async fn a_request_beyond_the_bounds_of_modbus_is_not_sent() {
    let device = Device::serve(map::inverter(1)).await;
    let mut bus = Bus::new(device.address(), 1, TIMEOUT);
    bus.connect(at(0), true).await.unwrap();
    for (address, count) in [(0, 0), (0, 126), (65_535, 2)] {
        assert!(matches!(
            bus.read(address, count).await,
            Err(BusError::Request { .. })
        ));
    }
    for (address, count) in [(0, 0), (0, 124), (65_535, 2)] {
        assert!(matches!(
            bus.write(address, &vec![0; count]).await,
            Err(BusError::Request { .. })
        ));
    }
    assert!(device.lock().seen.is_empty());
    assert!(bus.read(BASE, 2).await.is_ok());
}

// ---- Maps (facts §0.1, §2, §3) ----

#[tokio::test]
async fn a_value_and_its_scale_factor_come_in_one_request_with_the_header() {
    let device = Device::serve(map::meter(1_000, 2_000)).await;
    let mut driver = driver("grid_meter", &device.address());
    driver.observe(at(0)).await;
    device.lock().seen.clear();
    let observations = driver.observe(at(300)).await;
    let counter = |count| Ok(Observed::Counter(Counter { count, scale: -1 }));
    assert_eq!(
        observations.iter().map(|o| o.1).collect::<Vec<_>>(),
        [counter(1_000), counter(2_000)]
    );
    let header = device.lock().models[&203];
    assert_eq!(device.lock().seen, [Seen::Read(header, 107)]);
}

#[tokio::test]
async fn a_scale_factor_that_changes_is_taken_from_the_same_reply() {
    let device = Device::serve(map::inverter(1_000)).await;
    let mut driver = driver("pv_inverter", &device.address());
    driver.observe(at(0)).await;
    device.lock().set32(103, 24, 100);
    device.lock().set(103, 26, 0);
    let observed = driver.observe(at(300)).await[0].1;
    assert_eq!(observed, Ok(Observed::Counter(Counter { count: 100, scale: 0 })));
}

#[tokio::test]
async fn a_scale_factor_out_of_range_is_a_bad_sample() {
    let device = Device::serve(map::inverter(1_000)).await;
    let mut driver = driver("pv_inverter", &device.address());
    for scale in [-11_i16, 11, i16::MIN, 255] {
        device.lock().set(103, 26, scale.cast_unsigned());
        assert_eq!(energy(&mut driver, 0).await, Err(Missing::BadSample), "{scale}");
    }
    for scale in [-10_i16, 10] {
        device.lock().set(103, 26, scale.cast_unsigned());
        assert_eq!(energy(&mut driver, 0).await, Ok(1_000), "{scale}");
    }
}

#[tokio::test]
async fn sentinels_are_bad_samples() {
    let device = Device::serve(map::battery(u32::MAX, 0xffff)).await;
    let mut driver = driver("battery_inverter", &device.address());
    let observations = driver.observe(at(0)).await;
    assert!(
        observations
            .iter()
            .all(|(_, seen)| *seen == Err(Missing::BadSample)),
        "{observations:?}"
    );
    device.lock().set(802, 11, 1_001);
    assert_eq!(
        driver.observe(at(0)).await[1].1,
        Err(Missing::BadSample),
        "more than full"
    );
    device.lock().set(802, 11, 1_000);
    assert_eq!(driver.observe(at(0)).await[1].1, Ok(Observed::Level(100_000)));
}

#[tokio::test]
async fn one_bad_channel_leaves_the_other_alone() {
    let device = Device::serve(map::meter(u32::MAX, 2_000)).await;
    let observations = driver("grid_meter", &device.address()).observe(at(0)).await;
    assert_eq!(observations[0].1, Err(Missing::BadSample));
    assert!(observations[1].1.is_ok());
}

#[tokio::test]
async fn a_map_that_has_shifted_is_seen_and_found_again() {
    let device = Device::serve(map::inverter(1_000)).await;
    let mut driver = driver("pv_inverter", &device.address());
    assert_eq!(energy(&mut driver, 0).await, Ok(1_000));
    let mut moved = Registers::new().model(1, 66).model(120, 26).model(103, 50).end();
    moved.set32(103, 24, 1_100);
    moved.set(103, 26, 0);
    device.lock().words = moved.words;
    assert_eq!(energy(&mut driver, 300).await, Ok(1_100));
}

#[tokio::test]
async fn the_second_instance_of_a_model_does_not_hide_the_first() {
    let mut registers = Registers::new().model(1, 66).model(203, 105);
    registers.set32(203, 46, 1_000);
    registers.set32(203, 38, 0);
    registers.set(203, 54, 0);
    let device = Device::serve(registers.model(203, 105).end()).await;
    assert_eq!(
        energy(&mut driver("grid_meter", &device.address()), 0).await,
        Ok(1_000)
    );
}

#[tokio::test]
async fn a_missing_model_is_never_read() {
    let device = Device::serve(map::inverter(1)).await;
    assert_eq!(
        energy(&mut driver("grid_meter", &device.address()), 0).await,
        Err(Missing::BadSample)
    );
    let stray = |seen: &Seen| matches!(seen, Seen::Read(address, _) if *address < BASE);
    assert!(!device.lock().seen.iter().any(stray));
}

#[tokio::test]
async fn a_map_of_zeros_ends_the_walk_at_once() {
    let mut registers = Registers::new();
    registers.push(&[0; 2_000]);
    let device = Device::serve(registers).await;
    assert_eq!(
        energy(&mut driver("pv_inverter", &device.address()), 0).await,
        Err(Missing::BadSample)
    );
    assert_eq!(device.lock().seen, [Seen::Read(BASE, 2), Seen::Read(BASE + 2, 2)]);
}

#[tokio::test]
async fn an_endless_chain_is_left_after_a_bounded_walk() {
    let mut registers = Registers::new();
    for _ in 0..500 {
        registers = registers.model(64_900, 2);
    }
    let device = Device::serve(registers).await;
    assert!(
        energy(&mut driver("pv_inverter", &device.address()), 0)
            .await
            .is_err()
    );
    assert_eq!(device.lock().seen.len(), 65);

    // Models so long that the register space ends before the models do.
    let device = Device::serve(Registers::new().model(64_900, 12_000).model(103, 50).end()).await;
    assert!(
        energy(&mut driver("pv_inverter", &device.address()), 0)
            .await
            .is_err()
    );
    assert_eq!(device.lock().seen.len(), 2);
}

#[tokio::test]
async fn a_chain_without_an_end_model_is_good_as_far_as_it_goes() {
    let mut registers = Registers::new().model(1, 65).model(103, 50);
    registers.set32(103, 24, 77);
    registers.set(103, 26, 0);
    let device = Device::serve(registers).await;
    assert_eq!(
        energy(&mut driver("pv_inverter", &device.address()), 0).await,
        Ok(77)
    );

    let mut registers = Registers::new().model(1, 65).model(103, 50);
    registers.set32(103, 24, 78);
    registers.set(103, 26, 0);
    // Kostal's way: a single zero.
    registers.push(&[0]);
    let device = Device::serve(registers).await;
    assert_eq!(
        energy(&mut driver("pv_inverter", &device.address()), 0).await,
        Ok(78)
    );
}

#[tokio::test]
async fn a_map_at_another_base_is_found_there() {
    for (base, extra) in [(0_u16, ""), (50_000, ""), (4_096, "base = 4096")] {
        let there: std::collections::BTreeMap<u16, u16> = map::inverter(9)
            .words
            .into_iter()
            .map(|(address, word)| (address - BASE + base, word))
            .collect();
        let device = Device::serve(Registers {
            words: there,
            ..Registers::default()
        })
        .await;
        let mut driver = Driver::new(configured("pv_inverter", &device.address(), extra));
        assert_eq!(energy(&mut driver, 0).await, Ok(9), "{base}");
    }
}

#[tokio::test]
async fn a_model_that_is_too_short_gives_the_points_that_fit_and_no_others() {
    // AcuVim's 204 says 81 registers where the standard has 105; here a 203 that ends before its scale factor.
    for (len, expected) in [(52, Err(Missing::BadSample)), (53, Ok(1_000)), (120, Ok(1_000))] {
        let mut registers = Registers::new().model(1, 66).model(203, len).end();
        registers.set32(203, 46, 1_000);
        registers.set32(203, 38, 0);
        if len > 52 {
            registers.set(203, 54, 0);
        }
        let device = Device::serve(registers).await;
        assert_eq!(
            energy(&mut driver("grid_meter", &device.address()), 0).await,
            expected,
            "{len}"
        );
    }
}

#[tokio::test]
async fn a_busy_device_is_a_bad_sample_and_keeps_its_connection() {
    let device = Device::serve(map::inverter(1_000)).await;
    let mut driver = driver("pv_inverter", &device.address());
    assert_eq!(energy(&mut driver, 0).await, Ok(1_000));
    device.lock().refuses_reads = Some(tokio_modbus::ExceptionCode::ServerDeviceBusy);
    assert_eq!(energy(&mut driver, 300).await, Err(Missing::BadSample));
    device.lock().refuses_reads = None;
    device.lock().seen.clear();
    assert_eq!(energy(&mut driver, 600).await, Ok(1_000));
    assert_eq!(device.lock().seen.len(), 1, "no new discovery");
}
