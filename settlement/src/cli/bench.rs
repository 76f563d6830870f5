//! `gridtally bench …`: how fast the engine is on this machine.

mod ledger;
mod settle;
mod verify;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::bench::{BenchError, Figures, Size, ingest};

/// How fast the engine is on this machine.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub command: BenchCommand,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Reports from MQTT to durable, beside signature verification alone and bulk insert alone.
    Ingest(IngestArgs),
    /// Settling one event of very many sites, from PostgreSQL to the posted ledger, beside the bare fetch of the
    /// same bytes.
    Settle(settle::SettleArgs),
    /// Posting to the ledger, single and batched, beside the bare insert of the same rows.
    Ledger(IngestArgs),
    /// Verifying the bundle of one event, beside the verification of its signatures alone.
    Verify(verify::VerifyArgs),
}

/// How it is measured.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Only see that it works: a few of each size.
    #[arg(long)]
    pub quick: bool,
    /// Where the scratch database is made; take a disk like the engine's.
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub scratch: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
pub enum BenchCommandError {
    /// The measurement.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The output.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Measures what was asked for; the figures go to `out`, progress to standard error.
///
/// # Errors
/// [`BenchCommandError`] as a sentence.
pub fn run(args: &BenchArgs, out: &mut impl Write) -> Result<(), BenchCommandError> {
    let args = match &args.command {
        BenchCommand::Ingest(args) => args,
        BenchCommand::Settle(args) => return settle::run(args, out),
        BenchCommand::Ledger(args) => return ledger::run(args, out),
        BenchCommand::Verify(args) => return verify::run(args, out),
    };
    let figures = ingest(&sizes(args.quick), &args.scratch, |what| {
        eprintln!("bench: {what}")
    })?;
    if args.json {
        writeln!(out, "{}", Value::Array(figures.iter().map(to_json).collect()))?;
    } else {
        print(&figures, &args.scratch, out)?;
    }
    Ok(())
}

fn sizes(quick: bool) -> [Size; 3] {
    let size = |intervals, reports, few| Size {
        intervals,
        reports: if quick { few } else { reports },
    };
    [size(1, 10_000, 400), size(12, 3_000, 200), size(96, 600, 100)]
}

/// The rates and ratios of one size.
struct Rates<'a>(&'a Figures);

impl Rates<'_> {
    fn reports(&self, took: Duration) -> f64 {
        // Fewer than 2^53.
        #[expect(
            clippy::as_conversions,
            clippy::cast_precision_loss,
            reason = "a figure for people"
        )]
        let reports = self.0.reports as f64;
        reports / took.as_secs_f64().max(1e-9)
    }

    fn readings(&self, took: Duration) -> f64 {
        self.reports(took) * f64::from(self.0.size.intervals) * 5.0
    }

    /// How much of the speed of `alone` is left from MQTT to durable.
    fn share_of(&self, alone: Duration) -> f64 {
        alone.as_secs_f64() / self.0.mqtt_to_durable.as_secs_f64().max(1e-9)
    }
}

fn to_json(figures: &Figures) -> Value {
    let rates = Rates(figures);
    let stage = |took: Duration| {
        json!({
            "seconds": took.as_secs_f64(),
            "reports_per_second": rates.reports(took).round(),
            "readings_per_second": rates.readings(took).round(),
        })
    };
    json!({
        "intervals": figures.size.intervals, "reports": figures.reports, "readings": figures.readings,
        "bytes": figures.bytes,
        "verify_one_core": stage(figures.verify_one_core), "verify_all_cores": stage(figures.verify_all_cores),
        "insert": stage(figures.insert), "mqtt_to_durable": stage(figures.mqtt_to_durable),
        "ratio_to_verify_one_core": rates.share_of(figures.verify_one_core),
        "ratio_to_verify_all_cores": rates.share_of(figures.verify_all_cores),
        "ratio_to_insert": rates.share_of(figures.insert),
    })
}

fn print(figures: &[Figures], scratch: &Path, out: &mut impl Write) -> io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    writeln!(
        out,
        "On {cores} cores, shared by publisher, broker, engine and database in {}:",
        scratch.display()
    )?;
    for one in figures {
        let rates = Rates(one);
        let len = one.bytes / one.reports.max(1);
        writeln!(
            out,
            "\n{} reports of {} intervals × 5 channels: {} readings, {len} bytes a report",
            one.reports, one.size.intervals, one.readings
        )?;
        writeln!(
            out,
            "  {:<28}{:>10}{:>12}{:>14}{:>14}",
            "", "seconds", "reports/s", "readings/s", "c as a share"
        )?;
        let mut line = |name: &str, took: Duration| {
            writeln!(
                out,
                "  {name:<28}{:>10.3}{:>12.0}{:>14.0}{:>14.2}",
                took.as_secs_f64(),
                rates.reports(took),
                rates.readings(took),
                rates.share_of(took)
            )
        };
        line("a  verify alone, 1 core", one.verify_one_core)?;
        line("   verify alone, all cores", one.verify_all_cores)?;
        line("b  insert alone", one.insert)?;
        line("c  from MQTT to durable", one.mqtt_to_durable)?;
    }
    Ok(())
}
