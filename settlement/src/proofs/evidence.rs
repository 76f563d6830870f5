//! Evidence: what was known when an event was settled, as plain records. Nothing in here is believed; that is
//! what the signatures in it are for.

use chrono::NaiveDate;
use data_encoding::HEXLOWER;
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::TokenAmount;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::{Interval, Timestamp};
use serde::{Deserialize, Serialize};

use super::agreements::SignedSite;
use super::hex_bytes;
use crate::registry::Enrolment;
use crate::rules::payment::Season;
use crate::rules::statement::{
    BeneficiaryId, DayTemperature, Event, Metered, Occasion, PublishedPrice, SiteId, Statement, is_nothing,
};

/// Everything from which one statement follows. The order within the lists has no meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What is settled.
    pub case: Case,
    /// The program's document, as it stood when the event was announced.
    pub program: ProgramDocument,
    /// Who was enrolled.
    pub enrolments: Vec<Enrolment>,
    /// What was signed of that.
    pub agreements: Vec<SignedSite>,
    /// What the engine asked for.
    pub instructions: Vec<SentInstruction>,
    /// What the gateways said that they did about it.
    pub acknowledgements: Vec<ReceivedAcknowledgement>,
    /// What the gateways measured; of a slot that was filled twice, both.
    pub reports: Vec<ReceivedReport>,
    /// What meters have signed themselves, of the event. No payment follows from it.
    pub originals: Vec<ReceivedOriginal>,
    /// What was not taken, and why.
    pub refusals: Vec<RefusedMessage>,
    /// What somebody put in the place of a meter's reading.
    pub corrections: Vec<Correction>,
    /// Days on which sites had an outage.
    pub outages: Vec<Outage>,
    /// What the statement before was disputed for.
    pub disputes: Vec<Dispute>,
    /// The statement before, where this one corrects it.
    pub superseded: Option<Statement>,
    /// What each site did and was paid earlier in the season, where the program pays by that.
    pub seasons: Vec<SiteSeason>,
    /// How warm it was, where the program looks for days of like weather.
    pub temperatures: Vec<Temperature>,
    /// The beacons that reports name.
    pub beacons: Vec<PublishedBeacon>,
}

/// What is settled, by whom, and with what carried over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The event.
    pub event: Event,
    /// The version of its statement: 1 is the first.
    pub version: u32,
    /// Up to when evidence was taken in; the payment is booked at this instant.
    pub settled_at: Timestamp,
    /// Whose instructions these are, and who signs the bundle.
    pub engine: Identity,
    /// The settlement of the program before this one; none before the first.
    pub carried_from: Option<Carry>,
    /// The program's other events: their days are not compared.
    pub other_events: Vec<Event>,
    /// The statement of this event that is corrected; none by the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resettles: Option<Resettles>,
    /// What beneficiaries hold, where something may have to be taken from there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Balance>,
    /// What beneficiaries owe to the program because they were paid too much before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Balance>,
    /// The prices that were published for the event's intervals, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<PublishedPrice>,
    /// From which statements the sites' seasons follow, in the order of the events' starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub season: Vec<EarlierStatement>,
    /// The program that settled, with its version.
    pub code: String,
}

/// The statement that is corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resettles {
    /// Its version.
    pub version: u32,
    /// SHA-256 of its bytes.
    pub statement: Digest,
    /// Why it is corrected.
    pub occasion: Occasion,
}

/// A site's season up to the event, as the statements say that the case names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSeason {
    /// The site.
    pub site: SiteId,
    /// What it did, and what it was paid for that.
    pub season: Season,
}

/// A statement of an earlier event of the season.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierStatement {
    /// Of which event.
    pub event: EventId,
    /// Which version; all before it are looked at too.
    pub version: u32,
    /// SHA-256 of its bytes.
    pub statement: Digest,
}

/// What somebody holds or owes, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// Who.
    pub beneficiary: BeneficiaryId,
    /// How much, in base units; more than nothing.
    pub amount: TokenAmount,
}

/// What somebody put in the place of what a site's meter counted in an interval: another meter's value, or that
/// there is none. The engine's word, like the time at which it was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// Its number, from 1 on; of two for one interval the higher counts.
    pub number: u32,
    /// Whose meter.
    pub site: SiteId,
    /// Of when.
    pub interval: Interval,
    /// What counts.
    pub net: Metered,
    /// Who corrects it.
    pub by: String,
    /// Why, and where the value comes from.
    pub why: String,
    /// When it was written down.
    pub made_at: Timestamp,
}

/// A local day on which a site had an outage: it is not compared, and no shortfall is held against the site. The
/// engine's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// Where.
    pub site: SiteId,
    /// When.
    pub day: NaiveDate,
    /// Who says so.
    pub by: String,
    /// Why.
    pub why: String,
    /// When it was written down.
    pub declared_at: Timestamp,
}

/// The highest temperature of a local day, as the operator published it. The engine's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temperature {
    /// The day, in the program's zone.
    pub day: NaiveDate,
    /// Which word on this day it is, from 1 on: the last that was known at the settlement counts.
    pub number: u32,
    /// In thousandths of a degree.
    pub max_millidegrees: i32,
    /// When it was published.
    pub published_at: Timestamp,
}

/// That a statement was disputed, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    /// Its number within the event, from 1 on.
    pub number: u32,
    /// Whose part of the statement.
    pub site: SiteId,
    /// Of which version.
    pub version: u32,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub raised_at: Timestamp,
    /// What was decided, where it was.
    pub decision: Option<Decision>,
}

/// What came of a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Whether the site was right.
    pub upheld: bool,
    /// Who decided.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// The version of the code of this build, as it stands in a case.
pub const CODE: &str = concat!("gridtally ", env!("CARGO_PKG_VERSION"));

/// What an earlier settlement left over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carry {
    /// Of which event.
    pub event: EventId,
    /// Of which version of its statement.
    pub version: u32,
    /// SHA-256 of that statement.
    pub statement: Digest,
    /// What it left over, in millionths of a base unit, from 0 to 999,999.
    pub carry_out: i64,
    /// What the program's pools have left, in base units.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub pool_carry: TokenAmount,
}

/// A program's document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramDocument {
    /// The TOML text, byte for byte.
    pub document: String,
}

/// An instruction as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentInstruction {
    /// To whom.
    pub gateway: Identity,
    /// The signed bytes.
    #[serde(with = "hex_bytes")]
    pub envelope: Vec<u8>,
}

/// An acknowledgement as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceivedAcknowledgement {
    /// On whose topic.
    pub gateway: Identity,
    /// When.
    pub received_at: Timestamp,
    /// The signed bytes.
    #[serde(with = "hex_bytes")]
    pub envelope: Vec<u8>,
}

/// A beacon as it was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedBeacon {
    /// Its number.
    pub number: u64,
    /// The signed bytes.
    #[serde(with = "hex_bytes")]
    pub envelope: Vec<u8>,
}

/// A report as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceivedReport {
    /// On whose topic.
    pub gateway: Identity,
    /// The number that it bears; for finding it, the one in the envelope counts.
    pub sequence: u64,
    /// When.
    pub received_at: Timestamp,
    /// The signed bytes.
    #[serde(with = "hex_bytes")]
    pub envelope: Vec<u8>,
}

/// An original as it came: what a meter has signed itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceivedOriginal {
    /// On whose topic.
    pub gateway: Identity,
    /// When.
    pub received_at: Timestamp,
    /// The gateway's signed bytes, with the meter's inside.
    #[serde(with = "hex_bytes")]
    pub envelope: Vec<u8>,
}

/// A message that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedMessage {
    /// When it came.
    pub received_at: Timestamp,
    /// On which topic.
    pub topic: String,
    /// Why it was not taken.
    pub reason: Refusal,
    /// The same in words.
    pub detail: String,
    /// Its bytes.
    #[serde(with = "hex_bytes")]
    pub payload: Vec<u8>,
}

/// What of a digest stands in a record's name.
fn short(bytes: &[u8]) -> String {
    let mut digits = HEXLOWER.encode(Digest::of(bytes).as_bytes());
    digits.truncate(16);
    digits
}

/// The name of an enrolment's record.
#[must_use]
pub fn enrolment_name(enrolment: &Enrolment) -> String {
    format!("enrolment/{}", enrolment.site)
}

impl SentInstruction {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!(
            "instruction/{}/{}",
            self.gateway.multibase(),
            short(&self.envelope)
        )
    }
}

impl ReceivedAcknowledgement {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!(
            "acknowledgement/{}/{}",
            self.gateway.multibase(),
            short(&self.envelope)
        )
    }
}

impl ReceivedReport {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!(
            "report/{}/{:010}/{}",
            self.gateway.multibase(),
            self.sequence,
            short(&self.envelope)
        )
    }
}

impl PublishedBeacon {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!("beacon/{:010}", self.number)
    }
}

impl ReceivedOriginal {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!("original/{}/{}", self.gateway.multibase(), short(&self.envelope))
    }
}

impl RefusedMessage {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        let mut content = format!("{}\n{}\n{}\n", self.topic, self.reason, self.detail).into_bytes();
        content.extend_from_slice(&self.payload);
        format!("refusal/{}/{}", self.received_at, short(&content))
    }
}

impl Correction {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!("correction/{}/{:010}", self.site, self.number)
    }
}

impl Outage {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!("outage/{}/{}", self.site, self.day)
    }
}

impl Temperature {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!("temperature/{}", self.day)
    }

    /// What the rules look at.
    #[must_use]
    pub const fn as_input(&self) -> DayTemperature {
        DayTemperature {
            day: self.day,
            max_millidegrees: self.max_millidegrees,
        }
    }
}

impl SiteSeason {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!("season/{}", self.site)
    }
}

impl Dispute {
    /// The name of its record.
    #[must_use]
    pub fn name(&self) -> String {
        format!("dispute/{:010}", self.number)
    }
}

impl Evidence {
    /// Puts everything in order and drops repetitions, so that the same evidence makes the same bundle. Of the
    /// same bytes that came twice, the first receipt is kept.
    pub fn normalise(&mut self) {
        self.case.other_events.sort_by(|a, b| a.id.cmp(&b.id));
        self.case.other_events.dedup();
        once_each(&mut self.enrolments, enrolment_name, |_| ());
        once_each(&mut self.agreements, SignedSite::name, |_| ());
        once_each(&mut self.instructions, SentInstruction::name, |_| ());
        once_each(&mut self.acknowledgements, ReceivedAcknowledgement::name, |a| {
            a.received_at
        });
        once_each(&mut self.reports, ReceivedReport::name, |r| r.received_at);
        once_each(&mut self.beacons, PublishedBeacon::name, |_| ());
        once_each(&mut self.originals, ReceivedOriginal::name, |o| o.received_at);
        once_each(&mut self.refusals, RefusedMessage::name, |_| ());
        once_each(&mut self.corrections, Correction::name, |_| ());
        once_each(&mut self.outages, Outage::name, |_| ());
        once_each(&mut self.disputes, Dispute::name, |_| ());
        self.case.owed.sort_by(|a, b| a.beneficiary.cmp(&b.beneficiary));
        self.case.held.sort_by(|a, b| a.beneficiary.cmp(&b.beneficiary));
        self.case.published.sort();
        once_each(&mut self.seasons, SiteSeason::name, |_| ());
        once_each(&mut self.temperatures, Temperature::name, |t| {
            core::cmp::Reverse(t.number)
        });
    }
}

/// Sorts by name, then by `order`, and keeps the first of each name.
fn once_each<T, O: Ord>(records: &mut Vec<T>, name: impl Fn(&T) -> String, order: impl Fn(&T) -> O) {
    records.sort_by_cached_key(|record| (name(record), order(record)));
    records.dedup_by(|later, first| name(later) == name(first));
}
