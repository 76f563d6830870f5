//! The state machine reading by reading. What devices in the field do is in `pitfalls`, what holds whatever
//! they do in `truths`.

use super::*;
use crate::device::reading::{Count, Step};

mod display;
mod pitfalls;
mod truths;

const NAMEPLATE: Milliwatts = Milliwatts::new(5_000_000);
const LENGTH: IntervalLength = IntervalLength::FIVE_MINUTES;

/// A meter that is shown one reading after the other, at successive boundaries.
struct Bench {
    meter: CounterMeter,
    at: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self {
            meter: CounterMeter::default(),
            at: Timestamp::from_unix(1_775_689_200).unwrap(),
        }
    }

    fn metered(&mut self, seen: Result<Counter, Missing>) -> Metered {
        self.at = self.at.checked_add(300).unwrap();
        // A restart between any two readings changes nothing.
        self.meter = serde_json::from_str(&serde_json::to_string(&self.meter).unwrap()).unwrap();
        self.meter.observe(NAMEPLATE, LENGTH, self.at, seen)
    }

    fn see(&mut self, seen: Result<Counter, Missing>) -> Result<i64, Missing> {
        self.metered(seen).value.map(MilliwattHours::get)
    }

    /// In tenths of a watt-hour.
    fn count(&mut self, count: u32) -> Result<i64, Missing> {
        self.see(Ok(scaled(count, -1)))
    }

    fn found(&mut self, count: u32) -> (Result<i64, Missing>, Classification) {
        let metered = self.metered(Ok(scaled(count, -1)));
        (metered.value.map(MilliwattHours::get), metered.classification)
    }
}

fn integer(count: u64, bits: u8, step: Step) -> Counter {
    Counter {
        count: Count::integer(count, bits, step).unwrap(),
        device: None,
    }
}

fn scaled(count: u32, scale: i16) -> Counter {
    integer(u64::from(count), 32, Step::of_scale(scale).unwrap())
}

fn started(count: u32) -> Bench {
    let mut bench = Bench::new();
    assert_eq!(bench.count(count), Err(Missing::NoStart));
    bench
}

#[test]
fn a_healthy_counter_gives_its_differences_exactly() {
    let mut bench = started(1_000);
    assert_eq!(bench.count(1_250), Ok(25_000));
    assert_eq!(bench.count(1_250), Ok(0));
    assert_eq!(bench.count(1_251), Ok(100));
}

#[test]
fn a_lifetime_after_a_first_zero_is_no_production() {
    let mut bench = started(0);
    assert_eq!(bench.count(0), Ok(0));
    assert_eq!(bench.count(3_000), Err(Missing::NoStart));
    assert_eq!(bench.count(3_010), Ok(1_000));
}

#[test]
fn a_rollover_is_counted_where_the_device_can_have_moved_that_much() {
    let mut bench = started(u32::MAX - 9);
    assert_eq!(bench.found(90), (Ok(10_000), Classification::Rollover));
    let mut bench = started(u32::MAX - 9);
    assert_eq!(bench.count(90_000), Err(Missing::CounterFault));
}

#[test]
fn registers_of_every_width_roll_over_at_their_own_end() {
    for (bits, modulus, step, after) in [
        (16, 1_u128 << 16, Step::WATT_HOUR, 99),
        (32, 1 << 32, Step::WATT_HOUR, 99),
        (48, 1 << 48, Step::WATT_HOUR, 99),
        (64, 1 << 64, Step::new(1, 512).unwrap(), 5_119),
    ] {
        let at = |back: u128| integer(u64::try_from(modulus - back).unwrap(), bits, step);
        let mut bench = Bench::new();
        assert_eq!(bench.see(Ok(at(11))), Err(Missing::NoStart));
        assert_eq!(bench.see(Ok(at(1))).map(|_| ()), Ok(()), "{bits}");
        let metered = bench.metered(Ok(integer(after, bits, step)));
        let expected = step.energy(after + 1).unwrap();
        assert_eq!(metered.value.map(MilliwattHours::get), Ok(expected), "{bits}");
        assert_eq!(metered.quality, Some(Quality::Rollover));
    }
}

#[test]
fn a_step_back_of_a_register_that_the_device_could_go_round_is_no_rollover() {
    // 65,536 × 10 mWh go round in 655 Wh; an interval can hold 458 Wh.
    let step = Step::new(10, 1).unwrap();
    let mut bench = Bench::new();
    assert_eq!(bench.see(Ok(integer(30_000, 16, step))), Err(Missing::NoStart));
    assert_eq!(
        bench.see(Ok(integer(9_000, 16, step))),
        Err(Missing::CounterFault)
    );
}

#[test]
fn a_step_that_is_no_power_of_ten_loses_nothing_over_many_intervals() {
    // 1,000 impulses a kilowatt-hour behind a current transformer of 3: 1/3 Wh each.
    let step = Step::new(1_000, 3).unwrap();
    let mut bench = Bench::new();
    assert_eq!(bench.see(Ok(integer(1, 32, step))), Err(Missing::NoStart));
    let sum: i64 = (2..=301)
        .map(|count| bench.see(Ok(integer(count, 32, step))).unwrap())
        .sum();
    assert_eq!(sum, 100_000);
}

#[test]
fn a_jump_beyond_the_nameplate_is_a_fault_and_the_old_line_goes_on() {
    let mut bench = started(1_000);
    // 5 kW over five minutes are 416.6 Wh, a tenth more 458.3 Wh, and two counts.
    assert_eq!(bench.count(1_000 + 4_585), Ok(458_500));
    let jump = (Err(Missing::CounterFault), Classification::Jump);
    assert_eq!(bench.found(5_585 + 4_586), jump);
    assert_eq!(bench.count(5_600), Err(Missing::CounterFault));
    assert_eq!(bench.count(5_610), Ok(1_000));
}

#[test]
fn an_unreachable_boundary_costs_both_intervals_and_nothing_else() {
    let mut bench = started(1_000);
    assert_eq!(bench.see(Err(Missing::Unreachable)), Err(Missing::Unreachable));
    assert_eq!(
        bench.found(1_020),
        (Err(Missing::Unreachable), Classification::Gap)
    );
    assert_eq!(bench.count(1_030), Ok(1_000));
}

#[test]
fn an_agent_that_was_away_starts_anew() {
    let mut bench = started(1_000);
    bench.at = bench.at.checked_add(600).unwrap();
    assert_eq!(bench.found(1_020), (Err(Missing::NoStart), Classification::Gap));
    assert_eq!(bench.count(1_030), Ok(1_000));
}

#[test]
fn a_boundary_that_was_taken_before_changes_nothing() {
    let mut bench = started(1_000);
    let before = bench.meter.clone();
    bench.at = bench.at.checked_add(-300).unwrap();
    assert_eq!(bench.count(1_010), Err(Missing::NoStart));
    assert_eq!(bench.meter, before);
    assert_eq!(bench.count(1_020), Ok(2_000));
}

#[test]
fn a_counter_far_off_is_believed_after_six_readings_and_its_lifetime_is_no_energy() {
    let mut bench = started(5_000_000);
    for count in [90_000, 90_010, 90_020, 90_030, 90_040] {
        assert_eq!(
            bench.found(count),
            (Err(Missing::CounterFault), Classification::Jump)
        );
    }
    assert_eq!(
        bench.found(90_050),
        (Err(Missing::CounterFault), Classification::NewLine)
    );
    assert_eq!(bench.count(90_060), Ok(1_000));
}

#[test]
fn a_unit_that_is_wrong_by_any_power_of_ten_makes_no_energy() {
    for scale in (-10..=10).filter(|scale| *scale != -1) {
        for count in [1, 77, 4_500, 10_000_010] {
            let mut bench = started(10_000_000);
            let wrong = bench.see(Ok(scaled(count, scale)));
            assert!(!matches!(wrong, Ok(1..)), "{count} at {scale}: {wrong:?}");
        }
    }
}

#[test]
fn a_counter_that_fits_no_integer_is_a_bad_sample() {
    let mut bench = started(10);
    let metered = bench.metered(Ok(scaled(u32::MAX - 1, 10)));
    assert_eq!(metered.value, Err(Missing::BadSample));
    assert_eq!(metered.classification, Classification::Unfit);
}

#[test]
fn a_false_high_that_passed_for_true_is_counted_once_and_never_again() {
    let mut bench = started(1_000);
    // The device is at 1,010; what it answered it could have come to.
    let mut signed = bench.count(4_000).unwrap();
    for truth in (1_020..=6_000).step_by(10) {
        signed += bench.count(truth).unwrap_or(0);
        assert!(signed <= 100 * i64::from(truth.max(4_000) - 1_000), "{truth}");
    }
    assert!((490_000..=500_000).contains(&signed), "{signed}");
}
