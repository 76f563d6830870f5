//! The three measurements of ingest.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use super::BenchError;
use super::scratch::Scratch;
use super::wire;
use super::workload::{Size, Workload};
use crate::clock::Clock;
use crate::engine::{Engine, EngineOptions};
use crate::ingest::{Arrival, Judged, Knowledge, judge, open_all};
use crate::store::{Store, create_beside, days, programs, reports};
use crate::supervise::{PrivateBroker, PrivateCluster};

/// What was measured with reports of one size.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Which size.
    pub size: Size,
    /// How many reports there were.
    pub reports: usize,
    /// How many readings they hold.
    pub readings: u64,
    /// The bytes of all envelopes.
    pub bytes: usize,
    /// To open every report on one core: form, strict signature, payload.
    pub verify_one_core: Duration,
    /// The same on all cores.
    pub verify_all_cores: Duration,
    /// To insert and commit the rows of all reports, a thousand reports a transaction.
    pub insert: Duration,
    /// From the first publish to the last receipt, through the broker and the engine.
    pub mqtt_to_durable: Duration,
}

/// Reports in one transaction of the bulk insert.
const BATCH: usize = 1_000;

/// Measures each size in a scratch directory below `parent`; `progress` hears what is being done.
///
/// # Errors
/// [`BenchError`] that says what went wrong; nothing is left behind.
pub fn ingest(
    sizes: &[Size],
    parent: &Path,
    mut progress: impl FnMut(&str),
) -> Result<Vec<Figures>, BenchError> {
    progress("starting a private database and a private broker");
    let scratch = Scratch::make(parent)?;
    let cluster = PrivateCluster::start(scratch.path())?;
    let broker = PrivateBroker::start(scratch.path(), Some(([127, 0, 0, 1], 0).into()))?;
    let bench = Bench {
        scratch: &scratch,
        cluster: &cluster,
        broker: &broker,
    };
    sizes
        .iter()
        .map(|size| bench.measure(*size, &mut progress))
        .collect()
}

struct Bench<'a> {
    scratch: &'a Scratch,
    cluster: &'a PrivateCluster,
    broker: &'a PrivateBroker,
}

impl Bench<'_> {
    fn measure(&self, size: Size, progress: &mut impl FnMut(&str)) -> Result<Figures, BenchError> {
        let mut say = |what: &str| {
            progress(&format!(
                "{} reports of {} intervals: {what}",
                size.reports, size.intervals
            ))
        };
        say("signing");
        let workload = Workload::sign(size)?;
        say("verifying on one core");
        let verify_one_core = verify(&workload, |messages| {
            messages
                .into_iter()
                .map(|(topic, bytes)| Arrival::open(&topic, bytes))
                .collect()
        })?;
        say("verifying on all cores");
        let verify_all_cores = verify(&workload, open_all)?;
        say("inserting");
        let insert = self.insert(&workload, size)?;
        say("from MQTT to durable");
        let mqtt_to_durable = self.carry(&workload, size)?;
        Ok(Figures {
            size,
            reports: workload.reports.len(),
            readings: workload.readings,
            bytes: workload.reports.iter().map(|r| r.envelope.len()).sum(),
            verify_one_core,
            verify_all_cores,
            insert,
            mqtt_to_durable,
        })
    }

    /// A database with the workload's sites in it.
    fn database(&self, name: &str, workload: &Workload) -> Result<String, BenchError> {
        let url = create_beside(&self.cluster.connection_string(), name)?;
        Store::open(&url)?.transact(|t| {
            workload
                .enrolments
                .iter()
                .try_for_each(|enrolment| programs::enrol(t, enrolment, workload.now))
        })?;
        Ok(url)
    }

    fn insert(&self, workload: &Workload, size: Size) -> Result<Duration, BenchError> {
        let batches = rows(workload);
        let url = self.database(&format!("insert_{}", size.intervals), workload)?;
        let mut store = Store::open(&url)?;
        let start = Instant::now();
        for batch in &batches {
            store.transact(|t| {
                reports::insert_reports(t, &batch.reports)?;
                days::join(t, &batch.days, workload.now)
            })?;
        }
        let took = start.elapsed();
        self.complete(&mut store, workload)?;
        Ok(took)
    }

    fn carry(&self, workload: &Workload, size: Size) -> Result<Duration, BenchError> {
        let url = self.database(&format!("carry_{}", size.intervals), workload)?;
        let options = EngineOptions {
            data: self.scratch.path().join("engine"),
            database: Some(url.clone()),
            broker: Some(self.broker.address().to_string()),
            ..EngineOptions::default()
        };
        let clock = Clock::stepped();
        clock.set(workload.now);
        let engine = Engine::start(&options, clock)?;
        let took = wire::publish(engine.broker(), engine.identity(), &workload.reports);
        engine.stop();
        self.complete(&mut Store::open(&url)?, workload)?;
        took
    }

    fn complete(&self, store: &mut Store, workload: &Workload) -> Result<(), BenchError> {
        let (held, readings) = store.transact(|t| reports::volume(t))?;
        let sent = workload.reports.len();
        match (usize::try_from(held), u64::try_from(readings)) {
            (Ok(held), Ok(readings)) if held == sent && readings == workload.readings => Ok(()),
            (held, _) => Err(BenchError::Lost {
                sent,
                taken: held.unwrap_or(0),
            }),
        }
    }
}

fn verify(
    workload: &Workload,
    open: impl FnOnce(Vec<(String, Vec<u8>)>) -> Vec<Arrival>,
) -> Result<Duration, BenchError> {
    let messages = workload.messages();
    let start = Instant::now();
    let arrivals = black_box(open(messages));
    let took = start.elapsed();
    let taken = arrivals.iter().filter(|a| a.place().is_some()).count();
    let sent = workload.reports.len();
    if taken == sent {
        Ok(took)
    } else {
        Err(BenchError::Lost { sent, taken })
    }
}

/// The rows of the reports, as ingest makes them.
fn rows(workload: &Workload) -> Vec<Judged> {
    let messages = workload.messages();
    messages
        .chunks(BATCH)
        .map(|batch| {
            let enrolments = workload
                .enrolments
                .iter()
                .map(|e| (e.gateway, e.clone()))
                .collect();
            judge(
                &open_all(batch.to_vec()),
                Knowledge {
                    enrolments,
                    ..Knowledge::default()
                },
                workload.now,
            )
        })
        .collect()
}
