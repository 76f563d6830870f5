//! Warnings of what is paid for nothing.

use super::{Found, Kwh, Warning};
use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::payment::Netting;
use crate::rules::trial::accuracy::ADMITTED_PERCENT;
use crate::rules::trial::percent::Percent;

/// More phantom credit than this is worth a word.
const PHANTOM_PERCENT: u32 = 10;
const NOISE_PERCENT: u32 = 10;
const BIAS_PERCENT: u32 = 5;
const SATURATED_PERCENT: u32 = 50;

pub(super) fn accuracy(found: &Found<'_>, told: &mut Vec<Warning>) {
    let own = found.own;
    if let Some(rrmse) = own.rrmse.filter(|rrmse| rrmse.exceeds(ADMITTED_PERCENT)) {
        told.push(Warning::Inaccurate {
            rrmse,
            admitted: own.sites_admitted,
            sites: own.sites,
            better: found.better.map(|(rule, rrmse)| (rule.to_owned(), rrmse)),
        });
    }
    let much = |bias: &Percent| bias.hundredths().abs() > i128::from(BIAS_PERCENT).saturating_mul(100);
    told.extend(own.bias.filter(much).map(|bias| Warning::Biased { bias }));
}

pub(super) fn phantom(found: &Found<'_>, told: &mut Vec<Warning>) -> Result<(), ArithmeticError> {
    let total = found.total();
    let each = total.credited_each()?;
    if !each.is_positive() {
        return Ok(());
    }
    let site_events = found.came_to.iter().map(|event| {
        let without = event.without_baseline.saturating_add(event.not_in);
        event.sites.saturating_sub(without)
    });
    let site_events: usize = site_events.fold(0, usize::saturating_add);
    let credited = found.came_to.iter().map(|event| i128::from(event.credited.get()));
    let credited: i128 = credited.fold(0, i128::saturating_add);
    let in_kwh = |mwh: Ratio| mwh.round_half_even().map(Kwh);
    let count = i128::try_from(site_events).unwrap_or(i128::MAX);
    let expected = each.checked_mul(Ratio::whole(count))?.round_half_even()?;
    match Percent::of(expected, credited)? {
        Some(share) if share.exceeds(PHANTOM_PERCENT) => told.push(Warning::PhantomCredit {
            each: in_kwh(each)?,
            site_events,
            expected: Kwh(expected),
            credited: Kwh(credited),
            share,
        }),
        Some(_) => {}
        None => {
            let share = Percent::of(total.credited, total.load)?;
            if let Some(share) = share.filter(|share| share.exceeds(PHANTOM_PERCENT)) {
                let each = in_kwh(each)?;
                told.push(Warning::PhantomCreditOfUse { each, share });
            }
        }
    }
    let noise = total.credited.saturating_sub(total.netted);
    let share = Percent::of(noise, total.credited)?;
    if let Some(share) = share.filter(|share| share.exceeds(NOISE_PERCENT))
        && found.program.clip == Netting::Interval
    {
        told.push(Warning::ClipRewardsNoise {
            credited: Kwh(total.credited),
            noise: Kwh(noise),
            share,
        });
    }
    Ok(())
}

pub(super) fn saturation(found: &Found<'_>, told: &mut Vec<Warning>) {
    let saturation = found.saturation;
    if let Some((event, share)) = &saturation.worst
        && share.exceeds(SATURATED_PERCENT)
    {
        told.push(Warning::Saturated {
            event: event.clone(),
            share: *share,
        });
    }
    if let (Some(first), Some(share)) = (&saturation.first_short, saturation.share_short) {
        told.push(Warning::DaysRunOut {
            first: first.clone(),
            share,
        });
    }
}
