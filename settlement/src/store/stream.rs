//! Reading what an event needs of many sites: page by page, on as many connections as there are workers, all of
//! which see the same.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, Read};
use std::ops::Range;

use chrono::{DateTime, Utc};
use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::identity::Identity;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::time::{IntervalLength, Timestamp};
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, GenericClient};

use super::reports::{self, StoredReport};
use super::types::{corrupt, timestamp, to_column};
use super::{RECONNECT_SECONDS_MAX, StoreError, beacons, connect, work_as_app};
use crate::days::Day;
use crate::ingest::Beacons;
use crate::registry::{EnrolledDevice, Enrolment};
use crate::rules::program::Measurement;
use crate::rules::program::ProgramId;
use crate::rules::statement::{BeneficiaryId, SiteId};

/// Lets [`Reader`]s see what this transaction sees, while it is open.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn share(client: &mut impl GenericClient) -> Result<Snapshot, StoreError> {
    let row = client.query_one("SELECT pg_export_snapshot()", &[])?;
    Ok(Snapshot(row.get(0)))
}

/// What a transaction sees.
#[derive(Debug, Clone)]
pub struct Snapshot(String);

/// The number of a site's enrolment in this database.
pub type Number = i32;

/// A site, its enrolment's document not yet read.
#[derive(Debug, Clone)]
pub struct EnrolledSite {
    /// The enrolment's number.
    pub number: Number,
    /// Its name.
    pub site: String,
    document: String,
}

impl EnrolledSite {
    /// Reads what a settlement needs of the enrolment.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where it does not read.
    pub fn settled(&self) -> Result<SettledAs, StoreError> {
        serde_json::from_str(&self.document).map_err(corrupt)
    }

    /// Reads the whole enrolment; most of the time goes into making a point of the curve of the gateway's key.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where it does not read.
    pub fn enrolment(&self) -> Result<Enrolment, StoreError> {
        serde_json::from_str(&self.document).map_err(corrupt)
    }
}

/// What a settlement needs of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct SettledAs {
    /// The site.
    pub site: SiteId,
    /// Who is paid.
    pub beneficiary: BeneficiaryId,
    /// How long its intervals are.
    pub interval_seconds: IntervalLength,
    devices: Vec<EnrolledDevice>,
}

impl SettledAs {
    /// The device whose meter a measurement is of; none where it is of none, or of several.
    #[must_use]
    pub fn meter(&self, measurement: Measurement) -> Option<DeviceNumber> {
        let (used, given) = measurement.quantities();
        let metered = |device: &&EnrolledDevice| {
            device.quantities.contains(&used) && device.quantities.contains(&given)
        };
        let mut meters = self.devices.iter().filter(metered);
        match (meters.next(), meters.next()) {
            (Some(meter), None) => Some(meter.number),
            _ => None,
        }
    }
}

/// Days of many devices, packed.
#[derive(Debug, Default)]
pub struct PackedDays {
    bytes: Vec<u8>,
    /// By place of the device in the request, and day.
    days: Vec<(usize, Day, bool, Range<usize>)>,
}

impl PackedDays {
    /// The days of the device at a place, in order: whether any of it may have come too late, and its bytes.
    pub fn of(&self, place: usize) -> impl Iterator<Item = (Day, bool, &[u8])> {
        let first = self.days.partition_point(|(p, ..)| *p < place);
        let days = self.days.get(first..).unwrap_or_default();
        let days = days.iter().take_while(move |(p, ..)| *p == place);
        days.map(|(_, day, late, range)| (*day, *late, self.bytes.get(range.clone()).unwrap_or_default()))
    }

    /// How many bytes of readings these are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Which days are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySpan {
    /// The first.
    pub from: Day,
    /// The last.
    pub to: Day,
    /// What came later than this does not count.
    pub received_until: Timestamp,
    /// When the event was announced: what came after it has to be prompt to count.
    pub announced_at: Timestamp,
}

/// A connection that reads.
pub struct Reader {
    client: Client,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    /// Connects, and sees what the snapshot's transaction sees.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn open(url: &str, snapshot: &Snapshot) -> Result<Self, StoreError> {
        let mut client = connect(url, RECONNECT_SECONDS_MAX)?;
        work_as_app(&mut client)?;
        // A name that the server gave. The plan for a page is always the same one, whatever the statistics say.
        client.batch_execute(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{}';
             SET LOCAL jit = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
             SET LOCAL enable_seqscan = off; SET LOCAL max_parallel_workers_per_gather = 0",
            snapshot.0.replace('\'', "")
        ))?;
        Ok(Self { client })
    }

    /// The next sites of a program in the order of their names.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn sites(
        &mut self,
        program: &ProgramId,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<EnrolledSite>, StoreError> {
        let rows = self.client.query(
            "SELECT number, site, document FROM enrolment
             WHERE program = $1 AND site COLLATE \"C\" > $2 ORDER BY site COLLATE \"C\" LIMIT $3",
            &[&program.as_str(), &after.unwrap_or(""), &limit],
        )?;
        let site = |row: &postgres::Row| EnrolledSite {
            number: row.get(0),
            site: row.get(1),
            document: row.get(2),
        };
        Ok(rows.iter().map(site).collect())
    }

    /// The days of devices, each named by its enrolment's number and its own.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn days(&mut self, devices: &[(Number, u8)], span: &DaySpan) -> Result<PackedDays, StoreError> {
        let mut copy = self.client.copy_out(&days_sql(devices, span))?;
        let mut packed = PackedDays::default();
        let mut header = [0; 19];
        copy.read_exact(&mut header).map_err(broken)?;
        loop {
            let [a, b] = array(&mut copy)?;
            if i16::from_be_bytes([a, b]) == -1 {
                break;
            }
            let place = i64::from_be_bytes(field(&mut copy)?);
            let day = i32::from_be_bytes(field(&mut copy)?);
            let [late] = field(&mut copy)?;
            let len = usize::try_from(i32::from_be_bytes(array(&mut copy)?)).map_err(corrupt)?;
            let from = packed.bytes.len();
            take(&mut copy, len, &mut packed.bytes)?;
            let place = usize::try_from(place).map_err(corrupt)?;
            let range = from..packed.bytes.len();
            packed.days.push((place, Day::from_number(day), late != 0, range));
        }
        // To the end, so that the connection can be used again.
        std::io::copy(&mut copy, &mut std::io::sink()).map_err(broken)?;
        if !packed.days.is_sorted_by_key(|(place, day, ..)| (*place, *day)) {
            packed.days.sort_by_key(|(place, day, ..)| (*place, *day));
        }
        Ok(packed)
    }

    /// Fetches the same as [`Reader::days`] and drops it: how long the fetch alone takes. How many bytes it was.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn drop_days(&mut self, devices: &[(Number, u8)], span: &DaySpan) -> Result<u64, StoreError> {
        let mut copy = self.client.copy_out(&days_sql(devices, span))?;
        let mut bytes = 0_u64;
        loop {
            let len = copy.fill_buf().map_err(broken)?.len();
            if len == 0 {
                return Ok(bytes);
            }
            copy.consume(len);
            bytes = bytes.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        }
    }

    /// The reports of a gateway that touch a time and came in time, and whatever else bears their numbers.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn reports(
        &mut self,
        gateway: &Identity,
        (from, until): (Timestamp, Timestamp),
        received_until: Timestamp,
    ) -> Result<Vec<StoredReport>, StoreError> {
        let mut reports = reports::slots_of(&mut self.client, gateway, from, until)?;
        reports.retain(|report| report.received_at <= received_until);
        Ok(reports)
    }

    /// The beacons that these reports name.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn beacons<'e>(&mut self, envelopes: impl Iterator<Item = &'e [u8]>) -> Result<Beacons, StoreError> {
        beacons::named_by(&mut self.client, envelopes)
    }
}

/// COPY takes no parameters; these are numbers and dates of ours.
fn days_sql(devices: &[(Number, u8)], span: &DaySpan) -> String {
    let list = |of: &dyn Fn(&(Number, u8)) -> String| devices.iter().map(of).collect::<Vec<_>>().join(",");
    format!(
        "COPY (SELECT k.place - 1, d.day - date '1970-01-01',
                      d.received_at > timestamptz '{until}' OR (
                          d.received_at > timestamptz '{announced}' AND d.day < (timestamptz '{announced}' AT TIME ZONE 'UTC')::date),
                      d.channels
               FROM unnest('{{{}}}'::integer[], '{{{}}}'::smallint[]) WITH ORDINALITY AS k (number, device, place)
               JOIN device_day d ON d.enrolment = k.number AND d.device = k.device
                    AND d.day BETWEEN date '1970-01-01' + {} AND date '1970-01-01' + {}
         ) TO STDOUT (FORMAT binary)",
        list(&|(number, _)| number.to_string()),
        list(&|(_, device)| device.to_string()),
        span.from.number(),
        span.to.number(),
        until = to_column(span.received_until).to_rfc3339(),
        announced = to_column(span.announced_at).to_rfc3339(),
    )
}

fn broken(error: std::io::Error) -> StoreError {
    StoreError::Interrupted(error)
}

fn array<const N: usize>(copy: &mut impl Read) -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    copy.read_exact(&mut bytes).map_err(broken)?;
    Ok(bytes)
}

/// A field of a known length, which is written before it.
fn field<const N: usize>(copy: &mut impl Read) -> Result<[u8; N], StoreError> {
    let len = i32::from_be_bytes(array(copy)?);
    if usize::try_from(len).ok() != Some(N) {
        return Err(corrupt("a field of another length than its type"));
    }
    array(copy)
}

fn take(copy: &mut impl BufRead, mut len: usize, out: &mut Vec<u8>) -> Result<(), StoreError> {
    while len > 0 {
        let bytes = copy.fill_buf().map_err(broken)?;
        let here = bytes.get(..len.min(bytes.len())).unwrap_or_default();
        if here.is_empty() {
            return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
        out.extend_from_slice(here);
        let taken = here.len();
        len = len.saturating_sub(taken);
        copy.consume(taken);
    }
    Ok(())
}

/// What a gateway said to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// When.
    pub at: Timestamp,
    /// Why not, where it does not take part.
    pub declined: Option<&'static str>,
}

/// What each site said to an event before its end: the latest word counts, and of two at once the no.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn answers(
    client: &mut impl GenericClient,
    event: &EventId,
    before: Timestamp,
    received_until: Timestamp,
) -> Result<BTreeMap<Number, Said>, StoreError> {
    let parameters: [&(dyn postgres::types::ToSql + Sync); 3] =
        [&event.as_str(), &to_column(before), &to_column(received_until)];
    let mut rows = client.query_raw(
        "SELECT e.number, a.reached_at, CASE WHEN a.stage = 2 THEN a.envelope END
         FROM instruction i JOIN acknowledgement a ON a.instruction = i.digest AND a.gateway = i.gateway
         JOIN enrolment e ON e.gateway = i.gateway
         WHERE i.event = $1 AND a.stage IN (1, 2) AND a.reached_at < $2 AND a.received_at <= $3
             AND NOT EXISTS (SELECT FROM event_farewell f WHERE f.instruction = i.digest)",
        parameters,
    )?;
    let mut answers: BTreeMap<Number, Said> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let declined = match row.get::<_, Option<&[u8]>>(2) {
            None => None,
            Some(envelope) => match Acknowledgement::open(envelope).map_err(corrupt)?.message.stage {
                Stage::OptedOut(why) => Some(why.name()),
                _ => return Err(corrupt("an answer of another stage than its envelope")),
            },
        };
        let said = Said {
            at: timestamp(row.get(1))?,
            declined,
        };
        let latest = answers.entry(row.get(0)).or_insert(said);
        *latest = said.max(*latest);
    }
    Ok(answers)
}

/// The sites whose reports contradict each other about something that ends after `from`.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn disputed(client: &mut impl GenericClient, from: Timestamp) -> Result<HashSet<Number>, StoreError> {
    let from: DateTime<Utc> = to_column(from);
    let rows = client.query(
        "SELECT DISTINCT enrolment FROM dispute WHERE until > $1",
        &[&from],
    )?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
