//! `gridtally engine replay`: what settled events would have paid under other rules, before these are activated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cluster;
mod scenario;
mod shelf;

use clap::{Args as _, Command, FromArgMatches as _};
use cluster::Database;
use gridtally_settlement::cli::engine::{EngineArgs, answer};
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::settle;
use scenario::{PROGRAM, Scenario, at, engine};
use serde_json::Value;
use shelf::{pay_in, stored};

/// Replays the event days of April under a document.
fn said(database: &Database, document: &str, words: &[&str]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, document).unwrap();
    let data = folder.path().join("engine").display().to_string();
    let url = database.url();
    let place = ["engine", "--data", &data, "--database", &url, "replay"];
    let rules = ["--rules", rules.to_str().unwrap()];
    let matches = EngineArgs::augment_args(Command::new("engine"))
        .try_get_matches_from(place.iter().chain(&rules).chain(words))
        .map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    answer(EngineArgs::from_arg_matches(&matches).unwrap(), &mut out).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

const APRIL: [&str; 2] = ["--events", "2026-04-01..2026-04-30"];

#[test]
fn an_operator_sees_who_would_get_more_or_less_before_rules_change() {
    let database = Database::create();
    let mut store = stored(&database, &Scenario::new());
    pay_in(&mut store, "1", 50_000_000).unwrap();
    let unsettled = said(&database, PROGRAM, &APRIL).unwrap();
    assert!(unsettled.contains("No event of program evening-flex that began on these days is settled."));

    let bundle = tempfile::tempdir().unwrap();
    let settled = settle(
        &mut store,
        &engine(),
        &"tuesday-evening".parse().unwrap(),
        at("2026-04-22T06:00:00Z"),
        Patience::Deadline,
        &bundle.path().join("bundle"),
    );
    let statement = settled.unwrap().derived.statement;
    let json = |document: &str| -> Value {
        let words = [&APRIL[..], &["--json"]].concat();
        serde_json::from_str(&said(&database, document, &words).unwrap()).unwrap()
    };

    let same = json(PROGRAM);
    assert_eq!(same["sites_differing"], 0, "{same:#}");
    assert_eq!(same["sites"].as_array().unwrap().len(), statement.sites.len());

    let dearer = json(&PROGRAM.replace("\"0.85\"", "\"1.70\""));
    let paid: Vec<_> = statement
        .sites
        .iter()
        .filter(|site| site.totals.amount.base_units() != 0)
        .collect();
    assert!(!paid.is_empty());
    assert_eq!(dearer["sites_differing"], paid.len());
    for site in paid {
        let of = |value: &Value| {
            value["sites"]
                .as_array()
                .unwrap()
                .iter()
                .find(|s| s["site"] == site.site.as_str())
                .cloned()
        };
        let replayed = of(&dearer).unwrap();
        let amount = serde_json::to_value(site.totals.amount).unwrap();
        assert_eq!(
            (&replayed["paid"], &replayed["difference"]),
            (&amount, &amount),
            "twice the price"
        );
    }

    let text = said(&database, &PROGRAM.replace("\"0.85\"", "\"0.80\""), &APRIL).unwrap();
    assert!(text.contains("Sites differing: 2 of 3."), "{text}");
    assert!(text.contains("tuesday-evening"), "{text}");
    let other_days = said(&database, PROGRAM, &["--events", "2026-05-01..2026-05-31"]).unwrap();
    assert!(other_days.contains("is settled"), "{other_days}");
}

#[test]
fn what_cannot_be_replayed_is_said_in_a_sentence() {
    let database = Database::create();
    stored(&database, &Scenario::new());
    for (words, sentence) in [
        (["--events", "april"], "\"april\" are no days"),
        (["--events", "2026-04-30..2026-04-01"], "are no days"),
    ] {
        let error = said(&database, PROGRAM, &words).unwrap_err();
        assert!(error.contains(sentence), "{error}");
    }
    let error = said(&database, "id = 7", &APRIL).unwrap_err();
    assert!(error.contains("rules.toml"), "{error}");
}
