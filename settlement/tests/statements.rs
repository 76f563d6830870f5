//! What an event was settled with, on its way to the homes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod neighbourhood;
mod room;

use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::message::{Message as _, Signed};
use gridtally_protocol::quantity::{Milliwatts, TokenAmount};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::statement::{SiteStatement, ZeroReason};
use gridtally_settlement::dispatch::statements::{Settled, part};
use gridtally_settlement::dispatch::{Announcement, announce};
use gridtally_settlement::engine::engine_key;
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::{SettlementOutcome, settle};
use gridtally_settlement::rules;
use proptest::prelude::*;
use room::{Home, NOON, Room, Sealed, Wire, at, kill};

const SETTLED_AT: &str = "2026-04-22T06:00:00Z";

fn announced(room: &mut Room) {
    let key = engine_key(&room.options.data).unwrap();
    let evening = Announcement {
        id: "tuesday".parse().unwrap(),
        program: "evening-flex".parse().unwrap(),
        start: at("2026-04-21T17:00:00Z"),
        end: at("2026-04-21T19:00:00Z"),
        discharge: Milliwatts::new(3_000_000),
    };
    announce(&mut room.store, &key, &evening, at(NOON)).unwrap();
}

/// Settles as the operator's command does: beside the running engine.
fn settled(room: &mut Room) -> SettlementOutcome {
    let key = engine_key(&room.options.data).unwrap();
    let bundle = room.options.data.join("bundle.txt");
    let event = "tuesday".parse().unwrap();
    settle(
        &mut room.store,
        &key,
        &event,
        at(SETTLED_AT),
        Patience::None,
        &bundle,
    )
    .unwrap()
}

fn holds(home: &Home, statement: &Signed<SiteStatement>) -> Sealed {
    home.acknowledge(&Acknowledgement {
        instruction: statement.digest,
        at: at(SETTLED_AT),
        stage: Stage::Received,
    })
}

/// Waits for the statement of each of these homes.
fn told(room: &mut Room, wire: &mut Wire, homes: &[&Home]) -> Vec<Signed<SiteStatement>> {
    let mut heard = Vec::new();
    room::eventually("each home is told", || {
        room.engine().tick(at(SETTLED_AT)).unwrap();
        wire.note_all();
        let of = |home: &&Home| {
            let mine = |s: &&Signed<SiteStatement>| s.message.gateway == home.identity();
            wire.statements.iter().find(mine).cloned()
        };
        heard = homes.iter().filter_map(of).collect();
        heard.len() == homes.len()
    });
    heard
}

#[test]
fn a_settled_event_reaches_each_home_once_it_says_that_it_holds_it_and_no_more() {
    let mut room = Room::open();
    let (one, two, mut wire) = (room.home(1), room.home(2), room.wire());
    announced(&mut room);
    let outcome = settled(&mut room);
    let statements = told(&mut room, &mut wire, &[&one, &two]);
    for (home, statement) in [&one, &two].into_iter().zip(&statements) {
        assert_eq!(statement.signer, room.engine().identity());
        let said = &statement.message;
        assert_eq!(said.site, home.enrolment.site.as_str());
        assert_eq!(said.statement, outcome.statement_hash);
        assert_eq!(
            (said.start, said.end),
            (at("2026-04-21T17:00:00Z"), at("2026-04-21T19:00:00Z"))
        );
        assert_eq!((said.lines.len(), said.version), (24, 1));
        assert_eq!(said.reason, Some(ZeroReason::NoAnswer));
    }
    assert_eq!(wire.deliver(&holds(&one, &statements[0])), Ok(()));
    assert_eq!(
        wire.deliver(&holds(&one, &statements[0])),
        Ok(()),
        "the same again"
    );
    assert_eq!(room.refused(), []);

    // The next engine knows who holds it; settling again brings nothing new.
    assert!(!settled(&mut room).new);
    wire.statements.clear();
    room.restart_engine();
    assert_eq!(
        told(&mut room, &mut wire, &[&two]),
        [statements[1].clone()],
        "byte for byte"
    );
    assert_eq!(wire.statements.len(), 1, "what a home holds is not sent again");

    assert_eq!(wire.deliver(&holds(&two, &statements[1])), Ok(()));
    wire.statements.clear();
    room.restart_engine();
    room.engine().tick(at(SETTLED_AT)).unwrap();
    // Whatever was sent before this receipt has come before it.
    let mut three = room.home(3);
    assert_eq!(wire.deliver(&three.report()), Ok(()));
    assert_eq!(wire.statements, []);
}

#[test]
fn a_statement_is_sent_again_when_the_broker_is_back_and_by_the_next_engine() {
    let mut room = Room::open();
    let (home, mut wire) = (room.home(1), room.wire());
    announced(&mut room);
    settled(&mut room);
    let first = told(&mut room, &mut wire, &[&home]);

    kill(room.broker.process_id().unwrap());
    wire.until("the homes are connected again", |w| w.connections > 1);
    wire.statements.clear();
    assert_eq!(told(&mut room, &mut wire, &[&home]), first);

    wire.statements.clear();
    room.restart_engine();
    assert_eq!(told(&mut room, &mut wire, &[&home]), first);
}

#[test]
fn only_the_home_itself_says_that_it_holds_its_statement_and_says_nothing_else_of_it() {
    let mut room = Room::open();
    let (one, two, mut wire) = (room.home(1), room.home(2), room.wire());
    announced(&mut room);
    settled(&mut room);
    let statements = told(&mut room, &mut wire, &[&one, &two]);
    let foreign = wire.deliver(&holds(&two, &statements[0]));
    assert_eq!(foreign, Err(Refusal::UnknownInstruction));
    let followed = Acknowledgement {
        instruction: statements[0].digest,
        at: at(NOON),
        stage: Stage::OptedIn(Milliwatts::new(1)),
    };
    assert_eq!(
        wire.deliver(&one.acknowledge(&followed)),
        Err(Refusal::UnknownInstruction)
    );
    wire.statements.clear();
    room.restart_engine();
    assert_eq!(told(&mut room, &mut wire, &[&one, &two]), statements);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn each_part_of_any_statement_says_what_the_statement_says(seed in any::<u64>()) {
        let statement = rules::statement::settle(&neighbourhood::random(seed)).unwrap();
        let engine = SigningIdentity::from_secret(&[7; 32]).unwrap();
        for site in &statement.sites {
            let settled = Settled { version: 1, hash: Digest::NONE, at: statement.event.end };
            let part = part(&statement, site, settled, engine.identity()).unwrap();
            let said = SiteStatement::open(&part.seal(&engine).unwrap()).unwrap().message;
            prop_assert_eq!(said.totals.amount, site.totals.amount);
            prop_assert_eq!(said.totals.credited, site.totals.credited);
            let compared = site.totals.compared > 0;
            prop_assert_eq!(said.totals.baseline, compared.then_some(site.totals.baseline));
            prop_assert_eq!(said.totals.metered, compared.then_some(site.totals.metered));
            prop_assert_eq!(said.reason.is_some(), site.totals.amount == TokenAmount::ZERO);
            for ((start, line), stated) in said.timed_lines().zip(&site.lines) {
                prop_assert_eq!(start, stated.start);
                prop_assert_eq!((line.baseline, line.metered, line.amount), (stated.baseline, stated.metered, stated.amount));
                prop_assert_eq!(line.reason.map(ZeroReason::name), stated.reason.map(rules::statement::Reason::name));
            }
            prop_assert_eq!(said.lines.len(), site.lines.len());
        }
    }
}
