//! Signed reports of a neighbourhood.

use std::collections::BTreeMap;

use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::{ClockState, Report, Series};
use gridtally_protocol::time::{IntervalLength, TimeError, Timestamp};
use gridtally_protocol::topic::{Topic, TopicKind};

use super::BenchError;
use crate::registry::{EnrolledDevice, Enrolment};

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Intervals of five minutes in a report; five channels each.
    pub intervals: u16,
    /// How many reports.
    pub reports: u32,
}

/// How many gateways take turns.
const GATEWAYS: u32 = 100;
const CHANNELS: [(u8, Quantity); 5] = [
    (1, Quantity::GridImport),
    (1, Quantity::GridExport),
    (2, Quantity::PvProduction),
    (3, Quantity::BatteryDischarge),
    (3, Quantity::StateOfCharge),
];
/// 2026-01-01T00:00:00Z.
const FIRST: i64 = 1_767_225_600;
const LENGTH: IntervalLength = IntervalLength::FIVE_MINUTES;

/// A report on its way.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) topic: String,
    pub(super) envelope: Vec<u8>,
}

pub(super) struct Workload {
    pub(super) enrolments: Vec<Enrolment>,
    /// Gateway after gateway in turn, each in the order of its chain.
    pub(super) reports: Vec<Published>,
    pub(super) readings: u64,
    /// The present, in which all of the reports were just issued.
    pub(super) now: Timestamp,
}

impl Workload {
    /// The same for the same size.
    pub(super) fn sign(size: Size) -> Result<Self, BenchError> {
        let rounds = size.reports.div_ceil(GATEWAYS);
        let span = i64::from(size.intervals) * i64::from(LENGTH.seconds());
        let now = instant(FIRST + i64::from(rounds) * span)?;
        let mut gateways = (0..GATEWAYS)
            .map(|number| Gateway::new(number, now))
            .collect::<Result<Vec<_>, _>>()?;
        let mut reports = Vec::new();
        for round in 0..rounds {
            for gateway in &mut gateways {
                reports.push(gateway.report(instant(FIRST + i64::from(round) * span)?, size.intervals)?);
            }
        }
        let readings =
            u64::from(rounds) * u64::from(GATEWAYS) * u64::from(size.intervals) * CHANNELS.len() as u64;
        let enrolments = gateways.into_iter().map(|g| g.enrolment).collect();
        Ok(Self {
            enrolments,
            reports,
            readings,
            now,
        })
    }

    pub(super) fn messages(&self) -> Vec<(String, Vec<u8>)> {
        self.reports
            .iter()
            .map(|r| (r.topic.clone(), r.envelope.clone()))
            .collect()
    }
}

fn instant(seconds: i64) -> Result<Timestamp, TimeError> {
    Timestamp::from_unix(seconds)
}

struct Gateway {
    key: SigningIdentity,
    enrolment: Enrolment,
    topic: String,
    sequence: u64,
    previous: Digest,
    now: Timestamp,
}

impl Gateway {
    fn new(number: u32, now: Timestamp) -> Result<Self, BenchError> {
        let key = SigningIdentity::from_secret(Digest::of(&number.to_be_bytes()).as_bytes())?;
        let gateway = key.identity();
        let topic = Topic {
            gateway,
            kind: TopicKind::Report,
        }
        .to_string();
        let enrolment = enrolment(number, gateway)?;
        Ok(Self {
            key,
            enrolment,
            topic,
            sequence: 0,
            previous: Digest::NONE,
            now,
        })
    }

    fn report(&mut self, start: Timestamp, intervals: u16) -> Result<Published, BenchError> {
        self.sequence += 1;
        let series = |(device, quantity): (u8, Quantity)| Series {
            channel: Channel {
                device: DeviceNumber(device),
                quantity,
            },
            resolution: 0,
            samples: (0..intervals)
                .map(|index| Ok(value(self.sequence, device, index)))
                .collect(),
            qualities: BTreeMap::new(),
        };
        let report = Report {
            sequence: self.sequence,
            previous: self.previous,
            issued_at: self.now,
            clock: ClockState::Synchronised,
            start,
            interval: LENGTH,
            series: CHANNELS.into_iter().map(series).collect(),
            beacon: None,
        };
        let envelope = report.seal(&self.key)?;
        self.previous = Digest::of(&envelope);
        Ok(Published {
            topic: self.topic.clone(),
            envelope,
        })
    }
}

/// Something like a house: up to 80 Wh in five minutes, another value each time.
fn value(sequence: u64, device: u8, index: u16) -> i64 {
    let mixed = sequence.wrapping_mul(7_919) ^ (u64::from(index) * 104_729) ^ (u64::from(device) << 9);
    i64::try_from(mixed % 80_000).unwrap_or(0)
}

fn enrolment(number: u32, gateway: Identity) -> Result<Enrolment, BenchError> {
    let devices = (1..=3).map(|device| EnrolledDevice {
        number: DeviceNumber(device),
        meter_key: None,
        nameplate_milliwatts: Milliwatts::new(10_000_000),
        capacity_milliwatt_hours: None,
        quantities: CHANNELS
            .into_iter()
            .filter(|(of, _)| *of == device)
            .map(|(_, quantity)| quantity)
            .collect(),
    });
    Ok(Enrolment {
        site: format!("site-{number}").parse()?,
        beneficiary: format!("owner-{number}").parse()?,
        gateway,
        program: "bench".parse()?,
        interval_seconds: LENGTH,
        membership: Default::default(),
        offer: Default::default(),
        location: None,
        agreement: None,
        devices: devices.collect(),
    })
}
