//! What every codec here shares: writing into memory, and saying precisely why a reading is refused.

use minicbor::encode::Error as EncodeError;
use minicbor::{Decoder, Encoder, decode};

/// Where bytes are written: memory, which cannot fail.
pub(crate) type Sink = Vec<u8>;
pub(crate) type Write = Result<(), EncodeError<core::convert::Infallible>>;

/// Writes CBOR; integers and lengths come out in their shortest form.
pub(crate) fn write(body: impl FnOnce(&mut Encoder<Sink>) -> Write) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(256));
    let written = body(&mut encoder);
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
    encoder.into_writer()
}

pub(crate) fn expect(holds: bool, otherwise: &'static str) -> Result<(), decode::Error> {
    if holds {
        Ok(())
    } else {
        Err(decode::Error::message(otherwise))
    }
}

pub(crate) fn fixed<const N: usize>(bytes: &[u8], otherwise: &'static str) -> Result<[u8; N], decode::Error> {
    bytes.try_into().map_err(|_| decode::Error::message(otherwise))
}

/// The length of a definite array, between `min` and `max`.
pub(crate) fn array_len(
    d: &mut Decoder<'_>,
    min: usize,
    max: usize,
    otherwise: &'static str,
) -> Result<usize, decode::Error> {
    let len = d.array()?.and_then(|n| usize::try_from(n).ok());
    len.filter(|n| (min..=max).contains(n))
        .ok_or_else(|| decode::Error::message(otherwise))
}
