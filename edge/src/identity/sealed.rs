//! A key at rest, encrypted with a passphrase: Argon2id (RFC 9106) makes a key of it, XChaCha20-Poly1305 encrypts.
//!
//! One line: `gridtally-key 1 MEMORY PASSES LANES SALT NONCE SEALED`, the first three in decimal (memory in KiB), the
//! last three in lower-case hexadecimal. Everything before the nonce is authenticated with the key.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

const MAGIC: &str = "gridtally-key 1";
/// What a new file takes: 19 MiB, two passes, one lane; a small box needs about a tenth of a second.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// A file that asks for more is refused: it would take the box's memory before its passphrase is known to be right.
const MEMORY_KIB_MAX: u32 = 256 * 1_024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 4;
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 24;
/// 32 secret bytes and the tag of 16.
const SEALED_LEN: usize = 48;

/// A passphrase; it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Vec<u8>);

impl Passphrase {
    /// From bytes, without the line end of a file; none where nothing is left.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.is_empty()).then(|| Self(line.to_vec()))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// Why a sealed key is not opened or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not of the form.
    #[error("it is no sealed key of version 1")]
    Form,
    /// It asks for more than is given.
    #[error(
        "it asks for more work than {MEMORY_KIB_MAX} KiB, {PASSES_MAX} passes and {LANES_MAX} lanes to be opened"
    )]
    Work,
    /// Not with this passphrase.
    #[error("the passphrase is not the right one, or the file was changed")]
    Wrong,
}

/// Whether a file's content is a sealed key.
#[must_use]
pub fn is_sealed(text: &[u8]) -> bool {
    text.starts_with(b"gridtally-key ")
}

/// The line of a key under a passphrase. Salt and nonce must be random.
///
/// # Errors
/// [`SealError`] where the parameters are not accepted, which does not happen with ours.
pub fn seal(
    secret: &[u8; 32],
    passphrase: &Passphrase,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
) -> Result<String, SealError> {
    let header = format!("{MAGIC} {MEMORY_KIB} {PASSES} {LANES} {}", hex::encode(salt));
    let key = stretch(passphrase, &salt, [MEMORY_KIB, PASSES, LANES])?;
    let payload = Payload {
        msg: secret,
        aad: header.as_bytes(),
    };
    let sealed = XChaCha20Poly1305::new(&key.into())
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| SealError::Form)?;
    Ok(format!(
        "{header} {} {}\n",
        hex::encode(nonce),
        hex::encode(sealed)
    ))
}

/// The secret in a line.
///
/// # Errors
/// [`SealError`].
pub fn open(text: &[u8], passphrase: &Passphrase) -> Result<[u8; 32], SealError> {
    let text = std::str::from_utf8(text).map_err(|_| SealError::Form)?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let rest = line.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(' '));
    let fields: Vec<&str> = rest.ok_or(SealError::Form)?.split(' ').collect();
    let [memory, passes, lanes, salt, nonce, sealed] = fields[..] else {
        return Err(SealError::Form);
    };
    let work = [number(memory)?, number(passes)?, number(lanes)?];
    let (salt, nonce) = (digits::<SALT_LEN>(salt)?, digits::<NONCE_LEN>(nonce)?);
    let sealed = digits::<SEALED_LEN>(sealed)?;
    let key = stretch(passphrase, &salt, work)?;
    let header = format!("{MAGIC} {memory} {passes} {lanes} {}", hex::encode(salt));
    let payload = Payload {
        msg: &sealed,
        aad: header.as_bytes(),
    };
    let secret = XChaCha20Poly1305::new(&key.into()).decrypt(&XNonce::from(nonce), payload);
    secret
        .ok()
        .and_then(|secret| secret.try_into().ok())
        .ok_or(SealError::Wrong)
}

fn number(text: &str) -> Result<u32, SealError> {
    let number: u32 = text.parse().map_err(|_| SealError::Form)?;
    (number.to_string() == text)
        .then_some(number)
        .ok_or(SealError::Form)
}

fn digits<const N: usize>(text: &str) -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| SealError::Form)?;
    (hex::encode(bytes) == text)
        .then_some(bytes)
        .ok_or(SealError::Form)
}

fn stretch(
    passphrase: &Passphrase,
    salt: &[u8],
    [memory, passes, lanes]: [u32; 3],
) -> Result<[u8; 32], SealError> {
    if memory > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
        return Err(SealError::Work);
    }
    let params = Params::new(memory, passes, lanes, Some(32)).map_err(|_| SealError::Form)?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(&passphrase.0, salt, &mut key)
        .map_err(|_| SealError::Form)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.as_bytes()).unwrap()
    }

    fn sealed() -> String {
        seal(&[7; 32], &passphrase("tea at five"), [1; 16], [2; 24]).unwrap()
    }

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_only_and_does_not_show_the_key() {
        let text = sealed();
        assert!(is_sealed(text.as_bytes()) && !text.contains(&"07".repeat(8)));
        assert_eq!(open(text.as_bytes(), &passphrase("tea at five")), Ok([7; 32]));
        assert_eq!(
            open(text.trim_end().as_bytes(), &passphrase("tea at five\n")),
            Ok([7; 32])
        );
        assert_eq!(
            open(text.as_bytes(), &passphrase("tea at six")),
            Err(SealError::Wrong)
        );
    }

    #[test]
    fn a_changed_character_anywhere_opens_nothing() {
        let text = sealed();
        // Fields of the first kind change how much work it is; one in each field suffices.
        let places: Vec<usize> = (0..text.len() - 1).step_by(7).collect();
        for place in places {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'1' { b'2' } else { b'1' };
            assert!(open(&bytes, &passphrase("tea at five")).is_err(), "at {place}");
        }
    }

    #[test]
    fn a_file_that_asks_for_a_lot_of_work_is_refused_at_once() {
        for (from, to) in [
            (" 19456 ", " 4294967295 "),
            (" 2 1 ", " 4000000000 1 "),
            (" 2 1 ", " 2 99 "),
        ] {
            let text = sealed().replacen(from, to, 1);
            assert_eq!(
                open(text.as_bytes(), &passphrase("x")),
                Err(SealError::Work),
                "{text}"
            );
        }
        for text in [
            "",
            "gridtally-key 1",
            "gridtally-key 1 a b c d e f",
            "gridtally-key 2 1 1 1 00 00 00",
        ] {
            assert_eq!(
                open(text.as_bytes(), &passphrase("x")),
                Err(SealError::Form),
                "{text}"
            );
        }
    }
}
