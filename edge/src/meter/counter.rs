//! One lifetime counter, from boundary to boundary.
//!
//! ```text
//!            in step with the anchor                 six readings in step with one another
//!          ┌────────────────────────┐                ┌──────────────────────────────┐
//!          ▼                        │                │                              ▼
//!     ┌─────────┐  zero, backstep,  │          ┌───────────┐                  new anchor: a
//!     │ healthy │ ───────────────── ┴ ───────▶ │ suspected │                  device was replaced
//!     └─────────┘  jump, no reading            └───────────┘                  or reset
//! ```
//!
//! The anchor is the highest value that was believed. An interval has a value only where the readings at
//! both of its ends are believed; what was counted while they were not is neither made up nor spread over
//! later intervals. So, whatever a device answers, what is signed adds up to the way of the believed
//! counter, which is never more than the device moved, plus one step of the counter:
//!
//! `Σ signed ≤ Σ moved + quantum`

use gridtally_protocol::channel::Missing;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};

use crate::device::sunspec::scaled;
/// shim
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// c
    pub count: u32,
    /// s
    pub scale: i16,
}

/// So many readings in step with one another, far from the anchor, and the device was replaced or reset.
const CONFIRMATIONS: u8 = 6;
/// An accumulator of 32 bits starts over after so many counts.
const ROLLOVER: i128 = 1 << 32;
/// Scale factors from here up give whole milliwatt-hours.
const EXACT_SCALE_MIN: i16 = -3;

/// The meter of one counter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CounterMeter {
    #[serde(rename = "a")]
    anchor: Option<Anchor>,
    #[serde(rename = "s")]
    suspect: Option<Suspect>,
    /// The last boundary, and what was wrong there.
    #[serde(rename = "l")]
    last: Option<(Timestamp, Option<Missing>)>,
}

/// The line of readings that is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Anchor {
    /// The highest value, in milliwatt-hours: what has been counted for good.
    #[serde(rename = "h")]
    high: i64,
    /// The last value, which a device that steps back by a count may have below the highest.
    #[serde(rename = "v")]
    seen: i64,
    #[serde(rename = "f")]
    scale: i16,
    #[serde(rename = "t")]
    at: Timestamp,
}

/// A line of readings that is in step with itself and not with the anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Suspect {
    #[serde(rename = "v")]
    level: i64,
    #[serde(rename = "f")]
    scale: i16,
    #[serde(rename = "t")]
    at: Timestamp,
    #[serde(rename = "n")]
    confirmations: u8,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    /// In milliwatt-hours, rounded down.
    value: i64,
    scale: i16,
    at: Timestamp,
}

enum Judgement {
    /// Believed, and so much more than the anchor.
    Counted(i64),
    /// Believed from here on; what led here is not.
    Anchored(Missing),
    /// Not believed.
    Doubted(Missing),
}

impl CounterMeter {
    /// Takes the reading at the boundary `at`, and gives the energy of the interval that ends there.
    ///
    /// # Errors
    /// Why the interval has no value.
    pub fn observe(
        &mut self,
        nameplate: Milliwatts,
        interval: IntervalLength,
        at: Timestamp,
        seen: Result<Counter, Missing>,
    ) -> Result<MilliwattHours, Missing> {
        let start = at.checked_add(-i64::from(interval.seconds()));
        let began = match self.last {
            Some((last, wrong)) if Some(last) == start => wrong.map_or(Ok(()), Err),
            _ => Err(Missing::NoStart),
        };
        let judgement = match seen {
            Ok(counter) => self.judge(Bounds { nameplate, interval }, at, counter),
            Err(missing) => Judgement::Doubted(missing),
        };
        let (wrong, energy) = match judgement {
            Judgement::Counted(energy) => (None, Ok(MilliwattHours::new(energy))),
            Judgement::Anchored(missing) => (None, Err(missing)),
            Judgement::Doubted(missing) => (Some(missing), Err(missing)),
        };
        self.last = Some((at, wrong));
        energy.and_then(|energy| began.map(|()| energy))
    }

    fn judge(&mut self, bounds: Bounds, at: Timestamp, counter: Counter) -> Judgement {
        let Some(value) = scaled(i128::from(counter.count), counter.scale, 3) else {
            return Judgement::Doubted(Missing::BadSample);
        };
        let level = Level {
            value,
            scale: counter.scale,
            at,
        };
        let Some(anchor) = self.anchor else {
            self.believe(level);
            return Judgement::Anchored(Missing::NoStart);
        };
        if value == 0 && anchor.high != 0 {
            // Zero is what devices answer at wake-up and restart. A real reset shows in the next value.
            return Judgement::Doubted(Missing::BadSample);
        }
        if anchor.high == 0 && value != 0 {
            // The zero before may have meant "not accumulated" (accumulators, §6.4.2): no place to count from.
            self.believe(level);
            return Judgement::Anchored(Missing::NoStart);
        }
        let energy = bounds.advance(anchor.level(), level);
        if let Some(energy) = energy.filter(|_| !only_the_scale_moved(bounds, anchor, counter, at)) {
            self.believe(level);
            return Judgement::Counted(energy);
        }
        self.doubt(bounds, anchor, level)
    }

    fn believe(&mut self, level: Level) {
        self.anchor = Some(Anchor {
            high: level.value,
            seen: level.value,
            scale: level.scale,
            at: level.at,
        });
        self.suspect = None;
    }

    /// A value below the anchor, or further above it than the device can have come.
    fn doubt(&mut self, bounds: Bounds, anchor: Anchor, level: Level) -> Judgement {
        let back = i128::from(anchor.high).saturating_sub(i128::from(level.value));
        let noise = quantum(anchor.scale).max(quantum(level.scale)).saturating_mul(2);
        if (1..=noise).contains(&back) {
            return self.wait_at_the_anchor(anchor, level);
        }
        let an_interval = bounds.movable(i64::from(bounds.interval.seconds()), level.scale, anchor.scale);
        if (1..=an_interval).contains(&back) {
            // Near enough to be the same counter after a false high: it will catch up, and until then nothing
            // of it may be counted twice.
            self.suspect = None;
            return Judgement::Doubted(Missing::CounterFault);
        }
        self.suspect(bounds, level)
    }

    /// Devices step back by a count and stay there. The step itself is a fault; from then on what counts is
    /// what exceeds the anchor.
    fn wait_at_the_anchor(&mut self, anchor: Anchor, level: Level) -> Judgement {
        self.suspect = None;
        self.anchor = Some(Anchor {
            seen: level.value,
            at: level.at,
            ..anchor
        });
        if level.value < anchor.seen {
            Judgement::Doubted(Missing::CounterFault)
        } else {
            Judgement::Counted(0)
        }
    }

    fn suspect(&mut self, bounds: Bounds, level: Level) -> Judgement {
        let confirmations = match self.suspect {
            Some(suspect) if bounds.advance(suspect.level(), level).is_some() => {
                suspect.confirmations.saturating_add(1)
            }
            _ => 1,
        };
        if confirmations >= CONFIRMATIONS {
            self.believe(level);
            return Judgement::Anchored(Missing::CounterFault);
        }
        self.suspect = Some(Suspect {
            level: level.value,
            scale: level.scale,
            at: level.at,
            confirmations,
        });
        Judgement::Doubted(Missing::CounterFault)
    }
}

/// Whether another scale factor came with a count that goes on as if the old one still held: then the
/// scale factor is more likely wrong, there or here, than the energy moved.
fn only_the_scale_moved(bounds: Bounds, anchor: Anchor, counter: Counter, at: Timestamp) -> bool {
    let scale = anchor.scale;
    let by_the_old_scale =
        scaled(i128::from(counter.count), scale, 3).map(|value| Level { value, scale, at });
    counter.scale != scale
        && by_the_old_scale.is_some_and(|level| bounds.advance(anchor.level(), level).is_some())
}

impl Anchor {
    const fn level(self) -> Level {
        Level {
            value: self.high,
            scale: self.scale,
            at: self.at,
        }
    }
}

impl Suspect {
    const fn level(self) -> Level {
        Level {
            value: self.level,
            scale: self.scale,
            at: self.at,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    nameplate: Milliwatts,
    interval: IntervalLength,
}

impl Bounds {
    /// What a device can have moved: its nameplate over the time, a tenth more, and two counts.
    fn movable(self, seconds: i64, scale: i16, other_scale: i16) -> i128 {
        i128::from(self.nameplate.get())
            .saturating_mul(i128::from(seconds.max(0)))
            .saturating_mul(11)
            .saturating_div(36_000)
            .saturating_add(quantum(scale).max(quantum(other_scale)).saturating_mul(2))
    }

    /// How far the counter came, also over the end of its 32 bits, if the device can have moved that much.
    fn advance(self, from: Level, to: Level) -> Option<i64> {
        let movable = self.movable(to.at.seconds_since(from.at), to.scale, from.scale);
        let direct = i128::from(to.value).checked_sub(i128::from(from.value))?;
        let rolled_over = (direct < 0 && from.scale == to.scale && from.scale >= EXACT_SCALE_MIN)
            .then(|| direct.checked_add(ROLLOVER.checked_mul(quantum(from.scale))?))
            .flatten();
        [Some(direct), rolled_over]
            .into_iter()
            .flatten()
            .find(|advance| (0..=movable).contains(advance))
            .and_then(|advance| i64::try_from(advance).ok())
    }
}

/// The energy of one count in milliwatt-hours, at least one: what is finer is rounded down before it counts.
fn quantum(scale: i16) -> i128 {
    u32::try_from(scale.saturating_sub(EXACT_SCALE_MIN))
        .ok()
        .and_then(|exponent| 10_i128.checked_pow(exponent))
        .unwrap_or(1)
}

#[cfg(test)]
mod tests;
