use proptest::prelude::*;

use super::*;

fn any_instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![0..=LATEST, Just(0), Just(LATEST)].prop_map(|s| Timestamp::from_unix(s).unwrap())
}

fn any_length() -> impl Strategy<Value = IntervalLength> {
    (1_u32..=60).prop_filter_map("divides an hour", |minutes| {
        IntervalLength::from_seconds(minutes.checked_mul(60)?).ok()
    })
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_as_the_same_instant(instant in any_instant()) {
        let shown = instant.to_string();
        let chrono = chrono::DateTime::from_timestamp(instant.unix(), 0).unwrap();
        prop_assert_eq!(&shown, &chrono.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        prop_assert_eq!(shown.parse(), Ok(instant));
        let json = serde_json::to_string(&instant).unwrap();
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), instant);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,80}") {
        let reread = text.parse::<Timestamp>().map(|t| (t, t.to_string().parse()));
        prop_assert!(reread.is_err() || matches!(reread, Ok((t, Ok(again))) if t == again));
    }

    #[test]
    fn an_instant_falls_in_the_interval_at_its_floor(instant in any_instant(), length in any_length()) {
        let floor = instant.floor_to(length);
        prop_assert_eq!(floor.unix() % i64::from(length.seconds()), 0);
        prop_assert!((0..i64::from(length.seconds())).contains(&instant.seconds_since(floor)));
        if let Ok(interval) = Interval::new(floor, length) {
            prop_assert!(interval.start() <= instant && instant < interval.end());
            let json = serde_json::to_string(&interval).unwrap();
            prop_assert_eq!(serde_json::from_str::<Interval>(&json).unwrap(), interval);
        }
        prop_assert_eq!(Interval::new(instant, length).is_ok(), instant == floor && floor.checked_add(length.seconds().into()).is_some());
    }

    #[test]
    fn adding_seconds_is_undone_by_their_difference(instant in any_instant(), seconds in any::<i64>()) {
        match instant.checked_add(seconds) {
            Some(later) => prop_assert_eq!(later.seconds_since(instant), seconds),
            None => prop_assert!(i128::from(instant.unix()) + i128::from(seconds) > i128::from(LATEST) || i128::from(instant.unix()) + i128::from(seconds) < 0),
        }
    }
}

#[test]
fn an_offset_is_turned_into_utc() {
    assert_eq!(
        "2026-03-29T03:00:00+02:00".parse(),
        Timestamp::from_unix(1_774_746_000)
    );
    assert_eq!(
        "2026-03-29T01:00:00Z".parse(),
        Timestamp::from_unix(1_774_746_000)
    );
}

#[test]
fn what_is_no_whole_second_of_the_years_1970_to_9999_is_refused() {
    let texts = [
        "",
        "2026-03-29",
        "2026-03-29T01:00Z",
        "2026-03-29T01:00:00",
        "2026-03-29T01:00:00.5Z",
        "2026-02-29T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "2026-03-29T24:00:00Z",
        "1774746000",
    ];
    for text in texts {
        assert!(text.parse::<Timestamp>().is_err(), "{text:?} was accepted");
    }
    for seconds in [-1, LATEST + 1, i64::MIN, i64::MAX] {
        assert_eq!(
            Timestamp::from_unix(seconds),
            Err(TimeError::OutOfRange { seconds })
        );
    }
}

#[test]
fn intervals_are_whole_minutes_that_divide_an_hour() {
    let minutes: Vec<u32> = (0..=7200)
        .filter(|s| IntervalLength::from_seconds(*s).is_ok())
        .map(|s| s / 60)
        .collect();
    assert_eq!(minutes, [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60]);
    assert!(serde_json::from_str::<IntervalLength>("301").is_err());
}

#[test]
fn an_interval_read_from_json_is_checked_as_one_that_is_made() {
    let refused = serde_json::from_str::<Interval>(r#"{"start":"2026-04-09T00:01:00Z","length":300}"#);
    assert!(refused.unwrap_err().to_string().contains("whole multiple"));
    assert!(serde_json::from_str::<Interval>(r#"{"start":"2026-04-09T00:05:00Z","length":300}"#).is_ok());
    assert!(serde_json::from_str::<Interval>(r#"{"start":"9999-12-31T23:55:00Z","length":300}"#).is_err());
}
