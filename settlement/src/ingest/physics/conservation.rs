//! Energy is conserved: what left the site and went into its batteries came from the grid, the sun or a battery.

use gridtally_protocol::channel::{Channel, Quantity};
use gridtally_protocol::refusal::Refusal;

use super::{COUNTER_STEP, Refused, Table};
use crate::registry::Enrolment;

/// Meters of different makes, read some seconds apart, differ by this much of what flows, in percent.
const DIFFERENCE_PERCENT: i128 = 10;

/// The readings of intervals in which more went out than came in. Only where the site has a source or a store
/// enrolled, and everything that it has gave a value: a home that has but its meter may hide any source.
pub(super) fn broken(enrolment: &Enrolment, table: &Table<'_>) -> Vec<(usize, Refused)> {
    let channels: Vec<Channel> = enrolment
        .devices
        .iter()
        .flat_map(|device| {
            device.quantities.iter().map(|quantity| Channel {
                device: device.number,
                quantity: *quantity,
            })
        })
        .filter(|channel| channel.quantity.is_energy())
        .collect();
    let beside_the_meter =
        |channel: &&Channel| !matches!(channel.quantity, Quantity::GridImport | Quantity::GridExport);
    if !channels.iter().any(|channel| beside_the_meter(&channel)) {
        return Vec::new();
    }
    let allowed = i128::try_from(enrolment.devices.len())
        .ok()
        .and_then(|devices| devices.checked_mul(COUNTER_STEP));
    let Some(allowed) = allowed else { return Vec::new() };
    (0..table.intervals)
        .filter_map(|interval| {
            let values: Option<Vec<_>> = channels
                .iter()
                .map(|channel| Some((channel.quantity, table.value(*channel, interval)?)))
                .collect();
            let values = values?;
            let (mut into, mut out) = (0_i128, 0_i128);
            for (quantity, (_, value)) in &values {
                let side = match quantity {
                    Quantity::GridExport | Quantity::BatteryCharge => &mut out,
                    _ => &mut into,
                };
                *side = side.checked_add(*value)?;
            }
            let most = into
                .checked_mul(DIFFERENCE_PERCENT.checked_add(100)?)?
                .checked_div(100)?
                .checked_add(allowed)?;
            if out <= most {
                return None;
            }
            let first = values.first().map_or(0, |(_, (place, _))| *place);
            let detail = format!(
                "{} in the interval from {}: {out} mWh left it or went into batteries, but only {into} mWh came from the \
                 grid, the sun and batteries; is every source behind the meter enrolled?",
                enrolment.site,
                table.start(first)
            );
            let refused = Refused::new(Refusal::NotConserved, detail);
            Some(values.into_iter().map(move |(_, (place, _))| (place, refused.clone())))
        })
        .flatten()
        .collect()
}
