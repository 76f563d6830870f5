//! `gridtally engine ledger verify` and `… export`: the journal, for those who check it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{LedgerCommandError, PAGE};
use crate::ledger::chain::Head;
use crate::ledger::export::{Exporter, Format};
use crate::store::Store;
use crate::store::ledger::{self, LedgerError};

/// What is exported, and where to.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// For which program
    #[arg(long, value_enum)]
    pub format: Format,
    /// Only the first so many transactions (default: all)
    #[arg(long, value_name = "PLACE")]
    pub until: Option<u64>,
    /// The file to write (default: standard output)
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

pub(super) fn export(
    args: &ExportArgs,
    store: &mut Store,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    match &args.output {
        Some(path) => {
            let mut file = write(args, store, BufWriter::new(File::create(path)?))?;
            file.flush()?;
            Ok(file.get_ref().sync_all()?)
        }
        None => write(args, store, out).map(drop),
    }
}

fn write<W: Write>(args: &ExportArgs, store: &mut Store, out: W) -> Result<W, LedgerCommandError> {
    let mut exporter = Exporter::new(args.format, out)?;
    let mut head = Head::start();
    'journal: loop {
        let after = i64::try_from(head.place).unwrap_or(i64::MAX);
        let page = store.transact(|client| ledger::journal(client, after, PAGE))?;
        if page.is_empty() {
            break;
        }
        for recorded in page {
            if args.until.is_some_and(|until| head.place >= until) {
                break 'journal;
            }
            // What leaves was checked once more.
            head = head
                .check(recorded.head(), &recorded.transaction)
                .map_err(LedgerError::from)?;
            exporter.add(head, &recorded.transaction)?;
        }
    }
    Ok(exporter.finish()?)
}

pub(super) fn verify(json: bool, store: &mut Store, out: &mut impl Write) -> Result<(), LedgerCommandError> {
    let audit = store.transact(|client| ledger::verify(client))?;
    if json {
        writeln!(out, "{}", json!({ "holds": audit.holds(), "audit": audit }))?;
    } else if audit.holds() {
        let Head { place, hash } = audit.head;
        writeln!(
            out,
            "{place} transactions: each as it was posted, the chain whole, every balance the sum of its entries"
        )?;
        writeln!(out, "{hash}  is the hash of the journal up to {place}")?;
    }
    if audit.holds() {
        Ok(())
    } else {
        Err(LedgerCommandError::Unsound(format!("{audit:?}")))
    }
}
