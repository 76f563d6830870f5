//! A hostile session against what is pending, on its way out, or owed.

mod books;
mod cluster;

use std::collections::BTreeMap;

use books::hostile::{by_hand, entries_by_hand, head_by_hand, hostile};
use books::{app, assert_sound, balance, deposit, flex, law_of, migrated, settlement, tokens};
use cluster::Database;
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::store::ledger::{self, Law, payouts, reservations};
use postgres::Client;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

/// 400 in escrow, 100 reserved from 10 until 100, 300 payable to owner 1, of which 50 are on their way out, and 200
/// earned by owner 2.
fn ready() -> (Database, Client) {
    let database = migrated();
    let mut client = app(&database);
    ledger::post(
        &mut client,
        &[deposit(1, 1_000), settlement("evening", &[(1, 300), (2, 200)])],
    )
    .unwrap();
    let name = "evening-flex/e".parse().unwrap();
    reservations::reserve(&mut client, &name, &flex(), tokens(100), at(100), at(10)).unwrap();
    let lines = BTreeMap::from([("owner-1".parse().unwrap(), tokens(300))]);
    payouts::mature(&mut client, &"m".parse().unwrap(), &flex(), &lines, at(10)).unwrap();
    let lines = BTreeMap::from([("owner-1".parse().unwrap(), tokens(50))]);
    payouts::create(&mut client, &"b".parse().unwrap(), &flex(), &lines, at(10)).unwrap();
    let open = "INSERT INTO ledger.account (name, asset) SELECT name, 'FLEX' FROM unnest('{payable:owner-2,escrow:other,reserved:other,receivable:evening-flex:owner-2,claim:evening-flex,rounding:evening-flex}'::text[]) name";
    client.batch_execute(open).unwrap();
    let session = hostile(&database);
    (database, session)
}

/// What is booked at which second, and the law that it breaks.
type Attack<'a> = (&'a str, i64, &'a [(&'a str, &'a str)], Law);

/// Whole entries at a second.
fn booked(key: &str, second: i64, entries: &[(&str, &str)]) -> String {
    let count = u32::try_from(entries.len()).unwrap();
    head_by_hand(key, second, None, count, entries) + &entries_by_hand(key, entries)
}

#[test]
fn what_is_pending_is_resolved_by_the_rules_alone() {
    let (_database, mut session) = ready();
    let held = ("reserved:evening-flex", "-100");
    let escrow = "escrow:evening-flex";
    let attacks: &[Attack] = &[
        (
            "void/evening-flex/f",
            20,
            &[held, (escrow, "100")],
            Law::PendingFirst,
        ),
        (
            "post/evening-flex/f",
            20,
            &[held, ("beneficiary:owner-1", "100")],
            Law::PendingFirst,
        ),
        // A part now would leave the rest to be posted again.
        (
            "post/evening-flex/e",
            20,
            &[("reserved:evening-flex", "-99"), ("beneficiary:owner-1", "99")],
            Law::WithinPending,
        ),
        (
            "void/evening-flex/e",
            20,
            &[("reserved:evening-flex", "-1"), (escrow, "1")],
            Law::WithinPending,
        ),
        (
            "void/evening-flex/e",
            20,
            &[held, ("escrow:other", "100")],
            Law::WithinPending,
        ),
        (
            "post/evening-flex/e",
            20,
            &[held, ("escrow:other", "100")],
            Law::WithinPending,
        ),
        (
            "post/evening-flex/e",
            100,
            &[held, ("beneficiary:owner-1", "100")],
            Law::InTime,
        ),
        (
            "post/evening-flex/e",
            9,
            &[held, ("beneficiary:owner-1", "100")],
            Law::InTime,
        ),
        ("expire/evening-flex/e", 99, &[held, (escrow, "100")], Law::InTime),
        (
            "void/evening-flex/e",
            20,
            &[held, ("beneficiary:owner-1", "100")],
            Law::Routed,
        ),
        (
            "post/evening-flex/e",
            20,
            &[held, (escrow, "-1"), ("beneficiary:owner-1", "101")],
            Law::Routed,
        ),
        (
            "settlement/h/1",
            20,
            &[held, ("beneficiary:owner-1", "100")],
            Law::Routed,
        ),
        (
            "deposit/h/1",
            20,
            &[("clearing", "-50"), (escrow, "50")],
            Law::Routed,
        ),
        (
            "mature/h",
            20,
            &[("clearing", "-50"), ("payable:owner-2", "50")],
            Law::Routed,
        ),
        (
            "payout/b/owner-2/1",
            20,
            &[("payable:owner-1", "-50"), ("clearing", "50")],
            Law::WithinPending,
        ),
        (
            "confirm/b/owner-1/1",
            20,
            &[("clearing", "-50"), ("issuance", "50")],
            Law::SubmittedFirst,
        ),
        (
            "confirm/b/owner-1/2",
            20,
            &[("clearing", "-50"), ("issuance", "50")],
            Law::PendingFirst,
        ),
        (
            "fail/b/owner-1/1",
            20,
            &[("clearing", "-50"), ("payable:owner-2", "50")],
            Law::WithinPending,
        ),
        (
            "fail/b/owner-1/1",
            20,
            &[("clearing", "-49"), ("payable:owner-1", "49")],
            Law::WithinPending,
        ),
        (
            "recovery/h/1",
            20,
            &[
                ("beneficiary:owner-2", "-5"),
                ("receivable:evening-flex:owner-2", "5"),
            ],
            Law::NoExcess,
        ),
        (
            "settlement/h/1",
            20,
            &[
                ("beneficiary:owner-1", "5"),
                ("receivable:evening-flex:owner-2", "-5"),
            ],
            Law::Routed,
        ),
    ];
    for (key, second, entries, law) in attacks {
        let refused = law_of(session.batch_execute(&booked(key, *second, entries)));
        assert_eq!(refused, Some(*law), "{key} at {second}: {entries:?}");
    }
    assert_eq!(balance(&mut session, "reserved:evening-flex"), 100);
    assert_eq!(balance(&mut session, "clearing"), 50);
    assert_sound(&mut session);
}

#[test]
fn two_resolutions_in_one_statement_are_one_too_many() {
    let (_database, mut session) = ready();
    let entries = [("reserved:evening-flex", "-100"), ("escrow:evening-flex", "100")];
    let heads = head_by_hand("void/evening-flex/e", 20, None, 2, &entries)
        + &head_by_hand("post/evening-flex/e", 20, None, 2, &entries);
    let both = "INSERT INTO ledger.entry (transaction_id, position, account_id, asset, amount)
         SELECT t.transaction_id, v.position, a.account_id, a.asset, v.amount
         FROM (VALUES (1, 'reserved:evening-flex', -100), (2, 'escrow:evening-flex', 100)) AS v (position, name, amount),
              ledger.transaction t, ledger.account a
         WHERE t.key IN ('void/evening-flex/e', 'post/evening-flex/e') AND a.name = v.name;";
    // Another reservation of the program covers the second, as far as balances can tell.
    let name = "evening-flex/f".parse().unwrap();
    reservations::reserve(&mut session, &name, &flex(), tokens(100), at(100), at(10)).unwrap();
    assert_eq!(
        law_of(session.batch_execute(&(heads + both))),
        Some(Law::ResolvedOnce)
    );
    assert_eq!(balance(&mut session, "reserved:evening-flex"), 200);
    assert_sound(&mut session);
}

#[test]
fn a_reservation_is_made_whole_and_with_an_end() {
    let (_database, mut session) = ready();
    let pair = [("escrow:evening-flex", "-5"), ("reserved:evening-flex", "5")];
    for (until, entries) in [
        (
            Some(50),
            &[("escrow:evening-flex", "-5"), ("reserved:other", "5")][..],
        ),
        (
            Some(50),
            &[
                ("escrow:evening-flex", "-9"),
                ("reserved:evening-flex", "5"),
                ("reserved:other", "4"),
            ],
        ),
    ] {
        let count = u32::try_from(entries.len()).unwrap();
        let attack = head_by_hand("reserve/evening-flex/h", 10, until, count, entries)
            + &entries_by_hand("reserve/evening-flex/h", entries);
        assert_eq!(
            law_of(session.batch_execute(&attack)),
            Some(Law::WithinPending),
            "{entries:?}"
        );
    }
    for until in [None, Some(10), Some(5)] {
        let attack = head_by_hand("reserve/evening-flex/h", 10, until, 2, &pair);
        assert!(session.batch_execute(&attack).is_err(), "{until:?}");
    }
    let endless = head_by_hand("deposit/h/1", 10, Some(20), 2, &pair);
    assert!(session.batch_execute(&endless).is_err(), "an end of a deposit");
    assert_sound(&mut session);
}

#[test]
fn a_digest_that_is_not_of_the_content_is_refused() {
    let (_database, mut session) = ready();
    let entries = [("issuance", "-10"), ("escrow:evening-flex", "10")];
    let other = [("issuance", "-10"), ("escrow:other", "10")];
    let swapped = head_by_hand("deposit/h/1", 0, None, 2, &entries) + &entries_by_hand("deposit/h/1", &other);
    assert_eq!(law_of(session.batch_execute(&swapped)), Some(Law::DigestTrue));
    // The order in which entries are given is not a part of the content.
    let turned = [("escrow:evening-flex", "10"), ("issuance", "-10")];
    let turned = head_by_hand("deposit/h/1", 0, None, 2, &entries) + &entries_by_hand("deposit/h/1", &turned);
    session.batch_execute(&turned).unwrap();
    for odd in [
        "deposit/h",
        "deposit/h/1/2",
        "gift/h/1",
        "settlement/H/1",
        "settlement/h/01",
        "reversal/confirm/b/owner-1/1",
    ] {
        assert!(
            session.batch_execute(&by_hand(odd, 2, &entries)).is_err(),
            "{odd}"
        );
    }
    let split_second = by_hand("deposit/h/2", 2, &entries).replace("to_timestamp(0)", "to_timestamp(0.5)");
    assert!(session.batch_execute(&split_second).is_err());
    assert_sound(&mut session);
}

#[test]
fn a_session_with_an_old_view_of_the_world_can_not_fork_the_chain() {
    let (database, mut session) = ready();
    session
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM ledger.link")
        .unwrap();
    ledger::post(&mut app(&database), &[deposit(2, 5)]).unwrap();
    let attack = by_hand(
        "deposit/h/1",
        2,
        &[("issuance", "-10"), ("escrow:evening-flex", "10")],
    );
    assert!(session.batch_execute(&attack).is_err());
    session.batch_execute("ROLLBACK").unwrap();
    session.batch_execute(&attack).unwrap();
    assert_sound(&mut session);
}

#[test]
fn entries_of_nothing_that_is_there_are_refused() {
    let (_database, mut session) = ready();
    let pair = |head: &str, account: &str, asset: &str| {
        format!(
            "INSERT INTO ledger.entry (transaction_id, position, account_id, asset, amount)
             SELECT {head}, 1, {account}, '{asset}', 5 UNION ALL SELECT {head}, 2, min(account_id), '{asset}', -5
             FROM ledger.account"
        )
    };
    let no_head = pair("999", "(SELECT max(account_id) FROM ledger.account)", "FLEX");
    assert_eq!(law_of(session.batch_execute(&no_head)), Some(Law::CompleteAtOnce));
    let head = by_hand("deposit/h/1", 2, &[]);
    let number = "(SELECT transaction_id FROM ledger.transaction WHERE key = 'deposit/h/1')";
    for (account, asset) in [
        ("99999", "FLEX"),
        ("(SELECT max(account_id) FROM ledger.account)", "WATT"),
    ] {
        let attack = head.clone() + &pair(number, account, asset);
        let refused = session.batch_execute(&attack).unwrap_err();
        let constraint = refused.as_db_error().unwrap().constraint();
        assert_eq!(constraint, Some("known_account"), "{account} {asset}: {refused}");
    }
    assert_sound(&mut session);
}
