//! What a device answers, recorded over a real socket and served again.

use gridtally_simulators::record::{
    Block, RecordError, RecordOptions, Recorded, Recording, Span, Target, record, redact,
};
use gridtally_simulators::{Answer, Device, Fault, Home, HomeSpec, Line, Schedule, Server, Table};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_modbus::{Request, Response};

const NOON: i64 = 1_782_043_200; // 2026-06-21T12:00:00Z

fn quick() -> RecordOptions {
    RecordOptions {
        deadline: Duration::from_millis(500),
        pause: Duration::ZERO,
        ..RecordOptions::default()
    }
}

fn words(device: &Device, address: u16, count: u16) -> Option<Vec<u16>> {
    match device.answer(&Request::ReadHoldingRegisters(address, count)) {
        Answer::Reply(Response::ReadHoldingRegisters(words)) => Some(words),
        _ => None,
    }
}

async fn on_tcp(device: &Device) -> (Server, Target) {
    let server = device.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let target = format!("tcp://{}", server.address()).parse().unwrap();
    (server, target)
}

#[tokio::test]
async fn a_replayed_device_says_at_each_picture_what_the_recorded_one_said() {
    let mut home = Home::new(HomeSpec::draw(3), NOON);
    home.advance_to(NOON + 600);
    let battery = home.battery_inverter().clone();
    let (_server, target) = on_tcp(&battery).await;
    let options = RecordOptions {
        snapshots: 3,
        every: Duration::from_secs(1),
        ..quick()
    };
    let mut pictures = vec![battery.registers()];
    let recording = record(&target, "a test", &options, |progress| {
        if let Recorded::Model { id: 802, .. } | Recorded::Snapshot(1..=2) = progress {
            // Between two pictures an hour goes by.
            home.advance_to(home.now() + 3_600);
            pictures.push(battery.registers());
        }
    })
    .await
    .unwrap();
    assert_eq!(recording.snapshots.len(), 3);

    let file = Recording::parse(&recording.to_json(), "x").unwrap();
    let replayed = Device::replay(&file, "again");
    let seconds = std::iter::once(0).chain(file.snapshots.iter().map(|it| i64::from(it.seconds)));
    for (second, picture) in seconds.zip(&pictures) {
        replayed.advance_to(NOON + second);
        assert_eq!(replayed.registers().words(), picture.words(), "picture {second}");
    }
    replayed.advance_to(NOON + i64::from(file.seconds()));
    assert_eq!(replayed.registers().words(), pictures[0].words(), "in a circle");
    assert_eq!(
        replayed.registers().models(),
        pictures[0].models(),
        "its chain is recognised"
    );
}

#[tokio::test]
async fn a_replayed_device_can_be_broken_and_cannot_be_written() {
    let mut home = Home::new(HomeSpec::draw(3), NOON);
    home.advance_to(NOON + 600);
    let (_server, target) = on_tcp(home.grid_meter()).await;
    let recording = record(&target, "", &quick(), |_| ()).await.unwrap();
    let replayed = Device::replay(&recording, "meter");
    replayed.advance_to(0);
    let counter = replayed.address(203, "TotWhImp").unwrap();
    assert!(words(&replayed, counter, 2).unwrap() != [0, 0]);
    replayed.inject(Fault::CountersAtZero);
    assert_eq!(words(&replayed, counter, 2).unwrap(), [0, 0]);
    let write = replayed.answer(&Request::WriteSingleRegister(counter, 1));
    assert_eq!(
        write,
        Answer::Exception(tokio_modbus::ExceptionCode::IllegalDataAddress)
    );
}

#[tokio::test]
async fn a_device_on_a_serial_line_is_recorded_too() {
    let folder = std::env::temp_dir().join(format!("gridtally-record-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let link = folder.join("line");
    let home = Home::new(HomeSpec::draw(4), NOON);
    let line = Line::Pty {
        link: Some(link.clone()),
    };
    let server = Server::open(&line, vec![home.grid_meter().clone()]).unwrap();
    let target: Target = format!("rtu:{}?unit=1", link.display()).parse().unwrap();
    let recording = record(&target, "", &quick(), |_| ()).await.unwrap();
    drop(server);
    std::fs::remove_dir_all(folder).unwrap();
    assert_eq!(recording.blocks[0].words, home.grid_meter().registers().words());
}

#[tokio::test]
async fn faulty_chains_are_recorded_as_they_are() {
    for fault in [
        Fault::ExceptionAtChainEnd,
        Fault::NoEndModel,
        Fault::DuplicateModels,
        Fault::ShiftedMap { by: 3 },
        Fault::SmallReads { registers: 20 },
        Fault::NoReadAcrossModels,
    ] {
        let home = Home::new(HomeSpec::draw(5), NOON);
        let meter = home.grid_meter();
        meter.inject(fault);
        let (_server, target) = on_tcp(meter).await;
        let recording = record(&target, "", &quick(), |_| ()).await.unwrap();
        let seen = meter.seen_registers();
        assert_eq!(recording.blocks[0].words, seen.words(), "{fault}");
    }
}

#[tokio::test]
async fn a_map_of_zeros_is_left_after_its_marker() {
    let home = Home::new(HomeSpec::draw(5), NOON);
    home.grid_meter().inject(Fault::ZeroFilledMap);
    let (_server, target) = on_tcp(home.grid_meter()).await;
    let recording = record(&target, "", &quick(), |_| ()).await.unwrap();
    assert_eq!(recording.registers(), 4);
}

#[tokio::test]
async fn plain_registers_are_recorded_around_their_holes() {
    let plain = Recording::parse(
        r#"{"format": "gridtally-recording", "version": 1, "recorded_at": "2026-06-21T12:00:00Z", "source": "", "unit": 9,
            "base": null, "redacted": false, "period": 1, "snapshots": [],
            "blocks": [{"table": "input", "address": 100, "words": [1,2,3]}, {"table": "input", "address": 110, "words": [4]}]}"#,
        "x",
    )
    .unwrap();
    let device = Device::replay(&plain, "plain");
    device.advance_to(0);
    let (server, _) = on_tcp(&device).await;
    let target: Target = format!("tcp://{}?unit=9&base=7", server.address())
        .parse()
        .unwrap();
    let error = record(&target, "", &quick(), |_| ()).await.unwrap_err();
    assert!(
        matches!(&error, RecordError::NoMarker(_)) && error.to_string().contains("--registers"),
        "{error}"
    );

    let options = RecordOptions {
        spans: vec!["input:98-112".parse::<Span>().unwrap()],
        ..quick()
    };
    let mut holes = Vec::new();
    let recording = record(&target, "", &options, |progress| {
        if let Recorded::Hole { address, .. } = progress {
            holes.push(address);
        }
    })
    .await
    .unwrap();
    assert_eq!(recording.blocks, plain.blocks);
    assert_eq!(holes, [98, 99, 103, 104, 105, 106, 107, 108, 109, 111, 112]);
}

#[tokio::test]
async fn no_byte_of_the_serial_number_is_left_after_redaction() {
    let mut home = Home::new(HomeSpec::draw(6), NOON);
    let serial_number = home.spec().devices[2].serial_number.clone();
    let (_server, target) = on_tcp(home.grid_meter()).await;
    let options = RecordOptions {
        snapshots: 1,
        every: Duration::from_secs(1),
        ..quick()
    };
    let mut recording = record(&target, "", &options, |_| home.advance_to(home.now() + 60))
        .await
        .unwrap();
    let pairs = |recording: &Recording| -> Vec<u8> {
        recording
            .blocks
            .iter()
            .flat_map(|block: &Block| &block.words)
            .flat_map(|word| word.to_be_bytes())
            .collect()
    };
    let contains = |bytes: &[u8]| {
        bytes
            .windows(serial_number.len())
            .any(|window| window == serial_number.as_bytes())
    };
    assert!(contains(&pairs(&recording)));
    let redaction = redact(&mut recording, &[]);
    assert_eq!(redaction.registers, 16, "SN of model 1");
    assert!(!contains(&pairs(&recording)) && recording.redacted);
    let device = Device::replay(&recording, "nameless");
    let (model, point) = (device.registers().model(1).unwrap().clone(), "SN");
    let at = model.address_of(model.layout.point(point).unwrap());
    assert_eq!(
        device.registers().read(Table::Holding, at, 4).unwrap(),
        [0x5245, 0x4441, 0x4354, 0x4544],
        "REDACTED"
    );
}

#[tokio::test]
async fn a_device_that_does_not_answer_is_said_to_be_silent() {
    let home = Home::new(HomeSpec::draw(7), NOON);
    home.grid_meter().inject(Fault::Silent);
    let (_server, target) = on_tcp(home.grid_meter()).await;
    let options = RecordOptions {
        deadline: Duration::from_millis(50),
        ..quick()
    };
    let error = record(&target, "", &options, |_| ())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("no answer within 50 ms"), "{error}");
}

/// A device of which each test says what it answers: words, an exception, or nothing.
async fn scripted(
    mut answer: impl FnMut(u16, u16) -> Option<Result<Vec<u16>, u8>> + Send + 'static,
) -> (tokio::task::JoinHandle<()>, Target) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let task = tokio::spawn(async move {
        // The recorder keeps one connection and makes it anew after a time-out.
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 12];
            while stream.read_exact(&mut request).await.is_ok() {
                assert_eq!(request[7], 3, "it reads and never writes");
                let word = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
                let pdu = match answer(word(8), word(10)) {
                    None => continue,
                    Some(Err(exception)) => vec![0x83, exception],
                    Some(Ok(words)) => {
                        let bytes = words.iter().flat_map(|word| word.to_be_bytes());
                        let count = u8::try_from(2 * words.len()).unwrap();
                        [3, count].into_iter().chain(bytes).collect()
                    }
                };
                let length = u16::try_from(pdu.len() + 1).unwrap().to_be_bytes();
                let mut reply = vec![request[0], request[1], 0, 0, length[0], length[1], request[6]];
                reply.extend(pdu);
                if stream.write_all(&reply).await.is_err() {
                    break;
                }
            }
        }
    });
    (task, target)
}

/// Registers from a base on; an exception outside.
fn registers(base: u16, all: Vec<u16>) -> impl Fn(u16, u16) -> Option<Result<Vec<u16>, u8>> {
    move |address, count| {
        let first = address.checked_sub(base).map(usize::from);
        let words = first.and_then(|first| all.get(first..first + usize::from(count)));
        Some(words.map(<[u16]>::to_vec).ok_or(2))
    }
}

/// A vendor's model of three registers, and what comes after it.
fn small_map(end: &[u16]) -> Vec<u16> {
    [&[0x5375, 0x6E53, 64_001, 3, 7, 8, 9], end].concat()
}

fn hasty() -> RecordOptions {
    RecordOptions {
        deadline: Duration::from_millis(100),
        ..quick()
    }
}

#[tokio::test]
async fn a_device_that_is_silent_where_it_has_nothing_is_found_and_recorded() {
    let map = registers(0, small_map(&[]));
    let (_device, target) = scripted(move |address, count| map(address, count).filter(Result::is_ok)).await;
    let recording = record(&target, "", &hasty(), |_| ()).await.unwrap();
    assert_eq!(recording.base, Some(0));
    assert_eq!(recording.blocks[0].words, small_map(&[]));
}

#[tokio::test]
async fn a_busy_device_is_asked_again() {
    let map = registers(40_000, small_map(&[0xFFFF, 0]));
    let mut asked = 0;
    let (_device, target) = scripted(move |address, count| {
        asked += 1;
        if asked % 2 == 1 {
            Some(Err(6))
        } else {
            map(address, count)
        }
    })
    .await;
    let recording = record(&target, "", &hasty(), |_| ()).await.unwrap();
    assert_eq!(recording.blocks[0].words, small_map(&[0xFFFF, 0]));
}

#[tokio::test]
async fn a_length_that_is_not_true_does_not_keep_the_recorder_for_hours() {
    let mut map = small_map(&[]);
    map[3] = 50_000;
    let map = registers(0, map);
    let asked = Arc::new(AtomicUsize::new(0));
    let count_of = Arc::clone(&asked);
    let (_device, target) = scripted(move |address, count| {
        count_of.fetch_add(1, Ordering::Relaxed);
        map(address, count)
    })
    .await;
    let mut holes = 0;
    let recording = record(&target, "", &hasty(), |progress| {
        if let Recorded::Hole { count, .. } = progress {
            holes += u32::from(count);
        }
    })
    .await
    .unwrap();
    assert_eq!(recording.blocks[0].words[4..], [7, 8, 9]);
    assert_eq!(holes, 50_000 - 3, "all that is left out is told");
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked < 500, "{asked} requests");
}

#[tokio::test]
async fn a_reply_of_the_wrong_length_is_named() {
    for (fault, came) in [(Fault::ShortReply { by: 1 }, 1), (Fault::LongReply { by: 1 }, 3)] {
        let home = Home::new(HomeSpec::draw(8), NOON);
        home.grid_meter().inject(fault);
        let (_server, target) = on_tcp(home.grid_meter()).await;
        let error = record(&target, "", &hasty(), |_| ())
            .await
            .unwrap_err()
            .to_string();
        let expected = format!("registers 40000 to 40001 of unit 1: {came} registers came instead of 2");
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn a_closed_connection_is_called_one() {
    let home = Home::new(HomeSpec::draw(8), NOON);
    home.grid_meter().inject(Fault::Offline);
    let (_server, target) = on_tcp(home.grid_meter()).await;
    let error = record(&target, "", &hasty(), |_| ())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("closed the connection") || error.contains("no connection to"),
        "{error}"
    );
}

#[tokio::test]
async fn a_device_that_is_away_for_a_picture_costs_that_picture_only() {
    missed_picture(Fault::Silent, "no answer within 100 ms").await;
}

#[tokio::test]
async fn an_exception_in_a_picture_costs_that_picture_only() {
    missed_picture(Fault::DeviceFailure, "exception 4").await;
}

/// Records three pictures, the second of them under a fault.
async fn missed_picture(fault: Fault, said: &str) {
    let mut home = Home::new(HomeSpec::draw(9), NOON);
    home.advance_to(NOON + 600);
    let device = home.battery_inverter().clone();
    let (_server, target) = on_tcp(&device).await;
    let options = RecordOptions {
        snapshots: 3,
        every: Duration::from_secs(1),
        ..hasty()
    };
    let (mut missed, mut after) = (Vec::new(), None);
    let recording = record(&target, "", &options, |progress| match progress {
        Recorded::Snapshot(1) => device.inject(fault),
        Recorded::Missed { snapshot, problem } => {
            missed.push((snapshot, problem));
            device.clear_faults();
            home.advance_to(home.now() + 3_600);
            after = Some(device.registers());
        }
        _ => {}
    })
    .await
    .unwrap();
    assert_eq!(missed.len(), 1);
    assert!(missed[0].0 == 2 && missed[0].1.contains(said), "{missed:?}");
    assert_eq!(recording.snapshots.len(), 2);
    assert!(recording.snapshots[0].blocks.is_empty() && !recording.snapshots[1].blocks.is_empty());
    let replayed = Device::replay(&Recording::parse(&recording.to_json(), "x").unwrap(), "again");
    replayed.advance_to(0);
    replayed.advance_to(i64::from(recording.snapshots[1].seconds));
    assert_eq!(replayed.registers().words(), after.unwrap().words());
}

#[tokio::test]
async fn every_fault_acts_on_a_recording_with_registers_around_its_chain() {
    let home = Home::new(HomeSpec::draw(10), NOON);
    let (_server, target) = on_tcp(home.grid_meter()).await;
    let mut recording = record(&target, "", &quick(), |_| ()).await.unwrap();
    let chain = recording.blocks[0].clone();
    for (table, address) in [(Table::Holding, 5), (Table::Holding, 39_998), (Table::Input, 5)] {
        let words = vec![1, 2];
        recording.blocks.insert(
            0,
            Block {
                table,
                address,
                words,
            },
        );
    }
    let recording = Recording::parse(&recording.to_json(), "x").unwrap();
    let mut changed = 0;
    for fault in Fault::ALL.iter().map(|it| it.fault) {
        let device = Device::replay(&recording, "again");
        device.advance_to(NOON);
        device.inject(fault);
        device.advance_to(NOON + 60);
        let seen = device.seen_registers();
        assert!(!matches!(
            device.answer(&Request::WriteSingleRegister(40_000, 1)),
            Answer::Reply(_)
        ));
        let _ = device.answer(&Request::ReadHoldingRegisters(chain.address, 100));
        changed += usize::from(seen != device.registers());
        assert_eq!(seen.read(Table::Holding, 5, 2).unwrap(), [1, 2], "{fault}");
        assert_eq!(
            seen.read(Table::Holding, 39_998, 4).unwrap(),
            [1, 2, 0x5375, 0x6E53],
            "{fault}"
        );
        assert_eq!(seen.read(Table::Input, 5, 2).unwrap(), [1, 2], "{fault}");
    }
    assert!(changed > 10, "{changed} faults changed values or chain");
}

#[test]
fn a_device_of_a_home_is_not_moved_without_its_home() {
    let home = Home::new(HomeSpec::draw(1), NOON);
    let meter = home.grid_meter();
    meter.schedule(Fault::Silent, NOON + 10..NOON + 20);
    meter.advance_to(NOON + 15);
    assert_eq!(meter.active_faults(), []);
}

#[test]
fn a_recorded_chain_may_end_with_the_last_register() {
    let address = u16::MAX - 69;
    let words: Vec<u16> = [0x5375, 0x6E53, 1, 66].into_iter().chain([0; 66]).collect();
    let text = format!(
        r#"{{"format": "gridtally-recording", "version": 1, "recorded_at": "2026-06-21T12:00:00Z", "source": "", "unit": 1,
            "base": {address}, "redacted": false, "period": 1, "snapshots": [],
            "blocks": [{{"table": "holding", "address": {address}, "words": {words:?}}}]}}"#
    );
    let recording = Recording::parse(&text, "x").unwrap();
    for fault in Fault::ALL.iter().map(|it| it.fault) {
        let device = Device::replay(&recording, "last");
        assert_eq!(device.registers().models().len(), 1);
        device.inject(fault);
        device.plan(fault, Schedule::read("14:00", "10m").unwrap());
        assert!(!device.active_faults().is_empty());
        device.advance_to(NOON);
        let answer = device.answer(&Request::ReadHoldingRegisters(address + 2, 2));
        if fault == Fault::NoReadAcrossModels {
            assert_eq!(answer, Answer::Reply(Response::ReadHoldingRegisters(vec![1, 66])));
        }
    }
}
