//! Laws that hold for every rule that compares a site with itself, on random readings.

mod hourly;

use chrono::NaiveDate;
use gridtally_settlement::rules::baseline::{
    AdjustmentKind, BaselineRule, EventCalendar, Frame, Method, PRESETS, SiteData, Worked, work_out,
};
use gridtally_settlement::rules::exact::Ratio;
use hourly::{at, calendar, readings, series};
use proptest::prelude::*;

const HOURS: usize = 40 * 24;
/// Of the event, Friday 2026-07-17, 17:00 to 19:00, counted from [`FIRST_DAY`].
const EVENT: core::ops::Range<usize> = 39 * 24 + 17..39 * 24 + 19;
const FIRST_DAY: &str = "2026-06-08T00:00:00Z";

fn friday() -> EventCalendar {
    let mut event = calendar(chrono_tz::UTC, "2026-07-17T17:00:00Z", "2026-07-17T19:00:00Z");
    event.notified = Some(at("2026-07-17T13:00:00Z"));
    event
}

fn rules() -> impl Strategy<Value = BaselineRule> {
    let rules: Vec<_> = PRESETS
        .iter()
        .map(|(name, _)| BaselineRule::preset(name).unwrap())
        .collect();
    prop::sample::select(
        rules
            .into_iter()
            .filter(|rule| rule.needs().is_empty())
            .collect::<Vec<_>>(),
    )
}

fn hours() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-2_000_000_i64..5_000_000, HOURS)
}

fn with<T>(rule: &BaselineRule, values: &[i64], look: impl FnOnce(&Frame, &Worked<'_>) -> T) -> T {
    let frame = Frame::new(rule, &friday()).unwrap();
    let own = series(&frame, &readings(FIRST_DAY, values.iter().copied()));
    let outages = std::collections::BTreeSet::new();
    let worked = work_out(&frame, &SiteData::new(&own, &outages)).unwrap();
    look(&frame, &worked)
}

fn mean(values: &[Ratio]) -> Ratio {
    let count = Ratio::whole(i128::try_from(values.len()).unwrap());
    Ratio::checked_sum(values.iter().copied())
        .unwrap()
        .checked_div(count)
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_used_during_the_event_changes_nothing(rule in rules(), values in hours(), other in -9_000_000_i64..9_000_000) {
        let mut changed = values.clone();
        changed[EVENT].fill(other);
        let (before, after) = (
            with(&rule, &values, |_, worked| worked.outcome.clone()),
            with(&rule, &changed, |_, worked| worked.outcome.clone()),
        );
        prop_assert_eq!(before, after);
    }

    #[test]
    fn where_all_days_are_equal_the_baseline_is_that_day(rule in rules(), day in prop::collection::vec(1_i64..5_000_000, 24)) {
        prop_assume!(rule.method == Method::DayMatching);
        let values: Vec<_> = day.iter().copied().cycle().take(HOURS).collect();
        with(&rule, &values, |_, worked| {
            let Some(explanation) = worked.outcome.explanation() else {
                return; // a rule that speaks of other days
            };
            for (hour, interval) in (17..).zip(&explanation.intervals) {
                assert_eq!(interval.exact, Ratio::whole(day[hour].into()), "{} {}", rule.id, interval.clock);
            }
        });
    }

    #[test]
    fn the_explanation_adds_up_to_the_value(rule in rules(), values in hours()) {
        prop_assume!(rule.method == Method::DayMatching);
        with(&rule, &values, |frame, worked| {
            let Some(explanation) = worked.outcome.explanation() else { return };
            let of = |date: &NaiveDate| worked.readings(frame, *date).unwrap().unwrap();
            let chosen = explanation.chosen_days();
            let days: Vec<_> = chosen.iter().map(of).collect();
            let weights: Vec<_> = chosen
                .iter()
                .filter_map(|day| explanation.candidates.iter().find(|c| c.date == *day)?.weight)
                .collect();
            let averages = |pick: fn(&gridtally_settlement::rules::baseline::CandidateReadings) -> &Vec<Vec<Ratio>>, i: usize| {
                if weights.is_empty() {
                    let values: Vec<_> = days.iter().flat_map(|d| pick(d)[i].iter().copied()).collect();
                    return mean(&values);
                }
                assert_eq!(weights.len(), days.len(), "each day chosen has its weight");
                let parts = days.iter().zip(&weights);
                let parts = parts.map(|(d, weight)| mean(&pick(d)[i]).checked_mul(*weight).unwrap());
                let all = Ratio::checked_sum(weights.iter().copied()).unwrap();
                Ratio::checked_sum(parts).unwrap().checked_div(all).unwrap()
            };
            let windows = worked.windows(frame);
            for (i, window) in windows.iter().enumerate() {
                assert_eq!(window.average, Some(averages(|d| &d.windows, i)));
            }
            let adjustment = explanation.adjustment.as_ref();
            if let Some(a) = adjustment {
                let metered = Ratio::checked_sum(windows.iter().map(|w| w.metered)).unwrap();
                let average = Ratio::checked_sum(windows.iter().filter_map(|w| w.average)).unwrap();
                assert_eq!((metered, average), (a.metered, a.average));
                assert_eq!(a.capped, a.uncapped.is_some_and(|u| u != a.applied));
                assert_eq!(a.undefined, a.uncapped.is_none());
            }
            for (i, interval) in explanation.intervals.iter().enumerate() {
                assert_eq!(interval.raw, averages(|d| &d.event, i));
                let exact = match adjustment {
                    None => interval.raw,
                    Some(a) if a.kind == AdjustmentKind::Ratio => interval.raw.checked_mul(a.applied).unwrap(),
                    Some(a) => interval.raw.checked_add(a.applied).unwrap(),
                };
                assert_eq!(interval.exact, exact);
                assert_eq!(i128::from(interval.rounded.get()), exact.round_half_even().unwrap());
            }
        });
    }
}
