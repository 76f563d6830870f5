//! What counters of energy are known to do in the field, each with the make and the place where it was told.

use super::*;

const RESET: (Result<i64, Missing>, Classification) = (Err(Missing::CounterReset), Classification::Reset);

/// A device that wakes up shows zero for minutes, then its lifetime (Victron dbus-fronius, issue 18).
#[test]
fn fronius_wake_up_zero_is_a_bad_sample_and_the_lifetime_after_it_is_no_production() {
    let mut bench = started(9_000_000);
    for _ in 0..3 {
        assert_eq!(
            bench.found(0),
            (Err(Missing::BadSample), Classification::WakeUpZero)
        );
    }
    // Its start is bad: the energy since the anchor is not spread. From then on nothing is missing.
    assert_eq!(
        bench.found(9_000_040),
        (Err(Missing::BadSample), Classification::Gap)
    );
    assert_eq!(bench.found(9_000_050), (Ok(1_000), Classification::Normal));
}

/// All-zero frames in the state FAULT, now and then (Victron venus, issue 549).
#[test]
fn fronius_zero_frames_between_good_ones_cost_their_own_intervals_only() {
    let mut bench = started(9_000_000);
    assert_eq!(bench.count(9_000_010), Ok(1_000));
    assert_eq!(bench.count(0), Err(Missing::BadSample));
    assert_eq!(bench.count(9_000_030), Err(Missing::BadSample));
    assert_eq!(bench.count(9_000_040), Ok(1_000));
}

/// The register goes back by a single count (0xAHA Growatt_ModbusTCP, issue 417).
#[test]
fn growatt_backstep_of_one_count_costs_its_interval_and_nothing_is_counted_twice() {
    let mut bench = started(1_000);
    let backstep = (Err(Missing::CounterFault), Classification::Backstep);
    assert_eq!(bench.found(999), backstep);
    // The interval after it begins at the fault.
    assert_eq!(bench.count(999), Err(Missing::CounterFault));
    assert_eq!(bench.found(999), (Ok(0), Classification::HeldBack));
    assert_eq!(bench.count(1_003), Ok(300));
}

/// The state that was kept is older than the reading that was taken (the same project, issue 285).
#[test]
fn growatt_older_state_after_a_restart_loses_the_interval_and_counts_nothing_twice() {
    let mut bench = started(1_000);
    let kept = bench.meter.clone();
    assert_eq!(bench.count(1_010), Ok(1_000));
    // The crash came before that was kept: neither the sample nor the state is there.
    bench.meter = kept;
    assert_eq!(bench.count(1_020), Err(Missing::NoStart));
    assert_eq!(bench.count(1_030), Ok(1_000));
}

/// APsystems EZ1 starts over at 540.6 kWh (issue 34), Enphase at 1.2 MWh (Home Assistant, issue 140602).
#[test]
fn apsystems_and_enphase_early_wraps_cost_three_intervals_and_make_no_energy() {
    for end in [5_406_000, 12_000_000] {
        let mut bench = started(end - 20);
        assert_eq!(bench.count(end - 10), Ok(1_000));
        for count in [2, 12, 22] {
            assert_eq!(bench.found(count), RESET);
        }
        assert_eq!(bench.found(32), (Ok(1_000), Classification::Normal));
    }
}

/// A battery's "lifetime" counter begins anew every midnight (evcc, pull request 33630).
#[test]
fn solaredge_daily_resets_cost_the_intervals_at_midnight_and_make_no_energy() {
    let mut bench = started(1);
    let mut signed = 0;
    let mut missing = 0;
    for _day in 0..5 {
        for count in (0..288).map(|interval| 20 + interval * 500) {
            match bench.count(count) {
                Ok(energy) => signed += energy,
                Err(_) => missing += 1,
            }
        }
    }
    // 287 steps of 50 Wh a day, without the two between the three readings of each midnight.
    assert_eq!(signed, (5 * 287 - 4 * 2) * 50_000 + 1_900);
    assert_eq!(missing, 4 * 3);
}

/// Counters that freeze, and go on where they are (nmakel solaredge_modbus, issue 70).
#[test]
fn solaredge_frozen_counter_is_no_energy_until_it_goes_on() {
    let mut bench = started(70_000);
    for _ in 0..20 {
        assert_eq!(bench.found(70_000), (Ok(0), Classification::Normal));
    }
    assert_eq!(bench.count(70_040), Ok(4_000));
    // What it catches up with at once is more than an interval holds.
    assert_eq!(bench.count(80_000), Err(Missing::CounterFault));
}

/// A meter that shows zero at times (binsentsu, issue 60), or until it has counted (multi, issue 499).
#[test]
fn solaredge_meter_that_has_not_accumulated_is_no_place_to_count_from() {
    let mut bench = started(0);
    for _ in 0..3 {
        assert_eq!(bench.count(0), Ok(0));
    }
    assert_eq!(
        bench.found(80_000),
        (Err(Missing::NoStart), Classification::First)
    );
    assert_eq!(bench.count(0), Err(Missing::BadSample));
}

/// Exported energy below zero in an unsigned register, so that it falls (CJNE ha-sunspec, issue 249).
#[test]
fn kostal_negative_energy_that_falls_is_never_counted() {
    let mut bench = started(0);
    for below_zero in (10..2_000).step_by(30) {
        let seen = bench.count(u32::MAX - below_zero);
        assert!(!matches!(seen, Ok(1..)), "{seen:?}");
    }
}

/// The scale factor changes between two replies, and the count with it (pysunspec2, issue 42).
#[test]
fn fronius_scale_factor_that_changes_with_its_counter_changes_nothing() {
    let mut bench = started(10_000);
    let metered = bench.metered(Ok(scaled(1_010, 0)));
    assert_eq!(metered.value, Ok(MilliwattHours::new(10_000)));
    assert_eq!(metered.quality, Some(Quality::ScaleChanged));
    assert_eq!(bench.see(Ok(scaled(102_000, -2))), Ok(10_000));
}

/// The same where the count stays: ten or a hundred times the energy (SolarEdge, evcc issue 2162).
#[test]
fn solaredge_scale_factor_that_changes_alone_is_a_fault_and_makes_no_energy() {
    let mut bench = started(10_000_000);
    let up = bench.metered(Ok(scaled(10_000_010, 0)));
    assert_eq!(up.value, Err(Missing::CounterFault));
    assert_eq!(up.classification, Classification::ScaleFault);
    let down = bench.metered(Ok(scaled(10_000_020, -2)));
    assert_eq!(down.value, Err(Missing::CounterFault));
    assert_eq!(bench.count(10_000_030), Err(Missing::CounterFault));
    assert_eq!(bench.count(10_000_040), Ok(1_000));
}

/// The same on a young counter: all of it plausible, and none of it so.
#[test]
fn solaredge_wrong_scale_factor_on_a_young_counter_makes_no_energy() {
    // 0.1 Wh, once read as 0.01 Wh and once as 1 Wh.
    let mut bench = started(0);
    assert_eq!(bench.see(Ok(scaled(1, -2))), Err(Missing::NoStart));
    assert_eq!(bench.see(Ok(scaled(1, 0))), Err(Missing::CounterFault));
}

/// Float counters in models 111 to 113, exact to 2^24 Wh only (fronius-modbus, README).
#[test]
fn fronius_float_counter_goes_in_its_own_steps_and_is_marked_where_they_are_coarse() {
    let float = |value: f32| Counter {
        count: Count::of_f32(value.to_bits(), Step::WATT_HOUR).unwrap(),
        device: None,
    };
    let mut bench = Bench::new();
    assert_eq!(bench.see(Ok(float(16_777_000.0))), Err(Missing::NoStart));
    let fine = bench.metered(Ok(float(16_777_100.0)));
    assert_eq!(
        (fine.value, fine.quality),
        (Ok(MilliwattHours::new(100_000)), None)
    );
    // From 2^24 Wh on in steps of two watt-hours; a step back of one of them is a backstep, not a reset.
    let coarse = bench.metered(Ok(float(16_777_250.0)));
    assert_eq!(coarse.value, Ok(MilliwattHours::new(150_000)));
    assert_eq!(coarse.quality, Some(Quality::FloatQuantum));
    let back = bench.metered(Ok(float(16_777_248.0)));
    assert_eq!(back.classification, Classification::Backstep);
}

/// The device's own clock jumps, and its day ends at any time (Growatt, issue 452; solis_modbus, issue 419).
#[test]
fn growatt_daily_reset_at_the_devices_own_midnight_makes_no_energy() {
    let mut bench = started(40_000);
    assert_eq!(bench.count(40_100), Ok(10_000));
    for count in [30, 130, 230] {
        assert_eq!(bench.found(count), RESET);
    }
    assert_eq!(bench.count(330), Ok(10_000));
}

/// Any make: an installer replaces the device, and its successor has a lifetime of its own.
#[test]
fn a_replaced_device_is_believed_at_once_and_its_lifetime_is_no_energy() {
    let of = |count, device| Counter {
        device: Some(device),
        ..scaled(count, -1)
    };
    let mut bench = Bench::new();
    assert_eq!(bench.see(Ok(of(5_000_000, 1))), Err(Missing::NoStart));
    let replaced = bench.metered(Ok(of(5_000_100, 2)));
    assert_eq!(replaced.value, Err(Missing::DeviceReplaced));
    assert_eq!(replaced.classification, Classification::DeviceReplaced);
    assert_eq!(bench.see(Ok(of(5_000_110, 2))), Ok(1_000));
    // Who answers without a name is taken for the one before.
    assert_eq!(bench.count(5_000_120), Ok(1_000));
    assert_eq!(bench.see(Ok(of(5_000_130, 2))), Ok(1_000));
}

/// Any make: the same without a serial number; near zero it is a reset for all that can be known.
#[test]
fn a_replaced_device_without_a_name_is_believed_after_confirmations_and_its_lifetime_is_no_energy() {
    let mut bench = started(5_000_000);
    for count in [100, 110, 120] {
        assert_eq!(bench.found(count), RESET);
    }
    assert_eq!(bench.count(130), Ok(1_000));
}
