use gridtally_protocol::channel::{DeviceNumber, Missing, Quality};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::IntervalLength;
use proptest::prelude::*;

use super::*;
use crate::registry::EnrolledDevice;

const DAY: (&str, &str) = ("2026-06-21T00:00:00Z", "2026-06-22T00:00:00Z");

fn span() -> (Timestamp, Timestamp) {
    (DAY.0.parse().unwrap(), DAY.1.parse().unwrap())
}

fn home(quantities: &[Quantity]) -> Enrolment {
    Enrolment {
        site: "home".parse().unwrap(),
        beneficiary: "owner".parse().unwrap(),
        gateway: SigningIdentity::from_secret(&[1; 32]).unwrap().identity(),
        program: "flex".parse().unwrap(),
        interval_seconds: IntervalLength::HALF_HOUR,
        membership: Default::default(),
        offer: Default::default(),
        location: Some("59.9,10.7".parse().unwrap()),
        agreement: None,
        devices: vec![EnrolledDevice {
            number: DeviceNumber(1),
            meter_key: None,
            nameplate_milliwatts: Milliwatts::new(10_000_000),
            capacity_milliwatt_hours: quantities
                .contains(&Quantity::StateOfCharge)
                .then_some(MilliwattHours::new(10_000_000)),
            quantities: quantities.to_vec(),
        }],
    }
}

type Value = Result<i64, Missing>;

fn readings(quantity: Quantity, values: &[Value]) -> Vec<(Reading, Option<Refusal>)> {
    let channel = Channel {
        device: DeviceNumber(1),
        quantity,
    };
    let reading = |(n, value): (i64, &Value)| {
        let start = span().0.checked_add(n * 1_800).unwrap();
        let reading = Reading {
            channel,
            interval: Interval::new(start, IntervalLength::HALF_HOUR).unwrap(),
            value: value.map(MilliwattHours::new),
            quality: None,
        };
        (reading, None)
    };
    (0..).zip(values).map(reading).collect()
}

/// Another value each time, by no line.
fn lively(n: i64) -> Value {
    Ok(100_000 + n * n % 17 * 31_000)
}

fn found(quality: &DayQuality) -> Vec<(Finding, u64)> {
    quality
        .annotations
        .iter()
        .map(|a| (a.finding, a.intervals))
        .collect()
}

#[test]
fn a_whole_day_of_lively_values_has_a_thousand() {
    let import: Vec<Value> = (0..48).map(lively).collect();
    let quality = score(
        &home(&[Quantity::GridImport]),
        span(),
        &readings(Quantity::GridImport, &import),
    );
    assert_eq!(
        (quality.per_mille, quality.intervals, quality.sound),
        (1_000, 48, 48)
    );
    assert_eq!(quality.annotations, []);
}

#[test]
fn what_is_missing_refused_or_marked_is_named_and_costs_its_points() {
    let mut import: Vec<Value> = (0..48).map(lively).collect();
    import[3] = Err(Missing::Unreachable);
    let mut readings = readings(Quantity::GridImport, &import);
    readings[5].1 = Some(Refusal::BeyondNameplate);
    readings[7].0.quality = Some(Quality::Integrated);
    readings.truncate(46);
    let quality = score(&home(&[Quantity::GridImport]), span(), &readings);
    let expected = [
        (Finding::NotReceived, 2),
        (Finding::Missing(Missing::Unreachable), 1),
        (Finding::Refused(Refusal::BeyondNameplate), 1),
        (Finding::Marked(Quality::Integrated), 1),
    ];
    assert_eq!(found(&quality), expected);
    // 43 sound ones of two points and one of one, of 96.
    assert_eq!(
        (quality.sound, quality.flagged, quality.per_mille),
        (43, 1, 87 * 1_000 / 96)
    );
    assert!(
        quality
            .annotations
            .iter()
            .all(|a| a.finding.advice().ends_with('.'))
    );
}

#[test]
fn the_same_for_six_hours_and_straight_lines_are_flagged() {
    let home = home(&[Quantity::GridImport]);
    let of = |values: &[Value]| found(&score(&home, span(), &readings(Quantity::GridImport, values)));
    let mut stale: Vec<Value> = (0..48).map(lively).collect();
    stale[10..22].fill(Ok(77_000));
    assert_eq!(of(&stale), [(Finding::Stale, 12)]);
    stale[10] = Ok(78_000);
    assert_eq!(of(&stale), [], "eleven are less than six hours");
    let mut line: Vec<Value> = (0..48).map(lively).collect();
    for (n, value) in (0..).zip(&mut line[10..23]) {
        *value = Ok(50_000 + n * 3_000);
    }
    assert_eq!(of(&line), [(Finding::Interpolated, 13)]);
    line[15] = Ok(1);
    assert_eq!(of(&line), []);
    let nothing: Vec<Value> = vec![Ok(0); 48];
    assert_eq!(of(&nothing), [], "a home that exports imports nothing");
}

#[test]
fn panels_that_give_nothing_in_the_sun_are_flagged_while_it_is_bright() {
    let home = home(&[Quantity::PvProduction]);
    let of = |values: &[Value]| found(&score(&home, span(), &readings(Quantity::PvProduction, values)));
    let dark = of(&[Ok(0); 48]);
    assert!(matches!(dark[..], [(Finding::NoProduction, 20..36)]), "{dark:?}");
    let mut one = [Ok(0); 48];
    one[24] = Ok(1_000);
    assert_eq!(of(&one), []);
}

#[test]
fn a_battery_that_loses_too_much_or_too_little_is_flagged() {
    let home = home(&[
        Quantity::BatteryDischarge,
        Quantity::BatteryCharge,
        Quantity::StateOfCharge,
    ]);
    // Ten hours of 800 Wh in, while the state of charge rises by 6 or 7 % each time; then nothing.
    let of = |percent: i64| {
        let charge: Vec<Value> = (0..48)
            .map(|n| Ok(if (1..=10).contains(&n) { 800_000 } else { 0 }))
            .collect();
        let state: Vec<Value> = (0..48)
            .map(|n: i64| Ok(10_000 + n.clamp(0, 10) * percent * 100))
            .collect();
        let all = [
            readings(Quantity::BatteryDischarge, &[Ok(0); 48]),
            readings(Quantity::BatteryCharge, &charge),
            readings(Quantity::StateOfCharge, &state),
        ];
        found(&score(&home, span(), &all.concat()))
            .iter()
            .any(|(f, _)| *f == Finding::ChargeMismatch)
    };
    // 8 kWh in; the state of charge gains `percent` tenths of a percent of 10 kWh each time.
    assert!(!of(72), "90 % stay in it");
    assert!(of(50), "62 % are too few, even with 5 % of the capacity");
    assert!(of(88), "110 % are too many");
}

proptest! {
    /// A reading more never lowers what a day had without it, and no order of readings matters.
    #[test]
    fn the_score_is_a_share_and_the_order_of_readings_never_matters(
        values in proptest::collection::vec(proptest::option::of(0_i64..1_000_000), 48), seed in any::<u64>(),
    ) {
        let values: Vec<Value> = values.into_iter().map(|v| v.ok_or(Missing::Unreachable)).collect();
        let home = home(&[Quantity::GridImport]);
        let mut readings = readings(Quantity::GridImport, &values);
        let quality = score(&home, span(), &readings);
        prop_assert!(quality.per_mille <= 1_000);
        prop_assert_eq!(quality.intervals, 48);
        let len = readings.len();
        for n in 0..len {
            readings.swap(n, usize::try_from(seed % 1_000).unwrap() * (n + 1) % len);
        }
        prop_assert_eq!(score(&home, span(), &readings), quality);
    }
}

fn neighbour(name: &str, location: &str, scale: i64, shift: i64) -> Neighbour {
    let production = |n: i64| {
        let hour = n - 24 - shift;
        Some((400 - hour * hour).max(0) * scale)
    };
    Neighbour {
        site: name.parse().unwrap(),
        location: location.parse().unwrap(),
        production: (0..48).map(production).collect(),
    }
}

#[test]
fn who_has_another_sun_than_the_neighbours_is_flagged_and_who_copies_is_named() {
    let mut sites: Vec<Neighbour> = (1..=6)
        .map(|n| neighbour(&format!("home-{n}"), "59.9,10.7", 900 + n * 37, n % 2))
        .collect();
    sites.push(neighbour("night-owl", "59.9,10.8", 1_000, 24));
    sites.push(neighbour("far-away", "-33.9,151.2", 1_000, 24));
    sites.push(Neighbour {
        site: "copy".parse().unwrap(),
        ..sites[0].clone()
    });
    let compared = compare(&sites);
    let of = |name: &str| compared.iter().find(|c| c.site.as_str() == name).unwrap();
    assert!(of("night-owl").odd, "{:?}", of("night-owl"));
    assert!(
        !of("far-away").odd && of("far-away").neighbours == 0,
        "it has no neighbours here"
    );
    assert_eq!(of("copy").copies, ["home-1".parse().unwrap()]);
    assert_eq!(of("home-1").copies, ["copy".parse().unwrap()]);
    for n in 2..=6 {
        let home = of(&format!("home-{n}"));
        assert!(!home.odd && home.copies.is_empty(), "{home:?}");
    }
}
