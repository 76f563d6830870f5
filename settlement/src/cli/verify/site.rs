//! A site's money, line by line: from kWh to tokens.

use std::fmt;
use std::io::{self, Write};

use gridtally_protocol::quantity::{Asset, MilliwattHours};
use serde::Serialize;

use super::VerifyCommandError;
use crate::proofs::beacons;
use crate::proofs::judge::{Source, Submission, judge};
use crate::proofs::originals::{self, Word};
use crate::proofs::verify::Verified;
use crate::quality;
use crate::rules::baseline::Outcome;
use crate::rules::calendar::{LocalSlot, day_start, plus_days};
use crate::rules::payment::SitePayment;
use crate::rules::program::Program;
use crate::rules::statement::{Line, SiteId, SiteStatement};

/// A site's lines: energies in kWh, amounts in whole tokens.
pub(super) fn explain(site: &SiteStatement, verified: &Verified, out: &mut impl Write) -> io::Result<()> {
    let asset = &verified.derived.statement.asset;
    writeln!(
        out,
        "\n{} ({}): {}, paid to {}",
        site.site,
        site.status,
        said(site),
        site.beneficiary
    )?;
    let heading = ["interval", "baseline", "metered", "credited", asset.code()];
    let [interval, baseline, metered, credited, amount] = heading;
    writeln!(
        out,
        "{interval:<20}  {baseline:>11}  {metered:>11}  {credited:>11}  {amount:>14}"
    )?;
    for line in &site.lines {
        writeln!(
            out,
            "{:<20}  {:>11}  {:>11}  {:>11}  {:>14}  {}",
            line.start.to_string(),
            Shown(line.baseline).to_string(),
            Shown(line.metered).to_string(),
            line.credited.to_string(),
            asset.show(line.amount),
            why(line)
        )?;
    }
    let (credited, amount) = (site.totals.credited.to_string(), asset.show(site.totals.amount));
    writeln!(
        out,
        "{:<20}  {:>11}  {:>11}  {credited:>11}  {amount:>14}",
        "together", "", ""
    )?;
    tell_baseline(&site.baseline, out)?;
    site.payment
        .as_ref()
        .map_or(Ok(()), |payment| tell_payment(payment, asset, out))
}

/// How good the data of the event's day is, from the reports in the bundle.
pub(super) fn tell_quality(
    site: &SiteId,
    verified: &Verified,
    out: &mut impl Write,
) -> Result<(), VerifyCommandError> {
    let evidence = verified.bundle.evidence()?;
    let enrolment = evidence
        .enrolments
        .iter()
        .find(|enrolment| enrolment.site == *site);
    let program = Program::from_toml("program", &evidence.program.document).ok();
    let (Some(enrolment), Some(program)) = (enrolment, program) else {
        return Ok(());
    };
    let day = LocalSlot::of(evidence.case.event.start, program.zone).map(|slot| slot.day);
    let start = |day| day_start(day, program.zone, program.interval);
    let span = day.and_then(|day| start(day).zip(start(plus_days(day, 1)?)));
    let (Some(day), Some(span)) = (day, span) else {
        return Ok(());
    };
    let of_site = evidence
        .reports
        .iter()
        .filter(|report| report.gateway == enrolment.gateway);
    let submissions: Vec<Submission<'_>> = of_site
        .map(|report| Submission {
            record: Source::Report(report),
            received_at: report.received_at,
            envelope: &report.envelope,
        })
        .collect();
    let beacons = beacons::known(&evidence);
    let judged = judge(
        enrolment,
        &submissions,
        evidence.case.event.announced_at,
        &beacons,
    );
    let quality = quality::score(enrolment, span, &judged.readings);
    writeln!(
        out,
        "The data of {day}, as far as it is in the bundle, has a quality of {} of 1000.",
        quality.per_mille
    )?;
    let opened = originals::opened(&evidence.originals, enrolment);
    let word = Word::of(&opened, enrolment);
    writeln!(
        out,
        "  readings by trust: {}",
        quality::tiers(&judged, &word, span)
    )?;
    for note in &quality.annotations {
        let (channel, intervals) = (note.channel, note.intervals);
        writeln!(
            out,
            "  {channel} {}: {intervals} intervals. {}",
            note.finding,
            note.finding.advice()
        )?;
    }
    let statement = verified
        .derived
        .statement
        .sites
        .iter()
        .find(|statement| statement.site == *site);
    if statement.and_then(quality::inflated) == Some(true) {
        writeln!(
            out,
            "  Before the event it used half as much again as on the days that it is compared with, which lifts its baseline."
        )?;
    }
    Ok(())
}

/// Of which days the baseline is, and how it was fitted to the day.
fn tell_baseline(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let explanation = match outcome {
        Outcome::Baseline(explanation) => explanation,
        Outcome::NoBaseline(lack) => {
            let (rule, lacking) = (&lack.rule, named(&lack.lacking));
            return writeln!(
                out,
                "There is no baseline by {rule}: of {lacking} there are {}, and {} are needed.",
                lack.found, lack.needed
            );
        }
    };
    let (rule, day, kind) = (&explanation.rule, explanation.day, &explanation.day_type);
    writeln!(out, "The baseline is {rule}'s for {day}, a {kind}.")?;
    let days: Vec<String> = explanation
        .chosen_days()
        .iter()
        .map(ToString::to_string)
        .collect();
    if !days.is_empty() {
        writeln!(out, "  averaged   {}", days.join(", "))?;
    }
    for candidate in explanation.candidates.iter().filter(|c| !c.verdict.is_chosen()) {
        writeln!(out, "  left out   {}: {}", candidate.date, candidate.verdict)?;
    }
    if let Some(fit) = &explanation.adjustment {
        let (capped, kind) = (if fit.capped { ", capped" } else { "" }, named(&fit.kind));
        writeln!(
            out,
            "  adjusted   {kind} {}{capped}: {} mWh were metered in the windows, where these days have {}",
            fit.applied, fit.metered, fit.average
        )?;
    }
    for interval in &explanation.intervals {
        let (clock, readings) = (&interval.clock, interval.readings);
        writeln!(
            out,
            "  {clock:<9}  {} mWh are the mean of {readings}; {} adjusted, {} mWh rounded",
            interval.raw,
            interval.exact,
            interval.rounded.get()
        )?;
    }
    Ok(())
}

/// What each formula of the program gives, the fee, and what is left.
fn tell_payment(payment: &SitePayment, asset: &Asset, out: &mut impl Write) -> io::Result<()> {
    for component in &payment.components {
        let amount = component
            .amount
            .map_or_else(|| "not known yet".to_owned(), |amount| asset.show(amount));
        let because = component
            .reason
            .map_or_else(String::new, |reason| format!(" ({})", named(&reason)));
        writeln!(out, "Paid by a formula: {amount}{because}, from")?;
        writeln!(out, "  {}", named(&component.explanation))?;
    }
    let fee = payment.fee.map_or_else(
        || "no fee".to_owned(),
        |fee| format!("a fee of {}", asset.show(fee.amount)),
    );
    let (gross, net) = (asset.show(payment.gross), asset.show(payment.net));
    writeln!(
        out,
        "That is {gross} with {fee}; {net} {} are paid.",
        asset.code()
    )
}

/// What the statement itself says of it, in the words of its JSON.
fn named(what: &impl Serialize) -> String {
    match serde_json::to_value(what) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

fn said(site: &SiteStatement) -> String {
    use crate::rules::statement::Participation;
    match &site.participation {
        Participation::OptedIn => "opted in".to_owned(),
        Participation::OptedOut { reason } => format!("opted out ({reason})"),
        Participation::NoAnswer => "no answer".to_owned(),
        Participation::ControlGroup => "not asked, of the control group".to_owned(),
    }
}

pub(super) fn why(line: &Line) -> String {
    use crate::rules::statement::MissingReason;
    let missing = line.missing.map(|missing| match missing {
        MissingReason::NotReceived => "not received".to_owned(),
        MissingReason::Device(reason) => format!("the box says {reason}"),
        MissingReason::Refused(reason) => format!("refused: {reason}"),
        MissingReason::Equivocation => "signed twice, differently".to_owned(),
        MissingReason::Withdrawn => "withdrawn by a correction".to_owned(),
        MissingReason::NotFresh => "not fresh".to_owned(),
    });
    let corrected = line.correction.map(|number| format!("by correction {number}"));
    let parts = [line.reason.map(|reason| reason.to_string()), missing, corrected];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// An energy in kWh, or a dash.
pub(super) struct Shown(pub(super) Option<MilliwattHours>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(energy) => energy.fmt(f),
            None => f.write_str("—"),
        }
    }
}
