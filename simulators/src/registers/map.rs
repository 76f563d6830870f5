//! Registers by address, and where models and points lie in them.

use super::Page;
use gridtally_registers::sunspec::{END_MODEL, Layout, Placed, SUNS};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use thiserror::Error;

/// Which of Modbus' two tables of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Read with FC 3, written with FC 6 and 16. SunSpec lives here.
    Holding,
    /// Read with FC 4.
    Input,
}

/// Registers were asked for that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{count} registers from {address} on are not all in the map")]
pub struct OutsideTheMap {
    /// The first register asked for.
    pub address: u16,
    /// How many were asked for.
    pub count: u16,
}

/// Registers without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    table: Table,
    start: u16,
    words: Vec<u16>,
}

impl Segment {
    fn slice(&self, address: u16, count: usize) -> Option<&[u16]> {
        let first = usize::from(address.checked_sub(self.start)?);
        self.words.get(first..first.checked_add(count)?)
    }
}

/// A model in a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelAt {
    /// Its points, with their places.
    pub layout: Arc<Layout>,
    /// Address of its ID register.
    pub address: u16,
    /// 0 for the first model of its number in the map, 1 for the second, and so on.
    pub instance: u16,
}

impl ModelAt {
    /// The model's number.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.layout.id()
    }

    /// The address of a point's first register.
    #[must_use]
    pub fn address_of(&self, point: &Placed) -> u16 {
        self.address + point.offset
    }
}

/// The registers of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterMap {
    segments: Vec<Segment>,
    models: Vec<ModelAt>,
}

impl RegisterMap {
    /// A SunSpec map at `base` with these models in this order, every point not implemented yet,
    /// closed by the end model. `None` if the models do not fit between `base` and register 65535.
    #[must_use]
    pub fn sunspec(base: u16, layouts: Vec<Arc<Layout>>) -> Option<Self> {
        let mut words = SUNS.to_vec();
        let mut models: Vec<ModelAt> = Vec::new();
        for layout in layouts {
            let address = base.checked_add(u16::try_from(words.len()).ok()?)?;
            words.extend([layout.id(), layout.length()]);
            for point in layout.points() {
                let (first, rest) = point.kind().sentinel();
                words.extend((0..point.kind().words()).map(|n| if n == 0 { first } else { rest }));
            }
            let instance = models.iter().filter(|other| other.id() == layout.id()).count();
            models.push(ModelAt {
                layout,
                address,
                instance: u16::try_from(instance).ok()?,
            });
        }
        words.extend(END_MODEL);
        let length = u16::try_from(words.len()).ok()?;
        base.checked_add(length - 1)?;
        let segment = Segment {
            table: Table::Holding,
            start: base,
            words,
        };
        Some(Self {
            segments: vec![segment],
            models,
        })
    }

    /// A map of plain registers: blocks of words by table and first address. Blocks that touch are
    /// read as one; of blocks that overlap the later wins. What would lie beyond register 65535 is
    /// left out.
    #[must_use]
    pub fn plain(blocks: impl IntoIterator<Item = (Table, u16, Vec<u16>)>) -> Self {
        let mut blocks: Vec<_> = blocks.into_iter().collect();
        if let [(table, start, words)] = blocks.as_mut_slice() {
            // The usual case, and for a map of 25,000 zeros the quick one.
            words.truncate(usize::from(u16::MAX - *start) + 1);
            let segment = Segment {
                table: *table,
                start: *start,
                words: std::mem::take(words),
            };
            let segments = if segment.words.is_empty() {
                Vec::new()
            } else {
                vec![segment]
            };
            return Self {
                segments,
                models: Vec::new(),
            };
        }
        let mut registers = std::collections::BTreeMap::new();
        for (table, start, words) in blocks {
            registers.extend(
                (start..=u16::MAX)
                    .zip(words)
                    .map(|(address, word)| ((table, address), word)),
            );
        }
        let mut segments: Vec<Segment> = Vec::new();
        for ((table, address), word) in registers {
            match segments.last_mut() {
                Some(last)
                    if last.table == table
                        && last.slice(address, 0).is_some_and(|_| last.end() == address) =>
                {
                    last.words.push(word);
                }
                _ => segments.push(Segment {
                    table,
                    start: address,
                    words: vec![word],
                }),
            }
        }
        Self {
            segments,
            models: Vec::new(),
        }
    }

    /// Finds the SunSpec chain at `base` in plain registers, so far as its models are known and as long
    /// as their definitions say; others are passed over. Without marker there are none.
    #[must_use]
    pub fn recognised(mut self, base: u16) -> Self {
        self.models.clear();
        if self.read(Table::Holding, base, 2) != Ok(&SUNS) {
            return self;
        }
        let mut next = base.checked_add(2);
        // 65536 registers hold fewer models than this.
        for _ in 0..u16::MAX / 2 {
            let Some(address) = next else { break };
            let Ok(&[id, length]) = self.read(Table::Holding, address, 2) else {
                break;
            };
            if id == END_MODEL[0] || (id, length) == (0, 0) {
                break;
            }
            let body = self.read(Table::Holding, address.saturating_add(2), length);
            let layout = body.ok().and_then(|body| {
                let layout = Layout::fitting(gridtally_registers::sunspec::models::find(id)?, body)?;
                Some(Arc::new(layout))
            });
            if let Some(layout) = layout {
                let instance = self.models.iter().filter(|other| other.id() == id).count();
                self.models.push(ModelAt {
                    layout,
                    address,
                    instance: u16::try_from(instance).unwrap_or(u16::MAX),
                });
            }
            next = address.checked_add(2).and_then(|body| body.checked_add(length));
        }
        self
    }

    /// The address of the `SunS` marker; of the first register, where there is none.
    #[must_use]
    pub fn base(&self) -> u16 {
        self.segments.first().map_or(0, |segment| segment.start)
    }

    /// The registers of the first block: of a SunSpec map all, from the marker to the end model.
    #[must_use]
    pub fn words(&self) -> &[u16] {
        self.segments.first().map_or(&[], |segment| &segment.words)
    }

    /// Every block of registers.
    pub fn blocks(&self) -> impl Iterator<Item = (Table, u16, &[u16])> {
        self.segments
            .iter()
            .map(|segment| (segment.table, segment.start, segment.words.as_slice()))
    }

    /// The models in order.
    #[must_use]
    pub fn models(&self) -> &[ModelAt] {
        &self.models
    }

    /// The first model of that number.
    #[must_use]
    pub fn model(&self, id: u16) -> Option<&ModelAt> {
        self.models.iter().find(|model| model.id() == id)
    }

    /// The registers of a model behind ID and L, as a client would parse them.
    #[must_use]
    pub fn model_words(&self, model: &ModelAt) -> &[u16] {
        self.read(Table::Holding, model.address + 2, model.layout.length())
            .unwrap_or(&[])
    }

    /// Reads registers.
    ///
    /// # Errors
    /// If one of them is not in the map.
    pub fn read(&self, table: Table, address: u16, count: u16) -> Result<&[u16], OutsideTheMap> {
        let here = self.segments.iter().filter(|segment| segment.table == table);
        here.filter_map(|segment| segment.slice(address, usize::from(count)))
            .next()
            .ok_or(OutsideTheMap { address, count })
    }

    /// Puts words where there are registers for them; the rest is dropped.
    pub(crate) fn put(&mut self, table: Table, address: u16, words: impl IntoIterator<Item = u16>) {
        for (address, word) in (address..=u16::MAX).zip(words) {
            if let Some(register) = self.register(table, address) {
                *register = word;
            }
        }
    }

    fn register(&mut self, table: Table, address: u16) -> Option<&mut u16> {
        let mut here = self.segments.iter_mut().filter(|segment| segment.table == table);
        here.find_map(|segment| {
            let index = usize::from(address.checked_sub(segment.start)?);
            segment.words.get_mut(index)
        })
    }

    /// The integer in a point of a model; `None` when the model or point is not there, or says that
    /// it is not implemented. Not scaled.
    #[must_use]
    pub fn value(&self, model: u16, instance: u16, path: &str) -> Option<i128> {
        let (model, point) = self.find(model, instance, path)?;
        let words = self.point_words(model, point)?;
        let integer = point.kind().integer(words)?;
        (!point.kind().is_sentinel(words)).then_some(integer)
    }

    /// A point of a model.
    #[must_use]
    pub fn find(&self, model: u16, instance: u16, path: &str) -> Option<(&ModelAt, &Placed)> {
        let at = self
            .models
            .iter()
            .find(|at| at.id() == model && at.instance == instance)?;
        Some((at, at.layout.point(path)?))
    }

    /// The registers of a point.
    #[must_use]
    pub fn point_words(&self, model: &ModelAt, point: &Placed) -> Option<&[u16]> {
        self.read(Table::Holding, model.address_of(point), point.kind().words())
            .ok()
    }

    /// Every model with every point, in the order of the map.
    pub fn points(&self) -> impl Iterator<Item = (&ModelAt, &Placed)> {
        self.models
            .iter()
            .flat_map(|model| model.layout.points().iter().map(move |point| (model, point)))
    }

    /// The n-th model's registers, for those who fill it.
    pub(crate) fn page(&mut self, n: usize) -> Option<Page<'_>> {
        let model = self.models.get(n)?;
        let segment = self.segments.first_mut()?;
        let first = usize::from(model.address - segment.start);
        let end = first + 2 + usize::from(model.layout.length());
        Some(Page::new(&model.layout, segment.words.get_mut(first..end)?))
    }
}

impl Segment {
    fn end(&self) -> u16 {
        u16::try_from(self.words.len()).map_or(u16::MAX, |length| self.start.saturating_add(length))
    }
}

/// A layout, made once for the whole process: a thousand devices share theirs.
pub(crate) fn shared_layout(id: u16, counts: &[(&'static str, u16)]) -> Option<Arc<Layout>> {
    type Shared = Mutex<HashMap<(u16, Vec<(&'static str, u16)>), Arc<Layout>>>;
    static SHARED: OnceLock<Shared> = OnceLock::new();
    let mut shared = SHARED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let key = (id, counts.to_vec());
    if let Some(layout) = shared.get(&key) {
        return Some(Arc::clone(layout));
    }
    let layout = Arc::new(Layout::new(
        gridtally_registers::sunspec::models::find(id)?,
        counts,
    )?);
    shared.insert(key, Arc::clone(&layout));
    Some(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> RegisterMap {
        let layouts = [1, 203, 203].map(|id| shared_layout(id, &[]).unwrap());
        RegisterMap::sunspec(40_000, layouts.to_vec()).unwrap()
    }

    #[test]
    fn the_chain_leads_from_the_marker_to_the_end_model() {
        let map = map();
        assert_eq!(
            map.read(Table::Holding, 40_000, 4).unwrap(),
            [0x5375, 0x6E53, 1, 66]
        );
        assert_eq!(map.read(Table::Holding, 40_070, 2).unwrap(), [203, 105]);
        assert_eq!(map.read(Table::Holding, 40_177, 2).unwrap(), [203, 105]);
        assert_eq!(map.read(Table::Holding, 40_284, 2).unwrap(), END_MODEL);
        assert!(map.read(Table::Holding, 40_284, 3).is_err());
        assert!(map.read(Table::Holding, 39_999, 1).is_err());
        assert!(map.read(Table::Input, 40_000, 1).is_err());
    }

    #[test]
    fn two_models_of_one_number_are_told_apart() {
        let mut map = map();
        map.page(2).unwrap().raw("W", 7);
        assert_eq!(map.value(203, 0, "W"), None, "not implemented");
        assert_eq!(map.value(203, 1, "W"), Some(7));
        assert_eq!(map.value(203, 0, "TotWhImp"), Some(0), "0 says: not accumulated");
        assert_eq!(map.value(203, 2, "W"), None);
    }

    #[test]
    fn a_chain_that_does_not_fit_below_65536_is_none() {
        let layout = shared_layout(1, &[]).unwrap();
        assert!(RegisterMap::sunspec(65_464, vec![Arc::clone(&layout)]).is_some());
        assert!(RegisterMap::sunspec(65_465, vec![layout]).is_none());
    }

    #[test]
    fn a_chain_is_recognised_in_plain_registers_groups_and_all() {
        let layouts = [(1, vec![]), (714, vec![("NPrt", 2)]), (203, vec![])];
        let layouts = layouts.map(|(id, counts)| shared_layout(id, &counts).unwrap());
        let mut made = RegisterMap::sunspec(50_000, layouts.to_vec()).unwrap();
        made.page(1).unwrap().raw("NPrt", 2);
        let plain = RegisterMap::plain([(Table::Holding, 50_000, made.words().to_vec())]);
        assert!(plain.models().is_empty());
        assert_eq!(plain.clone().recognised(50_000), made);
        assert!(plain.recognised(40_000).models().is_empty());
    }

    #[test]
    fn plain_blocks_that_touch_are_one() {
        let map = RegisterMap::plain([
            (Table::Input, 10, vec![1, 2]),
            (Table::Input, 12, vec![3]),
            (Table::Holding, 13, vec![9]),
            (Table::Input, u16::MAX, vec![7, 8]),
        ]);
        assert_eq!(map.read(Table::Input, 10, 3).unwrap(), [1, 2, 3]);
        assert!(map.read(Table::Input, 12, 2).is_err());
        assert_eq!(map.read(Table::Holding, 13, 1).unwrap(), [9]);
        assert_eq!(map.read(Table::Input, u16::MAX, 1).unwrap(), [7]);
        let one = RegisterMap::plain([(Table::Input, u16::MAX, vec![7, 8])]);
        assert_eq!(one.read(Table::Input, u16::MAX, 1).unwrap(), [7]);
        assert_eq!(one.words(), [7]);
        assert_eq!(
            RegisterMap::plain([(Table::Input, 3, vec![])]),
            RegisterMap::plain([])
        );
    }
}
