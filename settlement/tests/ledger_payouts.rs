//! Money on its way out, in a real PostgreSQL and real files.

mod books;
mod cluster;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use books::{app, assert_sound, balance, deposit, flex, migrated, settlement, tokens};
use cluster::Database;
use gridtally_protocol::quantity::TokenAmount;
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::ledger::{Holder, PayoutName};
use gridtally_settlement::payouts::{
    Carrier, FileCarrier, FileCarrierError, HandOverError, Order, hand_over,
};
use gridtally_settlement::store::Store;
use gridtally_settlement::store::ledger::breaker::{self, PayoutLimit};
use gridtally_settlement::store::ledger::payouts::{self, Creation, Payout, PayoutState};
use gridtally_settlement::store::ledger::{self, Law, LedgerError};
use postgres::Client;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

fn holder(text: &str) -> Holder {
    text.parse().unwrap()
}

fn lines(amounts: &[(&str, i128)]) -> BTreeMap<Holder, TokenAmount> {
    amounts
        .iter()
        .map(|(owner, amount)| (holder(owner), tokens(*amount)))
        .collect()
}

/// Owner 1 can be paid 300, owner 2 200.
fn payable(database: &Database) -> Client {
    let mut client = app(database);
    ledger::post(
        &mut client,
        &[deposit(1, 1_000), settlement("evening", &[(1, 300), (2, 200)])],
    )
    .unwrap();
    let all = BTreeMap::new();
    payouts::mature(&mut client, &holder("m-1"), &flex(), &all, at(5))
        .unwrap()
        .unwrap();
    assert_eq!(balance(&mut client, "payable:owner-1"), 300);
    client
}

fn create(
    client: &mut Client,
    batch: &str,
    amounts: &[(&str, i128)],
    now: i64,
) -> Result<Creation, LedgerError> {
    payouts::create(client, &holder(batch), &flex(), &lines(amounts), at(now))
}

fn states(client: &mut Client, batch: &str) -> Vec<(String, PayoutState)> {
    let payouts = payouts::of_batch(client, &holder(batch)).unwrap();
    payouts.iter().map(|p| (p.name.to_string(), p.state)).collect()
}

fn names(payouts: &[Payout]) -> Vec<PayoutName> {
    payouts.iter().map(|p| p.name.clone()).collect()
}

fn refused_by(result: Result<impl std::fmt::Debug, LedgerError>) -> Law {
    match result {
        Err(LedgerError::Refused { law, .. }) => law,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_payout_is_created_submitted_failed_tried_again_and_confirmed_once() {
    let database = migrated();
    let mut client = payable(&database);
    let directory = tempfile::tempdir().unwrap();
    let mut carrier = FileCarrier::new(directory.path().to_owned());
    let mut store = Store::open(&database.url()).unwrap();
    let batch = holder("april");

    assert_eq!(
        create(&mut client, "april", &[("owner-1", 300), ("owner-2", 150)], 10).unwrap(),
        Creation::Created
    );
    assert_eq!(
        create(&mut client, "april", &[("owner-1", 300)], 11).unwrap(),
        Creation::Created,
        "again"
    );
    assert_eq!(balance(&mut client, "clearing"), 450);
    let first: PayoutName = "april/owner-1/1".parse().unwrap();
    let unsubmitted = payouts::confirm(&mut client, std::slice::from_ref(&first), at(12));
    assert_eq!(refused_by(unsubmitted), Law::SubmittedFirst);

    assert_eq!(
        hand_over(&mut store, &mut carrier, &batch, at(13)).unwrap(),
        ["april.1"]
    );
    let text = fs::read_to_string(carrier.path("april.1")).unwrap();
    assert_eq!(
        text,
        "key,attempt,owner,amount,asset,base_units\n\
         april/owner-1,1,owner-1,0.000300,FLEX,300\n\
         april/owner-2,1,owner-2,0.000150,FLEX,150\n"
    );

    payouts::fail(&mut client, std::slice::from_ref(&first), at(14)).unwrap();
    payouts::fail(&mut client, std::slice::from_ref(&first), at(15)).unwrap();
    assert_eq!(balance(&mut client, "payable:owner-1"), 300);
    assert_eq!(
        refused_by(payouts::confirm(&mut client, &[first], at(16))),
        Law::ResolvedOnce
    );
    let second: PayoutName = "april/owner-2/1".parse().unwrap();
    payouts::confirm(&mut client, std::slice::from_ref(&second), at(16)).unwrap();
    assert_eq!(
        refused_by(payouts::fail(&mut client, std::slice::from_ref(&second), at(17))),
        Law::ResolvedOnce
    );

    for now in [20, 21] {
        assert_eq!(
            payouts::retry(&mut client, &batch, at(now)).unwrap(),
            Creation::Created
        );
    }
    assert_eq!(
        hand_over(&mut store, &mut carrier, &batch, at(22)).unwrap(),
        ["april.2"]
    );
    let again: PayoutName = "april/owner-1/2".parse().unwrap();
    payouts::confirm(&mut client, &[again], at(23)).unwrap();
    assert_eq!(
        states(&mut client, "april"),
        [
            ("april/owner-1/1".to_owned(), PayoutState::Failed),
            ("april/owner-2/1".to_owned(), PayoutState::Confirmed),
            ("april/owner-1/2".to_owned(), PayoutState::Confirmed)
        ]
    );
    assert_eq!(balance(&mut client, "clearing"), 0);
    assert_eq!(balance(&mut client, "issuance"), -550);
    assert_sound(&mut client);
}

/// A carrier that is cut off before or after it has taken a handover.
struct Cut<'c> {
    inner: &'c mut FileCarrier,
    after_taking: bool,
}

#[derive(Debug, thiserror::Error)]
enum CutError {
    #[error("cut off")]
    Off,
    #[error(transparent)]
    Inner(#[from] FileCarrierError),
}

impl Carrier for Cut<'_> {
    type Error = CutError;
    fn name(&self) -> &'static str {
        "file"
    }
    fn take(&mut self, handover: &str, orders: &[Order]) -> Result<(), CutError> {
        if self.after_taking {
            self.inner.take(handover, orders)?;
        }
        Err(CutError::Off)
    }
}

/// What the bank pays by the files that it finds: by key, once.
fn paid_by_files(directory: &Path) -> BTreeMap<String, Vec<i128>> {
    let mut paid: BTreeMap<String, Vec<i128>> = BTreeMap::new();
    for file in fs::read_dir(directory).unwrap() {
        for line in fs::read_to_string(file.unwrap().path()).unwrap().lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            paid.entry(fields[0].to_owned())
                .or_default()
                .push(fields[5].parse().unwrap());
        }
    }
    paid
}

#[test]
fn wherever_it_is_cut_nobody_is_paid_twice_and_everybody_once() {
    // The steps of a payout; the process is gone after so many of them, and begins again from the start.
    for cut in 0..=5 {
        let database = migrated();
        drop(payable(&database));
        let directory = tempfile::tempdir().unwrap();
        let batch = holder("april");
        for (life, steps) in [cut, usize::MAX].into_iter().enumerate() {
            let now = at(10 + 100 * i64::try_from(life).unwrap());
            let mut client = app(&database);
            let mut store = Store::open(&database.url()).unwrap();
            let mut carrier = FileCarrier::new(directory.path().to_owned());
            if steps >= 1 {
                create(
                    &mut client,
                    "april",
                    &[("owner-1", 300), ("owner-2", 150)],
                    now.unix(),
                )
                .unwrap();
            }
            if (2..=3).contains(&steps) {
                let mut cut = Cut {
                    inner: &mut carrier,
                    after_taking: steps == 3,
                };
                let off = hand_over(&mut store, &mut cut, &batch, now);
                assert!(
                    matches!(off, Err(HandOverError::Carrier(CutError::Off))),
                    "{off:?}"
                );
            }
            if steps >= 4 {
                hand_over(&mut store, &mut carrier, &batch, now).unwrap();
            }
            if steps >= 5 {
                let all = payouts::of_batch(&mut client, &batch).unwrap();
                let chosen = if steps == 5 {
                    &names(&all)[..1]
                } else {
                    &names(&all)[..]
                };
                payouts::confirm(&mut client, chosen, now).unwrap();
            }
            assert_sound(&mut client);
        }
        let paid = paid_by_files(directory.path());
        let once = BTreeMap::from([
            ("april/owner-1".to_owned(), vec![300]),
            ("april/owner-2".to_owned(), vec![150]),
        ]);
        assert_eq!(paid, once, "cut after {cut} steps");
        let mut client = app(&database);
        assert_eq!(balance(&mut client, "clearing"), 0);
        assert_eq!(balance(&mut client, "payable:owner-2"), 50);
        assert_eq!(balance(&mut client, "issuance"), -550);
    }
}

#[test]
fn a_file_that_is_there_with_other_payouts_is_not_overwritten() {
    let database = migrated();
    let mut client = payable(&database);
    let directory = tempfile::tempdir().unwrap();
    let mut carrier = FileCarrier::new(directory.path().to_owned());
    create(&mut client, "april", &[("owner-1", 300)], 10).unwrap();
    fs::write(carrier.path("april.1"), "somebody else's").unwrap();
    let mut store = Store::open(&database.url()).unwrap();
    let refused = hand_over(&mut store, &mut carrier, &holder("april"), at(11));
    assert!(
        matches!(
            refused,
            Err(HandOverError::Carrier(FileCarrierError::Differs { .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(states(&mut client, "april")[0].1, PayoutState::Submitted);
}

#[test]
fn confirming_and_failing_at_once_leaves_one_of_the_two() {
    let database = migrated();
    let mut client = payable(&database);
    create(&mut client, "april", &[("owner-1", 300)], 10).unwrap();
    payouts::mark_submitted(&mut client, &holder("april"), "file", at(11)).unwrap();
    let name: PayoutName = "april/owner-1/1".parse().unwrap();
    let start = Barrier::new(6);
    let done: Vec<(bool, bool)> = thread::scope(|scope| {
        let sessions: Vec<_> = (0..6)
            .map(|n| {
                let (database, start, name) = (&database, &start, std::slice::from_ref(&name));
                scope.spawn(move || {
                    let mut client = app(database);
                    start.wait();
                    let confirms = n % 2 == 0;
                    let result = if confirms {
                        payouts::confirm(&mut client, name, at(20 + n))
                    } else {
                        payouts::fail(&mut client, name, at(20 + n))
                    };
                    (confirms, result.is_ok())
                })
            })
            .collect();
        sessions.into_iter().map(|s| s.join().unwrap()).collect()
    });
    let confirmed = done.contains(&(true, true));
    assert_ne!(confirmed, done.contains(&(false, true)), "{done:?}");
    let back = if confirmed { 0 } else { 300 };
    assert_eq!(balance(&mut client, "payable:owner-1"), back);
    assert_eq!(balance(&mut client, "clearing"), 0);
    assert_sound(&mut client);
}

#[test]
fn the_breaker_trips_stays_open_and_is_reset_by_name() {
    let database = migrated();
    let mut client = payable(&database);
    let limit = PayoutLimit {
        window_seconds: 60,
        amount_max: tokens(100),
        count_max: 3,
    };
    breaker::set_limit(&mut client, &flex(), limit, &holder("anna"), at(9)).unwrap();
    assert_eq!(breaker::limit(&mut client, &flex()).unwrap(), Some(limit));
    assert_eq!(
        create(&mut client, "a", &[("owner-1", 60)], 10).unwrap(),
        Creation::Created
    );
    assert_eq!(
        create(&mut client, "b", &[("owner-1", 40)], 69).unwrap(),
        Creation::Created,
        "to the last unit"
    );

    let tripped = create(&mut client, "c", &[("owner-1", 1)], 69).unwrap();
    let Creation::Tripped { reason } = tripped else {
        panic!("{tripped:?}")
    };
    assert_eq!(
        reason,
        "3 payouts of 101 base units of FLEX within 60 s would be more than the limit of 3 payouts and 100 base units"
    );
    assert_eq!(states(&mut client, "c"), []);
    assert_eq!(
        breaker::stopped(&mut client, &flex()).unwrap().unwrap().at,
        at(69)
    );
    // Also long after the window.
    assert_eq!(
        refused_by(create(&mut client, "c", &[("owner-1", 1)], 1_000)),
        Law::Breaker
    );

    breaker::reset(&mut client, &flex(), &holder("anna"), "looked at it", at(1_001)).unwrap();
    let again = breaker::reset(&mut client, &flex(), &holder("anna"), "looked at it", at(1_001));
    assert!(matches!(again, Err(LedgerError::NotStopped { .. })), "{again:?}");
    // After a reset the window begins anew; and the count is a limit as well.
    let many = [("owner-1", 1), ("owner-2", 1)];
    assert_eq!(create(&mut client, "d", &many, 1_002).unwrap(), Creation::Created);
    let tripped = create(&mut client, "e", &many, 1_003).unwrap();
    assert!(
        matches!(tripped, Creation::Tripped { .. }),
        "four payouts where three are allowed: {tripped:?}"
    );
    assert_sound(&mut client);
}

#[test]
fn a_payout_dated_back_does_not_slip_by_the_limit() {
    let database = migrated();
    let mut client = payable(&database);
    let limit = PayoutLimit {
        window_seconds: 60,
        amount_max: tokens(100),
        count_max: 100,
    };
    breaker::set_limit(&mut client, &flex(), limit, &holder("anna"), at(9)).unwrap();
    create(&mut client, "a", &[("owner-1", 100)], 1_000).unwrap();
    let back = create(&mut client, "b", &[("owner-1", 1)], 10).unwrap();
    assert!(matches!(back, Creation::Tripped { .. }), "{back:?}");
}
