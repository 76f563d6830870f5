//! Compressed bytes of which not one bit can be another: gzip (RFC 1952) with a header that is always the same but for
//! its comment, the SHA-256 of everything behind it. Any `gzip -d` reads it.

use std::io::{self, Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use gridtally_protocol::identity::Digest;

/// Magic, deflate, a comment follows, no time, best compression, system unknown.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0x10, 0, 0, 0, 0, 2, 255];
const COMMENT: &[u8] = b"sha256:";
const DIGEST_LEN: usize = 64;
/// CRC-32 and length.
const TRAILER_LEN: usize = 8;

/// Why bytes are not taken.
#[derive(Debug, thiserror::Error)]
pub enum SqueezedError {
    /// The first bytes.
    #[error("its first bytes are not those that every package begins with (docs/bundle.md)")]
    Header,
    /// Changed, or cut.
    #[error(
        "it was changed or cut after it was written: its bytes have the SHA-256 {found}, its header says {said}"
    )]
    Changed {
        /// As computed.
        found: Digest,
        /// As the header says.
        said: String,
    },
    /// Nothing that can be expanded.
    #[error("it cannot be expanded: {0}")]
    Expand(#[from] io::Error),
    /// Expanded it is too long.
    #[error("expanded it is longer than {0} bytes, the most that is read")]
    TooLong(u64),
    /// Another length or checksum than its end says.
    #[error("its last eight bytes are not the checksum and the length of what it holds")]
    Trailer,
}

/// Whether bytes begin as gzip does.
#[must_use]
pub fn is_squeezed(bytes: &[u8]) -> bool {
    bytes.starts_with(HEADER.get(..2).unwrap_or_default())
}

/// Compresses.
///
/// # Errors
/// [`io::Error`], which memory does not give.
pub fn squeeze(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
    deflated.write_all(content)?;
    let mut body = deflated.finish()?;
    body.extend(trailer(content));
    let mut bytes = HEADER.to_vec();
    bytes.extend(COMMENT);
    bytes.extend(Digest::of(&body).to_string().bytes());
    bytes.push(0);
    bytes.extend(body);
    Ok(bytes)
}

/// The content, of at most so many bytes.
///
/// # Errors
/// [`SqueezedError`].
pub fn expand(bytes: &[u8], most: u64) -> Result<Vec<u8>, SqueezedError> {
    let rest = bytes
        .strip_prefix(&HEADER)
        .and_then(|rest| rest.strip_prefix(COMMENT));
    let (said, rest) = rest
        .and_then(|rest| rest.split_at_checked(DIGEST_LEN))
        .ok_or(SqueezedError::Header)?;
    let body = rest.strip_prefix(&[0]).ok_or(SqueezedError::Header)?;
    let found = Digest::of(body);
    if found.to_string().as_bytes() != said {
        let said = String::from_utf8_lossy(said).into_owned();
        return Err(SqueezedError::Changed { found, said });
    }
    let end = body
        .len()
        .checked_sub(TRAILER_LEN)
        .ok_or(SqueezedError::Trailer)?;
    let (deflated, end) = body.split_at_checked(end).ok_or(SqueezedError::Trailer)?;
    let mut decoder = DeflateDecoder::new(deflated);
    let mut content = Vec::new();
    (&mut decoder)
        .take(most.saturating_add(1))
        .read_to_end(&mut content)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > most {
        return Err(SqueezedError::TooLong(most));
    }
    let whole = usize::try_from(decoder.total_in()).is_ok_and(|read| read == deflated.len());
    if !whole || end != trailer(&content) {
        return Err(SqueezedError::Trailer);
    }
    Ok(content)
}

fn trailer(content: &[u8]) -> [u8; TRAILER_LEN] {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    let [a, b, c, d] = crc.sum().to_le_bytes();
    let [e, f, g, h] = crc.amount().to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn any_gzip_reads_it() {
        let bytes = squeeze(b"kWh to tokens").unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "kWh to tokens");
    }

    #[test]
    fn a_bomb_is_not_expanded() {
        let bytes = squeeze(&vec![0; 100_000]).unwrap();
        assert!(bytes.len() < 1_000);
        assert!(matches!(
            expand(&bytes, 99_999),
            Err(SqueezedError::TooLong(99_999))
        ));
        assert_eq!(expand(&bytes, 100_000).unwrap().len(), 100_000);
    }

    proptest! {
        #[test]
        fn what_was_squeezed_expands_to_itself(content in prop::collection::vec(any::<u8>(), 0..2_000)) {
            prop_assert_eq!(expand(&squeeze(&content).unwrap(), 2_000).unwrap(), content);
        }

        #[test]
        fn no_bit_can_be_another(content in prop::collection::vec(any::<u8>(), 0..64), place in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = squeeze(&content).unwrap();
            let place = place.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
            prop_assert!(expand(&bytes, 2_000).is_err());
        }

        #[test]
        fn outside_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut headed = HEADER.to_vec();
            headed.extend(&bytes);
            prop_assert!(expand(&bytes, 100).is_err());
            prop_assert!(expand(&headed, 100).is_err());
        }
    }
}
