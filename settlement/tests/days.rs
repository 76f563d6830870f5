//! Days of readings in a real PostgreSQL: whatever comes, in whatever order, they are what the reports say.

mod cluster;

use std::cell::RefCell;
use std::collections::BTreeMap;

use clap::{Args as _, Command, FromArgMatches as _};
use cluster::Database;
use gridtally_protocol::channel::{Channel, DeviceNumber, Missing, Quantity};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_protocol::topic::{Topic, TopicKind};
use gridtally_settlement::cli::engine::{EngineArgs, answer};
use gridtally_settlement::ingest::{Arrival, take};
use gridtally_settlement::registry::{EnrolledDevice, Enrolment};
use gridtally_settlement::store::rebuild::{Checked, check};
use gridtally_settlement::store::reports::{ReadingValue, readings_of};
use gridtally_settlement::store::{Store, ledger, programs};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

const START: i64 = 1_776_800_000 / 1800 * 1800;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

fn key(home: u8) -> SigningIdentity {
    SigningIdentity::from_secret(&[home; 32]).unwrap()
}

fn enrolment(home: u8) -> Enrolment {
    let device = |number, quantities: &[Quantity]| EnrolledDevice {
        number: DeviceNumber(number),
        meter_key: None,
        nameplate_milliwatts: Milliwatts::new(10_000_000),
        capacity_milliwatt_hours: None,
        quantities: quantities.to_vec(),
    };
    Enrolment {
        site: format!("home-{home}").parse().unwrap(),
        beneficiary: format!("owner-{home}").parse().unwrap(),
        gateway: key(home).identity(),
        program: "evening-flex".parse().unwrap(),
        interval_seconds: IntervalLength::HALF_HOUR,
        membership: Default::default(),
        offer: Default::default(),
        location: None,
        agreement: None,
        devices: vec![
            device(1, &[Quantity::GridImport, Quantity::GridExport]),
            device(2, &[Quantity::StateOfCharge]),
        ],
    }
}

fn report(sequence: u64, previous: Digest, start: i64, values: &[Result<i64, Missing>]) -> Report {
    let series = |device, quantity| Series {
        channel: Channel {
            device: DeviceNumber(device),
            quantity,
        },
        resolution: 0,
        samples: values.to_vec(),
        qualities: BTreeMap::new(),
    };
    Report {
        sequence,
        previous,
        issued_at: at(START + 40 * 3_600),
        clock: ClockState::Synchronised,
        start: at(start),
        interval: IntervalLength::HALF_HOUR,
        series: vec![
            series(1, Quantity::GridImport),
            series(1, Quantity::GridExport),
            series(2, Quantity::StateOfCharge),
        ],
        beacon: None,
    }
}

/// What may go wrong with a report.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Twist {
    None,
    /// It is signed twice, with other values.
    Twin,
    /// It names another one as the one before.
    Unchained,
    /// It begins where the one before it began.
    Overlapping,
}

/// A home's reports, some of which may contradict each other.
fn signed(home: u8, lengths: &[(usize, i64, Twist)]) -> Vec<(String, Vec<u8>)> {
    let key = key(home);
    let topic = Topic {
        gateway: key.identity(),
        kind: TopicKind::Report,
    }
    .to_string();
    let (mut previous, mut start, mut before) = (Digest::NONE, START, START);
    let mut messages = Vec::new();
    for (sequence, (len, value, twist)) in (1..).zip(lengths) {
        let begin = if *twist == Twist::Overlapping {
            before
        } else {
            start
        };
        let named = if *twist == Twist::Unchained && sequence > 1 {
            Digest::of(b"another")
        } else {
            previous
        };
        let value = |n: usize| match value + i64::try_from(n).unwrap() * 700 {
            missing if missing % 5 == 0 => Err(Missing::Unreachable),
            value => Ok(value),
        };
        let mut values: Vec<_> = (0..*len).map(value).collect();
        let envelope = report(sequence, named, begin, &values).seal(&key).unwrap();
        previous = Digest::of(&envelope);
        messages.push((topic.clone(), envelope));
        if *twist == Twist::Twin {
            values[0] = Ok(1);
            let twin = report(sequence, named, begin, &values);
            messages.push((topic.clone(), twin.seal(&key).unwrap()));
        }
        before = begin;
        start = begin + i64::try_from(*len).unwrap() * 1800;
    }
    messages
}

fn opened(database: &Database, homes: &[u8]) -> Store {
    let mut store = Store::open(&database.url()).unwrap();
    store
        .transact(|t| {
            homes
                .iter()
                .try_for_each(|home| programs::enrol(t, &enrolment(*home), at(START)))
        })
        .unwrap();
    store
}

fn deliver(store: &mut Store, batch: &[(String, Vec<u8>)]) {
    let arrivals: Vec<_> = batch
        .iter()
        .map(|(topic, bytes)| Arrival::open(topic, bytes.clone()))
        .collect();
    let engine = SigningIdentity::from_secret(&[99; 32]).unwrap();
    take(store, &engine, &arrivals, at(START + 41 * 3_600)).unwrap();
}

fn checked(store: &mut Store, mend: bool) -> Checked {
    check(store, mend, |_, _| ()).unwrap()
}

/// Types a command of the operator; what it says, or why not.
fn operator(database: &Database, words: &[&str]) -> Result<String, String> {
    let url = database.url();
    let place = ["engine", "--data", "/nowhere", "--database", url.as_str()];
    let matches = EngineArgs::augment_args(Command::new("engine"))
        .try_get_matches_from(place.iter().chain(words))
        .map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    answer(EngineArgs::from_arg_matches(&matches).unwrap(), &mut out).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

type Rows = Vec<(i32, i16, i32, Vec<u8>)>;

fn rows(database: &Database) -> Rows {
    let rows = database.connect().query(
        "SELECT enrolment, device, readings, channels FROM device_day ORDER BY enrolment, device, day",
        &[],
    );
    rows.unwrap()
        .iter()
        .map(|r| (r.get(0), r.get(1), r.get(2), r.get(3)))
        .collect()
}

fn any_reports() -> impl Strategy<Value = Vec<(usize, i64, Twist)>> {
    let twist = prop_oneof![
        6 => Just(Twist::None), 1 => Just(Twist::Twin), 1 => Just(Twist::Unchained), 1 => Just(Twist::Overlapping),
    ];
    proptest::collection::vec((1_usize..8, 0_i64..4_000_000, twist), 1..10)
}

#[test]
fn any_order_any_batches_and_any_repetition_give_the_same_days_as_all_reports_at_once() {
    let databases = [Database::create(), Database::create()];
    let stores = databases.each_ref().map(|database| opened(database, &[]));
    let tries = RefCell::new((stores, 0_u8));
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    let deliveries = proptest::collection::vec((any::<Index>(), 1_usize..6), 0..12);
    runner
        .run(
            &(any_reports(), deliveries, any::<bool>()),
            |(reports, crooked, backwards)| {
                let (stores, home) = &mut *tries.borrow_mut();
                *home += 1; // Also when a case shrinks: every try is a home of its own.
                let home = *home;
                for store in stores.iter_mut() {
                    store
                        .transact(|t| programs::enrol(t, &enrolment(home), at(START)))
                        .unwrap();
                }
                let mut messages = signed(home, &reports);
                deliver(&mut stores[0], &messages);
                for (from, len) in crooked {
                    let from = from.index(messages.len());
                    deliver(&mut stores[1], &messages[from..messages.len().min(from + len)]);
                }
                if backwards {
                    messages.reverse();
                }
                deliver(&mut stores[1], &messages);
                prop_assert_eq!(checked(&mut stores[1], false).differences, []);
                prop_assert_eq!(rows(&databases[0]), rows(&databases[1]));
                Ok(())
            },
        )
        .unwrap();
    let whole = checked(&mut tries.borrow_mut().0[0], false);
    assert_eq!(whole.differences, []);
    assert!(whole.reports > 24 && whole.days > 24, "{whole:?}");
}

#[test]
fn what_reports_dispute_is_read_from_the_reports() {
    let database = Database::create();
    let mut store = opened(&database, &[1]);
    let reports = [(4, 1_001, Twist::None), (2, 50_001, Twist::Overlapping)];
    deliver(&mut store, &signed(1, &reports));
    let gateway = key(1).identity();
    let readings = store
        .transact(|t| readings_of(t, &gateway, at(START), at(START + 86_400)))
        .unwrap();
    // The first report stands; the second gives intervals that were given.
    let values: Vec<_> = readings.iter().take(4).map(|r| r.value).collect();
    assert_eq!(values, [1_001, 1_701, 2_401, 3_101].map(ReadingValue::Value));
    assert_eq!(readings.len(), 12);
}

#[test]
fn the_engines_own_role_cannot_remove_a_day_nor_move_it_and_what_it_overwrites_is_found_and_mended() {
    let database = Database::create();
    let mut store = opened(&database, &[1, 2]);
    deliver(&mut store, &signed(1, &[(8, 1_001, Twist::None)]));
    deliver(
        &mut store,
        &signed(2, &[(8, 2_001, Twist::None), (1, 7, Twist::Twin)]),
    );
    let before = rows(&database);
    let mut app = database.connect();
    ledger::work_as_app(&mut app).unwrap();
    for hostile in [
        "DELETE FROM device_day",
        "TRUNCATE device_day",
        "UPDATE device_day SET day = day - 1",
        "UPDATE device_day SET enrolment = 3 - enrolment",
        "DELETE FROM dispute",
        "UPDATE dispute SET until = '1970-01-01'",
    ] {
        assert!(app.batch_execute(hostile).is_err(), "{hostile}");
    }
    // Not even the owner removes days by mistake.
    assert!(
        database
            .connect()
            .batch_execute("DELETE FROM device_day")
            .is_err()
    );
    assert_eq!(rows(&database), before);

    app.batch_execute(
        "UPDATE device_day SET channels = '\\x011e0100010000c801' WHERE enrolment = 1 AND device = 1;
         UPDATE device_day SET channels = '\\xffff' WHERE enrolment = 2 AND device = 1;
         INSERT INTO device_day SELECT 2, date '2020-01-01', now(), 1, 9, channels FROM device_day WHERE enrolment = 1 AND device = 1",
    )
    .unwrap();
    let found = checked(&mut store, false).differences;
    let sites: Vec<_> = found.iter().map(|d| (d.site.as_str(), d.what)).collect();
    assert_eq!(
        sites,
        [
            ("home-1", "the day that is kept is not what the reports say"),
            ("home-2", "the day that is kept is not what the reports say"),
            ("home-2", "the day that is kept is in no report"),
        ]
    );
    let told = operator(&database, &["check"]).unwrap_err();
    assert!(
        told.starts_with("3 days are not what the signed reports say"),
        "{told}"
    );
    let told = operator(&database, &["check", "--mend"]).unwrap();
    assert!(
        told.contains("home-1, device 1") && told.contains("3 differ, and were mended"),
        "{told}"
    );
    let told = operator(&database, &["check", "--json"]).unwrap();
    assert!(told.contains("\"differences\": []"), "{told}");
    let mut after = rows(&database);
    after.retain(|(.., bytes)| *bytes != [1, 30]);
    assert_eq!(after, before);
}

#[test]
fn a_database_of_before_there_were_days_gets_them_when_it_is_opened() {
    let database = Database::create();
    let mut store = opened(&database, &[1]);
    deliver(
        &mut store,
        &signed(1, &[(8, 1_001, Twist::None), (1, 7, Twist::Twin)]),
    );
    let before = rows(&database);
    database
        .connect()
        .batch_execute(
            "ALTER TABLE device_day DISABLE TRIGGER ALL; DELETE FROM device_day; ALTER TABLE device_day ENABLE TRIGGER ALL",
        )
        .unwrap();
    let mut store = Store::open(&database.url()).unwrap();
    assert_eq!(rows(&database), before);
    assert_eq!(checked(&mut store, false).differences, []);
}
