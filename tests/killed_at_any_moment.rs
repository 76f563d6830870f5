//! The engine, the broker and the agents are killed outright, over and over, at moments drawn from a seed; what is
//! settled at the end is what an undisturbed run settles.

mod support;

use std::time::Duration;

use gridtally::demo::story::{self, Progress};
use gridtally::neighbourhood::Neighbourhood;
use gridtally::neighbourhood::killer::Killer;
use gridtally::neighbourhood::scenario::Scenario;
use support::{Place, Told, program, settle, tell};

/// `GRIDTALLY_KILL_SEEDS` plays more, or a single one: `20`, or `7..8`.
fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("GRIDTALLY_KILL_SEEDS") else {
        return 0..20;
    };
    match text.split_once("..") {
        Some((from, until)) => from.parse().unwrap()..until.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}

fn tell_disturbed(seed: u64) -> (Told, u32) {
    let place = Place::new("killed");
    let mut neighbourhood = Neighbourhood::start(Scenario::small(7), place.path(), program()).unwrap();
    let (least, most) = (Duration::from_millis(50), Duration::from_millis(1_200));
    let killer = Killer::start(neighbourhood.victims(), seed, 10, least, most);
    story::play(&mut neighbourhood, &mut Progress::silent()).unwrap();
    let kills = killer.stop();
    let told = settle(&mut neighbourhood, &place);
    neighbourhood.stop();
    (told, kills)
}

#[test]
fn a_neighbourhood_killed_at_random_moments_settles_as_if_nothing_had_happened() {
    let place = Place::new("undisturbed");
    let undisturbed = tell(Scenario::small(7), &place);
    let mut kills = 0;
    for seed in seeds() {
        let (told, killed) = tell_disturbed(seed);
        println!("seed {seed}: killed {killed} times");
        assert_eq!(
            told.settled.derived.statement, undisturbed.settled.derived.statement,
            "seed {seed}"
        );
        assert_eq!(told.balances, undisturbed.balances, "seed {seed}");
        assert_eq!(
            told.settled.bundle_root, undisturbed.settled.bundle_root,
            "seed {seed}"
        );
        kills += killed;
    }
    println!("{kills} kills in all");
    assert!(
        kills > 0,
        "nothing was killed: the runs are too short for the killer"
    );
}
