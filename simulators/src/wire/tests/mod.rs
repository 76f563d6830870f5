//! The servers on real sockets and pseudo-terminals.

mod faults;
mod injected;
mod serial;
mod socket;

use super::{Bus, Line, Parity, StopBits, TcpServer};
use crate::device::Answer;
use crate::fault::Fault;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_modbus::{ExceptionCode, Request, Response};

/// Longer than anything here takes; whoever waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(20);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what)
        .await
        .expect("it takes too long")
}

/// Units whose registers hold their own address, until they are written.
struct Shelf {
    units: Vec<u8>,
    /// Absent units are answered for with exception 11.
    gateway: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    faults: Vec<(Option<u8>, Fault)>,
    written: BTreeMap<(u8, u16), u16>,
    asked: Vec<u8>,
}

impl Shelf {
    fn new(units: &[u8], gateway: bool) -> Arc<Self> {
        Arc::new(Self {
            units: units.to_vec(),
            gateway,
            state: Mutex::default(),
        })
    }

    /// One unit, 1.
    fn one() -> Arc<Self> {
        Self::new(&[1], false)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Puts a fault on the connection (`None`) or on a unit, instead of those before.
    fn fail(&self, unit: Option<u8>, fault: Fault) {
        self.lock().faults = vec![(unit, fault)];
    }

    fn heal(&self) {
        self.lock().faults.clear();
    }

    fn register(&self, unit: u8, address: u16) -> u16 {
        self.lock()
            .written
            .get(&(unit, address))
            .copied()
            .unwrap_or(address)
    }

    /// The units that were asked, in order.
    fn asked(&self) -> Vec<u8> {
        self.lock().asked.clone()
    }

    fn write(&self, unit: u8, address: u16, words: &[u16]) {
        let mut state = self.lock();
        for (address, word) in (address..).zip(words) {
            state.written.insert((unit, address), *word);
        }
    }
}

impl Bus for Shelf {
    fn wire_faults(&self, unit: Option<u8>) -> Vec<Fault> {
        let state = self.lock();
        let here = state.faults.iter().filter(|(at, _)| *at == unit);
        here.map(|(_, fault)| *fault).collect()
    }

    fn has(&self, unit: u8) -> bool {
        self.units.contains(&unit)
    }

    fn answer(&self, unit: u8, request: &Request<'_>) -> Answer {
        self.lock().asked.push(unit);
        if !self.has(unit) {
            return if self.gateway {
                Answer::Exception(ExceptionCode::GatewayTargetDevice)
            } else {
                Answer::Silence
            };
        }
        let read = |address: u16, count: u16| {
            (address..)
                .take(usize::from(count))
                .map(|at| self.register(unit, at))
                .collect()
        };
        Answer::Reply(match request {
            Request::ReadHoldingRegisters(address, count) => {
                Response::ReadHoldingRegisters(read(*address, *count))
            }
            Request::ReadInputRegisters(address, count) => {
                Response::ReadInputRegisters(read(*address, *count))
            }
            Request::WriteSingleRegister(address, word) => {
                self.write(unit, *address, &[*word]);
                Response::WriteSingleRegister(*address, *word)
            }
            Request::WriteMultipleRegisters(address, words) => {
                self.write(unit, *address, words);
                Response::WriteMultipleRegisters(*address, u16::try_from(words.len()).unwrap())
            }
            other => panic!("the framing let {other:?} through"),
        })
    }

    fn broadcast(&self, request: &Request<'_>) {
        let Request::WriteSingleRegister(address, word) = *request else {
            panic!("{request:?} is no write to all");
        };
        for unit in &self.units {
            self.write(*unit, address, &[word]);
        }
    }
}

/// A read of one register of unit 1.
fn read_request(transaction: u16, address: u16) -> Vec<u8> {
    let [t0, t1] = transaction.to_be_bytes();
    let [a0, a1] = address.to_be_bytes();
    vec![t0, t1, 0, 0, 0, 6, 1, 3, a0, a1, 0, 1]
}

/// The healthy reply to it: 11 bytes.
fn read_reply(transaction: u16, value: u16) -> Vec<u8> {
    let [t0, t1] = transaction.to_be_bytes();
    let [v0, v1] = value.to_be_bytes();
    vec![t0, t1, 0, 0, 0, 5, 1, 3, 2, v0, v1]
}

/// A client that knows nothing but bytes.
struct Raw<S>(S);

impl Raw<TcpStream> {
    async fn connect(server: &TcpServer) -> Self {
        Self(TcpStream::connect(server.address()).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWriteExt + Unpin> Raw<S> {
    async fn send(&mut self, bytes: &[u8]) {
        soon(self.0.write_all(bytes)).await.unwrap();
    }

    /// Exactly so many bytes.
    async fn hear(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        soon(self.0.read_exact(&mut bytes)).await.unwrap();
        bytes
    }

    /// One read.
    async fn hear_some(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 4_096];
        let count = soon(self.0.read(&mut bytes)).await.unwrap();
        bytes.truncate(count);
        bytes
    }

    /// All until the server hangs up.
    async fn hear_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match soon(self.0.read_to_end(&mut bytes)).await {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
        bytes
    }
}

async fn serve(shelf: &Arc<Shelf>) -> TcpServer {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpServer::bind(anywhere, Arc::clone(shelf) as Arc<dyn Bus>)
        .await
        .unwrap()
}

/// How a client opens a serial line.
fn serial(path: &Path) -> Line {
    Line::Serial {
        path: path.to_owned(),
        baud: 9_600,
        parity: Parity::None,
        stop_bits: StopBits::One,
    }
}
