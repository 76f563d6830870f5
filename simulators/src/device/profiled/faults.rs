//! A profile's registers as faults of values let them be seen.

use super::number::{Overflow, registers_of, steps_of};
use super::{number_in, put, read, sums};
use crate::device::view::miscount;
use crate::fault::Fault;
use crate::registers::RegisterMap;
use gridtally_registers::profile::{Access, Point, PointName, Poll, Profile, Quantity, RegisterType, Value};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeSet;

/// Changes what the points of a profile say. `then` is what the registers held when the fault began. A
/// profile has no scale factors in registers: the faults of those do nothing.
pub(crate) fn distort(image: &mut RegisterMap, profile: &Profile, fault: Fault, then: Option<&RegisterMap>) {
    // Two points may show the same registers: they are changed once.
    let mut seen = BTreeSet::new();
    let mut points: Vec<&Point> = profile.points.iter().collect();
    points.retain(|point| applies(fault, point) && seen.insert((point.table, point.address)));
    match fault {
        Fault::Frozen => {
            if let Some(then) = then {
                *image = then.clone();
            }
        }
        Fault::ZeroFrame => {
            for point in points {
                put(image, point, Some(vec![0; usize::from(point.length())]));
            }
        }
        Fault::Sentinels => {
            for point in points {
                put(image, point, point.encode(&Value::NotAvailable).ok());
            }
        }
        Fault::SwappedSign => {
            for point in points {
                let words = number_at(image, point).and_then(|power| match point.encoding.kind() {
                    RegisterType::F32 => point.encode(&Value::Number(-power)).ok(),
                    _ => registers_of(&point.encoding, -steps_of(&point.encoding, power), Overflow::Wrap),
                });
                put(image, point, words);
            }
            profile
                .sums
                .iter()
                .for_each(|sum| sums::swap(image, profile, sum));
        }
        _ => {
            for point in points {
                let then = then
                    .and_then(|then| number_at(then, point))
                    .and_then(|then| count_of(point, then));
                let count = number_at(image, point).and_then(|number| count_of(point, number));
                let words =
                    count.and_then(|count| show(point, miscount(fault, count, then.unwrap_or_default())));
                put(image, point, words);
            }
        }
    }
}

fn applies(fault: Fault, point: &Point) -> bool {
    let quantity = match point.name {
        PointName::Quantity(quantity) => Some(quantity),
        PointName::Vendor(_) => None,
    };
    match fault {
        Fault::ZeroFrame => {
            let measured = matches!(point.poll, Poll::Fast | Poll::Slow);
            measured && !matches!(point.encoding.kind(), RegisterType::Text(_))
        }
        Fault::Sentinels => point.access == Access::ReadOnly,
        Fault::SwappedSign => quantity.is_some_and(is_power),
        Fault::CountersAtZero
        | Fault::CounterBackstep { .. }
        | Fault::CounterWrapsEarly { .. }
        | Fault::CounterResetsDaily
        | Fault::CounterReset
        | Fault::NegativeCounter => quantity.is_some_and(is_counter),
        _ => false,
    }
}

fn is_power(quantity: Quantity) -> bool {
    use Quantity as Q;
    matches!(
        quantity,
        Q::GridPower
            | Q::GridPowerL1
            | Q::GridPowerL2
            | Q::GridPowerL3
            | Q::PvPower
            | Q::BatteryPower
            | Q::AcPower
            | Q::LoadPower
    )
}

fn is_counter(quantity: Quantity) -> bool {
    use Quantity as Q;
    matches!(
        quantity,
        Q::GridImportEnergy
            | Q::GridExportEnergy
            | Q::PvEnergy
            | Q::BatteryChargeEnergy
            | Q::BatteryDischargeEnergy
            | Q::AcEnergy
    )
}

fn number_at(map: &RegisterMap, point: &Point) -> Option<Decimal> {
    number_in(&point.encoding, read(map, point)?)
}

/// A counter's counts: steps of its scale; of a float, whole watt-hours.
fn count_of(point: &Point, number: Decimal) -> Option<i128> {
    match point.encoding.kind() {
        RegisterType::F32 => point.unit?.to_base(number)?.to_i128(),
        _ => Some(steps_of(&point.encoding, number)),
    }
}

/// The registers for so many counts; what is beyond them loses its upper bits.
fn show(point: &Point, count: i128) -> Option<Vec<u16>> {
    match point.encoding.kind() {
        RegisterType::F32 => {
            let watt_hours = Decimal::try_from_i128_with_scale(count, 0).ok()?;
            let number = watt_hours.checked_div(Decimal::from(point.unit?.base().1))?;
            point.encode(&Value::Number(number)).ok()
        }
        _ => registers_of(&point.encoding, count, Overflow::Wrap),
    }
}
