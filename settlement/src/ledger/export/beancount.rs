//! A file for beancount. Its account names are narrower than ours, so that holders are written in an escaped form;
//! the name as it is stands beside it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use gridtally_protocol::quantity::Asset;
use gridtally_protocol::time::Timestamp;

use super::{End, Layout};
use crate::ledger::chain::Head;
use crate::ledger::{AccountName, Transaction};

const DAY_SECONDS: i64 = 86_400;

#[derive(Default)]
pub(super) struct Beancount {
    accounts: BTreeSet<AccountName>,
    assets: BTreeSet<Asset>,
}

/// A currency begins with a letter.
fn currency(asset: &Asset) -> String {
    if asset.code().starts_with(|c: char| c.is_ascii_digit()) {
        format!("N.{}", asset.code())
    } else {
        asset.code().to_owned()
    }
}

/// `Assets:Beneficiary:H-owner-1`. What is neither a letter, a digit nor `-`, and `Z` itself, becomes `Z` and two hex
/// digits, so that no two names become one.
pub(super) fn account(name: &AccountName) -> String {
    let text = name.to_string();
    let Some((_, holder)) = text.split_once(':') else {
        return match name {
            AccountName::Issuance => "Equity:Issuance".to_owned(),
            _ => "Assets:Clearing".to_owned(),
        };
    };
    let mut purpose = name.purpose().to_owned();
    if let Some(first) = purpose.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let mut escaped = String::with_capacity(holder.len());
    for byte in holder.bytes() {
        let c = char::from(byte);
        if (c.is_ascii_alphanumeric() || c == '-') && c != 'Z' {
            escaped.push(c);
        } else {
            escaped.push_str(&format!("Z{byte:02x}"));
        }
    }
    format!("Assets:{purpose}:H-{escaped}")
}

impl Layout for Beancount {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "; Gridtally ledger, beancount 1")?;
        writeln!(
            out,
            "; Python reckons with 28 digits unless told otherwise: decimal.getcontext().prec = 60"
        )?;
        writeln!(out, "option \"title\" \"Gridtally ledger\"")
    }

    fn transaction(&mut self, place: Head, transaction: &Transaction, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        for entry in transaction.entries() {
            if self.assets.insert(entry.asset.clone()) {
                let (currency, code) = (currency(&entry.asset), entry.asset.code());
                writeln!(out, "1970-01-01 commodity {currency}")?;
                writeln!(
                    out,
                    "  code: \"{code}\"\n  decimals: {}\n",
                    entry.asset.decimals()
                )?;
            }
            // On the first day that there is: transactions are in the order of posting, not of their days.
            if self.accounts.insert(entry.account.clone()) {
                writeln!(out, "1970-01-01 open {}", account(&entry.account))?;
                writeln!(out, "  name: \"{}\"\n", entry.account)?;
            }
        }
        let (key, booked_at) = (transaction.key(), transaction.booked_at().to_string());
        let day = booked_at.get(..10).unwrap_or_default();
        writeln!(out, "{day} * \"{}\" \"{key}\"", key.kind())?;
        writeln!(
            out,
            "  place: {}\n  hash: \"{}\"\n  booked: \"{booked_at}\"",
            place.place, place.hash
        )?;
        if let Some(end) = transaction.expires_at() {
            writeln!(out, "  expires: \"{end}\"")?;
        }
        for entry in transaction.entries() {
            let (amount, currency) = (entry.asset.show(entry.amount), currency(&entry.asset));
            writeln!(out, "  {:<48}  {amount:>24} {currency}", account(&entry.account))?;
        }
        Ok(())
    }

    fn end(&mut self, end: &End<'_>, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        // A balance is asserted at the beginning of its day. After the last day of the calendar there is none.
        let next = end.last_booked_at.unix().saturating_add(DAY_SECONDS);
        if let Ok(next) = Timestamp::from_unix(next) {
            let next = next.to_string();
            let day = next.get(..10).unwrap_or_default();
            for ((name, asset), balance) in end.balances {
                let (account, balance, currency) = (account(name), asset.show(*balance), currency(asset));
                writeln!(out, "{day} balance {account:<48}  {balance} ~ 0 {currency}")?;
            }
        }
        writeln!(out, "\n; place {} hash {}", end.head.place, end.head.hash)
    }

    fn seal(&self, sha256: &str) -> Option<String> {
        Some(format!("; sha256 {sha256}\n"))
    }
}
