//! The program's own rule, and those it is compared with.

use serde::Serialize;

use super::data::{TrialEvent, inputs};
use crate::rules::baseline::{BaselineRule, PRESETS, PresetError};
use crate::rules::program::Program;
use crate::rules::statement::{SettleError, Sheet};

/// What a rule is to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The program's own, with its fallback.
    Own,
    /// The program's own, by itself.
    OwnAlone,
    /// The fallback, by itself.
    Fallback,
    /// Another one.
    Preset,
}

/// A rule that is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    /// What it is to the program.
    pub standing: Standing,
    /// The program with it.
    pub program: Program,
}

impl Contender {
    fn new(
        program: &Program,
        standing: Standing,
        rule: &BaselineRule,
        fallback: Option<&BaselineRule>,
    ) -> Self {
        let program = Program {
            baseline: rule.clone(),
            baseline_fallback: fallback.cloned(),
            ..program.clone()
        };
        Self { standing, program }
    }

    /// Whether an event can be laid out under it.
    ///
    /// # Errors
    /// [`SettleError`] that says why not.
    pub fn lays_out(&self, event: &TrialEvent) -> Result<(), SettleError> {
        let inputs = inputs(&self.program, &[], &[], event, &[], 0);
        Sheet::new(&inputs.program, &inputs.event, &[]).map(|_| ())
    }

    /// The rule's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.program.baseline.id
    }
}

/// The program's own rule, first; where there is a fallback, both by themselves; then every other preset that needs
/// nothing but a meter, of which `wanted` says so.
///
/// # Errors
/// [`PresetError`] never in practice: the presets are built in.
pub fn contenders(program: &Program, wanted: impl Fn(&str) -> bool) -> Result<Vec<Contender>, PresetError> {
    let (own, fallback) = (&program.baseline, program.baseline_fallback.as_ref());
    let mut all = vec![Contender::new(program, Standing::Own, own, fallback)];
    if let Some(fallback) = fallback {
        all.push(Contender::new(program, Standing::OwnAlone, own, None));
        all.push(Contender::new(program, Standing::Fallback, fallback, None));
    }
    for (name, _) in PRESETS.iter().filter(|(name, _)| wanted(name)) {
        let rule = BaselineRule::preset(name)?;
        let there = rule == *own || fallback == Some(&rule);
        if rule.needs().is_empty() && !there {
            all.push(Contender::new(program, Standing::Preset, &rule, None));
        }
    }
    Ok(all)
}

/// How far back the rules of all contenders read, in days.
#[must_use]
pub fn reach_days(contenders: &[Contender]) -> u32 {
    contenders
        .iter()
        .map(|c| c.program.lookback_days())
        .max()
        .unwrap_or_default()
}
