//! A chain of models in holding registers.

use super::layout::{Kind, Layout, Point};
use thiserror::Error;

/// The marker `SunS` at the base address.
pub const SUNS: [u16; 2] = [0x5375, 0x6E53];

/// The end model: ID 0xFFFF, length 0.
pub const END_MODEL: [u16; 2] = [0xFFFF, 0];

/// Registers outside of the map were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{count} registers from {address} on are not all in the map, which has {first} to {last}")]
pub struct OutsideTheMap {
    /// The first register asked for.
    pub address: u16,
    /// How many were asked for.
    pub count: u16,
    /// The first register that the map has.
    pub first: u16,
    /// The last register that the map has.
    pub last: u16,
}

/// A model in a map: where its ID register lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelAt {
    /// The model's number.
    pub id: u16,
    /// Address of its ID register.
    pub address: u16,
    index: usize,
}

/// The holding registers of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterMap {
    base: u16,
    words: Vec<u16>,
    models: Vec<(ModelAt, &'static Layout)>,
}

impl RegisterMap {
    /// A map at `base` (0, 40000 and 50000 are the usual ones) with these models in this order,
    /// every point not implemented yet, closed by the end model.
    ///
    /// # Panics
    /// If the models do not fit between `base` and register 65535.
    #[must_use]
    pub fn new(base: u16, layouts: &[&'static Layout]) -> Self {
        let mut map = Self {
            base,
            words: SUNS.to_vec(),
            models: Vec::new(),
        };
        for &layout in layouts {
            let at = ModelAt {
                id: layout.id,
                address: map.next_address(),
                index: map.words.len(),
            };
            map.words.extend([layout.id, layout.length()]);
            for (_, kind) in layout.points {
                let words = usize::from(kind.words());
                map.words.extend(std::iter::repeat_n(kind.sentinel_word(), words));
            }
            map.models.push((at, layout));
        }
        map.words.extend(END_MODEL);
        map.next_address();
        map
    }

    fn next_address(&self) -> u16 {
        u16::try_from(self.words.len())
            .ok()
            .and_then(|length| self.base.checked_add(length))
            .expect("the models have to fit below register 65536: choose a lower base")
    }

    /// The address of the `SunS` marker.
    #[must_use]
    pub fn base(&self) -> u16 {
        self.base
    }

    /// All registers, from the marker to the end model.
    #[must_use]
    pub fn words(&self) -> &[u16] {
        &self.words
    }

    /// The models in order.
    pub fn models(&self) -> impl Iterator<Item = (ModelAt, &'static Layout)> + '_ {
        self.models.iter().copied()
    }

    /// The first model of that number.
    #[must_use]
    pub fn model(&self, id: u16) -> Option<ModelAt> {
        self.models().find(|(at, _)| at.id == id).map(|(at, _)| at)
    }

    /// The registers of a model behind ID and L, as a client would parse them.
    #[must_use]
    pub fn model_words(&self, at: ModelAt) -> &[u16] {
        let length = usize::from(self.words[at.index + 1]);
        &self.words[at.index + 2..at.index + 2 + length]
    }

    /// Reads registers.
    ///
    /// # Errors
    /// If one of them is not in the map.
    pub fn read(&self, address: u16, count: u16) -> Result<&[u16], OutsideTheMap> {
        self.index(address)
            .and_then(|first| self.words.get(first..first + usize::from(count)))
            .ok_or(self.outside(address, count))
    }

    /// Puts a raw word into a register; for what a client wrote and the device accepted.
    ///
    /// # Errors
    /// If the register is not in the map.
    pub fn write(&mut self, address: u16, word: u16) -> Result<(), OutsideTheMap> {
        let outside = self.outside(address, 1);
        let register = self.index(address).and_then(|index| self.words.get_mut(index));
        *register.ok_or(outside)? = word;
        Ok(())
    }

    fn index(&self, address: u16) -> Option<usize> {
        address.checked_sub(self.base).map(usize::from)
    }

    fn outside(&self, address: u16, count: u16) -> OutsideTheMap {
        OutsideTheMap {
            address,
            count,
            first: self.base,
            last: self.next_address() - 1,
        }
    }

    /// Sets a number. What the type cannot carry becomes the nearest that it can; an accumulator
    /// wraps at 2³².
    pub fn set(&mut self, at: ModelAt, point: Point, value: i64) {
        let value = if point.kind == Kind::Acc32 {
            value.rem_euclid(1 << 32)
        } else {
            let (least, greatest) = point.kind.range();
            value.clamp(least, greatest)
        };
        let first = at.index + usize::from(point.offset);
        let [.., b4, b3, b2, b1] = value.to_be_bytes();
        let (high, low) = (u16::from_be_bytes([b4, b3]), u16::from_be_bytes([b2, b1]));
        match point.kind.words() {
            1 => self.words[first] = low,
            _ => {
                self.words[first] = high;
                self.words[first + 1] = low;
            }
        }
    }

    /// Sets a text; what is longer than the point is cut.
    pub fn set_text(&mut self, at: ModelAt, point: Point, text: &str) {
        let first = at.index + usize::from(point.offset);
        let mut bytes = text.bytes();
        for word in &mut self.words[first..first + usize::from(point.kind.words())] {
            *word = u16::from_be_bytes([bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)]);
        }
    }

    /// The number that a point carries; `None` when it answers its sentinel. A text has no number.
    #[must_use]
    pub fn get(&self, at: ModelAt, point: Point) -> Option<i64> {
        let first = at.index + usize::from(point.offset);
        let sentinel = point.kind.sentinel_word();
        match point.kind {
            Kind::Text(_) | Kind::Pad => None,
            Kind::Acc32 => Some(i64::from(self.double(first))),
            Kind::Uint32 | Kind::Bitfield32 => {
                let value = self.double(first);
                (value != u32::MAX).then_some(i64::from(value))
            }
            Kind::Int16 | Kind::ScaleFactor => {
                let word = self.words[first];
                (word != sentinel).then_some(i64::from(word.cast_signed()))
            }
            Kind::Uint16 | Kind::Enum16 | Kind::Bitfield16 => {
                let word = self.words[first];
                (word != sentinel).then_some(i64::from(word))
            }
        }
    }

    fn double(&self, first: usize) -> u32 {
        u32::from(self.words[first]) << 16 | u32::from(self.words[first + 1])
    }

    /// The address of a point of a model.
    #[must_use]
    pub fn address_of(&self, at: ModelAt, point: Point) -> u16 {
        at.address + point.offset
    }

    /// Every point with its address, in the order of the map.
    pub fn points(&self) -> impl Iterator<Item = (u16, Point)> + '_ {
        self.models.iter().flat_map(|&(at, layout)| {
            layout
                .named_points()
                .map(move |(_, point)| (at.address + point.offset, point))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::models::{COMMON, METER};
    use super::*;

    #[test]
    fn the_chain_leads_from_the_marker_to_the_end_model() {
        let map = RegisterMap::new(40_000, &[&COMMON, &METER]);
        assert_eq!(map.read(40_000, 4).unwrap(), [0x5375, 0x6E53, 1, 66]);
        assert_eq!(map.read(40_070, 2).unwrap(), [203, 105]);
        assert_eq!(map.read(40_177, 2).unwrap(), END_MODEL);
        assert!(map.read(40_177, 3).is_err());
        assert!(map.read(39_999, 1).is_err());
    }

    #[test]
    fn an_unset_point_answers_its_sentinel() {
        let map = RegisterMap::new(0, &[&METER]);
        let at = map.model(203).unwrap();
        assert_eq!(map.get(at, METER.point("W")), None);
        assert_eq!(map.get(at, METER.point("TotWh_SF")), None);
        assert_eq!(
            map.get(at, METER.point("TotWhImp")),
            Some(0),
            "0 says: not accumulated"
        );
        assert_eq!(map.model_words(at)[16], 0x8000);
    }

    #[test]
    fn numbers_are_kept_within_their_type_and_accumulators_wrap() {
        let mut map = RegisterMap::new(0, &[&METER]);
        let at = map.model(203).unwrap();
        map.set(at, METER.point("W"), -40_000);
        assert_eq!(map.get(at, METER.point("W")), Some(-0x7FFF));
        map.set(at, METER.point("TotWhImp"), (1 << 32) + 7);
        assert_eq!(map.get(at, METER.point("TotWhImp")), Some(7));
    }

    #[test]
    fn a_text_is_padded_and_cut() {
        let mut map = RegisterMap::new(0, &[&COMMON]);
        let at = map.model(1).unwrap();
        map.set_text(at, COMMON.point("Vr"), "1.2.3");
        assert_eq!(map.read(44, 4).unwrap(), [0x312E, 0x322E, 0x3300, 0]);
        map.set_text(at, COMMON.point("Vr"), "much too long to fit there");
        assert_eq!(map.read(52, 1).unwrap(), [0], "the next point keeps its sentinel");
    }
}
