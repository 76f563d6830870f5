//! The bytes of a device's day; `docs/storage.md` has the form.
//!
//! Every day has one form, and nothing else is read: what is accepted is written back byte for byte.

use gridtally_protocol::channel::Quantity;
use gridtally_protocol::time::IntervalLength;

use super::slot::{Mark, Slot};

/// The first byte.
pub const VERSION: u8 = 1;
/// No day is longer: six channels of a reading a minute, each of ten bytes and a mark.
pub const BYTES_MAX: usize = 131_072;
/// Values are counted in steps of at most `10^9`.
const SCALE_MAX: u8 = 9;

/// Bytes that are no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a day of readings is broken at byte {at}: {what}; `gridtally engine check` makes it again from the reports"
)]
pub struct DayError {
    /// Where.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// How many intervals of a length a day has.
#[must_use]
pub fn slots_of(length: IntervalLength) -> usize {
    let slots = 86_400_u32.checked_div(length.seconds()).unwrap_or(0);
    usize::try_from(slots).unwrap_or(0)
}

/// Writes the first bytes.
pub(super) fn write_head(length: IntervalLength) -> Vec<u8> {
    let minutes = length.seconds().checked_div(60).unwrap_or(0);
    vec![VERSION, u8::try_from(minutes).unwrap_or(0)]
}

/// Writes a channel, unless nothing is known of it.
pub(super) fn write_channel(out: &mut Vec<u8>, quantity: Quantity, slots: &[Slot]) {
    let known = |slot: &Slot| *slot != Slot::Absent;
    let (Some(first), Some(last)) = (slots.iter().position(known), slots.iter().rposition(known)) else {
        return;
    };
    let slots = slots.get(first..=last).unwrap_or_default();
    out.push(quantity.code());
    write_len(out, first);
    write_len(out, slots.len());
    let mut marks = Vec::new();
    let mut place = 0_usize;
    let mut after = 0_usize;
    for run in slots.chunk_by(|a, b| a.mark() == b.mark()) {
        if let Some(code) = run.first().and_then(|slot| slot.mark()) {
            marks.push((place.saturating_sub(after), run.len(), code));
            after = place.saturating_add(run.len());
        }
        place = place.saturating_add(run.len());
    }
    write_len(out, marks.len());
    for (gap, len, code) in marks {
        write_len(out, gap);
        write_len(out, len);
        out.push(code);
    }
    let values = || slots.iter().filter_map(|slot| slot.value());
    let scale = scale_of(values());
    out.push(scale);
    let step = 10_i64.pow(scale.into());
    let mut before = 0_i64;
    for value in values() {
        let steps = value.checked_div(step).unwrap_or(0);
        // Modulo 2^64, so that every difference has its inverse.
        write_varint(out, zigzag(steps.wrapping_sub(before)));
        before = steps;
    }
}

/// The coarsest step that all values are multiples of; of nothing but zeros the finest.
fn scale_of(values: impl Iterator<Item = i64>) -> u8 {
    let mut scale = SCALE_MAX;
    let mut step = 10_i64.pow(SCALE_MAX.into());
    let mut all_zero = true;
    for value in values {
        all_zero &= value == 0;
        while scale > 0 && value.checked_rem(step) != Some(0) {
            scale = scale.saturating_sub(1);
            step = step.checked_div(10).unwrap_or(1);
        }
    }
    if all_zero { 0 } else { scale }
}

const fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

fn write_len(out: &mut Vec<u8>, len: usize) {
    write_varint(out, u64::try_from(len).unwrap_or(u64::MAX));
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Reads a day; `take` gets every slot of which something is known, in the order of channels and time.
///
/// # Errors
/// [`DayError`] at the first byte that is not as it is written; what `take` got is of no use then.
pub fn read(bytes: &[u8], mut take: impl FnMut(Quantity, usize, Slot)) -> Result<IntervalLength, DayError> {
    let mut reader = Reader { bytes, at: 0 };
    if bytes.len() > BYTES_MAX {
        return Err(reader.wrong("it is too long"));
    }
    if reader.byte()? != VERSION {
        return Err(reader.wrong("its version is not 1"));
    }
    let minutes = u32::from(reader.byte()?);
    let length = minutes
        .checked_mul(60)
        .and_then(|seconds| IntervalLength::from_seconds(seconds).ok())
        .ok_or(reader.wrong("no such interval"))?;
    let slots = slots_of(length);
    let mut before = None;
    while reader.at < bytes.len() {
        let quantity = Quantity::from_code(reader.byte()?).ok_or(reader.wrong("no such quantity"))?;
        if before >= Some(quantity.code()) {
            return Err(reader.wrong("the channels are out of order"));
        }
        before = Some(quantity.code());
        reader.channel(slots, |place, slot| take(quantity, place, slot))?;
    }
    Ok(length)
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// Slots in a row with the same mark, or none.
#[derive(Clone, Copy)]
struct Run {
    place: usize,
    len: usize,
    code: u8,
    mark: Mark,
}

impl Reader<'_> {
    const fn wrong(&self, what: &'static str) -> DayError {
        DayError { at: self.at, what }
    }

    fn byte(&mut self) -> Result<u8, DayError> {
        let byte = *self.bytes.get(self.at).ok_or(self.wrong("it ends early"))?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    /// Most numbers have one byte or two.
    #[inline]
    fn varint(&mut self) -> Result<u64, DayError> {
        match self.bytes.get(self.at..) {
            Some([low @ ..0x80, ..]) => {
                self.at = self.at.saturating_add(1);
                Ok(u64::from(*low))
            }
            Some([low, high @ 1..0x80, ..]) => {
                self.at = self.at.saturating_add(2);
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DayError> {
        let mut value = 0_u64;
        let mut shift = 0_u32;
        loop {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            value |= low << shift;
            if byte < 0x80 {
                // The tenth byte has room for one bit; a last byte of nothing is not the shortest form.
                if (shift == 63 && low > 1) || (byte == 0 && shift > 0) {
                    return Err(self.wrong("a number is not in its shortest form"));
                }
                return Ok(value);
            }
            shift = shift.saturating_add(7);
            if shift > 63 {
                return Err(self.wrong("a number is too long"));
            }
        }
    }

    fn len(&mut self, most: usize) -> Result<usize, DayError> {
        let len = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if len > most {
            return Err(self.wrong("it reaches beyond the day"));
        }
        Ok(len)
    }

    fn channel(&mut self, slots: usize, mut take: impl FnMut(usize, Slot)) -> Result<(), DayError> {
        let first = self.len(slots)?;
        let count = self.len(slots.saturating_sub(first))?;
        if count == 0 {
            return Err(self.wrong("a channel without anything known"));
        }
        let runs = self.runs(count)?;
        let scale = self.byte()?;
        if scale > SCALE_MAX {
            return Err(self.wrong("the steps are too coarse"));
        }
        let mut values = Values {
            step: 10_i64.pow(scale.into()),
            before: 0,
            any: false,
            finest: scale == SCALE_MAX,
        };
        let mut place = 0_usize;
        for run in &runs {
            self.plain(&mut values, first, place..run.place, None, &mut take)?;
            place = run.place.saturating_add(run.len);
            match run.mark {
                Mark::Beside(quality) => {
                    self.plain(&mut values, first, run.place..place, Some(quality), &mut take)?;
                }
                Mark::Instead(Slot::Absent) => {}
                Mark::Instead(slot) => (run.place..place).for_each(|p| take(first.saturating_add(p), slot)),
            }
        }
        self.plain(&mut values, first, place..count, None, &mut take)?;
        if (values.any && !values.finest) || (!values.any && scale > 0) {
            return Err(self.wrong("the steps could be coarser, or there are none"));
        }
        Ok(())
    }

    fn plain(
        &mut self,
        values: &mut Values,
        first: usize,
        places: core::ops::Range<usize>,
        quality: Option<gridtally_protocol::channel::Quality>,
        take: &mut impl FnMut(usize, Slot),
    ) -> Result<(), DayError> {
        for place in places {
            let steps = values.before.wrapping_add(unzigzag(self.varint()?));
            values.before = steps;
            values.any |= steps != 0;
            if !values.finest {
                values.finest = steps.checked_rem(10) != Some(0);
            }
            let value = steps
                .checked_mul(values.step)
                .ok_or(self.wrong("a value is too great"))?;
            take(first.saturating_add(place), Slot::Value(value, quality));
        }
        Ok(())
    }

    fn runs(&mut self, count: usize) -> Result<Vec<Run>, DayError> {
        let many = self.len(count)?;
        let mut runs: Vec<Run> = Vec::with_capacity(many);
        for _ in 0..many {
            let end = runs.last().map_or(0, |run| run.place.saturating_add(run.len));
            let gap = self.len(count.saturating_sub(end))?;
            let place = end.saturating_add(gap);
            let len = self.len(count.saturating_sub(place))?;
            let code = self.byte()?;
            let mark = Mark::of(code).ok_or(self.wrong("no such mark"))?;
            let repeated = gap == 0 && runs.last().is_some_and(|before| before.code == code);
            if len == 0 || repeated {
                return Err(self.wrong("marks that could be one"));
            }
            let at_an_end = place == 0 || place.saturating_add(len) == count;
            if mark == Mark::Instead(Slot::Absent) && at_an_end {
                return Err(self.wrong("a channel that begins or ends with nothing known"));
            }
            runs.push(Run {
                place,
                len,
                code,
                mark,
            });
        }
        Ok(runs)
    }
}

/// The values of a channel so far, counted in steps.
struct Values {
    step: i64,
    before: i64,
    /// Whether any is not zero.
    any: bool,
    /// Whether the steps cannot be coarser.
    finest: bool,
}
