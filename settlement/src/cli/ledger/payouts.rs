//! `gridtally engine ledger payout …`: money on its way out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use gridtally_protocol::quantity::{Asset, TokenAmount};
use gridtally_protocol::time::Timestamp;
use serde_json::json;

use super::{LedgerCommandError, Line, say};
use crate::ledger::Holder;
use crate::payouts::{FileCarrier, HandOverError, hand_over};
use crate::store::Store;
use crate::store::ledger::breaker::{self, PayoutLimit};
use crate::store::ledger::payouts::{self, Creation, PayoutState};
use crate::store::ledger::{self, LedgerError};

/// What may be done with payouts.
#[derive(Debug, Subcommand)]
pub enum PayoutCommand {
    /// Take what is payable on its way out: of everybody, or of those named
    Create(LinesArgs),
    /// Hand the payouts of a batch over: writes a file for the bank. Again: the same file, and what was added
    Submit {
        /// The batch
        batch: Holder,
        /// Where the file is written
        #[arg(long, value_name = "DIR")]
        directory: PathBuf,
    },
    /// Book that payouts arrived; that is final
    Confirm(OutcomeArgs),
    /// Book that payouts did not arrive; they are payable again
    Fail(OutcomeArgs),
    /// Try the failed payouts of a batch again, under their keys
    Retry {
        /// The batch
        batch: Holder,
    },
    /// Show the payouts of a batch, or every one that is open
    List {
        /// The batch
        batch: Option<Holder>,
        /// Print JSON, a payout a line
        #[arg(long)]
        json: bool,
    },
    /// Limit how much of an asset may be paid out within any window of time
    Limit(LimitArgs),
    /// Let payouts go on after they were stopped
    Reset {
        /// The asset's code
        #[arg(long, value_name = "CODE")]
        asset: String,
        /// Who says so; it is recorded
        #[arg(long, value_name = "NAME")]
        by: Holder,
        /// Why; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Amounts for owners.
#[derive(Debug, Args)]
pub struct LinesArgs {
    /// The name of it: the same one again is the same
    pub name: Holder,
    /// The asset's code
    #[arg(long, value_name = "CODE")]
    pub asset: String,
    /// Who and how much (default: everybody everything)
    #[arg(long = "owner", value_name = "OWNER=TOKENS")]
    pub owners: Vec<Line>,
}

/// Payouts whose outcome is known.
#[derive(Debug, Args)]
pub struct OutcomeArgs {
    /// The batch
    pub batch: Holder,
    /// Whose (default: all that are submitted and open)
    #[arg(long = "owner", value_name = "OWNER")]
    pub owners: Vec<Holder>,
}

/// A limit of payouts.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// The asset's code
    #[arg(long, value_name = "CODE")]
    pub asset: String,
    /// The length of the window in seconds, up to 366 days
    #[arg(long, value_name = "SECONDS")]
    pub window: i32,
    /// At most this much within it, in whole tokens
    #[arg(long, value_name = "TOKENS")]
    pub amount: String,
    /// At most so many payouts within it
    #[arg(long, value_name = "N")]
    pub count: i32,
    /// Who says so; it is recorded
    #[arg(long, value_name = "NAME")]
    pub by: Holder,
}

impl LinesArgs {
    fn lines(&self, asset: &Asset) -> Result<BTreeMap<Holder, TokenAmount>, LedgerCommandError> {
        let mut lines = BTreeMap::new();
        for Line { name, tokens } in &self.owners {
            let owner: Holder = name.parse().map_err(LedgerError::from)?;
            if lines.insert(owner, asset.parse(tokens)?).is_some() {
                return Err(LedgerCommandError::Twice(name.clone()));
            }
        }
        Ok(lines)
    }
}

pub(super) fn mature(
    args: &LinesArgs,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    let asset = store.transact(|client| ledger::asset_named(client, &args.asset))?;
    let lines = args.lines(&asset)?;
    match store.transact(|client| payouts::mature(client, &args.name, &asset, &lines, now))? {
        Some(done) => say(&done, out),
        None => Ok(writeln!(
            out,
            "Nobody has earned {} that is not payable yet",
            asset.code()
        )?),
    }
}

pub(super) fn run(
    command: &PayoutCommand,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    match command {
        PayoutCommand::Create(args) => {
            let asset = store.transact(|client| ledger::asset_named(client, &args.asset))?;
            let mut lines = args.lines(&asset)?;
            if lines.is_empty() {
                lines = store.transact(|client| payouts::payable(client, &asset))?;
            }
            created(store.transact(|client| payouts::create(client, &args.name, &asset, &lines, now))?)?;
            list(Some(&args.name), false, store, out)
        }
        PayoutCommand::Submit { batch, directory } => {
            let mut carrier = FileCarrier::new(directory.clone());
            let handovers = hand_over(store, &mut carrier, batch, now).map_err(|error| match error {
                HandOverError::Ledger(error) => LedgerCommandError::Ledger(error),
                HandOverError::Carrier(error) => LedgerCommandError::Carrier(error.to_string()),
            })?;
            for handover in handovers {
                writeln!(out, "{}", carrier.path(&handover).display())?;
            }
            Ok(())
        }
        PayoutCommand::Confirm(args) => outcome(args, true, store, now, out),
        PayoutCommand::Fail(args) => outcome(args, false, store, now, out),
        PayoutCommand::Retry { batch } => {
            created(store.transact(|client| payouts::retry(client, batch, now))?)?;
            list(Some(batch), false, store, out)
        }
        PayoutCommand::List { batch, json } => list(batch.as_ref(), *json, store, out),
        PayoutCommand::Limit(args) => limit(args, store, now, out),
        PayoutCommand::Reset { asset, by, reason } => {
            store.transact(|client| {
                let asset = ledger::asset_named(client, asset)?;
                breaker::reset(client, &asset, by, reason, now)
            })?;
            Ok(writeln!(
                out,
                "Payouts of {asset} may go on, says {by}: {reason}"
            )?)
        }
    }
}

fn created(creation: Creation) -> Result<(), LedgerCommandError> {
    match creation {
        Creation::Created => Ok(()),
        Creation::Tripped { reason } => Err(LedgerCommandError::Tripped { reason }),
    }
}

fn limit(
    args: &LimitArgs,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    let asset = store.transact(|client| ledger::asset_named(client, &args.asset))?;
    let limit = PayoutLimit {
        window_seconds: args.window,
        amount_max: asset.parse(&args.amount)?,
        count_max: args.count,
    };
    store.transact(|client| breaker::set_limit(client, &asset, limit, &args.by, now))?;
    let amount = asset.show(limit.amount_max);
    writeln!(
        out,
        "At most {} payouts of {amount} {} together within {} s, says {}",
        args.count,
        asset.code(),
        args.window,
        args.by
    )?;
    Ok(())
}

fn outcome(
    args: &OutcomeArgs,
    arrived: bool,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    store.transact(|client| {
        let all = payouts::of_batch(client, &args.batch)?;
        // The last attempt of each; in the order of attempts.
        let last: BTreeMap<&Holder, &payouts::Payout> = all.iter().map(|p| (&p.name.owner, p)).collect();
        let chosen = last.into_iter().filter(|(owner, payout)| {
            args.owners.contains(owner) || args.owners.is_empty() && payout.state == PayoutState::Submitted
        });
        let names: Vec<_> = chosen.map(|(_, payout)| payout.name.clone()).collect();
        if arrived {
            payouts::confirm(client, &names, now)
        } else {
            payouts::fail(client, &names, now)
        }
    })?;
    list(Some(&args.batch), false, store, out)
}

fn list(
    batch: Option<&Holder>,
    json: bool,
    store: &mut Store,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    let payouts = store.transact(|client| match batch {
        Some(batch) => payouts::of_batch(client, batch),
        None => payouts::open(client),
    })?;
    for payout in payouts {
        if json {
            writeln!(out, "{}", json!(payout))?;
            continue;
        }
        let (name, amount) = (payout.name.to_string(), payout.asset.show(payout.amount));
        let state = match payout.state {
            PayoutState::Created => "created",
            PayoutState::Submitted => "submitted",
            PayoutState::Confirmed => "confirmed",
            PayoutState::Failed => "failed",
        };
        writeln!(out, "{name:<48}  {amount:>24} {}  {state}", payout.asset.code())?;
    }
    Ok(())
}
