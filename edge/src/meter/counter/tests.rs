use super::*;
use proptest::prelude::*;

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

    fn see(&mut self, seen: Result<Counter, Missing>) -> Result<i64, Missing> {
        self.at = self.at.checked_add(300).unwrap();
        // A restart between any two readings changes nothing.
        self.meter = serde_json::from_str(&serde_json::to_string(&self.meter).unwrap()).unwrap();
        self.meter
            .observe(NAMEPLATE, LENGTH, self.at, seen)
            .map(MilliwattHours::get)
    }

    /// In tenths of a watt-hour.
    fn count(&mut self, count: u32) -> Result<i64, Missing> {
        self.see(Ok(Counter { count, scale: -1 }))
    }
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
fn a_wake_up_zero_is_a_bad_sample_and_the_true_value_after_it_is_no_production() {
    let mut bench = started(9_000_000);
    assert_eq!(bench.count(0), Err(Missing::BadSample));
    assert_eq!(bench.count(0), Err(Missing::BadSample));
    // Its start is bad: the energy since the anchor is not spread.
    assert_eq!(bench.count(9_000_040), Err(Missing::BadSample));
    assert_eq!(bench.count(9_000_050), Ok(1_000));
}

#[test]
fn a_lifetime_after_a_first_zero_is_no_production() {
    let mut bench = started(0);
    assert_eq!(bench.count(0), Ok(0));
    assert_eq!(bench.count(3_000), Err(Missing::NoStart));
    assert_eq!(bench.count(3_010), Ok(1_000));
}

#[test]
fn a_backstep_of_one_count_costs_its_interval_and_nothing_is_counted_twice() {
    let mut bench = started(1_000);
    assert_eq!(bench.count(999), Err(Missing::CounterFault));
    // The interval after it begins at the fault.
    assert_eq!(bench.count(999), Err(Missing::CounterFault));
    assert_eq!(bench.count(999), Ok(0));
    assert_eq!(bench.count(1_003), Ok(300));
}

#[test]
fn a_rollover_of_32_bits_is_counted_where_the_device_can_have_moved_that_much() {
    let mut bench = started(u32::MAX - 9);
    assert_eq!(bench.count(90), Ok(10_000));
    let mut bench = started(u32::MAX - 9);
    assert_eq!(bench.count(90_000), Err(Missing::CounterFault));
}

#[test]
fn a_jump_beyond_the_nameplate_is_a_fault_and_the_old_line_goes_on() {
    let mut bench = started(1_000);
    // 5 kW over five minutes are 416.6 Wh, a tenth more 458.3 Wh, and two counts.
    assert_eq!(bench.count(1_000 + 4_585), Ok(458_500));
    assert_eq!(bench.count(5_585 + 4_586), Err(Missing::CounterFault));
    assert_eq!(bench.count(5_600), Err(Missing::CounterFault));
    assert_eq!(bench.count(5_610), Ok(1_000));
}

#[test]
fn an_unreachable_boundary_costs_both_intervals_and_nothing_else() {
    let mut bench = started(1_000);
    assert_eq!(bench.see(Err(Missing::Unreachable)), Err(Missing::Unreachable));
    assert_eq!(bench.count(1_020), Err(Missing::Unreachable));
    assert_eq!(bench.count(1_030), Ok(1_000));
}

#[test]
fn an_agent_that_was_away_starts_anew() {
    let mut bench = started(1_000);
    bench.at = bench.at.checked_add(600).unwrap();
    assert_eq!(bench.count(1_020), Err(Missing::NoStart));
    assert_eq!(bench.count(1_030), Ok(1_000));
}

#[test]
fn a_replaced_device_is_believed_after_six_readings_and_its_lifetime_is_no_energy() {
    let mut bench = started(5_000_000);
    for count in [100, 110, 120, 130, 140, 150] {
        assert_eq!(bench.count(count), Err(Missing::CounterFault));
    }
    assert_eq!(bench.count(160), Ok(1_000));
}

#[test]
fn a_scale_factor_that_changes_with_its_counter_changes_nothing() {
    let mut bench = started(10_000);
    assert_eq!(
        bench.see(Ok(Counter {
            count: 1_010,
            scale: 0
        })),
        Ok(10_000)
    );
    assert_eq!(
        bench.see(Ok(Counter {
            count: 102_000,
            scale: -2
        })),
        Ok(10_000)
    );
}

#[test]
fn a_scale_factor_that_changes_alone_is_a_fault_and_makes_no_energy() {
    let mut bench = started(10_000_000);
    assert_eq!(
        bench.see(Ok(Counter {
            count: 10_000_010,
            scale: 0
        })),
        Err(Missing::CounterFault)
    );
    assert_eq!(
        bench.see(Ok(Counter {
            count: 10_000_020,
            scale: -2
        })),
        Err(Missing::CounterFault)
    );
    assert_eq!(bench.count(10_000_030), Err(Missing::CounterFault));
    assert_eq!(bench.count(10_000_040), Ok(1_000));
}

#[test]
fn a_wrong_scale_factor_on_a_young_counter_makes_no_energy() {
    // 0.1 Wh, once read as 0.01 Wh and once as 1 Wh: all of it plausible, and none of it so.
    let mut bench = started(0);
    let read = |scale| Ok(Counter { count: 1, scale });
    assert_eq!(bench.see(read(-2)), Err(Missing::NoStart));
    assert_eq!(bench.see(read(0)), Err(Missing::CounterFault));
}

#[test]
fn a_counter_that_fits_no_integer_is_a_bad_sample() {
    let mut bench = started(10);
    let huge = Counter {
        count: u32::MAX - 1,
        scale: 10,
    };
    assert_eq!(bench.see(Ok(huge)), Err(Missing::BadSample));
}

/// What a device does at a boundary, besides counting.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Unreachable,
    Sentinel,
    Zero,
    /// Answers with a random count.
    Garbage(u32),
    /// Answers what it answered so many boundaries ago.
    Stale(usize),
    /// Is replaced by one that shows this, and counts on from there.
    Replaced(u32),
    /// Its scale factor is wrong by one power of ten in this reply. (In two replies running, from the start,
    /// it would be a device with that scale factor, for all that anyone can know.)
    Rescaled(bool),
    /// The agent is away for so many intervals.
    Away(u8),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        12 => Just(Fault::None),
        1 => Just(Fault::Unreachable),
        1 => Just(Fault::Sentinel),
        2 => Just(Fault::Zero),
        1 => any::<u32>().prop_map(Fault::Garbage),
        1 => (1_usize..20).prop_map(Fault::Stale),
        1 => any::<u32>().prop_map(Fault::Replaced),
        1 => any::<bool>().prop_map(Fault::Rescaled),
        1 => (1_u8..5).prop_map(Fault::Away),
    ]
}

const QUANTUM: i64 = 100;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Σ signed ≤ Σ moved + quantum, whatever the device answers; and where it was healthy, exact.
    #[test]
    fn what_is_signed_is_never_more_than_the_device_moved_plus_one_count(
        start in prop_oneof![Just(0), 1..1_000_000_u32, (u32::MAX - 50_000)..u32::MAX, any::<u32>()],
        steps in prop::collection::vec((0_i64..416_000, fault()), 1..150),
    ) {
        let mut bench = Bench::new();
        // The truth in milliwatt-hours, and what the display adds to it.
        let mut truth = 0_i64;
        let mut offset = i64::from(start) * QUANTUM;
        let show = |truth: i64, offset: i64| {
            u32::try_from(((truth + offset) / QUANTUM).rem_euclid(1 << 32)).unwrap()
        };
        let mut shown = vec![show(truth, offset)];
        let mut signed = 0_i64;
        let mut healthy_since = 0_u32;
        let mut displayed_before = 0_i64;
        let _ = bench.count(shown[0]);
        let mut rescaled_before = false;
        for (moved, fault) in steps {
            let fault = match fault {
                Fault::Rescaled(_) if rescaled_before => Fault::None,
                fault => fault,
            };
            rescaled_before = matches!(fault, Fault::Rescaled(_));
            truth += moved;
            if let Fault::Away(intervals) = fault {
                bench.at = bench.at.checked_add(300 * i64::from(intervals)).unwrap();
            }
            if let Fault::Replaced(count) = fault {
                offset = i64::from(count) * QUANTUM - truth;
            }
            let now = show(truth, offset);
            shown.push(now);
            let answer = match fault {
                Fault::Unreachable => Err(Missing::Unreachable),
                Fault::Sentinel => Err(Missing::BadSample),
                Fault::Zero => Ok((0, -1)),
                Fault::Garbage(count) => Ok((count, -1)),
                Fault::Stale(ago) => Ok((shown[shown.len().saturating_sub(ago + 1)], -1)),
                Fault::Rescaled(up) => Ok((now, if up { 0 } else { -2 })),
                Fault::None | Fault::Replaced(_) | Fault::Away(_) => Ok((now, -1)),
            };
            let sample = bench.see(answer.map(|(count, scale)| Counter { count, scale }));
            let displayed = (truth + offset).div_euclid(QUANTUM);
            if let Ok(energy) = sample {
                prop_assert!(energy >= 0);
                signed += energy;
                prop_assert!(signed <= truth + QUANTUM, "{signed} mWh signed, {truth} mWh moved");
            }
            healthy_since = if matches!(fault, Fault::None) { healthy_since + 1 } else { 0 };
            // Long after any fault a sample is there, and it is the difference of what was displayed.
            if healthy_since > 20 && now != 0 && displayed_before != 0 {
                prop_assert_eq!(sample, Ok((displayed - displayed_before) * QUANTUM));
            }
            displayed_before = displayed;
        }
        prop_assert!(signed <= truth + QUANTUM);
    }

    #[test]
    fn a_counter_without_faults_is_signed_to_the_last_count(
        start in 1..u32::MAX,
        steps in prop::collection::vec(0_u32..4_000, 1..100),
    ) {
        let mut bench = started(start);
        let mut count = start;
        for step in steps {
            count = count.wrapping_add(step);
            prop_assume!(count != 0 && count != u32::MAX);
            prop_assert_eq!(bench.count(count), Ok(i64::from(step) * QUANTUM));
        }
    }
}
