//! What every codec here shares: writing into memory, and saying precisely why a reading is refused.

use minicbor::data::{Int, Tag, Type};
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

/// What stands there, or `None` for a null.
pub(crate) fn nullable<'b, T>(
    d: &mut Decoder<'b>,
    read: impl FnOnce(&mut Decoder<'b>) -> Result<T, decode::Error>,
) -> Result<Option<T>, decode::Error> {
    if d.datatype()? == Type::Null {
        d.null()?;
        return Ok(None);
    }
    read(d).map(Some)
}

/// Tags of integers beyond 64 bits (RFC 8949 §3.4.3): n, and −1 − n.
const POSITIVE_BIGNUM: Tag = Tag::new(2);
const NEGATIVE_BIGNUM: Tag = Tag::new(3);

/// Writes an integer in its one preferred form: a plain one where 64 bits and a sign hold it, else a bignum
/// without leading zeros.
pub(crate) fn write_integer(e: &mut Encoder<Sink>, value: i128) -> Write {
    if let Ok(plain) = Int::try_from(value) {
        e.int(plain)?;
        return Ok(());
    }
    let (tag, magnitude) = match u128::try_from(value) {
        Ok(magnitude) => (POSITIVE_BIGNUM, magnitude),
        Err(_) => (NEGATIVE_BIGNUM, (!value).unsigned_abs()),
    };
    let bytes = magnitude.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    e.tag(tag)?.bytes(bytes.get(zeros..).unwrap_or_default())?;
    Ok(())
}

/// Reads an integer of at most 128 bits. Other forms than the preferred one are read, too: what was read is
/// written anew and compared.
pub(crate) fn read_integer(d: &mut Decoder<'_>) -> Result<i128, decode::Error> {
    if d.datatype()? != Type::Tag {
        return Ok(d.int()?.into());
    }
    let tag = d.tag()?;
    let digits = d.bytes()?;
    let mut bytes = [0; 16];
    let zeros = bytes.len().checked_sub(digits.len());
    zeros
        .and_then(|zeros| bytes.get_mut(zeros..))
        .ok_or_else(|| decode::Error::message("an integer beyond 128 bits"))?
        .copy_from_slice(digits);
    let magnitude = i128::try_from(u128::from_be_bytes(bytes)).map_err(decode::Error::message)?;
    match tag {
        POSITIVE_BIGNUM => Ok(magnitude),
        NEGATIVE_BIGNUM => Ok(!magnitude),
        _ => Err(decode::Error::message("a tag that is no integer's")),
    }
}
