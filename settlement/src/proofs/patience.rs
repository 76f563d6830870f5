//! When an event may be settled: once every site has shown what came after it, or when waiting would not help.

use std::collections::BTreeMap;

use gridtally_protocol::identity::Identity;
use gridtally_protocol::time::Timestamp;

use crate::ingest::checks::PROMPT_SECONDS_MAX;
use crate::registry::Enrolment;
use crate::rules::statement::SiteId;

/// How long a settlement waits for sites that have not reported yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until each site has reported beyond the event's end, or [`deadline`] has passed.
    Deadline,
    /// Not at all: whoever has not reported yet earns nothing by this statement.
    None,
}

/// After this nobody is waited for: 36 hours after the event's end.
#[must_use]
pub fn deadline(event_end: Timestamp) -> Timestamp {
    event_end.checked_add(PROMPT_SECONDS_MAX).unwrap_or(event_end)
}

/// The sites that are to be waited for, in order of their names: those of whose reports none reaches the
/// event's end, as long as the deadline has not passed.
#[must_use]
pub fn awaited(
    patience: Patience,
    enrolments: &[Enrolment],
    reported_until: &BTreeMap<Identity, Timestamp>,
    event_end: Timestamp,
    now: Timestamp,
) -> Vec<SiteId> {
    if patience == Patience::None || now >= deadline(event_end) {
        return Vec::new();
    }
    let mut awaited: Vec<SiteId> = enrolments
        .iter()
        .filter(|enrolment| {
            reported_until
                .get(&enrolment.gateway)
                .is_none_or(|until| *until < event_end)
        })
        .map(|enrolment| enrolment.site.clone())
        .collect();
    awaited.sort();
    awaited
}
