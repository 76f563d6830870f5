//! From the settlement to the homes: each knows what it earned, and says it to its owner.

mod support;

use std::process::Command;

use gridtally::demo::story::{self, Progress};
use gridtally::neighbourhood::Neighbourhood;
use gridtally::neighbourhood::scenario::Scenario;
use gridtally_protocol::quantity::TokenAmount;
use support::{Place, program, settle};

#[test]
fn every_home_knows_what_it_earned_to_the_last_unit() {
    let place = Place::new("earned");
    let scenario = Scenario {
        opted_out: Some(3),
        offline: None,
        ..Scenario::small(5)
    };
    let mut neighbourhood = Neighbourhood::start(scenario, place.path(), program()).unwrap();
    story::play(&mut neighbourhood, &mut Progress::silent()).unwrap();
    let told = settle(&mut neighbourhood, &place);
    neighbourhood.tell_homes().unwrap();
    neighbourhood.stop();
    let statement = &told.settled.derived.statement;
    assert!(statement.totals.amount > TokenAmount::ZERO);
    for site in &statement.sites {
        let config = place.path().join(site.site.as_str()).join("agent.toml");
        let said = Command::new(program())
            .args(["edge", "status", "--config"])
            .arg(config)
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let amount = statement.asset.show(site.totals.amount);
        let line = format!("earned    {amount} FLEX in one settled event\n");
        assert!(said.contains(&line), "{}: {line:?} is not in\n{said}", site.site);
    }
}
