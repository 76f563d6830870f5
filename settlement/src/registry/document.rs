//! Enrolments as people write them: TOML.

use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::identity::Identity;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::IntervalLength;
use serde::Deserialize;

use super::enrolment::{EnrolledDevice, Enrolment, EnrolmentError};
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    number: DeviceNumber,
    kind: Kind,
    nameplate_watts: u32,
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
        }
    }
}

impl From<Device> for EnrolledDevice {
    fn from(device: Device) -> Self {
        Self {
            number: device.number,
            nameplate_milliwatts: Milliwatts::new(i64::from(device.nameplate_watts) * 1_000),
            quantities: device.kind.quantities(),
        }
    }
}
