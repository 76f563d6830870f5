//! Registers as they were read.

use std::collections::BTreeMap;

/// Words by their place: the offset from a model's ID register, or the address for a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Image(BTreeMap<u16, u16>);

impl Image {
    /// The registers of a model from its ID on. What lies beyond the length that the model states belongs
    /// to the next one and is left out.
    pub(super) fn of_model(words: &[u16]) -> Self {
        let len = words.get(1).copied().unwrap_or(0);
        let end = usize::from(len).saturating_add(2);
        Self::of_spans([(0, words.get(..end).unwrap_or(words))])
    }

    /// Runs of registers. What would lie beyond the last register is left out.
    pub(super) fn of_spans<'w>(spans: impl IntoIterator<Item = (u16, &'w [u16])>) -> Self {
        let place = |(start, words): (u16, &'w [u16])| (start..=u16::MAX).zip(words.iter().copied());
        Self(spans.into_iter().flat_map(place).collect())
    }

    /// So many words from there on; `None` where one is missing.
    pub(super) fn get(&self, offset: u16, len: u16) -> Option<Vec<u16>> {
        (0..len)
            .map(|n| self.0.get(&offset.checked_add(n)?).copied())
            .collect()
    }
}
