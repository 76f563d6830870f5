//! How far a counter stands, and how far it can have come.

use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};

use crate::device::reading::{Count, Step};

/// How the counter shows its energy: what a register holds and what one count is, or how coarse a float is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Form {
    Integer(u8, Step),
    Float(i64),
}

impl Form {
    pub(super) const fn of(count: Count) -> Self {
        match count {
            Count::Integer { bits, step, .. } => Self::Integer(bits, step),
            Count::Float { quantum, .. } => Self::Float(quantum),
        }
    }

    /// The least energy between two values in milliwatt-hours, rounded up; at least one.
    pub(super) fn quantum(self) -> i128 {
        i128::from(match self {
            Self::Integer(_, step) => step.quantum(),
            Self::Float(quantum) => quantum.max(1),
        })
    }

    /// Whether both count in the same unit. A float's steps grow as it does, and are no change of the unit.
    pub(super) fn has_unit_of(self, other: Self) -> bool {
        match (self, other) {
            (Self::Integer(_, a), Self::Integer(_, b)) => a == b,
            (Self::Float(_), Self::Float(_)) => true,
            _ => false,
        }
    }

    /// The energy after which the register starts over, in milliwatt-hours, rounded down.
    fn modulus(self) -> Option<i128> {
        let Self::Integer(bits @ (16 | 32 | 48 | 64), step) = self else {
            return None;
        };
        let counts = 1_i128.checked_shl(u32::from(bits))?;
        counts
            .checked_mul(i128::from(step.numerator()))?
            .checked_div(i128::from(step.denominator()))
    }
}

/// Where a counter stood at a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Level {
    /// In milliwatt-hours, rounded down.
    #[serde(rename = "v")]
    pub value: i64,
    #[serde(rename = "f")]
    pub form: Form,
    #[serde(rename = "t")]
    pub at: Timestamp,
}

impl Level {
    /// `None` where the energy is beyond 64 bits.
    pub(super) fn of(count: Count, at: Timestamp) -> Option<Self> {
        let value = match count {
            Count::Integer { count, step, .. } => step.energy(count)?,
            Count::Float { energy, .. } => energy,
        };
        let form = Form::of(count);
        (value >= 0).then_some(Self { value, form, at })
    }

    /// The same count in the unit of another form, where both are of integers.
    pub(super) fn in_unit_of(count: Count, form: Form, at: Timestamp) -> Option<Self> {
        match (count, form) {
            (Count::Integer { count, bits, .. }, Form::Integer(_, step)) => {
                Self::of(Count::Integer { count, bits, step }, at)
            }
            _ => None,
        }
    }
}

/// How far the counter came, and whether it went over the end of its register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Advance {
    pub energy: i64,
    pub rolled_over: bool,
}

/// What bounds the energy of an interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub nameplate: Milliwatts,
    pub interval: IntervalLength,
}

impl Bounds {
    /// What the nameplate and a tenth more give in the time, in milliwatt-hours.
    fn energy(self, seconds: i64) -> i128 {
        i128::from(self.nameplate.get())
            .saturating_mul(i128::from(seconds.max(0)))
            .saturating_mul(11)
            .saturating_div(36_000)
    }

    /// What the device can have moved as counters of these forms show it: two counts of the finer one more.
    /// (Two of the coarser one would let a wrong unit make any energy out of nothing.)
    fn movable(self, seconds: i64, a: Form, b: Form) -> i128 {
        let counts = a.quantum().min(b.quantum()).saturating_mul(2);
        self.energy(seconds).saturating_add(counts)
    }

    /// What the device can have moved in one interval.
    pub(super) fn movable_in_an_interval(self, a: Form, b: Form) -> i128 {
        self.movable(i64::from(self.interval.seconds()), a, b)
    }

    /// How far a healthy counter may seem to step back: two counts, of the coarser form where one count of
    /// it is no more than the device moves in an interval.
    pub(super) fn noise(self, a: Form, b: Form) -> i128 {
        let (fine, coarse) = (a.quantum().min(b.quantum()), a.quantum().max(b.quantum()));
        let is_coarse_by_nature = coarse <= self.energy(i64::from(self.interval.seconds()));
        let count = if is_coarse_by_nature { coarse } else { fine };
        count.saturating_mul(2)
    }

    /// How far the counter came from one level to the other, if the device can have moved that much.
    pub(super) fn advance(self, from: Level, to: Level) -> Option<Advance> {
        let movable = self.movable(to.at.seconds_since(from.at), to.form, from.form);
        let direct = i128::from(to.value).checked_sub(i128::from(from.value))?;
        if (0..=movable).contains(&direct) {
            return Some(Advance {
                energy: i64::try_from(direct).ok()?,
                rolled_over: false,
            });
        }
        // Where the device could have gone round half of the register, a step back looks like a way round.
        let modulus = Some(from.form)
            .filter(|form| direct < 0 && *form == to.form)
            .and_then(Form::modulus)
            .filter(|modulus| movable < modulus.saturating_div(2))?;
        let around = direct.checked_add(modulus)?;
        let energy = i64::try_from(around).ok()?;
        (0..=movable).contains(&around).then_some(Advance {
            energy,
            rolled_over: true,
        })
    }

    /// Whether a counter that began anew after `anchor` can have come as far as `level`.
    pub(super) fn can_be_anew(self, anchor: Level, level: Level) -> bool {
        let seconds = level.at.seconds_since(anchor.at);
        level.value < anchor.value
            && i128::from(level.value) <= self.movable(seconds, level.form, anchor.form)
    }
}
