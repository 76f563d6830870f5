//! Connections that believe nothing.
//!
//! A [`Bus`] is one connection, owned by one task, which carries the requests of all devices behind it one at
//! a time: every reply is checked for kind, place and length, every request has a deadline, and after
//! anything but an answer to the very question the connection is dropped, because whatever comes on it next
//! may belong to an earlier request. A line of RTU frames, which bear no transaction number, is drained
//! besides, and believed again only when registers of the unit that never change have read back as they are
//! known ([`Canary`]).
//!
//! ```text
//! device ─┐
//! device ─┼─▶ queue ─▶ line: backs off, connects, drains, rests, asks, judges ─▶ socket or serial line
//! device ─┘   writes first, silent units last
//! ```
//!
//! [`pace`] reckons what a serial line can carry; [`tls`] is Modbus/TCP Security.

mod backoff;
mod error;
mod line;
pub mod pace;
mod quiet;
mod renumber;
pub mod tls;
mod transport;

use std::collections::VecDeque;
use std::time::Duration;

use gridtally_protocol::time::Timestamp;
use tokio::sync::{mpsc, oneshot};

pub use self::error::BusError;
use self::line::Line;
use self::tls::Tls;
use crate::device::endpoint::Endpoint;

/// Modbus Application Protocol 1.1b3, §6.3: registers in one read.
pub const READ_MAX: u16 = 125;
/// §6.12: registers in one write.
pub const WRITE_MAX: usize = 123;
/// Each device asks one thing at a time, and a gateway has 247 units at most.
const QUEUE: usize = 256;

/// Which registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Read with function 3, written with 6 and 16.
    Holding,
    /// Read with function 4.
    Input,
}

/// Registers of a unit that never change, by which a line is known to be in step again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// In which table.
    pub table: Table,
    /// The first of them.
    pub address: u16,
    /// What they hold: two registers at least, so that they can be read in two different lengths, and the
    /// answer to one reading is never taken for that of the other.
    pub words: Vec<u16>,
}

/// What is asked of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// So many registers, in one request (functions 3 and 4).
    Read {
        /// From which table.
        table: Table,
        /// The first register.
        address: u16,
        /// How many: 1 to [`READ_MAX`].
        count: u16,
    },
    /// Registers to be written in one request (function 16).
    Write {
        /// The first register.
        address: u16,
        /// Their new contents: 1 to [`WRITE_MAX`].
        words: Vec<u16>,
    },
    /// One register to be written (function 6), for devices that know no other way.
    WriteOne {
        /// The register.
        address: u16,
        /// Its new contents.
        word: u16,
    },
}

impl Query {
    const fn is_write(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }
}

/// How a connection is used.
#[derive(Debug, Clone)]
pub struct BusSettings {
    /// The certificates of a [`Endpoint::Tls`].
    pub tls: Option<Tls>,
    /// The rest that the devices want between two requests.
    pub pause: Duration,
    /// How long the device swallows requests after a connection was made.
    pub settle: Duration,
    /// The transaction numbers of replies are not those of their requests: the connection is then treated as a
    /// serial line is, on which there are none.
    pub ignores_transaction_ids: bool,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self {
            tls: None,
            pause: Duration::ZERO,
            settle: Duration::ZERO,
            ignores_transaction_ids: false,
        }
    }
}

/// A request on its way to the connection.
#[derive(Debug)]
struct Exchange {
    unit: u8,
    query: Query,
    deadline: Duration,
    now: Timestamp,
    must: bool,
    /// Asked for other software in the house: after everything else, and nothing is learnt from it.
    is_guest: bool,
    canary: Option<Canary>,
    reply: oneshot::Sender<Result<Answer, BusError>>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The registers that were read; none of a write.
    pub words: Vec<u16>,
    /// The number of the connection that it came on, so that what was learnt on an earlier one can be
    /// looked at anew.
    pub connection: u64,
}

/// A handle to a connection. The task behind it ends with its last handle.
#[derive(Debug, Clone)]
pub struct Bus {
    exchanges: mpsc::Sender<Exchange>,
}

impl Bus {
    /// Starts the task of a connection on the current runtime. It connects at the first request.
    #[must_use]
    pub fn start(endpoint: Endpoint, settings: BusSettings) -> Self {
        let (exchanges, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(serve(Line::new(endpoint, settings), inbox));
        Self { exchanges }
    }

    /// One unit behind the connection, whose answers may take until the deadline.
    #[must_use]
    pub fn unit(&self, unit: u8, deadline: Duration) -> Unit {
        Unit {
            bus: self.clone(),
            unit,
            deadline,
            canary: None,
        }
    }
}

/// A unit behind a connection.
#[derive(Debug)]
pub struct Unit {
    bus: Bus,
    unit: u8,
    deadline: Duration,
    canary: Option<Canary>,
}

impl Unit {
    /// Lets the line be checked by these registers after it has been silent.
    pub fn know(&mut self, canary: Canary) {
        self.canary = (canary.words.len() > 1).then_some(canary);
    }

    /// What was known of the unit may not be true of it any more.
    pub fn forget(&mut self) {
        self.canary = None;
    }

    /// Reads `count` registers from `address` on, in one request. After failures nothing is asked before the
    /// wait is over, unless `must`.
    ///
    /// # Errors
    /// [`BusError`].
    pub async fn read(
        &self,
        table: Table,
        address: u16,
        count: u16,
        now: Timestamp,
        must: bool,
    ) -> Result<Answer, BusError> {
        self.ask(
            Query::Read {
                table,
                address,
                count,
            },
            now,
            must,
        )
        .await
    }

    /// Writes. Nothing is written before the wait after a failure is over.
    ///
    /// # Errors
    /// [`BusError`]. After a time-out it is unknown whether the device took the values.
    pub async fn write(&self, query: Query, now: Timestamp) -> Result<(), BusError> {
        self.ask(query, now, false).await.map(drop)
    }

    /// Asks anything.
    ///
    /// # Errors
    /// [`BusError`].
    pub async fn ask(&self, query: Query, now: Timestamp, must: bool) -> Result<Answer, BusError> {
        self.send(query, now, must, false).await
    }

    /// Asks for other software in the house: when nothing else is to be asked, whatever the unit did before,
    /// and never on a line that may be out of step.
    ///
    /// # Errors
    /// [`BusError`].
    pub async fn ask_as_a_guest(&self, query: Query) -> Result<Vec<u16>, BusError> {
        let answer = self.send(query, Timestamp::EPOCH, true, true).await?;
        Ok(answer.words)
    }

    async fn send(
        &self,
        query: Query,
        now: Timestamp,
        must: bool,
        is_guest: bool,
    ) -> Result<Answer, BusError> {
        let (reply, answer) = oneshot::channel();
        let exchange = Exchange {
            is_guest,
            unit: self.unit,
            query,
            deadline: self.deadline,
            now,
            must,
            canary: self.canary.clone(),
            reply,
        };
        self.bus
            .exchanges
            .send(exchange)
            .await
            .map_err(|_| BusError::Ended)?;
        answer.await.map_err(|_| BusError::Ended)?
    }
}

async fn serve(mut line: Line, mut inbox: mpsc::Receiver<Exchange>) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match inbox.recv().await {
                Some(exchange) => waiting.push_back(exchange),
                None => return,
            }
        }
        while let Ok(exchange) = inbox.try_recv() {
            waiting.push_back(exchange);
        }
        let next = waiting
            .iter()
            .enumerate()
            .min_by_key(|(place, exchange)| {
                let is_silent = line.is_silent(exchange.unit);
                (exchange.is_guest, is_silent, !exchange.query.is_write(), *place)
            })
            .map(|(place, _)| place);
        if let Some(exchange) = next.and_then(|place| waiting.remove(place)) {
            // Whoever asked may have gone; his answer is dropped then.
            let answer = line.exchange(&exchange).await;
            drop(exchange.reply.send(answer));
        }
    }
}
