//! How a value is laid out in registers.

use rust_decimal::Decimal;

/// The type of the number or text in the registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterType {
    /// 16 bits, unsigned.
    U16,
    /// 16 bits, two's complement.
    I16,
    /// 32 bits, unsigned.
    U32,
    /// 32 bits, two's complement.
    I32,
    /// 64 bits, unsigned.
    U64,
    /// 64 bits, two's complement.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// UTF-8 text in this many registers, two bytes each, padded with NUL.
    Text(u16),
    /// 16 flags: a number without scale, sign and unit.
    Bits,
}

impl RegisterType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("u16", Self::U16),
        ("i16", Self::I16),
        ("u32", Self::U32),
        ("i32", Self::I32),
        ("u64", Self::U64),
        ("i64", Self::I64),
        ("f32", Self::F32),
        ("bits", Self::Bits),
    ];

    /// What a profile may say, for messages.
    pub(super) const EXPECTED: &'static str = "u16, i16, u32, i32, u64, i64, f32, bits or string(n)";

    /// Reads `u16`, `string(10)` and so on; `None` where it is none of them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(registers) = text
            .strip_prefix("string(")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            let digits = registers.chars().all(|c| c.is_ascii_digit());
            let registers: u16 = registers.parse().ok()?;
            return (digits && (1..=125).contains(&registers)).then_some(Self::Text(registers));
        }
        Self::WORDS
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, kind)| *kind)
    }

    /// How many registers it takes.
    #[must_use]
    pub fn length(self) -> u16 {
        match self {
            Self::U16 | Self::I16 | Self::Bits => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 => 4,
            Self::Text(registers) => registers,
        }
    }

    /// The width of a number in bits; 0 for text.
    pub(super) fn width(self) -> u32 {
        match self {
            Self::Text(_) => 0,
            other => u32::from(other.length()) * 16,
        }
    }

    pub(super) fn is_signed(self) -> bool {
        matches!(self, Self::I16 | Self::I32 | Self::I64)
    }

    /// Least and greatest raw number of an integer; `None` for floats and text.
    pub(super) fn raw_range(self) -> Option<(i128, i128)> {
        match self {
            Self::F32 | Self::Text(_) => None,
            signed if signed.is_signed() => {
                let half = 1_i128 << (signed.width() - 1);
                Some((-half, half - 1))
            }
            unsigned => Some((0, (1_i128 << unsigned.width()) - 1)),
        }
    }
}

/// Which register of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WordOrder {
    /// The most significant, as Modbus means it.
    #[default]
    Big,
    /// The least significant.
    Little,
}

/// Which byte of a register comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// The most significant, as Modbus requires.
    #[default]
    Big,
    /// The least significant: a device that swaps them.
    Little,
}

/// How a value is laid out in registers. Made by a profile, which has checked it: the scale is positive, at
/// most 10⁹, and has at most nine places, so that every integer times it is an exact decimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    pub(super) kind: RegisterType,
    pub(super) word_order: WordOrder,
    pub(super) byte_order: ByteOrder,
    pub(super) scale: Decimal,
    pub(super) inverted: bool,
    pub(super) not_available: Vec<u64>,
}

/// The greatest scale.
pub const SCALE_MAX: u32 = 1_000_000_000;
/// The most decimal places of a scale.
pub const SCALE_PLACES_MAX: u32 = 9;

impl Encoding {
    /// A type as Modbus means it: most significant first, scale 1, sign as it is, always available.
    #[must_use]
    pub fn of(kind: RegisterType) -> Self {
        Self {
            kind,
            word_order: WordOrder::Big,
            byte_order: ByteOrder::Big,
            scale: Decimal::ONE,
            inverted: false,
            not_available: Vec::new(),
        }
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> RegisterType {
        self.kind
    }

    /// What one step of the raw number is worth, in the unit of the point.
    #[must_use]
    pub fn scale(&self) -> Decimal {
        self.scale
    }

    /// Whether a raw plus is a minus of the vocabulary.
    #[must_use]
    pub fn is_inverted(&self) -> bool {
        self.inverted
    }

    /// The raw numbers that mean "not available".
    #[must_use]
    pub fn not_available(&self) -> &[u64] {
        &self.not_available
    }

    /// How many registers it takes.
    #[must_use]
    pub fn length(&self) -> u16 {
        self.kind.length()
    }
}
