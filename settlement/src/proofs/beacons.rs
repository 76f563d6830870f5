//! The beacons in the evidence, and what a program that demands freshness makes of them.

use gridtally_protocol::beacon::{Beacon, TrustTier};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::time::Timestamp;

use super::derive::{Counts, DeriveError, DeriveProblem, at};
use super::evidence::Evidence;
use super::judge::Judged;
use crate::ingest::Beacons;
use crate::rules::program::{Freshness, Program};
use crate::rules::statement::{Event, Metered, MissingReason, Reading};

/// The beacons that the evidence has: each signed by the engine, each later than the one of the number before.
pub(super) fn beacons(evidence: &Evidence, counts: &mut Counts) -> Result<Beacons, DeriveError> {
    let mut last: Option<(u64, Timestamp)> = None;
    let read = evidence.beacons.iter().map(|published| {
        let wrong = |what: String| at(published.name())(DeriveProblem::Beacon(what));
        let signed = Beacon::open(&published.envelope).map_err(|e| wrong(e.to_string()))?;
        let beacon = signed.message;
        if signed.signer != evidence.case.engine {
            return Err(wrong(format!("signed by {}", signed.signer)));
        }
        if beacon.number != published.number {
            return Err(wrong(format!("its number is {}", beacon.number)));
        }
        if beacon.issued_at > evidence.case.settled_at {
            return Err(wrong("it was issued after the settlement".to_owned()));
        }
        if last.is_some_and(|(number, issued_at)| beacon.number <= number || beacon.issued_at <= issued_at) {
            return Err(wrong("it is no later than the one before it".to_owned()));
        }
        last = Some((beacon.number, beacon.issued_at));
        counts.signatures = counts.signatures.saturating_add(1);
        Ok((signed.digest, beacon.issued_at))
    });
    read.collect()
}

/// The beacons of evidence that was verified.
#[must_use]
pub fn known(evidence: &Evidence) -> Beacons {
    let opened = evidence.beacons.iter().filter_map(|published| {
        let signed = Beacon::open(&published.envelope).ok()?;
        (signed.signer == evidence.case.engine).then_some((signed.digest, signed.message.issued_at))
    });
    opened.collect()
}

/// Where the program demands freshness, what is of the event and is not fresh does not count.
pub(super) fn only_fresh(
    program: &Program,
    event: &Event,
    judged: &Judged,
    mut readings: Vec<Reading>,
) -> Vec<Reading> {
    if program.freshness == Freshness::Required {
        let of_event = |reading: &&mut Reading| {
            let start = reading.interval.start();
            event.start <= start && start < event.end && matches!(reading.net, Metered::Energy(_))
        };
        for reading in readings.iter_mut().filter(of_event) {
            if judged.tier(reading.interval) < TrustTier::Fresh {
                reading.net = Metered::Missing(MissingReason::NotFresh);
            }
        }
    }
    readings
}
