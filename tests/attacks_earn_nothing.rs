//! Every attack of the corpus, on a neighbourhood with real physics: none earns more than honesty, no stranger harms a home,
//! each meets what it should, and honest homes are left alone.
#![allow(clippy::unwrap_used)]

use gridtally::attacks::{Corpus, play};

#[test]
fn no_attack_earns_more_than_honesty_and_no_honest_home_is_refused() {
    let figures = play(&Corpus { seed: 7, homes: 64 }, |_| ()).unwrap();
    let mut table = Vec::new();
    figures.print(&mut table).unwrap();
    let table = String::from_utf8(table).unwrap();
    assert!(
        figures.honest_earned > 0,
        "there is something to be had:\n{table}"
    );
    assert!(figures.attacks.len() >= 24);
    assert!(figures.holds(), "{table}");
}
