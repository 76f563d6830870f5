//! A door for other software in the house: many inverters accept one connection only, and the agent has it.
//!
//! A proxy listens for Modbus TCP and passes reads on to the connection of one device, behind everything that
//! the agent itself asks there. Writes are refused but for registers that the owner names. Off unless the
//! config has a `[[proxy]]`.

mod idle;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_modbus::server::Service;
use tokio_modbus::server::tcp::Server;
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};

use self::idle::Idle;
use crate::config::ProxyConfig;
use crate::device::Device;
use crate::device::bus::{Bus, BusError, Query, Table};

/// So many clients at a time.
const CLIENTS_MAX: usize = 8;
/// A client that says nothing for so long has gone without a goodbye.
const IDLE: Duration = Duration::from_secs(120);
/// Between two attempts to listen on, where the system refuses a connection (no file descriptors left).
const PAUSE: Duration = Duration::from_secs(1);

/// What may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How long the device may take to answer.
    pub deadline: Duration,
    /// The registers that may be written.
    pub writable: Vec<RangeInclusive<u16>>,
}

impl Rules {
    /// Whether all registers of a write may be written.
    #[must_use]
    pub fn allow(&self, address: u16, count: usize) -> bool {
        let last = u16::try_from(count)
            .ok()
            .and_then(|count| address.checked_add(count.checked_sub(1)?));
        last.is_some_and(|last| {
            (address..=last).all(|at| self.writable.iter().any(|range| range.contains(&at)))
        })
    }
}

/// A door cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the proxy cannot listen on {listen}: {source}")]
pub struct ProxyError {
    listen: SocketAddr,
    source: io::Error,
}

/// An open door; it closes when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Opens the door that the owner configured to one of these devices, on the current runtime.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn open(config: &ProxyConfig, device: &Device) -> Result<Self, ProxyError> {
        let listen = config.listen;
        let refused = |source| ProxyError { listen, source };
        let listener = std::net::TcpListener::bind(listen).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let listener = TcpListener::from_std(listener).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let rules = Rules {
            deadline: device.config().timeout,
            writable: config.writable.clone(),
        };
        let task = tokio::spawn(serve(listener, device.bus().clone(), rules));
        Ok(Self { address, task })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves the connection of a device to clients, for ever.
async fn serve(listener: TcpListener, bus: Bus, rules: Rules) {
    let door = Door {
        bus,
        rules: Arc::new(rules),
        _place: None,
    };
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let admit = |stream: TcpStream, address: SocketAddr| {
        let (door, places) = (door.clone(), Arc::clone(&places));
        async move {
            let Ok(place) = places.try_acquire_owned() else {
                tracing::warn!(%address, "the proxy has {CLIENTS_MAX} clients; another one is turned away");
                return Ok(None);
            };
            tracing::debug!(%address, "a client of the proxy");
            let door = Door {
                _place: Some(Arc::new(place)),
                ..door
            };
            Ok(Some((door, Idle::new(stream, IDLE))))
        }
    };
    let server = Server::new(listener);
    loop {
        let over = |error: io::Error| tracing::debug!(%error, "a client of the proxy is gone");
        if let Err(error) = server.serve(&admit, over).await {
            tracing::warn!(%error, "the proxy cannot take a connection");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// One client's way to the device.
#[derive(Debug, Clone)]
struct Door {
    bus: Bus,
    rules: Arc<Rules>,
    _place: Option<Arc<OwnedSemaphorePermit>>,
}

impl Service for Door {
    type Request = SlaveRequest<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Pin<Box<dyn Future<Output = Result<Response, ExceptionCode>> + Send>>;

    fn call(&self, asked: SlaveRequest<'static>) -> Self::Future {
        let door = self.clone();
        Box::pin(async move { door.pass(asked).await })
    }
}

impl Door {
    async fn pass(&self, asked: SlaveRequest<'static>) -> Result<Response, ExceptionCode> {
        let query = self.query(asked.request)?;
        let unit = self.bus.unit(asked.slave, self.rules.deadline);
        let words = unit.ask_as_a_guest(query.clone()).await.map_err(exception)?;
        Ok(match query {
            Query::Read {
                table: Table::Holding,
                ..
            } => Response::ReadHoldingRegisters(words),
            Query::Read {
                table: Table::Input, ..
            } => Response::ReadInputRegisters(words),
            Query::Write { address, words } => {
                let count = u16::try_from(words.len()).unwrap_or(u16::MAX);
                Response::WriteMultipleRegisters(address, count)
            }
            Query::WriteOne { address, word } => Response::WriteSingleRegister(address, word),
        })
    }

    fn query(&self, request: Request<'static>) -> Result<Query, ExceptionCode> {
        let read = |table, address, count| Query::Read {
            table,
            address,
            count,
        };
        match request {
            Request::ReadHoldingRegisters(address, count) => Ok(read(Table::Holding, address, count)),
            Request::ReadInputRegisters(address, count) => Ok(read(Table::Input, address, count)),
            Request::WriteSingleRegister(address, word) if self.rules.allow(address, 1) => {
                Ok(Query::WriteOne { address, word })
            }
            Request::WriteMultipleRegisters(address, words) if self.rules.allow(address, words.len()) => {
                Ok(Query::Write {
                    address,
                    words: words.into_owned(),
                })
            }
            // Refused as by a device that knows no writing.
            _ => Err(ExceptionCode::IllegalFunction),
        }
    }
}

/// What a gateway says of a device that it cannot reach (Modbus Application Protocol 1.1b3, §7).
fn exception(error: BusError) -> ExceptionCode {
    match error {
        BusError::Exception(exception) => exception,
        BusError::Request { .. } => ExceptionCode::IllegalDataValue,
        BusError::Connect { .. } | BusError::Ended => ExceptionCode::GatewayPathUnavailable,
        _ => ExceptionCode::GatewayTargetDevice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(writable: Vec<RangeInclusive<u16>>) -> Rules {
        Rules {
            deadline: Duration::from_secs(1),
            writable,
        }
    }

    #[test]
    fn a_write_passes_only_where_all_of_its_registers_may_be_written() {
        let rules = rules(vec![100..=103, 104..=105, 65_535..=65_535]);
        for (address, count, passes) in [
            (100, 6, true),
            (100, 7, false),
            (99, 2, false),
            (105, 1, true),
            (65_535, 1, true),
            (65_535, 2, false),
            (100, 0, false),
            (100, 70_000, false),
        ] {
            assert_eq!(rules.allow(address, count), passes, "{address} {count}");
        }
    }

    proptest! {
        #[test]
        fn without_names_nothing_is_written(address: u16, count in 0_usize..200) {
            prop_assert!(!rules(Vec::new()).allow(address, count));
        }
    }
}
