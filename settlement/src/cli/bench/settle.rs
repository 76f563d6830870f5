//! `gridtally bench settle`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gridtally_protocol::time::{IntervalLength, TimeError};
use serde_json::{Value, json};

use super::BenchCommandError;
use crate::bench::{Case, SettleFigures, settle};

/// How settling is measured.
#[derive(Debug, Args)]
pub struct SettleArgs {
    /// How many sites; 10,000 and 100,000 are measured on the way there.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    pub sites: u32,
    /// The length of the metering intervals, in minutes.
    #[arg(long, value_name = "MINUTES", default_value = "30", value_parser = interval)]
    pub interval: IntervalLength,
    /// Put the rows of each day in the order in which a crowd reports, not in that of the sites.
    #[arg(long)]
    pub scattered: bool,
    /// Write the statement with every line and explanation to a file as well.
    #[arg(long)]
    pub written: bool,
    /// Only this many sites, nothing smaller on the way.
    #[arg(long)]
    pub alone: bool,
    /// Where the scratch database is made; take a disk like the engine's.
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub scratch: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn interval(text: &str) -> Result<IntervalLength, String> {
    let minutes: u32 = text.parse().map_err(|_| "is no number of minutes".to_owned())?;
    let length = IntervalLength::from_seconds(minutes.saturating_mul(60));
    length.map_err(|error: TimeError| error.to_string())
}

pub(super) fn run(args: &SettleArgs, out: &mut impl Write) -> Result<(), BenchCommandError> {
    let case = |sites| Case {
        sites,
        interval: args.interval,
        scattered: args.scattered,
        written: args.written,
    };
    let smaller = [10_000, 100_000]
        .into_iter()
        .filter(|sites| !args.alone && *sites < args.sites);
    let cases: Vec<_> = smaller.chain([args.sites]).map(case).collect();
    let figures = settle(&cases, &args.scratch, |what| eprintln!("bench: {what}"))?;
    if args.json {
        let first = figures.first();
        let all = figures.iter().map(|one| to_json(one, first));
        writeln!(out, "{}", Value::Array(all.collect()))?;
    } else {
        print(&figures, args, out)?;
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

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64().max(1e-9)
}

/// Seconds per site, as a multiple of those of the smallest case.
fn growth(one: &SettleFigures, first: Option<&SettleFigures>) -> f64 {
    let per_site = |f: &SettleFigures| f.total().as_secs_f64() / f64::from(f.case.sites.max(1));
    first.map_or(1.0, |first| per_site(one) / per_site(first).max(1e-12))
}

fn to_json(one: &SettleFigures, first: Option<&SettleFigures>) -> Value {
    json!({
        "sites": one.case.sites, "interval_minutes": one.case.interval.seconds() / 60,
        "scattered": one.case.scattered, "statement_written_bytes": one.statement_bytes,
        "fetch_seconds": one.fetch.as_secs_f64(), "fetched_bytes": one.fetched,
        "settle_seconds": one.settle.as_secs_f64(), "post_seconds": one.post.as_secs_f64(),
        "commit_seconds": one.commit.as_secs_f64(), "total_seconds": one.total().as_secs_f64(),
        "sites_per_second": per_second(one.case.sites.into(), one.total()).round(),
        "ratio_to_fetch": ratio(one.total(), one.fetch),
        "ratio_to_fetch_without_posting": ratio(one.settle, one.fetch),
        "growth_per_site": growth(one, first), "ledger_entries": one.entries,
        "read_again": one.looked.read_again, "judged": one.looked.judged, "memory_kib": one.memory_kib,
    })
}

fn print(figures: &[SettleFigures], args: &SettleArgs, out: &mut impl Write) -> io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    writeln!(
        out,
        "One 4-hour event, 10-in-10 adjusted, every line explained, intervals of {} minutes, rows {}.\n\
         On {cores} cores, shared by engine and database in {}:\n",
        args.interval.seconds() / 60,
        if args.scattered {
            "scattered"
        } else {
            "in the order of sites"
        },
        args.scratch.display()
    )?;
    writeln!(
        out,
        "{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>11}{:>9}{:>9}{:>11}",
        "sites",
        "fetch s",
        "settle s",
        "post s",
        "commit s",
        "total s",
        "sites/s",
        "× fetch",
        "growth",
        "memory MiB"
    )?;
    for one in figures {
        let memory = one
            .memory_kib
            .map_or_else(|| "?".to_owned(), |kib| (kib / 1024).to_string());
        writeln!(
            out,
            "{:>9}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>11.0}{:>9.2}{:>9.2}{memory:>11}",
            one.case.sites,
            one.fetch.as_secs_f64(),
            one.settle.as_secs_f64(),
            one.post.as_secs_f64(),
            one.commit.as_secs_f64(),
            one.total().as_secs_f64(),
            per_second(one.case.sites.into(), one.total()),
            ratio(one.total(), one.fetch),
            growth(one, figures.first()),
        )?;
    }
    Ok(())
}
