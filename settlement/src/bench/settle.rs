//! Settling one event of very many sites, from PostgreSQL to the posted ledger.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::quantity::{Milliwatts, TokenAmount};
use gridtally_protocol::time::{IntervalLength, Timestamp};

use super::BenchError;
use super::scratch::Scratch;
use crate::days::{Day, DeviceDay, Slot, slots_of};
use crate::proofs::settle::SettlementError;
use crate::proofs::stream::{self, Looked, Options, StreamError, Streamed};
use crate::registry::{EnrolledDevice, Enrolment};
use crate::rules::program::Program;
use crate::store::bulk::Loader;
use crate::store::events::StoredEvent;
use crate::store::evidence::Request;
use crate::store::ledger::{self, Deposit};
use crate::store::{Store, create_beside, events, programs, settlements};
use crate::supervise::PrivateCluster;

/// What is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// How many sites.
    pub sites: u32,
    /// The length of the intervals.
    pub interval: IntervalLength,
    /// Whether the rows of a day lie in the order in which a crowd reports, and not in that of the sites.
    pub scattered: bool,
    /// Whether the statement with every explanation is written to a file as well.
    pub written: bool,
}

/// How it went.
#[derive(Debug, Clone, Copy)]
pub struct SettleFigures {
    /// What was settled.
    pub case: Case,
    /// The bare fetch of the same bytes, on as many connections.
    pub fetch: Duration,
    /// Bytes that it fetched.
    pub fetched: u64,
    /// From PostgreSQL to the sums of all statements.
    pub settle: Duration,
    /// Posting the payment.
    pub post: Duration,
    /// The commit.
    pub commit: Duration,
    /// What was looked at.
    pub looked: Looked,
    /// Accounts that the payment touched.
    pub entries: usize,
    /// The bytes of the statement, where it was written.
    pub statement_bytes: u64,
    /// The most memory that this process had while it settled, in KiB, where the system tells.
    pub memory_kib: Option<u64>,
}

impl SettleFigures {
    /// From PostgreSQL to the posted ledger.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.settle + self.post + self.commit
    }
}

const METER: DeviceNumber = DeviceNumber(1);
/// What a 10-in-10 of an event on this Thursday looks at: sixteen UTC days, the event's with them.
const EVENT_START: i64 = 1_781_798_400; // 2026-06-18T16:00:00Z
const EVENT_SECONDS: i64 = 4 * 3_600;
const DAYS: i32 = 16;
/// Every so many-th site never answers.
const SILENT: u32 = 20;

/// Measures each case in a database of its own below `parent`; `progress` hears what is being done.
///
/// # Errors
/// [`BenchError`] that says what went wrong; nothing is left behind.
pub fn settle(
    cases: &[Case],
    parent: &Path,
    mut progress: impl FnMut(&str),
) -> Result<Vec<SettleFigures>, BenchError> {
    progress("starting a private database");
    let scratch = Scratch::make(parent)?;
    let cluster = PrivateCluster::start(scratch.path())?;
    let measure = |case: &Case| {
        let name = format!("settle_{}", case.sites);
        let url = create_beside(&cluster.connection_string(), &name)?;
        Bench {
            case: *case,
            url,
            scratch: &scratch,
        }
        .measure(&mut progress)
    };
    cases.iter().map(measure).collect()
}

struct Bench<'s> {
    case: Case,
    url: String,
    scratch: &'s Scratch,
}

impl Bench<'_> {
    fn measure(&self, progress: &mut impl FnMut(&str)) -> Result<SettleFigures, BenchError> {
        let sites = self.case.sites;
        progress(&format!("{sites} sites: loading {DAYS} days of readings"));
        let mut store = Store::open(&self.url)?;
        let event = self.load(&mut store)?;
        let settled_at = instant(EVENT_START + EVENT_SECONDS + 86_400)?;
        let request = Request {
            event: &event,
            version: 1,
            settled_at,
            engine: key(0)?.identity(),
            carried_from: None,
            occasion: None,
        };
        let options = Options::default();
        let mut fetch = || {
            let start = Instant::now();
            let looked =
                store.transact(|client| stream::fetch(client, &self.url, &request, &options, METER))?;
            Ok::<_, StreamError>((start.elapsed(), looked))
        };
        progress(&format!("{sites} sites: the bare fetch"));
        fetch()?; // The first one fills the caches, for what comes after as well.
        let (fetched_in, fetched) = fetch()?;
        progress(&format!("{sites} sites: settling"));
        forget_peak();
        let start = Instant::now();
        let (streamed, settle, posted) = store.transact(|client| {
            settlements::lock_program(client, &event.program)?;
            let streamed = self.stream(client, &request, &options, progress)?;
            let settled = start.elapsed();
            for transaction in streamed.bookings.all() {
                ledger::post(client, std::slice::from_ref(transaction))?;
            }
            Ok::<_, SettlementError>((streamed, settled, start.elapsed()))
        })?;
        let total = start.elapsed();
        let memory_kib = peak_kib();
        let entries: usize = streamed.bookings.all().map(|t| t.entries().len()).sum();
        if streamed.looked.sites != u64::from(sites) || entries < 2 {
            return Err(BenchError::Lost {
                sent: usize::try_from(sites).unwrap_or(usize::MAX),
                taken: usize::try_from(streamed.looked.sites).unwrap_or(usize::MAX),
            });
        }
        let written = fs::metadata(self.file()).map_or(0, |file| file.len());
        Ok(SettleFigures {
            case: self.case,
            fetch: fetched_in,
            fetched: fetched.bytes,
            settle,
            post: posted.saturating_sub(settle),
            commit: total.saturating_sub(posted),
            looked: streamed.looked,
            entries,
            statement_bytes: written,
            memory_kib,
        })
    }

    fn file(&self) -> std::path::PathBuf {
        self.scratch
            .path()
            .join(format!("statement-{}.json", self.case.sites))
    }

    fn stream(
        &self,
        client: &mut postgres::Transaction<'_>,
        request: &Request<'_>,
        options: &Options,
        progress: &mut impl FnMut(&str),
    ) -> Result<Streamed, StreamError> {
        let mut tenths = 0;
        let say = |done: u64| {
            let now = done.saturating_mul(10) / u64::from(self.case.sites.max(1));
            if now > tenths {
                tenths = now;
                progress(&format!("settled {done}"));
            }
        };
        if !self.case.written {
            return stream::stream(client, &self.url, request, options, None, say);
        }
        let mut out = BufWriter::new(File::create(self.file())?);
        let streamed = stream::stream(client, &self.url, request, options, Some(&mut out), say)?;
        out.flush()?;
        Ok(streamed)
    }

    fn load(&self, store: &mut Store) -> Result<StoredEvent, BenchError> {
        let length = self.case.interval;
        let document = PROGRAM.replace("MINUTES", &(length.seconds() / 60).to_string());
        let program = Program::from_toml("bench", &document).map_err(|e| BenchError::Rules(e.to_string()))?;
        let now = instant(EVENT_START - 40 * 86_400)?;
        let event = StoredEvent {
            id: "bench-event"
                .parse()
                .map_err(|_| BenchError::Rules("the event has no name".into()))?,
            program: program.id.clone(),
            program_version: 1,
            start: instant(EVENT_START)?,
            end: instant(EVENT_START + EVENT_SECONDS)?,
            announced_at: instant(EVENT_START - 7_200)?,
            discharge: Milliwatts::new(3_000_000),
        };
        store.transact(|client| {
            programs::add_program(client, &program, &document, now)?;
            events::insert_event(client, &event)
        })?;
        let amount = TokenAmount::new(10_i128.pow(18)).map_err(|e| BenchError::Rules(e.to_string()))?;
        let deposit = Deposit {
            operator: "bench",
            reference: "1",
            program: "bench",
            asset: &program.asset,
            amount,
        };
        store.transact(|client| ledger::deposit(client, &deposit, now))?;
        let mut loader = Loader::open(&self.url)?;
        let sites = self.case.sites;
        // One after the other, so that the load leaves no memory behind. Whoever is left out is missed in the end.
        let enrolments = (0..sites).filter_map(|n| enrolment(n, length).ok());
        loader.enrol(enrolments, now)?;
        let last = Day::of(event.start).number();
        let order = |place: u32| match self.case.scattered {
            // A prime that is no factor of any number of sites: every site once, far from its neighbours.
            true => u32::try_from(u64::from(place) * 2_654_435_761 % u64::from(sites)).unwrap_or(place),
            false => place,
        };
        let rows = (last - DAYS + 1..=last)
            .flat_map(|day| (0..sites).map(move |place| (order(place), Day::from_number(day))));
        let rows = rows.map(|(site, day)| {
            let number = i32::try_from(site).unwrap_or(i32::MAX).saturating_add(1);
            (number, METER.0, day, device_day(site, day, length))
        });
        loader.days(rows)?;
        let answered = (0..sites).filter(|n| !n.is_multiple_of(SILENT));
        let answered = answered.filter_map(|n| Some(key(n).ok()?.identity()));
        loader.opt_in(&event.id, answered, event.announced_at)?;
        loader.finish()?;
        Ok(event)
    }
}

const PROGRAM: &str = r#"
id = "bench"
version = 1
zone = "Europe/London"
interval_minutes = MINUTES
measurement = "site_meter_net"
baseline = "caiso_style_10_10"
price_per_kwh = "0.85"
clip = "interval"
[asset]
code = "FLEX"
decimals = 6
"#;

fn instant(seconds: i64) -> Result<Timestamp, BenchError> {
    Ok(Timestamp::from_unix(seconds)?)
}

fn key(number: u32) -> Result<SigningIdentity, BenchError> {
    Ok(SigningIdentity::from_secret(
        Digest::of(&number.to_be_bytes()).as_bytes(),
    )?)
}

fn enrolment(number: u32, length: IntervalLength) -> Result<Enrolment, BenchError> {
    let device = |number, quantities: &[Quantity]| EnrolledDevice {
        number,
        meter_key: None,
        nameplate_milliwatts: Milliwatts::new(20_000_000),
        capacity_milliwatt_hours: None,
        quantities: quantities.to_vec(),
    };
    Ok(Enrolment {
        site: format!("site-{number:07}").parse()?,
        beneficiary: format!("owner-{number:07}").parse()?,
        gateway: key(number)?.identity(),
        program: "bench".parse()?,
        interval_seconds: length,
        membership: Default::default(),
        offer: Default::default(),
        location: None,
        agreement: None,
        devices: vec![
            device(METER, &[Quantity::GridImport, Quantity::GridExport]),
            device(DeviceNumber(2), &[Quantity::PvProduction]),
        ],
    })
}

/// A house to the watt-hour: 100 to 1,100 W, another value each time, and at every third site the sun at noon; in the
/// event it draws half.
fn device_day(site: u32, day: Day, length: IntervalLength) -> DeviceDay {
    let slots = slots_of(length);
    let mut known = DeviceDay::empty(length);
    let seconds = i64::from(length.seconds());
    let seed = u64::from(site) << 20 ^ u64::try_from(day.number()).unwrap_or(0) << 9;
    for (place, n) in (0..slots).zip(0_i64..) {
        let mut mixed = (seed ^ u64::try_from(n).unwrap_or(0)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^= mixed >> 29;
        mixed = mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let noise = i64::try_from((mixed >> 32) % 1_000).unwrap_or(0);
        let since_midnight = n * seconds;
        let start = i64::from(day.number()) * 86_400 + since_midnight;
        let in_event = (EVENT_START..EVENT_START + EVENT_SECONDS).contains(&start);
        let watts = if in_event { 50 + noise / 2 } else { 100 + noise };
        let sunny = site.is_multiple_of(3) && (36_000..54_000).contains(&since_midnight);
        let (import, export) = if sunny { (0, 1_000 + noise) } else { (watts, 0) };
        let energy = |watts: i64| Slot::Value(watts * seconds / 3_600 * 1_000, None);
        known.join_slot(Quantity::GridImport, place, energy(import));
        known.join_slot(Quantity::GridExport, place, energy(export));
    }
    known
}

/// Begins to count this process's peak of memory anew, where the system can.
fn forget_peak() {
    if let Err(error) = fs::write("/proc/self/clear_refs", "5") {
        tracing::debug!(%error, "the peak of memory counts from the start");
    }
}

fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
