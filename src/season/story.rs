//! The season, day by day: who signs and sends what, when each event is announced and settled, and settled anew.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use gridtally_protocol::identity::Identity;
use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::proofs::settle::SettlementOutcome;
use gridtally_settlement::store::Store;

use super::desk::{Corrected, Desk};
use super::gateway::{Gateway, MeterDay};
use super::home::SeasonHome;
use super::plan::{Answer, Conduct, DAY, EventPlan, Fault, Plan};
use super::play::{Trace, play};

/// Each midnight's reports come five minutes after it.
const MIDNIGHT: i64 = 300;
/// Days after an event's end on which it is settled anew by the program's calendar.
const CALENDAR: i64 = 14 * DAY;
/// Owners look at the second statement, and the network at its own meters, for so long.
const DISPUTED_AFTER: i64 = 2 * DAY;
/// When nothing can be disputed any more.
const FINAL_AFTER: usize = 40;

/// A statement that was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Of which event, from 0.
    pub event: usize,
    /// Which of its statements.
    pub version: u32,
    /// When.
    pub at: Timestamp,
    /// What the escrow paid by it; negative where it got back.
    pub debit: TokenAmount,
    /// What it credits in all.
    pub credited: MilliwattHours,
    /// What it credits each site.
    pub sites: BTreeMap<String, MilliwattHours>,
    /// How many sites it pays another amount than the statement before.
    pub changed: usize,
    /// How many of these give back.
    pub gave_back: usize,
    /// SHA-256 of the statement.
    pub hash: String,
}

/// A season that was played.
#[derive(Debug)]
pub struct Season {
    /// What was to happen.
    pub plan: Plan,
    /// The events.
    pub events: Vec<EventPlan>,
    /// The homes.
    pub homes: Vec<SeasonHome>,
    /// What each of them did.
    pub conduct: Vec<Conduct>,
    /// What each meter counted, and would have counted.
    pub traces: Vec<Trace>,
    /// Every statement, in the order of posting.
    pub settled: Vec<Settled>,
    /// How often the books were looked at; they were in order each time.
    pub steps: u64,
    /// The hash of the ledger's whole journal.
    pub journal: String,
    /// What accounts hold in the end, by kind of account, in base units.
    pub closing: BTreeMap<String, i128>,
}

/// How far an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Planned,
    Announced,
    Settled,
    Corrected { disputed_at: Timestamp },
    Done,
}

/// Plays a season into an empty store; `progress` hears what is being done.
///
/// # Errors
/// Where a part does not do its part; and where the ledger does not add up after a step.
pub fn run(
    plan: Plan,
    store: Store,
    bundle: PathBuf,
    progress: &mut dyn FnMut(&str),
) -> anyhow::Result<Season> {
    progress("playing the homes, as they were dispatched and as they would have been");
    let homes: Vec<_> = (0..plan.homes)
        .map(|number| SeasonHome::draw(&plan, number))
        .collect();
    let conduct: Vec<_> = (0..plan.homes).map(|number| plan.conduct(number)).collect();
    let traces = traces(&plan, &homes, &conduct)?;
    let gateways = (0..plan.homes).map(|number| Gateway::new(&plan, number));
    let gateways: Vec<_> = gateways.collect::<anyhow::Result<_>>()?;
    let events = plan.events();
    let mut story = Story {
        by_identity: (0..)
            .zip(&gateways)
            .map(|(place, g)| (g.identity(), place))
            .collect(),
        faults: conduct
            .iter()
            .map(|conduct| faults(&plan, &events, conduct))
            .collect(),
        stages: vec![Stage::Planned; events.len()],
        desk: Desk::open(&plan, store, bundle)?,
        gateways,
        settled: Vec::new(),
        season: Ground {
            plan: &plan,
            events: &events,
            conduct: &conduct,
            traces: &traces,
        },
    };
    story.open()?;
    let days = plan.days();
    for day in 0..days.saturating_add(FINAL_AFTER) {
        story.announce(day, progress)?;
        if day < days {
            story.report(day)?;
        }
        story.settle(plan.after(day.saturating_add(1), MIDNIGHT), progress)?;
        story.mature(day.saturating_add(1))?;
    }
    let (journal, closing) = story.close(plan.after(days.saturating_add(FINAL_AFTER), MIDNIGHT))?;
    let (settled, steps) = (story.settled, story.desk.steps());
    Ok(Season {
        plan,
        homes,
        settled,
        steps,
        journal,
        closing,
        events,
        conduct,
        traces,
    })
}

/// All homes, on all cores.
fn traces(plan: &Plan, homes: &[SeasonHome], conduct: &[Conduct]) -> anyhow::Result<Vec<Trace>> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = homes.len().div_ceil(cores).max(1);
    let pairs: Vec<_> = homes.iter().zip(conduct).collect();
    std::thread::scope(|scope| {
        let play_all = |pairs: &[(&SeasonHome, &Conduct)]| {
            let each = pairs.iter().map(|(home, conduct)| play(plan, home, conduct));
            each.collect::<anyhow::Result<Vec<_>>>()
        };
        let workers: Vec<_> = pairs
            .chunks(share)
            .map(|some| scope.spawn(move || play_all(some)))
            .collect();
        let mut traces = Vec::with_capacity(homes.len());
        for worker in workers {
            traces.extend(
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
            );
        }
        Ok(traces)
    })
}

/// The intervals of which a home's meter says something wrong.
fn faults(plan: &Plan, events: &[EventPlan], conduct: &Conduct) -> BTreeMap<usize, Fault> {
    let of_event = |(event, fault): (&EventPlan, &Option<Fault>)| {
        let slots = plan.slot(event.start)..plan.slot(event.end);
        fault
            .map(|fault| slots.map(move |slot| (slot, fault)))
            .into_iter()
            .flatten()
    };
    events.iter().zip(&conduct.faults).flat_map(of_event).collect()
}

/// What is known beforehand.
#[derive(Debug, Clone, Copy)]
struct Ground<'g> {
    plan: &'g Plan,
    events: &'g [EventPlan],
    conduct: &'g [Conduct],
    traces: &'g [Trace],
}

struct Story<'s> {
    season: Ground<'s>,
    desk: Desk,
    gateways: Vec<Gateway>,
    by_identity: BTreeMap<Identity, usize>,
    faults: Vec<BTreeMap<usize, Fault>>,
    stages: Vec<Stage>,
    settled: Vec<Settled>,
}

impl Story<'_> {
    fn open(&mut self) -> anyhow::Result<()> {
        let now = self.season.plan.start();
        let program = self.desk.program().id.clone();
        let enrolments = self.gateways.iter().map(|gateway| gateway.enrolment(&program));
        let enrolments: Vec<_> = enrolments.collect::<anyhow::Result<_>>()?;
        self.desk.enrol(&enrolments, now)?;
        self.desk.check("the enrolments")?;
        self.desk.deposit("opening", now)?;
        self.desk.check("the first deposit")?;
        Ok(())
    }

    /// The events of a day, with the homes' answers.
    fn announce(&mut self, day: usize, progress: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        let Ground {
            plan,
            events,
            conduct,
            ..
        } = self.season;
        let of_day = plan.after(day, 0)..plan.after(day.saturating_add(1), 0);
        for (number, event) in events.iter().enumerate() {
            if !of_day.contains(&event.announced_at) {
                continue;
            }
            progress(&format!("{}: announced for {}", event.id, event.start));
            if number.is_multiple_of(10) {
                self.desk
                    .deposit(&format!("from.{}.on", event.id), event.announced_at)?;
                self.desk.check("a deposit")?;
            }
            let answered = event.announced_at.checked_add(60).context("the calendar ends")?;
            let mut answers = Vec::new();
            for asked in self.desk.announce(event)? {
                let place = self
                    .by_identity
                    .get(&asked.gateway)
                    .copied()
                    .unwrap_or(usize::MAX);
                let answer = conduct.get(place).and_then(|conduct| conduct.answers.get(number));
                let gateway = self.gateways.get(place).context("a stranger was asked")?;
                let answer = answer.copied().unwrap_or(Answer::Silent);
                answers.extend(gateway.answer(asked.digest, answer, answered)?);
            }
            self.desk.check(&format!("the announcement of {}", event.id))?;
            self.desk.receive(answers, answered)?;
            self.stage(number, Stage::Announced);
        }
        Ok(())
    }

    /// Every home signs its day; what comes now is of those who are not offline, with all that they kept.
    fn report(&mut self, day: usize) -> anyhow::Result<()> {
        let Ground {
            plan,
            conduct,
            traces,
            ..
        } = self.season;
        let now = plan.after(day.saturating_add(1), MIDNIGHT);
        let mut messages = Vec::with_capacity(self.gateways.len());
        let homes = self
            .gateways
            .iter_mut()
            .zip(conduct)
            .zip(traces)
            .zip(&self.faults);
        for (((gateway, conduct), trace), faults) in homes {
            gateway.sign(plan, MeterDay { day, trace, faults })?;
            if !conduct
                .offline
                .iter()
                .any(|(from, until)| (*from..*until).contains(&now))
            {
                messages.extend(gateway.send());
            }
        }
        self.desk.receive(messages, now)
    }

    /// Everything that is due about events at this midnight.
    fn settle(&mut self, now: Timestamp, progress: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        let events = self.season.events;
        for ((number, event), stage) in events.iter().enumerate().zip(self.stages.clone()) {
            match stage {
                Stage::Announced if event.end <= now => {
                    if let Some(outcome) = self.desk.settle(event, now)? {
                        self.keep(number, &outcome, progress)?;
                        self.stage(number, Stage::Settled);
                    }
                }
                Stage::Settled if now.seconds_since(event.end) >= CALENDAR => {
                    let outcome = self.desk.resettle(event, now)?;
                    self.keep(number, &outcome, progress)?;
                    let disputed_at = now.checked_add(DISPUTED_AFTER).unwrap_or(now);
                    self.stage(number, Stage::Corrected { disputed_at });
                }
                Stage::Corrected { disputed_at } if disputed_at <= now => {
                    if self.dispute(number, event, now)? {
                        let outcome = self.desk.resettle(event, now)?;
                        self.keep(number, &outcome, progress)?;
                    }
                    self.stage(number, Stage::Done);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Every Monday what was earned becomes payable; what is taken back later is owed then.
    fn mature(&mut self, day: usize) -> anyhow::Result<()> {
        if day.is_multiple_of(7) {
            let week = format!("week-{:02}", day / 7);
            if self.desk.mature(&week, self.season.plan.after(day, MIDNIGHT))? {
                self.desk.check(&format!("the payables of {week}"))?;
            }
        }
        Ok(())
    }

    /// Every site of which the meter said something wrong is disputed, and the dispute upheld; whether there is any.
    /// The first home that never answered disputes as well, in vain.
    fn dispute(&mut self, number: usize, event: &EventPlan, now: Timestamp) -> anyhow::Result<bool> {
        let Ground {
            plan,
            conduct,
            traces,
            ..
        } = self.season;
        let silent = |conduct: &Conduct| conduct.answers.get(number) == Some(&Answer::Silent);
        if let Some(home) = conduct.iter().position(silent) {
            self.desk.reject(event, &SeasonHome::site(home).parse()?, now)?;
        }
        let mut any = false;
        for (home, (conduct, trace)) in conduct.iter().zip(traces).enumerate() {
            let Some(fault) = conduct.faults.get(number).copied().flatten() else {
                continue;
            };
            let slots = plan.slot(event.start)..plan.slot(event.end);
            let truth = |slot| Some((plan.interval(slot)?, trace.net(slot).map(MilliwattHours::new)));
            let truth: Vec<Corrected> = slots.filter_map(truth).collect();
            self.desk
                .uphold(event, &SeasonHome::site(home).parse()?, fault, &truth, now)?;
            any = true;
        }
        self.desk.check(&format!("the disputes about {}", event.id))?;
        Ok(any)
    }

    /// Looks at the books after a statement, and keeps what it came to.
    fn keep(
        &mut self,
        event: usize,
        outcome: &SettlementOutcome,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<()> {
        let statement = &outcome.derived.statement;
        let what = format!("statement {} of {}", outcome.version, statement.event.id);
        self.desk.check(&what)?;
        let changed = statement
            .resettled
            .iter()
            .flat_map(|resettled| &resettled.sites)
            .filter(|site| site.settled);
        let changed: Vec<_> = changed.map(|site| site.difference).collect();
        progress(&format!(
            "{what}: the escrow pays {}",
            statement.asset.show(statement.escrow_debit)
        ));
        self.settled.push(Settled {
            event,
            version: outcome.version,
            at: outcome.settled_at,
            debit: statement.escrow_debit,
            credited: statement.totals.credited,
            sites: statement
                .sites
                .iter()
                .map(|s| (s.site.to_string(), s.totals.credited))
                .collect(),
            gave_back: changed
                .iter()
                .filter(|difference| **difference < TokenAmount::ZERO)
                .count(),
            changed: changed.len(),
            hash: outcome.statement_hash.to_string(),
        });
        Ok(())
    }

    /// Makes every event final; the journal's hash, and what is where.
    fn close(&mut self, now: Timestamp) -> anyhow::Result<(String, BTreeMap<String, i128>)> {
        for event in self.season.events {
            self.desk.finalise(event, now)?;
        }
        let journal = self.desk.check("the end of the season")?.head.hash.to_string();
        Ok((journal, self.desk.holdings()?))
    }

    fn stage(&mut self, number: usize, stage: Stage) {
        if let Some(known) = self.stages.get_mut(number) {
            *known = stage;
        }
    }
}
