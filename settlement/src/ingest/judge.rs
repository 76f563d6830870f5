//! Judges a batch of messages, pure: what the store knows goes in, what is to be stored and said comes out.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::envelope::ENVELOPE_LEN_MAX;
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::message::Signed;
use gridtally_protocol::original::Original;
use gridtally_protocol::receipt::Verdict;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::Report;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{Topic, TopicKind};

use super::chain::{self, Link, Place};
use super::checks::{self, Refused};
use super::{Beacons, originals, physics};
use crate::days::{self, Days};
use crate::registry::Enrolment;
use crate::store::events::StoredAcknowledgement;
use crate::store::originals::StoredOriginal;
use crate::store::refusals::{BYTES_KEPT_MAX, StoredRefusal};
use crate::store::reports::StoredReport;
use crate::store::statements::StoredHolding;

/// A message as it came from the broker, opened as far as it can be without the store.
#[derive(Debug)]
pub struct Arrival {
    topic: String,
    bytes: Vec<u8>,
    digest: Digest,
    gateway: Option<Identity>,
    content: Result<Content, Refused>,
}

#[derive(Debug)]
enum Content {
    Report(Signed<Report>),
    Acknowledgement(Signed<Acknowledgement>),
    Original(Signed<Original>),
}

impl Arrival {
    /// Opens a message: topic, form, strict signature. This is where the time goes; it needs nothing but the bytes.
    #[must_use]
    pub fn open(topic: &str, bytes: Vec<u8>) -> Self {
        let parsed: Result<Topic, Refused> = topic
            .parse()
            .map_err(|e| Refused::new(Refusal::Malformed, format!("{e}")));
        let gateway = parsed.as_ref().ok().map(|t| t.gateway);
        let content = parsed.and_then(|topic| match topic.kind {
            TopicKind::Report => checks::open_report(&topic, &bytes).map(Content::Report),
            TopicKind::Acknowledgement => {
                checks::open_acknowledgement(&topic, &bytes).map(Content::Acknowledgement)
            }
            TopicKind::Original => checks::open_original(&topic, &bytes).map(Content::Original),
            _ => Err(Refused::new(
                Refusal::WrongTopic,
                "the engine takes reports, acknowledgements and originals",
            )),
        });
        let digest = Digest::of(&bytes);
        let topic = topic.chars().take(256).collect();
        Self {
            topic,
            bytes,
            digest,
            gateway,
            content,
        }
    }

    /// A message of which the link kept only the beginning, because it is longer than any of ours.
    #[must_use]
    pub fn too_long(topic: &str, beginning: Vec<u8>, len: usize) -> Self {
        let detail = format!("a message of {len} bytes; at most {ENVELOPE_LEN_MAX} are accepted");
        let content = Err(Refused::new(Refusal::Malformed, detail));
        Self {
            content,
            ..Self::open(topic, beginning)
        }
    }

    /// The report's place, so that its neighbours can be looked up.
    #[must_use]
    pub fn place(&self) -> Option<(Identity, Link)> {
        match &self.content {
            Ok(Content::Report(signed)) => Some((signed.signer, Link::of(signed))),
            _ => None,
        }
    }

    /// The beacon that the report names, so that it can be looked up.
    #[must_use]
    pub const fn beacon(&self) -> Option<Digest> {
        match &self.content {
            Ok(Content::Report(signed)) => signed.message.beacon,
            _ => None,
        }
    }

    /// The instruction or statement that is acknowledged, so that it can be looked up.
    #[must_use]
    pub fn acknowledged(&self) -> Option<(Identity, Digest)> {
        match &self.content {
            Ok(Content::Acknowledgement(signed)) => Some((signed.signer, signed.message.instruction)),
            _ => None,
        }
    }

    /// The gateway that the topic names.
    #[must_use]
    pub const fn gateway(&self) -> Option<Identity> {
        self.gateway
    }
}

/// What the store knows of the gateways in a batch.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// The enrolled ones.
    pub enrolments: BTreeMap<Identity, Enrolment>,
    /// The reports near those of the batch.
    pub neighbours: BTreeMap<Identity, Vec<Link>>,
    /// Which of the acknowledged instructions were sent to whom.
    pub instructions: Vec<(Identity, Digest)>,
    /// Which of the acknowledged statements were sent to whom.
    pub statements: Vec<(Identity, Digest)>,
    /// Which of the beacons that reports name are this engine's.
    pub beacons: Beacons,
}

/// What is to be stored and said.
#[derive(Debug, Default)]
pub struct Judged {
    /// Reports to be kept, equivocating ones too.
    pub reports: Vec<StoredReport>,
    /// What all of these reports say, by day.
    pub days: BTreeMap<Identity, Days>,
    /// The ends of what the reports of a gateway contradict each other about.
    pub disputes: BTreeSet<(Identity, Timestamp)>,
    /// Acknowledgements to be kept.
    pub acknowledgements: Vec<StoredAcknowledgement>,
    /// What meters have signed themselves.
    pub originals: Vec<StoredOriginal>,
    /// Statements that homes hold.
    pub holdings: Vec<StoredHolding>,
    /// What is not taken.
    pub refusals: Vec<StoredRefusal>,
    /// What each gateway is to hear: by digest.
    pub verdicts: BTreeMap<Identity, BTreeMap<Digest, Verdict>>,
}

/// Judges the messages one after the other; each sees those before it as if they were stored.
#[must_use]
pub fn judge(arrivals: &[Arrival], mut known: Knowledge, received_at: Timestamp) -> Judged {
    let mut judged = Judged::default();
    for arrival in arrivals {
        let outcome = match &arrival.content {
            Ok(Content::Report(signed)) => {
                judge_report(&mut judged, &mut known, arrival, signed, received_at)
            }
            Ok(Content::Acknowledgement(signed)) => {
                judge_acknowledgement(&mut judged, &known, arrival, signed, received_at)
            }
            Ok(Content::Original(signed)) => {
                judge_original(&mut judged, &known, arrival, signed, received_at)
            }
            Err(refused) => Err(refused.clone()),
        };
        judged.conclude(arrival, outcome, &known, received_at);
    }
    judged
}

fn enrolled<'k>(known: &'k Knowledge, gateway: &Identity) -> Result<&'k Enrolment, Refused> {
    known
        .enrolments
        .get(gateway)
        .ok_or_else(|| Refused::new(Refusal::UnknownGateway, format!("{gateway} is not enrolled")))
}

fn judge_report(
    judged: &mut Judged,
    known: &mut Knowledge,
    arrival: &Arrival,
    signed: &Signed<Report>,
    received_at: Timestamp,
) -> Result<(), Refused> {
    let gateway = signed.signer;
    let enrolment = enrolled(known, &gateway)?.clone();
    let link = Link::of(signed);
    let held = known.neighbours.entry(gateway).or_default();
    let place = chain::place(held, &link);
    if place == Place::Held {
        // Judged when it came first, and kept.
        return Ok(());
    }
    checks::check_report(&enrolment, &signed.message, received_at, &known.beacons)?;
    let dispute = chain::dispute(held, &link);
    judged.disputes.extend(dispute.map(|until| (gateway, until)));
    held.push(link);
    days::add_report(
        judged.days.entry(gateway).or_default(),
        &enrolment,
        &signed.message,
    );
    let envelope = arrival.bytes.clone();
    judged.reports.push(StoredReport {
        gateway,
        link,
        received_at,
        envelope,
    });
    if let Place::Equivocation(refused) | Place::Refused(refused) = place {
        return Err(refused);
    }
    let refusals = refused_readings(&enrolment, &signed.message);
    judged
        .refusals
        .extend(refusals.map(|refused| arrival.refusal(refused, received_at)));
    Ok(())
}

/// What cannot be of a report's readings, once for each reason: each is kept with the report's bytes, and a report has
/// up to nine thousand readings.
fn refused_readings(enrolment: &Enrolment, report: &Report) -> impl Iterator<Item = Refused> {
    let mut by_reason: BTreeMap<Refusal, (String, usize)> = BTreeMap::new();
    for (_, verdict) in physics::examine(enrolment, report) {
        if let Err(Refused { reason, detail }) = verdict {
            let (_, more) = by_reason.entry(reason).or_insert((detail, 0));
            *more = more.saturating_add(1);
        }
    }
    by_reason.into_iter().map(|(reason, (first, count))| match count {
        1 => Refused::new(reason, first),
        _ => Refused::new(reason, format!("{count} readings; the first: {first}")),
    })
}

fn judge_acknowledgement(
    judged: &mut Judged,
    known: &Knowledge,
    arrival: &Arrival,
    signed: &Signed<Acknowledgement>,
    received_at: Timestamp,
) -> Result<(), Refused> {
    let gateway = signed.signer;
    checks::check_key(enrolled(known, &gateway)?, received_at)?;
    let instruction = signed.message.instruction;
    if known.statements.contains(&(gateway, instruction)) && signed.message.stage == Stage::Received {
        // That a home holds it is true whenever it comes.
        judged.holdings.push(StoredHolding {
            statement: instruction,
            reached_at: signed.message.at,
            received_at,
            envelope: arrival.bytes.clone(),
        });
        return Ok(());
    }
    if !known.instructions.contains(&(gateway, instruction)) {
        let detail = format!("no instruction {instruction} was sent to {gateway}");
        return Err(Refused::new(Refusal::UnknownInstruction, detail));
    }
    checks::check_window(signed.message.at, received_at)?;
    judged.acknowledgements.push(StoredAcknowledgement {
        gateway,
        digest: signed.digest,
        instruction,
        stage: signed.message.stage,
        reached_at: signed.message.at,
        received_at,
        envelope: arrival.bytes.clone(),
    });
    Ok(())
}

fn judge_original(
    judged: &mut Judged,
    known: &Knowledge,
    arrival: &Arrival,
    signed: &Signed<Original>,
    received_at: Timestamp,
) -> Result<(), Refused> {
    let enrolment = enrolled(known, &signed.signer)?;
    checks::check_key(enrolment, received_at)?;
    let original = &signed.message;
    checks::check_window(original.taken_at, received_at)?;
    let unverified = originals::check_original(enrolment, original)?;
    judged.originals.push(StoredOriginal {
        gateway: signed.signer,
        digest: signed.digest,
        device: original.device,
        format: original.format,
        taken_at: original.taken_at,
        received_at,
        unverified: unverified.map(|why| why.to_string()),
        envelope: arrival.bytes.clone(),
    });
    Ok(())
}

impl Judged {
    fn conclude(
        &mut self,
        arrival: &Arrival,
        outcome: Result<(), Refused>,
        known: &Knowledge,
        received_at: Timestamp,
    ) {
        let verdict = outcome.as_ref().map(|&()| ()).map_err(|refused| refused.reason);
        if let Err(refused) = outcome {
            self.refusals.push(arrival.refusal(refused, received_at));
        }
        // Only who proved to be an enrolled gateway gets an answer.
        if let (Ok(content), Some(gateway)) = (&arrival.content, arrival.gateway)
            && known.enrolments.contains_key(&gateway)
            && content.signer() == gateway
        {
            let verdicts = self.verdicts.entry(gateway).or_default();
            verdicts.entry(arrival.digest).or_insert(verdict);
        }
    }
}

impl Content {
    const fn signer(&self) -> Identity {
        match self {
            Self::Report(signed) => signed.signer,
            Self::Acknowledgement(signed) => signed.signer,
            Self::Original(signed) => signed.signer,
        }
    }
}

impl Arrival {
    fn refusal(&self, refused: Refused, received_at: Timestamp) -> StoredRefusal {
        StoredRefusal {
            received_at,
            topic: self.topic.clone(),
            gateway: self.gateway,
            reason: refused.reason,
            detail: refused.detail,
            digest: self.digest,
            bytes: self.bytes.iter().copied().take(BYTES_KEPT_MAX).collect(),
        }
    }
}
