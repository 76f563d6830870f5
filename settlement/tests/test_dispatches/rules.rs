//! The laws of drawing, forecasting, judging and of what follows from it.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_settlement::capacity::TEST_SECONDS;
use gridtally_settlement::capacity::audit::{DrawnTests, Finding, Held, Known, Outcome, audit};
use gridtally_settlement::capacity::draw::{Drawn, Hours, Seed, draw_within, name};
use gridtally_settlement::capacity::forecast::{Around, Forecast, MeterReadings};
use gridtally_settlement::capacity::period::Period;
use gridtally_settlement::capacity::standing::{Judged, Unproven, standing};
use gridtally_settlement::capacity::verdict::{Answer, Failure, Test, Unavailability, Verdict, Void};
use gridtally_settlement::events::revision::Window;
use gridtally_settlement::rules::program::{Program, ProgramId};
use gridtally_settlement::rules::statement::SiteId;
use proptest::prelude::*;

const PROGRAM: &str = include_str!("program.toml");
const START: &str = "2026-12-09T17:15:00Z";

fn program() -> Program {
    Program::from_toml("program.toml", PROGRAM).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn site(number: u32) -> SiteId {
    format!("home-{number}").parse().unwrap()
}

fn monday() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 12, 7).unwrap()
}

fn drawn(seed: u8, number: u32) -> Option<Drawn> {
    let program = program();
    let hours = Hours::of(&program, program.tests.as_ref().unwrap());
    let seed = Seed::from_bytes([seed; 32]);
    draw_within(&seed, &hours, &program.id, &site(number), monday())
}

/// A meter that shows `usual` in every interval around a test, less what is given within those that it touches.
fn meter(usual: i64, given: i64, interval: IntervalLength) -> MeterReadings {
    let around = Around::of(at(START), interval).unwrap();
    let beside = around.before.iter().chain(&around.after).map(|at| (*at, usual));
    let share = given / i64::try_from(around.during.len()).unwrap();
    beside
        .chain(around.during.iter().map(|at| (*at, usual - share)))
        .collect()
}

fn test<'t>(readings: &'t MeterReadings, unavailable: &'t [Unavailability]) -> Test<'t> {
    Test {
        start: at(START),
        issued_at: at("2026-12-09T17:00:00Z"),
        asked: Milliwatts::new(3_000_000),
        nameplate: Milliwatts::new(5_000_000),
        least_percent: 50,
        interval: IntervalLength::FIVE_MINUTES,
        answer: Answer::OptedIn,
        in_event: false,
        unavailable,
        readings,
    }
}

fn verdict(readings: &MeterReadings) -> Verdict {
    test(readings, &[]).verdict().unwrap()
}

#[test]
fn a_battery_that_gives_what_is_asked_proves_it() {
    // 3 kW for a quarter of an hour are 750 Wh.
    let readings = meter(100_000, 750_000, IntervalLength::FIVE_MINUTES);
    assert_eq!(verdict(&readings), Verdict::Passed(Milliwatts::new(3_000_000)));
    let half_hours = meter(100_000, 750_000, IntervalLength::HALF_HOUR);
    let one = Test {
        interval: IntervalLength::HALF_HOUR,
        ..test(&half_hours, &[])
    };
    assert_eq!(
        one.verdict(),
        Ok(Verdict::Passed(Milliwatts::new(3_000_000))),
        "within one half hour, though it lasts a quarter"
    );
}

#[test]
fn every_way_to_fail_has_its_reason() {
    let good = meter(100_000, 750_000, IntervalLength::FIVE_MINUTES);
    let answer = |answer| {
        let one = Test {
            answer,
            ..test(&good, &[])
        };
        one.verdict().unwrap()
    };
    assert_eq!(answer(Answer::None), Verdict::Failed(Failure::NoAnswer));
    assert_eq!(answer(Answer::OptedOut), Verdict::Failed(Failure::OptedOut));
    let mut hole = good.clone();
    hole.remove(&at("2026-12-09T17:20:00Z"));
    assert_eq!(verdict(&hole), Verdict::Failed(Failure::NoReadings));
    let little = meter(100_000, 300_000, IntervalLength::FIVE_MINUTES);
    assert_eq!(verdict(&little), Verdict::Failed(Failure::TooLittle));
    let event = Test {
        in_event: true,
        ..test(&good, &[])
    };
    assert_eq!(event.verdict(), Ok(Verdict::Void(Void::Event)));
}

#[test]
fn where_use_before_and_after_differ_too_much_nobody_can_tell() {
    let mut readings = meter(100_000, 0, IntervalLength::FIVE_MINUTES);
    for after in Around::of(at(START), IntervalLength::FIVE_MINUTES).unwrap().after {
        readings.insert(after, 400_000);
    }
    assert_eq!(verdict(&readings), Verdict::Void(Void::OutsideBand));
}

#[test]
fn unavailability_counts_only_when_it_was_declared_before_the_test_was_sent() {
    let good = meter(100_000, 0, IntervalLength::FIVE_MINUTES);
    let span = |declared_at| Unavailability {
        from: at("2026-12-09T00:00:00Z"),
        until: at("2026-12-10T00:00:00Z"),
        declared_at: at(declared_at),
    };
    let before = [span("2026-12-09T16:59:59Z")];
    assert_eq!(test(&good, &before).verdict(), Ok(Verdict::Unavailable));
    let late = [span("2026-12-09T17:00:00Z")];
    assert_eq!(
        test(&good, &late).verdict(),
        Ok(Verdict::Failed(Failure::TooLittle))
    );
    let elsewhere = [Unavailability {
        until: at(START),
        ..before[0]
    }];
    assert_eq!(
        test(&good, &elsewhere).verdict(),
        Ok(Verdict::Failed(Failure::TooLittle))
    );
}

fn judged(week: i64, verdict: Verdict) -> Judged {
    let start = at("2026-01-05T18:00:00Z").checked_add(week * 7 * 86_400).unwrap();
    Judged { start, verdict }
}

fn passed(week: i64, milliwatts: i64) -> Judged {
    judged(week, Verdict::Passed(Milliwatts::new(milliwatts)))
}

#[test]
fn the_least_of_the_last_three_passes_since_the_last_failure_counts() {
    let failed = judged(3, Verdict::Failed(Failure::TooLittle));
    let now = at("2026-02-20T00:00:00Z");
    let tests = [
        passed(0, 1),
        passed(1, 20),
        passed(2, 30),
        passed(4, 50),
        passed(5, 40),
    ];
    assert_eq!(standing(&tests, now), Ok(Milliwatts::new(30)));
    let broken = [&tests[..], &[failed]].concat();
    assert_eq!(standing(&broken, now), Ok(Milliwatts::new(40)));
    assert_eq!(
        standing(&broken[..3], at("2026-08-01T00:00:00Z")),
        Err(Unproven::Expired)
    );
    let last = judged(6, Verdict::Failed(Failure::NoAnswer));
    assert_eq!(
        standing(&[&tests[..], &[last]].concat(), now),
        Err(Unproven::Failed(Failure::NoAnswer))
    );
    let none = [
        judged(1, Verdict::Unavailable),
        judged(2, Verdict::Void(Void::Event)),
    ];
    assert_eq!(standing(&none, now), Err(Unproven::NoPass));
}

#[test]
fn tests_keep_to_the_hours_and_days_of_the_program() {
    let program = program();
    let hours = Hours::of(&program, program.tests.as_ref().unwrap());
    let slots = hours.slots(monday());
    // Five working days from 17:00 to 20:00, four slots an hour.
    assert_eq!(slots.len(), 5 * 3 * 4);
    assert_eq!(slots[0], at("2026-12-07T17:00:00Z"));
    assert_eq!(*slots.last().unwrap(), at("2026-12-11T19:45:00Z"));
}

#[test]
fn tests_fall_evenly_on_all_slots() {
    let mut counts: BTreeMap<Timestamp, u32> = BTreeMap::new();
    for number in 0..6_000 {
        *counts.entry(drawn(7, number).unwrap().start).or_default() += 1;
    }
    assert_eq!(counts.len(), 60);
    // A hundred each, with a standard deviation of ten.
    assert!(
        counts.values().all(|count| (50..150).contains(count)),
        "{counts:?}"
    );
}

fn held(seed: &Seed, program: &ProgramId, number: u32) -> Held {
    let drawn = drawn(3, number).unwrap();
    let end = drawn.start.checked_add(TEST_SECONDS).unwrap();
    Held {
        site: site(number),
        monday: drawn.monday,
        start: drawn.start,
        asks: Milliwatts::new(3_000_000),
        recorded_at: drawn.start.checked_add(-600).unwrap(),
        outcome: Outcome::Sent {
            issued_at: drawn.start.checked_add(-600).unwrap(),
            window: Window {
                start: drawn.start,
                end,
            },
            asked: Milliwatts::new(3_000_000),
            event: name(seed, program, &site(number), monday()).unwrap(),
        },
    }
}

#[test]
fn every_departure_from_the_draw_is_found() {
    let program = program().id;
    let seed = Seed::from_bytes([3; 32]);
    let (unavailable, events) = (BTreeMap::new(), BTreeMap::new());
    let known = Known {
        program: &program,
        seed: &seed,
        committed: seed.commitment(),
        committed_at: at("2026-11-30T00:00:00Z"),
        start: at("2026-12-07T00:00:00Z"),
        interval: IntervalLength::FIVE_MINUTES,
        unavailable: &unavailable,
        events: &events,
    };
    let tests: Vec<Held> = (1..=5).map(|n| held(&seed, &program, n)).collect();
    let should: DrawnTests = tests
        .iter()
        .map(|t| ((t.site.clone(), t.start), t.monday))
        .collect();
    let found = |change: &dyn Fn(&mut Vec<Held>)| {
        let mut tests = tests.clone();
        change(&mut tests);
        audit(&known, &should, &tests)
    };
    assert_eq!(found(&|_| ()), None);
    let (site, start) = (tests[2].site.clone(), tests[2].start);
    assert_eq!(
        found(&|tests| drop(tests.remove(2))),
        Some(Finding::NeverSent {
            site: site.clone(),
            start
        })
    );
    let late = found(&|tests| tests[2].start = tests[2].start.checked_add(900).unwrap());
    assert!(matches!(
        late,
        Some(Finding::NotDrawn { .. } | Finding::NeverSent { .. })
    ));
    let other = found(&|tests| {
        if let Outcome::Sent { asked, .. } = &mut tests[2].outcome {
            *asked = Milliwatts::new(1);
        }
    });
    assert_eq!(
        other,
        Some(Finding::OtherInstruction {
            site: site.clone(),
            start
        })
    );
    for outcome in [Outcome::Unavailable, Outcome::Event("evening".parse().unwrap())] {
        let excuse = found(&|tests| tests[2].outcome = outcome.clone());
        let site = site.clone();
        assert_eq!(excuse, Some(Finding::NoReason { site, start }));
    }
    let exchanged = Known {
        committed: Seed::from_bytes([4; 32]).commitment(),
        ..known
    };
    assert!(matches!(
        audit(&exchanged, &should, &tests),
        Some(Finding::OtherSeed { .. })
    ));
    let late = Known {
        committed_at: known.start,
        ..known
    };
    assert!(matches!(
        audit(&late, &should, &tests),
        Some(Finding::LateCommitment { .. })
    ));
}

proptest! {
    #[test]
    fn each_site_has_one_test_a_week_and_always_the_same(seed in any::<u8>(), number in any::<u32>()) {
        let test = drawn(seed, number).unwrap();
        prop_assert_eq!(Some(test), drawn(seed, number));
        let program = program();
        let hours = Hours::of(&program, program.tests.as_ref().unwrap());
        prop_assert!(hours.slots(monday()).contains(&test.start));
    }

    #[test]
    fn every_period_ends_where_the_next_begins(year in 2000..2100_i32, month in 1..12_u32) {
        let period = |month| format!("{year}-{month:02}").parse::<Period>().unwrap();
        let zone = chrono_tz::America::New_York;
        let hour = IntervalLength::HALF_HOUR;
        prop_assert_eq!(period(month).end(zone, hour), period(month + 1).start(zone, hour));
    }

    #[test]
    fn the_forecast_lies_between_its_bounds_and_the_order_of_readings_is_nothing_to_it(
        before in prop::array::uniform3(-1_000_000..1_000_000_i64),
        after in prop::array::uniform3(-1_000_000..1_000_000_i64),
        shift in 0..3_usize,
    ) {
        let around = Around::of(at(START), IntervalLength::FIVE_MINUTES).unwrap();
        let forecast = |before: &[i64], after: &[i64]| {
            let mut readings: MeterReadings = around.during.iter().map(|at| (*at, 0)).collect();
            readings.extend(around.before.iter().copied().zip(before.iter().copied()));
            readings.extend(around.after.iter().copied().zip(after.iter().copied()));
            Forecast::of(&around, &readings).unwrap()
        };
        let one = forecast(&before, &after);
        prop_assert!(one.low <= one.high);
        let (mut turned, mut back) = (before, after);
        turned.rotate_left(shift);
        back.reverse();
        prop_assert_eq!(one, forecast(&turned, &back));
        // The same backwards in time.
        prop_assert_eq!(one, forecast(&after, &before));
    }

    #[test]
    fn capacity_is_never_above_what_was_asked_nor_the_nameplate_nor_what_was_given(
        usual in -2_000_000..2_000_000_i64, given in 0..3_000_000_i64,
        asked in 1..10_000_000_i64, nameplate in 1..10_000_000_i64, least_percent in 1..=100_u32,
    ) {
        let given = given / 3 * 3;
        let readings = meter(usual, given, IntervalLength::FIVE_MINUTES);
        let one = Test {
            asked: Milliwatts::new(asked),
            nameplate: Milliwatts::new(nameplate),
            least_percent,
            ..test(&readings, &[])
        };
        if let Verdict::Passed(power) = one.verdict().unwrap() {
            prop_assert!(power.get() <= asked.min(nameplate));
            prop_assert!(power.get() <= given * 4);
            prop_assert!(power > Milliwatts::ZERO);
        }
    }

    /// Its use goes up and down by up to 1 kW, and what its battery gives is counted by somebody else's meter.
    #[test]
    fn a_site_whose_battery_is_not_behind_that_meter_never_passes(
        usual in 0..1_000_000_i64,
        noise in prop::collection::vec(-41_000..41_000_i64, 9),
    ) {
        let mut readings = meter(usual, 0, IntervalLength::FIVE_MINUTES);
        for (value, noise) in readings.values_mut().zip(&noise) {
            *value += noise;
        }
        let verdict = verdict(&readings);
        prop_assert_eq!(verdict, Verdict::Failed(Failure::TooLittle));
    }

    #[test]
    fn a_better_test_never_lowers_what_is_proven(
        powers in prop::collection::vec(0..100_i64, 1..8), which in any::<prop::sample::Index>(), more in 1..50_i64,
    ) {
        let as_test = |(week, power): (i64, &i64)| match power {
            0..20 => judged(week, Verdict::Failed(Failure::TooLittle)),
            _ => passed(week, *power),
        };
        let tests: Vec<Judged> = (0..).zip(&powers).map(as_test).collect();
        let now = at("2026-03-05T00:00:00Z");
        let proven = |tests: &[Judged]| standing(tests, now).unwrap_or(Milliwatts::ZERO);
        let which = which.index(tests.len());
        let mut better = tests.clone();
        if let Verdict::Passed(power) = better[which].verdict {
            better[which].verdict = Verdict::Passed(Milliwatts::new(power.get() + more));
            prop_assert!(proven(&tests) <= proven(&better));
        }
        let mut turned = tests.clone();
        turned.reverse();
        prop_assert_eq!(standing(&tests, now), standing(&turned, now));
    }
}
