//! Taking agreements in, and what changes them: the rules of [`crate::registry`], held against what the store knows.

use gridtally_protocol::agreement::{
    Accepted, Admission, Agreement, AgreementError, ChangePapers, Papers, PapersError, Revocation,
};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::message::{Message as _, MessageError};
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use crate::ingest::checks::FUTURE_SECONDS_MAX;
use crate::registry::history::{Change, HistoryError, Recorded, versions};
use crate::registry::{ChangeError, Conflict, EnrolmentError, Membership, authorise, conflict};
use crate::rules::document::DocumentError;
use crate::rules::program::{Program, ProgramId};
use crate::rules::statement::{NameError, SiteId};
use crate::store::agreements::{self, StoredAgreement, StoredChange, StoredConflict};
use crate::store::{LostConnection, StoreError, programs};

/// Why an agreement, or a change, is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error(transparent)]
    Papers(#[from] PapersError),
    /// The envelopes.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// The admission cannot be written.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A name in it.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A program that is kept does not read.
    #[error(transparent)]
    Program(#[from] DocumentError),
    /// The clock of who signed.
    #[error("the {which} was signed at {issued_at}, in the future; set the clock right and sign again")]
    FromTheFuture {
        /// Claim or acceptance.
        which: &'static str,
        /// When, as it says.
        issued_at: Timestamp,
    },
    /// It is over.
    #[error("it expired at {0}; the owner has to accept anew")]
    Expired(Timestamp),
    /// Other rules.
    #[error(
        "the owner accepted version {accepted} of the rules of program {program}, which is at version {current}; the owner has to read and accept that"
    )]
    OtherRules {
        /// Which program.
        program: ProgramId,
        /// What was accepted.
        accepted: u32,
        /// What is in force.
        current: u32,
    },
    /// It makes no enrolment.
    #[error("it makes no enrolment: {0}")]
    History(#[from] HistoryError),
    /// The enrolment does not fit the program.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// Enrolled by word with another gateway.
    #[error("site {0} is enrolled with another gateway by the operator's word")]
    OtherGateway(SiteId),
    /// A device, gateway or site is enrolled already. Both agreements are kept.
    #[error("not admitted; the evidence is kept (`engine enrolments --conflicts`): {}", shown(.0))]
    Taken(Vec<Conflict>),
    /// A change that is not allowed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A change that cannot be read.
    #[error("{0}")]
    Unsigned(String),
}

fn shown(conflicts: &[Conflict]) -> String {
    let shown: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
    shown.join("; ")
}

impl LostConnection for AdmissionError {
    fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_lost_connection())
    }
}

impl From<postgres::Error> for AdmissionError {
    fn from(error: postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What came of an acceptance that was handed in.
#[derive(Debug)]
pub enum Verdict {
    /// It is admitted, now or before.
    Admitted(Box<StoredAgreement>),
    /// It collides with what is there; that is kept.
    Taken(Vec<Conflict>),
}

/// Admits a site, or keeps what stands against it. The same acceptance again is answered as before.
///
/// # Errors
/// [`AdmissionError`]; then nothing is kept.
pub fn admit(
    client: &mut impl GenericClient,
    operator: &SigningIdentity,
    papers: &Papers,
    membership: &Membership,
    now: Timestamp,
) -> Result<Verdict, AdmissionError> {
    agreements::lock(client)?;
    let accepted = papers.accepted()?;
    let site: SiteId = accepted.acceptance.message.site.parse()?;
    let mut history = agreements::history(client, site.as_str())?;
    let same =
        |kept: &&StoredAgreement| kept.agreement.accepted.acceptance.digest == accepted.acceptance.digest;
    if let Some(kept) = history.agreements.iter().find(same) {
        return Ok(Verdict::Admitted(Box::new(kept.clone())));
    }
    check_times(&accepted, now)?;
    let program = check_rules(client, &accepted)?;
    let taken = conflicts(client, &accepted)?;
    if !taken.is_empty() {
        for conflict in &taken {
            let stored = StoredConflict {
                found_at: now,
                agreement: conflict.with,
                papers: papers.clone(),
                detail: conflict.to_string(),
            };
            agreements::keep_conflict(client, &stored)?;
        }
        return Ok(Verdict::Taken(taken));
    }
    let kept = signed(operator, papers, &accepted, membership, now)?;
    history.agreements.push(kept.clone());
    let versions = versions(&history.signed(), &history.recorded())?;
    if let Some(version) = versions.last() {
        version.enrolment.fits(&program)?;
    }
    let word = programs::by_word(client, &site)?;
    if word.is_some_and(|word| word.gateway != accepted.gateway()) {
        return Err(AdmissionError::OtherGateway(site));
    }
    agreements::keep(client, &kept)?;
    agreements::write_versions(client, &site, &versions, now)?;
    Ok(Verdict::Admitted(Box::new(kept)))
}

fn check_times(accepted: &Accepted, now: Timestamp) -> Result<(), AdmissionError> {
    let acceptance = &accepted.acceptance.message;
    let signed = [
        ("claim", accepted.claim.message.issued_at),
        ("acceptance", acceptance.issued_at),
    ];
    for (which, issued_at) in signed {
        if issued_at.seconds_since(now) > FUTURE_SECONDS_MAX {
            return Err(AdmissionError::FromTheFuture { which, issued_at });
        }
    }
    if acceptance.expires_at <= now {
        return Err(AdmissionError::Expired(acceptance.expires_at));
    }
    Ok(())
}

fn check_rules(client: &mut impl GenericClient, accepted: &Accepted) -> Result<Program, AdmissionError> {
    let acceptance = &accepted.acceptance.message;
    let document = programs::newest_program(client, &acceptance.program)?;
    let program = Program::from_toml(acceptance.program.as_str(), &document)?;
    if acceptance.rules_version != program.version {
        return Err(AdmissionError::OtherRules {
            program: program.id,
            accepted: acceptance.rules_version,
            current: program.version,
        });
    }
    Ok(program)
}

fn conflicts(client: &mut impl GenericClient, accepted: &Accepted) -> Result<Vec<Conflict>, StoreError> {
    let mut conflicts = Vec::new();
    for site in agreements::near(client, accepted)? {
        let history = agreements::history(client, site.as_str())?;
        let recorded = history.recorded();
        let kept = history.agreements.iter();
        conflicts.extend(kept.filter_map(|kept| conflict(accepted, &kept.agreement, &recorded)));
    }
    Ok(conflicts)
}

fn signed(
    operator: &SigningIdentity,
    papers: &Papers,
    accepted: &Accepted,
    membership: &Membership,
    now: Timestamp,
) -> Result<StoredAgreement, AdmissionError> {
    let admission = Admission {
        acceptance: accepted.acceptance.digest,
        admitted_at: now,
        zone: membership.zone.as_ref().map(ToString::to_string),
        groups: membership.groups.iter().map(ToString::to_string).collect(),
    };
    let admission = admission.seal(operator)?;
    let agreement = Agreement::open(&papers.claim, &papers.acceptance, &admission)?;
    Ok(StoredAgreement {
        papers: Papers {
            admission: Some(admission),
            ..papers.clone()
        },
        agreement,
    })
}

/// Takes in a rotation, a transfer, a revocation or a veto, and says from when on it counts: a rotation after
/// `delay_seconds` at the earliest, so that the owner can veto it.
///
/// # Errors
/// [`AdmissionError`]; then nothing is kept.
pub fn amend(
    client: &mut impl GenericClient,
    papers: &ChangePapers,
    delay_seconds: i64,
    now: Timestamp,
) -> Result<StoredChange, AdmissionError> {
    agreements::lock(client)?;
    let change = agreements::open_change(papers.kind, &papers.first, papers.second.as_deref())
        .map_err(AdmissionError::Unsigned)?;
    let site = agreements::site_of(client, &change.subject())?;
    let history = agreements::history(client, site.as_str())?;
    let same = |kept: &&StoredChange| kept.recorded.change.digest() == change.digest();
    if let Some(kept) = history.changes.iter().find(same) {
        return Ok(kept.clone());
    }
    let (signed_for, earliest) = match &change {
        Change::Rotated(signed) => (signed.message.effective_at, now.checked_add(delay_seconds)),
        Change::Transferred(signed) => (signed.message.effective_at, Some(now)),
        Change::Revoked(signed) => (signed.message.effective_at, Some(now)),
    };
    let recorded = Recorded {
        change,
        effective_at: signed_for.max(earliest.unwrap_or(Timestamp::LATEST)),
    };
    let (signed, before) = (history.signed(), history.recorded());
    authorise(&signed, &before, &recorded, now)?;
    let about = subject(&before, recorded.change.subject());
    let kept = StoredChange {
        agreement: about,
        recorded: recorded.clone(),
        recorded_at: now,
        envelope: papers.first.clone(),
        countersigned: papers.second.clone(),
    };
    agreements::keep_change(client, &kept)?;
    let mut changes = before;
    changes.push(recorded);
    agreements::write_versions(client, &site, &versions(&signed, &changes)?, now)?;
    Ok(kept)
}

/// The agreement that a change is about; of a veto, the one whose rotation it forbids.
fn subject(before: &[Recorded], subject: Digest) -> Digest {
    let rotation = before.iter().find(|recorded| recorded.change.digest() == subject);
    rotation.map_or(subject, |rotation| rotation.change.subject())
}

/// The operator's own end of a site's newest agreement.
///
/// # Errors
/// [`AdmissionError`]; [`StoreError::NotFound`] where the site has none.
pub fn revoke(
    client: &mut impl GenericClient,
    operator: &SigningIdentity,
    site: &SiteId,
    revocation: impl FnOnce(Digest) -> Revocation,
    now: Timestamp,
) -> Result<StoredChange, AdmissionError> {
    let history = agreements::history(client, site.as_str())?;
    let newest = history.agreements.last();
    let newest = newest.ok_or_else(|| StoreError::NotFound(format!("site {site} has no agreement")))?;
    let papers = ChangePapers {
        kind: "revocation",
        first: revocation(newest.agreement.admission.digest).seal(operator)?,
        second: None,
    };
    amend(client, &papers, 0, now)
}
