//! Whatever the truth and whatever goes wrong: never more than the device moved, plus one step of its counter.

use std::collections::BTreeMap;

use proptest::prelude::*;

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

/// How the device shows its energy.
#[derive(Debug, Clone, Copy)]
enum Display {
    Integer {
        bits: u8,
        step: Step,
    },
    /// A binary32 number of watt-hours.
    Float,
}

fn display() -> impl Strategy<Value = Display> {
    // Registers that the device goes round in hours would say nothing: the steps fit the width.
    let integer = |bits, steps: &'static [(u64, u64)]| {
        prop::sample::select(steps).prop_map(move |(numerator, denominator)| Display::Integer {
            bits,
            step: Step::new(numerator, denominator).unwrap(),
        })
    };
    prop_oneof![
        integer(16, &[(1_000, 1), (10_000, 1), (100_000, 1)]),
        integer(
            32,
            &[(1, 1), (10, 1), (100, 1), (1_000, 1), (1_000, 3), (100_000, 7)]
        ),
        integer(48, &[(1, 1), (1, 10), (100, 1), (1_000, 1)]),
        integer(64, &[(1, 1_000), (100, 1), (1_000, 1)]),
        Just(Display::Float),
    ]
}

/// Where the display starts, as a part of what it can show.
#[derive(Debug, Clone, Copy)]
enum Start {
    Zero,
    Young(u64),
    NearTheEnd(u64),
    Anywhere(u64),
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        Just(Start::Zero),
        (1_u64..2_000_000).prop_map(Start::Young),
        (1_u64..2_000_000).prop_map(Start::NearTheEnd),
        any::<u64>().prop_map(Start::Anywhere),
    ]
}

/// The device: its truth in milliwatt-hours, and what its display adds to it.
struct Device {
    display: Display,
    truth: i128,
    offset: i128,
    name: Option<u64>,
}

impl Device {
    /// What is shown goes round here, in milliwatt-hours times the step's denominator; a float never does.
    fn modulus(&self) -> Option<i128> {
        match self.display {
            Display::Integer { bits, step } => Some((1_i128 << bits) * i128::from(step.numerator())),
            Display::Float => None,
        }
    }

    fn denominator(&self) -> i128 {
        match self.display {
            Display::Integer { step, .. } => i128::from(step.denominator()),
            Display::Float => 1,
        }
    }

    /// Where a step is no whole number of milliwatt-hours, a register that went round rounds otherwise.
    fn rounding(&self) -> i64 {
        i64::from(self.denominator() > 1)
    }

    /// The display is as if this much had been counted at this truth. A device without a name stays as it is
    /// where the change cannot be told from energy.
    fn begin_at(&mut self, energy: i128, nameless: bool) -> bool {
        let fresh = Self {
            offset: energy - self.truth,
            ..*self
        };
        let changes = !(nameless && self.may_soon_show(fresh.shown()));
        if changes {
            *self = fresh;
        }
        changes
    }

    fn shown(&self) -> Count {
        let energy = self.truth + self.offset;
        match self.display {
            Display::Integer { bits, step } => {
                let scaled = (energy * self.denominator()).rem_euclid(self.modulus().unwrap());
                let count = u64::try_from(scaled / i128::from(step.numerator())).unwrap();
                Count::Integer { count, bits, step }
            }
            Display::Float => float(energy),
        }
    }

    /// The energy that is displayed without going round, and the step of the display there.
    fn displayed(&self) -> (i64, i64) {
        let energy = self.truth + self.offset;
        match self.display {
            Display::Integer { step, .. } => {
                let counts = (energy * self.denominator()).div_euclid(i128::from(step.numerator()));
                let floor = (counts * i128::from(step.numerator())).div_euclid(self.denominator());
                (i64::try_from(floor).unwrap(), step.quantum())
            }
            Display::Float => match float(energy) {
                Count::Float { energy, quantum } => (energy, quantum),
                Count::Integer { .. } => unreachable!(),
            },
        }
    }

    /// Whether the device could show this at the next boundary. Who answers that now cannot be told from a
    /// device that has moved that much.
    fn may_soon_show(&self, count: Count) -> bool {
        let value = |count| Level::of(count, Timestamp::EPOCH).map(|level| i128::from(level.value));
        let (Some(answer), Some(now)) = (value(count), value(self.shown())) else {
            return false;
        };
        let ahead = match self.modulus() {
            Some(modulus) => (answer - now).rem_euclid(modulus / self.denominator()),
            None => answer - now,
        };
        (1..=458_334 + 3 * i128::from(self.displayed().1)).contains(&ahead)
    }

    fn starting_at(display: Display, start: Start) -> Self {
        let mut device = Self {
            display,
            truth: 0,
            offset: 0,
            name: Some(1),
        };
        // Beyond 64 bits of milliwatt-hours there is no counter, and a float of a GWh counts nothing at home.
        let most = match device.modulus() {
            Some(modulus) => modulus / device.denominator(),
            None => 1_000_000_000,
        };
        let most = most.min(i128::from(i64::MAX) / 4);
        device.offset = match start {
            Start::Zero => 0,
            Start::Young(energy) => i128::from(energy),
            Start::NearTheEnd(back) => most - i128::from(back),
            Start::Anywhere(share) => most * i128::from(share) / (1 << 64),
        };
        device
    }
}

/// The largest binary32 number of watt-hours that is not above the energy in milliwatt-hours.
fn float(energy: i128) -> Count {
    let of = |bits| match Count::of_f32(bits, Step::WATT_HOUR) {
        Some(Count::Float { energy, .. }) => i128::from(energy),
        _ => i128::MAX,
    };
    // The bits of numbers above zero are in their order.
    let (mut low, mut high) = (0_u32, 0x7f80_0000_u32);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if of(middle) <= energy {
            low = middle
        } else {
            high = middle
        }
    }
    Count::of_f32(low, Step::WATT_HOUR).unwrap()
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
        let forged = format!(
            r#"{{"a":{{"h":{{"v":{high},"f":[{bits},[1,1]],"t":5}},"v":0}},"s":null,"l":[1775689200,null]}}"#
        );
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
