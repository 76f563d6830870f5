//! Test dispatches: committed to, drawn, sent, judged and told.

use std::collections::BTreeSet;

use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::announce::in_force_at;
use super::instruct::Voice;
use super::plan::DispatchError;
use super::proof::nameplate;
use crate::capacity::TEST_SECONDS;
use crate::capacity::draw::{Drawn, Hours, Seed, draw, name};
use crate::capacity::forecast::Around;
use crate::capacity::period::Period;
use crate::capacity::verdict::Unavailability;
use crate::events::priority::Claim;
use crate::events::revision::{Why, Window};
use crate::registry::Enrolment;
use crate::rules::program::{Program, ProgramId, Tests};
use crate::rules::statement::SiteId;
use crate::store::capacity::{self, Kept, StoredPeriod, StoredTest};
use crate::store::{LostConnection, Store, StoreError, event_life, events, programs};

/// A test is sent at most so long before the notice that the program gives of its events.
pub const SENT_WITHIN_SECONDS: i64 = 900;

/// Why something about tests is not done.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The instruction, or the program.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The program does not test.
    #[error("program {0} holds no tests; add a version of it that has a [tests] table")]
    NoTests(ProgramId),
    /// Whoever commits then has seen some of it.
    #[error("the tests of {period} begin at {start}, and it is {now}; they are committed to before")]
    Begun {
        /// Which period.
        period: Period,
        /// When it begins.
        start: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// Somebody could tell what is still to come.
    #[error("the tests of {period} are over at {end}, and it is {now}; the seed is told after")]
    NotOver {
        /// Which period.
        period: Period,
        /// When it is over.
        end: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// Nobody can check what is not told.
    #[error("the seed of {0} is not told yet; `engine test reveal` does that when the period is over")]
    NotTold(Period),
    /// No such span.
    #[error("a span in which a site cannot be tested ends after it begins, and it has a reason")]
    NoSpan,
    /// Too late.
    #[error(
        "the span would begin at {from}, and it is {now}: unavailability counts only when it is declared before"
    )]
    DeclaredLate {
        /// Its first instant.
        from: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// A test is under way.
    #[error(
        "the site was asked already for {start}, within that span: unavailability counts only when it is declared before"
    )]
    AskedAlready {
        /// For when.
        start: Timestamp,
    },
    /// No such site.
    #[error("site {site} is not enrolled in program {program}")]
    NotEnrolled {
        /// Which site.
        site: SiteId,
        /// Which program.
        program: ProgramId,
    },
    /// A time beyond all calendars.
    #[error("{0} is at the edge of time")]
    EdgeOfTime(Period),
    /// Readings that are implausibly large.
    #[error("the test of site {site} at {start} cannot be judged: {problem}")]
    Arithmetic {
        /// Whose.
        site: SiteId,
        /// When.
        start: Timestamp,
        /// What does not fit.
        problem: crate::rules::exact::ArithmeticError,
    },
    /// What is kept of an outage or an instruction.
    #[error("the name of a test: {0}")]
    Name(#[from] gridtally_protocol::instruction::EventIdError),
}

impl LostConnection for TestError {
    fn is_lost_connection(&self) -> bool {
        match self {
            Self::Store(error) => error.is_lost_connection(),
            Self::Dispatch(error) => error.is_lost_connection(),
            _ => false,
        }
    }
}

/// A program under which tests are drawn.
pub(super) fn testing(program: &Program) -> Result<&Tests, TestError> {
    let none = || TestError::NoTests(program.id.clone());
    program.tests.as_ref().ok_or_else(none)
}

pub(super) fn read_version(
    client: &mut impl GenericClient,
    period: &StoredPeriod,
) -> Result<Program, TestError> {
    let document = programs::program(client, &period.program, period.program_version)?;
    let read = Program::from_toml(period.program.as_str(), &document);
    Ok(read.map_err(DispatchError::from)?)
}

/// Draws a period's seed and keeps it; what is told of it is its commitment.
///
/// # Errors
/// [`TestError`] where the period began, is committed to already, or the program does not test.
pub fn commit(
    store: &mut Store,
    program: &ProgramId,
    period: Period,
    now: Timestamp,
) -> Result<StoredPeriod, TestError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| DispatchError::Random(error.to_string()))?;
    let seed = Seed::from_bytes(bytes);
    store.transact(|client| {
        // The newest version says in which zone the period begins.
        let document = programs::newest_program(client, program)?;
        let newest = Program::from_toml(program.as_str(), &document).map_err(DispatchError::from)?;
        let edge = || TestError::EdgeOfTime(period);
        let start = period.start(newest.zone, newest.interval).ok_or_else(edge)?;
        let version = in_force_at(client, program, start)?;
        testing(&version)?;
        if now >= start {
            return Err(TestError::Begun { period, start, now });
        }
        let kept = StoredPeriod {
            program: program.clone(),
            period,
            program_version: version.version,
            commitment: seed.commitment(),
            seed: seed.clone(),
            committed_at: now,
            revealed_at: None,
        };
        capacity::commit(client, &kept)?;
        Ok(kept)
    })
}

/// Tells a period's seed.
///
/// # Errors
/// [`TestError`] before the period is over.
pub fn reveal(
    store: &mut Store,
    program: &ProgramId,
    period: Period,
    now: Timestamp,
) -> Result<StoredPeriod, TestError> {
    store.transact(|client| {
        let kept = capacity::period(client, program, period)?;
        let version = read_version(client, &kept)?;
        let end = period.end(version.zone, version.interval);
        let end = end.ok_or(TestError::EdgeOfTime(period))?;
        if now < end {
            return Err(TestError::NotOver { period, end, now });
        }
        capacity::reveal(client, program, period, now)?;
        Ok(capacity::period(client, program, period)?)
    })
}

/// Keeps that a site cannot be tested.
///
/// # Errors
/// [`TestError`] where it is said too late, or of nobody.
pub fn declare(
    store: &mut Store,
    (program, site): (&ProgramId, &SiteId),
    (from, until): (Timestamp, Timestamp),
    why: &Why,
    now: Timestamp,
) -> Result<(), TestError> {
    if from >= until || why.as_str().is_empty() {
        return Err(TestError::NoSpan);
    }
    if from < now {
        return Err(TestError::DeclaredLate { from, now });
    }
    store.transact(|client| {
        events::lock(client)?;
        let homes = programs::enrolments_at(client, now)?;
        if !homes
            .iter()
            .any(|home| home.site == *site && home.program == *program)
        {
            let (site, program) = (site.clone(), program.clone());
            return Err(TestError::NotEnrolled { site, program });
        }
        let span = Unavailability {
            from,
            until,
            declared_at: now,
        };
        let asked = capacity::tests(client, program)?.into_iter().find(|test| {
            let end = test.start.checked_add(TEST_SECONDS).unwrap_or(Timestamp::LATEST);
            test.site == *site && test.outcome == Kept::Sent && test.start < until && from < end
        });
        if let Some(test) = asked {
            return Err(TestError::AskedAlready { start: test.start });
        }
        Ok(capacity::declare(client, (program, site), span, why)?)
    })
}

/// Every test of a period's weeks that begin before `until` and end after `from`, by site and start.
pub(super) fn drawn(
    client: &mut impl GenericClient,
    period: &StoredPeriod,
    program: &Program,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<(Drawn, Enrolment)>, TestError> {
    let tests = testing(program)?;
    let hours = Hours::of(program, tests);
    let since = capacity::enrolled_since(client)?;
    let mut all = Vec::new();
    for monday in period.period.mondays() {
        let slots = hours.slots(monday);
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else {
            continue;
        };
        if *first >= until || *last < from {
            continue;
        }
        // Who takes part in a week is who was enrolled when its first test may begin.
        for home in programs::enrolments_at(client, *first)? {
            let was_there = since.get(&home.site).is_some_and(|since| since < first);
            if home.program != program.id || !was_there || !program.may_ask(&home.membership) {
                continue;
            }
            let test = draw(
                &period.seed,
                (&program.id, &home.site),
                tests.one_week_in,
                (monday, &slots),
            );
            all.extend(test.map(|test| (test, home)));
        }
    }
    Ok(all)
}

/// Sends every test that is due, and keeps why others are left out. What was done is not done again.
///
/// # Errors
/// [`TestError`]; what was sent before stands.
pub fn run(
    store: &mut Store,
    engine: &SigningIdentity,
    now: Timestamp,
) -> Result<Vec<StoredTest>, TestError> {
    store.transact(|client| {
        events::lock(client)?;
        let mut done = Vec::new();
        for period in capacity::periods(client)? {
            if period.revealed_at.is_some() {
                continue;
            }
            let program = read_version(client, &period)?;
            let notice = i64::from(program.dispatch.notice_minutes).saturating_mul(60);
            let reach = notice.saturating_add(SENT_WITHIN_SECONDS);
            let until = now.checked_add(reach).unwrap_or(Timestamp::LATEST);
            let due: Vec<_> = drawn(client, &period, &program, (now, until))?
                .into_iter()
                .filter(|(test, _)| {
                    let left = test.start.seconds_since(now);
                    left > 0 && notice <= left && left <= reach
                })
                .collect();
            if due.is_empty() {
                continue;
            }
            let held: BTreeSet<(SiteId, Timestamp)> = capacity::tests(client, &program.id)?
                .into_iter()
                .map(|test| (test.site, test.start))
                .collect();
            let claims = event_life::claims(client, &program.id)?;
            let unavailable = capacity::unavailable(client, &program.id)?;
            for (test, home) in due {
                if held.contains(&(home.site.clone(), test.start)) {
                    continue;
                }
                let spans = unavailable.get(&home.site).map_or(&[][..], Vec::as_slice);
                let outcome = if spans.iter().any(|span| span.excuses(test.start, now)) {
                    Kept::Unavailable
                } else {
                    claimed(&claims, &home.site, test.start, &program).map_or(Kept::Sent, Kept::Event)
                };
                done.push(put_out(
                    client,
                    engine,
                    (&period, &program),
                    (test, &home),
                    outcome,
                    now,
                )?);
            }
        }
        Ok(done)
    })
}

/// The event that has a site at the time of a test, or just before or after it.
pub(super) fn claimed(
    claims: &[Claim],
    site: &SiteId,
    start: Timestamp,
    program: &Program,
) -> Option<gridtally_protocol::instruction::EventId> {
    let around = Around::of(start, program.interval)?;
    let claim = claims
        .iter()
        .find(|claim| claim.sites.contains(site) && around.overlaps(&claim.window))?;
    Some(claim.event.clone())
}

fn put_out(
    client: &mut impl GenericClient,
    engine: &SigningIdentity,
    (period, program): (&StoredPeriod, &Program),
    (drawn, home): (Drawn, &Enrolment),
    outcome: Kept,
    now: Timestamp,
) -> Result<StoredTest, TestError> {
    let nameplate = nameplate(home);
    let test = StoredTest {
        name: name(&period.seed, &program.id, &home.site, drawn.monday)?,
        program: program.id.clone(),
        period: period.period,
        site: home.site.clone(),
        gateway: home.gateway,
        monday: drawn.monday,
        start: drawn.start,
        asked: testing(program)?.discharge.min(nameplate),
        nameplate,
        outcome,
        recorded_at: now,
        verdict: None,
    };
    capacity::insert_test(client, &test)?;
    if test.outcome == Kept::Sent {
        let end = test.start.checked_add(TEST_SECONDS);
        let window = Window {
            start: test.start,
            end: end.ok_or(TestError::EdgeOfTime(period.period))?,
        };
        let voice = Voice {
            engine,
            event: &test.name,
            program,
            secret: None,
            now,
        };
        voice.ask_for(client, window, test.asked, home.gateway)?;
    }
    Ok(test)
}
