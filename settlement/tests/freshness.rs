//! Beacons: published by the engine at work, named in reports, and carried by bundles.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod room;
mod scenario;

use gridtally_protocol::beacon::{Beacon, EPOCH_SECONDS};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::proofs::bundle::Bundle;
use gridtally_settlement::proofs::derive::{Derived, derive};
use gridtally_settlement::proofs::evidence::{Evidence, PublishedBeacon};
use gridtally_settlement::proofs::verify::verify;
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::rules::statement::{MissingReason, SiteStatement};
use room::{NOON, Room};
use scenario::{Scenario, engine, gateway, received};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_engine_signs_a_beacon_an_hour_and_shows_it_to_whoever_comes() {
    let mut room = Room::open();
    room.engine().tick(at(NOON)).unwrap();
    let mut wire = room.wire();
    wire.until("the retained beacon", |wire| wire.beacons.len() == 1);
    let before_the_hour = at(NOON).checked_add(EPOCH_SECONDS - 1).unwrap();
    room.engine().tick(before_the_hour).unwrap();
    // After a restart it is the same beacon.
    room.clock.set(before_the_hour);
    room.restart_engine();
    room.engine().tick(before_the_hour).unwrap();
    wire.until("it is shown again", |wire| wire.beacons.len() == 2);
    let the_hour = at(NOON).checked_add(EPOCH_SECONDS).unwrap();
    room.engine().tick(the_hour).unwrap();
    wire.until("the next beacon", |wire| wire.beacons.len() == 3);
    let identity = room.engine().identity();
    assert!(wire.beacons.iter().all(|signed| signed.signer == identity));
    let [first, again, next] = &wire.beacons[..] else {
        panic!("three beacons")
    };
    assert_eq!(first, again);
    assert_eq!((first.message.number, first.message.issued_at), (1, at(NOON)));
    assert_eq!((next.message.number, next.message.issued_at), (2, the_hour));
    assert_ne!(first.message.nonce, next.message.nonce);
}

#[test]
fn a_report_with_a_beacon_of_this_engine_is_taken_and_one_with_another_is_refused() {
    let mut room = Room::open();
    room.engine().tick(at(NOON)).unwrap();
    let (mut home, mut wire) = (room.home(1), room.wire());
    wire.until("the retained beacon", |wire| wire.beacons.len() == 1);
    home.draft().beacon = Some(wire.beacons[0].digest);
    let fresh = home.report();
    assert_eq!(wire.deliver(&fresh), Ok(()));
    home.draft().beacon = Some(Digest::of(b"nobody's beacon"));
    assert_eq!(wire.deliver(&home.report()), Err(Refusal::UnknownBeacon));
    assert_eq!(room.kept(&home), [fresh.digest]);
    assert_eq!(room.await_refusals(1), [Refusal::UnknownBeacon]);
    assert_eq!(
        room.readings(&home).len(),
        3,
        "what was taken is read again as it was judged"
    );
}

#[test]
fn beacons_are_kept_for_ever() {
    let mut room = Room::open();
    room.engine().tick(at(NOON)).unwrap();
    let mut client = room.client();
    for change in [
        "UPDATE beacon SET number = 7",
        "DELETE FROM beacon",
        "TRUNCATE beacon",
    ] {
        assert!(client.batch_execute(change).is_err(), "{change}");
    }
    let kept: i64 = client
        .query_one("SELECT count(*) FROM beacon", &[])
        .unwrap()
        .get(0);
    assert_eq!(kept, 1);
}

fn beacon(number: u64, issued_at: &str, key: &SigningIdentity) -> PublishedBeacon {
    let beacon = Beacon {
        number,
        nonce: [3; 32],
        issued_at: at(issued_at),
    };
    PublishedBeacon {
        number,
        envelope: beacon.seal(key).unwrap(),
    }
}

/// The neighbourhood's event, where home 1 reports it when it is over, naming the beacon, and home 3 at midnight, as ever.
fn evidence(program: &str, beacon: &PublishedBeacon) -> Evidence {
    let mut scenario = Scenario::new();
    scenario.program = program.to_owned();
    let mut last = scenario.reports.get_mut(&1).unwrap().pop().unwrap();
    last.series
        .iter_mut()
        .for_each(|series| series.samples.truncate(4));
    last.issued_at = at("2026-04-21T20:00:10Z");
    last.beacon = Some(Digest::of(&beacon.envelope));
    let mut evidence = scenario.evidence();
    evidence.reports.push(received(&gateway(1), &gateway(1), &last));
    evidence.beacons.push(beacon.clone());
    evidence
}

fn demanding() -> String {
    scenario::PROGRAM.replace("[asset]", "freshness = \"required\"\n[asset]")
}

fn statement(derived: &Derived, site: &str) -> SiteStatement {
    let sites = &derived.statement.sites;
    sites
        .iter()
        .find(|statement| statement.site.as_str() == site)
        .unwrap()
        .clone()
}

fn missing(derived: &Derived, site: &str) -> Vec<Option<MissingReason>> {
    statement(derived, site)
        .lines
        .iter()
        .map(|line| line.missing)
        .collect()
}

#[test]
fn a_program_that_demands_freshness_pays_for_what_is_fresh_only() {
    let evidence = evidence(&demanding(), &beacon(41, "2026-04-21T18:00:00Z", &engine()));
    let (bundle, derived) = Bundle::seal(evidence, &engine()).unwrap();
    assert_eq!(missing(&derived, "home-1"), [None; 4]);
    assert!(statement(&derived, "home-1").totals.amount.base_units() > 0);
    assert_eq!(missing(&derived, "home-3"), [Some(MissingReason::NotFresh); 4]);
    assert_eq!(statement(&derived, "home-3").totals.amount.base_units(), 0);
    let text = bundle.to_text();
    assert!(text.contains(" beacon/0000000041 {\"number\":41,"));
    let verified = verify(text.as_bytes(), Some(&engine().identity())).unwrap();
    assert_eq!((&verified.bundle, &verified.derived), (&bundle, &derived));
}

#[test]
fn an_older_beacon_makes_nothing_fresh_and_where_nobody_asks_it_makes_no_difference() {
    // Two epochs before the end of the event's second half-hour, and a second more than that before the third's.
    let old = beacon(41, "2026-04-21T16:59:59Z", &engine());
    let derived = derive(&evidence(&demanding(), &old)).unwrap();
    let late = Some(MissingReason::NotFresh);
    assert_eq!(missing(&derived, "home-1"), [None, late, late, late]);
    let derived = derive(&evidence(scenario::PROGRAM, &old)).unwrap();
    assert_eq!(missing(&derived, "home-1"), [None; 4]);
    assert_eq!(missing(&derived, "home-3"), [None; 4]);
}

#[test]
fn a_report_whose_beacon_is_not_in_the_bundle_is_refused() {
    let mut evidence = evidence(scenario::PROGRAM, &beacon(41, "2026-04-21T18:00:00Z", &engine()));
    evidence.beacons.clear();
    let derived = derive(&evidence).unwrap();
    let refused = MissingReason::Refused(Refusal::UnknownBeacon);
    assert_eq!(missing(&derived, "home-1"), [Some(refused); 4]);
    assert!(
        derived
            .refused
            .iter()
            .any(|one| one.reason == Refusal::UnknownBeacon)
    );
}

#[test]
fn a_beacon_that_is_not_the_engines_or_not_in_its_turn_makes_no_statement() {
    let good = beacon(41, "2026-04-21T18:00:00Z", &engine());
    let refused = |other: PublishedBeacon| {
        let mut evidence = evidence(scenario::PROGRAM, &good);
        evidence.beacons.push(other);
        derive(&evidence).unwrap_err().to_string()
    };
    assert!(refused(beacon(42, "2026-04-21T19:00:00Z", &gateway(1))).contains("signed by"));
    assert!(refused(beacon(42, "2026-04-21T18:00:00Z", &engine())).contains("no later than the one before"));
    assert!(refused(beacon(42, "2026-04-22T06:00:01Z", &engine())).contains("after the settlement"));
    let misnumbered = PublishedBeacon {
        number: 43,
        ..beacon(42, "2026-04-21T19:00:00Z", &engine())
    };
    assert!(refused(misnumbered).contains("its number is 42"));
}

#[test]
fn a_document_without_the_key_is_the_program_that_it_was() {
    let plain = Program::from_toml("program", scenario::PROGRAM).unwrap();
    assert!(serde_json::to_value(&plain).unwrap().get("freshness").is_none());
    let strict = Program::from_toml("program", &demanding()).unwrap();
    assert_eq!(serde_json::to_value(&strict).unwrap()["freshness"], "required");
    let wrong = scenario::PROGRAM.replace("[asset]", "freshness = \"preferred\"\n[asset]");
    assert!(
        Program::from_toml("program", &wrong)
            .unwrap_err()
            .to_string()
            .contains("freshness")
    );
}
