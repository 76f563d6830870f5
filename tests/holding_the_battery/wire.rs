//! A wire between the agent and a device: what goes over it is counted, and the agent can be struck dead on it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gridtally_simulators::{Device, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const WRITE_SINGLE: u8 = 6;
const WRITE_MULTIPLE: u8 = 16;

/// Where devices and wires live; agents live and die elsewhere.
pub fn world() -> &'static Runtime {
    static WORLD: OnceLock<Runtime> = OnceLock::new();
    WORLD.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    })
}

/// When the blow falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// The device has not heard of the request.
    BeforeTheRequest,
    /// The device has done it, and its reply is lost.
    BeforeTheReply,
}

/// A request to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub device: String,
    /// From 1 in the house.
    pub request: usize,
    pub address: u16,
    pub registers: u16,
    /// Whether the device said yes; its words are as good as its bytes.
    pub confirmed: bool,
}

#[derive(Debug, Default)]
struct Ledger {
    requests: usize,
    fatal: Option<(usize, Blow)>,
    writes: Vec<Write>,
}

/// What went over the wires of a house.
#[derive(Debug, Default)]
pub struct Book {
    ledger: Mutex<Ledger>,
    pub fallen: Notify,
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn writes(&self) -> Vec<Write> {
        self.lock().writes.clone()
    }

    /// The n-th request from the beginning is the agent's last.
    pub fn strike_at(&self, request: usize, blow: Blow) {
        self.lock().fatal = Some((request, blow));
    }

    /// Counts a request; returns its number, and the blow if it is the last.
    fn count(&self) -> (usize, Option<Blow>) {
        let mut ledger = self.lock();
        ledger.requests += 1;
        let number = ledger.requests;
        let blow = ledger.fatal.filter(|(fatal, _)| *fatal == number);
        if blow.is_some() {
            ledger.fatal = None;
        }
        (number, blow.map(|(_, blow)| blow))
    }
}

/// One device on its wire.
#[derive(Debug)]
pub struct Wire {
    pub address: SocketAddr,
    _server: Server,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    pub fn to(device: &Device, book: &Arc<Book>, is_counted: bool) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        world().block_on(async {
            let server = device.serve(any).await.unwrap();
            let upstream = server.address();
            if !is_counted {
                let task = tokio::spawn(async {});
                return Self {
                    address: upstream,
                    _server: server,
                    task,
                };
            }
            let listener = TcpListener::bind(any).await.unwrap();
            let address = listener.local_addr().unwrap();
            let (book, name) = (Arc::clone(book), device.name());
            let task = tokio::spawn(async move {
                let mut connections = tokio::task::JoinSet::new();
                while let Ok((agent, _)) = listener.accept().await {
                    let (book, name) = (Arc::clone(&book), name.clone());
                    connections.spawn(async move {
                        // However it ends, the connection ends.
                        let _ = carry(agent, upstream, &book, &name).await;
                    });
                }
            });
            Self {
                address,
                _server: server,
                task,
            }
        })
    }
}

/// Carries requests one by one and whatever comes back, until either end hangs up.
async fn carry(agent: TcpStream, upstream: SocketAddr, book: &Book, name: &str) -> io::Result<()> {
    let device = TcpStream::connect(upstream).await?;
    for stream in [&agent, &device] {
        stream.set_nodelay(true)?;
    }
    let (mut from_agent, mut to_agent) = agent.into_split();
    let (mut from_device, mut to_device) = device.into_split();
    // The number of the write that waits for its reply.
    let waiting: Mutex<Option<usize>> = Mutex::new(None);
    let is_fallen = Mutex::new(false);
    let there = async {
        loop {
            let mut header = [0; 7];
            from_agent.read_exact(&mut header).await?;
            let len = usize::from(u16::from_be_bytes([header[4], header[5]])).saturating_sub(1);
            if !(1..=253).contains(&len) {
                return io::Result::<()>::Err(io::ErrorKind::InvalidData.into());
            }
            let mut pdu = vec![0; len];
            from_agent.read_exact(&mut pdu).await?;
            let (number, blow) = book.count();
            if blow == Some(Blow::BeforeTheRequest) {
                book.fallen.notify_one();
                std::future::pending::<()>().await;
            }
            *is_fallen.lock().unwrap() = blow.is_some();
            *waiting.lock().unwrap() = None;
            if let [WRITE_SINGLE | WRITE_MULTIPLE, high, low, more @ ..] = pdu.as_slice() {
                let registers = match (pdu[0], more) {
                    (WRITE_MULTIPLE, [high, low, ..]) => u16::from_be_bytes([*high, *low]),
                    _ => 1,
                };
                *waiting.lock().unwrap() = Some(number);
                book.lock().writes.push(Write {
                    device: name.to_owned(),
                    request: number,
                    address: u16::from_be_bytes([*high, *low]),
                    registers,
                    confirmed: false,
                });
            }
            to_device.write_all(&[&header[..], &pdu].concat()).await?;
        }
    };
    let back = async {
        let mut buffer = vec![0; 1_024];
        loop {
            let len = from_device.read(&mut buffer).await?;
            if len == 0 {
                return io::Result::<()>::Err(io::ErrorKind::UnexpectedEof.into());
            }
            if *is_fallen.lock().unwrap() {
                book.fallen.notify_one();
                std::future::pending::<()>().await;
            }
            let is_yes = matches!(buffer.get(7), Some(&(WRITE_SINGLE | WRITE_MULTIPLE)));
            if let Some(number) = waiting.lock().unwrap().take_if(|_| is_yes) {
                let mut ledger = book.lock();
                for write in ledger.writes.iter_mut().filter(|write| write.request == number) {
                    write.confirmed = true;
                }
            }
            to_agent.write_all(&buffer[..len]).await?;
        }
    };
    tokio::try_join!(there, back).map(|((), ())| ())
}
