//! A device that counts its energy, and how it shows it.

use proptest::prelude::*;

use super::*;

/// How the device shows its energy.
#[derive(Debug, Clone, Copy)]
pub enum Display {
    Integer {
        bits: u8,
        step: Step,
    },
    /// A binary32 number of watt-hours.
    Float,
}

pub fn display() -> impl Strategy<Value = Display> {
    // Registers that the device goes round in hours would say nothing: the steps fit the width.
    let integer = |bits, steps: &'static [(u64, u64)]| {
        prop::sample::select(steps).prop_map(move |(numerator, denominator)| Display::Integer {
            bits,
            step: Step::new(numerator, denominator).unwrap(),
        })
    };
    prop_oneof![
        integer(16, &[(1_000, 1), (10_000, 1), (100_000, 1)]),
        integer(
            32,
            &[(1, 1), (10, 1), (100, 1), (1_000, 1), (1_000, 3), (100_000, 7)]
        ),
        integer(48, &[(1, 1), (1, 10), (100, 1), (1_000, 1)]),
        integer(64, &[(1, 1_000), (100, 1), (1_000, 1)]),
        Just(Display::Float),
    ]
}

/// Where the display starts, as a part of what it can show.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    Zero,
    Young(u64),
    NearTheEnd(u64),
    Anywhere(u64),
}

pub fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        Just(Start::Zero),
        (1_u64..2_000_000).prop_map(Start::Young),
        (1_u64..2_000_000).prop_map(Start::NearTheEnd),
        any::<u64>().prop_map(Start::Anywhere),
    ]
}

/// The device: its truth in milliwatt-hours, and what its display adds to it.
pub struct Device {
    display: Display,
    pub truth: i128,
    pub offset: i128,
    pub name: Option<u64>,
}

impl Device {
    /// What is shown goes round here, in milliwatt-hours times the step's denominator; a float never does.
    fn modulus(&self) -> Option<i128> {
        match self.display {
            Display::Integer { bits, step } => Some((1_i128 << bits) * i128::from(step.numerator())),
            Display::Float => None,
        }
    }

    fn denominator(&self) -> i128 {
        match self.display {
            Display::Integer { step, .. } => i128::from(step.denominator()),
            Display::Float => 1,
        }
    }

    /// Where a step is no whole number of milliwatt-hours, a register that went round rounds otherwise.
    pub fn rounding(&self) -> i64 {
        i64::from(self.denominator() > 1)
    }

    /// The display is as if this much had been counted at this truth. A device without a name stays as it is
    /// where the change cannot be told from energy.
    pub fn begin_at(&mut self, energy: i128, nameless: bool) -> bool {
        let fresh = Self {
            offset: energy - self.truth,
            ..*self
        };
        let changes = !(nameless && self.may_soon_show(fresh.shown()));
        if changes {
            *self = fresh;
        }
        changes
    }

    pub fn shown(&self) -> Count {
        let energy = self.truth + self.offset;
        match self.display {
            Display::Integer { bits, step } => {
                let scaled = (energy * self.denominator()).rem_euclid(self.modulus().unwrap());
                let count = u64::try_from(scaled / i128::from(step.numerator())).unwrap();
                Count::Integer { count, bits, step }
            }
            Display::Float => float(energy),
        }
    }

    /// The energy that is displayed without going round, and the step of the display there.
    pub fn displayed(&self) -> (i64, i64) {
        let energy = self.truth + self.offset;
        match self.display {
            Display::Integer { step, .. } => {
                let counts = (energy * self.denominator()).div_euclid(i128::from(step.numerator()));
                let floor = (counts * i128::from(step.numerator())).div_euclid(self.denominator());
                (i64::try_from(floor).unwrap(), step.quantum())
            }
            Display::Float => match float(energy) {
                Count::Float { energy, quantum } => (energy, quantum),
                Count::Integer { .. } => unreachable!(),
            },
        }
    }

    /// Whether the device could show this at the next boundary. Who answers that now cannot be told from a
    /// device that has moved that much.
    pub fn may_soon_show(&self, count: Count) -> bool {
        let value = |count| Level::of(count, Timestamp::EPOCH).map(|level| i128::from(level.value));
        let (Some(answer), Some(now)) = (value(count), value(self.shown())) else {
            return false;
        };
        let ahead = match self.modulus() {
            Some(modulus) => (answer - now).rem_euclid(modulus / self.denominator()),
            None => answer - now,
        };
        (1..=458_334 + 3 * i128::from(self.displayed().1)).contains(&ahead)
    }

    pub fn starting_at(display: Display, start: Start) -> Self {
        let mut device = Self {
            display,
            truth: 0,
            offset: 0,
            name: Some(1),
        };
        // Beyond 64 bits of milliwatt-hours there is no counter, and a float of a GWh counts nothing at home.
        let most = match device.modulus() {
            Some(modulus) => modulus / device.denominator(),
            None => 1_000_000_000,
        };
        let most = most.min(i128::from(i64::MAX) / 4);
        device.offset = match start {
            Start::Zero => 0,
            Start::Young(energy) => i128::from(energy),
            Start::NearTheEnd(back) => most - i128::from(back),
            Start::Anywhere(share) => most * i128::from(share) / (1 << 64),
        };
        device
    }
}

/// The largest binary32 number of watt-hours that is not above the energy in milliwatt-hours.
fn float(energy: i128) -> Count {
    let of = |bits| match Count::of_f32(bits, Step::WATT_HOUR) {
        Some(Count::Float { energy, .. }) => i128::from(energy),
        _ => i128::MAX,
    };
    // The bits of numbers above zero are in their order.
    let (mut low, mut high) = (0_u32, 0x7f80_0000_u32);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if of(middle) <= energy {
            low = middle
        } else {
            high = middle
        }
    }
    Count::of_f32(low, Step::WATT_HOUR).unwrap()
}
