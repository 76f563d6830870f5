//! What the measurements show of a command. A device that reads back what was written has not obeyed yet.

use gridtally_protocol::quantity::Milliwatts;

use crate::device::controls::Command;

/// A device within so many milliwatts of its command follows it, or within a tenth of the command.
const TOLERANCE: u64 = 100_000;
/// Of a limit that is small, everything shows.
const LIMIT_TOLERANCE: u64 = 50_000;

/// What the device's own measurement shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// It does what it was told.
    Obeys,
    /// It does the opposite, or says so.
    Opposite,
    /// Something else.
    Otherwise,
}

/// What of the change arrived at the meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrived {
    /// At least half of it: the house moves, too.
    Yes(Milliwatts),
    /// At least half of it, in the other direction.
    Opposite(Milliwatts),
    /// Less.
    No(Milliwatts),
    /// There is no meter, or nothing that could have arrived.
    Unknown,
}

/// The middle of the values, which one odd sample does not move.
pub(super) fn median(values: impl IntoIterator<Item = Milliwatts>) -> Option<Milliwatts> {
    let mut values: Vec<Milliwatts> = values.into_iter().collect();
    values.sort();
    values.get(values.len() / 2).copied()
}

/// How far from its command a device may be.
fn tolerance(command: Command, told: Milliwatts) -> u64 {
    let least = match command {
        Command::LimitProduction(_) => LIMIT_TOLERANCE,
        Command::Hold(_) | Command::Release => TOLERANCE,
    };
    least.max(told.get().unsigned_abs() / 10)
}

/// Whether the device is at what it was told.
pub(super) fn is_at(command: Command, told: Milliwatts, power: Milliwatts) -> bool {
    power.get().abs_diff(told.get()) <= tolerance(command, told)
}

/// Judges a device that was told so much and does so much.
pub(super) fn shown(command: Command, told: Milliwatts, power: Milliwatts) -> Shown {
    let (told_mw, power_mw) = (told.get(), power.get());
    let within = tolerance(command, told);
    match command {
        Command::LimitProduction(_) => {
            if power_mw < 0 && power_mw.unsigned_abs() > LIMIT_TOLERANCE {
                Shown::Opposite
            } else if power_mw <= told_mw || power_mw.abs_diff(told_mw) <= within {
                Shown::Obeys
            } else {
                Shown::Otherwise
            }
        }
        Command::Hold(_) | Command::Release => {
            if power_mw.abs_diff(told_mw) <= within {
                Shown::Obeys
            } else if told_mw != 0 && power_mw.abs_diff(told_mw.saturating_neg()) <= within {
                Shown::Opposite
            } else {
                Shown::Otherwise
            }
        }
    }
}

/// What of a change of the device arrived in the rest of the house: what the device gives more, the grid and
/// all other sources give less.
pub(super) fn arrived(given: i64, rest_before: Option<Milliwatts>, rest: Option<Milliwatts>) -> Arrived {
    let (Some(before), Some(now)) = (rest_before, rest) else {
        return Arrived::Unknown;
    };
    if given.unsigned_abs() <= TOLERANCE {
        return Arrived::Unknown;
    }
    let arrived = before.get().saturating_sub(now.get());
    let power = Milliwatts::new(arrived);
    let is_half = arrived.unsigned_abs().saturating_mul(2) >= given.unsigned_abs();
    match (is_half, arrived.signum() == given.signum()) {
        (true, true) => Arrived::Yes(power),
        (true, false) => Arrived::Opposite(power),
        (false, _) => Arrived::No(power),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn mw(watts: i64) -> Milliwatts {
        Milliwatts::new(watts * 1_000)
    }

    #[test]
    fn a_battery_is_where_it_was_told_or_opposite_or_elsewhere() {
        let told = mw(500);
        let command = Command::Hold(told);
        for (power, expected) in [
            (500, Shown::Obeys),
            (401, Shown::Obeys),
            (599, Shown::Obeys),
            (399, Shown::Otherwise),
            (0, Shown::Otherwise),
            (3_000, Shown::Otherwise),
            (-500, Shown::Opposite),
            (-401, Shown::Opposite),
        ] {
            assert_eq!(shown(command, told, mw(power)), expected, "{power} W");
        }
    }

    #[test]
    fn panels_stay_below_their_limit_and_give_nothing_negative() {
        let told = mw(1_000);
        let command = Command::LimitProduction(told);
        for (power, expected) in [
            (1_000, Shown::Obeys),
            (1_100, Shown::Obeys),
            (20, Shown::Obeys),
            (-10, Shown::Obeys),
            (1_101, Shown::Otherwise),
            (-1_000, Shown::Opposite),
        ] {
            assert_eq!(shown(command, told, mw(power)), expected, "{power} W");
        }
    }

    #[test]
    fn half_of_a_change_has_to_arrive_at_the_meter() {
        let of = |given: i64, before: i64, now: i64| arrived(given * 1_000, Some(mw(before)), Some(mw(now)));
        assert_eq!(of(500, 800, 300), Arrived::Yes(mw(500)));
        assert_eq!(of(500, 800, 550), Arrived::Yes(mw(250)));
        assert_eq!(of(500, 800, 560), Arrived::No(mw(240)));
        assert_eq!(of(500, 800, 1_300), Arrived::Opposite(mw(-500)));
        assert_eq!(of(-500, 800, 1_300), Arrived::Yes(mw(-500)));
        assert_eq!(of(100, 800, 300), Arrived::Unknown);
        assert_eq!(arrived(500_000, None, Some(mw(3))), Arrived::Unknown);
    }

    #[test]
    fn one_odd_sample_does_not_move_the_median() {
        assert_eq!(median([mw(5), mw(4), mw(9_999), mw(6), mw(5)]), Some(mw(5)));
        assert_eq!(median([]), None);
    }

    proptest! {
        #[test]
        fn no_measurement_panics(told: i64, power: i64, given: i64, before: i64, now: i64) {
            let (told, power) = (Milliwatts::new(told), Milliwatts::new(power));
            for command in [Command::Hold(told), Command::LimitProduction(told)] {
                let obeys = shown(command, told, power) == Shown::Obeys;
                prop_assert!(obeys || !is_at(command, told, power) || power.get() < 0);
            }
            arrived(given, Some(Milliwatts::new(before)), Some(Milliwatts::new(now)));
        }
    }
}
