//! The connection itself: when to make it, when to drop it, what to believe of what comes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use gridtally_protocol::time::Timestamp;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_modbus::client::{Client as _, Context};
use tokio_modbus::slave::SlaveContext as _;
use tokio_modbus::{ExceptionCode, Request, Response, Slave};

use super::backoff::Backoff;
use super::{
    Answer, BusError, BusSettings, Canary, Exchange, Query, READ_MAX, Table, WRITE_MAX, pace, tls, transport,
};
use crate::device::endpoint::Endpoint;

/// A device that is busy (exceptions 5 and 6) is asked once more after this.
const BUSY_WAIT: Duration = Duration::from_millis(200);
/// Devices are known that swallow what comes within their first seconds on a connection. Every fourth
/// connection to one that has not answered waits this long before it asks.
const DEAF: Duration = Duration::from_millis(2_500);
const DEAF_EVERY: u32 = 4;
/// No more units than Modbus can name.
const UNITS_MAX: usize = 256;

pub(super) struct Line {
    endpoint: Endpoint,
    settings: BusSettings,
    context: Option<Context>,
    /// Counts connections.
    connection: u64,
    /// Connecting failed so often.
    connecting: Backoff,
    units: BTreeMap<u8, Backoff>,
    /// Units of which frames of an earlier request may still come, on a line without transaction numbers.
    /// That another unit answers as it should says nothing of these.
    poisoned: BTreeSet<u8>,
    /// The longest deadline of what was left unanswered, since the line was last drained.
    drain: Duration,
    /// Connections in a row on which nothing was heard.
    unheard: u32,
    has_heard: bool,
    learnt_to_settle: bool,
    rested_at: Instant,
}

impl Line {
    pub(super) fn new(endpoint: Endpoint, mut settings: BusSettings) -> Self {
        if let Endpoint::Serial(line) = &endpoint {
            settings.pause = settings.pause.max(pace::frame_silence(line));
        }
        Self {
            endpoint,
            settings,
            context: None,
            connection: 0,
            connecting: Backoff::default(),
            units: BTreeMap::new(),
            poisoned: BTreeSet::new(),
            drain: Duration::ZERO,
            unheard: 0,
            has_heard: true,
            learnt_to_settle: false,
            rested_at: Instant::now(),
        }
    }

    /// Whether the unit did not answer when it was last asked.
    pub(super) fn is_silent(&self, unit: u8) -> bool {
        self.units.get(&unit).is_some_and(|backoff| backoff.has_failed())
    }

    /// Asks, and judges the answer.
    pub(super) async fn exchange(&mut self, exchange: &Exchange) -> Result<Answer, BusError> {
        check_size(&exchange.query)?;
        if !exchange.must {
            self.wait_is_over(exchange)?;
        }
        let mut answer = self.attempt(exchange).await;
        if let Err(BusError::Exception(ExceptionCode::ServerDeviceBusy | ExceptionCode::Acknowledge)) = answer
            && !exchange.query.is_write()
        {
            sleep(BUSY_WAIT).await;
            answer = self.attempt(exchange).await;
        }
        if let Err(BusError::Foreign(_)) = answer
            && self.is_unnumbered()
            && !exchange.query.is_write()
        {
            // A frame that another unit sent too late says nothing of this one. Nobody is asked in between:
            // he might be late again.
            self.drop_connection(exchange);
            answer = self.attempt(exchange).await;
        }
        self.learn(exchange, &answer);
        let words = answer?;
        Ok(Answer {
            words,
            connection: self.connection,
        })
    }

    fn wait_is_over(&self, exchange: &Exchange) -> Result<(), BusError> {
        let unit = self.units.get(&exchange.unit).copied().unwrap_or_default();
        let connecting = match self.context {
            None => self.connecting,
            Some(_) => Backoff::default(),
        };
        let next = unit
            .waits_until(exchange.now)
            .max(connecting.waits_until(exchange.now));
        next.map_or(Ok(()), |next| {
            Err(BusError::BackingOff {
                endpoint: self.endpoint.to_string(),
                unit: exchange.unit,
                next,
            })
        })
    }

    fn learn(&mut self, exchange: &Exchange, answer: &Result<Vec<u16>, BusError>) {
        let Some(error) = answer.as_ref().err() else {
            if !exchange.is_guest {
                self.units.remove(&exchange.unit);
            }
            return;
        };
        if error.is_poison() {
            self.drop_connection(exchange);
        }
        if exchange.is_guest {
            return;
        }
        if error.is_silence() {
            if self.units.len() < UNITS_MAX || self.units.contains_key(&exchange.unit) {
                let unit = self.units.entry(exchange.unit).or_default();
                unit.failed(exchange.now, chance());
            }
        } else if error.is_answer() {
            self.units.remove(&exchange.unit);
        }
    }

    /// Whether a late reply looks like the next one.
    const fn is_unnumbered(&self) -> bool {
        self.endpoint.is_rtu() || self.settings.ignores_transaction_ids
    }

    fn drop_connection(&mut self, exchange: &Exchange) {
        self.context = None;
        if self.is_unnumbered() {
            self.poisoned.insert(exchange.unit);
            self.drain = self.drain.max(exchange.deadline);
        }
    }

    async fn attempt(&mut self, exchange: &Exchange) -> Result<Vec<u16>, BusError> {
        self.connect(exchange.now, exchange.deadline).await?;
        if self.poisoned.contains(&exchange.unit) {
            match &exchange.canary {
                Some(canary) => {
                    self.check_step(exchange, canary).await?;
                    self.poisoned.remove(&exchange.unit);
                }
                None if exchange.is_guest => return Err(BusError::NotInStep),
                None => self.keep_step(exchange).await?,
            }
        }
        self.ask(exchange.unit, &exchange.query, exchange.deadline).await
    }

    async fn connect(&mut self, now: Timestamp, deadline: Duration) -> Result<(), BusError> {
        if self.context.is_some() {
            return Ok(());
        }
        match transport::open(&self.endpoint, &self.settings, deadline, self.drain).await {
            Ok(context) => {
                self.context = Some(context);
                self.drain = Duration::ZERO;
                self.connection = self.connection.wrapping_add(1);
                self.connecting.succeeded();
            }
            Err(source) => {
                self.connecting.failed(now, chance());
                return Err(BusError::Connect {
                    endpoint: self.endpoint.to_string(),
                    source,
                });
            }
        }
        self.unheard = if self.has_heard {
            0
        } else {
            self.unheard.saturating_add(1)
        };
        self.has_heard = false;
        if !self.endpoint.is_rtu() {
            self.learnt_to_settle = match self.unheard {
                // What was learnt is not forgotten because the device was off for once.
                0..DEAF_EVERY => self.learnt_to_settle,
                // If this is what it takes, then from now on.
                unheard => unheard.is_multiple_of(DEAF_EVERY),
            };
            let learnt = if self.learnt_to_settle {
                DEAF
            } else {
                Duration::ZERO
            };
            self.rested_at = Instant::now() + self.settings.settle.max(learnt);
        }
        Ok(())
    }

    /// Reads registers that are known, in two lengths: whatever was on its way cannot answer both.
    async fn check_step(&mut self, exchange: &Exchange, canary: &Canary) -> Result<(), BusError> {
        let known = canary.words.get(..usize::from(READ_MAX)).unwrap_or(&canary.words);
        for words in [known, &known[..known.len().saturating_sub(1)]] {
            let query = Query::Read {
                table: canary.table,
                address: canary.address,
                count: u16::try_from(words.len()).unwrap_or(READ_MAX),
            };
            if self.ask(exchange.unit, &query, exchange.deadline).await? != words {
                return Err(BusError::NotInStep);
            }
        }
        Ok(())
    }

    /// A unit of which nothing is known is asked for one register less before each question: an answer that
    /// was on its way is as long as one of the two at most, and ends the attempt.
    async fn keep_step(&mut self, exchange: &Exchange) -> Result<(), BusError> {
        let Query::Read {
            table,
            address,
            count: count @ 2..,
        } = exchange.query
        else {
            return Ok(());
        };
        let count = count.saturating_sub(1);
        let query = Query::Read {
            table,
            address,
            count,
        };
        match self.ask(exchange.unit, &query, exchange.deadline).await {
            // Half a number may not be asked for on some devices, and to say so is an answer, too.
            Ok(_) | Err(BusError::Exception(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn ask(&mut self, unit: u8, query: &Query, deadline: Duration) -> Result<Vec<u16>, BusError> {
        // The runtime's timer is coarse: a rest that is over must not cost a millisecond.
        if self.rested_at > Instant::now() {
            sleep_until(self.rested_at).await;
        }
        let answer = self
            .call(unit, query, deadline)
            .await
            .and_then(|response| judge(query, response));
        self.rested_at = Instant::now() + self.settings.pause;
        self.has_heard |= !matches!(answer, Err(BusError::Timeout { .. } | BusError::Transport(_)));
        answer
    }

    async fn call(&mut self, unit: u8, query: &Query, deadline: Duration) -> Result<Response, BusError> {
        let Some(context) = &mut self.context else {
            return Err(BusError::Transport(io::ErrorKind::NotConnected.into()));
        };
        context.set_slave(Slave(unit));
        match timeout(deadline, context.call(request(query))).await {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(exception))) => Err(BusError::Exception(exception)),
            Ok(Err(tokio_modbus::Error::Protocol(error))) => Err(foreign(&error.to_string())),
            Ok(Err(tokio_modbus::Error::Transport(error))) => Err(broken(&self.endpoint, error)),
            Err(_) => Err(BusError::Timeout { after: deadline }),
        }
    }
}

/// Only what the system and TLS report tells of the connection, and even then the kind means nothing: a closed
/// one shows the last error of the system, whatever that was. The rest is the client's complaint about a frame.
fn broken(endpoint: &Endpoint, error: io::Error) -> BusError {
    // TLS tells a cut from an end, and says so without the system.
    let is_cut = matches!(endpoint, Endpoint::Tls(_)) && error.kind() == io::ErrorKind::UnexpectedEof;
    let is_of_connection = error.raw_os_error().is_some() || error.kind() == io::ErrorKind::BrokenPipe;
    if is_of_connection || is_cut || tls::is_of_tls(&error) {
        BusError::Transport(tls::in_words(error))
    } else {
        foreign(&error.to_string())
    }
}

fn check_size(query: &Query) -> Result<(), BusError> {
    let (address, count, max) = match query {
        Query::Read { address, count, .. } => (*address, usize::from(*count), usize::from(READ_MAX)),
        Query::Write { address, words } => (*address, words.len(), WRITE_MAX),
        Query::WriteOne { address, .. } => (*address, 1, 1),
    };
    let last = u16::try_from(count.saturating_sub(1)).ok();
    let fits = last.is_some_and(|last| address.checked_add(last).is_some());
    if count == 0 || count > max || !fits {
        return Err(BusError::Request { address, count });
    }
    Ok(())
}

fn request(query: &Query) -> Request<'_> {
    match query {
        Query::Read {
            table: Table::Holding,
            address,
            count,
        } => Request::ReadHoldingRegisters(*address, *count),
        Query::Read {
            table: Table::Input,
            address,
            count,
        } => Request::ReadInputRegisters(*address, *count),
        Query::Write { address, words } => Request::WriteMultipleRegisters(*address, Cow::Borrowed(words)),
        Query::WriteOne { address, word } => Request::WriteSingleRegister(*address, *word),
    }
}

/// Whether the response is the answer to the query, and to no other.
fn judge(query: &Query, response: Response) -> Result<Vec<u16>, BusError> {
    match (query, response) {
        (
            Query::Read {
                table: Table::Holding,
                count,
                ..
            },
            Response::ReadHoldingRegisters(words),
        )
        | (
            Query::Read {
                table: Table::Input,
                count,
                ..
            },
            Response::ReadInputRegisters(words),
        ) => {
            let asked = usize::from(*count);
            if words.len() == asked {
                return Ok(words);
            }
            Err(BusError::Length {
                asked,
                received: words.len(),
            })
        }
        (Query::Write { address, words }, Response::WriteMultipleRegisters(at, count))
            if at == *address && usize::from(count) == words.len() =>
        {
            Ok(Vec::new())
        }
        (Query::WriteOne { address, word }, Response::WriteSingleRegister(at, written))
            if at == *address && written == *word =>
        {
            Ok(Vec::new())
        }
        (_, other) => Err(foreign(&format!("{other:?}"))),
    }
}

fn foreign(what: &str) -> BusError {
    BusError::Foreign(what.chars().take(120).collect())
}

/// A byte of chance; where the system has none, there is no jitter.
fn chance() -> u8 {
    let mut byte = [0];
    if getrandom::fill(&mut byte).is_err() {
        return 0;
    }
    byte[0]
}
