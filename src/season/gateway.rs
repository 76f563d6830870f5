//! A home's gateway: it signs what its meter counted, day by day, keeps it while nobody can be reached, and answers
//! events with its own key.

use std::collections::BTreeMap;

use gridtally_protocol::acknowledgement::{Acknowledgement, Declined, Stage};
use gridtally_protocol::channel::{Channel, DeviceNumber, Missing, Quantity};
use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_protocol::topic::{Topic, TopicKind};
use gridtally_settlement::registry::{EnrolledDevice, Enrolment};
use gridtally_settlement::rules::program::ProgramId;

use super::home::SeasonHome;
use super::plan::{Answer, Fault, Plan, SLOTS_PER_DAY};
use super::play::Trace;
use crate::neighbourhood::keys;

const METER: DeviceNumber = DeviceNumber(1);
/// A house connection of 100 A at 230 V.
const CONNECTION: Milliwatts = Milliwatts::new(23_000_000);
/// A report is signed so many seconds after its last interval.
const SIGNED_AFTER: i64 = 60;
/// What a meter that counts too little leaves out of each interval of an event, in milliwatt-hours.
pub(super) const UNDERSTATED: i64 = 250_000;

/// A message as the broker would hand it over: topic and bytes.
pub type Message = (String, Vec<u8>);

/// A gateway.
#[derive(Debug)]
pub struct Gateway {
    number: usize,
    key: SigningIdentity,
    sequence: u64,
    previous: Digest,
    waiting: Vec<Message>,
}

/// What a meter says of a day.
#[derive(Debug, Clone, Copy)]
pub struct MeterDay<'d> {
    /// The day, from 0.
    pub day: usize,
    /// What the meter counted.
    pub trace: &'d Trace,
    /// Intervals of which it says something wrong, by number.
    pub faults: &'d BTreeMap<usize, Fault>,
}

impl Gateway {
    /// The gateway of the `number`-th home.
    ///
    /// # Errors
    /// Never in practice.
    pub fn new(plan: &Plan, number: usize) -> anyhow::Result<Self> {
        Ok(Self {
            number,
            key: keys::signing(plan.seed, &SeasonHome::site(number))?,
            sequence: 0,
            previous: Digest::NONE,
            waiting: Vec::new(),
        })
    }

    /// Whose messages these are.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.key.identity()
    }

    /// How its home is enrolled.
    ///
    /// # Errors
    /// Never in practice.
    pub fn enrolment(&self, program: &ProgramId) -> anyhow::Result<Enrolment> {
        let enrolment = Enrolment {
            site: SeasonHome::site(self.number).parse()?,
            beneficiary: format!("owner-{:03}", self.number.saturating_add(1)).parse()?,
            gateway: self.identity(),
            program: program.clone(),
            interval_seconds: IntervalLength::HALF_HOUR,
            devices: vec![EnrolledDevice {
                number: METER,
                meter_key: None,
                nameplate_milliwatts: CONNECTION,
                capacity_milliwatt_hours: None,
                quantities: vec![Quantity::GridImport, Quantity::GridExport],
            }],
            membership: Default::default(),
            offer: Default::default(),
            location: None,
            agreement: None,
        };
        enrolment.check()?;
        Ok(enrolment)
    }

    /// Signs a day's readings, which wait until they are [sent](Self::send).
    ///
    /// # Errors
    /// Where the readings break a rule of reports.
    pub fn sign(&mut self, plan: &Plan, meter: MeterDay<'_>) -> anyhow::Result<()> {
        let first = meter.day.saturating_mul(SLOTS_PER_DAY);
        let said: Vec<_> = (first..first.saturating_add(SLOTS_PER_DAY))
            .map(|slot| meter.says(slot))
            .collect();
        let series = |quantity, of: fn(&(i64, i64)) -> i64| Series {
            channel: Channel {
                device: METER,
                quantity,
            },
            resolution: 0,
            samples: said
                .iter()
                .map(|said| said.as_ref().map(of).map_err(|missing| *missing))
                .collect(),
            qualities: BTreeMap::new(),
        };
        self.sequence = self.sequence.saturating_add(1);
        let report = Report {
            sequence: self.sequence,
            previous: self.previous,
            issued_at: plan.after(meter.day.saturating_add(1), SIGNED_AFTER),
            clock: ClockState::Synchronised,
            start: plan.after(meter.day, 0),
            interval: IntervalLength::HALF_HOUR,
            series: vec![
                series(Quantity::GridImport, |(import, _)| *import),
                series(Quantity::GridExport, |(_, export)| *export),
            ],
            beacon: None,
        };
        let envelope = report.seal(&self.key)?;
        self.previous = Digest::of(&envelope);
        self.waiting.push((self.topic(TopicKind::Report), envelope));
        Ok(())
    }

    /// Everything that waits.
    pub fn send(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.waiting)
    }

    /// What it says to an instruction, given by its digest.
    ///
    /// # Errors
    /// Never in practice.
    pub fn answer(&self, asked: Digest, answer: Answer, at: Timestamp) -> anyhow::Result<Option<Message>> {
        let stage = match answer {
            Answer::In => Stage::OptedIn(Plan::discharge()),
            Answer::Out => Stage::OptedOut(Declined::OwnerOptOut),
            Answer::Silent => return Ok(None),
        };
        let acknowledgement = Acknowledgement {
            instruction: asked,
            at,
            stage,
        };
        let envelope = acknowledgement.seal(&self.key)?;
        Ok(Some((self.topic(TopicKind::Acknowledgement), envelope)))
    }

    fn topic(&self, kind: TopicKind) -> String {
        let gateway = self.identity();
        Topic { gateway, kind }.to_string()
    }
}

impl MeterDay<'_> {
    fn says(&self, slot: usize) -> Result<(i64, i64), Missing> {
        let at = |values: &[i64]| values.get(slot).copied().unwrap_or(0);
        let (import, export) = (at(&self.trace.import), at(&self.trace.export));
        match self.faults.get(&slot) {
            None => Ok((import, export)),
            Some(Fault::Lost) => Err(Missing::Unreachable),
            Some(Fault::Understated) => {
                let less = import.saturating_sub(UNDERSTATED);
                Ok((less.max(0), export.saturating_add(less.min(0).saturating_neg())))
            }
        }
    }
}
