//! Commit, draw, send, report, judge, announce, reveal, check.

use std::collections::BTreeMap;

use clap::{Args as _, Command, FromArgMatches as _};
use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::Series;
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_settlement::capacity::audit::Finding;
use gridtally_settlement::capacity::draw::{Hours, draw_within};
use gridtally_settlement::capacity::forecast::Around;
use gridtally_settlement::capacity::period::Period;
use gridtally_settlement::capacity::standing::Unproven;
use gridtally_settlement::capacity::verdict::Verdict;
use gridtally_settlement::cli::engine::{EngineArgs, answer};
use gridtally_settlement::dispatch::testing::{TestError, commit, declare, reveal, run};
use gridtally_settlement::dispatch::{Announcement, Needed, announce, check, cleared, judge, proven};
use gridtally_settlement::engine::engine_key;
use gridtally_settlement::events::clearing::{Passed, Pricing};
use gridtally_settlement::registry::Offer;
use gridtally_settlement::rules::program::{Program, ProgramId};
use gridtally_settlement::rules::statement::SiteId;
use gridtally_settlement::store::capacity::{self, Kept};
use gridtally_settlement::store::{StoreError, events, outages, programs};

use crate::room::{Home, NOON, Room, Wire, at};

const DOCUMENT: &str = include_str!("program.toml");
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn later(instant: Timestamp, seconds: i64) -> Timestamp {
    instant.checked_add(seconds).unwrap()
}

fn said(room: &Room, words: &[&str]) -> Result<String, String> {
    let data = room.options.data.display().to_string();
    let url = room.options.database.clone().unwrap();
    let place = ["engine", "--data", &data, "--database", &url, "test"];
    let matches = EngineArgs::augment_args(Command::new("engine"))
        .try_get_matches_from(place.iter().chain(words))
        .map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    answer(EngineArgs::from_arg_matches(&matches).unwrap(), &mut out).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

/// Reports the nine intervals around a test, of which those within give 250 Wh each.
fn report_around(wire: &mut Wire, home: &mut Home, start: Timestamp) {
    let around = Around::of(start, IntervalLength::FIVE_MINUTES).unwrap();
    let import = [
        400_000, 400_000, 400_000, 150_000, 150_000, 150_000, 400_000, 400_000, 400_000,
    ];
    let series = |quantity, samples: Vec<i64>| Series {
        channel: Channel {
            device: DeviceNumber(1),
            quantity,
        },
        resolution: 0,
        samples: samples.into_iter().map(Ok).collect(),
        qualities: BTreeMap::new(),
    };
    let draft = home.draft();
    draft.start = around.start().unwrap();
    draft.issued_at = later(around.end, 10);
    draft.series = vec![
        series(Quantity::GridImport, import.to_vec()),
        series(Quantity::GridExport, vec![0; 9]),
    ];
    let report = home.report();
    assert_eq!(wire.deliver(&report), Ok(()));
}

#[test]
fn a_test_proves_what_a_home_can_do_and_an_event_asks_it_for_no_more() {
    let mut room = Room::open();
    let document = DOCUMENT.replace("days = \"working\"", "days = \"all\"");
    let program = Program::from_toml("program", &document).unwrap();
    room.store
        .transact(|t| programs::add_program(t, &program, &document, at(NOON)))
        .unwrap();
    let (mut home, mut silent) = (Home::new(1), Home::new(2));
    for (home, price) in [(&mut home, "2"), (&mut silent, "1")] {
        home.enrolment.offer = Offer {
            nominated_milliwatts: Some(Milliwatts::new(4_000_000)),
            bid_per_kwh: Some(price.parse().unwrap()),
        };
    }
    room.enrol(&home);
    room.enrol(&silent);
    let key = engine_key(&room.options.data).unwrap();
    let id: ProgramId = "evening-flex".parse().unwrap();
    let (one, two): (SiteId, SiteId) = ("home-1".parse().unwrap(), "home-2".parse().unwrap());
    let period: Period = "2026-05".parse().unwrap();

    // Committed to before, once, and not told.
    let now = at("2026-04-22T12:00:00Z");
    let kept = commit(&mut room.store, &id, period, now).unwrap();
    assert!(commit(&mut room.store, &id, period, now).is_err());
    let begun = commit(&mut room.store, &id, "2026-04".parse().unwrap(), now);
    assert!(matches!(begun, Err(TestError::Begun { .. })), "{begun:?}");
    let shown = said(&room, &["show", "--program", "evening-flex"]).unwrap();
    assert!(shown.contains(&kept.commitment.to_string()) && shown.contains("not told yet"));
    assert!(!shown.contains(&kept.seed.reveal()));

    let hours = Hours::of(&program, program.tests.as_ref().unwrap());
    let mut drawn: Vec<(Timestamp, SiteId)> = Vec::new();
    for monday in period.mondays() {
        for site in [&one, &two] {
            let test = draw_within(&kept.seed, &hours, &id, site, monday).unwrap();
            drawn.push((test.start, site.clone()));
        }
    }
    drawn.sort();
    let first = drawn.iter().find(|(_, site)| *site == one).unwrap().0;

    // Nothing is sent too early; the test is sent once, and looks like any other dispatch.
    let due = later(first, -12 * 60);
    room.clock.set(due);
    let mut wire = room.wire();
    let early = run(&mut room.store, &key, later(first, -HOUR)).unwrap();
    assert!(early.iter().all(|test| test.site != one));
    // The engine that runs does it by itself.
    room.engine().tick(due).unwrap();
    let sent = room.store.transact(|t| capacity::tests(t, &id)).unwrap();
    let test = sent.iter().find(|test| test.site == one).unwrap().clone();
    assert_eq!((test.start, &test.outcome), (first, &Kept::Sent));
    assert!(run(&mut room.store, &key, due).unwrap().is_empty());
    wire.until("the home hears of it", |wire| {
        wire.instructions
            .iter()
            .any(|i| i.message.gateway == home.identity())
    });
    let heard = wire
        .instructions
        .iter()
        .find(|i| i.message.gateway == home.identity())
        .unwrap();
    assert_eq!(heard.message.target, Target::SetPoint(Milliwatts::new(3_000_000)));
    assert_eq!(
        (heard.message.start, heard.message.end),
        (first, later(first, 900))
    );
    assert_eq!(heard.message.program.as_ref(), Some(&id));
    let accepted = Acknowledgement {
        instruction: heard.digest,
        at: due,
        stage: Stage::OptedIn(Milliwatts::new(3_000_000)),
    };
    let accepted = home.acknowledge(&accepted);
    assert_eq!(wire.deliver(&accepted), Ok(()));

    // Who says only now that it cannot, says it too late.
    let why = "the inverter is being replaced".parse().unwrap();
    let span = (due, later(first, HOUR));
    let late = declare(&mut room.store, (&id, &one), span, &why, due);
    assert!(matches!(late, Err(TestError::AskedAlready { .. })), "{late:?}");
    let past = (later(due, -HOUR), due);
    let past = declare(&mut room.store, (&id, &one), past, &why, due);
    assert!(matches!(past, Err(TestError::DeclaredLate { .. })), "{past:?}");

    room.clock.set(later(first, HOUR));
    report_around(&mut wire, &mut home, first);
    let same_evening = judge(&mut room.store, later(first, HOUR)).unwrap();
    assert!(
        same_evening.iter().all(|test| test.site != one),
        "its day is not over"
    );
    let next = later(first, DAY);
    room.engine().tick(next).unwrap();
    assert!(
        judge(&mut room.store, next).unwrap().is_empty(),
        "the engine has judged"
    );
    let judged = room.store.transact(|t| capacity::tests(t, &id)).unwrap();
    let passed = judged.iter().find(|t| t.name == test.name).unwrap();
    assert_eq!(passed.verdict, Some(Verdict::Passed(Milliwatts::new(3_000_000))));
    let kept_out = room.store.transact(|t| outages::outages(t, &id, next)).unwrap();
    assert!(
        kept_out.iter().any(|outage| outage.site == one),
        "its day is compared with nothing"
    );
    let capacity = room.store.transact(|t| proven(t, &id, next)).unwrap();
    assert_eq!(capacity[&one], Ok(Milliwatts::new(3_000_000)));
    assert!(capacity[&two].is_err());

    // A bid is worth what is proved: the cheaper one, of a home that proved nothing, is not taken.
    let needed = Needed {
        target: Milliwatts::new(9_000_000),
        pricing: Pricing::PayAsBid,
        ceiling: None,
    };
    let (bids, _) = room
        .store
        .transact(|t| cleared(t, &id, &"tonight".parse().unwrap(), needed, next))
        .unwrap();
    assert_eq!(bids.total, Milliwatts::new(3_000_000));
    assert_eq!(bids.awards[0].site, one);
    assert_eq!(bids.passed, [(two.clone(), Passed::Unproven)]);

    // An event asks for no more, and not who proved nothing.
    let all = room.store.transact(|t| events::events(t)).unwrap();
    assert!(all.is_empty(), "a test is no event: {all:?}");
    let start = later(first.floor_to(IntervalLength::FIVE_MINUTES), DAY + 6 * HOUR);
    let announcement = Announcement {
        id: "evening".parse().unwrap(),
        program: id.clone(),
        start,
        end: later(start, HOUR),
        discharge: Milliwatts::new(5_000_000),
    };
    let announced = announce(&mut room.store, &key, &announcement, next).unwrap();
    assert_eq!(announced.instructions, 1);
    assert_eq!(announced.unproven.keys().collect::<Vec<_>>(), [&two]);
    let asked = room
        .store
        .transact(|t| events::instructions_of(t, &announcement.id))
        .unwrap();
    let asked = Instruction::open(&asked[0].envelope).unwrap().message;
    assert_eq!(asked.gateway, home.identity());
    assert_eq!(asked.target, Target::SetPoint(Milliwatts::new(3_000_000)));

    // From now on home 1 does not answer; home 2 says beforehand that it cannot.
    let rest = (later(next, 1), at("2026-07-01T00:00:00Z"));
    declare(&mut room.store, (&id, &two), rest, &why, next).unwrap();
    for (start, _) in &drawn {
        run(&mut room.store, &key, later(*start, -12 * 60)).unwrap();
    }
    let early = reveal(&mut room.store, &id, period, next);
    assert!(matches!(early, Err(TestError::NotOver { .. })), "{early:?}");
    assert!(matches!(
        check(&mut room.store, &id, period),
        Err(TestError::NotTold(_))
    ));
    let over = at("2026-06-03T00:00:00Z");
    judge(&mut room.store, over).unwrap();
    let capacity = room.store.transact(|t| proven(t, &id, over)).unwrap();
    assert!(matches!(capacity[&one], Err(Unproven::Failed(_))));
    let again = Announcement {
        id: "later".parse().unwrap(),
        start: later(over, HOUR),
        end: later(over, 2 * HOUR),
        ..announcement
    };
    let nobody = announce(&mut room.store, &key, &again, over).unwrap_err();
    assert!(nobody.to_string().contains("has proved"), "{nobody}");

    // Everybody can draw again, and sees what was not drawn.
    reveal(&mut room.store, &id, period, over).unwrap();
    let (count, finding) = check(&mut room.store, &id, period).unwrap();
    assert_eq!((count, finding), (drawn.len(), None));
    let words = ["check", "--program", "evening-flex", "--period", "2026-05"];
    assert!(said(&room, &words).unwrap().contains("as they were drawn"));
    let mut forged = test.clone();
    forged.name = "another".parse().unwrap();
    forged.start = later(first, 900);
    forged.recorded_at = due;
    room.store
        .transact(|t| capacity::insert_test(t, &forged))
        .unwrap();
    let digest = Digest::of(b"another");
    let stranger = room.store.transact(|t| {
        events::insert_instruction(
            t,
            &events::StoredInstruction {
                gateway: silent.identity(),
                sequence: 1_000,
                event: "another".parse().unwrap(),
                digest,
                expires_at: over,
                envelope: Vec::new(),
            },
        )
    });
    assert!(matches!(stranger, Err(StoreError::Database(_))), "{stranger:?}");
    let original = room
        .store
        .transact(|t| events::instructions_of(t, &test.name))
        .unwrap();
    room.store
        .transact(|t| {
            events::insert_instruction(
                t,
                &events::StoredInstruction {
                    sequence: 1_000,
                    event: forged.name.clone(),
                    digest,
                    ..original[0].clone()
                },
            )
        })
        .unwrap();
    let (_, finding) = check(&mut room.store, &id, period).unwrap();
    let site = one.clone();
    assert_eq!(
        finding,
        Some(Finding::NotDrawn {
            site,
            start: forged.start
        })
    );
    let told = said(&room, &words).unwrap_err();
    assert!(told.contains("was not drawn"), "{told}");
}
