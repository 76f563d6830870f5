//! Reports: what a gateway's devices measured over several intervals, hash-chained from one to the next.
//!
//! Samples are counted in steps of `10^resolution` of the quantity's smallest unit (milliwatt-hours, or
//! thousandths of a percent), and written as the difference from the sample before (the first from zero),
//! zigzag-mapped, in the shortest base-128 varint. A missing sample repeats the one before it (a zero byte)
//! and is named, with its reason, in the marks. Five channels at five minutes so cost at most ten bytes an
//! interval where no power swings by more than 9.8 kW at a resolution of 0.1 Wh.

use minicbor::{Decoder, Encoder, decode};

use crate::cbor::{self, Sink, Write};
use crate::channel::{Channel, DeviceNumber, Missing, Quantity};
use crate::envelope::Purpose;
use crate::identity::Digest;
use crate::message::{self, Message};
use crate::quantity::MilliwattHours;
use crate::time::{Interval, IntervalLength, Timestamp};

/// At most a day of five-minute intervals in one report.
pub const SAMPLES_MAX: usize = 288;
/// At most this many channels in one report.
pub const SERIES_MAX: usize = 32;
/// The coarsest step is `10^9` of the smallest unit (1 MWh; 1 kWh is `10^6` mWh).
pub const RESOLUTION_MAX: u8 = 9;
/// A varint of 64 bits takes at most ten bytes.
const VARINT_LEN_MAX: usize = 10;

/// How far the gateway trusts its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClockState {
    /// Nothing is known.
    Unknown,
    /// Set once, running free since.
    FreeRunning,
    /// Disciplined by a time service.
    Synchronised,
}

impl ClockState {
    const ALL: [Self; 3] = [Self::Unknown, Self::FreeRunning, Self::Synchronised];

    const fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::FreeRunning => 1,
            Self::Synchronised => 2,
        }
    }
}

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
}

/// What a gateway measured, from `start` on, in intervals of `interval`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The first is 1; each further one is one more; at most [`message::SEQUENCE_MAX`].
    pub sequence: u64,
    /// The digest of the report before this one; [`Digest::NONE`] in the first.
    pub previous: Digest,
    /// When the gateway signed.
    pub issued_at: Timestamp,
    /// How far it trusts its clock.
    pub clock: ClockState,
    /// The start of the first interval.
    pub start: Timestamp,
    /// The length of every interval.
    pub interval: IntervalLength,
    /// Ordered by channel, each channel once, all of the same number of samples.
    pub series: Vec<Series>,
}

/// A value of one interval of one channel, in the quantity's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What was measured.
    pub channel: Channel,
    /// When.
    pub interval: Interval,
    /// Milliwatt-hours (thousandths of a percent for the state of charge), or why there is none.
    pub value: Result<MilliwattHours, Missing>,
}

impl Report {
    /// How many intervals the report covers.
    #[must_use]
    pub fn interval_count(&self) -> usize {
        self.series.first().map_or(0, |s| s.samples.len())
    }

    /// The first instant after the last interval.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        let count = i64::try_from(self.interval_count()).ok()?;
        self.start
            .checked_add(count.checked_mul(i64::from(self.interval.seconds()))?)
    }

    /// Every reading, channel by channel, in the quantity's smallest unit.
    ///
    /// A report that was decoded or encoded yields all of its readings; of one that breaks its rules
    /// (a value or an instant out of range), the impossible ones are left out.
    pub fn readings(&self) -> impl Iterator<Item = Reading> {
        let length = i64::from(self.interval.seconds());
        self.series.iter().flat_map(move |series| {
            series
                .samples
                .iter()
                .zip(0_i64..)
                .filter_map(move |(sample, index)| {
                    let start = self.start.checked_add(index.checked_mul(length)?)?;
                    let interval = Interval::new(start, self.interval).ok()?;
                    let value = match sample {
                        Ok(steps) => Ok(MilliwattHours::new(to_smallest_unit(*steps, series.resolution)?)),
                        Err(missing) => Err(*missing),
                    };
                    Some(Reading {
                        channel: series.channel,
                        interval,
                        value,
                    })
                })
        })
    }
}

fn to_smallest_unit(steps: i64, resolution: u8) -> Option<i64> {
    steps.checked_mul(10_i64.checked_pow(u32::from(resolution))?)
}

impl Message for Report {
    const PURPOSE: Purpose = Purpose::Report;

    fn check(&self) -> Result<(), &'static str> {
        message::check_sequence(self.sequence)?;
        if (self.sequence == 1) != (self.previous == Digest::NONE) {
            return Err(
                "the first report has sequence 1 and no previous one, every other names the previous",
            );
        }
        if self.series.is_empty() || self.series.len() > SERIES_MAX {
            return Err("a report has 1 to 32 channels");
        }
        let count = self.interval_count();
        if count == 0 || count > SAMPLES_MAX {
            return Err("a report has 1 to 288 intervals");
        }
        if Interval::new(self.start, self.interval).is_err() {
            return Err("the start is a whole multiple of the interval");
        }
        if self.end().is_none_or(|end| end > self.issued_at) {
            return Err("no interval ends after the report was issued");
        }
        if !self.series.is_sorted_by(|a, b| a.channel < b.channel) {
            return Err("channels are in order, each once");
        }
        self.series.iter().try_for_each(|series| series.check(count))
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(9)?
            .u8(message::VERSION)?
            .u64(self.sequence)?
            .bytes(self.previous.as_bytes())?;
        e.i64(self.issued_at.unix())?.u8(self.clock.code())?;
        e.i64(self.start.unix())?.u32(self.interval.seconds())?;
        e.u64(u64::try_from(self.interval_count()).unwrap_or(u64::MAX))?;
        e.array(u64::try_from(self.series.len()).unwrap_or(u64::MAX))?;
        self.series.iter().try_for_each(|series| series.write(e))
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(9), "a report is an array of nine")?;
        message::read_version(d)?;
        let sequence = d.u64()?;
        let previous = Digest::from_bytes(cbor::fixed(d.bytes()?, "the previous digest is not of 32 bytes")?);
        let issued_at = read_instant(d)?;
        let clock = read_clock(d)?;
        let start = read_instant(d)?;
        let interval = IntervalLength::from_seconds(d.u32()?).map_err(decode::Error::message)?;
        let count = usize::try_from(d.u64()?).unwrap_or(usize::MAX);
        cbor::expect(
            (1..=SAMPLES_MAX).contains(&count),
            "a report has 1 to 288 intervals",
        )?;
        let len = cbor::array_len(d, 1, SERIES_MAX, "a report has 1 to 32 channels")?;
        let series = (0..len)
            .map(|_| Series::read(d, count))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            sequence,
            previous,
            issued_at,
            clock,
            start,
            interval,
            series,
        })
    }
}

pub(crate) fn read_instant(d: &mut Decoder<'_>) -> Result<Timestamp, decode::Error> {
    Timestamp::from_unix(d.i64()?).map_err(decode::Error::message)
}

fn read_clock(d: &mut Decoder<'_>) -> Result<ClockState, decode::Error> {
    let code = d.u8()?;
    ClockState::ALL
        .into_iter()
        .find(|c| c.code() == code)
        .ok_or_else(|| decode::Error::message("the clock state is 0, 1 or 2"))
}

impl Series {
    fn check(&self, count: usize) -> Result<(), &'static str> {
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
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        let marks = self.marks();
        e.array(if marks.is_empty() { 4 } else { 5 })?;
        e.u8(self.channel.device.0)?
            .u8(self.channel.quantity.code())?
            .u8(self.resolution)?;
        e.bytes(&pack(&self.samples))?;
        if !marks.is_empty() {
            e.array(u64::try_from(marks.len()).unwrap_or(u64::MAX))?;
            for (first, run, missing) in marks {
                e.array(3)?.u16(first)?.u16(run)?.u8(missing.code())?;
            }
        }
        Ok(())
    }

    fn read(d: &mut Decoder<'_>, count: usize) -> Result<Self, decode::Error> {
        let len = cbor::array_len(d, 4, 5, "a series is an array of four or five")?;
        let device = DeviceNumber(d.u8()?);
        let quantity =
            Quantity::from_code(d.u8()?).ok_or_else(|| decode::Error::message("an unknown quantity"))?;
        let resolution = d.u8()?;
        let mut samples = unpack(d.bytes()?, count)?;
        if len == 5 {
            read_marks(d, &mut samples)?;
        }
        Ok(Self {
            channel: Channel { device, quantity },
            resolution,
            samples,
        })
    }

    /// The runs of missing samples: first index, length, reason.
    fn marks(&self) -> Vec<(u16, u16, Missing)> {
        let mut marks: Vec<(u16, u16, Missing)> = Vec::new();
        for (sample, index) in self.samples.iter().zip(0_u16..) {
            let Err(missing) = *sample else { continue };
            match marks.last_mut() {
                Some((first, run, reason)) if *reason == missing && first.saturating_add(*run) == index => {
                    *run = run.saturating_add(1);
                }
                _ => marks.push((index, 1, missing)),
            }
        }
        marks
    }
}

fn read_marks(d: &mut Decoder<'_>, samples: &mut [Sample]) -> Result<(), decode::Error> {
    let outside = || decode::Error::message("a mark outside of the intervals, or not after the one before");
    // Each mark begins after the one before, so that the work stays linear whatever a sender writes.
    let mut free_from = 0_usize;
    let len = cbor::array_len(
        d,
        1,
        samples.len(),
        "a series has at most a mark for each interval",
    )?;
    for _ in 0..len {
        cbor::expect(d.array()? == Some(3), "a mark is an array of three")?;
        let first = usize::from(d.u16()?);
        let run = usize::from(d.u16()?);
        let missing =
            Missing::from_code(d.u8()?).ok_or_else(|| decode::Error::message("an unknown reason"))?;
        cbor::expect(run > 0, "a mark without an interval")?;
        let end = first
            .checked_add(run)
            .filter(|_| first >= free_from)
            .ok_or_else(outside)?;
        samples
            .get_mut(first..end)
            .ok_or_else(outside)?
            .fill(Err(missing));
        free_from = end;
    }
    Ok(())
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

#[cfg(test)]
mod tests;
