//! From signed agreements, and what changed them, to the enrolments that hold one after the other. Pure: the same
//! envelopes and times give the same records, for the engine and for whoever checks it.

use gridtally_protocol::agreement::{
    Agreement, ClaimedDevice, Holder, Revocation, RevocationReason, Rotation, Transfer,
};
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::message::Signed;
use gridtally_protocol::time::Timestamp;

use super::membership::MembershipNameError;
use super::standing::{FormerKey, Standing};
use super::{EnrolledDevice, Enrolment, EnrolmentError, Membership, Offer};
use crate::rules::statement::NameError;

/// What was signed after an agreement was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Another key.
    Rotated(Signed<Rotation>),
    /// Another owner.
    Transferred(Signed<Transfer>),
    /// The end, or the owner's veto of a rotation.
    Revoked(Signed<Revocation>),
}

/// A change, and from when on it counts: what was signed for a time before it was handed in counts from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What was signed.
    pub change: Change,
    /// From when on it counts.
    pub effective_at: Timestamp,
}

/// An enrolment, and from when on it is the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// From when on.
    pub holds_from: Timestamp,
    /// What holds.
    pub enrolment: Enrolment,
}

/// Why an agreement makes no enrolment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A zone's or a group's name.
    #[error(transparent)]
    Membership(#[from] MembershipNameError),
    /// A bid with more digits than are reckoned with.
    #[error("the bid {0} has too many digits")]
    Bid(String),
    /// The devices.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
}

impl Change {
    /// The name of its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Rotated(_) => "rotation",
            Self::Transferred(_) => "transfer",
            Self::Revoked(_) => "revocation",
        }
    }

    /// The digest of the envelope that names it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        match self {
            Self::Rotated(signed) => signed.digest,
            Self::Transferred(signed) => signed.digest,
            Self::Revoked(signed) => signed.digest,
        }
    }

    /// The agreement, or for a veto the rotation, that it is about.
    #[must_use]
    pub const fn subject(&self) -> Digest {
        match self {
            Self::Rotated(signed) => signed.message.agreement,
            Self::Transferred(signed) => signed.message.agreement,
            Self::Revoked(signed) => signed.message.subject,
        }
    }
}

/// The enrolments of one site: what holds, from when on. `agreements` are in the order in which they were admitted.
///
/// # Errors
/// [`HistoryError`] of the first agreement that makes none.
pub fn versions(agreements: &[Agreement], changes: &[Recorded]) -> Result<Vec<Version>, HistoryError> {
    let mut versions: Vec<Version> = Vec::new();
    let mut begun: Option<(Timestamp, &Agreement)> = None;
    for (place, agreement) in agreements.iter().enumerate() {
        let own = agreement.accepted.acceptance.message.valid_from;
        // What takes the place of another goes on where that one began: its readings are compared with.
        let since = match begun {
            Some((since, before)) if continues(before, agreement) => since,
            _ => own,
        };
        begun = Some((since, agreement));
        let next = place.checked_add(1).and_then(|next| agreements.get(next));
        let life = Life::of(agreement, changes, next);
        for version in life.versions(agreement, since)? {
            // Of two that hold from one instant on, the later one was admitted later.
            versions.retain(|earlier| earlier.holds_from < version.holds_from);
            versions.push(version);
        }
    }
    Ok(versions)
}

/// Whether an agreement takes the place of another: the same claim again, or one that names it.
#[must_use]
pub fn continues(before: &Agreement, after: &Agreement) -> bool {
    let (old, new) = (&before.accepted.claim, &after.accepted.claim);
    new.digest == old.digest || new.message.replaces == Some(old.digest)
}

/// The instant from which an agreement, as changed, holds no more.
#[must_use]
pub fn end(agreement: &Agreement, changes: &[Recorded]) -> Timestamp {
    Life::of(agreement, changes, None).ends_at
}

/// Who owns a site by an agreement at an instant, and which key its gateway has then.
#[must_use]
pub fn holders(agreement: &Agreement, changes: &[Recorded], at: Timestamp) -> (Identity, Identity) {
    let life = Life::of(agreement, changes, None);
    let owner = life
        .owners
        .iter()
        .rev()
        .find(|(from, ..)| from.is_none_or(|from| from <= at));
    let key = life
        .keys
        .iter()
        .rev()
        .find(|(from, _)| from.is_none_or(|from| from <= at));
    (
        owner.map_or(agreement.accepted.owner(), |(_, owner, _)| *owner),
        key.map_or(agreement.accepted.gateway(), |(_, key)| *key),
    )
}

/// What became of one agreement.
struct Life {
    ends_at: Timestamp,
    compromised_at: Option<Timestamp>,
    /// From when on which key; the first from the beginning.
    keys: Vec<(Option<Timestamp>, Identity)>,
    /// From when on whose it is, and who is paid.
    owners: Vec<(Option<Timestamp>, Identity, String)>,
}

impl Life {
    fn of(agreement: &Agreement, changes: &[Recorded], next: Option<&Agreement>) -> Self {
        let digest = agreement.admission.digest;
        let accepted = &agreement.accepted;
        let acceptance = &accepted.acceptance.message;
        let mut life = Self {
            ends_at: acceptance.expires_at,
            compromised_at: None,
            keys: vec![(None, accepted.gateway())],
            owners: vec![(None, accepted.owner(), acceptance.beneficiary.clone())],
        };
        let mut about: Vec<&Recorded> = changes
            .iter()
            .filter(|recorded| recorded.change.subject() == digest)
            .collect();
        about.sort_by_key(|recorded| (recorded.effective_at, recorded.change.digest()));
        for Recorded { change, effective_at } in about {
            let from = Some(*effective_at);
            match change {
                Change::Rotated(_) if vetoed(change, *effective_at, changes) => {}
                Change::Rotated(signed) => match signed.message.holder {
                    Holder::Gateway => life.keys.push((from, signed.message.new)),
                    Holder::Owner => {
                        let paid = life.owners.last().map(|(.., paid)| paid.clone());
                        life.owners
                            .push((from, signed.message.new, paid.unwrap_or_default()));
                    }
                },
                Change::Transferred(signed) => {
                    let Transfer { to, beneficiary, .. } = &signed.message;
                    life.owners.push((from, *to, beneficiary.clone()));
                }
                Change::Revoked(signed) => {
                    life.ends_at = life.ends_at.min(*effective_at);
                    if signed.message.reason == RevocationReason::Compromised {
                        life.compromised_at = life.compromised_at.or(from);
                    }
                }
            }
        }
        if let Some(next) = next {
            life.ends_at = life.ends_at.min(next.accepted.acceptance.message.valid_from);
        }
        life
    }

    fn versions(&self, agreement: &Agreement, since: Timestamp) -> Result<Vec<Version>, HistoryError> {
        let first = agreement.accepted.acceptance.message.valid_from;
        let mut edges: Vec<Timestamp> = self.keys.iter().filter_map(|(from, _)| *from).collect();
        edges.extend(self.owners.iter().filter_map(|(from, ..)| *from));
        edges.retain(|edge| *edge > first && *edge < self.ends_at);
        edges.push(first);
        edges.sort();
        edges.dedup();
        let version = |holds_from: Timestamp| {
            let held = |from: &Option<Timestamp>| from.is_none_or(|from| from <= holds_from);
            let keys = self.keys.partition_point(|(from, _)| held(from));
            let owners = self.owners.partition_point(|(from, ..)| held(from));
            let (before, after) = self.keys.split_at(keys);
            let (_, owner, paid) = owners
                .checked_sub(1)
                .and_then(|last| self.owners.get(last))
                .cloned()
                .unwrap_or((None, agreement.accepted.owner(), String::new()));
            let (key_from, gateway) = before
                .last()
                .copied()
                .unwrap_or((None, agreement.accepted.gateway()));
            let former = before.windows(2).filter_map(|pair| match pair {
                [(from, key), (until, _)] => Some(FormerKey {
                    key: *key,
                    from: *from,
                    until: (*until)?,
                }),
                _ => None,
            });
            let standing = Standing {
                agreement: agreement.admission.digest,
                owner,
                valid_from: since,
                ends_at: self.ends_at,
                key_from,
                key_until: after.first().and_then(|(from, _)| *from),
                compromised_at: self.compromised_at,
                former: former.collect(),
            };
            let enrolment = enrolment(agreement, gateway, &paid, standing)?;
            Ok(Version {
                holds_from,
                enrolment,
            })
        };
        edges.into_iter().map(version).collect()
    }
}

/// Whether a rotation was vetoed before it took effect.
fn vetoed(rotation: &Change, effective_at: Timestamp, changes: &[Recorded]) -> bool {
    let is_veto = |recorded: &&Recorded| match &recorded.change {
        Change::Revoked(signed) => signed.message.subject == rotation.digest(),
        Change::Rotated(_) | Change::Transferred(_) => false,
    };
    changes
        .iter()
        .filter(is_veto)
        .any(|veto| veto.effective_at < effective_at)
}

/// The enrolment that follows from an agreement.
fn enrolment(
    agreement: &Agreement,
    gateway: Identity,
    beneficiary: &str,
    standing: Standing,
) -> Result<Enrolment, HistoryError> {
    let claim = &agreement.accepted.claim.message;
    let acceptance = &agreement.accepted.acceptance.message;
    let admission = &agreement.admission.message;
    let bid = acceptance.bid_per_kwh.map(|bid| {
        let text = bid.to_string();
        text.parse().map_err(|_| HistoryError::Bid(text))
    });
    let enrolment = Enrolment {
        site: acceptance.site.parse()?,
        beneficiary: beneficiary.parse()?,
        gateway,
        program: acceptance.program.clone(),
        interval_seconds: claim.interval,
        devices: claim.devices.iter().map(enrolled).collect(),
        membership: Membership {
            zone: admission.zone.as_deref().map(str::parse).transpose()?,
            groups: admission
                .groups
                .iter()
                .map(|group| group.parse())
                .collect::<Result<_, _>>()?,
        },
        offer: Offer {
            nominated_milliwatts: acceptance.nominated_milliwatts,
            bid_per_kwh: bid.transpose()?,
        },
        location: Some(acceptance.location),
        agreement: Some(standing),
    };
    enrolment.check()?;
    Ok(enrolment)
}

fn enrolled(device: &ClaimedDevice) -> EnrolledDevice {
    EnrolledDevice {
        number: device.number,
        nameplate_milliwatts: device.nameplate_milliwatts,
        capacity_milliwatt_hours: device.capacity_milliwatt_hours,
        quantities: device.quantities.clone(),
        // No claim says it.
        meter_key: None,
    }
}
