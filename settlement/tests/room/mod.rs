//! An engine at work on a real PostgreSQL and a real mosquitto, and homes that speak to it over the wire.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use gridtally_link::{Link, LinkConfig, LinkEvent};
use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::instruction::Instruction;
use gridtally_protocol::message::{Message, Signed};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::receipt::{Receipt, Verdict};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::resend::ResendRequest;
use gridtally_protocol::statement::SiteStatement;
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_protocol::topic::{BEACON_TOPIC, Topic, TopicKind};
use gridtally_settlement::clock::Clock;
use gridtally_settlement::engine::{Engine, EngineOptions};
use gridtally_settlement::registry::{EnrolledDevice, Enrolment};
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::store::refusals::StoredRefusal;
use gridtally_settlement::store::reports::StoredReading;
use gridtally_settlement::store::{Store, StoreError, create_beside, programs, refusals, reports};
use gridtally_settlement::supervise::{PrivateBroker, PrivateCluster};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Everything on this machine happens within it.
pub const DEADLINE: Duration = Duration::from_secs(30);
pub const NOON: &str = "2026-04-21T12:00:00Z";
pub const PROGRAM: &str = r#"
id = "evening-flex"
version = 1
zone = "Europe/London"
interval_minutes = 5
measurement = "site_meter_net"
baseline = "unadj_10_10"
price_per_kwh = "0.85"
clip = "interval"
[asset]
code = "FLEX"
decimals = 6
"#;

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A database cluster; tests that do not harm it share one.
pub struct Cluster {
    pub postgres: PrivateCluster,
    _directory: TempDir,
}

static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(1);

impl Cluster {
    fn start() -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let postgres = PrivateCluster::start(directory.path()).unwrap();
        Arc::new(Self {
            postgres,
            _directory: directory,
        })
    }

    fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap();
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Self::start();
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    fn create_database(&self) -> String {
        let name = format!("room_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        create_beside(&self.postgres.connection_string(), &name).unwrap()
    }
}

/// An engine with its parts, at noon.
pub struct Room {
    pub clock: Clock,
    pub options: EngineOptions,
    pub engine: Option<Engine>,
    pub store: Store,
    pub broker: PrivateBroker,
    pub cluster: Arc<Cluster>,
    _directory: TempDir,
}

impl Room {
    /// With a database of its own in the cluster that the tests share.
    pub fn open() -> Self {
        Self::in_cluster(Cluster::shared())
    }

    /// With a cluster of its own, which may be killed.
    pub fn alone() -> Self {
        Self::in_cluster(Cluster::start())
    }

    fn in_cluster(cluster: Arc<Cluster>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let broker = PrivateBroker::start(directory.path(), Some("127.0.0.1:0".parse().unwrap())).unwrap();
        let url = cluster.create_database();
        let options = EngineOptions {
            data: directory.path().to_owned(),
            database: Some(url.clone()),
            broker: Some(broker.address().to_string()),
            ..EngineOptions::default()
        };
        let clock = Clock::stepped();
        clock.set(at(NOON));
        let engine = Engine::start(&options, clock.clone()).unwrap();
        let mut store = Store::open(&url).unwrap();
        let program = Program::from_toml("evening-flex", PROGRAM).unwrap();
        store
            .transact(|t| programs::add_program(t, &program, PROGRAM, at(NOON)))
            .unwrap();
        Self {
            clock,
            options,
            engine: Some(engine),
            store,
            broker,
            cluster,
            _directory: directory,
        }
    }

    pub fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().unwrap()
    }

    pub fn restart_engine(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
        self.engine = Some(Engine::start(&self.options, self.clock.clone()).unwrap());
    }

    /// A home that is enrolled.
    pub fn home(&mut self, number: u8) -> Home {
        let home = Home::new(number);
        self.enrol(&home);
        home
    }

    pub fn enrol(&mut self, home: &Home) {
        self.store
            .transact(|t| programs::enrol(t, &home.enrolment, at(NOON)))
            .unwrap();
    }

    pub fn wire(&self) -> Wire {
        Wire::connect(self.broker.address().to_string(), "homes")
    }

    pub fn refused(&mut self) -> Vec<StoredRefusal> {
        let span = (Timestamp::EPOCH, at("9999-01-01T00:00:00Z"));
        self.store
            .transact(|t| refusals::refusals(t, span.0, span.1))
            .unwrap()
    }

    /// Waits for `count` refusals; their reasons, sorted.
    pub fn await_refusals(&mut self, count: usize) -> Vec<Refusal> {
        eventually("all refusals are kept", || self.refused().len() >= count);
        let mut reasons: Vec<Refusal> = self.refused().iter().map(|r| r.reason).collect();
        reasons.sort();
        assert_eq!(reasons.len(), count, "{:#?}", self.refused());
        reasons
    }

    pub fn readings(&mut self, home: &Home) -> Vec<StoredReading> {
        let (from, until) = (Timestamp::EPOCH, at("9999-01-01T00:00:00Z"));
        self.store
            .transact(|t| reports::readings_of(t, &home.identity(), from, until))
            .unwrap()
    }

    /// The digests of a home's reports that are kept, in the order of their numbers.
    pub fn kept(&mut self, home: &Home) -> Vec<Digest> {
        let (from, until) = (Timestamp::EPOCH, at("9999-01-01T00:00:00Z"));
        let kept = self
            .store
            .transact(|t| reports::reports_of(t, &home.identity(), from, until))
            .unwrap();
        kept.iter().map(|r| r.link.digest).collect()
    }

    /// A connection to the engine's database that is not the engine's.
    pub fn client(&self) -> postgres::Client {
        postgres::Client::connect(self.options.database.as_ref().unwrap(), postgres::NoTls).unwrap()
    }

    pub fn volume(&mut self) -> (i64, i64) {
        self.store.transact(|t| reports::volume(t)).unwrap()
    }

    /// Whether the store can be used; it connects again by itself.
    pub fn store_answers(&mut self) -> bool {
        self.store
            .transact(|t| Ok::<_, StoreError>(t.execute("SELECT 1", &[])?))
            .is_ok()
    }
}

pub fn kill(process_id: u32) {
    let pid = Pid::from_raw(i32::try_from(process_id).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// A message with its digest, ready for the wire.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub topic: String,
    pub bytes: Vec<u8>,
    pub digest: Digest,
}

impl Sealed {
    pub fn new(topic: String, bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        Self { topic, bytes, digest }
    }
}

/// A gateway that signs one report after the other.
pub struct Home {
    pub key: SigningIdentity,
    pub enrolment: Enrolment,
    next: Report,
}

impl Home {
    pub fn new(number: u8) -> Self {
        let key = SigningIdentity::from_secret(&[100 + number; 32]).unwrap();
        let device = |number, watts: i64, quantities: &[Quantity]| EnrolledDevice {
            number: DeviceNumber(number),
            meter_key: None,
            nameplate_milliwatts: Milliwatts::new(watts * 1_000),
            capacity_milliwatt_hours: None,
            quantities: quantities.to_vec(),
        };
        let enrolment = Enrolment {
            site: format!("home-{number}").parse().unwrap(),
            beneficiary: format!("owner-{number}").parse().unwrap(),
            gateway: key.identity(),
            program: "evening-flex".parse().unwrap(),
            interval_seconds: IntervalLength::FIVE_MINUTES,
            membership: Default::default(),
            offer: Default::default(),
            location: None,
            agreement: None,
            devices: vec![
                device(1, 12_000, &[Quantity::GridImport, Quantity::GridExport]),
                device(2, 6_000, &[Quantity::PvProduction]),
            ],
        };
        let series = |device, quantity, mwh| Series {
            channel: Channel {
                device: DeviceNumber(device),
                quantity,
            },
            resolution: 0,
            samples: vec![Ok(mwh)],
            qualities: BTreeMap::new(),
        };
        let next = Report {
            sequence: 1,
            previous: Digest::NONE,
            issued_at: at("2026-04-20T11:00:10Z"),
            clock: ClockState::Synchronised,
            start: at("2026-04-20T10:55:00Z"),
            interval: IntervalLength::FIVE_MINUTES,
            series: vec![
                series(1, Quantity::GridImport, 1_000 + i64::from(number)),
                series(1, Quantity::GridExport, 0),
                series(2, Quantity::PvProduction, 500_000),
            ],
            beacon: None,
        };
        Self { key, enrolment, next }
    }

    pub fn identity(&self) -> Identity {
        self.key.identity()
    }

    pub fn topic(&self, kind: TopicKind) -> String {
        Topic {
            gateway: self.identity(),
            kind,
        }
        .to_string()
    }

    /// What the next report will say.
    pub fn draft(&mut self) -> &mut Report {
        &mut self.next
    }

    /// The next report, signed; the one after it begins where it ends.
    pub fn report(&mut self) -> Sealed {
        let report = self.next.clone();
        let sealed = self.seal(&report);
        let span = report.end().unwrap().seconds_since(report.start);
        self.next = Report {
            sequence: report.sequence + 1,
            previous: sealed.digest,
            start: report.end().unwrap(),
            issued_at: report.issued_at.checked_add(span).unwrap(),
            ..report
        };
        sealed
    }

    pub fn reports(&mut self, count: usize) -> Vec<Sealed> {
        (0..count).map(|_| self.report()).collect()
    }

    /// A report as it is, outside of the chain.
    pub fn seal(&self, report: &Report) -> Sealed {
        Sealed::new(self.topic(TopicKind::Report), report.seal(&self.key).unwrap())
    }

    pub fn acknowledge(&self, message: &impl Message) -> Sealed {
        Sealed::new(
            self.topic(TopicKind::Acknowledgement),
            message.seal(&self.key).unwrap(),
        )
    }
}

/// What comes to the homes from the broker, and what they send.
pub struct Wire {
    link: Option<Link>,
    events: mpsc::Receiver<LinkEvent>,
    thread: Option<thread::JoinHandle<()>>,
    pub verdicts: BTreeMap<Digest, Verdict>,
    pub receipts_to: BTreeSet<Identity>,
    pub instructions: Vec<Signed<Instruction>>,
    pub resends: Vec<Signed<ResendRequest>>,
    pub statements: Vec<Signed<SiteStatement>>,
    pub beacons: Vec<Signed<Beacon>>,
    pub connections: u32,
}

impl Wire {
    pub fn connect(broker: String, name: &str) -> Self {
        let mut config = LinkConfig::new(broker, name);
        config.inflight_max = 1_000;
        config.backoff_max = Duration::from_millis(200);
        config.subscriptions = [
            TopicKind::Receipt,
            TopicKind::Instruction,
            TopicKind::Resend,
            TopicKind::Statement,
        ]
        .map(TopicKind::filter_for_all)
        .to_vec();
        config.subscriptions.push(BEACON_TOPIC.to_owned());
        let mut wire = Self::with(config);
        wire.until("the wire is connected", |w| w.connections > 0);
        wire
    }

    pub fn with(config: LinkConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (link, mut incoming) = runtime.block_on(async { Link::start(config) });
        let (told, events) = mpsc::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                while let Some(event) = incoming.recv().await {
                    if told.send(event).is_err() {
                        return;
                    }
                }
            });
        });
        Self {
            link: Some(link),
            events,
            thread: Some(thread),
            verdicts: BTreeMap::new(),
            receipts_to: BTreeSet::new(),
            instructions: Vec::new(),
            resends: Vec::new(),
            statements: Vec::new(),
            beacons: Vec::new(),
            connections: 0,
        }
    }

    /// The next thing that the link says.
    pub fn next_event(&self) -> LinkEvent {
        self.events.recv_timeout(DEADLINE).expect("the link says nothing")
    }

    /// Sends; waits for a connection, and for room.
    pub fn send(&mut self, message: &Sealed) {
        self.send_bytes(&message.topic, &message.bytes);
    }

    pub fn send_bytes(&mut self, topic: &str, bytes: &[u8]) {
        let link = self.link.clone().unwrap();
        eventually("the link takes the message", || {
            self.note_all();
            link.publish(topic, bytes.to_vec(), false).is_ok()
        });
    }

    /// Listens until it is as it must be.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !done(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            self.note(event.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}")));
        }
    }

    /// The engine's verdict on a message.
    pub fn verdict(&mut self, message: &Sealed) -> Verdict {
        let digest = message.digest;
        self.until("a receipt", |wire| wire.verdicts.contains_key(&digest));
        self.verdicts[&digest]
    }

    /// Sends, and waits for the verdict on it.
    pub fn deliver(&mut self, message: &Sealed) -> Verdict {
        self.note_all();
        self.verdicts.remove(&message.digest);
        self.send(message);
        self.verdict(message)
    }

    /// Takes note of what has come.
    pub fn note_all(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.note(event);
        }
    }

    fn note(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected => self.connections += 1,
            LinkEvent::Disconnected { .. } => {}
            LinkEvent::Message(delivery) if delivery.topic == BEACON_TOPIC => {
                self.beacons.push(Beacon::open(&delivery.payload).unwrap());
                self.link.as_ref().unwrap().acknowledge(&delivery);
            }
            LinkEvent::Message(delivery) => {
                let topic: Topic = delivery.topic.parse().unwrap();
                match topic.kind {
                    TopicKind::Receipt => {
                        let receipt = Receipt::open(&delivery.payload).unwrap().message;
                        assert_eq!(receipt.gateway, topic.gateway);
                        self.receipts_to.insert(receipt.gateway);
                        self.verdicts.extend(receipt.entries);
                    }
                    TopicKind::Resend => self.resends.push(ResendRequest::open(&delivery.payload).unwrap()),
                    TopicKind::Statement => {
                        let statement = SiteStatement::open(&delivery.payload).unwrap();
                        assert_eq!(statement.message.gateway, topic.gateway);
                        self.statements.push(statement);
                    }
                    _ => self
                        .instructions
                        .push(Instruction::open(&delivery.payload).unwrap()),
                }
                self.link.as_ref().unwrap().acknowledge(&delivery);
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.link = None;
        // The link says goodbye, then its events end.
        while self.events.recv_timeout(DEADLINE).is_ok() {}
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
