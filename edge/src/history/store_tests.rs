use super::*;
use proptest::prelude::*;

fn berlin() -> Zone {
    Zone::load("Europe/Berlin").unwrap()
}

fn entry(start: Timestamp, solar: i64) -> Entry {
    Entry {
        interval: Interval::new(start, IntervalLength::FIVE_MINUTES).unwrap(),
        energies: Energies {
            solar: Some(MilliwattHours::new(solar)),
            ..Energies::default()
        },
        state_of_charge: Some(50_000),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn history(directory: &tempfile::TempDir) -> History {
    History::open(&directory.path().join("history.sqlite"), berlin()).unwrap()
}

#[test]
fn a_local_day_is_summed_when_it_is_over_and_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept = history(&directory);
    // 21:55Z and 22:00Z are 23:55 and 00:00 in Berlin.
    kept.record(&[entry(at("2026-04-08T21:55:00Z"), 5)]).unwrap();
    kept.record(&[entry(at("2026-04-08T22:00:00Z"), 7)]).unwrap();
    drop(kept);
    let days = history(&directory)
        .days(date("2026-04-01"), date("2026-05-01"))
        .unwrap();
    let sums: Vec<_> = days
        .iter()
        .map(|d| (d.date.to_string(), d.energies.solar.unwrap().get()))
        .collect();
    assert_eq!(sums, [("2026-04-08".to_owned(), 5), ("2026-04-09".to_owned(), 7)]);
}

#[test]
fn what_comes_late_corrects_the_day_that_was_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = history(&directory);
    history.record(&[entry(at("2026-04-08T10:00:00Z"), 5)]).unwrap();
    history.record(&[entry(at("2026-04-10T10:00:00Z"), 1)]).unwrap();
    history
        .record(&[
            entry(at("2026-04-08T10:05:00Z"), 20),
            entry(at("2026-04-09T10:05:00Z"), 3),
        ])
        .unwrap();
    let days = history.days(date("2026-04-01"), date("2026-05-01")).unwrap();
    let sums: Vec<_> = days.iter().map(|d| d.energies.solar.unwrap().get()).collect();
    assert_eq!(sums, [25, 3, 1]);
}

#[test]
fn to_record_twice_is_to_record_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = history(&directory);
    let first = entry(at("2026-04-08T10:00:00Z"), 5);
    history.record(&[first]).unwrap();
    history.record(&[first]).unwrap();
    assert_eq!(history.intervals_of(date("2026-04-08")).unwrap(), [first]);
    assert_eq!(history.totals().unwrap().solar, Some(MilliwattHours::new(5)));
    history.record(&[entry(at("2026-04-08T10:00:00Z"), 9)]).unwrap();
    assert_eq!(history.totals().unwrap().solar, Some(MilliwattHours::new(9)));
}

#[test]
fn what_is_old_goes_and_the_total_stays() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = history(&directory);
    history.record(&[entry(at("2015-01-01T10:00:00Z"), 5)]).unwrap();
    history.record(&[entry(at("2020-01-01T10:00:00Z"), 5)]).unwrap();
    history.record(&[entry(at("2026-04-08T10:00:00Z"), 5)]).unwrap();
    // Older than what is kept: left out.
    history.record(&[entry(at("2021-01-01T10:00:00Z"), 5)]).unwrap();
    let dates: Vec<_> = history
        .days(date("2000-01-01"), date("2030-01-01"))
        .unwrap()
        .iter()
        .map(|d| d.date.to_string())
        .collect();
    assert_eq!(dates, ["2020-01-01", "2026-04-08"]);
    let count: i64 = history
        .connection
        .query_row("SELECT count(*) FROM interval", [], |r| r.get(0))
        .unwrap();
    assert_eq!(count, 1);
    assert_eq!(history.totals().unwrap().solar, Some(MilliwattHours::new(15)));
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("history.sqlite");
    std::fs::write(
        &file,
        "this is not a database, and it is long enough to be seen as none",
    )
    .unwrap();
    let error = History::open(&file, berlin()).unwrap_err().to_string();
    assert!(error.contains("history.sqlite"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn in_whatever_order_intervals_come_the_days_and_the_total_are_the_same(
        order in Just((0_i64..30).collect::<Vec<_>>()).prop_shuffle(),
        chunk in 1_usize..7,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut history = history(&directory);
        let start = at("2026-10-24T06:00:00Z");
        let entries: Vec<_> =
            order.iter().map(|i| entry(start.checked_add(i * 6000).unwrap(), 1 << i)).collect();
        for some in entries.chunks(chunk) {
            history.record(some).unwrap();
        }
        let days = history.days(date("2026-10-01"), date("2026-11-01")).unwrap();
        for day in &days {
            prop_assert_eq!(*day, sum_of_day(day.date, &berlin(), &entries).unwrap());
        }
        prop_assert_eq!(history.totals().unwrap().solar, Some(MilliwattHours::new((1 << 30) - 1)));
        prop_assert_eq!(days.len(), 3);
    }
}
