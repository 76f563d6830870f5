//! The owner's setting, kept while an event lasts.

use std::num::NonZeroU16;

use gridtally_protocol::quantity::Milliwatts;
use serde::{Deserialize, Serialize};

use super::field::{Field, Role, Shape};
use super::image::Image;
use super::plan::{Draft, Expectation, Kept, Plan, Write, expectation, judge};
use super::scale::rescaled;
use super::{ControlError, Controls, Family, Source};

/// The registers that commands write, as they stood before.
///
/// Only registers that the map has for controls are ever written back, whatever a file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    pub(super) source: Source,
    registers: Vec<SavedRegister>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedRegister {
    offset: u16,
    words: Vec<u16>,
    /// The scale factor of the same read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<i16>,
}

impl SavedRegister {
    fn words_in(&self, field: &Field, now: &Image) -> Option<Vec<u16>> {
        if self.words.len() != usize::from(field.shape.words()) {
            return None;
        }
        let scales = self.scale.zip(field.scale(now).ok());
        match (scales, field.shape) {
            (Some((then, now)), shape) if then != now && !matches!(shape, Shape::Words(_)) => {
                let count = field.decode(&self.words)?;
                field.encode(rescaled(count, then, now, shape.max())?).ok()
            }
            _ => Some(self.words.clone()),
        }
    }
}

/// What somebody else has set, beside what the agent had written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The owner's setting, as it is by now.
    pub saved: Saved,
    /// The first words of the registers that he changed.
    offsets: Vec<u16>,
}

impl Changes {
    /// Whoever sets a value means that it is in force or not as its switch stands, though it be we who set that.
    fn take_the_switches(&mut self, now: &Controls) {
        let is_changed = |field: &&Field| self.offsets.contains(&field.offset) && field.role != Role::Switch;
        let switches: Vec<(u16, u16)> = now
            .fields
            .iter()
            .filter(is_changed)
            .filter_map(|field| field.switch)
            .collect();
        for (offset, bits) in switches {
            let shown = now.image.get(offset, 1).and_then(|words| words.first().copied());
            let register = self.saved.registers.iter_mut().find(|r| r.offset == offset);
            if let (Some(shown), Some([word])) = (shown, register.map(|r| r.words.as_mut_slice())) {
                *word = (*word & !bits) | (shown & bits);
            }
        }
    }

    /// Whether one of the registers that were changed is among those that were written.
    #[must_use]
    pub fn concern(&self, writes: &[Write]) -> bool {
        let is_written = |offset: &u16| writes.iter().any(|write| write.words_at(*offset, 1).is_some());
        self.offsets.iter().any(is_written)
    }
}

impl Saved {
    pub(super) fn of(controls: &Controls, concerned: impl Fn(&Field) -> bool) -> Self {
        let image = &controls.image;
        let save = |field: &Field| {
            Some(SavedRegister {
                offset: field.offset,
                words: field.words(image).filter(|_| field.is_there(image))?,
                scale: field.scale.and_then(|_| field.scale(image).ok()),
            })
        };
        Self {
            source: controls.source.clone(),
            registers: controls
                .fields
                .iter()
                .filter(|field| concerned(field))
                .filter_map(save)
                .collect(),
        }
    }

    fn register(&self, offset: u16) -> Option<&SavedRegister> {
        self.registers.iter().find(|register| register.offset == offset)
    }

    /// The words of a register, in the scale factor that the device shows now: devices are known that
    /// change it.
    pub(super) fn words_of(&self, field: &Field, now: &Image) -> Option<Vec<u16>> {
        self.register(field.offset)?.words_in(field, now)
    }

    /// What somebody else has set since the registers showed `before` and `sent` was written to them; `None`
    /// where nobody has. Timers count by themselves, and what the device does not show cannot be judged.
    #[must_use]
    pub fn changes(&self, now: &Controls, before: &Controls, sent: &[Write]) -> Option<Changes> {
        let known = Self::of(before, |_| true);
        let mut changes = Changes {
            saved: self.clone(),
            offsets: Vec::new(),
        };
        for register in &mut changes.saved.registers {
            let is_it = |field: &&Field| field.offset == register.offset && field.role != Role::Timer;
            let Some(field) = now.fields.iter().find(is_it) else {
                continue;
            };
            let shown = field.words(&now.image).filter(|_| field.is_there(&now.image));
            let (Some(shown), Some(known)) = (shown, known.register(field.offset)) else {
                continue;
            };
            let after_writing = sent.iter().filter_map(|write| {
                let words = write.words_at(field.offset, field.shape.words())?.to_vec();
                Some(SavedRegister {
                    words,
                    ..known.clone()
                })
            });
            let shows = |ours: &SavedRegister| {
                ours.words == shown || ours.words_in(field, &now.image).as_ref() == Some(&shown)
            };
            if shows(known) || after_writing.into_iter().any(|ours| shows(&ours)) {
                continue;
            }
            changes.offsets.push(field.offset);
            register.words = shown;
            register.scale = field.scale.and_then(|_| field.scale(&now.image).ok());
        }
        changes.take_the_switches(now);
        (!changes.offsets.is_empty()).then_some(changes)
    }

    /// The writes that bring it back; none where it is there already. A register that the device does not
    /// show any more is left alone.
    ///
    /// # Errors
    /// [`ControlError::OtherMap`] where `now` is another map.
    pub fn restore(&self, now: &Controls) -> Result<Vec<Write>, ControlError> {
        self.check(now)?;
        if let Family::Recipes(recipes) = &now.family {
            return recipes.restore(self, now);
        }
        let mut draft = Draft::of(now);
        let mut differs = false;
        for field in now.fields.iter().filter(|field| field.is_there(&now.image)) {
            if let Some(words) = self.words_of(field, &now.image) {
                differs |= field.words(&now.image).as_ref() != Some(&words);
                draft.put(field, words);
            }
        }
        Ok(if differs { draft.into_writes() } else { Vec::new() })
    }

    /// Whether a later read shows it: the same switches, and the same values where they have an effect.
    ///
    /// # Errors
    /// [`ControlError::OtherMap`] where `later` is another map.
    pub fn is_kept_by(&self, later: &Controls) -> Result<Kept, ControlError> {
        self.check(later)?;
        Ok(judge(&self.expects(later, |_| true), later))
    }

    /// As [`Saved::is_kept_by`], of those registers only that a reversion timer takes back: what a
    /// commissioning has to see after silence.
    ///
    /// # Errors
    /// [`ControlError::OtherMap`] where `later` is another map.
    pub fn is_reverted_by(&self, later: &Controls) -> Result<Kept, ControlError> {
        self.check(later)?;
        let expects = self.expects(later, |field| field.role != Role::Permission);
        Ok(judge(&expects, later))
    }

    /// A release that restores it.
    pub(super) fn plan(&self, now: &Controls) -> Result<Plan, ControlError> {
        Ok(Plan {
            writes: self.restore(now)?,
            expressed: Milliwatts::ZERO,
            expects: self.expects(now, |_| true),
            has_timer: false,
            reversion_seconds: None,
            stays: Vec::new(),
        })
    }

    fn expects(&self, later: &Controls, concerned: impl Fn(&Field) -> bool) -> Vec<Expectation> {
        let expect = |field: &Field| {
            self.has_effect(field)
                .then(|| expectation(field, &self.words_of(field, &later.image)?))?
        };
        let fields = later.fields.iter().filter(|field| concerned(field));
        fields.filter_map(expect).collect()
    }

    fn has_effect(&self, field: &Field) -> bool {
        let Some((offset, bits)) = field.switch.filter(|_| field.role != Role::Switch) else {
            return true;
        };
        let words = self.register(offset).map(|register| register.words.as_slice());
        match words {
            Some([word]) => NonZeroU16::new(word & bits).is_some(),
            _ => true,
        }
    }

    /// Whether it is of the map that is shown.
    ///
    /// # Errors
    /// [`ControlError::OtherMap`] where it is of another.
    pub fn check(&self, now: &Controls) -> Result<(), ControlError> {
        if self.source == now.source {
            return Ok(());
        }
        Err(ControlError::OtherMap {
            saved: self.source.clone(),
            shown: now.source.clone(),
        })
    }

    /// What was saved of these words of a profile.
    pub(super) fn words_at(&self, offset: u16, len: usize) -> Option<&[u16]> {
        let words = self.register(offset)?.words.as_slice();
        (words.len() == len).then_some(words)
    }
}
