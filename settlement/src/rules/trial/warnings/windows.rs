//! Warnings of the adjustment and its windows.

use super::{Found, Kwh, Warning, shown};
use crate::rules::baseline::{Adjustment, Anchor, Window};
use crate::rules::exact::ArithmeticError;
use crate::rules::trial::percent::Percent;

/// A cap that is reached more often decides by itself.
const CAPPED_PERCENT: u32 = 10;

pub(super) fn gaming(found: &Found<'_>, told: &mut Vec<Warning>) {
    for window in found.program.baseline.windows() {
        match window.anchor {
            Anchor::BeforeStart => told.extend(before_start(found, window)),
            Anchor::AfterEnd => told.push(Warning::GamingWindowAfter {
                from_minutes: window.from_minutes,
                to_minutes: window.to_minutes,
            }),
            Anchor::BeforeNotification => {}
        }
    }
}

fn before_start(found: &Found<'_>, window: &Window) -> Option<Warning> {
    let Window {
        from_minutes,
        to_minutes,
        ..
    } = *window;
    let notices = || {
        found
            .times()
            .map(|t| t.start.seconds_since(t.announced_at).div_euclid(60))
    };
    let known = |notice: i64| notice.min(from_minutes.into()).saturating_sub(to_minutes.into());
    let notice_minutes = notices().max()?;
    let known_minutes = known(notice_minutes);
    (known_minutes > 0).then(|| Warning::GamingWindow {
        from_minutes,
        to_minutes,
        notice_minutes,
        known_minutes,
        times: notices().filter(|notice| known(*notice) > 0).count(),
        of: notices().count(),
    })
}

pub(super) fn adjustments(found: &Found<'_>, told: &mut Vec<Warning>) -> Result<(), ArithmeticError> {
    let did = found.adjustments;
    let (Some(least), Some(most)) = (did.least, did.most) else {
        return Ok(());
    };
    match &found.program.baseline.adjustment {
        Adjustment::None => return Ok(()),
        Adjustment::Ratio { cap, .. } => {
            let feeding_in = found.sites.iter().filter(|site| site.feeds_in()).count();
            if feeding_in > 0 || did.undefined > 0 || did.near_zero > 0 {
                told.push(Warning::NetMeteredRatio {
                    feeding_in,
                    sites: found.sites.len(),
                    undefined: did.undefined,
                    near_zero: did.near_zero,
                    cases: did.cases,
                });
            }
            if cap.is_none() {
                let (least, most) = (shown(least, 2)?, shown(most, 2)?);
                told.push(Warning::UncappedRatio { least, most });
            }
        }
        Adjustment::Additive { cap, .. } => {
            if cap.is_none() {
                let (least, most) = (Kwh(least.round_half_even()?), Kwh(most.round_half_even()?));
                told.push(Warning::UncappedAddend { least, most });
            }
        }
    }
    let share = Percent::of(did.capped.into(), did.cases.into())?;
    if let Some(share) = share.filter(|share| share.exceeds(CAPPED_PERCENT)) {
        told.push(Warning::CapReached {
            capped: did.capped,
            cases: did.cases,
            share,
        });
    }
    Ok(())
}
