//! Which registers a client may write, and the timers that take a control back.

use crate::sunspec::{Kind, RegisterMap};

/// A register that accepts values within bounds.
#[derive(Debug, Clone)]
pub(crate) struct Writable {
    pub(crate) address: u16,
    pub(crate) kind: Kind,
    pub(crate) least: i64,
    pub(crate) greatest: i64,
}

impl Writable {
    pub(crate) fn accepts(&self, word: u16) -> bool {
        let value = if self.kind == Kind::Int16 {
            i64::from(word.cast_signed())
        } else {
            i64::from(word)
        };
        (self.least..=self.greatest).contains(&value)
    }
}

/// A reversion timer. Each accepted write to a covered register starts it anew, when the control is
/// then active and the timer register is not 0; when it runs out, the covered registers go back to
/// the device's defaults.
#[derive(Debug, Clone)]
pub(crate) struct Reversion {
    /// The register that holds the time in seconds.
    pub(crate) timer: u16,
    /// The register that says whether the control is active: it is, unless it holds its default.
    pub(crate) switch: u16,
    /// The covered registers with their defaults, the switch among them.
    pub(crate) defaults: Vec<(u16, u16)>,
    /// When it runs out, in Unix seconds.
    pub(crate) expires: Option<i64>,
}

impl Reversion {
    pub(crate) fn covers(&self, address: u16) -> bool {
        address == self.timer || self.defaults.iter().any(|&(covered, _)| covered == address)
    }

    pub(crate) fn restart(&mut self, map: &RegisterMap, now: i64) {
        let word = |address| map.read(address, 1).ok().and_then(|words| words.first().copied());
        let idle = self.defaults.iter().find(|&&(address, _)| address == self.switch);
        let active = word(self.switch) != idle.map(|&(_, default)| default);
        let seconds = word(self.timer).unwrap_or(0);
        self.expires = (active && seconds > 0).then(|| now + i64::from(seconds));
    }

    /// The registers to put back, if the timer has run out.
    pub(crate) fn expire(&mut self, now: i64) -> &[(u16, u16)] {
        if self.expires.is_some_and(|expires| expires <= now) {
            self.expires = None;
            &self.defaults
        } else {
            &[]
        }
    }
}
