//! The samples of one channel, and how they are packed.

use std::collections::BTreeMap;

use minicbor::{Decoder, Encoder, decode};

use super::RESOLUTION_MAX;
use crate::cbor::{self, Sink, Write};
use crate::channel::{Channel, DeviceNumber, Missing, Quality, Quantity};

/// A varint of 64 bits takes at most ten bytes.
const VARINT_LEN_MAX: usize = 10;

/// One interval's value in steps of the series' resolution, or why there is none.
pub type Sample = Result<i64, Missing>;

/// The samples of one channel, one for each interval of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// What was measured.
    pub channel: Channel,
    /// A step is `10^resolution` of the quantity's smallest unit.
    pub resolution: u8,
    /// One for each interval.
    pub samples: Vec<Sample>,
    /// What is to be known of values, by the number of the interval. A sample that is missing has none.
    pub qualities: BTreeMap<u16, Quality>,
}

impl Series {
    pub(super) fn check(&self, count: usize) -> Result<(), &'static str> {
        if self.samples.len() != count {
            return Err("every channel has a sample for every interval");
        }
        if self.resolution > RESOLUTION_MAX {
            return Err("the resolution is 0 to 9");
        }
        let fits = |sample: &Sample| sample.map_or(true, |v| to_smallest_unit(v, self.resolution).is_some());
        if !self.samples.iter().all(fits) {
            return Err("every value fits 64 bits in its smallest unit");
        }
        let has_value = |index: &u16| matches!(self.samples.get(usize::from(*index)), Some(Ok(_)));
        if !self.qualities.keys().all(has_value) {
            return Err("only a value has a quality");
        }
        Ok(())
    }

    pub(super) fn write(&self, e: &mut Encoder<Sink>) -> Write {
        let marks = self.marks();
        e.array(if marks.is_empty() { 4 } else { 5 })?;
        e.u8(self.channel.device.0)?
            .u8(self.channel.quantity.code())?
            .u8(self.resolution)?;
        e.bytes(&pack(&self.samples))?;
        if !marks.is_empty() {
            e.array(u64::try_from(marks.len()).unwrap_or(u64::MAX))?;
            for (first, run, mark) in marks {
                e.array(3)?.u16(first)?.u16(run)?.u8(mark.code())?;
            }
        }
        Ok(())
    }

    pub(super) fn read(d: &mut Decoder<'_>, count: usize) -> Result<Self, decode::Error> {
        let len = cbor::array_len(d, 4, 5, "a series is an array of four or five")?;
        let device = DeviceNumber(d.u8()?);
        let quantity =
            Quantity::from_code(d.u8()?).ok_or_else(|| decode::Error::message("an unknown quantity"))?;
        let resolution = d.u8()?;
        let mut series = Self {
            channel: Channel { device, quantity },
            resolution,
            samples: unpack(d.bytes()?, count)?,
            qualities: BTreeMap::new(),
        };
        if len == 5 {
            series.read_marks(d)?;
        }
        Ok(series)
    }

    fn mark(&self, index: u16, sample: Sample) -> Option<Mark> {
        match sample {
            Err(missing) => Some(Mark::Missing(missing)),
            Ok(_) => self.qualities.get(&index).copied().map(Mark::Quality),
        }
    }

    /// The runs of samples that are missing or have a quality: first index, length, mark.
    fn marks(&self) -> Vec<(u16, u16, Mark)> {
        let mut marks: Vec<(u16, u16, Mark)> = Vec::new();
        for (sample, index) in self.samples.iter().zip(0_u16..) {
            let Some(found) = self.mark(index, *sample) else {
                continue;
            };
            match marks.last_mut() {
                Some((first, run, mark)) if *mark == found && first.saturating_add(*run) == index => {
                    *run = run.saturating_add(1);
                }
                _ => marks.push((index, 1, found)),
            }
        }
        marks
    }

    fn read_marks(&mut self, d: &mut Decoder<'_>) -> Result<(), decode::Error> {
        // Each mark begins after the one before, so that the work stays linear whatever a sender writes.
        let mut free_from = 0;
        let len = cbor::array_len(
            d,
            1,
            self.samples.len(),
            "a series has at most a mark for each interval",
        )?;
        for _ in 0..len {
            cbor::expect(d.array()? == Some(3), "a mark is an array of three")?;
            let (first, run) = (d.u16()?, d.u16()?);
            let mark = Mark::from_code(d.u8()?)
                .ok_or_else(|| decode::Error::message("an unknown reason or quality"))?;
            cbor::expect(run > 0, "a mark without an interval")?;
            free_from = self
                .put_mark(first, run, mark)
                .filter(|_| first >= free_from)
                .ok_or_else(|| {
                    decode::Error::message("a mark outside of the intervals, or not after the one before")
                })?;
        }
        Ok(())
    }

    /// Marks a run; gives the first index after it, or `None` where there are not as many samples.
    fn put_mark(&mut self, first: u16, run: u16, mark: Mark) -> Option<u16> {
        let end = first.checked_add(run)?;
        let samples = self.samples.get_mut(usize::from(first)..usize::from(end))?;
        match mark {
            Mark::Missing(missing) => samples.fill(Err(missing)),
            Mark::Quality(quality) => self.qualities.extend((first..end).map(|index| (index, quality))),
        }
        Some(end)
    }
}

/// What a mark says of its samples: why they are missing, or what is to be known of their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Missing(Missing),
    Quality(Quality),
}

impl Mark {
    const fn code(self) -> u8 {
        match self {
            Self::Missing(missing) => missing.code(),
            Self::Quality(quality) => quality.code(),
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        let missing = Missing::from_code(code).map(Self::Missing);
        missing.or_else(|| Quality::from_code(code).map(Self::Quality))
    }
}

/// Differences from the sample before, zigzag, base 128. A missing sample is a difference of zero.
///
/// Differences wrap in 64 bits, and wrap back when they are read: the pair is exact for every `i64`.
fn pack(samples: &[Sample]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(samples.len().saturating_mul(2));
    let mut before = 0_i64;
    for sample in samples {
        let value = sample.unwrap_or(before);
        let difference = value.wrapping_sub(before);
        let zigzag = (difference.wrapping_shl(1) ^ difference.wrapping_shr(63)).cast_unsigned();
        push_varint(&mut bytes, zigzag);
        before = value;
    }
    bytes
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value = value.wrapping_shr(7);
        if value == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn unpack(bytes: &[u8], count: usize) -> Result<Vec<Sample>, decode::Error> {
    let mut rest = bytes.iter().copied();
    let mut before = 0_i64;
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let zigzag = take_varint(&mut rest)?;
        let magnitude = zigzag.wrapping_shr(1).cast_signed();
        let difference = if zigzag & 1 == 0 { magnitude } else { !magnitude };
        before = before.wrapping_add(difference);
        samples.push(Ok(before));
    }
    cbor::expect(rest.next().is_none(), "more sample bytes than intervals")?;
    Ok(samples)
}

fn take_varint(bytes: &mut impl Iterator<Item = u8>) -> Result<u64, decode::Error> {
    let mut value = 0_u64;
    for shift in (0_u32..).step_by(7).take(VARINT_LEN_MAX) {
        let byte = bytes
            .next()
            .ok_or_else(|| decode::Error::message("fewer sample bytes than intervals"))?;
        let low = u64::from(byte & 0x7f);
        let placed = low
            .checked_shl(shift)
            .filter(|placed| placed.wrapping_shr(shift) == low);
        value |= placed.ok_or_else(|| decode::Error::message("a sample exceeds 64 bits"))?;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(decode::Error::message("a sample exceeds 64 bits"))
}

/// Steps of `10^resolution` in the smallest unit; `None` beyond 64 bits.
pub(super) fn to_smallest_unit(steps: i64, resolution: u8) -> Option<i64> {
    steps.checked_mul(10_i64.checked_pow(u32::from(resolution))?)
}

#[cfg(test)]
mod tests;
