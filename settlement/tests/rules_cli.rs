//! `gridtally rules` as an analyst uses it: a CSV file in, JSON out.

mod london;

use std::path::PathBuf;

use clap::Parser;
use gridtally_settlement::cli::rules::{CaseError, RulesArgs, RulesError, run};
use gridtally_settlement::rules::baseline::PRESETS;
use serde_json::Value;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    rules: RulesArgs,
}

fn rules<S: AsRef<str>>(args: &[S]) -> Result<String, RulesError> {
    let args = std::iter::once("rules").chain(args.iter().map(AsRef::as_ref));
    let cli = Cli::try_parse_from(args).unwrap_or_else(|e| panic!("{e}"));
    let mut out = Vec::new();
    run(&cli.rules, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The London home's file as its publisher has it, and the holidays.
    fn london(&self) -> (String, String) {
        let rows: Vec<_> = london::rows()
            .into_iter()
            .map(|(start, kwh)| format!("{start},{kwh}\n"))
            .collect();
        let readings = self.write("london-home.csv", &format!("start,kwh\n{}", rows.concat()));
        let holidays = format!("# England\n{}\n", london::HOLIDAYS.join("\n"));
        let holidays = self.write("holidays.txt", &holidays);
        (readings.display().to_string(), holidays.display().to_string())
    }
}

fn baseline_args(rule: &str, readings: &str, event: &str) -> Vec<String> {
    let fixed = [
        "baseline",
        "--preset",
        rule,
        "--readings",
        readings,
        "--zone",
        "Europe/London",
    ];
    let more = ["--interval", "30m", "--event", event, "--json"];
    fixed.iter().chain(&more).map(|s| (*s).to_owned()).collect()
}

fn texts(values: &Value, pointer: &str) -> Vec<String> {
    let text = |v: &Value| v.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    values.as_array().unwrap().iter().map(text).collect()
}

#[test]
fn every_golden_case_of_the_london_home_comes_out_of_the_command() {
    let files = Files::new();
    let (readings, holidays) = files.london();
    let presets: Value = serde_json::from_str(&london::golden("presets.json")).unwrap();
    let cases: Value = serde_json::from_str(&london::golden("baselines-london.json")).unwrap();
    for case in cases["cases"].as_array().unwrap() {
        let rule = case["rule"].as_str().unwrap();
        let event = format!("{}T17:00/PT2H", case["event"].as_str().unwrap());
        let preset = presets["rules"][rule]["preset"].as_str().unwrap();
        let mut args = baseline_args(preset, &readings, &event);
        args.extend(["--holidays".to_owned(), holidays.clone()]);
        for day in london::EVENT_DAYS {
            args.extend(["--event-day".to_owned(), day.to_owned()]);
        }
        let report: Value = serde_json::from_str(&rules(&args).unwrap()).unwrap();
        let baseline = &report["baseline"];
        let name = format!("{rule} {event}");
        assert_eq!(baseline["days"], case["days"], "{name}");
        assert_eq!(
            texts(&baseline["intervals"], "/delta/exact"),
            texts(&case["delta_exact"], ""),
            "{name}"
        );
        assert_eq!(
            texts(&baseline["intervals"], "/raw/rounded"),
            texts(&case["raw"], ""),
            "{name}"
        );
        assert_eq!(
            texts(&baseline["intervals"], "/baseline/rounded"),
            texts(&case["baseline"], ""),
            "{name}"
        );
        assert_eq!(
            texts(&baseline["intervals"], "/metered/rounded"),
            texts(&case["actual"], ""),
            "{name}"
        );
        assert_eq!(baseline["delta_sum"]["rounded"], case["delta_sum"], "{name}");
        let factor = baseline["adjustment"]
            .get("applied_rounded")
            .unwrap_or(&Value::Null);
        assert_eq!(factor, &case["factor"], "{name}");
        let notes = report["notes"].to_string();
        assert!(
            notes.contains("2013-03-31 01:30:00 does not exist in Europe/London"),
            "{notes}"
        );
    }
}

#[test]
fn too_little_data_is_a_typed_refusal() {
    let files = Files::new();
    let (readings, _) = files.london();
    let report = rules(&baseline_args(
        "caiso_style_10_10",
        &readings,
        "2012-10-17T17:00/PT2H",
    ))
    .unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["no_baseline"]["lacking"], "days");
    assert_eq!(
        (&report["no_baseline"]["found"], &report["no_baseline"]["needed"]),
        (&2.into(), &5.into())
    );
    assert_eq!(report["no_baseline"]["candidates"][4]["date"], "2012-10-12");
    assert_eq!(
        report["no_baseline"]["candidates"][4]["verdict"]["incomplete"]["missing"],
        2
    );
    assert_eq!(report.get("baseline"), None);
}

#[test]
fn a_person_reads_a_table() {
    let files = Files::new();
    let (readings, _) = files.london();
    let mut args = baseline_args("caiso_style_10_10", &readings, "2013-01-16T17:00/PT2H");
    args.pop();
    let text = rules(&args).unwrap();
    for line in [
        "2013-01-15 chosen",
        "2013-01-13 other day type",
        "applied 1.200000 (capped)",
        "17:30",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
}

#[test]
fn a_rule_of_ones_own_is_read_from_a_file() {
    let files = Files::new();
    let (readings, _) = files.london();
    let preset = rules(&["presets", "unadj_10_10"]).unwrap();
    let rule = files.write("mine.toml", &preset.replace("unadj_10_10", "mine"));
    let mut args = baseline_args("", &readings, "2013-01-16T17:00/PT2H");
    args.splice(1..3, ["--rule".to_owned(), rule.display().to_string()]);
    let report: Value = serde_json::from_str(&rules(&args).unwrap()).unwrap();
    assert_eq!(report["rule"]["id"], "mine");
}

#[test]
fn the_presets_are_listed() {
    let list = rules(&["presets"]).unwrap();
    assert_eq!(list.lines().count(), PRESETS.len());
    let mut words = list.lines().next().unwrap().split("  ");
    assert_eq!(words.next(), Some("caiso_style_10_10"), "{list}");
    assert!(list.contains("  Mean of the last 10 like days, times"), "{list}");
}

#[test]
fn what_is_wrong_is_said_with_the_file_and_the_line() {
    let files = Files::new();
    let bad = files
        .write("bad.csv", "start,kwh\n2013-01-16 17:00,much\n")
        .display()
        .to_string();
    let error = rules(&baseline_args("unadj_10_10", &bad, "2013-01-16T17:00/PT2H"))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("bad.csv: line 2: \"much\" is not a decimal number of the form -12.345"),
        "{error}"
    );
    let error = rules(&baseline_args(
        "unadj_10_10",
        "/nowhere.csv",
        "2013-01-16T17:00/PT2H",
    ))
    .unwrap_err();
    assert!(
        error.to_string().starts_with("/nowhere.csv cannot be read"),
        "{error}"
    );
    let error = rules(&baseline_args("none_such", &bad, "2013-01-16T17:00/PT2H")).unwrap_err();
    assert!(
        error.to_string().contains("known are caiso_style_10_10"),
        "{error}"
    );
    let empty = files.write("empty.csv", "start,kwh\n").display().to_string();
    let error = rules(&baseline_args("unadj_10_10", &empty, "2013-01-16T17:10/PT2H")).unwrap_err();
    assert!(matches!(error, RulesError::Case(CaseError::Frame(_))), "{error}");
}
