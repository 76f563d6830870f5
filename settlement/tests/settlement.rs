//! Settling an event from a real store: paid once, the same bundle at every time, all or nothing.

mod cluster;
mod scenario;
mod shelf;

use std::fs;
use std::path::PathBuf;

use clap::Parser as _;
use cluster::Database;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::message::Message;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::Report;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{Topic, TopicKind};
use gridtally_settlement::cli::{self, ledger::LedgerCommand, settlement::SettleArgs};
use gridtally_settlement::ingest::chain::Link;
use gridtally_settlement::proofs::derive::derive;
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::{SettlementError, SettlementOutcome, settle};
use gridtally_settlement::proofs::verify::verify;
use gridtally_settlement::store::ledger::{self, Law, LedgerError, Posted};
use gridtally_settlement::store::refusals::StoredRefusal;
use gridtally_settlement::store::reports::StoredReport;
use gridtally_settlement::store::{Store, refusals, reports};
use scenario::{EVENT_END, Scenario, at, engine, gateway};
use shelf::{balance, pay_in, stored};

const SETTLED_AT: &str = "2026-04-22T06:00:00Z";

fn event() -> EventId {
    "tuesday-evening".parse().unwrap()
}

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tuesday-evening.bundle")
    }

    fn settle(&self, store: &mut Store, now: &str) -> Result<SettlementOutcome, SettlementError> {
        self.settle_with(store, now, Patience::Deadline)
    }

    fn settle_with(
        &self,
        store: &mut Store,
        now: &str,
        patience: Patience,
    ) -> Result<SettlementOutcome, SettlementError> {
        settle(store, &engine(), &event(), at(now), patience, &self.path())
    }
}

#[test]
fn an_event_is_paid_once_and_its_bundle_is_the_same_at_every_time() {
    let database = Database::create();
    let scenario = Scenario::new();
    let mut store = stored(&database, &scenario);
    assert_eq!(pay_in(&mut store, "1", 50_000_000).unwrap(), Posted::New);
    assert_eq!(pay_in(&mut store, "1", 50_000_000).unwrap(), Posted::Before);
    assert!(matches!(
        pay_in(&mut store, "1", 60_000_000),
        Err(LedgerError::Conflict { .. })
    ));

    let desk = Desk::new();
    let first = desk.settle(&mut store, SETTLED_AT).unwrap();
    assert!(first.new);
    let bundle = fs::read(desk.path()).unwrap();
    assert_eq!(balance(&mut store, "beneficiary:owner-1"), 2_550_000);
    assert_eq!(balance(&mut store, "beneficiary:owner-3"), 7_650_000);
    assert_eq!(
        balance(&mut store, "escrow:evening-flex"),
        50_000_000 - 10_200_000
    );

    fs::remove_file(desk.path()).unwrap();
    let again = desk.settle(&mut store, "2026-05-01T00:00:00Z").unwrap();
    assert!(!again.new);
    assert_eq!(
        again,
        SettlementOutcome {
            new: false,
            ..first.clone()
        }
    );
    assert_eq!(fs::read(desk.path()).unwrap(), bundle);
    assert_eq!(
        balance(&mut store, "escrow:evening-flex"),
        50_000_000 - 10_200_000
    );
    for trial in store.transact(|client| ledger::trial_balance(client)).unwrap() {
        assert!(trial.holds(), "{trial:?}");
    }

    let verified = verify(&bundle, Some(&engine().identity())).unwrap();
    assert_eq!(verified.derived, first.derived);
    assert_eq!(verified.bundle.root(), first.bundle_root);
    // The store adds and leaves out nothing.
    assert_eq!(
        first.derived.statement,
        derive(&scenario.evidence()).unwrap().statement
    );
    let others: Vec<_> = fs::read_dir(desk.folder.path()).unwrap().collect();
    assert_eq!(others.len(), 1, "nothing half-written is left beside the bundle");
}

#[test]
fn an_empty_escrow_pays_nobody_and_leaves_nothing_settled() {
    let database = Database::create();
    let mut store = stored(&database, &Scenario::new());
    pay_in(&mut store, "1", 10_199_999).unwrap();
    let desk = Desk::new();
    let refused = desk.settle(&mut store, SETTLED_AT);
    let overdraft = |e: &SettlementError| {
        matches!(
            e,
            SettlementError::Ledger(LedgerError::Refused {
                law: Law::NoOverdraft,
                ..
            })
        )
    };
    assert!(refused.as_ref().is_err_and(overdraft), "{refused:?}");
    assert!(!desk.path().exists());
    pay_in(&mut store, "2", 1).unwrap();
    assert!(desk.settle(&mut store, SETTLED_AT).unwrap().new);
    assert_eq!(balance(&mut store, "escrow:evening-flex"), 0);
}

#[test]
fn an_event_waits_for_the_sites_that_have_not_reported_beyond_its_end_until_the_deadline() {
    let database = Database::create();
    let mut scenario = Scenario::new();
    let end = at(EVENT_END);
    // Home 3 falls silent before the event is over.
    let of_home_3 = scenario.reports.get_mut(&3).unwrap();
    of_home_3.retain(|report| report.end().unwrap() < end);
    let mut store = stored(&database, &scenario);
    pay_in(&mut store, "1", 50_000_000).unwrap();
    let desk = Desk::new();
    let awaits_home_3 = |refused: &Result<SettlementOutcome, SettlementError>| match refused {
        Err(SettlementError::Awaited { sites, until, .. }) => {
            assert_eq!(*until, at("2026-04-23T08:00:00Z"));
            sites.iter().map(|site| site.as_str()).eq(["home-3"])
        }
        _ => false,
    };
    let refused = desk.settle(&mut store, "2026-04-23T07:59:59Z");
    assert!(awaits_home_3(&refused), "{refused:?}");
    assert!(!desk.path().exists());
    assert_eq!(balance(&mut store, "beneficiary:owner-1"), 0);
    assert!(desk.settle(&mut store, "2026-04-23T08:00:00Z").unwrap().new);
    assert_eq!(balance(&mut store, "beneficiary:owner-1"), 2_550_000);
    assert_eq!(balance(&mut store, "beneficiary:owner-3"), 0);
}

#[test]
fn who_does_not_want_to_wait_says_so() {
    let database = Database::create();
    let mut scenario = Scenario::new();
    scenario.reports.remove(&2);
    let mut store = stored(&database, &scenario);
    pay_in(&mut store, "1", 50_000_000).unwrap();
    let desk = Desk::new();
    let refused = desk.settle(&mut store, SETTLED_AT);
    assert!(
        matches!(refused, Err(SettlementError::Awaited { .. })),
        "{refused:?}"
    );
    assert!(
        desk.settle_with(&mut store, SETTLED_AT, Patience::None)
            .unwrap()
            .new
    );
}

#[test]
fn a_clock_that_is_behind_the_evidence_settles_nothing() {
    let database = Database::create();
    let mut store = stored(&database, &Scenario::new());
    let refused = Desk::new().settle(&mut store, "2026-04-21T20:00:00Z");
    assert!(
        matches!(refused, Err(SettlementError::ClockBehind { .. })),
        "{refused:?}"
    );
}

#[test]
fn an_event_that_is_not_over_is_not_settled() {
    let database = Database::create();
    let mut store = stored(&database, &Scenario::new());
    let refused = Desk::new().settle(&mut store, "2026-04-21T19:59:59Z");
    assert!(
        matches!(refused, Err(SettlementError::NotOver { .. })),
        "{refused:?}"
    );
}

#[test]
fn what_came_after_the_settlement_does_not_change_it() {
    let database = Database::create();
    let mut scenario = Scenario::new();
    let late = scenario.reports.get_mut(&1).unwrap().pop().unwrap();
    let mut store = stored(&database, &scenario);
    pay_in(&mut store, "1", 50_000_000).unwrap();
    let desk = Desk::new();
    let first = desk.settle_with(&mut store, SETTLED_AT, Patience::None).unwrap();
    assert_eq!(balance(&mut store, "beneficiary:owner-1"), 0);

    let envelope = late.seal(&gateway(1)).unwrap();
    let stored = StoredReport {
        gateway: gateway(1).identity(),
        link: Link::of(&Report::open(&envelope).unwrap()),
        received_at: at("2026-04-22T07:00:00Z"),
        envelope,
    };
    store
        .transact(|client| reports::insert_reports(client, std::slice::from_ref(&stored)))
        .unwrap();
    let again = desk.settle(&mut store, "2026-04-23T00:00:00Z").unwrap();
    assert_eq!(again.bundle_root, first.bundle_root);
}

#[test]
fn roundings_are_carried_from_settlement_to_settlement_of_a_program() {
    let database = Database::create();
    let mut scenario = Scenario::new();
    let mut second = scenario.case.event.clone();
    second.id = "tuesday-night".parse().unwrap();
    second.start = second.end;
    second.end = at("2026-04-21T21:00:00Z");
    scenario.case.other_events = vec![second.clone()];
    let mut store = stored(&database, &scenario);
    pay_in(&mut store, "1", 50_000_000).unwrap();
    let desk = Desk::new();
    let first = desk.settle(&mut store, SETTLED_AT).unwrap();
    let next = settle(
        &mut store,
        &engine(),
        &second.id,
        at(SETTLED_AT),
        Patience::Deadline,
        &desk.folder.path().join("b"),
    )
    .unwrap();
    assert_eq!(
        next.derived.statement.rounding.carry_in,
        first.derived.statement.rounding.carry_out
    );
    let bundle = fs::read_to_string(desk.folder.path().join("b")).unwrap();
    let carried = format!(
        "\"carried_from\":{{\"event\":\"tuesday-evening\",\"version\":1,\"statement\":\"{}\"",
        first.statement_hash
    );
    assert!(bundle.contains(&carried));
    verify(bundle.as_bytes(), None).unwrap();
    assert_eq!(
        next.derived.bookings.settlement, None,
        "nobody answered: nothing is booked"
    );
}

#[test]
fn who_equivocates_or_forges_is_in_the_bundle_with_the_reason() {
    let database = Database::create();
    let mut scenario = Scenario::new();
    let mut other = scenario.reports[&1][35].clone();
    other.series[0].samples.fill(Ok(0));
    scenario.reports.get_mut(&1).unwrap().push(other);
    let mut store = stored(&database, &scenario);
    let forged = StoredRefusal {
        received_at: at("2026-04-21T20:00:00Z"),
        topic: Topic {
            gateway: gateway(3).identity(),
            kind: TopicKind::Report,
        }
        .to_string(),
        gateway: Some(gateway(3).identity()),
        reason: Refusal::Malformed,
        detail: "no CBOR".to_owned(),
        digest: Digest::of(b"forged"),
        bytes: b"forged".to_vec(),
    };
    store
        .transact(|client| refusals::insert_refusals(client, std::slice::from_ref(&forged)))
        .unwrap();
    pay_in(&mut store, "1", 50_000_000).unwrap();
    let desk = Desk::new();
    let outcome = desk.settle(&mut store, SETTLED_AT).unwrap();
    let reasons: Vec<_> = outcome
        .derived
        .refused
        .iter()
        .map(|refused| refused.reason)
        .collect();
    assert_eq!(
        reasons,
        [Refusal::Malformed, Refusal::Equivocation, Refusal::Equivocation]
    );
    assert_eq!(balance(&mut store, "beneficiary:owner-1"), 0);
    assert_eq!(balance(&mut store, "beneficiary:owner-3"), 7_650_000);
    verify(&fs::read(desk.path()).unwrap(), None).unwrap();
}

#[test]
fn two_settlements_of_one_event_at_once_pay_once() {
    let database = Database::create();
    let mut store = stored(&database, &Scenario::new());
    pay_in(&mut store, "1", 50_000_000).unwrap();
    let start = std::sync::Barrier::new(4);
    let outcomes: Vec<(bool, Digest, Timestamp)> = std::thread::scope(|scope| {
        let run = |_| {
            let (database, start) = (&database, &start);
            scope.spawn(move || {
                let mut store = Store::open(&database.url()).unwrap();
                let desk = Desk::new();
                start.wait();
                let outcome = desk.settle(&mut store, SETTLED_AT).unwrap();
                (outcome.new, outcome.bundle_root, outcome.settled_at)
            })
        };
        let runs: Vec<_> = (0..4).map(run).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|(new, ..)| *new).count(), 1);
    assert!(outcomes.iter().all(|(_, root, _)| *root == outcomes[0].1));
    assert_eq!(
        balance(&mut store, "escrow:evening-flex"),
        50_000_000 - 10_200_000
    );
}

#[derive(clap::Parser)]
struct LedgerLine {
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(clap::Parser)]
struct SettleLine {
    #[command(flatten)]
    args: SettleArgs,
}

#[test]
fn an_operator_pays_in_settles_and_looks_at_the_ledger() {
    let database = Database::create();
    let mut store = stored(&database, &Scenario::new());
    let desk = Desk::new();
    let bundle = desk.path();
    let settle = |store: &mut Store| {
        let args =
            SettleLine::parse_from(["settle", "tuesday-evening", "--bundle", bundle.to_str().unwrap()]).args;
        let mut out = Vec::new();
        cli::settlement::run_settle(&args, store, &engine(), at(SETTLED_AT), &mut out)
            .map(|()| String::from_utf8(out).unwrap())
    };
    let ledger = |store: &mut Store, words: &str| {
        let line = LedgerLine::parse_from(["ledger"].into_iter().chain(words.split(' ')));
        let mut out = Vec::new();
        cli::ledger::run(&line.command, store, at(SETTLED_AT), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let error = settle(&mut store).unwrap_err().to_string();
    assert!(
        error.contains("pay into the escrow with `gridtally engine ledger deposit`"),
        "{error}"
    );

    let payment = "deposit --program evening-flex --amount 500.5 --operator oslo-grid --reference INV-1";
    assert!(ledger(&mut store, payment).starts_with("Booked: 500.500000 FLEX into escrow:evening-flex"));
    assert!(ledger(&mut store, payment).starts_with("Was booked before: 500.500000 FLEX"));
    let text = settle(&mut store).unwrap();
    assert!(text.contains("home-2                    opted_out"), "{text}");
    assert!(settle(&mut store).unwrap().starts_with("Was settled before"));

    let balances = ledger(&mut store, "balances");
    let sum = balances.lines().last().unwrap();
    assert!(
        sum.starts_with("all accounts together") && sum.ends_with(" 0.000000 FLEX"),
        "{balances}"
    );
    assert!(ledger(&mut store, "journal").contains("settlement/tuesday-evening/1"));
    let account = ledger(&mut store, "account beneficiary:owner-3");
    assert!(
        account.contains(" 7.650000 FLEX  settlement/tuesday-evening/1"),
        "{account}"
    );
    for words in ["balances --json", "journal --json", "account issuance --json"] {
        for line in ledger(&mut store, words).lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
}
