//! From a meter's two channels to the net energy, or the reason why there is none.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::channel::{Channel, Quantity};
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Interval;

use super::judge::Judged;
use crate::registry::Enrolment;
use crate::rules::program::Measurement;
use crate::rules::statement::{Event, Metered, MissingReason, Reading};

/// What a meter's channel says of one interval.
pub(super) type Value = Result<MilliwattHours, MissingReason>;

/// What the program measures of a site, used − given, for every interval of which anything is known. Where several
/// devices are measured, all have to be known.
///
/// Of an interval that is not conserved nobody can say which device told a lie. In the event nothing of it counts. In
/// what the event is compared with, the site's meter counts as it told: otherwise a lie about another device would
/// choose which hours the site is compared with. There is nothing to be gained by that: an interval in which more was drawn
/// is always conserved, so whoever lies about the meter needs no lie about another device.
#[must_use]
pub fn net(enrolment: &Enrolment, judged: &Judged, measurement: Measurement, event: &Event) -> Vec<Reading> {
    let mut sums: BTreeMap<Interval, Metered> = BTreeMap::new();
    let devices: Vec<_> = enrolment
        .metered(measurement)
        .map(|(used, given)| {
            (
                channel_values(judged, used, event),
                channel_values(judged, given, event),
            )
        })
        .collect();
    let known = devices
        .iter()
        .flat_map(|(used, given)| used.keys().chain(given.keys()));
    let intervals: BTreeSet<Interval> = known.copied().collect();
    for interval in intervals {
        let each = devices
            .iter()
            .map(|(used, given)| metered(used.get(&interval).copied(), given.get(&interval).copied()));
        if let Some(sum) = each.reduce(together) {
            sums.insert(interval, sum);
        }
    }
    let reading = |(interval, net)| Reading { interval, net };
    sums.into_iter().map(reading).collect()
}

/// Of two devices; of two reasons why one is not known the first.
fn together(one: Metered, other: Metered) -> Metered {
    match (one, other) {
        (Metered::Energy(a), Metered::Energy(b)) => match a.checked_add(b) {
            Ok(sum) => Metered::Energy(sum),
            Err(_) => Metered::Missing(MissingReason::Refused(Refusal::BeyondNameplate)),
        },
        (Metered::Missing(reason), _) | (_, Metered::Missing(reason)) => Metered::Missing(reason),
    }
}

/// Import − export of one interval.
pub(super) fn metered(import: Option<Value>, export: Option<Value>) -> Metered {
    let known = |value: Option<Value>| value.unwrap_or(Err(MissingReason::NotReceived));
    match known(import).and_then(|import| Ok((import, known(export)?))) {
        // Both are between nothing and a nameplate: their difference fits.
        Ok((import, export)) => match import.checked_sub(export) {
            Ok(net) => Metered::Energy(net),
            Err(_) => Metered::Missing(MissingReason::Refused(Refusal::BeyondNameplate)),
        },
        Err(reason) => Metered::Missing(reason),
    }
}

/// Whether the site's meter is believed although energy is not conserved.
pub(super) fn meter_counts(channel: Channel, refusal: Refusal, interval: Interval, event: &Event) -> bool {
    let start = interval.start();
    refusal == Refusal::NotConserved
        && matches!(channel.quantity, Quantity::GridImport | Quantity::GridExport)
        && !(event.start <= start && start < event.end)
}

fn channel_values(judged: &Judged, channel: Channel, event: &Event) -> BTreeMap<Interval, Value> {
    let mut values = BTreeMap::new();
    for (report, reason) in &judged.void {
        let missing = match reason {
            Refusal::Equivocation => MissingReason::Equivocation,
            other => MissingReason::Refused(*other),
        };
        for reading in report.readings().filter(|r| r.channel == channel) {
            // An interval that was signed twice stays void, whatever else was refused.
            let known = values.entry(reading.interval).or_insert(Err(missing));
            if missing == MissingReason::Equivocation {
                *known = Err(missing);
            }
        }
    }
    for (reading, refused) in judged.readings.iter().filter(|(r, _)| r.channel == channel) {
        let value = match (refused, reading.value) {
            (Some(reason), Ok(energy)) if meter_counts(channel, *reason, reading.interval, event) => {
                Ok(energy)
            }
            (Some(reason), _) => Err(MissingReason::Refused(*reason)),
            (None, Ok(energy)) => Ok(energy),
            (None, Err(missing)) => Err(MissingReason::Device(missing)),
        };
        let known = values.entry(reading.interval).or_insert(value);
        if *known != Err(MissingReason::Equivocation) {
            *known = value;
        }
    }
    values
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]
mod tests;
