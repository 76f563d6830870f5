//! `gridtally engine event …`: what an operator does with events.

use std::io::Write;

use clap::{Args, Subcommand};
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use rust_decimal::Decimal;

use super::{EngineCommandError, Place, event_view};
use crate::cli::settlement::SettlementCommandError;
use crate::dispatch::{self, Announced, Announcement, Hand, Needed, Terms};
use crate::engine::engine_key;
use crate::events::clearing::{Passed, Pricing};
use crate::events::priority::Priority;
use crate::events::revision::{Actor, Change, Why};
use crate::events::start::StartBound;
use crate::events::target::Targets;
use crate::proofs::settle;
use crate::registry::{GroupName, ZoneName};
use crate::rules::program::ProgramId;
use crate::rules::statement::SiteId;

/// What may be done with events.
#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Write an event down, without asking anybody.
    Draft(DraftArgs),
    /// Clear the homes' bids against what is needed: who would be asked, and at what price.
    Clear(ClearArgs),
    /// Announce an event, or a draft by its name alone: the homes of the program are asked to discharge.
    Announce(AnnounceArgs),
    /// Modify an event that is not over; the homes that were asked are asked anew.
    Modify(ModifyArgs),
    /// Call an event off that is not over; the homes that were asked are told, and nothing is paid.
    Cancel(CancelArgs),
    /// Make a settled event final, when nothing can change its statement any more.
    Finalise(FinaliseArgs),
    /// List all events.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show an event: what was done with it, and what each home answered and did, and when.
    Show {
        /// The event's name.
        id: EventId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// An event to be written down.
#[derive(Debug, Args)]
pub struct DraftArgs {
    /// Whose homes, rules and prices.
    #[arg(long, value_name = "ID")]
    pub program: ProgramId,
    /// The event's name: lower-case letters, digits and hyphens.
    #[arg(long, value_name = "NAME")]
    pub id: EventId,
    /// Its first instant.
    #[arg(long, value_name = "INSTANT")]
    pub start: Timestamp,
    /// The first instant after it.
    #[arg(long, value_name = "INSTANT")]
    pub end: Timestamp,
    /// How much each home's battery is asked to give.
    #[arg(long, value_name = "W")]
    pub discharge_watts: u32,
    /// Whom it asks, and how it stands beside other events.
    #[command(flatten)]
    pub terms: TermsArgs,
    /// Who does it.
    #[command(flatten)]
    pub hand: HandArgs,
}

/// What is needed of the homes' bids.
#[derive(Debug, Args)]
pub struct ClearArgs {
    /// Whose homes.
    #[arg(long, value_name = "ID")]
    pub program: ProgramId,
    /// The event's name: it breaks ties.
    #[arg(long, value_name = "NAME")]
    pub id: EventId,
    /// How much is needed.
    #[arg(long, value_name = "W")]
    pub target_watts: u32,
    /// What a kWh may cost at most, in whole tokens.
    #[arg(long, value_name = "TOKENS")]
    pub ceiling: Option<Decimal>,
    /// Everybody is paid the price of the dearest bid that is taken, or each what he asks for.
    #[arg(long, value_enum, default_value = "pay-as-bid")]
    pub pricing: PricingArg,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// How bids are paid.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum PricingArg {
    /// Everybody the price of the dearest bid that was taken.
    Uniform,
    /// Each what he asked for.
    PayAsBid,
}

/// An event to be announced.
#[derive(Debug, Args)]
pub struct AnnounceArgs {
    /// The event's name: lower-case letters, digits and hyphens; alone, that of a draft.
    #[arg(long, value_name = "NAME")]
    pub id: EventId,
    /// What it asks; not given for a draft.
    #[command(flatten)]
    pub ask: Option<AskArgs>,
    /// Whom it asks, and how it stands beside other events.
    #[command(flatten)]
    pub terms: TermsArgs,
    /// Set so many whole tokens of the program's escrow aside for it.
    #[arg(long, value_name = "TOKENS")]
    pub reserve: Option<String>,
    /// Who does it.
    #[command(flatten)]
    pub hand: HandArgs,
}

/// What an event asks.
#[derive(Debug, Args)]
#[group(multiple = true, requires_all = ["program", "start", "end", "discharge_watts"])]
pub struct AskArgs {
    /// Whose homes, rules and prices.
    #[arg(long, value_name = "ID", required = false)]
    pub program: ProgramId,
    /// Its first instant.
    #[arg(long, value_name = "INSTANT", required = false)]
    pub start: Timestamp,
    /// The first instant after it.
    #[arg(long, value_name = "INSTANT", required = false)]
    pub end: Timestamp,
    /// How much each home's battery is asked to give.
    #[arg(long, value_name = "W", required = false)]
    pub discharge_watts: u32,
}

/// Whom an event asks, and how it stands beside others.
#[derive(Debug, Args)]
pub struct TermsArgs {
    /// How much it counts beside an event at the same time: 0 most, 65535 (the default) least.
    #[arg(long, value_name = "NUMBER")]
    pub priority: Option<u16>,
    /// Ask only homes in this zone; may be given several times.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<ZoneName>,
    /// Ask only homes of this group; may be given several times.
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<GroupName>,
    /// Ask only this site; may be given several times.
    #[arg(long = "site", value_name = "SITE")]
    pub sites: Vec<SiteId>,
    /// Move each home's start by a random span of at most so many seconds, either way.
    #[arg(long, value_name = "SECONDS")]
    pub randomise_seconds: Option<u16>,
}

/// Who does something, and why.
#[derive(Debug, Args)]
pub struct HandArgs {
    /// Who does it, for the event's history.
    #[arg(long, value_name = "NAME")]
    pub by: Option<Actor>,
    /// Why, for the event's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
}

/// What changes about an event.
#[derive(Debug, Args)]
pub struct ModifyArgs {
    /// The event's name.
    pub id: EventId,
    /// Its first instant from now on; not of one that has begun.
    #[arg(long, value_name = "INSTANT")]
    pub start: Option<Timestamp>,
    /// The first instant after it from now on.
    #[arg(long, value_name = "INSTANT")]
    pub end: Option<Timestamp>,
    /// How much each home's battery is asked to give from now on.
    #[arg(long, value_name = "W")]
    pub discharge_watts: Option<u32>,
    /// Who does it, for the event's history.
    #[arg(long, value_name = "NAME")]
    pub by: Option<Actor>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub why: Why,
}

/// An event to be made final.
#[derive(Debug, Args)]
pub struct FinaliseArgs {
    /// The event's name.
    pub id: EventId,
    /// Who does it.
    #[command(flatten)]
    pub hand: HandArgs,
}

/// An event to be called off.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The event's name.
    pub id: EventId,
    /// Who does it, for the event's history.
    #[arg(long, value_name = "NAME")]
    pub by: Option<Actor>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub why: Why,
}

pub(super) fn run(
    place: &Place,
    command: EventCommand,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    match command {
        EventCommand::Draft(args) => draft(place, args, out),
        EventCommand::Clear(args) => clear(place, &args, out),
        EventCommand::Announce(args) => announce(place, args, out),
        EventCommand::Modify(args) => modify(place, args, out),
        EventCommand::Cancel(args) => cancel(place, args, out),
        EventCommand::Finalise(args) => finalise(place, args, out),
        EventCommand::List { json } => event_view::list(&mut place.open()?, place.now(), json, out),
        EventCommand::Show { id, json } => event_view::show(&mut place.open()?, &id, place.now(), json, out),
    }
}

impl TermsArgs {
    fn is_given(&self) -> bool {
        let named = self.zones.len() + self.groups.len() + self.sites.len();
        named > 0 || self.priority.is_some() || self.randomise_seconds.is_some()
    }

    fn terms(self) -> Result<Terms, EngineCommandError> {
        let bound = self.randomise_seconds.map(StartBound::from_seconds).transpose()?;
        Ok(Terms {
            priority: self.priority.map_or(Priority::LOWEST, Priority),
            targets: Targets {
                zones: self.zones.into_iter().collect(),
                groups: self.groups.into_iter().collect(),
                sites: self.sites.into_iter().collect(),
            },
            start_bound: bound.unwrap_or_default(),
        })
    }
}

fn hand(by: Option<Actor>, why: Option<Why>) -> Hand {
    Hand {
        by: by.unwrap_or_else(Actor::operator),
        why: why.unwrap_or_default(),
    }
}

fn power(watts: u32) -> Milliwatts {
    // A u32 of watts in milliwatts is far within an i64.
    Milliwatts::new(i64::from(watts).saturating_mul(1_000))
}

fn draft(place: &Place, args: DraftArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let announcement = Announcement {
        id: args.id,
        program: args.program,
        start: args.start,
        end: args.end,
        discharge: power(args.discharge_watts),
    };
    let hand = hand(args.hand.by, args.hand.why);
    let terms = args.terms.terms()?;
    dispatch::draft(
        &mut place.open()?.store,
        &announcement,
        &terms,
        &hand,
        place.now(),
    )?;
    let Announcement { id, start, end, .. } = &announcement;
    writeln!(
        out,
        "Event {id} is drafted: {start} to {end}. `engine event announce --id {id}` asks its homes."
    )?;
    Ok(())
}

fn announce(place: &Place, args: AnnounceArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let key = engine_key(&place.data)?;
    let (hand, reserve, now) = (
        hand(args.hand.by, args.hand.why),
        args.reserve.as_deref(),
        place.now(),
    );
    let announced = match args.ask {
        None if args.terms.is_given() => return Err(EngineCommandError::DraftHasTerms(args.id)),
        None => {
            let store = &mut place.open()?.store;
            dispatch::announce_draft(store, &key, &args.id, reserve, &hand, now)?
        }
        Some(ask) => {
            let announcement = Announcement {
                id: args.id,
                program: ask.program,
                start: ask.start,
                end: ask.end,
                discharge: power(ask.discharge_watts),
            };
            let terms = args.terms.terms()?;
            let store = &mut place.open()?.store;
            dispatch::announce_with(store, &key, &announcement, &terms, reserve, &hand, now)?
        }
    };
    print_announced(&announced, reserve, out)
}

fn print_announced(
    announced: &Announced,
    reserve: Option<&str>,
    out: &mut impl Write,
) -> Result<(), EngineCommandError> {
    let event = &announced.event;
    writeln!(
        out,
        "Event {}: {} to {}, under {} version {}; {} homes are asked for {} W each.",
        event.id,
        event.start,
        event.end,
        event.program,
        event.program_version,
        announced.instructions,
        event.discharge
    )?;
    for (site, other) in &announced.left_to_others {
        writeln!(
            out,
            "Not asked: {site}, which event {other} has asked for a part of that time."
        )?;
    }
    for (site, why) in &announced.unproven {
        writeln!(out, "Not asked: {site}, for {why}.")?;
    }
    if let Some(commitment) = announced.start_commitment {
        writeln!(out, "Each home's start is moved; commitment {commitment}.")?;
    }
    if let Some(amount) = reserve {
        writeln!(out, "Of the program's escrow, {amount} are set aside for it.")?;
    }
    Ok(())
}

fn modify(place: &Place, args: ModifyArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let key = engine_key(&place.data)?;
    let change = Change {
        start: args.start,
        end: args.end,
        discharge: args.discharge_watts.map(power),
    };
    let hand = hand(args.by, Some(args.why));
    let changed = dispatch::modify(
        &mut place.open()?.store,
        &key,
        &args.id,
        change,
        &hand,
        place.now(),
    )?;
    let revision = changed.life.revision();
    writeln!(
        out,
        "Event {}, modification {}: {} to {}, {} W each; {} homes are told.",
        args.id,
        revision.modification,
        revision.window.start,
        revision.window.end,
        revision.discharge,
        changed.told
    )?;
    Ok(())
}

fn cancel(place: &Place, args: CancelArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let key = engine_key(&place.data)?;
    let hand = hand(args.by, Some(args.why));
    let changed = dispatch::cancel(&mut place.open()?.store, &key, &args.id, &hand, place.now())?;
    writeln!(
        out,
        "Event {} is cancelled; {} homes are told.",
        args.id, changed.told
    )?;
    Ok(())
}

fn finalise(place: &Place, args: FinaliseArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let hand = hand(args.hand.by, args.hand.why);
    let store = &mut place.open()?.store;
    settle::finalise(store, &args.id, (&hand.by, &hand.why), place.now())
        .map_err(SettlementCommandError::from)?;
    Ok(writeln!(out, "Event {} is final.", args.id)?)
}

fn clear(place: &Place, args: &ClearArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let needed = Needed {
        target: Milliwatts::new(i64::from(args.target_watts) * 1_000),
        pricing: match args.pricing {
            PricingArg::Uniform => Pricing::Uniform,
            PricingArg::PayAsBid => Pricing::PayAsBid,
        },
        ceiling: args.ceiling,
    };
    let now = place.now();
    let store = &mut place.open()?.store;
    let (cleared, asset) =
        store.transact(|client| dispatch::cleared(client, &args.program, &args.id, needed, now))?;
    if args.json {
        return Ok(writeln!(out, "{}", serde_json::json!(cleared))?);
    }
    for award in &cleared.awards {
        let price = asset.show(award.price_per_kwh);
        let watts = award.power.get() / 1_000;
        writeln!(
            out,
            "{:<24}  {watts:>8} W  {price} {} a kWh",
            award.site.as_str(),
            asset.code()
        )?;
    }
    for (site, why) in &cleared.passed {
        let why = match why {
            Passed::TargetReached => "not taken: bids before it reach the target",
            Passed::AboveCeiling => "not taken: above the ceiling",
            Passed::Unproven => "not taken: it has proved no power; `engine test capacity` says why",
        };
        writeln!(out, "{:<24}  {why}", site.as_str())?;
    }
    let total = cleared.total.get() / 1_000;
    writeln!(
        out,
        "{total} W of {} W are offered. Ask those that are taken: engine event announce --id {} --site ...",
        args.target_watts, args.id
    )?;
    Ok(())
}
