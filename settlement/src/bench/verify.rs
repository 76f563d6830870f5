//! Verifying a bundle, beside the verification of its signatures alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::envelope::{Envelope, Purpose};
use gridtally_protocol::identity::{Claim, Digest, SigningIdentity, verify_all};
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::time::{IntervalLength, Timestamp};

use super::BenchError;
use crate::cores;
use crate::proofs::bundle::Bundle;
use crate::proofs::evidence::{
    CODE, Case, Evidence, ProgramDocument, ReceivedAcknowledgement, ReceivedReport, SentInstruction,
};
use crate::proofs::verify::verify as verify_bundle;
use crate::registry::{EnrolledDevice, Enrolment};
use crate::rules::statement::Event;

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyCase {
    /// How many homes.
    pub homes: u32,
    /// How many reports a home signs in a day: a divisor of 48.
    pub reports_a_day: u32,
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct VerifyFigures {
    /// Of what.
    pub case: VerifyCase,
    /// The length of the bundle in bytes.
    pub bytes: usize,
    /// How many signatures there are in it.
    pub signatures: u64,
    /// How many readings.
    pub readings: u64,
    /// All of `gridtally verify`, on all cores.
    pub verify: Duration,
    /// The same signatures one by one, on one core.
    pub single_one_core: Duration,
    /// The same signatures one by one, on all cores.
    pub single: Duration,
    /// The same signatures in batches, on one core.
    pub batch_one_core: Duration,
    /// The same signatures in batches, on all cores.
    pub batch: Duration,
}

/// Half hours in a day.
const SLOTS: u32 = 48;
const SLOT_SECONDS: i64 = 1_800;
/// As many days as the baseline looks at, with weekends on the way, and the day of the event.
const DAYS: u32 = 16;
/// 2026-04-06T00:00:00Z, a Monday.
const FIRST: i64 = 1_775_433_600;
/// Two hours in the evening of the last day.
const EVENT_SLOT: u32 = 36;
const EVENT_SLOTS: u32 = 4;

const PROGRAM: &str = r#"
id = "bench"
version = 1
zone = "UTC"
interval_minutes = 30
measurement = "site_meter_net"
baseline = "caiso_style_10_10"
price_per_kwh = "0.85"
clip = "interval"
[asset]
code = "FLEX"
decimals = 6
"#;

/// Measures one bundle; `progress` hears what is being done.
///
/// # Errors
/// [`BenchError`] that says what went wrong.
pub fn verify(case: VerifyCase, mut progress: impl FnMut(&str)) -> Result<VerifyFigures, BenchError> {
    let homes = case.homes;
    progress(&format!("{homes} homes: signing {DAYS} days of reports"));
    let engine = key(0)?;
    let evidence = evidence(case, &engine)?;
    progress(&format!("{homes} homes: settling, and sealing the bundle"));
    let rules = |error: &dyn std::fmt::Display| BenchError::Rules(error.to_string());
    let text = Bundle::seal(evidence, &engine)
        .map_err(|e| rules(&e))?
        .0
        .to_text();
    progress(&format!("{homes} homes: verifying"));
    let start = Instant::now();
    let verified = verify_bundle(text.as_bytes(), Some(&engine.identity())).map_err(|e| rules(&e))?;
    let took = start.elapsed();
    let counts = verified.derived.counts;
    let paid = verified.derived.statement.totals.amount.base_units();
    let envelopes = envelopes(&verified.bundle.evidence().map_err(|e| rules(&e))?)?;
    drop(verified);
    let sent = envelopes.len();
    if counts.signatures != u64::try_from(sent).unwrap_or(u64::MAX) || paid <= 0 {
        let taken = usize::try_from(counts.signatures).unwrap_or(usize::MAX);
        return Err(BenchError::Lost { sent, taken });
    }
    progress(&format!("{homes} homes: the {sent} signatures alone"));
    let claims: Vec<Claim<'_>> = envelopes.iter().map(|signed| signed.claim()).collect();
    let one_by_one = |claims: &[Claim<'_>]| claims.iter().filter(|claim| claim.holds()).count();
    let in_batches = |claims: &[Claim<'_>]| verify_all(claims).into_iter().filter(|holds| *holds).count();
    let all = [claims.as_slice()];
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let shares: Vec<&[Claim<'_>]> = claims.chunks(claims.len().div_ceil(cores).max(1)).collect();
    Ok(VerifyFigures {
        case,
        bytes: text.len(),
        signatures: counts.signatures,
        readings: counts.readings,
        verify: took,
        single_one_core: timed(sent, &all, one_by_one)?,
        single: timed(sent, &shares, one_by_one)?,
        batch_one_core: timed(sent, &all, in_batches)?,
        batch: timed(sent, &shares, in_batches)?,
    })
}

/// How long it takes until each share is verified, each on a core of its own.
fn timed(
    sent: usize,
    shares: &[&[Claim<'_>]],
    work: impl Fn(&[Claim<'_>]) -> usize + Sync,
) -> Result<Duration, BenchError> {
    let start = Instant::now();
    let taken: usize = cores::each(shares, |share| work(share)).into_iter().sum();
    let took = start.elapsed();
    match taken == sent {
        true => Ok(took),
        false => Err(BenchError::Lost { sent, taken }),
    }
}

/// What was signed, and the signature.
struct SignedBytes {
    envelope: Envelope,
    bytes: Vec<u8>,
}

impl SignedBytes {
    fn claim(&self) -> Claim<'_> {
        self.envelope.claim(&self.bytes)
    }
}

fn envelopes(evidence: &Evidence) -> Result<Vec<SignedBytes>, BenchError> {
    let instructions = evidence
        .instructions
        .iter()
        .map(|i| (&i.envelope, Purpose::Instruction));
    let answers = evidence
        .acknowledgements
        .iter()
        .map(|a| (&a.envelope, Purpose::Acknowledgement));
    let reports = evidence.reports.iter().map(|r| (&r.envelope, Purpose::Report));
    let signed = |(bytes, purpose): (&Vec<u8>, Purpose)| {
        let failed = |e: gridtally_protocol::envelope::EnvelopeError| BenchError::Workload(e.into());
        let envelope = Envelope::parse(bytes).map_err(failed)?;
        let bytes = envelope.signed_bytes(purpose).map_err(failed)?;
        Ok(SignedBytes { envelope, bytes })
    };
    instructions.chain(answers).chain(reports).map(signed).collect()
}

fn instant(seconds: i64) -> Result<Timestamp, BenchError> {
    Ok(Timestamp::from_unix(seconds)?)
}

fn slot(day: u32, slot: u32) -> Result<Timestamp, BenchError> {
    instant(FIRST + i64::from(day) * 86_400 + i64::from(slot) * SLOT_SECONDS)
}

fn key(number: u32) -> Result<SigningIdentity, BenchError> {
    Ok(SigningIdentity::from_secret(
        Digest::of(&number.to_be_bytes()).as_bytes(),
    )?)
}

fn evidence(case: VerifyCase, engine: &SigningIdentity) -> Result<Evidence, BenchError> {
    let event = Event {
        id: "bench-event"
            .parse()
            .map_err(|_| BenchError::Rules("the event has no name".into()))?,
        program: "bench".parse()?,
        start: slot(DAYS - 1, EVENT_SLOT)?,
        end: slot(DAYS - 1, EVENT_SLOT + EVENT_SLOTS)?,
        announced_at: slot(DAYS - 1, 20)?,
    };
    let mut evidence = Evidence {
        agreements: Vec::new(),
        case: Case {
            version: 1,
            settled_at: instant(FIRST + i64::from(DAYS + 1) * 86_400)?,
            engine: engine.identity(),
            carried_from: None,
            other_events: Vec::new(),
            resettles: None,
            held: Vec::new(),
            owed: Vec::new(),
            published: Vec::new(),
            season: Vec::new(),
            code: CODE.to_owned(),
            event,
        },
        program: ProgramDocument {
            document: PROGRAM.to_owned(),
        },
        enrolments: Vec::new(),
        instructions: Vec::new(),
        acknowledgements: Vec::new(),
        reports: Vec::new(),
        originals: Vec::new(),
        refusals: Vec::new(),
        corrections: Vec::new(),
        outages: Vec::new(),
        disputes: Vec::new(),
        superseded: None,
        seasons: Vec::new(),
        temperatures: Vec::new(),
        beacons: Vec::new(),
    };
    let numbers: Vec<u32> = (1..=case.homes).collect();
    for home in cores::map(&numbers, |number| {
        Home::of(*number, case, &evidence.case.event, engine)
    }) {
        let home = home?;
        evidence.enrolments.push(home.enrolment);
        evidence.instructions.push(home.instruction);
        evidence.acknowledgements.push(home.answer);
        evidence.reports.extend(home.reports);
    }
    Ok(evidence)
}

/// What one home signs, and what is asked of it.
struct Home {
    enrolment: Enrolment,
    instruction: SentInstruction,
    answer: ReceivedAcknowledgement,
    reports: Vec<ReceivedReport>,
}

impl Home {
    fn of(
        number: u32,
        case: VerifyCase,
        event: &Event,
        engine: &SigningIdentity,
    ) -> Result<Self, BenchError> {
        let key = key(number)?;
        let gateway = key.identity();
        let power = Milliwatts::new(3_000_000);
        let instruction = Instruction {
            sequence: 1,
            gateway,
            event: event.id.clone(),
            issued_at: event.announced_at,
            expires_at: event.end,
            start: event.start,
            end: event.end,
            target: Target::SetPoint(power),
            program: None,
            price: None,
        };
        let instruction = SentInstruction {
            gateway,
            envelope: instruction.seal(engine)?,
        };
        let answer = Acknowledgement {
            instruction: Digest::of(&instruction.envelope),
            at: event.announced_at,
            stage: Stage::OptedIn(power),
        };
        Ok(Self {
            enrolment: Enrolment {
                site: format!("site-{number:07}").parse()?,
                beneficiary: format!("owner-{number:07}").parse()?,
                gateway,
                program: event.program.clone(),
                interval_seconds: IntervalLength::HALF_HOUR,
                membership: Default::default(),
                offer: Default::default(),
                location: None,
                agreement: None,
                devices: vec![EnrolledDevice {
                    number: DeviceNumber(1),
                    meter_key: None,
                    nameplate_milliwatts: Milliwatts::new(20_000_000),
                    capacity_milliwatt_hours: None,
                    quantities: vec![Quantity::GridImport, Quantity::GridExport],
                }],
            },
            answer: ReceivedAcknowledgement {
                gateway,
                received_at: event.announced_at,
                envelope: answer.seal(&key)?,
            },
            instruction,
            reports: reports(number, case, &key)?,
        })
    }
}

fn reports(number: u32, case: VerifyCase, key: &SigningIdentity) -> Result<Vec<ReceivedReport>, BenchError> {
    let slots = SLOTS / case.reports_a_day.clamp(1, SLOTS);
    let mut previous = Digest::NONE;
    let mut reports = Vec::new();
    let starts = (0..DAYS).flat_map(|day| {
        (0..SLOTS)
            .step_by(usize::try_from(slots).unwrap_or(1))
            .map(move |s| (day, s))
    });
    for (sequence, (day, first)) in (1_u64..).zip(starts) {
        let series = |quantity, of: fn(u32, u32, u32) -> i64| Series {
            channel: Channel {
                device: DeviceNumber(1),
                quantity,
            },
            resolution: 0,
            samples: (first..first + slots)
                .map(|slot| Ok(of(number, day, slot)))
                .collect(),
            qualities: BTreeMap::new(),
        };
        let issued_at = instant(slot(day, first + slots)?.unix() + 10)?;
        let report = Report {
            sequence,
            previous,
            issued_at,
            clock: ClockState::Synchronised,
            start: slot(day, first)?,
            interval: IntervalLength::HALF_HOUR,
            series: vec![
                series(Quantity::GridImport, drawn),
                series(Quantity::GridExport, |_, _, _| 0),
            ],
            beacon: None,
        };
        let envelope = report.seal(key)?;
        previous = Digest::of(&envelope);
        reports.push(ReceivedReport {
            gateway: key.identity(),
            sequence,
            received_at: issued_at,
            envelope,
        });
    }
    Ok(reports)
}

/// In milliwatt-hours: 200 to 700 Wh in half an hour, another value each time; in the event an eighth.
fn drawn(home: u32, day: u32, slot: u32) -> i64 {
    let mixed = u64::from(home).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (u64::from(day) << 8) ^ u64::from(slot);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33;
    let usual = 200_000 + i64::try_from(mixed % 500_000).unwrap_or(0);
    let in_event = day == DAYS - 1 && (EVENT_SLOT..EVENT_SLOT + EVENT_SLOTS).contains(&slot);
    if in_event { usual / 8 } else { usual }
}
