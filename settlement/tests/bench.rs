//! That the measurements run, and measure what they say.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use clap::{Args as _, Command, FromArgMatches as _};
use gridtally_settlement::cli::bench::{BenchArgs, run};
use serde_json::Value;

#[test]
fn a_quick_measurement_of_ingest_takes_every_report_and_leaves_nothing_behind() {
    let scratch = tempfile::tempdir().unwrap();
    let words = [
        "bench",
        "ingest",
        "--quick",
        "--json",
        "--scratch",
        scratch.path().to_str().unwrap(),
    ];
    // The database's user must pass through it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scratch.path(), open).unwrap();
    let matches = BenchArgs::augment_args(Command::new("bench"))
        .try_get_matches_from(words)
        .unwrap();
    let mut out = Vec::new();
    run(&BenchArgs::from_arg_matches(&matches).unwrap(), &mut out).unwrap();
    let figures: Value = serde_json::from_slice(&out).unwrap();
    let shape = |of: &str| {
        figures
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f[of].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(shape("reports"), [400, 200, 100]);
    assert_eq!(shape("readings"), [2_000, 12_000, 48_000]);
    for figure in figures.as_array().unwrap() {
        for ratio in [
            "ratio_to_verify_one_core",
            "ratio_to_verify_all_cores",
            "ratio_to_insert",
        ] {
            assert!(figure[ratio].as_f64().unwrap() > 0.0, "{figure}");
        }
    }
    assert_eq!(scratch.path().read_dir().unwrap().count(), 0);
}

/// What a benchmark prints as JSON; it leaves nothing behind in its scratch directory.
fn measured(words: &[&str]) -> Value {
    let scratch = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scratch.path(), open).unwrap();
    let place = ["--json", "--scratch", scratch.path().to_str().unwrap()];
    let matches = BenchArgs::augment_args(Command::new("bench"))
        .try_get_matches_from(["bench"].iter().chain(words).chain(&place))
        .unwrap();
    let mut out = Vec::new();
    run(&BenchArgs::from_arg_matches(&matches).unwrap(), &mut out).unwrap();
    assert_eq!(scratch.path().read_dir().unwrap().count(), 0);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_small_measurement_of_settling_settles_every_site_and_leaves_nothing_behind() {
    let figures = measured(&["settle", "--sites", "300", "--alone", "--scattered", "--written"]);
    let figure = &figures[0];
    assert_eq!(figure["sites"], 300);
    // All have whole data: nobody's look-back is read twice, and those who answered are paid.
    assert_eq!((&figure["read_again"], &figure["judged"]), (&0.into(), &0.into()));
    assert!(figure["ledger_entries"].as_u64().unwrap() > 250, "{figure}");
    assert!(
        figure["statement_written_bytes"].as_u64().unwrap() > 300_000,
        "{figure}"
    );
    assert!(
        figure["fetched_bytes"].as_u64().unwrap() > 300 * 16 * 100,
        "{figure}"
    );
}

#[test]
fn a_quick_measurement_of_the_ledger_posts_everything_and_leaves_nothing_behind() {
    let figures = measured(&["ledger", "--quick"]);
    let entries: Vec<_> = figures
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["entries"].as_u64().unwrap())
        .collect();
    assert_eq!(entries, [40, 400, 202]);
    for figure in figures.as_array().unwrap() {
        assert!(figure["ratio_to_bare"].as_f64().unwrap() > 0.0, "{figure}");
    }
}

#[test]
fn a_small_measurement_of_verifying_finds_every_signature_and_pays() {
    let words = [
        "bench",
        "verify",
        "--homes",
        "20",
        "--reports-a-day",
        "2",
        "--json",
    ];
    let matches = BenchArgs::augment_args(Command::new("bench"))
        .try_get_matches_from(words)
        .unwrap();
    let mut out = Vec::new();
    run(&BenchArgs::from_arg_matches(&matches).unwrap(), &mut out).unwrap();
    let figure: Value = serde_json::from_slice(&out).unwrap();
    // An instruction and an answer for each home, and two reports on each of sixteen days.
    assert_eq!(figure["signatures"], 20 * (2 + 2 * 16));
    assert_eq!(figure["readings"], 20 * 16 * 48 * 2);
    for ratio in ["ratio_to_single", "ratio_to_batch"] {
        assert!(figure[ratio].as_f64().unwrap() > 0.0, "{figure}");
    }
}
