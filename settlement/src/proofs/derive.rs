//! From evidence to money: the one way in which an event is ever settled, by the engine and by whoever checks it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::NaiveDate;
use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::instruction::Instruction;
use gridtally_protocol::message::{self, Message, MessageError, Signed};
use gridtally_protocol::quantity::Overflow;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{Topic, TopicKind};

use super::bookings::{self, Bookings};
use super::evidence::{self, Evidence, ReceivedAcknowledgement, ReceivedReport, RefusedMessage, SiteSeason};
use super::judge::{self, RefusedRecord, Submission};
use super::{agreements, beacons, netting, resettle};
use crate::cores;
use crate::ingest::{Beacons, checks, physics};
use crate::ledger::{AccountNameError, TransactionError};
use crate::registry::{Enrolment, EnrolmentError};
use crate::rules::calendar::LocalSlot;
use crate::rules::document::DocumentError;
use crate::rules::payment::Season;
use crate::rules::program::{Measurement, Program};
use crate::rules::statement::{
    DayTemperature, Event, Metered, MissingReason, Offer, Participation, Reading, SettleError,
    SettlementInputs, SiteId, SiteInputs, Statement, settle,
};

/// What follows from evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// What the rules were given.
    pub inputs: SettlementInputs,
    /// What the rules said.
    pub statement: Statement,
    /// What the ledger books.
    pub bookings: Bookings,
    /// What does not count, and why: by name of record.
    pub refused: Vec<RefusedRecord>,
    /// How much was looked at.
    pub counts: Counts,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Signatures that were verified and hold.
    pub signatures: u64,
    /// Reports that count.
    pub reports: u64,
    /// Readings in them.
    pub readings: u64,
    /// Instructions of the engine.
    pub instructions: u64,
    /// Acknowledgements of gateways that count.
    pub acknowledgements: u64,
    /// Lines of the statement.
    pub lines: u64,
    /// Sites whose enrolment gateway, owner and operator have signed.
    pub by_agreement: u64,
    /// Signatures of agreements, and of what changed them.
    pub agreement_signatures: u64,
    /// Sites that are enrolled by the operator's word.
    pub by_word: u64,
}

/// Why evidence does not make a statement: a record contradicts what the engine itself did or enrolled.
/// What others sent never is an error; it is refused, and its lines say so.
#[derive(Debug, thiserror::Error)]
#[error("record {record}: {problem}")]
pub struct DeriveError {
    /// The name of the record.
    pub record: String,
    /// What is wrong with it.
    pub problem: Box<DeriveProblem>,
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
pub enum DeriveProblem {
    /// The program's document.
    #[error(transparent)]
    Program(#[from] DocumentError),
    /// An enrolment.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// An enrolment for another program, or for a gateway or site that is enrolled already.
    #[error("{0}")]
    Mismatch(String),
    /// An instruction that this engine did not sign for this event and gateway.
    #[error("no instruction of this engine for this event and gateway: {0}")]
    Instruction(String),
    /// A beacon that this engine did not sign, or not in its turn.
    #[error("no beacon of this engine: {0}")]
    Beacon(String),
    /// A refusal that does not follow from the bytes.
    #[error("it was refused as {claimed}, but its bytes do not show that: {found}")]
    Refusal {
        /// As the engine said.
        claimed: Refusal,
        /// What the checks say.
        found: String,
    },
    /// The rules.
    #[error(transparent)]
    Rules(#[from] SettleError),
    /// An account.
    #[error(transparent)]
    Account(#[from] AccountNameError),
    /// The ledger's laws.
    #[error(transparent)]
    Ledger(#[from] TransactionError),
    /// A sum.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

pub(super) fn at<P: Into<DeriveProblem>>(record: impl Into<String>) -> impl FnOnce(P) -> DeriveError {
    let record = record.into();
    move |problem| DeriveError {
        record,
        problem: Box::new(problem.into()),
    }
}

/// Settles: verifies every signature, judges every report, computes the statement and the transaction.
///
/// # Errors
/// [`DeriveError`] that names the record which makes it impossible.
pub fn derive(evidence: &Evidence) -> Result<Derived, DeriveError> {
    let case = &evidence.case;
    let program = Program::from_toml("program", &evidence.program.document).map_err(at("program"))?;
    let enrolments = enrolments(evidence, &program)?;
    let mut counts = Counts::default();
    agreements::check(evidence, &mut counts)?;
    let keys = keys(&enrolments)?;
    let instructions = instructions(evidence, &keys, &mut counts)?;
    let beacons = beacons::beacons(evidence, &mut counts)?;
    let mut refused = check_refusals(evidence, &keys, &beacons)?;
    let answers = answers(evidence, &instructions, &mut counts, &mut refused);
    let asked: BTreeSet<Identity> = instructions.values().copied().collect();
    let temperatures = temperatures(evidence, &program)?;
    let mut submissions = submissions(evidence, &keys);
    let mut corrections = resettle::corrections(&evidence.corrections, &program, case.settled_at)?;
    let mut outages = resettle::outages(&evidence.outages, case.settled_at)?;
    let mut seasons: BTreeMap<SiteId, Season> = BTreeMap::new();
    for SiteSeason { site, season } in &evidence.seasons {
        seasons.insert(site.clone(), season.clone());
    }
    let topics: Vec<Vec<KeyTopic<'_>>> = enrolments
        .values()
        .map(|enrolment| topics_of(enrolment, &mut submissions))
        .collect();
    // Nearly all of the time goes by in here: every gateway's signatures, chain and readings.
    let judged = cores::map_together(&topics, cores::STRETCH, |sites| {
        let keys = sites.iter().flatten();
        let keys: Vec<_> = keys
            .map(|key| (&*key.enrolment, key.submissions.as_slice()))
            .collect();
        let mut judged = judge::judge_all(&keys, case.event.announced_at, &beacons).into_iter();
        let kept = |keys: &Vec<KeyTopic<'_>>| {
            let mut whole = judge::Judged::default();
            for (number, (key, judged)) in keys.iter().zip(judged.by_ref()).enumerate() {
                if number == 0 {
                    whole = judged;
                } else {
                    whole.join(judged, key.until);
                }
            }
            let enrolment = keys.first().map(|key| &*key.enrolment);
            let read = |of| {
                let readings = self::readings(enrolment?, &whole, of, &case.event);
                Some(beacons::only_fresh(&program, &case.event, &whole, readings))
            };
            let readings = read(program.measurement).unwrap_or_default();
            let site_meter = program
                .wants_site_meter()
                .then(|| read(Measurement::SiteMeterNet));
            (
                readings,
                site_meter.flatten().unwrap_or_default(),
                Tally::of(whole),
            )
        };
        sites.iter().map(kept).collect()
    });
    let mut sites = Vec::with_capacity(enrolments.len());
    for ((enrolment, keys), (readings, site_meter, tally)) in enrolments.values().zip(&topics).zip(judged) {
        let gateways = || keys.iter().map(|key| key.enrolment.gateway);
        sites.push(SiteInputs {
            site: enrolment.site.clone(),
            beneficiary: enrolment.beneficiary.clone(),
            participation: match gateways().filter_map(|gateway| answers.get(&gateway)).max() {
                Some(answer) => answer.participation(),
                // Who was asked is no control, whatever group it is of by now.
                None if program.is_control(&enrolment.membership)
                    && !gateways().any(|gateway| asked.contains(&gateway)) =>
                {
                    Participation::ControlGroup
                }
                None => Participation::NoAnswer,
            },
            outage_days: outages.remove(&enrolment.site).unwrap_or_default(),
            readings,
            site_meter,
            corrections: corrections.remove(&enrolment.site).unwrap_or_default(),
            offer: offer(enrolment, &program)?,
            season: seasons.remove(&enrolment.site).unwrap_or_default(),
        });
        counts.signatures = counts.signatures.saturating_add(tally.signatures);
        counts.reports = counts.reports.saturating_add(tally.reports);
        counts.readings = counts.readings.saturating_add(tally.readings);
        refused.extend(tally.refused);
    }
    refused.extend(
        evidence
            .reports
            .iter()
            .filter(|r| !keys.contains_key(&r.gateway))
            .map(of_nobody),
    );
    refused.sort_by(|a, b| (&a.record, &a.detail).cmp(&(&b.record, &b.detail)));
    let inputs = SettlementInputs {
        event_days: event_days(&case.other_events, &program),
        program,
        event: case.event.clone(),
        carry_in: case.carried_from.as_ref().map_or(0, |carry| carry.carry_out),
        pool_carry: resettle::pool_of(evidence),
        published: case.published.clone(),
        temperatures,
        sites,
    };
    let statement = settle(&inputs).map_err(at("case"))?;
    let statement = resettle::correct(evidence, &inputs.program, statement)?;
    counts.lines = u64::from(statement.totals.lines);
    let moved = statement.movements().map_err(resettle::total)?;
    let bookings = bookings::book(case, &inputs.program, &statement, moved)?;
    Ok(Derived {
        inputs,
        statement,
        bookings,
        refused,
        counts,
    })
}

/// What came by one key of a site's gateway.
struct KeyTopic<'e> {
    enrolment: Cow<'e, Enrolment>,
    submissions: Vec<judge::Submission<'e>>,
    /// How long the key was the gateway's.
    until: Timestamp,
}

/// What came by the key that a site's gateway has, and then by those that it had.
fn topics_of<'e>(
    enrolment: &'e Enrolment,
    submissions: &mut BTreeMap<Identity, Vec<judge::Submission<'e>>>,
) -> Vec<KeyTopic<'e>> {
    let former = enrolment.former().map(Cow::Owned);
    let keys = core::iter::once(Cow::Borrowed(enrolment)).chain(former);
    keys.map(|enrolment: Cow<'e, Enrolment>| KeyTopic {
        submissions: submissions.remove(&enrolment.gateway).unwrap_or_default(),
        until: enrolment
            .agreement
            .as_ref()
            .and_then(|standing| standing.key_until)
            .unwrap_or(Timestamp::LATEST),
        enrolment,
    })
    .collect()
}

/// What is kept of a gateway's reports beside the readings.
struct Tally {
    signatures: u64,
    reports: u64,
    readings: u64,
    refused: Vec<RefusedRecord>,
}

impl Tally {
    fn of(judged: judge::Judged) -> Self {
        Self {
            signatures: judged.signatures,
            reports: judged.reports,
            readings: count(judged.readings.len()),
            refused: judged.refused,
        }
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The enrolments by gateway.
fn enrolments<'e>(
    evidence: &'e Evidence,
    program: &Program,
) -> Result<BTreeMap<Identity, &'e Enrolment>, DeriveError> {
    let mut by_gateway = BTreeMap::new();
    for enrolment in &evidence.enrolments {
        let name = evidence::enrolment_name(enrolment);
        enrolment.check().map_err(at(name.clone()))?;
        let mismatch = |what: &str| Err(at(name.clone())(DeriveProblem::Mismatch(what.to_owned())));
        if enrolment.program != program.id {
            return mismatch("the site takes part in another program");
        }
        if enrolment.interval_seconds != program.interval {
            return mismatch("the site's intervals are not of the program's length");
        }
        if by_gateway.insert(enrolment.gateway, enrolment).is_some() {
            return mismatch("its gateway is enrolled for another site as well");
        }
    }
    Ok(by_gateway)
}

/// The temperatures that were known at the settlement.
fn temperatures(evidence: &Evidence, program: &Program) -> Result<Vec<DayTemperature>, DeriveError> {
    let known = evidence.temperatures.iter();
    let checked = known.map(|temperature| {
        let wrong = |what: &str| Err(at(temperature.name())(DeriveProblem::Mismatch(what.to_owned())));
        if !program.wants_temperatures() {
            return wrong("the program looks at no temperatures");
        }
        if temperature.published_at > evidence.case.settled_at {
            return wrong("it was published after the settlement");
        }
        Ok(temperature.as_input())
    });
    checked.collect()
}

/// The enrolments by every key that their gateways have or had.
fn keys<'e>(
    enrolments: &BTreeMap<Identity, &'e Enrolment>,
) -> Result<BTreeMap<Identity, Cow<'e, Enrolment>>, DeriveError> {
    let current = enrolments.iter();
    let mut keys: BTreeMap<_, _> = current
        .map(|(gateway, enrolment)| (*gateway, Cow::Borrowed(*enrolment)))
        .collect();
    for former in enrolments.values().flat_map(|enrolment| enrolment.former()) {
        let name = evidence::enrolment_name(&former);
        if keys.insert(former.gateway, Cow::Owned(former)).is_some() {
            let problem = "a key that its gateway had is another's as well".to_owned();
            return Err(at(name)(DeriveProblem::Mismatch(problem)));
        }
    }
    Ok(keys)
}

/// What a site offered, in the program's asset.
fn offer(enrolment: &Enrolment, program: &Program) -> Result<Offer, DeriveError> {
    enrolment.offer.in_base_units(&program.asset).map_err(|error| {
        let problem =
            DeriveProblem::Mismatch(format!("its bid is no amount of the program's asset: {error}"));
        at(evidence::enrolment_name(enrolment))(problem)
    })
}

/// What a site's meter counted, as judged.
pub(super) fn readings(
    enrolment: &Enrolment,
    judged: &judge::Judged,
    measurement: Measurement,
    event: &Event,
) -> Vec<Reading> {
    without_an_equivocators_event(netting::net(enrolment, judged, measurement, event), judged, event)
}

/// Who signs two versions of a report earns nothing by the event, whichever hours they are of: void slots must never
/// be a way to choose what one is compared with.
fn without_an_equivocators_event(
    mut readings: Vec<Reading>,
    judged: &judge::Judged,
    event: &crate::rules::statement::Event,
) -> Vec<Reading> {
    if judged
        .void
        .iter()
        .any(|(_, refusal)| *refusal == Refusal::Equivocation)
    {
        for reading in &mut readings {
            let start = reading.interval.start();
            if event.start <= start && start < event.end {
                reading.net = Metered::Missing(MissingReason::Equivocation);
            }
        }
    }
    readings
}

/// So many signatures are verified together.
const TOGETHER: usize = 2_048;

/// Every message, opened.
fn opened<T: Sync, M: Message + Send>(
    records: &[T],
    envelope: impl Fn(&T) -> &Vec<u8> + Sync,
) -> Vec<Result<Signed<M>, MessageError>> {
    cores::map_together(records, TOGETHER, |records| {
        let envelopes: Vec<&[u8]> = records.iter().map(|record| envelope(record).as_slice()).collect();
        message::open_all(&envelopes)
    })
}

/// Whom the engine asked, by the digest of what it sent.
fn instructions(
    evidence: &Evidence,
    enrolments: &BTreeMap<Identity, Cow<'_, Enrolment>>,
    counts: &mut Counts,
) -> Result<BTreeMap<Digest, Identity>, DeriveError> {
    let mut sent = BTreeMap::new();
    let opened = opened(&evidence.instructions, |sent| &sent.envelope);
    for (instruction, opened) in evidence.instructions.iter().zip(opened) {
        let wrong = |what: String| at(instruction.name())(DeriveProblem::Instruction(what));
        let signed = opened.map_err(|e| wrong(e.to_string()))?;
        let Instruction { gateway, event, .. } = &signed.message;
        if signed.signer != evidence.case.engine {
            return Err(wrong(format!("signed by {}", signed.signer)));
        }
        if *event != evidence.case.event.id {
            return Err(wrong(format!("it is for event {event}")));
        }
        if *gateway != instruction.gateway || !enrolments.contains_key(gateway) {
            return Err(wrong(format!("it is for gateway {gateway}")));
        }
        sent.insert(signed.digest, *gateway);
        counts.instructions = counts.instructions.saturating_add(1);
        counts.signatures = counts.signatures.saturating_add(1);
    }
    Ok(sent)
}

/// What a gateway decided: the latest word counts, and of two at once the no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Answer {
    pub(super) at: Timestamp,
    /// Why not, where it does not take part.
    pub(super) declined: Option<&'static str>,
}

impl Answer {
    pub(super) fn participation(&self) -> Participation {
        match self.declined {
            None => Participation::OptedIn,
            Some(reason) => Participation::OptedOut {
                reason: reason.to_owned(),
            },
        }
    }
}

/// What every gateway decided before the event was over.
fn answers(
    evidence: &Evidence,
    instructions: &BTreeMap<Digest, Identity>,
    counts: &mut Counts,
    refused: &mut Vec<RefusedRecord>,
) -> BTreeMap<Identity, Answer> {
    let mut answers: BTreeMap<Identity, Answer> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let opened = opened(&evidence.acknowledgements, |record| &record.envelope);
    for (record, opened) in evidence.acknowledgements.iter().zip(opened) {
        match acknowledgement(record, opened, instructions) {
            Ok((digest, acknowledgement)) => {
                if !seen.insert(digest) {
                    continue;
                }
                counts.acknowledgements = counts.acknowledgements.saturating_add(1);
                counts.signatures = counts.signatures.saturating_add(1);
                let declined = match acknowledgement.stage {
                    Stage::OptedIn(_) => None,
                    Stage::OptedOut(why) => Some(why.name()),
                    _ => continue,
                };
                let answer = Answer {
                    at: acknowledgement.at,
                    declined,
                };
                if answer.at >= evidence.case.event.end {
                    continue;
                }
                match answers.get_mut(&record.gateway) {
                    Some(earlier) if *earlier >= answer => {}
                    Some(earlier) => *earlier = answer,
                    None => drop(answers.insert(record.gateway, answer)),
                }
            }
            Err((reason, detail)) => {
                let (gateway, record) = (record.gateway, record.name());
                refused.push(RefusedRecord {
                    record,
                    gateway,
                    reason,
                    detail,
                });
            }
        }
    }
    answers
}

fn acknowledgement(
    record: &ReceivedAcknowledgement,
    opened: Result<Signed<Acknowledgement>, MessageError>,
    instructions: &BTreeMap<Digest, Identity>,
) -> Result<(Digest, Acknowledgement), (Refusal, String)> {
    let topic = Topic {
        gateway: record.gateway,
        kind: TopicKind::Acknowledgement,
    };
    let signed = checks::opened(&topic, opened).map_err(|refused| (refused.reason, refused.detail))?;
    let acknowledgement = signed.message;
    checks::check_window(acknowledgement.at, record.received_at)
        .map_err(|refused| (refused.reason, refused.detail))?;
    if instructions.get(&acknowledgement.instruction) != Some(&record.gateway) {
        let detail = format!("instruction {} was not sent to it", acknowledgement.instruction);
        return Err((Refusal::UnknownInstruction, detail));
    }
    Ok((signed.digest, acknowledgement))
}

fn of_nobody(report: &ReceivedReport) -> RefusedRecord {
    RefusedRecord {
        record: report.name(),
        gateway: report.gateway,
        reason: Refusal::UnknownGateway,
        detail: "nobody of this key is enrolled".to_owned(),
    }
}

/// A refused message on an enrolled gateway's topic for reports; others cannot matter here.
fn concerned<'k>(
    message: &RefusedMessage,
    enrolments: &'k BTreeMap<Identity, Cow<'_, Enrolment>>,
) -> Option<(Topic, &'k Enrolment)> {
    let topic = message
        .topic
        .parse::<Topic>()
        .ok()
        .filter(|topic| topic.kind == TopicKind::Report)?;
    enrolments
        .get(&topic.gateway)
        .map(|enrolment| (topic, enrolment.as_ref()))
}

/// What the engine refused, it must have refused for a reason that the bytes show: otherwise it could pay less
/// by taking in less. What it refused because of other reports is not believed, but judged with those.
fn check_refusals(
    evidence: &Evidence,
    enrolments: &BTreeMap<Identity, Cow<'_, Enrolment>>,
    beacons: &Beacons,
) -> Result<Vec<RefusedRecord>, DeriveError> {
    if evidence.refusals.is_empty() {
        return Ok(Vec::new());
    }
    let known: HashSet<&[u8]> = evidence.reports.iter().map(|r| r.envelope.as_slice()).collect();
    let mut refused = Vec::new();
    for message in &evidence.refusals {
        let Some((topic, enrolment)) = concerned(message, enrolments) else {
            continue;
        };
        if depends_on_others(message.reason) || known.contains(message.payload.as_slice()) {
            continue;
        }
        let judged = checks::open_report(&topic, &message.payload).and_then(|signed| {
            checks::check_report(enrolment, &signed.message, message.received_at, beacons)?;
            let examined = physics::examine(enrolment, &signed.message);
            examined.into_iter().try_for_each(|(_, verdict)| verdict)
        });
        let found = match judged {
            // Whether it was enrolled at that time cannot be seen; a box that is not answered sends again.
            _ if message.reason == Refusal::UnknownGateway => continue,
            Err(found) if found.reason == message.reason => {
                let (record, gateway) = (message.name(), topic.gateway);
                let detail = message.detail.clone();
                refused.push(RefusedRecord {
                    record,
                    gateway,
                    reason: message.reason,
                    detail,
                });
                continue;
            }
            Err(found) => found.to_string(),
            Ok(()) => "every check passes".to_owned(),
        };
        return Err(at(message.name())(DeriveProblem::Refusal {
            claimed: message.reason,
            found,
        }));
    }
    Ok(refused)
}

const fn depends_on_others(reason: Refusal) -> bool {
    matches!(
        reason,
        Refusal::Equivocation | Refusal::ChainBroken | Refusal::AlreadyReported
    )
}

/// Everything that came on the topics of enrolled gateways and has to be judged together.
fn submissions<'e>(
    evidence: &'e Evidence,
    enrolments: &BTreeMap<Identity, Cow<'_, Enrolment>>,
) -> BTreeMap<Identity, Vec<Submission<'e>>> {
    let mut submissions: BTreeMap<Identity, Vec<Submission<'_>>> = BTreeMap::new();
    for report in &evidence.reports {
        let ReceivedReport {
            gateway,
            received_at,
            envelope,
            ..
        } = report;
        let submission = Submission {
            record: judge::Source::Report(report),
            received_at: *received_at,
            envelope,
        };
        submissions.entry(*gateway).or_default().push(submission);
    }
    for message in evidence
        .refusals
        .iter()
        .filter(|message| depends_on_others(message.reason))
    {
        let Some((topic, _)) = concerned(message, enrolments) else {
            continue;
        };
        let RefusedMessage {
            received_at, payload, ..
        } = message;
        let submission = Submission {
            record: judge::Source::Refusal(message),
            received_at: *received_at,
            envelope: payload,
        };
        submissions.entry(topic.gateway).or_default().push(submission);
    }
    submissions
}

/// The local days of other events.
pub(super) fn event_days(events: &[Event], program: &Program) -> Vec<NaiveDate> {
    let mut days = BTreeSet::new();
    for event in events {
        let last = event.end.checked_add(-1).unwrap_or(event.start);
        let (first, last) = (
            LocalSlot::of(event.start, program.zone),
            LocalSlot::of(last, program.zone),
        );
        let (Some(first), Some(last)) = (first, last) else {
            continue;
        };
        days.extend(first.day.iter_days().take_while(|day| *day <= last.day));
    }
    days.into_iter().collect()
}
