//! The registers of a control: where each is, how it is coded, and what part it plays.

use std::borrow::Cow;

use sunspec::{FixedSize, Group, Point, Value};

use super::error::ControlError;
use super::image::Image;

/// Registers before a model's first point: ID and L. The crate's offsets begin behind them.
const HEADER_LEN: u16 = 2;
/// A scale factor is a power of ten within these (Device Information Model Specification 1.2.1, §6.5.1).
const SCALE_RANGE: std::ops::RangeInclusive<i16> = -10..=10;

/// How a number is coded. SunSpec numbers have their high word first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Uint16,
    Int16,
    Uint32,
    Int32,
    /// Words of a profile, which only its recipe can read.
    Words(u16),
}

impl Shape {
    pub(super) const fn words(self) -> u16 {
        match self {
            Self::Uint16 | Self::Int16 => 1,
            Self::Uint32 | Self::Int32 => 2,
            Self::Words(words) => words,
        }
    }

    /// The greatest magnitude that is a number and no sentinel.
    pub(super) const fn max(self) -> i64 {
        match self {
            Self::Uint16 => 0xFFFE,
            Self::Int16 => 0x7FFF,
            Self::Uint32 => 0xFFFF_FFFE,
            Self::Int32 => 0x7FFF_FFFF,
            Self::Words(_) => 0,
        }
    }

    /// `None` for the sentinel "not implemented" and for words that are not as many as they should be.
    fn decode(self, words: &[u16]) -> Option<i64> {
        fn number<T: FixedSize + Into<i64>>(words: &[u16]) -> Option<i64> {
            let value = T::decode(words).ok()?;
            (!value.is_invalid()).then(|| value.into())
        }
        match self {
            Self::Uint16 => number::<u16>(words),
            Self::Int16 => number::<i16>(words),
            Self::Uint32 => number::<u32>(words),
            Self::Int32 => number::<i32>(words),
            Self::Words(_) => None,
        }
    }

    /// `None` for what does not fit, or would say "not implemented".
    fn encode(self, value: i64) -> Option<Vec<u16>> {
        let words = match self {
            Self::Uint16 => u16::try_from(value).ok()?.encode(),
            Self::Int16 => i16::try_from(value).ok()?.encode(),
            Self::Uint32 => u32::try_from(value).ok()?.encode(),
            Self::Int32 => i32::try_from(value).ok()?.encode(),
            Self::Words(_) => return None,
        };
        self.decode(&words).is_some().then(|| words.into_vec())
    }
}

/// What part a register plays, which decides when it is written and how it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Switches the control: off before anything else, on after everything else.
    Switch,
    /// What the control is set to. It may act at once where the control is on already.
    Value,
    /// What the control may do meanwhile: set as a value, and not taken back by the timer.
    Permission,
    /// After how many seconds of silence the device returns.
    Timer,
    /// When and how fast the device follows, and whether the control is on after the reversion.
    Manner,
    /// To what value the device returns: written beside the value.
    Fallback,
}

/// A register, or two of them, of a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Cow<'static, str>,
    pub(super) offset: u16,
    pub(super) shape: Shape,
    pub(super) role: Role,
    /// The point by whose power of ten it is scaled.
    pub(super) scale: Option<(&'static str, u16)>,
    /// The offset and the bits of the register without which it has no effect.
    pub(super) switch: Option<(u16, u16)>,
}

impl Field {
    /// A point of a model.
    pub(super) const fn of<G: Group, T: Value>(
        name: &'static str,
        point: &Point<G, T>,
        shape: Shape,
        role: Role,
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            offset: point.offset + HEADER_LEN,
            shape,
            role,
            scale: None,
            switch: None,
        }
    }

    pub(super) const fn scaled<G: Group, T: Value>(mut self, by: &'static str, point: &Point<G, T>) -> Self {
        self.scale = Some((by, point.offset + HEADER_LEN));
        self
    }

    pub(super) const fn switched<G: Group, T: Value>(mut self, by: &Point<G, T>, bits: u16) -> Self {
        self.switch = Some((by.offset + HEADER_LEN, bits));
        self
    }

    /// The number that is shown; `None` where the device does not have the register.
    pub(super) fn number(&self, image: &Image) -> Option<i64> {
        self.shape.decode(&self.words(image)?)
    }

    /// As [`Field::number`], of words that were saved.
    pub(super) fn decode(&self, words: &[u16]) -> Option<i64> {
        self.shape.decode(words)
    }

    pub(super) fn words(&self, image: &Image) -> Option<Vec<u16>> {
        image.get(self.offset, self.shape.words())
    }

    /// Whether the device has the register, and shows no sentinel in its place.
    pub(super) fn is_there(&self, image: &Image) -> bool {
        match self.shape {
            Shape::Words(_) => self.words(image).is_some(),
            _ => self.number(image).is_some(),
        }
    }

    pub(super) fn encode(&self, value: i64) -> Result<Vec<u16>, ControlError> {
        self.shape.encode(value).ok_or_else(|| ControlError::DoesNotFit {
            register: self.name.to_string(),
            value,
        })
    }

    /// The power of ten of the same read; 0 where the register has none.
    pub(super) fn scale(&self, image: &Image) -> Result<i16, ControlError> {
        let Some((name, offset)) = self.scale else {
            return Ok(0);
        };
        let word = image.get(offset, 1).and_then(|words| words.first().copied());
        let scale = word
            .ok_or_else(|| ControlError::NoRegister {
                register: name.to_owned(),
            })?
            .cast_signed();
        if SCALE_RANGE.contains(&scale) {
            return Ok(scale);
        }
        Err(ControlError::Scale {
            register: name,
            value: scale,
        })
    }
}
