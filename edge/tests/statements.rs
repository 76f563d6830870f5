//! What an event was settled with, from a stranger's broker to the disk of the home.

mod support;

use std::time::Duration;

use gridtally_edge::agent::{Agent, Pace};
use gridtally_edge::home;
use gridtally_edge::outbox::{Keep, Kept, Outbox, STATEMENTS_MAX};
use gridtally_edge::uplink::inbox::{Handled, Ignored, Judge};
use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::envelope::ENVELOPE_LEN_MAX;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::report::ClockState;
use gridtally_protocol::statement::SiteStatement;
use gridtally_protocol::topic::{Topic, TopicKind};
use support::broker::Mosquitto;
use support::engine::Engine;
use support::statement::{line, statement};
use support::{DEADLINE, at, config, devices, key};
use tempfile::TempDir;
use tokio::time::timeout;

const ENGINE: u8 = 2;
const STRANGER: u8 = 3;

fn one(event: &str, version: u32, start: i64) -> SiteStatement {
    let lines = vec![line(500_000, 100_000), line(500_000, 500_000)];
    statement(key(1).identity(), event, version, at(start), lines)
}

/// The memory of a home, and what judges what comes to it.
struct Box {
    outbox: Outbox,
    judge: Judge,
}

impl Box {
    fn open(directory: &TempDir) -> Self {
        let devices = devices("a:1", "a:2", "a:3");
        let config = config(directory.path(), key(ENGINE).identity(), "b:1", "", &devices);
        let outbox = Outbox::open(directory.path(), key(1), true).unwrap();
        let judge = Judge {
            engine: config.gateway.engine,
            owner: config.owner.clone(),
            home: home::home(&config, &outbox).unwrap(),
            clock: ClockState::Synchronised,
        };
        Self { outbox, judge }
    }

    fn hand(&mut self, payload: &[u8], seconds: i64) -> Handled {
        let topic = Topic {
            gateway: key(1).identity(),
            kind: TopicKind::Statement,
        };
        let handled = self
            .judge
            .handle(&mut self.outbox, &topic.to_string(), payload, at(seconds));
        handled.unwrap()
    }

    fn ignored(&mut self, payload: &[u8]) -> Ignored {
        match self.hand(payload, 0) {
            Handled::Ignored(why) => why,
            other => panic!("{other:?}"),
        }
    }

    /// The acknowledgements that wait.
    fn acknowledged(&self) -> Vec<(Digest, Stage)> {
        let outgoing = self.outbox.outgoing_after(0, 1_000).unwrap();
        outgoing
            .iter()
            .map(|message| {
                let signed = Acknowledgement::open(&message.envelope).unwrap();
                (signed.message.instruction, signed.message.stage)
            })
            .collect()
    }
}

fn sealed(statement: &SiteStatement) -> Vec<u8> {
    statement.seal(&key(ENGINE)).unwrap()
}

#[test]
fn a_statement_is_kept_over_restarts_and_the_same_again_is_acknowledged_again_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut home = Box::open(&directory);
    let tuesday = one("tuesday", 1, 3_600);
    let bytes = sealed(&tuesday);
    let held = (Digest::of(&bytes), Stage::Received);
    assert_eq!(home.hand(&bytes, 0), Handled::Statement(Kept::New));
    for seconds in [5, 900_000] {
        assert_eq!(home.hand(&bytes, seconds), Handled::Statement(Kept::Before));
        assert_eq!(home.acknowledged(), [held], "one that waits is enough");
    }
    let acknowledgement = home.outbox.outgoing_after(0, 1).unwrap().remove(0).envelope;
    let receipted = [(Digest::of(&acknowledgement), Ok(()))];
    home.outbox.receipt(&receipted, at(10)).unwrap();
    assert_eq!((home.acknowledged(), home.outbox.depth()), (vec![], 0));

    drop(home);
    let mut home = Box::open(&directory);
    assert_eq!(home.outbox.statements().unwrap(), [tuesday]);
    assert_eq!(home.hand(&bytes, 20), Handled::Statement(Kept::Before));
    let again = home.outbox.outgoing_after(0, 1).unwrap().remove(0).envelope;
    assert_eq!(again, acknowledgement, "byte for byte");
    assert_eq!(home.outbox.depth(), 1);
}

#[test]
fn the_highest_version_of_an_event_stays_in_whatever_order_they_come() {
    let directory = tempfile::tempdir().unwrap();
    let mut home = Box::open(&directory);
    let [first, second, third] = [1, 2, 3].map(|version| one("tuesday", version, 3_600));
    assert_eq!(home.hand(&sealed(&second), 0), Handled::Statement(Kept::New));
    assert_eq!(
        home.hand(&sealed(&first), 0),
        Handled::Statement(Kept::Superseded)
    );
    assert_eq!(home.outbox.statements().unwrap(), [second]);
    assert_eq!(home.hand(&sealed(&third), 0), Handled::Statement(Kept::New));
    assert_eq!(home.acknowledged().len(), 3, "each of them is acknowledged");

    let mut other = third.clone();
    other.site = "home-2".to_owned();
    let why = home.ignored(&sealed(&other));
    assert_eq!(
        why.to_string(),
        "another statement of version 3 of event tuesday is held already, and stays"
    );
    assert_eq!(home.outbox.statements().unwrap(), [third]);
    assert_eq!(
        home.acknowledged().len(),
        3,
        "what is not held is not acknowledged"
    );
}

#[test]
fn forged_foreign_and_oversized_statements_are_refused_with_a_reason_and_nothing_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut home = Box::open(&directory);
    let stranger = one("tuesday", 1, 0).seal(&key(STRANGER)).unwrap();
    assert!(matches!(home.ignored(&stranger), Ignored::Stranger { .. }));

    let mut foreign = one("tuesday", 1, 0);
    foreign.gateway = key(7).identity();
    assert!(matches!(
        home.ignored(&sealed(&foreign)),
        Ignored::Misdirected { .. }
    ));

    let mut flipped = sealed(&one("tuesday", 1, 0));
    for index in 0..flipped.len() {
        flipped[index] ^= 1;
        assert!(
            matches!(home.ignored(&flipped), Ignored::Unreadable(_)),
            "byte {index}"
        );
        flipped[index] ^= 1;
    }
    let long = vec![0xd2; ENVELOPE_LEN_MAX + 1];
    let why = home.ignored(&long).to_string();
    assert!(why.contains("at most 16384"), "{why}");

    // What the engine signed for another purpose is no statement.
    let acknowledgement = Acknowledgement {
        instruction: Digest::NONE,
        at: at(0),
        stage: Stage::Received,
    };
    let other = acknowledgement.seal(&key(ENGINE)).unwrap();
    assert!(matches!(home.ignored(&other), Ignored::Unreadable(_)));

    assert_eq!(home.outbox.statements().unwrap(), []);
    assert_eq!((home.acknowledged(), home.outbox.depth()), (vec![], 0));
    // None of them is in the way of the good one.
    assert_eq!(
        home.hand(&sealed(&one("tuesday", 1, 0)), 0),
        Handled::Statement(Kept::New)
    );
}

#[test]
fn of_more_events_than_are_kept_the_earliest_goes() {
    let directory = tempfile::tempdir().unwrap();
    let mut home = Box::open(&directory);
    let count = i64::from(STATEMENTS_MAX);
    for n in 0..count + 2 {
        let statement = one(&format!("event-{n}"), 1, n * 600);
        assert_eq!(home.hand(&sealed(&statement), 0), Handled::Statement(Kept::New));
    }
    let kept = home.outbox.statements().unwrap();
    let starts: Vec<i64> = kept.iter().map(|s| s.start.seconds_since(at(0)) / 600).collect();
    assert_eq!(starts, (2..count + 2).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_agent_hears_its_statement_and_acknowledges_it_once_it_is_on_the_disk() {
    let broker = Mosquitto::start().await;
    let directory = tempfile::tempdir().unwrap();
    let address = broker.address.to_string();
    let devices = devices("127.0.0.1:9", "127.0.0.1:9", "127.0.0.1:9");
    let config = config(directory.path(), key(ENGINE).identity(), &address, "", &devices);
    let state = config.gateway.data.clone();
    let pace = Pace {
        tick_seconds: 300,
        resend_after: Duration::from_secs(3_600),
    };
    let mut agent = Agent::start(config, key(1), pace).unwrap();
    let mut engine = Engine::start(broker.address, ENGINE, agent.identity()).await;
    let said = one("tuesday", 1, 3_600);
    let bytes = sealed(&said);
    let mut story = std::pin::pin!(async {
        engine.next(TopicKind::Status).await;
        engine.say(TopicKind::Statement, bytes.clone());
        assert_eq!(engine.any_stage(&bytes).await.0, Stage::Received);
    });
    let living = async {
        loop {
            tokio::select! {
                () = &mut story => break,
                event = agent.next_event() => drop(agent.take(event.unwrap(), at(0)).unwrap()),
            }
        }
        // The receipt of the acknowledgement.
        while agent.outbox_depth() > 0 {
            let event = agent.next_event().await.unwrap();
            agent.take(event, at(0)).unwrap();
        }
    };
    timeout(DEADLINE, living).await.expect("an end in time");
    drop(agent);
    let outbox = Outbox::open(&state, key(1), true).unwrap();
    assert_eq!(outbox.statements().unwrap(), [said]);
}

#[test]
fn the_state_of_an_agent_that_knew_no_statements_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    drop(Box::open(&directory));
    let old = rusqlite::Connection::open(directory.path().join("outbox.sqlite")).unwrap();
    old.execute_batch("DROP TABLE statement; PRAGMA user_version = 2;")
        .unwrap();
    drop(old);
    let mut home = Box::open(&directory);
    let bytes = sealed(&one("tuesday", 1, 0));
    assert_eq!(home.hand(&bytes, 0), Handled::Statement(Kept::New));
}

#[test]
fn where_space_is_short_early_statements_go_before_anything_that_was_not_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let mut home = Box::open(&directory);
    for n in 0..100 {
        home.hand(&sealed(&one(&format!("event-{n}"), 1, n * 600)), 0);
    }
    let bytes = home.outbox.status().unwrap().file_bytes - 20_480;
    let revision = home.outbox.statements_revision();
    let keep = Keep { days: 30, bytes };
    assert_eq!(
        home.outbox.tidy(keep, at(0), ClockState::Synchronised).unwrap(),
        0
    );
    let kept = home.outbox.statements().unwrap();
    assert!((1..100).contains(&kept.len()), "{} are kept", kept.len());
    assert_eq!(kept[0].event.as_str(), "event-99");
    assert!(home.outbox.statements_revision() > revision);
    assert_eq!((home.outbox.depth(), home.acknowledged().len()), (100, 100));
}
