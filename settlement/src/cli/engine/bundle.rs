//! `gridtally engine bundle`: a settlement as a stranger needs it, in one compressed file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use gridtally_log::files::{Directory, LogReader, ReadError};
use gridtally_log::leaf::{Kind, Leaf};
use gridtally_log::note::VerifierKey;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::instruction::EventId;

use super::log::{LogError, OriginArgs};
use super::{EngineCommandError, Place};
use crate::payouts::roots::{ClaimsError, Dump};
use crate::proofs::package::check::{CheckError, Problem, check, leaf};
use crate::proofs::package::{
    PAYOUT_PROOF, PAYOUT_TREE, Package, STATEMENT_PROOF, TRANSACTION_PROOF, numbered,
};
use crate::proofs::verify::{Verified, VerifyError, verify};
use crate::store::payout_roots::{self, PayoutRootError};
use crate::store::settlements;

/// `gridtally engine bundle …`
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// The event's name.
    pub event: EventId,
    /// Which of its statements: corrections have higher versions.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub version: u32,
    /// The directory of the public log (`engine log publish`), for proofs that it has the statement, the transactions and the
    /// newest payout root. Without it, the bundle alone is packed.
    #[arg(long, value_name = "DIR")]
    pub log: Option<PathBuf>,
    /// What the log is called.
    #[command(flatten)]
    pub origin: OriginArgs,
    /// The file to write (default: EVENT.tgz).
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Why a settlement is not packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// What is kept does not hold.
    #[error("the bundle that is kept does not hold: {0}")]
    Verify(#[from] Box<VerifyError>),
    /// The log does not know of it yet.
    #[error("the log in {} has no {kind} {name} as it is kept; publish it first: `engine log publish {}`", directory.display(), directory.display())]
    NotLogged {
        /// What.
        kind: Kind,
        /// Which.
        name: String,
        /// Where the log is.
        directory: PathBuf,
    },
    /// The newest payout root.
    #[error(transparent)]
    Root(#[from] PayoutRootError),
    /// Its tree.
    #[error(transparent)]
    Tree(#[from] ClaimsError),
    /// What is to be proven has no name in the log.
    #[error(transparent)]
    Name(#[from] Problem),
    /// The files do not hold together.
    #[error("what would be packed does not hold: {0}")]
    Check(#[from] CheckError),
    /// It cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

pub(super) fn run(place: &Place, args: &BundleArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let (event, version) = (args.event.clone(), args.version);
    let mut open = place.open()?;
    let settled = open
        .store
        .transact(|client| settlements::find(client, &event, version))?;
    let settled = settled.ok_or(EngineCommandError::NotSettled { event, version })?;
    let verified = verify(settled.bundle.as_bytes(), None)
        .map_err(Box::new)
        .map_err(PackError::from)?;
    let mut package = Package::of(&settled.bundle);
    if let Some(directory) = &args.log {
        let statement = &verified.derived.statement;
        let root = open
            .store
            .transact(|client| payout_roots::newest(client, &statement.program.id, &statement.asset))
            .map_err(PackError::from)?;
        let log = args.origin.signer(place)?.verifier().clone();
        let wanted = wanted(&verified, root.as_ref())?;
        prove(&mut package, wanted, directory, &log)?;
    }
    let proven = check(&package, &verified, &[]).map_err(PackError::from)?;
    let path = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.tgz", args.event)));
    let written = package
        .write()
        .and_then(|bytes| fs::write(&path, &bytes).map(|()| bytes.len()));
    let len = written.map_err(|source| PackError::Write {
        path: path.clone(),
        source,
    })?;
    let files: Vec<&str> = package.names().collect();
    writeln!(
        out,
        "{}: {len} bytes, the bundle being {}; in it {}.",
        path.display(),
        settled.bundle.len(),
        files.join(", ")
    )?;
    if args.log.is_some() && proven.payout.is_none() {
        writeln!(
            out,
            "The log has no payout root of this program; `engine payout root` and `engine log publish` make one."
        )?;
    }
    Ok(writeln!(
        out,
        "Anyone checks it with: gridtally verify {} --engine {}",
        path.display(),
        verified.bundle.engine()
    )?)
}

/// A leaf that the log should have, and which files prove it.
struct Wanted {
    leaf: Leaf,
    file: String,
    /// A file that is of use with the proof only.
    beside: Option<(String, Vec<u8>)>,
}

fn wanted(verified: &Verified, root: Option<&payout_roots::Root>) -> Result<Vec<Wanted>, PackError> {
    let Verified { bundle, derived } = verified;
    let name = format!("{}/{}", bundle.event(), bundle.version());
    let statement = leaf(Kind::Statement, &name, Digest::of(&derived.statement.to_bytes()))?;
    let mut wanted = vec![Wanted {
        leaf: statement,
        file: STATEMENT_PROOF.to_owned(),
        beside: None,
    }];
    for (number, transaction) in (0..).zip(derived.bookings.all()) {
        wanted.push(Wanted {
            leaf: leaf(
                Kind::Transaction,
                &transaction.key().to_string(),
                transaction.digest(),
            )?,
            file: numbered(TRANSACTION_PROOF, number),
            beside: None,
        });
    }
    if let Some(root) = root.filter(|root| root.root.is_some()) {
        let tree = root.claims.tree()?;
        let number = root.name.number;
        let name = format!("{}/{}/{number}", root.name.program, root.name.asset.code());
        // Strings and integers: writing them to memory cannot fail.
        let dump = serde_json::to_vec_pretty(&Dump::of(&tree)).unwrap_or_default();
        wanted.push(Wanted {
            leaf: leaf(
                Kind::PayoutRoot,
                &name,
                Digest::of(tree.root().to_string().as_bytes()),
            )?,
            file: numbered(PAYOUT_PROOF, number),
            beside: Some((numbered(PAYOUT_TREE, number), dump)),
        });
    }
    Ok(wanted)
}

/// Finds all of it in the log, recomputing that on the way, and puts the proofs in. A payout root that is not in the log yet is
/// left out.
fn prove(
    package: &mut Package,
    wanted: Vec<Wanted>,
    directory: &Path,
    log: &VerifierKey,
) -> Result<(), EngineCommandError> {
    let read = |error: ReadError| EngineCommandError::from(LogError::from(error));
    let reader = LogReader::open(Directory::new(directory), log).map_err(read)?;
    let mut places: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    reader
        .check_all(|index, leaf| {
            if wanted.iter().any(|wanted| wanted.leaf == *leaf) {
                places.insert(leaf.encode(), index);
            }
        })
        .map_err(read)?;
    for Wanted { leaf, file, beside } in wanted {
        let Some(index) = places.get(&leaf.encode()) else {
            if leaf.kind == Kind::PayoutRoot {
                continue;
            }
            let (kind, name) = (leaf.kind, leaf.name.as_str().to_owned());
            let directory = directory.to_owned();
            return Err(PackError::NotLogged {
                kind,
                name,
                directory,
            }
            .into());
        };
        package.put(file, reader.prove_inclusion(*index).map_err(read)?.to_string());
        if let Some((name, content)) = beside {
            package.put(name, content);
        }
    }
    Ok(())
}
