//! `gridtally verify`: what a stranger runs on a bundle. No database, no network, no trust.

mod reading;
mod site;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use gridtally_log::note::VerifierKey;
use gridtally_protocol::identity::Identity;
use serde_json::json;

pub use self::reading::ReadingName;
use crate::proofs::bundle::BundleError;
use crate::proofs::package::check::{CheckError, Proven, check};
use crate::proofs::package::squeezed::is_squeezed;
use crate::proofs::package::{self, Package, PackageError};
use crate::proofs::verify::{Verified, VerifyError, verify};
use crate::rules::statement::{SiteId, SiteStatement};

/// `gridtally verify …`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The bundle of a settlement, or the package of one (`gridtally engine bundle`)
    pub bundle: PathBuf,
    /// Whose it must be: the engine's identity, as `gridtally engine identity` prints it
    #[arg(long, value_name = "DID")]
    pub engine: Option<Identity>,
    /// Ask for this witness's signature under the checkpoint of every proof in the package: NAME+KEYID+BASE64. Again for more
    #[arg(long = "witness-key", value_name = "KEY")]
    pub witness_keys: Vec<VerifierKey>,
    /// Show how a site's money came about, from kWh to tokens, interval by interval
    #[arg(long, alias = "explain", value_name = "SITE", conflicts_with = "json")]
    pub site: Option<SiteId>,
    /// Show what was signed of a site's interval, and what became of it: SITE@INSTANT, any instant in the interval
    #[arg(long, value_name = "SITE@INSTANT", conflicts_with = "json")]
    pub reading: Option<ReadingName>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Why a bundle is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyCommandError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what it claims to be.
    #[error("{} does not hold: {source}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The first thing that does not hold.
        source: Box<VerifyError>,
    },
    /// It begins as a package does, and is none.
    #[error("{} does not hold: {source}", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// Why it is none.
        source: PackageError,
    },
    /// What is beside the bundle.
    #[error("{}: the bundle holds, but not what is beside it: {source}", path.display())]
    Beside {
        /// The file.
        path: PathBuf,
        /// The first file that does not hold.
        source: CheckError,
    },
    /// Nothing that a witness could have signed.
    #[error("{}: it has no proof with a checkpoint, so no witness signed anything in it", path.display())]
    NoCheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// The site to be explained is not in it.
    #[error("the bundle holds, but there is no site {site} in it; there are {known}")]
    UnknownSite {
        /// As asked for.
        site: SiteId,
        /// Those that there are.
        known: String,
    },
    /// The evidence cannot be read, though it held.
    #[error("the bundle holds, but {0}")]
    Evidence(#[from] BundleError),
    /// The output.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Verifies a bundle and says what was checked.
///
/// # Errors
/// [`VerifyCommandError`] with the first thing that does not hold; then nothing was printed.
pub fn run(args: &VerifyArgs, out: &mut impl Write) -> Result<(), VerifyCommandError> {
    let path = || args.bundle.clone();
    let bytes = fs::read(&args.bundle).map_err(|source| VerifyCommandError::File { path: path(), source })?;
    let package = is_squeezed(&bytes).then(|| Package::read(&bytes)).transpose();
    let package = package.map_err(|source| VerifyCommandError::Package { path: path(), source })?;
    let bundle = package.as_ref().and_then(|package| package.file(package::BUNDLE));
    let verified = verify(bundle.unwrap_or(&bytes), args.engine.as_ref()).map_err(|source| {
        VerifyCommandError::Broken {
            path: path(),
            source: Box::new(source),
        }
    })?;
    let proven = match &package {
        Some(package) => check(package, &verified, &args.witness_keys)
            .map_err(|source| VerifyCommandError::Beside { path: path(), source })?,
        None => Proven::default(),
    };
    if proven.leaves == 0 && !args.witness_keys.is_empty() {
        return Err(VerifyCommandError::NoCheckpoint { path: path() });
    }
    if args.json {
        return Ok(writeln!(out, "{}", as_json(&verified))?);
    }
    tell(&verified, args.engine.is_some(), out)?;
    tell_proven(&proven, out)?;
    writeln!(out, "Everything holds.")?;
    if let Some(site) = &args.site {
        site::explain(statement_of(&verified, site)?, &verified, out)?;
        site::tell_quality(site, &verified, out)?;
    }
    if let Some(reading) = &args.reading {
        let statement = statement_of(&verified, &reading.site)?;
        reading::explain(reading, statement, &verified, out)?;
    }
    Ok(())
}

fn statement_of<'v>(verified: &'v Verified, site: &SiteId) -> Result<&'v SiteStatement, VerifyCommandError> {
    let sites = &verified.derived.statement.sites;
    sites
        .iter()
        .find(|statement| statement.site == *site)
        .ok_or_else(|| {
            let known: Vec<&str> = sites.iter().map(|statement| statement.site.as_str()).collect();
            VerifyCommandError::UnknownSite {
                site: site.clone(),
                known: known.join(", "),
            }
        })
}

fn as_json(verified: &Verified) -> serde_json::Value {
    let Verified { bundle, derived } = verified;
    json!({
        "event": bundle.event(), "root": bundle.root(), "engine": bundle.engine(),
        "records": bundle.record_count(), "counts": derived.counts, "refused": derived.refused,
        "statement_hash": derived.statement.hash(), "statement": derived.statement,
        "run": bundle.run(), "transactions": derived.bookings.all().collect::<Vec<_>>(),
    })
}

fn tell(verified: &Verified, pinned: bool, out: &mut impl Write) -> io::Result<()> {
    let Verified { bundle, derived } = verified;
    let (counts, statement) = (&derived.counts, &derived.statement);
    let program = &statement.program;
    let whose = if pinned {
        "as expected"
    } else {
        "say --engine to be told if it is another's"
    };
    writeln!(
        out,
        "Event {}, settled under program {} version {}",
        bundle.event(),
        program.id,
        program.version
    )?;
    writeln!(out, "  root       {}", bundle.root())?;
    writeln!(out, "  statement  {}", statement.hash())?;
    writeln!(out, "  program    {}", program.hash)?;
    writeln!(out, "  signed by  {} ({whose})\n", bundle.engine())?;
    writeln!(
        out,
        "Every one of the {} records has its hash, and together they have the signed Merkle root.",
        bundle.record_count()
    )?;
    let signed_reports = counts
        .signatures
        .saturating_sub(counts.instructions)
        .saturating_sub(counts.acknowledgements)
        .saturating_sub(counts.agreement_signatures);
    writeln!(
        out,
        "{} signatures hold: of {} instructions, {} acknowledgements and {signed_reports} reports; {} of these reports count, with {} readings.",
        counts.signatures, counts.instructions, counts.acknowledgements, counts.reports, counts.readings
    )?;
    let (agreed, by_word) = (counts.by_agreement, counts.by_word);
    if agreed > 0 {
        writeln!(
            out,
            "{agreed} of {} enrolments are what gateway, owner and operator signed ({} signatures).",
            agreed.saturating_add(by_word),
            counts.agreement_signatures
        )?;
    }
    if by_word > 0 {
        writeln!(out, "{by_word} enrolments are the operator's word alone.")?;
    }
    writeln!(
        out,
        "From these, the rules (baseline {}) make the same {} lines for {} sites, byte for byte.",
        program.baseline.id,
        counts.lines,
        statement.sites.len()
    )?;
    tell_payment(verified, out)?;
    tell_refused(verified, out)
}

/// What a package shows beside its bundle.
fn tell_proven(proven: &Proven, out: &mut impl Write) -> io::Result<()> {
    if let Some((log, size)) = &proven.log {
        let (leaves, witnesses) = (proven.leaves, proven.witnesses);
        writeln!(
            out,
            "{leaves} proofs show these in the log {log} of {size} leaves, which the engine signed, and {witnesses} of the witnesses asked for."
        )?;
    }
    if let Some((root, addresses)) = &proven.payout {
        writeln!(
            out,
            "The payout root {root}, of {addresses} addresses, is in the log too."
        )?;
    }
    Ok(())
}

fn tell_payment(verified: &Verified, out: &mut impl Write) -> io::Result<()> {
    let statement = &verified.derived.statement;
    let total = format!(
        "{} {}",
        statement.asset.show(statement.totals.amount),
        statement.asset.code()
    );
    match &verified.derived.bookings.settlement {
        Some(transaction) => writeln!(
            out,
            "They pay {total} for {} kWh, which the transaction {} books in {} entries that add up to nothing.",
            statement.totals.credited,
            transaction.key(),
            transaction.entries().len()
        ),
        None => writeln!(out, "They pay nothing, and nothing is booked."),
    }
}

fn tell_refused(verified: &Verified, out: &mut impl Write) -> io::Result<()> {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for refused in &verified.derived.refused {
        let count = reasons.entry(refused.reason.name()).or_insert(0);
        *count = count.saturating_add(1);
    }
    if reasons.is_empty() {
        return writeln!(out, "Nothing was refused.");
    }
    let told: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    writeln!(
        out,
        "Refused, with the reason in the evidence: {}.",
        told.join(", ")
    )
}
