//! Which reports count. Every one is judged again from its bytes by the checks that ingest applies: who signed,
//! for what, in which place of the chain, with which values. Neither the order in which reports came nor the
//! one in which they are given matters: they are judged in the order of their signed numbers.

use std::collections::BTreeMap;

use gridtally_protocol::beacon::TrustTier;
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::message::{self, MessageError, Signed};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{Reading, Report};
use gridtally_protocol::time::{Interval, Timestamp};
use gridtally_protocol::topic::{Topic, TopicKind};

use super::evidence::{ReceivedReport, RefusedMessage};
use crate::ingest::chain::{self, Link, Place};
use crate::ingest::checks::{self, Refused};
use crate::ingest::{Beacons, SignedWithin, physics};
use crate::registry::Enrolment;

/// Something that does not count.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RefusedRecord {
    /// The name of its record.
    pub record: String,
    /// On whose topic it came.
    pub gateway: Identity,
    /// Why it does not count.
    pub reason: Refusal,
    /// The same in words.
    pub detail: String,
}

/// The reports of one gateway, judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// How many signatures were verified.
    pub signatures: u64,
    /// How many reports count.
    pub reports: u64,
    /// What they say, and of values that are impossible, why they do not count.
    pub readings: Vec<(Reading, Option<Refusal>)>,
    /// What was signed by this gateway, but does not count, and why.
    pub void: Vec<(Report, Refusal)>,
    /// Everything that does not count.
    pub refused: Vec<RefusedRecord>,
    /// When the reports that count were signed.
    pub signed: Vec<SignedWithin>,
}

/// Which record a message is. Its name is made where somebody asks for it: nearly all reports count, and nobody does.
#[derive(Debug, Clone, Copy)]
pub enum Source<'e> {
    /// A report that was taken.
    Report(&'e ReceivedReport),
    /// A message that was refused.
    Refusal(&'e RefusedMessage),
    /// None: it comes from a store, where nothing has such a name.
    Store,
}

impl Source<'_> {
    /// The name of the record; empty where it is none.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Report(report) => report.name(),
            Self::Refusal(message) => message.name(),
            Self::Store => String::new(),
        }
    }
}

/// A message that came on a gateway's topic for reports.
#[derive(Debug, Clone)]
pub struct Submission<'e> {
    /// Which record it is.
    pub record: Source<'e>,
    /// When it came.
    pub received_at: Timestamp,
    /// Its bytes.
    pub envelope: &'e [u8],
}

struct Candidate<'e> {
    submission: &'e Submission<'e>,
    signed: Signed<Report>,
}

/// Judges all reports that came on the topic of one gateway, for an event that was announced then; the beacons are those
/// that the engine has made.
#[must_use]
pub fn judge(
    enrolment: &Enrolment,
    submissions: &[Submission<'_>],
    announced_at: Timestamp,
    beacons: &Beacons,
) -> Judged {
    let envelopes: Vec<&[u8]> = submissions.iter().map(|one| one.envelope).collect();
    judge_opened(
        enrolment,
        submissions,
        message::open_all(&envelopes),
        announced_at,
        beacons,
    )
}

/// As [`judge`] of each gateway by itself; the signatures of all are verified together.
#[must_use]
pub fn judge_all(
    topics: &[(&Enrolment, &[Submission<'_>])],
    announced_at: Timestamp,
    beacons: &Beacons,
) -> Vec<Judged> {
    let envelopes = topics.iter().flat_map(|(_, submissions)| *submissions);
    let envelopes: Vec<&[u8]> = envelopes.map(|one| one.envelope).collect();
    let mut opened = message::open_all(&envelopes).into_iter();
    let judge = |(enrolment, submissions): &(&Enrolment, &[Submission<'_>])| {
        let opened = opened.by_ref().take(submissions.len()).collect();
        judge_opened(enrolment, submissions, opened, announced_at, beacons)
    };
    topics.iter().map(judge).collect()
}

fn judge_opened(
    enrolment: &Enrolment,
    submissions: &[Submission<'_>],
    opened: Vec<Result<Signed<Report>, MessageError>>,
    announced_at: Timestamp,
    beacons: &Beacons,
) -> Judged {
    let topic = Topic {
        gateway: enrolment.gateway,
        kind: TopicKind::Report,
    };
    let mut judged = Judged::default();
    let mut slots: BTreeMap<u64, BTreeMap<Digest, Candidate<'_>>> = BTreeMap::new();
    for (submission, opened) in submissions.iter().zip(opened) {
        match checks::opened(&topic, opened) {
            Ok(signed) => {
                judged.signatures = judged.signatures.saturating_add(1);
                let slot = slots.entry(signed.message.sequence).or_default();
                let candidate = Candidate { submission, signed };
                // The same bytes again, at another time: the first receipt is the one that counts.
                match slot.get(&candidate.signed.digest) {
                    Some(first) if first.received_at() <= candidate.received_at() => {}
                    _ => drop(slot.insert(candidate.signed.digest, candidate)),
                }
            }
            Err(refused) => judged.refuse(enrolment, submission, refused),
        }
    }
    let mut held = Held::default();
    for slot in slots.into_values() {
        let twice = slot.len() > 1;
        for candidate in slot.into_values() {
            let link = Link::of(&candidate.signed);
            let verdict = if twice {
                Err(signed_twice(&link))
            } else {
                fits(enrolment, &candidate, &held, &link, beacons)
            };
            match verdict {
                Ok(beacon) => {
                    held.push(link);
                    judged.signed.push(SignedWithin {
                        start: link.start,
                        end: link.end,
                        beacon,
                        received_at: candidate.received_at(),
                    });
                    judged.count(enrolment, &candidate, announced_at);
                }
                Err(refused) => {
                    judged.void.push((candidate.signed.message, refused.reason));
                    judged.refuse(enrolment, candidate.submission, refused);
                }
            }
        }
    }
    judged
        .refused
        .sort_by(|a, b| (&a.record, &a.detail).cmp(&(&b.record, &b.detail)));
    judged
}

fn signed_twice(link: &Link) -> Refused {
    let detail = format!(
        "two different reports were signed with the number {}",
        link.sequence
    );
    Refused::new(Refusal::Equivocation, detail)
}

fn fits(
    enrolment: &Enrolment,
    candidate: &Candidate<'_>,
    held: &Held,
    link: &Link,
    beacons: &Beacons,
) -> Result<Option<Timestamp>, Refused> {
    let report = &candidate.signed.message;
    let beacon = checks::check_report(enrolment, report, candidate.received_at(), beacons)?;
    match chain::place(held.relevant_to(link), link) {
        Place::New | Place::Held => Ok(beacon),
        Place::Equivocation(refused) | Place::Refused(refused) => Err(refused),
    }
}

impl Candidate<'_> {
    const fn received_at(&self) -> Timestamp {
        self.submission.received_at
    }
}

/// What counts so far, in the order of numbers.
#[derive(Default)]
struct Held {
    links: Vec<Link>,
    end: Option<Timestamp>,
}

impl Held {
    /// Only the last one can matter to a report that begins after everything held; others are compared with all.
    fn relevant_to(&self, link: &Link) -> &[Link] {
        let advances = self.end.is_none_or(|end| link.start >= end);
        match self.links.last() {
            Some(last) if advances => std::slice::from_ref(last),
            _ => &self.links,
        }
    }

    fn push(&mut self, link: Link) {
        self.end = self.end.max(Some(link.end));
        self.links.push(link);
    }
}

impl Judged {
    /// How far an interval is to be trusted: as far as the least of the reports that count and say something of it.
    #[must_use]
    pub fn tier(&self, interval: Interval) -> TrustTier {
        let tiers = self.signed.iter().filter_map(|signed| signed.tier(interval));
        tiers.min().unwrap_or(TrustTier::Reported)
    }

    /// Adds what the same gateway signed by a key that it had before, until then. What that key signs later, in
    /// whosever hands it is, takes nothing away from what the new one says.
    pub(super) fn join(&mut self, former: Self, until: Timestamp) {
        let other = former;
        self.signatures = self.signatures.saturating_add(other.signatures);
        self.reports = self.reports.saturating_add(other.reports);
        self.readings.extend(other.readings);
        // Of one interval the last one counts.
        self.readings
            .sort_by_key(|(_, refusal)| *refusal != Some(Refusal::Revoked));
        let signed = other.signed.into_iter();
        self.signed.extend(signed.filter(|signed| signed.end <= until));
        let voided = other.void.into_iter();
        self.void
            .extend(voided.filter(|(report, _)| report.end().is_some_and(|end| end <= until)));
        self.refused.extend(other.refused);
    }

    fn refuse(&mut self, enrolment: &Enrolment, submission: &Submission<'_>, refused: Refused) {
        let Refused { reason, detail } = refused;
        let (record, gateway) = (submission.record.name(), enrolment.gateway);
        self.refused.push(RefusedRecord {
            record,
            gateway,
            reason,
            detail,
        });
    }

    fn count(&mut self, enrolment: &Enrolment, candidate: &Candidate<'_>, announced_at: Timestamp) {
        self.reports = self.reports.saturating_add(1);
        let mut late = 0_u64;
        for (reading, verdict) in physics::examine(enrolment, &candidate.signed.message) {
            if !checks::is_in_time(reading.interval, candidate.received_at(), announced_at) {
                late = late.saturating_add(1);
                self.readings.push((reading, Some(Refusal::TooLate)));
                continue;
            }
            self.readings
                .push((reading, verdict.as_ref().err().map(|refused| refused.reason)));
            if let Err(refused) = verdict {
                self.refuse(enrolment, candidate.submission, refused);
            }
        }
        if late > 0 {
            let detail = format!(
                "{late} readings came after the event was announced, and more than {} h after their intervals",
                checks::HISTORY_SECONDS_MAX / 3_600
            );
            self.refuse(
                enrolment,
                candidate.submission,
                Refused::new(Refusal::TooLate, detail),
            );
        }
    }
}
