//! One counter, from boundary to boundary.
//!
//! ```text
//!            in step with the anchor                 readings in step with one another: three
//!          ┌────────────────────────┐                near zero, six elsewhere
//!          ▼                        │                ┌──────────────────────────────┐
//!     ┌─────────┐  zero, backstep,  │          ┌───────────┐                        ▼
//!     │ healthy │ ───────────────── ┴ ───────▶ │ suspected │                   new anchor
//!     └─────────┘  jump, no reading            └───────────┘                        ▲
//!          └────────────────────────────────────────────────────────────────────────┘
//!                              another device answers
//! ```
//!
//! The anchor is the highest value that was believed. An interval has a value only where the readings at
//! both of its ends are believed; what was counted while they were not is neither made up nor spread over
//! later intervals. So, whatever a device answers, what is signed adds up to the way of the believed
//! counter, which is never more than the device moved, plus one step of the counter:
//!
//! `Σ signed ≤ Σ moved + quantum`
//!
//! What a meter cannot know is a false reading that a true one might be, too: ahead of the truth by no more
//! than the device moves in an interval. It passes, but nothing is counted again until the device has come as
//! far, so that in the end nothing is counted that was not moved.
//!
//! The way from one anchor to the next is never counted: a counter that was reset, that starts over earlier
//! than its register, or that belongs to another device costs the intervals until it is believed, and
//! nothing else.

mod level;

use gridtally_protocol::channel::{Missing, Quality};
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};

use self::level::{Advance, Bounds, Form, Level};
use super::classification::Classification;
use crate::device::reading::Counter;

/// So many readings in step with one another, far from the anchor, and another counter is believed.
const CONFIRMATIONS: u8 = 6;
/// So many where they begin near zero: that is where a counter that was reset begins, and not where a reply
/// that is late, shifted or old is likely to lie.
const CONFIRMATIONS_NEAR_ZERO: u8 = 3;
/// A float that is coarser than a watt-hour is told: it is so from 2^24 Wh on.
const FLOAT_QUANTUM_MAX: i128 = 1_000;

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

/// The energy of an interval, and what the reading at its end was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metered {
    /// The energy, or why there is none.
    pub value: Result<MilliwattHours, Missing>,
    /// What is to be known of the energy; `None` where there is none.
    pub quality: Option<Quality>,
    /// What the reading was.
    pub classification: Classification,
}

/// The line of readings that is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anchor {
    /// The highest value: what has been counted for good.
    #[serde(rename = "h")]
    high: Level,
    /// The last value in milliwatt-hours, which a device that steps back by a count may have below the highest.
    #[serde(rename = "v")]
    seen: i64,
    /// Whose counter it is.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    device: Option<u64>,
}

/// A line of readings that is in step with itself and not with the anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suspect {
    #[serde(rename = "l")]
    level: Level,
    #[serde(rename = "z")]
    near_zero: bool,
    #[serde(rename = "n")]
    confirmations: u8,
}

enum Judgement {
    /// Believed, and so much more than the anchor.
    Counted(i64, Classification),
    /// Believed from here on; what led here is not.
    Anchored(Classification),
    /// Not believed.
    Doubted(Classification),
}

impl CounterMeter {
    /// Takes the reading at the boundary `at`, and gives the energy of the interval that ends there. A
    /// boundary that was taken before changes nothing.
    pub fn observe(
        &mut self,
        nameplate: Milliwatts,
        interval: IntervalLength,
        at: Timestamp,
        seen: Result<Counter, Missing>,
    ) -> Metered {
        if self.last.is_some_and(|(last, _)| last == at) {
            return Metered::none(Missing::NoStart, Classification::Gap);
        }
        let start = at.checked_add(-i64::from(interval.seconds()));
        let began = match self.last {
            Some((last, wrong)) if Some(last) == start => wrong.map_or(Ok(()), Err),
            _ => Err(Missing::NoStart),
        };
        let judgement = match seen {
            Ok(counter) => self.judge(Bounds { nameplate, interval }, at, counter),
            Err(missing) => Judgement::Doubted(Classification::Unread(missing)),
        };
        let (wrong, metered) = match (judgement, began) {
            (Judgement::Counted(energy, classification), Ok(())) => {
                (None, self.counted(energy, classification))
            }
            (Judgement::Counted(..), Err(missing)) => (None, Metered::none(missing, Classification::Gap)),
            (Judgement::Anchored(classification), _) => (None, Metered::nothing(classification)),
            (Judgement::Doubted(classification), _) => {
                let metered = Metered::nothing(classification);
                (metered.value.err(), metered)
            }
        };
        self.last = Some((at, wrong));
        metered
    }

    fn counted(&self, energy: i64, classification: Classification) -> Metered {
        let coarse = |anchor: &Anchor| {
            matches!(anchor.high.form, Form::Float(_)) && anchor.high.form.quantum() > FLOAT_QUANTUM_MAX
        };
        let float = self.anchor.as_ref().is_some_and(coarse);
        Metered {
            value: Ok(MilliwattHours::new(energy)),
            quality: classification
                .quality()
                .or_else(|| float.then_some(Quality::FloatQuantum)),
            classification,
        }
    }

    fn judge(&mut self, bounds: Bounds, at: Timestamp, counter: Counter) -> Judgement {
        let Some(level) = Level::of(counter.count, at) else {
            return Judgement::Doubted(Classification::Unfit);
        };
        let Some(anchor) = self.anchor else {
            self.believe(level, counter.device);
            return Judgement::Anchored(Classification::First);
        };
        let device = counter.device.or(anchor.device);
        if anchor.device.is_some_and(|known| device != Some(known)) {
            self.believe(level, device);
            return Judgement::Anchored(Classification::DeviceReplaced);
        }
        if level.value == 0 && anchor.high.value != 0 {
            return Judgement::Doubted(Classification::WakeUpZero);
        }
        if anchor.high.value == 0 && level.value != 0 {
            self.believe(level, device);
            return Judgement::Anchored(Classification::First);
        }
        if only_the_unit_moved(bounds, anchor.high, counter, at) {
            return self.doubt(bounds, anchor, level, Classification::ScaleFault);
        }
        let Some(advance) = bounds.advance(anchor.high, level) else {
            return self.doubt(bounds, anchor, level, Classification::Jump);
        };
        self.believe(level, device);
        Judgement::Counted(advance.energy, in_step(anchor.high, level, advance))
    }

    fn believe(&mut self, level: Level, device: Option<u64>) {
        self.anchor = Some(Anchor {
            high: level,
            seen: level.value,
            device,
        });
        self.suspect = None;
    }

    /// A value below the anchor, or further above it than the device can have come, or in a doubtful unit.
    fn doubt(&mut self, bounds: Bounds, anchor: Anchor, level: Level, doubt: Classification) -> Judgement {
        let (form, high) = (level.form, anchor.high);
        let back = i128::from(high.value).saturating_sub(i128::from(level.value));
        if (1..=bounds.noise(form, high.form)).contains(&back) {
            return self.wait_at_the_anchor(anchor, level);
        }
        if (1..=bounds.movable_in_an_interval(form, high.form)).contains(&back) {
            // Near enough to be the same counter after a false high: it will catch up, and until then nothing
            // of it may be counted twice.
            self.suspect = None;
            return Judgement::Doubted(Classification::Backstep);
        }
        self.suspect(bounds, anchor, level, doubt)
    }

    /// Devices step back by a count and stay there. The step itself is a fault; from then on what counts is
    /// what exceeds the anchor.
    fn wait_at_the_anchor(&mut self, anchor: Anchor, level: Level) -> Judgement {
        self.suspect = None;
        self.anchor = Some(Anchor {
            seen: level.value,
            high: Level {
                at: level.at,
                ..anchor.high
            },
            ..anchor
        });
        if level.value < anchor.seen {
            Judgement::Doubted(Classification::Backstep)
        } else {
            Judgement::Counted(0, Classification::HeldBack)
        }
    }

    fn suspect(&mut self, bounds: Bounds, anchor: Anchor, level: Level, doubt: Classification) -> Judgement {
        let line = self
            .suspect
            .filter(|suspect| bounds.advance(suspect.level, level).is_some());
        let suspect = Suspect {
            level,
            near_zero: line.map_or_else(|| bounds.can_be_anew(anchor.high, level), |line| line.near_zero),
            confirmations: line.map_or(0, |line| line.confirmations).saturating_add(1),
        };
        let (needed, doubt, belief) = if suspect.near_zero {
            let reset = Classification::Reset;
            (CONFIRMATIONS_NEAR_ZERO, reset, reset)
        } else {
            (CONFIRMATIONS, doubt, Classification::NewLine)
        };
        if suspect.confirmations >= needed {
            self.believe(level, anchor.device);
            return Judgement::Anchored(belief);
        }
        self.suspect = Some(suspect);
        Judgement::Doubted(doubt)
    }
}

impl Metered {
    const fn none(missing: Missing, classification: Classification) -> Self {
        Self {
            value: Err(missing),
            quality: None,
            classification,
        }
    }

    fn nothing(classification: Classification) -> Self {
        Self::none(
            classification.missing().unwrap_or(Missing::CounterFault),
            classification,
        )
    }
}

fn in_step(anchor: Level, level: Level, advance: Advance) -> Classification {
    if advance.rolled_over {
        Classification::Rollover
    } else if level.form.has_unit_of(anchor.form) {
        Classification::Normal
    } else {
        Classification::ScaleChanged
    }
}

/// Whether another unit came with a count that goes on as if the old one still held: then the unit is more
/// likely wrong, there or here, than the energy moved.
fn only_the_unit_moved(bounds: Bounds, anchor: Level, counter: Counter, at: Timestamp) -> bool {
    !Form::of(counter.count).has_unit_of(anchor.form)
        && Level::in_unit_of(counter.count, anchor.form, at)
            .is_some_and(|level| bounds.advance(anchor, level).is_some())
}

#[cfg(test)]
mod tests;
