use proptest::prelude::*;

use super::*;

fn any_step() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        -10_000_i64..10_000,
        Just(i64::MIN),
        Just(i64::MAX),
        Just(0)
    ]
}

fn any_sample() -> impl Strategy<Value = Sample> {
    prop_oneof![4 => any_step().prop_map(Ok), 1 => proptest::sample::select(&Missing::ALL).prop_map(Err)]
}

proptest! {
    #[test]
    fn packed_steps_unpack_exactly_over_the_whole_range(steps in prop::collection::vec(any_step(), 1..64)) {
        let samples: Vec<Sample> = steps.iter().copied().map(Ok).collect();
        let bytes = pack(&samples);
        prop_assert_eq!(unpack(&bytes, samples.len()).unwrap(), samples);
        prop_assert!(unpack(&bytes, steps.len() + 1).is_err());
        prop_assert!(unpack(&bytes, steps.len() - 1).is_err());
    }

    #[test]
    fn a_missing_sample_costs_one_zero_byte_and_changes_no_other(
        mut samples in prop::collection::vec(any_sample(), 1..64), at in any::<prop::sample::Index>(),
    ) {
        let at = at.index(samples.len());
        samples[at] = Err(Missing::Unreachable);
        let with = pack(&samples);
        let _missing = samples.remove(at);
        prop_assert_eq!(with.len(), pack(&samples).len() + 1);
    }

    #[test]
    fn marks_name_every_missing_sample_in_the_fewest_runs(samples in prop::collection::vec(any_sample(), 1..289)) {
        let series = Series { channel: PV, resolution: 0, samples };
        let marks = series.marks();
        let mut named = vec![None; series.samples.len()];
        for (first, run, missing) in &marks {
            named[usize::from(*first)..][..usize::from(*run)].fill(Some(*missing));
        }
        let missing: Vec<_> = series.samples.iter().map(|s| s.err()).collect();
        prop_assert_eq!(named, missing);
        let mergeable = |pair: &[(u16, u16, Missing)]| pair[0].0 + pair[0].1 == pair[1].0 && pair[0].2 == pair[1].2;
        prop_assert!(!marks.windows(2).any(mergeable));
    }

    #[test]
    fn a_varint_is_the_shortest_and_reads_back(value in prop_oneof![any::<u64>(), 0_u64..70_000]) {
        let mut bytes = Vec::new();
        push_varint(&mut bytes, value);
        let significant = usize::try_from(64 - value.leading_zeros()).unwrap();
        prop_assert_eq!(bytes.len(), significant.div_ceil(7).max(1));
        let mut rest = bytes.into_iter();
        prop_assert_eq!(take_varint(&mut rest).unwrap(), value);
        prop_assert_eq!(rest.next(), None);
    }
}

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
        }],
    }
}

#[test]
fn varints_are_the_bytes_that_the_format_says() {
    let cases: [(i64, &[u8]); 8] = [
        (0, &[0x00]),
        (-1, &[0x01]),
        (1, &[0x02]),
        (63, &[0x7e]),
        (64, &[0x80, 0x01]),
        (8191, &[0xfe, 0x7f]),
        (
            i64::MAX,
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
        (
            i64::MIN,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
    ];
    for (step, bytes) in cases {
        assert_eq!(pack(&[Ok(step)]), bytes, "{step}");
    }
}

#[test]
fn a_varint_beyond_64_bits_or_without_an_end_is_refused() {
    for bytes in [&[0xff; 9][..], &[0xff; 10], &[0xff; 11], &[0x80; 16]] {
        assert!(unpack(bytes, 1).is_err());
    }
    let bit_64: Vec<u8> = [vec![0x80; 9], vec![0x02]].concat();
    assert!(unpack(&bit_64, 1).unwrap_err().to_string().contains("64 bits"));
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
    let breaks: [(Break, &str); 12] = [
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
    });
    assert_eq!(
        uneven.check(),
        Err("every channel has a sample for every interval")
    );
}
