//! Test dispatches: periods, tests, when sites cannot be tested, and verdicts.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use postgres::{GenericClient, Row};

use super::StoreError;
use super::programs::version_column;
use super::types::{corrupt, digest, identity, timestamp, to_column};
use crate::capacity::draw::Seed;
use crate::capacity::period::Period;
use crate::capacity::standing::Judged;
use crate::capacity::verdict::{Unavailability, Verdict};
use crate::events::revision::Why;
use crate::rules::program::ProgramId;
use crate::rules::statement::SiteId;

/// A period as it was committed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPeriod {
    /// Whose tests.
    pub program: ProgramId,
    /// Of which weeks.
    pub period: Period,
    /// Under which version of the program they are drawn.
    pub program_version: u32,
    /// From which they are drawn.
    pub seed: Seed,
    /// What was told of it before.
    pub commitment: Digest,
    /// When that was.
    pub committed_at: Timestamp,
    /// When the seed was told, if it was.
    pub revealed_at: Option<Timestamp>,
}

/// What became of a drawn test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Its instruction was signed.
    Sent,
    /// Left out: the site had said that it cannot.
    Unavailable,
    /// Left out: an event had the site.
    Event(EventId),
}

/// A test as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTest {
    /// Its name, as the home hears it.
    pub name: EventId,
    /// Whose program.
    pub program: ProgramId,
    /// Of which period.
    pub period: Period,
    /// Whom it asks.
    pub site: SiteId,
    /// The key that it asks.
    pub gateway: Identity,
    /// The Monday of its week.
    pub monday: NaiveDate,
    /// When it begins.
    pub start: Timestamp,
    /// What is asked.
    pub asked: Milliwatts,
    /// The most that the site can give.
    pub nameplate: Milliwatts,
    /// What became of it.
    pub outcome: Kept,
    /// When it was written down.
    pub recorded_at: Timestamp,
    /// What it proved, where it was judged.
    pub verdict: Option<Verdict>,
}

/// Keeps a period's seed and commitment.
///
/// # Errors
/// [`StoreError::Conflict`] where the period has a seed already.
pub fn commit(client: &mut impl GenericClient, period: &StoredPeriod) -> Result<(), StoreError> {
    let rows = client.execute(
        "INSERT INTO test_period (program, period, program_version, seed, commitment, committed_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        &[
            &period.program.as_str(),
            &period.period.to_string(),
            &version_column(period.program_version)?,
            &period.seed.as_bytes().as_slice(),
            &period.commitment.as_bytes().as_slice(),
            &to_column(period.committed_at),
        ],
    )?;
    if rows == 1 {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "the tests of program {} in {} are committed to already; `engine test show` says by what",
        period.program, period.period
    )))
}

/// Every period that was committed to, by program and month.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn periods(client: &mut impl GenericClient) -> Result<Vec<StoredPeriod>, StoreError> {
    let rows = client.query(
        "SELECT p.program, p.period, p.program_version, p.seed, p.commitment, p.committed_at, r.revealed_at
         FROM test_period p LEFT JOIN test_reveal r USING (program, period) ORDER BY p.program, p.period",
        &[],
    )?;
    let read = |row: &Row| {
        let seed: [u8; 32] = row
            .get::<_, &[u8]>(3)
            .try_into()
            .map_err(|_| corrupt("a seed that has not 32 bytes"))?;
        Ok(StoredPeriod {
            program: row.get::<_, String>(0).parse().map_err(corrupt)?,
            period: row.get::<_, String>(1).parse().map_err(corrupt)?,
            program_version: u32::try_from(row.get::<_, i32>(2)).map_err(corrupt)?,
            seed: Seed::from_bytes(seed),
            commitment: digest(row.get(4))?,
            committed_at: timestamp(row.get(5))?,
            revealed_at: row.get::<_, Option<_>>(6).map(timestamp).transpose()?,
        })
    };
    rows.iter().map(read).collect()
}

/// A period that was committed to.
///
/// # Errors
/// [`StoreError::NotFound`].
pub fn period(
    client: &mut impl GenericClient,
    program: &ProgramId,
    period: Period,
) -> Result<StoredPeriod, StoreError> {
    let mut known = periods(client)?.into_iter();
    known
        .find(|known| known.program == *program && known.period == period)
        .ok_or_else(|| {
            StoreError::NotFound(format!(
                "no tests of program {program} are committed to for {period}; `engine test commit` does that, before the period begins"
            ))
        })
}

/// Keeps that a period's seed is told. The same again is a no-op.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn reveal(
    client: &mut impl GenericClient,
    program: &ProgramId,
    period: Period,
    now: Timestamp,
) -> Result<(), StoreError> {
    client.execute(
        "INSERT INTO test_reveal (program, period, revealed_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[&program.as_str(), &period.to_string(), &to_column(now)],
    )?;
    Ok(())
}

/// Keeps that a site cannot be tested in a span of time.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn declare(
    client: &mut impl GenericClient,
    (program, site): (&ProgramId, &SiteId),
    span: Unavailability,
    why: &Why,
) -> Result<(), StoreError> {
    client.execute(
        "INSERT INTO test_unavailability (program, site, from_at, until_at, reason, declared_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &program.as_str(),
            &site.as_str(),
            &to_column(span.from),
            &to_column(span.until),
            &why.as_str(),
            &to_column(span.declared_at),
        ],
    )?;
    Ok(())
}

/// When the sites of a program cannot be tested, by site.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn unavailable(
    client: &mut impl GenericClient,
    program: &ProgramId,
) -> Result<BTreeMap<SiteId, Vec<Unavailability>>, StoreError> {
    let rows = client.query(
        "SELECT site, from_at, until_at, declared_at FROM test_unavailability WHERE program = $1 ORDER BY number",
        &[&program.as_str()],
    )?;
    let mut spans: BTreeMap<SiteId, Vec<Unavailability>> = BTreeMap::new();
    for row in &rows {
        let site = row.get::<_, String>(0).parse().map_err(corrupt)?;
        spans.entry(site).or_default().push(Unavailability {
            from: timestamp(row.get(1))?,
            until: timestamp(row.get(2))?,
            declared_at: timestamp(row.get(3))?,
        });
    }
    Ok(spans)
}

/// When each site was first enrolled.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn enrolled_since(client: &mut impl GenericClient) -> Result<BTreeMap<SiteId, Timestamp>, StoreError> {
    let rows = client.query("SELECT site, min(enrolled_at) FROM enrolment GROUP BY site", &[])?;
    let read = |row: &Row| {
        let site = row.get::<_, String>(0).parse().map_err(corrupt)?;
        Ok((site, timestamp(row.get(1))?))
    };
    rows.iter().map(read).collect()
}

/// Keeps a test.
///
/// # Errors
/// [`StoreError`] of the database, where the test is kept already too.
pub fn insert_test(client: &mut impl GenericClient, test: &StoredTest) -> Result<(), StoreError> {
    let (outcome, event) = match &test.outcome {
        Kept::Sent => ("sent", None),
        Kept::Unavailable => ("unavailable", None),
        Kept::Event(event) => ("event", Some(event.as_str())),
    };
    client.execute(
        "INSERT INTO test_dispatch (name, program, period, site, gateway, monday, starts_at, asked_milliwatts,
             nameplate_milliwatts, outcome, event, recorded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &[
            &test.name.as_str(),
            &test.program.as_str(),
            &test.period.to_string(),
            &test.site.as_str(),
            &test.gateway.as_bytes().as_slice(),
            &test.monday,
            &to_column(test.start),
            &test.asked.get(),
            &test.nameplate.get(),
            &outcome,
            &event,
            &to_column(test.recorded_at),
        ],
    )?;
    Ok(())
}

/// Keeps what a test proved.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn insert_verdict(
    client: &mut impl GenericClient,
    test: &EventId,
    verdict: Verdict,
    now: Timestamp,
) -> Result<(), StoreError> {
    let verdict = serde_json::to_string(&verdict).map_err(corrupt)?;
    client.execute(
        "INSERT INTO test_verdict (name, verdict, judged_at) VALUES ($1, $2, $3)",
        &[&test.as_str(), &verdict, &to_column(now)],
    )?;
    Ok(())
}

/// A program's tests, in the order of time and sites.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn tests(client: &mut impl GenericClient, program: &ProgramId) -> Result<Vec<StoredTest>, StoreError> {
    let rows = client.query(
        "SELECT t.name, t.period, t.site, t.gateway, t.monday, t.starts_at, t.asked_milliwatts,
             t.nameplate_milliwatts, t.outcome, t.event, t.recorded_at, v.verdict
         FROM test_dispatch t LEFT JOIN test_verdict v USING (name)
         WHERE t.program = $1 ORDER BY t.starts_at, t.site",
        &[&program.as_str()],
    )?;
    rows.iter().map(|row| read_test(row, program)).collect()
}

fn read_test(row: &Row, program: &ProgramId) -> Result<StoredTest, StoreError> {
    let outcome = match (row.get::<_, &str>(8), row.get::<_, Option<String>>(9)) {
        ("sent", _) => Kept::Sent,
        (_, Some(event)) => Kept::Event(event.parse().map_err(corrupt)?),
        _ => Kept::Unavailable,
    };
    let verdict = row.get::<_, Option<&str>>(11);
    Ok(StoredTest {
        name: row.get::<_, String>(0).parse().map_err(corrupt)?,
        program: program.clone(),
        period: row.get::<_, String>(1).parse().map_err(corrupt)?,
        site: row.get::<_, String>(2).parse().map_err(corrupt)?,
        gateway: identity(row.get(3))?,
        monday: row.get(4),
        start: timestamp(row.get(5))?,
        asked: Milliwatts::new(row.get(6)),
        nameplate: Milliwatts::new(row.get(7)),
        outcome,
        recorded_at: timestamp(row.get(10))?,
        verdict: verdict.map(serde_json::from_str).transpose().map_err(corrupt)?,
    })
}

/// The judged tests of a program's sites.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn judged(
    client: &mut impl GenericClient,
    program: &ProgramId,
) -> Result<BTreeMap<SiteId, Vec<Judged>>, StoreError> {
    let mut by_site: BTreeMap<SiteId, Vec<Judged>> = BTreeMap::new();
    for test in tests(client, program)? {
        if let Some(verdict) = test.verdict {
            let start = test.start;
            by_site
                .entry(test.site)
                .or_default()
                .push(Judged { start, verdict });
        }
    }
    Ok(by_site)
}
