//! The journal for other programs: hledger, beancount, CSV and JSON.
//!
//! The same journal gives the same bytes. Except for CSV, which has no place for it, the last line bears the SHA-256
//! of every byte before it, and the end of the hash chain. Amounts keep their signs: positive is what an account
//! received, so that each transaction, and all balances together, add up to nothing.

mod beancount;
mod csv;
mod hledger;
mod json;

use std::collections::BTreeMap;
use std::io::{self, Write};

use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::chain::Head;
use super::{AccountName, Transaction};

/// For which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A journal that hledger reads, with an assertion of every balance at its end.
    Hledger,
    /// A file that beancount reads, with an assertion of every balance on the day after the last one.
    Beancount,
    /// An entry a line.
    Csv,
    /// One object: the transactions and the balances.
    Json,
}

/// What every balance is at the end of an export.
type Balances = BTreeMap<(AccountName, Asset), TokenAmount>;

/// A way of writing a journal down.
trait Layout {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()>;
    fn transaction(&mut self, place: Head, transaction: &Transaction, out: &mut dyn Write) -> io::Result<()>;
    /// Everything but the last line.
    fn end(&mut self, end: &End<'_>, out: &mut dyn Write) -> io::Result<()>;
    /// The last line, where the format has a place for it.
    fn seal(&self, sha256: &str) -> Option<String>;
}

/// What is known at the end.
struct End<'e> {
    head: Head,
    last_booked_at: Timestamp,
    balances: &'e Balances,
}

/// Writes a journal, transaction by transaction.
pub struct Exporter<W: Write> {
    out: Hashing<W>,
    layout: Box<dyn Layout>,
    head: Head,
    last_booked_at: Timestamp,
    balances: Balances,
}

impl<W: Write> core::fmt::Debug for Exporter<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Exporter")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl<W: Write> Exporter<W> {
    /// Begins an export.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(format: Format, out: W) -> io::Result<Self> {
        let mut layout: Box<dyn Layout> = match format {
            Format::Hledger => Box::new(hledger::Hledger::default()),
            Format::Beancount => Box::new(beancount::Beancount::default()),
            Format::Csv => Box::new(csv::Csv),
            Format::Json => Box::new(json::Json::default()),
        };
        let mut out = Hashing {
            out,
            hash: Sha256::new(),
        };
        layout.begin(&mut out)?;
        Ok(Self {
            out,
            layout,
            head: Head::start(),
            last_booked_at: Timestamp::EPOCH,
            balances: Balances::new(),
        })
    }

    /// Writes the next transaction of the journal.
    ///
    /// # Errors
    /// Those of `out`; [`io::ErrorKind::InvalidData`] where a balance has more digits than there are.
    pub fn add(&mut self, place: Head, transaction: &Transaction) -> io::Result<()> {
        for entry in transaction.entries() {
            let balance = self
                .balances
                .entry((entry.account.clone(), entry.asset.clone()))
                .or_insert(TokenAmount::ZERO);
            *balance = balance
                .checked_add(entry.amount)
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        }
        self.head = place;
        self.last_booked_at = self.last_booked_at.max(transaction.booked_at());
        self.layout.transaction(place, transaction, &mut self.out)
    }

    /// Writes the end, and gives `out` back.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<W> {
        let end = End {
            head: self.head,
            last_booked_at: self.last_booked_at,
            balances: &self.balances,
        };
        self.layout.end(&end, &mut self.out)?;
        let sha256 = hex::encode(self.out.hash.finalize());
        if let Some(line) = self.layout.seal(&sha256) {
            self.out.out.write_all(line.as_bytes())?;
        }
        self.out.out.flush()?;
        Ok(self.out.out)
    }
}

struct Hashing<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
