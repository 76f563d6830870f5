//! Each fault above the wire does what the catalogue says of it, and the device is right again when it is
//! over. A fault of the catalogue that stands in no row of `shown!` below fails a test.

mod chains;
mod controls;
mod counters;
mod lab;
mod points;
mod replies;
mod values;

use gridtally_simulators::{Fault, Layer};
use std::collections::BTreeSet;

macro_rules! shown {
    ($($module:ident: $($fault:literal $test:ident,)+)+) => {
        /// The faults that have a test; each row makes one.
        const SHOWN: &[&str] = &[$($($fault,)+)+];

        $($(#[test]
        fn $test() {
            $module::$test();
        })+)+
    };
}

shown! {
    replies:
        "nonsense" nonsense_is_never_right_and_takes_no_write,
        "short-reply" a_short_reply_lacks_its_last_registers,
        "long-reply" a_long_reply_has_registers_that_nobody_asked_for,
        "illegal-address" an_illegal_address_is_exception_2,
        "device-failure" a_device_failure_is_exception_4,
        "busy" busy_is_exception_6,
        "gateway-target-silent" a_silent_target_is_exception_11,
        "small-reads" small_reads_are_answered_and_greater_ones_are_exception_3,
        "no-read-across-models" no_read_crosses_the_end_of_a_model,
    chains:
        "exception-at-chain-end" an_exception_stands_where_the_end_model_should,
        "no-end-model" zeros_stand_where_the_end_model_should,
        "wrong-model-length" a_wrong_length_misleads_to_the_middle_of_something,
        "zero-filled-map" behind_the_marker_are_zeros_up_to_the_last_register,
        "duplicate-models" the_models_behind_the_first_stand_there_twice,
        "shifted-map" the_models_behind_the_first_have_moved_up,
    values:
        "scale-factor-changes" scale_factors_and_values_change_together,
        "scale-factor-lies" scale_factors_change_alone,
        "scale-factor-out-of-range" scale_factors_lie_beyond_ten,
        "sentinels" mandatory_points_say_that_they_are_not_implemented,
        "swapped-sign" powers_have_the_other_sign,
        "frozen" no_register_changes_any_more,
        "zero-frame" a_frame_of_zeros_says_fault,
        "clock-drifts" the_clock_gains,
        "clock-steps" the_clock_steps,
    counters:
        "counters-at-zero" counters_fall_to_zero_and_come_back,
        "counter-backstep" counters_step_back,
        "counter-wraps-early" counters_wrap_early,
        "counter-resets-daily" counters_begin_anew_at_each_midnight_of_the_devices_clock,
        "counter-reset" counters_begin_anew_with_the_fault,
        "negative-counter" counters_count_downwards,
    controls:
        "writes-refused" a_refused_write_meets_exception_4_and_changes_nothing,
        "writes-ignored" an_ignored_write_is_accepted_and_changes_nothing,
        "writes-not-obeyed" a_write_that_is_not_obeyed_reads_back_and_does_nothing,
        "write-applied-unanswered" a_write_without_answer_is_applied,
        "never-reverts" timers_are_stored_and_never_count,
        "reversion-unit" timers_count_in_another_unit,
        "heartbeat-ignored" a_heartbeat_that_stops_is_not_missed,
}

#[test]
fn no_fault_above_the_wire_is_without_a_test() {
    let above: BTreeSet<&str> = Fault::ALL
        .iter()
        .filter(|line| line.layer != Layer::Wire)
        .map(|line| line.name)
        .collect();
    let shown: BTreeSet<&str> = SHOWN.iter().copied().collect();
    assert_eq!(shown.len(), SHOWN.len(), "a fault stands in two rows");
    let untested: Vec<_> = above.difference(&shown).collect();
    assert!(
        untested.is_empty(),
        "write tests for {untested:?} and give them rows in `shown!`"
    );
    let unknown: Vec<_> = shown.difference(&above).collect();
    assert!(
        unknown.is_empty(),
        "the catalogue has no {unknown:?} above the wire"
    );
}
