//! A small neighbourhood on paper: three homes, eight days and an event, everything signed as on the wire.
//!
//! Every half hour home `n` draws `n × 1 kWh`; in the event it draws a quarter of that if it takes part. So its
//! baseline is `n` kWh, and what it delivers is `¾ n` kWh an interval.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::BTreeMap;

use gridtally_protocol::acknowledgement::{Acknowledgement, Declined, Stage};
use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::message::Message;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_protocol::topic::{Topic, TopicKind};
use gridtally_settlement::proofs::evidence::{
    CODE, Case, Evidence, Outage, ProgramDocument, ReceivedAcknowledgement, ReceivedReport, RefusedMessage,
    SentInstruction,
};
use gridtally_settlement::registry::{EnrolledDevice, Enrolment};
use gridtally_settlement::rules::statement::Event;

pub const PROGRAM: &str = r#"
id = "evening-flex"
version = 1
zone = "Europe/London"
interval_minutes = 30
measurement = "site_meter_net"
baseline = "unadj_10_10"
price_per_kwh = "0.85"
clip = "interval"
rounding = "half_even"
[asset]
code = "FLEX"
decimals = 6
"#;

pub const FIRST_DAY: &str = "2026-04-13T00:00:00Z";
pub const EVENT_START: &str = "2026-04-21T18:00:00Z";
pub const EVENT_END: &str = "2026-04-21T20:00:00Z";
const SETTLED_AT: &str = "2026-04-22T06:00:00Z";
/// Half hours in one report.
const SAMPLES: i64 = 12;
const REPORTS: u64 = 36;
const HALF_HOUR: i64 = 1800;

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn engine() -> SigningIdentity {
    SigningIdentity::from_secret(&[1; 32]).unwrap()
}

pub fn gateway(home: u8) -> SigningIdentity {
    SigningIdentity::from_secret(&[10 + home; 32]).unwrap()
}

/// What the neighbourhood does; tests change it before they ask for the evidence.
pub struct Scenario {
    pub program: String,
    pub outages: Vec<Outage>,
    pub case: Case,
    pub enrolments: Vec<Enrolment>,
    pub instructions: Vec<SentInstruction>,
    pub acknowledgements: Vec<ReceivedAcknowledgement>,
    /// By home, in the order of sequence.
    pub reports: BTreeMap<u8, Vec<Report>>,
}

impl Scenario {
    /// Homes 1 and 3 take part, home 2 opts out.
    pub fn new() -> Self {
        let event = Event {
            id: "tuesday-evening".parse().unwrap(),
            program: "evening-flex".parse().unwrap(),
            start: at(EVENT_START),
            end: at(EVENT_END),
            announced_at: at("2026-04-21T12:00:00Z"),
        };
        let case = Case {
            event,
            version: 1,
            settled_at: at(SETTLED_AT),
            engine: engine().identity(),
            carried_from: None,
            other_events: Vec::new(),
            resettles: None,
            held: Vec::new(),
            owed: Vec::new(),
            published: Vec::new(),
            season: Vec::new(),
            code: CODE.to_owned(),
        };
        let mut scenario = Self {
            program: PROGRAM.to_owned(),
            outages: Vec::new(),
            case,
            enrolments: (1..=3).map(enrolment).collect(),
            instructions: Vec::new(),
            acknowledgements: Vec::new(),
            reports: (1..=3).map(|home| (home, reports(home))).collect(),
        };
        for home in 1..=3 {
            scenario.ask(home);
        }
        scenario
    }

    fn ask(&mut self, home: u8) {
        let key = gateway(home);
        let instruction = Instruction {
            sequence: 1,
            gateway: key.identity(),
            event: self.case.event.id.clone(),
            issued_at: self.case.event.announced_at,
            expires_at: self.case.event.end,
            start: self.case.event.start,
            end: self.case.event.end,
            target: Target::SetPoint(Milliwatts::new(3_000_000)),
            program: None,
            price: None,
        };
        let envelope = instruction.seal(&engine()).unwrap();
        let asked = Digest::of(&envelope);
        self.instructions.push(SentInstruction {
            gateway: key.identity(),
            envelope,
        });
        let answer = match home {
            2 => Stage::OptedOut(Declined::OwnerOptOut),
            _ => Stage::OptedIn(Milliwatts::new(3_000_000)),
        };
        self.answer(home, asked, answer);
        if home != 2 {
            self.answer(home, asked, Stage::Written(Milliwatts::new(3_000_000)));
        }
    }

    pub fn answer(&mut self, home: u8, instruction: Digest, stage: Stage) {
        let at = self.case.event.announced_at;
        let envelope = Acknowledgement {
            instruction,
            at,
            stage,
        }
        .seal(&gateway(home))
        .unwrap();
        let gateway = gateway(home).identity();
        self.acknowledgements.push(ReceivedAcknowledgement {
            gateway,
            received_at: at,
            envelope,
        });
    }

    pub fn evidence(&self) -> Evidence {
        let reports = self.reports.iter().flat_map(|(home, reports)| {
            reports
                .iter()
                .map(|report| received(&gateway(*home), &gateway(*home), report))
        });
        Evidence {
            case: self.case.clone(),
            program: ProgramDocument {
                document: self.program.clone(),
            },
            enrolments: self.enrolments.clone(),
            agreements: Vec::new(),
            instructions: self.instructions.clone(),
            acknowledgements: self.acknowledgements.clone(),
            reports: reports.collect(),
            originals: Vec::new(),
            refusals: Vec::new(),
            corrections: Vec::new(),
            outages: self.outages.clone(),
            disputes: Vec::new(),
            superseded: None,
            seasons: Vec::new(),
            temperatures: Vec::new(),
            beacons: Vec::new(),
        }
    }
}

/// A report as it came on the topic of `topic`, signed by `signer`.
pub fn received(topic: &SigningIdentity, signer: &SigningIdentity, report: &Report) -> ReceivedReport {
    ReceivedReport {
        gateway: topic.identity(),
        sequence: report.sequence,
        received_at: report.issued_at,
        envelope: report.seal(signer).unwrap(),
    }
}

fn enrolment(home: u8) -> Enrolment {
    let device = |number, watts: i64, quantities: &[Quantity]| EnrolledDevice {
        number: DeviceNumber(number),
        meter_key: None,
        nameplate_milliwatts: Milliwatts::new(watts * 1_000),
        capacity_milliwatt_hours: None,
        quantities: quantities.to_vec(),
    };
    Enrolment {
        site: format!("home-{home}").parse().unwrap(),
        beneficiary: format!("owner-{home}").parse().unwrap(),
        gateway: gateway(home).identity(),
        program: "evening-flex".parse().unwrap(),
        interval_seconds: IntervalLength::HALF_HOUR,
        membership: Default::default(),
        offer: Default::default(),
        location: None,
        agreement: None,
        devices: vec![
            device(1, 20_000, &[Quantity::GridImport, Quantity::GridExport]),
            device(2, 6_000, &[Quantity::PvProduction]),
        ],
    }
}

/// Nine days of reports, six hours each.
fn reports(home: u8) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::new();
    let event = at(EVENT_START)..at(EVENT_END);
    for sequence in 1..=REPORTS {
        let elapsed = i64::try_from(sequence - 1).unwrap() * SAMPLES * HALF_HOUR;
        let start = at(FIRST_DAY).checked_add(elapsed).unwrap();
        let drawn = |sample: i64| {
            let instant = start.checked_add(sample * HALF_HOUR).unwrap();
            let usual = i64::from(home) * 1_000;
            if event.contains(&instant) && home != 2 {
                usual / 4
            } else {
                usual
            }
        };
        let series = |quantity, value: &dyn Fn(i64) -> i64| Series {
            channel: Channel {
                device: DeviceNumber(1),
                quantity,
            },
            resolution: 3,
            samples: (0..SAMPLES).map(|sample| Ok(value(sample))).collect(),
            qualities: BTreeMap::new(),
        };
        let before = reports.last().map(|report| report.seal(&gateway(home)).unwrap());
        reports.push(Report {
            sequence,
            previous: before.map_or(Digest::NONE, |bytes| Digest::of(&bytes)),
            issued_at: start.checked_add(SAMPLES * HALF_HOUR + 10).unwrap(),
            clock: ClockState::Synchronised,
            start,
            interval: IntervalLength::HALF_HOUR,
            series: vec![
                series(Quantity::GridImport, &drawn),
                series(Quantity::GridExport, &|_| 0),
            ],
            beacon: None,
        });
    }
    reports
}

/// The same message as one that the engine says it refused.
pub fn refused_by_the_engine(report: &ReceivedReport, reason: Refusal) -> RefusedMessage {
    RefusedMessage {
        received_at: report.received_at,
        topic: Topic {
            gateway: report.gateway,
            kind: TopicKind::Report,
        }
        .to_string(),
        reason,
        detail: "because".to_owned(),
        payload: report.envelope.clone(),
    }
}

/// Evidence with something of every kind, a refusal too.
pub fn rich_evidence() -> Evidence {
    let scenario = Scenario::new();
    let mut evidence = scenario.evidence();
    let mut forged = received(&gateway(1), &gateway(1), &scenario.reports[&1][3]);
    *forged.envelope.last_mut().unwrap() ^= 1;
    evidence
        .refusals
        .push(refused_by_the_engine(&forged, Refusal::BadSignature));
    evidence
}
