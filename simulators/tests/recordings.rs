//! What a device answers, recorded over a real socket and served again.

use gridtally_simulators::record::{
    Block, RecordError, RecordOptions, Recorded, Recording, Span, Target, record, redact,
};
use gridtally_simulators::{Answer, Device, Fault, Home, HomeSpec, Line, Server, Table};
use std::time::Duration;
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
    for (second, picture) in (0..).zip(&pictures) {
        replayed.advance_to(NOON + second);
        assert_eq!(replayed.registers().words(), picture.words(), "picture {second}");
    }
    replayed.advance_to(NOON + 4);
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
