//! Settling very many sites: page by page from the days that ingest keeps, on all cores, in bounded memory.
//!
//! It gives the statement and the payment that [`derive`](super::derive) gives from the signed evidence, site by
//! site through the same [`Sheet`], whatever the number of workers: where reports of a site contradict each other,
//! or came too late, the signed reports themselves are judged. What it does not make is a bundle: nobody has to
//! believe a day, and who wants proof gets the evidence.

mod page;
mod workers;

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};

use chrono::NaiveDate;
use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::quantity::TokenAmount;
use gridtally_protocol::time::{Interval, Timestamp};
use postgres::GenericClient;

use super::bookings::{self, Bookings};
use super::derive::{self, DeriveError};
use super::resettle;
use crate::days::{Day, slots_of};
use crate::rules::program::{Freshness, Program, ProgramId};
use crate::rules::statement::{BeneficiaryId, Corrected, SettleError, Sheet, SiteId, Statement, Sum};
use crate::store::evidence::{self, Request};
use crate::store::stream::{self as reading, DaySpan, EnrolledSite, Number, Reader, Said};
use crate::store::types::corrupt;
use crate::store::{LostConnection, StoreError, agreements, corrections, outages, programs};

/// Why sites were not settled.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An enrolment, or the payment.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// The rules.
    #[error(transparent)]
    Rules(#[from] SettleError),
    /// A statement that corrects another is made from the evidence.
    #[error(
        "the first statement of an event is settled from days; one that corrects it is made from the evidence"
    )]
    NotFirst,
    /// Days of one meter are not all that its baseline looks at.
    #[error(
        "the baseline of program {0} looks at more than a site's own days; it is settled from the evidence"
    )]
    MoreThanDays(ProgramId),
    /// Days do not say which key of a gateway signed them, nor until when it was valid.
    #[error("sites of program {0} are enrolled by signed agreements; it is settled from the evidence")]
    Agreements(ProgramId),
    /// Days do not say when their reports were signed.
    #[error("program {0} demands freshness; it is settled from the evidence")]
    Freshness(ProgramId),
    /// The statement could not be written.
    #[error("the statement cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl LostConnection for StreamError {
    fn is_lost_connection(&self) -> bool {
        match self {
            Self::Store(error) => error.is_lost_connection(),
            Self::Derive(_)
            | Self::Rules(_)
            | Self::NotFirst
            | Self::MoreThanDays(_)
            | Self::Agreements(_)
            | Self::Freshness(_)
            | Self::Write(_) => false,
        }
    }
}

/// How the work is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many workers; each has a connection of its own.
    pub workers: usize,
    /// How many sites are settled at a time; with the number of workers it bounds the memory.
    pub page: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            page: 1_000,
        }
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Looked {
    /// Sites that were settled.
    pub sites: u64,
    /// Packed bytes of readings that were read for them.
    pub bytes: u64,
    /// Sites whose newest days did not do, so that the whole look-back was read.
    pub read_again: u64,
    /// Sites of which the signed reports were judged.
    pub judged: u64,
}

/// What follows from the days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    /// The statement, without its sites: those went to where they were asked for.
    pub statement: Statement,
    /// What the ledger books.
    pub bookings: Bookings,
    /// How much was looked at.
    pub looked: Looked,
}

/// Settles all sites of an event's program, as this transaction sees them. `url` is where the workers connect.
///
/// The sites' own statements are written to `sites` as canonical JSON, one after the other with commas between them:
/// [`assemble`] makes a statement of them. `progress` hears how many sites are settled.
///
/// # Errors
/// [`StreamError`]; nothing was posted.
pub fn stream(
    client: &mut impl GenericClient,
    url: &str,
    request: &Request<'_>,
    options: &Options,
    sites: Option<&mut dyn Write>,
    progress: impl FnMut(u64),
) -> Result<Streamed, StreamError> {
    let ground = Ground::read(client, request)?;
    let sheet = Sheet::new(&ground.program, &ground.case.event, &ground.event_days)?;
    let plan = Plan::new(client, request, &ground, &sheet, sites.is_some())?;
    let snapshot = reading::share(client)?;
    let settle = |reader: &mut Reader, sites: &[EnrolledSite]| page::settle(&plan, reader, sites);
    let total = workers::run(&plan, (url, &snapshot), options, &settle, sites, progress)?;
    let carry_in = ground
        .case
        .carried_from
        .as_ref()
        .map_or(0, |carry| carry.carry_out);
    let statement = sheet.close(&total.sum, carry_in, None, resettle::pool_carry(&ground.case))?;
    let earned = total.earned.iter().map(|(who, amount)| (who, *amount));
    let bookings = bookings::book(&ground.case, &ground.program, &statement, earned)?;
    Ok(Streamed {
        statement,
        bookings,
        looked: total.looked,
    })
}

/// Fetches what [`stream`] fetches of sites with whole data, whose meter has the number `meter`, and does nothing
/// with it: how fast settling can be at most. How many sites, and how many bytes came.
///
/// # Errors
/// [`StreamError`].
pub fn fetch(
    client: &mut impl GenericClient,
    url: &str,
    request: &Request<'_>,
    options: &Options,
    meter: DeviceNumber,
) -> Result<Looked, StreamError> {
    let ground = Ground::read(client, request)?;
    let sheet = Sheet::new(&ground.program, &ground.case.event, &ground.event_days)?;
    let plan = Plan::new(client, request, &ground, &sheet, false)?;
    let snapshot = reading::share(client)?;
    let drop = |reader: &mut Reader, sites: &[EnrolledSite]| page::fetch(&plan, reader, sites, meter);
    let total = workers::run(&plan, (url, &snapshot), options, &drop, None, |_| ())?;
    Ok(total.looked)
}

/// What the store says of the event itself.
struct Ground {
    program: Program,
    case: super::evidence::Case,
    event_days: Vec<NaiveDate>,
    corrections: BTreeMap<SiteId, Vec<Corrected>>,
    outages: BTreeMap<SiteId, Vec<NaiveDate>>,
}

impl Ground {
    fn read(client: &mut impl GenericClient, request: &Request<'_>) -> Result<Self, StreamError> {
        let event = request.event;
        let document = programs::program(client, &event.program, event.program_version)?;
        let program = Program::from_toml("program", &document).map_err(corrupt)?;
        if program.control_group.is_some() || program.wants_temperatures() || program.wants_site_meter() {
            return Err(StreamError::MoreThanDays(program.id));
        }
        if program.freshness == Freshness::Required {
            return Err(StreamError::Freshness(program.id));
        }
        if agreements::are_for(client, &program.id)? {
            return Err(StreamError::Agreements(program.id));
        }
        let mut case = evidence::case(client, request)?;
        if case.version != 1 {
            return Err(StreamError::NotFirst);
        }
        case.owed = evidence::owed(client, &program)?;
        let (from, until) = evidence::span(event, &program);
        let known = corrections::corrections(client, &program.id, (from, until), case.settled_at)?;
        let corrections = resettle::corrections(&known, &program, case.settled_at)?;
        let known = outages::outages(client, &program.id, case.settled_at)?;
        let outages = resettle::outages(&known, case.settled_at)?;
        let event_days = derive::event_days(&case.other_events, &program);
        Ok(Self {
            program,
            case,
            event_days,
            corrections,
            outages,
        })
    }
}

/// Writes a whole statement, byte for byte [`Statement::to_bytes`], from its head and what was written of its sites.
///
/// # Errors
/// What the reader or the writer says.
pub fn assemble(head: &Statement, sites: &mut impl Read, out: &mut impl Write) -> io::Result<()> {
    let head = head.to_bytes();
    // The sites come last, and there are none yet.
    let (before, after) = head.split_at(head.len().saturating_sub(2));
    out.write_all(before)?;
    io::copy(sites, out)?;
    out.write_all(after)
}

/// What all workers share.
struct Plan<'p> {
    program: &'p Program,
    case: &'p super::evidence::Case,
    sheet: &'p Sheet<'p>,
    /// Every day that can matter.
    whole: DaySpan,
    /// Those that matter to a site with whole data, and how many days are looked at then.
    usual: Option<(usize, DaySpan)>,
    ruler: Ruler,
    answers: BTreeMap<Number, Said>,
    disputed: HashSet<Number>,
    corrections: &'p BTreeMap<SiteId, Vec<Corrected>>,
    outages: &'p BTreeMap<SiteId, Vec<NaiveDate>>,
    /// From when until when reports can matter.
    reports: (Timestamp, Timestamp),
    /// Whether the sites' statements are asked for.
    write: bool,
}

impl<'p> Plan<'p> {
    fn new(
        client: &mut impl GenericClient,
        request: &Request<'_>,
        ground: &'p Ground,
        sheet: &'p Sheet<'p>,
        write: bool,
    ) -> Result<Self, StreamError> {
        let Ground { program, case, .. } = ground;
        let reports = evidence::span(request.event, program);
        Ok(Self {
            whole: whole_span(sheet, case.settled_at),
            usual: usual_span(sheet, case.settled_at),
            ruler: Ruler::new(sheet),
            answers: reading::answers(client, &case.event.id, case.event.end, case.settled_at)?,
            disputed: reading::disputed(client, reports.0)?,
            corrections: &ground.corrections,
            outages: &ground.outages,
            program,
            case,
            reports,
            sheet,
            write,
        })
    }
}

/// What pages have come to together.
#[derive(Debug, Default)]
struct Total {
    sum: Sum,
    earned: BTreeMap<BeneficiaryId, TokenAmount>,
    looked: Looked,
}

fn whole_span(sheet: &Sheet<'_>, received_until: Timestamp) -> DaySpan {
    let (from, until) = sheet.span();
    let last = until.checked_add(-1).unwrap_or(until);
    DaySpan {
        from: Day::of(from),
        to: Day::of(last),
        received_until,
        announced_at: sheet.announced_at(),
    }
}

fn usual_span(sheet: &Sheet<'_>, received_until: Timestamp) -> Option<(usize, DaySpan)> {
    let (days, from) = sheet.usual()?;
    let from = Day::of(from);
    let whole = whole_span(sheet, received_until);
    (from > whole.from).then_some((days, DaySpan { from, ..whole }))
}

/// The intervals of the days that can matter, worked out once for all sites.
struct Ruler {
    first: Day,
    slots: usize,
    intervals: Vec<Interval>,
}

impl Ruler {
    fn new(sheet: &Sheet<'_>) -> Self {
        let span = whole_span(sheet, Timestamp::EPOCH);
        let length = sheet.frame().length();
        let slots = slots_of(length);
        let days = (span.from.number()..=span.to.number()).map(Day::from_number);
        let intervals = days.flat_map(|day| (0..slots).filter_map(move |place| day.interval(length, place)));
        Self {
            first: span.from,
            slots,
            intervals: intervals.collect(),
        }
    }

    /// The intervals of a day; none where the day cannot matter.
    fn day(&self, day: Day) -> &[Interval] {
        let first = day.number().checked_sub(self.first.number());
        let first = first.and_then(|days| usize::try_from(days).ok()?.checked_mul(self.slots));
        let range = first.and_then(|first| Some(first..first.checked_add(self.slots)?));
        range
            .and_then(|range| self.intervals.get(range))
            .unwrap_or_default()
    }
}
