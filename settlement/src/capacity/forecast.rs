//! What the meter would have shown in a test, from what it shows just before and after.
//!
//! The test is measured over the whole intervals of the meter that it touches: with half hours, one of them or two.
//! Before them and after them are as many as make up a quarter of an hour, one at least. The mean of an interval before
//! and the mean of one after, each times the number of intervals measured, are the two bounds of the forecast: the energy
//! would have been between them had use gone evenly from the one to the other. Nothing is estimated, and nothing rounded.

use std::collections::BTreeMap;

use gridtally_protocol::time::{IntervalLength, Timestamp};

use super::TEST_SECONDS;
use crate::events::revision::Window;
use crate::rules::exact::{ArithmeticError, Ratio};

/// What a site's meter counted, import less export in milliwatt-hours, by each interval's start.
pub type MeterReadings = BTreeMap<Timestamp, i64>;

/// The intervals that say something of a test, by their starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    /// Just before, in the order of time.
    pub before: Vec<Timestamp>,
    /// Those that the test touches.
    pub during: Vec<Timestamp>,
    /// Just after.
    pub after: Vec<Timestamp>,
    /// When the last of them ends.
    pub end: Timestamp,
}

impl Around {
    /// The intervals around a test that begins at `start`; `None` at the very edge of time.
    #[must_use]
    pub fn of(start: Timestamp, interval: IntervalLength) -> Option<Self> {
        let length = i64::from(interval.seconds());
        let beside = TEST_SECONDS
            .checked_add(length)?
            .checked_sub(1)?
            .checked_div(length)?;
        let reach = beside.checked_mul(length)?;
        let first = start.floor_to(interval);
        let last = start
            .checked_add(TEST_SECONDS)?
            .checked_add(-1)?
            .floor_to(interval);
        let past = last.checked_add(length)?;
        let end = past.checked_add(reach)?;
        let starts = |from: Timestamp, until: Timestamp| -> Vec<Timestamp> {
            std::iter::successors(Some(from), |at| at.checked_add(length))
                .take_while(|at| *at < until)
                .collect()
        };
        Some(Self {
            before: starts(first.checked_add(reach.checked_neg()?)?, first),
            during: starts(first, past),
            after: starts(past, end),
            end,
        })
    }

    /// When the first of them begins.
    #[must_use]
    pub fn start(&self) -> Option<Timestamp> {
        self.before.first().copied()
    }

    /// Whether a span of time has an instant in common with them.
    #[must_use]
    pub fn overlaps(&self, window: &Window) -> bool {
        self.start().is_none_or(|start| start < window.end) && window.start < self.end
    }
}

/// Why there is no forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForecastError {
    /// The meter's reading of an interval is not there.
    #[error("there is no reading of the site's meter of the interval that begins at {0}")]
    NoReading(Timestamp),
    /// The readings are implausibly large.
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
}

/// What a test is judged by, in milliwatt-hours over all intervals measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// The lower bound of what the meter would have shown.
    pub low: Ratio,
    /// The upper bound.
    pub high: Ratio,
    /// What it showed.
    pub metered: Ratio,
}

impl Forecast {
    /// From a meter's readings; those that are of other intervals count for nothing.
    ///
    /// # Errors
    /// [`ForecastError`] that names the first interval without a reading.
    pub fn of(around: &Around, readings: &MeterReadings) -> Result<Self, ForecastError> {
        let measured = count(&around.during)?;
        let before = expected(&around.before, readings, measured)?;
        let metered = sum(&around.during, readings)?;
        let after = expected(&around.after, readings, measured)?;
        Ok(Self {
            low: before.min(after),
            high: before.max(after),
            metered,
        })
    }

    /// What the test spared beyond doubt: the lower bound less what was metered. Below zero where it spared nothing.
    ///
    /// # Errors
    /// [`ArithmeticError`].
    pub fn spared_at_least(&self) -> Result<Ratio, ArithmeticError> {
        self.low.checked_sub(self.metered)
    }

    /// What it may have spared at most.
    ///
    /// # Errors
    /// [`ArithmeticError`].
    pub fn spared_at_most(&self) -> Result<Ratio, ArithmeticError> {
        self.high.checked_sub(self.metered)
    }
}

/// The energy of `measured` intervals that are each as the mean of those.
fn expected(starts: &[Timestamp], readings: &MeterReadings, measured: Ratio) -> Result<Ratio, ForecastError> {
    let mean = sum(starts, readings)?.checked_div(count(starts)?)?;
    Ok(mean.checked_mul(measured)?)
}

fn sum(starts: &[Timestamp], readings: &MeterReadings) -> Result<Ratio, ForecastError> {
    starts.iter().try_fold(Ratio::ZERO, |sum, start| {
        let energy = readings.get(start).ok_or(ForecastError::NoReading(*start))?;
        Ok(sum.checked_add(Ratio::whole((*energy).into()))?)
    })
}

fn count(starts: &[Timestamp]) -> Result<Ratio, ArithmeticError> {
    let count = i128::try_from(starts.len()).map_err(|_| ArithmeticError::Overflow { operation: "count" })?;
    Ok(Ratio::whole(count))
}
