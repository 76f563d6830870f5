//! What test dispatches proved, and whether they are those that were drawn.

use std::collections::BTreeMap;

use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::instruction::{EventId, Instruction, Target};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::plan::DispatchError;
use super::testing::{self, TestError, claimed, drawn};
use crate::capacity::TEST_SECONDS;
use crate::capacity::audit::{DrawnTests, Finding, Held, Known, Outcome, audit};
use crate::capacity::forecast::{Around, MeterReadings};
use crate::capacity::period::Period;
use crate::capacity::verdict::{Answer, Failure, Test, Verdict};
use crate::events::revision::{Actor, Why, Window};
use crate::registry::Enrolment;
use crate::rules::calendar::{LocalSlot, day_start, plus_days};
use crate::rules::program::{Program, ProgramId};
use crate::store::capacity::{self, Kept, StoredTest};
use crate::store::reports::{self, ReadingValue};
use crate::store::{Store, StoreError, event_life, events, outages, programs};

/// So long after a test's day it waits for readings and answers that are late.
pub const PATIENCE_SECONDS: i64 = 86_400;

/// Judges every test whose local day is over and of which all is known, or of which nothing more is waited for. The day
/// of a test that was sent is not compared with events: it is kept as one on which the site was not as usual.
///
/// # Errors
/// [`TestError`]; what was judged before stands.
pub fn judge(store: &mut Store, now: Timestamp) -> Result<Vec<StoredTest>, TestError> {
    store.transact(|client| {
        events::lock(client)?;
        let mut judged = Vec::new();
        for period in capacity::periods(client)? {
            let open = |test: &StoredTest| test.verdict.is_none() && test.period == period.period;
            let tests = capacity::tests(client, &period.program)?;
            let tests: Vec<StoredTest> = tests.into_iter().filter(open).collect();
            if tests.is_empty() {
                continue;
            }
            let program = testing::read_version(client, &period)?;
            for mut test in tests {
                let verdict = verdict(client, &program, &test, now)?;
                if let Some(verdict) = verdict {
                    capacity::insert_verdict(client, &test.name, verdict, now)?;
                    test.verdict = Some(verdict);
                    judged.push(test);
                }
            }
        }
        Ok(judged)
    })
}

/// The verdict on a test, where it is time for it.
fn verdict(
    client: &mut impl GenericClient,
    program: &Program,
    test: &StoredTest,
    now: Timestamp,
) -> Result<Option<Verdict>, TestError> {
    match test.outcome {
        Kept::Unavailable => return Ok(Some(Verdict::Unavailable)),
        Kept::Event(_) => return Ok(Some(Verdict::Void(crate::capacity::verdict::Void::Event))),
        Kept::Sent => {}
    }
    let edge = || TestError::EdgeOfTime(test.period);
    let around = Around::of(test.start, program.interval).ok_or_else(edge)?;
    let day = LocalSlot::of(test.start, program.zone).ok_or_else(edge)?.day;
    let next_day = plus_days(day, 1).and_then(|day| day_start(day, program.zone, program.interval));
    let over = next_day.ok_or_else(edge)?.max(around.end);
    if now < over {
        return Ok(None);
    }
    let claims = event_life::claims(client, &program.id)?;
    let home = programs::enrolments_of(client, [test.gateway], test.start)?.pop();
    let readings = match &home {
        Some(home) => metered(client, home, &around)?,
        None => MeterReadings::new(),
    };
    let unavailable = capacity::unavailable(client, &program.id)?;
    let known = Test {
        start: test.start,
        issued_at: test.recorded_at,
        asked: test.asked,
        nameplate: test.nameplate,
        least_percent: testing::testing(program)?.least_percent,
        interval: program.interval,
        answer: answer(client, test)?,
        in_event: claimed(&claims, &test.site, test.start, program).is_some(),
        unavailable: unavailable.get(&test.site).map_or(&[], Vec::as_slice),
        readings: &readings,
    };
    let verdict = known.verdict().map_err(|problem| TestError::Arithmetic {
        site: test.site.clone(),
        start: test.start,
        problem,
    })?;
    let may_come = matches!(verdict, Verdict::Failed(Failure::NoReadings | Failure::NoAnswer));
    if may_come && now.seconds_since(over) < PATIENCE_SECONDS {
        return Ok(None);
    }
    // On a day with an event the site is compared with others in any case, and nothing of that event is excused.
    let mut of_site = claims.iter().filter(|claim| claim.sites.contains(&test.site));
    let is_event_day = of_site.any(|claim| {
        let start = LocalSlot::of(claim.window.start, program.zone);
        start.is_some_and(|start| start.day == day)
    });
    if !is_event_day {
        let why: Why = "a test dispatch".parse().map_err(|_| edge())?;
        let hand = (&Actor::operator(), &why);
        outages::declare(client, (&program.id, &test.site), day, hand, now)?;
    }
    Ok(Some(verdict))
}

/// What a site said to a test before it was over; its last word counts.
fn answer(client: &mut impl GenericClient, test: &StoredTest) -> Result<Answer, StoreError> {
    let end = test.start.checked_add(TEST_SECONDS).unwrap_or(Timestamp::LATEST);
    let mut answer = Answer::None;
    for acknowledgement in events::acknowledgements_of(client, &test.name)? {
        if acknowledgement.received_at >= end {
            continue;
        }
        match Acknowledgement::open(&acknowledgement.envelope).map(|signed| signed.message.stage) {
            Ok(Stage::OptedIn(_)) => answer = Answer::OptedIn,
            Ok(Stage::OptedOut(_)) => answer = Answer::OptedOut,
            _ => {}
        }
    }
    Ok(answer)
}

/// What the meter of a site's connection counted, import less export, of the intervals that are known in full.
fn metered(
    client: &mut impl GenericClient,
    home: &Enrolment,
    around: &Around,
) -> Result<MeterReadings, StoreError> {
    let Some(start) = around.start() else {
        return Ok(MeterReadings::new());
    };
    let is_meter = |quantity| matches!(quantity, Quantity::GridImport | Quantity::GridExport);
    let channels = home.devices.iter().flat_map(|device| &device.quantities);
    let channels = channels.filter(|quantity| is_meter(**quantity)).count();
    let mut sums: BTreeMap<Timestamp, (usize, Option<i64>)> = BTreeMap::new();
    for reading in reports::readings_of(client, &home.gateway, start, around.end)? {
        let (quantity, ReadingValue::Value(value)) = (reading.channel.quantity, reading.value) else {
            continue;
        };
        if !is_meter(quantity) {
            continue;
        }
        let (count, sum) = sums.entry(reading.start).or_insert((0, Some(0)));
        *count = count.saturating_add(1);
        *sum = sum.and_then(|sum| match quantity {
            Quantity::GridImport => sum.checked_add(value),
            _ => sum.checked_sub(value),
        });
    }
    let whole = |(start, (count, sum))| (count == channels).then_some((start, sum?));
    Ok(sums.into_iter().filter_map(whole).collect())
}

/// Draws a period again from its seed: the first thing that is not as it was drawn, or nothing, with the number of tests.
///
/// # Errors
/// [`TestError`] before the seed is told.
pub fn check(
    store: &mut Store,
    program: &ProgramId,
    period: Period,
) -> Result<(usize, Option<Finding>), TestError> {
    store.transact(|client| {
        let kept = capacity::period(client, program, period)?;
        if kept.revealed_at.is_none() {
            return Err(TestError::NotTold(period));
        }
        let version = testing::read_version(client, &kept)?;
        let start = period.start(version.zone, version.interval);
        let start = start.ok_or(TestError::EdgeOfTime(period))?;
        let everything = (Timestamp::EPOCH, Timestamp::LATEST);
        let drawn: DrawnTests = drawn(client, &kept, &version, everything)?
            .into_iter()
            .map(|(test, home)| ((home.site, test.start), test.monday))
            .collect();
        let tests = capacity::tests(client, program)?;
        let mut held = Vec::new();
        for test in tests.into_iter().filter(|test| test.period == period) {
            held.extend(as_held(client, test)?);
        }
        let claims = event_life::claims(client, program)?.into_iter();
        let events: BTreeMap<EventId, _> = claims
            .map(|claim| (claim.event, (claim.window, claim.sites.into_iter().collect())))
            .collect();
        let known = Known {
            program,
            seed: &kept.seed,
            committed: kept.commitment,
            committed_at: kept.committed_at,
            start,
            interval: version.interval,
            unavailable: &capacity::unavailable(client, program)?,
            events: &events,
        };
        Ok((drawn.len(), audit(&known, &drawn, &held)))
    })
}

/// A test with what its signed instruction says; one without an instruction was never sent.
fn as_held(client: &mut impl GenericClient, test: StoredTest) -> Result<Option<Held>, TestError> {
    let outcome = match test.outcome {
        Kept::Unavailable => Outcome::Unavailable,
        Kept::Event(event) => Outcome::Event(event),
        Kept::Sent => {
            let sent = events::instructions_of(client, &test.name)?.into_iter().next();
            let Some(sent) = sent else { return Ok(None) };
            let said = Instruction::open(&sent.envelope)
                .map_err(DispatchError::from)?
                .message;
            let asked = match said.target {
                Target::SetPoint(power) if said.gateway == test.gateway => power,
                _ => Milliwatts::ZERO,
            };
            Outcome::Sent {
                issued_at: said.issued_at,
                window: Window {
                    start: said.start,
                    end: said.end,
                },
                asked,
                event: said.event,
            }
        }
    };

    Ok(Some(Held {
        site: test.site,
        monday: test.monday,
        start: test.start,
        asks: test.asked,
        recorded_at: test.recorded_at,
        outcome,
    }))
}
