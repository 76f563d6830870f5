//! The public key of a meter, and signatures under it. ECDSA over SHA-256 (FIPS 186-5 §6), on the two curves of the OCMF
//! that are in use and have a well kept implementation.

use core::fmt;
use core::str::FromStr;

use k256::ecdsa as koblitz;
use p256::ecdsa as nist;
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;
use serde::{Deserialize, Serialize};

/// The longest text of a key, in characters: more than any of the forms takes.
const TEXT_LEN_MAX: usize = 256;

/// A curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// NIST P-256, also prime256v1.
    Secp256r1,
    /// That of the coins.
    Secp256k1,
}

impl Curve {
    /// Its name in SEC 2.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secp256r1 => "secp256r1",
            Self::Secp256k1 => "secp256k1",
        }
    }
}

/// The public key that a meter signs with.
///
/// It is written `secp256r1:` or `secp256k1:` with the point in hexadecimal digits (SEC 1 §2.3.3); written by us, the point is
/// compressed. A `SubjectPublicKeyInfo` (RFC 5480) in hexadecimal digits, as meters display it, is read, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MeterKey(Point);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    Secp256r1(nist::VerifyingKey),
    Secp256k1(koblitz::VerifyingKey),
}

/// A text that is no key of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a meter's public key: give secp256r1: or secp256k1: and the point in hexadecimal digits, or the \
     SubjectPublicKeyInfo in hexadecimal digits"
)]
pub struct MeterKeyError;

/// A signature that is none of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No DER `SEQUENCE` of two numbers (RFC 3279 §2.2.3).
    #[error("the signature is no DER sequence of two numbers within the curve's order")]
    Form,
    /// It does not verify.
    #[error("the signature is none of the enrolled key")]
    False,
}

impl MeterKey {
    /// On which curve it is.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        match self.0 {
            Point::Secp256r1(_) => Curve::Secp256r1,
            Point::Secp256k1(_) => Curve::Secp256k1,
        }
    }

    /// Checks a signature in DER over the SHA-256 of a message.
    ///
    /// ECDSA signatures have a twin of the same meaning (s and the order less s); meters give either, and both are
    /// taken.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, message: &[u8], der: &[u8]) -> Result<(), SignatureError> {
        let verdict = match &self.0 {
            Point::Secp256r1(key) => {
                let signature = nist::Signature::from_der(der).map_err(|_| SignatureError::Form)?;
                key.verify(message, &signature)
            }
            Point::Secp256k1(key) => {
                let signature = koblitz::Signature::from_der(der).map_err(|_| SignatureError::Form)?;
                // The verifier of this curve takes the lower of the twins only.
                key.verify(message, &signature.normalize_s())
            }
        };
        verdict.map_err(|_| SignatureError::False)
    }
}

impl fmt::Display for MeterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = match &self.0 {
            Point::Secp256r1(key) => hex::encode(key.to_sec1_point(true)),
            Point::Secp256k1(key) => hex::encode(key.to_sec1_point(true)),
        };
        write!(f, "{}:{point}", self.curve().name())
    }
}

impl FromStr for MeterKey {
    type Err = MeterKeyError;
    fn from_str(text: &str) -> Result<Self, MeterKeyError> {
        let text = text.trim();
        if text.len() > TEXT_LEN_MAX {
            return Err(MeterKeyError);
        }
        let (curve, digits) = text
            .split_once(':')
            .map_or((None, text), |(curve, digits)| (Some(curve), digits));
        let bytes = hex::decode(digits).map_err(|_| MeterKeyError)?;
        let nist = |read: Result<nist::VerifyingKey, _>| read.map(Point::Secp256r1);
        let koblitz = |read: Result<koblitz::VerifyingKey, _>| read.map(Point::Secp256k1);
        match curve {
            Some("secp256r1") => nist(nist::VerifyingKey::from_sec1_bytes(&bytes)).ok(),
            Some("secp256k1") => koblitz(koblitz::VerifyingKey::from_sec1_bytes(&bytes)).ok(),
            Some(_) => None,
            None => nist::VerifyingKey::from_public_key_der(&bytes)
                .map(Point::Secp256r1)
                .or_else(|_| koblitz::VerifyingKey::from_public_key_der(&bytes).map(Point::Secp256k1))
                .ok(),
        }
        .map(Self)
        .ok_or(MeterKeyError)
    }
}

impl TryFrom<String> for MeterKey {
    type Error = MeterKeyError;
    fn try_from(text: String) -> Result<Self, MeterKeyError> {
        text.parse()
    }
}

impl From<MeterKey> for String {
    fn from(key: MeterKey) -> Self {
        key.to_string()
    }
}
