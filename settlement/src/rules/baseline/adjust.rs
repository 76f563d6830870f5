//! Fitting an average to the event day.

use gridtally_protocol::time::IntervalLength;

use super::explanation::{AdjustmentKind, Applied};
use super::rule::{AdditiveCap, Adjustment, Cap};
use crate::rules::exact::{ArithmeticError, Ratio};

const SECONDS_PER_HOUR: i128 = 3600;
const MWH_PER_KWH: i128 = 1_000_000;

/// The sums over the windows, in milliwatt-hours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    /// A: what was metered.
    pub metered: Ratio,
    /// B: the averages.
    pub average: Ratio,
    /// How many intervals they are of.
    pub intervals: u32,
}

/// The energy of a power over one interval, in milliwatt-hours.
pub(super) fn energy_of(kilowatts: Ratio, length: IntervalLength) -> Result<Ratio, ArithmeticError> {
    let hours = Ratio::new(length.seconds().into(), SECONDS_PER_HOUR)?;
    kilowatts
        .checked_mul(Ratio::whole(MWH_PER_KWH))?
        .checked_mul(hours)
}

/// What is applied to each interval's average; nothing where the rule does not adjust.
pub(super) fn adjust(
    rule: &Adjustment,
    windows: Windows,
    length: IntervalLength,
) -> Result<Option<Applied>, ArithmeticError> {
    match rule {
        Adjustment::None => Ok(None),
        Adjustment::Additive { cap, .. } => additive(windows, *cap, length).map(Some),
        Adjustment::Ratio { cap, .. } => ratio(windows, *cap).map(Some),
    }
}

fn additive(
    windows: Windows,
    cap: Option<AdditiveCap>,
    length: IntervalLength,
) -> Result<Applied, ArithmeticError> {
    let Windows {
        metered,
        average,
        intervals,
    } = windows;
    let each = Ratio::whole(intervals.into());
    let addend = metered.checked_sub(average)?.checked_div(each)?;
    let bounds = match cap {
        None => None,
        Some(AdditiveCap::Power { low_kw, high_kw }) => {
            Some((energy_of(low_kw, length)?, energy_of(high_kw, length)?))
        }
        Some(AdditiveCap::Share(share)) => {
            let most = average.max(Ratio::ZERO).checked_div(each)?.checked_mul(share)?;
            Some((Ratio::ZERO.checked_sub(most)?, most))
        }
    };
    let applied = bounds.map_or(addend, |(low, high)| addend.max(low).min(high));
    Ok(Applied {
        kind: AdjustmentKind::Additive,
        intervals,
        metered,
        average,
        uncapped: Some(addend),
        applied,
        capped: applied != addend,
        undefined: false,
    })
}

fn ratio(windows: Windows, cap: Option<Cap>) -> Result<Applied, ArithmeticError> {
    let Windows {
        metered,
        average,
        intervals,
    } = windows;
    let uncapped = if average.is_positive() {
        Some(metered.checked_div(average)?)
    } else {
        None
    };
    // Without a cap, an exporting home would turn the sign of its own baseline.
    let uncapped = uncapped.filter(|factor| cap.is_some() || *factor >= Ratio::ZERO);
    let applied = match (uncapped, cap) {
        (None, _) => Ratio::ONE,
        (Some(factor), None) => factor,
        (Some(factor), Some(cap)) => factor.max(cap.low).min(cap.high),
    };
    Ok(Applied {
        kind: AdjustmentKind::Ratio,
        intervals,
        metered,
        average,
        uncapped,
        applied,
        capped: uncapped.is_some_and(|factor| factor != applied),
        undefined: uncapped.is_none(),
    })
}
