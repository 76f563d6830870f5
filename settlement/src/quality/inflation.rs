//! Whether a home used more than usual between hearing of an event and its start: it would lift a baseline that is
//! fitted to the day. A flag for people to look at; the cap of the rule is what bounds the money.

use gridtally_protocol::quantity::MilliwattHours;

use crate::rules::baseline::Outcome;
use crate::rules::exact::Ratio;
use crate::rules::statement::SiteStatement;

/// Half as much again as on the days that it is compared with.
const MORE_NUMERATOR: i128 = 3;
const MORE_DENOMINATOR: i128 = 2;
/// And at least so much more in the windows together: half a kilowatt-hour.
const LEAST: MilliwattHours = MilliwattHours::new(500_000);

/// Whether the metered energy of the adjustment windows stands out: more than one and a half times what the compared days
/// have there, and half a kilowatt-hour more. `None` where the rule has no adjustment, or there is no baseline.
#[must_use]
pub fn inflated(site: &SiteStatement) -> Option<bool> {
    let Outcome::Baseline(explanation) = &site.baseline else {
        return None;
    };
    let fit = explanation.adjustment.as_ref()?;
    let usual = Ratio::new(MORE_NUMERATOR, MORE_DENOMINATOR)
        .ok()?
        .checked_mul(fit.average)
        .ok()?;
    let more = fit.metered.checked_sub(fit.average).ok()?;
    Some(fit.metered > usual && more >= Ratio::whole(i128::from(LEAST.get())))
}
