//! The registers of one model as they were read, and what its points say.

use std::ops::Range;

use gridtally_registers::sunspec::{Kind, Layout, Placed};

use super::{Number, SunSpecError};

/// A scale factor is a power of ten within these (§6.5.1).
const SCALE_RANGE: std::ops::RangeInclusive<i16> = -10..=10;

/// Why a point has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The model of the device has no such point.
    #[error("the device's model is too short for it")]
    Absent,
    /// It could not be read.
    #[error("the device does not let it be read")]
    Unread,
    /// The device says that it has no value.
    #[error("not implemented by the device")]
    NotImplemented,
    /// What scales it is no power of ten that the standard allows.
    #[error("its scale factor is {0}, which is not within -10 and 10")]
    Scale(i16),
    /// What scales it says that it is not implemented.
    #[error("its scale factor is not implemented by the device")]
    NoScale,
    /// No number, or a value that its type or its meaning does not allow.
    #[error("the registers hold {0}")]
    Value(String),
}

/// The registers of a model, from its header on, as far as they were read.
#[derive(Debug, Clone)]
pub struct Image<'l> {
    layout: &'l Layout,
    words: Vec<Option<u16>>,
}

impl<'l> Image<'l> {
    /// An image of a model of which nothing was read.
    pub(super) const fn new(layout: &'l Layout) -> Self {
        Self {
            layout,
            words: Vec::new(),
        }
    }

    /// An image of the registers of a model, from its header on.
    #[must_use]
    pub fn of(layout: &'l Layout, words: &[u16]) -> Self {
        let mut image = Self::new(layout);
        image.add(0, words);
        image
    }

    /// Adds registers, `offset` of them behind the model's header.
    pub(super) fn add(&mut self, offset: u16, words: &[u16]) {
        let first = usize::from(offset);
        let end = first.saturating_add(words.len());
        if self.words.len() < end {
            self.words.resize(end, None);
        }
        for (slot, word) in self.words.iter_mut().skip(first).zip(words) {
            *slot = Some(*word);
        }
    }

    /// How the model is laid out.
    #[must_use]
    pub const fn layout(&self) -> &'l Layout {
        self.layout
    }

    /// The registers from the header on, as far as all of them were read.
    #[must_use]
    pub fn words(&self) -> Vec<u16> {
        self.words.iter().map_while(|word| *word).collect()
    }

    /// The registers of a point as they are.
    ///
    /// # Errors
    /// [`Unusable::Unread`].
    pub fn raw(&self, point: &Placed) -> Result<Vec<u16>, Unusable> {
        let first = usize::from(point.offset);
        let words = self.words.get(first..first + usize::from(point.kind().words()));
        let words: Option<Vec<u16>> = words.and_then(|words| words.iter().copied().collect());
        words.ok_or(Unusable::Unread)
    }

    /// The number at a path such as `W` or `Prt[0].DCW`.
    ///
    /// # Errors
    /// [`SunSpecError::Point`].
    pub fn number(&self, path: &str) -> Result<Number, SunSpecError> {
        self.at(path, |point| self.number_of(point))
    }

    /// The number at a path in thousandths of its unit, rounded down.
    ///
    /// # Errors
    /// [`SunSpecError::Point`].
    pub fn milli(&self, path: &str) -> Result<i64, SunSpecError> {
        self.at(path, |point| {
            let number = self.number_of(point)?;
            number.milli().ok_or_else(|| Unusable::Value(number.to_string()))
        })
    }

    /// The text at a path, without its padding.
    ///
    /// # Errors
    /// [`SunSpecError::Point`].
    pub fn text(&self, path: &str) -> Result<String, SunSpecError> {
        self.at(path, |point| self.text_of(point))
    }

    /// Does something with the point of a path.
    ///
    /// # Errors
    /// [`SunSpecError::Point`] with what it says.
    pub fn at<T>(
        &self,
        path: &str,
        value: impl FnOnce(&Placed) -> Result<T, Unusable>,
    ) -> Result<T, SunSpecError> {
        let point = self.layout.point(path).ok_or(Unusable::Absent);
        point.and_then(value).map_err(|why| SunSpecError::Point {
            model: self.layout.id(),
            point: path.to_owned(),
            why,
        })
    }

    /// The number of a point, with the scale factor of the same reply.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn number_of(&self, point: &Placed) -> Result<Number, Unusable> {
        let words = self.raw(point)?;
        let kind = point.kind();
        if kind.is_sentinel(&words) || is_all_ones(kind, &words) {
            return Err(Unusable::NotImplemented);
        }
        let integer = kind
            .integer(&words)
            .ok_or_else(|| Unusable::Value(format!("{words:04x?}")))?;
        match kind {
            Kind::Float32 => {
                let bits = u32::try_from(integer).unwrap_or(u32::MAX);
                let is_finite = gridtally_registers::float::is_finite(bits);
                is_finite
                    .then_some(Number::Single(bits))
                    .ok_or_else(|| Unusable::Value("an infinite number".to_owned()))
            }
            Kind::Float64 => Err(Unusable::Value("a double, which no known model has".to_owned())),
            _ => Ok(Number::Scaled {
                integer,
                exponent: self.scale_of(point)?,
            }),
        }
    }

    fn scale_of(&self, point: &Placed) -> Result<i16, Unusable> {
        let Some(offset) = point.scale_offset else {
            return Ok(0);
        };
        let word = self.words.get(usize::from(offset)).copied().flatten();
        let scale = word.ok_or(Unusable::Unread)?.cast_signed();
        match scale {
            i16::MIN => Err(Unusable::NoScale),
            scale if SCALE_RANGE.contains(&scale) => Ok(scale),
            scale => Err(Unusable::Scale(scale)),
        }
    }

    /// The text of a point: printable characters up to the padding.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn text_of(&self, point: &Placed) -> Result<String, Unusable> {
        let words = self.raw(point)?;
        let bytes: Vec<u8> = words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .take_while(|byte| *byte != 0)
            .collect();
        if bytes.is_empty() {
            return Err(Unusable::NotImplemented);
        }
        let text = String::from_utf8_lossy(&bytes);
        // 0x80 alone is the empty text of the standard (§6.4.4).
        Ok(text
            .chars()
            .filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER)
            .collect::<String>()
            .trim()
            .to_owned())
    }
}

/// Devices answer all ones from an accumulator that has nothing to say, whatever the standard says of zero.
fn is_all_ones(kind: Kind, words: &[u16]) -> bool {
    kind.is_accumulator() && words.iter().all(|word| *word == u16::MAX)
}

/// The registers that must come together for a point to be believed: its own and its scale factor.
pub(super) fn piece(point: &Placed) -> Range<u16> {
    let end = point.offset.saturating_add(point.kind().words());
    match point.scale_offset {
        None => point.offset..end,
        Some(scale) => point.offset.min(scale)..end.max(scale.saturating_add(1)),
    }
}
