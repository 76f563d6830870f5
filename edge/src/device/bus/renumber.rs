//! A stream of Modbus TCP frames whose replies bear some other transaction number than their requests.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Transaction number, protocol, length (Modbus Messaging on TCP/IP 1.0b, §3.1.3); the unit counts to what
/// follows.
const HEADER_LEN: usize = 6;

/// Gives each reply the transaction number of the last request: gateways are known that send the same number
/// with everything. That is sound only where one request is on its way at a time, and whatever else makes
/// sure on a serial line that a reply is the reply to it is done here as well.
#[derive(Debug)]
pub(super) struct Renumbered<S> {
    stream: S,
    number: [u8; 2],
    request: Frame,
    reply: Frame,
}

/// How far a stream has come in a frame.
#[derive(Debug, Default)]
struct Frame {
    /// Bytes of the header.
    header: usize,
    /// The upper byte of the length.
    upper: u8,
    /// Bytes behind the header that are still to come.
    rest: u16,
}

impl Frame {
    /// Goes on by a byte; says which one of a header it was.
    fn step(&mut self, byte: u8) -> Option<usize> {
        if let Some(rest) = self.rest.checked_sub(1) {
            self.rest = rest;
            return None;
        }
        let place = self.header;
        self.header = (place + 1) % HEADER_LEN;
        match place {
            4 => self.upper = byte,
            5 => self.rest = u16::from_be_bytes([self.upper, byte]),
            _ => {}
        }
        Some(place)
    }
}

impl<S> Renumbered<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            number: [0; 2],
            request: Frame::default(),
            reply: Frame::default(),
        }
    }

    fn sent(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.request.step(byte) {
                Some(0) => {
                    self.number[0] = byte;
                    // What was left of an earlier reply is no part of the one to come.
                    self.reply = Frame::default();
                }
                Some(1) => self.number[1] = byte,
                _ => {}
            }
        }
    }

    fn received(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if let Some(number) = self.reply.step(*byte).and_then(|place| self.number.get(place)) {
                *byte = *number;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Renumbered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(new) = buffer.filled_mut().get_mut(before..) {
            self.received(new);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Renumbered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.sent(bytes.get(..count).unwrap_or(bytes));
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(number: u16, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap();
        let mut bytes = [number.to_be_bytes(), [0, 0], length.to_be_bytes()].concat();
        bytes.extend(body);
        bytes
    }

    proptest! {
        #[test]
        fn in_whatever_pieces_replies_come_they_bear_the_number_of_their_request(
            numbers: [u16; 3],
            theirs: [u16; 3],
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 3),
            piece in 1_usize..20,
        ) {
            let mut line = Renumbered::new(());
            for ((number, other), body) in numbers.into_iter().zip(theirs).zip(&bodies) {
                for part in frame(number, &[1, 3, 0, 0, 0, 2]).chunks(piece) {
                    line.sent(part);
                }
                let mut reply = frame(other, body);
                for part in reply.chunks_mut(piece) {
                    line.received(part);
                }
                prop_assert_eq!(reply, frame(number, body));
            }
        }

        #[test]
        fn nothing_that_comes_or_goes_panics(
            sent in prop::collection::vec(any::<u8>(), 0..100),
            mut received in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let mut line = Renumbered::new(());
            line.sent(&sent);
            let before = received.len();
            line.received(&mut received);
            prop_assert_eq!(received.len(), before);
        }
    }

    #[test]
    fn half_a_reply_that_was_given_up_does_not_shift_the_next_one() {
        let mut line = Renumbered::new(());
        line.sent(&frame(7, &[1, 3, 0, 0, 0, 2]));
        line.received(&mut frame(2, &[1, 3, 4, 0, 1, 0, 2])[..9]);
        line.sent(&frame(8, &[1, 3, 0, 0, 0, 2]));
        let mut reply = frame(2, &[1, 3, 4, 0, 1, 0, 2]);
        line.received(&mut reply);
        assert_eq!(reply[..2], [0, 8]);
    }
}
