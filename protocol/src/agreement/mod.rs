//! Enrolments that three have signed. A [`Claim`] is the gateway's: these devices are mine. An [`Acceptance`] is the
//! owner's: that gateway at my site, in this program, paid to that beneficiary. An [`Admission`] is the operator's.
//! Each names the digest of the one before, so that the last signature binds everything; [`Agreement`] is all three,
//! checked. What changes later is signed in the same way: [`Rotation`], [`Transfer`], [`Revocation`], and a
//! replacement of devices, which is a new claim that names the one it replaces.

mod acceptance;
mod admission;
mod change;
mod claim;
mod device;
mod text;

use minicbor::{Decoder, decode};

pub use acceptance::{Acceptance, NAME_LEN_MAX};
pub use admission::{Admission, GROUPS_MAX, MEMBERSHIP_LEN_MAX};
pub use change::{
    BothError, Holder, ROTATION_DELAY_SECONDS, Revocation, RevocationReason, Rotation, Transfer, both,
};
pub use claim::{Claim, NONCE_LEN};
pub use device::{ClaimedDevice, DEVICES_MAX, LABEL_LEN_MAX, Label, LabelError};
pub use text::{CLAIM_SCHEME, ChangePapers, Papers, PapersError, read_claim, write_claim};

use crate::cbor;
use crate::identity::Identity;
use crate::message::{MessageError, Signed};

/// A claim that its owner has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What the gateway said; its signer is the gateway.
    pub claim: Signed<Claim>,
    /// What the owner said; its signer is the owner.
    pub acceptance: Signed<Acceptance>,
}

/// An enrolment that all three have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The gateway's word and the owner's.
    pub accepted: Accepted,
    /// What the operator said; its signer is the operator. Its digest names the agreement.
    pub admission: Signed<Admission>,
}

/// Why envelopes are no agreement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// One of them cannot be read, or is not signed.
    #[error("the {which}: {error}")]
    Message {
        /// Which.
        which: &'static str,
        /// Why.
        error: MessageError,
    },
    /// One names another message than the one that came with it.
    #[error("the {which} is of another {before} than this one: they do not belong together")]
    Unchained {
        /// Which.
        which: &'static str,
        /// What it names.
        before: &'static str,
    },
    /// Two sides are one.
    #[error("{0} signed for two sides; gateway, owner and operator have a key each")]
    OneKey(Box<Identity>),
}

fn open<M: crate::message::Message>(which: &'static str, bytes: &[u8]) -> Result<Signed<M>, AgreementError> {
    M::open(bytes).map_err(|error| AgreementError::Message { which, error })
}

impl Accepted {
    /// Reads both envelopes: form, signatures, and that they belong together.
    ///
    /// # Errors
    /// [`AgreementError`] with the first thing that does not hold.
    pub fn open(claim: &[u8], acceptance: &[u8]) -> Result<Self, AgreementError> {
        let claim: Signed<Claim> = open("claim", claim)?;
        let acceptance: Signed<Acceptance> = open("acceptance", acceptance)?;
        if acceptance.message.claim != claim.digest {
            return Err(AgreementError::Unchained {
                which: "acceptance",
                before: "claim",
            });
        }
        if acceptance.signer == claim.signer {
            return Err(AgreementError::OneKey(Box::new(claim.signer)));
        }
        Ok(Self { claim, acceptance })
    }

    /// The gateway's key.
    #[must_use]
    pub const fn gateway(&self) -> Identity {
        self.claim.signer
    }

    /// The owner's key.
    #[must_use]
    pub const fn owner(&self) -> Identity {
        self.acceptance.signer
    }
}

impl Agreement {
    /// Reads all three envelopes: form, signatures, and that they belong together. Whether the operator is the right
    /// one is for the caller to judge.
    ///
    /// # Errors
    /// [`AgreementError`] with the first thing that does not hold.
    pub fn open(claim: &[u8], acceptance: &[u8], admission: &[u8]) -> Result<Self, AgreementError> {
        let accepted = Accepted::open(claim, acceptance)?;
        let admission: Signed<Admission> = open("admission", admission)?;
        if admission.message.acceptance != accepted.acceptance.digest {
            return Err(AgreementError::Unchained {
                which: "admission",
                before: "acceptance",
            });
        }
        let operator = admission.signer;
        if operator == accepted.gateway() || operator == accepted.owner() {
            return Err(AgreementError::OneKey(Box::new(operator)));
        }
        Ok(Self { accepted, admission })
    }
}

/// A text of bounded length of characters that `allowed` lets pass.
fn is_text(text: &str, max: usize, allowed: fn(u8) -> bool) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(allowed)
}

fn read_text(
    d: &mut Decoder<'_>,
    max: usize,
    allowed: fn(u8) -> bool,
    otherwise: &'static str,
) -> Result<String, decode::Error> {
    let text = d.str()?;
    cbor::expect(is_text(text, max, allowed), otherwise)?;
    Ok(text.to_owned())
}
