//! A journal for hledger. Account names are ours; they have no spaces.

use std::collections::BTreeSet;
use std::io::{self, Write};

use gridtally_protocol::quantity::Asset;

use super::{End, Layout};
use crate::ledger::Transaction;
use crate::ledger::chain::Head;

#[derive(Default)]
pub(super) struct Hledger {
    declared: BTreeSet<Asset>,
}

/// A commodity with digits in its name stands in quotes.
fn commodity(asset: &Asset) -> String {
    if asset.code().bytes().any(|b| b.is_ascii_digit()) {
        format!("\"{}\"", asset.code())
    } else {
        asset.code().to_owned()
    }
}

impl Layout for Hledger {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "; Gridtally ledger, hledger journal 1")
    }

    fn transaction(&mut self, place: Head, transaction: &Transaction, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        for entry in transaction.entries() {
            if self.declared.insert(entry.asset.clone()) {
                let zeros = "0".repeat(entry.asset.decimals().into());
                writeln!(out, "commodity 1000.{zeros} {}\n", commodity(&entry.asset))?;
            }
        }
        let (key, booked_at) = (transaction.key(), transaction.booked_at().to_string());
        let day = booked_at.get(..10).unwrap_or_default();
        writeln!(out, "{day} * ({key}) {}", key.kind())?;
        writeln!(out, "    ; place: {}, hash: {}", place.place, place.hash)?;
        write!(out, "    ; booked: {booked_at}")?;
        if let Some(end) = transaction.expires_at() {
            write!(out, ", expires: {end}")?;
        }
        writeln!(out)?;
        for entry in transaction.entries() {
            let (amount, commodity) = (entry.asset.show(entry.amount), commodity(&entry.asset));
            writeln!(
                out,
                "    {:<48}  {amount:>24} {commodity}",
                entry.account.to_string()
            )?;
        }
        Ok(())
    }

    fn end(&mut self, end: &End<'_>, out: &mut dyn Write) -> io::Result<()> {
        if !end.balances.is_empty() {
            let last = end.last_booked_at.to_string();
            writeln!(out, "\n{} * balances", last.get(..10).unwrap_or_default())?;
            for ((account, asset), balance) in end.balances {
                let (balance, commodity) = (asset.show(*balance), commodity(asset));
                let account = account.to_string();
                writeln!(out, "    {account:<48}  0 {commodity} = {balance} {commodity}")?;
            }
        }
        writeln!(out, "\n; place {} hash {}", end.head.place, end.head.hash)
    }

    fn seal(&self, sha256: &str) -> Option<String> {
        Some(format!("; sha256 {sha256}\n"))
    }
}
