//! Modbus servers whose every byte can be spoiled.
//!
//! ```text
//!   socket, serial line ── framing ── conversation ── Bus (devices)
//!                                          │
//!                           injector ── outbox: what is sent, and when
//! ```
//!
//! [`tcp`] and [`rtu`] know where a frame begins and ends, [`pdu`] what it asks and how a reply
//! looks, [`line`] opens ports and pseudo-terminals. Without a fault a reply goes straight to the
//! socket; with one, [`injector`] says which bytes are sent when, and the outbox does so. A
//! ready-made server cannot: it only ever sends what is well formed.

mod conversation;
mod injector;
mod line;
mod outbox;
mod pdu;
mod rtu;
mod tcp;
#[cfg(test)]
mod tests;

pub(crate) use line::Port;
pub use line::{Line, LineError, Parity, StopBits};
pub(crate) use rtu::RtuServer;
pub(crate) use tcp::TcpServer;

use crate::device::Answer;
use crate::fault::Fault;
use tokio_modbus::Request;

/// What hangs on a socket or a serial line.
pub(crate) trait Bus: Send + Sync + 'static {
    /// The faults on the wire in force now for requests to this unit. For `None`, those of the
    /// connection itself: [`Fault::Offline`] if all units are, [`Fault::DeafAfterConnect`],
    /// [`Fault::OneConnection`]. Faults of other layers are passed over.
    fn wire_faults(&self, unit: Option<u8>) -> Vec<Fault>;

    /// Whether the unit is there at all. It is asked only before a refusal that the framing makes on
    /// its own (an unknown function, a wrong length), so that nobody answers for an absent unit.
    fn has(&self, unit: u8) -> bool;

    /// What the unit does with a request: for one that is absent, exception 11 behind a gateway, and
    /// otherwise silence. It is not called for a request that a fault swallows.
    fn answer(&self, unit: u8, request: &Request<'_>) -> Answer;

    /// Does a write on all units of a serial line that can hear it; those that are offline or silent
    /// cannot.
    fn broadcast(&self, request: &Request<'_>);
}

/// The reply to a request's PDU, function code first; `None` for silence.
pub(crate) fn respond(request: &[u8], answer: impl FnOnce(&Request<'_>) -> Answer) -> Option<Vec<u8>> {
    let function = *request.first()?;
    let answer = pdu::parse(request).map_or_else(Answer::Exception, |request| answer(&request));
    let mut reply = Vec::new();
    match answer {
        Answer::Reply(response) => pdu::encode(function, &response, &mut reply),
        Answer::Exception(exception) => pdu::encode_exception(function, exception, &mut reply),
        Answer::Silence => return None,
    }
    Some(reply)
}

/// What carries a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// With the transaction id of the request.
    Tcp { transaction: u16 },
    /// A serial line.
    Rtu,
}

/// A reply before it is bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reply<'a> {
    link: Link,
    unit: u8,
    pdu: &'a [u8],
}

impl Reply<'_> {
    /// Appends the frame.
    fn encode(&self, out: &mut Vec<u8>) {
        match self.link {
            Link::Tcp { transaction } => tcp::encode(transaction, self.unit, self.pdu, out),
            Link::Rtu => rtu::encode(self.unit, self.pdu, out),
        }
    }
}
