//! `gridtally engine log`: the append-only record of what the engine accepted, announced, settled and paid, as files that
//! any web server can serve.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use gridtally_log::files::{Directory, LogReader, LogWriter, ReadError, WriteError};
use gridtally_log::leaf::Leaf;
use gridtally_log::note::{
    Algorithm, CheckpointError, KeyName, SignedCheckpoint, Signer, TreeHead, VerifierKey,
};

use super::{EngineCommandError, Place, engine_key};
use crate::store::{log_heads, record};

/// `gridtally engine log …`
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Append everything new, and sign the checkpoint. The same again changes nothing.
    Publish(PublishArgs),
    /// Put witnesses' signatures below the checkpoint, from the files that they wrote.
    Cosign(CosignArgs),
    /// Print the log's public key, which those who check it and witnesses need.
    Key(OriginArgs),
}

/// Where the log is published.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The directory that a web server serves; made where there is none.
    pub directory: PathBuf,
    /// What the log is called.
    #[command(flatten)]
    pub origin: OriginArgs,
}

/// Who witnessed it.
#[derive(Debug, Args)]
pub struct CosignArgs {
    /// The directory that a web server serves.
    pub directory: PathBuf,
    /// What witnesses wrote: `gridtally witness cosign --output FILE`.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// A witness's public key, as `gridtally witness init` prints it. Again for more.
    #[arg(long = "witness-key", value_name = "KEY", required = true)]
    pub witness_keys: Vec<VerifierKey>,
    /// What the log is called.
    #[command(flatten)]
    pub origin: OriginArgs,
}

/// What the log is called.
#[derive(Debug, Args)]
pub struct OriginArgs {
    /// The log's name for ever, as a host and path that are yours: flex.example/log. Without it, gridtally/ and the engine's
    /// identity.
    #[arg(long, value_name = "NAME")]
    pub origin: Option<KeyName>,
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log's own files.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What was published before.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It was published, and is not there.
    #[error(
        "{} has no checkpoint, but the log {origin} was published with {size} leaves: bring its files back, or give another log another name with --origin", directory.display()
    )]
    Gone {
        /// Where it should be.
        directory: PathBuf,
        /// What it is called.
        origin: String,
        /// How long it was.
        size: u64,
    },
    /// What a witness wrote.
    #[error("{}: {source}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// No name.
    #[error("{0} is no name for a log: {1}")]
    Origin(String, String),
}

impl OriginArgs {
    pub(super) fn signer(&self, place: &Place) -> Result<Signer, EngineCommandError> {
        let key = engine_key(&place.data)?;
        let origin = match &self.origin {
            Some(origin) => origin.clone(),
            None => {
                let name = format!("gridtally/{}", key.identity().multibase());
                name.parse()
                    .map_err(|error| LogError::Origin(name.clone(), format!("{error}")))?
            }
        };
        Ok(Signer::new(origin, Algorithm::Ed25519, key))
    }
}

pub(super) fn run(
    place: &Place,
    command: &LogCommand,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    match command {
        LogCommand::Key(origin) => Ok(writeln!(out, "{}", origin.signer(place)?.verifier())?),
        LogCommand::Publish(args) => publish(place, args, out),
        LogCommand::Cosign(args) => cosign(place, args, out),
    }
}

fn cosign(place: &Place, args: &CosignArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let signer = args.origin.signer(place)?;
    let mut log = LogWriter::open(&args.directory, signer).map_err(LogError::from)?;
    for path in &args.files {
        let path = path.clone();
        let bytes = fs::read(&path).map_err(|source| EngineCommandError::File {
            path: path.clone(),
            source,
        })?;
        let copy = SignedCheckpoint::parse(&bytes).map_err(|source| LogError::Checkpoint {
            path: path.clone(),
            source,
        })?;
        let size = copy.checkpoint.head.size;
        let count = log
            .add_cosignatures(&copy, &args.witness_keys)
            .map_err(LogError::from)?;
        if count == 0 {
            writeln!(
                out,
                "{}: nothing to take from it: it is of {size} leaves, the log has {} now; and only signatures by the keys given count.",
                path.display(),
                log.head().size
            )?;
        } else {
            writeln!(
                out,
                "{}: {count} signatures stand below the checkpoint of {size} leaves.",
                path.display()
            )?;
        }
    }
    Ok(())
}

fn publish(place: &Place, args: &PublishArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let signer = args.origin.signer(place)?;
    let key = signer.verifier().clone();
    let mut open = place.open()?;
    let origin = key.name().to_string();
    let known = open.store.transact(|client| log_heads::newest(client, &origin))?;
    let stands = open.store.transact(|client| record::leaves(client))?;
    let exists = args.directory.join("checkpoint").exists();
    if let (false, Some(TreeHead { size, .. })) = (exists, known) {
        let directory = args.directory.clone();
        return Err(LogError::Gone {
            directory,
            origin,
            size,
        }
        .into());
    }
    let mut log = if exists {
        LogWriter::open(&args.directory, signer)
    } else {
        LogWriter::create(&args.directory, signer)
    }
    .map_err(LogError::from)?;
    if let Some(known) = known {
        log.must_extend(known).map_err(LogError::from)?;
    }
    let mut logged: BTreeSet<Vec<u8>> = BTreeSet::new();
    let reader = LogReader::open(Directory::new(&args.directory), &key).map_err(LogError::from)?;
    let remember = |_, leaf: &Leaf| {
        logged.insert(leaf.encode());
    };
    reader.check_all(remember).map_err(LogError::from)?;
    let new: Vec<Leaf> = stands
        .into_iter()
        .filter(|leaf| !logged.contains(&leaf.encode()))
        .collect();
    let size = log.head().size;
    let head = log.append(size, &new).map_err(LogError::from)?.checkpoint.head;
    let now = place.now();
    open.store
        .transact(|client| log_heads::remember(client, &origin, head, now))?;
    Ok(writeln!(
        out,
        "Appended {} leaves; the log has {} now, under the root {}.\nWho checks it needs its key: {key}",
        new.len(),
        head.size,
        head.root
    )?)
}
