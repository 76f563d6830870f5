//! Means of days.

use super::frame::{CandidateDay, Matches};
use super::series::Series;
use crate::rules::exact::{ArithmeticError, Ratio};

/// A day that is averaged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Averaged<'f> {
    pub day: &'f CandidateDay,
    /// What it counts; nothing where every reading counts the same.
    pub weight: Option<Ratio>,
}

/// A mean and the number of readings that it is of.
pub(super) type Mean = (Ratio, u32);

fn places(matches: &[Matches]) -> impl Iterator<Item = usize> {
    matches.iter().flatten().flatten().copied()
}

/// The mean of what is known at these places; `None` where nothing is.
pub(super) fn mean(series: &Series, matches: &[Matches]) -> Result<Option<Mean>, ArithmeticError> {
    let (total, known) = series.total(places(matches))?;
    if known == 0 {
        return Ok(None);
    }
    Ok(Some((total.checked_div(Ratio::whole(known.into()))?, known)))
}

/// For each of `count` intervals the mean of the days at its time of the clock; `None` where one has no reading
/// at all. A repeated hour counts with both its readings.
pub(super) fn averages<'f>(
    series: &Series,
    count: usize,
    days: &[Averaged<'f>],
    matches: impl Fn(&'f CandidateDay) -> &'f Vec<Matches>,
) -> Result<Option<Vec<Mean>>, ArithmeticError> {
    let mut averages = Vec::with_capacity(count);
    for i in 0..count {
        let of_day = |day: &Averaged<'f>| (matches(day.day).get(i).copied().unwrap_or_default(), day.weight);
        let average = if days.iter().any(|day| day.weight.is_some()) {
            weighted(series, days.iter().map(of_day))?
        } else {
            let matches: Vec<_> = days.iter().map(|day| of_day(day).0).collect();
            mean(series, &matches)?
        };
        match average {
            Some(average) => averages.push(average),
            None => return Ok(None),
        }
    }
    Ok(Some(averages))
}

/// The weighted mean of the days' means, over those days that have a reading.
fn weighted(
    series: &Series,
    days: impl Iterator<Item = (Matches, Option<Ratio>)>,
) -> Result<Option<Mean>, ArithmeticError> {
    let (mut sum, mut weights, mut readings) = (Ratio::ZERO, Ratio::ZERO, 0_u32);
    for (matches, weight) in days {
        let Some((mean, known)) = mean(series, &[matches])? else {
            continue;
        };
        let weight = weight.unwrap_or(Ratio::ZERO);
        sum = sum.checked_add(mean.checked_mul(weight)?)?;
        weights = weights.checked_add(weight)?;
        readings = readings.saturating_add(known); // two a day at most
    }
    if readings == 0 {
        return Ok(None);
    }
    Ok(Some((sum.checked_div(weights)?, readings)))
}
