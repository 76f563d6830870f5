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
    fn marks_name_every_missing_sample_and_every_quality_in_the_fewest_runs(
        samples in prop::collection::vec(any_sample(), 1..289),
        qualities in prop::collection::btree_map(0_u16..289, proptest::sample::select(&Quality::ALL), 0..200),
    ) {
        let qualities = qualities
            .into_iter()
            .filter(|(index, _)| matches!(samples.get(usize::from(*index)), Some(Ok(_))))
            .collect();
        let series = Series { channel: PV, resolution: 0, samples, qualities };
        prop_assert_eq!(series.check(series.samples.len()), Ok(()));
        let marks = series.marks();
        let mut named = vec![None; series.samples.len()];
        for (first, run, mark) in &marks {
            let run = &mut named[usize::from(*first)..][..usize::from(*run)];
            prop_assert!(run.iter().all(Option::is_none));
            run.fill(Some(*mark));
        }
        for (index, (sample, mark)) in series.samples.iter().zip(named).enumerate() {
            let quality = series.qualities.get(&u16::try_from(index).unwrap()).copied();
            match sample {
                Err(missing) => prop_assert_eq!(mark, Some(Mark::Missing(*missing))),
                Ok(_) => prop_assert_eq!(mark, quality.map(Mark::Quality)),
            }
        }
        let mergeable = |pair: &[(u16, u16, Mark)]| pair[0].0 + pair[0].1 == pair[1].0 && pair[0].2 == pair[1].2;
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
