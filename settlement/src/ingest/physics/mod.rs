//! What cannot be, whoever signed it: checks of a report against the physics of its site. Pure, like the other checks:
//! the same report and enrolment give the same verdict when it comes, when an event is settled, and when a stranger
//! verifies it.
//!
//! They are hard and wide: each bound is one that no honest device passes, with the noise that real ones have, and what is
//! beyond it is refused for that interval and channel alone. Each needs something that the enrolment says: the sun its
//! place, the store its capacity, conservation that every source behind the meter is enrolled.

mod conservation;
mod storage;
mod sun;

use gridtally_protocol::channel::{Channel, Quantity};
use gridtally_protocol::location::CoarseLocation;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{Reading, Report};
use gridtally_protocol::time::Interval;

use self::sun::Light;
use super::checks::{self, Refused};
use crate::registry::Enrolment;

/// What an inverter may still count where it is dark: standby, and the rounding of counters; in thousandths of its
/// nameplate.
const DARK_PER_MILLE: u32 = 10;
/// Counters of inverters step by up to 100 Wh.
const COUNTER_STEP: i128 = 100_000;

/// Whether the sun stands high enough in an interval for panels to give something, by far.
pub(crate) fn is_bright(place: CoarseLocation, interval: Interval) -> bool {
    sun::light(place, interval) == Light::Enough
}

/// Every reading of a report, in its order, and why it cannot be, where it cannot.
#[must_use]
pub fn examine(enrolment: &Enrolment, report: &Report) -> Vec<(Reading, Result<(), Refused>)> {
    let mut examined: Vec<_> = report
        .readings()
        .map(|reading| (reading, checks::check_reading(enrolment, &reading)))
        .collect();
    against_the_sun(enrolment, report, &mut examined);
    let table = Table::new(report, &examined);
    let beyond = storage::beyond(enrolment, &table).into_iter();
    let refusals: Vec<_> = beyond.chain(conservation::broken(enrolment, &table)).collect();
    for (place, refused) in refusals {
        refuse(&mut examined, place, refused);
    }
    examined
}

fn refuse(examined: &mut [(Reading, Result<(), Refused>)], place: usize, refused: Refused) {
    if let Some((_, verdict @ Ok(()))) = examined.get_mut(place) {
        *verdict = Err(refused);
    }
}

fn against_the_sun(enrolment: &Enrolment, report: &Report, examined: &mut [(Reading, Result<(), Refused>)]) {
    let Some(place) = enrolment.location else { return };
    let mut lights: Vec<Option<Light>> = vec![None; report.interval_count()];
    for (index, (reading, verdict)) in examined.iter_mut().enumerate() {
        let (Ok(value), Quantity::PvProduction) = (reading.value, reading.channel.quantity) else {
            continue;
        };
        let Some(device) = enrolment.device_of(reading.channel) else {
            continue;
        };
        let interval = index.checked_rem(lights.len()).and_then(|n| lights.get_mut(n));
        let Some(known) = interval else { continue };
        let light = *known.get_or_insert_with(|| sun::light(place, reading.interval));
        let (per_mille, reason) = match light {
            Light::Enough => continue,
            Light::Dark => (DARK_PER_MILLE, Refusal::NoSun),
            Light::AtMost(most) => (most, Refusal::BeyondClearSky),
        };
        let step = if reason == Refusal::NoSun { 0 } else { COUNTER_STEP };
        if verdict.is_err()
            || within(
                value,
                device.nameplate_milliwatts,
                reading.interval.length().seconds(),
                per_mille,
                step,
            )
        {
            continue;
        }
        let sky = if reason == Refusal::NoSun {
            "the sun is far below the horizon".to_owned()
        } else {
            format!("a clear sky gives {per_mille} thousandths at most")
        };
        *verdict = Err(Refused::new(
            reason,
            format!(
                "{} of {} in the interval from {}: {} mWh from a device of {} W at {place}, where {sky}",
                reading.channel,
                enrolment.site,
                reading.interval.start(),
                value.get(),
                device.nameplate_milliwatts
            ),
        ));
    }
}

/// `value ≤ nameplate × Δt × per_mille / 1000 + step`, exactly.
fn within(value: MilliwattHours, nameplate: Milliwatts, seconds: u32, per_mille: u32, step: i128) -> bool {
    let beyond = i128::from(value.get())
        .checked_sub(step)
        .and_then(|beyond| beyond.checked_mul(3_600_000));
    let possible = i128::from(nameplate.get())
        .checked_mul(i128::from(seconds))
        .and_then(|p| p.checked_mul(i128::from(per_mille)));
    matches!((beyond, possible), (Some(beyond), Some(possible)) if beyond <= possible)
}

/// The values of a report that stood so far, by channel and interval.
struct Table<'e> {
    intervals: usize,
    channels: Vec<Channel>,
    examined: &'e [(Reading, Result<(), Refused>)],
}

impl<'e> Table<'e> {
    fn new(report: &Report, examined: &'e [(Reading, Result<(), Refused>)]) -> Self {
        Self {
            intervals: report.interval_count(),
            channels: report.series.iter().map(|series| series.channel).collect(),
            examined,
        }
    }

    /// Where a channel's reading of an interval stands in the report.
    fn place(&self, channel: Channel, interval: usize) -> Option<usize> {
        let series = self.channels.binary_search(&channel).ok()?;
        series.checked_mul(self.intervals)?.checked_add(interval)
    }

    /// The place and the value, where there is one that stands.
    fn value(&self, channel: Channel, interval: usize) -> Option<(usize, i128)> {
        let place = self.place(channel, interval)?;
        let (reading, Ok(())) = self.examined.get(place)? else {
            return None;
        };
        // What was left out of the readings would shift the places: then nothing can be said.
        if reading.channel != channel {
            return None;
        }
        Some((place, i128::from(reading.value.ok()?.get())))
    }

    fn start(&self, place: usize) -> String {
        let reading = self.examined.get(place);
        reading.map_or_else(String::new, |(reading, _)| reading.interval.start().to_string())
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]
mod tests;
