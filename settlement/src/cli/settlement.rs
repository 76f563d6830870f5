//! `gridtally engine settle`, `estimate`, `resettle`, `due`, `dispute` and `correct`: statements, for the operator.

mod correct;
mod estimate;
mod tell;

use std::io::{self, Write};
use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;
use serde_json::json;

use crate::events::revision::{Actor, Why};
use crate::proofs::patience::Patience;
use crate::proofs::settle::{self, Order, SettlementError, Which};
use crate::rules::statement::SiteId;
use crate::store::ledger::{Law, LedgerError};
use crate::store::{Store, StoreError, disputes, outages, programs};

pub use correct::{CorrectArgs, CorrectionsError, run_correct};
pub use estimate::{EstimateArgs, run_estimate};

/// An event to be settled.
#[derive(Debug, Args)]
pub struct SettleArgs {
    /// The event's name
    pub event: EventId,
    /// Where to write the bundle, by which anyone can check the payment (default: EVENT.bundle)
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Do not wait for sites that have not reported beyond the event's end: they earn nothing by this statement
    #[arg(long)]
    pub early: bool,
    /// How it is made, and shown.
    #[command(flatten)]
    pub manner: Manner,
}

/// An event to be settled anew.
#[derive(Debug, Args)]
pub struct ResettleArgs {
    /// The event's name
    pub event: EventId,
    /// Where to write the bundle (default: EVENT-2.bundle for the second statement, and so on)
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// How it is made, and shown.
    #[command(flatten)]
    pub manner: Manner,
}

/// How a statement is made, and shown.
#[derive(Debug, Args)]
pub struct Manner {
    /// Only show what it would be: nothing is kept or paid
    #[arg(long)]
    pub preview: bool,
    /// Who approves of it; where the program wants several persons, each settles the event under a name of his own
    #[arg(long, value_name = "NAME")]
    pub by: Option<Actor>,
    /// Print JSON: the statement, the transactions and what was refused
    #[arg(long)]
    pub json: bool,
}

/// What may be done with disputes.
#[derive(Debug, Subcommand)]
pub enum DisputeCommand {
    /// Write down that somebody holds a site's part of the last statement to be wrong.
    Raise {
        /// The event's name
        event: EventId,
        /// The site
        site: SiteId,
        /// Who, and why
        #[command(flatten)]
        remark: Remark,
    },
    /// Decide that the site was right: the event is to be settled anew.
    Uphold(Deciding),
    /// Decide that the statement was right.
    Reject(Deciding),
    /// List the disputes of an event.
    List {
        /// The event's name
        event: EventId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A dispute to be decided.
#[derive(Debug, Args)]
pub struct Deciding {
    /// The event's name
    pub event: EventId,
    /// The dispute's number
    pub number: u32,
    /// Who, and why
    #[command(flatten)]
    pub remark: Remark,
}

/// An outage.
#[derive(Debug, Args)]
pub struct OutageArgs {
    /// The site, as it was enrolled
    pub site: SiteId,
    /// The local day: 2026-04-21
    pub day: NaiveDate,
    /// Who says so, and why
    #[command(flatten)]
    pub remark: Remark,
}

/// Who does something, and why.
#[derive(Debug, Args)]
pub struct Remark {
    /// Who
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub by: Actor,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub why: Why,
}

impl Remark {
    fn given(&self) -> Result<(&Actor, &Why), SettlementCommandError> {
        if self.why.as_str().is_empty() {
            return Err(SettlementCommandError::NoReason);
        }
        Ok((&self.by, &self.why))
    }
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum SettlementCommandError {
    /// The settlement.
    #[error(transparent)]
    Settlement(#[from] SettlementError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The escrow is empty.
    #[error(
        "{reason}; nothing was paid; pay into the escrow with `gridtally engine ledger deposit` and settle again"
    )]
    Escrow {
        /// What the ledger says.
        reason: String,
    },
    /// A file of corrections.
    #[error("{}: {error}", path.display())]
    Corrections {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: CorrectionsError,
    },
    /// No such site.
    #[error("no site {0} is enrolled")]
    UnknownSite(SiteId),
    /// Nobody would know why.
    #[error("--why is empty; say in a sentence why, it is kept for good")]
    NoReason,
    /// The output.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Settles an event and says what it pays.
///
/// # Errors
/// [`SettlementCommandError`] as a sentence.
pub fn run_settle(
    args: &SettleArgs,
    store: &mut Store,
    key: &SigningIdentity,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), SettlementCommandError> {
    let bundle = args.bundle.clone();
    let bundle = bundle.unwrap_or_else(|| PathBuf::from(format!("{}.bundle", args.event)));
    let patience = if args.early {
        Patience::None
    } else {
        Patience::Deadline
    };
    let order = Order {
        event: &args.event,
        which: Which::First,
        patience,
        by: &args.manner.actor(),
        preview: args.manner.preview,
        bundle: &bundle,
    };
    carry_out(&order, args.manner.json, store, key, now, out)
}

/// Settles an event anew and says what it pays, and takes back.
///
/// # Errors
/// [`SettlementCommandError`] as a sentence.
pub fn run_resettle(
    args: &ResettleArgs,
    store: &mut Store,
    key: &SigningIdentity,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), SettlementCommandError> {
    let bundle = match args.bundle.clone() {
        Some(bundle) => bundle,
        None => {
            let last = store.transact(|client| crate::store::settlements::last(client, &args.event))?;
            let next = last.map_or(1, |last| last.version).saturating_add(1);
            PathBuf::from(format!("{}-{next}.bundle", args.event))
        }
    };
    let order = Order {
        event: &args.event,
        which: Which::Next,
        patience: Patience::None,
        by: &args.manner.actor(),
        preview: args.manner.preview,
        bundle: &bundle,
    };
    carry_out(&order, args.manner.json, store, key, now, out)
}

impl Manner {
    fn actor(&self) -> Actor {
        self.by.clone().unwrap_or_else(Actor::operator)
    }
}

fn carry_out(
    order: &Order<'_>,
    json: bool,
    store: &mut Store,
    key: &SigningIdentity,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), SettlementCommandError> {
    let outcome = settle::carry_out(store, key, order, now).map_err(empty_escrow)?;
    if json {
        tell::as_json(&outcome, out)?;
    } else {
        tell::tell(&outcome, out)?;
    }
    Ok(())
}

fn empty_escrow(error: SettlementError) -> SettlementCommandError {
    match error {
        SettlementError::Ledger(LedgerError::Refused {
            law: Law::NoOverdraft,
            reason,
            ..
        }) => SettlementCommandError::Escrow { reason },
        other => other.into(),
    }
}

/// Says what there is to do about events that are over.
///
/// # Errors
/// [`SettlementCommandError`] as a sentence.
pub fn run_due(
    store: &mut Store,
    json: bool,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), SettlementCommandError> {
    let all = settle::due(store, now)?;
    if all.is_empty() && !json {
        writeln!(out, "Nothing is due.")?;
    }
    for (event, due) in all {
        for due in due {
            if json {
                writeln!(out, "{}", json!({ "event": event, "what": due }))?;
            } else {
                tell::due(&event, &due, out)?;
            }
        }
    }
    Ok(())
}

/// Raises, decides and lists disputes.
///
/// # Errors
/// [`SettlementCommandError`] as a sentence.
pub fn run_dispute(
    command: &DisputeCommand,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), SettlementCommandError> {
    let (deciding, upheld) = match command {
        DisputeCommand::Raise { event, site, remark } => {
            let number = settle::raise_dispute(store, event, site, remark.given()?, now)?;
            return Ok(writeln!(
                out,
                "Dispute {number} of event {event} is written down."
            )?);
        }
        DisputeCommand::List { event, json } => {
            let all = store.transact(|client| disputes::disputes(client, event, now))?;
            return Ok(tell::disputes(&all, *json, out)?);
        }
        DisputeCommand::Uphold(deciding) => (deciding, true),
        DisputeCommand::Reject(deciding) => (deciding, false),
    };
    let Deciding {
        event,
        number,
        remark,
    } = deciding;
    settle::decide_dispute(store, event, *number, upheld, remark.given()?, now)?;
    let then = if upheld {
        format!("is upheld; settle it anew with `gridtally engine resettle {event}`")
    } else {
        "is rejected; the statement stands".to_owned()
    };
    Ok(writeln!(out, "Dispute {number} of event {event} {then}.")?)
}

/// Writes an outage down.
///
/// # Errors
/// [`SettlementCommandError`] as a sentence.
pub fn run_outage(
    args: &OutageArgs,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), SettlementCommandError> {
    let hand = args.remark.given()?;
    let OutageArgs { site, day, .. } = args;
    let new = store.transact(|client| {
        let enrolments = programs::enrolments(client)?;
        match enrolments.iter().find(|enrolment| enrolment.site == *site) {
            None => Ok(None),
            Some(home) => outages::declare(client, (&home.program, site), *day, hand, now).map(Some),
        }
    })?;
    match new {
        None => Err(SettlementCommandError::UnknownSite(site.clone())),
        Some(true) => Ok(writeln!(out, "The outage of {site} on {day} is written down.")?),
        Some(false) => Ok(writeln!(
            out,
            "The outage of {site} on {day} was written down before."
        )?),
    }
}
