//! The corpus of attacks, played on a neighbourhood: what each earns, what finds it out, and how often an honest home is
//! suspected.
//!
//! Homes have real physics, boxes real keys, and every message meets the checks of the engine in the order in which it
//! comes; the event is settled by the function that settles and verifies everywhere. Only the broker and the database
//! are left out.

pub mod cli;
mod engine;
mod homes;
mod report;

use std::collections::BTreeMap;

use anyhow::Context as _;
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::quantity::TokenAmount;
use gridtally_settlement::quality::{self, Finding};
use gridtally_simulators::attack::{self, Attack, Attacker, Sent};

use self::engine::{Engine, Outcome};
use self::homes::PlayedHome;
pub use self::report::{AttackFigures, CorpusFigures};
use crate::neighbourhood::keys;

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corpus {
    /// From which everything is drawn.
    pub seed: u64,
    /// How many homes; every attack is played by, or on, one home of each thirty-second.
    pub homes: usize,
}

/// Every so many-th home is attacked or attacks; the rest is honest and left alone.
const EVERY: usize = 2;

/// Plays the corpus.
///
/// # Errors
/// Where a home cannot be built, or the engine itself contradicts itself.
pub fn play(corpus: &Corpus, mut progress: impl FnMut(&str)) -> anyhow::Result<CorpusFigures> {
    let homes = homes::play(corpus, &mut progress)?;
    let stranger = keys::signing(corpus.seed, "stranger")?;
    progress("the honest neighbourhood: what each home earns if nobody attacks");
    let honest = settle(&homes, &stranger, &BTreeMap::new())?;
    let mut figures = CorpusFigures::new(&homes, &honest, corpus);
    // Each attack has homes of its own; a home's neighbour is honest in the same run.
    let rounds = Attack::ALL.len().div_ceil(homes.len().div_euclid(EVERY).max(1));
    for round in 0..rounds {
        let mut attacks = BTreeMap::new();
        for (slot, place) in (0..homes.len()).step_by(EVERY).enumerate() {
            let number = round
                .saturating_mul(homes.len().div_ceil(EVERY))
                .saturating_add(slot);
            let attack = Attack::ALL
                .get(number % Attack::ALL.len())
                .context("there are attacks")?;
            attacks.insert(place, *attack);
        }
        progress(&format!(
            "round {}: {} homes are attacked, or attack",
            round + 1,
            attacks.len()
        ));
        let played = attacks
            .iter()
            .map(|(place, attack)| (*place, Played::Attack(*attack)))
            .collect();
        let outcome = settle(&homes, &stranger, &played)?;
        // Whose history is held back is compared with a home that never sent it.
        let held_back = attacks
            .iter()
            .filter(|(_, attack)| **attack == Attack::BackdatedHistory);
        let silent = held_back.map(|(place, _)| (*place, Played::Silent)).collect();
        let reference = settle(&homes, &stranger, &silent)?;
        figures.add(&homes, &attacks, &reference, &outcome);
    }
    Ok(figures)
}

/// What becomes of a home.
#[derive(Debug, Clone, Copy)]
enum Played {
    /// It attacks, or is attacked.
    Attack(Attack),
    /// It never sends some days of its history.
    Silent,
}

/// Settles the event with what is played by the places of the homes.
fn settle(
    homes: &[PlayedHome],
    stranger: &SigningIdentity,
    attacks: &BTreeMap<usize, Played>,
) -> anyhow::Result<Outcome> {
    let mut engine = Engine::new(homes)?;
    let mut sent: Vec<Sent> = Vec::new();
    for (place, home) in homes.iter().enumerate() {
        let instruction = engine.instruction(place).to_vec();
        match attacks.get(&place) {
            None => {
                sent.extend(attack::honest(&home.key, &home.truth));
                let at = homes::announced_at()
                    .checked_add(60)
                    .unwrap_or(homes::announced_at());
                sent.extend(attack::answer(&home.key, &instruction, true, at));
            }
            Some(played) => {
                let beside = homes
                    .get(place.saturating_add(1))
                    .or(homes.first())
                    .context("there is a neighbour")?;
                let scene = home.scene(stranger, beside, &instruction);
                sent.extend(match played {
                    Played::Attack(attack) => attack.play(&scene),
                    Played::Silent => attack::without_history(&scene),
                });
            }
        }
    }
    sent.sort_by_key(|sent| sent.at);
    engine.take(&sent);
    engine.settle()
}

/// What is odd about a home beyond refusals, by name.
fn flags(outcome: &Outcome, home: &PlayedHome) -> Vec<String> {
    let statement = outcome.sites.get(&home.enrolment.site);
    let inflated = statement.and_then(quality::inflated) == Some(true);
    let quality = outcome.quality.get(&home.enrolment.site);
    let soft = |finding: &Finding| {
        matches!(
            finding,
            Finding::Stale | Finding::Interpolated | Finding::ChargeMismatch | Finding::NoProduction
        )
    };
    let notes = quality.into_iter().flatten().filter(|finding| soft(finding));
    let copies = outcome.copies.contains(&home.enrolment.site);
    let named = notes.map(|finding| finding.name().to_owned());
    let rest = [(inflated, "used_more_before"), (copies, "same_as_a_neighbour")];
    let rest = rest
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| name.to_owned());
    let mut all: Vec<String> = named.chain(rest).collect();
    all.sort();
    all.dedup();
    all
}

/// Whether an attack on a home of which a stranger is the author is found out shows in the refusals; of a home's own, in
/// its flags and missing intervals too.
fn is_strangers(attack: Attack) -> bool {
    attack.attacker() == Attacker::Stranger
}

/// What a home earned.
fn earned(outcome: &Outcome, home: &PlayedHome) -> TokenAmount {
    outcome
        .sites
        .get(&home.enrolment.site)
        .map_or(TokenAmount::ZERO, |site| site.totals.amount)
}
