//! `gridtally log verify`: the whole log recomputed by anyone; `gridtally log check`: one proof, offline.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gridtally_protocol::identity::Digest;

use super::CommandError;
use crate::files::{DiskError, LogReader, Place};
use crate::leaf::{Kind, Leaf, Name};
use crate::note::{SignedCheckpoint, VerifierKey};
use crate::proof::InclusionProof;

/// The log of what was signed, settled and paid.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LogCommand,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Recompute the whole log from its files, and show what is in it.
    Verify(VerifyArgs),
    /// Check a proof that a record is in a log, offline.
    Check(CheckArgs),
}

/// `gridtally log verify …`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A log's directory, or the http:// URL before /checkpoint
    pub log: Place,
    /// The log's public key: NAME+HASH+BASE64
    #[arg(long, value_name = "KEY")]
    pub origin_key: VerifierKey,
    /// A witness's public key, whose cosignature there must be; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub witness_key: Vec<VerifierKey>,
    /// Recompute the log as of this checkpoint, such as one that a witness has cosigned, and not of the latest
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// A checkpoint that you kept: the log must begin with what it was then
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    /// Show every leaf of this name, with a proof that it is in the log
    #[arg(long, value_name = "NAME")]
    pub inclusion: Option<Name>,
    /// Write these proofs to files in this directory
    #[arg(long, value_name = "DIR", requires = "inclusion")]
    pub proofs: Option<PathBuf>,
}

/// `gridtally log check …`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The proof, as `gridtally log verify --proofs` writes it
    pub proof: PathBuf,
    /// The log's public key: NAME+HASH+BASE64
    #[arg(long, value_name = "KEY")]
    pub origin_key: VerifierKey,
    /// A witness's public key, whose cosignature there must be; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub witness_key: Vec<VerifierKey>,
    /// The leaf: what sort of record
    #[arg(long, value_name = "KIND")]
    pub kind: Kind,
    /// The leaf: what the record is called
    #[arg(long, value_name = "NAME")]
    pub name: Name,
    /// The leaf: the record's SHA-256, in hexadecimal
    #[arg(long, value_name = "SHA256")]
    pub digest: Digest,
}

/// Does what was typed.
///
/// # Errors
/// [`CommandError`] with the first thing that does not hold.
pub fn run(args: &LogArgs, out: &mut impl Write) -> Result<(), CommandError> {
    match &args.command {
        LogCommand::Verify(args) => verify(args, out),
        LogCommand::Check(args) => check(args, out),
    }
}

fn verify(args: &VerifyArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let reader = match &args.checkpoint {
        None => LogReader::open(args.log.open(), &args.origin_key)?,
        Some(file) => LogReader::as_of(args.log.open(), &args.origin_key, read_checkpoint(file)?)?,
    };
    for key in &args.witness_key {
        reader.checkpoint().signed_by(key)?;
    }
    let mut found = Vec::new();
    let checked = reader.check_all(|index, leaf| {
        if args.inclusion.as_ref() == Some(&leaf.name) {
            found.push((index, leaf.clone()));
        }
    })?;
    let head = reader.head();
    writeln!(out, "Log {}, {} leaves", args.origin_key.name(), head.size)?;
    writeln!(out, "  root        {}", head.root)?;
    writeln!(out, "  signed by   {}", args.origin_key)?;
    for key in &args.witness_key {
        let seconds = reader.checkpoint().signed_by(key)?;
        writeln!(out, "  cosigned by {key} at {}", super::witness::instant(seconds))?;
    }
    for (kind, count) in &checked.leaves {
        writeln!(out, "  {kind:<11} {count}")?;
    }
    writeln!(
        out,
        "Every entry hashes to its leaf, and the leaves, through {} tiles, to the signed root.",
        checked.tiles
    )?;
    if let Some(file) = &args.since {
        let kept = read_checkpoint(file)?;
        kept.trusted(&args.origin_key)?;
        reader.must_extend(kept.checkpoint.head)?;
        let size = kept.checkpoint.head.size;
        writeln!(out, "It continues the {size} leaves of {}.", file.display())?;
    }
    if let Some(name) = &args.inclusion {
        if found.is_empty() {
            return Err(CommandError::NoSuchName(name.to_string()));
        }
        for (index, leaf) in &found {
            show_leaf(&reader.prove_inclusion(*index)?, leaf, args, out)?;
        }
    }
    Ok(())
}

fn read_checkpoint(file: &Path) -> Result<SignedCheckpoint, CommandError> {
    let bytes = fs::read(file).map_err(DiskError::at(file, "read"))?;
    SignedCheckpoint::parse(&bytes).map_err(|source| CommandError::Checkpoint {
        file: file.to_owned(),
        source,
    })
}

fn show_leaf(
    proof: &InclusionProof,
    leaf: &Leaf,
    args: &VerifyArgs,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let Leaf { kind, name, digest } = leaf;
    let index = proof.index;
    writeln!(
        out,
        "Leaf {index}: {kind} {name}, SHA-256 {digest}; its path has {} hashes",
        proof.path.len()
    )?;
    let Some(directory) = &args.proofs else {
        return Ok(());
    };
    fs::create_dir_all(directory).map_err(DiskError::at(directory, "made"))?;
    let file = directory.join(format!("leaf-{index}.tlog-proof"));
    fs::write(&file, proof.to_string()).map_err(DiskError::at(&file, "written"))?;
    Ok(writeln!(out, "  proof: {}", file.display())?)
}

fn check(args: &CheckArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let bytes = fs::read(&args.proof).map_err(DiskError::at(&args.proof, "read"))?;
    let fail = |source| CommandError::Proof {
        file: args.proof.clone(),
        source,
    };
    let proof = InclusionProof::parse(&bytes).map_err(fail)?;
    let leaf = Leaf {
        kind: args.kind,
        name: args.name.clone(),
        digest: args.digest,
    };
    proof.verify(&leaf, &args.origin_key).map_err(fail)?;
    for key in &args.witness_key {
        proof.checkpoint.signed_by(key)?;
    }
    let head = proof.checkpoint.checkpoint.head;
    Ok(writeln!(
        out,
        "{} {} is leaf {} of the {} of {}, root {}.",
        leaf.kind,
        leaf.name,
        proof.index,
        head.size,
        args.origin_key.name(),
        head.root
    )?)
}
