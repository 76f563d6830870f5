//! `gridtally engine ledger …`: money, for the operator.

mod export;
mod payouts;
mod reservations;

use std::io::{self, Write};
use std::str::FromStr;

use clap::{Args, Subcommand};
use gridtally_protocol::quantity::ParseQuantityError;
use gridtally_protocol::time::Timestamp;
use serde_json::json;

use crate::ledger::{AccountName, Transaction};
use crate::rules::document::DocumentError;
use crate::rules::program::{Program, ProgramId};
use crate::store::ledger::{self, Deposit, LedgerError, Moment, Posted};
use crate::store::{LostConnection, Store, StoreError, programs};

pub use export::ExportArgs;
pub use payouts::{LimitArgs, LinesArgs, OutcomeArgs, PayoutCommand};
pub use reservations::{PostArgs, ReservationArgs, ReserveArgs};

/// What may be done with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Book an operator's payment into a program's escrow, out of which its settlements are paid
    Deposit(DepositArgs),
    /// Show what every account holds or held, and that all of it adds up to nothing
    Balances(BalancesArgs),
    /// Show every transaction with its entries
    Journal {
        /// Print JSON, a transaction a line
        #[arg(long)]
        json: bool,
    },
    /// Show what an account received and gave
    Account {
        /// `escrow:PROGRAM`, `beneficiary:OWNER`, `rounding:PROGRAM`, `issuance` and the like
        name: AccountName,
        /// Print JSON, a movement a line
        #[arg(long)]
        json: bool,
    },
    /// Check everything again: each transaction, the hash chain, each balance
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the journal for hledger, beancount, or as CSV or JSON
    Export(ExportArgs),
    /// Set a part of a program's escrow aside
    Reserve(ReserveArgs),
    /// Pay what was set aside, wholly or partly
    Post(PostArgs),
    /// Give what was set aside back to the escrow
    Void(ReservationArgs),
    /// Give everything back that was set aside until now or before
    Expire,
    /// Show what is set aside
    Reservations {
        /// Print JSON, a reservation a line
        #[arg(long)]
        json: bool,
    },
    /// Make what was earned payable: of everybody, or of those named
    Mature(LinesArgs),
    /// Payouts: create, submit, confirm or fail, try again; their limit
    #[command(subcommand)]
    Payout(PayoutCommand),
}

/// Balances of now or then.
#[derive(Debug, Args)]
pub struct BalancesArgs {
    /// As they were after everything that was booked until then
    #[arg(long, value_name = "INSTANT", conflicts_with = "place")]
    pub at: Option<Timestamp>,
    /// As they were after the transaction at this place of the journal
    #[arg(long, value_name = "N")]
    pub place: Option<i64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `NAME=TOKENS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who, or which account.
    pub name: String,
    /// How much, in whole tokens.
    pub tokens: String,
}

impl FromStr for Line {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, tokens) = text
            .split_once('=')
            .ok_or("write NAME=TOKENS, owner-1=12.5 say")?;
        Ok(Self {
            name: name.to_owned(),
            tokens: tokens.to_owned(),
        })
    }
}

/// A payment into an escrow.
#[derive(Debug, Args)]
pub struct DepositArgs {
    /// For which program
    #[arg(long, value_name = "ID")]
    pub program: ProgramId,
    /// How much, in whole tokens of the program: 500 or 12.5
    #[arg(long, value_name = "TOKENS")]
    pub amount: String,
    /// Who pays
    #[arg(long, value_name = "NAME")]
    pub operator: String,
    /// The payer's own reference: the same one again is the same payment, and is booked once
    #[arg(long, value_name = "TEXT")]
    pub reference: String,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum LedgerCommandError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program that is kept does not read.
    #[error(transparent)]
    Program(#[from] DocumentError),
    /// The amount.
    #[error("--amount: {0}")]
    Amount(#[from] ParseQuantityError),
    /// The ledger is broken.
    #[error("the ledger does not add up: {0}; stop the engine and compare it with the bundles")]
    Unsound(String),
    /// Somebody stands there twice.
    #[error("{0} is named twice; add the amounts up first")]
    Twice(String),
    /// The breaker.
    #[error(
        "payouts are stopped: {reason}; none was created, and none will be until somebody answers for it with `gridtally engine ledger payout reset`"
    )]
    Tripped {
        /// Which limit, and by how much.
        reason: String,
    },
    /// Whoever carries payouts out.
    #[error("{0}; the payouts stay submitted, submit them again")]
    Carrier(String),
    /// The output.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl LostConnection for LedgerCommandError {
    fn is_lost_connection(&self) -> bool {
        match self {
            Self::Ledger(error) => error.is_lost_connection(),
            Self::Store(error) => error.is_lost_connection(),
            _ => false,
        }
    }
}

/// Does what was asked for.
///
/// # Errors
/// [`LedgerCommandError`] as a sentence.
pub fn run(
    command: &LedgerCommand,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    match command {
        LedgerCommand::Deposit(args) => deposit(args, store, now, out),
        LedgerCommand::Balances(args) => balances(args, store, out),
        LedgerCommand::Journal { json } => journal(*json, store, out),
        LedgerCommand::Account { name, json } => account(name, *json, store, out),
        LedgerCommand::Verify { json } => export::verify(*json, store, out),
        LedgerCommand::Export(args) => export::export(args, store, out),
        LedgerCommand::Reserve(args) => reservations::reserve(args, store, now, out),
        LedgerCommand::Post(args) => reservations::post(args, store, now, out),
        LedgerCommand::Void(args) => reservations::void(args, store, now, out),
        LedgerCommand::Expire => reservations::expire(store, now, out),
        LedgerCommand::Reservations { json } => reservations::list(*json, store, out),
        LedgerCommand::Mature(args) => payouts::mature(args, store, now, out),
        LedgerCommand::Payout(command) => payouts::run(command, store, now, out),
    }
}

fn deposit(
    args: &DepositArgs,
    store: &mut Store,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    let document = store.transact(|client| programs::newest_program(client, &args.program))?;
    let asset = Program::from_toml(args.program.as_str(), &document)?.asset;
    let deposit = Deposit {
        operator: &args.operator,
        reference: &args.reference,
        program: args.program.as_str(),
        asset: &asset,
        amount: asset.parse(&args.amount)?,
    };
    let (posted, transaction) = store.transact(|client| ledger::deposit(client, &deposit, now))?;
    let what = match posted {
        Posted::New => "Booked",
        Posted::Before => "Was booked before",
    };
    let amount = asset.show(deposit.amount);
    writeln!(
        out,
        "{what}: {amount} {} into escrow:{}, as {}",
        asset.code(),
        args.program,
        transaction.key()
    )?;
    Ok(())
}

/// Says what became of a transaction.
fn say(
    (posted, transaction): &(Posted, Transaction),
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    let what = match posted {
        Posted::New => "Booked",
        Posted::Before => "Was booked before",
    };
    writeln!(
        out,
        "{what}: {}, at {}",
        transaction.key(),
        transaction.booked_at()
    )?;
    for entry in transaction.entries() {
        let (account, asset) = (entry.account.to_string(), &entry.asset);
        writeln!(
            out,
            "    {account:<40}  {:>24} {}",
            asset.show(entry.amount),
            asset.code()
        )?;
    }
    Ok(())
}

fn balances(args: &BalancesArgs, store: &mut Store, out: &mut impl Write) -> Result<(), LedgerCommandError> {
    let json = args.json;
    let moment = match (args.at, args.place) {
        (Some(instant), _) => Some(Moment::Instant(instant)),
        (None, Some(place)) => Some(Moment::Place(place)),
        (None, None) => None,
    };
    let (balances, trial) = store.transact(|client| {
        let balances = match moment {
            Some(moment) => ledger::balances_at(client, moment)?,
            None => ledger::balances(client)?,
        };
        Ok::<_, LedgerError>((balances, ledger::trial_balance(client)?))
    })?;
    if json {
        writeln!(out, "{}", json!({ "balances": balances, "trial_balance": trial }))?;
    } else {
        for balance in &balances {
            let (account, asset) = (balance.account.to_string(), &balance.asset);
            writeln!(
                out,
                "{account:<40}  {:>24} {}",
                asset.show(balance.amount),
                asset.code()
            )?;
        }
        for sum in &trial {
            let (shown, code) = (sum.asset.show(sum.balances), sum.asset.code());
            writeln!(out, "{:<40}  {shown:>24} {code}", "all accounts together")?;
        }
    }
    match trial.iter().find(|sum| !sum.holds()) {
        Some(sum) => Err(LedgerCommandError::Unsound(format!("{sum:?}"))),
        None => Ok(()),
    }
}

/// How many transactions are read at a time.
const PAGE: u32 = 1_000;

fn journal(json: bool, store: &mut Store, out: &mut impl Write) -> Result<(), LedgerCommandError> {
    let mut after = 0;
    loop {
        let page = store.transact(|client| ledger::journal(client, after, PAGE))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.number;
        for recorded in &page {
            let transaction = &recorded.transaction;
            if json {
                writeln!(out, "{}", json!(recorded))?;
                continue;
            }
            writeln!(out, "{}  {}", transaction.booked_at(), transaction.key())?;
            for entry in transaction.entries() {
                let (account, asset) = (entry.account.to_string(), &entry.asset);
                writeln!(
                    out,
                    "    {account:<40}  {:>24} {}",
                    asset.show(entry.amount),
                    asset.code()
                )?;
            }
        }
    }
}

fn account(
    name: &AccountName,
    json: bool,
    store: &mut Store,
    out: &mut impl Write,
) -> Result<(), LedgerCommandError> {
    for movement in store.transact(|client| ledger::history(client, name))? {
        if json {
            writeln!(out, "{}", json!(movement))?;
            continue;
        }
        let (at, asset) = (movement.booked_at, &movement.asset);
        let (amount, balance) = (asset.show(movement.amount), asset.show(movement.balance));
        writeln!(
            out,
            "{at}  {amount:>24}  {balance:>24} {}  {}",
            asset.code(),
            movement.key
        )?;
    }
    Ok(())
}
