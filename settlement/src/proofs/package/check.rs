//! What the other files of a package prove: that the log has the statement, the transactions and the payout root which the
//! bundle leads to. The log's key is the engine's.

use gridtally_log::leaf::{Kind, Leaf, LeafError};
use gridtally_log::note::{Algorithm, KeyError, TrustError, VerifierKey};
use gridtally_log::proof::{InclusionError, InclusionProof};
use gridtally_protocol::identity::{Digest, Identity};

use super::{PAYOUT_PROOF, PAYOUT_TREE, Package, STATEMENT_PROOF, TRANSACTION_PROOF, number_of, numbered};
use crate::payouts::roots::{DumpError, read_dump};
use crate::proofs::verify::Verified;

/// Why a file of a package does not hold.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct CheckError {
    /// Which file.
    pub file: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a file of a package.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The proof.
    #[error(transparent)]
    Inclusion(#[from] InclusionError),
    /// The name of what is to be proven.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The name of the log.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A witness.
    #[error("no signature of the witness {key} on its checkpoint: {source}")]
    Witness {
        /// Whose is asked for.
        key: Box<VerifierKey>,
        /// Why there is none.
        source: TrustError,
    },
    /// The tree.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// A tree alone.
    #[error("the proof that the log has this payout root is missing")]
    NoProof,
    /// A proof alone.
    #[error("the tree of this payout root is missing")]
    NoTree,
    /// A proof of nothing.
    #[error("the bundle has only {0} transactions")]
    NoSuchTransaction(usize),
}

/// What was proven.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proven {
    /// Of the log, by its name, and how large it was.
    pub log: Option<(String, u64)>,
    /// How many statements and transactions are shown to be in the log.
    pub leaves: u64,
    /// Whose signatures stand on every checkpoint, of those that were asked for.
    pub witnesses: usize,
    /// The payout root, and how many addresses claim under it.
    pub payout: Option<(String, usize)>,
}

/// Checks every file beside the bundle, of which everything held. Each checkpoint must bear a signature of each witness.
///
/// # Errors
/// [`CheckError`] that names the first file which does not hold.
pub fn check(
    package: &Package,
    verified: &Verified,
    witnesses: &[VerifierKey],
) -> Result<Proven, CheckError> {
    let mut proven = Proven::default();
    let checker = Checker {
        engine: verified.bundle.engine(),
        witnesses,
    };
    let statement = &verified.derived.statement;
    if let Some(file) = package.file(STATEMENT_PROOF) {
        let name = format!("{}/{}", verified.bundle.event(), verified.bundle.version());
        let at = wrong(STATEMENT_PROOF);
        let leaf = leaf(Kind::Statement, &name, Digest::of(&statement.to_bytes())).map_err(&at)?;
        checker.included(file, &leaf, &mut proven).map_err(&at)?;
    }
    let transactions: Vec<_> = verified.derived.bookings.all().collect();
    for (number, name) in numbered_files(package, TRANSACTION_PROOF) {
        let at = wrong(name);
        let transaction = usize::try_from(number).ok().and_then(|n| transactions.get(n));
        let transaction = transaction
            .ok_or(Problem::NoSuchTransaction(transactions.len()))
            .map_err(&at)?;
        let leaf = leaf(
            Kind::Transaction,
            &transaction.key().to_string(),
            transaction.digest(),
        )
        .map_err(&at)?;
        checker
            .included(file(package, name), &leaf, &mut proven)
            .map_err(&at)?;
    }
    for (number, name) in numbered_files(package, PAYOUT_TREE) {
        let tree = read_dump(file(package, name))
            .map_err(Problem::from)
            .map_err(wrong(name))?;
        let proof = numbered(PAYOUT_PROOF, number);
        let at = wrong(&proof);
        let under = package
            .file(&proof)
            .ok_or(Problem::NoProof)
            .map_err(wrong(name))?;
        let root = tree.root().to_string();
        let name = format!("{}/{}/{number}", statement.program.id, statement.asset.code());
        let leaf = leaf(Kind::PayoutRoot, &name, Digest::of(root.as_bytes())).map_err(&at)?;
        checker.included(under, &leaf, &mut proven).map_err(&at)?;
        proven.payout = Some((root, tree.leaves().count()));
    }
    for (number, name) in numbered_files(package, PAYOUT_PROOF) {
        let tree = package.file(&numbered(PAYOUT_TREE, number));
        tree.ok_or(Problem::NoTree).map_err(wrong(name))?;
    }
    proven.witnesses = if proven.leaves > 0 { witnesses.len() } else { 0 };
    Ok(proven)
}

/// The files of a family with their numbers.
fn numbered_files<'p>(
    package: &'p Package,
    family: (&'static str, &'static str),
) -> impl Iterator<Item = (u32, &'p str)> {
    let names = package.names();
    names.filter_map(move |name| Some((number_of(family, name)?, name)))
}

fn file<'p>(package: &'p Package, name: &str) -> &'p [u8] {
    package.file(name).unwrap_or_default()
}

fn wrong(file: &str) -> impl Fn(Problem) -> CheckError {
    let file = file.to_owned();
    move |problem| CheckError {
        file: file.clone(),
        problem,
    }
}

/// A leaf of the log.
///
/// # Errors
/// [`LeafError`] of its name.
pub fn leaf(kind: Kind, name: &str, digest: Digest) -> Result<Leaf, Problem> {
    Ok(Leaf {
        kind,
        name: name.parse()?,
        digest,
    })
}

struct Checker<'c> {
    engine: Identity,
    witnesses: &'c [VerifierKey],
}

impl Checker<'_> {
    fn included(&self, file: &[u8], leaf: &Leaf, proven: &mut Proven) -> Result<(), Problem> {
        let proof = InclusionProof::parse(file)?;
        let origin = proof.checkpoint.checkpoint.origin.clone();
        let key = VerifierKey::new(origin.parse()?, Algorithm::Ed25519, self.engine);
        proof.verify(leaf, &key)?;
        for witness in self.witnesses {
            proof
                .checkpoint
                .signed_by(witness)
                .map_err(|source| Problem::Witness {
                    key: Box::new(witness.clone()),
                    source,
                })?;
        }
        proven.leaves = proven.leaves.saturating_add(1);
        let size = proof.checkpoint.checkpoint.head.size;
        proven.log = Some((proof.checkpoint.checkpoint.origin.to_string(), size));
        Ok(())
    }
}
