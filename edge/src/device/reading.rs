//! What a device showed, exactly.

/// placeholder until merged
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    numerator: u64,
    denominator: u64,
}
impl Step {
    /// x
    #[must_use]
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        (numerator > 0 && denominator > 0).then_some(Self {
            numerator,
            denominator,
        })
    }
    /// x
    #[must_use]
    pub fn of_scale(scale: i16) -> Option<Self> {
        if !(-10..=10).contains(&scale) {
            return None;
        }
        let e = scale + 3;
        let p = 10_u64.checked_pow(u32::from(e.unsigned_abs()))?;
        if e >= 0 { Self::new(p, 1) } else { Self::new(1, p) }
    }
}
/// x
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// x
    Integer {
        /// x
        count: u64,
        /// x
        bits: u8,
        /// x
        step: Step,
    },
    /// x
    Float {
        /// x
        energy: i64,
        /// x
        quantum: i64,
    },
}
impl Count {
    /// x
    #[must_use]
    pub fn of_f32(_bits: u32, _step: Step) -> Option<Self> {
        None
    }
}
/// x
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// x
    pub count: Count,
    /// x
    pub device: Option<u64>,
}
/// x
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// x
    Counter(Counter),
    /// x
    Level(i64),
}
