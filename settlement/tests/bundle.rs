//! What a bundle proves, and what becomes of one that somebody changed.

mod scenario;

use std::fs;

use clap::Parser as _;
use gridtally_log::merkle;
use gridtally_protocol::envelope::{self, Purpose};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_settlement::cli;
use gridtally_settlement::proofs::bundle::{Bundle, BundleError};
use gridtally_settlement::proofs::derive::derive;
use gridtally_settlement::proofs::evidence::Evidence;
use gridtally_settlement::proofs::verify::{VerifyError, verify};
use proptest::prelude::*;
use scenario::{Scenario, engine, gateway, received, rich_evidence};

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
    let text = told(&["--engine", &engine, "--site", "home-1"]).unwrap();
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
    assert!(
        text.contains("The baseline is unadj_10_10's for 2026-04-21, a weekday."),
        "{text}"
    );

    let quality = "The data of 2026-04-21, as far as it is in the bundle, has a quality of ";
    assert!(text.contains(quality), "{text}");

    let text = told(&["--reading", "home-1@2026-04-21T18:05:00Z"]).unwrap();
    for sentence in [
        "home-1, 2026-04-21T18:00:00Z to 2026-04-21T18:30:00Z, from gateway did:key:",
        "Record report/",
        "; the signature holds",
        "  1/grid_import            0.250000 kWh\n",
        "In the event: 0.250000 kWh net, where the baseline is 1.000000; credited 0.750000 kWh and 0.637500 FLEX",
    ] {
        assert!(text.contains(sentence), "{sentence:?} is not in\n{text}");
    }
    let history = told(&["--reading", "home-1@2026-04-20T18:00:00Z"]).unwrap();
    assert!(history.contains("it is history, for the"), "{history}");
    let never = told(&["--reading", "home-1@2025-01-01T00:00:00Z"]).unwrap();
    assert!(
        never.contains("No report in the bundle says anything of it."),
        "{never}"
    );

    let json: serde_json::Value = serde_json::from_str(&told(&["--json"]).unwrap()).unwrap();
    assert_eq!(json["root"], bundle.root().to_string());
    assert!(
        told(&["--site", "home-9"])
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
