//! What is read from and written to each kind of device, in as few requests as its models allow.

use std::collections::BTreeMap;

use gridtally_protocol::channel::{Channel, Missing, Quantity};
use gridtally_protocol::time::Timestamp;
use sunspec::models::model103::Model103;
use sunspec::models::model124::Model124;
use sunspec::models::model203::Model203;
use sunspec::models::model802::Model802;
use sunspec::{Group, Model};

use super::bus::{Bus, BusError};
use super::reading::Observed;
use super::storage::{Setting, StorageState};
use super::sunspec::{Block, Map, ModelPlace, SunSpecError, discover, scaled};
use crate::config::{DeviceConfig, DeviceKind};

/// The channels of a device at one instant.
pub type Observations = Vec<(Channel, Result<Observed, Missing>)>;

/// A device: its connection, and the map that was found on it.
#[derive(Debug)]
pub struct Driver {
    config: DeviceConfig,
    bus: Bus,
    /// The map, and the number of the connection on which it was found.
    map: Option<(u64, Map)>,
    /// The last complaint about each reading, so that a lasting one is logged once.
    complaints: BTreeMap<&'static str, String>,
}

impl Driver {
    /// A driver for the device that the owner configured.
    #[must_use]
    pub fn new(config: DeviceConfig) -> Self {
        let bus = Bus::new(config.address.clone(), config.unit, config.timeout);
        Self {
            config,
            bus,
            map: None,
            complaints: BTreeMap::new(),
        }
    }

    /// Reads all channels. A channel that cannot be read or believed is missing, with the reason.
    pub async fn observe(&mut self, now: Timestamp) -> Observations {
        let observed = match self.config.kind {
            DeviceKind::GridMeter => {
                let result = self.attempt(now, Request::Meter).await;
                vec![
                    (Quantity::GridImport, pick(&result, 0)),
                    (Quantity::GridExport, pick(&result, 1)),
                ]
            }
            DeviceKind::PvInverter => {
                let result = self.attempt(now, Request::Inverter).await;
                vec![(Quantity::PvProduction, pick(&result, 0))]
            }
            DeviceKind::BatteryInverter => {
                let energy = self.attempt(now, Request::Inverter).await;
                // A device that has just kept silent is not asked again at once.
                let level = match energy {
                    Err(Missing::Unreachable) => Err(Missing::Unreachable),
                    _ => self.attempt(now, Request::Charge).await,
                };
                vec![
                    (Quantity::BatteryDischarge, pick(&energy, 0)),
                    (Quantity::StateOfCharge, pick(&level, 0)),
                ]
            }
        };
        let device = self.config.number;
        observed
            .into_iter()
            .map(|(quantity, value)| (Channel { device, quantity }, value))
            .collect()
    }

    /// Reads, and once more on a fresh connection where an idle one turned out to be dead. Never after
    /// silence: whoever was silent once costs a whole deadline.
    async fn attempt(&mut self, now: Timestamp, request: Request) -> Result<Vec<Judged>, Missing> {
        let mut result = self.read(now, request).await;
        if matches!(
            result,
            Err(SunSpecError::Bus(BusError::Transport(_)) | SunSpecError::Shifted { .. })
        ) {
            result = self.read(now, request).await;
        }
        match result {
            Ok(values) => {
                self.praise(request.name());
                Ok(values
                    .into_iter()
                    .map(|(name, value)| self.judge(name, value))
                    .collect())
            }
            Err(error) => Err(self.blame(request.name(), &error)),
        }
    }

    async fn read(&mut self, now: Timestamp, request: Request) -> Result<Vec<Raw>, SunSpecError> {
        Ok(match request {
            Request::Meter => {
                let block = self.block::<Model203>(now, true).await?;
                let scale = block.scale("TotWh_SF", &Model203::TOT_WH_SF)?;
                let import = block.accumulator("TotWhImp", &Model203::TOT_WH_IMP, scale);
                let export = block.accumulator("TotWhExp", &Model203::TOT_WH_EXP, scale);
                vec![
                    ("TotWhImp", import.map(Observed::Counter)),
                    ("TotWhExp", export.map(Observed::Counter)),
                ]
            }
            Request::Inverter => {
                let block = self.block::<Model103>(now, true).await?;
                let scale = block.scale("WH_SF", &Model103::WH_SF)?;
                let energy = block.accumulator("WH", &Model103::WH, scale);
                vec![("WH", energy.map(Observed::Counter))]
            }
            Request::Charge => {
                let level = self.read_charge(now, true).await?;
                vec![("SoC", Ok(Observed::Level(level)))]
            }
        })
    }

    fn judge(&mut self, name: &'static str, value: Result<Observed, SunSpecError>) -> Judged {
        match value {
            Ok(value) => {
                self.praise(name);
                Ok(value)
            }
            Err(error) => Err(self.blame(name, &error)),
        }
    }

    fn praise(&mut self, name: &'static str) {
        if self.complaints.remove(name).is_some() {
            tracing::info!(device = %self.config.name, reading = name, "credible again");
        }
    }

    /// Logs a complaint when it is new; says what the reading is missing for.
    fn blame(&mut self, name: &'static str, error: &SunSpecError) -> Missing {
        let reason = error.to_string();
        if self.complaints.get(name) != Some(&reason) {
            tracing::warn!(device = %self.config.name, reading = name, %reason, "no credible reading");
            self.complaints.insert(name, reason);
        }
        missing(error)
    }

    /// The battery's state of charge in thousandths of a percent, at most 100 %.
    ///
    /// # Errors
    /// [`SunSpecError`].
    pub async fn charge(&mut self, now: Timestamp) -> Result<i64, SunSpecError> {
        self.read_charge(now, false).await
    }

    async fn read_charge(&mut self, now: Timestamp, must: bool) -> Result<i64, SunSpecError> {
        let block = self.block::<Model802>(now, must).await?;
        let scale = block.scale("SoC_SF", &Model802::SOC_SF)?;
        let value = i64::from(block.unsigned("SoC", &Model802::SOC)?);
        scaled(value, scale, 3)
            .filter(|level| (0..=100_000).contains(level))
            .ok_or(SunSpecError::BadValue {
                model: Model802::ID,
                point: "SoC",
                value,
            })
    }

    /// The storage controls of model 124 as they stand.
    ///
    /// # Errors
    /// [`SunSpecError`].
    pub async fn storage(&mut self, now: Timestamp) -> Result<StorageState, SunSpecError> {
        StorageState::of(&self.block::<Model124>(now, false).await?)
    }

    /// Writes a setting: rates with their timer in one request, then what they apply to.
    ///
    /// # Errors
    /// [`SunSpecError`]; after a time-out it is unknown what the device took.
    pub async fn write_storage(&mut self, now: Timestamp, setting: Setting) -> Result<(), SunSpecError> {
        let place = self.place::<Model124>(now, false).await?;
        for (offset, words) in setting.writes() {
            let address = place
                .address
                .checked_add(2)
                .and_then(|a| a.checked_add(offset))
                .ok_or(BusError::Request {
                    address: place.address,
                    count: words.len(),
                })?;
            self.bus.write(address, &words).await?;
        }
        Ok(())
    }

    async fn place<M: Model>(&mut self, now: Timestamp, must: bool) -> Result<ModelPlace, SunSpecError> {
        let epoch = self.bus.connect(now, must).await?;
        if self.map.as_ref().is_none_or(|(found, _)| *found != epoch) {
            self.map = None;
            let map = discover(&mut self.bus, self.config.base).await?;
            let models: Vec<u16> = map.models.iter().map(|m| m.id).collect();
            tracing::debug!(device = %self.config.name, ?models, "found the SunSpec map");
            self.map = Some((epoch, map));
        }
        let place = match &self.map {
            Some((_, map)) => map.first(M::ID),
            None => Map::default().first(M::ID),
        };
        if place.is_err() {
            // A walk that was cut short by nonsense must not be the last.
            self.map = None;
        }
        place
    }

    async fn block<M: Model + Group>(
        &mut self,
        now: Timestamp,
        must: bool,
    ) -> Result<Block<M>, SunSpecError> {
        let place = self.place::<M>(now, must).await?;
        let block = Block::read(&mut self.bus, place).await;
        if let Err(SunSpecError::Shifted { .. }) = block {
            self.map = None;
        }
        block
    }
}

type Raw = (&'static str, Result<Observed, SunSpecError>);
type Judged = Result<Observed, Missing>;

#[derive(Debug, Clone, Copy)]
enum Request {
    Meter,
    Inverter,
    Charge,
}

impl Request {
    const fn name(self) -> &'static str {
        match self {
            Self::Meter => "meter",
            Self::Inverter => "inverter",
            Self::Charge => "charge",
        }
    }
}

const fn missing(error: &SunSpecError) -> Missing {
    if error.is_answer() {
        Missing::BadSample
    } else {
        Missing::Unreachable
    }
}

fn pick(result: &Result<Vec<Judged>, Missing>, index: usize) -> Judged {
    match result {
        Ok(values) => values.get(index).copied().unwrap_or(Err(Missing::BadSample)),
        Err(missing) => Err(*missing),
    }
}
