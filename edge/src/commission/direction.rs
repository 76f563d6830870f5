//! Whether counters move in the direction of the powers.

use crate::device::reading::Count;

/// Fewer quanta than this say nothing.
const QUANTA: i64 = 2;
/// More energy than this in a few minutes is no movement but a jump, in milliwatt-hours.
const ENERGY_MAX: i64 = 10_000_000_000;

/// How far a counter moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    /// In milliwatt-hours, never negative.
    pub(super) energy: i64,
    /// What it can show at least, in milliwatt-hours.
    pub(super) quantum: i64,
}

/// What two counters, one for each direction, say of a power of known direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// That of the power moved.
    Agrees,
    /// The other one did.
    Disagrees,
    /// Neither moved far enough.
    Undetermined,
}

/// How far a counter moved between two readings; `None` where it was set back or jumped.
pub(super) fn moved(from: Count, to: Count) -> Option<Moved> {
    let (energy, quantum) = match (from, to) {
        (
            Count::Integer {
                count: from,
                bits,
                step,
            },
            Count::Integer {
                count: to,
                bits: bits_now,
                step: step_now,
            },
        ) if bits == bits_now && step == step_now => {
            let forward = to.wrapping_sub(from);
            let counted = match 1_u64.checked_shl(u32::from(bits)) {
                Some(modulus) => forward.checked_rem(modulus)?,
                None => forward,
            };
            (step.energy(counted)?, step.quantum())
        }
        (Count::Float { energy: from, .. }, Count::Float { energy: to, quantum }) => {
            (to.checked_sub(from)?, quantum)
        }
        _ => return None,
    };
    (0..=ENERGY_MAX)
        .contains(&energy)
        .then_some(Moved { energy, quantum })
}

/// Judges the counter of the power's own direction against that of the other.
pub(super) fn direction(own: Option<Moved>, other: Option<Moved>) -> Direction {
    let says = |one: Option<Moved>, against: Option<Moved>| {
        let rest = against.map_or(0, |moved| moved.energy);
        one.is_some_and(|moved| {
            moved.energy >= moved.quantum.saturating_mul(QUANTA) && moved.energy / 2 >= rest
        })
    };
    if says(own, other) {
        Direction::Agrees
    } else if says(other, own) {
        Direction::Disagrees
    } else {
        Direction::Undetermined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::reading::Step;
    use proptest::prelude::*;

    const fn some(energy: i64, quantum: i64) -> Option<Moved> {
        Some(Moved { energy, quantum })
    }

    #[test]
    fn a_counter_says_something_when_it_moved_two_quanta_and_the_other_did_not() {
        for (own, other, expected) in [
            (some(8_000, 100), some(0, 100), Direction::Agrees),
            (some(0, 100), some(8_000, 100), Direction::Disagrees),
            (some(8_000, 10_000), some(0, 10_000), Direction::Undetermined),
            (some(5_000, 100), some(4_000, 100), Direction::Undetermined),
            (None, some(8_000, 100), Direction::Disagrees),
            (some(8_000, 100), None, Direction::Agrees),
            (None, None, Direction::Undetermined),
        ] {
            assert_eq!(direction(own, other), expected, "{own:?} {other:?}");
        }
    }

    #[test]
    fn a_counter_that_starts_over_moved_on_and_one_that_was_reset_did_not() {
        let at = |count| Count::integer(count, 32, Step::WATT_HOUR).unwrap();
        let wrapped = moved(at(u64::from(u32::MAX) - 1), at(3));
        assert_eq!(wrapped, some(5_000, 1_000));
        assert_eq!(moved(at(100_000_000), at(0)), None);
    }

    proptest! {
        #[test]
        fn no_pair_of_counts_panics(from: u64, to: u64, bits in prop::sample::select(vec![15_u8, 16, 31, 32, 48, 63, 64])) {
            let of = |count| Count::Integer { count, bits, step: Step::WATT_HOUR };
            if let Some(moved) = moved(of(from), of(to)) {
                prop_assert!(moved.energy >= 0 && moved.quantum > 0);
            }
        }
    }
}
