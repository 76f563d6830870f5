//! How close each baseline came to what the homes would have done.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use chrono::NaiveDate;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::Interval;
use gridtally_settlement::rules::baseline::{
    BaselineRule, EventCalendar, Frame, PRESETS, Series, SiteData, work_out,
};
use gridtally_settlement::rules::calendar::LocalSlot;
use gridtally_settlement::rules::program::Program;

use super::home::{Kind, SeasonHome};
use super::plan::{Answer, EventPlan, Plan};
use super::play::Trace;
use super::story::Season;

/// What a baseline came to, over sites and events that were taken part in. Energies in milliwatt-hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How often a site took part.
    pub site_events: u32,
    /// How often there was no baseline; nothing of those is in the sums.
    pub without: u32,
    /// Intervals that were compared.
    pub intervals: u32,
    /// What was really used less: counterfactual less metered.
    pub truth: i128,
    /// What is credited, where each interval is netted by itself: baseline less metered, but not below nothing.
    pub credited: i128,
    /// Baseline less counterfactual, summed.
    pub error: i128,
    /// The same squared, and summed.
    pub squares: i128,
    /// The counterfactual without its sign, summed.
    pub magnitude: i128,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.site_events = self.site_events.saturating_add(other.site_events);
        self.without = self.without.saturating_add(other.without);
        self.intervals = self.intervals.saturating_add(other.intervals);
        self.truth = self.truth.saturating_add(other.truth);
        self.credited = self.credited.saturating_add(other.credited);
        self.error = self.error.saturating_add(other.error);
        self.squares = self.squares.saturating_add(other.squares);
        self.magnitude = self.magnitude.saturating_add(other.magnitude);
    }

    fn compare(&mut self, baseline: i64, metered: i64, counterfactual: i64) {
        let [baseline, metered, counterfactual] = [baseline, metered, counterfactual].map(i128::from);
        let error = baseline.saturating_sub(counterfactual);
        self.add(&Self {
            intervals: 1,
            truth: counterfactual.saturating_sub(metered),
            credited: baseline.saturating_sub(metered).max(0),
            error,
            squares: error.saturating_mul(error),
            magnitude: counterfactual.saturating_abs(),
            ..Self::default()
        });
    }

    /// All of them together.
    #[must_use]
    pub fn sum<'t>(all: impl IntoIterator<Item = &'t Self>) -> Self {
        all.into_iter().fold(Self::default(), |mut sum, tally| {
            sum.add(tally);
            sum
        })
    }
}

/// Which homes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// What they have.
    pub kind: Kind,
    /// Whether they game.
    pub gamer: bool,
}

/// What one rule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The rule's name.
    pub rule: String,
    /// By group.
    pub groups: BTreeMap<Group, Tally>,
    /// What it credits each site for each event, by numbers.
    pub credited: BTreeMap<(usize, usize), i64>,
}

impl Measured {
    /// The groups that are wanted, together.
    #[must_use]
    pub fn of(&self, wanted: impl Fn(&Group) -> bool) -> Tally {
        Tally::sum(
            self.groups
                .iter()
                .filter(|(group, _)| wanted(group))
                .map(|(_, tally)| tally),
        )
    }
}

/// Measures the program's own rule and every preset that a site's meter alone can feed, with the season's true readings,
/// all of them in time.
///
/// # Errors
/// Where an event does not fit a rule, or a value does not fit its integer.
pub fn measure(season: &Season, program: &Program) -> anyhow::Result<Vec<Measured>> {
    let mut all = vec![of_rule(season, program, &program.baseline)?];
    for (name, document) in PRESETS {
        let rule = BaselineRule::from_toml(name, document)?;
        if rule.needs().is_empty() {
            all.push(of_rule(season, program, &rule).with_context(|| format!("under {name}"))?);
        }
    }
    Ok(all)
}

fn of_rule(season: &Season, program: &Program, rule: &BaselineRule) -> anyhow::Result<Measured> {
    let frames = frames(&season.events, program, rule)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let homes: Vec<_> = (0..season.homes.len()).collect();
    let share = homes.len().div_ceil(cores).max(1);
    let parts = std::thread::scope(|scope| {
        let frames = &frames;
        let measure = |homes: &[usize]| {
            let mut part = Part {
                season,
                groups: BTreeMap::new(),
                credited: BTreeMap::new(),
            };
            homes.iter().try_for_each(|home| part.home(*home, frames))?;
            Ok::<_, anyhow::Error>(part)
        };
        let workers: Vec<_> = homes
            .chunks(share)
            .map(|some| scope.spawn(move || measure(some)))
            .collect();
        let joined = workers.into_iter().map(|worker| match worker.join() {
            Ok(part) => part,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut measured = Measured {
        rule: rule.id.clone(),
        groups: BTreeMap::new(),
        credited: BTreeMap::new(),
    };
    for part in parts {
        for (group, tally) in part.groups {
            measured.groups.entry(group).or_default().add(&tally);
        }
        measured.credited.extend(part.credited);
    }
    Ok(measured)
}

/// Every event, laid out under a rule. As in a statement, the days of earlier events are not compared.
fn frames(events: &[EventPlan], program: &Program, rule: &BaselineRule) -> anyhow::Result<Vec<Frame>> {
    let day = |event: &EventPlan| LocalSlot::of(event.start, program.zone).map(|slot| slot.day);
    let mut event_days = BTreeSet::new();
    let mut frames = Vec::with_capacity(events.len());
    for event in events {
        let calendar = EventCalendar {
            zone: program.zone,
            length: program.interval,
            start: event.start,
            end: event.end,
            notified: Some(event.announced_at),
            holidays: program.holidays.clone(),
            event_days: event_days.clone(),
        };
        frames.push(Frame::new(rule, &calendar)?);
        event_days.extend(day(event));
    }
    Ok(frames)
}

/// Some homes under one rule.
struct Part<'s> {
    season: &'s Season,
    groups: BTreeMap<Group, Tally>,
    credited: BTreeMap<(usize, usize), i64>,
}

impl Part<'_> {
    fn home(&mut self, number: usize, frames: &[Frame]) -> anyhow::Result<()> {
        let Season {
            plan,
            homes,
            conduct,
            traces,
            ..
        } = self.season;
        let known = homes.get(number).zip(conduct.get(number)).zip(traces.get(number));
        let ((home, conduct), trace) = known.context("there is no such home")?;
        let mut tally = Tally::default();
        for ((event, frame), answer) in frames.iter().enumerate().zip(&conduct.answers) {
            if *answer != Answer::In {
                continue;
            }
            tally.site_events = tally.site_events.saturating_add(1);
            match baseline(plan, home, trace, frame)? {
                None => tally.without = tally.without.saturating_add(1),
                Some(baseline) => {
                    let before = tally.credited;
                    for (slot, baseline) in baseline {
                        let metered = trace.net(slot).context("an event lies beyond the season")?;
                        let without = trace.without.get(slot).copied().unwrap_or(metered);
                        tally.compare(baseline, metered, without);
                    }
                    let credited = i64::try_from(tally.credited.saturating_sub(before))?;
                    self.credited.insert((number, event), credited);
                }
            }
        }
        let group = Group {
            kind: home.kind,
            gamer: home.gamer,
        };
        self.groups.entry(group).or_default().add(&tally);
        Ok(())
    }
}

/// The baseline of each interval of an event, by its number; nothing where there is none.
fn baseline(
    plan: &Plan,
    home: &SeasonHome,
    trace: &Trace,
    frame: &Frame,
) -> anyhow::Result<Option<Vec<(usize, i64)>>> {
    let (from, until) = frame.span();
    let slots = plan.slot(from)..plan.slot(until).min(trace.import.len());
    let reading = |slot| -> Option<(Interval, MilliwattHours)> {
        Some((plan.interval(slot)?, MilliwattHours::new(trace.net(slot)?)))
    };
    let series = Series::new(frame, slots.filter_map(reading))?;
    let no_outages: BTreeSet<NaiveDate> = BTreeSet::new();
    let site = SiteData {
        net_metered: home.kind.has_panels() || home.kind.has_battery(),
        ..SiteData::new(&series, &no_outages)
    };
    let worked = work_out(frame, &site)?;
    let of = |interval: &gridtally_settlement::rules::baseline::BaselineInterval| {
        (plan.slot(interval.start), interval.rounded.get())
    };
    Ok(worked
        .outcome
        .explanation()
        .map(|found| found.intervals.iter().map(of).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_errs_to_both_sides_has_no_bias_and_credits_too_much_all_the_same() {
        let mut tally = Tally::default();
        // Nothing was reduced; the rule is 30 off, once to either side.
        tally.compare(130, 100, 100);
        tally.compare(70, 100, 100);
        assert_eq!((tally.truth, tally.credited, tally.error), (0, 30, 0));
        assert_eq!((tally.squares, tally.magnitude, tally.intervals), (1_800, 200, 2));
        // A home that feeds in 50 where it would have drawn 20.
        tally.compare(10, -50, 20);
        assert_eq!((tally.truth, tally.credited, tally.error), (70, 90, -10));
    }
}
