//! Netting: whether use above the baseline in one interval takes from what another has earned.

use gridtally_protocol::quantity::{MilliwattHours, Overflow};
use serde::{Deserialize, Serialize};

/// How the differences of one event are netted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Netting {
    /// Each interval by itself: a rise earns nothing and takes nothing.
    Interval,
    /// Rises count against reductions of the same event; an event without a reduction counts nothing.
    Event,
    /// Every difference counts as it is: an event may come out below zero.
    None,
}

/// Why an interval is credited nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotCredited {
    /// Its difference is not known. Whatever it was, it neither earns nor takes.
    Unknown,
    /// There was no reduction in it.
    NotReduced,
    /// Over the whole event there was none.
    EventNotReduced,
}

/// What each interval of one event is credited. `deltas` are baseline − metered, in order; what is credited may be
/// below zero under [`Netting::Event`] and [`Netting::None`], the event's sum only under the latter.
///
/// # Errors
/// [`Overflow`] where the event's sum does not fit.
pub fn net(
    deltas: &[Option<MilliwattHours>],
    netting: Netting,
) -> Result<Vec<Result<MilliwattHours, NotCredited>>, Overflow> {
    let total = MilliwattHours::checked_sum(deltas.iter().copied().flatten())?;
    let credit = |delta: MilliwattHours| match netting {
        Netting::Interval if delta > MilliwattHours::ZERO => Ok(delta),
        Netting::Interval => Err(NotCredited::NotReduced),
        Netting::Event if total <= MilliwattHours::ZERO => Err(NotCredited::EventNotReduced),
        Netting::Event | Netting::None if delta == MilliwattHours::ZERO => Err(NotCredited::NotReduced),
        Netting::Event | Netting::None => Ok(delta),
    };
    let credited = deltas
        .iter()
        .map(|d| d.ok_or(NotCredited::Unknown).and_then(credit));
    Ok(credited.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(credited: &[Result<MilliwattHours, NotCredited>]) -> i64 {
        credited.iter().flatten().map(|c| c.get()).sum()
    }

    fn deltas(values: &[i64]) -> Vec<Option<MilliwattHours>> {
        values.iter().map(|v| Some(MilliwattHours::new(*v))).collect()
    }

    #[test]
    fn the_same_evening_is_worth_three_things() {
        let deltas = deltas(&[500, -200, 300, -700]);
        let credited = |netting| sum(&net(&deltas, netting).unwrap());
        assert_eq!(credited(Netting::Interval), 800);
        assert_eq!(credited(Netting::Event), 0);
        assert_eq!(credited(Netting::None), -100);
    }

    #[test]
    fn every_interval_without_credit_says_why() {
        let known = [Some(5), None, Some(0), Some(-9)].map(|d| d.map(MilliwattHours::new));
        let whys: Vec<_> = net(&known, Netting::Interval)
            .unwrap()
            .into_iter()
            .map(Result::err)
            .collect();
        let not_reduced = Some(NotCredited::NotReduced);
        assert_eq!(whys, [None, Some(NotCredited::Unknown), not_reduced, not_reduced]);
        let by_event = net(&known, Netting::Event).unwrap();
        assert_eq!(by_event[0], Err(NotCredited::EventNotReduced));
        assert_eq!(by_event[1], Err(NotCredited::Unknown));
    }

    proptest! {
        #[test]
        fn an_events_sum_is_clipped_where_the_rule_says(values in prop::collection::vec(-1_000_000..1_000_000_i64, 0..20)) {
            let deltas = deltas(&values);
            let total: i64 = values.iter().sum();
            let credited = |netting| sum(&net(&deltas, netting).unwrap());
            prop_assert_eq!(credited(Netting::None), total);
            prop_assert_eq!(credited(Netting::Event), total.max(0));
            prop_assert_eq!(credited(Netting::Interval), values.iter().map(|v| v.max(&0)).sum::<i64>());
        }
    }
}
