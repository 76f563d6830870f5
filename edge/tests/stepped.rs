//! The agent as a process in stepped time: the lines that it speaks, and what survives when it is killed.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gridtally_edge::config::AgentConfig;
use gridtally_protocol::acknowledgement::Stage;
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::report::{ClockState, Report};
use gridtally_protocol::topic::TopicKind;
use serde_json::{Value, json};
use support::broker::Mosquitto;
use support::engine::{Engine, instruction};
use support::map::{self, Device};
use support::{DEADLINE, at, devices, key};
use tokio::sync::mpsc;
use tokio::time::timeout;

const ENGINE: u8 = 2;

struct Agent {
    child: Child,
    to: Option<ChildStdin>,
    answers: mpsc::UnboundedReceiver<Value>,
}

impl Agent {
    async fn start(config: &Path) -> Self {
        let mut child = command(config)
            .arg("--stepped")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().unwrap());
        let (say, answers) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in from.lines().map_while(Result::ok) {
                drop(say.send(serde_json::from_str(&line).unwrap()));
            }
        });
        let mut agent = Self { child, to, answers };
        let ready = agent.answer().await.expect("the agent gets ready");
        assert_eq!(ready["ready"]["identity"], key(1).identity().to_string());
        agent
    }

    /// `None` where the agent is gone.
    async fn answer(&mut self) -> Option<Value> {
        timeout(DEADLINE, self.answers.recv())
            .await
            .expect("an answer in time")
    }

    fn say(&mut self, now: i64, until: &str) {
        let line = json!({ "now": at(now), "until": until });
        // It may have been killed.
        drop(writeln!(self.to.as_mut().unwrap(), "{line}"));
    }

    async fn step(&mut self, now: i64, until: &str) -> Option<u64> {
        self.say(now, until);
        let answer = self.answer().await?;
        assert_eq!(answer["done"], at(now).to_string());
        Some(answer["outbox"].as_u64().unwrap())
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn end(mut self) {
        drop(self.to.take());
        assert_eq!(self.answer().await, None);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridtally-edge"));
    command.args(["run", "--config"]).arg(config);
    command
}

struct Home {
    meter: Device,
    pv: Device,
    battery: Device,
    directory: tempfile::TempDir,
}

impl Home {
    async fn start(broker: &Mosquitto) -> Self {
        let meter = Device::serve(map::meter(1_000_000, 500_000)).await;
        let pv = Device::serve(map::inverter(2_000_000)).await;
        let battery = Device::serve(map::battery(3_000_000, 800)).await;
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "[gateway]\nkey = \"gateway.key\"\ndata = \"state\"\nengine = \"{}\"\nintervals_per_report = 3\n\n\
             [broker]\naddress = \"{}\"\n\n[owner]\nreserve_percent = 20\naccept_unproven_control = true\n\n{}",
            key(ENGINE).identity(),
            broker.address,
            devices(&meter.address(), &pv.address(), &battery.address())
        );
        let home = Self {
            meter,
            pv,
            battery,
            directory,
        };
        std::fs::write(home.config(), text).unwrap();
        let secret = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(home.directory.path().join("gateway.key"));
        writeln!(secret.unwrap(), "{}", "01".repeat(32)).unwrap();
        home
    }

    fn config(&self) -> std::path::PathBuf {
        self.directory.path().join("agent.toml")
    }

    /// What the devices show after so many steps, in tenths of a watt-hour.
    fn count(&self, step: u32) {
        let mut meter = self.meter.lock();
        meter.set32(203, 46, 1_000_000 + counted(Quantity::GridImport, step));
        meter.set32(203, 38, 500_000 + counted(Quantity::GridExport, step));
        self.pv
            .lock()
            .set32(103, 24, 2_000_000 + counted(Quantity::PvProduction, step));
        let discharged = counted(Quantity::BatteryDischarge, step);
        self.battery.lock().set32(103, 24, 3_000_000 + discharged);
    }
}

/// A different way up for each quantity.
fn counted(quantity: Quantity, step: u32) -> u32 {
    let code = u32::from(quantity.code());
    step * 100 * code + (step * step * code) % 97
}

#[derive(Default)]
struct Received {
    /// The digests that came for each sequence number, with the report.
    reports: BTreeMap<u64, BTreeMap<Digest, Report>>,
    /// How many reports came, repeated ones included.
    deliveries: usize,
}

/// An engine that signs for every report, in a task of its own.
fn sign_for_everything(engine: Engine) -> Arc<Mutex<Received>> {
    sign_for_one_in(engine, Arc::new(AtomicU32::new(1)))
}

/// An engine that holds everything but whose receipts are lost, all but one of so many.
fn sign_for_one_in(mut engine: Engine, share: Arc<AtomicU32>) -> Arc<Mutex<Received>> {
    let mut count = 0_u32;
    let received = Arc::new(Mutex::new(Received::default()));
    let book = Arc::clone(&received);
    tokio::spawn(async move {
        loop {
            let delivery = engine.next_of_any().await;
            if delivery.kind == TopicKind::Report {
                let signed = Report::open(&delivery.payload).unwrap();
                let mut book = book.lock().unwrap();
                book.deliveries += 1;
                let sequence = book.reports.entry(signed.message.sequence).or_default();
                sequence.insert(signed.digest, signed.message);
            }
            count += 1;
            if count.is_multiple_of(share.load(Ordering::Relaxed)) {
                engine.receipt(&[(Digest::of(&delivery.payload), Ok(()))]);
            }
        }
    });
    received
}

/// Every interval was signed exactly once, with the difference of the counters.
fn check(received: &Received, steps: u32) {
    let mut seen = BTreeSet::new();
    let mut previous = Digest::NONE;
    for (sequence, versions) in &received.reports {
        assert_eq!(versions.len(), 1, "two versions of report {sequence}");
        let (digest, report) = versions.first_key_value().unwrap();
        assert_eq!(report.previous, previous);
        assert_eq!(report.clock, ClockState::Synchronised);
        previous = *digest;
        for reading in report.readings() {
            let start = reading.interval.start().seconds_since(at(0));
            let step = u32::try_from(start / 300).unwrap();
            let quantity = reading.channel.quantity;
            assert!(seen.insert((quantity, step)), "{quantity} of step {step} twice");
            let expected = match quantity {
                Quantity::StateOfCharge => 80_000,
                _ => i64::from(counted(quantity, step + 1) - counted(quantity, step)) * 100,
            };
            assert_eq!(
                reading.value.map(|v| v.get()),
                Ok(expected),
                "{quantity} of step {step}"
            );
        }
    }
    assert_eq!(seen.len(), usize::try_from(steps).unwrap() * 5);
}

#[tokio::test]
async fn every_interval_is_signed_exactly_and_delivered() {
    let broker = Mosquitto::start().await;
    let home = Home::start(&broker).await;
    let received = sign_for_everything(Engine::start(broker.address, ENGINE, key(1).identity()).await);
    let mut agent = Agent::start(&home.config()).await;
    let steps = 48;
    for step in 0..=steps {
        home.count(step);
        assert_eq!(agent.step(i64::from(step) * 300, "delivered").await, Some(0));
    }
    agent.end().await;
    check(&received.lock().unwrap(), steps);
}

#[tokio::test]
async fn what_is_only_stored_is_delivered_later() {
    let mut broker = Mosquitto::start().await;
    let home = Home::start(&broker).await;
    broker.kill();
    let mut agent = Agent::start(&home.config()).await;
    for step in 0..=12 {
        home.count(step);
        let outbox = agent.step(i64::from(step) * 300, "stored").await;
        assert_eq!(outbox, Some(u64::from(step / 3)));
    }
    broker.start_again().await;
    let received = sign_for_everything(Engine::start(broker.address, ENGINE, key(1).identity()).await);
    home.count(13);
    assert_eq!(agent.step(13 * 300, "delivered").await, Some(0));
    check(&received.lock().unwrap(), 12);
}

/// Numbers below a bound, drawn from a seed.
fn random(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// A hundred blows while the broker is away, a hundred while the backlog leaves and most receipts are lost.
#[tokio::test]
async fn killed_200_times_in_an_outage_and_its_catch_up_no_report_is_lost_and_none_counts_twice() {
    const KILLS_EACH: u32 = 100;
    let mut broker = Mosquitto::start().await;
    let home = Home::start(&broker).await;
    broker.kill();
    let mut random = random(20_260_409);
    let mut agent = Agent::start(&home.config()).await;
    let share = Arc::new(AtomicU32::new(7));
    let (mut step, mut kills, mut received) = (0_u32, 0, None);
    home.count(step);
    while kills < 2 * KILLS_EACH {
        if kills == KILLS_EACH && received.is_none() {
            broker.start_again().await;
            let engine = Engine::start(broker.address, ENGINE, key(1).identity()).await;
            received = Some(sign_for_one_in(engine, Arc::clone(&share)));
        }
        let now = i64::from(step) * 300;
        if random(3) > 0 {
            agent.say(now, "stored");
            // Not a wait for anything: the moment of the blow. A connection is there after some milliseconds.
            tokio::time::sleep(Duration::from_micros(random(25_000))).await;
            agent.kill();
            kills += 1;
            agent = Agent::start(&home.config()).await;
        } else {
            agent.step(now, "stored").await.unwrap();
            step += 1;
            home.count(step);
        }
    }
    // A step whose blow came late was kept; asked for again, it is there once.
    let last = step.next_multiple_of(3) + 3;
    share.store(1, Ordering::Relaxed);
    for step in step..last {
        home.count(step);
        agent.step(i64::from(step) * 300, "stored").await.unwrap();
    }
    home.count(last);
    assert_eq!(agent.step(i64::from(last) * 300, "delivered").await, Some(0));
    agent.end().await;
    let received = received.expect("the broker came back");
    let received = received.lock().unwrap();
    println!(
        "{kills} kills, {last} intervals, {} reports, {} deliveries",
        received.reports.len(),
        received.deliveries
    );
    assert!(
        received.deliveries > received.reports.len(),
        "nothing came twice: the catch-up was not disturbed"
    );
    assert_eq!(
        received.reports.keys().copied().collect::<Vec<_>>(),
        (1..=u64::from(last / 3)).collect::<Vec<_>>()
    );
    check(&received, last);
}

#[tokio::test]
async fn killed_at_any_moment_it_signs_every_interval_once_and_exactly() {
    let broker = Mosquitto::start().await;
    let home = Home::start(&broker).await;
    let received = sign_for_everything(Engine::start(broker.address, ENGINE, key(1).identity()).await);
    let mut agent = Agent::start(&home.config()).await;
    let mut random = random(20_260_409);
    let steps = 90;
    for step in 0..=steps {
        home.count(step);
        let now = i64::from(step) * 300;
        loop {
            if random(2) == 0 {
                agent.say(now, "delivered");
                // Not a wait for anything: the moment of the blow.
                tokio::time::sleep(Duration::from_micros(random(6_000))).await;
                agent.kill();
                agent = Agent::start(&home.config()).await;
                continue;
            }
            assert_eq!(agent.step(now, "delivered").await, Some(0));
            break;
        }
    }
    agent.end().await;
    check(&received.lock().unwrap(), steps);
}

#[tokio::test]
async fn an_event_survives_a_kill_in_each_of_its_steps() {
    let broker = Mosquitto::start().await;
    let home = Home::start(&broker).await;
    let gateway = key(1).identity();
    let mut engine = Engine::start(broker.address, ENGINE, gateway).await;
    home.battery.lock().set(124, 12, 9_000);
    let mut agent = Agent::start(&home.config()).await;
    agent.step(0, "stored").await.unwrap();
    let envelope = engine.instruct(&instruction(gateway, 1, 300, 900));
    let mut stages = vec![engine.stage(&envelope).await.0];
    for (now, expected) in [(300, [3, 6_000]), (600, [3, 6_000]), (900, [0, 9_000])] {
        for delay in [0, 500, 1_000, 2_000, 4_000] {
            agent.say(now, "stored");
            tokio::time::sleep(Duration::from_micros(delay)).await;
            agent.kill();
            agent = Agent::start(&home.config()).await;
        }
        agent.step(now, "stored").await.unwrap();
        let shown = [5, 12].map(|offset| home.battery.lock().get(124, offset));
        assert_eq!(shown, expected, "at {now}");
    }
    while stages.last() != Some(&Stage::Restored) {
        let (stage, _) = engine.stage(&envelope).await;
        if !stages.contains(&stage) {
            stages.push(stage);
        }
    }
    let names: Vec<_> = stages.iter().map(|s| s.name()).collect();
    assert_eq!(
        names,
        ["opted_in", "written", "read_back", "completed", "restored"]
    );
}

#[tokio::test]
async fn the_end_of_input_gives_the_battery_back() {
    let broker = Mosquitto::start().await;
    let home = Home::start(&broker).await;
    let gateway = key(1).identity();
    let mut engine = Engine::start(broker.address, ENGINE, gateway).await;
    let mut agent = Agent::start(&home.config()).await;
    agent.step(0, "stored").await.unwrap();
    let envelope = engine.instruct(&instruction(gateway, 1, 300, 3_600));
    engine.stage(&envelope).await;
    agent.step(300, "stored").await.unwrap();
    assert_eq!(home.battery.lock().get(124, 5), 3);
    agent.end().await;
    assert_eq!(home.battery.lock().get(124, 5), 0);
    let mut last = engine.stage(&envelope).await.0;
    while last != Stage::Restored {
        last = engine.stage(&envelope).await.0;
    }
}

#[tokio::test]
async fn a_second_agent_with_the_same_state_is_refused() {
    let broker = Mosquitto::start().await;
    let home = Home::start(&broker).await;
    let _agent = Agent::start(&home.config()).await;
    let config = AgentConfig::load(&home.config()).unwrap();
    let data = config.gateway.data;
    let refused = std::thread::spawn(move || gridtally_edge::outbox::Outbox::open(&data, key(1), true));
    let error = refused.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("held by another agent"), "{error}");
}

#[tokio::test]
async fn in_real_time_a_request_to_end_is_an_orderly_end() {
    let broker = Mosquitto::start().await;
    let home = Home::start(&broker).await;
    let mut engine = Engine::start(broker.address, ENGINE, key(1).identity()).await;
    let mut agent = command(&home.config()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(engine.next(TopicKind::Status).await.payload, b"online");
    let asked = Command::new("kill").arg(agent.id().to_string()).status().unwrap();
    assert!(asked.success());
    assert_eq!(engine.next(TopicKind::Status).await.payload, b"offline");
    assert!(agent.wait().unwrap().success());
}
