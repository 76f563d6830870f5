//! One site's metered energy, laid out for one event.

use core::iter;
use std::collections::BTreeMap;

use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::{Interval, Timestamp};

use super::frame::Frame;
use super::rule::{Charging, Exports};
use crate::rules::exact::{ArithmeticError, Ratio};

/// Readings that contradict one another or the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// Two different values for one interval.
    #[error("the interval that begins at {start} has two different values; decide which one holds")]
    Conflict {
        /// The interval's start.
        start: Timestamp,
    },
    /// Not of the program's interval length.
    #[error("the reading at {start} covers {found} s; the program's intervals have {wanted} s")]
    Length {
        /// The interval's start.
        start: Timestamp,
        /// Its length.
        found: u32,
        /// The program's.
        wanted: u32,
    },
}

/// What a site's meter counted in each interval that matters for an event, or nothing where it is not known.
///
/// The unit is `1 / parts` of a milliwatt-hour: 1 in the engine; an analyst's file may be finer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    parts: i64,
    values: Vec<Option<i64>>,
    /// Milliwatt-hours that were not metered but worked out; nothing stands in `values` there.
    derived: BTreeMap<usize, Ratio>,
}

impl Series {
    /// Lays out readings in whole milliwatt-hours. Their order does not matter; what the event cannot use is
    /// left out; the same value twice is one value.
    ///
    /// # Errors
    /// [`SeriesError`] where readings contradict one another or are of another interval length.
    pub fn new(
        frame: &Frame,
        readings: impl IntoIterator<Item = (Interval, MilliwattHours)>,
    ) -> Result<Self, SeriesError> {
        Self::with_parts(
            frame,
            1,
            readings
                .into_iter()
                .map(|(interval, value)| (interval, value.get())),
        )
    }

    /// Lays out readings in `1 / parts` of a milliwatt-hour (`parts` below 1 counts as 1).
    ///
    /// # Errors
    /// As [`Series::new`].
    pub fn with_parts(
        frame: &Frame,
        parts: i64,
        readings: impl IntoIterator<Item = (Interval, i64)>,
    ) -> Result<Self, SeriesError> {
        let mut values = vec![None; frame.places];
        for (interval, value) in readings {
            let (found, wanted) = (interval.length().seconds(), frame.length.seconds());
            if found != wanted {
                return Err(SeriesError::Length {
                    start: interval.start(),
                    found,
                    wanted,
                });
            }
            let place = interval
                .start()
                .seconds_since(frame.origin)
                .checked_div_euclid(wanted.into());
            let place = place.and_then(|p| usize::try_from(p).ok());
            let Some(known) = place.and_then(|p| values.get_mut(p)) else {
                continue;
            };
            if known.is_some_and(|k| k != value) {
                return Err(SeriesError::Conflict {
                    start: interval.start(),
                });
            }
            *known = Some(value);
        }
        Ok(Self {
            parts: parts.max(1),
            values,
            derived: BTreeMap::new(),
        })
    }

    /// How many units make a milliwatt-hour.
    #[must_use]
    pub const fn parts(&self) -> i64 {
        self.parts
    }

    /// Whether the energy of an interval is known.
    pub(super) fn has(&self, place: usize) -> bool {
        self.metered(place).is_some() || self.derived.contains_key(&place)
    }

    /// Whether it was worked out rather than metered.
    pub(super) fn is_derived(&self, place: usize) -> bool {
        self.derived.contains_key(&place)
    }

    fn metered(&self, place: usize) -> Option<i64> {
        self.values.get(place).copied().flatten()
    }

    /// The energy of an interval, in milliwatt-hours.
    pub(super) fn at(&self, place: usize) -> Result<Option<Ratio>, ArithmeticError> {
        match self.metered(place) {
            Some(value) => Ratio::new(value.into(), self.parts.into()).map(Some),
            None => Ok(self.derived.get(&place).copied()),
        }
    }

    /// The sum of what is known at `places`, in milliwatt-hours, and how many values it is of.
    pub(super) fn total(
        &self,
        places: impl IntoIterator<Item = usize>,
    ) -> Result<(Ratio, u32), ArithmeticError> {
        let overflow = ArithmeticError::Overflow { operation: "sum" };
        let (mut sum, mut derived, mut known) = (0_i128, Ratio::ZERO, 0_u32);
        for place in places {
            if let Some(value) = self.metered(place) {
                sum = sum.checked_add(value.into()).ok_or(overflow)?;
            } else if let Some(value) = self.derived.get(&place) {
                derived = derived.checked_add(*value)?;
            } else {
                continue;
            }
            known = known.checked_add(1).ok_or(overflow)?;
        }
        let sum = Ratio::new(sum, self.parts.into())?;
        Ok((sum.checked_add(derived)?, known))
    }

    /// These readings, with the mean of the sample's readings where one is missing and at least `minimum` of the
    /// sample have it. All must be laid out under the same frame.
    pub(super) fn filled(&self, sample: &[Self], minimum: u32) -> Result<Self, ArithmeticError> {
        let mut filled = self.clone();
        for (place, _) in self
            .values
            .iter()
            .enumerate()
            .filter(|(_, value)| value.is_none())
        {
            if let Some((mean, known)) = mean_of(sample, place)?
                && known >= minimum
            {
                filled.derived.insert(place, mean);
            }
        }
        Ok(filled)
    }

    /// What a device put out, of which `self` are the readings, with the sign of a meter: output is negative.
    ///
    /// Where exports are excluded, the output that left through the site's meter is taken off; where that meter's
    /// reading is missing, the output is not known.
    pub(super) fn output(
        &self,
        site_meter: Option<&Self>,
        exports: Exports,
        charging: Charging,
    ) -> Result<Self, ArithmeticError> {
        let mut output = Self {
            parts: self.parts,
            values: vec![None; self.values.len()],
            derived: BTreeMap::new(),
        };
        for (place, kept) in output.values.iter_mut().enumerate() {
            let Some(device) = self.metered(place) else {
                continue;
            };
            *kept = match (exports, charging) {
                (_, Charging::Zero) if device >= 0 => Some(0),
                (Exports::Excluded, _) if device < 0 => {
                    let Some(net) = site_meter.map(|m| m.at(place)).transpose()?.flatten() else {
                        continue;
                    };
                    let left = net.min(Ratio::ZERO);
                    let device = Ratio::new(device.into(), self.parts.into())?;
                    // Both are negative: what stays on the site is the device's less the meter's, at most zero.
                    let used = device.checked_sub(left)?.min(Ratio::ZERO);
                    output.derived.insert(place, used);
                    None
                }
                _ => Some(device),
            };
        }
        Ok(output)
    }
}

/// The mean of those series that have a value at `place`, in milliwatt-hours, and how many they are.
pub(super) fn mean_of(series: &[Series], place: usize) -> Result<Option<(Ratio, u32)>, ArithmeticError> {
    let overflow = ArithmeticError::Overflow { operation: "sum" };
    let (mut sum, mut known) = (Ratio::ZERO, 0_u32);
    for one in series {
        let (value, count) = one.total(iter::once(place))?;
        sum = sum.checked_add(value)?;
        known = known.checked_add(count).ok_or(overflow)?;
    }
    if known == 0 {
        return Ok(None);
    }
    let mean = sum.checked_div(Ratio::whole(known.into()))?;
    Ok(Some((mean, known)))
}
