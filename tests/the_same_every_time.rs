//! Two runs of a story sign, settle and pay the same bytes.

mod support;

use gridtally::neighbourhood::scenario::Scenario;
use support::{Place, tell};

#[test]
fn two_runs_have_the_same_statement_the_same_bundle_and_the_same_balances() {
    let scenario = || Scenario {
        forger: true,
        equivocator: Some(1),
        offline: None,
        ..Scenario::small(3)
    };
    let first = tell(scenario(), &Place::new("first"));
    let second = tell(scenario(), &Place::new("second"));
    assert_eq!(
        first.settled.derived.statement.hash(),
        second.settled.derived.statement.hash()
    );
    assert_eq!(first.settled.bundle_root, second.settled.bundle_root);
    assert_eq!(first.balances, second.balances);
    assert_eq!(first.bundle, second.bundle, "byte for byte");
}
