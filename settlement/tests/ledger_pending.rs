//! Transfers of two steps, in a real PostgreSQL: reservations, and what is owed.

mod books;
mod cluster;

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;

use books::{app, assert_sound, balance, deposit, flex, migrated, settlement, tokens};
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::ledger::recovery::{
    self, Share, overpayment, overpayment_entries, recovered, recovery_entries, together,
};
use gridtally_settlement::ledger::{
    AccountName, Debt, Entry, ReservationName, Transaction, TransactionError, TransactionKey,
};
use gridtally_settlement::store::ledger::reservations::{
    expire, open_reservations, post_reserved, reserve, void,
};
use gridtally_settlement::store::ledger::{self, Law, LedgerError, Moment, Posted};
use postgres::Client;
use proptest::prelude::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

fn named(reference: &str) -> ReservationName {
    format!("evening-flex/{reference}").parse().unwrap()
}

fn share(owner: &str, amount: i128) -> Entry {
    Entry {
        account: AccountName::beneficiary(owner).unwrap(),
        asset: flex(),
        amount: tokens(amount),
    }
}

/// 1,000 in escrow, of which 600 are reserved as `e` until 100.
fn reserved(client: &mut Client) -> ReservationName {
    ledger::post(client, &[deposit(1, 1_000)]).unwrap();
    let name = named("e");
    let (posted, _) = reserve(client, &name, &flex(), tokens(600), at(100), at(10)).unwrap();
    assert_eq!(posted, Posted::New);
    name
}

fn refused_by(result: Result<impl std::fmt::Debug, LedgerError>) -> Law {
    match result {
        Err(LedgerError::Refused { law, .. }) => law,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_reserved_can_not_be_spent() {
    let database = migrated();
    let mut client = app(&database);
    let name = reserved(&mut client);
    assert_eq!(balance(&mut client, "escrow:evening-flex"), 400);
    assert_eq!(balance(&mut client, "reserved:evening-flex"), 600);
    let more = ledger::post(&mut client, &[settlement("evening", &[(1, 401)])]);
    assert_eq!(refused_by(more), Law::NoOverdraft);
    let more = reserve(&mut client, &named("f"), &flex(), tokens(401), at(100), at(10));
    assert_eq!(refused_by(more), Law::NoOverdraft);
    let again = reserve(&mut client, &name, &flex(), tokens(600), at(100), at(50)).unwrap();
    assert_eq!((again.0, again.1.booked_at()), (Posted::Before, at(10)));
    let other = reserve(&mut client, &name, &flex(), tokens(599), at(100), at(10));
    assert!(matches!(other, Err(LedgerError::Conflict { .. })), "{other:?}");
    let other = reserve(&mut client, &name, &flex(), tokens(600), at(101), at(10));
    assert!(matches!(other, Err(LedgerError::Conflict { .. })), "{other:?}");
    assert_eq!(open_reservations(&mut client).unwrap().len(), 1);
    assert_sound(&mut client);
}

#[test]
fn a_reservation_is_posted_in_part_and_the_rest_returns() {
    let database = migrated();
    let mut client = app(&database);
    let name = reserved(&mut client);
    let shares = vec![share("owner-1", 300), share("owner-2", 50)];
    let more = post_reserved(&mut client, &name, vec![share("owner-1", 601)], at(20));
    assert!(more.is_err(), "more than is pending: {more:?}");
    let (posted, _) = post_reserved(&mut client, &name, shares.clone(), at(20)).unwrap();
    assert_eq!(posted, Posted::New);
    assert_eq!(balance(&mut client, "escrow:evening-flex"), 650);
    assert_eq!(balance(&mut client, "reserved:evening-flex"), 0);
    assert_eq!(balance(&mut client, "beneficiary:owner-1"), 300);
    let again = post_reserved(&mut client, &name, shares, at(30)).unwrap();
    assert_eq!((again.0, again.1.booked_at()), (Posted::Before, at(20)));
    let other = post_reserved(&mut client, &name, vec![share("owner-1", 1)], at(30));
    assert!(matches!(other, Err(LedgerError::Conflict { .. })), "{other:?}");
    assert_eq!(refused_by(void(&mut client, &name, at(30))), Law::ResolvedOnce);
    assert_eq!(expire(&mut client, at(1_000)).unwrap(), []);
    assert!(open_reservations(&mut client).unwrap().is_empty());
    assert_sound(&mut client);
}

#[test]
fn what_is_voided_is_neither_posted_nor_expired() {
    let database = migrated();
    let mut client = app(&database);
    let name = reserved(&mut client);
    assert_eq!(void(&mut client, &name, at(20)).unwrap().0, Posted::New);
    assert_eq!(void(&mut client, &name, at(25)).unwrap().0, Posted::Before);
    let posted = post_reserved(&mut client, &name, vec![share("owner-1", 1)], at(30));
    assert_eq!(refused_by(posted), Law::ResolvedOnce);
    assert_eq!(expire(&mut client, at(1_000)).unwrap(), []);
    assert_eq!(balance(&mut client, "escrow:evening-flex"), 1_000);
    let nothing = void(&mut client, &named("g"), at(1));
    assert!(
        matches!(nothing, Err(LedgerError::NothingPending { .. })),
        "{nothing:?}"
    );
    assert_sound(&mut client);
}

#[test]
fn a_reservation_expires_at_its_instant_and_not_before() {
    let database = migrated();
    let mut client = app(&database);
    let name = reserved(&mut client);
    assert_eq!(expire(&mut client, at(99)).unwrap(), []);
    let late = post_reserved(&mut client, &name, vec![share("owner-1", 1)], at(100));
    assert_eq!(refused_by(late), Law::InTime);
    assert_eq!(expire(&mut client, at(100)).unwrap().len(), 1);
    assert_eq!(
        expire(&mut client, at(100)).unwrap(),
        [],
        "nothing is left to be done"
    );
    let late = post_reserved(&mut client, &name, vec![share("owner-1", 1)], at(50));
    assert_eq!(refused_by(late), Law::ResolvedOnce);
    assert_eq!(balance(&mut client, "escrow:evening-flex"), 1_000);
    assert_sound(&mut client);
}

#[test]
fn what_is_pending_can_not_be_reversed() {
    let database = migrated();
    let mut client = app(&database);
    ledger::post(&mut client, &[deposit(1, 1_000)]).unwrap();
    let (_, reservation) = reserve(&mut client, &named("e"), &flex(), tokens(5), at(9), at(1)).unwrap();
    assert!(matches!(
        reservation.reversal(at(2)),
        Err(TransactionError::Final { .. })
    ));
}

#[test]
fn amounts_of_38_digits_are_reserved_and_posted() {
    let database = migrated();
    let mut client = app(&database);
    let all = gridtally_protocol::quantity::TOKEN_AMOUNT_MAX;
    ledger::post(&mut client, &[deposit(1, all)]).unwrap();
    let name = named("e");
    reserve(&mut client, &name, &flex(), tokens(all), at(100), at(10)).unwrap();
    post_reserved(&mut client, &name, vec![share("owner-1", all - 1)], at(20)).unwrap();
    assert_eq!(balance(&mut client, "beneficiary:owner-1"), all - 1);
    assert_eq!(balance(&mut client, "escrow:evening-flex"), 1);
    assert_sound(&mut client);
}

#[test]
fn the_overpaid_pay_back_out_of_later_earnings() {
    let database = migrated();
    let mut client = app(&database);
    let debt = Debt::new("evening-flex".parse().unwrap(), "owner-1".parse().unwrap());
    let event = |name: &str| name.parse::<gridtally_protocol::instruction::EventId>().unwrap();
    ledger::post(&mut client, &[deposit(1, 1_000), settlement("one", &[(1, 100)])]).unwrap();

    // The second version pays 70 less; the owner still holds 100, of which 60 go to payable.
    let lines = BTreeMap::from([("owner-1".parse().unwrap(), tokens(60))]);
    let reference = "m-1".parse().unwrap();
    ledger::payouts::mature(&mut client, &reference, &flex(), &lines, at(5)).unwrap();
    let over = overpayment(tokens(40), tokens(70)).unwrap();
    let entries = overpayment_entries(&debt, &flex(), over).unwrap();
    let taken = together(TransactionKey::Overpayment(event("one"), 2), at(6), entries).unwrap();
    ledger::post(&mut client, &[taken.unwrap()]).unwrap();
    assert_eq!(balance(&mut client, "receivable:evening-flex:owner-1"), -30);
    assert_eq!(balance(&mut client, "claim:evening-flex"), 30);
    assert_eq!(balance(&mut client, "escrow:evening-flex"), 940);
    assert_eq!(
        balance(&mut client, "payable:owner-1"),
        60,
        "a payout is never blocked"
    );

    // A half of each later credit, until nothing is owed.
    let half = Share::new(1, 2).unwrap();
    for (name, earned, back) in [("two", 50, 25), ("three", 50, 5), ("four", 50, 0)] {
        ledger::post(&mut client, &[settlement(name, &[(1, earned)])]).unwrap();
        let owed = -balance(&mut client, "receivable:evening-flex:owner-1");
        let amount = recovered(tokens(earned), tokens(owed), half).unwrap();
        assert_eq!(amount, tokens(back), "after {name}");
        let entries = recovery_entries(&debt, &flex(), amount).unwrap();
        let recovery = together(TransactionKey::Recovery(event(name), 1), at(7), entries).unwrap();
        if let Some(recovery) = recovery {
            assert_eq!(
                ledger::post(&mut client, std::slice::from_ref(&recovery)).unwrap(),
                [Posted::New]
            );
            assert_eq!(ledger::post(&mut client, &[recovery]).unwrap(), [Posted::Before]);
        }
    }
    assert_eq!(balance(&mut client, "claim:evening-flex"), 0);
    let entries = recovery_entries(&debt, &flex(), tokens(1)).unwrap();
    let key = TransactionKey::Recovery(event("five"), 1);
    let more = recovery::together(key, at(8), entries).unwrap().unwrap();
    let refused = refused_by(ledger::post(&mut client, &[more]));
    assert!(matches!(refused, Law::NoOverdraft | Law::NoExcess), "{refused}");
    assert_sound(&mut client);
}

/// A script of steps on a few reservations, each step at a time of its own.
#[derive(Debug, Clone)]
enum Step {
    Reserve(u8, i128, i64),
    Post(u8, i128),
    Void(u8),
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u8..4, 1_i128..400, 1_i64..60)
            .prop_map(|(name, amount, lasts)| Step::Reserve(name, amount, lasts)),
        (0_u8..4, 1_i128..400).prop_map(|(name, amount)| Step::Post(name, amount)),
        (0_u8..4).prop_map(Step::Void),
        Just(Step::Expire),
    ]
}

fn run_steps(client: &mut Client, steps: &[Step]) {
    for (step, now) in steps.iter().zip((10..).step_by(10)) {
        // Each step twice, as after an answer that was lost.
        for now in [at(now), at(now + 1)] {
            let done = match step {
                Step::Reserve(name, amount, lasts) => {
                    let end = at(now.unix() + lasts);
                    reserve(
                        client,
                        &named(&name.to_string()),
                        &flex(),
                        tokens(*amount),
                        end,
                        now,
                    )
                    .map(drop)
                }
                Step::Post(name, amount) => post_reserved(
                    client,
                    &named(&name.to_string()),
                    vec![share("owner-1", *amount)],
                    now,
                )
                .map(drop),
                Step::Void(name) => void(client, &named(&name.to_string()), now).map(drop),
                Step::Expire => expire(client, now).map(drop),
            };
            match done {
                Ok(())
                | Err(
                    // The last: a name that another session took after the end that is wanted here.
                    LedgerError::Conflict { .. }
                    | LedgerError::NothingPending { .. }
                    | LedgerError::Transaction(_)
                    | LedgerError::Refused {
                        law: Law::NoOverdraft | Law::ResolvedOnce | Law::InTime | Law::Routed,
                        ..
                    },
                ) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn any_interleaving_of_pending_steps_adds_up_and_every_past_balance_is_that_of_a_replay() {
    let scripts = prop::collection::vec(prop::collection::vec(step(), 1..10), 2..4);
    let config = ProptestConfig {
        cases: 8,
        max_shrink_iters: 32,
        ..ProptestConfig::default()
    };
    proptest!(config, |(scripts in scripts)| {
        let database = migrated();
        ledger::post(&mut app(&database), &[deposit(1, 1_000)]).unwrap();
        let start = Barrier::new(scripts.len());
        thread::scope(|scope| {
            for script in &scripts {
                let (database, start) = (&database, &start);
                scope.spawn(move || {
                    let mut client = app(database);
                    start.wait();
                    run_steps(&mut client, script);
                });
            }
        });
        let mut client = app(&database);
        assert_sound(&mut client);
        let journal = ledger::journal(&mut client, 0, 1_000).unwrap();
        let open: i128 = open_reservations(&mut client).unwrap().iter().map(|r| r.amount.base_units()).sum();
        prop_assert_eq!(balance(&mut client, "reserved:evening-flex"), open);
        let moments = journal.iter().flat_map(|r| {
            [Moment::Place(r.number), Moment::Instant(r.transaction.booked_at())]
        });
        for moment in moments.chain([Moment::Place(0)]) {
            let counts = |number: i64, transaction: &Transaction| match moment {
                Moment::Place(place) => number <= place,
                Moment::Instant(instant) => transaction.booked_at() <= instant,
            };
            let mut replayed: BTreeMap<AccountName, i128> = BTreeMap::new();
            for recorded in journal.iter().filter(|r| counts(r.number, &r.transaction)) {
                for entry in recorded.transaction.entries() {
                    *replayed.entry(entry.account.clone()).or_default() += entry.amount.base_units();
                }
            }
            for then in ledger::balances_at(&mut client, moment).unwrap() {
                let expected = replayed.get(&then.account).copied().unwrap_or(0);
                prop_assert_eq!(then.amount.base_units(), expected, "{} at {:?}", then.account, moment);
            }
        }
    });
}
