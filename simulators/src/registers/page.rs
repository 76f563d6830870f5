//! One model's registers, for the device that fills them.

use crate::energy::Energy;
use gridtally_registers::sunspec::{Kind, Layout, Placed};

/// The registers of one model, ID and L first. Quantities come in thousandths of their unit (mW, mV,
/// mA, mHz …) and go out as the model has them: scaled by its scale factor, or as floats.
///
/// Each method panics if the model has no such point: a device fills models that it was built with.
pub(crate) struct Page<'a> {
    layout: &'a Layout,
    words: &'a mut [u16],
}

impl<'a> Page<'a> {
    pub(super) fn new(layout: &'a Layout, words: &'a mut [u16]) -> Self {
        Self { layout, words }
    }

    pub(crate) fn id(&self) -> u16 {
        self.layout.id()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.layout.point(path).is_some()
    }

    fn point(&self, path: &str) -> &'a Placed {
        let id = self.layout.id();
        self.layout
            .point(path)
            .unwrap_or_else(|| panic!("model {id} has no point {path}"))
    }

    /// Sets an integer as it stands. What the type cannot carry becomes the nearest that it can; an
    /// accumulator wraps.
    pub(crate) fn raw(&mut self, path: &str, integer: impl Into<i128>) {
        self.store(self.point(path), integer.into());
    }

    fn store(&mut self, point: &Placed, integer: i128) {
        let kind = point.kind();
        let (least, greatest) = kind.range();
        let integer = if kind.is_accumulator() {
            integer.rem_euclid(greatest + 1)
        } else {
            integer.clamp(least, greatest)
        };
        self.put(point, integer);
    }

    fn put(&mut self, point: &Placed, integer: i128) {
        let first = usize::from(point.offset);
        for (register, word) in self.words[first..].iter_mut().zip(point.kind().encode(integer)) {
            *register = word;
        }
    }

    /// Sets scale factors; those that the model does not have (a float model has none) are passed over.
    pub(crate) fn scales(&mut self, scales: &[(&str, i16)]) {
        for &(name, scale) in scales {
            if let Some(point) = self.layout.point(name) {
                self.store(point, i128::from(scale));
            }
        }
    }

    fn scale_of(&self, point: &Placed) -> i16 {
        let scale = point
            .scale_offset
            .map_or(0, |offset| self.words[usize::from(offset)].cast_signed());
        if (-10..=10).contains(&scale) { scale } else { 0 }
    }

    /// Sets a quantity, given in thousandths of the point's unit; cut towards zero.
    pub(crate) fn milli(&mut self, path: &str, thousandths: i64) {
        let point = self.point(path);
        if point.kind() == Kind::Float32 {
            self.put(point, i128::from(single(thousandths).to_bits()));
            return;
        }
        let scale = self.scale_of(point) + 3;
        let ten = 10_i128.pow(u32::from(scale.unsigned_abs()));
        let thousandths = i128::from(thousandths);
        self.store(
            point,
            if scale < 0 {
                thousandths * ten
            } else {
                thousandths / ten
            },
        );
    }

    /// Sets an energy counter: the floor of the energy in the counter's unit, in so many bits at most.
    pub(crate) fn energy(&mut self, path: &str, energy: Energy, bits: Option<u32>) {
        let point = self.point(path);
        if point.kind() == Kind::Float32 {
            self.put(point, i128::from(single(energy.milliwatt_hours()).to_bits()));
            return;
        }
        let units = energy.units(self.scale_of(point));
        self.store(point, bits.map_or(units, |bits| units.rem_euclid(1 << bits)));
    }

    /// Sets a text; what is longer than the point is cut.
    pub(crate) fn text(&mut self, path: &str, text: &str) {
        let point = self.point(path);
        let first = usize::from(point.offset);
        let mut bytes = text.bytes();
        for word in &mut self.words[first..first + usize::from(point.kind().words())] {
            *word = u16::from_be_bytes([bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)]);
        }
    }

    /// The integer in a point; `None` when it says that it is not implemented.
    #[cfg(test)]
    pub(crate) fn get(&self, path: &str) -> Option<i64> {
        let point = self.point(path);
        let first = usize::from(point.offset);
        let words = &self.words[first..first + usize::from(point.kind().words())];
        let integer = point
            .kind()
            .integer(words)
            .and_then(|integer| i64::try_from(integer).ok());
        integer.filter(|_| !point.kind().is_sentinel(words))
    }

    /// A quantity, in thousandths of the point's unit; `None` when it is not implemented.
    #[cfg(test)]
    pub(crate) fn get_milli(&self, path: &str) -> Option<i64> {
        let scale = self.scale_of(self.point(path)) + 3;
        let ten = 10_i64.pow(u32::from(scale.unsigned_abs()));
        let value = self.get(path)?;
        if scale < 0 {
            Some(value / ten)
        } else {
            value.checked_mul(ten)
        }
    }
}

/// A number of thousandths as the nearest single that a register can say.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a float model loses digits: that is what it is here to show"
)]
fn single(thousandths: i64) -> f32 {
    (thousandths as f64 / 1_000.0) as f32
}

#[cfg(test)]
mod tests {
    use super::super::RegisterMap;
    use super::super::map::shared_layout;
    use super::*;

    fn page_of<R>(id: u16, work: impl FnOnce(&mut Page<'_>) -> R) -> R {
        let mut map = RegisterMap::sunspec(0, vec![shared_layout(id, &[]).unwrap()]).unwrap();
        work(&mut map.page(0).unwrap())
    }

    #[test]
    fn a_quantity_is_cut_to_its_scale_factor_or_becomes_a_float() {
        page_of(203, |page| {
            page.scales(&[("W_SF", -1), ("A_SF", 2)]);
            page.milli("W", -1_299);
            assert_eq!(page.get("W"), Some(-12));
            assert_eq!(page.get_milli("W"), Some(-1_200));
            page.milli("A", 1_234_567);
            assert_eq!(page.get("A"), Some(12));
            page.milli("W", 40_000_000);
            assert_eq!(page.get("W"), Some(0x7FFF), "the nearest that it can carry");
        });
        page_of(213, |page| {
            page.milli("W", -1_500);
            assert_eq!(page.get("W"), Some(i64::from((-1.5_f32).to_bits())));
        });
    }

    #[test]
    fn counters_wrap_at_their_width_or_at_the_one_that_was_chosen() {
        page_of(203, |page| {
            page.scales(&[("TotWh_SF", 0)]);
            page.energy("TotWhImp", Energy::from_watt_hours((1 << 32) + 7), None);
            assert_eq!(page.get("TotWhImp"), Some(7));
            page.energy("TotWhImp", Energy::from_watt_hours(70_000), Some(16));
            assert_eq!(page.get("TotWhImp"), Some(70_000 - 65_536));
        });
    }

    #[test]
    fn a_text_is_padded_and_cut() {
        page_of(1, |page| {
            page.text("Vr", "1.2.3");
            page.text("Opt", "much too long to fit in there");
            assert_eq!(page.words[42..47], [0x312E, 0x322E, 0x3300, 0, 0]);
            assert_eq!(page.words[41], u16::from_be_bytes(*b"to"));
        });
    }
}
