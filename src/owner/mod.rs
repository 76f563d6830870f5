//! `gridtally owner`: the owner's key, and what is signed with it. Needs no database, no broker and no network.

mod accept;
mod change;
mod show;

use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gridtally_edge::identity::{self, KeyError};
use gridtally_protocol::agreement::{AgreementError, PapersError};
use gridtally_protocol::identity::{Identity, SigningIdentity};
use gridtally_protocol::message::MessageError;
use gridtally_protocol::time::Timestamp;

pub use self::accept::AcceptArgs;
pub use self::change::{CountersignArgs, RevokeArgs, RotateArgs, TransferArgs, VetoArgs};
pub use self::show::ShowArgs;

/// The owner of a home.
#[derive(Debug, Args)]
pub struct OwnerArgs {
    /// Where your key is
    #[arg(long, global = true, value_name = "FILE", default_value = "owner.key")]
    pub key: PathBuf,
    /// What to take for the present (default: the system's clock)
    #[arg(long, global = true, value_name = "INSTANT")]
    pub now: Option<Timestamp>,
    /// What to do.
    #[command(subcommand)]
    pub command: OwnerCommand,
}

/// What an owner can do.
#[derive(Debug, Subcommand)]
pub enum OwnerCommand {
    /// Make your key. Keep a copy where the house can burn down without it
    Init,
    /// Print your identity, or what a claim, an acceptance, an agreement or a change says
    Show(ShowArgs),
    /// Accept the claim of a box: at your site, in a program, paid to whom you say
    Accept(AcceptArgs),
    /// Hand the site over to another owner, who countersigns
    Transfer(TransferArgs),
    /// Sign what another owner, or the holder of the old key, has signed first
    Countersign(CountersignArgs),
    /// Exchange your key for a new one
    Rotate(RotateArgs),
    /// End an agreement
    Revoke(RevokeArgs),
    /// Forbid a rotation that was announced, before it takes effect
    Veto(VetoArgs),
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key that is to be made is there.
    #[error("{} is there already; `gridtally owner show` prints whose it is", .0.display())]
    KeyExists(PathBuf),
    /// A file.
    #[error("{} cannot be read or written: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What stands in a file.
    #[error(transparent)]
    Papers(#[from] PapersError),
    /// Envelopes that do not belong together.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// A message that breaks a rule.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Somebody else's.
    #[error("it takes the key of {expected}, and {} is that of {found}", path.display())]
    OtherKey {
        /// The file of the key that was used.
        path: PathBuf,
        /// Whose key it takes.
        expected: Box<Identity>,
        /// Whose it is.
        found: Box<Identity>,
    },
    /// A watt number.
    #[error("{0} W are more than can be nominated")]
    Power(u64),
    /// It needs no second signature.
    #[error("a {0} takes no second signature, or has it already")]
    Whole(&'static str),
    /// Not a rotation.
    #[error("only rotations are vetoed; this is a {0}")]
    NoRotation(&'static str),
    /// The output.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Does what the owner asked for; what there is to say goes to `out`.
///
/// # Errors
/// [`OwnerError`] as a sentence.
pub fn run(args: &OwnerArgs, out: &mut impl Write) -> Result<(), OwnerError> {
    let desk = Desk {
        key: &args.key,
        now: args.now,
    };
    match &args.command {
        OwnerCommand::Init => init(&args.key, out),
        OwnerCommand::Show(args) => show::run(&desk, args, out),
        OwnerCommand::Accept(args) => accept::run(&desk, args, out),
        OwnerCommand::Transfer(args) => change::transfer(&desk, args, out),
        OwnerCommand::Countersign(args) => change::countersign(&desk, args, out),
        OwnerCommand::Rotate(args) => change::rotate(&desk, args, out),
        OwnerCommand::Revoke(args) => change::revoke(&desk, args, out),
        OwnerCommand::Veto(args) => change::veto(&desk, args, out),
    }
}

fn init(key: &Path, out: &mut impl Write) -> Result<(), OwnerError> {
    if key.exists() {
        return Err(OwnerError::KeyExists(key.to_owned()));
    }
    Ok(writeln!(out, "{}", identity::load_or_create(key)?.identity())?)
}

/// The owner's key, and what time it is.
struct Desk<'a> {
    key: &'a Path,
    now: Option<Timestamp>,
}

impl Desk<'_> {
    fn key(&self) -> Result<SigningIdentity, OwnerError> {
        Ok(identity::load(self.key)?)
    }

    /// The key, which must be this one.
    fn key_of(&self, expected: Identity) -> Result<SigningIdentity, OwnerError> {
        let key = self.key()?;
        if key.identity() == expected {
            return Ok(key);
        }
        Err(OwnerError::OtherKey {
            path: self.key.to_owned(),
            expected: Box::new(expected),
            found: Box::new(key.identity()),
        })
    }

    fn now(&self) -> Timestamp {
        self.now
            .unwrap_or_else(|| gridtally_settlement::clock::Clock::System.now())
    }
}

/// No text of ours is longer.
const TEXT_LEN_MAX: u64 = 256 * 1024;

fn read(path: &Path) -> Result<String, OwnerError> {
    let failed = |source| OwnerError::File {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(TEXT_LEN_MAX)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<(), OwnerError> {
    fs::write(path, text).map_err(|source| OwnerError::File {
        path: path.to_owned(),
        source,
    })
}
