//! `gridtally engine quality`: how good the data of a day is, site by site.

use std::io::{self, Write};

use chrono::{NaiveDate, NaiveTime};
use clap::Args;
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;
use serde_json::json;

use super::show::write_json;
use super::table::Table;
use super::{EngineCommandError, Open};
use crate::proofs::evidence::ReceivedOriginal;
use crate::proofs::judge::Judged;
use crate::proofs::originals::{self, Word};
use crate::quality::{
    CELL_SITES_MOST, Compared, Crowded, DayQuality, Neighbour, Placed, Tiers, compare, crowded, score, tiers,
};
use crate::registry::Enrolment;
use crate::rules::calendar::{day_start, plus_days};
use crate::rules::program::Program;
use crate::rules::statement::SiteId;
use crate::store::types::corrupt;
use crate::store::{StoreError, agreements, originals as stored, programs, reports};

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
    production: Option<Neighbour>,
    import: Option<Neighbour>,
    trust: Tiers,
}

/// What the meters of a site signed from the beginning of a day to its end.
fn taken_originals(
    client: &mut impl GenericClient,
    enrolment: &Enrolment,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<ReceivedOriginal>, StoreError> {
    let kept = stored::originals_of(client, &[enrolment.gateway], from, until, Timestamp::LATEST)?;
    let received = kept.into_iter().map(|original| ReceivedOriginal {
        gateway: original.gateway,
        received_at: original.received_at,
        envelope: original.envelope,
    });
    Ok(received.collect())
}

pub(super) fn run(
    open: &mut Open,
    args: &QualityArgs,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let (scored, mut devices) = open.store.transact(|client| {
        let enrolments = programs::enrolments(client)?;
        let scored = enrolments
            .into_iter()
            .map(|enrolment| {
                let document = programs::newest_program(client, &enrolment.program)?;
                let program = Program::from_toml("program", &document).map_err(corrupt)?;
                let span = span(&program, args.day)?;
                let judged = reports::judge_reports(client, &enrolment, span)?;
                let kept = taken_originals(client, &enrolment, span)?;
                let opened = originals::opened(&kept, &enrolment);
                Ok(Scored {
                    quality: score(&enrolment, span, &judged.readings),
                    production: neighbour(&enrolment, span, &judged, Quantity::PvProduction),
                    import: neighbour(&enrolment, span, &judged, Quantity::GridImport),
                    trust: tiers(&judged, &Word::of(&opened, &enrolment), span),
                    enrolment,
                })
            })
            .collect::<Result<Vec<Scored>, StoreError>>()?;
        let midnight = args.day.and_time(NaiveTime::MIN).and_utc().timestamp();
        let at = Timestamp::from_unix(midnight).map_err(corrupt)?;
        Ok::<_, StoreError>((scored, agreements::devices_at(client, at)?))
    })?;
    let compare_all = |of: fn(&Scored) -> &Option<Neighbour>| {
        let series: Vec<Neighbour> = scored.iter().filter_map(|site| of(site).clone()).collect();
        compare(&series)
    };
    let (compared, imports) = (
        compare_all(|site| &site.production),
        compare_all(|site| &site.import),
    );
    let placed: Vec<Placed> = scored
        .iter()
        .map(|site| Placed {
            site: site.enrolment.site.clone(),
            location: site.enrolment.location,
            devices: devices.remove(&site.enrolment.site).unwrap_or_default(),
        })
        .collect();
    let crowded = crowded(&placed);
    let beside = |site: &SiteId| Beside {
        compared: compared.iter().find(|compared| compared.site == *site),
        imports: imports.iter().find(|compared| compared.site == *site),
        crowded: crowded.iter().find(|crowded| crowded.site == *site),
    };
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
        odd.extend(beside(&site.enrolment.site).named());
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

/// A quantity's energy of a day, where it is known where the site is.
fn neighbour(
    enrolment: &Enrolment,
    (from, until): (Timestamp, Timestamp),
    judged: &Judged,
    quantity: Quantity,
) -> Option<Neighbour> {
    let seconds = i64::from(enrolment.interval_seconds.seconds());
    let count = usize::try_from(until.seconds_since(from).checked_div(seconds)?).ok()?;
    let mut production: Vec<Option<i64>> = vec![None; count];
    for (reading, refused) in &judged.readings {
        let (None, Ok(value)) = (refused, reading.value) else {
            continue;
        };
        if reading.channel.quantity != quantity {
            continue;
        }
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

/// What can be seen beside others only.
#[derive(Clone, Copy)]
struct Beside<'b> {
    compared: Option<&'b Compared>,
    /// Of what the meters imported only copies are told: homes live as they like.
    imports: Option<&'b Compared>,
    crowded: Option<&'b Crowded>,
}

impl<'b> Beside<'b> {
    /// The sites whose values are its own, to the last digit, and which values.
    fn copies(self) -> Vec<(&'b SiteId, &'static str)> {
        let of = [(self.compared, "solar energy"), (self.imports, "import")];
        let copies = of.into_iter().flat_map(|(compared, what)| {
            let copies = compared.map(|compared| compared.copies.as_slice());
            copies.unwrap_or_default().iter().map(move |site| (site, what))
        });
        copies.collect()
    }

    fn named(self) -> Vec<String> {
        let mut named = Vec::new();
        if let Some(compared) = self.compared {
            named.extend(compared.odd.then(|| "unlike_neighbours".to_owned()));
        }
        named.extend(
            self.copies()
                .into_iter()
                .map(|(site, _)| format!("same_as:{site}")),
        );
        if let Some(crowded) = self.crowded {
            named.extend(crowded.cell_sites.map(|_| "crowded_cell".to_owned()));
            let serials = crowded.same_serial.iter();
            named.extend(serials.map(|(site, _)| format!("same_serial:{site}")));
        }
        named
    }

    fn tell(self, out: &mut impl Write) -> io::Result<()> {
        if let Some(beside) = self.compared.filter(|compared| compared.odd) {
            writeln!(
                out,
                "  unlike_neighbours: {} of {} neighbours had a day of the same shape. Shade and snow may be why.",
                beside.agreeing, beside.neighbours
            )?;
        }
        for (copy, what) in self.copies() {
            writeln!(
                out,
                "  same_as:{copy}: its {what} is that site's, to the last digit."
            )?;
        }
        let Some(crowded) = self.crowded else {
            return Ok(());
        };
        if let Some(count) = crowded.cell_sites {
            writeln!(
                out,
                "  crowded_cell: {count} sites say that they are in its cell; more than {CELL_SITES_MOST} are told. Blocks of flats may be why."
            )?;
        }
        for (site, serial) in &crowded.same_serial {
            writeln!(
                out,
                "  same_serial:{site}: both have a device with the serial number {serial}. Makers have given one number twice."
            )?;
        }
        Ok(())
    }
}

fn as_json(site: &Scored, beside: Beside<'_>) -> serde_json::Value {
    json!({
        "site": site.enrolment.site,
        "quality": site.quality,
        "neighbours": beside.compared,
        "same_import": beside.imports.map(|compared| &compared.copies),
        "shared": beside.crowded,
        "trust": site.trust,
    })
}

fn print_site(
    site: &Scored,
    beside: Beside<'_>,
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
    Ok(beside.tell(out)?)
}
