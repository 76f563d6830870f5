//! The keys of notes: names, the four bytes by which a line points to a key, and the texts of keys.

use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gridtally_protocol::identity::{Identity, SigningIdentity};
use sha2::{Digest as _, Sha256};

use super::text::SignatureLine;

/// How the text of a private key begins.
pub const SIGNER_PREFIX: &str = "PRIVATE+KEY+";
const NAME_LEN_MAX: usize = 255;

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name.
    #[error(
        "a key's name is 1 to {NAME_LEN_MAX} bytes without spaces, + and control characters, like witness.example/w1"
    )]
    Name,
    /// The whole.
    #[error("not a key of a signed note; expected NAME+HASH+BASE64")]
    Form,
    /// An algorithm that is not known here.
    #[error("a key of type {0:#04x}; known are 0x01 (Ed25519) and 0x04 (Ed25519 cosignatures)")]
    Algorithm(u8),
    /// The hash in its middle does not belong to it.
    #[error("the key does not have the hash that stands in it; it was changed or mistyped")]
    Hash,
    /// Not a point of the curve, or a weak one.
    #[error("the key is no sound Ed25519 key")]
    Unsound,
}

/// What a key is called: bytes without any space, `+` or control character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if text.is_empty() || text.len() > NAME_LEN_MAX || text.contains(forbidden) {
            return Err(KeyError::Name);
        }
        Ok(Self(text.to_owned()))
    }
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 over the text: what a log does (type 0x01).
    Ed25519,
    /// Ed25519 over `cosignature/v1`, a time and the text: what a witness does (type 0x04).
    CosignatureV1,
}

impl Algorithm {
    /// The byte of C2SP signed-note, §"Signature types".
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    const fn of(byte: u8) -> Result<Self, KeyError> {
        match byte {
            0x01 => Ok(Self::Ed25519),
            0x04 => Ok(Self::CosignatureV1),
            other => Err(KeyError::Algorithm(other)),
        }
    }
}

/// `SHA-256(name || 0x0A || type || key)[:4]`.
fn key_id(name: &KeyName, algorithm: Algorithm, identity: &Identity) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name.as_str())
        .chain_update([b'\n', algorithm.byte()])
        .chain_update(identity.as_bytes())
        .finalize();
    let mut id = [0; 4];
    id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    id
}

/// The public side of a key: whose signature is believed. Its text (a *vkey*) is `NAME+HASH+BASE64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    algorithm: Algorithm,
    identity: Identity,
    id: [u8; 4],
}

impl VerifierKey {
    /// A key under a name.
    #[must_use]
    pub fn new(name: KeyName, algorithm: Algorithm, identity: Identity) -> Self {
        let id = key_id(&name, algorithm, &identity);
        Self {
            name,
            algorithm,
            identity,
            id,
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The first four bytes of its hash.
    #[must_use]
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Whether a line says that this key made it.
    #[must_use]
    pub fn claims(&self, line: &SignatureLine) -> bool {
        line.name == self.name && line.key_id == self.id
    }

    /// Whether a line's signature is this key's over a text; of a cosignature, with the second (Unix time) at which
    /// it says that it was made.
    #[must_use]
    pub fn verify(&self, text: &str, line: &SignatureLine) -> Option<Verified> {
        if !self.claims(line) {
            return None;
        }
        match self.algorithm {
            Algorithm::Ed25519 => {
                let signature = line.signature.as_slice().try_into().ok()?;
                let holds = self.identity.verify(text.as_bytes(), signature);
                holds.then_some(Verified { unix_seconds: None })
            }
            Algorithm::CosignatureV1 => {
                let (time, signature) = line.signature.split_first_chunk()?;
                let unix_seconds = u64::from_be_bytes(*time);
                let signature = signature.try_into().ok()?;
                let holds = i64::try_from(unix_seconds).is_ok()
                    && self
                        .identity
                        .verify(cosigned(unix_seconds, text).as_bytes(), signature);
                holds.then_some(Verified {
                    unix_seconds: Some(unix_seconds),
                })
            }
        }
    }
}

/// A signature that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Of a cosignature: when it was made, in seconds of Unix time.
    pub unix_seconds: Option<u64>,
}

/// What a cosignature signs.
fn cosigned(unix_seconds: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {unix_seconds}\n{text}")
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(
            &self.name,
            self.id,
            self.algorithm,
            self.identity.as_bytes(),
        ))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, algorithm, bytes) = read_key(text)?;
        let identity = Identity::from_bytes(&bytes).map_err(|_| KeyError::Unsound)?;
        let key = Self::new(name, algorithm, identity);
        if key.id == id {
            Ok(key)
        } else {
            Err(KeyError::Hash)
        }
    }
}

/// The private side of a key. Its text is `PRIVATE+KEY+NAME+HASH+BASE64`, in the place of the public key the secret.
pub struct Signer {
    key: SigningIdentity,
    verifier: VerifierKey,
}

impl Signer {
    /// A key that signs under a name.
    #[must_use]
    pub fn new(name: KeyName, algorithm: Algorithm, key: SigningIdentity) -> Self {
        let verifier = VerifierKey::new(name, algorithm, key.identity());
        Self { key, verifier }
    }

    /// The text of a private key, for a file that only its owner can read.
    ///
    /// # Errors
    /// [`KeyError::Unsound`] in the practically impossible case that the public key is unsound.
    pub fn secret_text(name: &KeyName, algorithm: Algorithm, secret: &[u8; 32]) -> Result<String, KeyError> {
        let identity = SigningIdentity::from_secret(secret)
            .map_err(|_| KeyError::Unsound)?
            .identity();
        let id = key_id(name, algorithm, &identity);
        Ok(format!(
            "{SIGNER_PREFIX}{}",
            key_text(name, id, algorithm, secret)
        ))
    }

    /// The public side.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a note's text: a plain key without, a cosigner with the time, in seconds of Unix time.
    #[must_use]
    pub fn sign(&self, text: &str, unix_seconds: u64) -> SignatureLine {
        let signature = match self.verifier.algorithm {
            Algorithm::Ed25519 => self.key.sign(text.as_bytes()).to_vec(),
            Algorithm::CosignatureV1 => {
                let signature = self.key.sign(cosigned(unix_seconds, text).as_bytes());
                [unix_seconds.to_be_bytes().as_slice(), &signature].concat()
            }
        };
        SignatureLine {
            name: self.verifier.name.clone(),
            key_id: self.verifier.id,
            signature,
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

impl FromStr for Signer {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let rest = text.strip_prefix(SIGNER_PREFIX).ok_or(KeyError::Form)?;
        let (name, id, algorithm, secret) = read_key(rest)?;
        let key = SigningIdentity::from_secret(&secret).map_err(|_| KeyError::Unsound)?;
        let signer = Self::new(name, algorithm, key);
        if signer.verifier.id == id {
            Ok(signer)
        } else {
            Err(KeyError::Hash)
        }
    }
}

fn key_text(name: &KeyName, id: [u8; 4], algorithm: Algorithm, bytes: &[u8; 32]) -> String {
    let encoded = BASE64.encode([[algorithm.byte()].as_slice(), bytes].concat());
    format!("{name}+{}+{encoded}", hex::encode(id))
}

fn read_key(text: &str) -> Result<(KeyName, [u8; 4], Algorithm, [u8; 32]), KeyError> {
    let (name, rest) = text.split_once('+').ok_or(KeyError::Form)?;
    let (id_text, encoded) = rest.split_once('+').ok_or(KeyError::Form)?;
    let mut id = [0; 4];
    hex::decode_to_slice(id_text, &mut id).map_err(|_| KeyError::Form)?;
    let bytes = BASE64.decode(encoded).map_err(|_| KeyError::Form)?;
    let (byte, key) = bytes.split_first().ok_or(KeyError::Form)?;
    let algorithm = Algorithm::of(*byte)?;
    let key = key.try_into().map_err(|_| KeyError::Form)?;
    Ok((name.parse()?, id, algorithm, key))
}
