//! Which intervals a meter's own signature proves: the highest of the tiers of trust. Pure.

use gridtally_protocol::channel::Quantity;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::Interval;

use super::{Parsed, Register, RegisterReading, Total};

/// A meter's clock may differ by this much from an interval's boundary.
pub const CLOCK_MILLIS_MAX: u64 = 2_000;
/// A meter that shows less exactly than 10 Wh proves nothing of an interval.
pub const RESOLUTION_MAX: MilliwattHours = MilliwattHours::new(10_000);

/// The total that counts a quantity, seen from the device: what it draws and what it gives.
#[must_use]
pub const fn register_of(quantity: Quantity) -> Option<Register> {
    match quantity {
        Quantity::GridImport | Quantity::BatteryCharge => Some(Register::Import),
        Quantity::GridExport | Quantity::BatteryDischarge | Quantity::PvProduction => Some(Register::Export),
        _ => None,
    }
}

/// Whether the meter itself has signed an interval's energy.
///
/// It has where two of its **verified** originals (of one meter, by what they say of themselves) give the total that counts the
/// quantity at both ends, within [`CLOCK_MILLIS_MAX`] of a clock that the meter knows to be right, and what the total grew by is
/// what was reported, within the meter's resolution.
#[must_use]
pub fn is_meter_signed(
    verified: &[Parsed<'_>],
    quantity: Quantity,
    interval: Interval,
    reported: MilliwattHours,
) -> bool {
    let Some(register) = register_of(quantity) else {
        return false;
    };
    let at = |second: i64| totals_at(verified, register, second);
    let ends: Vec<_> = at(interval.end().unix()).collect();
    at(interval.start().unix()).any(|(meter, from)| {
        let mut same = ends.iter().filter(|(other, _)| *other == meter);
        same.any(|(_, until)| agrees(from, *until, reported))
    })
}

fn totals_at<'a>(
    verified: &'a [Parsed<'_>],
    register: Register,
    second: i64,
) -> impl Iterator<Item = (&'a str, Total)> {
    let near = move |reading: &&RegisterReading| {
        reading.register == Some(register)
            && reading.sound
            && reading.synchronised
            && second
                .checked_mul(1_000)
                .is_some_and(|at| at.abs_diff(reading.at_millis) <= CLOCK_MILLIS_MAX)
    };
    verified.iter().flat_map(move |parsed| {
        let totals = parsed
            .readings
            .iter()
            .filter(near)
            .filter_map(|reading| reading.value);
        totals.map(|total| (parsed.meter.as_str(), total))
    })
}

fn agrees(from: Total, until: Total, reported: MilliwattHours) -> bool {
    // JSON may leave zeros at the end away: the more exact of the two says more of the meter.
    let resolution = from.resolution.min(until.resolution);
    let grown = until.energy.checked_sub(from.energy);
    grown.is_ok_and(|grown| {
        grown >= MilliwattHours::ZERO
            && resolution <= RESOLUTION_MAX
            && grown.get().abs_diff(reported.get()) <= resolution.get().unsigned_abs()
    })
}
