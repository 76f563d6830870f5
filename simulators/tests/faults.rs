//! Faults at the wire, seen by a client that knows bytes only.

use gridtally_simulators::{Fault, Home, HomeSpec, Server, Table};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const NOON: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Model 203 of the grid meter, ID and L first.
const METER: u16 = 40_070;
const METER_REGISTERS: u16 = 107;

/// The PDU that comes back for a read of holding registers; `None` when the connection ends.
async fn exchange(stream: &mut TcpStream, unit: u8, address: u16, count: u16) -> Option<Vec<u8>> {
    let ([a, b], [c, d]) = (address.to_be_bytes(), count.to_be_bytes());
    let request = [0, 9, 0, 0, 0, 6, unit, 3, a, b, c, d];
    let reply = async {
        stream.write_all(&request).await.ok()?;
        let mut header = [0; 7];
        stream.read_exact(&mut header).await.ok()?;
        assert_eq!(header[..4], [0, 9, 0, 0], "the frame itself is sound");
        assert_eq!(header[6], unit);
        let length = usize::from(u16::from_be_bytes([header[4], header[5]])) - 1;
        let mut pdu = vec![0; length];
        stream.read_exact(&mut pdu).await.ok()?;
        Some(pdu)
    };
    tokio::time::timeout(Duration::from_secs(10), reply)
        .await
        .expect("an answer or an end within 10 s")
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address())
        .await
        .expect("the socket listens")
}

fn right_answer(home: &Home) -> Vec<u8> {
    let registers = home.grid_meter().registers();
    let words = registers.read(Table::Holding, METER, METER_REGISTERS).unwrap();
    let bytes = words.iter().flat_map(|word| word.to_be_bytes());
    [3, 214].into_iter().chain(bytes).collect()
}

#[tokio::test]
async fn an_offline_device_ends_open_and_new_connections_and_comes_back() {
    let home = Home::new(HomeSpec::draw(1), NOON);
    let server = home.grid_meter().serve(LOOPBACK).await.unwrap();
    let mut open = connect(&server).await;
    assert!(exchange(&mut open, 1, METER, 2).await.is_some());

    home.grid_meter().inject(Fault::Offline);
    assert_eq!(
        exchange(&mut open, 1, METER, 2).await,
        None,
        "the open connection ends"
    );
    assert_eq!(exchange(&mut connect(&server).await, 1, METER, 2).await, None);

    home.grid_meter().clear_faults();
    let again = exchange(&mut connect(&server).await, 1, METER, 2).await;
    assert_eq!(again, Some(vec![3, 4, 0, 203, 0, 105]));
}

#[tokio::test]
async fn a_device_talks_nonsense_from_the_second_to_the_second_that_was_said() {
    let mut home = Home::new(HomeSpec::draw(2), NOON);
    home.grid_meter()
        .schedule(Fault::Nonsense, NOON + 300..NOON + 3_900);
    let server = home.grid_meter().serve(LOOPBACK).await.unwrap();
    let mut stream = connect(&server).await;

    home.advance_to(NOON + 299);
    let answer = exchange(&mut stream, 1, METER, METER_REGISTERS).await.unwrap();
    assert_eq!(answer, right_answer(&home));

    let mut kinds = std::collections::BTreeSet::new();
    for second in 300..500 {
        home.advance_to(NOON + second);
        let answer = exchange(&mut stream, 1, METER, METER_REGISTERS).await.unwrap();
        assert_ne!(answer, right_answer(&home), "right by chance at second {second}");
        kinds.insert(if answer[0] == 0x83 {
            u16::from(answer[1])
        } else {
            1_000 + u16::from(answer[1])
        });
    }
    assert!(
        kinds.contains(&4) && kinds.contains(&6) && kinds.contains(&11),
        "exceptions: {kinds:?}"
    );
    assert!(kinds.contains(&1_214), "right length, wrong contents: {kinds:?}");
    assert!(kinds.contains(&1_216), "too long: {kinds:?}");
    assert!(kinds.range(1_000..1_214).next().is_some(), "too short: {kinds:?}");

    home.advance_to(NOON + 3_900);
    let answer = exchange(&mut stream, 1, METER, METER_REGISTERS).await.unwrap();
    assert_eq!(answer, right_answer(&home));
}

#[tokio::test]
async fn the_same_instant_brings_the_same_nonsense_however_often_one_asks() {
    let replies = async |asked: usize| {
        let mut home = Home::new(HomeSpec::draw(3), NOON);
        home.grid_meter().inject(Fault::Nonsense);
        let server = home.grid_meter().serve(LOOPBACK).await.unwrap();
        let mut replies = Vec::new();
        for second in 1..50 {
            home.advance_to(NOON + second);
            let mut stream = connect(&server).await;
            for _ in 1..asked {
                exchange(&mut stream, 1, METER, METER_REGISTERS).await;
            }
            replies.push(exchange(&mut stream, 1, METER, METER_REGISTERS).await);
        }
        replies
    };
    let once = replies(1).await;
    assert_eq!(once, replies(3).await);
    assert!(once.windows(2).any(|pair| pair[0] != pair[1]), "a mixture");
}

#[tokio::test]
async fn a_gateway_answers_exception_11_for_units_that_do_not() {
    let mut spec = HomeSpec::draw(4);
    for (unit, device) in (1..).zip(&mut spec.devices) {
        device.unit = unit;
    }
    let home = Home::new(spec, NOON);
    let devices = home.devices().to_vec();
    let server = Server::bind(LOOPBACK, devices).await.unwrap();
    let mut stream = connect(&server).await;
    assert_eq!(exchange(&mut stream, 3, METER, 1).await, Some(vec![3, 2, 0, 203]));
    assert_eq!(exchange(&mut stream, 1, METER, 1).await, Some(vec![3, 2, 0, 103]));
    assert_eq!(
        exchange(&mut stream, 9, METER, 1).await,
        Some(vec![0x83, 11]),
        "no such unit"
    );
    home.grid_meter().inject(Fault::Offline);
    assert_eq!(
        exchange(&mut stream, 3, METER, 1).await,
        Some(vec![0x83, 11]),
        "offline"
    );
    assert_eq!(
        exchange(&mut stream, 1, METER, 1).await,
        Some(vec![3, 2, 0, 103]),
        "the others go on"
    );
}
