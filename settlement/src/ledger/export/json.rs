//! One JSON object, a transaction a line. Amounts are strings of base units: numbers lose digits beyond 2⁵³.

use std::io::{self, Write};

use serde_json::json;

use super::{End, Layout};
use crate::ledger::Transaction;
use crate::ledger::chain::Head;

#[derive(Default)]
pub(super) struct Json {
    begun: bool,
}

impl Layout for Json {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{{\"format\":\"gridtally ledger 1\",\"transactions\":[")
    }

    fn transaction(&mut self, place: Head, transaction: &Transaction, out: &mut dyn Write) -> io::Result<()> {
        let comma = if self.begun { "," } else { "" };
        self.begun = true;
        let line = json!({ "place": place.place, "hash": place.hash, "transaction": transaction });
        write!(out, "{comma}\n{line}")
    }

    fn end(&mut self, end: &End<'_>, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "\n],\"balances\":[")?;
        let mut comma = "";
        for ((account, asset), amount) in end.balances {
            let line = json!({ "account": account, "asset": asset, "amount": amount });
            write!(out, "{comma}\n{line}")?;
            comma = ",";
        }
        write!(out, "\n],\"head\":{}", json!(end.head))
    }

    fn seal(&self, sha256: &str) -> Option<String> {
        Some(format!(",\n\"sha256\":\"{sha256}\"}}\n"))
    }
}
