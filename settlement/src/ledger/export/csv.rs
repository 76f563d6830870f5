//! An entry a line. No field has a comma, a quote or a line break: keys and names have none.

use std::io::{self, Write};

use super::{End, Layout};
use crate::ledger::Transaction;
use crate::ledger::chain::Head;

pub(super) struct Csv;

impl Layout for Csv {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "place,hash,key,kind,booked_at,expires_at,account,asset,decimals,base_units,amount"
        )
    }

    fn transaction(&mut self, place: Head, transaction: &Transaction, out: &mut dyn Write) -> io::Result<()> {
        let Head { place, hash } = place;
        let (key, booked_at) = (transaction.key(), transaction.booked_at());
        let expires_at = transaction
            .expires_at()
            .map(|end| end.to_string())
            .unwrap_or_default();
        for entry in transaction.entries() {
            let (asset, units) = (&entry.asset, entry.amount.base_units());
            let (code, decimals, amount) = (asset.code(), asset.decimals(), asset.show(entry.amount));
            writeln!(
                out,
                "{place},{hash},{key},{},{booked_at},{expires_at},{},{code},{decimals},{units},{amount}",
                key.kind(),
                entry.account
            )?;
        }
        Ok(())
    }

    fn end(&mut self, _: &End<'_>, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn seal(&self, _: &str) -> Option<String> {
        None
    }
}
