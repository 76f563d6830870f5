//! Settling anew, on a real PostgreSQL: late and corrected readings, disputes, what was paid too much, and who has to
//! approve. Nothing is overwritten, and the ledger adds up at every step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cluster;
mod scenario;
mod shelf;

use std::collections::BTreeMap;
use std::path::PathBuf;

use cluster::Database;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::{Interval, IntervalLength};
use gridtally_settlement::events::revision::{Actor, Why};
use gridtally_settlement::proofs::evidence::ReceivedReport;
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::{
    Due, Order, SettlementError, SettlementOutcome, Standing, Which, carry_out, decide_dispute, due,
    finalise, raise_dispute,
};
use gridtally_settlement::proofs::verify::verify;
use gridtally_settlement::rules::statement::{Cause, Change, Occasion};
use gridtally_settlement::store::corrections::{Correcting, correct};
use gridtally_settlement::store::ledger::{self, payouts};
use gridtally_settlement::store::{Store, settlements};
use scenario::{EVENT_START, PROGRAM, Scenario, at, engine, gateway};
use shelf::{balance, keep_reports, pay_in, stored};

/// What each home earns: ¾ n kWh in each of four half hours, at 0.85.
const EARNED: i128 = 2_550_000;
const FIRST: &str = "2026-04-22T06:00:00Z";
const WEEK_LATER: &str = "2026-04-28T20:00:00Z";
const MONTH_LATER: &str = "2026-05-21T20:00:00Z";

const RESETTLEMENT: &str = r#"
[resettlement]
after_days = [7, 30]
dispute_days = 14
materiality = "0.10"
recovery_share = "1/2"
"#;

struct Office {
    _database: Database,
    store: Store,
    folder: tempfile::TempDir,
    /// Home 3's reports that come late.
    late: Vec<ReceivedReport>,
}

fn event() -> EventId {
    "tuesday-evening".parse().unwrap()
}

fn name(text: &str) -> Actor {
    text.parse().unwrap()
}

fn why(text: &str) -> Why {
    text.parse().unwrap()
}

impl Office {
    /// Home 3's reports of the event's day are missing at first.
    fn open(program: &str) -> Self {
        let mut scenario = Scenario::new();
        scenario.program = format!("{PROGRAM}{program}");
        // The program-wide keys stand before the tables.
        if let Some(approvals) = program.strip_prefix("approvals") {
            let (line, rest) = approvals.split_once('\n').unwrap();
            scenario.program = format!("approvals{line}\n{PROGRAM}{rest}");
        }
        let late: Vec<_> = scenario.reports[&3]
            .iter()
            .filter(|report| report.start >= at("2026-04-21T12:00:00Z"))
            .map(|report| scenario::received(&gateway(3), &gateway(3), report))
            .collect();
        scenario
            .reports
            .get_mut(&3)
            .unwrap()
            .retain(|report| report.start < at("2026-04-21T12:00:00Z"));
        let database = Database::create();
        let mut store = stored(&database, &scenario);
        pay_in(&mut store, "1", 50_000_000).unwrap();
        Self {
            _database: database,
            store,
            folder: tempfile::tempdir().unwrap(),
            late,
        }
    }

    fn bundle(&self, version: &str) -> PathBuf {
        self.folder.path().join(format!("{version}.bundle"))
    }

    fn order(
        &mut self,
        which: Which,
        now: &str,
        by: &str,
        preview: bool,
    ) -> Result<SettlementOutcome, SettlementError> {
        let bundle = self.bundle(&format!("{which:?}-{}", now.replace(':', "")));
        let (event, by) = (event(), name(by));
        let order = Order {
            event: &event,
            which,
            patience: Patience::None,
            by: &by,
            preview,
            bundle: &bundle,
        };
        carry_out(&mut self.store, &engine(), &order, at(now))
    }

    fn settle(&mut self) -> SettlementOutcome {
        let outcome = self.order(Which::First, FIRST, "Ann", false).unwrap();
        self.holds(&outcome);
        outcome
    }

    fn resettle(&mut self, now: &str) -> SettlementOutcome {
        let outcome = self.order(Which::Next, now, "Ann", false).unwrap();
        self.holds(&outcome);
        outcome
    }

    /// The ledger adds up, its chain holds, and the bundle proves the statement to a stranger.
    fn holds(&mut self, outcome: &SettlementOutcome) {
        for trial in self
            .store
            .transact(|client| ledger::trial_balance(client))
            .unwrap()
        {
            assert!(trial.holds(), "{trial:?}");
        }
        self.store.transact(|client| ledger::verify(client)).unwrap();
        let bytes = std::fs::read(&outcome.bundle).unwrap();
        let verified = verify(&bytes, Some(&engine().identity())).unwrap();
        assert_eq!(verified.derived, outcome.derived);
        assert_eq!(verified.bundle.run(), outcome.run);
    }

    fn late_readings_come(&mut self) {
        let mut late = self.late.clone();
        for report in &mut late {
            report.received_at = at("2026-04-25T00:00:00Z");
        }
        self.store.transact(|client| keep_reports(client, &late)).unwrap();
    }

    /// Puts another meter's kWh in the place of home `home`'s, in the event's first intervals.
    fn correct(&mut self, home: u8, kilowatt_hours: &[Option<i64>], now: &str) {
        let readings: Vec<_> = (0..)
            .zip(kilowatt_hours)
            .map(|(place, value)| {
                let start = at(EVENT_START).checked_add(place * 1_800).unwrap();
                let interval = Interval::new(start, IntervalLength::HALF_HOUR).unwrap();
                (interval, value.map(|wh| MilliwattHours::new(wh * 1_000)))
            })
            .collect();
        let correcting = Correcting {
            program: &"evening-flex".parse().unwrap(),
            site: &format!("home-{home}").parse().unwrap(),
            readings: &readings,
            by: &name("Bo"),
            why: &why("the utility's own meter, file 7"),
        };
        self.store
            .transact(|client| correct(client, &correcting, at(now)))
            .unwrap();
    }

    fn dispute(&mut self, home: u8, now: &str) -> Result<u32, SettlementError> {
        let site = format!("home-{home}").parse().unwrap();
        let hand = (&name("Olga"), &why("that is not what my meter shows"));
        raise_dispute(&mut self.store, &event(), &site, hand, at(now))
    }

    fn uphold(&mut self, number: u32, now: &str) -> Result<(), SettlementError> {
        let hand = (&name("Ann"), &why("she is right"));
        decide_dispute(&mut self.store, &event(), number, true, hand, at(now))
    }

    fn owner(&mut self, home: u8) -> i128 {
        balance(&mut self.store, &format!("beneficiary:owner-{home}"))
    }
}

/// Site, difference in base units, whether it was paid, and why.
type Difference = (String, i128, bool, Vec<(Change, u32)>);

fn differences(outcome: &SettlementOutcome) -> Vec<Difference> {
    let resettled = outcome.derived.statement.resettled.as_ref().unwrap();
    let causes = |causes: &[Cause]| causes.iter().map(|c| (c.change, c.intervals)).collect();
    let sites = resettled.sites.iter();
    sites
        .map(|s| {
            (
                s.site.to_string(),
                s.difference.base_units(),
                s.settled,
                causes(&s.causes),
            )
        })
        .collect()
}

#[test]
fn readings_that_come_late_are_paid_by_the_next_statement_and_the_first_stays_as_it_was() {
    let mut office = Office::open(RESETTLEMENT);
    let first = office.settle();
    assert_eq!(office.owner(3), 0);
    office.late_readings_come();
    let early = office.order(Which::Next, "2026-04-28T19:59:59Z", "Ann", false);
    assert!(
        early
            .unwrap_err()
            .to_string()
            .contains("asks for the next on 2026-04-28T20:00:00Z")
    );

    let second = office.resettle(WEEK_LATER);
    assert_eq!(second.version, 2);
    let late = vec![(Change::LateReading, 4)];
    assert_eq!(
        differences(&second),
        [("home-3".to_owned(), 3 * EARNED, true, late)]
    );
    assert_eq!((office.owner(1), office.owner(3)), (EARNED, 3 * EARNED));
    let resettled = second.derived.statement.resettled.as_ref().unwrap();
    assert_eq!(resettled.statement, first.statement_hash);
    assert_eq!(resettled.occasion, Occasion::Calendar { after_days: 7 });

    let kept = office
        .store
        .transact(|client| settlements::find(client, &event(), 1))
        .unwrap()
        .unwrap();
    assert_eq!(kept.statement_hash, first.statement_hash);
    let again = office.order(Which::Next, WEEK_LATER, "Ann", false).unwrap_err();
    assert!(matches!(again, SettlementError::NothingDue { .. }), "{again}");
    // Each home is told the newest statement: of the first version nobody waits any more.
    let told: Vec<(String, i64)> = office
        .store
        .transact(|client| {
            let rows = client.query(
                "SELECT version::text, count(*) FROM statement_sent GROUP BY 1 ORDER BY 1",
                &[],
            )?;
            Ok::<_, gridtally_settlement::store::StoreError>(
                rows.iter().map(|row| (row.get(0), row.get(1))).collect(),
            )
        })
        .unwrap();
    assert_eq!(told, [("1".to_owned(), 3), ("2".to_owned(), 3)]);

    let third = office.resettle(MONTH_LATER);
    assert_eq!(differences(&third), []);
    assert_eq!(third.derived.bookings.all().count(), 0);
    finalise(
        &mut office.store,
        &event(),
        (&name("Ann"), &why("")),
        at("2026-06-05T00:00:00Z"),
    )
    .unwrap();
    let after = office
        .order(Which::Next, "2026-07-01T00:00:00Z", "Ann", false)
        .unwrap_err();
    assert!(
        matches!(after, SettlementError::NothingDue { next: None, .. }),
        "{after}"
    );
}

#[test]
fn who_was_paid_too_much_gives_back_what_he_holds_and_owes_the_rest_out_of_later_credits() {
    let mut office = Office::open(RESETTLEMENT);
    office.settle();
    // Owner 1 has most of it on its way out; no payout is ever blocked.
    let paid_out = 2_000_000;
    let asset = gridtally_protocol::quantity::Asset::new("FLEX", 6).unwrap();
    let lines = BTreeMap::from([(
        "owner-1".parse().unwrap(),
        gridtally_protocol::quantity::TokenAmount::new(paid_out).unwrap(),
    )]);
    office
        .store
        .transact(|client| payouts::mature(client, &"2026-04".parse().unwrap(), &asset, &lines, at(FIRST)))
        .unwrap();

    // The utility's meter says that home 1 drew as usual.
    office.correct(1, &[Some(1_000); 4], "2026-04-23T00:00:00Z");
    let number = office.dispute(1, "2026-04-23T00:00:00Z").unwrap();
    office.uphold(number, "2026-04-24T00:00:00Z").unwrap();
    let second = office.resettle("2026-04-24T00:00:01Z");
    let corrected = vec![(Change::CorrectedReading, 4)];
    assert_eq!(
        differences(&second),
        [("home-1".to_owned(), -EARNED, true, corrected)]
    );
    assert_eq!(office.owner(1), 0);
    assert_eq!(balance(&mut office.store, "payable:owner-1"), paid_out);
    assert_eq!(
        balance(&mut office.store, "receivable:evening-flex:owner-1"),
        -paid_out
    );
    assert_eq!(balance(&mut office.store, "claim:evening-flex"), paid_out);
    assert_eq!(
        balance(&mut office.store, "escrow:evening-flex"),
        50_000_000 - EARNED + (EARNED - paid_out)
    );

    // The utility was wrong after all: of what is credited anew, half pays what is owed.
    office.correct(1, &[Some(250); 4], "2026-04-25T00:00:00Z");
    let number = office.dispute(1, "2026-04-25T00:00:00Z").unwrap();
    office.uphold(number, "2026-04-25T00:00:01Z").unwrap();
    let third = office.resettle("2026-04-25T00:00:02Z");
    assert_eq!(differences(&third)[0].1, EARNED);
    assert_eq!(office.owner(1), EARNED - EARNED / 2);
    assert_eq!(
        balance(&mut office.store, "receivable:evening-flex:owner-1"),
        EARNED / 2 - paid_out
    );
    let keys: Vec<String> = third
        .derived
        .bookings
        .all()
        .map(|t| t.key().to_string())
        .collect();
    assert_eq!(
        keys,
        ["settlement/tuesday-evening/3", "recovery/tuesday-evening/3"]
    );
}

#[test]
fn a_difference_below_the_threshold_is_shown_and_not_paid_and_is_not_forgotten() {
    let mut office = Office::open(RESETTLEMENT);
    office.settle();
    // 100 Wh more at 0.85 is 0.085 FLEX, and the threshold 0.10.
    office.correct(1, &[Some(150)], "2026-04-23T00:00:00Z");
    let second = office.resettle(WEEK_LATER);
    let corrected = vec![(Change::CorrectedReading, 1)];
    assert_eq!(
        differences(&second),
        [("home-1".to_owned(), 85_000, false, corrected)]
    );
    assert_eq!(second.derived.bookings.all().count(), 0);
    assert_eq!(office.owner(1), EARNED);
    // Another 100 Wh, and both together are above it.
    office.correct(1, &[Some(150), Some(150)], "2026-05-01T00:00:00Z");
    let third = office.resettle(MONTH_LATER);
    let corrected = vec![(Change::CorrectedReading, 2)];
    assert_eq!(
        differences(&third),
        [("home-1".to_owned(), 170_000, true, corrected)]
    );
    assert_eq!(office.owner(1), EARNED + 170_000);
}

#[test]
fn a_reading_that_is_withdrawn_earns_nothing_and_the_line_says_why() {
    let mut office = Office::open(RESETTLEMENT);
    office.settle();
    office.correct(1, &[None], "2026-04-23T00:00:00Z");
    let second = office.resettle(WEEK_LATER);
    assert_eq!(differences(&second)[0].1, -EARNED / 4);
    let line = &second.derived.statement.sites[0].lines[0];
    let said = serde_json::to_value(line).unwrap();
    assert_eq!(
        (&said["missing"], &said["correction"], &said["reason"]),
        (&"withdrawn".into(), &1.into(), &"missing_reading".into())
    );
}

#[test]
fn disputes_have_a_deadline_a_number_and_one_decision() {
    let mut office = Office::open(RESETTLEMENT);
    let unsettled = office.dispute(1, "2026-04-23T00:00:00Z").unwrap_err();
    assert!(matches!(unsettled, SettlementError::NotSettled(_)), "{unsettled}");
    office.settle();
    assert_eq!(office.dispute(1, "2026-04-23T00:00:00Z").unwrap(), 1);
    assert_eq!(office.dispute(2, "2026-04-23T00:00:00Z").unwrap(), 2);
    let nobody = office.dispute(9, "2026-04-23T00:00:00Z").unwrap_err();
    assert!(nobody.to_string().contains("has no site home-9"), "{nobody}");
    let late = office.dispute(1, "2026-05-06T06:00:00Z").unwrap_err();
    assert!(late.to_string().contains("until 2026-05-06T06:00:00Z"), "{late}");

    let hand = (&name("Ann"), &why("the meter was read by two people"));
    decide_dispute(
        &mut office.store,
        &event(),
        1,
        false,
        hand,
        at("2026-04-24T00:00:00Z"),
    )
    .unwrap();
    let twice = office.uphold(1, "2026-04-24T00:00:01Z").unwrap_err();
    assert!(twice.to_string().contains("was decided by Ann"), "{twice}");
    let none = office.uphold(7, "2026-04-24T00:00:01Z").unwrap_err();
    assert!(none.to_string().contains("has no dispute 7"), "{none}");
    let mute = (&name("Ann"), &why(""));
    let mute = raise_dispute(
        &mut office.store,
        &event(),
        &"home-1".parse().unwrap(),
        mute,
        at("2026-04-24T00:00:01Z"),
    );
    assert!(matches!(mute, Err(SettlementError::NoReason)), "{mute:?}");
    // A rejected one asks for no statement; one that waits keeps the event open.
    let nothing = office
        .order(Which::Next, "2026-04-24T00:00:02Z", "Ann", false)
        .unwrap_err();
    assert!(matches!(nothing, SettlementError::NothingDue { .. }), "{nothing}");
    let todo = due(&mut office.store, at("2026-04-24T00:00:02Z")).unwrap();
    assert_eq!(todo[0].1[0], Due::Decide { dispute: 2 });
    let open = finalise(&mut office.store, &event(), hand, at("2027-01-01T00:00:00Z"))
        .unwrap_err()
        .to_string();
    assert!(
        open.contains("dispute 2 is not decided") && open.contains("asks for another statement"),
        "{open}"
    );
}

#[test]
fn where_two_have_to_approve_nothing_is_paid_until_both_have_seen_the_same() {
    let mut office = Office::open(&format!("approvals = 2\n{RESETTLEMENT}"));
    let first = office.order(Which::First, FIRST, "Ann", false).unwrap();
    assert!(matches!(&first.standing, Standing::Proposed { needed: 2, .. }));
    let again = office.order(Which::First, FIRST, "Ann", false).unwrap();
    assert!(matches!(&again.standing, Standing::Proposed { approved, .. } if approved.len() == 1));
    assert_eq!(office.owner(1), 0);
    // What comes in between does not change what the second approves of.
    office.late_readings_come();
    let second = office
        .order(Which::First, "2026-04-26T00:00:00Z", "Bo", false)
        .unwrap();
    assert_eq!(second.standing, Standing::Posted);
    assert_eq!((second.run, second.settled_at), (first.run, first.settled_at));
    office.holds(&second);
    assert_eq!(office.owner(1), EARNED);
}

#[test]
fn a_preview_leaves_nothing_behind() {
    let mut office = Office::open(RESETTLEMENT);
    let seen = office.order(Which::First, FIRST, "Ann", true).unwrap();
    assert_eq!(seen.standing, Standing::Preview);
    assert!(seen.bundle.to_str().unwrap().ends_with(".bundle.proposed"));
    assert_eq!(office.owner(1), 0);
    let settled = office.settle();
    assert_eq!(
        (settled.run, settled.statement_hash),
        (seen.run, seen.statement_hash)
    );
}
