use std::collections::BTreeMap;

use super::*;
use crate::channel::{DeviceNumber, Quality, Quantity};

const PV: Channel = Channel {
    device: DeviceNumber(2),
    quantity: Quantity::PvProduction,
};

fn report(samples: Vec<Sample>) -> Report {
    Report {
        sequence: 1,
        previous: Digest::NONE,
        issued_at: Timestamp::from_unix(1_775_692_800 + 86_400).unwrap(),
        clock: ClockState::Synchronised,
        start: Timestamp::from_unix(1_775_692_800).unwrap(),
        interval: IntervalLength::FIVE_MINUTES,
        series: vec![Series {
            channel: PV,
            resolution: 2,
            samples,
            qualities: BTreeMap::new(),
        }],
        beacon: None,
    }
}

#[test]
fn readings_are_in_the_smallest_unit_and_in_order() {
    let report = report(vec![Ok(12), Err(Missing::BadSample), Ok(-3)]);
    let readings: Vec<Reading> = report.readings().collect();
    let values: Vec<_> = readings
        .iter()
        .map(|r| r.value.map(MilliwattHours::get))
        .collect();
    assert_eq!(values, [Ok(1200), Err(Missing::BadSample), Ok(-300)]);
    let starts: Vec<_> = readings
        .iter()
        .map(|r| r.interval.start().seconds_since(report.start))
        .collect();
    assert_eq!(starts, [0, 300, 600]);
    assert_eq!(report.end().unwrap().seconds_since(report.start), 900);
}

#[test]
fn a_value_that_overflows_its_smallest_unit_is_refused() {
    let mut report = report(vec![Ok(i64::MAX / 100)]);
    assert!(report.encode().is_ok());
    report.series[0].samples = vec![Ok(i64::MAX / 100 + 1)];
    assert_eq!(
        report.check(),
        Err("every value fits 64 bits in its smallest unit")
    );
    assert_eq!(report.readings().count(), 0);
    report.series[0].samples = vec![Ok(i64::MIN / 100 - 1)];
    assert!(report.check().is_err());
}

#[test]
fn every_rule_of_a_report_is_checked() {
    type Break = fn(&mut Report);
    let breaks: [(Break, &str); 14] = [
        (|r| r.sequence = 0, "sequence numbers run"),
        (|r| r.sequence = u64::MAX, "sequence numbers run"),
        (|r| r.sequence = 2, "the first report"),
        (|r| r.previous = Digest::of(b"another"), "the first report"),
        (|r| r.series.clear(), "1 to 32 channels"),
        (|r| r.series = vec![r.series[0].clone(); 33], "1 to 32 channels"),
        (|r| r.series[0].samples.clear(), "1 to 288 intervals"),
        (|r| r.series[0].samples = vec![Ok(0); 289], "1 to 288 intervals"),
        (|r| r.start = r.start.checked_add(60).unwrap(), "whole multiple"),
        (|r| r.issued_at = r.start, "ends after the report was issued"),
        (|r| r.series.push(r.series[0].clone()), "in order, each once"),
        (|r| r.series[0].resolution = 10, "resolution"),
        (
            |r| r.series[0].qualities = BTreeMap::from([(2, Quality::Rollover)]),
            "only a value has a quality",
        ),
        (
            |r| {
                r.series[0].samples[1] = Err(Missing::NoStart);
                r.series[0].qualities = BTreeMap::from([(1, Quality::Integrated)]);
            },
            "only a value has a quality",
        ),
    ];
    for (break_it, rule) in breaks {
        let mut broken = report(vec![Ok(1), Ok(2)]);
        break_it(&mut broken);
        assert!(
            broken.check().is_err_and(|said| said.contains(rule)),
            "{rule}: {:?}",
            broken.check()
        );
        assert!(broken.encode().is_err());
    }
    let mut uneven = report(vec![Ok(1), Ok(2)]);
    let channel = Channel {
        device: DeviceNumber(3),
        quantity: Quantity::PvProduction,
    };
    uneven.series.push(Series {
        channel,
        resolution: 0,
        samples: vec![Ok(1)],
        qualities: BTreeMap::new(),
    });
    assert_eq!(
        uneven.check(),
        Err("every channel has a sample for every interval")
    );
}

#[test]
fn a_quality_leaves_the_value_in_place_and_comes_with_the_reading() {
    let mut sent = report(vec![Ok(12), Ok(15), Err(Missing::CounterReset)]);
    sent.series[0].qualities = BTreeMap::from([(0, Quality::Rollover), (1, Quality::FloatQuantum)]);
    let key = crate::identity::SigningIdentity::from_secret(&[7; 32]).unwrap();
    let received = Report::open(&sent.seal(&key).unwrap()).unwrap().message;
    assert_eq!(received, sent);
    let readings: Vec<_> = received
        .readings()
        .map(|r| (r.value.map(MilliwattHours::get), r.quality))
        .collect();
    assert_eq!(
        readings,
        [
            (Ok(1_200), Some(Quality::Rollover)),
            (Ok(1_500), Some(Quality::FloatQuantum)),
            (Err(Missing::CounterReset), None),
        ]
    );
}
