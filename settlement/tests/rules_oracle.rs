//! Statements against an independent settlement in Python (`tests/oracle/settle.py`), on random neighbourhoods.

mod neighbourhood;

use std::io::Write;
use std::process::{Command, Stdio};

use gridtally_settlement::rules::statement::{SiteStatement, SiteStatus, Statement, settle};
use serde_json::{Value, json};

const SEEDS: u64 = 400;

/// Feeds the oracle one settlement a line.
fn oracle(inputs: &str) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/oracle/settle.py");
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 has to be installed: it settles independently");
    let mut stdin = python.stdin.take().unwrap();
    let inputs = inputs.to_owned();
    let feed = std::thread::spawn(move || stdin.write_all(inputs.as_bytes()));
    let output = python.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert!(output.status.success(), "the oracle ended with {}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn site(site: &SiteStatement) -> Value {
    let explanation = site.baseline.explanation();
    let lines: Vec<_> = site
        .lines
        .iter()
        .enumerate()
        .map(|(i, line)| {
            let interval = explanation.map(|e| &e.intervals[i]);
            json!([
                line.start,
                interval.map(|b| b.raw),
                interval.map(|b| b.exact),
                line.baseline,
                line.metered,
                line.credited,
                line.amount,
                line.reason,
            ])
        })
        .collect();
    json!({
        "site": site.site,
        "days": explanation.map(|e| e.chosen_days()),
        "factor": explanation.and_then(|e| e.adjustment.as_ref()).map(|a| a.applied),
        "lines": lines,
        "amount": site.totals.amount,
    })
}

fn summary(statement: &Statement) -> Value {
    json!({
        "sites": statement.sites.iter().map(site).collect::<Vec<_>>(),
        "amount": statement.totals.amount,
        "remainder": statement.rounding.remainder,
        "posted": statement.rounding.posted,
        "carry_out": statement.rounding.carry_out,
        "escrow_debit": statement.escrow_debit,
    })
}

#[test]
fn an_independent_settlement_finds_the_same_days_baselines_and_tokens() {
    let neighbourhoods: Vec<_> = (0..SEEDS).map(neighbourhood::random).collect();
    let statements: Vec<_> = neighbourhoods
        .iter()
        .map(|inputs| settle(inputs).unwrap())
        .collect();
    let jobs = [0, 1].map(|half| {
        let lines = neighbourhoods
            .iter()
            .skip(half)
            .step_by(2)
            .map(|i| serde_json::to_string(i).unwrap() + "\n");
        let lines: String = lines.collect();
        std::thread::spawn(move || oracle(&lines))
    });
    let [even, odd] = jobs.map(|job| job.join().unwrap().into_iter());
    let (mut even, mut odd) = (even, odd);
    for (seed, statement) in statements.iter().enumerate() {
        let expected = if seed % 2 == 0 { even.next() } else { odd.next() };
        assert_eq!(Some(summary(statement)), expected, "seed {seed}");
    }
    // Equality says little unless the seeds meet every case often.
    let sites = || statements.iter().flat_map(|s| &s.sites);
    for status in [
        SiteStatus::Paid,
        SiteStatus::NothingEarned,
        SiteStatus::NoBaseline,
        SiteStatus::OptedOut,
        SiteStatus::NoAnswer,
    ] {
        let times = sites().filter(|s| s.status == status).count();
        println!("{status}: {times} sites");
        assert!(times >= 10, "{status} occurs only {times} times");
    }
}
