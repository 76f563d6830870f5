//! From signed evidence to money and back: what is paid, who is refused, and what a bundle proves.

mod scenario;

use std::fs;

use clap::Parser as _;
use gridtally_protocol::acknowledgement::{Declined, Stage};
use gridtally_protocol::channel::{DeviceNumber, Missing};
use gridtally_protocol::envelope::{self, Purpose};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::message::Message;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::Report;
use gridtally_protocol::topic::{Topic, TopicKind};
use gridtally_settlement::cli;
use gridtally_settlement::proofs::bundle::{Bundle, BundleError};
use gridtally_settlement::proofs::derive::{Derived, derive};
use gridtally_settlement::proofs::evidence::{Carry, Evidence, ReceivedReport, RefusedMessage};
use gridtally_settlement::proofs::merkle;
use gridtally_settlement::proofs::verify::{VerifyError, verify};
use gridtally_settlement::rules::statement::{
    MissingReason, Participation, Reason, SiteStatement, SiteStatus, Statement,
};
use proptest::prelude::*;
use scenario::{EVENT_START, Scenario, at, engine, gateway, received};

/// ¾ kWh × 0.85 FLEX, in four intervals, in base units of 10⁻⁶ FLEX.
const PAID_TO_HOME_1: i128 = 4 * 637_500;

fn site(statement: &Statement, home: u8) -> &SiteStatement {
    let name = format!("home-{home}");
    statement.sites.iter().find(|s| s.site.as_str() == name).unwrap()
}

fn paid(derived: &Derived, home: u8) -> i128 {
    site(&derived.statement, home).totals.amount.base_units()
}

fn refusals(derived: &Derived) -> Vec<Refusal> {
    derived.refused.iter().map(|r| r.reason).collect()
}

/// The report that covers the event, as a place in a home's list.
fn event_report(scenario: &Scenario, home: u8) -> usize {
    let start = at(EVENT_START);
    let covers = |r: &Report| r.start <= start && start < r.end().unwrap();
    scenario.reports[&home].iter().position(covers).unwrap()
}

#[test]
fn who_took_part_is_paid_for_what_the_meter_did_not_count() {
    let derived = derive(&Scenario::new().evidence()).unwrap();
    assert_eq!(
        [1, 2, 3].map(|home| paid(&derived, home)),
        [PAID_TO_HOME_1, 0, 3 * PAID_TO_HOME_1]
    );
    assert_eq!(site(&derived.statement, 2).status, SiteStatus::OptedOut);
    assert_eq!(derived.refused, []);
    assert_eq!((derived.counts.reports, derived.counts.readings), (108, 108 * 24));
    assert_eq!(derived.counts.signatures, 108 + 3 + 5);

    let transaction = derived.transaction.unwrap();
    let entries: Vec<_> = transaction
        .entries()
        .iter()
        .map(|e| (e.account.to_string(), e.amount.base_units()))
        .collect();
    let total = 4 * PAID_TO_HOME_1;
    let expected = [
        ("escrow:evening-flex", -total),
        ("beneficiary:owner-1", PAID_TO_HOME_1),
        ("beneficiary:owner-3", 3 * PAID_TO_HOME_1),
    ];
    assert_eq!(
        entries,
        expected.map(|(account, amount)| (account.to_owned(), amount))
    );
    assert_eq!(transaction.key().to_string(), "settlement/tuesday-evening/1");
}

#[test]
fn who_never_answered_or_answered_for_another_is_not_paid() {
    let mut scenario = Scenario::new();
    let mut stolen = scenario.acknowledgements.clone();
    scenario
        .acknowledgements
        .retain(|a| a.gateway != gateway(3).identity());
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(site(&derived.statement, 3).participation, Participation::NoAnswer);
    assert_eq!(paid(&derived, 3), 0);

    // Home 1's answer on the topic of home 3, and home 3's answer to what home 1 was asked.
    stolen.retain(|a| a.gateway == gateway(1).identity());
    for acknowledgement in &mut stolen {
        acknowledgement.gateway = gateway(3).identity();
    }
    scenario.acknowledgements.extend(stolen);
    let asked_of_one = Digest::of(&scenario.instructions[0].envelope);
    scenario.answer(3, asked_of_one, Stage::OptedIn(Default::default()));
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(site(&derived.statement, 3).participation, Participation::NoAnswer);
    let mut reasons = refusals(&derived);
    reasons.sort();
    assert_eq!(
        reasons,
        [
            Refusal::WrongTopic,
            Refusal::WrongTopic,
            Refusal::UnknownInstruction
        ]
    );
}

#[test]
fn of_a_yes_and_a_no_at_once_the_no_counts() {
    let mut scenario = Scenario::new();
    let asked = Digest::of(&scenario.instructions[0].envelope);
    scenario.answer(1, asked, Stage::OptedOut(Declined::OwnerOptOut));
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(paid(&derived, 1), 0);
    let reason = "owner_opt_out".to_owned();
    assert_eq!(
        site(&derived.statement, 1).participation,
        Participation::OptedOut { reason }
    );
}

#[test]
fn a_forgers_reports_earn_nothing_and_take_nothing_away() {
    let scenario = Scenario::new();
    let mut evidence = scenario.evidence();
    let forger = SigningIdentity::from_secret(&[99; 32]).unwrap();
    let mut forged = scenario.reports[&1][event_report(&scenario, 1)].clone();
    forged.series[0].samples.fill(Ok(0));
    evidence.reports.push(received(&gateway(1), &forger, &forged));
    evidence.reports.push(received(&forger, &forger, &forged));
    let mut flipped = received(&gateway(3), &gateway(3), &forged);
    *flipped.envelope.last_mut().unwrap() ^= 1;
    evidence.reports.push(flipped);

    let derived = derive(&evidence).unwrap();
    assert_eq!(paid(&derived, 1), PAID_TO_HOME_1);
    assert_eq!(paid(&derived, 3), 3 * PAID_TO_HOME_1);
    let mut reasons = refusals(&derived);
    reasons.sort();
    assert_eq!(
        reasons,
        [
            Refusal::UnknownGateway,
            Refusal::BadSignature,
            Refusal::WrongTopic
        ]
    );
}

#[test]
fn a_replayed_report_counts_once_and_on_its_own_topic_only() {
    let scenario = Scenario::new();
    let mut evidence = scenario.evidence();
    let replayed = scenario.reports[&1][event_report(&scenario, 1)].clone();
    let mut later = received(&gateway(1), &gateway(1), &replayed);
    later.received_at = scenario.case.settled_at;
    evidence.reports.push(later);
    evidence
        .reports
        .push(received(&gateway(3), &gateway(1), &replayed));
    let derived = derive(&evidence).unwrap();
    assert_eq!(
        [paid(&derived, 1), paid(&derived, 3)],
        [PAID_TO_HOME_1, 3 * PAID_TO_HOME_1]
    );
    assert_eq!(refusals(&derived), [Refusal::WrongTopic]);
}

#[test]
fn who_signs_two_reports_with_one_number_loses_the_slot() {
    let scenario = Scenario::new();
    let mut evidence = scenario.evidence();
    let mut other = scenario.reports[&1][event_report(&scenario, 1)].clone();
    other.series[0].samples.fill(Ok(0));
    evidence.reports.push(received(&gateway(1), &gateway(1), &other));
    let derived = derive(&evidence).unwrap();
    assert_eq!(paid(&derived, 1), 0);
    for line in &site(&derived.statement, 1).lines {
        assert_eq!(
            (line.missing, line.reason),
            (Some(MissingReason::Equivocation), Some(Reason::Equivocation))
        );
    }
    assert_eq!(refusals(&derived), [Refusal::Equivocation; 2]);
    assert_eq!(paid(&derived, 3), 3 * PAID_TO_HOME_1);
}

#[test]
fn what_was_signed_twice_stays_void_when_it_is_signed_a_third_time_under_a_new_number() {
    let mut scenario = Scenario::new();
    let place = event_report(&scenario, 1);
    let mut other = scenario.reports[&1][place].clone();
    other.series[0].samples.fill(Ok(0));
    let mut third = other.clone();
    third.sequence = 37;
    third.previous = Digest::of(&scenario.reports[&1].last().unwrap().seal(&gateway(1)).unwrap());
    scenario.reports.get_mut(&1).unwrap().push(other);
    scenario.reports.get_mut(&1).unwrap().push(third);
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(paid(&derived, 1), 0);
}

/// Changes the report of home 1 over the event, and tells what became of it.
fn with_changed_report(change: impl FnOnce(&mut Report)) -> Derived {
    let mut scenario = Scenario::new();
    let place = event_report(&scenario, 1);
    let reports = scenario.reports.get_mut(&1).unwrap();
    change(&mut reports[place]);
    // The chain goes on from what was changed.
    for i in place + 1..reports.len() {
        reports[i].previous = Digest::of(&reports[i - 1].seal(&gateway(1)).unwrap());
    }
    derive(&scenario.evidence()).unwrap()
}

#[test]
fn a_missing_or_impossible_value_earns_nothing_and_says_why() {
    let missing = with_changed_report(|r| r.series[0].samples[1] = Err(Missing::BadSample));
    let lines = &site(&missing.statement, 1).lines;
    assert_eq!(
        lines
            .iter()
            .filter(|l| l.missing == Some(MissingReason::Device(Missing::BadSample)))
            .count(),
        1
    );
    assert_eq!(paid(&missing, 1), PAID_TO_HOME_1 / 4 * 3);

    let impossible = with_changed_report(|r| r.series[0].samples[1] = Ok(11_001));
    let reason = Some(MissingReason::Refused(Refusal::BeyondNameplate));
    assert_eq!(
        site(&impossible.statement, 1)
            .lines
            .iter()
            .filter(|l| l.missing == reason)
            .count(),
        1
    );
    assert_eq!(paid(&impossible, 1), PAID_TO_HOME_1 / 4 * 3);
    assert_eq!(refusals(&impossible), [Refusal::BeyondNameplate]);

    let unknown = with_changed_report(|r| r.series[1].channel.device = DeviceNumber(9));
    assert_eq!(refusals(&unknown), [Refusal::UnknownChannel]);
    assert_eq!(paid(&unknown, 1), 0);
}

#[test]
fn a_report_that_breaks_the_chain_or_repeats_intervals_is_refused() {
    let mut scenario = Scenario::new();
    let reports = scenario.reports.get_mut(&1).unwrap();
    reports[20].previous = Digest::of(b"another");
    reports[21].previous = Digest::of(&reports[20].seal(&gateway(1)).unwrap());
    // From 21 on every report names the changed one's successor, which is untouched.
    for i in 22..reports.len() {
        reports[i].previous = Digest::of(&reports[i - 1].seal(&gateway(1)).unwrap());
    }
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(refusals(&derived), [Refusal::ChainBroken]);

    let mut scenario = Scenario::new();
    let reports = scenario.reports.get_mut(&1).unwrap();
    let mut again = reports[35].clone();
    again.sequence = 37;
    again.previous = Digest::of(&reports[35].seal(&gateway(1)).unwrap());
    again.series[0].samples.fill(Ok(0));
    reports.push(again);
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(refusals(&derived), [Refusal::AlreadyReported]);
    assert_eq!(paid(&derived, 1), PAID_TO_HOME_1);
}

#[test]
fn a_carry_and_other_events_are_taken_into_account() {
    let mut scenario = Scenario::new();
    scenario.case.carried_from = Some(Carry {
        event: "monday".parse().unwrap(),
        version: 1,
        statement: Digest::of(b"x"),
        carry_out: 999_999,
    });
    let mut monday = scenario.case.event.clone();
    monday.id = "monday".parse().unwrap();
    monday.start = at("2026-04-20T17:00:00Z");
    monday.end = at("2026-04-20T19:00:00Z");
    scenario.case.other_events = vec![monday];
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(derived.statement.rounding.carry_in, 999_999);
    assert_eq!(derived.statement.event_days, ["2026-04-20".parse().unwrap()]);
}

#[test]
fn the_engine_cannot_refuse_a_good_report_away() {
    let scenario = Scenario::new();
    let place = event_report(&scenario, 1);
    let good = received(&gateway(1), &gateway(1), &scenario.reports[&1][place]);
    for claimed in [
        Refusal::BadSignature,
        Refusal::Malformed,
        Refusal::TooLate,
        Refusal::BeyondNameplate,
    ] {
        let mut evidence = scenario.evidence();
        evidence.reports.retain(|r| *r != good);
        evidence.refusals.push(refused_by_the_engine(&good, claimed));
        let error = derive(&evidence).unwrap_err();
        assert!(error.record.starts_with("refusal/"), "{error}");
        assert!(error.to_string().contains("every check passes"), "{error}");
    }
    // What depends on other reports is judged with them, and found to be good.
    let mut evidence = scenario.evidence();
    evidence.reports.retain(|r| *r != good);
    evidence
        .refusals
        .push(refused_by_the_engine(&good, Refusal::ChainBroken));
    assert_eq!(paid(&derive(&evidence).unwrap(), 1), PAID_TO_HOME_1);
}

fn refused_by_the_engine(report: &ReceivedReport, reason: Refusal) -> RefusedMessage {
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
fn rich_evidence() -> Evidence {
    let scenario = Scenario::new();
    let mut evidence = scenario.evidence();
    let mut forged = received(&gateway(1), &gateway(1), &scenario.reports[&1][3]);
    *forged.envelope.last_mut().unwrap() ^= 1;
    evidence
        .refusals
        .push(refused_by_the_engine(&forged, Refusal::BadSignature));
    evidence
}

#[test]
fn a_bundle_verifies_and_reads_as_it_was_written() {
    let (bundle, derived) = Bundle::seal(rich_evidence(), &engine()).unwrap();
    let text = bundle.to_text();
    let verified = verify(text.as_bytes(), Some(&engine().identity())).unwrap();
    assert_eq!((&verified.bundle, &verified.derived), (&bundle, &derived));
    assert_eq!(verified.bundle.to_text(), text);
    let other = SigningIdentity::from_secret(&[2; 32]).unwrap();
    let refused = verify(text.as_bytes(), Some(&other.identity()));
    assert!(matches!(refused, Err(VerifyError::Engine { .. })));
}

#[test]
fn the_order_of_the_evidence_changes_nothing() {
    let mut evidence = rich_evidence();
    // Hostile things as well: an equivocation, a broken chain, a replay under another name.
    let scenario = Scenario::new();
    let mut other = scenario.reports[&1][20].clone();
    other.series[0].samples.fill(Ok(0));
    evidence.reports.push(received(&gateway(1), &gateway(1), &other));
    other.sequence = 37;
    evidence.reports.push(received(&gateway(1), &gateway(1), &other));
    evidence
        .reports
        .push(received(&gateway(2), &gateway(3), &scenario.reports[&3][7]));
    let (bundle, _) = Bundle::seal(evidence.clone(), &engine()).unwrap();
    let config = ProptestConfig {
        cases: 8,
        ..ProptestConfig::default()
    };
    let shuffled = (
        Just(evidence.reports.clone()).prop_shuffle(),
        Just(evidence.enrolments.clone()).prop_shuffle(),
        Just(evidence.acknowledgements.clone()).prop_shuffle(),
        Just(evidence.instructions.clone()).prop_shuffle(),
    );
    proptest!(config, |((reports, enrolments, acknowledgements, instructions) in shuffled)| {
        let mut twice = reports.clone();
        twice.extend(reports.iter().take(5).cloned());
        let other = Evidence {
            reports: twice, enrolments, acknowledgements, instructions, ..evidence.clone()
        };
        prop_assert_eq!(derive(&other).unwrap().statement, derive(&evidence).unwrap().statement);
        let (other, _) = Bundle::seal(other, &engine()).unwrap();
        prop_assert_eq!(other.to_text(), bundle.to_text());
    });
}

/// Where a flipped bit must be told to be: the header, or the record of a line.
fn assert_told(bytes: &[u8], byte: usize, bit: u8) {
    let mut flipped = bytes.to_vec();
    flipped[byte] ^= 1 << bit;
    let line = 1 + bytes[..byte].iter().filter(|b| **b == b'\n').count();
    let error = verify(&flipped, None).expect_err("a flipped bit must not verify");
    match &error {
        VerifyError::Bundle(BundleError::Header { .. }) => {
            assert_eq!(line, 1, "byte {byte}, bit {bit}: {error}")
        }
        VerifyError::Bundle(BundleError::Record { line: told, .. }) => {
            assert_eq!(line, *told, "byte {byte}, bit {bit}: {error}");
        }
        other => panic!("byte {byte}, bit {bit}: {other}"),
    }
}

#[test]
fn a_flipped_bit_anywhere_is_told_with_its_record() {
    let (bundle, _) = Bundle::seal(rich_evidence(), &engine()).unwrap();
    let bytes = bundle.to_text().into_bytes();
    let mut lines: Vec<std::ops::Range<usize>> = Vec::new();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let start = lines.last().map_or(0, |before| before.end);
        lines.push(start..start + line.len());
    }
    let kind = |line: &std::ops::Range<usize>| {
        let text = std::str::from_utf8(&bytes[line.clone()]).unwrap();
        text.split(' ')
            .nth(1)
            .unwrap_or("header")
            .split('/')
            .next()
            .unwrap()
            .to_owned()
    };
    let mut kinds: Vec<(String, std::ops::Range<usize>)> =
        lines.iter().map(|l| (kind(l), l.clone())).collect();
    kinds.dedup_by(|a, b| a.0 == b.0);
    let names: Vec<&str> = kinds.iter().map(|(kind, _)| kind.as_str()).collect();
    let expected = [
        "header",
        "acknowledgement",
        "case",
        "enrolment",
        "instruction",
        "program",
        "refusal",
        "report",
        "statement",
        "transaction",
    ];
    assert_eq!(names, expected);

    let mut flips: Vec<(usize, u8)> = Vec::new();
    for (kind, line) in &kinds {
        // The statement is long; a part of its bits will do.
        let step = if kind == "statement" { 29 } else { 1 };
        flips.extend(
            line.clone()
                .flat_map(|byte| (0..8).map(move |bit| (byte, bit)))
                .step_by(step),
        );
    }
    // And a sample all over the file, by a generator with a fixed seed.
    let mut state: usize = 2026;
    for _ in 0..2_500 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        flips.push((
            (state >> 20) % bytes.len(),
            u8::try_from(state >> 13 & 7).unwrap(),
        ));
    }
    assert!(flips.len() > 8_000);
    std::thread::scope(|scope| {
        for part in flips.chunks(flips.len().div_ceil(2)) {
            let bytes = &bytes;
            scope.spawn(move || {
                part.iter()
                    .for_each(|(byte, bit)| assert_told(bytes, *byte, *bit))
            });
        }
    });
}

#[test]
fn a_bundle_that_is_cut_or_grown_does_not_verify() {
    let (bundle, _) = Bundle::seal(rich_evidence(), &engine()).unwrap();
    let text = bundle.to_text();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let broken = [
        String::new(),
        text.trim_end().to_owned(),
        format!("{text}\n"),
        format!("{text}x"),
        lines[..lines.len() - 1].concat(),
        [&lines[..5], &lines[6..]].concat().concat(),
        [&lines[..5], &lines[4..]].concat().concat(),
        [&lines[..4], &[lines[5], lines[4]], &lines[6..]]
            .concat()
            .concat(),
        text.replace('\n', "\r\n"),
    ];
    for text in broken {
        assert!(verify(text.as_bytes(), None).is_err());
    }
}

/// Writes a bundle with other records, as somebody would who knows the format and has a key.
fn resealed(records: &[(String, String)], header: &str, key: &SigningIdentity) -> String {
    let mut header: serde_json::Value = serde_json::from_str(header).unwrap();
    let leaves: Vec<Digest> = records
        .iter()
        .map(|(name, json)| merkle::leaf(format!("{name} {json}").as_bytes()))
        .collect();
    let root = merkle::root(&leaves);
    let field = |name: &str| header[name].as_str().unwrap().to_owned();
    let (event, program) = (field("event"), field("program"));
    let count = records.len();
    let signed = format!("gridtally-bundle 1\n{event}\n1\n{program}\n{count}\n{root}\n");
    let signature = hex::encode(envelope::seal(Purpose::Bundle, signed.as_bytes(), key));
    header["engine"] = key.identity().to_string().into();
    let engine = key.identity();
    let mut text = format!(
        "{{\"format\":\"gridtally-bundle\",\"format_version\":1,\"event\":\"{event}\",\"version\":1,\"program\":\"{program}\",\"engine\":\"{engine}\",\"records\":{count},\"root\":\"{root}\",\"signature\":\"{signature}\"}}\n"
    );
    for ((name, json), leaf) in records.iter().zip(leaves) {
        text.push_str(&format!("{leaf} {name} {json}\n"));
    }
    text
}

fn taken_apart(text: &str) -> (String, Vec<(String, String)>) {
    let (header, rest) = text.split_once('\n').unwrap();
    let record = |line: &str| {
        let mut parts = line.splitn(3, ' ').skip(1).map(str::to_owned);
        (parts.next().unwrap(), parts.next().unwrap())
    };
    (header.to_owned(), rest.lines().map(record).collect())
}

/// Changes one record of a bundle, and seals it again with `key`.
fn tampered(name: &str, change: impl FnOnce(&mut String), key: &SigningIdentity) -> VerifyError {
    let (bundle, _) = Bundle::seal(rich_evidence(), &engine()).unwrap();
    let (header, mut records) = taken_apart(&bundle.to_text());
    assert_eq!(resealed(&records, &header, &engine()), bundle.to_text());
    let record = records
        .iter_mut()
        .find(|(found, _)| found.starts_with(name))
        .unwrap();
    change(&mut record.1);
    verify(resealed(&records, &header, key).as_bytes(), None).unwrap_err()
}

#[test]
fn not_even_the_engine_can_sign_a_statement_that_does_not_follow() {
    let error = tampered(
        "statement",
        |json| *json = json.replacen("\"637500\"", "\"637501\"", 1),
        &engine(),
    );
    assert_eq!(error.record(), Some("statement"), "{error}");
    assert!(error.to_string().contains("home-1"), "{error}");

    let swap = |json: &mut String| *json = json.replace("owner-1", "owner-9");
    assert_eq!(
        tampered("transaction", swap, &engine()).record(),
        Some("transaction")
    );
}

#[test]
fn not_even_the_engine_can_leave_out_a_report_and_keep_the_statement() {
    let (bundle, _) = Bundle::seal(rich_evidence(), &engine()).unwrap();
    let (header, mut records) = taken_apart(&bundle.to_text());
    records.retain(|(name, _)| !(name.starts_with("report/") && name.contains("/0000000036/")));
    let error = verify(resealed(&records, &header, &engine()).as_bytes(), None).unwrap_err();
    assert_eq!(
        error.record(),
        Some("statement"),
        "a report was left out: {error}"
    );
}

#[test]
fn a_stranger_cannot_sign_the_engines_bundle() {
    let stranger = SigningIdentity::from_secret(&[77; 32]).unwrap();
    let error = tampered("case", |_| (), &stranger);
    assert_eq!(error.record(), Some("header"), "{error}");
    // Not even when it says that it is the engine: the instructions were signed by the real one.
    let (real, me) = (engine().identity().to_string(), stranger.identity().to_string());
    let error = tampered("case", |json| *json = json.replace(&real, &me), &stranger);
    assert!(
        error
            .record()
            .is_some_and(|record| record.starts_with("instruction/")),
        "{error}"
    );
}

#[test]
fn a_record_is_accepted_in_its_canonical_form_only() {
    for change in [
        |json: &mut String| json.insert(1, ' '),
        |json: &mut String| *json = json.replace("\"version\":1", "\"version\":1,\"more\":1"),
        |json: &mut String| *json = json.replace("2026-04-22T06:00:00Z", "2026-04-22T07:00:00+01:00"),
    ] {
        assert_eq!(tampered("case", change, &engine()).record(), Some("case"));
    }
    assert_eq!(
        tampered("case", |json| json.clear(), &engine()).record(),
        Some("case")
    );
}

#[test]
fn the_command_says_in_sentences_what_it_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tuesday-evening.bundle");
    let (bundle, _) = Bundle::seal(rich_evidence(), &engine()).unwrap();
    fs::write(&path, bundle.to_text()).unwrap();
    let engine = engine().identity().to_string();
    let told = |arguments: &[&str]| {
        let command = VerifyCommand::parse_from(["verify", path.to_str().unwrap()].iter().chain(arguments));
        let mut out = Vec::new();
        cli::verify::run(&command.args, &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    let text = told(&["--engine", &engine, "--explain", "home-1"]).unwrap();
    for sentence in [
        &format!("  root       {}\n", bundle.root()),
        "Every one of the 124 records has its hash",
        "116 signatures hold: of 3 instructions, 5 acknowledgements and 108 reports; 108 of these reports count, with 2592 readings.",
        "make the same 12 lines for 3 sites, byte for byte.",
        "They pay 10.200000 FLEX for 12.000000 kWh, which the transaction settlement/tuesday-evening/1 books in 3 entries",
        "Refused, with the reason in the evidence: 1 bad_signature.",
        "Everything holds.",
        "2026-04-21T18:00:00Z     1.000000     0.250000     0.750000        0.637500",
    ] {
        assert!(text.contains(sentence), "{sentence:?} is not in\n{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&told(&["--json"]).unwrap()).unwrap();
    assert_eq!(json["root"], bundle.root().to_string());
    assert!(
        told(&["--explain", "home-9"])
            .unwrap_err()
            .to_string()
            .contains("home-1, home-2, home-3")
    );

    fs::write(&path, bundle.to_text().replacen("owner-1", "owner-9", 1)).unwrap();
    let error = told(&[]).unwrap_err().to_string();
    assert!(
        error.contains("record enrolment/home-1 (line 8) is not as it was signed"),
        "{error}"
    );
}

#[derive(clap::Parser)]
struct VerifyCommand {
    #[command(flatten)]
    args: cli::verify::VerifyArgs,
}
