//! A device's own clock, and what faults make of it.

use crate::fault::{Active, Fault};

pub(crate) const SECONDS_PER_DAY: i64 = 86_400;

/// What the clock says at an instant, both in Unix seconds.
pub(crate) fn reading(active: &[Active], now: i64) -> i64 {
    active.iter().fold(now, |clock, active| match active.fault {
        Fault::ClockSteps { seconds } => clock.saturating_add(seconds),
        Fault::ClockDrifts { seconds } => {
            clock.saturating_add((now - active.since).saturating_mul(seconds) / SECONDS_PER_DAY)
        }
        _ => clock,
    })
}

/// The instant of the clock's next midnight. Where the clock gains, an instant before it, so that who
/// asks there again is led to its very second.
pub(crate) fn midnight(active: &[Active], now: i64) -> i64 {
    let gains = active.iter().fold(0, |gains, active| match active.fault {
        Fault::ClockDrifts { seconds } => gains.max(seconds),
        _ => gains,
    });
    let left = SECONDS_PER_DAY - reading(active, now).rem_euclid(SECONDS_PER_DAY);
    if gains == 0 {
        return now + left;
    }
    let before = (left - 1).saturating_mul(SECONDS_PER_DAY) / SECONDS_PER_DAY.saturating_add(gains);
    now + before.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn midnights_lead_to_the_first_second_of_the_clocks_next_day(
            now in 0_i64..4_000_000_000, ago in 0_i64..1_000_000,
            drift in -40_000_i64..200_000, step in -200_000_i64..200_000,
        ) {
            let since = now - ago;
            let active = [Fault::ClockDrifts { seconds: drift }, Fault::ClockSteps { seconds: step }]
                .map(|fault| Active { fault, since });
            let day = |instant| reading(&active, instant).div_euclid(SECONDS_PER_DAY);
            let mut instant = now;
            for _ in 0..10_000 {
                instant = midnight(&active, instant);
                if day(instant) != day(now) {
                    break;
                }
            }
            prop_assert_eq!(day(instant), day(now) + 1);
            prop_assert_eq!(day(instant - 1), day(now), "not a second late");
        }
    }
}
