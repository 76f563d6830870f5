//! The engine's checks and rules, without broker and database.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::channel::Quantity;
use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::ingest::{Arrival, Beacons, Knowledge, judge};
use gridtally_settlement::proofs::derive::derive;
use gridtally_settlement::proofs::evidence::{
    CODE, Case, Evidence, ProgramDocument, ReceivedAcknowledgement, ReceivedReport, RefusedMessage,
    SentInstruction,
};
use gridtally_settlement::proofs::judge::{Source, Submission, judge as judge_reports};
use gridtally_settlement::quality::{self, Finding, Neighbour};
use gridtally_settlement::registry::Enrolment;
use gridtally_settlement::rules::statement::{Event, SiteId, SiteStatement};
use gridtally_settlement::store::refusals::StoredRefusal;
use gridtally_simulators::attack::Sent;

use super::homes::{self, PlayedHome};

const PROGRAM: &str = r#"
id = "evening-flex"
version = 1
zone = "Europe/London"
interval_minutes = 30
measurement = "site_meter_net"
baseline = "unadj_10_10"
price_per_kwh = "0.85"
clip = "interval"
[asset]
code = "FLEX"
decimals = 6
"#;
const POWER: Milliwatts = Milliwatts::new(3_000_000);
/// What comes within the same second is judged together.
const ENGINE_SECRET: [u8; 32] = [0x42; 32];

/// An engine in memory.
pub(super) struct Engine {
    key: SigningIdentity,
    enrolments: Vec<Enrolment>,
    instructions: Vec<SentInstruction>,
    known: Knowledge,
    reports: BTreeMap<Digest, ReceivedReport>,
    acknowledgements: BTreeMap<Digest, ReceivedAcknowledgement>,
    refusals: Vec<StoredRefusal>,
}

/// What came of it.
pub(super) struct Outcome {
    /// The statement by site.
    pub(super) sites: BTreeMap<SiteId, SiteStatement>,
    /// Why something on a home's topics was refused, at its coming or at the settlement.
    pub(super) refused: BTreeMap<Identity, BTreeSet<Refusal>>,
    /// What the days before and of the event have about them.
    pub(super) quality: BTreeMap<SiteId, BTreeSet<Finding>>,
    /// Whose sun or battery is another's, to the last digit.
    pub(super) copies: BTreeSet<SiteId>,
}

fn event() -> anyhow::Result<Event> {
    let (start, end) = homes::event();
    Ok(Event {
        id: "tuesday-evening".parse()?,
        program: "evening-flex".parse()?,
        start,
        end,
        announced_at: homes::announced_at(),
    })
}

impl Engine {
    pub(super) fn new(homes: &[PlayedHome]) -> anyhow::Result<Self> {
        let key = SigningIdentity::from_secret(&ENGINE_SECRET)?;
        let event = event()?;
        let enrolments: Vec<Enrolment> = homes.iter().map(|home| home.enrolment.clone()).collect();
        let mut instructions = Vec::with_capacity(homes.len());
        let mut known = Knowledge::default();
        for enrolment in &enrolments {
            let instruction = Instruction {
                sequence: 1,
                gateway: enrolment.gateway,
                event: event.id.clone(),
                issued_at: event.announced_at,
                expires_at: event.end,
                start: event.start,
                end: event.end,
                target: Target::SetPoint(POWER),
                program: None,
                price: None,
            };
            let envelope = instruction.seal(&key)?;
            known
                .instructions
                .push((enrolment.gateway, Digest::of(&envelope)));
            known.enrolments.insert(enrolment.gateway, enrolment.clone());
            instructions.push(SentInstruction {
                gateway: enrolment.gateway,
                envelope,
            });
        }
        Ok(Self {
            key,
            enrolments,
            instructions,
            known,
            reports: BTreeMap::new(),
            acknowledgements: BTreeMap::new(),
            refusals: Vec::new(),
        })
    }

    pub(super) fn instruction(&self, home: usize) -> &[u8] {
        self.instructions.get(home).map_or(&[], |sent| &sent.envelope)
    }

    /// Takes messages in, in the order in which they come.
    pub(super) fn take(&mut self, sent: &[Sent]) {
        for together in sent.chunk_by(|a, b| a.at == b.at) {
            let Some(at) = together.first().map(|sent| sent.at) else {
                continue;
            };
            let arrivals: Vec<Arrival> = together
                .iter()
                .map(|sent| Arrival::open(&sent.topic, sent.bytes.clone()))
                .collect();
            self.take_batch(&arrivals, at);
        }
    }

    fn take_batch(&mut self, arrivals: &[Arrival], at: Timestamp) {
        // What the store would look up for these messages.
        let gateways: BTreeSet<Identity> = arrivals.iter().filter_map(Arrival::gateway).collect();
        let mut known = Knowledge::default();
        for gateway in gateways {
            if let Some(enrolment) = self.known.enrolments.get(&gateway) {
                known.enrolments.insert(gateway, enrolment.clone());
            }
            let held = self.known.neighbours.get(&gateway).cloned().unwrap_or_default();
            known.neighbours.insert(gateway, held);
        }
        let acknowledged: BTreeSet<_> = arrivals.iter().filter_map(Arrival::acknowledged).collect();
        let sent = self
            .known
            .instructions
            .iter()
            .filter(|sent| acknowledged.contains(sent));
        known.instructions = sent.copied().collect();
        let judged = judge(arrivals, known, at);
        for report in judged.reports {
            self.known
                .neighbours
                .entry(report.gateway)
                .or_default()
                .push(report.link);
            let received = ReceivedReport {
                gateway: report.gateway,
                sequence: report.link.sequence,
                received_at: report.received_at,
                envelope: report.envelope,
            };
            self.reports.entry(report.link.digest).or_insert(received);
        }
        for acknowledgement in judged.acknowledgements {
            let received = ReceivedAcknowledgement {
                gateway: acknowledgement.gateway,
                received_at: acknowledgement.received_at,
                envelope: acknowledgement.envelope,
            };
            self.acknowledgements
                .entry(acknowledgement.digest)
                .or_insert(received);
        }
        self.refusals.extend(judged.refusals);
    }

    /// Settles the event.
    pub(super) fn settle(self) -> anyhow::Result<Outcome> {
        let event = event()?;
        let mut refused: BTreeMap<Identity, BTreeSet<Refusal>> = BTreeMap::new();
        for refusal in &self.refusals {
            if let Some(gateway) = refusal.gateway {
                refused.entry(gateway).or_default().insert(refusal.reason);
            }
        }
        let enrolled = |refusal: &&StoredRefusal| {
            let gateway = refusal.gateway;
            gateway.is_some_and(|gateway| self.known.enrolments.contains_key(&gateway))
        };
        let refusals = self
            .refusals
            .iter()
            .filter(enrolled)
            .map(|refusal| RefusedMessage {
                received_at: refusal.received_at,
                topic: refusal.topic.clone(),
                reason: refusal.reason,
                detail: refusal.detail.clone(),
                payload: refusal.bytes.clone(),
            });
        let (quality, copies) = looked_at(&self.enrolments, &self.reports, event.announced_at);
        let evidence = Evidence {
            originals: Vec::new(),
            agreements: Vec::new(),
            case: Case {
                event,
                version: 1,
                settled_at: homes::settled_at(),
                engine: self.key.identity(),
                carried_from: None,
                other_events: Vec::new(),
                resettles: None,
                held: Vec::new(),
                owed: Vec::new(),
                published: Vec::new(),
                season: Vec::new(),
                code: CODE.to_owned(),
            },
            program: ProgramDocument {
                document: PROGRAM.to_owned(),
            },
            refusals: refusals.collect(),
            enrolments: self.enrolments,
            instructions: self.instructions,
            acknowledgements: self.acknowledgements.into_values().collect(),
            reports: self.reports.into_values().collect(),
            corrections: Vec::new(),
            outages: Vec::new(),
            disputes: Vec::new(),
            superseded: None,
            seasons: Vec::new(),
            beacons: Vec::new(),
            temperatures: Vec::new(),
        };
        let derived = derive(&evidence)?;
        for record in derived.refused {
            refused.entry(record.gateway).or_default().insert(record.reason);
        }
        let sites = derived.statement.sites.into_iter();
        Ok(Outcome {
            sites: sites.map(|site| (site.site.clone(), site)).collect(),
            refused,
            quality,
            copies,
        })
    }
}

type Looked = (BTreeMap<SiteId, BTreeSet<Finding>>, BTreeSet<SiteId>);

/// The quality of the day before the event and of its own, and who is another's copy.
fn looked_at(
    enrolments: &[Enrolment],
    reports: &BTreeMap<Digest, ReceivedReport>,
    announced_at: Timestamp,
) -> Looked {
    let mut by_gateway: BTreeMap<Identity, Vec<Submission<'_>>> = BTreeMap::new();
    for report in reports.values() {
        by_gateway.entry(report.gateway).or_default().push(Submission {
            record: Source::Store,
            received_at: report.received_at,
            envelope: &report.envelope,
        });
    }
    let mut quality = BTreeMap::new();
    let mut series: [Vec<Neighbour>; 2] = [Vec::new(), Vec::new()];
    for enrolment in enrolments {
        let of_site = by_gateway.remove(&enrolment.gateway).unwrap_or_default();
        let judged = judge_reports(enrolment, &of_site, announced_at, &Beacons::default());
        let scored = quality::score(enrolment, homes::looked_at(), &judged.readings);
        let findings = scored.annotations.iter().map(|note| note.finding).collect();
        quality.insert(enrolment.site.clone(), findings);
        let (from, until) = homes::event_day();
        let of = |quantity| {
            let standing = judged
                .readings
                .iter()
                .filter(move |(reading, refused)| reading.channel.quantity == quantity && refused.is_none());
            let day = standing.filter(move |(reading, _)| (from..until).contains(&reading.interval.start()));
            day.map(|(reading, _)| reading.value.ok().map(|value| value.get()))
                .collect()
        };
        let quantities = [Quantity::PvProduction, Quantity::BatteryDischarge];
        for (sites, quantity) in series.iter_mut().zip(quantities) {
            if let Some(location) = enrolment.location {
                sites.push(Neighbour {
                    site: enrolment.site.clone(),
                    location,
                    production: of(quantity),
                });
            }
        }
    }
    let copies = series.iter().flat_map(|sites| quality::compare(sites));
    let copies = copies
        .filter(|compared| !compared.copies.is_empty())
        .map(|compared| compared.site);
    (quality, copies.collect())
}
