//! The golden values of `tests/goldens/`, to the exact fraction, through the library.

mod london;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};
use gridtally_settlement::rules::baseline::{
    AdjustmentKind, BaselineInterval, BaselineRule, EventCalendar, Explanation, Frame, Outcome, Series,
    Verdict, baseline,
};
use gridtally_settlement::rules::calendar::LocalSlot;
use gridtally_settlement::rules::exact::Ratio;
use serde::Deserialize;

#[derive(Deserialize)]
struct Presets {
    rules: BTreeMap<String, Preset>,
}

#[derive(Deserialize)]
struct Preset {
    preset: String,
}

/// The preset for each rule's short name.
fn presets() -> BTreeMap<String, BaselineRule> {
    let presets: Presets = serde_json::from_str(&london::golden("presets.json")).unwrap();
    let load = |(name, p): (String, Preset)| (name, BaselineRule::preset(&p.preset).unwrap());
    presets.rules.into_iter().map(load).collect()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// An exact number of milliwatt-hours as kWh.
fn kwh(mwh: Ratio) -> Ratio {
    mwh.checked_div(Ratio::whole(1_000_000)).unwrap()
}

/// As the golden files show numbers for reading: six places, half-even.
fn six_places(value: Ratio) -> String {
    let micro = value
        .checked_mul(Ratio::whole(1_000_000))
        .unwrap()
        .round_half_even()
        .unwrap();
    MilliwattHours::new(i64::try_from(micro).unwrap()).to_string()
}

fn shown(values: impl IntoIterator<Item = Ratio>) -> Vec<String> {
    values.into_iter().map(six_places).collect()
}

#[derive(Deserialize)]
struct London {
    cases: Vec<LondonCase>,
}

#[derive(Deserialize)]
struct LondonCase {
    rule: String,
    event: NaiveDate,
    days: Vec<NaiveDate>,
    factor: Option<String>,
    capped: bool,
    raw: Vec<String>,
    baseline: Vec<String>,
    delta_exact: Vec<Ratio>,
}

#[test]
fn every_golden_case_of_the_london_home_comes_out_to_the_exact_fraction() {
    let cases: London = serde_json::from_str(&london::golden("baselines-london.json")).unwrap();
    let presets = presets();
    let readings = london::readings();
    assert_eq!(cases.cases.len(), 40);
    for case in cases.cases {
        let name = format!("{} on {}", case.rule, case.event);
        let start: Timestamp = LocalSlot {
            day: case.event,
            second: 17 * 3600,
        }
        .instants(london::ZONE)[0]
            .unwrap();
        let calendar = EventCalendar {
            zone: london::ZONE,
            length: IntervalLength::HALF_HOUR,
            start,
            end: start.checked_add(7200).unwrap(),
            notified: None,
            holidays: london::HOLIDAYS.into_iter().map(date).collect(),
            event_days: london::EVENT_DAYS.into_iter().map(date).collect(),
        };
        let frame = Frame::new(&presets[&case.rule], &calendar).unwrap();
        let series = Series::with_parts(&frame, london::PARTS, readings.iter().copied()).unwrap();
        let outcome = baseline(&frame, &series, &BTreeSet::new()).unwrap();
        let explanation = outcome
            .explanation()
            .unwrap_or_else(|| panic!("{name}: {outcome:?}"));
        assert_eq!(explanation.chosen_days(), case.days, "{name}");
        let applied = explanation.adjustment.as_ref().map(|a| match a.kind {
            AdjustmentKind::Ratio => a.applied,
            AdjustmentKind::Additive => kwh(a.applied),
        });
        assert_eq!(applied.map(six_places), case.factor, "{name}");
        assert_eq!(
            explanation.adjustment.as_ref().is_some_and(|a| a.capped),
            case.capped,
            "{name}"
        );
        assert_eq!(
            shown(explanation.intervals.iter().map(|i| kwh(i.raw))),
            case.raw,
            "{name}"
        );
        assert_eq!(
            shown(explanation.intervals.iter().map(|i| kwh(i.exact))),
            case.baseline,
            "{name}"
        );
        let metered: BTreeMap<_, _> = readings.iter().map(|(i, v)| (i.start(), *v)).collect();
        let delta = |i: &BaselineInterval| {
            let actual = Ratio::new(metered[&i.start].into(), london::PARTS.into()).unwrap();
            kwh(i.exact.checked_sub(actual).unwrap())
        };
        let deltas: Vec<_> = explanation.intervals.iter().map(delta).collect();
        assert_eq!(deltas, case.delta_exact, "{name}");
    }
}

#[derive(Deserialize)]
struct ByHand {
    cases: BTreeMap<String, BTreeMap<String, HandCase>>,
}

#[derive(Deserialize)]
struct HandCase {
    days: Vec<NaiveDate>,
    raw: String,
    adj: Option<String>,
    capped: bool,
    baseline: String,
    delta_kwh: String,
}

fn one_hour() -> IntervalLength {
    IntervalLength::from_seconds(3600).unwrap()
}

/// The neighbourhood of the hand-worked cases: see `about` in the golden file.
struct Hand {
    /// kWh an hour in the event's hours, newest eligible day first, in tenths.
    tenths: Vec<i64>,
    /// kWh an hour on the event day outside of the event, in tenths.
    p: i64,
    event_days: BTreeSet<NaiveDate>,
    holidays: BTreeSet<NaiveDate>,
}

impl Hand {
    fn of(name: &str) -> Self {
        let tenths = vec![10, 12, 8, 15, 11, 9, 13, 7, 14, 10];
        let mut hand = Self {
            tenths,
            p: 12,
            event_days: BTreeSet::new(),
            holidays: BTreeSet::new(),
        };
        match name.chars().next().unwrap() {
            'A' => {}
            'B' => hand.p = 20,
            'C' => {
                hand.event_days.insert(date("2026-07-14"));
                hand.holidays.insert(date("2026-07-03"));
            }
            'D' => {
                hand.tenths.insert(1, 1);
                hand.tenths.push(12);
            }
            other => panic!("no case {other}"),
        }
        hand
    }

    fn readings(&self) -> Vec<(Interval, MilliwattHours)> {
        let event_day = date("2026-07-17");
        let mut tenths = self.tenths.iter();
        let mut readings = Vec::new();
        for back in 0..100 {
            let day = event_day - chrono::TimeDelta::days(back);
            let like = chrono::Datelike::weekday(&day).number_from_monday() <= 5
                && !self.holidays.contains(&day)
                && !self.event_days.contains(&day);
            let in_event = if back == 0 {
                5
            } else if like {
                tenths.next().copied().unwrap_or(10)
            } else {
                990
            };
            let outside = if back == 0 {
                self.p
            } else if like {
                10
            } else {
                990
            };
            for hour in 0..24_u32 {
                let start = day.and_hms_opt(hour, 0, 0).unwrap().and_utc().timestamp();
                let interval = Interval::new(Timestamp::from_unix(start).unwrap(), one_hour()).unwrap();
                let value = if (17..19).contains(&hour) {
                    in_event
                } else {
                    outside
                };
                readings.push((interval, MilliwattHours::new(value * 100_000)));
            }
        }
        readings
    }

    fn explain(&self, rule: &BaselineRule) -> Explanation {
        let calendar = EventCalendar {
            zone: chrono_tz::UTC,
            length: one_hour(),
            start: "2026-07-17T17:00:00Z".parse().unwrap(),
            end: "2026-07-17T19:00:00Z".parse().unwrap(),
            notified: None,
            holidays: self.holidays.clone(),
            event_days: self.event_days.clone(),
        };
        let frame = Frame::new(rule, &calendar).unwrap();
        let series = Series::new(&frame, self.readings()).unwrap();
        match baseline(&frame, &series, &BTreeSet::new()).unwrap() {
            Outcome::Baseline(explanation) => explanation,
            Outcome::NoBaseline(none) => panic!("{none:?}"),
        }
    }
}

#[test]
fn every_hand_worked_golden_case_comes_out() {
    let cases: ByHand = serde_json::from_str(&london::golden("baselines-by-hand.json")).unwrap();
    let presets = presets();
    for (name, rules) in &cases.cases {
        let hand = Hand::of(name);
        for (rule, case) in rules {
            let explanation = hand.explain(&presets[rule]);
            let name = format!("{name}: {rule}");
            assert_eq!(explanation.chosen_days(), case.days, "{name}");
            for interval in &explanation.intervals {
                assert_eq!(six_places(kwh(interval.raw)), case.raw, "{name}");
                assert_eq!(six_places(kwh(interval.exact)), case.baseline, "{name}");
            }
            let delta: i64 = explanation
                .intervals
                .iter()
                .map(|i| i.rounded.get() - 500_000)
                .sum();
            assert_eq!(MilliwattHours::new(delta).to_string(), case.delta_kwh, "{name}");
            let applied = explanation.adjustment.as_ref().map(|a| match a.kind {
                AdjustmentKind::Ratio => six_places(a.applied),
                AdjustmentKind::Additive => six_places(kwh(a.applied)),
            });
            assert_eq!(applied, case.adj, "{name}");
            assert_eq!(
                explanation.adjustment.as_ref().is_some_and(|a| a.capped),
                case.capped,
                "{name}"
            );
        }
    }
}

#[test]
fn each_day_that_was_not_taken_says_why() {
    let presets = presets();
    let mut hand = Hand::of("C");
    let of = |explanation: &Explanation, day: &str| {
        explanation
            .candidates
            .iter()
            .find(|c| c.date == date(day))
            .unwrap()
            .verdict
    };
    let explanation = hand.explain(&presets["caiso_10_10"]);
    assert_eq!(of(&explanation, "2026-07-14"), Verdict::EventDay);
    assert_eq!(of(&explanation, "2026-07-12"), Verdict::OtherDayType);
    assert_eq!(of(&explanation, "2026-07-03"), Verdict::OtherDayType);
    assert_eq!(of(&explanation, "2026-07-16"), Verdict::Chosen);
    hand = Hand::of("D");
    let explanation = hand.explain(&presets["nyiso_5_10"]);
    assert_eq!(of(&explanation, "2026-07-15"), Verdict::LowUse);
    assert_eq!(of(&explanation, "2026-07-16"), Verdict::NotAmongHighest);
    let explanation = hand.explain(&presets["ercot_mid8_10"]);
    assert_eq!(of(&explanation, "2026-07-15"), Verdict::LowestTotal);
}
