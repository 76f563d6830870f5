//! What is asked of each kind of device, whichever map it has: [`sunspec`] models, or a [`profile`].

mod control;
mod profile;
mod sunspec;

use std::collections::BTreeMap;
use std::sync::Arc;

use gridtally_protocol::channel::{Channel, Missing, Quantity};
use gridtally_protocol::time::Timestamp;
use gridtally_registers::sunspec::Layout;

pub use self::control::Hand;
use self::profile::ProfileDriver;
use self::sunspec::SunSpecDriver;
pub(crate) use self::sunspec::lay_out;
use super::bus::{Bus, BusError};
use super::live::Live;
use super::reading::Observed;
use super::sunspec::{ModelPlace, Reader, SunSpecError};
use crate::config::DeviceConfig;

/// Why a device's values cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The exchange, or what came of it.
    #[error(transparent)]
    SunSpec(#[from] SunSpecError),
    /// The profile has no such point.
    #[error("the profile {profile:?} of the device has no {what}")]
    NotInProfile {
        /// Which profile.
        profile: String,
        /// What is missing in it.
        what: String,
    },
    /// A control that the device does not have, or that makes no sense.
    #[error(transparent)]
    Control(#[from] super::controls::ControlError),
    /// A point of a profile that cannot be used.
    #[error("{point}: {why}")]
    Point {
        /// Which point.
        point: String,
        /// Why not.
        why: String,
    },
}

impl From<BusError> for DriverError {
    fn from(error: BusError) -> Self {
        Self::SunSpec(error.into())
    }
}

impl DriverError {
    /// Whether the device said anything at all.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        match self {
            Self::SunSpec(error) => error.is_answer(),
            Self::NotInProfile { .. } | Self::Control(_) | Self::Point { .. } => true,
        }
    }

    /// Whether the same question may do better on a fresh connection, or on a map that is found anew. Never
    /// after silence: whoever was silent once costs a whole deadline.
    const fn is_worth_another_try(&self) -> bool {
        matches!(
            self,
            Self::SunSpec(
                SunSpecError::Bus(BusError::Transport(_) | BusError::Foreign(_))
                    | SunSpecError::Shifted { .. }
            )
        )
    }
}

/// The channels of a device at one instant.
pub type Observations = Vec<(Channel, Result<Observed, Missing>)>;

/// What a device showed at one instant.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Each configured channel, or why nothing of it counts.
    pub channels: Observations,
    /// What it does at this moment.
    pub live: Live,
    /// What is wrong with it, in a sentence.
    pub complaint: Option<String>,
}

/// What a map's driver found for each quantity that was asked for.
#[derive(Default)]
struct Found {
    values: Vec<(Quantity, Result<Observed, DriverError>)>,
    live: Live,
}

/// A device, and the map that was found on it.
#[derive(Debug)]
pub struct Driver {
    config: Arc<DeviceConfig>,
    reader: Reader,
    source: Source,
    /// The last complaint about each reading, so that a lasting one is logged once.
    complaints: BTreeMap<String, String>,
}

#[derive(Debug)]
enum Source {
    SunSpec(SunSpecDriver),
    Profile(ProfileDriver),
}

impl Driver {
    /// A driver for the device that the owner configured, on its connection.
    #[must_use]
    pub fn new(config: Arc<DeviceConfig>, bus: &Bus) -> Self {
        let unit = bus.unit(config.unit, config.timeout);
        let (source, limit) = match &config.profile {
            None => (Source::SunSpec(SunSpecDriver::new(&config)), config.max_registers),
            Some(profile) => (
                Source::Profile(ProfileDriver::new(Arc::clone(profile))),
                config.max_registers.min(profile.max_registers),
            ),
        };
        Self {
            reader: Reader::new(unit, limit),
            source,
            config,
            complaints: BTreeMap::new(),
        }
    }

    /// Reads all channels. A channel that cannot be read or believed is missing, with the reason. A device
    /// that was silent is only asked when it `must` be.
    pub async fn observe(&mut self, now: Timestamp, must: bool) -> Snapshot {
        self.reader.begin(now, must);
        let quantities: Vec<Quantity> = self.config.channels().map(|channel| channel.quantity).collect();
        let mut found = self.read(&quantities).await;
        if found.as_ref().is_err_and(DriverError::is_worth_another_try) {
            found = self.read(&quantities).await;
        }
        let found = match found {
            Ok(found) => {
                self.praise("device");
                found
            }
            Err(error) => {
                let missing = self.blame("device", &error);
                let channels = self.config.channels().map(|channel| (channel, Err(missing)));
                return Snapshot {
                    channels: channels.collect(),
                    live: Live::default(),
                    complaint: Some(error.to_string()),
                };
            }
        };
        let device = self.config.number;
        let values: Vec<_> = found
            .values
            .into_iter()
            // A device without counters is asked for its power alone.
            .filter(|(quantity, _)| !(self.config.integrates_power && quantity.is_energy()))
            .collect();
        let complaint = values
            .iter()
            .find_map(|(_, value)| Some(value.as_ref().err()?.to_string()));
        let channels = values.into_iter().map(|(quantity, value)| {
            let value = match value {
                Ok(value) => {
                    self.praise(quantity.name());
                    Ok(value)
                }
                Err(error) => Err(self.blame(quantity.name(), &error)),
            };
            (Channel { device, quantity }, value)
        });
        Snapshot {
            channels: channels.collect(),
            live: found.live,
            complaint,
        }
    }

    async fn read(&mut self, quantities: &[Quantity]) -> Result<Found, DriverError> {
        let found = match &mut self.source {
            Source::SunSpec(driver) => driver.read(&mut self.reader, quantities).await,
            Source::Profile(driver) => driver.read(&mut self.reader, &self.config, quantities).await,
        };
        if let Err(DriverError::SunSpec(SunSpecError::Bus(BusError::NotInStep))) = found {
            // It may be what is known of the device that is wrong, and then it would be so for ever.
            self.reader.unit().forget();
        }
        found
    }

    fn praise(&mut self, name: &str) {
        if self.complaints.remove(name).is_some() {
            tracing::info!(device = %self.config.name, reading = name, "credible again");
        }
    }

    /// Logs a complaint when it is new; says what the reading is missing for.
    fn blame(&mut self, name: &str, error: &DriverError) -> Missing {
        let reason = error.to_string();
        if self.complaints.get(name) != Some(&reason) {
            // That a silent device is left alone for a while is no news.
            if !matches!(
                error,
                DriverError::SunSpec(SunSpecError::Bus(BusError::BackingOff { .. }))
            ) {
                tracing::warn!(device = %self.config.name, reading = name, %reason, "no credible reading");
                self.complaints.insert(name.to_owned(), reason);
            }
        }
        if error.is_answer() {
            Missing::BadSample
        } else {
            Missing::Unreachable
        }
    }

    /// The battery's state of charge in thousandths of a percent, at most 100 %.
    ///
    /// # Errors
    /// [`DriverError`].
    pub async fn charge(&mut self, now: Timestamp) -> Result<i64, DriverError> {
        self.reader.begin(now, false);
        let found = self.read(&[Quantity::StateOfCharge]).await?;
        match found.values.into_iter().next() {
            Some((_, Ok(Observed::Level(level)))) => Ok(level),
            Some((_, Err(error))) => Err(error),
            _ => Err(DriverError::Point {
                point: Quantity::StateOfCharge.name().to_owned(),
                why: "the device does not show it".to_owned(),
            }),
        }
    }

    async fn find(&mut self, models: &[u16]) -> Result<(ModelPlace, Arc<Layout>), DriverError> {
        match &mut self.source {
            Source::SunSpec(driver) => driver.find(&mut self.reader, models).await,
            Source::Profile(_) => Err(DriverError::NotInProfile {
                profile: self.config.name.clone(),
                what: format!("SunSpec model {models:?}"),
            }),
        }
    }
}
