//! What to write, in which order, and what must be read back.

use std::fmt;

use gridtally_protocol::quantity::Milliwatts;
use serde::{Deserialize, Serialize};

use super::Controls;
use super::error::ControlError;
use super::field::{Field, Role};

/// Registers to write with one request (function 16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The first register: its offset from the model's ID, or its address for a profile.
    pub offset: u16,
    /// What to write there.
    pub words: Vec<u16>,
}

impl Write {
    /// So many words of it from that offset on.
    pub(super) fn words_at(&self, offset: u16, len: u16) -> Option<&[u16]> {
        let start = usize::from(offset.checked_sub(self.offset)?);
        self.words.get(start..start.checked_add(usize::from(len))?)
    }
}

/// A command as writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The writes, in their order. Should one fail, none of the rest may be sent: nothing is active before
    /// the last one.
    pub writes: Vec<Write>,
    /// What the registers express: never more in magnitude than what was asked, nor than the rating. Zero
    /// for a release.
    pub expressed: Milliwatts,
    /// What must be read back.
    pub expects: Vec<Expectation>,
    /// Whether the device returns by itself when the agent falls silent.
    pub has_timer: bool,
    /// After how many seconds, as written: the register may hold less than what was asked.
    pub reversion_seconds: Option<u32>,
    /// The registers among them that no timer takes back, by name: they stay until somebody restores them.
    pub stays: Vec<String>,
}

impl Plan {
    /// Whether a limit is nothing at all. Some devices then go into standby, and hybrids then neither
    /// charge nor discharge: it is written as it was asked, because a lesser limit would be disobedience;
    /// whoever knows the device may decline before.
    #[must_use]
    pub fn limits_to_nothing(&self, command: super::Command) -> bool {
        matches!(command, super::Command::LimitProduction(_)) && self.expressed == Milliwatts::ZERO
    }
}

/// How a register that was written is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It shows what was written.
    Exact,
    /// It shows what was written or less: devices count it down, or clamp it.
    Timer,
    /// A scale factor, which was not written: should it change, the rest has another meaning.
    Scale,
}

/// A register that must show something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Its name, for people.
    pub register: String,
    /// Its first word.
    pub offset: u16,
    /// What it must show.
    pub words: Vec<u16>,
    /// How closely.
    pub judgement: Judgement,
}

/// Whether a device shows what was written. Showing is not obeying: that is seen at the meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It does.
    Yes,
    /// It does, but for the timer, which is off or longer: the device may not return by itself in time.
    ButTimer {
        /// The register.
        register: String,
        /// What was written.
        wrote: Vec<u16>,
        /// What it shows; nothing where it is gone.
        shows: Vec<u16>,
    },
    /// It does not.
    No {
        /// The register.
        register: String,
        /// What was written, or was there for a scale factor.
        wrote: Vec<u16>,
        /// What it shows; nothing where it is gone.
        shows: Vec<u16>,
    },
}

impl Kept {
    /// Whether the setting is as it was written, whatever the timer shows.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        !matches!(self, Self::No { .. })
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (note, register, wrote, shows) = match self {
            Self::Yes => return f.write_str("the device shows what was written"),
            Self::ButTimer {
                register,
                wrote,
                shows,
            } => (" (the timer only)", register, wrote, shows),
            Self::No {
                register,
                wrote,
                shows,
            } => ("", register, wrote, shows),
        };
        write!(f, "{register} was written as {wrote:?} and shows {shows:?}{note}")
    }
}

impl Plan {
    /// Whether a later read shows what this plan wrote.
    #[must_use]
    pub fn is_kept_by(&self, later: &Controls) -> Kept {
        judge(&self.expects, later)
    }
}

/// The gravest finding of all expectations.
pub(super) fn judge(expects: &[Expectation], later: &Controls) -> Kept {
    let mut kept = Kept::Yes;
    for expectation in expects {
        let len = u16::try_from(expectation.words.len()).unwrap_or(u16::MAX);
        let shows = later.image.get(expectation.offset, len).unwrap_or_default();
        let (register, wrote) = (expectation.register.clone(), expectation.words.clone());
        match expectation.judgement {
            Judgement::Timer if runs_out_by(&wrote, &shows) => {}
            Judgement::Timer => {
                kept = Kept::ButTimer {
                    register,
                    wrote,
                    shows,
                }
            }
            _ if shows == wrote => {}
            _ => {
                return Kept::No {
                    register,
                    wrote,
                    shows,
                };
            }
        }
    }
    kept
}

/// Whether a timer shows some time, and none beyond what was written. The high word comes first.
fn runs_out_by(wrote: &[u16], shows: &[u16]) -> bool {
    let off = shows.iter().all(|word| *word == 0) && wrote.iter().any(|word| *word != 0);
    shows.len() == wrote.len() && !off && shows <= wrote
}

/// A plan in the making.
pub(super) struct Draft<'c> {
    controls: &'c Controls,
    steps: Vec<Step>,
    expects: Vec<Expectation>,
    timer: Option<u32>,
    stays: Vec<String>,
}

/// A register with what is to be written.
struct Step {
    role: Role,
    offset: u16,
    words: Vec<u16>,
}

impl Step {
    fn end(&self) -> usize {
        usize::from(self.offset).saturating_add(self.words.len())
    }
}

impl<'c> Draft<'c> {
    pub(super) const fn of(controls: &'c Controls) -> Self {
        Self {
            controls,
            steps: Vec::new(),
            expects: Vec::new(),
            timer: None,
            stays: Vec::new(),
        }
    }

    /// Sets a register without which the command makes no sense.
    pub(super) fn set(&mut self, field: &Field, value: i64) -> Result<(), ControlError> {
        if self.set_if_there(field, value)? {
            return Ok(());
        }
        let register = field.name.to_string();
        Err(ControlError::NoRegister { register })
    }

    /// Sets a register that the device may lack: then it is not written.
    pub(super) fn set_if_there(&mut self, field: &Field, value: i64) -> Result<bool, ControlError> {
        if !field.is_there(&self.controls.image) {
            return Ok(false);
        }
        self.put(field, field.encode(value)?);
        Ok(true)
    }

    /// The timer, as long as the register holds.
    pub(super) fn set_timer(
        &mut self,
        field: &Field,
        seconds: std::num::NonZeroU32,
    ) -> Result<(), ControlError> {
        let seconds = i64::from(seconds.get()).min(field.shape.max());
        if self.set_if_there(field, seconds)? {
            self.timer = u32::try_from(seconds).ok();
        }
        Ok(())
    }

    /// Writes words as they are.
    pub(super) fn put(&mut self, field: &Field, words: Vec<u16>) {
        self.expects.extend(expectation(field, &words));
        if field.role == Role::Permission {
            self.stays.push(field.name.to_string());
        }
        if let Some((name, offset)) = field.scale
            && let Some(shown) = self.controls.image.get(offset, 1)
            && self.expects.iter().all(|known| known.offset != offset)
        {
            self.expects.push(Expectation {
                register: name.to_owned(),
                offset,
                words: shown,
                judgement: Judgement::Scale,
            });
        }
        self.steps.push(Step {
            role: field.role,
            offset: field.offset,
            words,
        });
    }

    pub(super) fn finish(self, expressed: Milliwatts) -> Plan {
        Plan {
            writes: sequence(self.steps),
            expressed,
            expects: self.expects,
            has_timer: self.timer.is_some(),
            reversion_seconds: self.timer,
            stays: self.stays,
        }
    }

    pub(super) fn into_writes(self) -> Vec<Write> {
        sequence(self.steps)
    }
}

/// What a register must show after these words were written; `None` where it is not judged.
pub(super) fn expectation(field: &Field, words: &[u16]) -> Option<Expectation> {
    let judgement = match field.role {
        Role::Switch | Role::Value | Role::Permission => Judgement::Exact,
        Role::Timer => Judgement::Timer,
        Role::Manner | Role::Fallback => return None,
    };
    Some(Expectation {
        register: field.name.to_string(),
        offset: field.offset,
        words: words.to_vec(),
        judgement,
    })
}

/// One request where the registers lie side by side and nothing is switched on before it is set; otherwise
/// what is switched off first, then to what the device returns, then timers, then values (which act at once
/// where the control is on already, and the timer runs from its own write), then what is switched on.
fn sequence(mut steps: Vec<Step>) -> Vec<Write> {
    steps.sort_by_key(|step| step.offset);
    let is_on = |step: &Step| step.role == Role::Switch && step.words.iter().any(|word| *word != 0);
    let on_at_the_end = steps.iter().skip_while(|step| !is_on(step)).all(is_on);
    if on_at_the_end && is_one_run(&steps) {
        return runs(steps);
    }
    let (on, rest): (Vec<_>, Vec<_>) = steps.into_iter().partition(is_on);
    let (off, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|step| step.role == Role::Switch);
    let prepared = if is_one_run(&rest) {
        runs(rest)
    } else {
        let acts = |step: &Step| matches!(step.role, Role::Value | Role::Permission);
        let (values, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(acts);
        let is_fallback = |step: &Step| step.role == Role::Fallback;
        let (fallbacks, timers): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_fallback);
        [runs(fallbacks), runs(timers), runs(values)].concat()
    };
    [runs(off), prepared, runs(on)].concat()
}

fn is_one_run(steps: &[Step]) -> bool {
    steps
        .windows(2)
        .all(|pair| matches!(pair, [one, next] if one.end() == usize::from(next.offset)))
}

/// Neighbours in one request.
fn runs(steps: Vec<Step>) -> Vec<Write> {
    let mut writes: Vec<Write> = Vec::new();
    for step in steps {
        match writes.last_mut() {
            Some(last)
                if usize::from(last.offset).saturating_add(last.words.len()) == usize::from(step.offset) =>
            {
                last.words.extend(step.words);
            }
            _ => writes.push(Write {
                offset: step.offset,
                words: step.words,
            }),
        }
    }
    writes
}
