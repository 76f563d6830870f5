use gridtally_protocol::channel::{DeviceNumber, Missing};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::report::{ClockState, Series};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::registry::EnrolledDevice;

const METER: DeviceNumber = DeviceNumber(1);
const PV: DeviceNumber = DeviceNumber(2);
const BATTERY: DeviceNumber = DeviceNumber(3);

/// A house in Oslo with 10 kW of sun and a battery of 10 kWh.
fn home() -> Enrolment {
    let device = |number, watts: i64, capacity: Option<i64>, quantities: &[Quantity]| EnrolledDevice {
        number,
        meter_key: None,
        nameplate_milliwatts: Milliwatts::new(watts * 1_000),
        capacity_milliwatt_hours: capacity.map(|wh| MilliwattHours::new(wh * 1_000)),
        quantities: quantities.to_vec(),
    };
    Enrolment {
        site: "home".parse().unwrap(),
        beneficiary: "owner".parse().unwrap(),
        gateway: SigningIdentity::from_secret(&[1; 32]).unwrap().identity(),
        program: "flex".parse().unwrap(),
        interval_seconds: IntervalLength::FIVE_MINUTES,
        membership: Default::default(),
        offer: Default::default(),
        location: Some("59.9,10.7".parse().unwrap()),
        agreement: None,
        devices: vec![
            device(METER, 20_000, None, &[Quantity::GridImport, Quantity::GridExport]),
            device(PV, 10_000, None, &[Quantity::PvProduction]),
            device(
                BATTERY,
                5_000,
                Some(10_000),
                &[
                    Quantity::BatteryDischarge,
                    Quantity::BatteryCharge,
                    Quantity::StateOfCharge,
                ],
            ),
        ],
    }
}

const IMPORT: Channel = Channel {
    device: METER,
    quantity: Quantity::GridImport,
};
const EXPORT: Channel = Channel {
    device: METER,
    quantity: Quantity::GridExport,
};
const SUN: Channel = Channel {
    device: PV,
    quantity: Quantity::PvProduction,
};
const OUT: Channel = Channel {
    device: BATTERY,
    quantity: Quantity::BatteryDischarge,
};
const IN: Channel = Channel {
    device: BATTERY,
    quantity: Quantity::BatteryCharge,
};
const CHARGE: Channel = Channel {
    device: BATTERY,
    quantity: Quantity::StateOfCharge,
};

/// In watt-hours, and of the state of charge in percents.
fn report(from: &str, series: &[(Channel, &[Result<i64, Missing>])]) -> Report {
    let start: Timestamp = from.parse().unwrap();
    let series = series.iter().map(|(channel, samples)| Series {
        channel: *channel,
        resolution: 3,
        samples: samples.to_vec(),
        qualities: Default::default(),
    });
    let series: Vec<_> = series.collect();
    let count = i64::try_from(series[0].samples.len()).unwrap();
    Report {
        sequence: 1,
        previous: Digest::NONE,
        issued_at: start.checked_add(count * 300).unwrap(),
        clock: ClockState::Synchronised,
        start,
        interval: IntervalLength::FIVE_MINUTES,
        series,
        beacon: None,
    }
}

fn refused(enrolment: &Enrolment, report: &Report) -> Vec<(Channel, usize, Refusal)> {
    let count = report.interval_count();
    let examined = physics_of(enrolment, report);
    let refused = examined.iter().enumerate();
    refused
        .filter_map(|(place, (reading, verdict))| {
            let reason = verdict.as_ref().err()?.reason;
            Some((reading.channel, place % count, reason))
        })
        .collect()
}

fn physics_of(enrolment: &Enrolment, report: &Report) -> Vec<(Reading, Result<(), Refused>)> {
    let examined = examine(enrolment, report);
    let readings: Vec<_> = examined.iter().map(|(reading, _)| *reading).collect();
    assert_eq!(
        readings,
        report.readings().collect::<Vec<_>>(),
        "every reading once, in the report's order"
    );
    examined
}

#[test]
fn the_sun_does_not_shine_at_night() {
    let night = |wh| report("2026-06-21T22:00:00Z", &[(SUN, &[Ok(wh)])]);
    // Oslo in June is never darker than −6.6°, and the margin is two.
    assert_eq!(refused(&home(), &night(300)), [(SUN, 0, Refusal::BeyondClearSky)]);
    let winter = |wh| report("2026-12-21T22:00:00Z", &[(SUN, &[Ok(wh)])]);
    assert_eq!(refused(&home(), &winter(9)), [(SUN, 0, Refusal::NoSun)]);
    assert_eq!(
        refused(&home(), &winter(8)),
        [],
        "a hundredth of the nameplate passes for standby"
    );
    let nowhere = Enrolment {
        location: None,
        ..home()
    };
    assert_eq!(
        refused(&nowhere, &winter(800)),
        [],
        "without a place there is no sun to hold against it"
    );
}

#[test]
fn a_low_sun_gives_little_and_a_high_one_all_that_the_inverter_can() {
    let at = |when: &str, wh| refused(&home(), &report(when, &[(SUN, &[Ok(wh)])]));
    // At 9:00 local solar time near the winter solstice the sun stands some 2° high.
    assert_eq!(
        at("2026-12-21T08:30:00Z", 900),
        [(SUN, 0, Refusal::BeyondClearSky)]
    );
    assert_eq!(at("2026-12-21T08:30:00Z", 300), []);
    assert_eq!(at("2026-06-21T11:00:00Z", 900), []);
    assert_eq!(
        at("2026-06-21T11:00:00Z", 920),
        [(SUN, 0, Refusal::BeyondNameplate)],
        "one reason is enough"
    );
}

#[test]
fn what_leaves_the_site_must_have_come_in() {
    let flows = |import, sun, out, export, charged| {
        let series: Vec<(Channel, [Result<i64, Missing>; 1])> = vec![
            (IMPORT, [import]),
            (EXPORT, [export]),
            (SUN, [sun]),
            (OUT, [out]),
            (IN, [charged]),
        ];
        let series: Vec<_> = series
            .iter()
            .map(|(channel, samples)| (*channel, &samples[..]))
            .collect();
        refused(&home(), &report("2026-06-21T11:00:00Z", &series))
    };
    assert_eq!(flows(Ok(0), Ok(500), Ok(200), Ok(700), Ok(0)), []);
    assert_eq!(
        flows(Ok(0), Ok(500), Ok(200), Ok(1_070), Ok(0)),
        [],
        "a tenth, and a step of 100 Wh for each device"
    );
    let all = [IMPORT, EXPORT, SUN, OUT, IN].map(|channel| (channel, 0, Refusal::NotConserved));
    assert_eq!(flows(Ok(0), Ok(500), Ok(200), Ok(1_071), Ok(0)), all);
    assert_eq!(
        flows(Ok(0), Ok(500), Ok(200), Ok(700), Ok(400)),
        all,
        "what went into the battery counts"
    );
    assert_eq!(
        flows(Ok(0), Err(Missing::Unreachable), Ok(200), Ok(1_071), Ok(0)),
        [],
        "who is not heard may have given it"
    );
    let meter_only = Enrolment {
        devices: home().devices[..1].to_vec(),
        ..home()
    };
    let exports = report(
        "2026-06-21T11:00:00Z",
        &[(IMPORT, &[Ok(0)]), (EXPORT, &[Ok(1_500)])],
    );
    assert_eq!(
        refused(&meter_only, &exports),
        [],
        "a home that has but its meter may hide any source"
    );
}

#[test]
fn a_battery_gives_no_more_than_it_held() {
    let battery =
        |out: &[Result<i64, Missing>], charged: &[Result<i64, Missing>], charge: &[Result<i64, Missing>]| {
            let series = [(OUT, out), (IN, charged), (CHARGE, charge)];
            refused(&home(), &report("2026-06-21T11:00:00Z", &series))
        };
    let nothing = [Ok(0); 4];
    // 4 % of 10 kWh an interval.
    assert_eq!(
        battery(&[Ok(400); 4], &nothing, &[Ok(90), Ok(86), Ok(82), Ok(78)]),
        []
    );
    // It holds its charge, and gives 400 Wh each time: 5 % and a step are let pass, then no more.
    let beyond = |interval| {
        [
            (OUT, interval, Refusal::BeyondStorage),
            (IN, interval, Refusal::BeyondStorage),
        ]
    };
    assert_eq!(battery(&[Ok(400); 4], &nothing, &[Ok(90); 4]), beyond(2));
    assert_eq!(
        battery(&[Ok(400); 4], &[Ok(400); 4], &[Ok(90); 4]),
        [],
        "what went in comes out"
    );
    let unheard = [Ok(90), Err(Missing::Unreachable), Ok(90), Ok(90)];
    assert_eq!(
        battery(&[Ok(400); 4], &nothing, &unheard),
        [],
        "it is reckoned anew from where it is heard again"
    );
    let mut small = home();
    small.devices[2].capacity_milliwatt_hours = None;
    let series: [(Channel, &[Result<i64, Missing>]); 3] =
        [(OUT, &[Ok(400); 4]), (IN, &nothing), (CHARGE, &[Ok(90); 4])];
    assert_eq!(
        refused(&small, &report("2026-06-21T11:00:00Z", &series)),
        [],
        "without a capacity nothing can be said"
    );
}

/// An honest home: whatever it draws, its devices are seen as they are, to the accuracy that they have.
fn honest() -> impl Strategy<Value = Report> {
    let moment = (0..1_200_i64, 0..=250_i64, -100..=100_i64, 0..=800_i64);
    (0_i64..365, proptest::collection::vec(moment, 1..288), 10..=90_i64).prop_map(|(day, moments, first)| {
        let start = Timestamp::from_unix(1_781_000_000 / 86_400 * 86_400 + day * 86_400).unwrap();
        let home = home();
        // In tenths of a watt-hour.
        let mut stored = first * 1_000;
        let mut series: Vec<(Channel, Vec<Result<i64, Missing>>)> = [IMPORT, EXPORT, SUN, OUT, IN, CHARGE]
            .map(|channel| (channel, Vec::new()))
            .to_vec();
        for (n, (load, sun_share, battery, meter_noise)) in (0_i64..).zip(moments) {
            let interval = gridtally_protocol::time::Interval::new(
                start.checked_add(n * 300).unwrap(),
                IntervalLength::FIVE_MINUTES,
            )
            .unwrap();
            // What the clear sky truly gives is far below the bound: a third of it, at most.
            let sun = match sun::light(home.location.unwrap(), interval) {
                Light::Dark => 0,
                Light::AtMost(most) => i64::from(most) * 833 / 1_000 / 3 * sun_share / 250,
                Light::Enough => 833 * sun_share / 250,
            };
            // Up to 416 Wh in or out, with a tenth lost on the way in.
            let wanted = battery * 4;
            let (charged, given) = if wanted >= 0 {
                let room = (100_000 - stored) / 9;
                (wanted.min(room).max(0), 0)
            } else {
                (0, (-wanted).min(stored / 10))
            };
            stored += charged * 9 - given * 10;
            let net = load + charged - sun - given;
            let (import, export) = (net.max(0), (-net).max(0));
            let export = export - export * meter_noise / 100_000;
            let values = [import, export, sun, given, charged, (stored + 500) / 1_000];
            for ((_, samples), value) in series.iter_mut().zip(values) {
                samples.push(Ok(value));
            }
        }
        let series: Vec<_> = series
            .iter()
            .map(|(channel, samples)| (*channel, &samples[..]))
            .collect();
        report(&start.to_string(), &series)
    })
}

proptest! {
    #[test]
    fn an_honest_home_is_believed(report in honest()) {
        prop_assert_eq!(refused(&home(), &report), []);
    }

    #[test]
    fn nothing_that_is_signed_makes_the_checks_panic(
        values in proptest::collection::vec(proptest::collection::vec(any::<i64>(), 3), 6), resolution in 0_u8..=9,
    ) {
        let mut report = report("2026-06-21T11:00:00Z", &[(IMPORT, &[Ok(0); 3])]);
        let channels = [IMPORT, EXPORT, SUN, OUT, IN, CHARGE];
        report.series = channels.iter().zip(values).map(|(channel, samples)| Series {
            channel: *channel,
            resolution,
            samples: samples.into_iter().map(Ok).collect(),
            qualities: Default::default(),
        }).collect();
        let examined = examine(&home(), &report);
        prop_assert_eq!(examined.len(), report.readings().count());
    }
}
