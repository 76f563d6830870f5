//! Resend requests: the engine names the reports of a gateway that it misses, by a bitmap of their numbers.

use minicbor::{Decoder, Encoder, decode};

use crate::cbor::{self, Sink, Write};
use crate::envelope::Purpose;
use crate::identity::Identity;
use crate::message::{self, Message};
use crate::receipt::read_identity;
use crate::report::read_instant;
use crate::time::Timestamp;

/// The longest bitmap, in bytes: 512 numbers, three weeks of hourly reports.
pub const BITMAP_LEN_MAX: usize = 64;

/// The engine asks a gateway for reports that it does not hold.
///
/// Repeating it, or replaying it, asks for the same signed bytes again, which changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResendRequest {
    /// For whom it is.
    pub gateway: Identity,
    /// When the engine signed.
    pub issued_at: Timestamp,
    /// The lowest number that is missed.
    pub first_sequence: u64,
    /// Bit `i % 8` (lowest first) of byte `i / 8` stands for number `first_sequence + i`: set where it is
    /// missed. The very first bit is set, and so is one of the last byte.
    pub bitmap: Vec<u8>,
}

impl ResendRequest {
    /// A request for numbers in ascending order: as many as one request holds, from the lowest on. `None`
    /// where there is none.
    #[must_use]
    pub fn of(
        gateway: Identity,
        issued_at: Timestamp,
        sequences: impl IntoIterator<Item = u64>,
    ) -> Option<Self> {
        let mut sequences = sequences.into_iter();
        let first_sequence = sequences.next()?;
        let mut bitmap = vec![1];
        for sequence in sequences {
            let offset = usize::try_from(sequence.checked_sub(first_sequence)?).unwrap_or(usize::MAX);
            let byte = offset / 8;
            if byte >= BITMAP_LEN_MAX {
                break;
            }
            bitmap.resize(bitmap.len().max(byte.saturating_add(1)), 0);
            if let Some(byte) = bitmap.get_mut(byte) {
                *byte |= bit(offset);
            }
        }
        Some(Self {
            gateway,
            issued_at,
            first_sequence,
            bitmap,
        })
    }

    /// The numbers that are missed, in ascending order.
    pub fn sequences(&self) -> impl Iterator<Item = u64> + '_ {
        let offsets = 0..self.bitmap.len().saturating_mul(8);
        offsets.filter_map(|offset| {
            let set = self.bitmap.get(offset / 8)? & bit(offset) != 0;
            let number = self.first_sequence.checked_add(u64::try_from(offset).ok()?)?;
            set.then_some(number)
        })
    }

    fn last_sequence(&self) -> Option<u64> {
        let zeros = self.bitmap.last()?.leading_zeros();
        let bits = u64::try_from(self.bitmap.len()).ok()?.checked_mul(8)?;
        let last = bits.checked_sub(u64::from(zeros))?.checked_sub(1)?;
        self.first_sequence.checked_add(last)
    }
}

/// The bit within its byte.
const fn bit(offset: usize) -> u8 {
    match offset & 7 {
        0 => 1,
        1 => 2,
        2 => 4,
        3 => 8,
        4 => 16,
        5 => 32,
        6 => 64,
        _ => 128,
    }
}

impl Message for ResendRequest {
    const PURPOSE: Purpose = Purpose::Resend;

    fn check(&self) -> Result<(), &'static str> {
        message::check_sequence(self.first_sequence)?;
        if self.bitmap.is_empty() || self.bitmap.len() > BITMAP_LEN_MAX {
            return Err("the bitmap has 1 to 64 bytes");
        }
        let begins = self.bitmap.first().is_some_and(|byte| byte & 1 == 1);
        let ends = self.bitmap.last().is_some_and(|byte| *byte != 0);
        if !begins || !ends {
            return Err("the bitmap begins with the first number that is missed and ends with the last");
        }
        self.last_sequence().map_or(
            Err("the last number is beyond all numbers"),
            message::check_sequence,
        )
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(5)?
            .u8(message::VERSION)?
            .bytes(self.gateway.as_bytes())?
            .i64(self.issued_at.unix())?
            .u64(self.first_sequence)?
            .bytes(&self.bitmap)?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(5), "a resend request is an array of five")?;
        message::read_version(d)?;
        let gateway = read_identity(d)?;
        let issued_at = read_instant(d)?;
        let first_sequence = d.u64()?;
        let bitmap = d.bytes()?;
        cbor::expect(
            (1..=BITMAP_LEN_MAX).contains(&bitmap.len()),
            "the bitmap has 1 to 64 bytes",
        )?;
        Ok(Self {
            gateway,
            issued_at,
            first_sequence,
            bitmap: bitmap.to_vec(),
        })
    }
}
