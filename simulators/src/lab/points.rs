//! A register map as a person reads it: points with exact decimal values.

use crate::registers::RegisterMap;
use gridtally_registers::sunspec::{Kind, Placed};
use serde::Serialize;

/// A point as it stands in the registers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PointView {
    model: u16,
    instance: u16,
    point: String,
    address: u16,
    registers: Vec<u16>,
    /// The exact decimal of a scaled number, the text, or nothing when the point says that it is not
    /// implemented. A float is written with all digits that tell it from its neighbours.
    value: Option<String>,
    unit: &'static str,
}

pub(crate) fn points(map: &RegisterMap) -> Vec<PointView> {
    map.points()
        .filter(|(_, point)| point.kind() != Kind::Pad)
        .filter_map(|(model, point)| {
            let words = map.point_words(model, point)?;
            let scale = point.scale_offset.and_then(|offset| {
                let words = map.read(crate::Table::Holding, model.address + offset, 1).ok()?;
                Some(words.first()?.cast_signed())
            });
            Some(PointView {
                model: model.id(),
                instance: model.instance,
                point: point.path.clone(),
                address: model.address_of(point),
                registers: words.to_vec(),
                value: value(point, words, scale),
                unit: point.definition.unit,
            })
        })
        .collect()
}

fn value(point: &Placed, words: &[u16], scale: Option<i16>) -> Option<String> {
    match point.kind() {
        Kind::Text(_) => {
            let bytes = words.iter().flat_map(|word| word.to_be_bytes());
            let text: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
            (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
        }
        kind if kind.is_sentinel(words) => None,
        Kind::Float32 => {
            let bits = u32::try_from(point.kind().integer(words)?).ok()?;
            Some(f32::from_bits(bits).to_string())
        }
        kind => decimal(kind.integer(words)?, scale.unwrap_or(0)),
    }
}

/// `integer` × 10^`scale`, written out; `None` for a scale factor beyond ±10.
fn decimal(integer: i128, scale: i16) -> Option<String> {
    if !(-10..=10).contains(&scale) {
        return None;
    }
    let digits = usize::from(scale.unsigned_abs());
    if scale >= 0 {
        let ten = 10_i128.pow(u32::from(scale.unsigned_abs()));
        return Some((integer * ten).to_string());
    }
    let sign = if integer < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", integer.unsigned_abs(), width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    Some(format!("{sign}{whole}.{part}"))
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn a_scaled_number_is_written_out_exactly() {
        assert_eq!(decimal(-5, -2).unwrap(), "-0.05");
        assert_eq!(decimal(12_345, -1).unwrap(), "1234.5");
        assert_eq!(decimal(12, 3).unwrap(), "12000");
        assert_eq!(decimal(0, -10).unwrap(), "0.0000000000");
        assert_eq!(decimal(1, 11), None);
    }
}
