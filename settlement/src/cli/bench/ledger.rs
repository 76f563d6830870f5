//! `gridtally bench ledger`.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::{BenchCommandError, IngestArgs};
use crate::bench::{LedgerFigures, LedgerShape, ledger};

pub(super) fn run(args: &IngestArgs, out: &mut impl Write) -> Result<(), BenchCommandError> {
    let shape = |name, owners: u32, batch, transactions, few| LedgerShape {
        name,
        transactions: if args.quick { few } else { transactions },
        owners: if args.quick { owners.min(100) } else { owners },
        accounts: if args.quick { 100 } else { 10_000 },
        batch,
    };
    let shapes = [
        shape("single", 1, 1, 1_000, 20),
        shape("batched", 1, 5_000, 50_000, 200),
        shape("settlements", 10_000, 1, 20, 2),
    ];
    let figures = ledger(&shapes, &args.scratch, |what| eprintln!("bench: {what}"))?;
    if args.json {
        writeln!(out, "{}", Value::Array(figures.iter().map(to_json).collect()))?;
        return Ok(());
    }
    writeln!(
        out,
        "{:<14}{:>14}{:>10}{:>18}{:>14}{:>14}",
        "", "transactions", "entries", "bare, entries/s", "posted", "of the bare"
    )?;
    for one in &figures {
        writeln!(
            out,
            "{:<14}{:>14}{:>10}{:>18.0}{:>14.0}{:>14.2}",
            one.shape.name,
            one.shape.transactions,
            one.entries,
            rate(one.entries, one.bare),
            rate(one.entries, one.posted),
            share(one.bare, one.posted)
        )?;
    }
    Ok(())
}

fn rate(count: u64, took: Duration) -> f64 {
    // Fewer than 2^53.
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "a figure for people"
    )]
    let count = count as f64;
    count / took.as_secs_f64().max(1e-9)
}

/// How much of the speed of `limit` is left.
fn share(limit: Duration, took: Duration) -> f64 {
    limit.as_secs_f64() / took.as_secs_f64().max(1e-9)
}

fn to_json(figures: &LedgerFigures) -> Value {
    let transactions = u64::from(figures.shape.transactions);
    let stage = |took: Duration| {
        json!({
            "seconds": took.as_secs_f64(),
            "posts_per_second": rate(transactions, took).round(),
            "entries_per_second": rate(figures.entries, took).round(),
        })
    };
    json!({
        "shape": figures.shape.name, "transactions": transactions, "entries": figures.entries,
        "owners": figures.shape.owners, "batch": figures.shape.batch,
        "bare": stage(figures.bare), "posted": stage(figures.posted),
        "ratio_to_bare": share(figures.bare, figures.posted),
    })
}
