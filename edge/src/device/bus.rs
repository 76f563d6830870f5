//! One Modbus TCP connection that believes nothing: every reply is checked for kind, place and length,
//! every request has a deadline, and after anything but an answer to the very question the connection is
//! dropped, because whatever comes on it next may belong to an earlier request.

use std::borrow::Cow;
use std::time::Duration;

use gridtally_protocol::time::Timestamp;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_modbus::client::{Client as _, Context, tcp};
use tokio_modbus::{ExceptionCode, Request, Response, Slave};

/// Modbus Application Protocol 1.1b3, §6.3: registers in one read.
pub const READ_MAX: u16 = 125;
/// §6.12: registers in one write.
pub const WRITE_MAX: usize = 123;
/// The longest wait between two attempts to connect, in seconds of the agent's clock.
const BACKOFF_SECONDS_MAX: i64 = 300;
const BACKOFF_SECONDS_FIRST: i64 = 5;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No connection could be made.
    #[error("{address} does not accept a connection: {source}")]
    Connect {
        /// The device's address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Too early to try again after failures.
    #[error("{address} did not accept a connection; the next attempt is at {next}")]
    BackingOff {
        /// The device's address.
        address: String,
        /// When the next attempt is due.
        next: Timestamp,
    },
    /// No answer within the deadline.
    #[error("no answer within {} ms", after.as_millis())]
    Timeout {
        /// The deadline.
        after: Duration,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Transport(std::io::Error),
    /// The reply is no answer to the request.
    #[error("a reply to another request: {0}")]
    Foreign(String),
    /// The reply has another number of registers than were asked for.
    #[error("{received} registers came where {asked} were asked for")]
    Length {
        /// How many were asked for.
        asked: usize,
        /// How many came.
        received: usize,
    },
    /// The device refused.
    #[error("the device refuses: {0}")]
    Exception(ExceptionCode),
    /// The request is longer than Modbus allows, or runs off the end of the register space.
    #[error("a request for {count} registers at {address} cannot be made")]
    Request {
        /// The first register.
        address: u16,
        /// How many.
        count: usize,
    },
}

impl BusError {
    /// Whether the device said anything at all.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Foreign(_) | Self::Length { .. } | Self::Exception(_))
    }
}

/// A connection to one unit, made when it is needed and dropped when it is poisoned.
#[derive(Debug)]
pub struct Bus {
    address: String,
    unit: u8,
    deadline: Duration,
    connection: Option<Connection>,
    /// Counts connections, so that what was learnt on an earlier one can be forgotten.
    epoch: u64,
    failures: u32,
    next_attempt: Timestamp,
}

struct Connection(Context);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Bus {
    /// A bus to `address` (`host:port`) and a unit there. Connects at the first request.
    #[must_use]
    pub fn new(address: String, unit: u8, deadline: Duration) -> Self {
        Self {
            address,
            unit,
            deadline,
            connection: None,
            epoch: 0,
            failures: 0,
            next_attempt: Timestamp::EPOCH,
        }
    }

    /// Makes a connection where there is none; returns the number of the present one.
    ///
    /// After a failure it is not tried again before a time that doubles up to five minutes, unless `must`.
    ///
    /// # Errors
    /// [`BusError::Connect`], [`BusError::Timeout`] or [`BusError::BackingOff`].
    pub async fn connect(&mut self, now: Timestamp, must: bool) -> Result<u64, BusError> {
        if self.connection.is_some() {
            return Ok(self.epoch);
        }
        if !must && now < self.next_attempt {
            return Err(BusError::BackingOff {
                address: self.address.clone(),
                next: self.next_attempt,
            });
        }
        match self.open().await {
            Ok(context) => {
                self.connection = Some(Connection(context));
                self.epoch = self.epoch.wrapping_add(1);
                self.failures = 0;
                Ok(self.epoch)
            }
            Err(error) => {
                let wait = BACKOFF_SECONDS_FIRST
                    .saturating_mul(1_i64.checked_shl(self.failures.min(10)).unwrap_or(i64::MAX))
                    .min(BACKOFF_SECONDS_MAX);
                self.failures = self.failures.saturating_add(1);
                self.next_attempt = now.checked_add(wait).unwrap_or(now);
                Err(error)
            }
        }
    }

    async fn open(&mut self) -> Result<Context, BusError> {
        let address = self.address.clone();
        let refused = |source| BusError::Connect {
            address: address.clone(),
            source,
        };
        let stream = timeout(self.deadline, TcpStream::connect(&self.address))
            .await
            .map_err(|_| BusError::Timeout { after: self.deadline })?
            .map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        Ok(tcp::attach_slave(stream, Slave(self.unit)))
    }

    /// Drops the connection.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Reads `count` holding registers from `address` on, in one request (function 3).
    ///
    /// # Errors
    /// [`BusError`]; after any but [`BusError::Exception`] and [`BusError::Request`] the connection is gone.
    pub async fn read(&mut self, address: u16, count: u16) -> Result<Vec<u16>, BusError> {
        if count == 0 || count > READ_MAX || address.checked_add(count.saturating_sub(1)).is_none() {
            return Err(BusError::Request {
                address,
                count: usize::from(count),
            });
        }
        let asked = usize::from(count);
        let response = self.call(Request::ReadHoldingRegisters(address, count)).await?;
        match response {
            Response::ReadHoldingRegisters(words) if words.len() == asked => Ok(words),
            Response::ReadHoldingRegisters(words) => {
                self.disconnect();
                Err(BusError::Length {
                    asked,
                    received: words.len(),
                })
            }
            other => Err(self.foreign(&other)),
        }
    }

    /// Writes registers from `address` on, in one request (function 16).
    ///
    /// # Errors
    /// As [`Bus::read`]. After a time-out it is unknown whether the device took the values.
    pub async fn write(&mut self, address: u16, words: &[u16]) -> Result<(), BusError> {
        let last = u16::try_from(words.len().saturating_sub(1)).ok();
        let fits = last.is_some_and(|last| address.checked_add(last).is_some());
        if words.is_empty() || words.len() > WRITE_MAX || !fits {
            return Err(BusError::Request {
                address,
                count: words.len(),
            });
        }
        let request = Request::WriteMultipleRegisters(address, Cow::Borrowed(words));
        match self.call(request).await? {
            Response::WriteMultipleRegisters(at, count)
                if at == address && usize::from(count) == words.len() =>
            {
                Ok(())
            }
            other => Err(self.foreign(&other)),
        }
    }

    fn foreign(&mut self, response: &Response) -> BusError {
        self.disconnect();
        BusError::Foreign(shorten(format!("{response:?}")))
    }

    async fn call(&mut self, request: Request<'_>) -> Result<Response, BusError> {
        let Some(Connection(context)) = &mut self.connection else {
            return Err(BusError::Transport(std::io::ErrorKind::NotConnected.into()));
        };
        let result = timeout(self.deadline, context.call(request)).await;
        let error = match result {
            Ok(Ok(Ok(response))) => return Ok(response),
            Ok(Ok(Err(exception))) => return Err(BusError::Exception(exception)),
            Ok(Err(tokio_modbus::Error::Protocol(error))) => BusError::Foreign(shorten(error.to_string())),
            // Only what the system reports tells of the connection, and even then the kind means nothing: a
            // closed one shows the last error of the system, whatever that was. The rest is the client's
            // complaint about a frame.
            Ok(Err(tokio_modbus::Error::Transport(error))) if error.raw_os_error().is_none() => {
                BusError::Foreign(shorten(error.to_string()))
            }
            Ok(Err(tokio_modbus::Error::Transport(error))) => BusError::Transport(error),
            Err(_) => BusError::Timeout { after: self.deadline },
        };
        self.disconnect();
        Err(error)
    }
}

fn shorten(text: String) -> String {
    text.chars().take(120).collect()
}
