//! The shape of a SunSpec model: its points, in order, with their types.

/// A point's type (SunSpec Device Information Model Specification 1.2.1, §6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned 16-bit integer; 0xFFFF when not implemented.
    Uint16,
    /// Signed 16-bit integer; 0x8000 when not implemented.
    Int16,
    /// Unsigned 32-bit integer, high word first; 0xFFFFFFFF when not implemented.
    Uint32,
    /// Accumulator that wraps at 2³²; 0 when it accumulates nothing.
    Acc32,
    /// Enumeration of 16 bits; 0xFFFF when not implemented.
    Enum16,
    /// Flags of 16 bits; 0xFFFF when not implemented.
    Bitfield16,
    /// Flags of 32 bits; 0xFFFFFFFF when not implemented.
    Bitfield32,
    /// Power of ten by which other points are scaled; 0x8000 when not implemented.
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
            Self::Uint16 | Self::Int16 | Self::Enum16 | Self::Bitfield16 | Self::ScaleFactor | Self::Pad => 1,
            Self::Uint32 | Self::Acc32 | Self::Bitfield32 => 2,
            Self::Text(words) => words,
        }
    }

    /// The word that, repeated, says "not implemented".
    #[must_use]
    pub const fn sentinel_word(self) -> u16 {
        match self {
            Self::Uint16 | Self::Uint32 | Self::Enum16 | Self::Bitfield16 | Self::Bitfield32 => 0xFFFF,
            Self::Int16 | Self::ScaleFactor | Self::Pad => 0x8000,
            Self::Acc32 | Self::Text(_) => 0,
        }
    }

    /// The least and the greatest number that the point can carry, its sentinel left out.
    #[must_use]
    pub const fn range(self) -> (i64, i64) {
        match self {
            Self::Uint16 | Self::Enum16 => (0, 0xFFFE),
            Self::Int16 => (-0x7FFF, 0x7FFF),
            Self::Uint32 => (0, 0xFFFF_FFFE),
            Self::Acc32 => (0, 0xFFFF_FFFF),
            Self::Bitfield16 => (0, 0x7FFF),
            Self::Bitfield32 => (0, 0x7FFF_FFFF),
            Self::ScaleFactor => (-10, 10),
            Self::Text(_) | Self::Pad => (0, 0),
        }
    }
}

/// A point of a model: where it lies and how it is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Registers from the model's ID register (ID is 0, L is 1, the first point 2).
    pub offset: u16,
    /// How it is coded.
    pub kind: Kind,
}

/// A model definition.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// The model's number.
    pub id: u16,
    /// The points in order, under the names of the model definition.
    pub points: &'static [(&'static str, Kind)],
}

impl Layout {
    /// The model's L register: its length without ID and L.
    #[must_use]
    pub const fn length(&self) -> u16 {
        let mut length = 0;
        let mut i = 0;
        while i < self.points.len() {
            length += self.points[i].1.words();
            i += 1;
        }
        length
    }

    /// The point of that name.
    ///
    /// # Panics
    /// If the model has no such point; in a `const`, the compiler says so.
    #[must_use]
    pub const fn point(&self, name: &str) -> Point {
        let mut offset = 2;
        let mut i = 0;
        while i < self.points.len() {
            let (candidate, kind) = self.points[i];
            if same_text(candidate, name) {
                return Point { offset, kind };
            }
            offset += kind.words();
            i += 1;
        }
        panic!("the model has no point of that name")
    }

    /// Every point with its name, in order.
    pub fn named_points(&self) -> impl Iterator<Item = (&'static str, Point)> + '_ {
        self.points.iter().scan(2, |next, &(name, kind)| {
            let offset = *next;
            *next += kind.words();
            Some((name, Point { offset, kind }))
        })
    }
}

const fn same_text(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
