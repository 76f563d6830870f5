//! `gridtally engine replay`: settled events under rules that are not in force yet.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use clap::Args;
use gridtally_protocol::quantity::TokenAmount;
use serde_json::json;

use super::table::Table;
use super::{EngineCommandError, Place, read};
use crate::proofs::bundle::Bundle;
use crate::proofs::replay::{EventReplayed, Replay, SiteReplayed, by_site};
use crate::rules::calendar::LocalSlot;
use crate::rules::program::Program;
use crate::rules::statement::{SiteId, Statement};
use crate::store::events::{self, StoredEvent};
use crate::store::evidence::{Request, collect_under};
use crate::store::settlements::{self, StoredSettlement};
use crate::store::types::corrupt;
use crate::store::{Store, StoreError};

/// `gridtally engine replay …`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The events that began on these local days, the last one included: 2026-04-01..2026-04-30.
    #[arg(long, value_name = "DAY..DAY")]
    pub events: Days,
    /// The rules: the document of a program of the same name.
    #[arg(long, value_name = "FILE")]
    pub rules: PathBuf,
    /// Print every site, also those for which nothing changes.
    #[arg(long)]
    pub all: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Local days, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    first: NaiveDate,
    last: NaiveDate,
}

/// A text that names no days.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} are no days; they are written as the first and the last, 2026-04-01..2026-04-30, or as one day"
)]
pub struct DaysError(String);

impl FromStr for Days {
    type Err = DaysError;
    fn from_str(text: &str) -> Result<Self, DaysError> {
        let wrong = || DaysError(text.chars().take(64).collect());
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let day = |text: &str| text.parse::<NaiveDate>().map_err(|_| wrong());
        let days = Self {
            first: day(first)?,
            last: day(last)?,
        };
        if days.first <= days.last {
            Ok(days)
        } else {
            Err(wrong())
        }
    }
}

pub(super) fn run(place: &Place, args: &ReplayArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let document = read(&args.rules)?;
    let program = Program::from_toml(&args.rules.display().to_string(), &document)?;
    let mut room = place.open()?;
    let settled = settled(&mut room.store, &program, args.events)?;
    let mut replay = Replay::under(program.clone(), document);
    let mut replayed = Vec::with_capacity(settled.len());
    for (event, settlement) in &settled {
        // Whoever signed the instructions: the engine may have another key by now.
        let sealed = Bundle::parse(settlement.bundle.as_bytes())?;
        let request = Request {
            event,
            version: 1,
            settled_at: settlement.settled_at,
            engine: sealed.engine(),
            carried_from: None,
            occasion: None,
        };
        let rules = replay.document().to_owned();
        let evidence = room
            .store
            .transact(|client| collect_under(client, &request, rules.clone()))?;
        let stands = Statement::from_bytes(settlement.statement.as_bytes()).map_err(corrupt)?;
        replayed.push(replay.event(evidence, &stands)?);
    }
    if args.json {
        return print_json(&replayed, out);
    }
    print(&program, &replayed, args.all, out)
}

/// The program's events of these days that were settled, in the order of time, each with the statement that stands.
fn settled(
    store: &mut Store,
    program: &Program,
    days: Days,
) -> Result<Vec<(StoredEvent, StoredSettlement)>, StoreError> {
    store.transact(|client| {
        let mut all = events::events(client)?;
        all.retain(|event| {
            let day = LocalSlot::of(event.start, program.zone).map(|slot| slot.day);
            event.program == program.id && day.is_some_and(|day| (days.first..=days.last).contains(&day))
        });
        all.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
        let mut settled = Vec::new();
        for event in all {
            if let Some(settlement) = settlements::last(client, &event.id)? {
                settled.push((event, settlement));
            }
        }
        Ok(settled)
    })
}

fn differing(events: &[EventReplayed]) -> BTreeSet<&SiteId> {
    let sites = events.iter().flat_map(|event| &event.sites);
    sites
        .filter(|site| site.difference != TokenAmount::ZERO)
        .map(|site| &site.site)
        .collect()
}

fn print_json(events: &[EventReplayed], out: &mut impl Write) -> Result<(), EngineCommandError> {
    let value =
        json!({ "sites_differing": differing(events).len(), "sites": by_site(events)?, "events": events });
    Ok(writeln!(out, "{value:#}")?)
}

fn print(
    program: &Program,
    events: &[EventReplayed],
    all: bool,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    if events.is_empty() {
        return Ok(writeln!(
            out,
            "No event of program {} that began on these days is settled.",
            program.id
        )?);
    }
    let asset = &program.asset;
    let show = |amount: TokenAmount| asset.show(amount);
    let sums = |sites: &[SiteReplayed]| -> Result<[String; 3], EngineCommandError> {
        let sum = |of: fn(&SiteReplayed) -> TokenAmount| TokenAmount::checked_sum(sites.iter().map(of));
        Ok([sum(|s| s.paid)?, sum(|s| s.replayed)?, sum(|s| s.difference)?].map(show))
    };
    let heading = [
        "event",
        "paid",
        "under the rules",
        "difference",
        "sites differing",
    ];
    let mut table = Table::new(heading);
    for event in events {
        let [paid, replayed, difference] = sums(&event.sites)?;
        let sites = differing(std::slice::from_ref(event)).len().to_string();
        table.row([event.event.to_string(), paid, replayed, difference, sites]);
    }
    table.print(out)?;
    writeln!(out)?;
    let sites = by_site(events)?;
    let mut table = Table::new(["site", "beneficiary", "paid", "under the rules", "difference"]);
    let differing = differing(events);
    for site in sites.iter().filter(|site| all || differing.contains(&site.site)) {
        let amounts = [site.paid, site.replayed, site.difference].map(show);
        let [paid, replayed, difference] = amounts;
        table.row([
            site.site.to_string(),
            site.beneficiary.to_string(),
            paid,
            replayed,
            difference,
        ]);
    }
    let [paid, replayed, difference] = sums(&sites)?;
    table.row(["together".to_owned(), String::new(), paid, replayed, difference]);
    table.print(out)?;
    Ok(writeln!(
        out,
        "\nSites differing: {} of {}. Amounts in {}; version {} of {} with the hash {}.",
        differing.len(),
        sites.len(),
        asset.code(),
        program.version,
        program.id,
        program.hash
    )?)
}
