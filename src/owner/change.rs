//! What an owner signs after a site was admitted.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use gridtally_edge::identity;
use gridtally_protocol::agreement::{
    Agreement, ChangePapers, Holder, Papers, ROTATION_DELAY_SECONDS, Revocation, RevocationReason, Rotation,
    Transfer,
};
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::message::Message;
use gridtally_protocol::time::Timestamp;

use super::{Desk, OwnerError, read, write};

/// To whom.
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// The file of the agreement
    agreement: PathBuf,
    /// The new owner's identity
    #[arg(long, value_name = "DID")]
    to: Identity,
    /// Who is paid from then on
    #[arg(long, value_name = "NAME")]
    beneficiary: String,
    /// From when on (default: now)
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// The file for the new owner
    #[arg(long, value_name = "FILE", default_value = "transfer.change")]
    out: PathBuf,
}

/// What is signed as the second.
#[derive(Debug, Args)]
pub struct CountersignArgs {
    /// The file that has the first signature; the second is added to it
    change: PathBuf,
}

/// Which key follows.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The file of the agreement
    agreement: PathBuf,
    /// The file of the new key, which is made if it is not there
    #[arg(long, value_name = "FILE")]
    new_key: PathBuf,
    /// The gateway's key instead of yours: --key is then the box's present key
    #[arg(long)]
    gateway: bool,
    /// From when on (default: in 48 hours); the operator's delay may make it later
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// The file for the operator
    #[arg(long, value_name = "FILE", default_value = "rotation.change")]
    out: PathBuf,
}

/// What ends.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The file of the agreement
    agreement: PathBuf,
    /// Why
    #[arg(long, default_value = "ended")]
    reason: Reason,
    /// From when on (default: now)
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// The file for the operator
    #[arg(long, value_name = "FILE", default_value = "revocation.change")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reason {
    /// It is over; what was measured before counts
    Ended,
    /// Somebody else may hold the box's key; nothing of it is taken any more
    Compromised,
}

/// What is forbidden.
#[derive(Debug, Args)]
pub struct VetoArgs {
    /// The file of the rotation
    change: PathBuf,
    /// The file for the operator
    #[arg(long, value_name = "FILE", default_value = "veto.change")]
    out: PathBuf,
}

fn agreement(path: &Path) -> Result<Agreement, OwnerError> {
    Ok(Papers::parse(&read(path)?)?.agreement()?)
}

fn written(path: &Path, papers: &ChangePapers, next: &str, out: &mut impl Write) -> Result<(), OwnerError> {
    write(path, &papers.to_string())?;
    Ok(writeln!(out, "{}: {next}", path.display())?)
}

const TO_THE_OPERATOR: &str = "hand it to the operator, who runs `gridtally engine amend` on it";

pub(super) fn transfer(desk: &Desk<'_>, args: &TransferArgs, out: &mut impl Write) -> Result<(), OwnerError> {
    let agreement = agreement(&args.agreement)?;
    let (key, now) = (desk.key()?, desk.now());
    let transfer = Transfer {
        agreement: agreement.admission.digest,
        from: key.identity(),
        to: args.to,
        beneficiary: args.beneficiary.clone(),
        issued_at: now,
        effective_at: args.at.unwrap_or(now),
    };
    let papers = ChangePapers {
        kind: "transfer",
        first: transfer.seal(&key)?,
        second: None,
    };
    let next = "hand it to the new owner, who runs `gridtally owner countersign` on it";
    written(&args.out, &papers, next, out)
}

pub(super) fn countersign(
    desk: &Desk<'_>,
    args: &CountersignArgs,
    out: &mut impl Write,
) -> Result<(), OwnerError> {
    let mut papers = ChangePapers::parse(&read(&args.change)?)?;
    if papers.second.is_some() {
        return Err(OwnerError::Whole(papers.kind));
    }
    papers.second = Some(match papers.kind {
        "transfer" => second(desk, &Transfer::open(&papers.first)?.message, |t| t.to)?,
        "rotation" => second(desk, &Rotation::open(&papers.first)?.message, |r| r.new)?,
        other => return Err(OwnerError::Whole(other)),
    });
    written(&args.change, &papers, TO_THE_OPERATOR, out)
}

fn second<M: Message>(desk: &Desk<'_>, message: &M, who: fn(&M) -> Identity) -> Result<Vec<u8>, OwnerError> {
    Ok(message.seal(&desk.key_of(who(message))?)?)
}

pub(super) fn rotate(desk: &Desk<'_>, args: &RotateArgs, out: &mut impl Write) -> Result<(), OwnerError> {
    let agreement = agreement(&args.agreement)?;
    let (old, now) = (desk.key()?, desk.now());
    let new = identity::load_or_create(&args.new_key)?;
    let soon = now.checked_add(ROTATION_DELAY_SECONDS).unwrap_or(now);
    let rotation = Rotation {
        agreement: agreement.admission.digest,
        holder: if args.gateway {
            Holder::Gateway
        } else {
            Holder::Owner
        },
        old: old.identity(),
        new: new.identity(),
        issued_at: now,
        effective_at: args.at.unwrap_or(soon),
    };
    let papers = ChangePapers {
        kind: "rotation",
        first: rotation.seal(&old)?,
        second: Some(rotation.seal(&new)?),
    };
    written(&args.out, &papers, TO_THE_OPERATOR, out)
}

fn revocation(
    desk: &Desk<'_>,
    subject: Digest,
    reason: RevocationReason,
    at: Option<Timestamp>,
) -> Result<ChangePapers, OwnerError> {
    let now = desk.now();
    let revocation = Revocation {
        subject,
        reason,
        issued_at: now,
        effective_at: at.unwrap_or(now),
    };
    Ok(ChangePapers {
        kind: "revocation",
        first: revocation.seal(&desk.key()?)?,
        second: None,
    })
}

pub(super) fn revoke(desk: &Desk<'_>, args: &RevokeArgs, out: &mut impl Write) -> Result<(), OwnerError> {
    let subject = agreement(&args.agreement)?.admission.digest;
    let reason = match args.reason {
        Reason::Ended => RevocationReason::Ended,
        Reason::Compromised => RevocationReason::Compromised,
    };
    written(
        &args.out,
        &revocation(desk, subject, reason, args.at)?,
        TO_THE_OPERATOR,
        out,
    )
}

pub(super) fn veto(desk: &Desk<'_>, args: &VetoArgs, out: &mut impl Write) -> Result<(), OwnerError> {
    let papers = ChangePapers::parse(&read(&args.change)?)?;
    if papers.kind != "rotation" {
        return Err(OwnerError::NoRotation(papers.kind));
    }
    let subject = Rotation::open(&papers.first)?.digest;
    let veto = revocation(desk, subject, RevocationReason::Vetoed, None)?;
    written(&args.out, &veto, TO_THE_OPERATOR, out)
}
