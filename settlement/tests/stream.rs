//! Settling from days gives what settling from signed evidence gives, to the byte, with any number of workers.

mod cluster;
mod neighbourhood;
mod scenario;

use std::collections::BTreeMap;

use clap::Parser as _;
use cluster::Database;
use gridtally_protocol::acknowledgement::Acknowledgement;
use gridtally_protocol::channel::{Channel, DeviceNumber, Missing, Quantity};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::Instruction;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_protocol::topic::{Topic, TopicKind};
use gridtally_settlement::cli::{self, settlement::EstimateArgs};
use gridtally_settlement::ingest::{Arrival, take};
use gridtally_settlement::proofs::derive::{Derived, derive};
use gridtally_settlement::proofs::evidence::Evidence;
use gridtally_settlement::proofs::stream::{Looked, Options, StreamError, Streamed, assemble, stream};
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::rules::statement::{Event, SiteStatus};
use gridtally_settlement::store::events::{StoredAcknowledgement, StoredEvent, StoredInstruction};
use gridtally_settlement::store::evidence::{Request, collect};
use gridtally_settlement::store::{Store, StoreError, events, programs, settlements};
use neighbourhood::Random;
use scenario::{EVENT_END, EVENT_START, Scenario, at, engine, gateway, received};

const SETTLED_AT: &str = "2026-04-22T06:00:00Z";
const HALF_HOUR: i64 = 1800;

fn stored_event(event: &Event) -> StoredEvent {
    StoredEvent {
        id: event.id.clone(),
        program: event.program.clone(),
        program_version: 1,
        start: event.start,
        end: event.end,
        announced_at: event.announced_at,
        discharge: Milliwatts::new(3_000_000),
    }
}

/// Puts evidence into a store: the reports through ingest, as they came.
fn stored(database: &Database, evidence: &Evidence) -> Store {
    let mut store = Store::open(&database.url()).unwrap();
    store
        .transact(|client| {
            let now = at(scenario::FIRST_DAY);
            let document = &evidence.program.document;
            let program = Program::from_toml("program", document).unwrap();
            programs::add_program(client, &program, document, now)?;
            for enrolment in &evidence.enrolments {
                programs::enrol(client, enrolment, now)?;
            }
            for event in evidence.case.other_events.iter().chain([&evidence.case.event]) {
                events::insert_event(client, &stored_event(event))?;
            }
            for instruction in &evidence.instructions {
                let signed = Instruction::open(&instruction.envelope).unwrap();
                let stored = StoredInstruction {
                    gateway: instruction.gateway,
                    sequence: signed.message.sequence,
                    event: signed.message.event,
                    digest: signed.digest,
                    expires_at: signed.message.expires_at,
                    envelope: instruction.envelope.clone(),
                };
                events::insert_instruction(client, &stored)?;
            }
            for acknowledgement in &evidence.acknowledgements {
                let signed = Acknowledgement::open(&acknowledgement.envelope).unwrap();
                let stored = StoredAcknowledgement {
                    gateway: acknowledgement.gateway,
                    digest: signed.digest,
                    instruction: signed.message.instruction,
                    stage: signed.message.stage,
                    reached_at: signed.message.at,
                    received_at: acknowledgement.received_at,
                    envelope: acknowledgement.envelope.clone(),
                };
                events::insert_acknowledgements(client, &[stored])?;
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let mut by_receipt: BTreeMap<Timestamp, Vec<Arrival>> = BTreeMap::new();
    for report in &evidence.reports {
        let topic = Topic {
            gateway: report.gateway,
            kind: TopicKind::Report,
        };
        let arrival = Arrival::open(&topic.to_string(), report.envelope.clone());
        by_receipt.entry(report.received_at).or_default().push(arrival);
    }
    for (received_at, arrivals) in by_receipt {
        take(&mut store, &engine(), &arrivals, received_at).unwrap();
    }
    store
}

fn streamed(store: &mut Store, request: &Request<'_>, options: &Options) -> (Streamed, Vec<u8>) {
    let url = store.url().to_owned();
    let streamed = store.transact(|client| {
        let mut sites = Vec::new();
        let mut heard = Vec::new();
        let done = stream(client, &url, request, options, Some(&mut sites), |n| {
            heard.push(n)
        })?;
        assert!(heard.is_sorted() && heard.last().is_none_or(|n| *n == done.looked.sites));
        let mut whole = Vec::new();
        assemble(&done.statement, &mut sites.as_slice(), &mut whole)?;
        Ok::<_, StreamError>((done, whole))
    });
    streamed.unwrap()
}

/// Settles both ways, and compares.
fn both(evidence: &Evidence) -> (Derived, Looked) {
    let database = Database::create();
    let mut store = stored(&database, evidence);
    let event = stored_event(&evidence.case.event);
    let request = Request {
        event: &event,
        version: 1,
        settled_at: at(SETTLED_AT),
        engine: engine().identity(),
        carried_from: None,
        occasion: None,
    };
    let collected = store.transact(|client| collect(client, &request)).unwrap();
    let derived = derive(&collected).unwrap();
    let mut looked = None;
    for (workers, page) in [(1, 1_000), (1, 1), (3, 2), (2, 7)] {
        let (streamed, statement) = streamed(&mut store, &request, &Options { workers, page });
        assert_eq!(
            String::from_utf8(statement).unwrap(),
            String::from_utf8(derived.statement.to_bytes()).unwrap()
        );
        assert_eq!(streamed.bookings, derived.bookings);
        assert_eq!(*looked.get_or_insert(streamed.looked), streamed.looked);
    }
    (derived, looked.unwrap())
}

#[test]
fn a_neighbourhood_is_settled_from_days_as_from_evidence() {
    let (derived, looked) = both(&Scenario::new().evidence());
    assert_eq!((looked.sites, looked.judged), (3, 0));
    assert!(derived.bookings.settlement.is_some());
}

#[derive(clap::Parser)]
struct EstimateLine {
    #[command(flatten)]
    args: EstimateArgs,
}

#[test]
fn an_operator_sees_in_advance_what_settling_would_pay_and_nothing_is_kept() {
    let evidence = Scenario::new().evidence();
    let derived = derive(&evidence).unwrap();
    let database = Database::create();
    let mut store = stored(&database, &evidence);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("statement.json");
    let event = &evidence.case.event.id;
    let mut estimated = |words: &[&str]| {
        let line = EstimateLine::parse_from(["estimate", event.as_str()].iter().chain(words));
        let (mut out, now) = (Vec::new(), at(SETTLED_AT));
        cli::settlement::run_estimate(&line.args, &mut store, engine().identity(), now, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let said = estimated(&["--statement", file.to_str().unwrap()]);
    let paid = derived.statement.asset.show(derived.statement.totals.amount);
    assert!(said.contains(&paid) && said.contains("3 sites"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), derived.statement.to_bytes());
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no part is left"
    );
    let json: serde_json::Value = serde_json::from_str(&estimated(&["--json"])).unwrap();
    let transactions: Vec<_> = derived.bookings.all().collect();
    assert_eq!(json["transactions"], serde_json::json!(transactions));
    let last = store.transact(|client| settlements::last(client, event)).unwrap();
    assert!(last.is_none());
}

#[test]
fn who_contradicts_himself_is_judged_by_his_reports() {
    let mut evidence = Scenario::new().evidence();
    let mut other = Scenario::new().reports[&1][5].clone();
    other.series[0].samples.fill(Ok(0));
    evidence.reports.push(received(&gateway(1), &gateway(1), &other));
    let (derived, looked) = both(&evidence);
    assert_eq!(looked.judged, 2, "with the newest days, and with all");
    assert_ne!(derived.statement.sites[0].status, SiteStatus::Paid);
}

#[test]
fn what_came_too_late_does_not_count() {
    let mut evidence = Scenario::new().evidence();
    let event_report = 35; // of home 1, from 18:00 on
    let late = evidence.reports.get_mut(event_report).unwrap();
    late.received_at = at(SETTLED_AT).checked_add(1).unwrap();
    let (derived, looked) = both(&evidence);
    assert!(looked.judged > 0);
    assert_ne!(
        derived.statement,
        derive(&Scenario::new().evidence()).unwrap().statement
    );
}

#[test]
fn history_that_was_brought_after_the_announcement_is_not_compared() {
    let mut evidence = Scenario::new().evidence();
    let announced = evidence.case.event.announced_at;
    let monday = at("2026-04-20T00:00:00Z");
    let of_home_1 = gateway(1).identity();
    for record in evidence.reports.iter_mut().filter(|r| r.gateway == of_home_1) {
        if Report::open(&record.envelope).unwrap().message.end().unwrap() <= monday {
            record.received_at = announced.checked_add(1).unwrap();
        }
    }
    let (derived, looked) = both(&evidence);
    assert!(looked.judged > 0);
    assert_eq!(derived.statement.sites[0].status, SiteStatus::NoBaseline);
}

/// A home's reports of 24 days, one or more each day, with everything that happens now and then.
fn reports(home: u8, random: &mut Random) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::new();
    let first = at(EVENT_START).unix() / 86_400 * 86_400 - 23 * 86_400;
    let (mut start, end) = (first, first + 24 * 86_400);
    let mut previous = Digest::NONE;
    while start < end {
        let len = random.within(1, 48).min((end - start) / HALF_HOUR);
        let value = |random: &mut Random, n: i64| match random.within(1, 4_000) {
            1 => Err(Missing::Unreachable),
            2 => Ok(100_000_000),
            other => Ok(other * 90 + n),
        };
        let mut series = |quantity| Series {
            channel: Channel {
                device: DeviceNumber(1),
                quantity,
            },
            resolution: 0,
            samples: (0..len).map(|n| value(random, n)).collect(),
            qualities: BTreeMap::new(),
        };
        let series = vec![series(Quantity::GridImport), series(Quantity::GridExport)];
        let report = Report {
            sequence: u64::try_from(reports.len()).unwrap() + 1,
            previous,
            issued_at: Timestamp::from_unix(start + len * HALF_HOUR + 10).unwrap(),
            clock: ClockState::Synchronised,
            start: Timestamp::from_unix(start).unwrap(),
            interval: IntervalLength::HALF_HOUR,
            series,
            beacon: None,
        };
        previous = Digest::of(&report.seal(&gateway(home)).unwrap());
        start += len * HALF_HOUR;
        reports.push(report);
    }
    reports
}

fn neighbourhood(seed: u64, preset: &str) -> Evidence {
    let mut random = Random::new(seed);
    let mut evidence = Scenario::new().evidence();
    evidence.program.document = scenario::PROGRAM.replace("unadj_10_10", preset);
    evidence.case.event.end = at(EVENT_END);
    evidence.reports.clear();
    let template = evidence.enrolments[0].clone();
    for home in 4..=9 {
        let mut enrolment = template.clone();
        enrolment.site = format!("home-{home}").parse().unwrap();
        enrolment.beneficiary = format!("owner-{}", home / 2).parse().unwrap();
        enrolment.gateway = gateway(home).identity();
        evidence.enrolments.push(enrolment);
    }
    for home in 1..=9 {
        for mut report in reports(home, &mut random) {
            let event = report.start < at(EVENT_END) && at(EVENT_START) < report.end().unwrap();
            match random.within(1, 150) {
                1 if home > 5 => continue,
                2 if home > 6 => report.previous = Digest::of(b"another"),
                3 if home > 6 => {
                    let mut twin = report.clone();
                    twin.series[0].samples[0] = Ok(5);
                    evidence
                        .reports
                        .push(received(&gateway(home), &gateway(home), &twin));
                }
                _ => {}
            }
            let mut received = received(&gateway(home), &gateway(home), &report);
            if event && random.one_in(6) {
                received.received_at = at(SETTLED_AT).checked_add(60).unwrap();
            } else if random.one_in(10) {
                received.received_at = received
                    .received_at
                    .checked_add(random.within(1, 400_000))
                    .unwrap();
            }
            evidence.reports.push(received);
        }
    }
    evidence
}

#[test]
fn neighbourhoods_where_everything_goes_wrong_are_settled_from_days_as_from_evidence() {
    let (mut paid, mut all, mut refused) = (0, Looked::default(), 0);
    for (seed, preset) in [
        (1, "caiso_style_10_10"),
        (2, "unadj_10_10"),
        (3, "caiso_style_10_10"),
    ] {
        let (derived, looked) = both(&neighbourhood(seed, preset));
        all.sites += looked.sites;
        all.judged += looked.judged;
        all.read_again += looked.read_again;
        let paid_sites = derived
            .statement
            .sites
            .iter()
            .filter(|s| s.status == SiteStatus::Paid);
        paid += paid_sites.count();
        let broken = derived
            .refused
            .iter()
            .filter(|r| r.reason == Refusal::ChainBroken);
        refused += broken.count();
    }
    assert_eq!(all.sites, 27);
    assert!(
        paid > 2 && all.judged > 0 && refused > 0,
        "{paid} {all:?} {refused}"
    );
    assert!(all.read_again > 0 && all.read_again < all.sites, "{all:?}");
}

#[test]
fn a_program_whose_baseline_looks_at_more_than_days_is_left_to_the_evidence() {
    let controls = "baseline = \"caiso_style_control_group\"\ncontrol_group = \"controls\"";
    let rules = [
        controls,
        "baseline = \"caiso_style_weather_match\"",
        "baseline = \"caiso_style_generator_output\"",
    ];
    for rule in rules {
        let mut scenario = Scenario::new();
        scenario.program = scenario.program.replace("baseline = \"unadj_10_10\"", rule);
        if rule.contains("generator") {
            scenario.program = scenario.program.replace("site_meter_net", "battery_net");
        }
        let evidence = scenario.evidence();
        let database = Database::create();
        let mut store = stored(&database, &evidence);
        let event = stored_event(&evidence.case.event);
        let request = Request {
            event: &event,
            version: 1,
            settled_at: at(SETTLED_AT),
            engine: engine().identity(),
            carried_from: None,
            occasion: None,
        };
        let url = store.url().to_owned();
        let refused =
            store.transact(|client| stream(client, &url, &request, &Options::default(), None, |_| ()));
        assert!(matches!(refused, Err(StreamError::MoreThanDays(_))), "{rule}");
    }
}
