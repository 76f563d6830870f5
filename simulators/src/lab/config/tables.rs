//! The tables of a home's file, as serde reads them.

use crate::device::{Branch, Generation, Phases, Role};
use crate::fault::{Fault, Schedule};
use crate::lab::clock::Pace;
use crate::lab::plan::PlannedFault;
use crate::wire::Parity;
use chrono::{DateTime, Utc};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HomeFile {
    #[serde(default = "one")]
    pub(super) seed: u64,
    pub(super) weather_seed: Option<u64>,
    pub(super) start: Option<DateTime<Utc>>,
    #[serde(default = "real_time")]
    pub(super) time: Pace,
    pub(super) control: Option<SocketAddr>,
    pub(super) location: Option<LocationTable>,
    #[serde(default)]
    pub(super) pv: PvTable,
    #[serde(default)]
    pub(super) battery: BatteryTable,
    #[serde(default)]
    pub(super) load: LoadTable,
    #[serde(default)]
    pub(super) grid: GridTable,
    #[serde(default)]
    pub(super) device: Vec<Spanned<DeviceTable>>,
}

fn one() -> u64 {
    1
}

fn real_time() -> Pace {
    Pace::Scaled(1)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocationTable {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

/// Declares a table whose keys are fields of a spec, each optional, and how it changes the spec.
macro_rules! table {
    ($name:ident for $spec:ty { $($key:ident: $kind:ty),+ $(,)? }) => {
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name {
            $($key: Option<$kind>,)+
        }

        impl $name {
            pub(super) fn apply(&self, spec: &mut $spec) {
                $(if let Some(value) = self.$key { spec.$key = value; })+
            }
        }
    };
}

table!(PvTable for crate::PvSpec {
    peak_watts: u32,
    nameplate_watts: u32,
    tilt_degrees: f64,
    azimuth_degrees: f64,
});

table!(BatteryTable for crate::BatterySpec {
    capacity_watt_hours: u32,
    power_watts: u32,
    c_rate_permille: u32,
    one_way_efficiency_permille: u32,
    standby_milliwatts: u32,
    soc_min_permille: u32,
    soc_max_permille: u32,
    reserve_permille: u32,
    initial_soc_permille: u32,
    taper_from_permille: u32,
    taper_floor_permille: u32,
});

table!(GridTable for crate::GridSpec {
    nominal_millivolts: u32,
    impedance_milliohms: u32,
    nominal_millihertz: u32,
    swing_millihertz: u32,
});

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LoadTable {
    pub(super) profile: Option<LoadName>,
    pub(super) file: Option<Spanned<PathBuf>>,
    pub(super) shift_weeks: Option<i64>,
    pub(super) scale_permille: Option<u32>,
    pub(super) ev_charger_watts: Option<u32>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LoadName {
    London,
    Seeded,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceTable {
    pub(super) name: Option<String>,
    pub(super) role: Option<Role>,
    pub(super) profile: Option<PathBuf>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) pty: Option<PathBuf>,
    pub(super) serial: Option<SerialTable>,
    pub(super) unit: Option<u8>,
    pub(super) base: Option<u16>,
    #[serde(default)]
    pub(super) generation: Generation,
    #[serde(default)]
    pub(super) phases: Phases,
    pub(super) models: Option<Vec<u16>>,
    pub(super) measures: Option<Vec<Branch>>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) serial_number: Option<String>,
    pub(super) energy_scale: Option<i16>,
    pub(super) power_scale: Option<i16>,
    pub(super) soc_scale: Option<i16>,
    pub(super) counter_bits: Option<u32>,
    pub(super) heartbeat_seconds: Option<i64>,
    #[serde(default)]
    pub(super) fault: Vec<FaultTable>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct SerialTable {
    pub(super) path: PathBuf,
    #[serde(default = "usual_baud")]
    pub(super) baud: u32,
    #[serde(default)]
    pub(super) parity: Parity,
    #[serde(default = "one_stop_bit")]
    pub(super) stop_bits: u8,
}

fn usual_baud() -> u32 {
    9_600
}

fn one_stop_bit() -> u8 {
    1
}

/// A fault with its parameters, and when: `from` and `for`.
pub(super) struct FaultTable(pub(super) PlannedFault);

/// A fault's name, so that the complaint about it stands at its own line.
pub(super) struct FaultName(Fault);

impl<'de> Deserialize<'de> for FaultName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for FaultTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = FaultTable;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with a fault, its parameters, and perhaps from and for")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FaultTable, A::Error> {
                let (mut fault, mut from, mut duration) = (None, None, None);
                let mut settings: Vec<(String, i64)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "fault" => fault = Some(map.next_value::<FaultName>()?.0),
                        "from" => from = Some(map.next_value::<String>()?),
                        "for" => duration = Some(map.next_value::<String>()?),
                        _ => settings.push((key, map.next_value()?)),
                    }
                }
                let mut fault = fault.ok_or_else(|| A::Error::missing_field("fault"))?;
                for (parameter, value) in settings {
                    fault.set(&parameter, value).map_err(A::Error::custom)?;
                }
                let schedule = match (from, duration) {
                    (None, None) => None,
                    (Some(from), Some(duration)) => {
                        Some(Schedule::read(&from, &duration).map_err(A::Error::custom)?)
                    }
                    _ => {
                        return Err(A::Error::custom(
                            "a schedule has both: from = \"14:00\" and for = \"10m\"",
                        ));
                    }
                };
                Ok(FaultTable(PlannedFault { fault, schedule }))
            }
        }
        deserializer.deserialize_map(Table)
    }
}
