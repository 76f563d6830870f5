use super::*;
use crate::identity::SigningIdentity;

fn instant(unix: i64) -> Timestamp {
    Timestamp::from_unix(unix).unwrap()
}

fn amount(units: i128) -> TokenAmount {
    TokenAmount::new(units).unwrap()
}

fn energy(energy: i64) -> Option<MilliwattHours> {
    Some(MilliwattHours::new(energy))
}

fn line(baseline: i64, metered: i64, units: i128) -> StatementLine {
    StatementLine {
        baseline: energy(baseline),
        metered: energy(metered),
        credited: MilliwattHours::new((baseline - metered).max(0)),
        amount: amount(units),
        reason: (units == 0).then_some(ZeroReason::NotReduced),
    }
}

fn statement() -> SiteStatement {
    let unknown = StatementLine {
        metered: None,
        credited: MilliwattHours::ZERO,
        reason: Some(ZeroReason::MissingReading),
        ..line(7_000, 0, 0)
    };
    let lines = vec![
        line(500_000, 200_000, 255_000),
        line(100_000, 400_000, 0),
        unknown,
    ];
    SiteStatement {
        gateway: SigningIdentity::from_secret(&[1; 32]).unwrap().identity(),
        site: "home-1".to_owned(),
        program: "evening-flex".parse().unwrap(),
        program_version: 1,
        program_hash: Digest::of(b"program"),
        event: "tuesday".parse().unwrap(),
        version: 1,
        statement: Digest::of(b"statement"),
        settled_at: instant(7_200),
        asset: Asset::new("FLEX", 6).unwrap(),
        start: instant(1_800),
        end: instant(7_200),
        interval: IntervalLength::HALF_HOUR,
        totals: StatementTotals::of(&lines).unwrap(),
        reason: None,
        lines,
        parts: Vec::new(),
    }
}

#[test]
fn totals_compare_only_intervals_that_have_both_sides() {
    let totals = statement().totals;
    assert_eq!(
        (totals.baseline, totals.metered),
        (energy(600_000), energy(600_000))
    );
    assert_eq!(totals.credited, MilliwattHours::new(300_000));
    assert_eq!(totals.amount, amount(255_000));
    assert_eq!(
        StatementTotals::of(&statement().lines[2..]).unwrap().baseline,
        None
    );
    let huge = line(i64::MAX, 0, 1);
    assert!(StatementTotals::of(&[huge, huge]).is_err());
}

#[test]
fn each_line_has_its_time() {
    let statement = statement();
    let starts: Vec<i64> = statement.timed_lines().map(|(at, _)| at.unix()).collect();
    assert_eq!(starts, [1_800, 3_600, 5_400]);
}

#[test]
fn every_rule_of_a_statement_is_checked() {
    type Break = fn(&mut SiteStatement);
    let breaks: [(Break, &str); 15] = [
        (|s| s.site = String::new(), "visible ASCII"),
        (|s| s.site = "a b".to_owned(), "visible ASCII"),
        (|s| s.site = "a".repeat(129), "1 to 128"),
        (|s| s.version = 0, "begin at 1"),
        (|s| s.program_version = 0, "begin at 1"),
        (|s| s.end = s.start, "ends after its start"),
        (|s| s.end = instant(s.start.unix() + 88_200), "within a day"),
        (|s| s.start = instant(1_801), "with an interval"),
        (|s| s.settled_at = instant(7_199), "after its end"),
        (|s| s.lines.truncate(2), "a line for each interval"),
        (|s| s.lines.clear(), "a line for each interval"),
        (|s| s.totals.metered = None, "the same intervals"),
        (|s| s.totals.amount = amount(1), "sums of the lines"),
        (|s| s.lines[1].reason = None, "a reason exactly"),
        (|s| s.reason = Some(ZeroReason::NotReduced), "a reason exactly"),
    ];
    for (break_it, rule) in breaks {
        let mut broken = statement();
        break_it(&mut broken);
        let said = broken.check();
        assert!(said.is_err_and(|said| said.contains(rule)), "{rule}: {said:?}");
    }
    assert_eq!(statement().check(), Ok(()));
}

#[test]
fn an_event_of_more_intervals_than_fit_has_its_totals_alone() {
    let mut long = statement();
    (long.interval, long.lines) = (IntervalLength::from_seconds(60).unwrap(), Vec::new());
    long.end = instant(long.start.unix() + 60 * 289);
    long.settled_at = long.end;
    assert_eq!(long.check(), Ok(()));
    assert_eq!(SiteStatement::decode(&long.encode().unwrap()), Ok(long.clone()));
    long.end = instant(long.start.unix() + 60 * 288);
    assert!(long.check().is_err());
}

#[test]
fn integers_of_any_size_have_one_form() {
    let most = crate::quantity::TOKEN_AMOUNT_MAX;
    let wide = 1_i128 << 64;
    for value in [
        0,
        -1,
        23,
        24,
        wide - 1,
        wide,
        -wide,
        -wide - 1,
        most,
        -most,
        i128::MAX,
        i128::MIN,
    ] {
        let bytes = crate::cbor::write(|e| crate::cbor::write_integer(e, value));
        let read = crate::cbor::read_integer(&mut Decoder::new(&bytes)).unwrap();
        assert_eq!(read, value);
        assert_eq!(
            bytes.first().map(|byte| byte >> 5 == 6),
            Some(!(-wide..wide).contains(&value))
        );
    }
}
