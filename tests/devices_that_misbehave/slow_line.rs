//! A serial line behind a transparent gateway, on which each reply comes when, and as often as, a test says;
//! to whoever is connected then.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gridtally_simulators::Device;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// When the reply to the n-th request is sent: once, several times, or never.
pub type Script = Box<dyn FnMut(usize, &[u8]) -> Vec<Copy> + Send>;

/// A reply that is sent.
#[derive(Debug, Clone)]
pub struct Copy {
    pub after: Duration,
    /// What is sent, if not the device's reply.
    pub instead: Option<Vec<u8>>,
}

impl Copy {
    pub const fn after(milliseconds: u64) -> Self {
        Self {
            after: Duration::from_millis(milliseconds),
            instead: None,
        }
    }
}

/// Stops when it is dropped.
pub struct SlowLine {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for SlowLine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct State {
    devices: Vec<Device>,
    script: Script,
    requests: usize,
    /// When each unit will have said what it was asked: it answers one request after the other.
    last: BTreeMap<u8, Instant>,
    line: broadcast::Sender<Vec<u8>>,
}

pub async fn serve(devices: Vec<Device>, script: Script) -> SlowLine {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (line, _) = broadcast::channel(64);
    let state = Arc::new(Mutex::new(State {
        devices,
        script,
        requests: 0,
        last: BTreeMap::new(),
        line,
    }));
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&state)));
        }
    });
    SlowLine { address, task }
}

async fn converse(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut heard = state.lock().unwrap().line.subscribe();
    let mut request = [0; 8];
    let mut filled = 0;
    loop {
        tokio::select! {
            frame = heard.recv() => match frame {
                Ok(frame) if stream.write_all(&frame).await.is_ok() => {}
                _ => return,
            },
            read = stream.read(&mut request[filled..]) => match read {
                Ok(1..) if filled + *read.as_ref().unwrap() < request.len() => filled += read.unwrap(),
                Ok(1..) => {
                    filled = 0;
                    answer(&state, request);
                }
                _ => return,
            },
        }
    }
}

/// A read is always as long: unit, function, address, count, checksum.
fn answer(state: &Arc<Mutex<State>>, request: [u8; 8]) {
    let mut state = state.lock().unwrap();
    let [unit, pdu @ .., _, _] = request;
    let reply = state
        .devices
        .iter()
        .find(|device| device.unit() == unit)
        .and_then(|device| device.answer_pdu(&pdu));
    let Some(reply) = reply else { return };
    let frame = frame(unit, &reply);
    let number = state.requests;
    state.requests += 1;
    for copy in (state.script)(number, &request) {
        let due = Instant::now() + copy.after;
        let last = state.last.entry(unit).or_insert(due);
        let at = due.max(*last);
        *last = at;
        let (line, bytes) = (state.line.clone(), copy.instead.unwrap_or_else(|| frame.clone()));
        tokio::spawn(async move {
            sleep_until(at).await;
            // Nobody may be listening.
            let _ = line.send(bytes);
        });
    }
}

/// Unit, PDU and checksum (Modbus over Serial Line 1.02, §2.5.1 and appendix B).
pub fn frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut bytes = vec![unit];
    bytes.extend(pdu);
    let mut crc = 0xffff_u16;
    for byte in &bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 };
        }
    }
    bytes.extend(crc.to_le_bytes());
    bytes
}
