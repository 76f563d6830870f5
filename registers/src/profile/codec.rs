//! Registers to values and back, exact: what one direction gives, the other takes, and nothing is rounded
//! but floats, by the rule of [`super::float`].

use rust_decimal::Decimal;

use super::encoding::{ByteOrder, Encoding, RegisterType, WordOrder};
use crate::float;

/// What registers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number, in the unit and with the sign of the point. It keeps the places of the scale.
    Number(Decimal),
    /// Text, without its padding.
    Text(String),
    /// The device says that it has no value.
    NotAvailable,
}

/// Why registers are no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Too few or too many registers.
    #[error("the value takes {expected} registers and {got} came: ask for the whole point")]
    Length {
        /// The length of the type.
        expected: u16,
        /// What came.
        got: usize,
    },
    /// The bytes are no text.
    #[error("the registers hold no printable UTF-8 text: check the address and the byte order")]
    NotText,
    /// A float beyond every reading.
    #[error("the float {bits:#010x} is beyond the range of decimals: check the address and the word order")]
    TooLarge {
        /// Its bits.
        bits: u32,
    },
}

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A text for a number, or a number for a text.
    #[error("the point holds {expected}: give it one")]
    WrongKind {
        /// What it holds.
        expected: &'static str,
    },
    /// Beyond the type.
    #[error("{value} does not fit the register type: give a value within its range")]
    DoesNotFit {
        /// The value asked for.
        value: Decimal,
    },
    /// Between two steps.
    #[error("{value} is no whole number of steps of {step}: round it to one")]
    NotAStep {
        /// The value asked for.
        value: Decimal,
        /// The scale.
        step: Decimal,
    },
    /// Would read back as "not available".
    #[error("{value} is written with a raw number that means \"not available\": give another value")]
    Reserved {
        /// The value asked for.
        value: Decimal,
    },
    /// Would not read back as itself.
    #[error("a text must have 1 to {bytes_max} bytes, no control characters and no space at its end")]
    Text {
        /// The room in the registers.
        bytes_max: usize,
    },
    /// The type has no such raw number.
    #[error("the point has no raw number for \"not available\": name one under not_available")]
    NoSentinel,
    /// The point may not be written.
    #[error("the point is read-only: a write needs access = \"rw\"")]
    ReadOnly,
    /// Beyond what the profile allows to write.
    #[error("{value} is outside of {min} to {max}, which the profile allows")]
    OutOfBounds {
        /// The value asked for.
        value: Decimal,
        /// The least allowed.
        min: Decimal,
        /// The greatest allowed.
        max: Decimal,
    },
}

impl Encoding {
    /// What the registers hold. Floats that are no finite number, and text of NULs or of 0xFF alone, are not
    /// available, whatever the profile says.
    ///
    /// # Errors
    /// [`DecodeError`] where the registers cannot be a value of this type.
    pub fn decode(&self, registers: &[u16]) -> Result<Value, DecodeError> {
        if registers.len() != usize::from(self.length()) {
            return Err(DecodeError::Length {
                expected: self.length(),
                got: registers.len(),
            });
        }
        if let RegisterType::Text(_) = self.kind {
            return self.decode_text(registers);
        }
        let raw = self.raw(registers);
        if self.not_available.contains(&raw) {
            return Ok(Value::NotAvailable);
        }
        match (self.kind, u32::try_from(raw)) {
            (RegisterType::F32, Ok(bits)) => self.decode_float(bits),
            _ => Ok(Value::Number(self.scaled(i128::from(raw)))),
        }
    }

    /// The registers that hold the value. A number must be a whole number of steps of the scale; a float gets
    /// the nearest one.
    ///
    /// # Errors
    /// [`EncodeError`] where the value would not read back as itself.
    pub fn encode(&self, value: &Value) -> Result<Vec<u16>, EncodeError> {
        match (value, self.kind) {
            (Value::NotAvailable, _) => self.sentinel(),
            (Value::Text(text), RegisterType::Text(length)) => self.encode_text(text, length),
            (Value::Text(_), _) => Err(EncodeError::WrongKind { expected: "a number" }),
            (Value::Number(_), RegisterType::Text(_)) => Err(EncodeError::WrongKind { expected: "a text" }),
            (Value::Number(number), _) => self.encode_number(*number),
        }
    }

    fn encode_number(&self, value: Decimal) -> Result<Vec<u16>, EncodeError> {
        let raw = if self.kind == RegisterType::F32 {
            self.float_of(value)?
        } else {
            self.integer_of(value)?
        };
        if self.not_available.contains(&raw) {
            return Err(EncodeError::Reserved { value });
        }
        Ok(self.registers(raw))
    }

    /// A raw integer times the scale. The bounds of the scale keep the product within 96 bits.
    fn scaled(&self, raw: i128) -> Decimal {
        let signed = match self.kind.raw_range() {
            Some((min, max)) if raw > max => raw - max + min - 1,
            _ => raw,
        };
        let steps = if self.inverted { -signed } else { signed };
        Decimal::from_i128_with_scale(steps * self.scale.mantissa(), self.scale.scale())
    }

    fn decode_float(&self, bits: u32) -> Result<Value, DecodeError> {
        if !float::is_finite(bits) {
            return Ok(Value::NotAvailable);
        }
        let number = float::to_decimal(bits).and_then(|number| number.checked_mul(self.scale));
        let number = number.ok_or(DecodeError::TooLarge { bits })?;
        Ok(Value::Number(self.signed(number)))
    }

    fn signed(&self, number: Decimal) -> Decimal {
        if self.inverted && !number.is_zero() {
            -number
        } else {
            number
        }
    }

    fn float_of(&self, value: Decimal) -> Result<u64, EncodeError> {
        let unscaled = self.signed(value).checked_div(self.scale);
        let bits = unscaled.and_then(float::from_decimal);
        bits.map(u64::from).ok_or(EncodeError::DoesNotFit { value })
    }

    /// `value / scale` as the raw number, where that is a whole number in range.
    fn integer_of(&self, value: Decimal) -> Result<u64, EncodeError> {
        let (exact, scale) = (value.normalize(), self.scale.normalize());
        // At most 96 + 30 bits, and 30 + 94 bits.
        let dividend = exact.mantissa() * 10_i128.pow(scale.scale());
        let divisor = scale.mantissa() * 10_i128.pow(exact.scale());
        if dividend % divisor != 0 {
            let step = self.scale;
            return Err(EncodeError::NotAStep { value, step });
        }
        let steps = dividend / divisor;
        let steps = if self.inverted { -steps } else { steps };
        let (min, max) = self.kind.raw_range().unwrap_or((0, 0));
        if !(min..=max).contains(&steps) {
            return Err(EncodeError::DoesNotFit { value });
        }
        let raw = if steps < 0 { steps - min + max + 1 } else { steps };
        u64::try_from(raw).map_err(|_| EncodeError::DoesNotFit { value })
    }

    /// The registers as one number, most significant bit first.
    /// The raw number in the registers, in the order of its words: what a counter is counted by. `None` where
    /// it is a text, not of its length, or not available.
    #[must_use]
    pub fn raw_number(&self, registers: &[u16]) -> Option<u64> {
        let is_number = !matches!(self.kind, RegisterType::Text(_));
        let fits = registers.len() == usize::from(self.length());
        let raw = (is_number && fits).then(|| self.raw(registers))?;
        (!self.not_available.contains(&raw)).then_some(raw)
    }

    fn raw(&self, registers: &[u16]) -> u64 {
        let shift = |raw: u64, register: &u16| (raw << 16) | u64::from(self.in_order(*register));
        match self.word_order {
            WordOrder::Big => registers.iter().fold(0, shift),
            WordOrder::Little => registers.iter().rev().fold(0, shift),
        }
    }

    fn registers(&self, raw: u64) -> Vec<u16> {
        let words = raw
            .to_be_bytes()
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |word, byte| (word << 8) | u16::from(*byte)))
            .map(|word| self.in_order(word))
            .collect::<Vec<u16>>();
        let mut words = words[4 - usize::from(self.length()).min(4)..].to_vec();
        if self.word_order == WordOrder::Little {
            words.reverse();
        }
        words
    }

    fn in_order(&self, register: u16) -> u16 {
        match self.byte_order {
            ByteOrder::Big => register,
            ByteOrder::Little => register.swap_bytes(),
        }
    }

    fn decode_text(&self, registers: &[u16]) -> Result<Value, DecodeError> {
        let bytes: Vec<u8> = registers
            .iter()
            .flat_map(|register| self.in_order(*register).to_be_bytes())
            .collect();
        if bytes.iter().all(|byte| *byte == 0xFF) {
            return Ok(Value::NotAvailable);
        }
        let filled = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = std::str::from_utf8(filled).map_err(|_| DecodeError::NotText)?;
        if text.chars().any(char::is_control) {
            return Err(DecodeError::NotText);
        }
        let text = text.trim_end_matches(' ');
        if text.is_empty() {
            return Ok(Value::NotAvailable);
        }
        Ok(Value::Text(text.to_owned()))
    }

    fn encode_text(&self, text: &str, length: u16) -> Result<Vec<u16>, EncodeError> {
        let bytes_max = usize::from(length) * 2;
        let fits = (1..=bytes_max).contains(&text.len());
        if !fits || text.ends_with(' ') || text.chars().any(char::is_control) {
            return Err(EncodeError::Text { bytes_max });
        }
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(bytes_max, 0);
        let pairs = bytes.chunks_exact(2);
        Ok(pairs
            .map(|pair| pair.iter().fold(0, |word, byte| (word << 8) | u16::from(*byte)))
            .map(|word| self.in_order(word))
            .collect())
    }

    fn sentinel(&self) -> Result<Vec<u16>, EncodeError> {
        match (self.kind, self.not_available.first()) {
            (RegisterType::Text(length), _) => Ok(vec![0; usize::from(length)]),
            (_, Some(raw)) => Ok(self.registers(*raw)),
            (RegisterType::F32, None) => Ok(self.registers(u64::from(float::NAN))),
            _ => Err(EncodeError::NoSentinel),
        }
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
