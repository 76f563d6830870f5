//! The days with 23 and 25 hours, worked by hand. Every hour carries its own number as mWh, counted from the first
//! midnight, so that what was compared can be told from the result.

mod hourly;

use chrono_tz::America::Los_Angeles;
use chrono_tz::Europe::London;
use gridtally_settlement::rules::baseline::{BaselineRule, Explanation};
use gridtally_settlement::rules::exact::Ratio;
use hourly::{Site, calendar, date, explanation, preset_with, ratio, readings};

/// Takes the last `days` days of any type, as they are.
fn plain(days: u32) -> BaselineRule {
    let count = format!("look_for = {days}\nkeep = {days}\nminimum = {days}");
    let mut rule = preset_with(
        "unadj_10_10",
        &[
            ("look_for = 10\nkeep = 10\nminimum = 5", &count),
            ("look_for = 4\nkeep = 4\nminimum = 4", &count),
        ],
    );
    "numbers".clone_into(&mut rule.id);
    rule
}

fn raw(explanation: &Explanation) -> Vec<(&str, u32, Ratio)> {
    explanation
        .intervals
        .iter()
        .map(|i| (i.clock.as_str(), i.readings, i.raw))
        .collect()
}

// Los Angeles, Sunday 2026-03-08: at 02:00 the clock jumps to 03:00. Saturday 03-07 begins at 08:00Z (hour 0), Sunday
// 03-08 at hour 24; it has 23 hours, so Monday 03-09 begins at hour 47.

#[test]
fn in_los_angeles_in_spring_the_hour_that_is_skipped_has_one_value_fewer() {
    // Saturday 2026-03-14, 02:00 to 04:00 summer time = 09:00Z to 11:00Z. Sunday 03-08 and Saturday 03-07 are compared.
    let event = calendar(Los_Angeles, "2026-03-14T09:00:00Z", "2026-03-14T11:00:00Z");
    let site = Site::with(readings("2026-03-07T08:00:00Z", 0..200));
    let e = explanation(site.under(&plain(2), &event));
    assert_eq!(e.chosen_days(), ["2026-03-07", "2026-03-08"].map(date));
    // 02:00: hour 2 of Saturday; there is none on Sunday. The mean of one value is 2.
    // 03:00: hour 3 of Saturday; on Sunday 00:00 is hour 24, 01:00 is 25, and 03:00 follows at once as hour 26.
    //        (3 + 26) / 2 = 29/2.
    assert_eq!(
        raw(&e),
        [("02:00", 1, Ratio::whole(2)), ("03:00", 2, ratio(29, 2))]
    );
}

#[test]
fn in_los_angeles_in_spring_an_event_across_the_jump_has_two_hours_on_the_clock() {
    // Sunday 2026-03-08, 01:00 winter time to 04:00 summer time = 09:00Z to 11:00Z: two hours, 01:00 and 03:00.
    let event = calendar(Los_Angeles, "2026-03-08T09:00:00Z", "2026-03-08T11:00:00Z");
    let site = Site::with(readings("2026-03-07T08:00:00Z", 0..40));
    let e = explanation(site.under(&plain(1), &event));
    // Saturday's 01:00 is hour 1, its 03:00 is hour 3. Its 02:00 is not compared with anything.
    assert_eq!(
        raw(&e),
        [("01:00", 1, Ratio::whole(1)), ("03:00", 1, Ratio::whole(3))]
    );
}

// Los Angeles, Sunday 2026-11-01: at 02:00 summer time the clock goes back to 01:00. Saturday 10-31 begins at 07:00Z
// (hour 0), Sunday 11-01 at hour 24: 01:00 is hour 25 and again hour 26, 02:00 is hour 27.

#[test]
fn in_los_angeles_in_autumn_both_readings_of_the_repeated_hour_count() {
    // Saturday 2026-11-07, 01:00 to 03:00 winter time = 09:00Z to 11:00Z. Sunday 11-01 and Saturday 10-31 are compared.
    let event = calendar(Los_Angeles, "2026-11-07T09:00:00Z", "2026-11-07T11:00:00Z");
    let site = Site::with(readings("2026-10-31T07:00:00Z", 0..200));
    let e = explanation(site.under(&plain(2), &event));
    // 01:00: (1 + 25 + 26) / 3 = 52/3. 02:00: (2 + 27) / 2 = 29/2.
    assert_eq!(raw(&e), [("01:00", 3, ratio(52, 3)), ("02:00", 2, ratio(29, 2))]);
}

#[test]
fn a_weighted_day_weighs_the_same_whether_its_hour_is_repeated_or_not() {
    let rule = preset_with(
        "unadj_10_10",
        &[(
            "look_for = 4\nkeep = 4\nminimum = 4",
            "look_for = 2\nkeep = 2\nminimum = 2\nweights = [\"0.75\", \"0.25\"]",
        )],
    );
    let event = calendar(Los_Angeles, "2026-11-07T09:00:00Z", "2026-11-07T11:00:00Z");
    let site = Site::with(readings("2026-10-31T07:00:00Z", 0..200));
    let e = explanation(site.under(&rule, &event));
    // The more recent day comes first: Sunday counts 3/4, Saturday 1/4.
    // 01:00: 3/4 × (25 + 26)/2 + 1/4 × 1 = 153/8 + 2/8 = 155/8. 02:00: 3/4 × 27 + 1/4 × 2 = 83/4.
    assert_eq!(raw(&e), [("01:00", 3, ratio(155, 8)), ("02:00", 2, ratio(83, 4))]);
}

#[test]
fn where_a_weighted_day_lacks_the_hour_the_others_share_its_weight() {
    let rule = preset_with(
        "unadj_10_10",
        &[(
            "look_for = 4\nkeep = 4\nminimum = 4",
            "look_for = 2\nkeep = 2\nminimum = 2\nweights = [\"0.75\", \"0.25\"]",
        )],
    );
    let event = calendar(Los_Angeles, "2026-03-14T09:00:00Z", "2026-03-14T11:00:00Z");
    let site = Site::with(readings("2026-03-07T08:00:00Z", 0..200));
    let e = explanation(site.under(&rule, &event));
    // 02:00: only Saturday has it: 1/4 × 2 over a weight of 1/4 is 2. 03:00: 3/4 × 26 + 1/4 × 3 = 81/4.
    assert_eq!(
        raw(&e),
        [("02:00", 1, Ratio::whole(2)), ("03:00", 2, ratio(81, 4))]
    );
}

// London, Sunday 2026-10-25: at 02:00 summer time the clock goes back to 01:00. Saturday 10-24 begins at 23:00Z on the
// 23rd (hour 0), Sunday at hour 24: 01:00 is hour 25 and again hour 26, 02:00 is hour 27, 03:00 is hour 28.

#[test]
fn in_london_in_autumn_a_window_over_the_repeated_hour_compares_each_with_the_same_hour() {
    let rule = preset_with(
        "miso_style_10_10",
        &[
            (
                "look_for = 4\nkeep = 4\nminimum = 4",
                "look_for = 1\nkeep = 1\nminimum = 1",
            ),
            ("cap = [\"0.8\", \"1.2\"]\n", ""),
        ],
    );
    // Sunday, 03:00 to 04:00 winter time = 03:00Z to 04:00Z. The window is 00:00Z to 03:00Z: on the clock 01:00, 01:00
    // and 02:00.
    let event = calendar(London, "2026-10-25T03:00:00Z", "2026-10-25T04:00:00Z");
    let site = Site::with(readings("2026-10-23T23:00:00Z", 0..60));
    let e = explanation(site.under(&rule, &event));
    let applied = e.adjustment.as_ref().unwrap();
    // A = 25 + 26 + 27 = 78. B = 1 + 1 + 2 = 4, Saturday's 01:00 twice. The factor is 78/4 = 39/2.
    assert_eq!(
        (applied.metered, applied.average),
        (Ratio::whole(78), Ratio::whole(4))
    );
    // 03:00: Saturday's 3, times 39/2, is 117/2; half-even makes 58 of 58.5.
    assert_eq!(
        (e.intervals[0].exact, e.intervals[0].rounded.get()),
        (ratio(117, 2), 58)
    );
}

// London, Sunday 2026-03-29: at 01:00 the clock jumps to 02:00. Saturday 03-28 begins at 00:00Z (hour 0), Sunday at
// hour 24: 02:00 summer time is hour 25, 03:00 is hour 26, 04:00 is hour 27.

#[test]
fn in_london_in_spring_a_window_over_the_jump_has_the_hours_that_the_clock_showed() {
    let rule = preset_with(
        "dfs_style_bl01",
        &[
            (
                "look_for = 4\nkeep = 4\nminimum = 1",
                "look_for = 1\nkeep = 1\nminimum = 1",
            ),
            (
                "from_minutes = 240, to_minutes = 60",
                "from_minutes = 180, to_minutes = 0",
            ),
        ],
    );
    // Sunday, 04:00 to 05:00 summer time = 03:00Z to 04:00Z. The window is 00:00Z to 03:00Z: 00:00, 02:00 and 03:00.
    let event = calendar(London, "2026-03-29T03:00:00Z", "2026-03-29T04:00:00Z");
    let site = Site::with(readings("2026-03-28T00:00:00Z", 0..60));
    let e = explanation(site.under(&rule, &event));
    let applied = e.adjustment.as_ref().unwrap();
    // A = 24 + 25 + 26 = 75. B = 0 + 2 + 3 = 5. (75 − 5) / 3 = 70/3.
    assert_eq!(
        (applied.metered, applied.average),
        (Ratio::whole(75), Ratio::whole(5))
    );
    // 04:00: Saturday's 4 + 70/3 = 82/3, about 27.33.
    assert_eq!(
        (e.intervals[0].exact, e.intervals[0].rounded.get()),
        (ratio(82, 3), 27)
    );
}

#[test]
fn a_day_on_which_the_clock_jumps_over_all_of_the_events_hours_is_no_candidate() {
    // Saturday 2026-04-04, 01:00 to 02:00 in London; on Sunday 03-29 there was no such hour. Saturday 03-28: hour 1.
    let event = calendar(London, "2026-04-04T00:00:00Z", "2026-04-04T01:00:00Z");
    let site = Site::with(readings("2026-03-28T00:00:00Z", 0..200));
    let e = explanation(site.under(&plain(1), &event));
    assert_eq!(e.chosen_days(), [date("2026-03-28")]);
    assert_eq!(raw(&e), [("01:00", 1, Ratio::whole(1))]);
}
