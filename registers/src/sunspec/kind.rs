//! How a point is coded.

/// A point's type (SunSpec Device Information Model Specification 1.2.1, §6.4). Numbers take their
/// high word first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Signed 16-bit integer; 0x8000 when not implemented.
    Int16,
    /// Signed 32-bit integer; 0x80000000 when not implemented.
    Int32,
    /// Signed 64-bit integer; 0x8000000000000000 when not implemented.
    Int64,
    /// Unsigned 16-bit integer; 0xFFFF when not implemented.
    Uint16,
    /// Unsigned 32-bit integer; 0xFFFFFFFF when not implemented.
    Uint32,
    /// Unsigned 64-bit integer; all ones when not implemented.
    Uint64,
    /// Accumulator that wraps at 2¹⁶; 0 when it accumulates nothing.
    Acc16,
    /// Accumulator that wraps at 2³²; 0 when it accumulates nothing.
    Acc32,
    /// Accumulator that wraps at 2⁶³; 0 when it accumulates nothing.
    Acc64,
    /// Number of repeating groups; 0xFFFF when not implemented.
    Count,
    /// Enumeration of 16 bits; 0xFFFF when not implemented.
    Enum16,
    /// Enumeration of 32 bits; 0xFFFFFFFF when not implemented.
    Enum32,
    /// Flags of 16 bits; 0xFFFF when not implemented.
    Bitfield16,
    /// Flags of 32 bits; 0xFFFFFFFF when not implemented.
    Bitfield32,
    /// Flags of 64 bits; all ones when not implemented.
    Bitfield64,
    /// IEEE 754 single; a NaN (0x7FC00000) when not implemented.
    Float32,
    /// IEEE 754 double; a NaN when not implemented.
    Float64,
    /// Power of ten by which other points are scaled, −10 to 10; 0x8000 when not implemented.
    ScaleFactor,
    /// Text of so many registers, padded with NUL; all NUL when not implemented.
    Text(u16),
    /// A filler register; always 0x8000.
    Pad,
}

impl Kind {
    /// How many registers the point takes.
    #[must_use]
    pub const fn words(self) -> u16 {
        match self {
            Self::Int16
            | Self::Uint16
            | Self::Acc16
            | Self::Count
            | Self::Enum16
            | Self::Bitfield16
            | Self::ScaleFactor
            | Self::Pad => 1,
            Self::Int32 | Self::Uint32 | Self::Acc32 | Self::Enum32 | Self::Bitfield32 | Self::Float32 => 2,
            Self::Int64 | Self::Uint64 | Self::Acc64 | Self::Bitfield64 | Self::Float64 => 4,
            Self::Text(words) => words,
        }
    }

    /// Whether the point carries an integer, its own or a scaled one.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        !matches!(self, Self::Float32 | Self::Float64 | Self::Text(_) | Self::Pad)
    }

    /// Whether negative numbers are coded in two's complement.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Int16 | Self::Int32 | Self::Int64 | Self::ScaleFactor)
    }

    /// Whether it is an accumulator by type. (Since 2021 models have unsigned integers in this place.)
    #[must_use]
    pub const fn is_accumulator(self) -> bool {
        matches!(self, Self::Acc16 | Self::Acc32 | Self::Acc64)
    }

    /// The registers that say "not implemented": a first word, and the word that follows it so often
    /// as is needed.
    #[must_use]
    pub const fn sentinel(self) -> (u16, u16) {
        match self {
            Self::Uint16
            | Self::Uint32
            | Self::Uint64
            | Self::Count
            | Self::Enum16
            | Self::Enum32
            | Self::Bitfield16
            | Self::Bitfield32
            | Self::Bitfield64 => (0xFFFF, 0xFFFF),
            Self::Int16 | Self::Int32 | Self::Int64 | Self::ScaleFactor | Self::Pad => (0x8000, 0),
            Self::Acc16 | Self::Acc32 | Self::Acc64 | Self::Text(_) => (0, 0),
            Self::Float32 => (0x7FC0, 0),
            Self::Float64 => (0x7FF8, 0),
        }
    }

    /// The least and the greatest integer that the point can carry, its sentinel left out; 0 and 0
    /// for what carries none.
    #[must_use]
    pub const fn range(self) -> (i128, i128) {
        match self {
            Self::Int16 => (-0x7FFF, 0x7FFF),
            Self::Int32 => (-0x7FFF_FFFF, 0x7FFF_FFFF),
            Self::Int64 => (-0x7FFF_FFFF_FFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF),
            Self::Uint16 | Self::Count | Self::Enum16 => (0, 0xFFFE),
            Self::Uint32 | Self::Enum32 => (0, 0xFFFF_FFFE),
            Self::Uint64 => (0, 0xFFFF_FFFF_FFFF_FFFE),
            Self::Acc16 => (0, 0xFFFF),
            Self::Acc32 => (0, 0xFFFF_FFFF),
            Self::Acc64 => (0, 0x7FFF_FFFF_FFFF_FFFF),
            Self::Bitfield16 => (0, 0x7FFF),
            Self::Bitfield32 => (0, 0x7FFF_FFFF),
            Self::Bitfield64 => (0, 0x7FFF_FFFF_FFFF_FFFF),
            Self::ScaleFactor => (-10, 10),
            Self::Float32 | Self::Float64 | Self::Text(_) | Self::Pad => (0, 0),
        }
    }

    /// Whether these registers say "not implemented". An accumulator at 0 has accumulated nothing,
    /// which is no different; any NaN is one.
    #[must_use]
    pub fn is_sentinel(self, words: &[u16]) -> bool {
        match self {
            Self::Float32 => {
                matches!(words, [high, low] if f32::from_bits(u32::from(*high) << 16 | u32::from(*low)).is_nan())
            }
            Self::Float64 => self
                .integer(words)
                .is_none_or(|bits| u64::try_from(bits).is_ok_and(|bits| f64::from_bits(bits).is_nan())),
            Self::Acc16 | Self::Acc32 | Self::Acc64 => false,
            _ => {
                let (first, rest) = self.sentinel();
                words
                    .split_first()
                    .is_some_and(|(head, tail)| *head == first && tail.iter().all(|word| *word == rest))
            }
        }
    }

    /// The integer in these registers (the bits of a float), sentinel or not; `None` when they are
    /// not as many as the type takes, or carry a text.
    #[must_use]
    pub fn integer(self, words: &[u16]) -> Option<i128> {
        if words.len() != usize::from(self.words()) || matches!(self, Self::Text(_) | Self::Pad) {
            return None;
        }
        let bits = words
            .iter()
            .fold(0_i128, |bits, word| bits << 16 | i128::from(*word));
        let width = 16 * u32::from(self.words());
        Some(if self.is_signed() && bits >> (width - 1) == 1 {
            bits - (1 << width)
        } else {
            bits
        })
    }

    /// The registers of an integer in the width of the type; what does not fit is cut to its low bits,
    /// and a type that is wider (a text) begins with its sign.
    pub fn encode(self, integer: i128) -> impl Iterator<Item = u16> {
        let words = self.words();
        let shift = move |n: u16| (16 * u32::from(words - 1 - n)).min(i128::BITS - 1);
        (0..words).map(move |n| low_word(integer >> shift(n)))
    }
}

fn low_word(integer: i128) -> u16 {
    let [low, high, ..] = integer.to_le_bytes();
    u16::from_le_bytes([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INTEGERS: [Kind; 15] = [
        Kind::Int16,
        Kind::Int32,
        Kind::Int64,
        Kind::Uint16,
        Kind::Uint32,
        Kind::Uint64,
        Kind::Acc16,
        Kind::Acc32,
        Kind::Acc64,
        Kind::Count,
        Kind::Enum16,
        Kind::Enum32,
        Kind::Bitfield16,
        Kind::Bitfield32,
        Kind::ScaleFactor,
    ];

    #[test]
    fn a_sentinel_is_known_as_one_and_lies_outside_of_the_range() {
        for kind in INTEGERS.into_iter().filter(|kind| !kind.is_accumulator()) {
            let (first, rest) = kind.sentinel();
            let words: Vec<u16> = std::iter::once(first)
                .chain(std::iter::repeat(rest))
                .take(usize::from(kind.words()))
                .collect();
            assert!(kind.is_sentinel(&words), "{kind:?}");
            let (least, greatest) = kind.range();
            let value = kind.integer(&words).unwrap();
            assert!(value < least || value > greatest, "{kind:?}: {value}");
        }
        assert!(Kind::Float32.is_sentinel(&[0x7FC0, 0]) && Kind::Float32.is_sentinel(&[0xFFC1, 7]));
        assert!(
            !Kind::Float32.is_sentinel(&[0x7F80, 0]),
            "infinity is a number that cannot be, not a missing one"
        );
    }

    #[test]
    fn zero_is_zeros_in_a_type_of_any_width() {
        for kind in [Kind::Text(32), Kind::Text(1), Kind::Uint64, Kind::Pad] {
            assert_eq!(
                kind.encode(0).collect::<Vec<_>>(),
                vec![0; usize::from(kind.words())]
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(n in 0..INTEGERS.len(), part: u64) {
            let kind = INTEGERS[n];
            let (least, greatest) = kind.range();
            let value = least + i128::from(part) % (greatest - least + 1);
            let words: Vec<u16> = kind.encode(value).collect();
            prop_assert_eq!(words.len(), usize::from(kind.words()));
            prop_assert_eq!(kind.integer(&words), Some(value));
            prop_assert!(!kind.is_sentinel(&words));
        }
    }
}
