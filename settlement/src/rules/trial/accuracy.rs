//! How far a baseline is off on days without a dispatch.
//!
//! The error of an interval is `baseline − metered`: positive where the rule takes a home for thirstier than it was,
//! which is what it then pays for. Over all intervals that have both,
//!
//! - RRMSE = √(Σ error² / n) ÷ (Σ metered / n): the root of the mean squared error over the mean load;
//! - bias = Σ error ÷ Σ metered.
//!
//! Sums are exact; there is one square root, of an integer, and one rounding, to hundredths of a percent.

use std::collections::BTreeMap;

use serde::Serialize;

use super::percent::Percent;
use crate::rules::baseline::Outcome;
use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::statement::{SiteId, SiteStatement};

/// Some markets admit a baseline to a program only where its RRMSE is at most so many percent.
pub const ADMITTED_PERCENT: u32 = 20;

/// What one rule did at one site, or at many: sums that add up. Energies in milliwatt-hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Site-days that were tried: those of which every interval was metered.
    pub tried: u64,
    /// Those of them that had no baseline.
    pub without: u64,
    /// Intervals with a baseline.
    pub intervals: u64,
    /// Σ error².
    pub squares: u128,
    /// Σ error.
    pub errors: i128,
    /// Σ metered, where there is a baseline.
    pub load: i128,
    /// What was credited.
    pub credited: i128,
    /// What would have been, had each site-day been netted as a whole.
    pub netted: i128,
    /// What was earned, in base units.
    pub amount: i128,
}

const fn overflow(operation: &'static str) -> ArithmeticError {
    ArithmeticError::Overflow { operation }
}

fn sum(a: i128, b: i128) -> Result<i128, ArithmeticError> {
    a.checked_add(b).ok_or(overflow("sum"))
}

fn count(a: u64, b: u64) -> Result<u64, ArithmeticError> {
    a.checked_add(b).ok_or(overflow("count"))
}

impl Tally {
    /// One site on one day; nothing where an interval was not metered.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where a sum does not fit.
    pub fn of(site: &SiteStatement) -> Result<Option<Self>, ArithmeticError> {
        if site.lines.is_empty() || site.lines.iter().any(|line| line.metered.is_none()) {
            return Ok(None);
        }
        let mut tally = Self {
            tried: 1,
            credited: site.totals.credited.get().into(),
            amount: site.totals.amount.base_units(),
            ..Self::default()
        };
        if matches!(site.baseline, Outcome::NoBaseline(_)) {
            tally.without = 1;
            return Ok(Some(tally));
        }
        for line in &site.lines {
            if let (Some(error), Some(metered)) = (line.delta, line.metered) {
                tally.add(error.get(), metered.get())?;
            }
        }
        tally.netted = tally.errors.max(0);
        Ok(Some(tally))
    }

    /// Adds an interval.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where a sum does not fit.
    pub fn add(&mut self, error: i64, metered: i64) -> Result<(), ArithmeticError> {
        let size = u128::from(error.unsigned_abs());
        let square = size.checked_mul(size);
        let squares = square.and_then(|s| self.squares.checked_add(s));
        self.squares = squares.ok_or(overflow("sum of squares"))?;
        self.errors = sum(self.errors, error.into())?;
        self.load = sum(self.load, metered.into())?;
        self.intervals = count(self.intervals, 1)?;
        Ok(())
    }

    /// Both together.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where a sum does not fit.
    pub fn with(&self, more: &Self) -> Result<Self, ArithmeticError> {
        let squares = self.squares.checked_add(more.squares);
        Ok(Self {
            tried: count(self.tried, more.tried)?,
            without: count(self.without, more.without)?,
            intervals: count(self.intervals, more.intervals)?,
            squares: squares.ok_or(overflow("sum of squares"))?,
            errors: sum(self.errors, more.errors)?,
            load: sum(self.load, more.load)?,
            credited: sum(self.credited, more.credited)?,
            netted: sum(self.netted, more.netted)?,
            amount: sum(self.amount, more.amount)?,
        })
    }

    /// Site-days with a baseline.
    #[must_use]
    pub const fn with_baseline(&self) -> u64 {
        self.tried.saturating_sub(self.without)
    }

    /// The root of the mean squared error over the mean load; nothing where the load is not above zero.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where a sum does not fit.
    pub fn rrmse(&self) -> Result<Option<Percent>, ArithmeticError> {
        // √(Σe²/n) ÷ (Σm/n) = √(n Σe²) ÷ Σm
        let product = u128::from(self.intervals).checked_mul(self.squares);
        let (root, scale) = root(product.ok_or(overflow("mean of squares"))?);
        let load = self.load.checked_mul(scale).ok_or(overflow("load"))?;
        Percent::of(i128::try_from(root).map_err(|_| overflow("root"))?, load)
    }

    /// Σ error ÷ Σ metered: positive where the rule credits too much; nothing where the load is not above zero.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where it does not fit.
    pub fn bias(&self) -> Result<Option<Percent>, ArithmeticError> {
        Percent::of(self.errors, self.load)
    }

    /// The share of the tried site-days that have no baseline.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where it does not fit.
    pub fn share_without(&self) -> Result<Option<Percent>, ArithmeticError> {
        Percent::of(self.without.into(), self.tried.into())
    }

    /// What was credited for a site-day that has a baseline, in milliwatt-hours.
    ///
    /// # Errors
    /// [`ArithmeticError`] where it does not fit.
    pub fn credited_each(&self) -> Result<Ratio, ArithmeticError> {
        match self.with_baseline() {
            0 => Ok(Ratio::ZERO),
            days => Ratio::new(self.credited, days.into()),
        }
    }
}

/// The square root of `square` times a scale, rounded down, and the scale: the greatest power of ten up to a million with
/// which it fits, so that small squares keep their decimals. The one square root here.
fn root(square: u128) -> (u128, i128) {
    let mut scale = 1_000_000_u32;
    loop {
        let scaled = square.checked_mul(u128::from(scale).saturating_mul(scale.into()));
        match scaled {
            Some(scaled) => return (scaled.isqrt(), scale.into()),
            None => scale = scale.checked_div(10).unwrap_or(1).max(1),
        }
    }
}

/// What a rule did at each site.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tallies {
    sites: BTreeMap<SiteId, Tally>,
}

impl Tallies {
    /// Adds a site's day.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where a sum does not fit.
    pub fn add(&mut self, site: &SiteStatement) -> Result<(), ArithmeticError> {
        if let Some(tally) = Tally::of(site)? {
            self.join_site(&site.site, &tally)?;
        }
        Ok(())
    }

    fn join_site(&mut self, site: &SiteId, more: &Tally) -> Result<(), ArithmeticError> {
        let known = self.sites.get(site).copied().unwrap_or_default();
        self.sites.insert(site.clone(), known.with(more)?);
        Ok(())
    }

    /// Adds what others have tallied; the order has no meaning.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where a sum does not fit.
    pub fn join(&mut self, more: &Self) -> Result<(), ArithmeticError> {
        more.sites
            .iter()
            .try_for_each(|(site, tally)| self.join_site(site, tally))
    }

    /// All sites together.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] where a sum does not fit.
    pub fn total(&self) -> Result<Tally, ArithmeticError> {
        self.sites
            .values()
            .try_fold(Tally::default(), |sum, tally| sum.with(tally))
    }

    /// What is to be told.
    ///
    /// # Errors
    /// [`ArithmeticError`] where a figure does not fit.
    pub fn accuracy(&self) -> Result<Accuracy, ArithmeticError> {
        let total = self.total()?;
        let (mut judged, mut admitted) = (0_u64, 0_u64);
        for tally in self.sites.values() {
            if let Some(rrmse) = tally.rrmse()?
                && tally.intervals > 0
            {
                judged = count(judged, 1)?;
                admitted = count(admitted, u64::from(!rrmse.exceeds(ADMITTED_PERCENT)))?;
            }
        }
        Ok(Accuracy {
            rrmse: total.rrmse()?,
            bias: total.bias()?,
            share_without: total.share_without()?,
            sites: judged,
            sites_admitted: admitted,
            total,
        })
    }
}

/// How accurate a rule was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Accuracy {
    /// The root of the mean squared error over the mean load, of all sites' intervals together.
    pub rrmse: Option<Percent>,
    /// The mean error over the mean load.
    pub bias: Option<Percent>,
    /// Which share of the site-days has no baseline.
    pub share_without: Option<Percent>,
    /// Sites that have an RRMSE of their own.
    pub sites: u64,
    /// Those of them with at most [`ADMITTED_PERCENT`].
    pub sites_admitted: u64,
    /// The sums behind.
    #[serde(skip)]
    pub total: Tally,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally(intervals: &[(i64, i64)]) -> Tally {
        let mut tally = Tally::default();
        for (error, metered) in intervals {
            tally.add(*error, *metered).unwrap();
        }
        tally
    }

    fn shown(percent: Result<Option<Percent>, ArithmeticError>) -> String {
        percent
            .unwrap()
            .map_or_else(|| "none".to_owned(), |p| p.to_string())
    }

    #[test]
    fn the_error_of_two_intervals_worked_by_hand() {
        // Baselines of 10 and 10 against 8 and 12: √(8/2) = 2 over a mean load of 10.
        let both = tally(&[(2, 8), (-2, 12)]);
        assert_eq!(
            (shown(both.rrmse()), shown(both.bias())),
            ("20.00".into(), "0.00".into())
        );
        // 3 and 5 too high against 10 and 20: √(34/2) = 4.1231 over 15; 8 of 30.
        let high = tally(&[(3, 10), (5, 20)]);
        assert_eq!(
            (shown(high.rrmse()), shown(high.bias())),
            ("27.49".into(), "26.67".into())
        );
        // One too low: −1 of 3.
        assert_eq!(shown(tally(&[(-1, 3)]).bias()), "-33.33");
    }

    #[test]
    fn a_site_that_exports_on_the_whole_has_no_relative_error() {
        let exporter = tally(&[(2, -8), (-2, 8)]);
        assert_eq!((exporter.rrmse(), exporter.bias()), (Ok(None), Ok(None)));
        assert_eq!(Tally::default().rrmse(), Ok(None));
    }

    #[test]
    fn implausible_errors_are_refused_and_never_wrap() {
        let mut huge = tally(&[(i64::MAX, 1)]);
        for _ in 0..2 {
            huge.add(i64::MAX, 1).unwrap();
        }
        huge.intervals = u64::MAX;
        assert!(huge.rrmse().is_err());
        // The squares of three do fit, with fewer decimals.
        huge.intervals = 1;
        assert!(huge.rrmse().is_ok());
    }

    fn intervals() -> impl Strategy<Value = Vec<(i64, i64)>> {
        proptest::collection::vec((-3_000_000_i64..3_000_000, 1_i64..5_000_000), 1..60)
    }

    proptest! {
        #[test]
        fn a_perfect_baseline_has_neither_error_nor_bias(loads in proptest::collection::vec(1_i64..5_000_000, 1..60)) {
            let perfect: Vec<_> = loads.iter().map(|load| (0, *load)).collect();
            let perfect = tally(&perfect);
            prop_assert_eq!(shown(perfect.rrmse()), "0.00");
            prop_assert_eq!(shown(perfect.bias()), "0.00");
        }

        #[test]
        fn larger_homes_with_the_same_shape_have_the_same_error(of in intervals(), times in 1_i64..1_000) {
            let scaled: Vec<_> = of.iter().map(|(e, m)| (e * times, m * times)).collect();
            prop_assert_eq!(tally(&scaled).rrmse().unwrap(), tally(&of).rrmse().unwrap());
            prop_assert_eq!(tally(&scaled).bias().unwrap(), tally(&of).bias().unwrap());
        }

        #[test]
        fn the_order_of_parts_has_no_meaning(of in intervals(), at in 0_usize..60) {
            let (left, right) = of.split_at(at.min(of.len()));
            let (left, right) = (tally(left), tally(right));
            prop_assert_eq!(left.with(&right).unwrap(), tally(&of));
            prop_assert_eq!(right.with(&left).unwrap(), tally(&of));
        }

        #[test]
        fn the_root_is_the_greatest_whose_square_does_not_exceed(square in any::<u128>()) {
            let (root, scale) = root(square);
            let scale = u128::try_from(scale).unwrap();
            let scaled = num_bigint::BigUint::from(square) * scale * scale;
            let of = |n: u128| num_bigint::BigUint::from(n) * n;
            prop_assert!(of(root) <= scaled && scaled < of(root + 1));
        }

        #[test]
        fn the_bias_is_never_larger_than_the_error(of in intervals()) {
            let tally = tally(&of);
            let (error, bias) = (tally.rrmse().unwrap().unwrap(), tally.bias().unwrap().unwrap());
            prop_assert!(bias.hundredths().abs() <= error.hundredths() + 1, "{bias} {error}");
        }
    }
}
