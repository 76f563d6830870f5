//! A small season on a real PostgreSQL: played twice it is the same; what is paid in the end is what the rules make of
//! the truth; and the ledger adds up after every step, which the season itself looks at.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use gridtally::season::desk::PROGRAM;
use gridtally::season::home::SeasonHome;
use gridtally::season::measure::{Measured, measure};
use gridtally::season::page::page;
use gridtally::season::plan::{Answer, Plan};
use gridtally::season::story::{Season, Settled, run};
use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::store::{Store, create_beside};
use gridtally_settlement::supervise::PrivateCluster;
use support::Place;

fn played(url: &str, name: &str, place: &Path) -> (Season, Vec<Measured>, String) {
    let store = Store::open(&create_beside(url, name).unwrap()).unwrap();
    let season = run(
        Plan::small(),
        store,
        place.join(format!("{name}.bundle")),
        &mut |_| (),
    )
    .unwrap();
    let program = Program::from_toml("program", PROGRAM).unwrap();
    let measured = measure(&season, &program).unwrap();
    let page = page(&season, &measured, &program.asset).unwrap();
    (season, measured, page)
}

#[test]
fn a_season_is_the_same_again_and_pays_in_the_end_what_the_truth_is_worth() {
    let place = Place::new("season");
    let cluster = PrivateCluster::start(place.path()).unwrap();
    let url = cluster.connection_string();
    let ((season, measured, page), (again, _, page_again)) = std::thread::scope(|scope| {
        let again = scope.spawn(|| played(&url, "second", place.path()));
        (played(&url, "first", place.path()), again.join().unwrap())
    });
    assert_eq!(season.settled, again.settled, "statement for statement");
    assert_eq!(season.journal, again.journal);
    assert_eq!(page, page_again);
    assert_eq!(season.closing.values().sum::<i128>(), 0, "{:?}", season.closing);
    assert!(season.closing["payable"] > 0, "{:?}", season.closing);

    every_event_is_settled_and_what_came_late_or_was_wrong_is_paid_later(&season);
    the_last_statements_credit_what_the_table_says(&season, &measured);
    nobody_differs_from_himself_where_nobody_asked(&season);
    let all = measured[0].of(|_| true);
    assert!(all.truth > 0 && all.site_events > 60, "{all:?}");
}

fn of_version(season: &Season, version: u32) -> Vec<&Settled> {
    season.settled.iter().filter(|s| s.version == version).collect()
}

fn every_event_is_settled_and_what_came_late_or_was_wrong_is_paid_later(season: &Season) {
    let versions = [1, 2, 3].map(|version| of_version(season, version));
    let [first, late, disputed] = &versions;
    assert_eq!((first.len(), late.len()), (5, 5));
    assert!(
        first
            .iter()
            .all(|s| s.debit > TokenAmount::ZERO && s.changed == 0)
    );
    assert!(
        late.iter().any(|s| s.changed > 0),
        "nobody's reports came late: {late:?}"
    );
    assert!(
        !disputed.is_empty() && disputed.iter().all(|s| s.changed > 0),
        "{disputed:?}"
    );
    assert!(
        disputed.iter().any(|s| s.gave_back > 0),
        "nobody was paid too much: {disputed:?}"
    );
}

fn the_last_statements_credit_what_the_table_says(season: &Season, measured: &[Measured]) {
    let table = measured.iter().find(|m| m.rule == "season_bl01").unwrap();
    let mut last: BTreeMap<usize, &Settled> = BTreeMap::new();
    for settled in &season.settled {
        last.insert(settled.event, settled);
    }
    let mut compared = 0;
    for (event, settled) in last {
        for (home, conduct) in season.conduct.iter().enumerate() {
            let credited = settled.sites[&SeasonHome::site(home)];
            let due = table.credited.get(&(home, event)).copied().unwrap_or(0);
            assert_eq!(credited, MilliwattHours::new(due), "home {home} in event {event}");
            compared += usize::from(conduct.answers[event] == Answer::In);
        }
    }
    assert!(compared > 60, "{compared}");
}

fn nobody_differs_from_himself_where_nobody_asked(season: &Season) {
    for (home, (conduct, trace)) in season.conduct.iter().zip(&season.traces).enumerate() {
        let asked = conduct.answers.iter().position(|answer| *answer == Answer::In);
        // Who games begins four hours before the start, after the announcement.
        let until = asked.map_or(season.plan.end(), |event| season.events[event].announced_at);
        let slots = season.plan.slot(until);
        for slot in 0..slots {
            assert_eq!(
                trace.net(slot),
                trace.without.get(slot).copied(),
                "home {home}, {slot}"
            );
        }
        assert!(slots > 0 && slots <= trace.without.len());
    }
}
