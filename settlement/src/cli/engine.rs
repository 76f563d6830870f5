//! `gridtally engine …`: the operator's commands.

mod agreement;
mod bundle;
mod check;
mod event;
mod event_view;
mod log;
mod payout;
mod prices;
mod quality;
mod replay;
mod show;
mod table;
mod temperatures;
mod test;
mod try_program;

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::time::Timestamp;

use super::ledger::{self, LedgerCommand, LedgerCommandError};
use super::settlement::{
    self, CorrectArgs, DisputeCommand, EstimateArgs, OutageArgs, ResettleArgs, SettleArgs,
    SettlementCommandError,
};
use crate::admission::AdmissionError;
use crate::clock::Clock;
pub use event::{
    AnnounceArgs, AskArgs, CancelArgs, DraftArgs, EventCommand, HandArgs, ModifyArgs, TermsArgs,
};

pub use payout::{ClaimCommand, ClaimCommandError};
pub use test::TestCommand;
pub use try_program::{TryArgs, TryProgramError};

use crate::capacity::audit::Finding;
use crate::capacity::period::Period;
use crate::dispatch::DispatchError;
use crate::dispatch::testing::TestError;
use crate::engine::{self, Database, EngineError, EngineOptions, KeyFileError, engine_key};
use crate::events::start::StartBoundError;
use crate::registry::{EnrolmentFileError, read_enrolments};
use crate::rules::document::DocumentError;
use crate::rules::program::{Program, ProgramId};
use crate::rules::statement::SiteId;
use crate::store::{LostConnection, Store, StoreError, programs, settlements};
use crate::supervise::SuperviseError;

/// The engine of a neighbourhood, and the operator's commands to it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub struct EngineArgs {
    /// Where the engine is.
    #[command(flatten)]
    pub place: Place,
    /// What to do.
    #[command(subcommand)]
    pub command: EngineCommand,
}

const EXAMPLE: &str = "\
Example, a first evening:
  gridtally engine run --data ./engine &
  gridtally engine --data ./engine identity            what the agents pin as `engine`
  gridtally engine --data ./engine program add evening-flex.toml
  gridtally engine --data ./engine enrol sites.toml
  gridtally engine --data ./engine event announce --program evening-flex --id tuesday \\
      --start 2026-04-21T17:00:00Z --end 2026-04-21T19:00:00Z --discharge-watts 3000
  gridtally engine --data ./engine event show tuesday  who answered what
  gridtally engine --data ./engine ledger deposit --program evening-flex --amount 500 \\
      --operator oslo-grid --reference INV-1
  gridtally engine --data ./engine settle tuesday      after the event: pay, and write tuesday.bundle
  gridtally verify tuesday.bundle                      what anyone can do with it
  gridtally engine --data ./engine log publish ./www   the public log
  gridtally engine --data ./engine bundle tuesday --log ./www     the same with proofs, for strangers: tuesday.tgz
  gridtally engine --data ./engine refused             what was not taken, and why
  gridtally engine --data ./engine due                 what is to be settled, or settled anew

The commands work beside a running engine and without one: they start its private database for the
moment. Instants are written as 2026-04-21T17:00:00Z, or with an offset: 2026-04-21T18:00:00+01:00.";

/// Where the engine keeps its things, and what time it is there.
#[derive(Debug, Args)]
pub struct Place {
    /// The directory of its key, and of its private database and broker.
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/gridtally")]
    pub data: PathBuf,
    /// Your own PostgreSQL, as a connection string, instead of a private one.
    #[arg(long, global = true, value_name = "URL")]
    pub database: Option<String>,
    /// What to take for the present, in simulated time (default: the system's clock).
    #[arg(long, global = true, value_name = "INSTANT")]
    pub now: Option<Timestamp>,
}

/// What the operator may ask for.
#[derive(Debug, Subcommand)]
pub enum EngineCommand {
    /// Run the engine until it is told to stop.
    Run(RunArgs),
    /// Show the engine's identity, which agents pin; made at the first use.
    Identity,
    /// Programs: rules, prices and temperatures.
    #[command(subcommand)]
    Program(ProgramCommand),
    /// Enrol sites by your word alone, for tests and labs: a TOML file with [[site]] tables. See `admit`.
    Enrol {
        /// The file.
        file: PathBuf,
    },
    /// Admit sites whose owners have accepted their gateways' claims; writes the agreement of each beside its file.
    Admit(agreement::AdmitArgs),
    /// Take in what owners and gateways signed later: another key, another owner, an end, a veto.
    Amend(agreement::AmendArgs),
    /// End a site's agreement, by the operator's own word.
    Revoke(agreement::RevokeArgs),
    /// Show who is enrolled, by which agreement, and what was not admitted.
    Enrolments(agreement::EnrolmentsArgs),
    /// Events: draft, announce, modify and cancel them, and see who takes part.
    #[command(subcommand)]
    Event(EventCommand),
    /// Test dispatches: commit to them, send those that are due, judge them, and see what each site has proved.
    #[command(subcommand)]
    Test(TestCommand),
    /// Settle an event: pay what was delivered, and write the bundle that proves it.
    Settle(SettleArgs),
    /// Say what an event would pay by what has come in: fast, for very many sites. Nothing is kept or paid.
    Estimate(EstimateArgs),
    /// Settle an event anew, because the program's calendar asks for it, or a dispute was upheld.
    Resettle(ResettleArgs),
    /// See what settled events would have paid under other rules, before these are activated. Nothing is kept.
    Replay(replay::ReplayArgs),
    /// Show which events are to be settled, settled anew or made final.
    Due {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Disputes: what somebody holds to be wrong in a statement.
    #[command(subcommand)]
    Dispute(DisputeCommand),
    /// Write down that a site had an outage on a local day: it is not compared, and not held against the site.
    Outage(OutageArgs),
    /// Put other values in the place of what a site's meter counted, or withdraw what it counted.
    Correct(CorrectArgs),
    /// The ledger: pay into an escrow, look at balances, transactions and accounts.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Claims on chain: bind addresses, publish payout roots, print proofs.
    #[command(subcommand)]
    Payout(ClaimCommand),
    /// The append-only log of what was accepted, announced, settled and paid, for anyone to check and to witness.
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Pack a settlement for strangers: its bundle, compressed, with proofs that the public log has it.
    Bundle(bundle::BundleArgs),
    /// Print an event's statement as JSON, byte for byte as its hash was made.
    Statement {
        /// The event's name.
        event: EventId,
        /// Which of its statements: corrections have higher versions.
        #[arg(long, value_name = "N", default_value_t = 1)]
        version: u32,
    },
    /// Show what was not taken from the broker, and why.
    Refused {
        /// When it came.
        #[command(flatten)]
        span: Span,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// How good the data of a day is: a score of each site, what is behind it, and what the owner can do.
    Quality(quality::QualityArgs),
    /// Make all days of readings from the signed reports again, and compare them with those that are kept.
    Check(check::CheckArgs),
    /// Print a site's readings as CSV: start,channel,value,unit,reason.
    Readings {
        /// The site, as it was enrolled.
        site: SiteId,
        /// When their intervals begin.
        #[command(flatten)]
        span: Span,
        /// Print what the meter counted, import − export, as start,kwh: what `gridtally rules baseline` reads.
        #[arg(long)]
        net: bool,
    },
}

/// Which broker the engine uses, and which clock.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Your own MQTT broker instead of a private one.
    #[arg(long, value_name = "HOST:PORT")]
    pub broker: Option<String>,
    /// Where the private broker listens (default: 127.0.0.1:1883 if it is free).
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "broker")]
    pub listen: Option<SocketAddr>,
    /// Take the time from standard input, a JSON line each step; for simulations.
    #[arg(long)]
    pub stepped: bool,
}

/// What may be done with programs.
#[derive(Debug, Subcommand)]
pub enum ProgramCommand {
    /// Add a program, or a higher version of one, from its TOML file.
    Add {
        /// The file.
        file: PathBuf,
    },
    /// Try a program on past data: what it would have credited and paid, beside other baselines. Nothing is kept.
    Try(Box<TryArgs>),
    /// Publish prices for single intervals, where a program pays by published prices: a CSV file start,per_kwh.
    Prices {
        /// The program.
        id: ProgramId,
        /// The file: each interval's first instant (2026-04-21T17:00:00Z), and tokens per kWh.
        file: PathBuf,
    },
    /// Publish how warm it was, where a program's baseline looks for days of like weather: a CSV file day,max.
    Temperatures {
        /// The program.
        id: ProgramId,
        /// The file: local days (2026-04-21), and the highest temperature of each in degrees, of one scale throughout.
        file: PathBuf,
    },
}

/// A span of time, open at either end if not given.
#[derive(Debug, Args)]
pub struct Span {
    /// From this instant on.
    #[arg(
        long,
        value_name = "INSTANT",
        default_value = "1970-01-01T00:00:00Z",
        hide_default_value = true
    )]
    pub from: Timestamp,
    /// Before this instant.
    #[arg(
        long,
        value_name = "INSTANT",
        default_value = "9999-12-31T23:59:59Z",
        hide_default_value = true
    )]
    pub until: Timestamp,
}

/// Why a command of the operator was not done.
#[derive(Debug, thiserror::Error)]
pub enum EngineCommandError {
    /// The engine does not run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine's key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The private database.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event is not announced.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// A test dispatch.
    #[error(transparent)]
    Test(#[from] TestError),
    /// The tests of a period are not those that were drawn.
    #[error("the tests of {period} are not those that were drawn: {finding}")]
    NotAsDrawn {
        /// Which period.
        period: Period,
        /// The first thing that is wrong.
        finding: Box<Finding>,
    },
    /// A start cannot be moved so far.
    #[error("--randomise-seconds: {0}")]
    StartBound(#[from] StartBoundError),
    /// What a draft asks is in the draft.
    #[error(
        "whom a draft asks, and how it stands beside others, is written in the draft; give --program, --start, --end and --discharge-watts too to announce {0} without one"
    )]
    DraftHasTerms(EventId),
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Events do not fit the rules under which they are replayed.
    #[error("these events cannot be settled under these rules: {0}")]
    Replay(#[from] crate::proofs::derive::DeriveError),
    /// A bundle that is kept.
    #[error("a bundle that is kept does not hold: {0}")]
    Bundle(#[from] crate::proofs::bundle::BundleError),
    /// The settlement is not packed.
    #[error(transparent)]
    Pack(#[from] bundle::PackError),
    /// The log.
    #[error(transparent)]
    Log(#[from] log::LogError),
    /// A sum.
    #[error(transparent)]
    Sum(#[from] gridtally_protocol::quantity::Overflow),
    /// The program's document is wrong.
    #[error(transparent)]
    Program(#[from] DocumentError),
    /// A version that pays in something else is another program.
    #[error(
        "version {version} of program {program} pays in another asset, or has intervals of another length; give this one an id of its own"
    )]
    OtherProgram {
        /// Which program.
        program: ProgramId,
        /// The version that is kept.
        version: u32,
    },
    /// A file of prices.
    #[error("{}: line {line}: {problem}", path.display())]
    Prices {
        /// Which file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A file of temperatures.
    #[error("{}: line {line}: {problem}", path.display())]
    Temperatures {
        /// Which file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The list of sites is wrong.
    #[error("{}: {error}", path.display())]
    Enrolments {
        /// Which file.
        path: PathBuf,
        /// Every mistake in it.
        error: EnrolmentFileError,
    },
    /// An agreement or a change that is not taken in.
    #[error("{}: {error}", path.display())]
    Admission {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: Box<AdmissionError>,
    },
    /// A change that is not taken in.
    #[error(transparent)]
    Change(Box<AdmissionError>),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerCommandError),
    /// Claims on chain.
    #[error(transparent)]
    Claim(#[from] ClaimCommandError),
    /// A settlement.
    #[error(transparent)]
    Settlement(#[from] SettlementCommandError),
    /// The event has no such statement.
    #[error(
        "there is no statement {version} of event {event}; when it is over, `engine settle {event}` makes the first"
    )]
    NotSettled {
        /// Which event.
        event: EventId,
        /// Which of its statements.
        version: u32,
    },
    /// No such site.
    #[error("no site {0} is enrolled; add it to a file of [[site]] tables and `engine enrol` that")]
    UnknownSite(SiteId),
    /// Days of readings are not what the reports say.
    #[error("{count} days are not what the signed reports say; `engine check --mend` makes them again")]
    Differ {
        /// How many.
        count: usize,
    },
    /// What was read back is no quantity.
    #[error("the site's readings from {start} on do not make a sum that fits")]
    Overflow {
        /// The start of the interval.
        start: Timestamp,
    },
    /// A program cannot be tried.
    #[error(transparent)]
    Try(#[from] TryProgramError),
    /// The output.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl LostConnection for EngineCommandError {
    fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_lost_connection())
    }
}

impl From<postgres::Error> for EngineCommandError {
    fn from(error: postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Does what the operator asked for; what there is to say goes to standard output.
///
/// # Errors
/// [`EngineCommandError`] as a sentence.
pub fn run(args: EngineArgs) -> Result<(), EngineCommandError> {
    answer(args, &mut io::stdout())
}

/// As [`run`], with another place for the answer. (A running engine says its steps on standard output in any case.)
///
/// # Errors
/// [`EngineCommandError`] as a sentence.
pub fn answer(args: EngineArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let EngineArgs { place, command } = args;
    match command {
        EngineCommand::Run(run) => Ok(engine::run(&EngineOptions {
            data: place.data,
            database: place.database,
            broker: run.broker,
            listen: run.listen,
            stepped: run.stepped,
        })?),
        EngineCommand::Identity => Ok(writeln!(out, "{}", engine_key(&place.data)?.identity())?),
        EngineCommand::Program(ProgramCommand::Add { file }) => add_program(&place, &file, out),
        EngineCommand::Program(ProgramCommand::Try(args)) => try_program::run(&place, &args, out),
        EngineCommand::Program(ProgramCommand::Prices { id, file }) => {
            prices::publish(&place, &id, &file, out)
        }
        EngineCommand::Program(ProgramCommand::Temperatures { id, file }) => {
            temperatures::publish(&place, &id, &file, out)
        }
        EngineCommand::Enrol { file } => enrol(&place, &file, out),
        EngineCommand::Admit(args) => agreement::admit(&place, &args, out),
        EngineCommand::Amend(args) => agreement::amend(&place, &args, out),
        EngineCommand::Revoke(args) => agreement::revoke(&place, &args, out),
        EngineCommand::Enrolments(args) => agreement::enrolments(&place, &args, out),
        EngineCommand::Event(command) => event::run(&place, command, out),
        EngineCommand::Test(command) => test::run(&place, command, out),
        EngineCommand::Settle(args) => {
            let key = engine_key(&place.data)?;
            let store = &mut place.open()?.store;
            Ok(settlement::run_settle(&args, store, &key, place.now(), out)?)
        }
        EngineCommand::Estimate(args) => {
            let engine = engine_key(&place.data)?.identity();
            let store = &mut place.open()?.store;
            Ok(settlement::run_estimate(&args, store, engine, place.now(), out)?)
        }
        EngineCommand::Resettle(args) => {
            let key = engine_key(&place.data)?;
            let store = &mut place.open()?.store;
            Ok(settlement::run_resettle(&args, store, &key, place.now(), out)?)
        }
        EngineCommand::Bundle(args) => bundle::run(&place, &args, out),
        EngineCommand::Log(command) => log::run(&place, &command, out),
        EngineCommand::Replay(args) => replay::run(&place, &args, out),
        EngineCommand::Due { json } => {
            let store = &mut place.open()?.store;
            Ok(settlement::run_due(store, json, place.now(), out)?)
        }
        EngineCommand::Dispute(command) => {
            let store = &mut place.open()?.store;
            Ok(settlement::run_dispute(&command, store, place.now(), out)?)
        }
        EngineCommand::Outage(args) => {
            let store = &mut place.open()?.store;
            Ok(settlement::run_outage(&args, store, place.now(), out)?)
        }
        EngineCommand::Correct(args) => {
            let text = read(&args.file)?;
            let store = &mut place.open()?.store;
            Ok(settlement::run_correct(&args, &text, store, place.now(), out)?)
        }
        EngineCommand::Ledger(command) => {
            Ok(ledger::run(&command, &mut place.open()?.store, place.now(), out)?)
        }
        EngineCommand::Payout(command) => payout::run(&place, command, out),
        EngineCommand::Statement { event, version } => statement(&place, event, version, out),
        EngineCommand::Refused { span, json } => show::refused(&mut place.open()?, &span, json, out),
        EngineCommand::Quality(args) => quality::run(&mut place.open()?, &args, out),
        EngineCommand::Check(args) => check::run(&mut place.open()?, &args, out),
        EngineCommand::Readings { site, span, net } => {
            show::readings(&mut place.open()?, &site, &span, net, out)
        }
    }
}

/// A store, with the database that it is in.
struct Open {
    store: Store,
    // Dropped after the connection to it.
    _database: Database,
}

impl Place {
    fn open(&self) -> Result<Open, EngineCommandError> {
        let options = EngineOptions {
            data: self.data.clone(),
            database: self.database.clone(),
            ..EngineOptions::default()
        };
        let database = Database::attach(&options)?;
        let store = Store::open(&database.connection_string())?;
        Ok(Open {
            store,
            _database: database,
        })
    }

    fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(|| Clock::System.now())
    }
}

/// The longest file of a program or of sites.
const FILE_LEN_MAX: u64 = 16 * 1024 * 1024;

fn read(path: &PathBuf) -> Result<String, EngineCommandError> {
    let failed = |source| EngineCommandError::File {
        path: path.clone(),
        source,
    };
    let len = fs::metadata(path).map_err(failed)?.len();
    if len > FILE_LEN_MAX {
        return Err(failed(io::Error::other(format!(
            "it has {len} bytes; at most {FILE_LEN_MAX} are read"
        ))));
    }
    fs::read_to_string(path).map_err(failed)
}

fn add_program(place: &Place, file: &PathBuf, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let document = read(file)?;
    let program = Program::from_toml(&file.display().to_string(), &document)?;
    let now = place.now();
    place.open()?.store.transact(|t| {
        let kept = match programs::documents(t, &program.id) {
            Err(StoreError::NotFound(_)) => Vec::new(),
            kept => kept?,
        };
        for kept in kept {
            let kept = Program::from_toml(program.id.as_str(), &kept)?;
            if kept.asset != program.asset || kept.interval != program.interval {
                return Err(EngineCommandError::OtherProgram {
                    program: program.id.clone(),
                    version: kept.version,
                });
            }
        }
        Ok(programs::add_program(t, &program, &document, now)?)
    })?;
    writeln!(
        out,
        "Program {} version {}, SHA-256 {}",
        program.id, program.version, program.hash
    )?;
    Ok(())
}

fn enrol(place: &Place, file: &PathBuf, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let sites = read_enrolments(&read(file)?).map_err(|error| EngineCommandError::Enrolments {
        path: file.clone(),
        error,
    })?;
    let now = place.now();
    place.open()?.store.transact(|t| {
        let mut mistakes = Vec::new();
        for site in &sites {
            let document = programs::newest_program(t, &site.program)?;
            let program = Program::from_toml(site.program.as_str(), &document)?;
            mistakes.extend(site.fits(&program).err());
            programs::enrol(t, site, now)?;
        }
        if mistakes.is_empty() {
            return Ok(());
        }
        Err(EngineCommandError::Enrolments {
            path: file.clone(),
            error: EnrolmentFileError::Sites(mistakes),
        })
    })?;
    for site in &sites {
        writeln!(
            out,
            "Enrolled {} in {}: {}",
            site.site, site.program, site.gateway
        )?;
    }
    Ok(())
}

fn statement(
    place: &Place,
    event: EventId,
    version: u32,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let settled = place
        .open()?
        .store
        .transact(|t| settlements::find(t, &event, version))?;
    let settled = settled.ok_or(EngineCommandError::NotSettled { event, version })?;
    Ok(out.write_all(settled.statement.as_bytes())?)
}
