//! The talk with one client: over a TCP connection, or on a serial line for as long as it is up.

use super::injector::{self, Hearing, Plan};
use super::outbox::{Outbox, Step};
use super::{Bus, Link, Reply, pdu};
use crate::device::Answer;
use std::borrow::Cow;
use std::future;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};
use tokio_modbus::{ExceptionCode, Request};

/// Where one frame ends and the next begins.
pub(super) trait Framing {
    /// The silence that ends a frame, on lines where one does.
    fn silence(&self) -> Option<Duration>;

    /// What stands at the beginning of the bytes heard so far. After silence it may not answer
    /// [`Heard::Unfinished`] unless there are none.
    fn next(&self, heard: &[u8], after_silence: bool) -> Heard;
}

/// The beginning of what was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// A request of `len` bytes with a PDU of one byte at least.
    Request {
        link: Link,
        unit: u8,
        pdu: Range<usize>,
        len: usize,
    },
    /// So many bytes that mean nothing.
    Garbage(usize),
    /// More has to come.
    Unfinished,
    /// There is no way to go on.
    Broken,
}

/// Room for many requests: the longest frame has 260 bytes.
const BUFFER_LEN: usize = 2_048;

/// A stream, what was heard on it, and what answers.
pub(super) struct Conversation<S, F> {
    stream: S,
    framing: F,
    buffer: Box<[u8]>,
    filled: usize,
    heard_at: Instant,
    speaker: Speaker,
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Framing> Conversation<S, F> {
    pub(super) fn new(stream: S, framing: F, bus: Arc<dyn Bus>) -> Self {
        let now = Instant::now();
        Self {
            stream,
            framing,
            buffer: vec![0; BUFFER_LEN].into_boxed_slice(),
            filled: 0,
            heard_at: now,
            speaker: Speaker {
                bus,
                since: now,
                ready: Vec::new(),
                pdu: Vec::with_capacity(pdu::MAX_LEN),
                outbox: Outbox::default(),
                held: None,
                closing: false,
            },
        }
    }

    /// Answers until one of both hangs up.
    pub(super) async fn run(mut self) -> io::Result<()> {
        loop {
            if self.send().await?.is_closed() {
                return self.stream.shutdown().await;
            }
            if self.listen().await?.is_closed() {
                return Ok(());
            }
        }
    }

    /// Sends what is due.
    async fn send(&mut self) -> io::Result<Connection> {
        let speaker = &mut self.speaker;
        if !speaker.ready.is_empty() {
            self.stream.write_all(&speaker.ready).await?;
            speaker.ready.clear();
        }
        if speaker.closing {
            return Ok(Connection::Closed);
        }
        while !speaker.outbox.is_empty() || speaker.held.is_some() {
            let now = Instant::now();
            speaker.let_go(now);
            match speaker.outbox.take(now) {
                Some(Step::Send(bytes)) => self.stream.write_all(&bytes).await?,
                Some(Step::Close) => return Ok(Connection::Closed),
                None => break,
            }
        }
        Ok(Connection::Open)
    }

    /// Waits for bytes, or until something is to be done without any.
    async fn listen(&mut self) -> io::Result<Connection> {
        let silent_at = match self.framing.silence() {
            Some(silence) if self.filled > 0 => Some(self.heard_at + silence),
            _ => None,
        };
        let wake_at = silent_at.into_iter().chain(self.speaker.due()).min();
        let room = self.speaker.outbox.has_room();
        let alarm = async {
            match wake_at {
                Some(at) => sleep_until(at).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            read = self.stream.read(&mut self.buffer[self.filled..]), if room => match read? {
                0 => return Ok(Connection::Closed),
                count => {
                    self.filled += count;
                    self.heard_at = Instant::now();
                    self.digest(false);
                }
            },
            () = alarm => {
                if silent_at.is_some_and(|at| at <= Instant::now()) {
                    self.digest(true);
                }
            }
        }
        Ok(Connection::Open)
    }

    /// Answers all whole requests that were heard.
    fn digest(&mut self, after_silence: bool) {
        let mut start = 0;
        while start < self.filled && !self.speaker.closing {
            let heard = &self.buffer[start..self.filled];
            match self.framing.next(heard, after_silence) {
                Heard::Request { link, unit, pdu, len } => {
                    self.speaker.hear(link, unit, &heard[pdu]);
                    start += len;
                }
                Heard::Garbage(len) => start += len,
                Heard::Unfinished => break,
                Heard::Broken => self.speaker.closing = true,
            }
        }
        self.buffer.copy_within(start..self.filled, 0);
        self.filled -= start;
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Open,
    Closed,
}

impl Connection {
    fn is_closed(self) -> bool {
        self == Self::Closed
    }
}

/// Asks the bus, and lays out what is to be sent.
struct Speaker {
    bus: Arc<dyn Bus>,
    /// When the connection was made.
    since: Instant,
    /// To be sent at once.
    ready: Vec<u8>,
    /// Scratch space.
    pdu: Vec<u8>,
    /// To be sent in its time, after `ready`.
    outbox: Outbox,
    /// Replies that wait for the next one, and until when.
    held: Option<(Vec<u8>, Instant)>,
    /// Hang up once `ready` is sent.
    closing: bool,
}

impl Speaker {
    fn hear(&mut self, link: Link, unit: u8, request: &[u8]) {
        if link == Link::Rtu && unit == 0 {
            return self.broadcast(request);
        }
        let connection = self.bus.wire_faults(None);
        let mut faults = self.bus.wire_faults(Some(unit));
        let now = Instant::now();
        self.pdu.clear();
        match injector::hear(link, &connection, &faults, now - self.since) {
            Hearing::Swallowed => return,
            Hearing::Closed => {
                self.closing = true;
                return;
            }
            Hearing::Unreachable => {
                pdu::encode_exception(request[0], ExceptionCode::GatewayTargetDevice, &mut self.pdu);
                faults.clear();
            }
            Hearing::Heard => {
                if !self.answer(unit, request) {
                    return;
                }
                faults.extend(connection);
            }
        }
        let reply = Reply {
            link,
            unit,
            pdu: &self.pdu,
        };
        if faults.is_empty() && self.outbox.is_empty() && self.held.is_none() {
            reply.encode(&mut self.ready);
            return;
        }
        let held = self.held.take().map(|(bytes, _)| bytes);
        let Plan { actions, hold } = injector::inject(&reply, &faults, held);
        self.outbox.schedule(actions, now);
        self.held = hold.map(|(bytes, patience)| (bytes, now + patience));
    }

    /// Writes the reply's PDU into the scratch space; false for silence.
    fn answer(&mut self, unit: u8, request: &[u8]) -> bool {
        let function = request[0];
        let answer = match pdu::parse(request) {
            Ok(request) => self.bus.answer(unit, &request),
            Err(exception) if self.bus.has(unit) => Answer::Exception(exception),
            Err(_) => self
                .bus
                .answer(unit, &Request::Custom(function, Cow::Borrowed(&request[1..]))),
        };
        match answer {
            Answer::Reply(response) => pdu::encode(function, &response, &mut self.pdu),
            Answer::Exception(exception) => pdu::encode_exception(function, exception, &mut self.pdu),
            Answer::Silence => return false,
        }
        true
    }

    /// Unit 0 is all of a serial line: they do what is written, and none answers.
    fn broadcast(&self, request: &[u8]) {
        if let Ok(write @ (Request::WriteSingleRegister(..) | Request::WriteMultipleRegisters(..))) =
            pdu::parse(request)
        {
            self.bus.broadcast(&write);
        }
    }

    /// When there is something to do.
    fn due(&self) -> Option<Instant> {
        let held = self.held.as_ref().map(|(_, until)| *until);
        held.into_iter().chain(self.outbox.due()).min()
    }

    /// Sends what waited in vain for a next reply.
    fn let_go(&mut self, now: Instant) {
        if let Some((bytes, _)) = self.held.take_if(|(_, until)| *until <= now) {
            self.outbox.schedule(vec![injector::Action::Send(bytes)], now);
        }
    }
}
