//! `gridtally engine program try`: a program on past data. Nothing is written to the store.

mod arguments;
mod cores;
mod engine_data;
mod error;
mod files;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use chrono::NaiveDate;
use gridtally_protocol::time::Timestamp;

pub use self::arguments::TryArgs;
use self::cores::try_all;
pub use self::error::TryProgramError;
use self::report::{Header, Report};
use super::{EngineCommandError, Place, read, temperatures};
use crate::cli::rules::EventTime;
use crate::rules::calendar::LocalSlot;
use crate::rules::exact::{ArithmeticError, Ratio};
use crate::rules::program::Program;
use crate::rules::statement::{DayTemperature, SiteId, Statement};
use crate::rules::trial::contenders::{Contender, Standing, contenders, reach_days};
use crate::rules::trial::data::{TrialEvent, TrialSite};
use crate::rules::trial::days::{ClockWindow, local_days, tried, usual_window};
use crate::rules::trial::events::{EventTrial, event_days, replay};
use crate::rules::trial::saturation::saturation;
use crate::rules::trial::tries::{Scores, Trying};
use crate::rules::trial::warnings::{Found, warnings};

/// Homes learn of an event so long before it, in minutes, where nobody says otherwise.
const NOTICE_MINUTES: u32 = 120;

/// So many sites times events are settled.
const SITE_EVENTS_MAX: usize = 50_000;

/// The data of a trial.
struct Data {
    sites: Vec<TrialSite>,
    /// How warm it was, where that is known.
    temperatures: Vec<DayTemperature>,
    /// Events that are over, where they were asked for.
    events: Vec<TrialEvent>,
    /// When homes were really asked for something, whether that is tried or not.
    dispatches: Vec<(Timestamp, Timestamp)>,
    notes: Vec<String>,
}

pub(super) fn run(place: &Place, args: &TryArgs, out: &mut impl Write) -> Result<(), EngineCommandError> {
    let name = args.file.display().to_string();
    let program = Program::from_toml(&name, &read(&args.file)?)?;
    let mut data = match args.files()? {
        Some(files) => {
            let (sites, notes) = files::sites(&files, &program, args.interval)?;
            let mut data = Data {
                sites,
                temperatures: Vec::new(),
                events: Vec::new(),
                dispatches: Vec::new(),
                notes,
            };
            if let Some(of) = &args.events_of {
                engine_data::events(&mut place.open()?.store, &program, of, place.now(), &mut data)?;
                forget_strangers(&mut data);
            }
            data
        }
        None => engine_data::load(&mut place.open()?.store, &program, args, place.now())?,
    };
    if let Some(file) = &args.temperatures {
        data.temperatures = temperatures::of_file(file)?;
    }
    for given in given_events(&program, args, &data.dispatches)? {
        // The engine knows more of an event of its own.
        let known = |event: &TrialEvent| (event.start, event.end) == (given.start, given.end);
        if !data.events.iter().any(known) {
            data.events.push(given);
        }
    }
    data.events
        .sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
    let report = try_on(&program, args, data)?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(std::io::Error::from)?;
        Ok(writeln!(out)?)
    } else {
        Ok(report.print(&program, out)?)
    }
}

/// Where none of the files is of a site that was asked, nobody of them was.
fn forget_strangers(data: &mut Data) {
    for event in &mut data.events {
        let asked = |site: &TrialSite| {
            event
                .said
                .as_ref()
                .is_some_and(|said| said.contains_key(site.id()))
        };
        if !data.sites.iter().any(asked) {
            (event.said, event.dispatched) = (None, false);
        }
    }
}

fn notice_seconds(program: &Program, args: &TryArgs) -> i64 {
    let of_program = match program.dispatch.notice_minutes {
        0 => NOTICE_MINUTES,
        minutes => minutes,
    };
    args.notice
        .map_or_else(|| i64::from(of_program).saturating_mul(60), |notice| notice.0)
}

fn trial_event(
    program: &Program,
    (start, end): (Timestamp, Timestamp),
    notice: i64,
    dispatched: bool,
) -> Result<TrialEvent, TryProgramError> {
    let local = LocalSlot::of(start, program.zone);
    let id = local.map_or_else(String::new, |slot| {
        format!("try-{}-{}", slot.day, slot.clock().replace(':', ""))
    });
    Ok(TrialEvent {
        id: id.parse()?,
        start,
        end,
        announced_at: start
            .checked_add(notice.saturating_neg())
            .unwrap_or(Timestamp::EPOCH),
        dispatched,
        said: None,
        published: Vec::new(),
    })
}

/// The events of the command line. Homes were asked where a dispatch of the store overlaps.
fn given_events(
    program: &Program,
    args: &TryArgs,
    dispatches: &[(Timestamp, Timestamp)],
) -> Result<Vec<TrialEvent>, TryProgramError> {
    let most = arguments::EVENTS_MAX;
    if args.events.len() > most {
        let (found, what) = (args.events.len(), "events");
        return Err(TryProgramError::TooMany { found, what, most });
    }
    let notice = notice_seconds(program, args);
    let event = |time: &EventTime| {
        let (start, end) = time.resolve(program.zone)?;
        let asked = dispatches
            .iter()
            .any(|(from, until)| *from < end && start < *until);
        trial_event(program, (start, end), notice, asked)
    };
    args.events.iter().map(event).collect()
}

/// The window of the days without an event, and when it is on each of them.
fn days_without(
    program: &Program,
    args: &TryArgs,
    data: &Data,
    event_days: &BTreeSet<NaiveDate>,
) -> Result<(ClockWindow, Vec<TrialEvent>), TryProgramError> {
    let windows = data
        .events
        .iter()
        .filter_map(|e| ClockWindow::of(e.start, e.end, program.zone));
    let window = args
        .window
        .or_else(|| usual_window(windows))
        .ok_or(TryProgramError::NoTime)?;
    let spans = || data.sites.iter().filter_map(TrialSite::span);
    let day = |at: Option<Timestamp>| {
        at.and_then(|at| LocalSlot::of(at, program.zone))
            .map(|slot| slot.day)
    };
    let first = day(spans().map(|(first, _)| first).min()).unwrap_or_default();
    let last = spans()
        .map(|(_, end)| end)
        .max()
        .and_then(|end| end.checked_add(-1));
    let last = day(last).unwrap_or_default();
    let from = args.from.map_or(first, |from| from.max(first));
    let until = args.until.map_or(last, |until| until.min(last));
    let notice = notice_seconds(program, args);
    let days = tried((from, until), window, program.zone, event_days);
    // A day of which no meter has anything tells nothing.
    let metered = |(start, end): &(Timestamp, Timestamp)| {
        data.sites
            .iter()
            .any(|site| !site.within(*start, *end).is_empty())
    };
    let days: Vec<TrialEvent> = days
        .into_iter()
        .filter(metered)
        .map(|time| trial_event(program, time, notice, false))
        .collect::<Result<_, _>>()?;
    if days.is_empty() {
        return Err(TryProgramError::NoDays { from, until });
    }
    Ok((window, days))
}

fn try_on(program: &Program, args: &TryArgs, mut data: Data) -> Result<Report, TryProgramError> {
    let site_events = data.sites.len().saturating_mul(data.events.len());
    if site_events > SITE_EVENTS_MAX {
        return Err(files::too_many(
            site_events,
            "events times sites",
            SITE_EVENTS_MAX,
        ));
    }
    let dispatched = data.dispatches.iter();
    let dispatched = dispatched.flat_map(|(start, end)| local_days(*start, *end, program.zone));
    let dispatched: BTreeSet<NaiveDate> = dispatched.collect();
    let mut event_days = event_days(&data.events, program.zone);
    event_days.extend(&dispatched);
    let (window, days) = days_without(program, args, &data, &event_days)?;
    let statements = replay(
        program,
        &data.sites,
        &data.temperatures,
        &data.events,
        &dispatched,
    )?;
    let came_to: Vec<EventTrial> = data
        .events
        .iter()
        .zip(&statements)
        .map(|(event, s)| EventTrial::of(event, s))
        .collect();
    let contenders = applicable(program, args, &days, &mut data.notes)?;
    let sizes = data
        .sites
        .iter()
        .map(|site| Ok((site.id().clone(), site.mean_size()?)));
    let sizes: BTreeMap<SiteId, Ratio> = sizes.collect::<Result<_, ArithmeticError>>()?;
    let all_days: Vec<NaiveDate> = event_days.iter().copied().collect();
    let trying = Trying {
        contenders: &contenders,
        sites: &data.sites,
        temperatures: &data.temperatures,
        sizes: &sizes,
        event_days: &all_days,
        reach_days: reach_days(&contenders),
    };
    let mut scores = try_all(&trying, &days)?;
    add_event_adjustments(&mut scores, &statements, &sizes)?;
    let saturation = saturation(program, &statements, &event_days)?;
    let ranked = report::ranked(&contenders, &scores)?;
    let own = scores.rules.first().cloned().unwrap_or_default().accuracy()?;
    let found = Found {
        program,
        sites: &data.sites,
        events: &data.events,
        came_to: &came_to,
        tried: &days,
        own: &own,
        better: report::better(&ranked, &own),
        adjustments: &scores.adjustments,
        saturation: &saturation,
    };
    let warnings = warnings(&found)?;
    let header = Header::new(
        program,
        &data.sites,
        window,
        days.len(),
        notice_seconds(program, args),
    );
    Ok(Report::new(
        header, came_to, ranked, saturation, warnings, data.notes,
    )?)
}

/// The rules that are asked for and can be laid out at this time of the day.
fn applicable(
    program: &Program,
    args: &TryArgs,
    days: &[TrialEvent],
    notes: &mut Vec<String>,
) -> Result<Vec<Contender>, TryProgramError> {
    let mut all = contenders(program, |name| args.is_wanted(name))?;
    let Some(day) = days.first() else {
        return Ok(all);
    };
    all.retain(|contender| match contender.lays_out(day) {
        Err(error) if contender.standing == Standing::Preset => {
            notes.push(format!("{} is left out: {error}", contender.name()));
            false
        }
        _ => true,
    });
    Ok(all)
}

/// Events were adjusted, too.
fn add_event_adjustments(
    scores: &mut Scores,
    statements: &[Statement],
    sizes: &BTreeMap<SiteId, Ratio>,
) -> Result<(), ArithmeticError> {
    for site in statements.iter().flat_map(|statement| &statement.sites) {
        let size = sizes.get(&site.site).copied().unwrap_or(Ratio::ZERO);
        scores.adjustments.add(site, size)?;
    }
    Ok(())
}
