//! How a home that was asked hears that it is asked no more.
//!
//! The wire has no cancellation. What every agent understands is that of two instructions of one kind the later counts,
//! and that the earlier is over for good once the later has taken its place. So a home is sent *farewells*: short
//! instructions of the same kind from the moment at which the home would follow the old instruction. The first asks for
//! what was asked before, which the home can do and its owner allowed; the second for 0 W. A battery that can be told to
//! rest rests for at most [`FAREWELL_SECONDS`] and is its owner's again; one that cannot declines the second, follows
//! the first for that long, and is its owner's again. Nothing of it is paid.
//!
//! What remains: a home that hears nothing and is not looked after for the whole of a farewell follows the old
//! instruction until its end.

use gridtally_protocol::time::Timestamp;

use super::revision::Window;

/// How long a farewell lasts at most: an agent looks after its instructions many times in it.
pub const FAREWELL_SECONDS: i64 = 300;

/// The window of the farewells to an instruction, where they are needed at `now`: from the moment at which the home
/// would follow it, for as long as `new` (the instruction in its place, if there is one) does not take over.
///
/// Where the new instruction is under way at that moment, it takes the old one's place by itself.
#[must_use]
pub fn farewell(old: Window, new: Option<Window>, now: Timestamp) -> Option<Window> {
    let from = old.start.max(now);
    if from >= old.end || new.is_some_and(|new| new.holds(from)) {
        return None;
    }
    let longest = from.checked_add(FAREWELL_SECONDS).unwrap_or(old.end);
    let begins = new.map(|new| new.start).filter(|start| *start > from);
    let end = longest.min(old.end).min(begins.unwrap_or(old.end));
    Some(Window { start: from, end })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(unix: i64) -> Timestamp {
        Timestamp::from_unix(unix).unwrap()
    }

    fn window(start: i64, seconds: i64) -> Window {
        Window {
            start: at(start),
            end: at(start + seconds),
        }
    }

    /// Which of the instructions an agent follows at an instant, by its rules: of those that it knows and whose time it
    /// is the latest; and one whose place was taken is over for good.
    fn followed(instructions: &[(i64, Window)], until: i64) -> Vec<Option<usize>> {
        let mut over = vec![false; instructions.len()];
        let ticks = (0..until).map(|t| {
            let live = |i: &usize| {
                let (known_from, window) = instructions[*i];
                known_from <= t && window.holds(at(t)) && !over[*i]
            };
            let latest = (0..instructions.len()).rev().find(live);
            let beaten: Vec<usize> = (0..instructions.len())
                .filter(live)
                .filter(|i| Some(*i) != latest)
                .collect();
            for index in beaten {
                over[index] = true;
            }
            latest
        });
        ticks.collect()
    }

    proptest! {
        #[test]
        fn the_old_instruction_is_never_followed_again_and_the_new_one_in_all_of_its_window(
            old_start in 100_i64..500, old_seconds in 1_i64..1_000, now in 0_i64..1_500,
            new in prop::option::of((1_i64..900, 1_i64..900)),
        ) {
            let old = window(old_start, old_seconds);
            prop_assume!(at(now) < old.end);
            let new = new.map(|(after, seconds)| window(now + after, seconds));
            let mut instructions = vec![(0, old)];
            let farewell = farewell(old, new, at(now));
            instructions.extend(farewell.map(|w| (now, w)));
            let farewells = instructions.len() - 1;
            instructions.extend(new.map(|w| (now, w)));
            for (t, index) in (0..).zip(followed(&instructions, 3_000)) {
                if t < now {
                    prop_assert_eq!(index.is_some(), old.holds(at(t)));
                    continue;
                }
                prop_assert!(index != Some(0), "the old one is followed at {}", t);
                if let Some(new) = new {
                    prop_assert_eq!(index == Some(farewells + 1), new.holds(at(t)));
                }
            }
            if let Some(farewell) = farewell {
                let seconds = farewell.end.seconds_since(farewell.start);
                prop_assert!((1..=FAREWELL_SECONDS).contains(&seconds));
                prop_assert!(farewell.start >= at(now) && farewell.end <= old.end);
            }
        }
    }

    #[test]
    fn what_is_over_needs_no_farewell() {
        assert_eq!(farewell(window(100, 100), None, at(200)), None);
        assert_eq!(farewell(window(100, 100), None, at(150)), Some(window(150, 50)));
        assert_eq!(
            farewell(window(1_000, 900), None, at(0)),
            Some(window(1_000, 300))
        );
        assert_eq!(farewell(window(1_000, 900), Some(window(900, 200)), at(0)), None);
        assert_eq!(
            farewell(window(1_000, 900), Some(window(1_060, 900)), at(0)),
            Some(window(1_000, 60))
        );
    }
}
