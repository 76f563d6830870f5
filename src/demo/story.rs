//! Plays a scenario from its first instant to its last, with what strangers and dishonest owners do in it.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::{SettlementOutcome, settle as settle_event};
use gridtally_settlement::store::{refusals, reports};

use crate::neighbourhood::attacks::{Stranger, enriched, tampered};
use crate::neighbourhood::{Neighbourhood, keys};

/// How long the engine may take to judge what the stranger sent.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// Tells a person how far the story is.
#[derive(Debug)]
pub struct Progress {
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One line, written over and over.
    Live,
    /// A line for each day.
    Lines,
    Silent,
}

impl Progress {
    /// On a terminal one line is written over and over; elsewhere each day has its own.
    #[must_use]
    pub const fn new(live: bool) -> Self {
        Self {
            form: if live { Form::Live } else { Form::Lines },
        }
    }

    /// Says nothing.
    #[must_use]
    pub const fn silent() -> Self {
        Self { form: Form::Silent }
    }

    fn day(&mut self, day: usize, of: usize, neighbourhood: &mut Neighbourhood) -> anyhow::Result<()> {
        if self.form == Form::Silent {
            return Ok(());
        }
        let (stored, readings) = neighbourhood
            .store()
            .transact(|transaction| reports::volume(transaction))?;
        let line = format!("day {day:>2} of {of}: {stored:>5} signed reports, {readings:>7} readings stored");
        if self.form == Form::Live {
            eprint!("\r{line}");
            std::io::stderr().flush()?;
        } else {
            eprintln!("{line}");
        }
        Ok(())
    }

    fn note(&mut self, text: &str) {
        match self.form {
            Form::Live => eprintln!("\n{text}"),
            Form::Lines if !text.is_empty() => eprintln!("{text}"),
            _ => {}
        }
    }
}

/// Plays the whole scenario.
///
/// # Errors
/// Where a part is gone for good.
pub fn play(neighbourhood: &mut Neighbourhood, progress: &mut Progress) -> anyhow::Result<()> {
    let scenario = neighbourhood.scenario.clone();
    let attack_at = scenario.event.window.until;
    let days = usize::try_from(scenario.end.seconds_since(scenario.start) / 86_400)?;
    let mut stranger = None;
    for now in scenario.steps() {
        if now == scenario.event.announced_at {
            progress.note("the operator announces an event for the evening");
        }
        if scenario.forger && now == attack_at {
            stranger = Some(Attack::prepare(neighbourhood)?);
        }
        neighbourhood.step(now)?;
        if let Some(attack) = stranger.take() {
            progress.note("a stranger on the broker, and a dishonest owner, try their luck");
            attack.carry_out(neighbourhood, now)?;
        }
        let since = now.seconds_since(scenario.start);
        if since > 0 && since % 86_400 == 0 {
            progress.day(usize::try_from(since / 86_400)?, days, neighbourhood)?;
        }
    }
    progress.note("");
    Ok(())
}

/// Settles the scenario's event at its end.
///
/// # Errors
/// Where the evidence contradicts itself, or the escrow does not suffice.
pub fn settle(neighbourhood: &mut Neighbourhood, bundle: &Path) -> anyhow::Result<SettlementOutcome> {
    let scenario = neighbourhood.scenario.clone();
    neighbourhood.fund()?;
    let key = keys::signing(scenario.seed, "engine")?;
    let event = scenario.event.id.parse()?;
    Ok(settle_event(
        neighbourhood.store(),
        &key,
        &event,
        scenario.end,
        Patience::Deadline,
        bundle,
    )?)
}

/// A stranger who listens and then publishes; with him, an owner who signs a second version of his report.
struct Attack {
    runtime: tokio::runtime::Runtime,
    stranger: Stranger,
}

impl Attack {
    fn prepare(neighbourhood: &Neighbourhood) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let broker = neighbourhood.engine().ready()?.broker;
        let stranger = runtime.block_on(Stranger::connect(&broker))?;
        Ok(Self { runtime, stranger })
    }

    fn carry_out(mut self, neighbourhood: &mut Neighbourhood, now: Timestamp) -> anyhow::Result<()> {
        let scenario = neighbourhood.scenario.clone();
        let report_seconds =
            i64::from(scenario.interval.seconds()) * i64::from(scenario.intervals_per_report);
        let sequence = u64::try_from(now.seconds_since(scenario.start) / report_seconds)?;
        let (first, second) = (neighbourhood.gateway(1)?, neighbourhood.gateway(2)?);
        let last = neighbourhood.gateway(scenario.homes)?;
        let heard = self.runtime.block_on(self.stranger.overhear(first, sequence))?;
        let other = self.runtime.block_on(self.stranger.overhear(second, sequence))?;
        let key = keys::signing(scenario.seed, "stranger")?;

        let refused_before = refused(neighbourhood)?;
        let mut expected = 5;
        self.stranger.publish(first, tampered(&heard))?;
        self.stranger.publish(first, enriched(&heard, &key)?)?;
        self.stranger.publish(key.identity(), enriched(&heard, &key)?)?;
        self.stranger.publish(last, other.clone())?;
        self.stranger.publish(second, b"{\"kWh\": 1000000}".to_vec())?;
        // A genuine report once more, as it was: it changes nothing, and is no refusal either.
        self.stranger.publish(second, other)?;
        if let Some(number) = scenario.equivocator {
            let owner = neighbourhood.gateway_key(number)?;
            let genuine = self
                .runtime
                .block_on(self.stranger.overhear(owner.identity(), sequence))?;
            self.stranger
                .publish(owner.identity(), enriched(&genuine, &owner)?)?;
            expected += 1;
        }
        let deadline = Instant::now() + PATIENCE;
        while refused(neighbourhood)? < refused_before + expected {
            ensure!(
                Instant::now() < deadline,
                "the engine did not judge all that the stranger sent"
            );
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

fn refused(neighbourhood: &mut Neighbourhood) -> anyhow::Result<usize> {
    let (from, until) = (neighbourhood.scenario.start, neighbourhood.scenario.end);
    let all = neighbourhood
        .store()
        .transact(|t| refusals::refusals(t, from, until))?;
    Ok(all.len())
}
