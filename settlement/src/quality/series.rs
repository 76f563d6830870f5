//! What a series says by its shape.

use core::ops::Range;

use gridtally_protocol::time::IntervalLength;

use crate::days::Slot;

/// A value that is the same for so long, in seconds, was not measured anew.
const STALE_SECONDS: u32 = 6 * 3_600;
/// So many equal differences in a row are a straight line.
const LINE_INTERVALS: usize = 12;
/// What went in less than this share of the capacity says nothing of a battery's losses.
const TAKEN_LEAST_PERCENT: i128 = 20;
const EFFICIENCY_LEAST_PERCENT: i128 = 80;
const EFFICIENCY_MOST_PERCENT: i128 = 102;
/// How unsure the state of charge is, in percents of the capacity.
const CHARGE_UNSURE_PERCENT: i128 = 5;
/// A full state of charge.
const FULL: i128 = 100_000;

fn value(slot: &Slot) -> Option<i64> {
    match slot {
        Slot::Value(value, _) => Some(*value),
        _ => None,
    }
}

/// Runs of one value that is not zero, of six hours and at least twelve intervals.
pub(super) fn stale(slots: &[Slot], length: IntervalLength) -> impl Iterator<Item = Range<usize>> {
    let hours = STALE_SECONDS.checked_div(length.seconds()).unwrap_or(0);
    let least = usize::try_from(hours).unwrap_or(usize::MAX).max(LINE_INTERVALS);
    let same = |a: &Slot, b: &Slot| value(a).is_some_and(|a| a != 0) && value(a) == value(b);
    let mut end = 0_usize;
    let runs = slots.chunk_by(same).map(move |run| {
        let start = end;
        end = end.saturating_add(run.len());
        start..end
    });
    runs.filter(move |run| run.len() >= least)
}

/// Runs that rise or fall by the same each time.
pub(super) fn interpolated(slots: &[Slot]) -> impl Iterator<Item = Range<usize>> {
    let step = |pair: &[Slot]| match pair {
        [a, b] => value(b)?.checked_sub(value(a)?).filter(|step| *step != 0),
        _ => None,
    };
    let steps: Vec<Option<i64>> = slots.windows(2).map(step).collect();
    let mut runs = Vec::new();
    let mut end = 0_usize;
    for run in steps.chunk_by(|a, b| a.is_some() && a == b) {
        let start = end;
        end = end.saturating_add(run.len());
        if run.len() >= LINE_INTERVALS && run.first().is_some_and(Option::is_some) {
            // Of so many steps there is one value more.
            runs.push(start..end.saturating_add(1));
        }
    }
    runs.into_iter()
}

/// Whether what came out and what the state of charge gained is not 80 to 102 % of what went in. Energies in
/// milliwatt-hours, the state of charge in thousandths of a percent at the end of each interval.
pub(super) fn charge_mismatch(
    capacity: i128,
    taken: &[i128],
    given: &[i128],
    charge: &[i128],
) -> Option<bool> {
    // The first interval's energy came before the first state of charge that is known.
    let sum = |of: &[i128]| {
        of.get(1..)?
            .iter()
            .try_fold(0_i128, |sum, value| sum.checked_add(*value))
    };
    let (taken, given) = (sum(taken)?, sum(given)?);
    let least = capacity.checked_mul(TAKEN_LEAST_PERCENT)?.checked_div(100)?;
    if taken < least {
        return Some(false);
    }
    let gained = charge.last()?.checked_sub(*charge.first()?)?;
    let gained = gained.checked_mul(capacity)?.checked_div(FULL)?;
    let unsure = capacity.checked_mul(CHARGE_UNSURE_PERCENT)?.checked_div(100)?;
    let found = given.checked_add(gained)?;
    let share = |percent: i128| taken.checked_mul(percent)?.checked_div(100);
    let low = share(EFFICIENCY_LEAST_PERCENT)?.checked_sub(unsure)?;
    let high = share(EFFICIENCY_MOST_PERCENT)?.checked_add(unsure)?;
    Some(!(low..=high).contains(&found))
}
