//! The whole way of an enrolment, as three people type it: the box claims, the owner accepts, the operator admits, and
//! the box's first report is taken. Then the owner hands the site over, and the operator finds a serial seen twice.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gridtally_edge::identity;
use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::receipt::{Receipt, Verdict};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_protocol::topic::{Topic, TopicKind};
use gridtally_settlement::engine::{Database, EngineOptions, engine_key};
use gridtally_settlement::ingest::{open_all, take};
use gridtally_settlement::store::{Store, refusals};
use support::{Place, program};

const PROGRAM: &str = include_str!("../config/programs/evening-flex.toml");

struct Desk<'p>(&'p Path);

impl Desk<'_> {
    fn run(&self, args: &[&str]) -> Output {
        Command::new(program())
            .args(args)
            .current_dir(self.0)
            .output()
            .unwrap()
    }

    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refuses(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A box with a meter whose plate its owner has written down.
    fn house(&self, name: &str, engine: &str, serial: &str) -> SigningIdentity {
        let home = self.0.join(name);
        fs::create_dir(&home).unwrap();
        let config = format!(
            "[gateway]\nkey = \"gateway.key\"\ndata = \"state\"\nengine = \"{engine}\"\n\
             [broker]\naddress = \"127.0.0.1:1\"\n[owner]\nreserve_percent = 0\n\
             [[device]]\nnumber = 1\nname = \"meter\"\nkind = \"grid_meter\"\naddress = \"127.0.0.1:1\"\n\
             nameplate_watts = 12000\nmake = \"Maker\"\nmodel = \"Three Phase\"\nserial = \"{serial}\"\n"
        );
        fs::write(home.join("agent.toml"), config).unwrap();
        let shown = self.says(&[
            "edge",
            "enrol",
            "--config",
            &format!("{name}/agent.toml"),
            "--out",
            &format!("{name}/claim"),
        ]);
        assert!(
            shown.contains("gridtally:claim:") && shown.contains('█'),
            "{shown}"
        );
        self.says(&["owner", "init", "--key", &format!("{name}/owner.key")]);
        identity::load(&home.join("gateway.key")).unwrap()
    }

    fn accept(&self, name: &str) {
        self.says(&[
            "owner",
            "accept",
            &format!("{name}/claim"),
            "--key",
            &format!("{name}/owner.key"),
            "--site",
            name,
            "--location",
            "51.5,-0.1",
            "--program",
            "evening-flex",
            "--rules-version",
            "1",
            "--beneficiary",
            "ida",
            "--until",
            "2099-01-01T00:00:00Z",
            "--out",
            &format!("{name}/papers.acceptance"),
        ]);
    }
}

fn report(sequence: u64, start: Timestamp) -> Report {
    let series = |quantity| Series {
        channel: Channel {
            device: DeviceNumber(1),
            quantity,
        },
        resolution: 3,
        samples: vec![Ok(7)],
        qualities: BTreeMap::new(),
    };
    Report {
        sequence,
        previous: Digest::NONE,
        issued_at: start.checked_add(310).unwrap(),
        clock: ClockState::Synchronised,
        start,
        interval: IntervalLength::FIVE_MINUTES,
        series: vec![series(Quantity::GridImport), series(Quantity::GridExport)],
        beacon: None,
    }
}

fn taken(
    store: &mut Store,
    engine: &SigningIdentity,
    key: &SigningIdentity,
    report: &Report,
) -> Option<Verdict> {
    let topic = Topic {
        gateway: key.identity(),
        kind: TopicKind::Report,
    };
    let arrivals = open_all(vec![(topic.to_string(), report.seal(key).unwrap())]);
    let receipts = take(store, engine, &arrivals, report.issued_at).unwrap();
    let receipt = receipts.first()?;
    Some(Receipt::open(&receipt.payload).unwrap().message.entries[0].1)
}

#[test]
fn a_box_claims_an_owner_accepts_an_operator_admits_and_the_report_is_taken() {
    let place = Place::new("enrolled");
    let desk = Desk(place.path());
    let options = EngineOptions {
        data: place.path().join("engine"),
        ..EngineOptions::default()
    };
    fs::create_dir(&options.data).unwrap();
    let database = Database::attach(&options).unwrap();
    let mut store = Store::open(&database.connection_string()).unwrap();
    fs::write(place.path().join("evening-flex.toml"), PROGRAM).unwrap();
    let engine = desk.says(&["engine", "--data", "engine", "identity"]);
    desk.says(&[
        "engine",
        "--data",
        "engine",
        "program",
        "add",
        "evening-flex.toml",
    ]);

    let key = desk.house("first", engine.trim(), "SN 1");
    desk.accept("first");
    let engine_key = engine_key(&options.data).unwrap();
    let now: Timestamp = gridtally_settlement::clock::Clock::System.now();
    let next = now
        .floor_to(IntervalLength::FIVE_MINUTES)
        .checked_add(300)
        .unwrap();
    assert_eq!(
        taken(&mut store, &engine_key, &key, &report(1, next)),
        None,
        "nobody answers a stranger"
    );
    let admitted = desk.says(&[
        "engine",
        "--data",
        "engine",
        "admit",
        "first/papers.acceptance",
        "--zone",
        "south",
    ]);
    assert!(admitted.contains("Admitted first in evening-flex"), "{admitted}");
    let shown = desk.says(&["owner", "show", "first/papers.agreement"]);
    assert!(
        shown.contains("serial SN 1") && shown.contains("Admitted at"),
        "{shown}"
    );

    assert_eq!(
        taken(&mut store, &engine_key, &key, &report(1, next)),
        Some(Ok(()))
    );
    // Of before it held, nothing is.
    let before = next.checked_add(-3_600).unwrap();
    let mut early = report(2, before);
    early.previous = Digest::of(&report(1, next).seal(&key).unwrap());
    early.issued_at = next.checked_add(320).unwrap();
    assert_eq!(taken(&mut store, &engine_key, &key, &early), Some(Ok(())));
    let refused = store
        .transact(|t| refusals::refusals(t, Timestamp::EPOCH, Timestamp::LATEST))
        .unwrap();
    assert!(
        refused
            .iter()
            .any(|refused| refused.reason == Refusal::NotValidThen),
        "{refused:?}"
    );

    // The same meter behind a second box.
    desk.house("second", engine.trim(), "sn-1");
    desk.accept("second");
    let refused = desk.refuses(&["engine", "--data", "engine", "admit", "second/papers.acceptance"]);
    assert!(
        refused.contains("MAKER/THREEPHASE/SN1 is enrolled at site first"),
        "{refused}"
    );
    let evidence = desk.says(&["engine", "--data", "engine", "enrolments", "--conflicts"]);
    assert!(evidence.contains("gridtally-agreement 1"), "{evidence}");

    // The house is sold; both owners sign.
    let buyer = desk.says(&["owner", "show", "--key", "second/owner.key"]);
    desk.says(&[
        "owner",
        "transfer",
        "first/papers.agreement",
        "--key",
        "first/owner.key",
        "--to",
        buyer.trim(),
        "--beneficiary",
        "jon",
        "--at",
        &next.checked_add(3_600).unwrap().to_string(),
        "--out",
        "sold.change",
    ]);
    let half = desk.refuses(&["engine", "--data", "engine", "amend", "sold.change"]);
    assert!(half.contains("two signatures"), "{half}");
    let stranger = desk.refuses(&["owner", "countersign", "sold.change", "--key", "first/owner.key"]);
    assert!(stranger.contains("it takes the key of"), "{stranger}");
    desk.says(&["owner", "countersign", "sold.change", "--key", "second/owner.key"]);
    desk.says(&["engine", "--data", "engine", "amend", "sold.change"]);
    let history = desk.says(&["engine", "--data", "engine", "enrolments", "first", "--history"]);
    assert!(
        history.contains("pays ida") && history.contains("pays jon"),
        "{history}"
    );
}
