//! Whether what was asked for shows, as a pure function of what is measured. A device that reads back what
//! was written has not obeyed yet.

use gridtally_protocol::instruction::Target;
use gridtally_protocol::quantity::Milliwatts;

use super::plan::Measured;

/// A device within so many milliwatts of its command follows it, or within a tenth of the command.
const TOLERANCE: u64 = 100_000;

/// What is seen of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It shows: this power was measured.
    Obeyed(Milliwatts),
    /// The device moves, and not as far as it was told, or the meter does not show it.
    Partly,
    /// The device goes on as before.
    Ignored,
    /// It cannot be measured.
    Unknown,
}

/// Judges one instruction: `told` is what the battery was told, `before` what was measured before the first
/// write of the event.
///
/// A limit shows at the meter. A set-point shows in the device's own measurement, and at the meter besides
/// where there is one: at least half of the change must have arrived there, because the house moves too.
pub(super) fn seen(target: Target, told: Milliwatts, before: &Measured, now: &Measured) -> Seen {
    let at_meter = |is_kept: fn(i64, i64) -> bool, limit: Milliwatts| match now.grid {
        Some(grid) if is_kept(grid.get(), limit.get()) => Seen::Obeyed(grid),
        Some(_) => Seen::Partly,
        None => Seen::Unknown,
    };
    match target {
        Target::ImportLimit(limit) => at_meter(|grid, limit| grid <= limit, limit),
        Target::ExportLimit(limit) => at_meter(|grid, limit| grid.saturating_neg() <= limit, limit),
        _ => battery(told, before, now),
    }
}

fn battery(told: Milliwatts, before: &Measured, now: &Measured) -> Seen {
    let Some(battery) = now.battery else {
        return Seen::Unknown;
    };
    if battery.get().abs_diff(told.get()) <= TOLERANCE.max(told.get().unsigned_abs() / 10) {
        return if arrives_at_the_meter(battery, before, now) {
            Seen::Obeyed(battery)
        } else {
            Seen::Partly
        };
    }
    let Some(was) = before.battery else {
        return Seen::Partly;
    };
    let asked = told.get().saturating_sub(was.get());
    let moved = battery.get().saturating_sub(was.get());
    if is_half_of(moved, asked) {
        Seen::Partly
    } else {
        Seen::Ignored
    }
}

fn arrives_at_the_meter(battery: Milliwatts, before: &Measured, now: &Measured) -> bool {
    let (Some(was), Some(grid_was), Some(grid)) = (before.battery, before.grid, now.grid) else {
        return true;
    };
    let given = battery.get().saturating_sub(was.get());
    let arrived = grid_was.get().saturating_sub(grid.get());
    given.unsigned_abs() <= TOLERANCE || is_half_of(arrived, given)
}

/// Whether `part` goes the way of `whole`, and at least half of it.
const fn is_half_of(part: i64, whole: i64) -> bool {
    part.signum() == whole.signum() && part.unsigned_abs().saturating_mul(2) >= whole.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn mw(watts: i64) -> Milliwatts {
        Milliwatts::new(watts * 1_000)
    }

    fn measured(grid: impl Into<Option<i64>>, battery: impl Into<Option<i64>>) -> Measured {
        Measured {
            grid: grid.into().map(mw),
            battery: battery.into().map(mw),
            ..Measured::default()
        }
    }

    #[test]
    fn a_set_point_shows_in_the_device_and_at_the_meter() {
        let told = mw(3_000);
        let judged = |before, now| seen(Target::SetPoint(told), told, &before, &now);
        let before = measured(500, 0);
        for (now, expected) in [
            (measured(-2_480, 2_990), Seen::Obeyed(mw(2_990))),
            // The kettle goes on meanwhile.
            (measured(-1_100, 2_990), Seen::Obeyed(mw(2_990))),
            // The device says so, and nothing of it arrives.
            (measured(500, 3_000), Seen::Partly),
            // Half of the way.
            (measured(-1_200, 1_700), Seen::Partly),
            // Without its advanced control switched on a device reads back and goes on as before.
            (measured(500, 0), Seen::Ignored),
            (measured(3_500, -3_000), Seen::Ignored),
            (measured(500, None), Seen::Unknown),
        ] {
            assert_eq!(judged(before, now), expected, "{now:?}");
        }
        let without_meter = measured(None, 0);
        assert_eq!(
            judged(without_meter, measured(None, 3_000)),
            Seen::Obeyed(mw(3_000))
        );
    }

    #[test]
    fn a_limit_shows_at_the_meter() {
        let before = measured(6_000, 0);
        let import = Target::ImportLimit(mw(4_000));
        assert_eq!(
            seen(import, mw(2_000), &before, &measured(4_000, 2_000)),
            Seen::Obeyed(mw(4_000))
        );
        assert_eq!(
            seen(import, mw(2_000), &before, &measured(4_001, 2_000)),
            Seen::Partly
        );
        let export = Target::ExportLimit(mw(1_000));
        assert_eq!(
            seen(export, mw(0), &before, &measured(-1_000, 0)),
            Seen::Obeyed(mw(-1_000))
        );
        assert_eq!(seen(export, mw(0), &before, &measured(-1_001, 0)), Seen::Partly);
        assert_eq!(seen(export, mw(0), &before, &measured(None, 0)), Seen::Unknown);
    }

    proptest! {
        #[test]
        fn no_measurement_panics_and_obedience_is_always_near_the_command(
            told: i64, before: [Option<i64>; 2], now: [Option<i64>; 2],
        ) {
            let of = |[grid, battery]: [Option<i64>; 2]| Measured {
                grid: grid.map(Milliwatts::new),
                battery: battery.map(Milliwatts::new),
                ..Measured::default()
            };
            let told = Milliwatts::new(told);
            if let Seen::Obeyed(power) = seen(Target::SetPoint(told), told, &of(before), &of(now)) {
                prop_assert!(power.get().abs_diff(told.get()) <= 100_000.max(told.get().unsigned_abs() / 10));
            }
        }
    }
}
