//! Homes with panels, a battery and a meter, for two weeks and a day: what their devices truly count.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::ensure;
use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_settlement::registry::{EnrolledDevice, Enrolment};
use gridtally_simulators::attack::{BATTERY, METER, PV, Scene, Truth};
use gridtally_simulators::{Energies, Home, HomeSpec, Role};

use super::Corpus;
use crate::neighbourhood::keys;
use crate::season::play::Command;

/// A Monday in April.
const START: i64 = 1_775_433_600; // 2026-04-06T00:00:00Z
const HALF_HOUR: i64 = 1_800;
const A_DAY: usize = 48;
/// Two weeks of history, and the event's day.
const DAYS: usize = 16;
/// The event: from 18:00 until 20:00 UTC on the last day.
const EVENT: Range<usize> = (DAYS - 1) * A_DAY + 36..(DAYS - 1) * A_DAY + 40;
const CONNECTION_WATTS: i64 = 23_000;
const GIVEN: Milliwatts = Milliwatts::new(3_000_000);

/// A home, played.
#[derive(Debug)]
pub(super) struct PlayedHome {
    pub(super) key: SigningIdentity,
    pub(super) enrolment: Enrolment,
    pub(super) truth: Truth,
}

impl PlayedHome {
    pub(super) fn scene<'s>(
        &'s self,
        stranger: &'s SigningIdentity,
        beside: &'s Self,
        instruction: &'s [u8],
    ) -> Scene<'s> {
        Scene {
            key: &self.key,
            truth: &self.truth,
            neighbour: &beside.key,
            beside: &beside.truth,
            stranger,
            instruction,
            announced_at: announced_at(),
            event: EVENT,
        }
    }
}

fn at(interval: usize) -> Timestamp {
    let seconds = i64::try_from(interval).unwrap_or(0).saturating_mul(HALF_HOUR);
    Timestamp::from_unix(START.saturating_add(seconds)).unwrap_or(Timestamp::EPOCH)
}

/// Four hours before the event.
pub(super) fn announced_at() -> Timestamp {
    at(EVENT.start.saturating_sub(8))
}

/// The event.
pub(super) fn event() -> (Timestamp, Timestamp) {
    (at(EVENT.start), at(EVENT.end))
}

/// A day after the event, when everything has come.
pub(super) fn settled_at() -> Timestamp {
    at(DAYS.saturating_add(2).saturating_mul(A_DAY))
}

/// The day before the event, and its own.
pub(super) fn looked_at() -> (Timestamp, Timestamp) {
    (at((DAYS - 2) * A_DAY), at(DAYS * A_DAY))
}

/// Every interval of the event's day.
pub(super) fn event_day() -> (Timestamp, Timestamp) {
    (at((DAYS - 1) * A_DAY), at(DAYS * A_DAY))
}

pub(super) fn play(corpus: &Corpus, progress: &mut impl FnMut(&str)) -> anyhow::Result<Vec<PlayedHome>> {
    let mut homes = Vec::with_capacity(corpus.homes);
    for number in 0..corpus.homes {
        if number.is_multiple_of(100) {
            progress(&format!("homes with their physics: {number} of {}", corpus.homes));
        }
        homes.push(one(corpus, number)?);
    }
    Ok(homes)
}

fn one(corpus: &Corpus, number: usize) -> anyhow::Result<PlayedHome> {
    let site = format!("home-{number:04}");
    let key = keys::signing(corpus.seed, &site)?;
    let mut spec = HomeSpec::draw(
        corpus
            .seed
            .wrapping_mul(1_000_003)
            .wrapping_add(u64::try_from(number)?),
    );
    spec.weather_seed = corpus.seed;
    spec.devices.retain(|device| device.role == Role::Battery);
    let device = |number, watts: i64, capacity: Option<i64>, quantities: &[Quantity]| EnrolledDevice {
        number,
        meter_key: None,
        nameplate_milliwatts: Milliwatts::new(watts * 1_000),
        capacity_milliwatt_hours: capacity.map(|wh| MilliwattHours::new(wh * 1_000)),
        quantities: quantities.to_vec(),
    };
    let battery = [
        Quantity::BatteryDischarge,
        Quantity::BatteryCharge,
        Quantity::StateOfCharge,
    ];
    let capacity = i64::from(spec.battery.capacity_watt_hours);
    let enrolment = Enrolment {
        agreement: None,
        site: site.parse()?,
        beneficiary: format!("owner-{number:04}").parse()?,
        gateway: key.identity(),
        program: "evening-flex".parse()?,
        interval_seconds: IntervalLength::HALF_HOUR,
        membership: Default::default(),
        offer: Default::default(),
        location: Some("51.5,-0.1".parse()?),
        devices: vec![
            device(
                METER,
                CONNECTION_WATTS,
                None,
                &[Quantity::GridImport, Quantity::GridExport],
            ),
            device(
                PV,
                i64::from(spec.pv.nameplate_watts),
                None,
                &[Quantity::PvProduction],
            ),
            device(
                BATTERY,
                i64::from(spec.battery.power_watts),
                Some(capacity),
                &battery,
            ),
        ],
    };
    enrolment.check()?;
    Ok(PlayedHome {
        truth: truth(&spec)?,
        key,
        enrolment,
    })
}

fn truth(spec: &HomeSpec) -> anyhow::Result<Truth> {
    let mut home = Home::try_new(spec.clone(), START)?;
    let mut before = home.energies();
    let mut series: BTreeMap<Channel, Vec<i64>> = BTreeMap::new();
    let mut add = |device: DeviceNumber, quantity, value| {
        series
            .entry(Channel { device, quantity })
            .or_default()
            .push(value);
    };
    for interval in 0..DAYS * A_DAY {
        if interval == EVENT.start
            && let Some(battery) = home.devices().first()
        {
            let seconds = HALF_HOUR.saturating_mul(i64::try_from(EVENT.len())?);
            Command::Give(GIVEN, seconds).give(battery, i64::from(spec.battery.power_watts))?;
        }
        home.advance_to(at(interval.saturating_add(1)).unix());
        let after = home.energies();
        let counted = |of: fn(&Energies) -> i64| of(&after).saturating_sub(of(&before));
        add(
            METER,
            Quantity::GridImport,
            counted(|e| e.grid_import.milliwatt_hours()),
        );
        add(
            METER,
            Quantity::GridExport,
            counted(|e| e.grid_export.milliwatt_hours()),
        );
        add(PV, Quantity::PvProduction, counted(|e| e.pv.milliwatt_hours()));
        add(
            BATTERY,
            Quantity::BatteryDischarge,
            counted(|e| e.battery_discharge.milliwatt_hours()),
        );
        add(
            BATTERY,
            Quantity::BatteryCharge,
            counted(|e| e.battery_charge.milliwatt_hours()),
        );
        // As devices tell it: in whole percents.
        let percent = (home.soc_basis_points().saturating_add(50)).div_euclid(100);
        add(BATTERY, Quantity::StateOfCharge, percent.saturating_mul(1_000));
        before = after;
    }
    let truth = Truth {
        start: at(0),
        interval: IntervalLength::HALF_HOUR,
        series,
    };
    ensure!(
        truth.len() == DAYS * A_DAY,
        "a home with {} intervals",
        truth.len()
    );
    Ok(truth)
}
