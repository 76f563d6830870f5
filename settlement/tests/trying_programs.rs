//! `gridtally engine program try` as an operator uses it: on CSV files without an engine, and on the engine's readings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cluster;
mod london;
mod scenario;
mod shelf;

use std::path::{Path, PathBuf};

use clap::{Args as _, Command, FromArgMatches as _};
use cluster::Database;
use gridtally_protocol::quantity::TokenAmount;
use gridtally_settlement::cli::engine::{EngineArgs, answer};
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::settle;
use scenario::{PROGRAM, Scenario, at, engine};
use serde_json::Value;
use shelf::{pay_in, stored};

struct Desk {
    folder: tempfile::TempDir,
    /// As a connection string.
    database: Option<String>,
}

impl Desk {
    fn new(database: Option<&Database>) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            database: database.map(Database::url),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The London home's readings as its publisher has them.
    fn london(&self) -> String {
        let rows: Vec<_> = london::rows()
            .into_iter()
            .map(|(start, kwh)| format!("{start},{kwh}\n"))
            .collect();
        self.write("london-home.csv", &format!("start,kwh\n{}", rows.concat()))
    }

    fn said(&self, words: &[&str]) -> Result<String, String> {
        let data = self.path().join("engine").display().to_string();
        let mut place = vec!["engine", "--data", &data, "--now", "2026-04-23T00:00:00Z"];
        if let Some(url) = &self.database {
            place.extend(["--database", url]);
        }
        place.extend(["program", "try"]);
        let matches = EngineArgs::augment_args(Command::new("engine"))
            .try_get_matches_from(place.iter().chain(words))
            .map_err(|e| e.to_string())?;
        let mut out = Vec::new();
        answer(EngineArgs::from_arg_matches(&matches).unwrap(), &mut out).map_err(|e| e.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.said(&words).unwrap()).unwrap()
    }
}

/// A program for the London home.
fn program(baseline: &str, more: &str) -> String {
    format!(
        "id = \"winter-evenings\"\nversion = 1\nzone = \"Europe/London\"\ninterval_minutes = 30\n\
         measurement = \"site_meter_net\"\nholidays = \"england-wales\"\nbaseline = \"{baseline}\"\n\
         price_per_kwh = \"0.85\"\nclip = \"interval\"\n{more}\n[asset]\ncode = \"FLEX\"\ndecimals = 6\n"
    )
}

/// The arguments of the golden values' events.
fn golden_events() -> Vec<String> {
    let event = |day: &&str| ["--event".to_owned(), format!("{day}T17:00/PT2H")];
    london::EVENT_DAYS.iter().flat_map(event).collect()
}

fn warned<'r>(report: &'r Value, kind: &str) -> Option<&'r Value> {
    report["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|w| w["kind"] == kind)
}

fn rule<'r>(report: &'r Value, name: &str) -> &'r Value {
    let rules = report["rules"].as_array().unwrap();
    rules
        .iter()
        .find(|r| r["rule"] == name)
        .unwrap_or_else(|| panic!("no {name} in {rules:#?}"))
}

#[test]
fn events_on_a_london_home_credit_what_the_golden_values_say() {
    let desk = Desk::new(None);
    let file = desk.write("winter.toml", &program("caiso_style_10_10", ""));
    let home = desk.london();
    let events = golden_events();
    let mut words = vec![
        file.as_str(),
        "--on",
        &home,
        "--from",
        "2013-01-01",
        "--until",
        "2013-02-15",
    ];
    words.extend(["--against", "unadj_10_10", "--against", "pjm_style_h4o5_saa"]);
    words.extend(events.iter().map(String::as_str));
    let report = desk.json(&words);
    let credited = |day: &str| {
        let events = report["events"].as_array().unwrap();
        let event = events
            .iter()
            .find(|e| e["event"] == format!("try-{day}-1700").as_str());
        event.unwrap()["credited"].as_i64().unwrap()
    };
    for (day, mwh) in [
        ("2013-01-09", 98_320),
        ("2013-01-16", 343_480),
        ("2013-06-12", 0),
        ("2013-12-03", 61_320),
    ] {
        assert_eq!(credited(day), mwh, "{day}");
    }
    let total: i64 = london::EVENT_DAYS.iter().map(|day| credited(day)).sum();
    assert_eq!(report["total"]["credited"], total);
    assert_eq!(report["total"]["phantom_credited"], total, "nobody was asked");
    assert_eq!(report["events"].as_array().unwrap().len(), 7);

    // 46 days, less five with an event.
    assert_eq!(report["days_without_an_event"], 41);
    let names: Vec<&str> = report["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["rule"].as_str().unwrap())
        .collect();
    assert_eq!(names[0], "caiso_style_10_10");
    assert_eq!(names.len(), 3, "{names:?}");
    let wrong = |name: &str| -> i64 {
        rule(&report, name)["rrmse"]
            .as_str()
            .unwrap()
            .replace('.', "")
            .parse()
            .unwrap()
    };
    assert!(
        wrong(names[1]) <= wrong(names[2]),
        "the more accurate preset comes first"
    );
    let with_fallback = program("caiso_style_10_10", "baseline_fallback = \"unadj_10_10\"");
    let file = desk.write("fallback.toml", &with_fallback);
    let fallen = desk.json(&[&[&*file], &words[1..]].concat());
    let standings: Vec<&str> = fallen["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["standing"].as_str().unwrap())
        .collect();
    assert_eq!(standings, ["own", "own_alone", "fallback", "preset"]);
    // The same twice says the same.
    assert_eq!(desk.json(&words), report);
}

#[test]
fn a_home_that_is_the_same_every_evening_has_neither_error_nor_phantom_credit() {
    let desk = Desk::new(None);
    let mut rows = String::from("start,kwh\n");
    for day in 1..=31 {
        for half in 0..48 {
            rows.push_str(&format!(
                "2013-01-{day:02} {:02}:{:02},0.{half:03}\n",
                half / 2,
                half % 2 * 30
            ));
        }
    }
    let home = desk.write("steady.csv", &rows);
    let file = desk.write("p.toml", &program("caiso_style_10_10", ""));
    let report = desk.json(&[
        &file,
        "--on",
        &home,
        "--window",
        "17:00/PT2H",
        "--from",
        "2013-01-15",
    ]);
    assert_eq!(report["days_without_an_event"], 17);
    let rules = report["rules"].as_array().unwrap();
    assert!(rules.len() > 15, "{}", rules.len());
    // All but the rule that compares an evening with its own afternoon.
    for rule in rules
        .iter()
        .filter(|r| r["rule"] != "pjm_style_same_day_3_2" && r["rule"] != "naesb_style_meter_before_after")
    {
        if rule["rrmse"].is_null() {
            assert_eq!(rule["site_days"], rule["without_baseline"], "{rule}");
            continue;
        }
        assert_eq!(rule["rrmse"], "0.00", "{rule}");
        assert_eq!(rule["bias"], "0.00", "{rule}");
        assert_eq!(rule["phantom_kwh"], "0.000000", "{rule}");
    }
    assert_eq!(warned(&report, "phantom_credit"), None);
    assert_eq!(warned(&report, "inaccurate"), None);
}

#[test]
fn what_an_operator_should_know_is_told_with_figures() {
    let desk = Desk::new(None);
    let home = desk.london();
    let own = program("x", "")
        .replace("baseline = \"x\"", "")
        .replace("holidays = \"england-wales\"", "holidays = []");
    let rule = "[baseline]\nid = \"naive\"\nlookback_days = 60\ncompleteness = \"whole_day\"\n\
                select = \"all\"\n[baseline.weekday]\nlook_for = 10\nkeep = 10\nminimum = 5\n[baseline.other]\nlook_for = 4\n\
                keep = 4\nminimum = 2\n[baseline.adjustment]\nkind = \"ratio\"\nwindows = [{ anchor = \"before_start\", \
                from_minutes = 240, to_minutes = 60 }]\n";
    let file = desk.write("naive.toml", &format!("{own}{rule}"));
    let words = [
        &file,
        "--on",
        &home,
        "--event",
        "2013-04-10T17:00/PT2H",
        "--notice",
        "PT24H",
        "--against",
        "none",
    ];
    let words: Vec<&str> = words
        .iter()
        .map(|w| &**w)
        .chain(["--from", "2012-11-01", "--until", "2013-04-15"])
        .collect();
    let report = desk.json(&words);
    let gaming = warned(&report, "gaming_window").unwrap();
    assert_eq!(gaming["known_minutes"], 180);
    assert!(warned(&report, "uncapped_ratio").is_some(), "{report:#}");
    assert_eq!(
        warned(&report, "holidays_missing").unwrap()["years"],
        serde_json::json!([2012, 2013])
    );
    assert_eq!(
        warned(&report, "clock_change").unwrap()["days"],
        serde_json::json!(["2012-10-28", "2013-03-31"])
    );
    let short = warned(&report, "lookback_beyond_data").unwrap();
    assert_eq!(short["since"], "2012-09-02");
    assert!(warned(&report, "clip_rewards_noise").is_some());
    for warning in report["warnings"].as_array().unwrap() {
        let sentence = warning["sentence"].as_str().unwrap();
        assert!(sentence.ends_with('.') && !sentence.contains('{'), "{sentence}");
    }
    let told = desk.said(&words).unwrap();
    assert!(told.contains("phantom"), "{told}");
}

#[test]
fn a_solar_home_under_a_ratio_is_warned_of() {
    let desk = Desk::new(None);
    let mut rows = String::from("start,kwh\n");
    for day in 1..=31 {
        for half in 0..48 {
            let kwh = if (20..34).contains(&half) { "-0.8" } else { "0.4" };
            rows.push_str(&format!(
                "2013-05-{day:02} {:02}:{:02},{kwh}\n",
                half / 2,
                half % 2 * 30
            ));
        }
    }
    let home = desk.write("solar.csv", &rows);
    let file = desk.write("p.toml", &program("caiso_style_10_10", ""));
    let words = [
        &file,
        "--on",
        &home,
        "--window",
        "17:00/PT2H",
        "--against",
        "none",
    ];
    let report = desk.json(&words);
    let ratio = warned(&report, "net_metered_ratio").unwrap();
    assert_eq!((&ratio["feeding_in"], &ratio["sites"]), (&1.into(), &1.into()));
    assert_eq!(
        ratio["undefined"], ratio["cases"],
        "the window is always below zero"
    );
    let additive = desk.write("additive.toml", &program("pjm_style_h4o5_saa", ""));
    let report = desk.json(&[
        &additive,
        "--on",
        &home,
        "--window",
        "17:00/PT2H",
        "--against",
        "none",
    ]);
    assert_eq!(warned(&report, "net_metered_ratio"), None);
    assert!(warned(&report, "uncapped_addend").is_some());
}

#[test]
fn a_formula_over_a_season_sees_the_events_before() {
    let desk = Desk::new(None);
    let home = desk.london();
    let terms = "[[payment]]\nkind = \"season_average\"\nrate_per_kw = \"10\"\nopted_out = \"zero\"\n";
    let season = program("caiso_style_10_10", "").replace("price_per_kwh = \"0.85\"\n", "");
    let file = desk.write("season.toml", &format!("{season}{terms}"));
    let mut words = vec![
        file.as_str(),
        "--on",
        &home,
        "--against",
        "none",
        "--from",
        "2013-02-01",
    ];
    words.extend(["--until", "2013-02-14"]);
    for day in [
        "2013-01-16T17:00/PT2H",
        "2013-01-17T17:00/PT2H",
        "2013-02-04T17:00/PT2H",
    ] {
        words.extend(["--event", day]);
    }
    let report = desk.json(&words);
    // 871,712 mWh in three events of two hours are 0.435856 / 3 kW in the mean, at 10 FLEX.
    assert_eq!(report["total"]["credited"], 871_712);
    let paid = TokenAmount::new(1_452_853).unwrap();
    assert_eq!(report["total"]["amount"], serde_json::to_value(paid).unwrap());
    let alone = TokenAmount::new(1_949_000).unwrap(); // 0.3898 kWh in two hours, before there is any other
    assert_eq!(
        report["events"][0]["amount"],
        serde_json::to_value(alone).unwrap()
    );
}

#[test]
fn shorter_intervals_of_a_file_are_summed_to_the_programs() {
    let desk = Desk::new(None);
    let rows = |minutes: usize, kwh: &str| {
        let mut rows = String::from("start,kwh\n");
        for day in 1..=20 {
            for place in 0..1440 / minutes {
                let at = place * minutes;
                rows.push_str(&format!("2013-01-{day:02} {:02}:{:02},{kwh}\n", at / 60, at % 60));
            }
        }
        rows
    };
    let file = desk.write("p.toml", &program("unadj_10_10", ""));
    let fine = desk.write("home.csv", &rows(5, "0.05"));
    let when = ["--window", "17:00/PT2H"];
    let finely = desk.json(&[&[&*file, "--on", &*fine, "--interval", "5m"][..], &when].concat());
    let coarse = desk.write("home.csv", &rows(30, "0.3"));
    let coarsely = desk.json(&[&[&*file, "--on", &*coarse][..], &when].concat());
    assert_eq!(finely, coarsely);
    assert_eq!(finely["readings"], 20 * 48);
}

#[test]
fn events_on_every_weekday_leave_the_rule_without_days() {
    let desk = Desk::new(None);
    let home = desk.london();
    let file = desk.write("winter.toml", &program("caiso_style_10_10", ""));
    let mut words = vec![
        file,
        "--on".to_owned(),
        home,
        "--against".to_owned(),
        "none".to_owned(),
    ];
    let from = "2013-01-07".parse::<chrono::NaiveDate>().unwrap();
    for day in from.iter_days().take(60) {
        words.extend(["--event".to_owned(), format!("{day}T17:00/PT2H")]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let report = desk.json(&words);
    let saturation = &report["saturation"];
    assert_eq!(
        saturation["longest_run"], 44,
        "60 days from a Monday on have 44 weekdays"
    );
    assert_eq!(saturation["worst"][1], "100.00");
    let events = saturation["events"].as_array().unwrap();
    // First there are fewer days than the rule looks for, then too few of them.
    let first = |key: &str| events.iter().position(|e| e[key] == 1).unwrap();
    assert!(first("short") < first("without"), "{events:#?}");
    assert_eq!(saturation["first_short"], events[first("short")]["event"]);
    let last = events.last().unwrap();
    assert_eq!(
        (&last["without"], &last["like_days"]),
        (&1.into(), &last["event_days"])
    );
    assert!(warned(&report, "days_run_out").is_some());
    assert!(warned(&report, "saturated").is_some());
}

#[test]
fn the_engines_own_events_come_to_what_was_paid() {
    let database = Database::create();
    let mut store = stored(&database, &Scenario::new());
    pay_in(&mut store, "1", 50_000_000).unwrap();
    let desk = Desk::new(Some(&database));
    let file = desk.write("paid.toml", PROGRAM);
    let before = desk.json(&[&file, "--events-of", "evening-flex", "--against", "none"]);
    let event = &before["events"][0];
    assert_eq!(
        (&event["sites"], &event["not_in"]),
        (&3.into(), &0.into()),
        "nothing is known of opting out"
    );
    let notes = before["notes"].to_string();
    assert!(notes.contains("1 of 1 events are not settled"), "{notes}");
    let bundle = desk.path().join("bundle");
    let settled = settle(
        &mut store,
        &engine(),
        &"tuesday-evening".parse().unwrap(),
        at("2026-04-22T06:00:00Z"),
        Patience::Deadline,
        &bundle,
    );
    let statement = settled.unwrap().derived.statement;
    drop(store);
    // The days before are too few for the program's own rule; for one that asks for fewer, they are enough.
    let rule_of_two = "[baseline]\nid = \"of_two\"\nlookback_days = 30\nselect = \"all\"\n[baseline.weekday]\n\
                       look_for = 2\nkeep = 2\nminimum = 2\n[baseline.other]\nlook_for = 1\nkeep = 1\nminimum = 1\n";
    let program = PROGRAM.replace("baseline = \"unadj_10_10\"\n", "");
    let file = desk.write("p.toml", &format!("{program}{rule_of_two}"));
    let report = desk.json(&[&file, "--events-of", "evening-flex", "--against", "unadj_10_10"]);
    let event = &report["events"][0];
    assert_eq!(event["credited"], statement.totals.credited.get());
    assert_eq!(
        report["total"]["amount"],
        serde_json::to_value(statement.totals.amount).unwrap()
    );
    assert_eq!(
        (&event["sites"], &event["not_in"], &event["dispatched"]),
        (&3.into(), &1.into(), &true.into())
    );
    assert_eq!(report["total"]["phantom_credited"], 0);
    // What homes were asked for is no phantom, however the event is named; another evening is.
    let given = [
        "--event",
        "2026-04-21T19:00/PT2H",
        "--event",
        "2026-04-20T19:00/PT2H",
        "--against",
        "none",
    ];
    let given = desk.json(&[&[&*file], &given[..]].concat());
    assert_eq!(
        (
            &given["events"][0]["dispatched"],
            &given["events"][1]["dispatched"]
        ),
        (&false.into(), &true.into())
    );
    assert_eq!(given["events"][1]["credited"], event["credited"]);
    // Homes that draw the same every half hour.
    let own = rule(&report, "of_two");
    assert_eq!((&own["rrmse"], &own["bias"]), (&"0.00".into(), &"0.00".into()));
    assert_eq!(own["phantom_kwh"], "0.000000");
    let paid = rule(&report, "unadj_10_10");
    assert_eq!(paid["site_days"], paid["without_baseline"]);
}

#[test]
fn what_cannot_be_tried_is_said_in_a_sentence() {
    let desk = Desk::new(None);
    let home = desk.london();
    let file = desk.write("winter.toml", &program("caiso_style_10_10", ""));
    let five = program("caiso_style_10_10", "").replace("interval_minutes = 30", "interval_minutes = 5");
    let five = desk.write("five.toml", &five);
    let cases: [(&[&str], &str); 6] = [
        (&[&file, "--on", &home], "say when: --event"),
        (
            &[&file, "--on", &home, "--on", "engine", "--window", "17:00/PT2H"],
            "not both",
        ),
        (
            &[&file, "--on", &home, "--on", &home, "--window", "17:00/PT2H"],
            "two files are of a site london-home",
        ),
        (
            &[
                &five,
                "--on",
                &home,
                "--interval",
                "30m",
                "--window",
                "17:00/PT2H",
            ],
            "intervals of 5 minutes",
        ),
        (
            &[
                &file,
                "--on",
                &home,
                "--window",
                "17:00/PT2H",
                "--from",
                "2020-01-01",
            ],
            "no day without an event",
        ),
        (
            &[
                &file,
                "--on",
                &home,
                "--window",
                "17:00/PT2H",
                "--against",
                "nonesuch",
            ],
            "no built-in rule",
        ),
    ];
    for (words, wanted) in cases {
        let error = desk.said(words).unwrap_err();
        assert!(error.contains(wanted), "{words:?}: {error}");
    }
}

/// What stands between a fence of this kind and its end.
fn fenced<'d>(document: &'d str, kind: &str) -> &'d str {
    let (_, rest) = document.split_once(&format!("\n```{kind}\n")).unwrap();
    let end = if rest.starts_with("```") {
        0
    } else {
        rest.find("\n```").unwrap() + 1
    };
    &rest[..end]
}

#[test]
fn the_documents_example_is_what_the_command_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/trying-a-program.md");
    let document = std::fs::read_to_string(path).unwrap();
    let desk = Desk::new(None);
    let file = desk.write("winter-evenings.toml", fenced(&document, "toml"));
    let home = desk.london();
    let command = fenced(&document, "sh").replace("\\\n", " ");
    let (_, arguments) = command.split_once(" try ").unwrap();
    let words: Vec<&str> = arguments
        .split_whitespace()
        .map(|word| match word {
            "winter-evenings.toml" => file.as_str(),
            "london-home.csv" => home.as_str(),
            word => word,
        })
        .collect();
    let folder = format!("{}/", desk.path().display());
    let printed = desk.said(&words).unwrap().replace(&folder, "");
    assert!(
        printed == fenced(&document, "text"),
        "{path} is to have this output:\n{printed}"
    );
}
