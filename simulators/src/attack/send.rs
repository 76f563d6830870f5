//! Reports and answers as an honest box signs them.

use std::collections::BTreeMap;

use gridtally_protocol::acknowledgement::{Acknowledgement, Declined, Stage};
use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{Topic, TopicKind};

use super::scene::{Sent, Truth};

/// So many intervals travel in one report.
pub(super) const IN_A_REPORT: usize = 12;
/// A report is signed, and there, so many seconds after its last interval.
const DELAY: i64 = 10;
const POWER: Milliwatts = Milliwatts::new(3_000_000);

/// The reports of a truth, not yet chained.
pub(super) fn reports(truth: &Truth) -> Vec<Report> {
    let report = |(number, first): (usize, usize)| {
        let end = first.saturating_add(IN_A_REPORT).min(truth.len());
        let series = truth.series.iter().map(|(channel, values)| Series {
            channel: *channel,
            resolution: 0,
            samples: values
                .get(first..end)
                .unwrap_or_default()
                .iter()
                .map(|value| Ok(*value))
                .collect(),
            qualities: BTreeMap::new(),
        });
        Report {
            sequence: u64::try_from(number).unwrap_or(0).saturating_add(1),
            previous: Digest::NONE,
            issued_at: later(truth.at(end), DELAY),
            clock: ClockState::Synchronised,
            start: truth.at(first),
            interval: truth.interval,
            series: series.collect(),
            beacon: None,
        }
    };
    (0..truth.len())
        .step_by(IN_A_REPORT)
        .enumerate()
        .map(report)
        .collect()
}

/// Chains and signs reports; each is there when it was issued. One that breaks a rule of the wire is left out.
pub(super) fn sign(key: &SigningIdentity, reports: Vec<Report>) -> Vec<Sent> {
    let mut previous = Digest::NONE;
    let sent = reports.into_iter().filter_map(|mut report| {
        report.previous = previous;
        let bytes = report.seal(key).ok()?;
        previous = Digest::of(&bytes);
        Some(Sent {
            topic: topic(key.identity(), TopicKind::Report),
            bytes,
            at: report.issued_at,
        })
    });
    sent.collect()
}

pub(super) fn topic(gateway: Identity, kind: TopicKind) -> String {
    Topic { gateway, kind }.to_string()
}

pub(super) fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(seconds).unwrap_or(at)
}

/// What an honest home sends.
#[must_use]
pub fn honest(key: &SigningIdentity, truth: &Truth) -> Vec<Sent> {
    sign(key, reports(truth))
}

/// A home's answer to an instruction, signed and sent at an instant.
#[must_use]
pub fn answer(key: &SigningIdentity, instruction: &[u8], yes: bool, at: Timestamp) -> Option<Sent> {
    let stage = if yes {
        Stage::OptedIn(POWER)
    } else {
        Stage::OptedOut(Declined::OwnerOptOut)
    };
    let acknowledgement = Acknowledgement {
        instruction: Digest::of(instruction),
        at,
        stage,
    };
    Some(Sent {
        topic: topic(key.identity(), TopicKind::Acknowledgement),
        bytes: acknowledgement.seal(key).ok()?,
        at,
    })
}
