//! A battery gives what it held: energy out, less energy in, is no more than its state of charge gave away.

use gridtally_protocol::channel::{Channel, Quantity};
use gridtally_protocol::refusal::Refusal;

use super::{COUNTER_STEP, Refused, Table};
use crate::registry::{EnrolledDevice, Enrolment};

/// No battery gives more than this percent of what went in, or of what its state of charge gave away: its meters are
/// not exact.
const EFFICIENCY_MOST_PERCENT: i128 = 102;
/// A state of charge is told in whole percents, and set right now and then: so many percent of the capacity are let pass.
const CHARGE_UNSURE_PERCENT: i128 = 5;
/// A full state of charge, in thousandths of a percent.
const FULL: i128 = 100_000;

/// The readings of battery energy that the state of charge belies. It is reckoned from the first state of charge in the
/// report on, and anew after one that is missing or does not hold.
pub(super) fn beyond(enrolment: &Enrolment, table: &Table<'_>) -> Vec<(usize, Refused)> {
    enrolment
        .devices
        .iter()
        .filter_map(|device| Some((device, i128::from(device.capacity_milliwatt_hours?.get()))))
        .flat_map(|(device, capacity)| of_battery(enrolment, device, capacity, table))
        .collect()
}

/// From where a battery's energy is reckoned.
#[derive(Clone, Copy)]
struct Since {
    charge: i128,
    taken: i128,
    given: i128,
}

fn of_battery(
    enrolment: &Enrolment,
    device: &EnrolledDevice,
    capacity: i128,
    table: &Table<'_>,
) -> Vec<(usize, Refused)> {
    let channel = |quantity| Channel {
        device: device.number,
        quantity,
    };
    let mut since: Option<Since> = None;
    let mut beyond = Vec::new();
    for interval in 0..table.intervals {
        let of = |quantity| table.value(channel(quantity), interval);
        let charge = of(Quantity::StateOfCharge).map(|(_, charge)| charge);
        let anew = charge.map(|charge| Since {
            charge,
            taken: 0,
            given: 0,
        });
        let energies = (of(Quantity::BatteryCharge), of(Quantity::BatteryDischarge));
        let (Some(before), Some(charge), (Some((taken_at, taken)), Some((given_at, given)))) =
            (since, charge, energies)
        else {
            since = anew;
            continue;
        };
        let sums = before
            .taken
            .checked_add(taken)
            .zip(before.given.checked_add(given));
        let Some((taken, given)) = sums else {
            since = anew;
            continue;
        };
        let possible = possible(before.charge, charge, taken, capacity);
        if possible.is_some_and(|possible| given <= possible) {
            since = Some(Since {
                taken,
                given,
                ..before
            });
            continue;
        }
        let detail = format!(
            "device {} of {} until the interval from {}: {given} mWh came out and {taken} mWh went in while its state of \
             charge went from {} to {charge} thousandths of a percent of {capacity} mWh",
            device.number,
            enrolment.site,
            table.start(given_at),
            before.charge
        );
        let refused = Refused::new(Refusal::BeyondStorage, detail);
        beyond.extend([taken_at, given_at].map(|place| (place, refused.clone())));
        since = anew;
    }
    beyond
}

/// `1.02 × (what the state of charge gave away + what went in) + 5 % of the capacity + a counter's step`.
fn possible(from: i128, to: i128, taken: i128, capacity: i128) -> Option<i128> {
    let gave = from.checked_sub(to)?.checked_mul(capacity)?.checked_div(FULL)?;
    let unsure = capacity.checked_mul(CHARGE_UNSURE_PERCENT)?.checked_div(100)?;
    gave.checked_add(taken)?
        .checked_mul(EFFICIENCY_MOST_PERCENT)?
        .checked_div(100)?
        .checked_add(unsure)?
        .checked_add(COUNTER_STEP)
}
