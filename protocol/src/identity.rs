//! Who signs: ed25519 public keys as identities, shown as `did:key`, and the keys that stand behind them.

mod batch;
mod recent;

use core::fmt;
use core::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use batch::{Claim, verify_all};

/// `0xed 0x01`: the multicodec varint of an ed25519 public key (did:key method, §"Ed25519").
const MULTICODEC_ED25519: [u8; 2] = [0xed, 0x01];
const DID_KEY: &str = "did:key:";
/// `z` and at most 48 characters of base58btc for 34 bytes.
const MULTIBASE_LEN_MAX: usize = 49;

/// Why a text or bytes are no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not `did:key:z6Mk…` with an ed25519 key in base58btc.
    #[error("not an ed25519 did:key; expected text of the form did:key:z6Mk…")]
    NotDidKey,
    /// The 32 bytes are no point of the curve in canonical form.
    #[error("not a canonical ed25519 public key; make a new key pair")]
    NotAPoint,
    /// A key of small order, for which signatures prove nothing.
    #[error("a weak ed25519 key of small order, for which anyone can sign; make a new key pair")]
    Weak,
}

/// An ed25519 public key that has been checked to be canonical and not weak.
#[derive(Clone, Copy)]
pub struct Identity {
    key: VerifyingKey,
}

impl Identity {
    /// Checks 32 bytes: canonical, on the curve, and not of small order.
    ///
    /// # Errors
    /// [`IdentityError::NotAPoint`] or [`IdentityError::Weak`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, IdentityError> {
        if let Some(key) = recent::key(bytes) {
            return Ok(Self { key });
        }
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| IdentityError::NotAPoint)?;
        if key.is_weak() {
            return Err(IdentityError::Weak);
        }
        // An x of nothing with a sign would not be canonical either; those points are weak.
        if !batch::is_reduced(bytes) {
            return Err(IdentityError::NotAPoint);
        }
        recent::remember(key);
        Ok(Self { key })
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The multibase text without `did:key:`, which is what topics carry.
    #[must_use]
    pub fn multibase(&self) -> String {
        recent::text(self.key, || {
            let mut bytes = MULTICODEC_ED25519.to_vec();
            bytes.extend_from_slice(self.as_bytes());
            format!("z{}", bs58::encode(bytes).into_string())
        })
    }

    /// Reads the multibase text, as in topics.
    ///
    /// # Errors
    /// [`IdentityError`] where it is no well-formed, sound ed25519 key.
    pub fn from_multibase(text: &str) -> Result<Self, IdentityError> {
        if text.len() > MULTIBASE_LEN_MAX {
            return Err(IdentityError::NotDidKey);
        }
        if let Some(key) = recent::key_of_text(text) {
            return Ok(Self { key });
        }
        let digits = text.strip_prefix('z').ok_or(IdentityError::NotDidKey)?;
        let bytes = bs58::decode(digits)
            .into_vec()
            .map_err(|_| IdentityError::NotDidKey)?;
        let key = bytes
            .strip_prefix(MULTICODEC_ED25519.as_slice())
            .ok_or(IdentityError::NotDidKey)?;
        Self::from_bytes(key.try_into().map_err(|_| IdentityError::NotDidKey)?)
    }

    /// Whether `signature` over `message` is this identity's, by the strict rules (RFC 8032 §5.1.7 without
    /// cofactor, canonical S, no small-order points).
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key
            .verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}
impl Eq for Identity {}
impl PartialOrd for Identity {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Identity {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}
impl core::hash::Hash for Identity {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{DID_KEY}{}", self.multibase()))
    }
}
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for Identity {
    type Err = IdentityError;
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        Self::from_multibase(text.strip_prefix(DID_KEY).ok_or(IdentityError::NotDidKey)?)
    }
}
impl Serialize for Identity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A private key that signs. Its bytes are wiped when it is dropped, and never shown.
pub struct SigningIdentity {
    key: SigningKey,
    identity: Identity,
}

impl SigningIdentity {
    /// From the 32 secret bytes of RFC 8032 §5.1.5.
    ///
    /// # Errors
    /// [`IdentityError`] in the practically impossible case that the public key is unsound.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, IdentityError> {
        let key = SigningKey::from_bytes(secret);
        let identity = Identity::from_bytes(key.verifying_key().as_bytes())?;
        Ok(Self { key, identity })
    }

    /// The public side.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// Signs bytes. Deterministic: the same bytes give the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

/// A key that signs, wherever it lives: in memory, in a secure element, in a TPM.
pub trait Signer {
    /// The public side, which must stay the same as long as the value lives.
    fn identity(&self) -> Identity;

    /// An ed25519 signature of bytes (RFC 8032 §5.1.6, without prehashing).
    ///
    /// # Errors
    /// A sentence, where the device that holds the key gives none.
    fn try_sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError>;
}

/// Why a key gave no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key does not sign: {0}")]
pub struct SignerError(pub String);

impl Signer for SigningIdentity {
    fn identity(&self) -> Identity {
        self.identity
    }

    fn try_sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        Ok(self.sign(message))
    }
}

impl fmt::Debug for SigningIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningIdentity({})", self.identity)
    }
}

/// A SHA-256 digest: how signed messages name one another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Thirty-two zeros: what the first report of a chain names as the one before it.
    pub const NONE: Self = Self([0; 32]);

    /// The digest of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 digest is written as 64 lower-case hexadecimal digits")]
pub struct DigestError;

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(DigestError);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError)?;
        Ok(Self(bytes))
    }
}
impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
