//! What signed papers say, in words.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use gridtally_protocol::agreement::{
    Accepted, ChangePapers, Claim, Papers, Revocation, Rotation, Transfer, read_claim,
};
use gridtally_protocol::message::{Message as _, Signed};

use super::{Desk, OwnerError, read};

/// What is shown.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A file with a claim, an acceptance, an agreement or a change (default: your own identity)
    file: Option<PathBuf>,
}

pub(super) fn run(desk: &Desk<'_>, args: &ShowArgs, out: &mut impl Write) -> Result<(), OwnerError> {
    let Some(path) = &args.file else {
        return Ok(writeln!(out, "{}", desk.key()?.identity())?);
    };
    let text = read(path)?;
    if let Ok(envelope) = read_claim(text.trim()) {
        return claim(&Claim::open(&envelope)?, out);
    }
    if let Ok(papers) = ChangePapers::parse(&text) {
        return change(&papers, out);
    }
    let papers = Papers::parse(&text)?;
    accepted(&papers.accepted()?, out)?;
    if papers.admission.is_none() {
        return Ok(writeln!(out, "The operator has not admitted it yet.")?);
    }
    let admission = papers.agreement()?.admission;
    writeln!(
        out,
        "Admitted at {} by {}\nAgreement {}",
        admission.message.admitted_at, admission.signer, admission.digest
    )?;
    Ok(())
}

fn claim(claim: &Signed<Claim>, out: &mut impl Write) -> Result<(), OwnerError> {
    writeln!(out, "Gateway {}, claim {}", claim.signer, claim.digest)?;
    if let Some(replaced) = claim.message.replaces {
        writeln!(out, "  in the place of claim {replaced}")?;
    }
    for device in &claim.message.devices {
        let measures: Vec<&str> = device.quantities.iter().map(|quantity| quantity.name()).collect();
        writeln!(
            out,
            "  {:>3}  {} {}, serial {}, {} W: {}",
            device.number,
            device.make,
            device.model,
            device.serial,
            device.nameplate_milliwatts,
            measures.join(", ")
        )?;
    }
    Ok(())
}

pub(super) fn accepted(accepted: &Accepted, out: &mut impl Write) -> Result<(), OwnerError> {
    claim(&accepted.claim, out)?;
    let said = &accepted.acceptance.message;
    writeln!(
        out,
        "Owner {}\n  site {} near {}, program {} under version {} of its rules\n  pays {}, from {} to {}",
        accepted.owner(),
        said.site,
        said.location,
        said.program,
        said.rules_version,
        said.beneficiary,
        said.valid_from,
        said.expires_at
    )?;
    if let Some(power) = said.nominated_milliwatts {
        writeln!(out, "  nominates {power} W")?;
    }
    if let Some(bid) = said.bid_per_kwh {
        writeln!(out, "  asks {bid} for a kWh")?;
    }
    Ok(())
}

fn change(papers: &ChangePapers, out: &mut impl Write) -> Result<(), OwnerError> {
    match papers.kind {
        "rotation" => {
            let said = Rotation::open(&papers.first)?.message;
            writeln!(
                out,
                "From {} on the {} of agreement {} signs with {} instead of {}",
                said.effective_at,
                said.holder.name(),
                said.agreement,
                said.new,
                said.old
            )?;
        }
        "transfer" => {
            let said = Transfer::open(&papers.first)?.message;
            writeln!(
                out,
                "From {} on {} owns the site of agreement {} instead of {}, and {} is paid",
                said.effective_at, said.to, said.agreement, said.from, said.beneficiary
            )?;
        }
        _ => {
            let signed = Revocation::open(&papers.first)?;
            writeln!(
                out,
                "From {} on {} ends: {} by {}",
                signed.message.effective_at,
                signed.message.subject,
                signed.message.reason.name(),
                signed.signer
            )?;
        }
    }
    if papers.second.is_none() && papers.kind != "revocation" {
        writeln!(
            out,
            "The second signature is missing: `gridtally owner countersign`."
        )?;
    }
    Ok(())
}
