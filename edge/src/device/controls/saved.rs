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
        let saved = self.register(field.offset)?;
        if saved.words.len() != usize::from(field.shape.words()) {
            return None;
        }
        let scales = saved.scale.zip(field.scale(now).ok());
        match (scales, field.shape) {
            (Some((then, now)), shape) if then != now && !matches!(shape, Shape::Words(_)) => {
                let count = field.decode(&saved.words)?;
                field.encode(rescaled(count, then, now, shape.max())?).ok()
            }
            _ => Some(saved.words.clone()),
        }
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

    fn check(&self, now: &Controls) -> Result<(), ControlError> {
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
