//! Modbus TCP: frames after *MODBUS Messaging on TCP/IP Implementation Guide V1.0b*, section 3.1.3,
//! and a server of them.

use super::conversation::{Conversation, Framing, Heard};
use super::{Bus, Link, pdu};
use crate::fault::Fault;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Transaction, protocol, length, and the unit, which the length counts.
const HEADER_LEN: usize = 7;
/// The pause after a connection could not be accepted, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A Modbus TCP socket. Dropping it closes the socket and its connections.
#[derive(Debug)]
pub(crate) struct TcpServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TcpServer {
    /// Serves a bus on a socket; port 0 takes a free port.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub(crate) async fn bind(address: SocketAddr, bus: Arc<dyn Bus>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, bus));
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TcpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The connections live and die with this task.
async fn accept(listener: TcpListener, bus: Arc<dyn Bus>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let faults = bus.wire_faults(None);
                let taken = faults.contains(&Fault::OneConnection) && !connections.is_empty();
                if taken || faults.contains(&Fault::Offline) {
                    continue;
                }
                connections.spawn(converse(stream, peer, Arc::clone(&bus)));
            }
            Err(error) => {
                tracing::warn!(%error, "a Modbus socket could not accept a connection; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, peer: SocketAddr, bus: Arc<dyn Bus>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "no TCP_NODELAY on a Modbus connection");
    }
    if let Err(error) = Conversation::new(stream, Mbap, bus).run().await {
        tracing::debug!(%error, %peer, "a Modbus connection ended with an error");
    }
}

/// Frames with the MBAP header.
#[derive(Debug)]
struct Mbap;

impl Framing for Mbap {
    fn silence(&self) -> Option<Duration> {
        None
    }

    fn next(&self, heard: &[u8], _after_silence: bool) -> Heard {
        let Some((header, _)) = heard.split_first_chunk::<HEADER_LEN>() else {
            return Heard::Unfinished;
        };
        let &[t0, t1, p0, p1, l0, l1, unit] = header;
        // A unit and a function at least.
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if [p0, p1] != [0, 0] || !(2..=1 + pdu::MAX_LEN).contains(&length) {
            return Heard::Broken;
        }
        let end = HEADER_LEN - 1 + length;
        if heard.len() < end {
            return Heard::Unfinished;
        }
        let transaction = u16::from_be_bytes([t0, t1]);
        Heard::Request {
            link: Link::Tcp { transaction },
            unit,
            pdu: HEADER_LEN..end,
            len: end,
        }
    }
}

/// Appends a frame.
pub(super) fn encode(transaction: u16, unit: u8, pdu: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX);
    out.extend(transaction.to_be_bytes());
    out.extend([0, 0]);
    out.extend(length.to_be_bytes());
    out.push(unit);
    out.extend_from_slice(pdu);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_that_is_no_modbus_breaks_the_connection() {
        let framing = Mbap;
        for broken in [
            [0, 1, 0, 1, 0, 6, 1],
            [0, 1, 1, 0, 0, 6, 1],
            [0, 1, 0, 0, 0, 0, 1],
            [0, 1, 0, 0, 0, 1, 1],
            [0, 1, 0, 0, 0, 255, 1],
            [0, 1, 0, 0, 1, 0, 1],
        ] {
            assert_eq!(framing.next(&broken, false), Heard::Broken, "{broken:02X?}");
        }
        assert_eq!(framing.next(&[0, 1, 0, 0, 0, 254, 1], false), Heard::Unfinished);
        assert_eq!(framing.next(&[0, 1, 0, 0, 0, 2, 1], false), Heard::Unfinished);
    }

    proptest! {
        #[test]
        fn a_frame_is_read_as_it_was_written_once_its_last_byte_is_there(transaction: u16, unit: u8, pdu in prop::collection::vec(any::<u8>(), 1..=253), more in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut bytes = Vec::new();
            encode(transaction, unit, &pdu, &mut bytes);
            let len = bytes.len();
            for end in 0..len {
                prop_assert_eq!(Mbap.next(&bytes[..end], false), Heard::Unfinished);
            }
            bytes.extend(more);
            let link = Link::Tcp { transaction };
            prop_assert_eq!(Mbap.next(&bytes, false), Heard::Request { link, unit, pdu: 7..len, len });
            prop_assert_eq!(&bytes[7..len], &pdu);
        }

        #[test]
        fn no_bytes_make_the_framing_panic_or_stand_still(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            match Mbap.next(&bytes, false) {
                Heard::Request { pdu, len, .. } => prop_assert!(!pdu.is_empty() && pdu.end == len && len <= bytes.len()),
                Heard::Garbage(len) => prop_assert!(len > 0 && len <= bytes.len()),
                Heard::Unfinished => prop_assert!(bytes.len() < 260),
                Heard::Broken => {}
            }
        }
    }
}
