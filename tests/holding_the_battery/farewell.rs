//! An event is called off or moved: the engine says so by instructions that the agent understands, and the battery is
//! its owner's.

use gridtally_edge::control::policy::Decision;
use gridtally_protocol::acknowledgement::{Declined, Stage};
use gridtally_protocol::instruction::Target;
use gridtally_settlement::events::farewell::farewell;
use gridtally_settlement::events::revision::Window;

use crate::house::{House, Map, Plan, Ticked};
use crate::obeyed::watts;

const ASKED: i64 = 3_000;

fn window(house: &House, (start, end): (i64, i64)) -> Window {
    Window {
        start: house.at(start),
        end: house.at(end),
    }
}

/// Tells the house as the engine does; when the farewells last.
fn told(house: &mut House, old: (i64, i64), new: Option<(i64, i64)>) -> Option<(i64, i64)> {
    let new_window = new.map(|new| window(house, new));
    let found = farewell(window(house, old), new_window, house.at(house.now()));
    let midnight = house.at(0);
    let farewell = found.map(|w| (w.start.seconds_since(midnight), w.end.seconds_since(midnight)));
    if let Some((start, end)) = farewell {
        for power in [ASKED, 0] {
            house.asked(Target::SetPoint(watts(power)), start, end);
        }
    }
    if let Some((start, end)) = new {
        house.asked(Target::SetPoint(watts(ASKED)), start, end);
    }
    farewell
}

fn how_it_ended(chapter: &[(Stage, i64)]) -> Option<Stage> {
    let is_end = |stage: &Stage| matches!(stage, Stage::Stopped(_) | Stage::Completed);
    chapter.iter().map(|(stage, _)| *stage).find(is_end)
}

#[test]
fn an_event_that_is_called_off_leaves_the_battery_to_its_owner_whether_it_has_begun_or_not() {
    for map in [Map::Storage, Map::Der, Map::Sungrow] {
        for called_off_at in [10, 605] {
            let mut house = House::new(Plan::of(map));
            let before = house.setting();
            let old = (60, 3_600);
            let decision = house.asked(Target::SetPoint(watts(ASKED)), old.0, old.1);
            assert!(matches!(decision, Decision::OptedIn { .. }), "{decision:?}");
            assert_eq!(house.live_until(called_off_at), Ticked::Done);
            let (start, end) = told(&mut house, old, None).unwrap();
            assert_eq!((start, end - start), (old.0.max(called_off_at), 300));
            let lived = house.live_and_look(4_000, |house| {
                let now = house.now();
                if start + 10 <= now && now <= end {
                    assert_eq!(house.home.flow().battery, 0, "it rests at {now} by {map:?}");
                }
                if now < start || now > end + 10 {
                    let is_begun = called_off_at > old.0 && now > old.0 && now < start;
                    assert!(is_begun || house.setting() == before, "at {now} by {map:?}");
                }
            });
            assert_eq!(lived, Ticked::Done);
            let chapters = house.story().chapters();
            let ends: Vec<_> = chapters.iter().map(|c| how_it_ended(c)).collect();
            let superseded = Some(Stage::Stopped(Declined::Superseded));
            let expected = [superseded, superseded, Some(Stage::Completed)];
            assert_eq!(ends, expected, "{map:?}, called off at {called_off_at}");
        }
    }
}

#[test]
fn an_event_that_is_moved_is_followed_in_its_new_time_only() {
    for map in [Map::Storage, Map::Der, Map::Sungrow] {
        for (old, new) in [
            ((60, 1_200), (900, 1_800)),
            ((900, 1_800), (60, 1_200)),
            ((900, 1_200), (60, 600)),
            ((60, 600), (900, 1_200)),
            ((60, 1_800), (60, 600)),
        ] {
            let mut house = House::new(Plan::of(map));
            let before = house.setting();
            house.asked(Target::SetPoint(watts(ASKED)), old.0, old.1);
            assert_eq!(house.live_until(10), Ticked::Done);
            told(&mut house, old, Some(new));
            let lived = house.live_and_look(2_400, |house| {
                let now = house.now();
                let power = house.home.flow().battery / 1_000;
                if new.0 + 10 <= now && now <= new.1 {
                    assert!(
                        (power - ASKED).abs() <= 1,
                        "{power} W at {now} by {map:?}: {old:?} to {new:?}"
                    );
                } else if now <= new.0 || now > new.1 + 10 {
                    assert!(
                        (power - ASKED).abs() > 1,
                        "at {now} by {map:?}: {old:?} to {new:?}"
                    );
                }
            });
            assert_eq!(lived, Ticked::Done);
            assert_eq!(house.setting(), before, "{map:?}: {old:?} to {new:?}");
        }
    }
}
