//! A device without SunSpec, by its register-map profile.

use std::sync::Arc;

use gridtally_protocol::channel::Quantity;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_registers::profile::{
    Block, Point, Poll, Profile, Quantity as Named, RegisterType, Table as ProfileTable, Unit as Measured,
    Value,
};
use rust_decimal::Decimal;

use super::{DriverError, Found};
use crate::config::DeviceConfig;
use crate::device::bus::{Canary, Table};
use crate::device::live::Live;
use crate::device::reading::{Count, Counter, Observed, Step};
use crate::device::sunspec::Reader;

const FULL: i64 = 100_000;

/// A device with a profile.
#[derive(Debug)]
pub(super) struct ProfileDriver {
    profile: Arc<Profile>,
    /// The connection on which it was last asked who it is, and what it said.
    identity: Option<(u64, Option<u64>)>,
}

/// Blocks with their answers.
struct Answers(Vec<(Block, Vec<u16>)>);

impl ProfileDriver {
    pub(super) const fn new(profile: Arc<Profile>) -> Self {
        Self {
            profile,
            identity: None,
        }
    }

    /// Reads these quantities, and the powers besides.
    pub(super) async fn read(
        &mut self,
        reader: &mut Reader,
        config: &DeviceConfig,
        quantities: &[Quantity],
    ) -> Result<Found, DriverError> {
        let mut answers = Answers(Vec::new());
        for poll in [Poll::Fast, Poll::Slow] {
            self.ask(reader, poll, &mut answers).await?;
        }
        if self
            .identity
            .is_none_or(|(connection, _)| connection != reader.connection())
        {
            let identity = self.identify(reader).await?;
            self.identity = Some((reader.connection(), identity));
        }
        let device = self.identity.and_then(|(_, identity)| identity);
        let mut found = Found {
            live: self.live(config, &answers),
            ..Found::default()
        };
        for &quantity in quantities {
            let value = self.observed(config, &answers, quantity, device);
            if let Ok(Observed::Level(level)) = value {
                found.live.charge = Some(level);
            }
            found.values.push((quantity, value));
        }
        Ok(found)
    }

    async fn ask(&self, reader: &mut Reader, poll: Poll, answers: &mut Answers) -> Result<(), DriverError> {
        for block in self.profile.blocks(poll) {
            let words = reader
                .read(table(block.table), block.address, block.count)
                .await?;
            answers.0.push((block, words));
        }
        Ok(())
    }

    /// Who the device says that it is; its registers tell later whether a line is in step.
    async fn identify(&self, reader: &mut Reader) -> Result<Option<u64>, DriverError> {
        let mut answers = Answers(Vec::new());
        self.ask(reader, Poll::Once, &mut answers).await?;
        let Some(serial) = self.profile.quantity(Named::SerialNumber) else {
            return Ok(None);
        };
        let Some((block, words)) = answers
            .0
            .iter()
            .find(|(block, words)| block.registers_of(serial, words).is_some())
        else {
            return Ok(None);
        };
        reader.unit().know(Canary {
            table: table(block.table),
            address: block.address,
            words: words.clone(),
        });
        let text = match answers.value(serial) {
            Some(Value::Text(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            _ => return Ok(None),
        };
        let who = [self.profile.vendor.as_str(), &self.profile.name, &text].join("\0");
        let [a, b, c, d, e, f, g, h, ..] = *Digest::of(who.as_bytes()).as_bytes();
        Ok(Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])))
    }

    fn observed(
        &self,
        config: &DeviceConfig,
        answers: &Answers,
        quantity: Quantity,
        device: Option<u64>,
    ) -> Result<Observed, DriverError> {
        let names: &[Named] = match quantity {
            Quantity::GridImport if config.counters_are_swapped => &[Named::GridExportEnergy],
            Quantity::GridExport if config.counters_are_swapped => &[Named::GridImportEnergy],
            Quantity::GridImport => &[Named::GridImportEnergy],
            Quantity::GridExport => &[Named::GridExportEnergy],
            Quantity::PvProduction => &[Named::PvEnergy, Named::AcEnergy],
            Quantity::BatteryDischarge => &[Named::BatteryDischargeEnergy],
            Quantity::BatteryCharge => &[Named::BatteryChargeEnergy],
            Quantity::StateOfCharge => &[Named::BatterySoc],
        };
        let point = names
            .iter()
            .find_map(|name| self.profile.quantity(*name))
            .ok_or_else(|| DriverError::NotInProfile {
                profile: self.profile.name.clone(),
                what: quantity.name().to_owned(),
            })?;
        let value = if quantity == Quantity::StateOfCharge {
            answers
                .milli(point)
                .filter(|level| (0..=FULL).contains(level))
                .map(Observed::Level)
        } else {
            answers
                .count(point)
                .map(|count| Observed::Counter(Counter { count, device }))
        };
        value.ok_or_else(|| DriverError::Point {
            point: point.name.to_string(),
            why: answers.value(point).map_or_else(
                || "the device does not let it be read".to_owned(),
                |value| format!("it has no credible value ({value:?})"),
            ),
        })
    }

    fn live(&self, config: &DeviceConfig, answers: &Answers) -> Live {
        let power = |name| {
            let milli = match self.profile.quantity(name) {
                Some(point) => answers.milli(point)?,
                None => {
                    let watts = self
                        .profile
                        .sum(name)?
                        .watts(&self.profile, |point| answers.value(point))?;
                    milli(watts)?
                }
            };
            Some(Milliwatts::new(milli))
        };
        let grid = power(Named::GridPower);
        Live {
            grid: if config.export_is_positive {
                grid.and_then(|power| power.get().checked_neg().map(Milliwatts::new))
            } else {
                grid
            },
            pv: power(Named::PvPower).or_else(|| power(Named::AcPower)),
            battery: power(Named::BatteryPower),
            charge: None,
        }
    }
}

impl Answers {
    fn registers(&self, point: &Point) -> Option<&[u16]> {
        self.0
            .iter()
            .find_map(|(block, words)| block.registers_of(point, words))
    }

    fn value(&self, point: &Point) -> Option<Value> {
        point.decode(self.registers(point)?).ok()
    }

    /// A number in thousandths of its base unit, rounded down.
    fn milli(&self, point: &Point) -> Option<i64> {
        let Value::Number(number) = self.value(point)? else {
            return None;
        };
        let base = point.unit.map_or(Some(number), |unit| unit.to_base(number))?;
        milli(base)
    }

    /// A lifetime counter with the width at which it starts over.
    fn count(&self, point: &Point) -> Option<Count> {
        let raw = point.encoding.raw_number(self.registers(point)?)?;
        let step = step(point)?;
        let (count, bits) = match point.encoding.kind() {
            RegisterType::F32 => return Count::of_f32(u32::try_from(raw).ok()?, step),
            RegisterType::U16 => Some((raw, 16)),
            RegisterType::U32 => Some((raw, 32)),
            RegisterType::U64 => Some((raw, 64)),
            // What counts in two's complement goes back to nothing where its sign would turn.
            RegisterType::I16 => positive(raw, 15),
            RegisterType::I32 => positive(raw, 31),
            RegisterType::I64 => positive(raw, 63),
            RegisterType::Text(_) | RegisterType::Bits => None,
        }?;
        Some(Count::Integer { count, bits, step })
    }
}

/// Thousandths, rounded down.
fn milli(number: Decimal) -> Option<i64> {
    i64::try_from(number.checked_mul(Decimal::from(1_000))?.floor().mantissa()).ok()
}

fn positive(raw: u64, bits: u8) -> Option<(u64, u8)> {
    (raw >> bits == 0).then_some((raw, bits))
}

/// The energy of one count: the scale of the point in its unit, as a fraction of milliwatt-hours.
fn step(point: &Point) -> Option<Step> {
    let unit: Measured = point.unit?;
    let watt_hours = unit.to_base(point.encoding.scale())?;
    let milli = watt_hours.checked_mul(Decimal::from(1_000))?.normalize();
    let denominator = 10_u64.checked_pow(milli.scale())?;
    Step::new(u64::try_from(milli.mantissa()).ok()?, denominator)
}

const fn table(table: ProfileTable) -> Table {
    match table {
        ProfileTable::Holding => Table::Holding,
        ProfileTable::Input => Table::Input,
    }
}
