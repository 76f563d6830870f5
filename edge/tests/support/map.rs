//! A SunSpec map of our own behind a Modbus TCP socket, written by hand from the model definitions, with
//! a record of every request.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_modbus::server::Service;
use tokio_modbus::server::tcp::{Server, accept_tcp_connection};
use tokio_modbus::{ExceptionCode, Request, Response};

pub const BASE: u16 = 40_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Read(u16, u16),
    Write(u16, Vec<u16>),
}

#[derive(Debug, Default)]
pub struct Registers {
    pub words: BTreeMap<u16, u16>,
    pub models: BTreeMap<u16, u16>,
    pub seen: Vec<Seen>,
    /// Registers whose writes are answered as accepted and forgotten.
    pub deaf: bool,
    /// Answered to every write, if set.
    pub refuses_writes: Option<ExceptionCode>,
    /// Answered to every read, if set.
    pub refuses_reads: Option<ExceptionCode>,
    pub next: u16,
}

impl Registers {
    pub fn new() -> Self {
        let mut registers = Self {
            next: BASE,
            ..Self::default()
        };
        registers.push(&[0x5375, 0x6e53]);
        registers
    }

    pub fn push(&mut self, words: &[u16]) {
        for word in words {
            self.words.insert(self.next, *word);
            self.next += 1;
        }
    }

    /// A model of `len` registers, all "not implemented"; returns the register of its header.
    pub fn model(mut self, id: u16, len: u16) -> Self {
        self.models.entry(id).or_insert(self.next);
        self.push(&[id, len]);
        self.push(&vec![0xffff; len.into()]);
        self
    }

    pub fn end(mut self) -> Self {
        self.push(&[0xffff, 0]);
        self
    }

    /// Sets a register by its offset from the model's header.
    pub fn set(&mut self, model: u16, offset: u16, word: u16) {
        let at = self.models[&model] + offset;
        self.words.insert(at, word);
    }

    pub fn set32(&mut self, model: u16, offset: u16, value: u32) {
        let [a, b, c, d] = value.to_be_bytes();
        self.set(model, offset, u16::from_be_bytes([a, b]));
        self.set(model, offset + 1, u16::from_be_bytes([c, d]));
    }

    pub fn get(&self, model: u16, offset: u16) -> u16 {
        self.words[&(self.models[&model] + offset)]
    }

    fn answer(&mut self, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        match request {
            Request::ReadHoldingRegisters(address, count) => {
                self.seen.push(Seen::Read(*address, *count));
                if let Some(exception) = self.refuses_reads {
                    return Err(exception);
                }
                let words = (*address..)
                    .take((*count).into())
                    .map(|a| self.words.get(&a).copied());
                words
                    .collect::<Option<_>>()
                    .map(Response::ReadHoldingRegisters)
                    .ok_or(ExceptionCode::IllegalDataAddress)
            }
            Request::WriteMultipleRegisters(address, words) => {
                self.seen.push(Seen::Write(*address, words.to_vec()));
                if let Some(exception) = self.refuses_writes {
                    return Err(exception);
                }
                if !self.deaf {
                    self.words.extend((*address..).zip(words.iter().copied()));
                }
                Ok(Response::WriteMultipleRegisters(
                    *address,
                    u16::try_from(words.len()).unwrap(),
                ))
            }
            _ => Err(ExceptionCode::IllegalFunction),
        }
    }
}

/// Model 203 with counters in tenths of a watt-hour.
pub fn meter(import: u32, export: u32) -> Registers {
    let mut registers = Registers::new().model(1, 66).model(203, 105).end();
    registers.set32(203, 46, import);
    registers.set32(203, 38, export);
    registers.set(203, 54, 0xffff);
    // No power is shown.
    registers.set(203, 18, 0x8000);
    registers
}

/// Model 103 with a counter in tenths of a watt-hour.
pub fn inverter(energy: u32) -> Registers {
    let mut registers = Registers::new().model(1, 65).model(103, 50).end();
    registers.set32(103, 24, energy);
    registers.set(103, 26, 0xffff);
    registers
}

/// Models 103, 124 and 802: WChaMax 5000 W, rates in hundredths of a percent, charge in tenths.
pub fn battery(energy: u32, charge_permille: u16) -> Registers {
    let mut registers = Registers::new()
        .model(1, 66)
        .model(103, 50)
        .model(124, 24)
        .model(802, 62)
        .end();
    registers.set32(103, 24, energy);
    registers.set(103, 26, 0xffff);
    // No power is shown.
    registers.set(103, 14, 0x8000);
    let minus_two = (-2_i16).cast_unsigned();
    for (offset, word) in [
        (2, 5_000),
        (5, 0),
        (12, 10_000),
        (13, 10_000),
        (14, 0),
        (15, 0),
        (16, 0),
        (18, 0),
        (25, minus_two),
    ] {
        registers.set(124, offset, word);
    }
    registers.set(802, 11, charge_permille);
    registers.set(802, 56, (-1_i16).cast_unsigned());
    registers
}

/// A device on a socket.
pub struct Device {
    pub registers: Arc<Mutex<Registers>>,
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Device {
    pub async fn serve(registers: Registers) -> Self {
        let registers = Arc::new(Mutex::new(registers));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Arc::clone(&registers);
        let task = tokio::spawn(async move {
            let server = Server::new(listener);
            let connect = |stream: TcpStream, peer| {
                stream.set_nodelay(true).unwrap();
                let service = Arc::clone(&service);
                async move { accept_tcp_connection(stream, peer, |_| Ok(Some(Behind(Arc::clone(&service))))) }
            };
            drop(server.serve(&connect, |_| ()).await);
        });
        Self {
            registers,
            address,
            task,
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Registers> {
        self.registers.lock().unwrap()
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Behind(Arc<Mutex<Registers>>);

impl Service for Behind {
    type Request = Request<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Response, ExceptionCode>>;

    fn call(&self, request: Self::Request) -> Self::Future {
        ready(self.0.lock().unwrap().answer(&request))
    }
}
