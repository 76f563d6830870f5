//! `gridtally engine test …`: test dispatches.

use std::io::Write;

use clap::{Args, Subcommand};
use gridtally_protocol::time::Timestamp;
use serde_json::json;

use super::show::write_json;
use super::table::Table;
use super::{EngineCommandError, Place};
use crate::capacity::period::Period;
use crate::capacity::verdict::Verdict;
use crate::dispatch::testing::{self, TestError};
use crate::dispatch::{check, judge, proven};
use crate::engine::engine_key;
use crate::events::revision::Why;
use crate::rules::program::ProgramId;
use crate::rules::statement::SiteId;
use crate::store::StoreError;
use crate::store::capacity::{self, Kept, StoredPeriod, StoredTest};

/// What may be done with test dispatches.
#[derive(Debug, Subcommand)]
pub enum TestCommand {
    /// Draw a period's seed and print its commitment, before the period begins; publish that.
    Commit(PeriodArgs),
    /// Send the tests that are due, each with the notice of an event. A running engine does so by itself.
    Run,
    /// Write down beforehand that a site cannot be tested.
    Declare(DeclareArgs),
    /// Judge the tests whose day is over. A running engine does so by itself.
    Judge,
    /// Show tests, and what each proved.
    Show(ShowArgs),
    /// Show what each site of a program has proved, and may enrol.
    Capacity(CapacityArgs),
    /// Tell a period's seed, when the period is over.
    Reveal(PeriodArgs),
    /// Draw a period again from its seed, and name the first test that is not as it was drawn.
    Check(PeriodArgs),
}

/// A program's tests of one month.
#[derive(Debug, Args)]
pub struct PeriodArgs {
    /// The program.
    #[arg(long, value_name = "ID")]
    pub program: ProgramId,
    /// The month, as 2026-12: the weeks whose Monday is in it.
    #[arg(long, value_name = "MONTH")]
    pub period: Period,
}

/// When a site cannot be tested.
#[derive(Debug, Args)]
pub struct DeclareArgs {
    /// The site, as it was enrolled.
    pub site: SiteId,
    /// The program.
    #[arg(long, value_name = "ID")]
    pub program: ProgramId,
    /// From this instant on, not before the present.
    #[arg(long, value_name = "INSTANT")]
    pub from: Timestamp,
    /// Before this instant.
    #[arg(long, value_name = "INSTANT")]
    pub until: Timestamp,
    /// Why.
    #[arg(long, value_name = "REASON")]
    pub why: Why,
}

/// Which tests.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The program.
    #[arg(long, value_name = "ID")]
    pub program: ProgramId,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Whose capacity.
#[derive(Debug, Args)]
pub struct CapacityArgs {
    /// The site; all of the program's without it.
    pub site: Option<SiteId>,
    /// The program.
    #[arg(long, value_name = "ID")]
    pub program: ProgramId,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(
    place: &Place,
    command: TestCommand,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let now = place.now();
    let store = &mut place.open()?.store;
    match command {
        TestCommand::Commit(args) => {
            let kept = testing::commit(store, &args.program, args.period, now)?;
            writeln!(
                out,
                "The tests of {} in {} are drawn from a seed with the commitment {}.",
                kept.program, kept.period, kept.commitment
            )?;
        }
        TestCommand::Run => {
            let done = testing::run(store, &engine_key(&place.data)?, now)?;
            for test in &done {
                writeln!(out, "{} at {}: {}", test.site, test.start, outcome(test))?;
            }
            writeln!(out, "{} tests were due.", done.len())?;
        }
        TestCommand::Declare(args) => {
            let span = (args.from, args.until);
            testing::declare(store, (&args.program, &args.site), span, &args.why, now)?;
            writeln!(
                out,
                "Site {} is not tested from {} until {}.",
                args.site, args.from, args.until
            )?;
        }
        TestCommand::Judge => {
            let judged = judge(store, now)?;
            for test in &judged {
                writeln!(out, "{} at {}: {}", test.site, test.start, outcome(test))?;
            }
            writeln!(out, "{} tests were judged.", judged.len())?;
        }
        TestCommand::Show(args) => {
            let (periods, tests) = store.transact(|client| {
                let periods = capacity::periods(client)?;
                Ok::<_, StoreError>((periods, capacity::tests(client, &args.program)?))
            })?;
            let of_program = |period: &StoredPeriod| period.program == args.program;
            let periods: Vec<_> = periods.into_iter().filter(of_program).collect();
            show(&periods, &tests, args.json, out)?;
        }
        TestCommand::Capacity(args) => show_capacity(&args, store, now, out)?,
        TestCommand::Reveal(args) => {
            let kept = testing::reveal(store, &args.program, args.period, now)?;
            writeln!(
                out,
                "The seed of {} in {}: {}",
                kept.program,
                kept.period,
                kept.seed.reveal()
            )?;
        }
        TestCommand::Check(args) => {
            let period = args.period;
            let (drawn, finding) = check(store, &args.program, period)?;
            if let Some(finding) = finding {
                let finding = Box::new(finding);
                return Err(EngineCommandError::NotAsDrawn { period, finding });
            }
            writeln!(out, "All {drawn} tests of {period} are as they were drawn.")?;
        }
    }
    Ok(())
}

fn outcome(test: &StoredTest) -> String {
    match (&test.verdict, &test.outcome) {
        (Some(Verdict::Passed(power)), _) => format!("passed, {power} W"),
        (Some(Verdict::Failed(failure)), _) => format!("failed, {failure}"),
        (Some(Verdict::Void(void)), _) => format!("void, {void}"),
        (Some(Verdict::Unavailable), _) => "unavailable".to_owned(),
        (None, Kept::Sent) => "sent".to_owned(),
        (None, Kept::Unavailable) => "left out, it had said that it cannot".to_owned(),
        (None, Kept::Event(event)) => format!("left out, event {event} has it"),
    }
}

fn show(
    periods: &[StoredPeriod],
    tests: &[StoredTest],
    json: bool,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    // What is not told yet is shown to nobody.
    let seed = |period: &StoredPeriod| period.revealed_at.map(|_| period.seed.reveal());
    if json {
        let periods: Vec<_> = periods
            .iter()
            .map(|period| {
                json!({
                    "period": period.period.to_string(), "program_version": period.program_version,
                    "commitment": period.commitment.to_string(), "committed_at": period.committed_at,
                    "seed": seed(period),
                })
            })
            .collect();
        let tests: Vec<_> = tests
            .iter()
            .map(|test| {
                json!({
                    "name": test.name.as_str(), "site": test.site, "period": test.period.to_string(),
                    "monday": test.monday, "start": test.start, "asked_milliwatts": test.asked,
                    "outcome": outcome(test), "verdict": test.verdict, "recorded_at": test.recorded_at,
                })
            })
            .collect();
        return write_json(&json!({ "periods": periods, "tests": tests }), out);
    }
    for period in periods {
        let told = seed(period).unwrap_or_else(|| "not told yet".to_owned());
        writeln!(
            out,
            "{}: commitment {} of {}, seed {told}",
            period.period, period.commitment, period.committed_at
        )?;
    }
    let mut table = Table::new(["start", "site", "asked W", "what became of it"]);
    for test in tests {
        table.row([
            test.start.to_string(),
            test.site.to_string(),
            test.asked.to_string(),
            outcome(test),
        ]);
    }
    Ok(table.print(out)?)
}

fn show_capacity(
    args: &CapacityArgs,
    store: &mut crate::store::Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let mut proven = store.transact(|client| proven(client, &args.program, now))?;
    if let Some(site) = &args.site {
        let one = proven.remove(site).ok_or_else(|| TestError::NotEnrolled {
            site: site.clone(),
            program: args.program.clone(),
        })?;
        proven = [(site.clone(), one)].into();
    }
    if args.json {
        let sites: Vec<_> = proven
            .iter()
            .map(|(site, proven)| {
                json!({
                    "site": site, "capacity_milliwatts": proven.as_ref().ok(),
                    "unproven": proven.as_ref().err().map(ToString::to_string),
                })
            })
            .collect();
        return write_json(&json!({ "sites": sites }), out);
    }
    let mut table = Table::new(["site", "capacity"]);
    for (site, proven) in &proven {
        let shown = match proven {
            Ok(power) => format!("{power} W"),
            Err(why) => format!("none: {why}"),
        };
        table.row([site.to_string(), shown]);
    }
    Ok(table.print(out)?)
}
