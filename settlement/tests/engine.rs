//! Events on their way to the homes and back, and what the operator types.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod room;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use clap::{Args as _, Command, FromArgMatches as _};
use gridtally_protocol::acknowledgement::{Acknowledgement, Declined, Stage};
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::message::Signed;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_settlement::cli::engine::{EngineArgs, answer};
use gridtally_settlement::clock::Clock;
use gridtally_settlement::dispatch::{Announced, Announcement, DispatchError, announce};
use gridtally_settlement::engine::{Engine, EngineError, KeyFileError, engine_key};
use gridtally_settlement::store::StoreError;
use serde_json::{Value, json};

use room::{Home, NOON, PROGRAM, Room, Wire, at, kill};

fn evening() -> Announcement {
    Announcement {
        id: "tuesday".parse().unwrap(),
        program: "evening-flex".parse().unwrap(),
        start: at("2026-04-21T17:00:00Z"),
        end: at("2026-04-21T19:00:00Z"),
        discharge: Milliwatts::new(3_000_000),
    }
}

fn announced(room: &mut Room, announcement: &Announcement) -> Result<Announced, DispatchError> {
    let key = engine_key(&room.options.data).unwrap();
    announce(&mut room.store, &key, announcement, at(NOON))
}

fn acknowledgement(asked: &Signed<Instruction>, stage: Stage) -> Acknowledgement {
    Acknowledgement {
        instruction: asked.digest,
        at: at(NOON),
        stage,
    }
}

fn hear(wire: &mut Wire, home: &Home) -> Signed<Instruction> {
    let mine = |wire: &Wire| {
        wire.instructions
            .iter()
            .find(|i| i.message.gateway == home.identity())
            .cloned()
    };
    wire.until("an instruction", |wire| mine(wire).is_some());
    mine(wire).unwrap()
}

#[test]
fn an_announced_event_reaches_every_home_and_counts_as_open_until_each_has_answered() {
    let mut room = Room::open();
    let (one, two, mut wire) = (room.home(1), room.home(2), room.wire());
    assert_eq!(announced(&mut room, &evening()).unwrap().instructions, 2);
    assert_eq!(room.engine().tick(at(NOON)).unwrap(), 2);
    for home in [&one, &two] {
        let heard = hear(&mut wire, home);
        assert_eq!(heard.signer, room.engine().identity());
        let expected = Instruction {
            sequence: 1,
            gateway: home.identity(),
            event: "tuesday".parse().unwrap(),
            issued_at: at(NOON),
            expires_at: evening().end,
            start: evening().start,
            end: evening().end,
            target: Target::SetPoint(evening().discharge),
            program: Some(evening().program),
            price: Some("0.85".parse().unwrap()),
        };
        assert_eq!(heard.message, expected);
    }
    let asked = hear(&mut wire, &one);
    let opted_in = acknowledgement(&asked, Stage::OptedIn(Milliwatts::new(2_500_000)));
    assert_eq!(wire.deliver(&one.acknowledge(&opted_in)), Ok(()));
    assert_eq!(room.engine().tick(at(NOON)).unwrap(), 1);
    let asked = hear(&mut wire, &two);
    let opted_out = acknowledgement(&asked, Stage::OptedOut(Declined::OwnerOptOut));
    assert_eq!(wire.deliver(&two.acknowledge(&opted_out)), Ok(()));
    assert_eq!(
        wire.deliver(&two.acknowledge(&opted_out)),
        Ok(()),
        "the same again is receipted again"
    );
    assert_eq!(room.engine().tick(at(NOON)).unwrap(), 0);
    assert_eq!(room.refused(), []);
}

#[test]
fn a_home_cannot_answer_for_another() {
    let mut room = Room::open();
    let (one, two, mut wire) = (room.home(1), room.home(2), room.wire());
    announced(&mut room, &evening()).unwrap();
    room.engine().tick(at(NOON)).unwrap();
    let asked = hear(&mut wire, &one);
    let opted_out = acknowledgement(&asked, Stage::OptedOut(Declined::OwnerOptOut));
    assert!(wire.deliver(&two.acknowledge(&opted_out)).is_err());
    assert_eq!(room.engine().tick(at(NOON)).unwrap(), 2);
}

#[test]
fn an_unanswered_instruction_is_sent_again_when_the_broker_is_back_and_by_the_next_engine() {
    let mut room = Room::open();
    let (home, mut wire) = (room.home(1), room.wire());
    announced(&mut room, &evening()).unwrap();
    room.engine().tick(at(NOON)).unwrap();
    let first = hear(&mut wire, &home);

    kill(room.broker.process_id().unwrap());
    wire.until("the homes are connected again", |w| w.connections > 1);
    wire.instructions.clear();
    room::eventually("the instruction comes again", || {
        room.engine().tick(at(NOON)).unwrap();
        wire.note_all();
        !wire.instructions.is_empty()
    });
    assert_eq!(wire.instructions[0], first, "byte for byte the same");

    wire.instructions.clear();
    room.restart_engine();
    room::eventually("the next engine sends it", || {
        room.engine().tick(at(NOON)).unwrap();
        wire.note_all();
        !wire.instructions.is_empty()
    });
    assert_eq!(wire.instructions[0], first);
}

#[test]
fn an_expired_instruction_is_not_sent() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    announced(&mut room, &evening()).unwrap();
    assert_eq!(room.engine().tick(evening().end).unwrap(), 0);
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    assert_eq!(wire.instructions, []);
}

#[test]
fn announcing_again_changes_nothing_and_what_makes_no_sense_is_refused() {
    let mut room = Room::open();
    let refused = announced(&mut room, &evening());
    assert!(
        matches!(refused, Err(DispatchError::NobodyEnrolled(_))),
        "{refused:?}"
    );
    let home = room.home(1);
    let first = announced(&mut room, &evening()).unwrap();
    assert_eq!(announced(&mut room, &evening()).unwrap(), first);

    let other = Announcement {
        discharge: Milliwatts::new(1),
        ..evening()
    };
    let refused = announced(&mut room, &other);
    assert!(
        matches!(refused, Err(DispatchError::Store(StoreError::Conflict(_)))),
        "{refused:?}"
    );
    let past = Announcement {
        id: "past".parse().unwrap(),
        start: at(NOON),
        ..evening()
    };
    assert!(matches!(
        announced(&mut room, &past),
        Err(DispatchError::TooLate { .. })
    ));
    let start = at("2026-04-21T17:01:00Z");
    let crooked = Announcement {
        id: "crooked".parse().unwrap(),
        start,
        ..evening()
    };
    assert!(matches!(
        announced(&mut room, &crooked),
        Err(DispatchError::NotAligned { .. })
    ));
    let nothing = Announcement {
        id: "nothing".parse().unwrap(),
        discharge: Milliwatts::ZERO,
        ..evening()
    };
    assert!(announced(&mut room, &nothing).is_err());
    let backwards = Announcement {
        id: "backwards".parse().unwrap(),
        end: evening().start,
        ..evening()
    };
    assert!(announced(&mut room, &backwards).is_err());
    let unknown = Announcement {
        program: "no-such".parse().unwrap(),
        ..evening()
    };
    let refused = announced(&mut room, &unknown);
    assert!(
        matches!(refused, Err(DispatchError::Store(StoreError::NotFound(_)))),
        "{refused:?}"
    );

    let overlapping = Announcement {
        id: "twice".parse().unwrap(),
        ..evening()
    };
    assert!(matches!(
        announced(&mut room, &overlapping),
        Err(DispatchError::Overlaps { .. })
    ));

    let second = Announcement {
        id: "wednesday".parse().unwrap(),
        start: evening().end,
        end: evening().end.checked_add(3_600).unwrap(),
        ..evening()
    };
    announced(&mut room, &second).unwrap();
    let mut wire = room.wire();
    room.engine().tick(at(NOON)).unwrap();
    wire.until("both instructions", |wire| wire.instructions.len() == 2);
    let mut numbers: Vec<u64> = wire.instructions.iter().map(|i| i.message.sequence).collect();
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        [1, 2],
        "each instruction of {} has its number",
        home.identity()
    );
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let mut room = Room::open();
    let key = room.options.data.join("engine.key");
    room.engine.take().unwrap().stop();
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Engine::start(&room.options, Clock::stepped());
    assert!(
        matches!(
            refused,
            Err(EngineError::Key(KeyFileError::Exposed { mode: 0o640, .. }))
        ),
        "{refused:?}"
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "no key\n").unwrap();
    assert!(matches!(
        engine_key(&room.options.data),
        Err(KeyFileError::Form { .. })
    ));
}

/// Types a command of the operator; what it says, or why not.
fn operator(room: &Room, words: &[&str]) -> Result<String, String> {
    let data = room.options.data.to_str().unwrap();
    let url = room.options.database.as_ref().unwrap();
    let place = ["engine", "--data", data, "--database", url, "--now", NOON];
    let matches = EngineArgs::augment_args(Command::new("engine"))
        .try_get_matches_from(place.iter().chain(words))
        .map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    answer(EngineArgs::from_arg_matches(&matches).unwrap(), &mut out).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

fn json_of(room: &Room, words: &[&str]) -> Value {
    serde_json::from_str(&operator(room, words).unwrap()).unwrap()
}

#[test]
fn an_operator_runs_a_neighbourhood_with_the_commands() {
    let mut room = Room::open();
    let mut home = Home::new(1);
    let directory = room.options.data.clone();
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let program = file("program.toml", PROGRAM);
    let sites = file(
        "sites.toml",
        &format!(
            r#"
            [[site]]
            id = "home-1"
            beneficiary = "owner-1"
            gateway = "{}"
            program = "evening-flex"
            interval_seconds = 300
            device = [
                {{ number = 1, kind = "grid_meter", nameplate_watts = 12000 }},
                {{ number = 2, kind = "pv_inverter", nameplate_watts = 6000 }},
            ]
            "#,
            home.identity()
        ),
    );
    let identity = room.engine().identity();
    assert_eq!(
        operator(&room, &["identity"]).unwrap().trim(),
        identity.to_string()
    );
    assert!(
        operator(&room, &["program", "add", &program])
            .unwrap()
            .contains("evening-flex version 1")
    );
    assert!(
        operator(&room, &["enrol", &sites])
            .unwrap()
            .contains("Enrolled home-1")
    );

    let event = [
        "event",
        "announce",
        "--program",
        "evening-flex",
        "--id",
        "tuesday",
        "--start",
        "2026-04-21T18:00:00+01:00",
        "--end",
        "2026-04-21T19:00:00Z",
        "--discharge-watts",
        "3000",
    ];
    let said = operator(&room, &event).unwrap();
    assert!(
        said.contains("2026-04-21T17:00:00Z") && said.contains("1 homes"),
        "{said}"
    );
    assert!(
        operator(&room, &["event", "list"])
            .unwrap()
            .contains("evening-flex v1")
    );
    assert!(
        operator(&room, &["event", "show", "tuesday"])
            .unwrap()
            .contains("no answer")
    );

    let mut wire = room.wire();
    room.engine().tick(at(NOON)).unwrap();
    let asked = hear(&mut wire, &home);
    let opted_in = acknowledgement(&asked, Stage::OptedIn(Milliwatts::new(2_500_000)));
    assert_eq!(wire.deliver(&home.acknowledge(&opted_in)), Ok(()));
    let shown = json_of(&room, &["event", "show", "tuesday", "--json"]);
    let stage = json!({
        "stage": "opted_in", "detail": "2500.000 W", "at": NOON, "received_at": NOON,
    });
    assert_eq!(shown["homes"][0]["stages"], json!([stage]), "{shown}");

    home.draft().series[1].samples = vec![Ok(1)];
    home.draft().series[2].samples = vec![Ok(9_000_000)];
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    let csv = operator(&room, &["readings", "home-1"]).unwrap();
    let expected = "start,channel,value,unit,reason\n\
        2026-04-20T10:55:00Z,1/grid_import,0.001001,kWh,\n\
        2026-04-20T10:55:00Z,1/grid_export,0.000001,kWh,\n\
        2026-04-20T10:55:00Z,2/pv_production,,kWh,beyond_nameplate\n";
    assert_eq!(csv, expected);
    let net = operator(
        &room,
        &["readings", "home-1", "--net", "--from", "2026-04-20T00:00:00Z"],
    )
    .unwrap();
    assert_eq!(net, "start,kwh\n2026-04-20T10:55:00Z,0.001000\n");
    assert!(
        operator(&room, &["readings", "nowhere"])
            .unwrap_err()
            .contains("nowhere")
    );

    let refused = json_of(&room, &["refused", "--json"]);
    assert_eq!(refused["counts"], json!({ "beyond_nameplate": 1 }));
    assert!(
        operator(&room, &["refused"])
            .unwrap()
            .contains("beyond_nameplate  1")
    );
    let none = json_of(&room, &["refused", "--json", "--until", "2026-04-21T11:00:00Z"]);
    assert_eq!(none["refused"], json!([]));
}

#[test]
fn an_operators_mistakes_are_answered_with_a_sentence() {
    let room = Room::open();
    for (words, said) in [
        (
            vec!["program", "add", "/no/such/file"],
            "/no/such/file cannot be read",
        ),
        (vec!["event", "show", "no-such"], "no event no-such"),
        (vec!["event", "show", "No Such"], "a-z, 0-9 and -"),
        (vec!["refused", "--from", "yesterday"], "not an instant"),
        (vec!["readings", "home-1"], "no site home-1"),
    ] {
        let error = operator(&room, &words).unwrap_err();
        assert!(error.contains(said), "{words:?}: {error}");
    }
    let sites = room.options.data.join("sites.toml");
    let unfinished = "[[site]]\nid = \"a\"\n";
    fs::write(&sites, unfinished).unwrap();
    let error = operator(&room, &["enrol", sites.to_str().unwrap()]).unwrap_err();
    assert!(
        error.contains("sites.toml") && error.contains("missing field"),
        "{error}"
    );
}

#[test]
fn where_the_engine_is_may_be_said_before_the_command_or_after_it() {
    let place = ["--data", "/x", "--now", NOON];
    let before = [&["engine"], &place[..], &["event", "list"]].concat();
    let after = [&["engine", "event", "list"], &place[..]].concat();
    for words in [before, after] {
        let matches = EngineArgs::augment_args(Command::new("engine"))
            .try_get_matches_from(words)
            .unwrap();
        let args = EngineArgs::from_arg_matches(&matches).unwrap();
        assert_eq!(args.place.data.to_str(), Some("/x"));
        assert_eq!(args.place.now, Some(at(NOON)));
    }
}
