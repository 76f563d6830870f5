//! What the physics says about each quantity of the vocabulary.

use super::{Overflow, number, registers_of};
use crate::device::commands::Commands;
use crate::device::models::{Ratings, part};
use crate::device::snapshot::{CELL_MILLIVOLTS, Grid, Inverter, Metered};
use crate::device::spec::{Branch, DeviceSpec, Role};
use crate::energy::Energy;
use crate::physics::Site;
use gridtally_registers::profile::{Point, Quantity, Unit, Value};
use rust_decimal::Decimal;

/// A whole number of thousandths.
const MILLI: i128 = 1_000;
const MILLIWATT_SECONDS_PER_WATT_HOUR: i128 = 3_600_000;

/// What a point shall show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// So many parts of the quantity's base unit (W, Wh, V, A, Hz, %, °C).
    Number {
        amount: i128,
        /// How many parts make one.
        per: i128,
        /// It only rises, and wraps where its type ends.
        counter: bool,
    },
    Text(String),
}

impl Reading {
    pub(super) fn number(amount: i64, per: i128) -> Self {
        let amount = i128::from(amount);
        Self::Number {
            amount,
            per,
            counter: false,
        }
    }

    /// In milliwatts, where it is a number of thousandths.
    pub(super) fn power(&self) -> Option<i64> {
        match self {
            Self::Number {
                amount, per: MILLI, ..
            } => i64::try_from(*amount).ok(),
            _ => None,
        }
    }

    pub(super) fn milliwatts(power: i64) -> Self {
        Self::number(power, MILLI)
    }

    fn counter(energy: Energy) -> Self {
        Self::Number {
            amount: i128::from(energy.milliwatt_seconds()),
            per: MILLIWATT_SECONDS_PER_WATT_HOUR,
            counter: true,
        }
    }

    /// The registers of a point that show it: counters are the floor of their energy and wrap with their
    /// type or at so many bits; other numbers are cut towards zero and stay at the end of their type; a
    /// float is the nearest one; a text is cut.
    pub(super) fn registers(&self, point: &Point, counter_bits: Option<u32>) -> Option<Vec<u16>> {
        let encoding = &point.encoding;
        let (amount, per, counter) = match self {
            Self::Text(text) if number::range(encoding.kind()).is_some() => {
                return registers_of(encoding, digits(text), Overflow::Wrap);
            }
            Self::Text(text) => {
                let text = cut(text, usize::from(point.length()) * 2);
                return encoding.encode(&Value::Text(text)).ok();
            }
            Self::Number { amount, per, counter } => (*amount, *per, *counter),
        };
        let per = per * i128::from(point.unit.map_or(1, |unit: Unit| unit.base().1));
        let Some((_, greatest)) = number::range(encoding.kind()) else {
            let whole = |number| Decimal::try_from_i128_with_scale(number, 0).ok();
            let (amount, per) = (whole(amount)?, whole(per)?);
            return encoding.encode(&Value::Number(amount.checked_div(per)?)).ok();
        };
        let scale = encoding.scale();
        // At most 63 bits by 30, and 42 by 30.
        let (dividend, divisor) = (amount * 10_i128.pow(scale.scale()), per * scale.mantissa());
        let steps = if counter {
            let count = dividend.div_euclid(divisor);
            let count = counter_bits.map_or(count, |bits| count.rem_euclid(1 << bits));
            count.rem_euclid(greatest + 1)
        } else {
            dividend / divisor
        };
        registers_of(encoding, steps, Overflow::Saturate)
    }
}

/// The digits of a text as one number; of very many, the last.
fn digits(text: &str) -> i128 {
    let digits = text.chars().filter_map(|character| character.to_digit(10));
    digits.fold(0, |number, digit| {
        (number * 10 + i128::from(digit)) % 10_i128.pow(18)
    })
}

fn cut(text: &str, bytes_max: usize) -> String {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim_end_matches(' ').to_owned()
}

/// What one device sees of its site.
pub(super) struct Sight<'a> {
    spec: &'a DeviceSpec,
    ratings: &'a Ratings,
    site: &'a Site,
    grid: Grid,
    inverter: Inverter,
    metered: Metered,
}

impl<'a> Sight<'a> {
    pub(super) fn of(
        spec: &'a DeviceSpec,
        ratings: &'a Ratings,
        site: &'a Site,
        commands: &Commands,
    ) -> Self {
        let branch = match spec.role {
            Role::Meter => spec.branch(0),
            _ => Branch::Grid,
        };
        Self {
            spec,
            ratings,
            site,
            grid: Grid::of(site),
            inverter: Inverter::of(spec, site, commands),
            metered: Metered::of(branch, site),
        }
    }

    /// `None` where the physics has no such quantity, and of settings.
    ///
    /// Panels and battery are measured on their DC side, the battery's losses at rest included.
    pub(super) fn reading(&self, quantity: Quantity) -> Option<Reading> {
        use Quantity as Q;
        let milli = |thousandths| Some(Reading::number(thousandths, MILLI));
        let counter = |energy| Some(Reading::counter(energy));
        let text = |text: &str| Some(Reading::Text(text.to_owned()));
        let (flow, energies) = (self.site.flow(), self.site.energies());
        match quantity {
            Q::GridPower => milli(self.metered.power),
            Q::GridPowerL1 => milli(self.line(self.metered.power, 0)),
            Q::GridPowerL2 => milli(self.line(self.metered.power, 1)),
            Q::GridPowerL3 => milli(self.line(self.metered.power, 2)),
            Q::GridImportEnergy => counter(self.metered.import),
            Q::GridExportEnergy => counter(self.metered.export),
            Q::PvPower => milli(flow.pv_dc),
            Q::PvEnergy => counter(energies.pv_dc),
            Q::BatteryPower => milli(flow.battery_dc),
            Q::BatterySoc => Some(Reading::number(self.site.battery().soc_basis_points(), 100)),
            Q::BatterySoh => Some(Reading::number(100, 1)),
            Q::BatteryChargeEnergy => counter(energies.battery_dc_charge),
            Q::BatteryDischargeEnergy => counter(energies.battery_dc_discharge),
            Q::BatteryCapacity => Some(Reading::number(self.ratings.capacity_watt_hours, 1)),
            Q::BatteryVoltage => milli(CELL_MILLIVOLTS),
            Q::BatteryCurrent => milli(flow.battery_dc * 1_000 / CELL_MILLIVOLTS),
            Q::BatteryTemperature => milli(self.inverter.air_millicelsius),
            Q::AcPower => milli(self.inverter.power),
            Q::AcEnergy => counter(self.inverter.injected),
            Q::LoadPower => milli(flow.load),
            Q::RatedPower => Some(Reading::number(self.ratings.watts, 1)),
            Q::AcVoltage => milli(self.grid.millivolts),
            Q::AcVoltageL1 => milli(self.voltage(0)),
            Q::AcVoltageL2 => milli(self.voltage(1)),
            Q::AcVoltageL3 => milli(self.voltage(2)),
            Q::AcCurrentL1 => milli(self.current(0)),
            Q::AcCurrentL2 => milli(self.current(1)),
            Q::AcCurrentL3 => milli(self.current(2)),
            Q::Frequency => milli(self.grid.millihertz),
            Q::Temperature => milli(self.inverter.cabinet_millicelsius),
            Q::SerialNumber => text(&self.spec.serial_number),
            Q::Model => text(&self.spec.model),
            Q::Firmware => text(env!("CARGO_PKG_VERSION")),
            Q::State
            | Q::ExportLimit
            | Q::ProductionLimit
            | Q::ChargeSetpoint
            | Q::DischargeSetpoint
            | Q::BatteryReserve
            | Q::ControlTimer => None,
        }
    }

    /// The part of the n-th line; nothing where there is no such line.
    fn line(&self, whole: i64, n: i64) -> i64 {
        let lines = self.spec.phases.lines();
        if n < lines { part(whole, lines, n) } else { 0 }
    }

    fn voltage(&self, n: i64) -> i64 {
        if n < self.spec.phases.lines() {
            self.grid.millivolts
        } else {
            0
        }
    }

    /// An effective value: never negative.
    fn current(&self, n: i64) -> i64 {
        let power = match self.spec.role {
            Role::Meter => self.metered.power,
            _ => self.inverter.power,
        };
        self.grid.milliamperes(self.line(power, n)).abs()
    }
}
