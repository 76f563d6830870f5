//! What all signed messages have in common: a purpose, one canonical encoding, and a way in and out.

use minicbor::{Decoder, Encoder, decode};

use crate::cbor::{self, Sink, Write};
use crate::envelope::{self, Envelope, EnvelopeError, Purpose};
use crate::identity::{Claim, Digest, Identity, Signer, SigningIdentity, verify_all};

/// The version of every message's layout; it stands first in each.
pub const VERSION: u8 = 1;
/// The highest sequence number, 2^63 − 1: a database's signed 64-bit column holds every number that is accepted.
pub const SEQUENCE_MAX: u64 = i64::MAX.cast_unsigned();

/// Why a message cannot be written, or bytes are not accepted as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The envelope around it.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The payload is not of the message's layout.
    #[error("the payload is no {purpose} of version {VERSION}: {reason}")]
    Malformed {
        /// What was expected.
        purpose: Purpose,
        /// What the reader met.
        reason: String,
    },
    /// The layout is right but not the only canonical way to write it.
    #[error("the {purpose} is not in canonical form: written anew, its bytes differ")]
    NotCanonical {
        /// What was expected.
        purpose: Purpose,
    },
    /// A field breaks a rule of its message.
    #[error("the {purpose} breaks a rule: {rule}")]
    Invalid {
        /// Which message.
        purpose: Purpose,
        /// The rule, as a sentence.
        rule: &'static str,
    },
}

/// A message with its proof of origin: the signature has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<M> {
    /// Who signed.
    pub signer: Identity,
    /// SHA-256 of the envelope.
    pub digest: Digest,
    /// What was signed.
    pub message: M,
}

/// A message of the wire. The provided methods are the ones to call.
pub trait Message: Sized {
    /// What its signature is for.
    const PURPOSE: Purpose;

    /// Checks the rules that hold between fields; returns the broken rule as a sentence.
    ///
    /// # Errors
    /// The broken rule.
    fn check(&self) -> Result<(), &'static str>;

    #[doc(hidden)]
    fn write(
        &self,
        e: &mut Encoder<Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>>;

    #[doc(hidden)]
    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error>;

    /// The canonical payload.
    ///
    /// # Errors
    /// [`MessageError::Invalid`] where the message breaks a rule of its own; [`EnvelopeError::TooLong`] where
    /// no envelope could hold it.
    fn encode(&self) -> Result<Vec<u8>, MessageError> {
        self.check().map_err(|rule| MessageError::Invalid {
            purpose: Self::PURPOSE,
            rule,
        })?;
        let payload = cbor::write(|e: &mut Encoder<Sink>| -> Write { self.write(e) });
        check_len(&payload)?;
        Ok(payload)
    }

    /// Reads a payload: bounded, in canonical form, and by the rules.
    ///
    /// # Errors
    /// [`MessageError`] that says what is not as it must be.
    fn decode(payload: &[u8]) -> Result<Self, MessageError> {
        check_len(payload)?;
        let malformed = |e: decode::Error| MessageError::Malformed {
            purpose: Self::PURPOSE,
            reason: e.to_string(),
        };
        let message = Self::read(&mut Decoder::new(payload)).map_err(malformed)?;
        if message.encode()? != payload {
            return Err(MessageError::NotCanonical {
                purpose: Self::PURPOSE,
            });
        }
        Ok(message)
    }

    /// Writes and signs: the bytes that go on the wire.
    ///
    /// # Errors
    /// As [`Message::encode`]; [`EnvelopeError::TooLong`] where the envelope would exceed its bound.
    fn seal(&self, key: &SigningIdentity) -> Result<Vec<u8>, MessageError> {
        let bytes = envelope::seal(Self::PURPOSE, &self.encode()?, key);
        check_len(&bytes)?;
        Ok(bytes)
    }

    /// As [`Message::seal`], with a key that may live elsewhere.
    ///
    /// # Errors
    /// As [`Message::seal`]; [`EnvelopeError::Key`] where the key gives no signature.
    fn seal_with(&self, key: &dyn Signer) -> Result<Vec<u8>, MessageError> {
        let bytes = envelope::seal_with(Self::PURPOSE, &self.encode()?, key)?;
        check_len(&bytes)?;
        Ok(bytes)
    }

    /// Reads bytes off the wire: form, purpose, strict signature, payload, in that order. Whether the signer
    /// may say this is for the caller to judge.
    ///
    /// # Errors
    /// [`MessageError`] that says what is not as it must be.
    fn open(bytes: &[u8]) -> Result<Signed<Self>, MessageError> {
        let envelope = Envelope::parse(bytes)?;
        let message = Self::decode(envelope.verify(Self::PURPOSE)?)?;
        Ok(Signed {
            signer: envelope.signer(),
            digest: envelope.digest(),
            message,
        })
    }
}

/// Opens many messages at once, each in its place: with the same outcome as [`Message::open`] of each, but their
/// signatures are verified together, which is quicker from some hundreds on.
#[must_use]
pub fn open_all<M: Message>(many: &[&[u8]]) -> Vec<Result<Signed<M>, MessageError>> {
    let parse = |bytes: &&[u8]| {
        let envelope = Envelope::parse(bytes)?;
        let signed = envelope.signed_bytes(M::PURPOSE)?;
        Ok((envelope, signed))
    };
    let parsed: Vec<Result<(Envelope, Vec<u8>), EnvelopeError>> = many.iter().map(parse).collect();
    let claims: Vec<Claim<'_>> = parsed
        .iter()
        .flatten()
        .map(|(envelope, signed)| envelope.claim(signed))
        .collect();
    let mut verdicts = verify_all(&claims).into_iter();
    let open = |parsed: &Result<(Envelope, Vec<u8>), EnvelopeError>| {
        let (envelope, _) = parsed.as_ref().map_err(Clone::clone)?;
        let holds = verdicts.next().unwrap_or(false);
        Ok(Signed {
            signer: envelope.signer(),
            digest: envelope.digest(),
            message: M::decode(envelope.verified(holds)?)?,
        })
    };
    parsed.iter().map(open).collect()
}

fn check_len(bytes: &[u8]) -> Result<(), EnvelopeError> {
    if bytes.len() > envelope::ENVELOPE_LEN_MAX {
        return Err(EnvelopeError::TooLong { len: bytes.len() });
    }
    Ok(())
}

pub(crate) fn read_version(d: &mut Decoder<'_>) -> Result<(), decode::Error> {
    cbor::expect(d.u8()? == VERSION, "the version is not 1")
}

pub(crate) fn check_sequence(sequence: u64) -> Result<(), &'static str> {
    if (1..=SEQUENCE_MAX).contains(&sequence) {
        Ok(())
    } else {
        Err("sequence numbers run from 1 to 2^63 - 1")
    }
}
