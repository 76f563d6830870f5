//! From a meter's two channels to the site's net energy, or the reason why there is none.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::channel::{Channel, Quantity};
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Interval;

use super::judge::Judged;
use crate::registry::Enrolment;
use crate::rules::statement::{Metered, MissingReason, Reading};

/// What a meter's channel says of one interval.
pub(super) type Value = Result<MilliwattHours, MissingReason>;

/// Import − export of the site's meter, for every interval of which anything is known.
#[must_use]
pub fn net(enrolment: &Enrolment, judged: &Judged) -> Vec<Reading> {
    let Some(meter) = enrolment.grid_meter() else {
        return Vec::new();
    };
    let import = channel_values(
        judged,
        Channel {
            device: meter,
            quantity: Quantity::GridImport,
        },
    );
    let export = channel_values(
        judged,
        Channel {
            device: meter,
            quantity: Quantity::GridExport,
        },
    );
    let intervals: BTreeSet<Interval> = import.keys().chain(export.keys()).copied().collect();
    let reading = |interval: Interval| Reading {
        interval,
        net: metered(import.get(&interval).copied(), export.get(&interval).copied()),
    };
    intervals.into_iter().map(reading).collect()
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

fn channel_values(judged: &Judged, channel: Channel) -> BTreeMap<Interval, Value> {
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
