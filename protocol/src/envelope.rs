//! Signed envelopes: COSE_Sign1 (RFC 9052 §4.2) with EdDSA over deterministic CBOR (RFC 8949 §4.2).
//!
//! The protected header holds exactly three things: the algorithm (`1: -8`, EdDSA), the content type
//! (`3:` a number of its own for each [`Purpose`]) and the signer's public key (`4:` the key id).
//! A signature made for one purpose is therefore void for any other. The unprotected header is empty and
//! the payload is attached. There is one way to write an envelope, and [`Envelope::parse`] accepts no other.
//!
//! The layout is fixed, so it is written and read here with a plain CBOR codec: general COSE crates
//! neither accept content types outside of the registry nor insist on the canonical form.

use minicbor::data::Tag;
use minicbor::{Decoder, Encoder};

use crate::cbor::{self, Sink};
use crate::identity::{Claim, Digest, Identity, IdentityError, Signer, SignerError, SigningIdentity};

/// No envelope is longer than this, in bytes; a longer one is refused before it is looked at.
pub const ENVELOPE_LEN_MAX: usize = 16 * 1024;

/// What a signature is for. The number is the COSE content type, taken from the range that the CoAP
/// Content-Formats registry reserves for experiments (65000 to 65535, RFC 7252 §12.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A gateway's readings.
    Report,
    /// What the engine asks of a gateway.
    Instruction,
    /// What a gateway did about an instruction.
    Acknowledgement,
    /// That the engine holds what a gateway sent.
    Receipt,
    /// The engine's word on the root of a settlement bundle.
    Bundle,
    /// Which reports the engine misses.
    Resend,
    /// What a device showed when it was commissioned.
    Commission,
    /// What the settlement of an event says of one home.
    Statement,
    /// A gateway's devices.
    Claim,
    /// An owner's word on a claim.
    Acceptance,
    /// The operator's word on an acceptance.
    Admission,
    /// The end of an agreement, or a veto.
    Revocation,
    /// A new key in the place of an old one.
    Rotation,
    /// A new owner.
    Transfer,
    /// What nobody could know before.
    Beacon,
    /// What a meter has signed itself.
    Original,
}

impl Purpose {
    /// Every purpose there is.
    pub const ALL: [Self; 16] = [
        Self::Report,
        Self::Instruction,
        Self::Acknowledgement,
        Self::Receipt,
        Self::Bundle,
        Self::Resend,
        Self::Commission,
        Self::Statement,
        Self::Claim,
        Self::Acceptance,
        Self::Admission,
        Self::Revocation,
        Self::Rotation,
        Self::Transfer,
        Self::Beacon,
        Self::Original,
    ];

    /// The content type that stands in the protected header.
    #[must_use]
    pub const fn content_type(self) -> u16 {
        match self {
            Self::Report => 65_101,
            Self::Instruction => 65_102,
            Self::Acknowledgement => 65_103,
            Self::Receipt => 65_104,
            Self::Bundle => 65_105,
            Self::Resend => 65_106,
            Self::Commission => 65_107,
            Self::Statement => 65_108,
            Self::Claim => 65_109,
            Self::Acceptance => 65_110,
            Self::Admission => 65_111,
            Self::Revocation => 65_112,
            Self::Rotation => 65_113,
            Self::Transfer => 65_114,
            Self::Beacon => 65_115,
            Self::Original => 65_116,
        }
    }
}

impl core::fmt::Display for Purpose {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Self::Report => "report",
            Self::Instruction => "instruction",
            Self::Acknowledgement => "acknowledgement",
            Self::Receipt => "receipt",
            Self::Bundle => "bundle",
            Self::Resend => "resend",
            Self::Commission => "commission",
            Self::Statement => "statement",
            Self::Claim => "claim",
            Self::Acceptance => "acceptance",
            Self::Admission => "admission",
            Self::Revocation => "revocation",
            Self::Rotation => "rotation",
            Self::Transfer => "transfer",
            Self::Beacon => "beacon",
            Self::Original => "original",
        })
    }
}

/// Why bytes are no acceptable envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Longer than [`ENVELOPE_LEN_MAX`].
    #[error("the envelope has {len} bytes; at most {ENVELOPE_LEN_MAX} are accepted")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// No COSE_Sign1 structure with our three protected headers.
    #[error("not a tagged COSE_Sign1 with an algorithm, a content type and a key id: {reason}")]
    NotCose {
        /// What the CBOR reader said.
        reason: String,
    },
    /// Not what [`seal`] would have written, byte for byte.
    #[error("a COSE_Sign1, but not in the one canonical form of RFC 8949 §4.2")]
    NotCanonical,
    /// Signed for something else.
    #[error("signed for another purpose (content type {found}); expected {expected}")]
    WrongPurpose {
        /// What the receiver was looking for.
        expected: Purpose,
        /// The content type that stands there.
        found: u16,
    },
    /// The key id is no sound ed25519 public key.
    #[error("the key id is unusable: {0}")]
    Signer(#[from] IdentityError),
    /// The key that should have signed did not.
    #[error(transparent)]
    Key(#[from] SignerError),
    /// The signature does not verify.
    #[error("the signature does not verify under the key that the envelope names")]
    BadSignature,
}

/// COSE_Sign1's CBOR tag (RFC 9052 §2).
const TAG_COSE_SIGN1: u64 = 18;
/// `EdDSA` in the COSE algorithms registry (RFC 9053 §2.2).
const ALG_EDDSA: i8 = -8;
const HEADER_ALG: u8 = 1;
const HEADER_CONTENT_TYPE: u8 = 3;
const HEADER_KEY_ID: u8 = 4;

/// An envelope whose form has been checked, but **not yet its signature**.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    signer: Identity,
    content_type: u16,
    digest: Digest,
    payload: Vec<u8>,
    signature: [u8; 64],
}

/// Signs a payload for one purpose and returns the envelope's bytes.
#[must_use]
pub fn seal(purpose: Purpose, payload: &[u8], key: &SigningIdentity) -> Vec<u8> {
    let protected = protected(purpose.content_type(), &key.identity());
    let signature = key.sign(&to_be_signed(&protected, payload));
    assemble(&protected, payload, &signature)
}

/// As [`seal`], with a key that may live elsewhere. What it gives is verified before it is used.
///
/// # Errors
/// [`EnvelopeError::Key`] where it gives no signature, [`EnvelopeError::BadSignature`] where it gives a wrong one.
pub fn seal_with(purpose: Purpose, payload: &[u8], key: &dyn Signer) -> Result<Vec<u8>, EnvelopeError> {
    let identity = key.identity();
    let protected = protected(purpose.content_type(), &identity);
    let signed = to_be_signed(&protected, payload);
    let signature = key.try_sign(&signed)?;
    if !identity.verify(&signed, &signature) {
        return Err(EnvelopeError::BadSignature);
    }
    Ok(assemble(&protected, payload, &signature))
}

fn protected(content_type: u16, signer: &Identity) -> Vec<u8> {
    cbor::write(|e: &mut Encoder<Sink>| {
        e.map(3)?.u8(HEADER_ALG)?.i8(ALG_EDDSA)?;
        e.u8(HEADER_CONTENT_TYPE)?.u16(content_type)?;
        e.u8(HEADER_KEY_ID)?.bytes(signer.as_bytes())?;
        Ok(())
    })
}

/// The `Sig_structure` of RFC 9052 §4.4, without external data.
fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    cbor::write(|e: &mut Encoder<Sink>| {
        e.array(4)?
            .str("Signature1")?
            .bytes(protected)?
            .bytes(&[])?
            .bytes(payload)?;
        Ok(())
    })
}

fn assemble(protected: &[u8], payload: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    cbor::write(|e: &mut Encoder<Sink>| {
        e.tag(Tag::new(TAG_COSE_SIGN1))?.array(4)?;
        e.bytes(protected)?.map(0)?.bytes(payload)?.bytes(signature)?;
        Ok(())
    })
}

impl Envelope {
    /// Reads bytes that somebody sent: bounded, canonical, with a sound key. The signature is not looked at.
    ///
    /// # Errors
    /// [`EnvelopeError`] that says what is not as it must be.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > ENVELOPE_LEN_MAX {
            return Err(EnvelopeError::TooLong { len: bytes.len() });
        }
        let not_cose = |e: minicbor::decode::Error| EnvelopeError::NotCose {
            reason: e.to_string(),
        };
        let raw = Self::read(bytes).map_err(not_cose)?;
        let signer = Identity::from_bytes(&raw.key)?;
        let canonical = assemble(&protected(raw.content_type, &signer), raw.payload, &raw.signature);
        if canonical != bytes {
            return Err(EnvelopeError::NotCanonical);
        }
        Ok(Self {
            signer,
            content_type: raw.content_type,
            digest: Digest::of(bytes),
            payload: raw.payload.to_vec(),
            signature: raw.signature,
        })
    }

    fn read(bytes: &[u8]) -> Result<Raw<'_>, minicbor::decode::Error> {
        let mut d = Decoder::new(bytes);
        cbor::expect(d.tag()? == Tag::new(TAG_COSE_SIGN1), "the tag is not 18")?;
        cbor::expect(d.array()? == Some(4), "not an array of four")?;
        let mut h = Decoder::new(d.bytes()?);
        cbor::expect(h.map()? == Some(3), "not three protected headers")?;
        cbor::expect(
            h.u8()? == HEADER_ALG && h.i8()? == ALG_EDDSA,
            "the algorithm is not EdDSA",
        )?;
        cbor::expect(h.u8()? == HEADER_CONTENT_TYPE, "no content type")?;
        let content_type = h.u16()?;
        cbor::expect(h.u8()? == HEADER_KEY_ID, "no key id")?;
        let key = cbor::fixed(h.bytes()?, "the key id is not of 32 bytes")?;
        cbor::expect(d.map()? == Some(0), "an unprotected header")?;
        let payload = d.bytes()?;
        let signature = cbor::fixed(d.bytes()?, "the signature is not of 64 bytes")?;
        Ok(Raw {
            key,
            content_type,
            payload,
            signature,
        })
    }

    /// Who claims to have signed.
    #[must_use]
    pub const fn signer(&self) -> Identity {
        self.signer
    }

    /// SHA-256 of the envelope's bytes, by which other messages name it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The payload, provided that it was signed for `expected` and that the signature verifies strictly.
    ///
    /// # Errors
    /// [`EnvelopeError::WrongPurpose`] or [`EnvelopeError::BadSignature`].
    pub fn verify(&self, expected: Purpose) -> Result<&[u8], EnvelopeError> {
        let signed = self.signed_bytes(expected)?;
        self.verified(self.claim(&signed).holds())
    }

    /// What its signature must be over, provided that it was signed for `expected`.
    ///
    /// # Errors
    /// [`EnvelopeError::WrongPurpose`].
    pub fn signed_bytes(&self, expected: Purpose) -> Result<Vec<u8>, EnvelopeError> {
        if self.content_type != expected.content_type() {
            return Err(EnvelopeError::WrongPurpose {
                expected,
                found: self.content_type,
            });
        }
        Ok(to_be_signed(
            &protected(self.content_type, &self.signer),
            &self.payload,
        ))
    }

    /// Its signature as a claim over its [`signed_bytes`](Self::signed_bytes), to be verified with others.
    #[must_use]
    pub const fn claim<'e>(&'e self, signed_bytes: &'e [u8]) -> Claim<'e> {
        Claim {
            signer: self.signer,
            message: signed_bytes,
            signature: &self.signature,
        }
    }

    /// The payload, where its claim `holds`.
    pub(crate) fn verified(&self, holds: bool) -> Result<&[u8], EnvelopeError> {
        if holds {
            Ok(&self.payload)
        } else {
            Err(EnvelopeError::BadSignature)
        }
    }
}

struct Raw<'b> {
    key: [u8; 32],
    content_type: u16,
    payload: &'b [u8],
    signature: [u8; 64],
}
