//! The agent, a real mosquitto, and an engine that does what the test tells it.

mod support;

use std::time::Duration;

use gridtally_edge::agent::{Agent, Pace};
use gridtally_edge::home;
use gridtally_edge::outbox::Outbox;
use gridtally_edge::uplink::inbox::{Handled, Ignored, Judge};
use gridtally_protocol::acknowledgement::{Declined, Stage};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::Target;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::receipt::Receipt;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{Topic, TopicKind};
use support::broker::Mosquitto;
use support::engine::{Engine, instruction};
use support::map::{self, Device};
use support::{DEADLINE, at, config, devices, key};
use tempfile::TempDir;
use tokio::time::timeout;

const ENGINE: u8 = 2;
const STRANGER: u8 = 3;

struct Home {
    agent: Agent,
    meter: Device,
    _pv: Device,
    _battery: Device,
    _directory: TempDir,
}

impl Home {
    async fn start(broker: &Mosquitto, owner: &str, resend_after: Duration) -> Self {
        let meter = Device::serve(map::meter(1_000, 500)).await;
        let pv = Device::serve(map::inverter(2_000)).await;
        let battery = Device::serve(map::battery(3_000, 800)).await;
        let directory = tempfile::tempdir().unwrap();
        let config = config(
            directory.path(),
            key(ENGINE).identity(),
            &broker.address.to_string(),
            owner,
            &devices(&meter.address(), &pv.address(), &battery.address()),
        );
        let pace = Pace {
            tick_seconds: 300,
            resend_after,
        };
        let agent = Agent::start(config, key(1), pace).unwrap();
        Self {
            agent,
            meter,
            _pv: pv,
            _battery: battery,
            _directory: directory,
        }
    }

    async fn tick(&mut self, seconds: i64) {
        self.agent
            .tick(at(seconds), ClockState::Synchronised)
            .await
            .unwrap();
    }

    /// Takes events until `done` says so.
    async fn until(&mut self, now: Timestamp, mut done: impl FnMut(&Agent) -> bool) {
        let taking = async {
            while !done(&self.agent) {
                let resend_at = self.agent.resend_at();
                tokio::select! {
                    event = self.agent.next_event() => drop(self.agent.take(event.unwrap(), now).unwrap()),
                    () = sleep_until(resend_at) => self.agent.resend().unwrap(),
                }
            }
        };
        timeout(DEADLINE, taking).await.expect("an end in time");
    }

    /// Lets the agent live while `other` runs.
    async fn meanwhile<T>(&mut self, now: Timestamp, other: impl Future<Output = T>) -> T {
        tokio::pin!(other);
        loop {
            let resend_at = self.agent.resend_at();
            tokio::select! {
                value = &mut other => return value,
                event = self.agent.next_event() => drop(self.agent.take(event.unwrap(), now).unwrap()),
                () = sleep_until(resend_at) => self.agent.resend().unwrap(),
            }
        }
    }
}

async fn sleep_until(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

const NEVER: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_report_names_the_newest_beacon_that_the_engine_signed() {
    let broker = Mosquitto::start().await;
    let gateway = key(1).identity();
    let mut engine = Engine::start(broker.address, ENGINE, gateway).await;
    let stranger = Engine::start(broker.address, STRANGER, gateway).await;
    let seventh = engine.shine(7);
    let mut home = Home::start(&broker, "", NEVER).await;
    home.tick(0).await;
    home.meanwhile(at(0), engine.next(TopicKind::Status)).await;
    // The answer to an instruction shows that what was published before it was taken.
    let envelope = engine.instruct(&instruction(gateway, 1, 3_600, 7_200));
    home.meanwhile(at(0), engine.stage(&envelope)).await;
    home.tick(300).await;
    home.tick(600).await;
    let (report, _) = home.meanwhile(at(600), engine.report()).await;
    assert_eq!(report.beacon, Some(seventh), "it was retained");

    let eighth = engine.shine(8);
    engine.shine(6);
    let envelope = engine.instruct(&instruction(gateway, 2, 7_200, 9_000));
    home.meanwhile(at(600), engine.stage(&envelope)).await;
    stranger.shine(9);
    let envelope = stranger.instruct(&instruction(gateway, 3, 9_000, 10_800));
    let passed_over = engine.instruct(&instruction(gateway, 4, 9_000, 10_800));
    home.meanwhile(at(600), engine.stage(&passed_over)).await;
    assert_ne!(envelope, passed_over);
    home.tick(900).await;
    home.tick(1_200).await;
    let (report, _) = home.meanwhile(at(1_200), engine.report()).await;
    assert_eq!((report.sequence, report.beacon), (2, Some(eighth)));
}

#[tokio::test]
async fn a_report_leaves_the_outbox_only_by_the_engine_s_receipt() {
    let broker = Mosquitto::start().await;
    let mut home = Home::start(&broker, "", NEVER).await;
    let gateway = home.agent.identity();
    let mut engine = Engine::start(broker.address, ENGINE, gateway).await;
    let stranger = Engine::start(broker.address, STRANGER, gateway).await;

    home.tick(0).await;
    home.meter.lock().set32(203, 46, 1_010);
    home.tick(300).await;
    home.tick(600).await;
    assert_eq!(home.agent.outbox_depth(), 1);
    let (report, digest) = home.meanwhile(at(600), engine.report()).await;
    assert_eq!(
        (report.sequence, report.start, report.interval_count()),
        (1, at(0), 2)
    );

    // A stranger's receipt, one for another gateway, one of another digest, and noise change nothing.
    stranger.receipt(&[(digest, Ok(()))]);
    let misdirected = Receipt {
        gateway: key(9).identity(),
        issued_at: at(0),
        entries: vec![(digest, Ok(()))],
    };
    engine.say(TopicKind::Receipt, misdirected.seal(&engine.key).unwrap());
    engine.receipt(&[(Digest::of(b"another"), Ok(()))]);
    engine.say(TopicKind::Receipt, b"noise".to_vec());
    engine.say(TopicKind::Receipt, vec![7; 100_000]);
    // The stage of an instruction that is sent after them shows that all of them were taken.
    let envelope = engine.instruct(&instruction(gateway, 1, 3_600, 7_200));
    let (stage, _) = home.meanwhile(at(600), engine.stage(&envelope)).await;
    assert_eq!(stage, Stage::OptedIn(Milliwatts::new(3_000_000)));
    home.until(at(600), |agent| agent.outbox_depth() == 1).await;

    engine.receipt(&[(digest, Ok(()))]);
    home.until(at(600), |agent| agent.outbox_depth() == 0).await;
}

#[tokio::test]
async fn what_waits_is_sent_again_in_order_when_the_broker_comes_back() {
    let mut broker = Mosquitto::start().await;
    let mut home = Home::start(&broker, "", NEVER).await;
    let gateway = home.agent.identity();
    let mut engine = Engine::start(broker.address, ENGINE, gateway).await;
    home.tick(0).await;
    for n in 1..=4 {
        home.tick(n * 300).await;
    }
    let now = at(1_200);
    for sequence in 1..=2 {
        let (report, _) = home.meanwhile(now, engine.report()).await;
        assert_eq!(report.sequence, sequence);
    }
    broker.kill();
    home.tick(1_500).await;
    home.tick(1_800).await;
    broker.start_again().await;
    // The engine listens again before the agent takes notice.
    engine.connected().await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let (report, digest) = home.meanwhile(now, engine.report()).await;
        engine.receipt(&[(digest, Ok(()))]);
        if !seen.contains(&report.sequence) {
            seen.push(report.sequence);
        }
    }
    assert_eq!(seen, [1, 2, 3]);
    home.until(now, |agent| agent.outbox_depth() == 0).await;
}

#[tokio::test]
async fn a_report_without_a_receipt_is_sent_again_with_the_same_bytes() {
    let broker = Mosquitto::start().await;
    let mut home = Home::start(&broker, "", Duration::from_millis(200)).await;
    let mut engine = Engine::start(broker.address, ENGINE, home.agent.identity()).await;
    for n in 0..=2 {
        home.tick(n * 300).await;
    }
    let first = home.meanwhile(at(600), engine.report()).await;
    let again = home.meanwhile(at(600), engine.report()).await;
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_refused_report_is_set_aside_and_the_next_one_follows() {
    let broker = Mosquitto::start().await;
    let mut home = Home::start(&broker, "", NEVER).await;
    let mut engine = Engine::start(broker.address, ENGINE, home.agent.identity()).await;
    for n in 0..=2 {
        home.tick(n * 300).await;
    }
    let (_, digest) = home.meanwhile(at(600), engine.report()).await;
    engine.receipt(&[(digest, Err(Refusal::UnknownGateway))]);
    home.until(at(600), |agent| agent.outbox_depth() == 0).await;
    home.tick(900).await;
    home.tick(1_200).await;
    let (report, _) = home.meanwhile(at(1_200), engine.report()).await;
    assert_eq!((report.sequence, report.previous), (2, digest));
}

#[tokio::test]
async fn a_delivered_report_is_sent_again_with_the_same_bytes_when_the_engine_asks() {
    let broker = Mosquitto::start().await;
    let mut home = Home::start(&broker, "", NEVER).await;
    let gateway = home.agent.identity();
    let mut engine = Engine::start(broker.address, ENGINE, gateway).await;
    let stranger = Engine::start(broker.address, STRANGER, gateway).await;
    home.tick(0).await;
    let mut reports = Vec::new();
    for n in 1..=6 {
        home.tick(n * 300).await;
    }
    let now = at(1_800);
    for _ in 0..3 {
        let (report, digest) = home.meanwhile(now, engine.report()).await;
        engine.receipt(&[(digest, Ok(()))]);
        reports.push((report, digest));
    }
    home.until(now, |agent| agent.outbox_depth() == 0).await;

    // A stranger's wish, an old one, one from the future, and one for what was never there bring nothing.
    stranger.ask(1_800, &[1]);
    engine.ask(1_800 - 3_601, &[1]);
    engine.ask(1_800 + 3_601, &[1]);
    engine.ask(1_790, &[17, 18]);
    engine.ask(1_800, &[1, 3, 9]);
    // The same again, and an earlier one, are replays.
    engine.ask(1_800, &[2]);
    engine.ask(1_795, &[2]);
    for expected in [0, 2] {
        let again = home.meanwhile(now, engine.report()).await;
        assert_eq!(again, reports[expected]);
        engine.receipt(&[(again.1, Ok(()))]);
    }
    home.until(now, |agent| agent.outbox_depth() == 0).await;
    // A later one is answered; nothing has come in between.
    engine.ask(1_801, &[2]);
    assert_eq!(home.meanwhile(now, engine.report()).await, reports[1]);
}

#[tokio::test]
async fn a_hundred_reports_pass_through_the_window_in_order() {
    let broker = Mosquitto::start().await;
    let mut home = Home::start(&broker, "", NEVER).await;
    let mut engine = Engine::start(broker.address, ENGINE, home.agent.identity()).await;
    home.tick(0).await;
    for n in 1..=200 {
        home.tick(n * 300).await;
    }
    assert_eq!(home.agent.outbox_depth(), 100);
    for sequence in 1..=100 {
        let (report, digest) = home.meanwhile(at(60_000), engine.report()).await;
        assert_eq!(report.sequence, sequence);
        engine.receipt(&[(digest, Ok(()))]);
    }
    home.until(at(60_000), |agent| agent.outbox_depth() == 0).await;
}

#[tokio::test]
async fn the_status_is_retained_and_the_last_will_is_not_sent_after_a_goodbye() {
    let broker = Mosquitto::start().await;
    let mut home = Home::start(&broker, "", NEVER).await;
    let mut engine = Engine::start(broker.address, ENGINE, home.agent.identity()).await;
    let status = home.meanwhile(at(0), engine.next(TopicKind::Status)).await;
    assert_eq!(status.payload, b"online");
    home.agent.stop(Some(at(0))).await.unwrap();
    assert_eq!(engine.next(TopicKind::Status).await.payload, b"offline");
}

#[tokio::test]
async fn the_owner_s_answer_is_signed_and_delivered() {
    let cases = [
        (
            "participate = false",
            3_600,
            Stage::OptedOut(Declined::OwnerOptOut),
        ),
        (
            "discharge_limit_watts = \"1234.5\"",
            3_600,
            Stage::OptedIn(Milliwatts::new(1_234_500)),
        ),
        ("", -7_200, Stage::OptedOut(Declined::Expired)),
    ];
    for (owner, start, expected) in cases {
        let broker = Mosquitto::start().await;
        let mut home = Home::start(&broker, owner, NEVER).await;
        let gateway = home.agent.identity();
        let mut engine = Engine::start(broker.address, ENGINE, gateway).await;
        home.meanwhile(at(0), engine.next(TopicKind::Status)).await;
        let mut asked = instruction(gateway, 1, start, start + 3_600);
        asked.issued_at = at(-10_000);
        let envelope = engine.instruct(&asked);
        let (stage, when) = home.meanwhile(at(0), engine.stage(&envelope)).await;
        assert_eq!((stage, when), (expected, at(0)));
        home.until(at(0), |agent| agent.outbox_depth() == 0).await;
    }
}

#[test]
fn replayed_foreign_and_misdirected_instructions_are_ignored_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = key(1).identity();
    let mut outbox = Outbox::open(directory.path(), key(1), true).unwrap();
    let config = config(
        directory.path(),
        key(ENGINE).identity(),
        "b:1",
        "",
        &devices("a:1", "a:2", "a:3"),
    );
    let judge = Judge {
        engine: config.gateway.engine,
        owner: config.owner.clone(),
        home: home::home(&config, &outbox).unwrap(),
        clock: ClockState::Synchronised,
    };
    let topic = Topic {
        gateway,
        kind: TopicKind::Instruction,
    }
    .to_string();
    let mut hand = |topic: &str, payload: &[u8]| judge.handle(&mut outbox, topic, payload, at(0)).unwrap();
    let sealed = |sequence, seed| {
        instruction(gateway, sequence, 3_600, 7_200)
            .seal(&key(seed))
            .unwrap()
    };

    let fifth = sealed(5, ENGINE);
    assert_eq!(hand(&topic, &fifth), Handled::Instruction);
    assert_eq!(hand(&topic, &fifth), Handled::Ignored(Ignored::Known));
    for sequence in [4, 5] {
        let mut other = instruction(gateway, sequence, 3_600, 7_200);
        other.target = Target::SetPoint(Milliwatts::new(1));
        let other = other.seal(&key(ENGINE)).unwrap();
        assert_eq!(
            hand(&topic, &other),
            Handled::Ignored(Ignored::Replayed { sequence, taken: 5 })
        );
    }
    let signer = Box::new(key(STRANGER).identity());
    assert_eq!(
        hand(&topic, &sealed(6, STRANGER)),
        Handled::Ignored(Ignored::Stranger { signer })
    );
    let elsewhere = instruction(key(7).identity(), 6, 3_600, 7_200)
        .seal(&key(ENGINE))
        .unwrap();
    assert_eq!(
        hand(&topic, &elsewhere),
        Handled::Ignored(Ignored::Misdirected {
            gateway: Box::new(key(7).identity())
        })
    );
    let mut flipped = sealed(6, ENGINE);
    *flipped.last_mut().unwrap() ^= 1;
    assert!(matches!(
        hand(&topic, &flipped),
        Handled::Ignored(Ignored::Unreadable(_))
    ));
    // A receipt of the engine on the topic of instructions is not read as one of them.
    let receipt = Receipt {
        gateway,
        issued_at: at(0),
        entries: vec![(Digest::of(&fifth), Ok(()))],
    };
    let receipt = receipt.seal(&key(ENGINE)).unwrap();
    assert!(matches!(
        hand(&topic, &receipt),
        Handled::Ignored(Ignored::Unreadable(_))
    ));
    let other_topic = Topic {
        gateway: key(7).identity(),
        kind: TopicKind::Instruction,
    }
    .to_string();
    assert!(matches!(
        hand(&other_topic, &sealed(6, ENGINE)),
        Handled::Ignored(Ignored::Topic { .. })
    ));
    // None of them is in the way of the next good one.
    assert_eq!(hand(&topic, &sealed(6, ENGINE)), Handled::Instruction);
}
