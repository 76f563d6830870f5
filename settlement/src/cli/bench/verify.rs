//! `gridtally bench verify`.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::BenchCommandError;
use crate::bench::{VerifyCase, VerifyFigures, verify};

/// How verifying is measured.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// How many homes (10,000 unless --quick).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub homes: Option<u32>,
    /// How many reports a home signs in a day.
    #[arg(long, value_name = "N", default_value = "4", value_parser = ["1", "2", "4", "8", "16", "24", "48"])]
    pub reports_a_day: String,
    /// 1,000 homes.
    #[arg(long, conflicts_with = "homes")]
    pub quick: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(args: &VerifyArgs, out: &mut impl Write) -> Result<(), BenchCommandError> {
    let case = VerifyCase {
        homes: args.homes.unwrap_or(if args.quick { 1_000 } else { 10_000 }),
        reports_a_day: args.reports_a_day.parse().unwrap_or(4),
    };
    let figures = verify(case, |what| eprintln!("bench: {what}"))?;
    if args.json {
        writeln!(out, "{}", to_json(&figures))?;
    } else {
        print(&figures, out)?;
    }
    Ok(())
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "figures for people, fewer than 2^53"
)]
fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

/// How much of the speed of `alone` is left when a bundle is verified.
fn share(figures: &VerifyFigures, alone: Duration) -> f64 {
    alone.as_secs_f64() / figures.verify.as_secs_f64().max(1e-9)
}

fn stages(figures: &VerifyFigures) -> [(&'static str, &'static str, Duration); 5] {
    [
        (
            "single_one_core",
            "a  one by one, 1 core",
            figures.single_one_core,
        ),
        ("single_all_cores", "   one by one, all cores", figures.single),
        ("batch_one_core", "b  in batches, 1 core", figures.batch_one_core),
        ("batch_all_cores", "   in batches, all cores", figures.batch),
        ("verify", "c  verify, all cores", figures.verify),
    ]
}

fn to_json(figures: &VerifyFigures) -> Value {
    let mut object = json!({
        "homes": figures.case.homes, "reports_a_day": figures.case.reports_a_day, "bytes": figures.bytes,
        "signatures": figures.signatures, "readings": figures.readings,
        "ratio_to_single": share(figures, figures.single), "ratio_to_batch": share(figures, figures.batch),
    });
    for (name, _, took) in stages(figures) {
        let rate = per_second(figures.signatures, took).round();
        object[name] = json!({ "seconds": took.as_secs_f64(), "signatures_per_second": rate });
    }
    object
}

fn print(figures: &VerifyFigures, out: &mut impl Write) -> io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    writeln!(
        out,
        "One event of {} homes, {} reports a day each: {} signatures, {} readings, {} MiB. On {cores} cores:\n",
        figures.case.homes,
        figures.case.reports_a_day,
        figures.signatures,
        figures.readings,
        figures.bytes / (1 << 20)
    )?;
    writeln!(
        out,
        "  {:<28}{:>10}{:>14}{:>14}",
        "", "seconds", "signatures/s", "c as a share"
    )?;
    for (_, shown, took) in stages(figures) {
        writeln!(
            out,
            "  {shown:<28}{:>10.3}{:>14.0}{:>14.2}",
            took.as_secs_f64(),
            per_second(figures.signatures, took),
            share(figures, took)
        )?;
    }
    Ok(())
}
