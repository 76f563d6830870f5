//! A device's registers as faults let them be seen.

use super::{chain, profiled};
use crate::fault::{Active, Fault, Layer};
use crate::registers::{ModelAt, RegisterMap, Table};
use gridtally_registers::profile::Profile;
use gridtally_registers::sunspec::{Kind, Placed};
use std::collections::HashMap;

/// Maps that a fault remembers from the instant at which it began, by the fault's name.
pub(crate) type Remembered = HashMap<&'static str, RegisterMap>;

/// The registers that a client sees, if faults change them.
pub(crate) fn distorted(
    map: &RegisterMap,
    faults: &[Active],
    remembered: &Remembered,
    profile: Option<&Profile>,
) -> Option<RegisterMap> {
    let of = |layer| {
        faults
            .iter()
            .map(|active| active.fault)
            .filter(move |fault| fault.layer() == layer)
    };
    let mut seen = None;
    for fault in of(Layer::Value) {
        let image = seen.get_or_insert_with(|| map.clone());
        let then = remembered.get(fault.name());
        match profile {
            Some(profile) => profiled::distort(image, profile, fault, then),
            None => distort_values(image, fault, then),
        }
    }
    // A wrong length comes last: the others follow the lengths.
    let misleads = |fault: &Fault| matches!(fault, Fault::WrongModelLength { .. });
    let (last, first): (Vec<_>, Vec<_>) = of(Layer::Map).partition(misleads);
    for fault in first.into_iter().chain(last) {
        let image = seen.take().unwrap_or_else(|| map.clone());
        seen = Some(chain::distorted(image, map, fault));
    }
    seen
}

fn distort_values(image: &mut RegisterMap, fault: Fault, then: Option<&RegisterMap>) {
    let before = image.clone();
    let points: Vec<(&ModelAt, &Placed)> = before.points().collect();
    match fault {
        Fault::Frozen => {
            if let Some(then) = then {
                *image = then.clone();
            }
        }
        Fault::ZeroFrame => points.iter().for_each(|(model, point)| zero(image, model, point)),
        Fault::Sentinels => {
            let scales = |point: &Placed| point.kind() == Kind::ScaleFactor;
            let missing = points
                .iter()
                .filter(|(_, point)| point.definition.mandatory && !scales(point));
            for (model, point) in missing {
                let (first, rest) = point.kind().sentinel();
                let words = (0..point.kind().words()).map(|n| if n == 0 { first } else { rest });
                image.put(Table::Holding, model.address_of(point), words);
            }
        }
        Fault::ScaleFactorOutOfRange { value } => rescale(image, &points, false, |_| value),
        Fault::ScaleFactorLies { by } => rescale(image, &points, false, |scale| within(scale, by)),
        Fault::ScaleFactorChanges { by } => rescale(image, &points, true, |scale| within(scale, by)),
        Fault::SwappedSign => {
            let powers = points
                .iter()
                .filter(|(_, point)| point.definition.is_active_power());
            powers.for_each(|(model, point)| negate(image, model, point));
        }
        _ => {
            let counters = points.iter().filter(|(_, point)| point.definition.is_counter());
            for (model, point) in counters {
                let then = then.and_then(|then| integer_at(then, model, point)).unwrap_or(0);
                change(image, model, point, |count| miscount(fault, count, then));
            }
        }
    }
}

/// What a counter shows instead of its count; `then` is what it showed when the fault began, or at
/// the last midnight.
pub(super) fn miscount(fault: Fault, count: i128, then: i128) -> i128 {
    match fault {
        Fault::CountersAtZero => 0,
        // A counter at 0 has nothing to lose, or is none.
        Fault::CounterBackstep { counts } if count > 0 => (count - i128::from(counts)).max(0),
        Fault::CounterWrapsEarly { counts } => count.rem_euclid(i128::from(counts.max(1))),
        Fault::CounterResetsDaily | Fault::CounterReset => count - then,
        Fault::NegativeCounter => -count,
        _ => count,
    }
}

/// A scale factor that is off, turned back where it would leave −10 to 10.
fn within(scale: i64, by: i64) -> i64 {
    let moved = scale.saturating_add(by);
    if (-10..=10).contains(&moved) {
        moved
    } else {
        scale.saturating_sub(by)
    }
}

fn rescale(image: &mut RegisterMap, points: &[(&ModelAt, &Placed)], fit: bool, new: impl Fn(i64) -> i64) {
    for (model, point) in points {
        let Some(scale) = scale_of(image, model, point) else {
            continue;
        };
        let moved = new(i64::from(scale)).saturating_sub(i64::from(scale));
        if let Ok(steps) = u32::try_from(moved.unsigned_abs())
            && fit
            && steps <= 20
        {
            let ten = 10_i128.pow(steps);
            let (least, greatest) = point.kind().range();
            change(image, model, point, |value| {
                let fit = if moved > 0 { value / ten } else { value * ten };
                if point.kind().is_accumulator() {
                    fit
                } else {
                    fit.clamp(least, greatest)
                }
            });
        }
    }
    let scales = points
        .iter()
        .filter(|(_, point)| point.kind() == Kind::ScaleFactor);
    for (model, point) in scales {
        let address = model.address_of(point);
        let old = image
            .read(Table::Holding, address, 1)
            .map(|words| words[0].cast_signed());
        if let Ok(old) = old
            && old != i16::MIN
        {
            let [.., high, low] = new(i64::from(old)).to_be_bytes();
            image.put(Table::Holding, address, [u16::from_be_bytes([high, low])]);
        }
    }
}

/// The scale factor that scales a point now.
fn scale_of(map: &RegisterMap, model: &ModelAt, point: &Placed) -> Option<i16> {
    let address = model.address + point.scale_offset?;
    let scale = map.read(Table::Holding, address, 1).ok()?.first()?.cast_signed();
    (scale != i16::MIN).then_some(scale)
}

fn integer_at(map: &RegisterMap, model: &ModelAt, point: &Placed) -> Option<i128> {
    let words = map.point_words(model, point)?;
    let bits = point.kind().integer(words)?;
    Some(if point.kind() == Kind::Float32 {
        whole(bits)
    } else {
        bits
    })
}

/// Changes the number of an implemented point; what becomes too great or negative is cut to the bits
/// that there are, as a device's arithmetic would.
fn change(image: &mut RegisterMap, model: &ModelAt, point: &Placed, new: impl Fn(i128) -> i128) {
    let Some(words) = image.point_words(model, point) else {
        return;
    };
    if point.kind().is_sentinel(words) || !(point.kind().is_integer() || point.kind() == Kind::Float32) {
        return;
    }
    let Some(old) = integer_at(image, model, point) else {
        return;
    };
    let bits = match point.kind() {
        Kind::Float32 => i128::from(single(new(old)).to_bits()),
        _ => new(old),
    };
    image.put(Table::Holding, model.address_of(point), point.kind().encode(bits));
}

/// Turns a power round; a float to its last digit.
fn negate(image: &mut RegisterMap, model: &ModelAt, point: &Placed) {
    if point.kind() != Kind::Float32 {
        change(image, model, point, |power| -power);
    } else if let Some(&[high, low]) = image.point_words(model, point)
        && !point.kind().is_sentinel(&[high, low])
    {
        image.put(Table::Holding, model.address_of(point), [high ^ 0x8000, low]);
    }
}

/// The whole number in a single's bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float becomes a whole number; `as` saturates"
)]
fn whole(bits: i128) -> i128 {
    u32::try_from(bits).map_or(0, |bits| f64::from(f32::from_bits(bits)) as i128)
}

#[expect(clippy::cast_precision_loss, reason = "a float model loses digits")]
fn single(number: i128) -> f32 {
    number as f32
}

/// A measuring model at a restart: zeros, and a state that says FAULT.
fn zero(image: &mut RegisterMap, model: &ModelAt, point: &Placed) {
    if !matches!(model.id(), 101..=113 | 160 | 201..=214 | 701 | 713 | 714 | 802) {
        return;
    }
    let state = match (model.id(), point.definition.name) {
        (101..=113, "St") | (160, "DCSt") => 7,
        (701, "InvSt") => 6,
        (802, "State") => 99,
        _ => 0,
    };
    let words = usize::from(point.kind().words());
    let zeros = std::iter::repeat_n(0, words - 1);
    image.put(Table::Holding, model.address_of(point), zeros.chain([state]));
}
