//! `gridtally engine check`: whether the days of readings are what the signed reports say.

use std::io::Write;

use clap::Args;

use super::{EngineCommandError, Open};
use crate::store::rebuild;

/// How the readings are checked.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Write what differs as the reports say it.
    #[arg(long)]
    pub mend: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(open: &mut Open, args: &CheckArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let checked = rebuild::check(&mut open.store, args.mend, |done, all| {
        if done > 0 && done % 1_000 == 0 {
            eprintln!("checked {done} of {all} gateways");
        }
    })?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &checked).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        for one in &checked.differences {
            let device = one.device.map_or_else(String::new, |d| format!(", device {d}"));
            writeln!(out, "{}{device}, {}: {}", one.site, one.at, one.what)?;
        }
        writeln!(
            out,
            "{} days of {} gateways made from {} signed reports: {} differ{}.",
            checked.days,
            checked.gateways,
            checked.reports,
            checked.differences.len(),
            if args.mend { ", and were mended" } else { "" }
        )?;
    }
    if checked.differences.is_empty() || args.mend {
        Ok(())
    } else {
        Err(EngineCommandError::Differ {
            count: checked.differences.len(),
        })
    }
}
