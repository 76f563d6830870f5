#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use gridtally_protocol::channel::{Missing, Quality};
use gridtally_protocol::refusal::Refusal;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn any_slot() -> impl Strategy<Value = Slot> {
    let value = prop_oneof![
        Just(0_i64),
        0_i64..2_000_000,
        (0_i64..2_000).prop_map(|n| n * 1_000),
        any::<i64>(),
    ];
    let quality = prop_oneof![6 => Just(None), 1 => select(Quality::ALL.to_vec()).prop_map(Some)];
    prop_oneof![
        2 => Just(Slot::Absent),
        12 => (value, quality).prop_map(|(value, quality)| Slot::Value(value, quality)),
        1 => select(Missing::ALL.to_vec()).prop_map(Slot::Missing),
        1 => select(Refusal::ALL.to_vec()).prop_map(Slot::Refused),
        1 => Just(Slot::Contested),
    ]
}

const MINUTES: [u32; 12] = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60];

fn any_day() -> impl Strategy<Value = DeviceDay> {
    // In runs, as days are.
    let slots = vec((any_slot(), 1_usize..40), 0..60);
    let channels = vec((select(Quantity::ALL.to_vec()), 0_usize..400, slots), 0..4);
    (select(MINUTES.to_vec()), channels).prop_map(|(minutes, channels)| {
        let mut day = DeviceDay::empty(IntervalLength::from_seconds(minutes * 60).unwrap());
        for (quantity, first, runs) in channels {
            let slots = runs.iter().flat_map(|(slot, len)| vec![*slot; *len]);
            for (place, slot) in slots.enumerate() {
                day.join_slot(quantity, first + place, slot);
            }
        }
        day
    })
}

fn known(day: &DeviceDay) -> Vec<(Quantity, usize, Slot)> {
    day.known().collect()
}

proptest! {
    #[test]
    fn a_day_reads_as_it_was_written(day in any_day()) {
        let bytes = day.to_bytes();
        prop_assert!(bytes.len() <= BYTES_MAX);
        let back = DeviceDay::from_bytes(&bytes).unwrap();
        prop_assert_eq!(known(&back), known(&day));
        prop_assert_eq!(back.length(), day.length());
        prop_assert_eq!(back.to_bytes(), bytes);
    }

    #[test]
    fn what_is_accepted_is_written_back_byte_for_byte(
        day in any_day(), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = day.to_bytes();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(read) = DeviceDay::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_day_or_an_error(bytes in vec(any::<u8>(), 0..200), headed: bool) {
        let bytes = if headed { [&[VERSION, 30], bytes.as_slice()].concat() } else { bytes };
        if let Ok(read) = DeviceDay::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn joining_knows_no_order_and_no_repetition(a in any_slot(), b in any_slot(), c in any_slot()) {
        prop_assert_eq!(a.join(b), b.join(a));
        prop_assert_eq!(a.join(b).join(c), a.join(b.join(c)));
        prop_assert_eq!(a.join(b).join(b), a.join(b));
        prop_assert_eq!(a.join(Slot::Absent), a);
    }
}

#[test]
fn the_form_is_the_one_that_is_documented() {
    let mut day = DeviceDay::empty(IntervalLength::HALF_HOUR);
    for (place, slot) in [
        (2, Slot::Value(1_000, None)),
        (3, Slot::Value(1_500, Some(Quality::Rollover))),
        (5, Slot::Missing(Missing::Unreachable)),
        (6, Slot::Value(0, None)),
    ] {
        day.join_slot(Quantity::GridImport, place, slot);
    }
    let bytes = [
        1, 30, // version, minutes
        1, 2, 5, // grid import: five slots from the third on
        3, 1, 1, 17, 0, 1, 0, 0, 1, 1, // a rollover after one slot, a gap, one that was unreachable
        2, 20, 10, 29, // in steps of 100: 10, +5, -15
    ];
    assert_eq!(day.to_bytes(), bytes);
}

#[test]
fn a_broken_day_is_told_with_its_place() {
    let told = |bytes: &[u8]| DeviceDay::from_bytes(bytes).unwrap_err();
    assert_eq!(told(&[2, 30]).at, 1);
    assert_eq!(told(&[1, 7]).what, "no such interval");
    assert_eq!(
        told(&[1, 30, 1, 47, 2, 0, 0, 2, 2]).what,
        "it reaches beyond the day"
    );
    assert_eq!(
        told(&[1, 30, 1, 0, 1, 0, 0, 0x82, 0]).what,
        "a number is not in its shortest form"
    );
    assert_eq!(
        told(&[1, 30, 1, 0, 1, 0, 0, 20]).what,
        "the steps could be coarser, or there are none"
    );
    assert_eq!(told(&vec![1; BYTES_MAX + 1]).what, "it is too long");
}
