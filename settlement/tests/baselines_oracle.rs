//! The baselines against a second implementation, in Python and from the documentation alone
//! (`tests/baselines/oracle.py`): 10,000 random cases, over every preset and random rules. No difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::Parser;
use gridtally_settlement::cli::rules::{RulesArgs, run};
use gridtally_settlement::rules::baseline::PRESETS;
use serde_json::{Value, json};

const SEEDS: u32 = 10_000;
const WORKERS: u32 = 2;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    rules: RulesArgs,
}

/// What Python writes into a file, given a file.
fn python(words: &[&str], input: Stdio, output: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/baselines/oracle.py");
    let status = Command::new("python3")
        .arg(script)
        .args(words)
        .stdin(input)
        .stdout(File::create(output).unwrap())
        .status()
        .expect("python3 has to be installed: it works baselines out independently");
    assert!(status.success(), "the oracle ended with {status}");
}

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn refusal(of: &Value) -> Value {
    json!([of["rule"], of["lacking"], of["found"], of["needed"]])
}

fn candidates(of: &Value) -> Value {
    let all = of["candidates"].as_array().unwrap().iter();
    all.map(|c| json!([c["date"], c["verdict"]])).collect()
}

/// The rounded baseline in milliwatt-hours.
fn milliwatt_hours(kilowatt_hours: &Value) -> i64 {
    kilowatt_hours.as_str().unwrap().replace('.', "").parse().unwrap()
}

/// What the engine says, in the oracle's form.
fn said(answer: &Value) -> Value {
    let mut said = serde_json::Map::new();
    let mut keep = |key: &str, value: Value| drop(said.insert(key.to_owned(), value));
    keep("id", answer["id"].clone());
    if let Some(none) = answer.get("no_baseline") {
        keep("no_baseline", refusal(none));
        keep("candidates", candidates(none));
        if none["fallback"].is_object() {
            keep("fallback", refusal(&none["fallback"]));
        }
        return said.into();
    }
    let Some(baseline) = answer.get("baseline") else {
        panic!("{answer}")
    };
    let interval = |i: &Value| {
        let rounded = milliwatt_hours(&i["baseline"]["rounded"]);
        let metered = i["metered"].get("exact").cloned().unwrap_or_default();
        json!([
            i["readings"],
            i["raw"]["exact"],
            i["baseline"]["exact"],
            rounded,
            metered
        ])
    };
    keep("rule", baseline["rule"].clone());
    keep("candidates", candidates(baseline));
    keep("days", baseline["days"].clone());
    keep(
        "applied",
        baseline["adjustment"].get("applied").cloned().unwrap_or_default(),
    );
    keep(
        "intervals",
        baseline["intervals"]
            .as_array()
            .unwrap()
            .iter()
            .map(interval)
            .collect(),
    );
    if let Some(instead) = baseline.get("instead_of").filter(|of| of.is_object()) {
        keep("instead_of", refusal(instead));
    }
    said.into()
}

/// How often what came out, over the seeds `from` to `to`.
fn compare(from: u32, to: u32) -> BTreeMap<String, u32> {
    let folder = tempfile::tempdir().unwrap();
    let (cases, answers) = (
        folder.path().join("cases.jsonl"),
        folder.path().join("answers.jsonl"),
    );
    python(
        &["cases", &from.to_string(), &to.to_string()],
        Stdio::null(),
        &cases,
    );
    python(&["answers"], File::open(&cases).unwrap().into(), &answers);
    let args = Cli::try_parse_from(["rules", "baseline", "--batch", cases.to_str().unwrap()]).unwrap();
    let mut out = Vec::new();
    run(&args.rules, &mut out).unwrap();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut count = |what: String| *seen.entry(what).or_default() += 1;
    let answers = std::fs::read_to_string(&answers).unwrap();
    let (text, asked) = (
        String::from_utf8(out).unwrap(),
        std::fs::read_to_string(&cases).unwrap(),
    );
    assert_eq!(text.lines().count(), answers.lines().count());
    for ((case, engine), oracle) in asked.lines().zip(lines(&text)).zip(lines(&answers)) {
        let id = engine["id"].clone();
        assert_eq!(
            said(&engine),
            oracle,
            "python3 oracle.py cases {id} makes the case:\n{case}"
        );
        let case: Value = serde_json::from_str(case).unwrap();
        if let Some(preset) = case["preset"].as_str() {
            count(format!("preset {preset}"));
        }
        count(format!("zone {}", case["zone"].as_str().unwrap()));
        match oracle.get("no_baseline") {
            Some(none) => count(format!("lacking {}", none[1].as_str().unwrap())),
            None => count("baseline".to_owned()),
        }
        if oracle.get("instead_of").is_some() {
            count("fallback".to_owned());
        }
        for verdict in oracle["candidates"].as_array().unwrap() {
            count(format!("day {}", verdict[1].as_str().unwrap_or("incomplete")));
        }
    }
    seen
}

#[test]
fn ten_thousand_random_cases_come_out_the_same_from_the_documentation_alone() {
    let share = SEEDS / WORKERS;
    let workers: Vec<_> = (0..WORKERS)
        .map(|n| std::thread::spawn(move || compare(n * share, (n + 1) * share)))
        .collect();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for worker in workers {
        for (what, count) in worker.join().unwrap() {
            *seen.entry(what).or_default() += count;
        }
    }
    // The cases are of every kind, so that the comparison means something.
    let at_least = |what: &str, least: u32| {
        let count = seen.get(what).copied().unwrap_or(0);
        assert!(count >= least, "only {count} of {what}: {seen:?}");
    };
    at_least("baseline", SEEDS / 100 * 57);
    at_least("fallback", 100);
    for (preset, _) in PRESETS {
        at_least(&format!("preset {preset}"), 100);
    }
    for zone in [
        "Europe/London",
        "America/Los_Angeles",
        "Australia/Sydney",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
    ] {
        at_least(&format!("zone {zone}"), 1_000);
    }
    for lacking in [
        "days",
        "day_type",
        "recent_days",
        "temperature",
        "window_readings",
        "firm_level",
        "controls",
        "site_meter",
        "ratio_cap",
    ] {
        at_least(&format!("lacking {lacking}"), 10);
    }
    at_least("lacking readings", 1);
    for verdict in [
        "chosen",
        "other_day_type",
        "event_day",
        "outage_day",
        "incomplete",
        "no_such_hours",
        "no_temperature",
        "low_use",
        "filled_from_event_days",
        "not_among_highest",
        "not_among_closest",
        "not_among_similar",
        "highest_total",
        "lowest_total",
    ] {
        at_least(&format!("day {verdict}"), 1);
    }
}
