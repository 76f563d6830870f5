//! A model's registers, laid out by the definition of the standard.

use gridtally_registers::sunspec::{Layout, models};

use crate::device::controls::{Command, Controls, Plan, Ratings, Write};

use super::seconds;

/// One model as a device holds it.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) layout: Layout,
    pub(super) words: Vec<u16>,
    pub(super) ratings: Ratings,
}

impl Device {
    /// All points 0.
    pub(super) fn new(model: u16, ratings: Ratings) -> Self {
        let layout = Layout::new(models::find(model).unwrap(), &[]).unwrap();
        let mut words = vec![0; usize::from(layout.length()) + 2];
        words[0] = model;
        words[1] = layout.length();
        Self {
            layout,
            words,
            ratings,
        }
    }

    /// 5 kW of `WChaMax`, percent in hundredths, rates open and off.
    pub(super) fn storage() -> Self {
        Self::new(124, Ratings::default()).with(&[
            ("WChaMax", 5_000),
            ("InOutWRte_SF", -2),
            ("OutWRte", 10_000),
            ("InWRte", 10_000),
            ("MinRsvPct", 1_000),
            ("MinRsvPct_SF", -2),
        ])
    }

    /// Percent in hundredths, open and off.
    pub(super) fn limit() -> Self {
        Self::new(123, super::RATINGS).with(&[("WMaxLimPct_SF", -2), ("WMaxLimPct", 10_000)])
    }

    /// Percent in hundredths, watts whole, both controls off.
    pub(super) fn der() -> Self {
        Self::new(704, super::RATINGS).with(&[
            ("WMaxLimPct_SF", -2),
            ("WMaxLimPct", 10_000),
            ("WMaxLimPctRvrt", 10_000),
            ("WSetPct_SF", -2),
        ])
    }

    pub(super) fn with(mut self, points: &[(&str, i128)]) -> Self {
        for (name, value) in points {
            self.set(name, *value);
        }
        self
    }

    pub(super) fn without(mut self, points: &[&str]) -> Self {
        for name in points {
            let point = self.layout.point(name).unwrap().clone();
            let (first, rest) = point.kind().sentinel();
            let range = usize::from(point.offset)..usize::from(point.offset + point.kind().words());
            for (n, word) in self.words[range].iter_mut().enumerate() {
                *word = if n == 0 { first } else { rest };
            }
        }
        self
    }

    pub(super) fn set(&mut self, name: &str, value: i128) {
        let point = self.layout.point(name).unwrap();
        let words: Vec<u16> = point.kind().encode(value).collect();
        let start = usize::from(point.offset);
        self.words[start..start + words.len()].copy_from_slice(&words);
    }

    pub(super) fn get(&self, name: &str) -> i128 {
        let point = self.layout.point(name).unwrap();
        let start = usize::from(point.offset);
        let words = &self.words[start..start + usize::from(point.kind().words())];
        point.kind().integer(words).unwrap()
    }

    pub(super) fn offset(&self, name: &str) -> u16 {
        self.layout.point(name).unwrap().offset
    }

    pub(super) fn controls(&self) -> Controls {
        Controls::of_model(&self.words, self.ratings)
            .unwrap()
            .allowing_grid_charging(true)
    }

    pub(super) fn plan(&self, command: Command) -> Plan {
        self.controls().plan(command, seconds(900)).unwrap()
    }

    /// Takes the writes word by word, in the order of the addresses, and shows itself after each word.
    pub(super) fn obey_showing(&mut self, writes: &[Write], mut show: impl FnMut(&Self)) {
        for write in writes {
            for (n, word) in write.words.iter().enumerate() {
                self.words[usize::from(write.offset) + n] = *word;
                show(self);
            }
        }
    }

    pub(super) fn obey(&mut self, writes: &[Write]) {
        self.obey_showing(writes, |_| {});
    }
}

/// As pairs, for comparison.
pub(super) fn pairs(writes: &[Write]) -> Vec<(u16, Vec<u16>)> {
    writes
        .iter()
        .map(|write| (write.offset, write.words.clone()))
        .collect()
}
