//! The life of events, on a real PostgreSQL, and what the homes hear of it over a real broker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod room;

use clap::{Args as _, Command, FromArgMatches as _};
use gridtally_protocol::acknowledgement::{Acknowledgement, Declined, Stage};
use gridtally_protocol::instruction::{EventId, Instruction, Target};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_settlement::cli::engine::{EngineArgs, answer};
use gridtally_settlement::engine::EngineOptions;
use gridtally_settlement::events::revision::Window;
use gridtally_settlement::events::start::{StartBound, StartSecret, moved};
use gridtally_settlement::registry::Membership;
use gridtally_settlement::store::StoreError;
use gridtally_settlement::store::events as kept;
use gridtally_settlement::store::ledger::{reservations, work_as_app};
use postgres::Client;
use serde_json::{Value, json};

use room::{Home, NOON, Room, at};

const START: &str = "2026-04-21T17:00:00Z";
const END: &str = "2026-04-21T19:00:00Z";
const AFTER: &str = "2026-04-22T06:00:00Z";

/// Types a command of the operator at an instant; what it says, or why not.
fn operator(room: &Room, now: &str, words: &[&str]) -> Result<String, String> {
    typed(&room.options, now, words)
}

fn typed(options: &EngineOptions, now: &str, words: &[&str]) -> Result<String, String> {
    let data = options.data.to_str().unwrap();
    let url = options.database.as_ref().unwrap();
    let place = ["engine", "--data", data, "--database", url, "--now", now];
    let matches = EngineArgs::augment_args(Command::new("engine"))
        .try_get_matches_from(place.iter().chain(words))
        .map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    answer(EngineArgs::from_arg_matches(&matches).unwrap(), &mut out).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

fn asking<'w>(act: &'w str, id: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    let mut words = vec![
        "event",
        act,
        "--program",
        "evening-flex",
        "--id",
        id,
        "--start",
        START,
        "--end",
        END,
        "--discharge-watts",
        "3000",
    ];
    words.extend(more);
    words
}

fn announce(room: &Room, id: &str, more: &[&str]) -> Result<String, String> {
    operator(room, NOON, &asking("announce", id, more))
}

fn shown(room: &Room, now: &str, id: &str) -> Value {
    serde_json::from_str(&operator(room, now, &["event", "show", id, "--json"]).unwrap()).unwrap()
}

fn state(room: &Room, now: &str, id: &str) -> String {
    shown(room, now, id)["state"]["state"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Every instruction of an event to a home, in the order of their numbers.
fn instructions(room: &mut Room, id: &str, home: &Home) -> Vec<Instruction> {
    let id: EventId = id.parse().unwrap();
    let stored = room.store.transact(|t| kept::instructions_of(t, &id)).unwrap();
    stored
        .iter()
        .filter(|i| i.gateway == home.identity())
        .map(|i| Instruction::open(&i.envelope).unwrap().message)
        .collect()
}

fn windows_and_targets(instructions: &[Instruction]) -> Vec<(String, String, Target)> {
    let plain = |i: &Instruction| (i.start.to_string(), i.end.to_string(), i.target);
    instructions.iter().map(plain).collect()
}

fn watts(watts: i64) -> Target {
    Target::SetPoint(Milliwatts::new(watts * 1_000))
}

fn row(start: &str, end: &str, target: Target) -> (String, String, Target) {
    (
        format!("2026-04-21T{start}:00Z"),
        format!("2026-04-21T{end}:00Z"),
        target,
    )
}

#[test]
fn an_event_is_drafted_announced_active_finished_and_settled_and_its_history_says_by_whom() {
    let mut room = Room::open();
    let home = room.home(1);
    let by = ["--by", "Ann", "--why", "a cold evening"];
    operator(&room, NOON, &asking("draft", "tuesday", &by)).unwrap();
    assert_eq!(state(&room, NOON, "tuesday"), "draft");
    assert_eq!(instructions(&mut room, "tuesday", &home), []);
    let again = operator(&room, NOON, &asking("draft", "tuesday", &by));
    assert!(again.is_ok(), "the same again changes nothing: {again:?}");
    let later = "2026-04-21T12:30:00Z";
    let said = operator(
        &room,
        later,
        &["event", "announce", "--id", "tuesday", "--by", "Bo"],
    )
    .unwrap();
    assert!(said.contains("1 homes are asked for 3000"), "{said}");
    for (now, expected) in [(later, "announced"), (START, "active"), (END, "finished")] {
        assert_eq!(state(&room, now, "tuesday"), expected);
    }
    let bundle = room.options.data.join("tuesday.bundle");
    let settle = [
        "settle",
        "tuesday",
        "--early",
        "--bundle",
        bundle.to_str().unwrap(),
    ];
    operator(&room, AFTER, &settle).unwrap();
    operator(&room, AFTER, &settle).unwrap();
    let seen = shown(&room, AFTER, "tuesday");
    assert_eq!(seen["state"], json!({ "state": "settled", "version": 1 }));
    let acts = seen["acts"].as_array().unwrap().iter();
    let acts: Vec<[&str; 3]> = acts
        .map(|act| ["act", "by", "at"].map(|key| act[key].as_str().unwrap()))
        .collect();
    let expected = [
        ["draft", "Ann", NOON],
        ["announce", "Bo", later],
        ["measure", "engine", AFTER],
        ["settle", "engine", AFTER],
    ];
    assert_eq!(acts, expected);
    assert_eq!(seen["acts"][0]["why"], "a cold evening");
    let refused = operator(&room, AFTER, &["event", "cancel", "tuesday", "--why", "too late"]).unwrap_err();
    assert!(refused.contains("settled (1) cannot be cancelled"), "{refused}");
    let listed = operator(&room, AFTER, &["event", "list"]).unwrap();
    assert!(listed.contains("evening-flex v1  settled (1)"), "{listed}");
}

#[test]
fn a_modified_event_is_asked_anew_and_what_was_asked_before_stays_readable() {
    let mut room = Room::open();
    let (home, mut wire) = (room.home(1), room.wire());
    announce(&room, "tuesday", &[]).unwrap();
    room.engine().tick(at(NOON)).unwrap();
    wire.until("the first instruction", |wire| wire.instructions.len() == 1);
    let later = "2026-04-21T18:00:00Z";
    let modify = [
        "event",
        "modify",
        "tuesday",
        "--start",
        later,
        "--why",
        "the peak moved",
    ];
    let said = operator(&room, NOON, &modify).unwrap();
    assert!(
        said.contains("modification 1: 2026-04-21T18:00:00Z") && said.contains("1 homes are told"),
        "{said}"
    );
    let asked = instructions(&mut room, "tuesday", &home);
    assert!(asked.is_sorted_by(|a, b| a.sequence < b.sequence));
    // Between the two the home is told that the first is over, when it would begin.
    let expected = [
        row("17:00", "19:00", watts(3_000)),
        row("17:00", "17:05", watts(3_000)),
        row("17:00", "17:05", watts(0)),
        row("18:00", "19:00", watts(3_000)),
    ];
    assert_eq!(windows_and_targets(&asked), expected);

    // Shorter from now on: the new instruction takes the old one's place by itself.
    let shorter = [
        "event",
        "modify",
        "tuesday",
        "--end",
        "2026-04-21T18:30:00Z",
        "--why",
        "enough",
    ];
    operator(&room, later, &shorter).unwrap();
    let asked = instructions(&mut room, "tuesday", &home);
    assert_eq!(
        windows_and_targets(&asked)[4..],
        [row("18:00", "18:30", watts(3_000))]
    );
    let begun = ["event", "modify", "tuesday", "--start", START, "--why", "x"];
    let refused = operator(&room, later, &begun).unwrap_err();
    assert!(refused.contains("its start stays"), "{refused}");

    let seen = shown(&room, later, "tuesday");
    assert_eq!(seen["modification"], 2);
    let ends: Vec<&str> = seen["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["window"]["end"].as_str().unwrap())
        .collect();
    assert_eq!(ends, [END, END, "2026-04-21T18:30:00Z"]);
    assert_eq!(seen["end"], "2026-04-21T18:30:00Z");
    assert_eq!(state(&room, "2026-04-21T18:30:00Z", "tuesday"), "finished");

    // What was replaced is not sent any more; what ends it is, and the newest.
    wire.instructions.clear();
    room.restart_engine();
    room::eventually("what counts is sent", || {
        room.engine().tick(at(NOON)).unwrap();
        wire.note_all();
        wire.instructions.len() >= 3
    });
    let mut numbers: Vec<u64> = wire.instructions.iter().map(|i| i.message.sequence).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, [2, 3, 5]);
}

#[test]
fn a_cancelled_event_is_ended_in_each_home_and_never_paid_and_its_escrow_is_free_again() {
    let mut room = Room::open();
    let (home, mut wire) = (room.home(1), room.wire());
    let deposit = [
        "ledger",
        "deposit",
        "--program",
        "evening-flex",
        "--amount",
        "500",
    ];
    let deposit = [&deposit[..], &["--operator", "grid", "--reference", "1"]].concat();
    operator(&room, NOON, &deposit).unwrap();
    let said = announce(&room, "tuesday", &["--reserve", "120.5"]).unwrap();
    assert!(said.contains("120.5 are set aside"), "{said}");
    let name = "evening-flex/tuesday".parse().unwrap();
    let set_aside = |room: &mut Room| {
        let found = room.store.transact(|t| {
            reservations::reservation(t, &name).map_err(|e| StoreError::Conflict(e.to_string()))
        });
        let found = found.unwrap().unwrap();
        (found.amount.base_units(), found.resolution)
    };
    assert_eq!(set_aside(&mut room), (120_500_000, None));
    room.engine().tick(at(NOON)).unwrap();
    wire.until("the instruction", |wire| wire.instructions.len() == 1);
    let opted_in = Acknowledgement {
        instruction: wire.instructions[0].digest,
        at: at(NOON),
        stage: Stage::OptedIn(Milliwatts::new(3_000_000)),
    };
    assert_eq!(wire.deliver(&home.acknowledge(&opted_in)), Ok(()));

    let half = "2026-04-21T18:58:00Z";
    let cancel = [
        "event",
        "cancel",
        "tuesday",
        "--by",
        "Ann",
        "--why",
        "the line is back",
    ];
    let said = operator(&room, half, &cancel).unwrap();
    assert!(said.contains("cancelled; 1 homes are told"), "{said}");
    let farewells = &windows_and_targets(&instructions(&mut room, "tuesday", &home))[1..];
    let expected = [
        row("18:58", "19:00", watts(3_000)),
        row("18:58", "19:00", watts(0)),
    ];
    assert_eq!(farewells, expected);
    assert_eq!(
        room.engine().tick(at(half)).unwrap(),
        2,
        "both are sent until they are answered"
    );
    wire.until("the farewells", |wire| wire.instructions.len() == 3);

    assert_eq!(set_aside(&mut room), (120_500_000, Some("void".to_owned())));
    let bundle = room.options.data.join("tuesday.bundle");
    let settle = [
        "settle",
        "tuesday",
        "--early",
        "--bundle",
        bundle.to_str().unwrap(),
    ];
    let refused = operator(&room, AFTER, &settle).unwrap_err();
    assert!(refused.contains("cancelled cannot be settled"), "{refused}");
    let refused = operator(&room, half, &cancel).unwrap_err();
    assert!(refused.contains("cancelled cannot be cancelled"), "{refused}");
    let refused = announce(&room, "tuesday", &[]).unwrap_err();
    assert!(refused.contains("cancelled cannot be announced"), "{refused}");
    assert!(announce(&room, "instead", &[]).is_ok(), "the time is free again");
}

#[test]
fn declining_a_farewell_is_no_opting_out_of_the_event() {
    let mut room = Room::open();
    let (home, mut wire) = (room.home(1), room.wire());
    announce(&room, "tuesday", &[]).unwrap();
    let modify = [
        "event",
        "modify",
        "tuesday",
        "--start",
        "2026-04-21T18:00:00Z",
        "--why",
        "x",
    ];
    operator(&room, NOON, &modify).unwrap();
    room.engine().tick(at(NOON)).unwrap();
    wire.until("what counts", |wire| wire.instructions.len() == 3);
    let opted_in = Stage::OptedIn(Milliwatts::new(3_000_000));
    let cannot_rest = Stage::OptedOut(Declined::Unsupported);
    for asked in wire.instructions.clone() {
        let rests = asked.message.target == watts(0);
        let answer = Acknowledgement {
            instruction: asked.digest,
            at: at(NOON),
            stage: if rests { cannot_rest } else { opted_in },
        };
        assert_eq!(wire.deliver(&home.acknowledge(&answer)), Ok(()));
    }
    let bundle = room.options.data.join("tuesday.bundle");
    let settle = [
        "settle",
        "tuesday",
        "--early",
        "--bundle",
        bundle.to_str().unwrap(),
    ];
    operator(&room, AFTER, &settle).unwrap();
    let statement = operator(&room, AFTER, &["statement", "tuesday"]).unwrap();
    assert!(
        !statement.contains("opted_out") && !statement.contains("no_answer"),
        "{statement}"
    );
    let statement: Value = serde_json::from_str(&statement).unwrap();
    assert_eq!(statement["event"]["start"], "2026-04-21T18:00:00Z", "{statement}");
}

#[test]
fn settling_pays_from_what_was_set_aside() {
    let mut room = Room::open();
    let _home = room.home(1);
    let reserve = ["--reserve", "100"];
    let refused = announce(&room, "tuesday", &reserve).unwrap_err();
    assert!(
        refused.contains("FLEX") || refused.contains("overdraft"),
        "{refused}"
    );
    let nobody_asked = operator(&room, NOON, &["event", "show", "tuesday"]).unwrap_err();
    assert!(
        nobody_asked.contains("no event tuesday"),
        "all or nothing: {nobody_asked}"
    );
    let deposit = [
        "ledger",
        "deposit",
        "--program",
        "evening-flex",
        "--amount",
        "100",
    ];
    let deposit = [&deposit[..], &["--operator", "grid", "--reference", "1"]].concat();
    operator(&room, NOON, &deposit).unwrap();
    announce(&room, "tuesday", &reserve).unwrap();
    let bundle = room.options.data.join("tuesday.bundle");
    let settle = [
        "settle",
        "tuesday",
        "--early",
        "--bundle",
        bundle.to_str().unwrap(),
    ];
    operator(&room, AFTER, &settle).unwrap();
    let open = room
        .store
        .transact(|t| reservations::open_reservations(t).map_err(|e| StoreError::Conflict(e.to_string())));
    assert_eq!(open.unwrap(), []);
}

fn member(room: &mut Room, number: u8, zone: &str, groups: &[&str]) -> Home {
    let mut home = Home::new(number);
    home.enrolment.membership = Membership {
        zone: Some(zone.parse().unwrap()),
        groups: groups.iter().map(|g| g.parse().unwrap()).collect(),
    };
    room.enrol(&home);
    home
}

#[test]
fn only_the_homes_that_an_event_names_are_asked() {
    let mut room = Room::open();
    let north = member(&mut room, 1, "north", &["batteries"]);
    let other = member(&mut room, 2, "north", &[]);
    let south = member(&mut room, 3, "south", &["batteries"]);
    announce(&room, "tuesday", &["--zone", "north", "--group", "batteries"]).unwrap();
    assert_eq!(instructions(&mut room, "tuesday", &north).len(), 1);
    assert_eq!(instructions(&mut room, "tuesday", &other).len(), 0);
    assert_eq!(instructions(&mut room, "tuesday", &south).len(), 0);
    let refused = announce(&room, "slip", &["--zone", "nroth", "--site", "home-9"]).unwrap_err();
    assert!(
        refused.contains("zone nroth") && refused.contains("site home-9"),
        "{refused}"
    );
    let refused = announce(&room, "none", &["--zone", "south", "--site", "home-1"]).unwrap_err();
    assert!(refused.contains("fits everything"), "{refused}");
}

#[test]
fn of_two_events_at_once_a_home_follows_one() {
    let mut room = Room::open();
    let north = member(&mut room, 1, "north", &[]);
    let south = member(&mut room, 2, "south", &[]);
    announce(&room, "northern", &["--zone", "north", "--priority", "5"]).unwrap();
    // The other homes are free for another event of the same time.
    let said = announce(&room, "everywhere", &["--priority", "5"]).unwrap_err();
    assert!(
        said.contains("counts more than event northern"),
        "of two at one instant the name decides: {said}"
    );
    let said = announce(&room, "somewhere", &["--priority", "5"]).unwrap();
    assert!(
        said.contains("1 homes") && said.contains("Not asked: home-1, which event northern"),
        "{said}"
    );
    assert_eq!(instructions(&mut room, "somewhere", &north), []);
    assert_eq!(instructions(&mut room, "somewhere", &south).len(), 1);
    let refused = announce(&room, "third", &[]).unwrap_err();
    assert!(refused.contains("overlaps event"), "{refused}");
    let refused = announce(&room, "urgent", &["--priority", "1"]).unwrap_err();
    assert!(refused.contains("counts more than event"), "{refused}");
    // A later event of the same homes does not grow into this one.
    let next = [
        "event",
        "announce",
        "--program",
        "evening-flex",
        "--id",
        "next",
        "--start",
        END,
        "--end",
        "2026-04-21T20:00:00Z",
        "--discharge-watts",
        "1000",
        "--zone",
        "north",
    ];
    operator(&room, NOON, &next).unwrap();
    let longer = [
        "event",
        "modify",
        "northern",
        "--end",
        "2026-04-21T19:30:00Z",
        "--why",
        "x",
    ];
    let refused = operator(&room, NOON, &longer).unwrap_err();
    assert!(refused.contains("overlaps event next"), "{refused}");
    assert_eq!(
        instructions(&mut room, "northern", &north).len(),
        1,
        "nothing is left of what is refused"
    );
}

#[test]
fn each_homes_start_is_committed_to_beforehand_and_can_be_computed_afterwards() {
    let mut room = Room::open();
    let homes: Vec<Home> = (1..=8).map(|n| room.home(n)).collect();
    let said = announce(&room, "tuesday", &["--randomise-seconds", "600"]).unwrap();
    let before = shown(&room, "2026-04-21T19:09:59Z", "tuesday");
    let commitment = before["start_commitment"].as_str().unwrap().to_owned();
    assert!(said.contains(&commitment), "{said}");
    assert_eq!(before["start_secret"], Value::Null, "one home may still be at it");
    let after = shown(&room, "2026-04-21T19:10:00Z", "tuesday");
    let mut secret = [0; 32];
    hex::decode_to_slice(after["start_secret"].as_str().unwrap(), &mut secret).unwrap();
    let secret = StartSecret::from_bytes(secret);
    assert_eq!(secret.commitment().to_string(), commitment);
    let bound = StartBound::from_seconds(600).unwrap();
    let window = Window {
        start: at(START),
        end: at(END),
    };
    let mut starts = std::collections::BTreeSet::new();
    for home in &homes {
        let [asked] = &instructions(&mut room, "tuesday", home)[..] else {
            panic!("one instruction")
        };
        let span = secret.span(&asked.event, 0, &home.identity(), bound);
        let expected = moved(window, span).unwrap();
        assert_eq!((asked.start, asked.end), (expected.start, expected.end));
        starts.insert(asked.start);
    }
    assert!(starts.len() > 1, "{starts:?}");
    let refused = announce(&room, "far", &["--randomise-seconds", "3601"]).unwrap_err();
    assert!(refused.contains("3600"), "{refused}");
    let soon = operator(
        &room,
        "2026-04-21T16:55:00Z",
        &asking("announce", "soon", &["--randomise-seconds", "600"]),
    );
    assert!(soon.unwrap_err().contains("would begin at 2026-04-21T16:50:00Z"));
}

/// A session as the engine works, with no one's rules but the database's.
fn hostile(room: &Room) -> Client {
    let mut client = room.client();
    work_as_app(&mut client).unwrap();
    client
}

#[test]
fn a_hostile_session_cannot_change_what_was_asked_or_done() {
    let mut room = Room::open();
    let _home = room.home(1);
    announce(&room, "tuesday", &["--randomise-seconds", "60"]).unwrap();
    let cancel = ["event", "cancel", "tuesday", "--why", "enough"];
    operator(&room, NOON, &cancel).unwrap();
    let act = |number: u32, act: &str, modification: u32, at: &str| {
        format!(
            "INSERT INTO event_act VALUES ('tuesday', {number}, '{act}', {modification}, NULL, 'x', '{at}', '')"
        )
    };
    for sql in [
        "UPDATE event_revision SET ends_at = ends_at + interval '1 hour'".to_owned(),
        "DELETE FROM event_act".to_owned(),
        "TRUNCATE event_farewell".to_owned(),
        "UPDATE event_start_secret SET secret = commitment".to_owned(),
        "UPDATE event_in_force SET ends_at = ends_at".to_owned(),
        "ALTER TABLE event_act DISABLE TRIGGER ALL".to_owned(),
        act(4, "modify", 0, AFTER),
        act(4, "measure", 0, AFTER),
    ] {
        assert!(hostile(&room).batch_execute(&sql).is_err(), "{sql}");
        // Even the owner of the tables is told, unless he takes the guards away first.
        if !sql.starts_with("ALTER") {
            assert!(room.client().batch_execute(&sql).is_err(), "{sql}");
        }
    }
    operator(&room, NOON, &asking("draft", "wednesday", &[])).unwrap();
    let follow = |number: u32, name: &str, modification: u32, at: &str| {
        act(number, name, modification, at).replace("tuesday", "wednesday")
    };
    for (sql, why) in [
        (follow(3, "announce", 0, AFTER), "does not follow"),
        (follow(2, "announce", 0, "2026-04-20T12:00:00Z"), "earlier"),
        (follow(2, "modify", 0, AFTER), "leads to modification"),
        (follow(2, "draft", 0, AFTER), "check constraint"),
        (follow(2, "explode", 0, AFTER), "check constraint"),
    ] {
        let error = hostile(&room).batch_execute(&sql).unwrap_err();
        let said = error.as_db_error().unwrap().message().to_owned();
        assert!(said.contains(why), "{sql}: {said}");
    }
    assert!(
        hostile(&room)
            .batch_execute(&follow(2, "announce", 0, AFTER))
            .is_ok()
    );
    assert_eq!(shown(&room, NOON, "tuesday")["acts"].as_array().unwrap().len(), 3);
}

#[test]
fn an_event_of_before_acts_were_kept_can_be_read_modified_and_settled() {
    let mut room = Room::open();
    let home = room.home(1);
    announce(&room, "other", &[]).unwrap();
    operator(&room, NOON, &["event", "cancel", "other", "--why", "x"]).unwrap();
    let mut client = room.client();
    client
        .execute(
            "INSERT INTO event (id, program, program_version, starts_at, ends_at, announced_at, discharge_milliwatts)
             SELECT 'old', program, program_version, starts_at, ends_at, announced_at, discharge_milliwatts
             FROM event WHERE id = 'other'",
            &[],
        )
        .unwrap();
    let acts = |room: &Room| shown(room, NOON, "old")["acts"].as_array().unwrap().len();
    assert_eq!(acts(&room), 2);
    let modify = [
        "event",
        "modify",
        "old",
        "--discharge-watts",
        "2000",
        "--why",
        "less",
    ];
    operator(&room, NOON, &modify).unwrap();
    assert_eq!((acts(&room), instructions(&mut room, "old", &home).len()), (3, 0));
    let bundle = room.options.data.join("old.bundle");
    let settle = ["settle", "old", "--early", "--bundle", bundle.to_str().unwrap()];
    operator(&room, AFTER, &settle).unwrap();
    assert_eq!(state(&room, AFTER, "old"), "settled");
}

#[test]
fn operators_who_act_at_once_never_ask_a_home_twice_for_one_time() {
    let mut room = Room::open();
    let home = room.home(1);
    let names = ["a", "b", "c", "d"];
    let options = &room.options;
    let asked = &|id: &str| typed(options, NOON, &asking("announce", id, &[]));
    let outcomes: Vec<Result<String, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = names
            .map(|id| scope.spawn(move || asked(id)))
            .into_iter()
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let done: Vec<&str> = (names.iter().zip(&outcomes))
        .filter(|(_, outcome)| outcome.is_ok())
        .map(|(id, _)| *id)
        .collect();
    let [winner] = done[..] else {
        panic!("{outcomes:?}")
    };
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(refused.contains(&format!("event {winner}")), "{refused}");
    }
    // Two who cancel: one does, the other is told.
    let cancel = ["event", "cancel", winner, "--why", "x"];
    let outcomes: Vec<Result<String, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| scope.spawn(move || typed(options, NOON, &cancel)))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let told = |outcome: &&Result<String, String>| {
        outcome
            .as_ref()
            .is_err_and(|said| said.contains("cancelled cannot be cancelled"))
    };
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(told).count(), 1, "{outcomes:?}");
    let winner = winner.to_owned();
    assert_eq!(instructions(&mut room, &winner, &home).len(), 3);
}
