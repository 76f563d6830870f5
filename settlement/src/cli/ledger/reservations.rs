//! `gridtally engine ledger reserve` and what follows: transfers of two steps.

use std::io::Write;

use clap::Args;
use gridtally_protocol::time::Timestamp;
use serde_json::json;

use super::{LedgerCommandError, Line, say};
use crate::ledger::{Entry, Holder, ReservationName};
use crate::rules::program::{Program, ProgramId};
use crate::store::ledger::LedgerError;
use crate::store::ledger::reservations;
use crate::store::{Store, programs};

/// Which reservation.
#[derive(Debug, Args)]
pub struct ReservationArgs {
    /// Out of whose escrow
    #[arg(long, value_name = "ID")]
    pub program: ProgramId,
    /// What for: the same one again is the same reservation
    #[arg(long, value_name = "TEXT")]
    pub reference: Holder,
}

impl ReservationArgs {
    fn name(&self) -> ReservationName {
        ReservationName {
            program: self.program.clone(),
            reference: self.reference.clone(),
        }
    }
}

/// A part of an escrow that is set aside.
#[derive(Debug, Args)]
pub struct ReserveArgs {
    /// Which
    #[command(flatten)]
    pub reservation: ReservationArgs,
    /// How much, in whole tokens of the program
    #[arg(long, value_name = "TOKENS")]
    pub amount: String,
    /// From when on it can only be given back
    #[arg(long, value_name = "INSTANT")]
    pub until: Timestamp,
}

/// Who gets what was set aside.
#[derive(Debug, Args)]
pub struct PostArgs {
    /// Which
    #[command(flatten)]
    pub reservation: ReservationArgs,
    /// Who gets how much: beneficiary:OWNER=TOKENS; what is left returns to the escrow
    #[arg(long = "share", value_name = "ACCOUNT=TOKENS", required = true)]
    pub shares: Vec<Line>,
}

pub(super) fn reserve(
    args: &ReserveArgs,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    let program = &args.reservation.program;
    let document = store.transact(|client| programs::newest_program(client, program))?;
    let asset = Program::from_toml(program.as_str(), &document)?.asset;
    let (amount, name) = (asset.parse(&args.amount)?, args.reservation.name());
    let done =
        store.transact(|client| reservations::reserve(client, &name, &asset, amount, args.until, now))?;
    say(&done, out)
}

pub(super) fn post(
    args: &PostArgs,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    let name = args.reservation.name();
    let missing = || LedgerError::NothingPending {
        step: crate::ledger::Kind::Post,
        name: name.to_string(),
    };
    let reservation = store
        .transact(|client| reservations::reservation(client, &name))?
        .ok_or_else(missing)?;
    let mut shares = Vec::with_capacity(args.shares.len());
    for Line { name, tokens } in &args.shares {
        shares.push(Entry {
            account: name.parse().map_err(LedgerError::from)?,
            asset: reservation.asset.clone(),
            amount: reservation.asset.parse(tokens)?,
        });
    }
    let done = store.transact(|client| reservations::post_reserved(client, &name, shares.clone(), now))?;
    say(&done, out)
}

pub(super) fn void(
    args: &ReservationArgs,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    let done = store.transact(|client| reservations::void(client, &args.name(), now))?;
    say(&done, out)
}

pub(super) fn expire(
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    let expired = store.transact(|client| reservations::expire(client, now))?;
    for transaction in &expired {
        writeln!(out, "Booked: {}", transaction.key())?;
    }
    if expired.is_empty() {
        writeln!(out, "No reservation is over at {now}")?;
    }
    Ok(())
}

pub(super) fn list(json: bool, store: &mut Store, out: &mut impl Write) -> Result<(), LedgerCommandError> {
    for open in store.transact(|client| reservations::open_reservations(client))? {
        if json {
            writeln!(out, "{}", json!(open))?;
            continue;
        }
        let (name, amount) = (open.name.to_string(), open.asset.show(open.amount));
        writeln!(
            out,
            "{name:<48}  {amount:>24} {}  until {}",
            open.asset.code(),
            open.expires_at
        )?;
    }
    Ok(())
}
