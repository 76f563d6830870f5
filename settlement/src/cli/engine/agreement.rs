//! `gridtally engine admit | amend | revoke | enrolments`: enrolments that three have signed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use gridtally_protocol::agreement::{
    ChangePapers, Papers, ROTATION_DELAY_SECONDS, Revocation, RevocationReason,
};
use gridtally_protocol::time::Timestamp;

use super::{EngineCommandError, Place, read};
use crate::admission::{self, AdmissionError, Verdict};
use crate::engine::engine_key;
use crate::registry::history::{Change, versions};
use crate::registry::{Enrolment, GroupName, Membership, ZoneName};
use crate::rules::statement::SiteId;
use crate::store::agreements::{self, SiteHistory, StoredAgreement, StoredChange};
use crate::store::programs;

/// What owners handed in, and where the sites belong.
#[derive(Debug, Args)]
pub struct AdmitArgs {
    /// Files that `gridtally owner accept` wrote
    #[arg(required = true, value_name = "ACCEPTANCE")]
    files: Vec<PathBuf>,
    /// The part of the grid that these sites lie in
    #[arg(long)]
    zone: Option<ZoneName>,
    /// A group that they belong to; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<GroupName>,
}

/// What was signed by owners and gateways after a site was admitted.
#[derive(Debug, Args)]
pub struct AmendArgs {
    /// Rotations, transfers, revocations and vetoes, as `gridtally owner …` wrote them
    #[arg(required = true, value_name = "CHANGE")]
    files: Vec<PathBuf>,
    /// After how many hours a new key counts at the earliest: so long the owner can veto it
    #[arg(long, value_name = "HOURS", default_value_t = ROTATION_DELAY_SECONDS / 3_600,
          value_parser = clap::value_parser!(i64).range(0..=8_760))]
    delay_hours: i64,
}

/// Which site's agreement the operator ends.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The site
    site: SiteId,
    /// Why
    #[arg(long, default_value = "ended")]
    reason: Reason,
    /// From when on (default: now)
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reason {
    /// It is over; what was measured before counts
    Ended,
    /// Somebody else may hold the key; nothing of it is taken any more
    Compromised,
}

/// Which enrolments are shown.
#[derive(Debug, Args)]
pub struct EnrolmentsArgs {
    /// Only this site
    site: Option<SiteId>,
    /// Everything that was signed, in its order
    #[arg(long)]
    history: bool,
    /// What was not admitted because a device, gateway or site is enrolled already
    #[arg(long, conflicts_with_all = ["site", "history"])]
    conflicts: bool,
}

pub(super) fn admit(place: &Place, args: &AdmitArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let key = engine_key(&place.data)?;
    let membership = Membership {
        zone: args.zone.clone(),
        groups: args.groups.iter().cloned().collect(),
    };
    let store = &mut place.open()?.store;
    for file in &args.files {
        let in_file = |error: AdmissionError| EngineCommandError::Admission {
            path: file.clone(),
            error: Box::new(error),
        };
        let papers = Papers::parse(&read(file)?).map_err(|e| in_file(e.into()))?;
        let verdict =
            store.transact(|client| admission::admit(client, &key, &papers, &membership, place.now()));
        let kept = match verdict.map_err(in_file)? {
            Verdict::Admitted(kept) => kept,
            Verdict::Taken(conflicts) => return Err(in_file(AdmissionError::Taken(conflicts))),
        };
        let path = file.with_extension("agreement");
        write(&path, &kept.papers.to_string())?;
        let acceptance = &kept.agreement.accepted.acceptance.message;
        writeln!(
            out,
            "Admitted {} in {} from {} to {}: agreement {}",
            acceptance.site,
            acceptance.program,
            acceptance.valid_from,
            acceptance.expires_at,
            kept.agreement.admission.digest
        )?;
        writeln!(out, "  {}, for the owner and the box to keep", path.display())?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), EngineCommandError> {
    fs::write(path, text).map_err(|source| EngineCommandError::File {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn amend(place: &Place, args: &AmendArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let delay_seconds = args.delay_hours.saturating_mul(3_600);
    let store = &mut place.open()?.store;
    for file in &args.files {
        let in_file = |error: AdmissionError| EngineCommandError::Admission {
            path: file.clone(),
            error: Box::new(error),
        };
        let papers = ChangePapers::parse(&read(file)?).map_err(|e| in_file(e.into()))?;
        let kept = store.transact(|client| admission::amend(client, &papers, delay_seconds, place.now()));
        writeln!(out, "{}", shown(&kept.map_err(in_file)?))?;
    }
    Ok(())
}

pub(super) fn revoke(
    place: &Place,
    args: &RevokeArgs,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let key = engine_key(&place.data)?;
    let now = place.now();
    let reason = match args.reason {
        Reason::Ended => RevocationReason::Ended,
        Reason::Compromised => RevocationReason::Compromised,
    };
    let revocation = |subject| Revocation {
        subject,
        reason,
        issued_at: now,
        effective_at: args.at.unwrap_or(now).max(now),
    };
    let kept = place
        .open()?
        .store
        .transact(|client| admission::revoke(client, &key, &args.site, revocation, now));
    let kept = kept.map_err(|error| EngineCommandError::Change(Box::new(error)))?;
    Ok(writeln!(out, "{}", shown(&kept))?)
}

/// A change in a line.
fn shown(kept: &StoredChange) -> String {
    let at = kept.recorded.effective_at;
    match &kept.recorded.change {
        Change::Rotated(signed) => format!(
            "From {at} on the {} signs with {} instead of {} (change {})",
            signed.message.holder.name(),
            signed.message.new,
            signed.message.old,
            signed.digest
        ),
        Change::Transferred(signed) => format!(
            "From {at} on {} owns it instead of {}, and {} is paid",
            signed.message.to, signed.message.from, signed.message.beneficiary
        ),
        Change::Revoked(signed) => format!(
            "From {at} on {}: {} by {}",
            signed.message.subject,
            signed.message.reason.name(),
            signed.signer
        ),
    }
}

pub(super) fn enrolments(
    place: &Place,
    args: &EnrolmentsArgs,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let mut open = place.open()?;
    if args.conflicts {
        for conflict in open.store.transact(|client| agreements::conflicts(client))? {
            writeln!(out, "{}: {}", conflict.found_at, conflict.detail)?;
            write!(out, "{}", conflict.papers)?;
        }
        return Ok(());
    }
    let mut enrolled = open.store.transact(|client| programs::enrolments(client))?;
    if let Some(site) = &args.site {
        enrolled.retain(|enrolment| enrolment.site == *site);
        if enrolled.is_empty() {
            return Err(EngineCommandError::UnknownSite(site.clone()));
        }
    }
    for enrolment in &enrolled {
        line(enrolment, out)?;
        if args.history {
            let site = enrolment.site.as_str();
            let history = open.store.transact(|client| agreements::history(client, site))?;
            story(&history, out)?;
        }
    }
    Ok(())
}

fn line(enrolment: &Enrolment, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let Enrolment {
        site,
        program,
        gateway,
        beneficiary,
        ..
    } = enrolment;
    write!(out, "{site}  {program}  pays {beneficiary}  gateway {gateway}")?;
    match &enrolment.agreement {
        None => writeln!(out, "  by the operator's word")?,
        Some(standing) => writeln!(
            out,
            "  owner {}, {} to {}",
            standing.owner, standing.valid_from, standing.ends_at
        )?,
    }
    Ok(())
}

/// What was signed, and what follows.
fn story(history: &SiteHistory, out: &mut impl Write) -> Result<(), EngineCommandError> {
    for StoredAgreement { papers, agreement } in &history.agreements {
        let admission = &agreement.admission;
        writeln!(
            out,
            "  {}  agreement {}",
            admission.message.admitted_at, admission.digest
        )?;
        for device in &agreement.accepted.claim.message.devices {
            writeln!(
                out,
                "      device {}: {} {}, serial {}, {} W",
                device.number, device.make, device.model, device.serial, device.nameplate_milliwatts
            )?;
        }
        write!(out, "{papers}")?;
    }
    for kept in &history.changes {
        writeln!(out, "  {}  {}", kept.recorded_at, shown(kept))?;
    }
    let versions = versions(&history.signed(), &history.recorded());
    for version in versions.map_err(|error| EngineCommandError::Change(Box::new(error.into())))? {
        let Enrolment {
            beneficiary, gateway, ..
        } = &version.enrolment;
        writeln!(
            out,
            "  from {}: pays {beneficiary}, gateway {gateway}",
            version.holds_from
        )?;
    }
    Ok(())
}
