//! The laws of baselines and statements, on random neighbourhoods, and the two days on which clocks change.

mod neighbourhood;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use chrono_tz::Tz;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};
use gridtally_settlement::rules::baseline::{
    BaselineRule, EventCalendar, Explanation, Frame, Lack, Outcome, PRESETS, Series, SeriesError, Verdict,
    baseline,
};
use gridtally_settlement::rules::exact::{ArithmeticError, Ratio};
use gridtally_settlement::rules::statement::{
    Earlier, Metered, MissingReason, Occasion, Participation, Reason, SettleError, SiteStatus, Statement,
    settle,
};
use num_bigint::BigInt;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn hourly() -> IntervalLength {
    IntervalLength::from_seconds(3600).unwrap()
}

fn calendar(zone: Tz, start: &str, end: &str) -> EventCalendar {
    EventCalendar {
        zone,
        length: hourly(),
        start: at(start),
        end: at(end),
        notified: None,
        holidays: BTreeSet::new(),
        event_days: BTreeSet::new(),
    }
}

/// Hourly readings from `from` on, as many as there are values.
fn readings(from: &str, values: impl IntoIterator<Item = i64>) -> Vec<(Interval, MilliwattHours)> {
    let start = |i: i64| at(from).checked_add(i * 3600).unwrap();
    (0..)
        .zip(values)
        .map(|(i, v)| (Interval::new(start(i), hourly()).unwrap(), MilliwattHours::new(v)))
        .collect()
}

fn explain(outcome: &Outcome) -> &Explanation {
    outcome.explanation().unwrap_or_else(|| panic!("{outcome:?}"))
}

/// Takes a single day.
fn one_day(rule: &mut BaselineRule) {
    for day_type in &mut rule.day_types {
        let count = &mut day_type.count;
        (count.look_for, count.keep, count.minimum) = (1, 1, 1);
    }
}

fn unadjusted(look_for: u32, minimum: u32) -> BaselineRule {
    let mut rule = BaselineRule::preset("unadj_10_10").unwrap();
    for day_type in &mut rule.day_types {
        let count = &mut day_type.count;
        (count.look_for, count.keep, count.minimum) = (look_for, look_for, minimum);
    }
    rule
}

// A Sunday event at 01:00 in London; the Sundays before it are compared. The clock goes forward on 2026-03-29
// at 01:00 (that hour does not exist) and back on 2026-10-25 at 02:00 (01:00 exists twice).

#[test]
fn the_day_with_23_hours_is_complete_and_counts_one_value_fewer() {
    let rule = unadjusted(4, 4);
    // Saturday 2026-04-04, 01:00 to 03:00 in summer time. The days before: Sunday 03-29 with 23 hours,
    // Saturday 03-28, Sunday 03-22, Saturday 03-21.
    let frame = Frame::new(
        &rule,
        &calendar(
            chrono_tz::Europe::London,
            "2026-04-04T00:00:00Z",
            "2026-04-04T02:00:00Z",
        ),
    )
    .unwrap();
    // Every hour since 2026-03-21T00:00Z carries its own number, so that what was taken can be told.
    let series = Series::new(&frame, readings("2026-03-21T00:00:00Z", 0..500)).unwrap();
    let outcome = baseline(&frame, &series, &BTreeSet::new()).unwrap();
    let explanation = explain(&outcome);
    let days = ["2026-03-21", "2026-03-22", "2026-03-28", "2026-03-29"].map(date);
    assert_eq!(explanation.chosen_days(), days);
    let [one, two] = explanation.intervals.as_slice() else {
        panic!("two intervals")
    };
    // 01:00 local is hour 1 of 03-21 (1), 03-22 (25), 03-28 (169); it does not exist on 03-29.
    assert_eq!((one.clock.as_str(), one.readings), ("01:00", 3));
    assert_eq!(one.raw, Ratio::new(1 + 25 + 169, 3).unwrap());
    // 02:00 local: 2, 26, 170, and on 03-29 it is 01:00Z, hour 193.
    assert_eq!((two.clock.as_str(), two.readings), ("02:00", 4));
    assert_eq!(two.raw, Ratio::new(2 + 26 + 170 + 193, 4).unwrap());
}

#[test]
fn the_day_with_25_hours_counts_both_readings_of_the_repeated_hour() {
    let rule = unadjusted(2, 2);
    // Saturday 2026-10-31, 01:00 to 03:00 in winter time. Before: Sunday 10-25 with 25 hours, Saturday 10-24.
    let frame = Frame::new(
        &rule,
        &calendar(
            chrono_tz::Europe::London,
            "2026-10-31T01:00:00Z",
            "2026-10-31T03:00:00Z",
        ),
    )
    .unwrap();
    // Saturday 10-24 begins at 2026-10-23T23:00Z, Sunday 10-25 24 hours later.
    let series = Series::new(&frame, readings("2026-10-23T23:00:00Z", 0..200)).unwrap();
    let outcome = baseline(&frame, &series, &BTreeSet::new()).unwrap();
    let explanation = explain(&outcome);
    let [one, two] = explanation.intervals.as_slice() else {
        panic!("two intervals")
    };
    // 01:00 is hour 1 of Saturday, and on Sunday hours 25 and 26.
    assert_eq!((one.readings, one.raw), (3, Ratio::new(1 + 25 + 26, 3).unwrap()));
    // 02:00 is hour 2 of Saturday, and on Sunday hour 27.
    assert_eq!((two.readings, two.raw), (2, Ratio::new(2 + 27, 2).unwrap()));
}

#[test]
fn a_missing_hour_of_the_25_makes_the_day_incomplete() {
    let frame = Frame::new(
        &unadjusted(2, 1),
        &calendar(
            chrono_tz::Europe::London,
            "2026-10-31T01:00:00Z",
            "2026-10-31T03:00:00Z",
        ),
    )
    .unwrap();
    let second_one_o_clock = at("2026-10-25T01:00:00Z");
    let known = readings("2026-10-23T23:00:00Z", 0..200);
    let known = known.into_iter().filter(|(i, _)| i.start() != second_one_o_clock);
    let outcome = baseline(&frame, &Series::new(&frame, known).unwrap(), &BTreeSet::new()).unwrap();
    assert_eq!(explain(&outcome).chosen_days(), [date("2026-10-24")]);
    let sunday = explain(&outcome)
        .candidates
        .iter()
        .find(|c| c.date == date("2026-10-25"))
        .unwrap();
    assert_eq!(sunday.verdict, Verdict::Incomplete { missing: 1 });
}

#[test]
fn an_event_in_the_repeated_hour_compares_both_hours_with_the_same_time_of_the_clock() {
    // Sunday 2026-10-25, 01:00 summer time to 02:00 winter time: two hours that the clock both calls 01:00.
    let frame = Frame::new(
        &unadjusted(1, 1),
        &calendar(
            chrono_tz::Europe::London,
            "2026-10-25T00:00:00Z",
            "2026-10-25T02:00:00Z",
        ),
    )
    .unwrap();
    let series = Series::new(&frame, readings("2026-10-23T23:00:00Z", 0..60)).unwrap();
    let outcome = baseline(&frame, &series, &BTreeSet::new()).unwrap();
    let rounded: Vec<_> = explain(&outcome)
        .intervals
        .iter()
        .map(|i| (i.clock.as_str(), i.rounded.get()))
        .collect();
    assert_eq!(rounded, [("01:00", 1), ("01:00", 1)]);
}

#[test]
fn hours_are_those_of_the_clock_also_when_it_changed_in_between() {
    // Los Angeles, 17:00 local: 00:00Z the next day in summer time, 01:00Z in winter time. Clocks went back on
    // Sunday 2026-11-01; the event is on Monday 11-02, the weekdays before are in summer time.
    let frame = Frame::new(
        &unadjusted(2, 2),
        &calendar(
            chrono_tz::America::Los_Angeles,
            "2026-11-03T01:00:00Z",
            "2026-11-03T02:00:00Z",
        ),
    )
    .unwrap();
    // Thursday 10-29 begins at 07:00Z.
    let series = Series::new(&frame, readings("2026-10-29T07:00:00Z", 0..200)).unwrap();
    let outcome = baseline(&frame, &series, &BTreeSet::new()).unwrap();
    assert_eq!(
        explain(&outcome).chosen_days(),
        [date("2026-10-29"), date("2026-10-30")]
    );
    assert_eq!(
        explain(&outcome).intervals[0].raw,
        Ratio::new(17 + 41, 2).unwrap()
    );
}

#[test]
fn a_window_that_crosses_midnight_reads_the_evening_before() {
    let mut rule = BaselineRule::preset("miso_style_10_10").unwrap();
    one_day(&mut rule);
    // Friday 2026-07-17 01:00 to 02:00; the window is 22:00 to 01:00.
    let frame = Frame::new(
        &rule,
        &calendar(chrono_tz::UTC, "2026-07-17T01:00:00Z", "2026-07-17T02:00:00Z"),
    )
    .unwrap();
    let values = (0..72).map(|hour| if hour < 48 { 100 } else { 110 });
    let series = Series::new(&frame, readings("2026-07-15T00:00:00Z", values)).unwrap();
    let outcome = baseline(&frame, &series, &BTreeSet::new()).unwrap();
    let applied = explain(&outcome).adjustment.as_ref().unwrap();
    // Thursday 22:00 and 23:00 carry 100, Friday 00:00 carries 110; on the day compared it is 3 × 100.
    assert_eq!(
        (applied.metered, applied.average),
        (Ratio::whole(310), Ratio::whole(300))
    );
    assert_eq!(explain(&outcome).chosen_days(), [date("2026-07-16")]);
}

#[test]
fn a_home_that_exports_in_the_window_gets_no_factor_and_it_says_so() {
    let mut rule = BaselineRule::preset("caiso_style_10_10").unwrap();
    one_day(&mut rule);
    let frame = Frame::new(
        &rule,
        &calendar(chrono_tz::UTC, "2026-07-17T17:00:00Z", "2026-07-17T18:00:00Z"),
    )
    .unwrap();
    for sun in [-500, 0] {
        let values = (0..48).map(|hour| if (13..16).contains(&(hour % 24)) { sun } else { 700 });
        let series = Series::new(&frame, readings("2026-07-16T00:00:00Z", values)).unwrap();
        let outcome = baseline(&frame, &series, &BTreeSet::new()).unwrap();
        let applied = explain(&outcome).adjustment.as_ref().unwrap();
        assert_eq!(
            (applied.applied, applied.undefined, applied.capped),
            (Ratio::ONE, true, false)
        );
        assert_eq!(explain(&outcome).intervals[0].rounded.get(), 700);
    }
}

#[test]
fn without_the_window_of_the_event_day_there_is_no_baseline() {
    let mut rule = BaselineRule::preset("caiso_style_10_10").unwrap();
    one_day(&mut rule);
    let frame = Frame::new(
        &rule,
        &calendar(chrono_tz::UTC, "2026-07-17T17:00:00Z", "2026-07-17T18:00:00Z"),
    )
    .unwrap();
    // Until 14:00 of the event day: one of the window's three hours is known.
    let series = Series::new(&frame, readings("2026-07-16T00:00:00Z", vec![5; 38])).unwrap();
    let Outcome::NoBaseline(none) = baseline(&frame, &series, &BTreeSet::new()).unwrap() else {
        panic!()
    };
    assert_eq!(
        (none.lacking, none.found, none.needed),
        (Lack::WindowReadings, 1, 3)
    );
}

#[test]
fn two_values_for_one_interval_are_refused_and_the_same_twice_is_one() {
    let frame = Frame::new(
        &unadjusted(1, 1),
        &calendar(chrono_tz::UTC, "2026-07-17T17:00:00Z", "2026-07-17T18:00:00Z"),
    )
    .unwrap();
    let mut twice = readings("2026-07-16T00:00:00Z", [5, 6]);
    twice.extend(twice.clone());
    assert!(Series::new(&frame, twice.clone()).is_ok());
    twice.extend(readings("2026-07-16T01:00:00Z", [7]));
    assert_eq!(
        Series::new(&frame, twice),
        Err(SeriesError::Conflict {
            start: at("2026-07-16T01:00:00Z")
        })
    );
}

#[test]
fn absurd_readings_are_an_overflow_and_never_a_wrong_number() {
    // The average in the event's hours and the day's difference both fill 64 bits; their sum does not fit.
    let rule = BaselineRule::preset("dfs_style_bl01").unwrap();
    let frame = friday_evening(&rule);
    let values = (0..25 * 24).map(|hour| match hour % 24 {
        17 | 18 => i64::MAX,
        13..=15 if hour / 24 == 24 => i64::MAX,
        _ => 0,
    });
    let series = Series::new(&frame, readings(FIRST_DAY, values)).unwrap();
    let overflow = baseline(&frame, &series, &BTreeSet::new()).unwrap_err();
    assert_eq!(
        overflow,
        ArithmeticError::Overflow {
            operation: "baseline"
        }
    );
}

/// A rule, and values for the hours of 25 days up to the event's.
fn rule_and_values() -> impl Strategy<Value = (BaselineRule, Vec<i64>)> {
    let rules: Vec<_> = PRESETS
        .iter()
        .map(|(name, _)| BaselineRule::preset(name).unwrap())
        .collect();
    let alone = rules
        .into_iter()
        .filter(|rule| rule.needs().is_empty())
        .collect::<Vec<_>>();
    let rule = prop::sample::select(alone);
    (rule, prop::collection::vec(-2_000_000_i64..5_000_000, 25 * 24))
}

fn friday_evening(rule: &BaselineRule) -> Frame {
    let mut event = calendar(chrono_tz::UTC, "2026-07-17T17:00:00Z", "2026-07-17T19:00:00Z");
    event.notified = Some(at("2026-07-17T12:30:00Z"));
    Frame::new(rule, &event).unwrap()
}

const FIRST_DAY: &str = "2026-06-23T00:00:00Z";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn scaling_all_readings_scales_the_baseline((rule, values) in rule_and_values(), factor in 1_i64..1000) {
        let frame = friday_evening(&rule);
        let of = |factor: i64| {
            let scaled = values.iter().map(|v| v * factor);
            baseline(&frame, &Series::new(&frame, readings(FIRST_DAY, scaled)).unwrap(), &BTreeSet::new()).unwrap()
        };
        let (one, many) = (of(1), of(factor));
        match (one.explanation(), many.explanation()) {
            (Some(one), Some(many)) => {
                prop_assert_eq!(&one.candidates, &many.candidates);
                for (a, b) in one.intervals.iter().zip(&many.intervals) {
                    prop_assert_eq!(a.exact.checked_mul(Ratio::whole(factor.into())).unwrap(), b.exact);
                }
            }
            (one, many) => prop_assert_eq!(one, many),
        }
    }

    #[test]
    fn an_ineligible_day_changes_nothing((rule, values) in rule_and_values(), other in any::<i32>(), day in 0..24_usize) {
        let frame = friday_evening(&rule);
        let outage = date("2026-06-23") + chrono::TimeDelta::days(i64::try_from(day).unwrap());
        let outages = BTreeSet::from([outage]);
        let of = |value: Option<i64>| {
            let mut values = values.clone();
            if let Some(value) = value {
                values[day * 24..(day + 1) * 24].fill(value);
            }
            baseline(&frame, &Series::new(&frame, readings(FIRST_DAY, values)).unwrap(), &outages).unwrap()
        };
        prop_assert_eq!(of(None), of(Some(other.into())));
    }

    #[test]
    fn the_order_of_readings_never_matters((rule, values) in rule_and_values(), seed in any::<u64>()) {
        let frame = friday_evening(&rule);
        let mut shuffled = readings(FIRST_DAY, values);
        let of = |r: &[(Interval, MilliwattHours)]| {
            baseline(&frame, &Series::new(&frame, r.iter().copied()).unwrap(), &BTreeSet::new()).unwrap()
        };
        let sorted = of(&shuffled);
        neighbourhood::shuffle(&mut shuffled, seed);
        prop_assert_eq!(sorted, of(&shuffled));
    }

    #[test]
    fn the_order_of_a_settlements_inputs_never_matters(seed in any::<u64>(), order in any::<u64>()) {
        let mut inputs = neighbourhood::random(seed);
        let statement = settle(&inputs).unwrap();
        neighbourhood::shuffle(&mut inputs.sites, order);
        neighbourhood::shuffle(&mut inputs.event_days, order);
        for site in &mut inputs.sites {
            neighbourhood::shuffle(&mut site.readings, order);
            neighbourhood::shuffle(&mut site.outage_days, order);
        }
        let again = settle(&inputs).unwrap();
        prop_assert_eq!(statement.hash(), again.hash());
        prop_assert_eq!(statement.to_bytes(), again.to_bytes());
    }

    #[test]
    fn a_statement_adds_up(seed in any::<u64>()) {
        let statement = settle(&neighbourhood::random(seed)).unwrap();
        for site in &statement.sites {
            let amounts = TokenAmount::checked_sum(site.lines.iter().map(|l| l.amount));
            prop_assert_eq!(amounts, Ok(site.totals.amount));
            let credited = MilliwattHours::checked_sum(site.lines.iter().map(|l| l.credited));
            prop_assert_eq!(credited, Ok(site.totals.credited));
        }
        let amounts = TokenAmount::checked_sum(statement.sites.iter().map(|s| s.totals.amount)).unwrap();
        prop_assert_eq!(amounts, statement.totals.amount);
        prop_assert_eq!(amounts.checked_add(statement.rounding.posted), Ok(statement.escrow_debit));
    }

    #[test]
    fn what_the_escrow_pays_and_carries_is_the_exact_price_of_what_was_credited(seed in any::<u64>()) {
        let statement = settle(&neighbourhood::random(seed)).unwrap();
        let lines = statement.sites.iter().flat_map(|s| &s.lines);
        let credited: BigInt = lines.map(|l| BigInt::from(l.credited.get())).sum();
        let exact = credited * BigInt::from(statement.program.price_per_kwh.unwrap().base_units());
        let rounding = statement.rounding;
        let paid = BigInt::from(statement.escrow_debit.base_units()) * 1_000_000;
        prop_assert_eq!(exact + rounding.carry_in, paid + rounding.carry_out);
        prop_assert!((0..1_000_000).contains(&rounding.carry_out));
    }

    #[test]
    fn statements_that_correct_each_other_come_to_what_the_last_one_says(
        seed in any::<u64>(), changes in any::<u64>(), materiality in prop_oneof![Just(0_i128), 1..10_000_000_i128]
    ) {
        let mut inputs = neighbourhood::random(seed);
        let carry_in = inputs.carry_in;
        let materiality = TokenAmount::new(materiality).unwrap();
        let mut last = settle(&inputs).unwrap();
        let mut debits = last.escrow_debit;
        let mut moved: BTreeMap<_, TokenAmount> = BTreeMap::new();
        let add = |moved: &mut BTreeMap<_, TokenAmount>, statement: &Statement| {
            for (who, amount) in statement.movements().unwrap() {
                let sum = moved.entry(who.clone()).or_default();
                *sum = sum.checked_add(amount).unwrap();
            }
        };
        add(&mut moved, &last);
        for version in 1..4 {
            neighbourhood::come_to_light(&mut inputs, changes ^ u64::from(version));
            inputs.carry_in = last.rounding.carry_out;
            let earlier = Earlier {
                statement: &last,
                version,
                hash: Digest::of(&last.to_bytes()),
                occasion: &Occasion::Calendar { after_days: version },
                pool_carry: TokenAmount::ZERO,
            };
            let next = settle(&inputs).unwrap().correcting(&earlier, materiality).unwrap();
            let resettled = next.resettled.as_ref().unwrap();
            for site in &resettled.sites {
                prop_assert_eq!(site.after.amount.checked_sub(site.before.amount), Ok(site.difference));
                prop_assert_eq!(site.settled, site.difference.base_units().abs() >= materiality.base_units());
            }
            debits = debits.checked_add(next.escrow_debit).unwrap();
            add(&mut moved, &next);
            prop_assert_eq!(&Statement::from_bytes(&next.to_bytes()).unwrap(), &next);
            last = next;
        }
        let mut kept: BTreeMap<_, TokenAmount> = BTreeMap::new();
        let mut exact = BigInt::from(0);
        for (who, paid) in last.paid().into_values() {
            let sum = kept.entry(who.clone()).or_default();
            *sum = sum.checked_add(paid.amount).unwrap();
            exact += BigInt::from(paid.amount.base_units()) * 1_000_000 + paid.remainder;
        }
        kept.retain(|_, amount| *amount != TokenAmount::ZERO);
        moved.retain(|_, amount| *amount != TokenAmount::ZERO);
        prop_assert_eq!(moved, kept);
        let paid = BigInt::from(debits.base_units()) * 1_000_000;
        prop_assert_eq!(exact.clone() + carry_in, paid + last.rounding.carry_out);
        if materiality == TokenAmount::ZERO {
            let credited: BigInt = last.sites.iter().flat_map(|s| &s.lines).map(|l| BigInt::from(l.credited.get())).sum();
            prop_assert_eq!(exact, credited * BigInt::from(last.program.price_per_kwh.unwrap().base_units()));
        }
    }

    #[test]
    fn every_zero_has_a_reason_and_nothing_else_has(seed in any::<u64>()) {
        let statement = settle(&neighbourhood::random(seed)).unwrap();
        for line in statement.sites.iter().flat_map(|s| &s.lines) {
            prop_assert_eq!(line.amount == TokenAmount::ZERO, line.reason.is_some());
            prop_assert_eq!(line.metered.is_none(), line.missing.is_some());
            prop_assert!(line.amount >= TokenAmount::ZERO);
        }
    }

    #[test]
    fn a_statement_reads_back_to_the_same_bytes(seed in any::<u64>()) {
        let statement = settle(&neighbourhood::random(seed)).unwrap();
        let bytes = statement.to_bytes();
        let read = Statement::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&read, &statement);
        prop_assert_eq!(read.to_bytes(), bytes);
    }
}

#[test]
fn each_site_that_earns_nothing_says_why() {
    let mut inputs = neighbourhood::steady(5);
    let event = inputs.event.start;
    let metered =
        |inputs: &mut gridtally_settlement::rules::statement::SettlementInputs, site: usize, net| {
            let reading = inputs.sites[site]
                .readings
                .iter_mut()
                .find(|r| r.interval.start() == event)
                .unwrap();
            reading.net = net;
        };
    inputs.sites[0].participation = Participation::OptedOut {
        reason: "guests".to_owned(),
    };
    inputs.sites[1].participation = Participation::NoAnswer;
    inputs.sites[2].readings.retain(|r| r.interval.start() >= event);
    metered(&mut inputs, 3, Metered::Missing(MissingReason::Equivocation));
    inputs.sites[4].readings.retain(|r| r.interval.start() != event);
    let statement = settle(&inputs).unwrap();
    let found: Vec<_> = statement
        .sites
        .iter()
        .map(|s| (s.status, s.lines[0].reason))
        .collect();
    let expected = [
        (SiteStatus::OptedOut, Some(Reason::OptedOut)),
        (SiteStatus::NoAnswer, Some(Reason::NoAnswer)),
        (SiteStatus::NoBaseline, Some(Reason::NoBaseline)),
        (SiteStatus::Paid, Some(Reason::Equivocation)),
        (SiteStatus::Paid, Some(Reason::MissingReading)),
    ];
    assert_eq!(found, expected);
    // An opted-out home is still shown what it used and would have used.
    assert!(statement.sites[0].lines[0].metered.is_some() && statement.sites[0].lines[0].baseline.is_some());
    assert_eq!(
        statement.sites[4].lines[0].missing,
        Some(MissingReason::NotReceived)
    );
}

#[test]
fn a_steady_home_that_halves_its_use_earns_exactly_the_half() {
    let statement = settle(&neighbourhood::steady(1)).unwrap();
    // 1 kWh in each half-hour, 0.5 in the event's four: 2 kWh at 0.85.
    assert_eq!(statement.totals.credited.to_string(), "2.000000");
    assert_eq!(statement.asset.show(statement.totals.amount), "1.700000");
    assert_eq!(statement.escrow_debit, statement.totals.amount);
}

#[test]
fn inputs_that_contradict_themselves_are_refused() {
    let inputs = neighbourhood::steady(2);
    let mut twice = inputs.clone();
    twice.sites[1].site = twice.sites[0].site.clone();
    assert!(matches!(settle(&twice), Err(SettleError::SiteTwice { .. })));
    let mut conflict = inputs.clone();
    let mut reading = conflict.sites[0].readings[3];
    reading.net = Metered::Missing(MissingReason::NotReceived);
    conflict.sites[0].readings.push(reading);
    assert!(matches!(settle(&conflict), Err(SettleError::Readings { .. })));
    let mut other = inputs.clone();
    other.event.program = "other".parse().unwrap();
    assert!(matches!(settle(&other), Err(SettleError::OtherProgram { .. })));
    let mut carry = inputs;
    carry.carry_in = 1_000_000;
    assert!(matches!(settle(&carry), Err(SettleError::CarryIn { .. })));
}
