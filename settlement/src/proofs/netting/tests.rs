use gridtally_protocol::channel::{DeviceNumber, Missing};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::ingest::physics;
use crate::registry::EnrolledDevice;

const METER: DeviceNumber = DeviceNumber(1);
const BATTERY: DeviceNumber = DeviceNumber(2);
const INTERVALS: usize = 12;
/// Of the event, in intervals.
const EVENT: core::ops::Range<usize> = 8..10;

fn home() -> Enrolment {
    let device = |number, quantities: &[Quantity]| EnrolledDevice {
        number,
        nameplate_milliwatts: Milliwatts::new(20_000_000),
        capacity_milliwatt_hours: None,
        meter_key: None,
        quantities: quantities.to_vec(),
    };
    Enrolment {
        site: "home".parse().unwrap(),
        beneficiary: "owner".parse().unwrap(),
        gateway: SigningIdentity::from_secret(&[1; 32]).unwrap().identity(),
        program: "flex".parse().unwrap(),
        interval_seconds: IntervalLength::HALF_HOUR,
        membership: Default::default(),
        offer: Default::default(),
        location: None,
        agreement: None,
        devices: vec![
            device(METER, &[Quantity::GridImport, Quantity::GridExport]),
            device(BATTERY, &[Quantity::BatteryDischarge, Quantity::BatteryCharge]),
        ],
    }
}

fn at(interval: usize) -> Timestamp {
    let start: Timestamp = "2026-07-17T00:00:00Z".parse().unwrap();
    start
        .checked_add(i64::try_from(interval).unwrap() * 1_800)
        .unwrap()
}

fn event() -> Event {
    Event {
        id: "evening".parse().unwrap(),
        program: "flex".parse().unwrap(),
        start: at(EVENT.start),
        end: at(EVENT.end),
        announced_at: at(2),
    }
}

/// Watt-hours of import, export, discharge and charge; what nobody knows is missing.
fn told(values: [&[i64]; 4]) -> Vec<Reading> {
    let channels = [
        (METER, Quantity::GridImport),
        (METER, Quantity::GridExport),
        (BATTERY, Quantity::BatteryDischarge),
        (BATTERY, Quantity::BatteryCharge),
    ];
    let series = channels
        .iter()
        .zip(values)
        .map(|((device, quantity), values)| Series {
            channel: Channel {
                device: *device,
                quantity: *quantity,
            },
            resolution: 3,
            samples: values.iter().map(|wh| Ok::<_, Missing>(*wh)).collect(),
            qualities: Default::default(),
        });
    let report = Report {
        sequence: 1,
        previous: Digest::NONE,
        issued_at: at(INTERVALS),
        clock: ClockState::Synchronised,
        beacon: None,
        start: at(0),
        interval: IntervalLength::HALF_HOUR,
        series: series.collect(),
    };
    let enrolment = home();
    let judged = Judged {
        readings: physics::examine(&enrolment, &report)
            .into_iter()
            .map(|(reading, verdict)| (reading, verdict.err().map(|refused| refused.reason)))
            .collect(),
        ..Judged::default()
    };
    net(&enrolment, &judged, Measurement::SiteMeterNet, &event())
}

fn in_event(reading: &Reading) -> bool {
    event().start <= reading.interval.start() && reading.interval.start() < event().end
}

#[test]
fn a_lie_that_breaks_conservation_voids_the_event_and_no_other_hour() {
    let (import, export) = ([1_000; INTERVALS], [500; INTERVALS]);
    let readings = told([&import, &export, &[0; INTERVALS], &[9_000; INTERVALS]]);
    assert_eq!(readings.len(), INTERVALS);
    for reading in readings {
        let expected = if in_event(&reading) {
            Metered::Missing(MissingReason::Refused(Refusal::NotConserved))
        } else {
            Metered::Energy(MilliwattHours::new(500_000))
        };
        assert_eq!(reading.net, expected, "{:?}", reading.interval);
    }
}

proptest! {
    #[test]
    fn what_is_said_of_a_battery_changes_no_hour_that_the_event_is_compared_with(
        import in prop::collection::vec(0_i64..9_000, INTERVALS),
        export in prop::collection::vec(0_i64..9_000, INTERVALS),
        lies in [prop::collection::vec(0_i64..12_000, INTERVALS), prop::collection::vec(0_i64..12_000, INTERVALS)],
        other_lies in [prop::collection::vec(0_i64..12_000, INTERVALS), prop::collection::vec(0_i64..12_000, INTERVALS)],
    ) {
        let compared = |lies: &[Vec<i64>; 2]| {
            let mut readings = told([&import, &export, &lies[0], &lies[1]]);
            readings.retain(|reading| !in_event(reading));
            readings
        };
        prop_assert_eq!(compared(&lies), compared(&other_lies));
    }
}

/// As [`channel_values`], the plain way.
fn plainly(judged: &Judged, channel: Channel) -> std::collections::BTreeMap<Interval, Value> {
    let mut values = std::collections::BTreeMap::new();
    let signed_twice = Err(MissingReason::Equivocation);
    for (report, reason) in &judged.void {
        let missing = match reason {
            Refusal::Equivocation => signed_twice,
            other => Err(MissingReason::Refused(*other)),
        };
        for reading in report.readings().filter(|r| r.channel == channel) {
            let known = values.entry(reading.interval).or_insert(missing);
            if missing == signed_twice {
                *known = missing;
            }
        }
    }
    for (reading, refused) in judged.readings.iter().filter(|(r, _)| r.channel == channel) {
        let value = match refused {
            Some(reason) => Err(MissingReason::Refused(*reason)),
            None => reading.value.map_err(MissingReason::Device),
        };
        let known = values.entry(reading.interval).or_insert(value);
        if *known != signed_twice {
            *known = value;
        }
    }
    values
}

fn meter_report(from: usize, values: &[i64]) -> Report {
    let series = [Quantity::GridImport, Quantity::GridExport].map(|quantity| Series {
        channel: Channel {
            device: METER,
            quantity,
        },
        resolution: 3,
        samples: values
            .iter()
            .map(|wh| if *wh < 50 { Err(Missing::ALL[0]) } else { Ok(*wh) })
            .collect(),
        qualities: Default::default(),
    });
    Report {
        sequence: 1,
        previous: Digest::NONE,
        issued_at: at(from + values.len()),
        clock: ClockState::Synchronised,
        beacon: None,
        start: at(from),
        interval: IntervalLength::HALF_HOUR,
        series: series.into(),
    }
}

fn reports() -> impl Strategy<Value = Vec<(Report, Option<Refusal>, bool)>> {
    let values = prop::collection::vec(0_i64..900, 1..5);
    let refused = prop::option::weighted(
        0.4,
        prop::sample::select(vec![Refusal::Equivocation, Refusal::TooLate, Refusal::NoSun]),
    );
    let report = (0..INTERVALS, values, refused, any::<bool>());
    let report =
        report.prop_map(|(from, values, refused, void)| (meter_report(from, &values), refused, void));
    prop::collection::vec(report, 0..8)
}

proptest! {
    #[test]
    fn whatever_came_in_whatever_order_each_interval_has_the_value_that_the_plain_way_gives(reports in reports()) {
        let mut judged = Judged::default();
        for (report, refused, void) in reports {
            match (refused, void) {
                (Some(reason), true) => judged.void.push((report, reason)),
                (refused, _) => judged.readings.extend(report.readings().map(|reading| (reading, refused))),
            }
        }
        for quantity in [Quantity::GridImport, Quantity::GridExport] {
            let channel = Channel { device: METER, quantity };
            let expected: Vec<_> = plainly(&judged, channel).into_iter().collect();
            prop_assert_eq!(channel_values(&judged, channel, &event()), expected);
        }
    }
}
