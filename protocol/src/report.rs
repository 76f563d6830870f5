//! Reports: what a gateway's devices measured over several intervals, hash-chained from one to the next.
//!
//! Samples are counted in steps of `10^resolution` of the quantity's smallest unit (milliwatt-hours, or
//! thousandths of a percent), and written as the difference from the sample before (the first from zero),
//! zigzag-mapped, in the shortest base-128 varint. A missing sample repeats the one before it (a zero byte)
//! and is named, with its reason, in the marks; values that are to be taken with care are named there, too. Five channels at five minutes so cost at most ten bytes an
//! interval where no power swings by more than 9.8 kW at a resolution of 0.1 Wh.

mod series;

use minicbor::{Decoder, Encoder, decode};

use crate::cbor::{self, Sink, Write};
use crate::channel::{Channel, Missing, Quality};
use crate::envelope::{Envelope, Purpose};
use crate::identity::Digest;
use crate::message::{self, Message};
use crate::quantity::MilliwattHours;
use crate::receipt::read_digest;
use crate::time::{Interval, IntervalLength, Timestamp};

use self::series::to_smallest_unit;
pub use self::series::{Sample, Series};

/// At most a day of five-minute intervals in one report.
pub const SAMPLES_MAX: usize = 288;
/// At most this many channels in one report.
pub const SERIES_MAX: usize = 32;
/// The coarsest step is `10^9` of the smallest unit (1 MWh; 1 kWh is `10^6` mWh).
pub const RESOLUTION_MAX: u8 = 9;

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
    /// The digest of the newest [beacon](crate::beacon) that the gateway held when it signed, where it held one.
    pub beacon: Option<Digest>,
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
    /// What is to be known of the value; `None` where it is as good as a reading can be.
    pub quality: Option<Quality>,
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
                .zip(0_u16..)
                .filter_map(move |(sample, index)| {
                    let start = self.start.checked_add(i64::from(index).checked_mul(length)?)?;
                    let interval = Interval::new(start, self.interval).ok()?;
                    let value = match sample {
                        Ok(steps) => Ok(MilliwattHours::new(to_smallest_unit(*steps, series.resolution)?)),
                        Err(missing) => Err(*missing),
                    };
                    Some(Reading {
                        channel: series.channel,
                        interval,
                        value,
                        quality: series.qualities.get(&index).copied(),
                    })
                })
        })
    }
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
        if self.beacon == Some(Digest::NONE) {
            return Err("a beacon is named by its digest, or not at all");
        }
        if !self.series.is_sorted_by(|a, b| a.channel < b.channel) {
            return Err("channels are in order, each once");
        }
        self.series.iter().try_for_each(|series| series.check(count))
    }

    fn write(&self, e: &mut Encoder<Sink>) -> Write {
        e.array(if self.beacon.is_some() { 10 } else { 9 })?
            .u8(message::VERSION)?
            .u64(self.sequence)?
            .bytes(self.previous.as_bytes())?;
        e.i64(self.issued_at.unix())?.u8(self.clock.code())?;
        e.i64(self.start.unix())?.u32(self.interval.seconds())?;
        e.u64(u64::try_from(self.interval_count()).unwrap_or(u64::MAX))?;
        e.array(u64::try_from(self.series.len()).unwrap_or(u64::MAX))?;
        self.series.iter().try_for_each(|series| series.write(e))?;
        if let Some(beacon) = &self.beacon {
            e.bytes(beacon.as_bytes())?;
        }
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        let fields = cbor::array_len(d, 9, 10, "a report is an array of nine, or of ten with a beacon")?;
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
        let beacon = (fields == 10).then(|| read_digest(d)).transpose()?;
        Ok(Self {
            sequence,
            previous,
            issued_at,
            clock,
            start,
            interval,
            series,
            beacon,
        })
    }
}

/// The beacon that a report in an envelope names. The signature is **not** looked at: this is for looking the beacon up
/// before the report is judged.
#[must_use]
pub fn named_beacon(envelope: &[u8]) -> Option<Digest> {
    let envelope = Envelope::parse(envelope).ok()?;
    Report::decode(envelope.verified(true).ok()?).ok()?.beacon
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

#[cfg(test)]
mod tests;
