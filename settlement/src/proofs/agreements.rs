//! Agreements in evidence: that the enrolments follow from what gateways, owners and the operator signed.

use std::collections::BTreeMap;

use gridtally_protocol::agreement::Agreement;
use gridtally_protocol::identity::Identity;
use gridtally_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::derive::{Counts, DeriveError, DeriveProblem, at};
use super::evidence::{Evidence, enrolment_name};
use super::hex_bytes;
use crate::registry::history::{Change, Recorded, versions};
use crate::registry::{Enrolment, authorise};
use crate::rules::statement::SiteId;
use crate::store::agreements::{SiteHistory, open_change};

/// What was signed of a site's enrolment, and what changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedSite {
    /// The site.
    pub site: SiteId,
    /// In the order in which they were admitted.
    pub agreements: Vec<SignedAgreement>,
    /// In the order in which they were handed in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<SignedChange>,
}

/// Three envelopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAgreement {
    /// The gateway's.
    #[serde(with = "hex_bytes")]
    pub claim: Vec<u8>,
    /// The owner's.
    #[serde(with = "hex_bytes")]
    pub acceptance: Vec<u8>,
    /// The operator's.
    #[serde(with = "hex_bytes")]
    pub admission: Vec<u8>,
}

/// A change; when it was handed in is the engine's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedChange {
    /// `rotation`, `transfer` or `revocation`.
    pub kind: String,
    /// When it was handed in.
    pub recorded_at: Timestamp,
    /// From when on it counts.
    pub effective_at: Timestamp,
    /// One or two envelopes: what two sign stands there twice, once by each.
    pub envelopes: Vec<Hex>,
}

/// Bytes as hexadecimal text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hex(#[serde(with = "hex_bytes")] pub Vec<u8>);

impl SignedSite {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!("agreement/{}", self.site)
    }

    /// What the store knows of a site, up to an instant.
    #[must_use]
    pub fn of(site: SiteId, history: SiteHistory, until: Timestamp) -> Self {
        let agreements = history
            .agreements
            .into_iter()
            .filter(|kept| kept.agreement.admission.message.admitted_at <= until);
        let changes = history
            .changes
            .into_iter()
            .filter(|kept| kept.recorded_at <= until);
        Self {
            site,
            agreements: agreements
                .map(|kept| SignedAgreement {
                    claim: kept.papers.claim,
                    acceptance: kept.papers.acceptance,
                    admission: kept.papers.admission.unwrap_or_default(),
                })
                .collect(),
            changes: changes
                .map(|kept| SignedChange {
                    kind: kept.recorded.change.kind().to_owned(),
                    recorded_at: kept.recorded_at,
                    effective_at: kept.recorded.effective_at,
                    envelopes: [Some(kept.envelope), kept.countersigned]
                        .into_iter()
                        .flatten()
                        .map(Hex)
                        .collect(),
                })
                .collect(),
        }
    }

    /// The enrolment that follows for an instant, by what `operator` admitted; and how many signatures it took.
    ///
    /// # Errors
    /// A sentence that says what does not hold.
    pub fn enrolment(&self, operator: &Identity, at: Timestamp) -> Result<(Enrolment, u64), String> {
        let open = |one: &SignedAgreement| {
            let agreement = Agreement::open(&one.claim, &one.acceptance, &one.admission)
                .map_err(|error| error.to_string())?;
            let (signer, site) = (
                agreement.admission.signer,
                &agreement.accepted.acceptance.message.site,
            );
            if signer != *operator {
                return Err(format!("it was admitted by {signer}, not by this engine"));
            }
            if *site != self.site.as_str() {
                return Err(format!("the owner accepted it for site {site}"));
            }
            Ok(agreement)
        };
        let agreements = self
            .agreements
            .iter()
            .map(open)
            .collect::<Result<Vec<_>, String>>()?;
        let mut changes: Vec<Recorded> = Vec::new();
        let mut signatures = agreements.len().saturating_mul(3);
        for change in &self.changes {
            let recorded = change.open()?;
            authorise(&agreements, &changes, &recorded, change.recorded_at).map_err(|e| e.to_string())?;
            signatures = signatures.saturating_add(change.envelopes.len());
            changes.push(recorded);
        }
        let versions = versions(&agreements, &changes).map_err(|error| error.to_string())?;
        let held = versions
            .into_iter()
            .rev()
            .find(|version| version.holds_from <= at);
        let held = held.ok_or_else(|| format!("nothing of it holds at {at}"))?;
        Ok((held.enrolment, u64::try_from(signatures).unwrap_or(u64::MAX)))
    }
}

impl SignedChange {
    fn open(&self) -> Result<Recorded, String> {
        let (first, second) = match self.envelopes.as_slice() {
            [first] => (first, None),
            [first, second] => (first, Some(second.0.as_slice())),
            _ => return Err("a change has one or two envelopes".to_owned()),
        };
        let change = open_change(&self.kind, &first.0, second)?;
        let signed_for = match &change {
            Change::Rotated(signed) => signed.message.effective_at,
            Change::Transferred(signed) => signed.message.effective_at,
            Change::Revoked(signed) => signed.message.effective_at,
        };
        if self.effective_at < signed_for {
            return Err(format!(
                "it was signed for {signed_for}, not for {}",
                self.effective_at
            ));
        }
        Ok(Recorded {
            change,
            effective_at: self.effective_at,
        })
    }
}

/// Checks that every enrolment that refers to an agreement is what the signed envelopes make it, byte for byte, and that
/// no agreement is without its enrolment.
///
/// # Errors
/// [`DeriveError`] that names the record.
pub(super) fn check(evidence: &Evidence, counts: &mut Counts) -> Result<(), DeriveError> {
    let mut signed: BTreeMap<&SiteId, &SignedSite> = BTreeMap::new();
    for site in &evidence.agreements {
        signed.insert(&site.site, site);
    }
    for enrolment in &evidence.enrolments {
        let record = signed.remove(&enrolment.site);
        let (record, _) = match (record, &enrolment.agreement) {
            (None, None) => {
                counts.by_word = counts.by_word.saturating_add(1);
                continue;
            }
            (Some(record), Some(standing)) => (record, standing),
            (None, Some(standing)) => {
                let problem = format!("there is no agreement {} with it", standing.agreement);
                return Err(mismatch(enrolment_name(enrolment), problem));
            }
            (Some(record), None) => {
                let problem = "the site's enrolment does not refer to it".to_owned();
                return Err(mismatch(record.name(), problem));
            }
        };
        let follows = record.enrolment(&evidence.case.engine, evidence.case.event.start);
        let (follows, signatures) = follows.map_err(|problem| mismatch(record.name(), problem))?;
        if serde_json::to_string(&follows).ok() != serde_json::to_string(enrolment).ok() {
            let problem = "it is not what gateway, owner and operator signed".to_owned();
            return Err(mismatch(enrolment_name(enrolment), problem));
        }
        counts.by_agreement = counts.by_agreement.saturating_add(1);
        counts.signatures = counts.signatures.saturating_add(signatures);
        counts.agreement_signatures = counts.agreement_signatures.saturating_add(signatures);
    }
    match signed.into_values().next() {
        None => Ok(()),
        Some(record) => Err(mismatch(record.name(), "its site is not enrolled".to_owned())),
    }
}

fn mismatch(record: String, problem: String) -> DeriveError {
    at(record)(DeriveProblem::Mismatch(problem))
}
