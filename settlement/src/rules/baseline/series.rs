//! One site's metered energy, laid out for one event.

use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::{Interval, Timestamp};

use super::frame::Frame;

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
        })
    }

    /// How many units make a milliwatt-hour.
    #[must_use]
    pub const fn parts(&self) -> i64 {
        self.parts
    }

    pub(super) fn at(&self, place: usize) -> Option<i64> {
        self.values.get(place).copied().flatten()
    }
}
