//! A TCP server that frames by hand, so that it can send what no well-behaved server can.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came: transaction, unit, function, and the two words after it.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub transaction: u16,
    pub unit: u8,
    pub function: u8,
    pub address: u16,
    pub count: u16,
}

impl Asked {
    /// A frame that answers it, with this PDU.
    pub fn frame(&self, pdu: &[u8]) -> Vec<u8> {
        frame(self.transaction, self.unit, pdu)
    }

    /// The PDU of a read's reply with these words.
    pub fn words(words: &[u16]) -> Vec<u8> {
        let mut pdu = vec![3, u8::try_from(words.len() * 2).unwrap()];
        pdu.extend(words.iter().flat_map(|w| w.to_be_bytes()));
        pdu
    }
}

pub fn frame(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut bytes = transaction.to_be_bytes().to_vec();
    bytes.extend([0, 0]);
    bytes.extend(u16::try_from(pdu.len() + 1).unwrap().to_be_bytes());
    bytes.push(unit);
    bytes.extend(pdu);
    bytes
}

/// One connection to the raw server.
pub struct Peer {
    stream: TcpStream,
}

impl Peer {
    pub async fn asked(&mut self) -> Option<Asked> {
        let mut header = [0; 12];
        self.stream.read_exact(&mut header).await.ok()?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let asked = Asked {
            transaction: word(0),
            unit: header[6],
            function: header[7],
            address: word(8),
            count: word(10),
        };
        // The rest of a write.
        let mut rest = vec![0; usize::from(word(4)).saturating_sub(6)];
        self.stream.read_exact(&mut rest).await.ok()?;
        Some(asked)
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
        drop(self.stream.flush().await);
    }
}

/// A server that runs `behave` for each connection.
pub struct RawServer {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl RawServer {
    pub async fn start<F, R>(behave: F) -> Self
    where
        F: Fn(Peer, usize) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(behave(Peer { stream }, number));
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
