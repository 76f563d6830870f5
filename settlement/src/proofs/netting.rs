//! From a meter's two channels to the net energy, or the reason why there is none.

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
    let devices = enrolment.metered(measurement).map(|(used, given)| {
        let used = channel_values(judged, used, event);
        join(&used, &channel_values(judged, given, event), metered)
    });
    let unknown = Metered::Missing(MissingReason::NotReceived);
    let either = |one: Option<Metered>, other: Option<Metered>| {
        together(one.unwrap_or(unknown), other.unwrap_or(unknown))
    };
    let sums = devices
        .reduce(|sums, device| join(&sums, &device, either))
        .unwrap_or_default();
    let reading = |(interval, net)| Reading { interval, net };
    sums.into_iter().map(reading).collect()
}

/// What is made of two lists in the order of intervals, for every interval of either.
fn join<A: Copy, B: Copy, C>(
    left: &[(Interval, A)],
    right: &[(Interval, B)],
    make: impl Fn(Option<A>, Option<B>) -> C,
) -> Vec<(Interval, C)> {
    let mut joined = Vec::with_capacity(left.len().max(right.len()));
    let (mut left, mut right) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    loop {
        let interval = match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) => *a.min(b),
            (Some((one, _)), None) | (None, Some((one, _))) => *one,
            (None, None) => return joined,
        };
        let a = left.next_if(|(at, _)| *at == interval).map(|(_, a)| a);
        let b = right.next_if(|(at, _)| *at == interval).map(|(_, b)| b);
        joined.push((interval, make(a, b)));
    }
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

/// What a channel says of each interval, in their order.
fn channel_values(judged: &Judged, channel: Channel, event: &Event) -> Vec<(Interval, Value)> {
    const SIGNED_TWICE: Value = Err(MissingReason::Equivocation);
    let void = judged.void.iter().flat_map(|(report, reason)| {
        let missing = match reason {
            Refusal::Equivocation => MissingReason::Equivocation,
            other => MissingReason::Refused(*other),
        };
        let readings = report.readings().filter(|reading| reading.channel == channel);
        readings.map(move |reading| (reading.interval, Err(missing), true))
    });
    let read = judged.readings.iter().filter(|(r, _)| r.channel == channel);
    let read = read.map(|(reading, refused)| {
        let value = match (refused, reading.value) {
            (Some(reason), Ok(energy)) if meter_counts(channel, *reason, reading.interval, event) => {
                Ok(energy)
            }
            (Some(reason), _) => Err(MissingReason::Refused(*reason)),
            (None, Ok(energy)) => Ok(energy),
            (None, Err(missing)) => Err(MissingReason::Device(missing)),
        };
        (reading.interval, value, false)
    });
    let mut said: Vec<(Interval, Value, bool)> = void.chain(read).collect();
    // Stable: what is void stands before what was read, and of what was read the last one counts.
    said.sort_by_key(|(interval, _, _)| *interval);
    let mut values: Vec<(Interval, Value)> = Vec::with_capacity(said.len());
    for (interval, value, is_void) in said {
        match values.last_mut().filter(|(last, _)| *last == interval) {
            None => values.push((interval, value)),
            // An interval that was signed twice stays void, whatever else was said.
            Some((_, known)) if *known == SIGNED_TWICE || (is_void && value != SIGNED_TWICE) => {}
            Some((_, known)) => *known = value,
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
