//! A forger, a replayer and an equivocator on the real broker: what they sent is listed with its reason, nobody earns
//! by it, and a stranger's `verify` agrees; a bundle with a flipped bit is refused.

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use gridtally::demo::story::{self, Progress};
use gridtally::neighbourhood::Neighbourhood;
use gridtally::neighbourhood::scenario::Scenario;
use gridtally_protocol::quantity::TokenAmount;
use gridtally_protocol::refusal::Refusal;
use gridtally_settlement::rules::statement::Reason;
use gridtally_settlement::store::refusals::refusals;
use support::{Place, program, settle};

fn hostile() -> Scenario {
    Scenario {
        forger: true,
        equivocator: Some(1),
        offline: None,
        ..Scenario::small(11)
    }
}

#[test]
fn the_forger_the_replayer_and_the_equivocator_earn_nothing_and_are_listed_with_reasons() {
    let place = Place::new("strangers");
    let scenario = hostile();
    let mut neighbourhood = Neighbourhood::start(scenario.clone(), place.path(), program()).unwrap();
    story::play(&mut neighbourhood, &mut Progress::silent()).unwrap();

    let all = neighbourhood
        .store()
        .transact(|t| refusals(t, scenario.start, scenario.end))
        .unwrap();
    let reasons: BTreeSet<Refusal> = all.iter().map(|r| r.reason).collect();
    for reason in [
        Refusal::BadSignature,
        Refusal::WrongTopic,
        Refusal::UnknownGateway,
        Refusal::Malformed,
        Refusal::Equivocation,
    ] {
        assert!(reasons.contains(&reason), "{reason} is not listed: {all:#?}");
    }
    assert!(
        all.iter().all(|r| !r.detail.is_empty() && !r.bytes.is_empty()),
        "each is kept with its bytes"
    );

    let told = settle(&mut neighbourhood, &place);
    neighbourhood.stop();
    let equivocator = &told.settled.derived.statement.sites[0];
    assert!(
        equivocator
            .lines
            .iter()
            .all(|line| line.reason == Some(Reason::Equivocation)),
        "who signs a report twice is paid for none of the event: {equivocator:#?}"
    );
    assert_eq!(equivocator.totals.amount, TokenAmount::ZERO);
    let owners: Vec<&str> = told.balances.iter().map(|(name, _)| name.as_str()).collect();
    for name in &owners {
        let known = ["escrow:", "issuance", "rounding:", "beneficiary:owner-0"];
        assert!(
            known.iter().any(|k| name.starts_with(k)),
            "nobody else has an account: {owners:?}"
        );
    }
    let sum = TokenAmount::checked_sum(told.balances.iter().map(|(_, amount)| *amount)).unwrap();
    assert_eq!(sum, TokenAmount::ZERO, "the ledger sums to zero");

    verify_and_flip(&place, &told.bundle);
}

fn verify_and_flip(place: &Place, bundle: &[u8]) {
    let file = place.path().join("event.bundle");
    let verify = |file: &std::path::Path| Command::new(program()).arg("verify").arg(file).output().unwrap();
    let good = verify(&file);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));

    let flipped_file = place.path().join("flipped.bundle");
    for share in 1..8 {
        let mut flipped = bundle.to_vec();
        let at = flipped.len() * share / 8;
        flipped[at] ^= 1 << share;
        std::fs::write(&flipped_file, &flipped).unwrap();
        let bad = verify(&flipped_file);
        assert!(!bad.status.success(), "a flipped bit at byte {at} went unnoticed");
        let said = String::from_utf8_lossy(&[bad.stdout, bad.stderr].concat()).into_owned();
        assert!(
            said.contains("record") || said.contains("header"),
            "it names the record: {said}"
        );
    }
}
