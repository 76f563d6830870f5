//! What the corpus came to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use gridtally_protocol::quantity::TokenAmount;
use gridtally_simulators::attack::{Attack, Meets};
use serde::Serialize;

use super::engine::Outcome;
use super::homes::PlayedHome;
use super::{Corpus, earned, flags, is_strangers};

/// What an attack came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct AttackFigures {
    /// How often it was played.
    pub played: usize,
    /// How often it was found out: refused with a reason, flagged, or seen as missing.
    pub found_out: usize,
    /// How often what met it is what a good engine does.
    pub met: usize,
    /// How often it earned more than honesty would have.
    pub earned_more: usize,
    /// How often a victim earned less by a stranger's attack.
    pub harmed: usize,
    /// What it lost against honesty, in base units, all homes together.
    pub lost: i128,
}

/// What the corpus came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CorpusFigures {
    /// How many homes there are.
    pub homes: usize,
    /// From which everything was drawn.
    pub seed: u64,
    /// By attack.
    pub attacks: BTreeMap<&'static str, AttackFigures>,
    /// Honest homes of which something was refused, where nobody attacks at all.
    pub honest_refused: usize,
    /// Honest homes with a flag, where nobody attacks at all.
    pub honest_flagged: usize,
    /// The flags, and on how many honest homes.
    pub honest_flags: BTreeMap<String, usize>,
    /// Honest homes that earned something else because others attacked.
    pub honest_harmed: usize,
    /// How often an honest home was looked at while others attacked.
    pub honest_looked_at: usize,
    /// What all honest homes earn, in base units, where nobody attacks.
    pub honest_earned: i128,
}

impl CorpusFigures {
    pub(super) fn new(homes: &[PlayedHome], honest: &Outcome, corpus: &Corpus) -> Self {
        let mut honest_flags: BTreeMap<String, usize> = BTreeMap::new();
        let mut flagged = 0_usize;
        for home in homes {
            let flags = flags(honest, home);
            flagged = flagged.saturating_add(usize::from(!flags.is_empty()));
            for flag in flags {
                let count = honest_flags.entry(flag).or_default();
                *count = count.saturating_add(1);
            }
        }
        let refused = homes
            .iter()
            .filter(|home| honest.refused.contains_key(&home.enrolment.gateway));
        let earnings = homes.iter().map(|home| earned(honest, home).base_units());
        Self {
            homes: homes.len(),
            seed: corpus.seed,
            attacks: Attack::ALL
                .iter()
                .map(|attack| (attack.name(), AttackFigures::default()))
                .collect(),
            honest_refused: refused.count(),
            honest_flagged: flagged,
            honest_flags,
            honest_harmed: 0,
            honest_looked_at: 0,
            honest_earned: earnings.fold(0_i128, i128::saturating_add),
        }
    }

    pub(super) fn add(
        &mut self,
        homes: &[PlayedHome],
        attacks: &BTreeMap<usize, Attack>,
        honest: &Outcome,
        outcome: &Outcome,
    ) {
        for (place, home) in homes.iter().enumerate() {
            let (before, after) = (earned(honest, home), earned(outcome, home));
            match attacks.get(&place) {
                Some(attack) => {
                    let found = Found::of(*attack, homes, place, honest, outcome);
                    let figures = self.attacks.entry(attack.name()).or_default();
                    figures.add(*attack, &found, (before, after));
                }
                None => {
                    self.honest_looked_at = self.honest_looked_at.saturating_add(1);
                    self.honest_harmed = self.honest_harmed.saturating_add(usize::from(before != after));
                }
            }
        }
    }

    /// Whether no attack earned more, no stranger harmed anybody, and every attack met what it should.
    #[must_use]
    pub fn holds(&self) -> bool {
        let good =
            |f: &AttackFigures| f.earned_more == 0 && f.harmed == 0 && f.met == f.played && f.played > 0;
        self.attacks.values().all(good) && self.honest_refused == 0 && self.honest_harmed == 0
    }

    /// Prints a table for people.
    ///
    /// # Errors
    /// Of the writer.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:<22} {:>7} {:>10} {:>11} {:>12} {:>7}",
            "attack", "played", "found out", "as it should", "earned more", "harmed"
        )?;
        for attack in Attack::ALL {
            let Some(f) = self.attacks.get(attack.name()) else {
                continue;
            };
            writeln!(
                out,
                "{:<22} {:>7} {:>10} {:>11} {:>12} {:>7}",
                attack.name(),
                f.played,
                f.found_out,
                f.met,
                f.earned_more,
                f.harmed
            )?;
        }
        writeln!(
            out,
            "\nOf {} honest homes nobody attacks: {} had something refused, {} a flag.",
            self.homes, self.honest_refused, self.honest_flagged
        )?;
        for (flag, count) in &self.honest_flags {
            writeln!(out, "  {flag}: {count}")?;
        }
        writeln!(
            out,
            "While others attacked, {} of {} honest homes earned something else than before.",
            self.honest_harmed, self.honest_looked_at
        )
    }
}

/// What met an attack.
struct Found {
    refused: BTreeSet<gridtally_protocol::refusal::Refusal>,
    flags: Vec<String>,
    missing: bool,
}

impl Found {
    fn of(attack: Attack, homes: &[PlayedHome], place: usize, honest: &Outcome, outcome: &Outcome) -> Self {
        let Some(home) = homes.get(place) else {
            return Self {
                refused: BTreeSet::new(),
                flags: Vec::new(),
                missing: false,
            };
        };
        // A stranger may use the neighbour's topic, or one of his own.
        let neighbour = homes.get(place.saturating_add(1)).or(homes.first());
        let mut refused = outcome
            .refused
            .get(&home.enrolment.gateway)
            .cloned()
            .unwrap_or_default();
        if is_strangers(attack) {
            let others = neighbour.and_then(|other| outcome.refused.get(&other.enrolment.gateway));
            refused.extend(others.into_iter().flatten());
            let enrolled = |gateway| homes.iter().any(|home| home.enrolment.gateway == gateway);
            let strange = outcome.refused.iter().filter(|(gateway, _)| !enrolled(**gateway));
            refused.extend(strange.flat_map(|(_, reasons)| reasons));
        }
        let usual = flags(honest, home);
        let mut flags = flags(outcome, home);
        flags.retain(|flag| !usual.contains(flag));
        let site = outcome.sites.get(&home.enrolment.site);
        Self {
            refused,
            flags,
            missing: site.is_some_and(|site| site.lines.iter().any(|line| line.missing.is_some())),
        }
    }
}

impl AttackFigures {
    fn add(&mut self, attack: Attack, found: &Found, (before, after): (TokenAmount, TokenAmount)) {
        let met = match attack.meets() {
            Meets::Refused(reason) => found.refused.contains(&reason),
            Meets::FoundOut => !found.refused.is_empty() || !found.flags.is_empty(),
            Meets::Missing => found.missing,
            Meets::Nothing => after <= before,
        };
        let found_out = !found.refused.is_empty() || !found.flags.is_empty() || found.missing;
        let one = |is: bool| usize::from(is);
        self.played = self.played.saturating_add(1);
        self.met = self.met.saturating_add(one(met));
        self.found_out = self.found_out.saturating_add(one(found_out));
        self.earned_more = self.earned_more.saturating_add(one(after > before));
        self.harmed = self
            .harmed
            .saturating_add(one(is_strangers(attack) && after != before));
        self.lost = self
            .lost
            .saturating_add(before.base_units().saturating_sub(after.base_units()));
    }
}
