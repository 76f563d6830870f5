//! `gridtally engine log`: the append-only record of what the engine accepted, announced, settled and paid, as files that
//! any web server can serve.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use gridtally_log::files::{Directory, LogReader, LogWriter, ReadError, WriteError};
use gridtally_log::leaf::Leaf;
use gridtally_log::note::{Algorithm, KeyName, Signer};

use super::{EngineCommandError, Place, engine_key};
use crate::store::record;

/// `gridtally engine log …`
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Append everything new, and sign the checkpoint. The same again changes nothing.
    Publish(PublishArgs),
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
    }
}

fn publish(place: &Place, args: &PublishArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let signer = args.origin.signer(place)?;
    let key = signer.verifier().clone();
    let stands = place.open()?.store.transact(|client| record::leaves(client))?;
    let mut log = if args.directory.join("checkpoint").exists() {
        LogWriter::open(&args.directory, signer)
    } else {
        LogWriter::create(&args.directory, signer)
    }
    .map_err(LogError::from)?;
    let mut known: BTreeSet<Vec<u8>> = BTreeSet::new();
    let reader = LogReader::open(Directory::new(&args.directory), &key).map_err(LogError::from)?;
    let remember = |_, leaf: &Leaf| {
        known.insert(leaf.encode());
    };
    reader.check_all(remember).map_err(LogError::from)?;
    let new: Vec<Leaf> = stands
        .into_iter()
        .filter(|leaf| !known.contains(&leaf.encode()))
        .collect();
    let size = log.head().size;
    let head = log.append(size, &new).map_err(LogError::from)?.checkpoint.head;
    Ok(writeln!(
        out,
        "Appended {} leaves; the log has {} now, under the root {}.\nWho checks it needs its key: {key}",
        new.len(),
        head.size,
        head.root
    )?)
}
