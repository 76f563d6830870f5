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

/// The London home's readings of one stretch of days, as a batch has them.
fn london_run() -> Value {
    let mut values: std::collections::BTreeMap<_, _> = std::collections::BTreeMap::new();
    for (stamp, kwh) in london::rows()
        .into_iter()
        .filter(|(s, _)| ("2012-11-15".."2013-01-18").contains(&s.as_str()))
    {
        // In winter, the clock of London shows UTC.
        values.insert(stamp.replace(' ', "T") + "Z", kwh);
    }
    let start: gridtally_protocol::time::Timestamp = values.keys().next().unwrap().parse().unwrap();
    let kwh = (0..64 * 48).map(|i| values.get(&start.checked_add(i * 1800).unwrap().to_string()));
    serde_json::json!({ "start": start, "kwh": kwh.collect::<Vec<_>>() })
}

#[test]
fn a_batch_answers_each_line_with_what_the_command_says_of_that_case() {
    let files = Files::new();
    let (readings, holidays) = files.london();
    let args = baseline_args("pjm_style_h4o5_saa", &readings, "2013-01-16T17:00/PT2H");
    let single: Value =
        serde_json::from_str(&rules(&[args, vec!["--holidays".to_owned(), holidays]].concat()).unwrap())
            .unwrap();
    let case = serde_json::json!({
        "id": 7, "preset": "pjm_style_h4o5_saa", "zone": "Europe/London", "interval_minutes": 30,
        "event": { "start": "2013-01-16T17:00:00Z", "end": "2013-01-16T19:00:00Z" },
        "holidays": london::HOLIDAYS, "readings": london_run(),
    });
    let mut inline = case.clone();
    inline["preset"].take();
    inline["rule"] = serde_json::json!({
        "id": "mine", "lookback_days": 45, "select": "all",
        "day_types": [{ "name": "any", "on": ["wednesday"], "look_for": 1, "keep": 1, "minimum": 1 }],
        "adjustment": { "kind": "none" },
    });
    let mut bad = case.clone();
    bad["rule"] = serde_json::json!({ "id": "mine", "lookback_days": 0 });
    bad["preset"].take();
    let lines = format!("{case}\n\n{inline}\n{bad}\nnot a case\n{{\"zone\": 1}}\n");
    let batch = files.write("cases.jsonl", &lines).display().to_string();
    let answers = rules(&["baseline", "--batch", &batch]).unwrap();
    let answers: Vec<Value> = answers
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(answers.len(), 5);
    assert_eq!(answers[0]["id"], 7);
    for pointer in [
        "/rule_hash",
        "/baseline/days",
        "/baseline/adjustment",
        "/baseline/intervals",
        "/baseline/delta_sum",
    ] {
        assert!(single.pointer(pointer).is_some(), "{pointer}");
        assert_eq!(answers[0].pointer(pointer), single.pointer(pointer), "{pointer}");
    }
    assert_eq!(answers[1]["baseline"]["days"], serde_json::json!(["2013-01-09"]));
    let errors = [
        (2, "lookback_days"),
        (3, "the line is no case"),
        (4, "the line is no case"),
    ];
    for (line, error) in errors {
        assert!(
            answers[line]["error"].as_str().unwrap().contains(error),
            "{}",
            answers[line]
        );
    }
}

#[test]
fn the_explanation_has_each_candidates_readings_and_the_windows() {
    let files = Files::new();
    let (readings, _) = files.london();
    let args = baseline_args("caiso_style_10_10", &readings, "2013-01-16T17:00/PT2H");
    let report: Value = serde_json::from_str(&rules(&args).unwrap()).unwrap();
    let baseline = &report["baseline"];
    assert_eq!(baseline["flags"], serde_json::json!(["adjustment_capped"]));
    let first = &baseline["candidates"][0];
    assert_eq!(
        (&first["date"], &first["verdict"]),
        (&"2013-01-15".into(), &"chosen".into())
    );
    assert_eq!(first["readings"]["event"].as_array().unwrap().len(), 4);
    assert_eq!(first["readings"]["windows"].as_array().unwrap().len(), 6);
    assert_eq!(baseline["windows"].as_array().unwrap().len(), 6);
    assert_eq!(baseline["windows"][0]["clock"], "13:00");
    // A day of the other type has nothing to compare.
    assert_eq!(baseline["candidates"][2]["verdict"], "other_day_type");
    assert_eq!(baseline["candidates"][2].get("readings"), None);
}

#[test]
fn a_fallback_temperatures_a_calendar_and_a_notification_are_taken_from_the_command_line() {
    let files = Files::new();
    let (readings, _) = files.london();
    let temperatures = files
        .write("weather.csv", "day,max\n2013-01-16,3.5\n2013-01-15,4\n")
        .display()
        .to_string();
    let mut args = baseline_args("caiso_style_weather_match", &readings, "2013-01-16T17:00/PT2H");
    let more = [
        "--temperatures",
        &temperatures,
        "--holidays",
        "england-wales",
        "--event-day",
        "2013-01-09",
        "--fallback",
        "unadj_10_10",
    ];
    args.extend(more.map(str::to_owned));
    let report: Value = serde_json::from_str(&rules(&args).unwrap()).unwrap();
    assert_eq!(report["baseline"]["rule"], "unadj_10_10");
    assert_eq!(report["baseline"]["instead_of"]["found"], 1);
    assert_eq!(report["baseline"]["flags"], serde_json::json!(["fallback"]));
    let verdict = |day: &str| {
        let candidates = report["baseline"]["candidates"].as_array().unwrap();
        candidates.iter().find(|c| c["date"] == day).unwrap()["verdict"].clone()
    };
    assert_eq!(verdict("2013-01-01"), "other_day_type");
    let mut args = baseline_args("nyiso_style_5_10_notified", &readings, "2013-01-16T17:00/PT2H");
    assert!(
        rules(&args)
            .unwrap_err()
            .to_string()
            .contains("say when the event was notified")
    );
    args.extend(["--notified", "2013-01-16T12:10"].map(str::to_owned));
    let report: Value = serde_json::from_str(&rules(&args).unwrap()).unwrap();
    assert_eq!(report["baseline"]["windows"][0]["clock"], "10:00");
    assert_eq!(report["event"]["notified"], "2013-01-16T12:10:00Z");
}

#[test]
fn hostile_files_are_refused_with_their_line() {
    let files = Files::new();
    let (readings, _) = files.london();
    let refused = |option: &str, name: &str, text: &str| {
        let path = files.write(name, text).display().to_string();
        let mut args = baseline_args("unadj_10_10", &readings, "2013-01-16T17:00/PT2H");
        args.extend([option.to_owned(), path]);
        rules(&args).unwrap_err().to_string()
    };
    for (option, name, text, expected) in [
        (
            "--temperatures",
            "t.csv",
            "day,max\n2013-01-01,hot\n",
            "t.csv: line 2: \"hot\" is not a decimal",
        ),
        (
            "--temperatures",
            "t.csv",
            "when,what\n",
            "t.csv: line 1 is neither the header",
        ),
        (
            "--holidays",
            "h.txt",
            "2013-01-01\n2013-13-01\n",
            "h.txt: line 2 is no day",
        ),
        (
            "--holidays",
            "h.toml",
            "days = [\"2013-01-01\"]\n",
            "line 1, source: is missing",
        ),
        (
            "--controls",
            "c.csv",
            "start,kwh\n2013-01-16 17:00,1\n2013-01-16 17:00,2\n",
            "c.csv: line 3 and line 2",
        ),
        (
            "--site-meter",
            "m.csv",
            "\0\0\0",
            "m.csv: line 1 is not the header",
        ),
    ] {
        let error = refused(option, name, text);
        assert!(error.contains(expected), "{option} {name}: {error}");
    }
}

#[test]
fn savings_are_netted_as_the_rule_says() {
    // 17:00 saves 1, 18:00 wastes 3, against 2 kWh on each day before.
    let files = Files::new();
    let mut text = "start,kwh\n".to_owned();
    for day in 6..=17 {
        for hour in 0..24 {
            let kwh = match (day, hour) {
                (17, 17) => 1,
                (17, 18) => 5,
                _ => 2,
            };
            text += &format!("2026-07-{day:02} {hour:02}:00,{kwh}\n");
        }
    }
    let readings = files.write("july.csv", &text).display().to_string();
    let preset = rules(&["presets", "unadj_10_10"]).unwrap();
    let credited = |clip: &str| {
        let rule = files.write(
            "clip.toml",
            &preset.replace("[weekday]", &format!("clip = \"{clip}\"\n[weekday]")),
        );
        let rule = rule.display().to_string();
        let args = [
            "baseline",
            "--rule",
            &rule,
            "--readings",
            &readings,
            "--zone",
            "UTC",
            "--interval",
            "1h",
            "--event",
        ];
        let report = rules(&[&args[..], &["2026-07-17T17:00/PT2H", "--json"]].concat()).unwrap();
        let report: Value = serde_json::from_str(&report).unwrap();
        let baseline = &report["baseline"];
        let mut all = texts(&baseline["intervals"], "/credited/exact");
        all.push(baseline["credited_sum"]["exact"].as_str().unwrap().to_owned());
        all
    };
    assert_eq!(credited("none"), ["1", "-3", "-2"]);
    assert_eq!(credited("interval"), ["1", "0", "1"]);
    assert_eq!(credited("event"), ["0", "0", "0"]);
}
