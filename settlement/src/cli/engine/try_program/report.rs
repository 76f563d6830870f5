//! What a trial says: for people, and as JSON.

use std::io::{self, Write};

use gridtally_protocol::quantity::{Asset, MilliwattHours, Overflow, TokenAmount};
use gridtally_protocol::time::Timestamp;
use serde::Serialize;

use crate::cli::engine::table::Table;
use crate::rules::calendar::LocalSlot;
use crate::rules::exact::ArithmeticError;
use crate::rules::program::Program;
use crate::rules::trial::accuracy::{ADMITTED_PERCENT, Accuracy};
use crate::rules::trial::contenders::{Contender, Standing};
use crate::rules::trial::data::TrialSite;
use crate::rules::trial::days::ClockWindow;
use crate::rules::trial::events::EventTrial;
use crate::rules::trial::percent::Percent;
use crate::rules::trial::saturation::Saturation;
use crate::rules::trial::tries::Scores;
use crate::rules::trial::warnings::{Kwh, Warning};

/// What was tried, on what.
#[derive(Debug, Serialize)]
pub(super) struct Header {
    program: String,
    version: u32,
    hash: String,
    asset: Asset,
    zone: String,
    sites: usize,
    readings: usize,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    window: String,
    days_without_an_event: usize,
    notice_minutes: i64,
}

impl Header {
    pub(super) fn new(
        program: &Program,
        sites: &[TrialSite],
        window: ClockWindow,
        days: usize,
        notice: i64,
    ) -> Self {
        let spans = || sites.iter().filter_map(TrialSite::span);
        Self {
            program: program.id.to_string(),
            version: program.version,
            hash: program.hash.clone(),
            asset: program.asset.clone(),
            zone: program.zone.name().to_owned(),
            sites: sites.len(),
            readings: sites.iter().map(TrialSite::len).sum(),
            from: spans().map(|(from, _)| from).min(),
            until: spans().map(|(_, until)| until).max(),
            window: shown_window(window),
            days_without_an_event: days,
            notice_minutes: notice / 60,
        }
    }
}

/// `17:00 for 2 h 30 min`.
fn shown_window(window: ClockWindow) -> String {
    let (clock, minutes) = (window.second / 60, window.seconds / 60);
    let (hours, rest) = (minutes / 60, minutes % 60);
    let length = match (hours, rest) {
        (0, rest) => format!("{rest} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, rest) => format!("{hours} h {rest} min"),
    };
    format!("{:02}:{:02} for {length}", clock / 60, clock % 60)
}

/// One rule's line.
#[derive(Debug, Serialize)]
pub(super) struct RuleTried {
    rule: String,
    standing: Standing,
    site_days: u64,
    without_baseline: u64,
    #[serde(flatten)]
    accuracy: Accuracy,
    phantom_kwh: Kwh,
    /// For each site-day with a baseline.
    phantom_kwh_each: Kwh,
    /// In base units.
    phantom_amount: TokenAmount,
}

/// The program's own rules first, then the others, the most accurate first.
pub(super) fn ranked(
    contenders: &[Contender],
    scores: &Scores,
) -> Result<Vec<RuleTried>, super::TryProgramError> {
    let mut lines = Vec::with_capacity(contenders.len());
    for (contender, tallies) in contenders.iter().zip(&scores.rules) {
        let accuracy = tallies.accuracy()?;
        let overflow = |_: Overflow| ArithmeticError::Overflow { operation: "amount" };
        lines.push(RuleTried {
            rule: contender.name().to_owned(),
            standing: contender.standing,
            site_days: accuracy.total.tried,
            without_baseline: accuracy.total.without,
            accuracy,
            phantom_kwh: Kwh(accuracy.total.credited),
            phantom_kwh_each: Kwh(accuracy.total.credited_each()?.round_half_even()?),
            phantom_amount: TokenAmount::new(accuracy.total.amount).map_err(overflow)?,
        });
    }
    let is_other = |line: &RuleTried| line.standing == Standing::Preset;
    lines.sort_by(|a, b| {
        let rank = |line: &RuleTried| {
            let other = is_other(line);
            let rrmse = line.accuracy.rrmse.filter(|_| other);
            (other, other && rrmse.is_none(), rrmse)
        };
        let name = |line: &RuleTried| {
            if is_other(line) {
                line.rule.clone()
            } else {
                String::new()
            }
        };
        rank(a).cmp(&rank(b)).then_with(|| name(a).cmp(&name(b)))
    });
    Ok(lines)
}

/// The most accurate other rule, if it is better than the program's own and has as often a baseline.
pub(super) fn better<'r>(ranked: &'r [RuleTried], own: &Accuracy) -> Option<(&'r str, Percent)> {
    let enough = own.total.with_baseline();
    let others = ranked.iter().filter(|line| line.standing == Standing::Preset);
    let best = others.filter(|line| line.accuracy.total.with_baseline() >= enough);
    let best = best.filter_map(|line| Some((line.rule.as_str(), line.accuracy.rrmse?)));
    let best = best.min_by_key(|(_, rrmse)| *rrmse)?;
    own.rrmse.filter(|rrmse| best.1 < *rrmse).map(|_| best)
}

/// All events together.
#[derive(Debug, Serialize)]
struct Total {
    events: usize,
    site_events: usize,
    without_baseline: usize,
    credited: MilliwattHours,
    amount: TokenAmount,
    /// Of events to which nobody was asked: what the program would have paid for nothing.
    phantom_credited: MilliwattHours,
    phantom_amount: TokenAmount,
}

impl Total {
    fn of(events: &[EventTrial]) -> Result<Self, Overflow> {
        let phantom = || events.iter().filter(|event| !event.dispatched);
        Ok(Self {
            events: events.len(),
            site_events: events.iter().map(|event| event.sites).sum(),
            without_baseline: events.iter().map(|event| event.without_baseline).sum(),
            credited: MilliwattHours::checked_sum(events.iter().map(|event| event.credited))?,
            amount: TokenAmount::checked_sum(events.iter().map(|event| event.amount))?,
            phantom_credited: MilliwattHours::checked_sum(phantom().map(|event| event.credited))?,
            phantom_amount: TokenAmount::checked_sum(phantom().map(|event| event.amount))?,
        })
    }
}

/// A warning as JSON: its figures, and its sentence.
#[derive(Debug, Serialize)]
struct Told {
    #[serde(flatten)]
    warning: Warning,
    sentence: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    header: Header,
    events: Vec<EventTrial>,
    total: Total,
    rules: Vec<RuleTried>,
    saturation: Saturation,
    warnings: Vec<Told>,
    notes: Vec<String>,
}

impl Report {
    pub(super) fn new(
        header: Header,
        events: Vec<EventTrial>,
        rules: Vec<RuleTried>,
        saturation: Saturation,
        warnings: Vec<Warning>,
        notes: Vec<String>,
    ) -> Result<Self, ArithmeticError> {
        let overflow = |_: Overflow| ArithmeticError::Overflow { operation: "total" };
        let told = |warning: Warning| Told {
            sentence: warning.to_string(),
            warning,
        };
        Ok(Self {
            header,
            total: Total::of(&events).map_err(overflow)?,
            events,
            rules,
            saturation,
            warnings: warnings.into_iter().map(told).collect(),
            notes,
        })
    }

    pub(super) fn print(&self, program: &Program, out: &mut impl Write) -> io::Result<()> {
        self.print_header(program, out)?;
        if !self.events.is_empty() {
            self.print_events(program, out)?;
        }
        self.print_rules(program, out)?;
        if !self.events.is_empty() {
            self.print_saturation(out)?;
        }
        if !self.warnings.is_empty() {
            writeln!(out, "\nWARNINGS")?;
            self.warnings
                .iter()
                .try_for_each(|told| writeln!(out, "- {}", told.sentence))?;
        }
        if !self.notes.is_empty() {
            writeln!(out, "\nNOTES")?;
            self.notes.iter().try_for_each(|note| writeln!(out, "- {note}"))?;
        }
        Ok(())
    }

    fn print_header(&self, program: &Program, out: &mut impl Write) -> io::Result<()> {
        let Header {
            sites,
            readings,
            window,
            days_without_an_event,
            notice_minutes,
            ..
        } = &self.header;
        let day = |at: Option<Timestamp>| at.map_or_else(String::new, |at| local(at, program));
        writeln!(
            out,
            "A trial of program {} version {} (SHA-256 {}). Nobody is paid, and nothing is kept.",
            program.id, program.version, program.hash
        )?;
        writeln!(
            out,
            "{sites} {}, {readings} readings of {} minutes from {} to {} ({}).",
            if *sites == 1 { "site" } else { "sites" },
            program.interval.seconds() / 60,
            day(self.header.from),
            day(self.header.until),
            program.zone.name()
        )?;
        writeln!(
            out,
            "{days_without_an_event} days without an event were tried at {window}, and {} events; notice {notice_minutes} minutes where no other is known.",
            self.events.len()
        )
    }

    fn print_events(&self, program: &Program, out: &mut impl Write) -> io::Result<()> {
        let amount = format!("amount {}", program.asset.code());
        writeln!(out, "\nEVENTS under {}", program.baseline.id)?;
        let mut table = Table::new([
            "event",
            "start",
            "sites",
            "no baseline",
            "credited kWh",
            &amount,
            "homes",
        ]);
        for event in &self.events {
            table.row([
                event.event.to_string(),
                local(event.start, program),
                event.sites.to_string(),
                event.without_baseline.to_string(),
                event.credited.to_string(),
                program.asset.show(event.amount),
                if event.dispatched {
                    "were asked"
                } else {
                    "did not know: phantom"
                }
                .to_owned(),
            ]);
        }
        let total = &self.total;
        table.row([
            "total".to_owned(),
            String::new(),
            total.site_events.to_string(),
            total.without_baseline.to_string(),
            total.credited.to_string(),
            program.asset.show(total.amount),
            String::new(),
        ]);
        table.print(out)?;
        if total.phantom_credited != MilliwattHours::ZERO || total.phantom_amount != TokenAmount::ZERO {
            writeln!(
                out,
                "Where homes did not know they did not react: {} kWh and {} {} are phantom credit, noise of the rule that the program would have paid for.",
                total.phantom_credited,
                program.asset.show(total.phantom_amount),
                program.asset.code()
            )?;
        }
        Ok(())
    }

    fn print_rules(&self, program: &Program, out: &mut impl Write) -> io::Result<()> {
        let phantom = format!("phantom {}", program.asset.code());
        let admitted = format!("sites <= {ADMITTED_PERCENT} %");
        writeln!(
            out,
            "\nRULES on days without an event: everything they credit there is phantom"
        )?;
        let mut table = Table::new([
            "rule",
            "site-days",
            "no baseline %",
            "RRMSE %",
            "bias %",
            &admitted,
            "phantom kWh",
            "each day",
            &phantom,
        ]);
        let percent =
            |share: Option<Percent>| share.map_or_else(|| "-".to_owned(), |share| share.to_string());
        for line in &self.rules {
            let mark = match line.standing {
                Standing::Own => " (the program's)",
                Standing::OwnAlone => " (without its fallback)",
                Standing::Fallback => " (the fallback)",
                Standing::Preset => "",
            };
            let accuracy = &line.accuracy;
            table.row([
                format!("{}{mark}", line.rule),
                line.site_days.to_string(),
                percent(accuracy.share_without),
                percent(accuracy.rrmse),
                percent(accuracy.bias),
                format!("{} of {}", accuracy.sites_admitted, accuracy.sites),
                line.phantom_kwh.to_string(),
                line.phantom_kwh_each.to_string(),
                program.asset.show(line.phantom_amount),
            ]);
        }
        table.print(out)
    }

    fn print_saturation(&self, out: &mut impl Write) -> io::Result<()> {
        let Saturation {
            share,
            worst,
            share_short,
            first_short,
            longest_run,
            ..
        } = &self.saturation;
        writeln!(out, "\nSATURATION of the look-back")?;
        match (share, worst) {
            (Some(share), Some((event, most))) => writeln!(
                out,
                "{share} % of the like days looked back on were event days, at most {most} % (at {event})."
            )?,
            _ => writeln!(out, "The rule looks back on no days.")?,
        }
        if let (Some(first), Some(share)) = (first_short, share_short) {
            writeln!(
                out,
                "{share} % of the site-events found fewer days than the rule looks for, or no baseline; {first} is the first."
            )?;
        }
        writeln!(out, "At most {longest_run} like days in a row had an event.")
    }
}

/// `2013-01-16 17:00` by the program's clock.
fn local(at: Timestamp, program: &Program) -> String {
    LocalSlot::of(at, program.zone)
        .map_or_else(|| at.to_string(), |slot| format!("{} {}", slot.day, slot.clock()))
}
