//! What changes an agreement after it was made.

use minicbor::{Decoder, Encoder, decode};
use serde::{Deserialize, Serialize};

use super::acceptance::NAME_LEN_MAX;
use super::{is_text, read_text};
use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::identity::{Digest, Identity};
use crate::message::{self, Message, MessageError, Signed};
use crate::receipt::{read_digest, read_identity};
use crate::report::read_instant;
use crate::time::Timestamp;

/// So long after it was handed in a rotation takes effect, unless the operator says otherwise: 48 hours, within which
/// the owner can veto it.
pub const ROTATION_DELAY_SECONDS: i64 = 48 * 3_600;

/// Whose key is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// The box.
    Gateway,
    /// The owner.
    Owner,
}

impl Holder {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Gateway, Self::Owner];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Gateway => 1,
            Self::Owner => 2,
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Owner => "owner",
        }
    }
}

/// A new key in the place of an old one. Both sign the same payload: the old one says who follows, the new one that
/// somebody holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The digest of the admission's envelope, which names the agreement.
    pub agreement: Digest,
    /// Whose key.
    pub holder: Holder,
    /// The key that signs up to then.
    pub old: Identity,
    /// The key that signs from then on.
    pub new: Identity,
    /// When this was signed.
    pub issued_at: Timestamp,
    /// From when on the new key counts; after `issued_at`.
    pub effective_at: Timestamp,
}

/// A new owner. Both sign the same payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The digest of the admission's envelope, which names the agreement.
    pub agreement: Digest,
    /// The owner before.
    pub from: Identity,
    /// The owner after.
    pub to: Identity,
    /// Who is paid from then on: 1 to 128 visible ASCII characters. What was earned before stays whose it is.
    pub beneficiary: String,
    /// When this was signed.
    pub issued_at: Timestamp,
    /// From when on; not before `issued_at`.
    pub effective_at: Timestamp,
}

/// Why an agreement, or a change of it, ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    /// It is over: what was measured before counts, whenever it comes.
    Ended,
    /// Somebody else may hold the key: from then on nothing that it signed is taken, of whatever time.
    Compromised,
    /// The owner forbids a change that was announced.
    Vetoed,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ended, Self::Compromised, Self::Vetoed];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ended => 1,
            Self::Compromised => 2,
            Self::Vetoed => 3,
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Compromised => "compromised",
            Self::Vetoed => "vetoed",
        }
    }
}

/// The end of an agreement, signed by its owner, its gateway or its operator; or the owner's veto of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// What ends: the digest of the admission's envelope, or of the envelope by which the old key announced a rotation.
    pub subject: Digest,
    /// Why.
    pub reason: RevocationReason,
    /// When this was signed.
    pub issued_at: Timestamp,
    /// From when on; not before `issued_at`.
    pub effective_at: Timestamp,
}

/// Why two envelopes are not one message that both have signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BothError {
    /// One of them cannot be read, or is not signed.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// They say different things.
    #[error("the two signatures are for different messages")]
    Differ,
    /// They are not of the two whose word it takes.
    #[error("it must be signed by {first} and by {second}")]
    Signers {
        /// Whose signature comes first.
        first: Box<Identity>,
        /// Whose second.
        second: Box<Identity>,
    },
}

/// Opens a message that two sign: the same payload in two envelopes, by those two that `who` names, in that order.
///
/// # Errors
/// [`BothError`].
pub fn both<M: Message + PartialEq>(
    first: &[u8],
    second: &[u8],
    who: fn(&M) -> (Identity, Identity),
) -> Result<Signed<M>, BothError> {
    let (one, other) = (M::open(first)?, M::open(second)?);
    if one.message != other.message {
        return Err(BothError::Differ);
    }
    let (first, second) = who(&one.message);
    if (one.signer, other.signer) != (first, second) {
        return Err(BothError::Signers {
            first: Box::new(first),
            second: Box::new(second),
        });
    }
    Ok(one)
}

fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

impl Message for Rotation {
    const PURPOSE: Purpose = Purpose::Rotation;

    fn check(&self) -> Result<(), &'static str> {
        if self.old == self.new {
            return Err("the new key is another one than the old");
        }
        if self.effective_at <= self.issued_at {
            return Err("it takes effect after it was signed");
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(7)?
            .u8(message::VERSION)?
            .bytes(self.agreement.as_bytes())?
            .u8(self.holder.code())?
            .bytes(self.old.as_bytes())?
            .bytes(self.new.as_bytes())?
            .i64(self.issued_at.unix())?
            .i64(self.effective_at.unix())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(7), "a rotation is an array of seven")?;
        message::read_version(d)?;
        let agreement = read_digest(d)?;
        let code = d.u8()?;
        let holder = Holder::ALL
            .into_iter()
            .find(|holder| holder.code() == code)
            .ok_or_else(|| decode::Error::message("an unknown holder of a key"))?;
        Ok(Self {
            agreement,
            holder,
            old: read_identity(d)?,
            new: read_identity(d)?,
            issued_at: read_instant(d)?,
            effective_at: read_instant(d)?,
        })
    }
}

impl Message for Transfer {
    const PURPOSE: Purpose = Purpose::Transfer;

    fn check(&self) -> Result<(), &'static str> {
        if self.from == self.to {
            return Err("the new owner is another one than the old");
        }
        if !is_text(&self.beneficiary, NAME_LEN_MAX, is_visible) {
            return Err("a beneficiary's name is 1 to 128 visible ASCII characters");
        }
        if self.effective_at < self.issued_at {
            return Err("it takes effect no earlier than it was signed");
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(7)?
            .u8(message::VERSION)?
            .bytes(self.agreement.as_bytes())?
            .bytes(self.from.as_bytes())?
            .bytes(self.to.as_bytes())?
            .str(&self.beneficiary)?
            .i64(self.issued_at.unix())?
            .i64(self.effective_at.unix())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(7), "a transfer is an array of seven")?;
        message::read_version(d)?;
        Ok(Self {
            agreement: read_digest(d)?,
            from: read_identity(d)?,
            to: read_identity(d)?,
            beneficiary: read_text(d, NAME_LEN_MAX, is_visible, "not a beneficiary's name")?,
            issued_at: read_instant(d)?,
            effective_at: read_instant(d)?,
        })
    }
}

impl Message for Revocation {
    const PURPOSE: Purpose = Purpose::Revocation;

    fn check(&self) -> Result<(), &'static str> {
        if self.effective_at < self.issued_at {
            return Err("it takes effect no earlier than it was signed");
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(5)?
            .u8(message::VERSION)?
            .bytes(self.subject.as_bytes())?
            .u8(self.reason.code())?
            .i64(self.issued_at.unix())?
            .i64(self.effective_at.unix())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(5), "a revocation is an array of five")?;
        message::read_version(d)?;
        let subject = read_digest(d)?;
        let code = d.u8()?;
        let reason = RevocationReason::ALL
            .into_iter()
            .find(|reason| reason.code() == code)
            .ok_or_else(|| decode::Error::message("an unknown reason"))?;
        Ok(Self {
            subject,
            reason,
            issued_at: read_instant(d)?,
            effective_at: read_instant(d)?,
        })
    }
}
