//! `gridtally engine payout …`: what beneficiaries may claim on chain.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use gridtally_protocol::quantity::{Asset, Overflow, TokenAmount};
use gridtally_protocol::time::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::{EngineCommandError, Place};
use crate::ledger::Holder;
use crate::payouts::roots::{Address, Claims, ClaimsError, Companion, Dump, Proof, Tree, TreeError};
use crate::payouts::write_whole;
use crate::rules::program::ProgramId;
use crate::store::Store;
use crate::store::ledger::{LedgerError, credits};
use crate::store::payout_roots::{self, PayoutRootError, Root};

/// What may be done for claims on chain.
#[derive(Debug, Subcommand)]
pub enum ClaimCommand {
    /// Bind a beneficiary to the address that it claims with from now on; without an address, show those it had.
    Address {
        /// The beneficiary, as it was enrolled.
        beneficiary: Holder,
        /// The address: 0x and 40 hexadecimal digits. Where letters are mixed, their checksum (EIP-55) must be right.
        address: Option<Address>,
    },
    /// Publish what every beneficiary was credited in all: the root of a Merkle tree for each program and token.
    Root {
        /// Of this program only.
        #[arg(long, value_name = "ID")]
        program: Option<ProgramId>,
        /// Write the tree there, as `StandardMerkleTree.load` reads it, and beside it FILE.totals.json: whose it is.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print what a beneficiary may claim under the newest roots, with the proofs, as JSON.
    Proof {
        /// The beneficiary.
        beneficiary: Holder,
        /// Of this program only.
        #[arg(long, value_name = "ID")]
        program: Option<ProgramId>,
    },
}

/// Why a command about claims was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClaimCommandError {
    /// The root.
    #[error(transparent)]
    Root(#[from] PayoutRootError),
    /// The ledger has nothing of it.
    #[error(
        "nothing was ever paid in for program {0}, so nobody was credited by it; `engine ledger deposit` pays in"
    )]
    NoProgram(ProgramId),
    /// One file cannot hold several trees.
    #[error("there are {count} roots, and --out takes one; choose one with --program: {programs}")]
    Several {
        /// How many.
        count: usize,
        /// Which.
        programs: String,
    },
    /// There is nothing in it.
    #[error(
        "nobody can claim anything yet, so there is no tree to write; bind an address with `engine payout address`"
    )]
    Empty,
    /// The beneficiary has nothing to claim.
    #[error("{beneficiary} can claim nothing: {why}")]
    NoClaim {
        /// Who.
        beneficiary: Holder,
        /// Why not, and what to do.
        why: &'static str,
    },
    /// A file.
    #[error("{} cannot be written: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Sums.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The JSON.
    #[error("the JSON cannot be made: {0}")]
    Json(#[from] serde_json::Error),
    /// The output.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

pub(super) fn run(
    place: &Place,
    command: ClaimCommand,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let now = place.now();
    let store = &mut place.open()?.store;
    match command {
        ClaimCommand::Address {
            beneficiary,
            address: Some(address),
        } => bind(store, &beneficiary, address, now, out)?,
        ClaimCommand::Address {
            beneficiary,
            address: None,
        } => history(store, &beneficiary, out)?,
        ClaimCommand::Root { program, out: file } => {
            publish(store, program.as_ref(), file.as_deref(), now, out)?;
        }
        ClaimCommand::Proof { beneficiary, program } => {
            proofs(store, &beneficiary, program.as_ref(), out)?;
        }
    }
    Ok(())
}

fn bind(
    store: &mut Store,
    beneficiary: &Holder,
    address: Address,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), ClaimCommandError> {
    let (before, known) = store.transact(|client| {
        let before = payout_roots::bind(client, beneficiary, address, now)?;
        Ok::<_, PayoutRootError>((before, credits::is_known(client, beneficiary)?))
    })?;
    match before {
        Some(before) if before == address => writeln!(out, "{beneficiary} claims with {address} already.")?,
        Some(before) => writeln!(
            out,
            "{beneficiary} claims with {address} from now on. What was published for {before} stays there."
        )?,
        None => writeln!(out, "{beneficiary} claims with {address}.")?,
    }
    if !known {
        writeln!(
            out,
            "Nothing was credited to {beneficiary} yet: look whether the name is right."
        )?;
    }
    Ok(())
}

fn history(store: &mut Store, beneficiary: &Holder, out: &mut impl Write) -> Result<(), ClaimCommandError> {
    let bound = store
        .transact(|client| payout_roots::addresses(client, beneficiary))
        .map_err(PayoutRootError::from)?;
    for (address, since) in &bound {
        writeln!(out, "{since}  {address}")?;
    }
    if bound.is_empty() {
        writeln!(out, "{beneficiary} has no address yet.")?;
    }
    Ok(())
}

type Pair = (ProgramId, Asset);

fn pairs(
    client: &mut postgres::Transaction<'_>,
    program: Option<&ProgramId>,
) -> Result<Vec<Pair>, PayoutRootError> {
    let mut pairs = credits::programs(client)?;
    pairs.retain(|(id, _)| program.is_none_or(|wanted| wanted == id));
    Ok(pairs)
}

fn publish(
    store: &mut Store,
    program: Option<&ProgramId>,
    file: Option<&Path>,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), ClaimCommandError> {
    let (known, published) = store.transact(|client| {
        let pairs = pairs(client, program)?;
        let mut published = Vec::new();
        for (program, asset) in &pairs {
            let Some((root, new)) = payout_roots::publish(client, program, asset, now)? else {
                continue;
            };
            published.push((root, new, credits::paid_out(client, asset)?));
        }
        Ok::<_, PayoutRootError>((pairs.len(), published))
    })?;
    if let Some(program) = program.filter(|_| known == 0) {
        return Err(ClaimCommandError::NoProgram(program.clone()));
    }
    if published.is_empty() {
        writeln!(out, "Nobody was credited anything yet.")?;
    }
    for (root, new, paid_out) in &published {
        tell(root, *new, out)?;
        let twice = root
            .claims
            .lines
            .iter()
            .filter(|(_, line)| !line.published.is_empty());
        let twice = twice.filter_map(|(beneficiary, _)| paid_out.get(beneficiary).copied());
        let twice = TokenAmount::checked_sum(twice)?;
        if twice > TokenAmount::ZERO {
            let asset = &root.name.asset;
            writeln!(
                out,
                "  WARNING: {} {} went out to these beneficiaries by `ledger payout`. A distributor does not know of it and pays it again.",
                asset.show(twice),
                asset.code()
            )?;
        }
    }
    let Some(file) = file else { return Ok(()) };
    match published.as_slice() {
        [] => Err(ClaimCommandError::Empty),
        [(root, ..)] => write_files(root, file, out),
        several => Err(ClaimCommandError::Several {
            count: several.len(),
            programs: several
                .iter()
                .map(|(root, ..)| format!("{} in {}", root.name.program, root.name.asset.code()))
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

fn tell(root: &Root, new: bool, out: &mut impl Write) -> Result<(), ClaimCommandError> {
    let (name, sums) = (&root.name, root.claims.sums()?);
    let show = |amount| format!("{} {}", name.asset.show(amount), name.asset.code());
    let hash = root
        .root
        .map_or_else(|| "nothing to claim".to_owned(), |root| root.to_string());
    let code = name.asset.code();
    let same = if new { "" } else { ", as before" };
    writeln!(
        out,
        "Root {} of {} in {code}: {hash}{same}",
        name.number, name.program
    )?;
    writeln!(
        out,
        "  made at {}, from the ledger up to place {}",
        root.made_at, root.ledger_place
    )?;
    writeln!(out, "  credited {}, of which", show(sums.credited))?;
    writeln!(
        out,
        "  claimable {}, not claimable yet {}",
        show(sums.claimable),
        show(sums.not_claimable_yet)
    )?;
    if sums.over_claimable > TokenAmount::ZERO {
        writeln!(
            out,
            "  claimable beyond what is credited, after corrections: {}",
            show(sums.over_claimable)
        )?;
    }
    if new && root.root.is_some() && root.root == root.previous_root {
        writeln!(
            out,
            "  The root is that of number {}: nothing is to be done on chain.",
            name.number.saturating_sub(1)
        )?;
    }
    Ok(())
}

fn tree(claims: &Claims) -> Result<Option<Tree>, ClaimCommandError> {
    match claims.tree() {
        Ok(tree) => Ok(Some(tree)),
        Err(ClaimsError::Tree(TreeError::Empty)) => Ok(None),
        Err(error) => Err(PayoutRootError::from(error).into()),
    }
}

fn write_files(root: &Root, file: &Path, out: &mut impl Write) -> Result<(), ClaimCommandError> {
    let tree = tree(&root.claims)?.ok_or(ClaimCommandError::Empty)?;
    let companion = Companion::of(
        &root.name,
        (root.root, root.previous_root),
        (root.ledger_place, root.made_at),
        &root.claims,
    )?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(".totals.json");
    let beside = PathBuf::from(beside);
    write_json(&beside, &companion)?;
    write_json(file, &Dump::of(&tree))?;
    Ok(writeln!(
        out,
        "Wrote {} and {}",
        file.display(),
        beside.display()
    )?)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ClaimCommandError> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or_else(|| Path::new("."));
    write_whole(directory, path, &bytes).map_err(|source| ClaimCommandError::File {
        path: path.to_owned(),
        source,
    })
}

fn proofs(
    store: &mut Store,
    beneficiary: &Holder,
    program: Option<&ProgramId>,
    out: &mut impl Write,
) -> Result<(), ClaimCommandError> {
    let (bound, roots) = store.transact(|client| {
        let mut roots = Vec::new();
        for (program, asset) in pairs(client, program)? {
            roots.extend(payout_roots::newest(client, &program, &asset)?);
        }
        let bound = payout_roots::addresses(client, beneficiary)?;
        Ok::<_, PayoutRootError>((!bound.is_empty(), roots))
    })?;
    let mut claims = Vec::new();
    for root in &roots {
        let line = root.claims.lines.get(beneficiary);
        let (Some(line), Some(tree)) = (line, tree(&root.claims)?) else {
            continue;
        };
        let of = |address: &Address| Proof::of(&root.name, &tree, *address);
        claims.extend(line.published.keys().filter_map(of));
    }
    if claims.is_empty() {
        return Err(ClaimCommandError::NoClaim {
            beneficiary: beneficiary.clone(),
            why: match bound {
                false => "it has no address; bind one with `engine payout address`, then make a root",
                true => "no root says so; make one with `engine payout root`",
            },
        });
    }
    let answer = json!({ "beneficiary": beneficiary.as_str(), "claims": claims });
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?)
}

impl From<LedgerError> for ClaimCommandError {
    fn from(error: LedgerError) -> Self {
        Self::Root(error.into())
    }
}
