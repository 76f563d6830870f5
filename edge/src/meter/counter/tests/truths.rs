//! Whatever the truth and whatever goes wrong: never more than the device moved, plus one step of its counter.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::display::{Device, Start, display, start};
use super::*;

/// What goes wrong at a boundary, besides what the device counts.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Unreachable,
    Sentinel,
    /// Wakes up.
    Zero,
    /// Answers with a random count.
    Garbage(u64),
    /// Answers what it answered so many boundaries ago.
    Stale(usize),
    /// Answers a count less, or two.
    Backstep(u8),
    /// Answers more than the device can have come.
    Spike(u32),
    /// Its unit is wrong by this power of ten in this reply.
    Unit(i8),
    /// Begins anew: a reset, a day counter at midnight, or a register that ends early.
    Reset,
    /// Another device counts on from here, with a name or without.
    Replaced(u64, bool),
    /// Shows what it showed before, for this and as many further boundaries.
    Frozen(u8),
    /// The agent is away for so many boundaries.
    Away(u8),
    /// The agent stops after reading and before it has kept anything, and starts again with what it had kept;
    /// with `true` soon enough to read the same boundary anew.
    Crash(bool),
    /// The same boundary is taken twice.
    Twice,
}

/// With so many healthy boundaries for each 17 that are not.
fn fault(healthy: u32) -> impl Strategy<Value = Fault> {
    prop_oneof![
        healthy => Just(Fault::None),
        1 => Just(Fault::Unreachable),
        1 => Just(Fault::Sentinel),
        2 => Just(Fault::Zero),
        1 => any::<u64>().prop_map(Fault::Garbage),
        1 => (1_usize..20).prop_map(Fault::Stale),
        2 => (1_u8..=2).prop_map(Fault::Backstep),
        1 => any::<u32>().prop_map(Fault::Spike),
        1 => prop_oneof![-9_i8..0, 1_i8..10].prop_map(Fault::Unit),
        1 => Just(Fault::Reset),
        1 => (any::<u64>(), any::<bool>()).prop_map(|(count, named)| Fault::Replaced(count, named)),
        1 => (1_u8..6).prop_map(Fault::Frozen),
        1 => (1_u8..5).prop_map(Fault::Away),
        2 => any::<bool>().prop_map(Fault::Crash),
        1 => Just(Fault::Twice),
    ]
}

/// A count that is so many counts less.
fn back(count: Count, counts: u8) -> Count {
    match count {
        Count::Integer { count, bits, step } => Count::Integer {
            count: count.saturating_sub(u64::from(counts)),
            bits,
            step,
        },
        Count::Float { energy, quantum } => Count::Float {
            energy: (energy - quantum * i64::from(counts)).max(0),
            quantum,
        },
    }
}

fn garbage(count: Count, random: u64) -> Count {
    match count {
        Count::Integer { bits, step, .. } => Count::Integer {
            count: random >> (64 - u32::from(bits)),
            bits,
            step,
        },
        Count::Float { .. } => {
            Count::of_f32(u32::try_from(random >> 33).unwrap(), Step::WATT_HOUR).unwrap_or(count)
        }
    }
}

fn in_another_unit(count: Count, power: i8) -> Count {
    match count {
        Count::Integer { count, bits, step } => {
            let factor = 10_u64.pow(u32::from(power.unsigned_abs()));
            let step = if power > 0 {
                Step::new(step.numerator().saturating_mul(factor), step.denominator())
            } else {
                Step::new(step.numerator(), step.denominator() * factor)
            };
            Count::Integer {
                count,
                bits,
                step: step.unwrap(),
            }
        }
        float @ Count::Float { .. } => float,
    }
}

/// The agent: its meter, what it has kept of it, and what it has signed.
struct Agent {
    bench: Bench,
    kept: CounterMeter,
    signed: i64,
}

impl Agent {
    fn take(&mut self, seen: Result<Counter, Missing>) -> Metered {
        let metered = self.bench.metered(seen);
        self.signed += metered.value.map_or(0, MilliwattHours::get);
        self.kept = self.bench.meter.clone();
        metered
    }

    fn again(&mut self, intervals: i64) {
        self.bench.at = self.bench.at.checked_add(300 * intervals).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Σ signed ≤ Σ moved + quantum, whatever the device answers; and where it was healthy, exact.
    #[test]
    fn what_is_signed_is_never_more_than_the_device_moved_plus_one_step_of_its_counter(
        display in display(),
        start in start(),
        moves in prop_oneof![
            prop::collection::vec((0_i64..416_000, fault(24)), 1..150),
            prop::collection::vec((0_i64..416_000, fault(300)), 1..150),
        ],
    ) {
        let mut device = Device::starting_at(display, start);
        let mut agent = Agent { bench: Bench::new(), kept: CounterMeter::default(), signed: 0 };
        let mut shown = vec![device.shown()];
        let (mut before, mut quantum) = device.displayed();
        // Another device has a step of its own that may be half counted when it comes.
        let mut devices = 1;
        let mut healthy = 0_u32;
        let mut frozen = 0_u8;
        let mut unit_was_wrong = false;
        let _first = agent.take(Ok(Counter { count: shown[0], device: device.name }));
        for (moved, fault) in moves {
            // A wrong unit in two replies running is a unit, for all that anyone can know.
            let fault = match fault {
                Fault::Unit(_) if unit_was_wrong => Fault::None,
                fault => fault,
            };
            unit_was_wrong = matches!(fault, Fault::Unit(_));
            device.truth += i128::from(moved);
            match fault {
                Fault::Away(boundaries) => agent.again(i64::from(boundaries)),
                Fault::Reset => {
                    let _changed = device.begin_at(0, true);
                }
                Fault::Replaced(random, named) => {
                    let fresh = Device::starting_at(display, Start::Anywhere(random));
                    if device.begin_at(fresh.offset, !named) {
                        device.name = named.then_some(random);
                        devices += 1;
                    }
                }
                Fault::Frozen(boundaries) => frozen = boundaries,
                _ => {}
            }
            let now = device.shown();
            let last = *shown.last().unwrap();
            shown.push(if frozen > 0 { last } else { now });
            let is_frozen = frozen > 0;
            frozen = frozen.saturating_sub(1);
            let now = *shown.last().unwrap();
            let count = match fault {
                Fault::Unreachable => Err(Missing::Unreachable),
                Fault::Sentinel => Err(Missing::BadSample),
                Fault::Zero => Ok(garbage(now, 0)),
                Fault::Garbage(random) => Ok(garbage(now, random)),
                Fault::Stale(ago) => Ok(shown[shown.len().saturating_sub(ago + 1)]),
                Fault::Backstep(counts) => Ok(back(now, counts)),
                Fault::Spike(random) => Ok(garbage(now, u64::from(random) << 31)),
                Fault::Unit(power) => Ok(in_another_unit(now, power)),
                _ => Ok(now),
            };
            let is_answer_of_another = matches!(fault, Fault::Garbage(_) | Fault::Stale(_) | Fault::Spike(_));
            let count = count.map(|count| match is_answer_of_another && device.may_soon_show(count) {
                true => now,
                false => count,
            });
            let seen = count.map(|count| Counter { count, device: device.name });
            if let Fault::Crash(soon) = fault {
                healthy = 0;
                let _lost = agent.bench.metered(seen);
                agent.bench.meter = agent.kept.clone();
                agent.again(if soon { -1 } else { 0 });
                if soon {
                    let _again = agent.take(seen);
                }
            } else {
                let metered = agent.take(seen);
                let (displayed, step) = device.displayed();
                quantum = quantum.max(step);
                let is_healthy = matches!(fault, Fault::None) && !is_frozen;
                healthy = if is_healthy { healthy + 1 } else { 0 };
                // Long after any fault a sample is there, and it is the difference of what was displayed.
                let is_zero = |count| matches!(Level::of(count, agent.bench.at), Some(Level { value: 0, .. }));
                if healthy > 20 && !is_zero(now) && !is_zero(last) {
                    let energy = metered.value.map(MilliwattHours::get);
                    let off = energy.map(|energy| (energy - (displayed - before)).abs());
                    prop_assert!(off.is_ok_and(|off| off <= device.rounding()), "{displayed} {before} {metered:?}");
                }
            }
            if matches!(fault, Fault::Twice) {
                agent.again(-1);
                prop_assert!(agent.take(seen).value.is_err());
            }
            before = device.displayed().0;
            prop_assert!(agent.signed >= 0);
            let most = device.truth + i128::from(quantum) * devices;
            prop_assert!(i128::from(agent.signed) <= most, "{} signed, {most} at most", agent.signed);
        }
    }

    #[test]
    fn a_counter_without_faults_is_signed_to_the_last_count(
        display in display(), start in start(), moves in prop::collection::vec(0_i64..416_000, 1..100),
    ) {
        let mut device = Device::starting_at(display, start);
        device.truth = 1_000_000;
        let mut agent = Agent { bench: Bench::new(), kept: CounterMeter::default(), signed: 0 };
        let seen = |device: &Device| Counter { count: device.shown(), device: None };
        let first = seen(&device);
        prop_assume!(!matches!(first.count, Count::Integer { count: 0, .. }));
        prop_assert_eq!(agent.take(Ok(first)).classification, Classification::First);
        let begin = device.displayed().0;
        let mut found = BTreeMap::new();
        for moved in &moves {
            device.truth += i128::from(*moved);
            prop_assume!(!matches!(device.shown(), Count::Integer { count: 0, .. }));
            let metered = agent.take(Ok(seen(&device)));
            *found.entry(metered.classification).or_insert(0) += 1;
            prop_assert!(metered.value.is_ok(), "{metered:?}");
        }
        let moved: i64 = moves.iter().sum();
        let (end, step) = device.displayed();
        let rollovers = found.get(&Classification::Rollover).copied().unwrap_or(0);
        let rounding = device.rounding() * (1 + rollovers);
        prop_assert!((end - begin - agent.signed).abs() <= rounding);
        prop_assert!((moved - agent.signed).abs() <= step + rounding, "{moved} moved, {}", agent.signed);
    }

    /// A damaged or foreign state is read or refused, and never more than that.
    #[test]
    fn any_state_that_can_be_read_can_be_used(
        text in "[ahvdsltfnz0-9:,\\[\\]{}\" -]{0,80}", high in any::<i64>(), bits in any::<u8>(), count in any::<u32>(),
    ) {
        let at = Bench::new().at;
        let forged = format!(
            r#"{{"a":{{"h":{{"v":{high},"f":[{bits},[1,1]],"t":"{at}"}},"v":0}},"s":null,"l":["{at}",null]}}"#
        );
        prop_assert!(serde_json::from_str::<CounterMeter>(&forged).is_ok());
        for state in [text, forged] {
            if let Ok(meter) = serde_json::from_str(&state) {
                let mut bench = Bench { meter, ..Bench::new() };
                let _any = bench.count(count);
                let energy = bench.count(count.saturating_add(1));
                prop_assert!(energy.is_err() || energy == Ok(100) || energy == Ok(0));
            }
        }
    }
}
