//! Enrolments as people write them: TOML.

use std::collections::BTreeSet;

use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::identity::Identity;
use gridtally_protocol::location::CoarseLocation;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::IntervalLength;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::enrolment::{EnrolledDevice, Enrolment, EnrolmentError};
use super::membership::{GroupName, ZoneName};
use super::{Membership, Offer};
use crate::ingest::originals::MeterKey;
use crate::rules::program::ProgramId;
use crate::rules::statement::{BeneficiaryId, SiteId};

/// Why a file is no list of enrolments.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentFileError {
    /// Not TOML, or not of the layout; the text names line and column.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// Sites that make no sense, all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Sites(Vec<EnrolmentError>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    site: Vec<Site>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Site {
    id: SiteId,
    beneficiary: BeneficiaryId,
    gateway: Identity,
    program: ProgramId,
    interval_seconds: IntervalLength,
    device: Vec<Device>,
    zone: Option<ZoneName>,
    #[serde(default)]
    groups: BTreeSet<GroupName>,
    /// The power that it nominates for capacity payments.
    nominated_watts: Option<u32>,
    /// What it asks for a kWh, in whole tokens: a decimal in quotes.
    bid_per_kwh: Option<Decimal>,
    /// Where it is, to a tenth of a degree: "59.9,10.7".
    location: Option<CoarseLocation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    number: DeviceNumber,
    kind: Kind,
    nameplate_watts: u32,
    /// The usable energy of a battery.
    capacity_watt_hours: Option<u32>,
    /// The public key of a meter that signs its totals.
    meter_key: Option<MeterKey>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Kind {
    GridMeter,
    PvInverter,
    BatteryInverter,
}

impl Kind {
    fn quantities(self) -> Vec<Quantity> {
        match self {
            Self::GridMeter => vec![Quantity::GridImport, Quantity::GridExport],
            Self::PvInverter => vec![Quantity::PvProduction],
            Self::BatteryInverter => {
                vec![
                    Quantity::BatteryDischarge,
                    Quantity::BatteryCharge,
                    Quantity::StateOfCharge,
                ]
            }
        }
    }
}

/// Reads a TOML text with `[[site]]` tables.
///
/// # Errors
/// [`EnrolmentFileError`] with every mistake of the sites.
pub fn read_enrolments(text: &str) -> Result<Vec<Enrolment>, EnrolmentFileError> {
    let file: File = toml::from_str(text)?;
    let enrolments: Vec<Enrolment> = file.site.into_iter().map(Enrolment::from).collect();
    let mistakes: Vec<_> = enrolments.iter().filter_map(|e| e.check().err()).collect();
    if mistakes.is_empty() {
        Ok(enrolments)
    } else {
        Err(EnrolmentFileError::Sites(mistakes))
    }
}

impl From<Site> for Enrolment {
    fn from(site: Site) -> Self {
        let mut devices: Vec<EnrolledDevice> = site.device.into_iter().map(EnrolledDevice::from).collect();
        devices.sort_by_key(|d| d.number);
        Self {
            site: site.id,
            beneficiary: site.beneficiary,
            gateway: site.gateway,
            program: site.program,
            interval_seconds: site.interval_seconds,
            devices,
            membership: Membership {
                zone: site.zone,
                groups: site.groups,
            },
            offer: Offer {
                nominated_milliwatts: site
                    .nominated_watts
                    .map(|w| Milliwatts::new(i64::from(w) * 1_000)),
                bid_per_kwh: site.bid_per_kwh,
            },
            location: site.location,
            agreement: None,
        }
    }
}

impl From<Device> for EnrolledDevice {
    fn from(device: Device) -> Self {
        Self {
            number: device.number,
            nameplate_milliwatts: Milliwatts::new(i64::from(device.nameplate_watts) * 1_000),
            capacity_milliwatt_hours: device
                .capacity_watt_hours
                .map(|wh| MilliwattHours::new(i64::from(wh) * 1_000)),
            quantities: device.kind.quantities(),
            meter_key: device.meter_key,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use gridtally_protocol::identity::SigningIdentity;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_shipped_example_reads() {
        let enrolments = read_enrolments(include_str!("../../../config/sites.toml")).unwrap();
        assert_eq!(enrolments.len(), 1);
        assert_eq!(enrolments[0].devices.len(), 3);
    }

    /// Writes what [`read_enrolments`] reads.
    fn to_toml(enrolments: &[Enrolment]) -> String {
        let mut text = String::new();
        for e in enrolments {
            let Enrolment {
                site,
                beneficiary,
                gateway,
                program,
                ..
            } = e;
            let seconds = e.interval_seconds.seconds();
            write!(
                text,
                "[[site]]\nid = \"{site}\"\nbeneficiary = \"{beneficiary}\"\ngateway = \"{gateway}\"\n\
                 program = \"{program}\"\ninterval_seconds = {seconds}\n"
            )
            .unwrap();
            if let Some(zone) = &e.membership.zone {
                writeln!(text, "zone = \"{zone}\"").unwrap();
            }
            let groups: Vec<String> = e.membership.groups.iter().map(|g| format!("\"{g}\"")).collect();
            writeln!(text, "groups = [{}]", groups.join(", ")).unwrap();
            if let Some(power) = e.offer.nominated_milliwatts {
                writeln!(text, "nominated_watts = {}", power.get() / 1_000).unwrap();
            }
            if let Some(bid) = e.offer.bid_per_kwh {
                writeln!(text, "bid_per_kwh = \"{bid}\"").unwrap();
            }
            if let Some(location) = e.location {
                writeln!(text, "location = \"{location}\"").unwrap();
            }
            for device in &e.devices {
                let kind = match device.quantities[0] {
                    Quantity::GridImport => "grid_meter",
                    Quantity::PvProduction => "pv_inverter",
                    _ => "battery_inverter",
                };
                let watts = device.nameplate_milliwatts.get() / 1_000;
                let number = device.number;
                write!(
                    text,
                    "[[site.device]]\nnumber = {number}\nkind = \"{kind}\"\nnameplate_watts = {watts}\n"
                )
                .unwrap();
                if let Some(key) = device.meter_key {
                    writeln!(text, "meter_key = \"{key}\"").unwrap();
                }
                if let Some(capacity) = device.capacity_milliwatt_hours {
                    writeln!(text, "capacity_watt_hours = {}", capacity.get() / 1_000).unwrap();
                }
            }
        }
        text
    }

    fn device(number: u8, kind: Kind, watts: u32) -> EnrolledDevice {
        EnrolledDevice::from(Device {
            number: DeviceNumber(number),
            kind,
            nameplate_watts: watts,
            capacity_watt_hours: matches!(kind, Kind::BatteryInverter).then_some(watts),
            meter_key: matches!(kind, Kind::GridMeter).then(|| METER_KEY.parse().unwrap()),
        })
    }

    prop_compose! {
        fn any_enrolment()(
            number in 0_u32..1_000, secret in 1_u8.., minutes in proptest::sample::select(&[1_u32, 5, 15, 30, 60][..]),
            watts in proptest::collection::vec(1_u32.., 1..8), kinds in proptest::collection::vec(any::<bool>(), 8),
            offer in proptest::option::of((0_u32..9_000, 0_u32..9_000)),
            zone in proptest::option::of(0_u8..3), groups in proptest::collection::btree_set(0_u8..3, 0..3),
        ) -> Enrolment {
            let gateway = SigningIdentity::from_secret(&[secret; 32]).unwrap().identity();
            let kind = |index: usize| match (index, kinds[index]) {
                (0, _) => Kind::GridMeter,
                (_, true) => Kind::PvInverter,
                (_, false) => Kind::BatteryInverter,
            };
            Enrolment {
                site: format!("home-{number}").parse().unwrap(),
                beneficiary: format!("owner-{number}").parse().unwrap(),
                gateway,
                program: "flex".parse().unwrap(),
                interval_seconds: IntervalLength::from_seconds(minutes * 60).unwrap(),
                devices: (1..).zip(&watts).map(|(n, w)| device(n, kind(usize::from(n) - 1), *w)).collect(),
                membership: Membership {
                    zone: zone.map(|z| format!("zone-{z}").parse().unwrap()),
                    groups: groups.iter().map(|g| format!("group-{g}").parse().unwrap()).collect(),
                },
                offer: Offer {
                    nominated_milliwatts: offer.map(|(watts, _)| Milliwatts::new(i64::from(watts) * 1_000)),
                    bid_per_kwh: offer.map(|(_, cents)| Decimal::new(i64::from(cents), 2)),
                },
                location: offer.map(|(north, _)| CoarseLocation::new(i16::try_from(north / 10).unwrap(), -7).unwrap()),
                agreement: None,
            }
        }
    }

    proptest! {
        #[test]
        fn enrolments_survive_toml_and_json(enrolments in proptest::collection::vec(any_enrolment(), 1..5)) {
            prop_assert_eq!(&read_enrolments(&to_toml(&enrolments)).unwrap(), &enrolments);
            for enrolment in &enrolments {
                let json = serde_json::to_string(enrolment).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Enrolment>(&json).unwrap(), enrolment);
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(?s).{0,300}") {
            let _ = read_enrolments(&text);
        }
    }

    /// The generator of P-256, in uncompressed form.
    const METER_KEY: &str = "secp256r1:046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

    const GATEWAY: &str = "did:key:z6MktsLs7ByDkjGWBmDQMgZin2gPpd2H4i8PWmz1qVua7dmq";

    fn site(id: &str, devices: &str) -> String {
        format!(
            "[[site]]\nid = \"{id}\"\nbeneficiary = \"o\"\ngateway = \"{GATEWAY}\"\nprogram = \"p\"\n\
             interval_seconds = 300\ndevice = [{devices}]\n"
        )
    }

    const METER: &str = "{ number = 1, kind = \"grid_meter\", nameplate_watts = 9000 }";

    #[test]
    fn every_mistake_of_every_site_is_named() {
        let twice = METER.replace("= 1,", "= 2,");
        let text = [
            site("fine", METER),
            site("none", ""),
            site("two-meters", &format!("{METER}, {twice}")),
            site("same-number", &format!("{METER}, {METER}")),
            site("powerless", &METER.replace("9000", "0")),
            site("no-meter", &METER.replace("grid_meter", "pv_inverter")),
        ]
        .concat();
        let said = read_enrolments(&text).unwrap_err().to_string();
        let sites = ["none", "two-meters", "same-number", "powerless", "no-meter"];
        assert_eq!(said.lines().count(), sites.len(), "{said}");
        for (line, site) in said.lines().zip(sites) {
            assert!(line.starts_with(&format!("site {site}:")), "{line}");
        }
    }

    #[test]
    fn a_text_of_another_layout_is_refused_with_line_and_reason() {
        let fine = site("home", METER);
        assert!(read_enrolments(&fine).is_ok());
        for (from, to, reason) in [
            ("interval_seconds = 300", "interval_seconds = 301", "301"),
            (GATEWAY, "did:key:zNonsense", "gateway"),
            ("grid_meter", "grid_metre", "grid_metre"),
            ("program", "programme", "programme"),
            ("nameplate_watts = 9000", "nameplate_watts = -1", "-1"),
            ("number = 1,", "number = 256,", "256"),
            ("id = \"home\"", "id = \"a home\"", "id"),
        ] {
            let said = read_enrolments(&fine.replace(from, to)).unwrap_err().to_string();
            assert!(said.contains("line") && said.contains(reason), "{to}: {said}");
        }
    }

    #[test]
    fn devices_are_put_in_the_order_of_their_numbers() {
        let pv = "{ number = 2, kind = \"pv_inverter\", nameplate_watts = 1 }";
        let one = read_enrolments(&site("home", &format!("{METER}, {pv}"))).unwrap();
        let other = read_enrolments(&site("home", &format!("{pv}, {METER}"))).unwrap();
        assert_eq!(one, other);
    }
}
