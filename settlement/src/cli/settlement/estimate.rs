//! `gridtally engine estimate`: what an event would pay, without settling it.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use gridtally_protocol::identity::Identity;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use serde_json::json;

use super::{SettlementCommandError, tell};
use crate::proofs::settle;
use crate::store::Store;

/// An event whose payment is wanted in advance.
#[derive(Debug, Args)]
pub struct EstimateArgs {
    /// The event's name
    pub event: EventId,
    /// Write the whole statement here, with every line and its explanation
    #[arg(long, value_name = "FILE")]
    pub statement: Option<PathBuf>,
    /// Print JSON: the statement without its sites, and the transactions
    #[arg(long)]
    pub json: bool,
}

/// From so many sites on, somebody waits and wants to see how far it is.
const TOLD_EVERY: u64 = 20_000;

/// Says what an event would pay by what has come in.
///
/// # Errors
/// [`SettlementCommandError`] as a sentence.
pub fn run_estimate(
    args: &EstimateArgs,
    store: &mut Store,
    engine: Identity,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), SettlementCommandError> {
    let begun = Instant::now();
    let mut told = 0;
    let progress = |done: u64| {
        if done >= told + TOLD_EVERY {
            told = done;
            eprintln!("{done} sites are done");
        }
    };
    let file = args.statement.as_deref();
    let streamed = settle::estimate(store, engine, &args.event, now, file, progress)?;
    let (statement, looked) = (&streamed.statement, streamed.looked);
    if args.json {
        let transactions: Vec<_> = streamed.bookings.all().collect();
        let value = json!({
            "settled_at": now, "statement": statement, "transactions": transactions, "looked_at": looked,
        });
        return Ok(writeln!(out, "{value}")?);
    }
    writeln!(
        out,
        "By what had come in by {now}, event {} would pay:",
        args.event
    )?;
    tell::tell_sum(statement, out)?;
    writeln!(
        out,
        "{} sites, of which the signed reports of {} were judged again, in {:.1} s. Nothing is kept.",
        looked.sites,
        looked.judged,
        begun.elapsed().as_secs_f64()
    )?;
    if let Some(file) = file {
        writeln!(out, "The statement with every line: {}", file.display())?;
    }
    Ok(writeln!(
        out,
        "To pay it, with the evidence that proves it: gridtally engine settle {}",
        args.event
    )?)
}
