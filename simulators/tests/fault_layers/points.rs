//! What each point of a failing device should say, against its healthy twin.

use crate::lab::{Lab, seen};
use gridtally_registers::sunspec::Kind;
use gridtally_simulators::{Device, ModelAt};

/// A point of a healthy device, with what its registers say.
pub struct Point<'a> {
    pub model: u16,
    /// Its name without its groups.
    pub name: &'static str,
    pub kind: Kind,
    pub mandatory: bool,
    pub words: &'a [u16],
    /// The word in its scale factor, where it has one.
    pub scale: Option<u16>,
}

impl Point<'_> {
    /// Energy counters, by the names that the models give them.
    pub fn is_counter(&self) -> bool {
        match self.model {
            101..=113 => self.name == "WH",
            122 => matches!(
                self.name,
                "ActWh" | "ActVAh" | "ActVArhQ1" | "ActVArhQ2" | "ActVArhQ3" | "ActVArhQ4"
            ),
            160 => self.name == "DCWH",
            201..=214 => {
                let totals = ["TotWh", "TotVAh", "TotVArh"];
                totals.iter().any(|total| self.name.starts_with(total)) && !self.name.ends_with("_SF")
            }
            701 => {
                let totals = ["TotWh", "TotVarh"];
                totals.iter().any(|total| self.name.starts_with(total)) && !self.name.ends_with("_SF")
            }
            714 => matches!(self.name, "DCWhInj" | "DCWhAbs"),
            _ => false,
        }
    }

    pub fn is_power(&self) -> bool {
        let measured = matches!(self.model, 101..=113 | 160 | 201..=214 | 701 | 714 | 802);
        measured
            && matches!(
                self.name,
                "W" | "DCW" | "WphA" | "WphB" | "WphC" | "WL1" | "WL2" | "WL3"
            )
    }

    /// What a client takes for "no value"; an accumulator at 0 is one.
    pub fn is_implemented(&self) -> bool {
        self.words != sentinel(self.kind)
    }

    pub fn integer(&self) -> i128 {
        self.kind.integer(self.words).unwrap()
    }

    pub fn float(&self) -> f32 {
        f32::from_bits(u32::from(self.words[0]) << 16 | u32::from(self.words[1]))
    }

    pub fn scale(&self) -> Option<i16> {
        self.scale
            .map(u16::cast_signed)
            .filter(|scale| *scale != i16::MIN)
    }

    /// The registers of another number of counts.
    pub fn counts(&self, change: impl Fn(i128) -> i128) -> Vec<u16> {
        if self.kind == Kind::Float32 {
            #[expect(clippy::cast_possible_truncation, reason = "whole watt-hours of a household")]
            let whole = i128::from(self.float() as i64);
            return single(change(whole));
        }
        self.kind.encode(change(self.integer())).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "what a float model does to a count")]
pub fn single(number: i128) -> Vec<u16> {
    let bits = (number as f32).to_bits().to_be_bytes();
    vec![
        u16::from_be_bytes([bits[0], bits[1]]),
        u16::from_be_bytes([bits[2], bits[3]]),
    ]
}

/// "Not implemented", by the Device Information Model Specification 1.2.1, §6.4.
pub fn sentinel(kind: Kind) -> Vec<u16> {
    let words = usize::from(kind.words());
    match kind {
        Kind::Int16 | Kind::ScaleFactor | Kind::Pad => vec![0x8000],
        Kind::Int32 => vec![0x8000, 0],
        Kind::Int64 => vec![0x8000, 0, 0, 0],
        Kind::Acc16 | Kind::Acc32 | Kind::Acc64 | Kind::Text(_) => vec![0; words],
        Kind::Float32 => vec![0x7FC0, 0],
        Kind::Float64 => vec![0x7FF8, 0, 0, 0],
        _ => vec![0xFFFF; words],
    }
}

/// Each register of each failing device is what `expected` makes of the healthy twin's point; headers and
/// pads are right. Returns how many points differ from the truth.
pub fn assert_points(lab: &Lab, expected: impl Fn(&Point) -> Option<Vec<u16>>) -> usize {
    let devices = lab.failing.devices().iter().zip(lab.healthy.devices());
    devices
        .map(|(failing, healthy)| assert_device(failing, healthy, &expected))
        .sum()
}

pub fn assert_device(
    failing: &Device,
    healthy: &Device,
    expected: &impl Fn(&Point) -> Option<Vec<u16>>,
) -> usize {
    let (truth, sees) = (healthy.registers(), seen(failing));
    assert_eq!(
        failing.registers(),
        truth,
        "a fault of values changes no register inside"
    );
    let (mut image, mut different) = (truth.words().to_vec(), 0);
    for (at, placed) in truth.points() {
        let scale = placed.scale_offset.map(|offset| at.address + offset);
        let point = Point {
            model: at.id(),
            name: placed.definition.name,
            kind: placed.kind(),
            mandatory: placed.definition.mandatory,
            words: truth.point_words(at, placed).unwrap(),
            scale: scale.map(|address| image_word(&truth, address)),
        };
        let words = expected(&point).unwrap_or_else(|| point.words.to_vec());
        let now = sees.point_words(at, placed).unwrap();
        assert_eq!(now, words, "{}.{}, truly {:?}", at.id(), placed.path, point.words);
        different += usize::from(words != point.words);
        let first = usize::from(place(at, placed.offset) - truth.base());
        image[first..first + words.len()].copy_from_slice(&words);
    }
    assert_eq!(sees.words(), image, "no register beside the points differs");
    different
}

pub fn image_word(map: &gridtally_simulators::RegisterMap, address: u16) -> u16 {
    map.read(gridtally_simulators::Table::Holding, address, 1)
        .unwrap()[0]
}

pub fn place(at: &ModelAt, offset: u16) -> u16 {
    at.address + offset
}
