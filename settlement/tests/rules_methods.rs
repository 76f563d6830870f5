//! What each method and parameter does, on cases that a person can follow. Days of July 2026; the 17th is a Friday.

mod hourly;

use std::collections::{BTreeMap, BTreeSet};

use gridtally_settlement::rules::baseline::{BaselineRule, Frame, FrameError, Lack, NO_DAY_TYPE, Verdict};
use gridtally_settlement::rules::exact::Ratio;
use hourly::{
    Site, at, calendar, chosen, date, explanation, friday, july, kwh, preset_with, ratio, readings, refusal,
    verdict,
};

fn preset(name: &str) -> BaselineRule {
    BaselineRule::preset(name).unwrap()
}

fn whole(values: [i128; 2]) -> Vec<Ratio> {
    values.map(Ratio::whole).to_vec()
}

/// Two kWh an hour on every day but the 17th, on which the event's hours have one.
fn steady() -> Vec<(
    gridtally_protocol::time::Interval,
    gridtally_protocol::quantity::MilliwattHours,
)> {
    july((1..=16).map(|d| (d, 2, 2)).chain([(17, 1, 2)]))
}

#[test]
fn weather_match_takes_the_days_whose_highest_temperature_is_closest() {
    let rule = preset("caiso_style_weather_match");
    let mut site = Site::with(july((1..=17).map(|d| (d, i64::from(d), 1))));
    let celsius = |d: u32, t: i128| (date(&format!("2026-07-{d:02}")), Ratio::whole(t));
    // The weekdays 1, 2, 3, 6, …, 16. 30° on the event day; the 9th is unknown. Distances: 8th 0, 2nd 1, 15th 1,
    // 3rd 2, 6th 2, the others 10. Of the equal 3rd and 6th the more recent is taken.
    let known = [(8, 30), (2, 29), (15, 31), (3, 32), (6, 28), (17, 30)];
    let far = [1, 7, 10, 13, 14, 16].map(|d| (d, 20));
    site.temperatures = Some(known.into_iter().chain(far).map(|(d, t)| celsius(d, t)).collect());
    let e = explanation(site.under(&rule, &friday()));
    assert_eq!(chosen(&e), [2, 6, 8, 15]);
    assert_eq!(verdict(&e, 9), Verdict::NoTemperature);
    assert_eq!(verdict(&e, 3), Verdict::NotAmongClosest);
    assert_eq!(verdict(&e, 11), Verdict::OtherDayType);
    // (2 + 6 + 8 + 15) / 4 = 31/4, times 1 / 1.
    assert_eq!(kwh(&e), [ratio(31, 4), ratio(31, 4)]);
}

#[test]
fn without_the_event_days_temperature_there_is_no_weather_match() {
    let mut site = Site::with(steady());
    for temperatures in [None, Some(BTreeMap::from([(date("2026-07-16"), Ratio::ONE)]))] {
        site.temperatures = temperatures;
        let none = refusal(site.under(&preset("caiso_style_weather_match"), &friday()));
        assert_eq!((none.lacking, none.found, none.needed), (Lack::Temperature, 0, 1));
    }
}

#[test]
fn a_match_day_takes_the_days_that_are_most_alike_outside_of_the_event() {
    // Outside of the event the 17th uses 5 kWh an hour, the 8th and the 15th as much, the 3rd and the 6th one more or less.
    let outside = |d: u32| match d {
        8 | 15 | 17 => 5,
        3 => 6,
        6 => 4,
        _ => 50,
    };
    let mut values = july((1..=17).map(|d| (d, i64::from(d), outside(d))));
    // The hours beside the event are left out: the 8th was quite another in them.
    for (interval, energy) in &mut values {
        let beside = ["2026-07-08T16:00:00Z", "2026-07-08T19:00:00Z"].map(at);
        if beside.contains(&interval.start()) {
            *energy = gridtally_protocol::quantity::MilliwattHours::new(99_000_000);
        }
    }
    let rule = preset("pjm_style_match_day");
    let e = explanation(Site::with(values.clone()).under(&rule, &friday()));
    // Of the equal 3rd and 6th the more recent is taken.
    assert_eq!(chosen(&e), [6, 8, 15]);
    assert_eq!(verdict(&e, 3), Verdict::NotAmongSimilar);
    assert_eq!(kwh(&e), [ratio(29, 3), ratio(29, 3)]);
    // Without the gap these hours count, and the 8th is not alike any more.
    let close = preset_with("pjm_style_match_day", &[("similar_gap_minutes = 60\n", "")]);
    let e = explanation(Site::with(values.clone()).under(&close, &friday()));
    assert_eq!(chosen(&e), [3, 6, 15]);
    // The day itself has to be known outside of the event: 24 hours less the event's two and the two beside it.
    values.retain(|(interval, _)| interval.start() != at("2026-07-17T22:00:00Z"));
    let none = refusal(Site::with(values).under(&rule, &friday()));
    assert_eq!(
        (none.lacking, none.found, none.needed),
        (Lack::WindowReadings, 19, 20)
    );
}

#[test]
fn a_rolling_mean_is_nine_tenths_of_the_old_and_a_tenth_of_the_new_day() {
    for day_type in preset("isone_style_90_10").day_types {
        // Fifteen days of numbers without a pattern, oldest first.
        let days = [3, 14, 15, 92, 65, 35, 89, 79, 32, 38, 46, 26, 43, 38, 32].map(Ratio::whole);
        let (tenth, rest) = (ratio(1, 10), ratio(9, 10));
        let rolled = days[1..].iter().fold(days[0], |old, new| {
            let new = new.checked_mul(tenth).unwrap();
            old.checked_mul(rest).unwrap().checked_add(new).unwrap()
        });
        let weighted = day_type.count.weights.iter().zip(days.iter().rev());
        let weighted = weighted.map(|(weight, day)| day.checked_mul(*weight).unwrap());
        assert_eq!(Ratio::checked_sum(weighted).unwrap(), rolled);
    }
}

#[test]
fn four_working_days_are_moved_by_an_earlier_hour_of_the_day() {
    // The 13th to the 16th are Monday to Thursday: (1 + 2 + 3 + 4) / 4, and from 15:00 to 16:00 one kWh more than then.
    let days = [
        (10, 9, 9),
        (13, 1, 1),
        (14, 2, 1),
        (15, 3, 1),
        (16, 4, 1),
        (17, 0, 2),
    ];
    let e = explanation(Site::with(july(days)).under(&preset("centerpoint_style_4_days"), &friday()));
    assert_eq!(chosen(&e), [13, 14, 15, 16]);
    assert_eq!(kwh(&e), [ratio(7, 2), ratio(7, 2)]);
}

#[test]
fn the_highest_days_are_weighted_in_their_order() {
    // Saturday the 18th; of the last five other days (11, 12, 4, 5 and 6 as a holiday) the highest are 9, 6 and 3 kWh.
    let values = [
        (11, 3, 1),
        (12, 9, 1),
        (4, 1, 1),
        (5, 6, 1),
        (6, 2, 1),
        (18, 1, 1),
    ];
    let mut event = calendar(chrono_tz::UTC, "2026-07-18T17:00:00Z", "2026-07-18T19:00:00Z");
    event.holidays.insert(date("2026-07-06"));
    // The windows reach until 23:00.
    let e = explanation(Site::with(july(values)).under(&preset("pge_style_psr"), &event));
    assert_eq!(chosen(&e), [5, 11, 12]);
    let weight = |day: &str| e.candidates.iter().find(|c| c.date == date(day)).unwrap().weight;
    assert_eq!(weight("2026-07-12"), Some(ratio(1, 2)));
    // 0.5 × 9 + 0.3 × 6 + 0.2 × 3 = 6.9
    assert_eq!(kwh(&e), [ratio(69, 10), ratio(69, 10)]);
}

#[test]
fn too_few_days_are_filled_up_from_the_highest_event_days_where_the_rule_says_so() {
    // Three like days (14, 15, 16); event days with 5, 9, 7 and 9 kWh on the 13th, 10th, 9th and 8th.
    let values = [
        (16, 2, 1),
        (15, 2, 1),
        (14, 2, 1),
        (13, 5, 1),
        (10, 9, 1),
        (9, 7, 1),
        (8, 9, 1),
        (17, 1, 1),
    ];
    let site = Site::with(july(values));
    let mut event = friday();
    event.event_days = [13, 10, 9, 8].map(|d| date(&format!("2026-07-{d:02}"))).into();
    let none = refusal(site.under(&preset("caiso_style_10_10"), &event));
    assert_eq!((none.lacking, none.found, none.needed), (Lack::Days, 3, 5));
    let e = explanation(site.under(&preset("caiso_style_10_10_filled"), &event));
    assert_eq!(chosen(&e), [8, 10, 14, 15, 16]);
    assert_eq!(verdict(&e, 10), Verdict::FilledFromEventDays);
    assert_eq!(verdict(&e, 9), Verdict::EventDay);
    // (2 + 2 + 2 + 9 + 9) / 5 = 24/5
    assert_eq!(kwh(&e), [ratio(24, 5), ratio(24, 5)]);
    // An event day of which readings are missing does not help.
    let site = Site::with(july(values.into_iter().filter(|(d, ..)| ![8, 9, 10].contains(d))));
    let none = refusal(site.under(&preset("caiso_style_10_10_filled"), &event));
    assert_eq!((none.lacking, none.found, none.needed), (Lack::Days, 4, 5));
}

#[test]
fn a_rule_may_insist_on_all_the_days_that_it_looks_for() {
    let rule = preset_with(
        "unadj_10_10",
        &[("select = \"all\"", "select = \"all\"\nshortfall = \"none\"")],
    );
    let site = Site::with(july((6..=17).map(|d| (d, 2, 2))));
    let none = refusal(site.under(&rule, &friday()));
    assert_eq!((none.lacking, none.found, none.needed), (Lack::Days, 9, 10));
    assert!(
        Site::with(july((3..=17).map(|d| (d, 2, 2))))
            .under(&rule, &friday())
            .explanation()
            .is_some()
    );
}

#[test]
fn saturdays_sundays_and_holidays_are_told_apart_where_the_rule_does() {
    // The event is on Sunday the 19th. Sundays 12, 5 and the holiday on Monday the 6th are alike, Saturdays are not.
    let mut event = calendar(chrono_tz::UTC, "2026-07-19T17:00:00Z", "2026-07-19T19:00:00Z");
    event.holidays.insert(date("2026-07-06"));
    let site = Site::with(july((1..=19).map(|d| (d, i64::from(d), 1))));
    let e = explanation(site.under(&preset("pjm_style_h4o5_saa_by_day"), &event));
    assert_eq!(e.day_type, "sunday_or_holiday");
    assert_eq!(chosen(&e), [6, 12]);
    assert_eq!(verdict(&e, 5), Verdict::NotAmongHighest);
    assert_eq!(verdict(&e, 18), Verdict::OtherDayType);
    assert_eq!(kwh(&e), whole([9, 9]));
}

#[test]
fn a_day_that_the_rule_does_not_speak_of_has_no_baseline() {
    let sunday = calendar(chrono_tz::UTC, "2026-07-19T17:00:00Z", "2026-07-19T19:00:00Z");
    let none = refusal(Site::with(steady()).under(&preset("aemo_style_business"), &sunday));
    assert_eq!(
        (none.lacking, none.day_type.as_str()),
        (Lack::DayType, NO_DAY_TYPE)
    );
    assert!(none.candidates.is_empty());
}

#[test]
fn a_control_group_is_the_mean_of_those_sites_that_lack_nothing() {
    let rule = preset_with(
        "caiso_style_control_group",
        &[("controls_minimum = 150", "controls_minimum = 2")],
    );
    // 2 and 4 kWh outside of the event, 3 and 6 in it; the site itself uses 3.3 times more outside.
    let mut site = Site::with(july([(17, 1, 10)]));
    let incomplete: Vec<_> = july([(17, 50, 50)]).into_iter().skip(18).collect();
    site.others = vec![july([(17, 3, 2)]), incomplete.clone(), july([(17, 6, 4)])];
    let e = explanation(site.under(&rule, &friday()));
    let missing: Vec<_> = e.controls.iter().map(|c| c.missing).collect();
    // 13:00, 14:00 and 17:00 are missing of the second.
    assert_eq!(missing, [0, 3, 0]);
    // A = 4 × 10, B = 4 × 3: 10/3, capped to 1.4. (3 + 6) / 2 × 1.4 = 6.3
    assert!(e.adjustment.as_ref().unwrap().capped);
    assert_eq!(kwh(&e), [ratio(63, 10), ratio(63, 10)]);
    assert_eq!(e.intervals[0].readings, 2);
    site.others = vec![july([(17, 3, 2)]), incomplete];
    let none = refusal(site.under(&rule, &friday()));
    assert_eq!((none.lacking, none.found, none.needed), (Lack::Controls, 1, 2));
    assert_eq!(none.controls.len(), 2);
}

#[test]
fn a_firm_level_is_a_power_that_site_or_rule_states() {
    let mut site = Site::with(steady());
    let none = refusal(site.under(&preset("naesb_style_maximum_base_load"), &friday()));
    assert_eq!(none.lacking, Lack::FirmLevel);
    let stated = preset_with(
        "naesb_style_maximum_base_load",
        &[("\"firm_level\"", "\"firm_level\"\nlevel_kw = \"2.5\"")],
    );
    assert_eq!(
        kwh(&explanation(site.under(&stated, &friday()))),
        [ratio(5, 2), ratio(5, 2)]
    );
    site.level_kw = Some(Ratio::whole(4));
    let e = explanation(site.under(&stated, &friday()));
    assert_eq!(kwh(&e), whole([4, 4]));
    // In half an hour it is half the energy.
    let mut halves = friday();
    halves.length = gridtally_protocol::time::IntervalLength::HALF_HOUR;
    site.readings.clear();
    assert_eq!(
        kwh(&explanation(site.under(&stated, &halves))),
        whole([2; 2]).repeat(2)
    );
}

#[test]
fn meter_before_meter_after_takes_the_hour_before_the_start() {
    let hours = (0..24).map(|hour| hour * 1_000_000);
    let site = Site::with(readings("2026-07-17T00:00:00Z", hours));
    let e = explanation(site.under(&preset("naesb_style_meter_before_after"), &friday()));
    assert_eq!(kwh(&e), whole([16, 16]));
    // 13, 14 and 15 before; 20 and 21 after: 83/5.
    let e = explanation(site.under(&preset("pjm_style_same_day_3_2"), &friday()));
    assert_eq!(kwh(&e), [ratio(83, 5), ratio(83, 5)]);
    let until_eight = Site::with(site.readings.into_iter().take(20).collect());
    let none = refusal(until_eight.under(&preset("pjm_style_same_day_3_2"), &friday()));
    assert_eq!(
        (none.lacking, none.found, none.needed),
        (Lack::WindowReadings, 3, 5)
    );
}

#[test]
fn of_a_batterys_output_only_what_stays_on_the_site_counts() {
    let rule = preset("caiso_style_generator_output");
    // The battery puts out 1 kWh an hour on like days, and 5 during the event (a meter's sign: negative), of which
    // 2 leave the site. On the 16th it charges: that is no output. On the 15th half of its output leaves.
    let like = (1..=14).map(|d| (d, -1, 0));
    let mut site = Site::with(july(like.chain([(15, -2, 0), (16, 3, 0), (17, -5, 0)])));
    let meter = |d: u32| match d {
        15 => -1,
        17 => -2,
        _ => 4,
    };
    site.site_meter = Some(july((1..=17).map(|d| (d, meter(d), 1))));
    let e = explanation(site.under(&rule, &friday()));
    assert_eq!(chosen(&e), [3, 6, 7, 8, 9, 10, 13, 14, 15, 16]);
    // Eight days with −1, the 15th with −1, the 16th with 0: −9/10.
    assert_eq!(kwh(&e), [ratio(-9, 10), ratio(-9, 10)]);
    // Without the site's meter it is not known what left.
    site.site_meter = None;
    assert_eq!(refusal(site.under(&rule, &friday())).lacking, Lack::SiteMeter);
    let counted = preset_with(
        "caiso_style_generator_output",
        &[("\"excluded\"", "\"counted\""), ("\"zero\"", "\"counted\"")],
    );
    // (8 × −1 − 2 + 3) / 10 = −7/10
    assert_eq!(
        kwh(&explanation(site.under(&counted, &friday()))),
        [ratio(-7, 10), ratio(-7, 10)]
    );
}

#[test]
fn a_missing_reading_is_the_mean_of_a_sample_that_is_large_enough() {
    let rule = preset_with(
        "naesb_style_type_2_sampled",
        &[("sample_minimum = 5", "sample_minimum = 2")],
    );
    let without = |r: Vec<_>, start: &str| {
        r.into_iter()
            .filter(|(i, _): &(gridtally_protocol::time::Interval, _)| i.start() != at(start))
            .collect::<Vec<_>>()
    };
    let mut site = Site::with(without(steady(), "2026-07-15T17:00:00Z"));
    let sample = july((1..=17).map(|d| (d, 5, 5)));
    site.others = vec![
        sample.clone(),
        july((1..=17).map(|d| (d, 8, 8))),
        without(sample, "2026-07-15T17:00:00Z"),
    ];
    let e = explanation(site.under(&rule, &friday()));
    // 17:00 on the 15th is (5 + 8) / 2: nine times 2 and once 13/2 make 49/20.
    assert_eq!(verdict(&e, 15), Verdict::Chosen);
    assert_eq!(kwh(&e), [ratio(49, 20), Ratio::whole(2)]);
    site.others.remove(0);
    let e = explanation(site.under(&rule, &friday()));
    assert_eq!(verdict(&e, 15), Verdict::Incomplete { missing: 1 });
}

#[test]
fn a_window_that_ends_at_the_notification_cannot_be_gamed_after_it() {
    let rule = preset("nyiso_style_5_10_notified");
    // Notified at 12:20, which is rounded down to 12:00: the window is 10:00 to 12:00.
    let mut event = friday();
    event.notified = Some(at("2026-07-17T12:20:00Z"));
    let heated = |from: usize| {
        let mut readings = steady();
        for (interval, value) in &mut readings {
            let hour = usize::try_from(interval.start().seconds_since(at("2026-07-17T00:00:00Z")) / 3600);
            if hour.is_ok_and(|hour| (from..17).contains(&hour)) {
                *value = gridtally_protocol::quantity::MilliwattHours::new(9_000_000);
            }
        }
        kwh(&explanation(Site::with(readings).under(&rule, &event)))
    };
    assert_eq!(heated(12), whole([2, 2]));
    // From 11:00 on, it is within the window: (2 + 9) / 4, capped at 1.2.
    assert_eq!(heated(11), [ratio(12, 5), ratio(12, 5)]);
}

#[test]
fn a_window_may_count_from_a_notification_on_the_day_before() {
    let mut event = friday();
    event.notified = Some(at("2026-07-16T10:00:00Z"));
    let e = explanation(Site::with(steady()).under(&preset("nyiso_style_5_10_notified"), &event));
    assert_eq!(kwh(&e), whole([2, 2]));
    // Each candidate then reads its own day before: the 1st has none.
    assert!(!chosen(&e).contains(&1));
}

#[test]
fn a_notification_that_is_unknown_or_out_of_order_is_refused() {
    let rule = preset("nyiso_style_5_10_notified");
    let mut event = friday();
    assert_eq!(Frame::new(&rule, &event), Err(FrameError::NotNotified));
    for notified in ["2026-07-17T17:00:01Z", "2026-07-10T16:59:59Z"].map(at) {
        event.notified = Some(notified);
        let refused = FrameError::Notification {
            start: event.start,
            notified,
        };
        assert_eq!(Frame::new(&rule, &event), Err(refused));
    }
}

#[test]
fn an_addend_is_capped_in_kilowatts_or_by_a_share_of_the_average() {
    let site = Site::with(july((1..=16).map(|d| (d, 4, 2)).chain([(17, 1, 9)])));
    let with = |cap: &str| {
        let rule = preset_with(
            "dfs_style_bl01",
            &[("kind = \"additive\"", &format!("kind = \"additive\"\n{cap}"))],
        );
        explanation(site.under(&rule, &friday()))
    };
    // Uncapped 9 − 2 = 7 kWh an hour.
    assert_eq!(kwh(&with("")), whole([11, 11]));
    let capped = with("cap_kw = [\"-1\", \"1.5\"]");
    assert_eq!(kwh(&capped), [ratio(11, 2), ratio(11, 2)]);
    let applied = capped.adjustment.unwrap();
    assert!(applied.capped && applied.uncapped == Some(Ratio::whole(7_000_000)));
    // A fifth of the windows' average, 2.
    assert_eq!(kwh(&with("cap_share = \"0.2\"")), [ratio(22, 5), ratio(22, 5)]);
}

#[test]
fn a_site_that_feeds_in_gets_no_uncapped_ratio() {
    let mut site = Site::with(july((1..=16).map(|d| (d, 2, 2)).chain([(17, 1, 3)])));
    site.net_metered = true;
    let uncapped = preset_with("caiso_style_10_10", &[("cap = [\"0.8\", \"1.2\"]\n", "")]);
    assert_eq!(refusal(site.under(&uncapped, &friday())).lacking, Lack::RatioCap);
    assert_eq!(
        kwh(&explanation(site.under(&preset("caiso_style_10_10"), &friday()))),
        [ratio(12, 5), ratio(12, 5)]
    );
    site.net_metered = false;
    assert_eq!(kwh(&explanation(site.under(&uncapped, &friday()))), whole([3, 3]));
}

#[test]
fn too_many_recent_days_without_readings_are_a_refusal_of_their_own() {
    let rule = preset("octopus_style_session");
    // 15 of the 20 days before the 25th have 80 % of their readings: 19.2 of 24 hours, so 20 are enough and 19 not.
    let event = calendar(chrono_tz::UTC, "2026-07-25T17:00:00Z", "2026-07-25T19:00:00Z");
    let cut = |day: u32, hours: usize| july([(day, 2, 2)]).into_iter().take(hours).collect::<Vec<_>>();
    let of = |hours: usize| {
        let mut all = july((11..=25).map(|d| (d, 2, 2)));
        all.extend(cut(10, hours));
        Site::with(all).under(&rule, &event)
    };
    assert_eq!(kwh(&explanation(of(20))), whole([2, 2]));
    let none = refusal(of(19));
    assert_eq!(
        (none.lacking, none.found, none.needed),
        (Lack::RecentDays, 14, 15)
    );
}

#[test]
fn another_rule_may_stand_in_and_says_what_for() {
    let site = Site::with(july((15..=17).map(|d| (d, 2, 2))));
    let (first, second) = (
        preset("caiso_style_10_10"),
        preset("naesb_style_meter_before_after"),
    );
    let outcome = site.under(&first, &friday());
    let e = explanation(outcome.or_else(|| Ok(site.under(&second, &friday()))).unwrap());
    assert_eq!(e.rule, "naesb_style_meter_before_after");
    assert_eq!(
        e.instead_of.map(|none| (none.rule, none.found)),
        Some(("caiso_style_10_10".to_owned(), 2))
    );
    let nothing = Site::with(Vec::new());
    let outcome = nothing.under(&first, &friday());
    let none = refusal(outcome.or_else(|| Ok(nothing.under(&second, &friday()))).unwrap());
    assert_eq!(
        (none.lacking, none.fallback.map(|n| n.lacking)),
        (Lack::Days, Some(Lack::WindowReadings))
    );
}

#[test]
fn outages_are_left_out_also_where_event_days_are_filled_in() {
    let values = [
        (16, 2, 1),
        (15, 2, 1),
        (14, 2, 1),
        (13, 5, 1),
        (10, 9, 1),
        (9, 7, 1),
        (17, 1, 1),
    ];
    let mut site = Site::with(july(values));
    site.outage_days = BTreeSet::from([date("2026-07-10")]);
    let mut event = friday();
    event.event_days = [13, 10, 9].map(|d| date(&format!("2026-07-{d:02}"))).into();
    assert_eq!(
        chosen(&explanation(
            site.under(&preset("caiso_style_10_10_filled"), &event)
        )),
        [9, 13, 14, 15, 16]
    );
}
