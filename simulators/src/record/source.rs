//! A real device, politely asked.

use crate::registers::Table;
use crate::wire::{Line, LineError, Parity, Port, StopBits};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;
use tokio_modbus::client::{Client as _, Context, rtu, tcp};
use tokio_modbus::{Error, ExceptionCode, Request, Response, Slave};

/// Where a device is: `tcp://host:port?unit=1` or `rtu:/dev/ttyUSB0?baud=9600&unit=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    place: Place,
    /// The Modbus unit.
    pub unit: u8,
    /// Where `SunS` stands, if it is known.
    pub base: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Tcp(String),
    Rtu { path: PathBuf, baud: u32 },
}

/// Why a device cannot be asked.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The address is none.
    #[error(
        "{0:?} is no device: write tcp://host:port?unit=1&base=40000 or rtu:/dev/ttyUSB0?baud=9600&unit=1"
    )]
    Address(String),
    /// No connection.
    #[error(
        "no connection to {place}: {source}; is the address right, and does another client hold the only connection?"
    )]
    Connect {
        /// To where.
        place: String,
        /// What the system says.
        source: io::Error,
    },
    /// The serial line cannot be opened.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The device does not answer as Modbus asks.
    #[error("registers {address} to {last} of unit {unit}: {problem}", last = address.saturating_add(count - 1))]
    Read {
        /// Which unit.
        unit: u8,
        /// The first register asked for.
        address: u16,
        /// How many.
        count: u16,
        /// What came, or that nothing came.
        problem: String,
    },
}

/// As [`FromStr`] reads it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(address) => write!(f, "tcp://{address}?unit={}", self.unit)?,
            Place::Rtu { path, baud } => write!(f, "rtu:{}?baud={baud}&unit={}", path.display(), self.unit)?,
        }
        self.base.map_or(Ok(()), |base| write!(f, "&base={base}"))
    }
}

impl FromStr for Target {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let bad = || SourceError::Address(text.to_owned());
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut unit, mut base, mut baud) = (1, None, 9_600);
        for setting in query.split('&').filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').ok_or_else(bad)?;
            match key {
                "unit" => unit = value.parse().map_err(|_| bad())?,
                "base" => base = Some(value.parse().map_err(|_| bad())?),
                "baud" => baud = value.parse().map_err(|_| bad())?,
                _ => return Err(bad()),
            }
        }
        let place = if let Some(address) = place.strip_prefix("tcp://") {
            let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
            if host.is_empty() || port.parse::<u16>().is_err() {
                return Err(bad());
            }
            Place::Tcp(address.to_owned())
        } else {
            let path = place
                .strip_prefix("rtu:")
                .filter(|path| !path.is_empty())
                .ok_or_else(bad)?;
            let path = PathBuf::from(path);
            Place::Rtu { path, baud }
        };
        Ok(Self { place, unit, base })
    }
}

/// What a read came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Words(Vec<u16>),
    Refused(ExceptionCode),
}

/// A device behind one connection, which is made anew after every failure.
pub(super) struct Source<'a> {
    target: &'a Target,
    deadline: Duration,
    pause: Duration,
    connection: Option<Context>,
}

impl<'a> Source<'a> {
    pub(super) fn new(target: &'a Target, deadline: Duration, pause: Duration) -> Self {
        Self {
            target,
            deadline,
            pause,
            connection: None,
        }
    }

    /// Reads registers, twice if the first time fails or the device was busy.
    pub(super) async fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Told, SourceError> {
        match self.try_read(table, address, count).await {
            Ok(Told::Refused(exception)) if may_pass(exception) => {}
            Ok(told) => return Ok(told),
            Err(_) => {}
        }
        // On a serial line the late answer to this question must not become the answer to the next.
        tokio::time::sleep(self.deadline).await;
        self.try_read(table, address, count).await
    }

    /// The error of a refusal that leaves nothing to record.
    pub(super) fn refused(&self, address: u16, count: u16, exception: ExceptionCode) -> SourceError {
        SourceError::Read {
            unit: self.target.unit,
            address,
            count,
            problem: format!("exception {}, {exception}", u8::from(exception)),
        }
    }

    async fn try_read(&mut self, table: Table, address: u16, count: u16) -> Result<Told, SourceError> {
        let unit = self.target.unit;
        let failed = |problem: String| SourceError::Read {
            unit,
            address,
            count,
            problem,
        };
        // It is put back only when all went well.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        tokio::time::sleep(self.pause).await;
        let question = connection.call(match table {
            Table::Holding => Request::ReadHoldingRegisters(address, count),
            Table::Input => Request::ReadInputRegisters(address, count),
        });
        let answer = timeout(self.deadline, question)
            .await
            .map_err(|_| failed(format!("no answer within {} ms", self.deadline.as_millis())))?;
        let told = match answer.map_err(|error| failed(trouble(&error)))? {
            Ok(Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words)) => {
                if words.len() != usize::from(count) {
                    return Err(failed(format!(
                        "{} registers came instead of {count}",
                        words.len()
                    )));
                }
                Told::Words(words)
            }
            Ok(_) => return Err(failed("something other than registers came".to_owned())),
            Err(exception) => Told::Refused(exception),
        };
        self.connection = Some(connection);
        Ok(told)
    }

    async fn connect(&self) -> Result<Context, SourceError> {
        let slave = Slave(self.target.unit);
        match &self.target.place {
            Place::Tcp(address) => {
                let refused = |source| SourceError::Connect {
                    place: address.clone(),
                    source,
                };
                let connecting = tokio::net::TcpStream::connect(address.as_str());
                let stream = timeout(self.deadline, connecting)
                    .await
                    .map_err(|_| refused(io::ErrorKind::TimedOut.into()))?;
                Ok(tcp::attach_slave(stream.map_err(refused)?, slave))
            }
            Place::Rtu { path, baud } => {
                let line = Line::Serial {
                    path: path.clone(),
                    baud: *baud,
                    parity: Parity::None,
                    stop_bits: StopBits::One,
                };
                Ok(rtu::attach_slave(Port::open(&line)?, slave))
            }
        }
    }
}

/// Whether the same question may be answered a moment later.
fn may_pass(exception: ExceptionCode) -> bool {
    matches!(
        exception,
        ExceptionCode::Acknowledge
            | ExceptionCode::ServerDeviceBusy
            | ExceptionCode::GatewayPathUnavailable
            | ExceptionCode::GatewayTargetDevice
    )
}

/// For the end of a connection tokio-modbus reports whatever error the system had last, or none.
fn trouble(error: &Error) -> String {
    match error {
        Error::Transport(source)
            if source.raw_os_error() == Some(0) || source.kind() == io::ErrorKind::WouldBlock =>
        {
            "the device closed the connection".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_or_refused_with_an_example() {
        let target: Target = "tcp://[::1]:502?unit=126&base=0".parse().unwrap();
        assert_eq!((target.unit, target.base), (126, Some(0)));
        assert_eq!(target.to_string(), "tcp://[::1]:502?unit=126&base=0");
        let target: Target = "rtu:/dev/ttyUSB0?baud=19200".parse().unwrap();
        assert_eq!(
            target.place,
            Place::Rtu {
                path: "/dev/ttyUSB0".into(),
                baud: 19_200
            }
        );
        for wrong in [
            "",
            "tcp://host",
            "tcp://:502",
            "tcp://host:x",
            "rtu:",
            "rtu:/dev/x?speed=1",
            "tcp://h:1?unit=256",
            "h:502",
        ] {
            let error = wrong.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains("tcp://host:port"), "{error}");
        }
    }
}
