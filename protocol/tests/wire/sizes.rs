//! What a report costs on the wire.

use gridtally_protocol::channel::{Missing, Quantity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::report::Sample;

use crate::examples::{gateway, home_report, realistic};

const INTERVALS: [usize; 4] = [1, 2, 12, 288];
const FIRST_INTERVAL_BYTES_MAX: usize = 220;
const FURTHER_INTERVAL_BYTES_MAX: usize = 12;

/// 9.8 kW for five minutes in steps of 0.1 Wh.
const SWING: i64 = 8166;

/// Every energy jumps between nothing and 9.8 kW from one interval to the next, the charge from empty to full.
fn largest_swings(quantity: Quantity, index: usize) -> Sample {
    let high = if quantity == Quantity::StateOfCharge {
        1000
    } else {
        SWING
    };
    Ok(if index.is_multiple_of(2) { high } else { 0 })
}

/// Nothing was moving.
fn still(_: Quantity, _: usize) -> Sample {
    Ok(0)
}

/// The meter was away all the time.
fn meter_away(quantity: Quantity, index: usize) -> Sample {
    match quantity {
        Quantity::GridImport | Quantity::GridExport => Err(Missing::Unreachable),
        _ => realistic(quantity, index),
    }
}

/// Beyond the bound: each sample as far from the one before as 64 bits allow at this resolution.
fn full_range(_: Quantity, index: usize) -> Sample {
    Ok(if index.is_multiple_of(2) {
        i64::MAX / 100
    } else {
        i64::MIN / 100
    })
}

fn len(intervals: usize, sample: fn(Quantity, usize) -> Sample) -> usize {
    home_report(intervals, sample)
        .seal(&gateway())
        .expect("within the bound of an envelope")
        .len()
}

#[test]
fn a_home_costs_at_most_220_bytes_and_12_more_for_each_further_interval() {
    for (name, sample) in [
        ("realistic", realistic as fn(Quantity, usize) -> Sample),
        ("swings of 9.8 kW", largest_swings),
        ("nothing moves", still),
        ("meter away", meter_away),
    ] {
        let lens = INTERVALS.map(|intervals| len(intervals, sample));
        println!(
            "{name:<18} {}",
            INTERVALS
                .iter()
                .zip(lens)
                .map(|(n, l)| format!("{n:>4}: {l:>4} B"))
                .collect::<Vec<_>>()
                .join("  ")
        );
        assert!(lens[0] <= FIRST_INTERVAL_BYTES_MAX, "{name}: {} bytes", lens[0]);
        for intervals in 2..=288 {
            let further = len(intervals, sample) - len(1, sample);
            assert!(
                further <= (intervals - 1) * FURTHER_INTERVAL_BYTES_MAX,
                "{name}, {intervals} intervals"
            );
        }
    }
}

#[test]
fn the_first_interval_keeps_its_bound_with_large_numbers_and_devices() {
    let mut report = home_report(1, largest_swings);
    report.sequence = u64::from(u32::MAX);
    report
        .series
        .iter_mut()
        .for_each(|series| series.channel.device.0 += 200);
    let len = report
        .seal(&gateway())
        .expect("within the bound of an envelope")
        .len();
    println!("large numbers         1: {len:>4} B");
    assert!(len <= FIRST_INTERVAL_BYTES_MAX, "{len} bytes");
}

#[test]
fn a_day_of_five_minutes_fits_one_envelope_whatever_a_home_of_this_size_does() {
    assert!(len(288, largest_swings) <= 220 + 287 * 12);
    println!("full 64 bits       {:>4}: {:>4} B", 12, len(12, full_range));
    assert!(
        home_report(288, full_range).encode().is_ok(),
        "the envelope's bound is what limits it"
    );
}
