use gridtally_protocol::quantity::Milliwatts;
use proptest::prelude::*;

use super::*;
use crate::events::revision::Change;

const START: i64 = 1_000;
const END: i64 = 2_000;

fn at(unix: i64) -> Timestamp {
    Timestamp::from_unix(unix).unwrap()
}

fn first() -> Revision {
    Revision {
        modification: 0,
        program: "flex".parse().unwrap(),
        window: Window {
            start: at(START),
            end: at(END),
        },
        discharge: Milliwatts::new(3_000_000),
        priority: Default::default(),
        targets: Default::default(),
        start_bound: Default::default(),
        start_drawn_at: 0,
    }
}

fn deed(act: Act, unix: i64, modification: u32) -> Deed {
    Deed {
        act,
        by: "ann".parse().unwrap(),
        at: at(unix),
        why: "because".parse().unwrap(),
        modification,
    }
}

fn drafted() -> Life {
    Life::begin(deed(Act::Draft, 100, 0), first()).unwrap()
}

fn act(life: &mut Life, act: Act, unix: i64) -> Result<(), Refused> {
    let modification = life.revision().modification;
    life.take(deed(act, unix, modification), None)
}

fn modify(life: &mut Life, change: Change, unix: i64) -> Result<(), Refused> {
    let revision = life.revision().changed(change);
    life.take(deed(Act::Modify, unix, revision.modification), Some(revision))
}

fn until(end: i64) -> Change {
    Change {
        end: Some(at(end)),
        ..Change::default()
    }
}

fn announced() -> Life {
    let mut life = drafted();
    act(&mut life, Act::Announce, 200).unwrap();
    life
}

#[test]
fn an_event_runs_through_its_states_by_acts_and_by_the_clock() {
    let mut life = drafted();
    assert_eq!(life.state(at(100)), State::Draft);
    act(&mut life, Act::Announce, 200).unwrap();
    assert_eq!(life.announced_at(), Some(at(200)));
    for (unix, state) in [
        (START - 1, State::Announced),
        (START, State::Active),
        (END - 1, State::Active),
        (END, State::Finished),
    ] {
        assert_eq!(life.state(at(unix)), state, "{unix}");
    }
    act(&mut life, Act::Measure, END).unwrap();
    act(&mut life, Act::Settle { version: 1 }, END).unwrap();
    act(&mut life, Act::Settle { version: 2 }, END + 1).unwrap();
    assert_eq!(life.state(at(END + 1)), State::Settled { version: 2 });
    act(&mut life, Act::Finalise, END + 2).unwrap();
    assert_eq!(life.state(at(END + 2)), State::Final);
    assert_eq!(life.deeds().len(), 6);
}

#[test]
fn each_act_is_allowed_in_its_states_only_and_refused_with_a_sentence() {
    let finished = announced();
    let mut cancelled = announced();
    act(&mut cancelled, Act::Cancel, 300).unwrap();
    let mut measured = announced();
    act(&mut measured, Act::Measure, END).unwrap();
    let mut settled = measured.clone();
    act(&mut settled, Act::Settle { version: 1 }, END).unwrap();
    let mut over = settled.clone();
    act(&mut over, Act::Finalise, END).unwrap();
    let lives = [
        ("draft", drafted(), 500),
        ("announced", announced(), 500),
        ("active", announced(), START),
        ("finished", finished, END),
        ("measured", measured, END),
        ("settled", settled, END),
        ("final", over, END),
        ("cancelled", cancelled, 500),
    ];
    for (name, life, unix) in lives {
        let settle = Act::Settle {
            version: if name == "settled" { 2 } else { 1 },
        };
        let allowed: Vec<&str> = [
            Act::Draft,
            Act::Announce,
            Act::Cancel,
            Act::Measure,
            settle,
            Act::Finalise,
        ]
        .into_iter()
        .filter(|a| {
            let mut life = life.clone();
            let done = act(&mut life, *a, unix);
            if let Err(refused) = &done {
                assert!(refused.to_string().len() > 40, "{refused}");
            }
            done.is_ok()
        })
        .map(Act::name)
        .collect();
        let expected: &[&str] = match name {
            "draft" => &["announce", "cancel"],
            "announced" | "active" => &["cancel"],
            "finished" => &["measure"],
            "measured" => &["settle"],
            "settled" => &["settle", "finalise"],
            _ => &[],
        };
        assert_eq!(allowed, expected, "{name}");
        let is_modified = modify(&mut life.clone(), until(END + 300), unix).is_ok();
        assert_eq!(
            is_modified,
            ["draft", "announced", "active"].contains(&name),
            "{name}"
        );
    }
}

#[test]
fn a_modification_stands_beside_what_was_asked_before() {
    let mut life = announced();
    modify(&mut life, until(END + 300), 300).unwrap();
    let later = Change {
        start: Some(at(START + 300)),
        ..Change::default()
    };
    modify(&mut life, later, 301).unwrap();
    let ends: Vec<i64> = life.revisions().map(|r| r.window.end.unix()).collect();
    assert_eq!(ends, [END, END + 300, END + 300]);
    let numbers: Vec<(u32, u32)> = life
        .revisions()
        .map(|r| (r.modification, r.start_drawn_at))
        .collect();
    assert_eq!(
        numbers,
        [(0, 0), (1, 0), (2, 2)],
        "starts are drawn anew when the start moves"
    );
    assert_eq!(life.state(at(START)), State::Announced, "it begins later now");
}

#[test]
fn what_has_begun_keeps_its_start_and_ends_in_the_future() {
    let mut life = announced();
    let earlier = Change {
        start: Some(at(START - 300)),
        ..Change::default()
    };
    assert_eq!(
        modify(&mut life, earlier, START),
        Err(Refused::Begun { began: at(START) })
    );
    assert_eq!(
        modify(&mut life, until(START + 10), START + 10),
        Err(Refused::OverAlready {
            end: at(START + 10),
            at: at(START + 10)
        })
    );
    assert_eq!(
        modify(&mut life, Change::default(), START),
        Err(Refused::Unchanged)
    );
    assert_eq!(life, announced(), "what is refused leaves no trace");
    modify(&mut life, until(START + 11), START + 10).unwrap();
    assert_eq!(life.state(at(START + 11)), State::Finished);
}

#[test]
fn times_windows_and_numbers_have_to_follow() {
    let mut life = drafted();
    assert!(matches!(
        act(&mut life, Act::Announce, 99),
        Err(Refused::Backwards { .. })
    ));
    assert!(matches!(
        act(&mut life, Act::Announce, START),
        Err(Refused::TooLate { .. })
    ));
    assert!(matches!(
        modify(&mut life, until(START), 100),
        Err(Refused::Empty { .. })
    ));
    let mut leap = life.revision().changed(until(END + 1));
    leap.modification = 5;
    let refused = life.take(deed(Act::Modify, 100, 5), Some(leap));
    assert!(matches!(
        refused,
        Err(Refused::Modification {
            offered: 5,
            current: 0
        })
    ));
    let next = life.revision().changed(until(END + 1));
    let refused = life.take(deed(Act::Modify, 100, 0), Some(next));
    assert!(
        refused.is_err(),
        "the deed names another modification than it brings"
    );
    assert!(life.take(deed(Act::Modify, 100, 0), None).is_err());
    let mut measured = announced();
    act(&mut measured, Act::Measure, END).unwrap();
    let refused = act(&mut measured, Act::Settle { version: 2 }, END);
    assert_eq!(refused, Err(Refused::Version { offered: 2, next: 1 }));
    assert_eq!(
        Life::begin(deed(Act::Announce, 1, 0), first()),
        Err(Refused::NoDraft)
    );
}

fn any_step() -> impl Strategy<Value = (u8, i64, i64)> {
    (0_u8..7, 0_i64..700, 0_i64..3_000)
}

proptest! {
    #[test]
    fn whatever_is_tried_history_only_grows_and_the_same_acts_make_the_same_life(
        steps in prop::collection::vec(any_step(), 0..30),
    ) {
        let mut life = drafted();
        let mut unix = 100;
        for (kind, later, value) in steps {
            unix += later;
            let before = life.clone();
            let done = match kind {
                0 => act(&mut life, Act::Announce, unix),
                1 | 2 => modify(&mut life, Change { end: Some(at(value)), start: Some(at(value / 2)), discharge: None }, unix),
                3 => act(&mut life, Act::Cancel, unix),
                4 => act(&mut life, Act::Measure, unix),
                5 => act(&mut life, Act::Settle { version: u32::try_from(value % 3).unwrap() }, unix),
                _ => act(&mut life, Act::Finalise, unix),
            };
            match done {
                Ok(()) => {
                    prop_assert!(life.deeds().starts_with(before.deeds()));
                    let kept: Vec<_> = life.revisions().take(before.revisions().count()).collect();
                    prop_assert_eq!(kept, before.revisions().collect::<Vec<_>>());
                }
                Err(_) => prop_assert_eq!(&life, &before),
            }
        }
        let mut revisions = life.revisions().cloned();
        let mut deeds = life.deeds().iter().cloned();
        let mut again = Life::begin(deeds.next().unwrap(), revisions.next().unwrap()).unwrap();
        for deed in deeds {
            let revision = if deed.act == Act::Modify { revisions.next() } else { None };
            again.take(deed, revision).unwrap();
        }
        prop_assert_eq!(&again, &life);
    }
}
