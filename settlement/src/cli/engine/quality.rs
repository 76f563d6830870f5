//! `gridtally engine quality`: how good the data of a day is, site by site.

use std::io::Write;

use chrono::NaiveDate;
use clap::Args;
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::time::Timestamp;
use serde_json::json;

use super::show::write_json;
use super::table::Table;
use super::{EngineCommandError, Open};
use crate::proofs::judge::Judged;
use crate::quality::{Compared, DayQuality, Neighbour, Tiers, compare, score, tiers};
use crate::registry::Enrolment;
use crate::rules::calendar::{day_start, plus_days};
use crate::rules::program::Program;
use crate::rules::statement::SiteId;
use crate::store::types::corrupt;
use crate::store::{StoreError, programs, reports};

/// `gridtally engine quality …`
#[derive(Debug, Args)]
pub struct QualityArgs {
    /// The local day, in the time zone of each site's program.
    #[arg(long, value_name = "DAY")]
    pub day: NaiveDate,
    /// Only this site, with what its owner can do; all sites without.
    pub site: Option<SiteId>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

struct Scored {
    enrolment: Enrolment,
    quality: DayQuality,
    neighbour: Option<Neighbour>,
    trust: Tiers,
}

pub(super) fn run(
    open: &mut Open,
    args: &QualityArgs,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let scored = open.store.transact(|client| {
        let enrolments = programs::enrolments(client)?;
        enrolments
            .into_iter()
            .map(|enrolment| {
                let document = programs::newest_program(client, &enrolment.program)?;
                let program = Program::from_toml("program", &document).map_err(corrupt)?;
                let span = span(&program, args.day)?;
                let judged = reports::judge_reports(client, &enrolment, span)?;
                Ok(Scored {
                    quality: score(&enrolment, span, &judged.readings),
                    neighbour: neighbour(&enrolment, span, &judged),
                    trust: tiers(&judged, span),
                    enrolment,
                })
            })
            .collect::<Result<Vec<Scored>, StoreError>>()
    })?;
    let neighbours: Vec<Neighbour> = scored.iter().filter_map(|site| site.neighbour.clone()).collect();
    let compared = compare(&neighbours);
    let beside = |site: &SiteId| compared.iter().find(|compared| compared.site == *site);
    if let Some(site) = &args.site {
        let scored = scored.iter().find(|scored| scored.enrolment.site == *site);
        let scored = scored.ok_or_else(|| EngineCommandError::UnknownSite(site.clone()))?;
        return print_site(scored, beside(site), args.json, out);
    }
    if args.json {
        let sites: Vec<_> = scored
            .iter()
            .map(|s| as_json(s, beside(&s.enrolment.site)))
            .collect();
        return write_json(&json!({ "day": args.day, "sites": sites }), out);
    }
    let mut table = Table::new(["site", "of 1000", "sound", "flagged", "none", "what is odd"]);
    for site in &scored {
        let quality = &site.quality;
        let none = quality
            .intervals
            .saturating_sub(quality.sound)
            .saturating_sub(quality.flagged);
        let mut odd: Vec<String> = quality
            .annotations
            .iter()
            .map(|a| a.finding.to_string())
            .collect();
        odd.extend(
            beside(&site.enrolment.site)
                .iter()
                .flat_map(|compared| beside_others(compared)),
        );
        odd.sort();
        odd.dedup();
        let counts = [quality.per_mille, quality.sound, quality.flagged, none].map(|count| count.to_string());
        let [score, sound, flagged, none] = counts;
        table.row([
            site.enrolment.site.to_string(),
            score,
            sound,
            flagged,
            none,
            odd.join(", "),
        ]);
    }
    Ok(table.print(out)?)
}

fn span(program: &Program, day: NaiveDate) -> Result<(Timestamp, Timestamp), StoreError> {
    let start = |day: Option<NaiveDate>| day_start(day?, program.zone, program.interval);
    let span = start(Some(day)).zip(start(plus_days(day, 1)));
    span.ok_or_else(|| corrupt(format!("{day} is no day of {}", program.zone)))
}

/// The solar energy of a day, where it is known where the site is.
fn neighbour(
    enrolment: &Enrolment,
    (from, until): (Timestamp, Timestamp),
    judged: &Judged,
) -> Option<Neighbour> {
    let seconds = i64::from(enrolment.interval_seconds.seconds());
    let count = usize::try_from(until.seconds_since(from).checked_div(seconds)?).ok()?;
    let mut production: Vec<Option<i64>> = vec![None; count];
    for (reading, refused) in &judged.readings {
        let (Quantity::PvProduction, None, Ok(value)) = (reading.channel.quantity, refused, reading.value)
        else {
            continue;
        };
        let place = reading.interval.start().seconds_since(from).checked_div(seconds);
        let slot = place.and_then(|place| production.get_mut(usize::try_from(place).ok()?));
        if let Some(slot) = slot {
            *slot = slot.unwrap_or(0).checked_add(value.get());
        }
    }
    Some(Neighbour {
        site: enrolment.site.clone(),
        location: enrolment.location?,
        production,
    })
}

fn beside_others(compared: &Compared) -> Vec<String> {
    let odd = compared.odd.then(|| "unlike_neighbours".to_owned());
    let copies = compared.copies.iter().map(|site| format!("same_as:{site}"));
    odd.into_iter().chain(copies).collect()
}

fn as_json(site: &Scored, beside: Option<&Compared>) -> serde_json::Value {
    json!({ "site": site.enrolment.site, "quality": site.quality, "neighbours": beside, "trust": site.trust })
}

fn print_site(
    site: &Scored,
    beside: Option<&Compared>,
    json: bool,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    if json {
        return write_json(&as_json(site, beside), out);
    }
    let DayQuality {
        per_mille,
        intervals,
        sound,
        flagged,
        annotations,
    } = &site.quality;
    writeln!(
        out,
        "{}: {per_mille} of 1000. Of {intervals} intervals of all channels {sound} are sound, {flagged} are to be taken with care.",
        site.enrolment.site
    )?;
    writeln!(out, "  readings by trust: {}", site.trust)?;
    for note in annotations {
        writeln!(
            out,
            "  {} {}: {} intervals. {}",
            note.channel,
            note.finding,
            note.intervals,
            note.finding.advice()
        )?;
    }
    let Some(beside) = beside else { return Ok(()) };
    if beside.odd {
        writeln!(
            out,
            "  unlike_neighbours: {} of {} neighbours had a day of the same shape. Shade and snow may be why.",
            beside.agreeing, beside.neighbours
        )?;
    }
    for copy in &beside.copies {
        writeln!(
            out,
            "  same_as:{copy}: its solar energy is that site's, to the last digit."
        )?;
    }
    Ok(())
}
