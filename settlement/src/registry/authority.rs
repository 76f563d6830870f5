//! Who may change an agreement.

use gridtally_protocol::agreement::{Agreement, Holder};
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::time::Timestamp;

use super::history::{self, Change, Recorded};

/// Why a change is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It is about something else.
    #[error("it is about {0}, which is neither this site's agreement nor an open rotation of it")]
    Unknown(Digest),
    /// A key that is not the holder's.
    #[error("{found} is not the {who} any more or not yet; the {who} at {at} is {expected}")]
    NotTheHolder {
        /// Owner or gateway.
        who: &'static str,
        /// Who signed.
        found: Box<Identity>,
        /// Who should have.
        expected: Box<Identity>,
        /// When.
        at: Timestamp,
    },
    /// Somebody who has no say.
    #[error("{0} is neither the owner, the gateway nor the operator of this agreement")]
    Stranger(Box<Identity>),
    /// A key that stands on another side already.
    #[error("{0} is a key of this agreement already; take a new one")]
    KeyInUse(Box<Identity>),
    /// It is over.
    #[error("the agreement ended at {0}")]
    Over(Timestamp),
    /// A veto after the fact.
    #[error("the rotation took effect at {0}; revoke the agreement instead")]
    TooLate(Timestamp),
    /// A time before it was handed in.
    #[error("it counts from {effective_at} on, which is before {earliest}")]
    TooEarly {
        /// From when on.
        effective_at: Timestamp,
        /// From when on at the earliest.
        earliest: Timestamp,
    },
}

/// Whether a change may be made to one of a site's agreements, after those that were made `before`: it is signed by
/// whom it takes, and in time. Signatures have been verified.
///
/// # Errors
/// [`ChangeError`].
pub fn authorise(
    agreements: &[Agreement],
    before: &[Recorded],
    new: &Recorded,
    recorded_at: Timestamp,
) -> Result<(), ChangeError> {
    if new.effective_at < recorded_at {
        return Err(ChangeError::TooEarly {
            effective_at: new.effective_at,
            earliest: recorded_at,
        });
    }
    let subject = new.change.subject();
    let agreement = agreements.iter().find(|one| one.admission.digest == subject);
    let rotation = before.iter().find(|one| one.change.digest() == subject);
    match (agreement, rotation) {
        (Some(agreement), _) => of_agreement(agreement, before, new),
        (None, Some(rotation)) => veto(agreements, before, rotation, new),
        (None, None) => Err(ChangeError::Unknown(subject)),
    }
}

fn of_agreement(agreement: &Agreement, before: &[Recorded], new: &Recorded) -> Result<(), ChangeError> {
    let at = new.effective_at;
    let end = history::end(agreement, before);
    if at >= end {
        return Err(ChangeError::Over(end));
    }
    let (owner, gateway) = history::holders(agreement, before, at);
    let operator = agreement.admission.signer;
    let holds = |who, found: Identity, expected: Identity| {
        let wrong = || ChangeError::NotTheHolder {
            who,
            found: Box::new(found),
            expected: Box::new(expected),
            at,
        };
        (found == expected).then_some(()).ok_or_else(wrong)
    };
    let is_free = |key: Identity| {
        let taken = [owner, gateway, operator].contains(&key);
        let in_use = || ChangeError::KeyInUse(Box::new(key));
        (!taken).then_some(()).ok_or_else(in_use)
    };
    match &new.change {
        Change::Rotated(signed) => {
            match signed.message.holder {
                Holder::Gateway => holds("gateway", signed.message.old, gateway)?,
                Holder::Owner => holds("owner", signed.message.old, owner)?,
            }
            is_free(signed.message.new)
        }
        Change::Transferred(signed) => {
            holds("owner", signed.message.from, owner)?;
            is_free(signed.message.to)
        }
        Change::Revoked(signed) if [owner, gateway, operator].contains(&signed.signer) => Ok(()),
        Change::Revoked(signed) => Err(ChangeError::Stranger(Box::new(signed.signer))),
    }
}

/// The owner's veto of a rotation.
fn veto(
    agreements: &[Agreement],
    before: &[Recorded],
    rotation: &Recorded,
    new: &Recorded,
) -> Result<(), ChangeError> {
    let (Change::Rotated(_), Change::Revoked(signed)) = (&rotation.change, &new.change) else {
        return Err(ChangeError::Unknown(new.change.subject()));
    };
    if new.effective_at >= rotation.effective_at {
        return Err(ChangeError::TooLate(rotation.effective_at));
    }
    let changed = rotation.change.subject();
    let agreement = agreements.iter().find(|one| one.admission.digest == changed);
    let agreement = agreement.ok_or(ChangeError::Unknown(changed))?;
    let (owner, _) = history::holders(agreement, before, new.effective_at);
    if signed.signer == owner {
        return Ok(());
    }
    Err(ChangeError::NotTheHolder {
        who: "owner",
        found: Box::new(signed.signer),
        expected: Box::new(owner),
        at: new.effective_at,
    })
}
