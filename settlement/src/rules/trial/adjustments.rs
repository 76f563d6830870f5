//! What the same-day adjustment of the program's own rule did.

use serde::Serialize;

use crate::rules::baseline::Applied;
use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::statement::SiteStatement;

/// A window's average is near zero below this share of the site's mean reading: then a ratio to it means little.
const NEAR_ZERO: (i128, i128) = (1, 10);

/// The adjustments of many sites and days: counts that add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Adjustments {
    /// How many there were.
    pub cases: u64,
    /// In how many of them the cap changed what was applied.
    pub capped: u64,
    /// In how many a ratio had no meaning, because the average was zero or below.
    pub undefined: u64,
    /// In how many the average was above zero, but below a tenth of the site's mean reading.
    pub near_zero: u64,
    /// The least that was applied: a factor, or milliwatt-hours for each interval.
    pub least: Option<Ratio>,
    /// The most.
    pub most: Option<Ratio>,
}

impl Adjustments {
    /// Adds what was applied at a site whose readings have this mean size.
    ///
    /// # Errors
    /// [`ArithmeticError`] where a value does not fit.
    pub fn add(&mut self, site: &SiteStatement, mean_size: Ratio) -> Result<(), ArithmeticError> {
        let explanation = site.baseline.explanation().filter(|e| e.instead_of.is_none());
        let Some(applied) = explanation.and_then(|e| e.adjustment.as_ref()) else {
            return Ok(());
        };
        *self = self.with(&Self {
            cases: 1,
            capped: applied.capped.into(),
            undefined: applied.undefined.into(),
            near_zero: is_near_zero(applied, mean_size)?.into(),
            least: Some(applied.applied),
            most: Some(applied.applied),
        });
        Ok(())
    }

    /// Both together.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        let of = |pick: fn(Ratio, Ratio) -> Ratio, a: Option<Ratio>, b: Option<Ratio>| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (one, other) => one.or(other),
        };
        Self {
            cases: self.cases.saturating_add(more.cases),
            capped: self.capped.saturating_add(more.capped),
            undefined: self.undefined.saturating_add(more.undefined),
            near_zero: self.near_zero.saturating_add(more.near_zero),
            least: of(Ratio::min, self.least, more.least),
            most: of(Ratio::max, self.most, more.most),
        }
    }
}

fn is_near_zero(applied: &Applied, mean_size: Ratio) -> Result<bool, ArithmeticError> {
    if !applied.average.is_positive() || applied.intervals == 0 {
        return Ok(false);
    }
    let each = applied
        .average
        .checked_div(Ratio::whole(applied.intervals.into()))?;
    let (part, whole) = NEAR_ZERO;
    Ok(each < mean_size.checked_mul(Ratio::new(part, whole)?)?)
}
